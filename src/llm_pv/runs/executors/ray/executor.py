"""Cells and candidates on a Ray cluster: tasks, continued on another machine if one is lost."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from llm_pv.data.examples import Input
from llm_pv.errors import ExecutorClosedError, WorkerLostError
from llm_pv.runs.executors.base import CellFunction, CellReassigned, CellTask, Emit
from llm_pv.runs.executors.ray.cluster import RETRIES, Cluster, Task
from llm_pv.runs.executors.ray.remote import ModelProcess, RemoteCell, answer, compute, execute
from llm_pv.runs.remote_records import Known, Results
from llm_pv.sandbox import Batch, Execution, Sandbox
from llm_pv.sandbox.outcome import not_run

MOST_UNDER_WAY = 2_000
"""Cells handed to the cluster at the same time; each has a thread here that waits for it."""

MOST_PROCESSES = 100
"""Processes asked for at the same time; those that find no room now take machines that join."""

BATCHES_A_SECOND = 100
"""As many batches as the driver unpacks beside its other work, whatever the cluster's size."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def batch_seconds(slots: int) -> float:
    """Return how often a cell sends what it has; what is not sent a lost machine costs.

    Examples
    --------
    >>> batch_seconds(8), batch_seconds(1_000)
    (1.0, 10.0)
    """
    return max(1.0, slots / BATCHES_A_SECOND)


class RayExecutor:
    """Computes cells on a cluster.

    A track's function gets a pair of ``shared`` and its inputs where there is something shared.
    What it computes with and the inputs are pickled; nothing of this machine's files is there.

    Parameters
    ----------
    cluster
        The cluster; closing the executor lets it go.
    shared
        Inputs of all cells, sent once; None without.
    prepare
        Returns what is sent of a cell's inputs, such as rows read from a file here; None sends
        them as they are.
    make
        Opens what many cells are computed with, such as a model, once in each process; None for
        tasks that need no such thing.
    alone
        Whether a process computes one cell and ends, so that all memory it took is free again.
    most
        How many cells are handed over at once at most; None for as many as there is room for.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        shared: object = None,
        prepare: Callable[[Any], object] | None = None,
        make: Callable[[], object] | None = None,
        alone: bool = False,
        most: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._shared = None if shared is None else cluster.share(shared)
        self._prepare = prepare
        self._processes = None if make is None else _ModelProcesses(cluster, make)
        self._alone = alone
        self.cells_at_once = most or (MOST_UNDER_WAY if make is None else MOST_PROCESSES)

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Return what a function returns on some machine of the cluster.

        Raise WorkerLostError if its machine was lost, and so was each other one. Raise LLMPVError
        for whatever error of this package the function raised.
        """
        task = self._cluster.start(answer, kwargs, function, *args)
        result: _Result = self._cluster.result(task)
        return result

    def run(self, function: CellFunction, task: CellTask, results: Results, emit: Emit) -> None:
        """Compute a cell on some machine; events that were passed on are not passed on again."""
        prepared = task.inputs if self._prepare is None else self._prepare(task.inputs)
        inputs = self._cluster.share(prepared)
        for further in reversed(range(RETRIES + 1)):
            remote = RemoteCell(
                function,
                Known.of(results, task.cell),
                batch_seconds(self._cluster.slots),
                self._cluster.confining,
            )
            try:
                with closing(self._stream(remote, inputs)) as batches:
                    for batch in batches:
                        emit(None)
                        batch.deliver(task.cell, results, emit)
            except WorkerLostError as error:
                if self._cluster.closed:
                    raise ExecutorClosedError(str(error)) from error
                if not further:
                    raise
                emit(CellReassigned())
            else:
                # Millions of attempts would fill the memory.
                results.cell_log(task.cell).shorten()
                return

    def close(self) -> None:
        """End every cell under way."""
        self._cluster.close()
        if self._processes is not None:
            self._processes.wake()

    def _stream(self, remote: RemoteCell, inputs: Any) -> Generator[Any, None, None]:
        if self._processes is not None:
            yield from self._processes.stream(remote, inputs, self._shared)
            return
        # Never run again by Ray: a cell is continued from what it has sent.
        task = self._cluster.start(
            compute, remote, inputs, self._shared, retries=0, streaming=True, alone=self._alone
        )
        batches = self._cluster.results(task)
        try:
            for batch in batches:  # noqa: UP028 - closed here, it is still known and can be cancelled
                yield batch
        except GeneratorExit:
            self._cluster.forget(task, cancel=True)
            raise


