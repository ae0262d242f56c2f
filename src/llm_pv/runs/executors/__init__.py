"""Where the cells of a run are computed: this machine, or a Ray cluster."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_pv.runs.executors.base import Executor
    from llm_pv.runs.executors.local import WorkerProcesses
    from llm_pv.runs.executors.ray import Cluster
    from llm_pv.sandbox import Sandbox


def executor_for(
    cluster: "Cluster | None",
    *,
    cells_at_once: int,
    shared: Any = None,
    portable: Callable[[], object] | None = None,
    prepare: Callable[[Any], object] | None = None,
    opened: object = None,
    make: Callable[[], object] | None = None,
    alone: bool = False,
    most: int | None = None,
    processes: "WorkerProcesses | None" = None,
    sandbox: "Sandbox | None" = None,
    on_close: Sequence[Callable[[], object]] = (),
) -> "Executor":
    """Return the executor of a cluster, or of this machine; the one place that chooses it.

    Parameters
    ----------
    cluster
        The machines that compute the cells; None for this one.
    cells_at_once, processes, sandbox, on_close
        As for `LocalExecutor`; another machine has its own.
    shared, portable
        What all cells share: a track's function gets a pair of it and a cell's inputs; and what
        is sent of it to other machines, None for itself.
    prepare, alone, most
        As for `RayExecutor`.
    opened, make
        What cells are computed with here, such as a model, and what opens it on another machine.
    """
    if cluster is None:
        from llm_pv.runs.executors.local import LocalExecutor

        return LocalExecutor(
            cells_at_once,
            shared=shared,
            processes=processes,
            sandbox=sandbox,
            opened=opened,
            on_close=on_close,
        )
    from llm_pv.runs.executors.ray import RayExecutor

    sent = shared if portable is None else portable()
    return RayExecutor(cluster, shared=sent, prepare=prepare, make=make, alone=alone, most=most)
