"""Results of a run of baselines: for each task, length and sampler, each baseline's trials."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.remote_records import Results
from llm_pv.stats import MeanStd, record_of
from llm_pv.tracks.grid import DataSet
from llm_pv.tracks.published import SOURCE, published

PUBLISHED_METHODS = ("XGBoost", "TabPFN")
"""The baselines of which there are published figures."""


@dataclass(frozen=True)
class ModelResult:
    """One baseline on one cell, its trials taken together."""

    model: str
    statuses: dict[str, int]
    reasons: tuple[str, ...]
    "Why trials were skipped or failed, each reason once."
    test_accuracy: MeanStd | None
    validation_accuracy: MeanStd | None
    cross_validation_accuracy: MeanStd | None
    balanced_test_accuracy: MeanStd | None
    """Accuracy on the test rows, on the validation rows, in cross-validation on the training rows,
    and balanced accuracy on the test rows; None where there is none."""
    test_intervals: tuple[tuple[float, float], ...]
    "The 95% limits of each trial's test accuracy."
    settings: tuple[dict[str, Any], ...]
    "The settings chosen in each trial."
    learn_seconds: float
    "The sum over the trials."


@dataclass(frozen=True)
class BaselinesCell:
    """Every baseline on one task at one length with one sampler, or on a user's rows."""

    function: str
    name: str
    length: int | str
    sampler: str
    models: tuple[ModelResult, ...]
    majority_test_accuracy: MeanStd | None
    "Test accuracy of always answering the training rows' most frequent class."
    unbalanced: bool
    "Whether the classes are unequal in some trial, so that balanced accuracy matters."
    warnings: tuple[str, ...]
    "Warnings about the rows, each once."
    published_test_accuracy: dict[str, float]
    "Published test accuracies of baselines, as shares; not measured here."


@dataclass(frozen=True)
class BaselineResults:
    """The outcome of a run of baselines."""

    path: Path
    cells: tuple[BaselinesCell, ...]
    "One result for each task, length and sampler, in the order asked for."

    def count(self, status: str) -> int:
        """Return how many fits ended in this way."""
        return sum(model.statuses.get(status, 0) for cell in self.cells for model in cell.models)

    def reasons(self) -> list[str]:
        """Return why something was skipped or failed, each reason once."""
        found = [text for cell in self.cells for model in cell.models for text in model.reasons]
        return list(dict.fromkeys(found))

    def record(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "run": str(self.path),
            "published_source": SOURCE,
            "cells": record_of(self.cells),
        }


def collect(
    run: RunDirectory, data_sets: Sequence[DataSet], models: Sequence[str]
) -> BaselineResults:
    """Gather the results of a run."""
    groups: dict[tuple[str, int | str], list[Cell]] = {}
    names = {}
    for data_set in data_sets:
        key = (data_set.cell.function, data_set.cell.length)
        groups.setdefault(key, []).append(data_set.cell)
        names[key] = data_set.name
    cells = tuple(_cell_result(run, group, names[key], models) for key, group in groups.items())
    return BaselineResults(run.path, cells)


def _cell_result(
    run: RunDirectory, trials: Sequence[Cell], name: str, models: Sequence[str]
) -> BaselinesCell:
    first = trials[0]
    outcomes = {model: _outcomes(run, trials, model) for model in models}
    known = [outcome for of_model in outcomes.values() for outcome in of_model]
    # The majority class is the data set's affair: any one baseline's records will do.
    longest: list[dict[str, Any]] = max(outcomes.values(), key=len, default=[])
    known_before = published(first.function, int(first.length or 0), first.sampler)
    return BaselinesCell(
        function=first.function,
        name=name,
        length=first.length,
        sampler=first.sampler,
        models=tuple(_model_result(run, trials, model, outcomes[model]) for model in models),
        majority_test_accuracy=MeanStd.of(o["baseline"]["test_accuracy"] for o in longest),
        unbalanced=any(outcome["unbalanced"] for outcome in known),
        warnings=tuple(dict.fromkeys(text for o in known for text in o["warnings"])),
        published_test_accuracy={
            method: known_before[method] for method in PUBLISHED_METHODS if method in known_before
        },
    )


def _model_result(
    run: RunDirectory, trials: Sequence[Cell], model: str, outcomes: Sequence[dict[str, Any]]
) -> ModelResult:
    rows = [row for trial in trials if (row := run.row(of_model(trial, model))) is not None]
    scored = [outcome["test"] for outcome in outcomes if outcome["test"]]
    return ModelResult(
        model=model,
        statuses=dict(Counter(row["status"] for row in rows)),
        reasons=tuple(dict.fromkeys(row["reason"] for row in rows if row["reason"])),
        test_accuracy=MeanStd.of([score["accuracy"] for score in scored]),
        validation_accuracy=MeanStd.of([outcome["validation"]["accuracy"] for outcome in outcomes]),
        cross_validation_accuracy=MeanStd.of(o["cross_validation_accuracy"] for o in outcomes),
        balanced_test_accuracy=MeanStd.of([score["balanced_accuracy"] for score in scored]),
        test_intervals=tuple(
            (o["test_interval"][0], o["test_interval"][1]) for o in outcomes if o["test"]
        ),
        settings=tuple(outcome["settings"] for outcome in outcomes),
        learn_seconds=sum(outcome["learn_seconds"] for outcome in outcomes),
    )


def of_model(cell: Cell, model: str) -> Cell:
    """Return the cell of one baseline."""
    return replace(cell, method=model, model=model)


def outcome_of(run: Results, cell: Cell) -> dict[str, Any] | None:
    """Return what a run recorded of a finished fit, None if it is not finished."""
    selected = run.cell_log(cell).selected
    return None if selected is None else dict(selected["result"])


def _outcomes(run: RunDirectory, trials: Sequence[Cell], model: str) -> list[dict[str, Any]]:
    cells = [of_model(trial, model) for trial in trials]
    found = [outcome_of(run, cell) for cell in cells if run.finished(cell)]
    return [outcome for outcome in found if outcome is not None]
