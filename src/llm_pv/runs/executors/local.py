"""Processes that run our own functions, so that a grid's heavy work uses every core.

Each is a fresh interpreter that reads calls on standard input and writes results on standard
output, both pickled. Unlike `multiprocessing` it never runs the user's main module again, and it
can be ended in the middle of a call, which stopping a grid must do. Nothing untrusted goes in or
comes out: candidate programs run in the sandbox.
"""

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, ParamSpec, Self, TypeVar, cast

from llm_pv import child_process
from llm_pv.child_process import Process, Told, end_with_owner, error_of
from llm_pv.errors import LLMPVError, RunError
from llm_pv.runs.files import disk_error

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class WorkerLostError(LLMPVError, RuntimeError):
    """A worker process ended before it answered."""


class Workers:
    """A few processes that run functions of this package; use it as a context manager.

    Parameters
    ----------
    size
        How many calls run side by side; a process starts when it is first needed.

    Examples
    --------
    >>> import math
    >>> with Workers(1) as workers:
    ...     workers.call(math.gcd, 12, 18)
    6
    """

    far = False
    """Whether they are on other machines: calls had better be few then, and large."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: queue.LifoQueue[Process | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._started: set[Process] = set()
        self._closed = False

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run a function in one of the processes and return what it returns.

        Parameters
        ----------
        function
            A function of a module, or a method of a value that can be pickled.
        *args, **kwargs
            Its arguments, which can be pickled.

        Raises
        ------
        WorkerLostError
            If the process ended, or these workers were closed.
        LLMPVError
            Whatever error of this package the function raised; another error comes as a
            RuntimeError that names it.
        """
        call = pickle.dumps((function, args, kwargs))
        process = self._idle.get()
        try:
            if process is None:
                process = self._start()
            try:
                cast("BinaryIO", process.stdin).write(call)
                cast("BinaryIO", process.stdin).flush()
                succeeded, answer = pickle.load(cast("BinaryIO", process.stdout))  # noqa: S301
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self._end(process)
                process = None
                raise WorkerLostError(
                    "a worker process ended before it answered: it was stopped, or the machine "
                    "ran out of memory"
                ) from error
        finally:
            self._idle.put(process)
        if succeeded:
            return cast("_Result", answer)
        raise error_of(*answer)

    def share(self, value: _Result) -> _Result:
        """Return what stands for a value that several calls take, as an argument by position."""
        return value

    def close(self) -> None:
        """End every process; calls in progress raise WorkerLostError."""
        with self._lock:
            self._closed = True
            started = tuple(self._started)
        for process in started:
            process.kill()  # its pipes are closed by the call in progress, or with this object

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for process in tuple(self._started):
            self._end(process)

    def _start(self) -> Process:
        with self._lock:
            if self._closed:
                raise WorkerLostError("these workers are closed")
            code = f"from {__name__} import main; main()"
            process = child_process.start(code, os.environ)
            self._started.add(process)
        return process

    def _end(self, process: Process) -> None:
        child_process.end(process)
        with self._lock:
            self._started.discard(process)


class InThisProcess(Workers):
    """Runs functions where it is called; for a process that is a worker itself."""

    def __init__(self) -> None:
        super().__init__(0)

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run a function and return what it returns."""
        return function(*args, **kwargs)


def serve(calls: BinaryIO, answers: BinaryIO) -> None:
    """Answer calls until there are no more."""
    while True:
        try:
            function, args, kwargs = pickle.load(calls)  # noqa: S301 - from the process that began this one
        except EOFError:
            return
        try:
            answer = pickle.dumps((True, function(*args, **kwargs)))
        except Exception as error:  # noqa: BLE001 - the caller is told, whatever it is
            answer = pickle.dumps((False, told(error)))
        answers.write(answer)
        answers.flush()


def told(error: Exception) -> Told:
    """Return an error as a class, a message and a traceback, which always can be pickled."""
    kind, message, trace = child_process.told(error)
    if not isinstance(error, LLMPVError) and (fatal := disk_error(error)) is not None:
        return RunError, str(fatal), trace
    return kind, message, trace


def main() -> None:
    """Serve the process that began this one, with its pipes out of reach of stray prints."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # told to a whole job, it is for the owner too
    end_with_owner()
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:
        os._exit(1)  # the owner is gone; nobody waits for this answer
