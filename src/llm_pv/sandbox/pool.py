"""The sandbox as the rest of the package sees it: programs and inputs in, executions out."""

import operator
import os
import queue
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from llm_pv.errors import ConfigurationError, ConfinementError, SandboxError
from llm_pv.sandbox.batch import Batch
from llm_pv.sandbox.conclusion import join
from llm_pv.sandbox.confinement import Confinement
from llm_pv.sandbox.execution import Execution, Limits
from llm_pv.sandbox.worker import Worker

if TYPE_CHECKING:  # that file imports numpy
    from llm_pv.data.examples import Input
    from llm_pv.sandbox.linux import LinuxWorker

Backend: TypeAlias = Literal["auto", "linux", "wasm", "unconfined"]

ROWS_FOR_ONE_WORKER = 2_000
"""More rows than this are spread over the workers."""


class Sandbox:
    """Runs programs nobody trusts over inputs, on a pool of warm, confined workers.

    Parameters
    ----------
    limits
        What one candidate may use.
    workers
        How many candidates, or parts of the rows, run at once; None for one a usable core.
    allow_unconfined
        Run even where this machine cannot confine a program as it should be.
    backend
        ``"linux"`` forks of a confined process, ``"wasm"`` WebAssembly, ``"unconfined"`` a plain
        process; ``"auto"`` takes the first of these that confines well enough, and the last only
        when `allow_unconfined` is set.

    Attributes
    ----------
    confinement
        What confines the programs here.

    Raises
    ------
    ConfinementError
        If programs cannot be confined here, and `allow_unconfined` is not set.

    Examples
    --------
    >>> with Sandbox() as sandbox:  # doctest: +SKIP
    ...     sandbox.predict("def f(x): return x.count('1') % 2", ["0110", "0111"]).predictions
    ('0', '1')
    """

    def __init__(
        self,
        limits: Limits = Limits(),
        *,
        workers: int | None = None,
        allow_unconfined: bool = False,
        backend: Backend = "auto",
    ) -> None:
        if workers is not None and workers < 1:
            raise ConfigurationError(f"{workers} workers run nothing: give 1 or more")
        self.limits = limits
        make, first, self.confinement = _choose(backend, allow_unconfined=allow_unconfined)
        self._crew = _Crew(make, first, workers or _usable_cores())
        self._finalizer = weakref.finalize(self, self._crew.close)

    def predict(self, source: str, inputs: "Sequence[Input]", *, seed: int = 0) -> Execution:
        """Run one program over the inputs, spread over the workers when they are many.

        Parameters
        ----------
        source
            The program: a module that defines ``f``.
        inputs
            What ``f`` is called with, one by one. A `Batch` saves preparing them again.
        seed
            Seeds hashing, and with it the order of sets, `random` and ``numpy.random`` for the
            program, from 0 to 2**32 - 1: what it answers under one seed only is chance. The
            WebAssembly sandbox seeds `random` alone.

        Returns
        -------
        Execution
            Whatever the program does is in here, never an exception. When the rows are spread over
            workers, each part runs in a process of its own, within limits of its own.

        Raises
        ------
        ConfigurationError
            If the seed is no such number.
        DataError
            If an input is neither a string nor a dict of plain values.
        SandboxError
            If the sandbox itself fails or is closed.
        """
        seed = _usable_seed(seed)
        batch = Batch.of(inputs)
        if len(batch) <= ROWS_FOR_ONE_WORKER or self._crew.size == 1:
            return self._crew.run(source, batch, self.limits, set(), seed)
        parts = batch.split(self._crew.size)
        with self._crew.several(self.limits) as start:
            runs = [start(source, part, seed) for part in parts]
            return join([run.result() for run in runs])

    def predict_many(
        self, sources: Iterable[str], inputs: "Sequence[Input]"
    ) -> Iterator[Execution]:
        """Run programs over the same inputs, several at once, and yield results in order.

        Parameters
        ----------
        sources
            The programs, taken as they are needed: at most twice as many ahead as there are
            workers.
        inputs
            As for `predict`.

        Yields
        ------
        Execution
            One for each program. Closing the iterator ends what is running ahead.
        """
        batch = Batch.of(inputs)
        waiting = iter(sources)
        first = list(islice(waiting, 2))
        if len(first) == 1:
            yield self.predict(first[0], batch)
            return
        with self._crew.several(self.limits) as start:
            runs: deque[Future[Execution]] = deque()
            for source in chain(first, waiting):
                runs.append(start(source, batch, 0))
                if len(runs) >= 2 * self._crew.size:
                    yield runs.popleft().result()
            while runs:
                yield runs.popleft().result()

    def close(self) -> None:
        """End every process of this sandbox; a run in progress raises SandboxError."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Crew:
    """The workers and the threads that wait for them."""

    def __init__(self, make: Callable[[], Worker], first: Worker, size: int) -> None:
        self.size = size
        self._make = make
        self._closed = False
        self._start_over([first, *(make() for _ in range(size - 1))])
        _crews.add(self)

    def _start_over(self, workers: list[Worker]) -> None:
        self._lock = threading.Lock()
        self._workers = set(workers)
        # The first idle one is always taken, so that few workers start what few programs need.
        self._idle: queue.PriorityQueue[tuple[int, Worker]] = queue.PriorityQueue()
        for entry in enumerate(workers):
            self._idle.put(entry)
        self._threads: ThreadPoolExecutor | None = None

    def run(
        self, source: str, batch: Batch, limits: Limits, busy: set[Worker], seed: int
    ) -> Execution:
        """Run on the first idle worker, which stands in `busy` meanwhile."""
        place, worker = self._idle.get()
        with self._lock:
            busy.add(worker)
        try:
            if self._closed:
                raise SandboxError("the sandbox is closed: make a new one")
            return worker.run(source, batch, limits, seed)
        finally:
            if self._closed:
                worker.close()
            with self._lock:
                busy.discard(worker)
                if worker not in self._workers:  # closed under its run
                    worker.close()  # which may have started something after that
                    worker = self._make()
                    self._workers.add(worker)
            self._idle.put((place, worker))

    @contextmanager
    def several(self, limits: Limits) -> Iterator[Callable[[str, Batch, int], Future[Execution]]]:
        """Give a function that starts runs in the background; those left at the end are ended."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="llm-pv-sandbox")
            threads = self._threads
        busy: set[Worker] = set()
        started: list[Future[Execution]] = []

        def start(source: str, batch: Batch, seed: int) -> Future[Execution]:
            started.append(threads.submit(self.run, source, batch, limits, busy, seed))
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
        _crews.discard(self)
        for worker in tuple(self._workers):
            worker.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def after_fork(self) -> None:
        """Begin anew in a forked copy of the owner: its threads and locks are not ours."""
        self._start_over([self._make() for _ in range(self.size)])


