"""Whole trials on a cluster: one task each, gone on with on another machine if its own is lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.proposers.replay import Replay
from llm_pv.runs.executors.local import WorkerLostError
from llm_pv.runs.executors.ray.cluster import RETRIES, Cluster
from llm_pv.runs.executors.ray.tasks import Errand, stream
from llm_pv.runs.remote_records import Known
from llm_pv.tracks.grid import Trial
from llm_pv.tracks.synthesis.elsewhere import Parcel, Work

MOST_UNDER_WAY = 2_000
"""Trials handed to the cluster at the same time; each has a thread here that waits for it."""


PARCELS_A_SECOND = 100
"""As many parcels as the driver unpacks beside its other work, whatever the cluster's size."""


def parcel_seconds(slots: int) -> float:
    """Return how often a trial sends what it has; what is not sent a lost machine costs.

    Examples
    --------
    >>> parcel_seconds(8), parcel_seconds(1_000)
    (1.0, 10.0)
    """
    return max(1.0, slots / PARCELS_A_SECOND)


@dataclass(frozen=True)
class Carried:
    """Saved replies, read here and carried to machines that do not have the files.

    Parameters
    ----------
    name, identity
        Those of the proposer they come from.
    proposals
        The replies.
    """

    name: str
    identity: str
    proposals: tuple[Proposal, ...]

    @property
    def default_attempts(self) -> int:
        """As many as there are replies."""
        return len(self.proposals)

    @property
    def free(self) -> bool:
        """Saved replies were paid for before."""
        return True

    def propose(
        self,
        train: Examples,  # noqa: ARG002 - a saved reply has seen its own
        classes: Classes,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        start: int = 0,
    ) -> Iterator[Proposal]:
        """Yield the saved replies in order."""
        return islice(self.proposals, start, None)


class ClusterTrials:
    """Does the trials of a grid on a cluster, as `run_grid` wants them done elsewhere.

    Parameters
    ----------
    cluster
        The cluster; it is left open.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._work: Any = None

    @property
    def at_once(self) -> int:
        """More than the cluster runs now, so that machines that join find work."""
        return MOST_UNDER_WAY

    def take(self, work: Work) -> None:
        """Send what all trials share."""
        proposer = carried(work.proposer)
        self._work = self._cluster.share(
            Work(work.request, work.plan, proposer, transfer=work.transfer)
        )

    def do(
        self, trial: Trial, splits: Splits | None, known: Callable[[], Known]
    ) -> Iterator[Parcel]:
        """Do a trial and yield what it comes to.

        Raises
        ------
        WorkerLostError
            If its machine was lost, and so was each one that went on with it.
        LLMPVError
            The error that ended the trial.
        """
        rows = None if splits is None else self._cluster.share(splits)
        for further in reversed(range(RETRIES + 1)):
            task = self._cluster.start(
                stream,
                self._cluster.confining,
                self._work,
                rows,
                Errand(trial, known(), parcel_seconds(self._cluster.slots)),
                retries=0,  # a trial is gone on with from what it has sent, never begun anew
                streaming=True,
            )
            try:
                yield from self._cluster.results(task)
            except WorkerLostError:
                if not further:
                    raise
            else:
                return

    def close(self) -> None:
        """End every trial under way."""
        self._cluster.close()


def carried(proposer: Proposer) -> Proposer:
    """Return a proposer that needs no file of this machine."""
    if isinstance(proposer, Replay):
        return Carried(proposer.name, proposer.identity, tuple(proposer.replies()))
    return proposer
