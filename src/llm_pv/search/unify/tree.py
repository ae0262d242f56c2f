"""One decision tree, grown to the end and cut back step by step: every size is a candidate.

The order in which branches are cut is weakest-link pruning (Breiman et al., Classification and
Regression Trees, 1984, section 3.3), by Gini impurity: the branch goes that saves least for each
of its leaves.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.child_process import beside_memory_limit
from llm_pv.search.pool import Pool
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Branch, Candidate, Node, candidate
from llm_pv.search.types import Expression
from llm_pv.search.unify.features import LARGEST, Features, features_of, matrix, reaches

SIZES = (
    *(2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100),
    *(128, 160, 200, 256, 320, 400),
)
"""Leaves of the trees that are yielded, or the next smaller size on the path."""
MOST_LEAVES = 1000
COMPOSITE = 60
"""Telling conditions of the pool that are offered beside raw columns."""
MOST_CELLS = 6_000_000
"""Rows times features of one fit: beyond, conditions are left out, then rows."""
LEAST_ROWS = 2000
LOADING, GROWING = 1.2, 5e-7
"""CPU seconds of importing scikit-learn, and of growing a tree for each cell."""


def tree(pool: Pool) -> Iterator[Candidate]:
    """Yield trees of increasing size: on raw features, then with the most telling conditions."""
    raw = features_of(pool)
    if raw.numbers or raw.flags:
        yield from _path(raw, pool.problem, "tree")
    added = min(COMPOSITE, MOST_CELLS // pool.problem.size - len(raw.numbers) - len(raw.flags))
    if pool.columns and len(pool.conditions) and added > 0:
        both = features_of(pool, added)
        if len(both.flags) > len(raw.flags):
            yield from _path(both, pool.problem, "tree")


def _path(features: Features, problem: Problem, stage: str) -> Iterator[Candidate]:
    """Grow one tree and yield its subtrees, the smallest first."""
    if "sklearn.tree" not in sys.modules:
        problem.guard.check(LOADING)
    with beside_memory_limit():
        from sklearn.tree import DecisionTreeClassifier

    expressions = [*features.numbers, *features.flags]
    expressions = expressions[: MOST_CELLS // LEAST_ROWS]
    rows = problem.spread(max(LEAST_ROWS, MOST_CELLS // len(expressions)))
    most = max(2, min(MOST_LEAVES, problem.size // 2))
    model = DecisionTreeClassifier(random_state=0, max_leaf_nodes=most)
    design = _filled(expressions, problem, rows)
    problem.guard.check(design.size * GROWING)
    model.fit(design, problem.codes[rows], problem.weights[rows])
    problem.guard.check()
    grown = _Tree.of(model.tree_, problem)
    problem.count(grown.leaves)
    wanted = [size for size in SIZES if size <= grown.leaves]
    if grown.leaves not in wanted and grown.leaves < SIZES[-1]:
        wanted.append(grown.leaves)
    cuts: dict[tuple[int, int], Expression] = {}
    found: list[Candidate] = []
    while wanted and grown.leaves > 1:
        problem.guard.check()
        if grown.leaves <= wanted[-1]:
            program = grown.program(0, features, problem, cuts)
            found.append(candidate(program, problem, stage))
            while wanted and wanted[-1] >= grown.leaves:
                wanted.pop()
        grown.cut_weakest()
    yield from reversed(found)


def _filled(
    expressions: list[Expression], problem: Problem, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the values on rows, a missing number below all others: it reaches nothing."""
    columns = matrix(expressions, problem, rows)
    for index, one in enumerate(expressions):
        values = np.asarray(one.values[: problem.size])
        missing = np.isnan(values) if values.dtype.kind == "f" else None
        if missing is not None and missing.any() and not missing.all():
            least = max(float(np.nanmin(values)), -LARGEST)
            columns[missing[rows], index] = least - max(1.0, abs(least))
    return columns


@dataclass
class _Tree:
    """A grown tree, and how far it is cut back."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    answer: NDArray[np.int64]
    impurity: NDArray[np.float64]
    inner: NDArray[np.bool_]

    @classmethod
    def of(cls, tree: Any, problem: Problem) -> "_Tree":
        """Read a scikit-learn tree."""
        shares = np.zeros((tree.node_count, len(problem.classes)))
        shares[:] = tree.value[:, 0, :]
        weight = np.asarray(tree.weighted_n_node_samples)
        return cls(
            np.asarray(tree.children_left),
            np.asarray(tree.children_right),
            np.asarray(tree.feature),
            np.asarray(tree.threshold),
            shares.argmax(axis=1),
            weight * np.asarray(tree.impurity),
            np.asarray(tree.children_left) >= 0,
        )

    @property
    def leaves(self) -> int:
        """How many leaves there are now."""
        return int(self.inner.sum()) + 1

    def cut_weakest(self) -> None:
        """Make a leaf of the branch that saves the least impurity for each of its leaves."""
        below, leaves = self.impurity.copy(), np.ones(len(self.left))
        for node in np.flatnonzero(self.inner)[::-1].tolist():  # children come after parents
            below[node] = below[self.left[node]] + below[self.right[node]]
            leaves[node] = leaves[self.left[node]] + leaves[self.right[node]]
        saved = np.full(len(self.left), np.inf)
        inner = self.inner
        saved[inner] = (self.impurity[inner] - below[inner]) / (leaves[inner] - 1)
        weakest = int(saved.argmin())
        todo = [weakest]
        while todo:
            node = todo.pop()
            if self.inner[node]:
                self.inner[node] = False
                todo += [int(self.left[node]), int(self.right[node])]

    def program(
        self,
        node: int,
        features: Features,
        problem: Problem,
        cuts: dict[tuple[int, int], Expression],
    ) -> Node:
        """Return the program of a node; branches that answer alike are one."""
        if not self.inner[node]:
            return Answer(int(self.answer[node]))
        no = self.program(int(self.left[node]), features, problem, cuts)
        yes = self.program(int(self.right[node]), features, problem, cuts)
        if isinstance(no, Answer) and isinstance(yes, Answer) and no.code == yes.code:
            return no
        place = int(self.feature[node])
        if place >= len(features.numbers):
            return Branch(features.flags[place - len(features.numbers)], yes, no)
        key = place, node
        if key not in cuts:
            values = features.numbers[place].values[: problem.size]
            known = np.unique(values[np.isfinite(values)])
            above = int(np.searchsorted(known, self.threshold[node], "right"))
            if above == 0 or above == len(known):  # missing against all others, or rounding
                above = min(max(above, 1), len(known) - 1)
            low, high = float(known[above - 1]), float(known[above])
            cuts[key] = reaches(features.numbers[place], low, high)
        return Branch(cuts[key], yes, no)