class _ModelProcesses:
    """Processes that each have opened the same thing; one more is started where none is free."""

    def __init__(self, cluster: Cluster, make: Callable[[], object]) -> None:
        self._cluster = cluster
        self._make = make
        self._free: deque[Any] = deque()
        """Processes without a cell, and errors of those that could not open."""
        self._waiting = self._opening = 0
        self._changed = threading.Condition()

    def stream(self, remote: RemoteCell, inputs: Any, shared: Any) -> Iterator[Any]:
        """Compute a cell in one of the processes; one that is lost is not used again."""
        process = self._take()
        lost = False
        try:
            compute = process.compute.options(num_returns="streaming").remote
            yield from self._cluster.results(compute(remote, inputs, shared))
        except WorkerLostError:
            lost = True
            self._cluster.end(process)
            raise
        finally:
            if not lost:
                self._put(process)

    def wake(self) -> None:
        """Wake all threads that wait for a process, because the cluster was released."""
        with self._changed:
            self._changed.notify_all()

    def _take(self) -> Any:
        """Wait for a free process; one more is opened if no thread waits for one."""
        with self._changed:
            self._waiting += 1
            if self._waiting > len(self._free) + self._opening:
                self._opening += 1
                threading.Thread(target=self._open, daemon=True).start()
            self._changed.wait_for(lambda: self._free or self._cluster.closed)
            self._waiting -= 1
            if self._cluster.closed:
                raise ExecutorClosedError("the cluster was released")
            free = self._free.popleft()
        if isinstance(free, Exception):
            raise free
        return free

    def _put(self, free: Any) -> None:
        with self._changed:
            self._free.append(free)
            self._changed.notify()

    def _open(self) -> None:
        """Open in a process, which waits until a machine has room."""
        process = None
        try:
            process = self._cluster.keep(ModelProcess, self._make)
            self._cluster.result(process.open.remote())
            opened = process
        except Exception as error:  # noqa: BLE001 - raised by the thread that takes it
            self._cluster.end(process)
            opened = error
        with self._changed:
            self._opening -= 1
        self._put(opened)


TOGETHER = 4
"""Candidates in one task, where there are many: handing over a task takes about a millisecond."""


class RaySandbox(Sandbox):
    """A sandbox whose workers are the machines of a cluster.

    Parameters
    ----------
    cluster
        The cluster, whose machines were found to confine; it is left open.
    """

    def __init__(self, cluster: Cluster) -> None:
        assert cluster.confining is not None, "its machines were inspected for it"
        assert cluster.confinement is not None
        self.limits = cluster.confining.limits
        self.confinement = cluster.confinement
        self._cluster = cluster
        self._sent: WeakKeyDictionary[Batch, Any] = WeakKeyDictionary()

    @property
    def ahead(self) -> int:
        """How many candidates keep every machine busy."""
        return 2 * TOGETHER * self._cluster.slots

    def predict(
        self,
        source: str,
        inputs: Sequence[Input],
        *,
        seed: int = 0,
        deadline: float = math.inf,
    ) -> Execution:
        """Run one program over the inputs, on one machine; see `Sandbox.predict`."""
        batch = Batch.of(inputs)
        (execution,) = self._result(self._start([(source, seed)], batch), 1, len(batch), deadline)
        return execution

    def predict_many(
        self,
        sources: Iterable[str],
        inputs: Sequence[Input],
        *,
        deadline: float = math.inf,
    ) -> Iterator[Execution]:
        """Run programs over the same inputs on many machines; see `Sandbox.predict_many`."""
        batch, waiting = Batch.of(inputs), iter(sources)
        first = list(islice(waiting, self._cluster.slots + 1))
        together = TOGETHER if len(first) > self._cluster.slots else 1
        sources = chain(first, waiting)
        tasks: deque[tuple[Task, int]] = deque()
        try:
            while jobs := [(source, 0) for source in islice(sources, together)]:
                tasks.append((self._start(jobs, batch), len(jobs)))
                if len(tasks) >= 2 * self._cluster.slots:
                    yield from self._result(*tasks.popleft(), len(batch), deadline)
            while tasks:
                yield from self._result(*tasks.popleft(), len(batch), deadline)
        finally:
            for task, _ in tasks:
                self._cluster.forget(task, cancel=True)

    def close(self) -> None:
        """End every run in progress."""
        self._cluster.close()

    def _result(self, task: Task, jobs: int, rows: int, deadline: float) -> list[Execution]:
        seconds = None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        try:
            executions: list[Execution] = self._cluster.result(task, seconds=seconds)
        except TimeoutError:
            return [not_run(rows)] * jobs
        return executions

    def _start(self, jobs: list[tuple[str, int]], batch: Batch) -> Task:
        if batch not in self._sent:
            self._sent[batch] = self._cluster.share(batch)
        return self._cluster.start(execute, self._cluster.confining, self._sent[batch], jobs)
