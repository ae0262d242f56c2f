"""Parse untrusted source in a separate confined process: the owner's side.

CPython can take seconds and gigabytes to compile a few hundred characters, so the parent process
never parses untrusted text. One long-lived process (see `parser_process`) does, with a limit of CPU
time and memory for each text; a text that exceeds it ends that process, and the next text goes to a
new one. Requests are text, answers are small JSON values.

On Linux the process also drops root, files, and all but a few system calls. On other systems it has
the limits alone; Windows has no memory limit, and limits wall-clock time instead of CPU time.
"""

import json
import math
import os
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from llm_pv import child_process
from llm_pv.errors import ProgramError, SandboxError
from llm_pv.sandbox.frames import read_frame, write_frame
from llm_pv.sandbox.modules import PACKAGES

CPU_SECONDS = 2.0
"""The CPU time to parse one source or reply; operations that parse it several times have more."""

MEMORY_BYTES = 512 * 1024 * 1024
"""The address space to parse one text, beyond that of the process itself."""

TEXT_CHARACTERS = 2_000_000
"""Longer texts are not sent; each operation has a lower limit of its own."""

# A second line of defence: on a busy machine 2 s of CPU time can take far longer by the clock.
_WALL_SECONDS = 30.0 if hasattr(signal, "setitimer") else 2 * CPU_SECONDS
_MOST_BATCH_CHARACTERS = 4_000_000
_REPLY_BYTES = 64 * 1024 * 1024
# By number: not every system has these signals.
_MORE_CPU_SECONDS = {"escaped": 4 * CPU_SECONDS, "sql": 4 * CPU_SECONDS}
_OUT_OF_TIME = frozenset({9, 24, 27})  # SIGKILL, SIGXCPU, SIGPROF

Request: TypeAlias = Sequence[object]
"""The arguments of an operation: JSON values, the text first."""


class _EndedError(Exception):
    """Raised if the process ended before it answered, or sent no valid answer."""


def ask(operation: str, requests: Iterable[Request], *, deadline: float = math.inf) -> list[Any]:
    """Run an operation of `llm_pv.programs.operations` on each request, in the confined process.

    Raise SandboxError if no process can be started.

    Parameters
    ----------
    deadline
        A time of `time.monotonic`; what has no answer by then is left out of the result.

    Returns
    -------
    list
        For each request the operation's value, or a `ProgramError` (returned, not raised) with
        the reason: the operation's own, or that the text took too long or too much memory, or
        ended the process.

    Examples
    --------
    >>> value, error = ask("imports", [["import sympy"], ["import"]])
    >>> value, str(error)
    (['sympy'], 'syntax error on line 1: invalid syntax')
    """
    return list(_parser.answers(operation, list(requests), deadline))


def ask_one(operation: str, *request: object) -> Any:
    """Run an operation on one request, as `ask` does.

    Raise ProgramError if the operation gives no value.
    """
    (answer,) = ask(operation, [request])
    if isinstance(answer, ProgramError):
        raise answer
    return answer


def packages_imported(*sources: str) -> tuple[str, ...]:
    """Return the packages that sources import, to be loaded before they are confined.

    The confined parser reads only sources that contain the name of a package; a source that it
    cannot read imports nothing.

    Examples
    --------
    >>> packages_imported("import networkx as nx, numpy  # not sympy")
    ('numpy', 'networkx')
    """
    imported = frozenset[str]().union(*map(_imported, sources))
    return tuple(name for name in PACKAGES if name in imported)


@lru_cache(maxsize=64)
def _imported(source: str) -> frozenset[str]:
    if not any(name in source for name in PACKAGES):
        return frozenset()
    try:
        return frozenset(ask_one("imports", source))
    except ProgramError:
        return frozenset()


