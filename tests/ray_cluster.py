"""A Ray cluster of two nodes on this machine, for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "src"
TESTS = Path(__file__).parent
_MEMORY = 80_000_000


@contextmanager
def two_nodes() -> "Iterator[Any]":
    """Give a cluster whose head has no cores, and whose one other node has two."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        paths = [str(SOURCE), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))  # the nodes run what is tested
        patch.setenv("OMP_NUM_THREADS", "1")
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "include_dashboard": False,
                "object_store_memory": _MEMORY,
            },
        )
        try:
            add_node(cluster)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster: Any) -> Any:
    """Add a node with one core to the cluster."""
    return cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
