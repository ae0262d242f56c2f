"""What runs on the machines of a cluster; each function is the body of a Ray task.

Errors come back as values: Ray would wrap them in tracebacks of its own.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from llm_pv.child_process import Told
from llm_pv.data.examples import Splits
from llm_pv.errors import ClusterError
from llm_pv.runs.executors.local import InThisProcess, told
from llm_pv.runs.executors.ray.requirements import Confining, Versions
from llm_pv.runs.remote_records import Known, Message, Relay
from llm_pv.sandbox import Batch, Execution, Sandbox
from llm_pv.tracks.grid import Trial
from llm_pv.tracks.synthesis.elsewhere import Parcel, Work
from llm_pv.tracks.synthesis.trials import Surroundings, do_trial

if TYPE_CHECKING:
    from llm_pv.erm.attempts import Attempt

_Result = TypeVar("_Result")

_sandboxes: dict[Confining, Sandbox] = {}


@dataclass(frozen=True)
class Errand:
    """What one trial sends along.

    Parameters
    ----------
    trial, known
        The trial, and what is known of its cell.
    every
        Seconds between its parcels.
    """

    trial: Trial
    known: Known
    every: float


@dataclass(frozen=True)
class Failed:
    """An error of a task."""

    told: Told


def inspect(driver: Versions, confining: Confining | None) -> str:
    """Say why this machine cannot be used, ``""`` if it can."""
    try:
        require_same(driver)
        if confining is not None:
            warm_sandbox(confining)
    except Exception as error:  # noqa: BLE001 - whatever it is, this machine cannot be used
        return str(error)
    return ""


def answer(
    driver: Versions, options: dict[str, Any], function: Callable[..., _Result], *args: Any
) -> _Result | Failed:
    """Call a function with arguments, those by name first."""
    try:
        require_same(driver)
        return function(*args, **options)
    except Exception as error:  # noqa: BLE001 - the caller is told, whatever it is
        return Failed(told(error))


def execute(
    driver: Versions, confining: Confining, batch: Batch, jobs: Sequence[tuple[str, int]]
) -> list[Execution] | Failed:
    """Run programs, each with its seed, over the same inputs, in this machine's sandbox."""
    try:
        require_same(driver)
        sandbox = warm_sandbox(confining)
        return [sandbox.predict(source, batch, seed=seed) for source, seed in jobs]
    except Exception as error:  # noqa: BLE001 - the caller is told, whatever it is
        return Failed(told(error))


def stream(
    driver: Versions,
    confining: Confining,
    work: Work,
    splits: Splits | None,
    errand: Errand,
) -> Iterator[Parcel | Failed]:
    """Do a trial and yield now and then what it comes to; the first parcel is empty."""
    try:
        require_same(driver)
        sandbox = warm_sandbox(confining)
    except Exception as error:  # noqa: BLE001 - the driver is told, whatever it is
        yield Failed(told(error))
        return
    yield Parcel()
    outbox = _Outbox()
    around = Surroundings(
        work.request,
        work.plan,
        Relay(errand.known, outbox.messages.append),
        sandbox,
        InThisProcess(),
        None,
        work.transfer,
        splits,
    )
    thread = threading.Thread(target=outbox.fill, args=(errand.trial, work, around), daemon=True)
    thread.start()
    while not outbox.full.wait(errand.every):
        if (parcel := outbox.parcel()) is not None:
            yield parcel
    if (parcel := outbox.parcel()) is not None:
        yield parcel
    if outbox.failed is not None:
        yield outbox.failed


class _Outbox:
    """What a trial has come to and not sent yet; one thread fills it, another empties it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.attempts: list[Attempt] = []
        self.failed: Failed | None = None
        self.full = threading.Event()

    def fill(self, trial: Trial, work: Work, around: Surroundings) -> None:
        """Do the trial."""
        try:
            do_trial(trial, work.proposer, around, self.attempts.append)
        except Exception as error:  # noqa: BLE001 - the driver is told, whatever it is
            self.failed = Failed(told(error))
        finally:
            self.full.set()

    def parcel(self) -> Parcel | None:
        """Take out what is in it, None if it is empty."""
        # Attempts first: each was written down before it was told.
        attempts = self._take(self.attempts)
        messages = self._take(self.messages)
        return Parcel(messages, attempts) if messages or attempts else None

    @staticmethod
    def _take(items: list[_Result]) -> list[_Result]:
        taken = items[:]  # whoever appends meanwhile appends behind these
        del items[: len(taken)]
        return taken


def warm_sandbox(confining: Confining) -> Sandbox:
    """Return this process's sandbox, which stays open for the tasks that follow.

    Raises
    ------
    ConfinementError
        If candidates cannot be confined here, and going without is not allowed.
    """
    if confining not in _sandboxes:
        _sandboxes[confining] = Sandbox(
            confining.limits,
            workers=1,
            allow_unconfined=confining.allow_unconfined,
            backend=confining.backend,
        )
    return _sandboxes[confining]


def require_same(driver: Versions) -> None:
    """Refuse to work for a driver of other versions.

    Raises
    ------
    ClusterError
        With what differs.
    """
    if difference := driver.difference(Versions.here()):
        raise ClusterError(
            f"{difference}, there being {socket.gethostname()}; install the same on every machine"
        )
