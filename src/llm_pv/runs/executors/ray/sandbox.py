"""Candidates verified on the machines of a cluster, each confined where it runs."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any
from weakref import WeakKeyDictionary

from llm_pv.data.examples import Input
from llm_pv.runs.executors.ray.cluster import Cluster, Task
from llm_pv.runs.executors.ray.remote import execute
from llm_pv.sandbox import Batch, Execution, Sandbox
from llm_pv.sandbox.outcome import not_run

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