_crews: "weakref.WeakSet[_Crew]" = weakref.WeakSet()


def _begin_anew() -> None:
    for crew in tuple(_crews):
        crew.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def probe_confinement() -> Confinement:
    """Find out which confinement this machine gives, as `Sandbox` would choose it.

    Returns
    -------
    Confinement
        The one that would be used; not `sufficient` where `Sandbox` would refuse.
    """
    try:
        with Sandbox(workers=1, allow_unconfined=True) as sandbox:
            return sandbox.confinement
    except SandboxError as error:
        return Confinement("unconfined", missing={"process": str(error)})


def _choose(
    backend: Backend, *, allow_unconfined: bool
) -> tuple[Callable[[], Worker], Worker, Confinement]:
    """Return how workers are made, the first of them, and what confines it."""
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
            return make, make(), Confinement("wasm", ("WebAssembly",))
        why.append(f"WebAssembly: {reason}")
    if allow_unconfined and lesser is not None:
        return type(lesser), lesser, lesser.confinement
    _close(lesser)
    if allow_unconfined and backend in {"auto", "unconfined"}:
        make = import_module("llm_pv.sandbox.unconfined").UnconfinedWorker
        missing = {"confinement": "; ".join(why) or "it was asked to have none"}
        return make, make(), Confinement("unconfined", (), missing)
    obstacles = "; ".join(why) or "nothing was asked to confine them"
    raise ConfinementError(
        f"programs cannot be confined here: {obstacles}. "
        "Install the WebAssembly sandbox (pip install 'llm-pv[wasm]'), or let programs do whatever "
        "you may do yourself (--allow-unconfined, or allow_unconfined=True)"
    )


def _close(worker: Worker | None) -> None:
    if worker is not None:
        worker.close()


def _wasm_reason() -> str | None:
    """Return why WebAssembly cannot be used, or None when it can."""
    try:
        available: Callable[[], str | None] = import_module("llm_pv.sandbox.wasm").wasm_available
    except ImportError as error:
        return str(error)
    return available()


def _usable_seed(seed: int) -> int:
    try:
        number = int(operator.index(seed))  # a numpy integer becomes a plain one
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise ConfigurationError(f"seed {seed!r}: give a whole number from 0 to 4,294,967,295")
    return number


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
