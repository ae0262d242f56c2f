"""Running baselines over data sets: each baseline on each is a cell of the runner."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llm_pv.child_process import usable_cores
from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors import executor_for
from llm_pv.runs.executors.base import CellContext, CellTask
from llm_pv.runs.executors.local import WorkerProcesses
from llm_pv.runs.files import predictions_csv
from llm_pv.runs.reading import FAILED
from llm_pv.runs.runner import SKIPPED, Observer, require_writable, run_cells
from llm_pv.tracks.baselines.base import Baseline, SearchName
from llm_pv.tracks.baselines.fitting import (
    BaselineResult,
    EncodedSplits,
    check_search,
    fit_and_predict,
    result_of,
)
from llm_pv.tracks.baselines.registry import BASELINES, baseline_named
from llm_pv.tracks.baselines.results import BaselineResults, collect, of_model, outcome_of
from llm_pv.tracks.baselines.search import choose_settings
from llm_pv.tracks.grid import DataSet, GridRequest, given, spawned_seed

if TYPE_CHECKING:
    from llm_pv.runs.executors.ray import Cluster

TRACK = "baselines"

Prepare = Callable[[DataSet], tuple[Splits, EncodedSplits]]
"""Returns the rows of a data set and their features."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class SettingsTried:
    """The event that some settings of a baseline's search were tried."""

    jobs: int
    "How many jobs of the search that were."


@dataclass(frozen=True)
class FitTask:
    """A baseline to be fitted on a data set."""

    data_set: DataSet
    baseline: Baseline
    search: SearchName
    "The data set, the baseline, and how its settings are chosen."

    @property
    def cell(self) -> Cell:
        """The cell of the run."""
        return of_model(self.data_set.cell, self.baseline.name)


@dataclass(frozen=True)
class RowTrials:
    """A user's rows, split anew for each trial, in place of the request for a grid."""

    name: str
    split: Callable[[int], Splits]
    trials: int = 1
    seed: int = 0
    """The first trial's seed, which gives the split that `learn` makes; those of the others are
    spawned from it."""

    def data_sets(self) -> list[DataSet]:
        """Return the splits, one a trial.

        Raise ConfigurationError if there is no trial. Raise DataError if rows cannot be split.
        """
        if self.trials < 1:
            raise ConfigurationError(f"is {self.trials}; at least 1 is needed", "trials")
        data_sets = []
        for trial in range(self.trials):
            seed = self.seed if trial == 0 else spawned_seed(self.seed, trial)
            splits = self.split(seed)
            columns = {
                "name": self.name,
                "seed": seed,
                "train_size": len(splits.train),
                "validation_size": len(splits.validation),
                "test_size": len(splits.test),
            }
            cell = Cell(Path(self.name).stem, trial=trial)
            data_sets.append(DataSet(cell, self.name, partial(given, splits), seed, columns))
        return data_sets


def run_baselines(
    request: GridRequest | RowTrials,
    models: Sequence[str] = (),
    *,
    search: SearchName = "halving",
    out: Path,
    dataset_dir: Path | None = None,
    observer: Observer | None = None,
    cluster: "Cluster | None" = None,
) -> BaselineResults:
    """Fit baselines on the data sets of a grid, those that `run_grid` learns from, or on rows.

    What cannot be is recorded as skipped, what ends in an error as failed, each with its reason,
    and the run continues. The same call resumes a run that was interrupted; other models may be
    added to it.

    Raise ConfigurationError if the request is invalid as a whole; nothing was written then. Raise
    RunError if a directory cannot be used. Raise DataError if rows cannot be split. Raise
    KeyboardInterrupt if it is interrupted; everything done so far is kept.

    Parameters
    ----------
    request
        The tasks, lengths and trials, or a user's rows.
    models
        Names of baselines; empty for all.
    search
        How settings are chosen: ``"halving"``, or ``"grid"``.
    dataset_dir
        Where data sets are stored and found again; None stores none.
    observer
        Watches the run; its events are `SettingsTried`.
    cluster
        Machines that fit in place of this one; released when the run is interrupted.
    """
    chosen = chosen_baselines(models)
    check_search(search)
    if isinstance(request, RowTrials):
        data_sets = request.data_sets()
        digests = [data_set.load().digest() for data_set in data_sets]
        identity: dict[str, Any] = {"seed": request.seed, "rows_digest": digests}
    else:
        data_sets = request.data_sets(dataset_dir, remote=cluster is not None)
        identity = {"request": request.record()}
    for place, option in ((out, "--out"), (dataset_dir, "--dataset-dir")):
        require_writable(place, option)
    configuration = {"command": TRACK, "search": search, **identity}
    with RunDirectory(out, configuration) as run, WorkerProcesses(usable_cores()) as processes:
        executor = executor_for(
            cluster,
            cells_at_once=processes.size,
            processes=processes,
            opened=prepare_once(processes),
        )
        obstacles = {one.name: executor.call(one.obstacle) for one in chosen}
        tasks = [
            CellTask(
                fit.cell,
                fit,
                data_set.columns | {"track": TRACK},
                data_set.skipped or obstacles[baseline.name],
            )
            for data_set in data_sets
            for baseline in chosen
            for fit in (FitTask(data_set, baseline, search),)
        ]
        tasks = [replace(task, skipped="") if _done(run, task) else task for task in tasks]
        for task in tasks:
            if not _done(run, task):
                _note(run, task.cell)
        run_cells(tasks, fit_cell, executor, run, done=partial(_done, run), observer=observer)
        return collect(run, data_sets, [baseline.name for baseline in chosen])


