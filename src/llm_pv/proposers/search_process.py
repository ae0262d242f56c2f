"""The child process of `llm_pv.proposers.own_process`, which runs searches."""

import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm_pv import child_process
from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.base import Proposal, Proposer

IDLE_SECONDS = 60.0
"""An idle process that is kept for the next search exits after this time."""


@dataclass(frozen=True)
class SearchRequest:
    """One search, in the form sent to the process."""

    proposer: Proposer
    train: Examples
    classes: Classes
    seed: int
    start: int
    megabytes: int | None


class MessageSender:
    """Writes messages to the owner."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._last = 0.0

    def send(self, *message: object) -> None:
        """Send a message: its kind and its values."""
        self._answers.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        self._answers.flush()

    def progress(self, stage: str, tried: int) -> None:
        """Send the progress of the search, at most 20 times a second."""
        now = time.monotonic()
        if now - self._last > 0.05:
            self._last = now
            self.send("progress", stage, tried)

    def interim(self, proposals: Sequence[Proposal]) -> None:
        """Send the proposals to use if the proposer has to stop."""
        self.send("interim", list(proposals))


def serve(request: SearchRequest, sender: MessageSender) -> None:
    """Run one search and send its proposals."""
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
    except Exception as error:  # noqa: BLE001 - any error is sent to the owner
        sender.send("error", child_process.describe_error(error))
        return
    sender.send("done")


def _limit_memory(megabytes: int | None) -> None:
    """Limit the growth of memory to this size and a tenth; beyond it a MemoryError is raised."""
    try:
        import resource

        status = Path("/proc/self/status").read_text("ascii")
    except (ImportError, OSError):
        return  # only Linux reports the size of private data
    # RLIMIT_DATA and not RLIMIT_AS: mapped libraries do not count. Only the soft limit is lowered,
    # so that the next search in this process can have another.
    [used] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:")]
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard
    if megabytes is not None:
        soft = used * 1024 + int(megabytes * 1.1 * 2**20)
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def main() -> None:
    """Serve searches until the owner ends or the idle time is over."""
    # Answers go to a copy of standard output; anything printed goes to standard error instead.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the owner, which gets it too, ends this
    child_process.end_with_owner()
    calls = sys.stdin.buffer
    try:
        while select.select([calls], [], [], IDLE_SECONDS)[0]:
            sender = MessageSender(answers)
            try:
                paths = pickle.load(calls)  # noqa: S301 - from the process that began this one
                sys.path += [path for path in paths if path not in sys.path]
                request = pickle.load(calls)  # noqa: S301
            except (ImportError, AttributeError, MemoryError) as error:
                sender.send("error", child_process.describe_error(error))
                return
            sender.send("begun")
            serve(request, sender)
    except (EOFError, BrokenPipeError):
        os._exit(0)  # the owner has ended
