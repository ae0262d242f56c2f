"""Running a grid: trials side by side in threads, stopped cleanly, resumed where it was left."""

import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from llm_pv.api import Search
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.write_results import method_of, model_of, track_of
from llm_pv.errors import (
    ClusterError,
    ConfigurationError,
    ConfinementError,
    CredentialError,
    LLMPVError,
    RunError,
)
from llm_pv.proposers.base import Proposer
from llm_pv.proposers.round_robin import RoundRobin, StoppedError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import FAILED, RunDirectory
from llm_pv.runs.executors.local import Workers
from llm_pv.runs.files import disk_error
from llm_pv.runs.remote_records import Known, write_down
from llm_pv.sandbox import Sandbox
from llm_pv.tracks.grid import GridRequest, Trial
from llm_pv.tracks.synthesis.elsewhere import Elsewhere, Work
from llm_pv.tracks.synthesis.results import GridResult, collect
from llm_pv.tracks.synthesis.trials import InWorker, Surroundings, do_trial, missing_transfer

SKIPPED = "skipped"
_FATAL = (RunError, CredentialError, ConfinementError, ClusterError)
_PATIENCE_SECONDS = 10.0


class Observer:
    """Hears how a grid goes on; the methods do nothing and are called from several threads."""

    def planned(self, trials: int, done: int) -> None:
        """Hear how many trials there are and how many of them an earlier run has done."""

    def started(self, cell: Cell) -> None:
        """Hear that a trial begins."""

    def attempted(self, cell: Cell, attempt: Attempt) -> None:
        """Hear of a verified attempt."""

    def ended(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Hear that a trial has ended, with its row of the summary."""


def run_grid(
    request: GridRequest,
    search: Search | None = None,
    *,
    sandbox: Sandbox,
    out: Path,
    dataset_dir: Path | None = None,
    concurrency: int = 5,
    transfer: bool = True,
    observer: Observer | None = None,
    elsewhere: Elsewhere | None = None,
) -> GridResult:
    """Learn every trial of a grid, and gather what came of it.

    A trial that cannot be is recorded as skipped, one that ends in an error as failed, each with
    its reason, and the grid goes on. A grid that was interrupted or killed is resumed by the same
    call; failed trials are tried again.

    Parameters
    ----------
    request
        The tasks, lengths and trials. The seed of ``search`` is not used.
    search
        Where programs come from, and how many are tried; None for the defaults. The built-in
        search runs in processes of its own, as many as there are cores; attempts at a model are
        made in rounds.
    sandbox
        An open sandbox; it is left open, but closed when the grid is interrupted.
    out
        The run directory.
    dataset_dir
        Where data sets are stored and found again; None stores none.
    concurrency
        How many trials, or attempts at a model, are under way at once.
    transfer
        Whether selected programs are scored on hard data and at other lengths.
    observer
        Hears how it goes on.
    elsewhere
        Machines that do whole trials, as many as they can at once, in place of this one; trials
        that ask a model stay here, with the key. It is closed when the grid is interrupted.

    Returns
    -------
    GridResult
        One row for each task, length and sampler.

    Raises
    ------
    ConfigurationError
        If the request is invalid as a whole; nothing was written then.
    RunError
        If a directory cannot be used.
    KeyboardInterrupt
        If it is interrupted; everything done so far is kept.
    """
    trials = request.plan()
    search = search or Search()
    proposer, plan = search.resolve()
    if concurrency < 1:
        raise ConfigurationError(f"concurrency is {concurrency}; give 1 or more")
    for place, option in ((out, "--out"), (dataset_dir, "--dataset-dir")):
        require_writable(place, option)
    configuration = {
        "command": "synthesize",
        "proposer": proposer.identity,
        "planned_attempts": plan.attempts,
        "delta": plan.delta,
        "early_stop": plan.early_stop,
        "limits": asdict(sandbox.limits),
        "transfer": transfer,
        "request": request.record(),
    }
    at_once = min(concurrency, usable_cores())
    confinement = sandbox.confinement.record()
    with (
        RunDirectory(out, configuration, confinement) as run,
        Workers(at_once) as workers,
    ):
        if proposer.interleaved:
            elsewhere = None
        if elsewhere is not None:
            elsewhere.take(Work(request, plan, proposer, transfer))
        elif search.proposer == "length-first":
            proposer = InWorker(proposer, workers)
        around = Surroundings(request, plan, run, sandbox, workers, dataset_dir, transfer)
        grid = _Grid(
            run,
            around,
            proposer,
            concurrency=concurrency,
            observer=observer or Observer(),
            elsewhere=elsewhere,
        )
        grid.run(trials)
        return collect(run, trials)


class _Grid:
    """One run of a grid: its threads, and what stops them."""

    def __init__(
        self,
        run: RunDirectory,
        around: Surroundings,
        proposer: Proposer,
        *,
        concurrency: int,
        observer: Observer,
        elsewhere: Elsewhere | None,
    ) -> None:
        self._run = run
        self._around = around
        self._proposer = proposer
        self._concurrency = concurrency if elsewhere is None else elsewhere.at_once
        self._observer = observer
        self._elsewhere = elsewhere
        self._waiting: deque[Trial] = deque()
        self._rounds: RoundRobin | None = None
        self._stopping = threading.Event()
        self._fatal: LLMPVError | None = None

    def run(self, trials: Sequence[Trial]) -> None:
        """Do every trial that is not done yet."""
        for trial in trials:
            if trial.skipped:
                self._record(trial, SKIPPED, trial.skipped)
        self._waiting.extend(trial for trial in trials if not self._done(trial))
        self._proposer.open(self._run.turns())
        self._observer.planned(len(trials), len(trials) - len(self._waiting))
        threads = min(self._concurrency, len(self._waiting))
        if self._proposer.interleaved:
            # All cells are open at once; what is bounded is the number of attempts under way.
            cells = [trial.cell for trial in self._waiting]
            self._rounds = RoundRobin(dict.fromkeys(cells, 0), self._concurrency)
            threads = len(self._waiting)
        self._work_in_threads(threads)
        if self._fatal is not None:
            raise self._fatal

    def _work_in_threads(self, count: int) -> None:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)  # a signal can come through in between
        except BaseException:
            self._stop()
            for thread in threads:
                thread.join(_PATIENCE_SECONDS / len(threads))
            raise

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                trial = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._attend(trial)
            finally:
                if self._rounds is not None:
                    self._rounds.close(trial.cell)

    def _attend(self, trial: Trial) -> None:
        begun = threading.Event()

        def begin() -> None:
            if not begun.is_set():
                begun.set()
                self._observer.started(trial.cell)

        try:
            self._do(trial, begin)
        except Exception as error:  # noqa: BLE001 - one trial's error is recorded, the grid goes on
            if self._stopping.is_set():
                return
            fatal = error if isinstance(error, _FATAL) else disk_error(error)
            if fatal is not None:
                self._end_with(fatal)
                return
            try:
                self._record_failure(trial, error)
            except RunError as full_disk:
                self._end_with(full_disk)
                return
        row = self._run.row(trial.cell)
        assert row is not None
        begin()
        self._observer.ended(trial.cell, row)

    def _do(self, trial: Trial, begin: Callable[[], None]) -> None:
        def on_attempt(attempt: Attempt) -> None:
            if self._stopping.is_set():
                raise StoppedError
            self._observer.attempted(trial.cell, attempt)

        if self._elsewhere is not None:
            self._do_elsewhere(self._elsewhere, trial, begin, on_attempt)
            return
        begin()
        admission = self._rounds.cell(trial.cell) if self._rounds is not None else None
        do_trial(trial, self._proposer, self._around, on_attempt, admission)

    def _do_elsewhere(
        self,
        elsewhere: Elsewhere,
        trial: Trial,
        begin: Callable[[], None],
        on_attempt: Callable[[Attempt], None],
    ) -> None:
        """Have a trial done on another machine, and write down what it comes to."""
        around, splits, heard = self._around, None, 0
        if trial.task.alphabet == "table":  # its rows may lie in a file, or beyond a network
            splits = around.workers.call(around.request.splits, trial, around.dataset_dir)
        for parcel in elsewhere.do(trial, splits, lambda: Known.of(self._run, trial.cell)):
            begin()
            write_down(parcel.messages, trial.cell, self._run)
            for attempt in parcel.attempts:
                if attempt.number > heard:  # a trial that is gone on with tells them again
                    heard = attempt.number
                    on_attempt(attempt)
        self._run.cell_log(trial.cell).shorten()  # millions of attempts would fill the memory

    def _done(self, trial: Trial) -> bool:
        if not self._run.finished(trial.cell):
            return False
        return not (self._around.transfer and missing_transfer(trial, self._run))

    def _record_failure(self, trial: Trial, error: Exception) -> None:
        reason = str(error) if isinstance(error, LLMPVError) else f"{type(error).__name__}: {error}"
        self._run.log(
            "error",
            reason,
            cell=trial.cell.record(),
            traceback="".join(traceback.format_exception(error)),
        )
        if not self._run.finished(trial.cell):  # else other data failed, not the learning
            self._record(trial, FAILED, " ".join(reason.split()))

    def _record(self, trial: Trial, status: str, reason: str) -> None:
        request = self._around.request
        self._run.finish(
            trial.cell,
            {
                "track": track_of(self._proposer.name),
                "method": method_of(self._proposer.name),
                "model": model_of(self._proposer.name),
                "name": trial.task.name,
                "seed": request.seed,
                "train_size": request.train_size,
                "validation_size": request.validation_size,
                "test_size": request.test_size,
                "status": status,
                "reason": reason,
            },
        )

    def _end_with(self, error: LLMPVError) -> None:
        """End the whole grid: what failed is the place all results go to, or the key."""
        self._fatal = error
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        if self._rounds is not None:
            self._rounds.stop()
        if self._proposer.interleaved:
            self._proposer.close()
        if self._elsewhere is not None:
            self._elsewhere.close()
        self._around.workers.close()
        self._around.sandbox.close()


def require_writable(place: Path | None, option: str) -> None:
    """Refuse a directory that cannot be written, before anything is."""
    if place is None:
        return
    nearest = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise RunError(f"{option} {place}: {nearest} is a file; choose another directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunError(f"{option} {place}: {nearest} cannot be written; choose another directory")


def require_writable_file(file: Path | None, option: str) -> None:
    """Refuse a file that cannot be written, before anything is."""
    if file is None:
        return
    if file.is_dir():
        raise RunError(f"{option} {file} is a directory; give a file")
    require_writable(file.parent, option)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
