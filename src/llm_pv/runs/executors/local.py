"""Cells on this machine: threads for calls and waiting, processes for computing.

The processes are loky's, of joblib: fresh interpreters that never run the user's main module, one
a core. Nothing untrusted is computed there: candidate programs run in the sandbox.
"""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, ParamSpec, Self, TypeVar

from joblib.externals.loky.process_executor import ProcessPoolExecutor, ShutdownExecutorError

from llm_pv.errors import ExecutorClosedError, WorkerLostError
from llm_pv.runs.executors.base import (
    CellContext,
    CellFunction,
    CellTask,
    Emit,
    Processes,
    portable,
    with_shared,
)
from llm_pv.runs.remote_records import Results
from llm_pv.sandbox import Sandbox

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_OWNER_SECONDS = 1.0


class LocalExecutor:
    """Computes cells in threads of this process.

    Parameters
    ----------
    shared
        What all cells share: a track's function gets a pair of it and a cell's inputs.
    processes, sandbox, opened
        As for `CellContext`; processes and sandbox are closed when a run ends early.
    on_close
        Called when a run ends early, before all else.
    """

    def __init__(
        self,
        cells_at_once: int,
        *,
        shared: object = None,
        processes: "WorkerProcesses | None" = None,
        sandbox: Sandbox | None = None,
        opened: object = None,
        on_close: Sequence[Callable[[], object]] = (),
    ) -> None:
        self.cells_at_once = cells_at_once
        self._shared = shared
        self._processes = processes
        self._sandbox = sandbox
        self._opened = opened
        self._on_close = on_close

    def run(self, function: CellFunction, task: CellTask, results: Results, emit: Emit) -> None:
        """Compute a cell in the calling thread."""
        emit(None)
        processes = self._processes or Processes()
        context = CellContext(results, emit, processes, self._sandbox, self._opened)
        function(with_shared(self._shared, task.inputs), context)

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Return what a function returns, in one of the processes if there are any."""
        return (self._processes or Processes()).call(function, *args, **kwargs)

    def close(self) -> None:
        """End what cells under way wait for."""
        for call in self._on_close:
            call()
        for resource in (self._processes, self._sandbox):
            if resource is not None:
                resource.close()


class WorkerProcesses(Processes):
    """A few processes that compute functions of this package; use it as a context manager.

    Parameters
    ----------
    size
        How many calls run side by side; a process starts when it is first needed.

    Examples
    --------
    >>> import math
    >>> with WorkerProcesses(1) as processes:
    ...     processes.call(math.gcd, 12, 18)
    6
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # A pool for each process: one that dies then fails its own call, and no other.
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._pools: set[Any] = set()
        self._closed = False
        self._threads = ThreadPoolExecutor(size)

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run a function in one of the processes and return what it returns.

        Raise WorkerLostError if the process ended. Raise ExecutorClosedError if these processes
        were closed. Raise LLMPVError for whatever error of this package the function raised;
        another error comes as a RuntimeError that names it.

        Parameters
        ----------
        function
            A function of a module, or a method of a value that can be pickled.
        """
        pool = self._idle.get()
        try:
            pool = pool or self._start()
            try:
                answer = pool.submit(_guarded, function, args, kwargs)
                if self._closed:  # meanwhile, when the pool had no process yet to be ended
                    self._end(pool)
                value, error = answer.result()
            except (BrokenProcessPool, ShutdownExecutorError) as lost:
                self._end(pool)
                pool = None
                if self._closed:
                    raise ExecutorClosedError("the worker processes are closed") from lost
                raise WorkerLostError(
                    "a worker process ended before it answered: it was stopped, or the machine "
                    "ran out of memory"
                ) from lost
            except Exception as unread:
                raise portable(unread) from unread  # a result that cannot be pickled
        finally:
            self._idle.put(pool)
        if error is not None:
            raise error
        result: _Result = value
        return result

    def submit(self, function: Callable[..., _Result], *args: object) -> Future[_Result]:
        """Start a call, and return its future result."""
        return self._threads.submit(self.call, function, *args)

    def map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Compute the function of each item, side by side, and return the results in order."""
        return list(self._threads.map(lambda item: self.call(function, item), items))

    def close(self) -> None:
        """End every process; calls in progress raise ExecutorClosedError."""
        with self._lock:
            self._closed = True
            pools = tuple(self._pools)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            self._end(pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> Any:
        with self._lock:
            if self._closed:
                raise ExecutorClosedError("the worker processes are closed")
            pool = ProcessPoolExecutor(1, initializer=_begin, initargs=(os.getpid(),))
            self._pools.add(pool)
        return pool

    def _end(self, pool: Any) -> None:
        with self._lock:
            self._pools.discard(pool)
        # Not by loky's kill_workers, which loses its own thread if a call has just come in.
        for process in list((pool._processes or {}).values()):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        pool.shutdown(wait=False)


def _guarded(
    function: Callable[..., _Result], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[_Result | None, Exception | None]:
    """Return a result and no error, or an error that can be pickled, whatever it was."""
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 - the caller raises it, whatever it is
        return None, portable(error)


def _begin(owner: int) -> None:
    """Make this process one that only its owner ends, and that ends with its owner."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to the whole group, it is for the owner
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), 1)  # stray prints must not end up among the owner's results

    def end_with_owner() -> None:
        while os.getppid() == owner:
            time.sleep(_OWNER_SECONDS)
        os._exit(1)  # in the middle of a call: its answer has no reader any more

    threading.Thread(target=end_with_owner, daemon=True).start()