class Parser:
    """The confined process, started when first used and again after a text has ended it.

    Calls from several threads run one after another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[..., Parser] | None = None

    def answers(
        self, operation: str, requests: list[Request], deadline: float = math.inf
    ) -> Iterator[Any]:
        """Yield one answer for each request, until the deadline (see `ask`)."""
        start = 0
        while start < len(requests) and time.monotonic() < deadline:
            batch: list[Request] = []
            characters = 0
            for request in requests[start:]:
                characters += _characters(request)
                if batch and characters > _MOST_BATCH_CHARACTERS:
                    break
                batch.append(request)
            with self._lock:
                answers = self._exchange(operation, batch, deadline)
            yield from answers
            start += len(answers)

    def close(self) -> None:
        """End the process."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = None

    def abandon(self) -> None:
        """Drop, after a fork, the process and the lock that belong to the parent."""
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for
            for stream in child_process.pipes(self._process):
                with suppress(OSError):
                    stream.close()
        self._lock = threading.Lock()
        self._process = self._finalizer = None

    def _exchange(self, operation: str, batch: list[Request], deadline: float) -> list[Any]:
        """Return answers for all requests, or for those up to one that ended the process.

        At the deadline the process is ended without an answer.
        """
        if _characters(batch[0]) > TEXT_CHARACTERS:
            size = _characters(batch[0])
            return [
                ProgramError(
                    f"the text has {size:,} characters; at most {TEXT_CHARACTERS:,} are parsed"
                )
            ]
        answers: list[Any] = []
        seconds = _MORE_CPU_SECONDS.get(operation, CPU_SECONDS)
        try:
            process = self._ready()
            with _Watchdog(process, deadline) as watchdog:
                try:
                    message = json.dumps([operation, seconds, batch]).encode("ascii")
                    write_frame(child_process.pipes(process)[0], b"?", message)
                    goes_on = True
                    while goes_on and len(answers) < len(batch):
                        watchdog.restart()
                        answer, goes_on = _answer(_receive(process))
                        answers.append(answer)
                    self._process = process if goes_on else None
                except (_EndedError, OSError):
                    self._process = None
                    reason = _reason(process, seconds, expired=watchdog.expired)
                    if not watchdog.expired or time.monotonic() < deadline:
                        answers.append(ProgramError(reason))
        except BaseException:
            # Interrupted while waiting: late answers would be read as those of the next batch.
            self.close()
            raise
        if self._process is None:
            self.close()
        return answers

    def _ready(self) -> subprocess.Popen[bytes]:
        # A process that has read something large ends itself afterwards.
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        try:
            process = subprocess.Popen(  # noqa: S603  (this package's own script)
                child_process.boot_command("parser_process", MEMORY_BYTES),
                env={
                    "LC_ALL": "C.UTF-8",
                    "PYTHONHASHSEED": "0",
                    **child_process.bare_environment(),
                },
                cwd=Path(__file__).anchor,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the owner
            )
        except OSError as error:
            raise SandboxError(f"the process that parses programs does not start: {error}") from (
                error
            )
        self._process = process
        self._finalizer = weakref.finalize(self, child_process.end, process)
        with _Watchdog(process) as watchdog:
            watchdog.restart()
            try:
                _receive(process)
            except _EndedError:
                status = process.wait()
                self.close()
                raise SandboxError(
                    f"the process that parses programs ended at its start with status {status}"
                ) from None
        return process


class _Watchdog:
    """Kills a process that has not answered in time."""

    def __init__(self, process: subprocess.Popen[bytes], last: float = math.inf) -> None:
        self.expired = False
        self._process = process
        self._last = last
        self._deadline = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def restart(self) -> None:
        """Give the process its whole time from now."""
        self._deadline = min(time.monotonic() + _WALL_SECONDS, self._last)

    def _watch(self) -> None:
        while not self._done.wait(max(self._deadline - time.monotonic(), 0.0)):
            if time.monotonic() >= self._deadline:
                self.expired = True
                self._process.kill()
                return

    def __enter__(self) -> "_Watchdog":
        self.restart()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def _characters(request: Request) -> int:
    return sum(len(value) for value in request if isinstance(value, str))


def _receive(process: subprocess.Popen[bytes]) -> bytes:
    frame = read_frame(child_process.pipes(process)[1], _REPLY_BYTES)
    if frame is None:
        raise _EndedError
    return frame[1]


def _answer(data: bytes) -> tuple[Any, bool]:
    """Return an answer of the process, and whether the process continues after it.

    The answer is untrusted: a text that took control of the process could have written it.
    """
    try:
        match json.loads(data):
            case [True, value, goes_on]:
                return value, bool(goes_on)
            case [False, str(reason), goes_on]:
                return ProgramError(reason), bool(goes_on)
    except (ValueError, RecursionError):
        pass
    raise _EndedError


def _reason(process: subprocess.Popen[bytes], seconds: float, *, expired: bool) -> str:
    """End a process that did not answer, and return the reason."""
    if not expired:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    process.kill()
    status = process.wait()
    if expired:
        return f"it took too long to parse: stopped after {_WALL_SECONDS:g} s"
    if -status in _OUT_OF_TIME:
        return f"it took too long to parse: stopped after {seconds:g} s of CPU time"
    return "it ended the process that parses it, as a too large or too deep source does"


_parser = Parser()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_parser.abandon)
