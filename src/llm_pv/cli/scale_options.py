"""Options for running on a cluster."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyclopts import Group, Parameter

from llm_pv.cli.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_pv.grid.elsewhere import Elsewhere
    from llm_pv.grid.workers import Workers
    from llm_pv.sandbox import Sandbox
    from llm_pv.scale import Cluster

_CLUSTER = Group("Cluster", sort_key=11)


@Parameter(name="*", group=_CLUSTER)
@dataclass(frozen=True)
class ClusterOptions:
    """Whether the work is done on a Ray cluster, and what one task takes there."""

    ray: str | None = None
    "Do the work on an existing Ray cluster: auto, or HOST:PORT of its head (see docs/scale.md)."
    ray_cpus: float = 1.0
    "Cores one task takes."
    ray_gpus: float = 0.0
    "GPUs one task takes; a fraction lets several share one."

    @contextmanager
    def trials(self, sandbox: SandboxOptions) -> "Iterator[tuple[Sandbox, Elsewhere | None]]":
        """Give where candidates run, and where whole trials are done; None for here."""
        if self.ray is None:
            with sandbox.open() as opened:
                yield opened, None
            return
        from llm_pv.scale import ClusterSandbox, ClusterTrials

        with self._open(self.ray, sandbox) as cluster, ClusterSandbox(cluster) as opened:
            yield opened, ClusterTrials(cluster)

    @contextmanager
    def candidates(self, sandbox: SandboxOptions) -> "Iterator[Sandbox]":
        """Give where candidates run."""
        with self.trials(sandbox) as (opened, _):
            yield opened

    @contextmanager
    def workers(self) -> "Iterator[Workers | None]":
        """Give where fits are made; None for here."""
        if self.ray is None:
            yield None
            return
        from llm_pv.scale import ClusterWorkers

        with self._open(self.ray, None) as cluster, ClusterWorkers(cluster) as workers:
            yield workers

    def _open(self, address: str, sandbox: SandboxOptions | None) -> "Cluster":
        from llm_pv.scale import Cluster, Confining, Needs

        confining = None
        if sandbox is not None:
            confining = Confining(sandbox.limits(), sandbox.allow_unconfined, sandbox.sandbox)
        return Cluster(address, needs=Needs(self.ray_cpus, self.ray_gpus), confining=confining)
