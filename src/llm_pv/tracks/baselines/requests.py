"""What a run of baselines is made of: data sets of the benchmark's grid, or splits of user rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from llm_pv.data.examples import Splits
from llm_pv.runs.cells import Cell
from llm_pv.tracks.grid import GridRequest, Trial


@dataclass(frozen=True)
class DataSet:
    """One data set that every baseline is fitted on."""

    cell: Cell
    "Task, length, sampler and trial."
    name: str
    "What it is called."
    load: Callable[[], Splits]
    "Returns the rows; runs in another process."
    seed: int
    "What folds and fits are seeded with."
    columns: dict[str, Any]
    "Columns of its row in the summary if it has no results."
    skipped: str = ""
    "Why it cannot be; empty if it can."


def grid_data_sets(
    request: GridRequest, dataset_dir: Path | None, *, far: bool = False
) -> list[DataSet]:
    """Return the data sets of a grid, the same ones that `run_grid` learns from.

    Raise ConfigurationError if the request is invalid as a whole, or no cell of it can be.

    Parameters
    ----------
    dataset_dir
        Where data sets are stored and found again; None stores none.
    far
        Whether they are loaded on other machines, which have no such folder: tables, whose rows
        may lie in a file, are loaded here then.
    """
    sizes = {
        "train_size": request.train_size,
        "validation_size": request.validation_size,
        "test_size": request.test_size,
    }

    def load(trial: Trial) -> Callable[[], Splits]:
        if far and trial.task.alphabet == "table" and not trial.skipped:
            return partial(_given, request.splits(trial, dataset_dir))
        return partial(request.splits, trial, None if far else dataset_dir)

    return [
        DataSet(
            cell=trial.cell,
            name=trial.task.name,
            load=load(trial),
            seed=request.spawned_seed(trial),
            columns={"name": trial.task.name, "seed": request.seed} | sizes,
            skipped=trial.skipped,
        )
        for trial in request.plan()
    ]


def row_data_sets(
    name: str, split: Callable[[int], Splits], trials: int, seed: int
) -> list[DataSet]:
    """Return splits of a user's rows, one a trial; the first is the one that `learn` makes.

    Parameters
    ----------
    split
        Splits the rows by a seed.
    seed
        The first trial's seed; those of the others are spawned from it.
    """
    data_sets = []
    for trial in range(trials):
        own = seed if trial == 0 else spawned(seed, trial)
        splits = split(own)
        sizes = {
            "train_size": len(splits.train),
            "validation_size": len(splits.validation),
            "test_size": len(splits.test),
        }
        cell = Cell(Path(name).stem, trial=trial)
        columns = {"name": name, "seed": own} | sizes
        data_sets.append(DataSet(cell, name, partial(_given, splits), own, columns))
    return data_sets


def rows_digest(data_sets: Sequence[DataSet]) -> list[str]:
    """Return a digest of every data set's rows."""
    return [data_set.load().digest() for data_set in data_sets]


def spawned(seed: int, trial: int) -> int:
    """Return the seed of a trial."""
    return int(np.random.SeedSequence(seed, spawn_key=(trial,)).generate_state(1)[0])


def _given(splits: Splits) -> Splits:
    return splits
