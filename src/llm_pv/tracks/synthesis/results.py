"""Results of a grid: for each task, length and sampler, its trials taken together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.reading import FAILED
from llm_pv.stats import MeanStd, record_of
from llm_pv.tracks.grid import Trial
from llm_pv.tracks.published import SOURCE, published
from llm_pv.tracks.synthesis.trials import transfer_targets


@dataclass(frozen=True)
class CellResult:
    """One task at one length with one sampler, its trials taken together."""

    function: str
    name: str
    length: int
    sampler: str
    statuses: dict[str, int]
    "How many trials ended in each way."
    reasons: tuple[str, ...]
    "Why trials were skipped, failed or found nothing, each reason once."
    warnings: tuple[str, ...]
    "Warnings about data sets and searches, each once."
    test_accuracy: MeanStd | None
    validation_accuracy: MeanStd | None
    "Accuracy of the selected programs; None without any."
    attempts: tuple[int, ...]
    "Attempts used, a number for each trial that ended with a selection."
    hard_accuracy: MeanStd | None
    "Accuracy of the selected programs on data of the hard sampler; None if not measured."
    other_lengths: dict[int, MeanStd]
    "Accuracy of the selected programs at other lengths."
    published_test_accuracy: dict[str, float]
    "Published test accuracies by method, as shares; not measured here."
    learn_seconds: float
    cost_usd: float | None
    "Sums over the trials; the cost is None where a price is not known."


@dataclass(frozen=True)
class GridResult:
    """The outcome of a grid."""

    path: Path
    sampler: str
    cells: tuple[CellResult, ...]
    "One result for each task, length and sampler, in the order asked for."

    def count(self, status: str) -> int:
        """Return how many trials ended in this way."""
        return sum(cell.statuses.get(status, 0) for cell in self.cells)

    def reasons(self) -> list[str]:
        """Return why something was skipped, failed or found nothing, each reason once."""
        return list(dict.fromkeys(text for cell in self.cells for text in cell.reasons))

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "run": str(self.path),
            "sampler": self.sampler,
            "published_source": SOURCE,
            "cells": record_of(self.cells),
        }


def collect(
    run: RunDirectory, trials: Sequence[Trial], test_lengths: tuple[int, ...] | None = None
) -> GridResult:
    """Gather the results of a run's trials."""
    groups: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.cell.function, trial.length), []).append(trial)
    cells = tuple(_cell_result(run, group, test_lengths) for group in groups.values())
    return GridResult(run.path, trials[0].cell.sampler, cells)


def _cell_result(
    run: RunDirectory, trials: Sequence[Trial], lengths: tuple[int, ...] | None
) -> CellResult:
    first = trials[0]
    rows = [row for trial in trials if (row := run.row(trial.cell)) is not None]
    there: dict[tuple[str, int], list[float]] = {
        target: [] for target in transfer_targets(first, lengths)
    }
    for trial in trials:
        for record in run.transfer(trial.cell):
            target = (record["sampler_there"], record["length_there"])
            if record["accuracy"] is not None and target in there:
                there[target].append(record["accuracy"])
    spreads = {target: MeanStd.of(values) for target, values in there.items()}
    return CellResult(
        function=first.cell.function,
        name=first.task.name,
        length=first.length,
        sampler=first.cell.sampler,
        statuses=dict(Counter(row["status"] for row in rows)),
        reasons=tuple(dict.fromkeys(row["reason"] for row in rows if row["reason"])),
        warnings=tuple(dict.fromkeys(text for trial in trials for text in _warnings(run, trial))),
        test_accuracy=MeanStd.of(_numbers(rows, "accuracy")),
        validation_accuracy=MeanStd.of(_numbers(rows, "validation_accuracy")),
        attempts=tuple(n for trial in trials if (n := attempts_used(run, trial))),
        hard_accuracy=spreads.get(("hard", first.length)),
        other_lengths={
            length: spread
            for (_, length), spread in spreads.items()
            if spread is not None and length != first.length
        },
        published_test_accuracy=published(first.cell.function, first.length, first.cell.sampler),
        learn_seconds=sum(_numbers(rows, "learn_seconds")),
        cost_usd=_total_cost(rows),
    )


def attempts_used(run: RunDirectory, trial: Trial) -> int:
    """Return how many attempts a finished trial made, 0 if it is not finished."""
    log = run.cell_log(trial.cell)
    return sum(one["kind"] == "attempt" for one in log.attempts) if log.selected else 0


def _warnings(run: RunDirectory, trial: Trial) -> list[str]:
    selected = run.cell_log(trial.cell).selected
    return list(selected["result"]["warnings"]) if selected else []


def _numbers(rows: Sequence[dict[str, str]], column: str) -> list[float]:
    return [float(row[column]) for row in rows if row[column]]


def _total_cost(rows: Sequence[dict[str, str]]) -> float | None:
    finished = [row for row in rows if row["status"] not in {FAILED, "skipped"}]
    if any(not row["cost_usd"] for row in finished):
        return None
    return sum(_numbers(finished, "cost_usd"))
