"""Compare two runs on the same test rows: McNemar per cell, Wilcoxon across cells.

The test rows of a benchmark cell depend on the task, its length, the sampler, the seed and the
trial; a smaller test split is a prefix of a larger one. Predictions are therefore paired by row
number, on the rows of the smaller split.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from llm_pv.errors import ConfigurationError, RunError
from llm_pv.report.comparison import method_name
from llm_pv.report.records import RunRecord, TrialRecord, load_run
from llm_pv.runs.cells import Cell
from llm_pv.runs.reading import read_test_predictions
from llm_pv.stats import holm, mcnemar, wilcoxon

ALPHA = 0.05
"""The significance level used in the text."""


@dataclass(frozen=True)
class Pair:
    """The results of two predictors on the same rows."""

    accuracy_a: float | None = None
    accuracy_b: float | None = None
    "Accuracies on those rows; of several trials their means."
    only_a: int = 0
    only_b: int = 0
    "Rows that only one of them predicted correctly."

    @property
    def difference(self) -> float | None:
        """The accuracy of b less that of a."""
        if self.accuracy_a is None or self.accuracy_b is None:
            return None
        return self.accuracy_b - self.accuracy_a

    @property
    def p_value(self) -> float | None:
        """McNemar's exact test over all rows."""
        return None if self.accuracy_a is None else mcnemar(self.only_a, self.only_b)

    def figures(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return {
            "accuracy_a": self.accuracy_a,
            "accuracy_b": self.accuracy_b,
            "difference": self.difference,
            "only_a_right": self.only_a,
            "only_b_right": self.only_b,
            "mcnemar_p": self.p_value,
        }


@dataclass(frozen=True, kw_only=True)
class TrialPair(Pair):
    """One trial of either run on the same test rows, or why they cannot be paired."""

    trial: int
    "The number of the trial, from 1."
    rows: int = 0
    "Test rows with predictions of both."
    reason: str = ""
    "Why there is no pair; empty if there is one."


@dataclass(frozen=True, kw_only=True)
class CellPair(Pair):
    """One cell of either run: all its trials together.

    ``holm`` is the p-value adjusted by Holm's method for the number of cells compared.
    """

    cell: Cell
    name: str
    trials: tuple[TrialPair, ...]
    holm: float | None = None

    @classmethod
    def of(cls, cell: Cell, name: str, trials: Sequence[TrialPair]) -> "CellPair":
        """Return the cell of these trials, with the figures of those that are paired."""
        return cls(
            _mean(trial.accuracy_a for trial in trials),
            _mean(trial.accuracy_b for trial in trials),
            sum(trial.only_a for trial in trials),
            sum(trial.only_b for trial in trials),
            cell=cell,
            name=name,
            trials=tuple(trials),
        )

    @property
    def paired(self) -> tuple[TrialPair, ...]:
        """The paired trials."""
        return tuple(trial for trial in self.trials if not trial.reason)


@dataclass(frozen=True)
class RunPair:
    """Two runs compared."""

    a: str
    b: str
    "The names of both: run and method."
    cells: tuple[CellPair, ...]
    wilcoxon: float | None
    """The p-value of Wilcoxon's signed-rank test over the cells' mean differences; None where no
    cell differs or none could be paired."""
    differing: int
    unmatched: int
    "Trials in only one of the runs."

    @property
    def compared(self) -> tuple[CellPair, ...]:
        """The cells with at least one paired trial."""
        return tuple(cell for cell in self.cells if cell.paired)

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "cells": [_cell_record(cell) for cell in self.cells],
            "wilcoxon_p": self.wilcoxon,
            "differing_cells": self.differing,
            "compared_cells": len(self.compared),
            "unmatched_trials": self.unmatched,
        }


def compare_runs(
    a: Path, b: Path, method_a: str | None = None, method_b: str | None = None
) -> RunPair:
    """Compare two runs cell by cell on the test rows they share.

    Raise RunError if a run cannot be read, or the two have no cell in common. Raise
    ConfigurationError if a run holds several methods and none was named, or not the one named.

    Parameters
    ----------
    a, b
        Run directories; the same one twice if it holds several methods.
    method_a, method_b
        The methods compared, where a run holds several.
    """
    runs = [load_run(path) for path in (a, b)]
    methods = [
        _method(run, named, option)
        for run, named, option in zip(
            runs, (method_a, method_b), ("--method-a", "--method-b"), strict=True
        )
    ]
    if a.resolve() == b.resolve() and methods[0] == methods[1]:
        raise ConfigurationError(f"{a} is compared with itself; name another run or method")
    sides = [
        {trial.cell: trial for trial in run.trials if method_name(trial) == method}
        for run, method in zip(runs, methods, strict=True)
    ]
    common = [cell for cell in sides[0] if cell in sides[1]]
    common.sort(key=lambda cell: cell.trial)  # runs record them in the order in which they end
    if not common:
        raise RunError(
            f"{a} and {b} have no cell in common: {_cells_in_words(sides[0])} there, "
            f"{_cells_in_words(sides[1])} here; compare runs of the same tasks, lengths and sampler"
        )
    groups: dict[tuple[str, int | str, str], list[Cell]] = {}
    for cell in common:
        groups.setdefault((cell.function, cell.length, cell.sampler), []).append(cell)
    cells = [
        CellPair.of(
            Cell(*key),
            sides[0][group[0]].name,
            [pair_trials((runs[0], sides[0][cell]), (runs[1], sides[1][cell])) for cell in group],
        )
        for key, group in groups.items()
    ]
    cells = _with_holm(cells)
    differences = [round(cell.difference, 12) for cell in cells if cell.difference]
    names = [f"{run.label}: {method}" for run, method in zip(runs, methods, strict=True)]
    return RunPair(
        a=names[0],
        b=names[1],
        cells=tuple(cells),
        wilcoxon=wilcoxon(differences),
        differing=len(differences),
        unmatched=len(sides[0].keys() ^ sides[1].keys()),
    )


