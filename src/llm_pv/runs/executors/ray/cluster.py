"""An existing Ray cluster: connect to it, inspect its machines, start tasks, leave it running."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from llm_pv.errors import ClusterError, ExecutorClosedError, MissingExtraError, WorkerLostError
from llm_pv.runs.executors.ray.head import refuse_unreachable
from llm_pv.runs.executors.ray.remote import Confining, Failed, Requirements, Versions, inspect
from llm_pv.sandbox import Confinement

RETRIES = 3
"""How often a task is run again whose process or machine was lost."""

INSPECT_SECONDS = 120.0

Task = Any
"""Ray's handle of a submitted task: a reference, or a generator of them."""


class Cluster:
    """A Ray cluster to hand tasks to; use it as a context manager.

    Every machine that could take a task is inspected first: it must have the same versions and,
    where candidates run, confine them.

    Raise MissingExtraError if Ray is not installed. Raise ClusterError if there is no cluster, or
    its machines cannot do what is needed.

    Parameters
    ----------
    address
        ``"auto"`` for the cluster this machine belongs to, or the ``HOST:PORT`` of its head.
    needs
        What one task takes; None for one core.
    confining
        How candidates are confined on each machine; None where none run.

    Attributes
    ----------
    slots
        How many tasks run at once on the machines there are now.
    confinement
        How programs are confined on the machine that confines them least; None where none run.
    """

    def __init__(
        self,
        address: str,
        *,
        needs: Requirements | None = None,
        confining: Confining | None = None,
    ) -> None:
        self.needs = needs or Requirements()
        self.confining = confining
        self._lock = threading.Lock()
        self._under_way: dict[int, Task] = {}
        self._actors: set[Any] = set()
        self._closed = False
        self._ray = connect(address)
        try:
            self.versions = Versions.here()
            self.slots = self._count_slots()
            self.confinement = self._inspect_machines()
        except BaseException:
            self._ray.shutdown()
            raise

    @property
    def head(self) -> str:
        """The ``HOST:PORT`` of its head."""
        return str(self._ray.get_runtime_context().gcs_address)

    @property
    def closed(self) -> bool:
        """Whether it was released, so that a lost task is no failure."""
        return self._closed

    def share(self, value: object) -> Any:
        """Send a value that several tasks take; pass what is returned to `start` in its place."""
        return self._ray.put(value)

    def start(
        self,
        function: Callable[..., object],
        *args: Any,
        retries: int = RETRIES,
        streaming: bool = False,
        alone: bool = False,
    ) -> Task:
        """Hand over a task; its first argument is this process's versions.

        Raise ExecutorClosedError if this cluster was closed.

        Parameters
        ----------
        retries
            How often Ray runs it again if its process or machine is lost.
        streaming
            Whether it is a generator, for `results`.
        alone
            Whether its process does nothing after it, so that all memory it took is free again.
        """
        options = self._resources() | {
            "max_retries": retries,
            "name": f"llm-pv {function.__name__}",
        }
        if streaming:
            options["num_returns"] = "streaming"
        if alone:
            options["max_calls"] = 1
        with self._lock:
            if self._closed:
                raise ExecutorClosedError("the cluster was released")
            task = self._ray.remote(**options)(function).remote(self.versions, *args)
            self._under_way[id(task)] = task
        return task

    def keep(self, kind: type, *args: Any) -> Any:
        """Start a process that takes what a task does and holds an object, and return its handle.

        Raise ExecutorClosedError if this cluster was closed.

        Parameters
        ----------
        kind
            The object's class; its first argument is this process's versions. What its methods
            return on `.remote` is for `result` and `results`.
        """
        with self._lock:
            if self._closed:
                raise ExecutorClosedError("the cluster was released")
            actor = self._ray.remote(**self._resources())(kind).remote(self.versions, *args)
            self._actors.add(actor)
        return actor

    def end(self, actor: Any) -> None:
        """End a process that `keep` started."""
        with self._lock:
            known = actor in self._actors
            self._actors.discard(actor)
        if known and self._ray.is_initialized():
            self._ray.kill(actor)

    def result(self, task: Task, *, seconds: float | None = None) -> Any:
        """Wait for the result of a task, so many seconds at most, and return it.

        Raise TimeoutError, and end the task, if it takes longer. Raise WorkerLostError if its
        process or machine was lost, and again each time it was retried. Raise LLMPVError for
        whatever error of this package the task raised.
        """
        with self._losses_as_errors():
            try:
                return self._opened(self._ray.get(task, timeout=seconds))
            except self._ray.exceptions.GetTimeoutError as error:
                self.forget(task, cancel=True)
                raise TimeoutError from error
            finally:
                self.forget(task)

    def results(self, generator: Task) -> Iterator[Any]:
        """Wait for the results of a streaming task, and yield each when it comes.

        Raise WorkerLostError or LLMPVError as for `result`.
        """
        try:
            while True:
                with self._losses_as_errors():
                    try:
                        reference = next(generator)
                    except StopIteration:
                        return
                    result = self._opened(self._ray.get(reference))
                yield result
        finally:
            self.forget(generator)

    def forget(self, task: Task, *, cancel: bool = False) -> None:
        """Drop a task; with ``cancel``, end it if it is still running."""
        with self._lock:
            known = self._under_way.pop(id(task), None)
        if cancel and known is not None and self._ray.is_initialized():
            self._ray.cancel(known, force=True)

    def close(self) -> None:
        """End every running task; callers that wait for one get a WorkerLostError."""
        with self._lock:
            self._closed = True
            tasks, actors = list(self._under_way.values()), list(self._actors)
        for task in tasks:
            self.forget(task, cancel=True)
        for actor in actors:
            self.end(actor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._ray.shutdown()

    def _resources(self) -> dict[str, Any]:
        cpus, gpus = self.needs.cpus, self.needs.gpus
        return {"num_cpus": cpus, "num_gpus": gpus} if gpus else {"num_cpus": cpus}

    def _opened(self, result: Any) -> Any:
        if isinstance(result, Failed):
            raise result.error
        return result

    @contextmanager
    def _losses_as_errors(self) -> Iterator[None]:
        try:
            yield
        except self._ray.exceptions.RayTaskError as error:
            raise ClusterError(
                f"a machine cannot run this package: {_last_line(error)}; install the same there"
            ) from error
        except self._ray.exceptions.RayError as error:
            raise WorkerLostError(
                "a process on the cluster ended before it answered: it was stopped, or its machine "
                f"was lost or ran out of memory ({type(error).__name__})"
            ) from error

    def _count_slots(self) -> int:
        fitting = [self.needs.fitting(node["Resources"]) for node in self._nodes()]
        if not any(fitting):
            offered = " and ".join(
                f"{max((node['Resources'].get(kind, 0.0) for node in self._nodes()), default=0):g} "
                f"{kind}"
                for kind in ("CPU", "GPU")
            )
            raise ClusterError(
                f"a task needs {self.needs}, and no machine of the cluster has that (at most "
                f"{offered}): give other --ray-cpus or --ray-gpus, or start such machines first"
            )
        return sum(fitting)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _inspect_machines(self) -> Confinement | None:
        """Refuse the cluster if a machine of it could not do its part; return the confinement."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = []  # several nodes may have one address
        for node in self._nodes():
            if self.needs.fitting(node["Resources"]):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = self._ray.remote(num_cpus=0, scheduling_strategy=there)(inspect)
                place = f"{node['NodeManagerAddress']} (node {node['NodeID'][:8]})"
                asked.append((place, task.remote(self.versions, self.confining)))
        obstacles, confinements = [], []
        for place, task in asked:
            try:
                found = self._ray.get(task, timeout=INSPECT_SECONDS)
                obstacle = str(found.error) if isinstance(found, Failed) else ""
                confinements += [found] if isinstance(found, Confinement) else []
            except self._ray.exceptions.GetTimeoutError:
                obstacle = f"it did not answer within {INSPECT_SECONDS:g} seconds"
            except self._ray.exceptions.TaskUnschedulableError:
                continue  # the machine has gone meanwhile
            except self._ray.exceptions.RayError as error:
                obstacle = f"it cannot run this package: {_last_line(error)}"
            if obstacle:
                obstacles.append((place, obstacle))
        if obstacles:
            place, obstacle = obstacles[0]
            more = f" (and {len(obstacles) - 1} more machines)" if len(obstacles) > 1 else ""
            raise ClusterError(f"{place}{more} of the cluster cannot be used: {obstacle}")
        least = sorted(confinements, key=lambda one: (one.sufficient, len(one.active)))
        return least[0] if least else None


def connect(address: str) -> Any:
    """Connect this process to a cluster and return the module `ray`.

    Raise MissingExtraError, ClusterError or ConfigurationError as for `Cluster`.
    """
    # Ray would write what its nodes said last on standard output, among the results.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "run on a cluster") from error
    refuse_unreachable(address)
    try:
        with _sigterm_as_it_was():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ClusterError(
            f"--ray {address}: no cluster runs here; begin one with ray start --head, or give the "
            "HOST:PORT of its head"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise ClusterError(f"--ray {address}: {' '.join(str(error).split())}") from error
    return ray


@contextmanager
def _sigterm_as_it_was() -> Iterator[None]:
    """Put back what SIGTERM does: Ray makes it end the process without our message."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
