"""The `Sandbox`: takes programs and inputs, returns executions."""

import math
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Self

from llm_pv.errors import SandboxError
from llm_pv.sandbox.batch import Batch
from llm_pv.sandbox.confinement import Confinement
from llm_pv.sandbox.execution import DEFAULT_LIMITS, Execution, Limits
from llm_pv.sandbox.outcome import join, not_run
from llm_pv.sandbox.worker_pool import Backend, assemble, program_task, usable_seed

if TYPE_CHECKING:  # these import numpy
    from concurrent.futures import Future

    from llm_pv.data.examples import Input

ROWS_FOR_ONE_WORKER = 2_000
"""More rows than this are spread over the workers."""


class Sandbox:
    """Runs untrusted programs over inputs, on a pool of warm, confined workers.

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
        limits: Limits = DEFAULT_LIMITS,
        *,
        workers: int | None = None,
        allow_unconfined: bool = False,
        backend: Backend = "auto",
    ) -> None:
        self.limits = limits
        self._pool, self.confinement = assemble(backend, workers, allow_unconfined=allow_unconfined)
        self._finalizer = weakref.finalize(self, self._pool.close)

    @property
    def ahead(self) -> int:
        """How many programs, given to `predict_many` together, keep every worker busy."""
        return 2 * self._pool.size

    def predict(
        self,
        source: str,
        inputs: "Sequence[Input]",
        *,
        seed: int = 0,
        deadline: float = math.inf,
    ) -> Execution:
        """Run one program over the inputs, spread over the workers when they are many.

        Parameters
        ----------
        source
            The program: a module that defines ``f``.
        inputs
            What ``f`` is called with, one by one. A `Batch` saves preparing them again.
        seed
            From 0 to 2**32 - 1. Seeds hashing (and so the order of sets), `random` and
            ``numpy.random`` for the program. The WebAssembly sandbox seeds `random` alone.
        deadline
            A time of `time.monotonic` at which the run is ended whatever its limits; its result
            then holds no row.

        Returns
        -------
        Execution
            Failures of the program are recorded here, never raised. If the rows are spread over
            workers, each part runs in its own process with its own limits.

        Raises
        ------
        ConfigurationError
            If the seed is no such number.
        DataError
            If an input is neither a string nor a dict of plain values.
        SandboxError
            If the sandbox itself fails or is closed.
        """
        seed = usable_seed(seed)
        batch = Batch.of(inputs)
        whole = len(batch) <= ROWS_FOR_ONE_WORKER or self._pool.size == 1
        if whole and deadline == math.inf:
            return self._pool.run(program_task(source, batch, self.limits, seed), set())
        parts = [batch] if whole else batch.split(self._pool.size)
        with self._pool.several(self.limits) as start:
            runs = [start(source, part, seed) for part in parts]
            results = zip(runs, parts, strict=True)
            return join([_result(run, len(part), deadline) for run, part in results])

    def predict_many(
        self,
        sources: Iterable[str],
        inputs: "Sequence[Input]",
        *,
        deadline: float = math.inf,
    ) -> Iterator[Execution]:
        """Run programs over the same inputs, several at once, and yield results in order.

        Parameters
        ----------
        sources
            The programs, consumed lazily: at most two per worker in advance.
        inputs, deadline
            As for `predict`.

        Yields
        ------
        Execution
            One for each program. Closing the iterator ends the runs started in advance.
        """
        batch = Batch.of(inputs)
        waiting = iter(sources)
        first = list(islice(waiting, 2))
        if len(first) == 1:
            yield self.predict(first[0], batch, deadline=deadline)
            return
        with self._pool.several(self.limits) as start:
            runs: deque[Future[Execution]] = deque()
            for source in chain(first, waiting):
                runs.append(start(source, batch, 0))
                if len(runs) >= 2 * self._pool.size:
                    yield _result(runs.popleft(), len(batch), deadline)
            while runs:
                yield _result(runs.popleft(), len(batch), deadline)

    def close(self) -> None:
        """End every process of this sandbox; a run in progress raises SandboxError."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _result(run: "Future[Execution]", rows: int, deadline: float) -> Execution:
    try:
        return run.result(None if deadline == math.inf else max(deadline - time.monotonic(), 0.0))
    except TimeoutError:
        return not_run(rows)


def probe_confinement() -> Confinement:
    """Return the confinement that `Sandbox` would choose on this machine.

    Returns
    -------
    Confinement
        Not `sufficient` where `Sandbox` would raise.
    """
    try:
        with Sandbox(workers=1, allow_unconfined=True) as sandbox:
            return sandbox.confinement
    except SandboxError as error:
        return Confinement("unconfined", missing={"process": str(error)})
