"""Two, three or four conditions joined by and, or, or by being different."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first.conditions import Conditions, Sketch, ready
from llm_pv.proposers.length_first.expressions import (
    AND,
    DIFFER,
    OR,
    Expression,
    joined,
    negation,
)
from llm_pv.proposers.length_first.scoring import Board, Scored, Target, scored
from llm_pv.proposers.length_first.weights import CONJUNCTION, NEGATION

BLOCK = 200
BEAM = 150
"""Joined conditions that are joined once more."""
ROUNDS = 3
MOST_MISTAKES = 4
"""Mistakes of a difference up to which it is looked at."""

CELLS = ((1, 1), (1, 0), (0, 1), (0, 0))
"""The four ways two conditions can turn out. The condition "this cell" is a conjunction, "not this
cell" a disjunction; "one of the middle two" is that they differ."""


def best_joined(
    conditions: Conditions,
    target: Target,
    capacity: int,
    expired: Callable[[], bool],
    count: Callable[[int], None],
) -> list[Scored]:
    """Return the cheapest joined conditions: all pairs, then the best of them joined again."""
    found: list[Scored] = []
    left = conditions
    for _ in range(ROUNDS):
        best, tried = _join(left, conditions, target, capacity, expired)
        count(tried)
        found.extend(best)
        if not best or expired():
            break
        beam = best[:BEAM]
        truth = np.array([one.condition.values for one in beam])
        bits = np.array([one.condition.bits for one in beam])
        left = Conditions([ready(one.condition) for one in beam], truth, bits)
    return found


def best_of_three(
    conditions: Conditions,
    target: Target,
    capacity: int,
    expired: Callable[[], bool],
    count: Callable[[int], None],
) -> list[Scored]:
    """Return the cheapest joins of three conditions, all of them tried.

    `best_joined` joins its best pairs once more; a pair of three that are all needed may be far
    from the best.
    """
    pairs = _conjunctions(conditions, target)
    if not len(pairs):
        return []
    found, tried = _join(pairs, conditions, target, capacity, expired)
    count(tried)
    return found


