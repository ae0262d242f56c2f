"""Run a computing proposer in a separate process, with enforced limits on time and memory.

The process receives the rows once and returns proposals as they are found. After its time it is
killed, and the proposals found by then are kept.
"""

import atexit
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from llm_pv import child_process
from llm_pv.child_process import Process, usable_cores
from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import LLMPVError
from llm_pv.proposers.base import Proposal, Proposer, WrappedProposer
from llm_pv.proposers.round_robin import StoppedError
from llm_pv.proposers.search_process import SearchRequest

Progress = Callable[[str, int], None]

HAND_OVER_SECONDS = 0.75
"""Extra time for a proposer that stops at its cap by itself to send its results."""

MOST_IDLE = 2

PASSED_ON = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV")
PASSED_ON_GROUPS = (
    "BLIS_", "COVERAGE_", "DYLD_", "LC_", "LD_", "MKL_", "NUMEXPR_", "OMP_", "OPENBLAS_", "PYTHON",
)  # fmt: skip
"""Environment variables passed to the process; keys and tokens are not among them."""


class SearchProcessError(LLMPVError, RuntimeError):
    """Raised if the process of a search ended before the search did."""


class OwnProcess(WrappedProposer):
    """Runs a free proposer in a process of its own; see `llm_pv.proposers.base.Proposer`.

    Proposals are the same as in this process, unless a limit ends the search. Then those found so
    far are yielded, marked ``capped``: those the proposer had yielded, else those it last passed to
    its attribute ``interim``, else the most frequent class.

    If the proposer has attributes ``progress`` (called with a stage and a number) and ``interim``
    (called with the proposals it would make if it had to stop), they are set to functions.

    Parameters
    ----------
    proposer
        A free proposer that can be pickled.
    seconds
        The limit of one call of `propose`; a proposer that keeps the limit by itself has a moment
        more to send its results.
    megabytes
        The memory limit beyond the interpreter and its libraries; None for no limit.

    Attributes
    ----------
    hit_time_cap
        Whether the last search reached a limit.

    Examples
    --------
    >>> from llm_pv.proposers.length_first import LengthFirst
    >>> words = [f"{number:05b}" for number in range(32)]
    >>> rows = Examples(words, [str(word.count("1") % 2) for word in words])
    >>> search = OwnProcess(LengthFirst(), seconds=30.0)
    >>> program = next(search.propose(rows, Classes.of(["0", "1"]), seed=0)).text
    >>> 'x.count("1")' in program
    True
    """

    def __init__(
        self,
        proposer: Proposer,
        *,
        seconds: float,
        megabytes: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.proposer = proposer
        self.seconds = seconds
        self.megabytes = megabytes
        self.progress = progress
        self.hit_time_cap = False

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield proposals as the process finds them.

        Raise SearchProcessError if the process ended by itself during the search.
        """
        request = SearchRequest(self.proposer, train, classes, seed, start, self.megabytes)
        # The import paths first: unpickling the request imports the proposer's module.
        paths = [str(Path(path).absolute()) for path in sys.path]
        parts = [pickle.dumps(part, pickle.HIGHEST_PROTOCOL) for part in (paths, request)]
        search = _RunningSearch(b"".join(parts), self.seconds, owner=self)
        began = time.monotonic()
        cut = False
        yielded: set[str] = set()
        interim: list[Proposal] = []
        try:
            for kind, *values in search.messages():
                if kind == "proposal":
                    [proposal] = values
                    cut = cut or proposal.capped
                    yielded.add(proposal.text)
                    yield proposal
                elif kind == "interim":
                    [interim] = values
                elif kind == "cut":
                    cut = True
                elif self.progress is not None:
                    self.progress(*values)
        finally:
            search.end()
            self.hit_time_cap = cut
        if not cut:
            return
        if not yielded:
            interim = interim[start:] if interim or start else [_most_frequent(train, classes)]
        seconds = time.monotonic() - began
        for proposal in interim:
            if proposal.text not in yielded:
                yield replace(proposal, capped=True, seconds=0.0 if yielded else seconds)
                yielded.add(proposal.text)

    def close(self) -> None:
        """End the searches in progress; their readers get a StoppedError."""
        for search in list(_running):
            if search.owner is self:
                search.close()


def stop_searches() -> bool:
    """End the running searches that have found something, which is kept; return whether any has.

    It may be called by a signal handler.
    """
    found = [search for search in list(_running) if search.has_found and not search.finished]
    for search in found:
        search.stop()
    return bool(found)


_running: set["_RunningSearch"] = set()
_cores = threading.BoundedSemaphore(usable_cores())
"""Bounds the searches that compute at the same time in threads of this process."""


class _RunningSearch:
    """One running request in a process, ended by its time limit or its reader."""

    def __init__(self, request: bytes, seconds: float, owner: OwnProcess) -> None:
        self.owner = owner
        self._request = request
        self._seconds = seconds
        self._process: Process | None = None
        self._messages: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may come in while the main thread has it
        self._timer: threading.Timer | None = None
        self.has_found = False
        self.finished = False
        self._late = False
        self._closed = False

    def messages(self) -> Iterator[tuple[Any, ...]]:
        _running.add(self)
        _cores.acquire()  # until the process has sent everything, not until it was read
        try:
            if self._closed:  # while it waited
                raise StoppedError
            self._begin()
            threading.Thread(target=self._read, daemon=True).start()
        except BaseException:
            _cores.release()
            raise
        while (message := self._messages.get())[0] != "done":
            if message[0] == "error":
                raise child_process.error_of(*message[1])
            yield message
        if self._closed:
            raise StoppedError

    def end(self) -> None:
        """Keep the process if it has finished its search, else kill it."""
        _running.discard(self)
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            process, self._process = self._process, None
        if process is not None and self.finished and not self._late:
            _idle.keep(process)
        elif process is not None:
            child_process.end(process)

    def _begin(self) -> None:
        """Send the request to an idle process, or to a new one."""
        for _ in range(MOST_IDLE + 1):
            process = _idle.take()
            self._process = process
            try:
                stdin = cast("BinaryIO", process.stdin)
                stdin.write(self._request)
                stdin.flush()
                answer = pickle.load(cast("BinaryIO", process.stdout))  # noqa: S301 - our own process
                break
            except (OSError, EOFError, pickle.UnpicklingError):
                child_process.end(process)  # it was about to exit after its idle time
                self._process = None
        else:
            raise SearchProcessError(
                "the process of the search cannot be started; is the machine out of memory?"
            )
        if answer[0] == "error":
            raise child_process.error_of(*answer[1])
        self._timer = threading.Timer(self._seconds + HAND_OVER_SECONDS, self.stop)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """End the search without a result."""
        self._closed = True
        self.stop()

    def stop(self) -> None:
        """End the search; what it has found is kept."""
        with self._lock:  # `end` may be keeping the process for the next search
            self._late = True
            if self._process is not None:
                self._process.kill()

    def _read(self) -> None:
        try:
            if (process := self._process) is not None:
                self._read_from(process)
        finally:
            _cores.release()

    def _read_from(self, process: Process) -> None:
        whole = True
        try:
            while True:
                message = pickle.load(cast("BinaryIO", process.stdout))  # noqa: S301 - our own process
                whole = whole and message[0] != "cut"
                self.finished = whole and message[0] == "done"
                self.has_found = self.has_found or message[0] in {"interim", "proposal"}
                self._messages.put(message)
                if message[0] in {"done", "error"}:
                    return
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            self._messages.put(self._ending(process))
            self._messages.put(("done",))

    def _ending(self, process: Process) -> tuple[Any, ...]:
        """Return why a process ended before it had sent everything, as a message."""
        if self._late:
            return ("cut", "time")
        status = process.wait()
        if status == -signal.SIGKILL:
            return ("cut", "memory")  # the kernel kills the largest process if memory runs out
        lost = SearchProcessError(f"the process of the search ended with status {status}")
        return ("error", child_process.describe_error(lost))


class _Idle:
    """Idle processes kept for later searches, which saves starting an interpreter each time."""

    def __init__(self) -> None:
        self._processes: list[Process] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        atexit.register(self.close)

    def take(self) -> Process:
        """Return an idle process, or a new one if there is none."""
        with self._lock:
            if self._owner != os.getpid():  # after a fork, the processes belong to the parent
                self._processes, self._owner = [], os.getpid()
            if self._processes:
                return self._processes.pop()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_GROUPS)
        }
        return child_process.start(f"from {SearchRequest.__module__} import main; main()", kept)

    def keep(self, process: Process) -> None:
        """Add an idle process, or end it if there are enough."""
        with self._lock:
            if len(self._processes) < MOST_IDLE:
                self._processes.append(process)
                return
        child_process.end(process)

    def close(self) -> None:
        with self._lock:
            processes = self._processes if self._owner == os.getpid() else []
            self._processes = []
        for process in processes:
            child_process.end(process)


_idle = _Idle()


def _most_frequent(train: Examples, classes: Classes) -> Proposal:
    """Return the program that answers with the most frequent class."""
    [(label, _)] = Counter(train.labels).most_common(1)
    value = dict(zip(classes.texts, classes.values, strict=True)).get(label, label)
    plain = value if isinstance(value, str | int | float | bool) else label
    return Proposal(f"def f(x):\n    return {plain!r}\n", fallback=True)
