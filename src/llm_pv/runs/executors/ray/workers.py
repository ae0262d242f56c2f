"""Calls of our own functions on a cluster, in place of the processes of this machine."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from llm_pv.runs.executors.local import Workers
from llm_pv.runs.executors.ray.cluster import Cluster
from llm_pv.runs.executors.ray.tasks import answer

MOST_CALLS = 2_000
"""Calls handed to the cluster at the same time; each has a thread here that waits for it."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class ClusterWorkers(Workers):
    """Runs functions of this package on a cluster; a call whose machine is lost is made again.

    Parameters
    ----------
    cluster
        The cluster; it is left open.
    """

    far = True

    def __init__(self, cluster: Cluster) -> None:
        self.size = MOST_CALLS
        self._cluster = cluster

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run a function on a machine of the cluster and return what it returns.

        Raises
        ------
        WorkerLostError
            If its machine was lost, and again each time, or the cluster was let go.
        LLMPVError
            Whatever error of this package the function raised.
        """
        task = self._cluster.start(answer, kwargs, function, *args)
        result: _Result = self._cluster.result(task)
        return result

    def share(self, value: _Result) -> _Result:
        """Send a value once; what is returned is good for an argument by position, and no more."""
        sent: _Result = self._cluster.share(value)
        return sent

    def close(self) -> None:
        """End every call in progress."""
        self._cluster.close()

    def __exit__(self, *_: object) -> None:
        self.close()
