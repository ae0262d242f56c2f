"""What runs on the machines of a cluster, the bodies of Ray tasks, and what is asked of them.

Errors come back as values: Ray would wrap them in tracebacks of its own.
"""

import math
import os
import platform
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from llm_pv import __version__
from llm_pv.errors import ClusterError, ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.base import CellContext, CellFunction, portable, with_shared
from llm_pv.runs.remote_records import Known, Message, Relay, Results, write_records
from llm_pv.sandbox import Batch, Confinement, Execution, Limits, Sandbox
from llm_pv.sandbox.worker_pool import Backend


@dataclass(frozen=True)
class Requirements:
    """The resources that one task takes while it runs.

    Examples
    --------
    >>> Requirements(cpus=2).fitting({"CPU": 9.0})
    4
    """

    cpus: float = 1.0
    gpus: float = 0.0
    "Cores and GPUs; a fraction lets several tasks share one."

    def __post_init__(self) -> None:
        for name, value, least in (
            ("cpus", self.cpus, "a positive number"),
            ("gpus", self.gpus, "0 or more"),
        ):
            if not 0 <= value < math.inf or (not value and name == "cpus"):
                raise ConfigurationError(f"is {value}; give {least}", name)
            if abs(value - round(value, 4)) > 1e-9:
                raise ConfigurationError(f"is {value}; give a multiple of 0.0001", name)
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigurationError(
                f"is {self.gpus}; give a whole number above 1, or a fraction below", "gpus"
            )

    def fitting(self, resources: dict[str, float]) -> int:
        """Return how many such tasks a machine with these resources runs at once."""
        fit = resources.get("CPU", 0.0) / self.cpus
        if self.gpus:
            fit = min(fit, resources.get("GPU", 0.0) / self.gpus)
        return int(fit + 1e-9)

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}"


@dataclass(frozen=True)
class Confining:
    """How candidates are confined on every machine."""

    limits: Limits = field(default_factory=Limits)
    allow_unconfined: bool = False
    backend: Backend = "auto"


@dataclass(frozen=True)
class Versions:
    """Versions that must be equal on all machines, or a run would mix the work of two programs."""

    llm_pv: str
    python: str
    ray: str
    "Their versions; of Python the first two numbers."

    @classmethod
    def here(cls) -> "Versions":
        """Return the versions of this process, which has imported Ray."""
        import ray

        return cls(__version__, ".".join(platform.python_version_tuple()[:2]), ray.__version__)

    def difference(self, there: "Versions") -> str:
        """Say in what another machine differs, ``""`` if in nothing.

        Examples
        --------
        >>> Versions("1.0", "3.11", "2.60.0").difference(Versions("1.1", "3.11", "2.60.0"))
        'llm_pv is 1.1 there and 1.0 here'
        """
        return ", ".join(
            f"{name} is {getattr(there, name)} there and {getattr(self, name)} here"
            for name in ("llm_pv", "python", "ray")
            if getattr(there, name) != getattr(self, name)
        )


_Result = TypeVar("_Result")

_sandboxes: dict[Confining, Sandbox] = {}


@dataclass(frozen=True)
class RemoteCell:
    """A cell as it is sent to a machine."""

    function: CellFunction
    known: Known
    "The records of the cell in the run directory."
    every: float
    "Seconds between two batches of results."
    confining: Confining | None = None
    "How programs are confined; None where none run."


@dataclass(frozen=True)
class RecordBatch:
    """Records and events of a cell, in the order of their creation."""

    items: Sequence[tuple[bool, Any]] = ()

    def deliver(self, cell: Cell, results: Results, emit: Callable[[object], object]) -> None:
        """Write the records, then pass on the events: each follows the records it speaks of."""
        messages: list[Message] = [item for is_event, item in self.items if not is_event]
        write_records(messages, cell, results)
        for is_event, item in self.items:
            if is_event:
                emit(item)


@dataclass(frozen=True)
class Failed:
    """An error of a task."""

    error: Exception


def inspect(driver: Versions, confining: Confining | None) -> Confinement | Failed | None:
    """Return how this machine confines programs, None where none run, or why it cannot be used."""
    try:
        require_same(driver)
        return None if confining is None else warm_sandbox(confining).confinement
    except Exception as error:  # noqa: BLE001 - whatever it is, this machine cannot be used
        return Failed(portable(error))


