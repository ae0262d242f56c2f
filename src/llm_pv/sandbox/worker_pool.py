"""The workers of a sandbox, the choice of their backend, and the threads that run them."""

import operator
import os
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from llm_pv.errors import ConfigurationError, ConfinementError, SandboxError
from llm_pv.sandbox.batch import Batch, LabelledRows
from llm_pv.sandbox.confinement import Confinement
from llm_pv.sandbox.execution import Execution, Limits, ToolLimits
from llm_pv.sandbox.exploration import Script

if TYPE_CHECKING:  # these import numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input
    from llm_pv.sandbox.linux import LinuxWorker

Backend: TypeAlias = Literal["auto", "linux", "wasm", "unconfined"]


class Worker(Protocol):
    """Runs one candidate or script at a time; starts its processes when first used."""

    def run(
        self, source: str, inputs: "Sequence[Input]", limits: Limits, seed: int = 0
    ) -> Execution:
        """Run a program over the inputs within the limits; its failures are in the result.

        The seed, 0 to 2**32 - 1, is that of random numbers and, if supported, of hashing.

        Raise SandboxError if the worker itself fails, or is closed meanwhile.
        """
        ...

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows; what it printed is the output, cut to the limits.

        The seed is that of random numbers; the seed of hashing is 0.

        Raise SandboxError as for `run`.
        """
        ...

    def close(self) -> None:
        """End what was started, a run in progress included; callable from any thread, twice."""
        ...


class WorkerPool:
    """The workers of a sandbox, and threads for running several programs at once."""

    def __init__(self, make: Callable[[], Worker], first: Worker, size: int) -> None:
        self.size = size
        self._make = make
        self._closed = False
        self._start_over([first, *(make() for _ in range(size - 1))])
        _pools.add(self)

    def _start_over(self, workers: list[Worker]) -> None:
        self._lock = threading.Lock()
        self._workers = set(workers)
        # The first idle worker, always: few programs then start the processes of few workers only.
        self._idle: queue.PriorityQueue[tuple[int, Worker]] = queue.PriorityQueue()
        for entry in enumerate(workers):
            self._idle.put(entry)
        self._threads: ThreadPoolExecutor | None = None

    def run(self, task: Callable[[Worker], Execution], busy: set[Worker]) -> Execution:
        """Run a task on the first idle worker, and list that worker in `busy` meanwhile."""
        place, worker = self._idle.get()
        with self._lock:
            busy.add(worker)
        try:
            if self._closed:
                raise SandboxError("the sandbox is closed: make a new one")
            return task(worker)
        finally:
            if self._closed:
                worker.close()  # the run may have started a process after `close`
            with self._lock:
                busy.discard(worker)
                if worker not in self._workers:  # `several` closed it during its run
                    worker.close()  # the run may have started a process after that
                    worker = self._make()
                    self._workers.add(worker)
            self._idle.put((place, worker))

    @contextmanager
    def several(self, limits: Limits) -> Iterator[Callable[[str, Batch, int], Future[Execution]]]:
        """Yield a function that starts runs in the background; end unfinished runs on exit."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="llm-pv-sandbox")
            threads = self._threads
        busy: set[Worker] = set()
        started: list[Future[Execution]] = []

        def start(source: str, batch: Batch, seed: int) -> Future[Execution]:
            task = program_task(source, batch, limits, seed)
            started.append(threads.submit(self.run, task, busy))
            return started[-1]

        try:
            yield start
        finally:
            for run in started:
                run.cancel()
            with self._lock:
                abandoned = set(busy)
                self._workers -= abandoned
            for worker in abandoned:
                worker.close()

    def close(self) -> None:
        """End every worker and every thread."""
        self._closed = True
        _pools.discard(self)
        for worker in tuple(self._workers):
            worker.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def after_fork(self) -> None:
        """Replace workers, lock and threads in a fork, which inherits no threads."""
        self._start_over([self._make() for _ in range(self.size)])


_pools: "weakref.WeakSet[WorkerPool]" = weakref.WeakSet()


def _restart_pools() -> None:
    for pool in tuple(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_pools)


def assemble(
    backend: Backend, workers: int | None, *, allow_unconfined: bool
) -> tuple[WorkerPool, Confinement]:
    """Return a pool of workers and their confinement.

    Raise ConfigurationError if the number of workers is not positive. Raise ConfinementError if
    programs cannot be confined here and `allow_unconfined` is not set.
    """
    from llm_pv.child_process import usable_cores

    if workers is not None and workers < 1:
        raise ConfigurationError(f"{workers} workers run nothing: give 1 or more")
    make, first, confinement = _choose(backend, allow_unconfined=allow_unconfined)
    return WorkerPool(make, first, workers or usable_cores()), confinement


def program_task(
    source: str, batch: Batch, limits: Limits, seed: int
) -> Callable[[Worker], Execution]:
    """Return the task of running a program over inputs."""
    return lambda worker: worker.run(source, batch, limits, seed)


def _choose(
    backend: Backend, *, allow_unconfined: bool
) -> tuple[Callable[[], Worker], Worker, Confinement]:
    """Return a function that makes workers, the first of them, and its confinement."""
    why: list[str] = []
    lesser: LinuxWorker | None = None
    if backend in {"auto", "linux"}:
        if sys.platform == "linux":
            make = import_module("llm_pv.sandbox.linux").LinuxWorker
            worker: LinuxWorker = make()
            confinement = worker.confinement
            if confinement.sufficient:
                return make, worker, confinement
            lesser = worker
            why += [f"{layer} is missing: {text}" for layer, text in confinement.missing.items()]
        else:
            why.append(f"the Linux sandbox does not run on {sys.platform}")
    if backend in {"auto", "wasm"}:
        reason = _wasm_reason()
        if reason is None:
            make = import_module("llm_pv.sandbox.wasm").WasmWorker
            _close(lesser)
            missing = {"the Linux sandbox": "; ".join(why)} if why else {}
            return make, make(), Confinement("wasm", ("WebAssembly",), missing)
        why.append(f"WebAssembly: {reason}")
    if allow_unconfined and lesser is not None:
        return type(lesser), lesser, lesser.confinement
    _close(lesser)
    if allow_unconfined and backend in {"auto", "unconfined"}:
        make = import_module("llm_pv.sandbox.unconfined").UnconfinedWorker
        missing = {"confinement": "; ".join(why) or "disabled on request"}
        return make, make(), Confinement("unconfined", (), missing)
    obstacles = "; ".join(why) or "no confinement was requested"
    raise ConfinementError(
        f"programs cannot be confined here: {obstacles}. "
        "Install the WebAssembly sandbox (pip install 'llm-pv[wasm]'), or run programs with all "
        "your own permissions (--allow-unconfined, or allow_unconfined=True)"
    )


def _close(worker: Worker | None) -> None:
    if worker is not None:
        worker.close()


def _wasm_reason() -> str | None:
    """Return why WebAssembly cannot be used, or None if it can."""
    try:
        available: Callable[[], str | None] = import_module("llm_pv.sandbox.wasm").wasm_available
    except ImportError as error:
        return str(error)
    return available()


def usable_seed(seed: int) -> int:
    """Return a seed as a plain number.

    Raise ConfigurationError if it is no whole number from 0 to 2**32 - 1.
    """
    try:
        number = int(operator.index(seed))  # a numpy integer becomes a plain one
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise ConfigurationError(f"seed {seed!r}: give a whole number from 0 to 4,294,967,295")
    return number
