"""A proposer that computes, in a process of its own: limits on seconds and memory that hold.

The rows go to the process once, proposals come back as they are found. When the time is over the
process is killed, and what it had found so far is kept.
"""

import atexit
import os
import pickle
import queue
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from llm_pv import child_process
from llm_pv.child_process import Process
from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import LLMPVError
from llm_pv.proposers.base import Proposal, Proposer

Progress = Callable[[str, int], None]

HAND_OVER_SECONDS = 0.75
"""What a proposer that stops at its cap by itself gets to hand over what it has."""

IDLE_SECONDS = 60.0
"""After so long without work a process that is kept for the next search ends itself."""

MOST_IDLE = 2

PASSED_ON = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV")
PASSED_ON_GROUPS = (
    "BLIS_", "COVERAGE_", "DYLD_", "LC_", "LD_", "MKL_", "NUMEXPR_", "OMP_", "OPENBLAS_", "PYTHON",
)  # fmt: skip
"""Variables of the environment that the process gets; keys and tokens are not among them."""


class SearchProcessError(LLMPVError, RuntimeError):
    """The process of a search ended before the search did."""


@dataclass(frozen=True)
class _Request:
    """One search, as it is sent to the process."""

    proposer: Proposer
    train: Examples
    classes: Classes
    seed: int
    start: int
    megabytes: int | None


class OwnProcess(Proposer):
    """Runs a free proposer in a process of its own; see `llm_pv.proposers.base.Proposer`.

    Proposals are the same as in this process, unless a limit cuts the search. Then those found so
    far come, each marked ``capped``: what the proposer had yielded, else what it last handed to its
    attribute ``interim``, else the most frequent class.

    A proposer with attributes ``progress`` (called with a stage and a number) and ``interim``
    (called with the proposals it would make if it had to stop) gets functions there.

    Parameters
    ----------
    proposer
        Can be pickled, and costs nothing.
    seconds
        The most that it may compute for one call of `propose`; a proposer that keeps the limit by
        itself has a moment more to hand over.
    megabytes
        The most memory it may take beside that of the interpreter and its libraries; None for any.
    progress
        Called with what the proposer reports.

    Examples
    --------
    >>> from llm_pv.proposers.length_first import LengthFirst
    >>> words = [f"{number:05b}" for number in range(32)]
    >>> rows = Examples(words, [str(word.count("1") % 2) for word in words])
    >>> search = OwnProcess(LengthFirst(), seconds=30.0)
    >>> print(next(search.propose(rows, Classes.of(["0", "1"]), seed=0)).text.splitlines()[-1])
        return x.count("1") % 2
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
        self._cut = ""

    @property
    def name(self) -> str:
        """The proposer's name."""
        return self.proposer.name

    @property
    def identity(self) -> str:
        """The proposer's identity: where it runs decides nothing."""
        return self.proposer.identity

    @property
    def default_attempts(self) -> int:
        """How many proposals a run asks for unless the user says otherwise."""
        return self.proposer.default_attempts

    @property
    def free(self) -> bool:
        """Whether proposals cost nothing."""
        return self.proposer.free

    @property
    def hit_time_cap(self) -> bool:
        """Whether the last search was cut short."""
        return bool(self._cut)

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield proposals as the process finds them.

        Raises
        ------
        SearchProcessError
            If the process ended by itself in the middle.
        """
        self._cut = ""
        request = _Request(self.proposer, train, classes, seed, start, self.megabytes)
        # The paths first: without them the proposer's own module may not be found.
        paths = [str(Path(path).absolute()) for path in sys.path]
        parts = [pickle.dumps(part, pickle.HIGHEST_PROTOCOL) for part in (paths, request)]
        search = _Search(b"".join(parts), self.seconds)
        began = time.monotonic()
        yielded: set[str] = set()
        interim: list[Proposal] = []
        try:
            for kind, *told in search.messages():
                if kind == "proposal":
                    [proposal] = told
                    self._cut = self._cut or ("time" if proposal.capped else "")
                    yielded.add(proposal.text)
                    yield proposal
                else:
                    interim = self._take(kind, told) or interim
        finally:
            search.end()
        if not self._cut:
            return
        if not yielded:
            interim = interim[start:] if interim or start else [_most_frequent(train, classes)]
        seconds = time.monotonic() - began
        for proposal in interim:
            if proposal.text not in yielded:
                yield replace(proposal, capped=True, seconds=0.0 if yielded else seconds)
                yielded.add(proposal.text)

    def _take(self, kind: str, told: list[Any]) -> list[Proposal]:
        """Take what is no proposal, and return those that would be made in the end, if told."""
        if kind == "interim":
            [proposals] = told
            return list(proposals)
        if kind == "cut":
            [self._cut] = told
        elif kind == "progress" and self.progress is not None:
            self.progress(*told)
        return []


class _Search:
    """One request under way in a process, which its time limit or its reader ends."""

    def __init__(self, request: bytes, seconds: float) -> None:
        self._request = request
        self._seconds = seconds
        self._process: Process | None = None
        self._messages: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._finished = False
        self._late = False

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """Yield what the process sends."""
        self._begin()
        threading.Thread(target=self._read, daemon=True).start()
        while (message := self._messages.get())[0] != "done":
            if message[0] == "error":
                raise child_process.error_of(*message[1])
            yield message

    def end(self) -> None:
        """Keep the process if it has done its work, else kill it."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            process, self._process = self._process, None
        if process is not None and self._finished and not self._late:
            _idle.keep(process)
        elif process is not None:
            child_process.end(process)

    def _begin(self) -> None:
        """Send the request to a process that waits, or else to a new one."""
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
                child_process.end(process)  # it had waited too long and was on its way out
                self._process = None
        else:
            raise SearchProcessError(
                "the process of the search cannot be started; is the machine out of memory?"
            )
        if answer[0] == "error":
            raise child_process.error_of(*answer[1])
        self._timer = threading.Timer(self._seconds + HAND_OVER_SECONDS, self._stop)
        self._timer.daemon = True
        self._timer.start()

    def _stop(self) -> None:
        with self._lock:
            self._late = True
            if self._process is not None:
                self._process.kill()

    def _read(self) -> None:
        process = self._process
        if process is None:
            return
        whole = True
        try:
            while True:
                message = pickle.load(cast("BinaryIO", process.stdout))  # noqa: S301 - our own process
                whole = whole and message[0] != "cut"
                self._finished = whole and message[0] == "done"
                self._messages.put(message)
                if message[0] in {"done", "error"}:
                    return
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            self._messages.put(self._ending(process))
            self._messages.put(("done",))

    def _ending(self, process: Process) -> tuple[Any, ...]:
        """Say why a process ended that had not sent everything."""
        if self._late:
            return ("cut", "time")
        status = process.wait()
        if status == -signal.SIGKILL:
            return ("cut", "memory")  # the kernel takes the largest when the machine has none left
        lost = SearchProcessError(f"the process of the search ended with status {status}")
        return ("error", child_process.told(lost))


