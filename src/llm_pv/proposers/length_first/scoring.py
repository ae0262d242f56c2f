"""What a candidate costs, and a board that keeps the cheapest of millions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first.conditions import Conditions, ready
from llm_pv.proposers.length_first.expressions import Expression, negation
from llm_pv.proposers.length_first.mining import information
from llm_pv.proposers.length_first.weights import NEGATION, mistake_bits

MOST_ADDED = 400
"""Conditions found by other stages that are joined too."""


@dataclass(frozen=True, eq=False)
class Target:
    """One class against all others.

    Parameters
    ----------
    rows
        The training rows in question, by position.
    members
        Whether each of them is of the class.
    prices
        The bits that 0, 1, 2, ... mistakes cost.
    """

    rows: NDArray[np.int64]
    members: NDArray[np.bool_]
    prices: NDArray[np.float64]

    @classmethod
    def of(
        cls, rows: NDArray[np.int64], members: NDArray[np.bool_], noise: float = 0.0
    ) -> "Target":
        """Price the mistakes on these rows."""
        return cls(rows, members, np.array(mistake_bits(len(members), 2, noise)))

    @property
    def size(self) -> int:
        """How many training rows are in question."""
        return len(self.members)

    def mistakes(self, truth: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many training rows each condition gets wrong."""
        blocks = [
            self.mistakes_of(truth[start : start + 20_000, self.rows])
            for start in range(0, len(truth), 20_000)
        ]
        return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int64)

    def mistakes_of(self, truth: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the same for values on the rows in question alone."""
        signs = np.where(self.members, 1.0, -1.0).astype(np.float32)
        right = truth.astype(np.float32) @ signs
        return np.asarray(self.members.sum() - right, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Scored:
    """A condition that answers a target, with its mistakes and its cost."""

    condition: Expression
    mistakes: int
    cost: float


def scored(condition: Expression, target: Target) -> Scored:
    """Count a condition's mistakes."""
    wrong = int((condition.values[target.rows] != target.members).sum())
    return Scored(condition, wrong, condition.bits + float(target.prices[wrong]))


class Board:
    """Keeps the cheapest candidates, each a row of integers that says how to write it.

    Examples
    --------
    >>> board = Board(1)
    >>> board.offer(np.array([3.0, 2.0]), np.array([[7, 8]]))
    >>> board.best().tolist()
    [[8]]
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._costs = np.zeros(0)
        self._notes: NDArray[np.int64] | None = None
        self.offered = 0

    @property
    def bar(self) -> float:
        """The cost from which on a candidate is not kept."""
        return np.inf if len(self._costs) < self._capacity else float(self._costs[-1])

    def wants(self, costs: NDArray[np.float64]) -> bool:
        """Count these candidates where none is cheap enough; otherwise they are to be offered."""
        if not len(costs) or costs.min() >= self.bar:
            self.offered += len(costs)
            return False
        return True

    def offer(self, costs: NDArray[np.float64], notes: NDArray[np.int64]) -> None:
        """Take what is cheap enough; ``notes`` has one column for each cost."""
        self.offered += len(costs)
        cheap = np.flatnonzero(costs < self.bar)
        if not len(cheap):
            return
        every = np.concatenate([self._costs, costs[cheap]])
        notes = notes[:, cheap]
        both = notes if self._notes is None else np.concatenate([self._notes, notes], axis=1)
        order = np.argsort(every, kind="stable")[: self._capacity]
        self._costs, self._notes = every[order], both[:, order]

    def best(self) -> NDArray[np.int64]:
        """Return the notes of what was kept, cheapest first, one row each."""
        return np.zeros((0, 0), np.int64) if self._notes is None else self._notes.T


def best_single(conditions: Conditions, target: Target, capacity: int) -> list[Scored]:
    """Return the conditions, or their opposites, that answer the target most cheaply."""
    board = Board(capacity)
    wrong = target.mistakes(conditions.truth)
    indices = np.arange(len(conditions))
    for opposite in (0, 1):
        mistakes = target.size - wrong if opposite else wrong
        costs = conditions.bits + opposite * NEGATION + target.prices[mistakes]
        board.offer(costs, np.stack([indices, np.full_like(indices, opposite)]))
    found = []
    for index, opposite in board.best().tolist():
        condition = conditions.written(index)
        found.append(scored(negation(condition) if opposite else condition, target))
    return found


def entropies(counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the bits that the classes of each group of rows take."""
    total = counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(counts > 0, counts * np.log2(counts / total), 0.0)
    return np.asarray(-terms.sum(axis=1), dtype=np.float64)


def telling(conditions: Conditions, target: Target, most: int) -> Conditions:
    """Return the conditions worth joining: the most informative for their length, and the shortest.

    What matters in a conjunction or a sum modulo two may say little on its own, so a third of the
    places go by length alone.
    """
    if len(conditions) <= most:
        return conditions
    return conditions.chosen(_telling(conditions, target, most))


def telling_of_any(conditions: Conditions, targets: list[Target], most: int) -> Conditions:
    """Return what is worth joining for any of several targets, up to ``most`` for each."""
    if len(conditions) <= most:
        return conditions
    chosen = [_telling(conditions, target, most) for target in targets]
    return conditions.chosen(np.unique(np.concatenate(chosen)))


def _telling(conditions: Conditions, target: Target, most: int) -> NDArray[np.int64]:
    members = target.members.astype(np.float32)
    positives = np.empty(len(conditions))
    total = np.empty(len(conditions))
    for start in range(0, len(conditions), 20_000):
        block = conditions.truth[start : start + 20_000, target.rows].astype(np.float32)
        positives[start : start + 20_000] = block @ members
        total[start : start + 20_000] = block.sum(axis=1)
    inside = int(target.members.sum())
    gain = information(positives, total - positives, inside, target.size - inside)
    by_gain = np.argsort(conditions.bits - gain * target.size, kind="stable")
    chosen = dict.fromkeys(by_gain[: most * 2 // 3].tolist())
    chosen.update(dict.fromkeys(range(most - len(chosen))))
    return np.array(sorted(chosen))


def with_found(conditions: Conditions, found: list[Scored], target: Target) -> Conditions:
    """Add conditions that other stages found, no two of them alike on the rows, to be joined."""
    different: dict[bytes, Scored] = {}
    for one in sorted(found, key=lambda one: one.cost):
        different.setdefault(one.condition.values[target.rows].tobytes(), one)
    new = list(different.values())[:MOST_ADDED]
    if not new:
        return conditions
    truth = np.array([one.condition.values for one in new], dtype=bool)
    bits = np.array([one.condition.bits for one in new])
    if len(conditions):
        truth = np.concatenate([conditions.truth, truth])
        bits = np.concatenate([conditions.bits, bits])
    return Conditions([*conditions.sketches, *(ready(one.condition) for one in new)], truth, bits)
