"""Whole trials on a cluster: one task each, gone on with on another machine if its own is lost."""

from collections.abc import Callable, Iterator
from typing import Any

from llm_pv.data.examples import Splits
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
        proposer = work.proposer.portable()
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