def best_differing(
    conditions: Conditions,
    target: Target,
    capacity: int,
    expired: Callable[[], bool],
    count: Callable[[int], None],
) -> list[Scored]:
    """Return the cheapest pairs of which exactly one holds, or not so: alone, neither says much."""
    pool = conditions
    signs = np.where(pool.truth[:, target.rows], 1.0, -1.0).astype(np.float32)
    wanted = np.where(target.members, -1.0, 1.0).astype(np.float32)
    board = Board(capacity)
    for start in range(0, len(pool), BLOCK):
        if expired():
            break
        # Where two differ the product of their signs is -1: its sum with the wanted sign counts.
        agreed = (signs[start : start + BLOCK] * wanted) @ signs[start:].T
        rows, columns = np.nonzero(np.abs(agreed) >= target.size - 2 * MOST_MISTAKES)
        later = rows < columns
        rows, columns = rows[later], columns[later]
        same = agreed[rows, columns] < 0
        mistakes = ((target.size - np.abs(agreed[rows, columns])) / 2).astype(np.int64)
        bits = pool.bits[rows + start] + pool.bits[columns + start] + CONJUNCTION + NEGATION * same
        notes = np.stack([rows + start, columns + start, np.where(same, 9, 8)])
        board.offer(bits + target.prices[mistakes], notes)
    count(len(pool) * len(pool) // 2)
    return [
        scored(_written(pool.written(first), pool.written(second), kind), target)
        for first, second, kind in board.best().tolist()
    ]


def _conjunctions(conditions: Conditions, target: Target) -> Conditions:
    """Return that two conditions hold, or their opposites; of those that agree the shortest."""
    first, second = np.triu_indices(len(conditions), 1)
    truths, bits = [], []
    for is_first, is_second in CELLS:
        truths.append(
            (conditions.truth[first] == is_first) & (conditions.truth[second] == is_second)
        )
        both = conditions.bits[first] + conditions.bits[second] + CONJUNCTION
        bits.append(both + NEGATION * (2 - is_first - is_second))
    truth, lengths = np.concatenate(truths), np.concatenate(bits)
    packed = np.packbits(truth[:, target.rows], axis=1)
    seen: set[bytes] = set()
    kept = []
    for index in np.argsort(lengths, kind="stable").tolist():
        key = packed[index].tobytes()
        if key not in seen:
            seen.add(key)
            kept.append(index)

    def sketch(index: int) -> Sketch:
        kind, pair = divmod(index, len(first))
        one, other = int(first[pair]), int(second[pair])
        return Sketch(
            float(lengths[index]),
            lambda: _written(conditions.written(one), conditions.written(other), kind),
        )

    return Conditions([sketch(index) for index in kept], truth[kept], lengths[kept])


def _join(
    left: Conditions,
    right: Conditions,
    target: Target,
    capacity: int,
    expired: Callable[[], bool],
) -> tuple[list[Scored], int]:
    """Join every condition on the left with every one on the right."""
    board = Board(capacity)
    same = left is right
    inside, outside = _split(right, target)
    for start in range(0, len(left), BLOCK):
        if expired():
            break
        block = left.chosen(np.arange(start, min(start + BLOCK, len(left))))
        for kind, mistakes in _mistakes(block, inside, outside, target):
            negated = sum(1 - value for value in CELLS[kind % 4]) if kind < 8 else kind - 8
            bits = block.bits[:, None] + right.bits[None, :] + CONJUNCTION + NEGATION * negated
            costs = bits + target.prices[mistakes]
            rows, columns = np.nonzero(costs < board.bar)
            if same:
                later = rows + start < columns
                rows, columns = rows[later], columns[later]
            notes = np.stack([rows + start, columns, np.full_like(rows, kind)])
            board.offer(costs[rows, columns], notes)
    best = []
    seen: set[bytes] = set()
    for first, second, kind in board.best().tolist():
        one = _written(left.written(first), right.written(second), kind)
        key = one.values.tobytes()
        if key not in seen:
            seen.add(key)
            best.append(scored(one, target))
    return best, len(left) * len(right) * 10


def _split(
    conditions: Conditions, target: Target
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    train = conditions.truth[:, target.rows]
    inside = train[:, target.members].astype(np.float32)
    return inside, train[:, ~target.members].astype(np.float32)


def _mistakes(
    block: Conditions,
    inside: NDArray[np.float32],
    outside: NDArray[np.float32],
    target: Target,
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield, for each of the ten ways to join, the mistakes of all pairs."""
    block_inside, block_outside = _split(block, target)
    members, others = inside.shape[1], outside.shape[1]
    hits = _cells(block_inside, inside)
    misses = _cells(block_outside, outside)
    for index in range(4):
        wrong = (members - hits[index] + misses[index]).astype(np.int64)
        yield index, wrong
        yield index + 4, target.size - wrong
    differ = (members - hits[1] - hits[2] + misses[1] + misses[2]).astype(np.int64)
    yield 8, differ
    yield 9, members + others - differ


def _cells(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """Return how many rows fall into each of the four cells, for all pairs."""
    both = first @ second.T
    only_first = first.sum(axis=1)[:, None] - both
    only_second = second.sum(axis=1)[None, :] - both
    neither = first.shape[1] - both - only_first - only_second
    return both, only_first, only_second, neither


def _written(first: Expression, second: Expression, kind: int) -> Expression:
    if kind >= 8:
        return joined(first, DIFFER, second if kind == 8 else negation(second))
    is_first, is_second = CELLS[kind % 4]
    wanted = kind < 4
    left = first if bool(is_first) == wanted else negation(first)
    right = second if bool(is_second) == wanted else negation(second)
    return joined(left, AND if wanted else OR, right)