class _Idle:
    """Processes that have done their work and wait for more."""

    def __init__(self) -> None:
        self._processes: list[Process] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        atexit.register(self.close)

    def take(self) -> Process:
        """Return a process that waits, a new one if there is none."""
        with self._lock:
            if self._owner != os.getpid():  # a fork has no share in its parent's processes
                self._processes, self._owner = [], os.getpid()
            if self._processes:
                return self._processes.pop()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_GROUPS)
        }
        return child_process.start(f"from {__name__} import main; main()", kept)

    def keep(self, process: Process) -> None:
        """Let a process wait, or end it if enough do."""
        with self._lock:
            if len(self._processes) < MOST_IDLE:
                self._processes.append(process)
                return
        child_process.end(process)

    def close(self) -> None:
        """End every process that waits."""
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


# What follows runs in the process.


class _Sender:
    """Writes messages to the owner."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._last = 0.0

    def send(self, *message: object) -> None:
        """Send one message."""
        self._answers.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        self._answers.flush()

    def progress(self, stage: str, tried: int) -> None:
        """Send how far the proposer is, a few times a second at most."""
        now = time.monotonic()
        if now - self._last > 0.05:
            self._last = now
            self.send("progress", stage, tried)

    def interim(self, proposals: Sequence[Proposal]) -> None:
        """Send what there is if the proposer has to stop."""
        self.send("interim", list(proposals))


def serve(request: _Request, sender: _Sender) -> None:
    """Run one search and send what it finds."""
    _limit_memory(request.megabytes)
    proposer = request.proposer
    for name in ("progress", "interim"):
        if hasattr(proposer, name):
            setattr(proposer, name, getattr(sender, name))
    try:
        for proposal in proposer.propose(
            request.train, request.classes, seed=request.seed, start=request.start
        ):
            sender.send("proposal", proposal)
    except MemoryError:
        sender.send("cut", "memory")
    except Exception as error:  # noqa: BLE001 - the owner is told, whatever it is
        sender.send("error", child_process.told(error))
        return
    sender.send("done")


def _limit_memory(megabytes: int | None) -> None:
    """Let the memory grow by so much and a tenth of it; what lies beyond is a MemoryError."""
    try:
        import resource

        status = Path("/proc/self/status").read_text("ascii")
    except (ImportError, OSError):
        return  # only Linux counts a process's own data
    [used] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:")]
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard
    if megabytes is not None:
        soft = used * 1024 + int(megabytes * 1.1 * 2**20)
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def main() -> None:
    """Serve the owner until it goes or has no more work, with its pipes out of reach of prints."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # told to a whole job, it is for the owner too
    child_process.end_with_owner()
    calls = sys.stdin.buffer
    try:
        while select.select([calls], [], [], IDLE_SECONDS)[0]:
            sender = _Sender(answers)
            try:
                paths = pickle.load(calls)  # noqa: S301 - from the process that began this one
                sys.path += [path for path in paths if path not in sys.path]
                request = pickle.load(calls)  # noqa: S301
            except (ImportError, AttributeError, MemoryError) as error:
                sender.send("error", child_process.told(error))
                return
            sender.send("begun")
            serve(request, sender)
    except (EOFError, BrokenPipeError):
        os._exit(0)  # the owner is gone