def chosen_baselines(models: Sequence[str]) -> list[Baseline]:
    """Return baselines by name, each once; all of them for no names."""
    names = dict.fromkeys(models or BASELINES)
    return [baseline_named(name) for name in names]


def _note(run: RunDirectory, cell: Cell) -> None:
    """Note what is to be done, so that a report of a run under way knows what is missing."""
    log = run.cell_log(cell)
    if not log.attempts:
        log.append_attempt({"kind": "planned"})


def _done(run: RunDirectory, task: CellTask) -> bool:
    row = run.row(task.cell)
    return row is not None and row["status"] not in (FAILED, SKIPPED)


def prepare(load: Callable[[], Splits]) -> tuple[Splits, EncodedSplits]:
    """Return rows and their features."""
    splits = load()
    return splits, EncodedSplits.of(splits)


def prepare_once(processes: WorkerProcesses) -> Prepare:
    """Return a function that prepares each data set once for the baselines fitted on it in turn.

    It keeps as many data sets as there are processes.
    """
    lock = threading.Lock()

    @lru_cache(processes.size)
    def start(load: Callable[[], Splits]) -> Future[tuple[Splits, EncodedSplits]]:
        return processes.submit(prepare, load)

    def prepared(data_set: DataSet) -> tuple[Splits, EncodedSplits]:
        with lock:  # the cache alone may start a data set twice
            future = start(data_set.load)
        return future.result()

    return prepared


def fit_cell(fit: FitTask, context: CellContext) -> None:
    """Fit a baseline on a data set and write its results.

    Parameters
    ----------
    context
        Where; its processes run the jobs of the search for settings, and what it has opened
        returns rows and features of a data set, None to prepare them here.
    """
    data_set, baseline = fit.data_set, fit.baseline
    prepared: Prepare | None = context.opened
    splits, problem = prepare(data_set.load) if prepared is None else prepared(data_set)
    spent: list[float] = []

    def map_jobs(function: Callable[[_Item], _Result], jobs: Sequence[_Item], /) -> list[_Result]:
        """Run the jobs of the search, and note the seconds of each."""
        timed = context.processes.map(partial(_timed, baseline, function), jobs)
        spent.extend(seconds for seconds, _ in timed)
        context.emit(SettingsTried(len(jobs)))
        return [result for _, result in timed]

    choice = choose_settings(
        baseline,
        problem.train,
        problem.codes,
        search=fit.search,
        seed=data_set.seed,
        map_jobs=map_jobs,
        validation=(problem.validation, problem.validation_codes),
    )
    predictions = context.processes.call(
        fit_and_predict, baseline, problem, choice.settings, data_set.seed
    )
    result = result_of(
        baseline.name, splits, problem, choice, predictions, search_seconds=sum(spent)
    )
    _write(fit, splits, result, context)


def _timed(
    baseline: Baseline, function: Callable[[_Item], _Result], job: _Item
) -> tuple[float, _Result]:
    """Run a job and time it where it runs: waiting for a core, and imports, are not its own."""
    baseline.load()
    start = time.perf_counter()
    result = function(job)
    return time.perf_counter() - start, result


def _write(fit: FitTask, splits: Splits, result: BaselineResult, context: CellContext) -> None:
    """Write predictions and records; the row of the summary comes last."""
    run, cell = context.results, fit.cell
    if result.predictions:
        run.write_predictions(cell, predictions_csv(splits.test.labels, result.predictions))
    if outcome_of(run, cell) is None:
        run.cell_log(cell).append_attempt({"kind": "selected", "result": result.record()})
    low, high = result.interval or ("", "")
    run.finish(
        cell,
        fit.data_set.columns
        | {
            "track": TRACK,
            "train_size": len(splits.train),
            "validation_size": len(splits.validation),
            "test_size": len(splits.test),
            "accuracy": result.test.accuracy if result.test else "",
            "low": low,
            "high": high,
            "validation_accuracy": result.validation.accuracy,
            "learn_seconds": round(result.learn_seconds, 3),
            "test_seconds": round(result.test_seconds, 6),
            "cost_usd": 0.0,
            "majority_accuracy": result.majority.test_accuracy,
            "status": "done",
        },
    )
    run.log("info", "finished", cell=cell.record(), settings=dict(result.choice.settings))