def pair_trials(a: tuple[RunRecord, TrialRecord], b: tuple[RunRecord, TrialRecord]) -> TrialPair:
    """Return the paired predictions of the same trial of two runs, or why they cannot be paired."""
    number = a[1].cell.trial + 1
    reason = _why_other_rows(a, b)
    if reason:
        return TrialPair(trial=number, reason=reason)
    rights = []
    labels = []
    for run, trial in (a, b):
        if trial.accuracy is None:
            return TrialPair(trial=number, reason=f"{run.label}: {trial.status}")
        named = replace(trial.cell, method=trial.method, model=trial.model if trial.method else "")
        rows = read_test_predictions(run.path, named)
        try:
            labels.append([row["label"] for row in rows])
            rights.append([row["label"] == row["prediction"] for row in rows])
        except KeyError as error:
            raise RunError(
                f"{run.path}: the predictions of {trial.cell.function!r}, trial {number}, have no "
                f"column {error}; restore the file"
            ) from error
        if not rows:
            return TrialPair(trial=number, reason=f"{run.label} holds no predictions of it")
    rows_in_both = min(map(len, rights))
    if labels[0][:rows_in_both] != labels[1][:rows_in_both]:
        return TrialPair(trial=number, reason="the labels of the test rows differ: other rows")
    pairs = list(zip(*rights, strict=False))
    return TrialPair(
        trial=number,
        rows=rows_in_both,
        only_a=sum(right_a and not right_b for right_a, right_b in pairs),
        only_b=sum(right_b and not right_a for right_a, right_b in pairs),
        accuracy_a=sum(right for right, _ in pairs) / rows_in_both,
        accuracy_b=sum(right for _, right in pairs) / rows_in_both,
    )


def _with_holm(cells: Sequence[CellPair]) -> list[CellPair]:
    tested = [cell.p_value for cell in cells if cell.p_value is not None]
    adjusted = iter(holm(tested))
    return [cell if cell.p_value is None else replace(cell, holm=next(adjusted)) for cell in cells]


def _why_other_rows(a: tuple[RunRecord, TrialRecord], b: tuple[RunRecord, TrialRecord]) -> str:
    """Return which setting makes two trials' test rows differ; empty if none does."""
    what = [_what_decides_rows(run, trial) for run, trial in (a, b)]
    for name in what[0].keys() & what[1].keys():
        if what[0][name] != what[1][name]:
            a_text, b_text = (str(values[name])[:12] for values in what)
            return f"other test rows: {name} is {a_text} in a and {b_text} in b"
    if a[1].cell.length == "" and not {"digest of the rows"} <= what[0].keys() & what[1].keys():
        return "the records do not show whether the test rows are the same"
    return ""


def _what_decides_rows(run: RunRecord, trial: TrialRecord) -> dict[str, object]:
    if trial.rows_digest:
        return {"digest of the rows": trial.rows_digest}
    request = run.header["configuration"].get("request")
    known: dict[str, object] = {"seed": trial.seed}
    if isinstance(request, Mapping):
        same_data = bool(request.get("same_data"))
        known |= {
            "data set": 0 if same_data else trial.cell.trial,
            "table": request.get("table"),
            "raw tables": request.get("raw_tables"),
        }
    return known


def _method(run: RunRecord, named: str | None, option: str) -> str:
    methods = sorted({method_name(trial) for trial in run.trials})
    if not methods:
        raise RunError(f"{run.path} holds no trial yet")
    if named is None:
        if len(methods) > 1:
            raise ConfigurationError(
                f"{run.path} holds several methods; name one with {option}: {', '.join(methods)}"
            )
        return methods[0]
    if named not in methods:
        raise ConfigurationError(
            f"{option} {named!r}: {run.path} holds {', '.join(methods)}; name one of these"
        )
    return named


def _cells_in_words(cells: Mapping[Cell, object]) -> str:
    slugs = list(dict.fromkeys(cell.slug for cell in cells))
    return ", ".join(slugs[:3]) + (", ..." if len(slugs) > 3 else "")


def _cell_record(cell: CellPair) -> dict[str, Any]:
    return {
        "function": cell.cell.function,
        "name": cell.name,
        "length": cell.cell.length,
        "sampler": cell.cell.sampler,
        **cell.figures(),
        "mcnemar_p_holm": cell.holm,
        "trials": [
            {"trial": trial.trial, "rows": trial.rows, **trial.figures(), "reason": trial.reason}
            for trial in cell.trials
        ],
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
