"""Options for running on a cluster."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Group, Parameter

from llm_pv.cli.options import SandboxOptions
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llm_pv.models.answers import AnsweringModel
    from llm_pv.runs.executors.local import Workers
    from llm_pv.runs.executors.ray import Cluster, ClusterJobs
    from llm_pv.sandbox import Sandbox
    from llm_pv.tracks.finetune.request import Job
    from llm_pv.tracks.finetune.sweep import Elsewhere as ElsewhereJobs
    from llm_pv.tracks.icl.run import Elsewhere as ElsewhereAnswers
    from llm_pv.tracks.synthesis.elsewhere import Elsewhere

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
        from llm_pv.runs.executors.ray import ClusterSandbox, ClusterTrials

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
        from llm_pv.runs.executors.ray import ClusterWorkers

        with self._open(self.ray, None) as cluster, ClusterWorkers(cluster) as workers:
            yield workers

    def check_model(self, name: str) -> None:
        """Refuse a model that a cluster is no use for.

        Raises
        ------
        ConfigurationError
            If it is asked over the network.
        """
        from llm_pv.models.registry import ENGINES, split_name

        if self.ray is not None and split_name(name)[0] not in ENGINES:
            raise ConfigurationError(
                f"--ray: {name} is asked over the network, from here, where its key is; leave "
                "--ray out and raise --concurrency"
            )

    @contextmanager
    def answers(
        self, make: "Callable[[], AnsweringModel]", identity: str
    ) -> "Iterator[ElsewhereAnswers | None]":
        """Give where a model answers; None for here.

        Parameters
        ----------
        make
            Opens the model, on any machine.
        identity
            What it is here.
        """
        if self.ray is None:
            yield None
            return
        from llm_pv.runs.executors.ray import ClusterAnswers, Opening

        with self._open(self.ray, None) as cluster:
            yield ClusterAnswers(cluster, Opening(make, identity, Path.cwd()))

    @contextmanager
    def jobs(self) -> "Iterator[ClusterJobs | None]":
        """Give where a model is trained; None for here."""
        if self.ray is None:
            yield None
            return
        from llm_pv.runs.executors.ray import ClusterJobs

        with self._open(self.ray, None) as cluster:
            yield ClusterJobs(cluster)

    @contextmanager
    def sweep(self, jobs: "Mapping[str, Job]") -> "Iterator[ElsewhereJobs | None]":
        """Give where the jobs of a sweep are done; None for here."""
        if self.ray is None:
            yield None
            return
        from llm_pv.runs.executors.ray import ClusterSweep

        with self.jobs() as cluster:
            assert cluster is not None
            yield ClusterSweep(cluster, jobs)

    @contextmanager
    def _open(self, address: str, sandbox: SandboxOptions | None) -> "Iterator[Cluster]":
        from llm_pv.runs.executors.ray import Cluster, Confining, Needs, ended_with_its_head

        confining = None
        if sandbox is not None:
            confining = Confining(sandbox.limits(), sandbox.allow_unconfined, sandbox.sandbox)
        needs = Needs(self.ray_cpus, self.ray_gpus)
        cluster = Cluster(address, needs=needs, confining=confining)
        with ended_with_its_head(cluster.head), cluster:
            yield cluster
