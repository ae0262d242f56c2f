"""Options for running on a cluster."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyclopts import Group, Parameter

from llm_pv.cli.options import SandboxOptions, option_group, warn_if_weak
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_pv.runs.executors.ray import Cluster
    from llm_pv.sandbox import Sandbox

_CLUSTER = Group("Cluster", sort_key=11)


@option_group(_CLUSTER, cpus=Parameter(name="--ray-cpus"), gpus=Parameter(name="--ray-gpus"))
@dataclass(frozen=True)
class ClusterOptions:
    """Whether the work is done on a Ray cluster, and what one task takes there."""

    ray: str | None = None
    "Do the work on an existing Ray cluster: auto, or HOST:PORT of its head (see docs/scale.md)."
    cpus: float = 1.0
    "Cores one task takes."
    gpus: float = 0.0
    "GPUs one task takes; a fraction lets several share one."

    def check_model(self, name: str) -> None:
        """Raise an error for a model that does not run on a cluster.

        Raise ConfigurationError if it is called over the network.
        """
        from llm_pv.models.registry import provider_of

        if self.ray is not None and not provider_of(name).in_process:
            raise ConfigurationError(
                f"--ray: {name} is called over the network from here, where its key is; leave "
                "--ray out and raise --concurrency"
            )

    @contextmanager
    def connect(self, sandbox: SandboxOptions | None = None) -> "Iterator[Cluster | None]":
        """Connect to the cluster while the block runs, which ends if the cluster's head is lost.

        Returns
        -------
        Cluster or None
            None for work on this machine.
        """
        if self.ray is None:
            yield None
            return
        from llm_pv.runs.executors.ray import Cluster, Confining, Requirements, ended_with_its_head

        confining = None
        if sandbox is not None:
            confining = Confining(sandbox.limits(), sandbox.allow_unconfined, sandbox.sandbox)
        needs = Requirements(self.cpus, self.gpus)
        cluster = Cluster(self.ray, needs=needs, confining=confining)
        with ended_with_its_head(cluster.head), cluster:
            yield cluster

    @contextmanager
    def candidates(self, options: SandboxOptions) -> "Iterator[tuple[Sandbox, Cluster | None]]":
        """Open the sandbox that candidates run in, on the cluster if there is one."""
        with self.connect(options) as cluster:
            if cluster is None:
                with options.open() as opened:
                    yield opened, None
                return
            from llm_pv.runs.executors.ray import RaySandbox

            with RaySandbox(cluster) as opened:
                warn_if_weak(opened.confinement)
                yield opened, cluster


DEFAULT_CLUSTER_OPTIONS = ClusterOptions()
