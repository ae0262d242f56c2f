"""Running baselines over data sets: fits on every core, recorded one by one, resumed."""

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar

from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError, LLMPVError, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import FAILED, RunDirectory
from llm_pv.runs.executors.local import Workers
from llm_pv.runs.files import disk_error
from llm_pv.tracks.baselines.base import Baseline, SearchName
from llm_pv.tracks.baselines.fitting import (
    BaselineResult,
    Problem,
    Tested,
    check_search,
    fit_and_predict,
    fit_whole,
    result_of,
)
from llm_pv.tracks.baselines.registry import BASELINES, baseline_named
from llm_pv.tracks.baselines.requests import DataSet, grid_data_sets, row_data_sets, rows_digest
from llm_pv.tracks.baselines.results import BaselineResults, collect, of_model, outcome_of
from llm_pv.tracks.baselines.search import choose_settings
from llm_pv.tracks.grid import GridRequest
from llm_pv.tracks.synthesis.run import SKIPPED, require_writable, usable_cores

TRACK = "baselines"

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


class Observer:
    """Hears how a run goes on; the methods do nothing and are called from several threads."""

    def planned(self, fits: int, done: int) -> None:
        """Hear how many fits there are and how many of them an earlier run has done."""

    def started(self, cell: Cell) -> None:
        """Hear that a baseline begins on a data set."""

    def tried(self, cell: Cell, jobs: int) -> None:
        """Hear that so many more jobs of its search are done."""

    def ended(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Hear that it has ended, with its row of the summary."""


def run_baselines(
    request: GridRequest,
    models: Sequence[str] = (),
    *,
    search: SearchName = "halving",
    out: Path,
    dataset_dir: Path | None = None,
    observer: Observer | None = None,
    workers: Workers | None = None,
) -> BaselineResults:
    """Fit baselines on the data sets of a grid, the same ones that `run_grid` learns from.

    What cannot be is recorded as skipped, what ends in an error as failed, each with its reason,
    and the run goes on. The same call resumes a run that was interrupted; other models may be
    added to it.

    Parameters
    ----------
    request
        The tasks, lengths and trials.
    models
        Names of baselines; empty for all.
    search
        How settings are chosen: ``"halving"``, or ``"grid"``.
    out
        The run directory.
    dataset_dir
        Where data sets are stored and found again; None stores none.
    observer
        Hears how it goes on.
    workers
        Where fits are made, closed when the run is interrupted; None for processes of this run.

    Raises
    ------
    ConfigurationError
        If the request is invalid as a whole; nothing was written then.
    RunError
        If a directory cannot be used.
    KeyboardInterrupt
        If it is interrupted; everything done so far is kept.
    """
    chosen = chosen_baselines(models)
    check_search(search)
    data_sets = grid_data_sets(request, dataset_dir, far=workers is not None and workers.far)
    for place, option in ((out, "--out"), (dataset_dir, "--dataset-dir")):
        require_writable(place, option)
    configuration = {"command": TRACK, "search": search, "request": request.record()}
    with RunDirectory(out, configuration) as run:
        return _run(run, data_sets, chosen, search, observer=observer, workers=workers)


def run_baselines_on_rows(
    name: str,
    split: Callable[[int], Splits],
    models: Sequence[str] = (),
    *,
    trials: int = 1,
    seed: int = 0,
    search: SearchName = "halving",
    out: Path,
    observer: Observer | None = None,
    workers: Workers | None = None,
) -> BaselineResults:
    """Fit baselines on a user's rows, as `run_baselines` does on those of a grid.

    Parameters
    ----------
    name
        What the rows are called.
    split
        Splits the rows by a seed.
    models, search, out, observer, workers
        As for `run_baselines`.
    trials
        How many splits, the first by `seed` itself.
    seed
        Draws splits, folds and whatever is random in a fit.

    Raises
    ------
    ConfigurationError, DataError, RunError, KeyboardInterrupt
        As for `run_baselines`, and if rows cannot be read or split.
    """
    chosen = chosen_baselines(models)
    check_search(search)
    if trials < 1:
        raise ConfigurationError(f"trials is {trials}; at least 1 is needed")
    data_sets = row_data_sets(name, split, trials, seed)
    require_writable(out, "--out")
    configuration = {
        "command": TRACK,
        "search": search,
        "seed": seed,
        "rows_digest": rows_digest(data_sets),
    }
    with RunDirectory(out, configuration) as run:
        return _run(run, data_sets, chosen, search, observer=observer, workers=workers)


def chosen_baselines(models: Sequence[str]) -> list[Baseline]:
    """Return baselines by name, each once; all of them for no names."""
    names = dict.fromkeys(models or BASELINES)
    return [baseline_named(name) for name in names]


def _run(
    run: RunDirectory,
    data_sets: Sequence[DataSet],
    baselines: Sequence[Baseline],
    search: SearchName,
    *,
    observer: Observer | None,
    workers: Workers | None,
) -> BaselineResults:
    with nullcontext(workers) if workers else Workers(usable_cores()) as opened:
        _Runner(run, opened, baselines, search, observer or Observer()).do(data_sets)
        return collect(run, data_sets, [baseline.name for baseline in baselines])


class _Runner:
    """One run: its threads, and what stops them."""

    def __init__(
        self,
        run: RunDirectory,
        workers: Workers,
        baselines: Sequence[Baseline],
        search: SearchName,
        observer: Observer,
    ) -> None:
        self._run = run
        self._workers = workers
        self._baselines = baselines
        self._search = search
        self._observer = observer
        self._stopping = threading.Event()
        self._sending = threading.Lock()
        self._sent: dict[Cell, Callable[[], Splits]] = {}
        # Threads that see to a data set wait for those that hand out its fits, never for each
        # other: hence two pools. The work itself is done in the worker processes.
        self._data_sets = ThreadPoolExecutor(workers.size)
        self._fits = ThreadPoolExecutor(workers.size)

    def do(self, data_sets: Sequence[DataSet]) -> None:
        """Do every baseline on every data set that is not done yet."""
        obstacles = {b.name: self._workers.call(b.obstacle) for b in self._baselines}
        open_pairs: list[tuple[DataSet, list[Baseline]]] = []
        for data_set in data_sets:
            todo = []
            for baseline in self._baselines:
                cell = of_model(data_set.cell, baseline.name)
                reason = data_set.skipped or obstacles[baseline.name]
                if self._done(cell):
                    continue
                self._note(cell)
                if reason:
                    self._record(data_set, cell, SKIPPED, reason)
                else:
                    todo.append(baseline)
            if todo:
                open_pairs.append((data_set, todo))
        total = len(data_sets) * len(self._baselines)
        self._observer.planned(total, total - sum(len(todo) for _, todo in open_pairs))
        self._work(open_pairs)

    def _note(self, cell: Cell) -> None:
        """Note what is to be done, so that a report of a run under way knows what is missing."""
        log = self._run.cell_log(cell)
        if not log.attempts:
            log.append_attempt({"kind": "planned"})

    def _done(self, cell: Cell) -> bool:
        row = self._run.row(cell)
        return row is not None and row["status"] not in (FAILED, SKIPPED)

    def _work(self, pairs: Sequence[tuple[DataSet, list[Baseline]]]) -> None:
        try:
            if self._workers.far:
                pending = {
                    self._data_sets.submit(self._attend, data_set, [baseline])
                    for data_set, baselines in pairs
                    for baseline in baselines
                }
            else:
                pending = {self._data_sets.submit(self._attend, *pair) for pair in pairs}
            while pending:
                # A signal can come through in between.
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            self._stopping.set()
            self._workers.close()
            raise
        finally:
            self._data_sets.shutdown(cancel_futures=True)
            self._fits.shutdown(cancel_futures=True)

    def _attend(self, data_set: DataSet, baselines: Sequence[Baseline]) -> None:
        """Load a data set once and fit each baseline on it."""
        cells = [of_model(data_set.cell, baseline.name) for baseline in baselines]
        loaded: tuple[Splits, Problem] | None = None
        for baseline, cell in zip(baselines, cells, strict=True):
            if self._stopping.is_set():
                return
            self._observer.started(cell)
            try:
                if self._workers.far:
                    self._fit_far(baseline, data_set, cell)
                else:
                    loaded = loaded or self._workers.call(_prepare, data_set.load)
                    self._fit(baseline, data_set, cell, *loaded)
            except RunError:
                raise  # what failed is the place all results go to
            except Exception as error:
                if self._stopping.is_set():
                    return
                if (fatal := disk_error(error)) is not None:
                    raise fatal from error
                self._record_failure(data_set, cell, error)
            row = self._run.row(cell)
            assert row is not None
            self._observer.ended(cell, row)

    def _fit(
        self, baseline: Baseline, data_set: DataSet, cell: Cell, splits: Splits, problem: Problem
    ) -> None:
        spent: list[float] = []
        choice = choose_settings(
            baseline,
            problem.train,
            problem.codes,
            search=self._search,
            seed=data_set.seed,
            map_jobs=partial(self._map_jobs, cell, spent),
        )
        predictions = self._workers.call(
            fit_and_predict, baseline, problem, choice.settings, data_set.seed
        )
        result = result_of(
            baseline.name, splits, problem, choice, predictions, search_seconds=sum(spent)
        )
        self._hand_over(data_set, cell, Tested.of(splits), result)

    def _fit_far(self, baseline: Baseline, data_set: DataSet, cell: Cell) -> None:
        """Have a baseline fitted in one call, from drawing the rows to scoring: little is sent."""
        with self._sending:
            if data_set.cell not in self._sent:
                self._sent[data_set.cell] = self._workers.share(data_set.load)
            load = self._sent[data_set.cell]
        tested, result = self._workers.call(
            fit_whole, load, baseline, search=self._search, seed=data_set.seed
        )
        self._hand_over(data_set, cell, tested, result)

    def _hand_over(
        self, data_set: DataSet, cell: Cell, tested: Tested, result: BaselineResult
    ) -> None:
        """Write predictions and records; the row of the summary comes last."""
        if result.predictions:
            pairs = zip(tested.labels, result.predictions, strict=True)
            self._run.write_predictions(
                cell,
                ("row", "label", "prediction"),
                (
                    {"row": number, "label": label, "prediction": guess}
                    for number, (label, guess) in enumerate(pairs)
                ),
            )
        if outcome_of(self._run, cell) is None:
            self._run.cell_log(cell).append_attempt({"kind": "selected", "result": result.record()})
        low, high = result.interval or ("", "")
        self._run.finish(
            cell,
            data_set.columns
            | {
                "track": TRACK,
                "train_size": tested.train_size,
                "validation_size": tested.validation_size,
                "test_size": len(tested.labels),
                "accuracy": result.test.accuracy if result.test else "",
                "low": low,
                "high": high,
                "validation_accuracy": result.validation.accuracy,
                "learn_seconds": round(result.learn_seconds, 3),
                "test_seconds": round(result.test_seconds, 3),
                "cost_usd": 0.0,
                "majority_accuracy": result.majority.test_accuracy,
                "status": "done",
            },
        )
        self._run.log("info", "finished", cell=cell.record(), settings=dict(result.choice.settings))

    def _record_failure(self, data_set: DataSet, cell: Cell, error: Exception) -> None:
        reason = str(error) if isinstance(error, LLMPVError) else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        self._run.log("error", reason, cell=cell.record(), traceback=trace)
        self._record(data_set, cell, FAILED, " ".join(reason.split()))

    def _record(self, data_set: DataSet, cell: Cell, status: str, reason: str) -> None:
        row = self._run.row(cell)
        if row is not None and (row["status"], row["reason"]) == (status, reason):
            return  # as it was when the run began
        columns = {"track": TRACK, "status": status, "reason": reason}
        self._run.finish(cell, data_set.columns | columns)

    def _map_jobs(
        self,
        cell: Cell,
        spent: list[float],
        function: Callable[[_Job], _Result],
        jobs: Sequence[_Job],
    ) -> list[_Result]:
        """Run the jobs of a cell's search in the worker processes, and note what each took."""

        def run_one(job: _Job) -> _Result:
            seconds, result = self._workers.call(_timed, function, job)
            spent.append(seconds)
            self._observer.tried(cell, 1)
            return result

        return list(self._fits.map(run_one, jobs))


def _timed(function: Callable[[_Job], _Result], job: _Job) -> tuple[float, _Result]:
    """Run a job and time it where it runs: time spent waiting for a core is not its own."""
    start = time.perf_counter()
    result = function(job)
    return time.perf_counter() - start, result


def _prepare(load: Callable[[], Splits]) -> tuple[Splits, Problem]:
    splits = load()
    return splits, Problem.of(splits)
