"""The function behind the command line and the estimator: takes rows, returns a program."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.data.labels import label_text
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.data.sources import DEFAULT_SIZES, SplitSizes, read_splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.metrics import ACCURACY, Metric
from llm_pv.erm.pipeline import Destination, learn_splits
from llm_pv.erm.result import LearnedProgram
from llm_pv.erm.selection import Plan
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposer
from llm_pv.proposers.registry import USUAL, BuiltIn, make_proposer
from llm_pv.proposers.round_robin import RoundRobin
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.reading import read_run
from llm_pv.sandbox import Limits, Sandbox

__all__ = ["Search", "SplitSizes", "learn", "read_splits"]


@dataclass(frozen=True)
class Search:
    """The proposer, the number of attempts, and the other options of a search.

    Parameters
    ----------
    proposer
        ``"length-first"``, ``"replay:PATH"``, a model (``"openai:gpt-5.4"``), or a `Proposer`; or a
        sequence of these, which propose into one run, the free ones first.
    attempts
        The number of attempts, of each model if there are several; None for the proposer's default.
        Each may give several programs if a model refines its own; all of them count in the planned
        number K.
    budget_seconds
        Cap on the built-in search's time, default 30; or on the time for calls of models, default
        no limit. If given, reading and verifying the programs may take as long again.
    delta
        The probability with which the certificate may fail.
    early_stop
        Whether to stop at the first program without a validation error.
    seed
        The seed of the split and of all other random choices.
    concurrency
        The number of concurrent attempts of a model.
    metric
        The metric of selection.
    class_weight
        Factors of the weights of rows by class, or ``"balanced"`` for the inverse of how common a
        class is in training; they count in the search and in selection.
    warm_start
        The directory of another run, whose programs are tried first, before `attempts` others; the
        certificate counts the attempts planned for both.
    stop_at
        End the search at the first program with this score of the metric on the validation rows.
    built_in
        The options of the built-in search.
    progress
        Called by the built-in search with its stage and the number of programs tried.
    """

    proposer: str | Proposer | Sequence[str | Proposer] = "length-first"
    attempts: int | None = None
    budget_seconds: float | None = None
    delta: float = 0.05
    early_stop: bool = True
    seed: int = 0
    concurrency: int = 5
    metric: Metric = ACCURACY
    class_weight: Mapping[object, float] | str | None = None
    stop_at: float = 1.0
    warm_start: Path | str | None = None
    built_in: BuiltIn = USUAL
    progress: Callable[[str, int], None] | None = field(default=None, compare=False)

    def resolve(self) -> tuple[Proposer, Plan]:
        """Return the proposer itself and the plan.

        Raises
        ------
        ConfigurationError
            If an option cannot work.
        """
        proposer: Any = self.proposer
        attempts: Any = self.attempts
        if attempts is not None and not isinstance(attempts, Integral):
            raise ConfigurationError(f"is {attempts!r}; give a whole number or None", "attempts")
        for name in ("budget_seconds", "delta"):
            value = getattr(self, name)
            if not isinstance(value, Real) and not (name == "budget_seconds" and value is None):
                raise ConfigurationError(f"is {value!r}; give a number", name)
        if not isinstance(self.concurrency, Integral) or self.concurrency < 1:
            raise ConfigurationError(f"is {self.concurrency!r}; give 1 or more", "concurrency")
        if isinstance(proposer, str | Sequence):
            proposer = make_proposer(
                proposer,
                attempts=attempts,
                budget_seconds=self.budget_seconds,
                built_in=self.built_in,
                progress=self.progress,
            )
        if not isinstance(proposer, Proposer):
            raise ConfigurationError(
                f"is {proposer!r}; give 'length-first', 'replay:PATH', a model such as "
                "'openai:gpt-5.4', a Proposer, or several",
                "proposer",
            )
        not_made = 0
        if self.warm_start is not None:
            from llm_pv.erm.warm_start import WarmStart

            proposer = WarmStart(Path(self.warm_start), proposer)
            not_made = proposer.not_made
        planned = proposer.plan_attempts(None if attempts is None else int(attempts))
        return proposer, Plan(
            planned,
            self.delta,
            self.early_stop,
            self.metric,
            self.stop_at,
            planned=planned + not_made,
            seconds=self.budget_seconds,
        )

    def weigh(self, splits: Splits) -> Splits:
        """Return splits with row weights from the class weights and the metric.

        Raises
        ------
        ConfigurationError
            If a class is none of the splits'.
        """
        self.metric.check(splits.classes.texts)
        of_class = self._class_weights(splits)
        train, validation = splits.train, splits.validation
        if of_class:
            train = train.weighted([of_class[label] for label in train.labels])
            validation = validation.weighted([of_class[label] for label in validation.labels])
        if (more := self.metric.row_weights(train.labels, train.weights)) is not None:
            train = train.weighted(more)
        return replace(splits, train=train, validation=validation)

    def _class_weights(self, splits: Splits) -> dict[str, float]:
        """Return the weight of each class, empty if all are equal."""
        texts, chosen = splits.classes.texts, self.class_weight
        if chosen is None:
            return {}
        if chosen == "balanced":
            counts = Counter(splits.train.labels)
            total = len(splits.train) / len(texts)
            return {text: total / max(1, counts[text]) for text in texts}
        if not isinstance(chosen, Mapping):
            raise ConfigurationError(
                f"is {chosen!r}; give 'balanced' or a weight for each class", "class_weight"
            )
        weights = dict.fromkeys(texts, 1.0)
        for label, weight in chosen.items():
            text = label_text(label)
            if text not in weights or not 0 <= weight < math.inf:
                raise ConfigurationError(
                    f"class_weight of {label!r} is {weight!r}: give a class, one of "
                    f"{', '.join(texts[:12])}, and a number from 0 on"
                )
            weights[text] = float(weight)
        if not any(weights.values()):
            raise ConfigurationError("class_weight: all weights are 0; give one class more")
        return weights


def learn(
    data: object,
    labels: object = None,
    *,
    target: str | None = None,
    types: Mapping[str, str] | None = None,
    data_format: str | None = None,
    validation: object = None,
    test: object = None,
    sizes: SplitSizes = DEFAULT_SIZES,
    reading: Reading = DEFAULT_READING,
    search: Search = Search(),
    model: str | Sequence[str] | None = None,
    sandbox: Sandbox | None = None,
    out: Path | str | None = None,
    name: str | None = None,
    on_start: Callable[[], object] | None = None,
    on_attempt: Callable[[Attempt], object] | None = None,
) -> LearnedProgram:
    """Learn a program from labelled rows.

    Rows are split into training, validation and test rows. Programs are proposed from the
    training rows, run in a sandbox, and selected by their errors on the validation rows; the test
    rows are used once, for the selected program.

    Parameters
    ----------
    data, labels, target, types, data_format, validation, test, sizes, reading
        The rows, as for `read_splits`.
    search
        The options of the search.
    model
        One or several language models that propose, in place of ``search.proposer``. To try the
        built-in search first, give ``Search(["length-first", "openai:gpt-5.4"])``.
    sandbox
        An open sandbox, which is left open; None opens one with default limits for this call.
    out
        The run directory; an unfinished run there is resumed. A finished one is read, or continued
        if more attempts are requested than were planned. None writes nothing.
    name
        The name of the data; default from its path.
    on_start
        Called once before the first proposal; not if `out` holds a finished run.
    on_attempt
        Called with each attempt when it is done.

    Returns
    -------
    LearnedProgram
        The program, its scores and certificate, and every candidate.

    Raises
    ------
    DataError
        If rows cannot be read, labelled or split as asked.
    ConfigurationError
        If an option cannot work.
    ConfinementError
        If candidates cannot be confined here.
    RunError
        If the run directory cannot be used.

    Examples
    --------
    >>> inputs = [f"{n:05b}" for n in range(32)]
    >>> learned = learn(inputs, [text.count("1") % 2 for text in inputs])
    >>> learned.test.accuracy
    1.0
    """
    search = replace(search, proposer=model or search.proposer)
    proposer, plan = search.resolve()
    splits = read_splits(
        data,
        labels,
        target=target,
        types=types,
        data_format=data_format,
        validation=validation,
        test=test,
        sizes=sizes,
        reading=reading,
        seed=search.seed,
    )
    splits = search.weigh(splits)
    name = name or (Path(data).name if isinstance(data, str | Path) and data != "-" else "rows")
    cell = Cell(Path(name).stem)
    with ExitStack() as stack:
        if proposer is not search.proposer:
            stack.enter_context(proposer)
        if sandbox is None:
            sandbox = stack.enter_context(Sandbox())
        destination = None
        if out is not None:
            asked, plan = plan, _continued(plan, Path(out))
            configuration = _configuration(splits, proposer, plan, sandbox.limits, search.seed)
            configuration |= {"target": target} | _unusual(splits, proposer, plan, reading)
            confined = sandbox.confinement.record()
            run = stack.enter_context(
                RunDirectory(Path(out), configuration, confined, proposer.columns)
            )
            destination = Destination(run, cell, proposer.columns)
            made = sum(r.get("kind") == "attempt" for r in run.cell_log(cell).attempts)
            if plan != asked and run.finished(cell) and made < plan.attempts:
                run.reopen(cell)
            proposer.open(run.turns())
        if on_start is not None and (destination is None or not run.finished(cell)):
            on_start()
        return learn_splits(
            splits,
            proposer,
            sandbox,
            plan,
            name=name,
            seed=search.seed,
            destination=destination,
            on_attempt=on_attempt,
            admission=RoundRobin({cell: 0}, search.concurrency).cell(cell),
        )


def _continued(plan: Plan, out: Path) -> Plan:
    """Return the plan with the original K of a run on disk, if more attempts are requested.

    K decides each program's share of delta, so it must not change after the first verification.
    """
    if not (out / "run.json").exists():
        return plan
    known = read_run(out)["configuration"].get("planned_attempts")
    if not isinstance(known, int) or not 0 < known < plan.first_planned:
        return plan
    return replace(plan, planned=known)


def _configuration(
    splits: Splits,
    proposer: Proposer,
    plan: Plan,
    limits: Limits,
    seed: int,
) -> dict[str, Any]:
    """Return everything that decides the result of `learn`, as plain JSON values."""
    return {
        "command": "learn",
        "proposer": proposer.identity,
        "planned_attempts": plan.first_planned,
        "delta": plan.delta,
        "early_stop": plan.early_stop,
        "seed": seed,
        "limits": asdict(limits),
        "columns": list(splits.columns),
        "types": dict(splits.types),
        "classes": list(splits.classes.texts),
        "class_values": [_plain(value) for value in splits.classes.values],
        "sizes": [len(splits.train), len(splits.validation), len(splits.test)],
        "rows_digest": splits.digest(),
    }


def _unusual(splits: Splits, proposer: Proposer, plan: Plan, reading: Reading) -> dict[str, Any]:
    """Return what else decides the result or belongs to it, where it differs from the default."""
    values = {
        "about": proposer.about,
        "metric": plan.metric.record() if plan.metric != ACCURACY else None,
        "stop_at": plan.stop_at if plan.stop_at != 1 else None,
        "reading": reading.record(),
        "edges": list(splits.edges),
        "odd_cells": {name: list(cells) for name, cells in splits.odd.items()},
    }
    return {name: value for name, value in values.items() if value}


def _plain(value: object) -> object:
    """Return a class's value for JSON: numpy scalars as Python's, other types as text."""
    value = getattr(value, "item", lambda: value)()
    return value if isinstance(value, str | bool | int | float) else str(value)
