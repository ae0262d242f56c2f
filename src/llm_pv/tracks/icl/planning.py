"""The cells of a run, their prompts written and counted before anything is asked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.models.answers import AnsweringModel, AnswerMode, Asking
from llm_pv.runs.cells import Cell
from llm_pv.runs.runner import SKIPPED
from llm_pv.tracks.grid import DataSet
from llm_pv.tracks.icl.problems import example_order
from llm_pv.tracks.icl.prompt import write_prompts
from llm_pv.tracks.icl.scores import AnsweredCell
from llm_pv.tracks.icl.settings import Settings

LEAST_ROOM = 16
"""Tokens a free answer needs at least: the context must hold them after the prompt."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell to be done."""

    name: str
    cell: Cell
    "What its data set is called, and the cell."
    splits: Splits
    "Its rows."
    asking: Asking
    "How labels are asked for."
    prompts: Sequence[Sequence[str]]
    "For each order of the examples, a prompt for each test row."
    learn_seconds: float
    "Time that rows and prompts took."

    @property
    def answers(self) -> int:
        """How many answers it takes."""
        return sum(map(len, self.prompts))


def plan_cells(
    problems: Sequence[DataSet], model: AnsweringModel, settings: Settings
) -> list[PlannedCell | AnsweredCell]:
    """Write and count every prompt; a cell that cannot be done becomes its result.

    Raise ConfigurationError if no cell can be done.
    """
    for mode in settings.modes:
        model.check(settings.asking(mode, served=model.destination is not None))
    planned = [
        plan_cell(problem, mode, model, settings) for problem in problems for mode in settings.modes
    ]
    if not any(isinstance(work, PlannedCell) for work in planned):
        reasons = dict.fromkeys(work.reason for work in planned if isinstance(work, AnsweredCell))
        raise ConfigurationError(f"nothing can be asked: {'; '.join(list(reasons)[:3])}")
    return planned


def plan_cell(
    problem: DataSet, mode: AnswerMode, model: AnsweringModel, settings: Settings
) -> PlannedCell | AnsweredCell:
    """Write and count the prompts of a cell, or say why it cannot be done."""
    cell = replace(problem.cell, method=mode, model=model.name)
    if problem.skipped:
        return AnsweredCell(cell, problem.name, SKIPPED, problem.skipped)
    start = time.perf_counter()
    try:
        splits = problem.load()
        asking = settings.asking(mode, splits.classes.texts, served=model.destination is not None)
        write = partial(
            write_prompts, form=asking.form, alphabet=problem.alphabet, classes=splits.classes
        )
        prompts = [
            write(
                examples=example_order(splits.train, order, settings.seed),
                inputs=splits.test.inputs,
            )
            for order in range(settings.orders)
        ]
        bare = write(examples=splits.train.take([]), inputs=splits.test.inputs)
        learn_seconds = time.perf_counter() - start
        check_context(
            model,
            [prompt for order in prompts for prompt in order],
            bare,
            asking,
            examples=len(splits.train),
            lengths_vary=problem.cell.length != "" and problem.alphabet != "table",
        )
    except (ConfigurationError, DataError) as error:
        return AnsweredCell(cell, problem.name, SKIPPED, str(error))
    return PlannedCell(problem.name, cell, splits, asking, prompts, learn_seconds)


def check_context(
    model: AnsweringModel,
    prompts: Sequence[str],
    bare: Sequence[str],
    asking: Asking,
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
    longest = max(model.count(prompts, asking))
    needed = min(asking.max_new_tokens, LEAST_ROOM)
    if asking.mode != "generate":  # a token holds a byte at least
        needed = max(needed, *(len(label.encode("utf-8", "replace")) for label in asking.labels))
    if longest + needed <= context:
        return
    without = max(model.count(bare, asking))
    room = context - needed - without
    fitting = int(0.98 * examples * room / max(1, longest - without))
    about = "" if model.counts_exactly else "(an upper estimate, as its tokenizer is not here) "
    shorter = "--lengths" if lengths_vary else ""
    ways = [
        f"reduce --train-size (about {fitting} would fit)" if fitting > 0 else "",
        "" if fitting > 0 else "not even one example fits",
        f"reduce {shorter}" if shorter else "",
        "raise --max-model-len if the model allows it",
    ]
    raise ConfigurationError(
        f"prompts with {examples} examples have up to {longest:,} tokens {about}and an answer "
        f"needs {needed}, but the context of {model.name} holds {context:,}: "
        + ", or ".join(way for way in ways if way)
    )
