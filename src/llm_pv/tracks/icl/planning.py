"""The cells of a run: data sets, settings, and prompts, written and counted before any call."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from llm_pv.data.examples import Examples, Splits
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.models.label_queries import AnswerMode, LabelQuery
from llm_pv.models.language_model import LanguageModel
from llm_pv.runs.cells import Cell
from llm_pv.runs.runner import SKIPPED
from llm_pv.tracks.grid import DataSet, GridRequest
from llm_pv.tracks.icl.scores import AnsweredCell
from llm_pv.tracks.icl.settings import Settings
from llm_pv.tracks.icl.texts import write_prompts


def task_problems(request: GridRequest, dataset_dir: Path | None) -> list[DataSet]:
    """Return the data sets of a grid of tasks; the validation size of the request is not used.

    Raise ConfigurationError if the request is invalid as a whole, or no cell of it can be.
    """
    if request.test_size < 1:
        raise ConfigurationError("test size 0: there is nothing to ask about")
    return request.data_sets(dataset_dir, validation=False)


def rows_problem(
    splits: Splits, name: str, *, train_size: int, test_size: int, seed: int
) -> DataSet:
    """Return a user's rows as a problem, cut to a number of rows drawn by the seed.

    Raise ConfigurationError if there are no test rows.
    """
    if not len(splits.test):
        raise ConfigurationError(f"{name} has no test rows: there is nothing to ask about")
    if min(train_size, test_size) < 1:
        raise ConfigurationError("train and test size: give 1 or more")
    drawn = replace(
        splits,
        train=_at_most(splits.train, train_size, seed),
        validation=splits.validation.take([]),
        test=_at_most(splits.test, test_size, seed),
    )
    alphabet = "table" if splits.columns and splits.types else ""
    return DataSet(Cell(Path(name).stem), name, lambda: drawn, alphabet=alphabet)


def example_order(examples: Examples, order: int, seed: int) -> Examples:
    """Return examples in one of their orders; the first is as they were drawn.

    Examples
    --------
    >>> rows = Examples(["a", "b", "c"], ["0", "1", "1"])
    >>> example_order(rows, 0, 7).inputs, sorted(example_order(rows, 1, 7).inputs)
    (['a', 'b', 'c'], ['a', 'b', 'c'])
    """
    if order == 0:
        return examples
    return examples.take(_permutation(len(examples), (seed, order)))


def _at_most(examples: Examples, most: int, seed: int) -> Examples:
    if len(examples) <= most:
        return examples
    return examples.take(np.sort(_permutation(len(examples), (seed,))[:most]))


def _permutation(count: int, entropy: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    # Sorting PCG64's raw integers, whose stream numpy promises to keep; its shuffles may change.
    keys = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(count)
    return np.argsort(keys, kind="stable")


LEAST_ROOM = 16
"""Tokens a free answer needs at least: the context must hold them after the prompt."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell to be done."""

    name: str
    cell: Cell
    splits: Splits
    query: LabelQuery
    prompts: Sequence[Sequence[str]]
    "For each order of the examples, a prompt for each row of `asked`."
    learn_seconds: float
    others: Mapping[int, Examples] = field(default_factory=dict)
    "Test rows of other lengths, which are asked about after those of `splits`, by length."

    @property
    def asked(self) -> Examples:
        """All rows asked about."""
        return _joined([self.splits.test, *self.others.values()])

    @property
    def answers(self) -> int:
        """How many answers it takes."""
        return sum(map(len, self.prompts))


def plan_cells(
    problems: Sequence[DataSet], model: LanguageModel, settings: Settings
) -> list[PlannedCell | AnsweredCell]:
    """Write and count every prompt; a cell that cannot be done becomes its result.

    Raise ConfigurationError if no cell can be done.
    """
    for mode in settings.ways:
        model.check_query(settings.query(mode, served=model.destination is not None))
    planned = [
        plan_cell(problem, mode, model, settings) for problem in problems for mode in settings.ways
    ]
    if not any(isinstance(work, PlannedCell) for work in planned):
        reasons = dict.fromkeys(work.reason for work in planned if isinstance(work, AnsweredCell))
        raise ConfigurationError(f"nothing can be asked: {'; '.join(list(reasons)[:3])}")
    return planned


def plan_cell(
    problem: DataSet, mode: AnswerMode, model: LanguageModel, settings: Settings
) -> PlannedCell | AnsweredCell:
    """Write and count the prompts of a cell, or say why it cannot be done."""
    cell = replace(problem.cell, method=mode, model=model.name)
    if problem.skipped:
        return AnsweredCell(cell, problem.name, SKIPPED, problem.skipped)
    start = time.perf_counter()
    try:
        splits, others = problem.load(), problem.others()
        inputs = _joined([splits.test, *others.values()]).inputs
        query = settings.query(mode, splits.classes.texts, served=model.destination is not None)
        write = partial(
            write_prompts, form=query.form, alphabet=problem.alphabet, classes=splits.classes
        )
        prompts = [
            write(
                examples=example_order(splits.train, order, settings.drawn_by),
                inputs=inputs,
            )
            for order in range(settings.orders)
        ]
        bare = write(examples=splits.train.take([]), inputs=inputs)
        learn_seconds = time.perf_counter() - start
        check_context(
            model,
            [prompt for order in prompts for prompt in order],
            bare,
            query,
            examples=len(splits.train),
            lengths_vary=problem.cell.length != "" and problem.alphabet != "table",
        )
    except (ConfigurationError, DataError) as error:
        return AnsweredCell(cell, problem.name, SKIPPED, str(error))
    return PlannedCell(problem.name, cell, splits, query, prompts, learn_seconds, others)


def _joined(parts: Sequence[Examples]) -> Examples:
    inputs = [item for part in parts for item in part.inputs]
    return Examples(inputs, [label for part in parts for label in part.labels])


def check_context(
    model: LanguageModel,
    prompts: Sequence[str],
    bare: Sequence[str],
    query: LabelQuery,
    *,
    examples: int,
    lengths_vary: bool = True,
) -> None:
    """Refuse prompts that do not fit into the model's context, before any call.

    Parameters
    ----------
    prompts, bare
        The prompts, and the same without examples.
    lengths_vary
        Whether the inputs could be shorter ones.

    Raises
    ------
    ConfigurationError
        With the numbers and what to reduce.
    """
    context = model.context_tokens
    if context is None:
        return
    longest = max(model.count_prompts(prompts, query))
    needed = min(query.max_new_tokens, LEAST_ROOM)
    if query.mode != "generate":  # a token holds a byte at least
        needed = max(needed, *(len(label.encode("utf-8", "replace")) for label in query.labels))
    if longest + needed <= context:
        return
    without = max(model.count_prompts(bare, query))
    room = context - needed - without
    fitting = int(0.98 * examples * room / max(1, longest - without))
    about = "" if model.counts_exactly else "(an upper estimate, as its tokenizer is not here) "
    shorter = "--lengths" if lengths_vary else ""
    none = "" if fitting > 0 else " (not even one example fits)"
    ways = [
        f"reduce --train-size (about {fitting} would fit)" if fitting > 0 else "",
        f"reduce {shorter}" if shorter else "",
        "raise --max-model-len if the model allows it",
    ]
    raise ConfigurationError(
        f"prompts with {examples} examples have up to {longest:,} tokens {about}and an answer "
        f"needs {needed}, but the context of {model.name} holds "
        f"{context:,}{none}: " + ", or ".join(way for way in ways if way)
    )