def answer(
    driver: Versions, options: dict[str, Any], function: Callable[..., _Result], *args: Any
) -> _Result | Failed:
    """Call a function with arguments, those by name first."""
    try:
        require_same(driver)
        return function(*args, **options)
    except Exception as error:  # noqa: BLE001 - the caller raises it, whatever it is
        return Failed(portable(error))


def execute(
    driver: Versions, confining: Confining, batch: Batch, jobs: Sequence[tuple[str, int]]
) -> list[Execution] | Failed:
    """Run programs, each with its seed, over the same inputs, in this machine's sandbox."""
    try:
        require_same(driver)
        sandbox = warm_sandbox(confining)
        return [sandbox.predict(source, batch, seed=seed) for source, seed in jobs]
    except Exception as error:  # noqa: BLE001 - the caller raises it, whatever it is
        return Failed(portable(error))


def compute(
    driver: Versions, remote: RemoteCell, inputs: Any, shared: Any
) -> Iterator[RecordBatch | Failed]:
    """Compute a cell and yield its results, batch by batch; the first batch is empty.

    Parameters
    ----------
    inputs, shared
        What its function takes: the inputs, or a pair of what all cells share and the inputs.
    """
    try:
        require_same(driver)
        sandbox = None if remote.confining is None else warm_sandbox(remote.confining)
    except Exception as error:  # noqa: BLE001 - the driver raises it, whatever it is
        yield Failed(portable(error))
        return
    yield from _Outbox(remote.every).fill(remote, with_shared(shared, inputs), sandbox, None)


class ModelProcess:
    """A process that opens something once, such as a model, and computes many cells with it."""

    def __init__(self, driver: Versions, make: Callable[[], object]) -> None:
        self._driver = driver
        self._make = make

    def open(self) -> Failed | None:
        """Open it."""
        try:
            require_same(self._driver)
            self._opened = self._make()
        except Exception as error:  # noqa: BLE001 - the driver raises it, whatever it is
            return Failed(portable(error))
        return None

    def compute(
        self, remote: RemoteCell, inputs: Any, shared: Any
    ) -> Iterator[RecordBatch | Failed]:
        """Compute a cell and yield its results, as the task `compute` does."""
        both = with_shared(shared, inputs)
        yield from _Outbox(remote.every).fill(remote, both, None, self._opened)


class _Outbox:
    """Results of a cell that are not sent yet: one thread computes, another sends."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._items: list[tuple[bool, Any]] = []
        self._changed = threading.Condition()
        self._full = False
        self._ended = self._closed = False

    def fill(
        self, remote: RemoteCell, inputs: Any, sandbox: Sandbox | None, opened: object
    ) -> Iterator[RecordBatch | Failed]:
        """Compute a cell in a thread, and yield batches of results until it has ended."""
        yield RecordBatch()
        failed: list[Failed] = []
        results = Relay(remote.known, self.put, self.flush)

        def run() -> None:
            try:
                context = CellContext(results, self.emit, sandbox=sandbox, opened=opened)
                remote.function(inputs, context)
            except Exception as error:  # noqa: BLE001 - the driver raises it, whatever it is
                failed.append(Failed(portable(error)))
            finally:
                with self._changed:
                    self._ended = True
                    self._changed.notify_all()

        threading.Thread(target=run, daemon=True).start()
        try:
            while not self._ended or self._items:
                with self._changed:
                    self._changed.wait_for(lambda: self._full or self._ended, self._every)
                    items, self._items, self._full = self._items, [], False
                    self._changed.notify_all()
                if items:
                    yield RecordBatch(items)
            yield from failed
        finally:
            with self._changed:  # the driver takes no more, so no thread may wait for it
                self._closed = True
                self._changed.notify_all()

    def emit(self, event: object) -> None:
        """Put in an event."""
        with self._changed:
            self._items.append((True, event))

    def put(self, message: Message) -> None:
        """Put in a record."""
        with self._changed:
            self._items.append((False, message))

    def flush(self) -> None:
        """Wait until everything has been taken out."""
        with self._changed:
            self._full = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._full or self._closed)


def enter_folder(folder: Path) -> None:
    """Change into the driver's folder if this machine has it, so that relative names agree."""
    if folder.is_dir():
        os.chdir(folder)


def warm_sandbox(confining: Confining) -> Sandbox:
    """Return this process's sandbox, which stays open for the tasks that follow.

    Raise ConfinementError if candidates cannot be confined here, and going without is not allowed.
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
