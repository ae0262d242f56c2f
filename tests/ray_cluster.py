"""A Ray cluster of two nodes on this machine, a proposer and a model that wait, for tests."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.models.base import ModelOptions
from llm_pv.models.label_queries import LabelQuery
from llm_pv.models.language_model import LanguageModel
from llm_pv.models.registry import make_model
from llm_pv.proposers.base import Proposal, Proposer

_PATHS = (Path(__file__).parents[1] / "src", Path(__file__).parent)
_MEMORY = 80_000_000


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Give a cluster of two nodes with one core each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        paths = [*map(str, _PATHS), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))  # the nodes run what is tested
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": _MEMORY}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            add_node(cluster)
            yield cluster
        finally:
            end: Callable[[], None] = cluster.shutdown
            end()


def add_node(cluster: Any) -> Any:
    """Add a node with one core to the cluster."""
    return cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)


@dataclass(frozen=True)
class Waiting(Proposer):
    """Proposes programs, and waits before one of them until a file is there.

    Parameters
    ----------
    programs
        The programs.
    before
        How many of them are proposed without waiting.
    gate
        The file.
    """

    programs: tuple[str, ...]
    before: int
    gate: Path

    name = "waiting"
    identity = "waiting"
    free = True

    @property
    def default_attempts(self) -> int:
        return len(self.programs)

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        for number, program in enumerate(self.programs[start:], start=start):
            while number >= self.before and not self.gate.exists():
                time.sleep(0.05)
            yield Proposal(program)


@dataclass(frozen=True)
class WaitingModel:
    """Opens a model whose second group of answers waits until a file is there.

    Parameters
    ----------
    folder
        The model's.
    gate
        The file.
    """

    folder: Path
    gate: Path

    def __call__(self) -> Any:
        model: Any = small_model(self.folder)
        whole = model.choose

        def choose(prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]) -> Any:
            for number, group in enumerate(whole(prompts, query, seeds=seeds)):
                while number and not self.gate.exists():
                    time.sleep(0.05)
                yield group

        model.choose = choose
        return model


def small_model(folder: Path) -> LanguageModel:
    """Return a model of this machine that answers four prompts at a time."""
    return make_model(f"hf:{folder}", ModelOptions(batch_size=4))
