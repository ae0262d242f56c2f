"""The runner: computes cells concurrently, records them, resumes runs, and ends them.

A track says what a cell is (`CellTask`) and what is computed in one (`CellFunction`); an executor
decides where. The runner skips finished cells, records failures with their reasons and goes
on, ends where no cell can do better (a full disk, a refused key), and passes events on.
"""

import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from llm_pv.errors import LLMPVError, RunError
from llm_pv.proposers.round_robin import StoppedError
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.base import CellFunction, CellTask, Executor
from llm_pv.runs.files import disk_error
from llm_pv.runs.job_folder import SweepFolder
from llm_pv.runs.reading import FAILED
from llm_pv.runs.remote_records import Results

SKIPPED = "skipped"
"""The status of a cell that cannot be computed, such as a length its task does not allow."""

_PATIENCE_SECONDS = 10.0


class Observer:
    """Observer of a run; the methods do nothing here, and are called from several threads."""

    def on_plan(self, cells: int, done: int) -> None:
        """Receive, before the first cell, the number of cells and of those already done."""

    def on_start(self, cell: Cell) -> None:
        """Receive a cell that starts."""

    def on_event(self, cell: Cell, event: object) -> None:
        """Receive an event of a running cell, such as a verified attempt."""

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Receive a cell that has ended, with its row of the summary."""


RunStore: TypeAlias = Results | SweepFolder
"""Stores the rows and failures of cells."""


def run_cells(
    tasks: Sequence[CellTask],
    function: CellFunction,
    executor: Executor,
    store: RunStore,
    *,
    done: Callable[[CellTask], bool] | None = None,
    results: Callable[[CellTask], Results] | None = None,
    observer: Observer | None = None,
) -> dict[Cell, Exception]:
    """Compute every cell that is not finished, and return the errors of those that failed.

    Parameters
    ----------
    executor
        Runs the function; closed if the run ends early, else left open.
    done
        Whether a cell is done; None for the finished cells of ``store``.
    results
        The destination of a cell's results, its failure too, from where they reach ``store``; None
        for ``store``, which is then a run directory.

    Raises
    ------
    LLMPVError
        An error that ends the whole run: of the disk, the key, the confinement, the cluster.
    KeyboardInterrupt
        If it is interrupted; everything recorded is kept.
    """
    run = _Run(
        tasks,
        function,
        executor,
        store,
        done or (lambda task: store.finished(task.cell)),
        results or (lambda _: cast("Results", store)),
        observer or Observer(),
    )
    run.all()
    return run.errors


@dataclass(eq=False)
class _Run:
    """One run: the waiting cells, and the error that stopped them."""

    _tasks: Sequence[CellTask]
    _function: CellFunction
    _executor: Executor
    _store: RunStore
    _done: Callable[[CellTask], bool]
    _results: Callable[[CellTask], Results]
    _observer: Observer
    _waiting: deque[CellTask] = field(default_factory=deque)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _fatal: Exception | None = None
    errors: dict[Cell, Exception] = field(default_factory=dict)

    def all(self) -> None:
        """Record skipped cells, and compute those not done."""
        for task in self._tasks:
            if task.skipped:
                self._record(task, SKIPPED, task.skipped, self._store)
            elif not self._done(task):
                self._waiting.append(task)
        self._observer.on_plan(len(self._tasks), len(self._tasks) - len(self._waiting))
        try:
            if self._executor.cells_at_once == 1:
                self._work()  # in this thread, which an interrupt reaches immediately
            else:
                self._work_in_threads(min(self._executor.cells_at_once, len(self._waiting)))
        except BaseException:
            self._stop()
            raise
        if self._fatal is not None:
            raise self._fatal

    def _work_in_threads(self, count: int) -> None:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)  # with a timeout, so that signal handlers can run
        except BaseException:
            self._stop()
            for thread in threads:
                thread.join(_PATIENCE_SECONDS / len(threads))
            raise

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                task = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._attend(task)
            except Exception as error:  # noqa: BLE001 - recording failed: the whole run ends
                if self._fatal is None and not self._stopping.is_set():
                    self._fatal = error
                self._stop()

    def _attend(self, task: CellTask) -> None:
        """Compute a cell, and record its failure."""
        begun, last = False, 0

        def emit(event: object) -> None:
            nonlocal begun, last
            if self._stopping.is_set():
                raise StoppedError
            if not begun:
                begun = True
                self._observer.on_start(task.cell)
            if event is None:
                return
            number = getattr(event, "number", None)
            if number is not None:  # a cell that was resumed, or lost its machine, is counted again
                if number <= last:
                    return
                last = number
            self._observer.on_event(task.cell, event)

        results = self._results(task)
        try:
            self._executor.run(self._function, task, results, emit)
        except Exception as error:
            if self._stopping.is_set():
                return
            if (fatal := _fatal(error)) is not None:
                raise fatal from error
            self._record_failure(task, error, results)
        emit(None)
        row = self._store.row(task.cell)
        assert row is not None
        self._observer.on_end(task.cell, row)

    def _record_failure(self, task: CellTask, error: Exception, results: Results) -> None:
        self.errors[task.cell] = error
        reason = str(error) if isinstance(error, LLMPVError) else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        results.log("error", reason, cell=task.cell.record(), traceback=trace)
        if not self._store.finished(task.cell):  # else its results are kept: a later step failed
            self._record(task, FAILED, " ".join(reason.split()), results)

    def _record(self, task: CellTask, status: str, reason: str, place: RunStore | Results) -> None:
        row = self._store.row(task.cell)
        if row is None or (row["status"], row["reason"]) != (status, reason):
            columns = {"status": status, "reason": reason}
            place.finish(task.cell, {**task.columns, **columns})

    def _stop(self) -> None:
        self._stopping.set()
        self._executor.close()


def _fatal(error: Exception) -> Exception | None:
    """Return the error that ends the run, None if it ends only its cell."""
    if isinstance(error, LLMPVError) and error.ends_run:
        return error
    return disk_error(error)


def require_writable(place: Path | None, option: str) -> None:
    """Raise RunError if a directory cannot be written, before any work."""
    if place is None:
        return
    nearest = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise RunError(f"{option} {place}: {nearest} is a file; choose another directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunError(f"{option} {place}: {nearest} cannot be written; choose another directory")


def require_writable_file(file: Path | None, option: str) -> None:
    """Raise RunError if a file cannot be written, before any work."""
    if file is None:
        return
    if file.is_dir():
        raise RunError(f"{option} {file} is a directory; give a file")
    require_writable(file.parent, option)
