"""Scorecards: a point or two for each of a few conditions and columns, and the sum cut into bands.

A beam adds one term after another. A sum is worth what its best cut into as many intervals as
there are classes gets right, which is computed for thousands of sums at once.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.conditions import Conditions
from llm_pv.proposers.length_first.expressions import (
    Expression,
    calculated,
    constant,
    is_whole,
)
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.weights import integer_bits, mistake_bits

MOST_CLASSES = 5
POINTS = (1, 2, 3, -1, -2)
MOST_TERMS = 5
LEAST_TERMS = 3
"""Shorter sums are what conditions and pairs of numbers say as well."""
BEAM = 40
PER_TERM = 6
"""Sums that are kept of those that add the same term."""
KEPT = 40
LEAST_ROWS, MOST_ROWS, CELLS = 100, 400, 20_000_000
"""Training rows, evenly spread, that sums are compared on: as many as leave room for all sums."""
MOST_LEVELS = 16
"""A sum has fewer values than this, and a number among its terms at most half of them."""


def scored_sums(
    conditions: Conditions, numbers: Sequence[Expression], problem: Problem
) -> list[Expression]:
    """Return sums of points that may tell the classes when they are cut into bands."""
    terms = _terms(conditions, numbers, problem.size)
    if len(terms) < LEAST_TERMS or not 2 <= len(problem.classes) <= MOST_CLASSES:
        return []
    room = CELLS // (BEAM * len(POINTS) * len(terms))
    most = min(problem.size, MOST_ROWS, max(LEAST_ROWS, room))
    rows = np.linspace(0, problem.size - 1, most).astype(np.int64)
    codes = problem.codes[rows]
    values = np.array([one.values[rows] for one in terms]).astype(np.int64)
    offered = [(term, points) for term in range(len(terms)) for points in POINTS]
    added = np.array([points * values[term] for term, points in offered])
    extra = np.array([terms[term].bits + _points_bits(points) for term, points in offered])
    beam: list[tuple[int, ...]] = [()]
    sums, lengths = np.zeros((1, len(rows)), dtype=np.int64), np.zeros(1)
    kept: dict[tuple[int, ...], float] = {}
    prices = np.array(mistake_bits(len(rows), len(problem.classes), problem.noise))
    for count in range(1, MOST_TERMS + 1):
        every = (sums[:, None, :] + added[None, :, :]).reshape(-1, len(rows))
        bits = (lengths[:, None] + extra[None, :]).reshape(-1)
        costs = bits + prices[len(rows) - _most_right(every, codes, len(problem.classes))]
        chosen = _different(costs, beam, offered, every)
        beam = [(*beam[place // len(offered)], place % len(offered)) for place in chosen]
        sums, lengths = every[chosen], bits[chosen]
        if count >= LEAST_TERMS:
            kept.update(zip(beam, costs[chosen].tolist(), strict=True))
    best = sorted(kept, key=lambda one: (kept[one], one))[:KEPT]
    return [_written([(terms[offered[o][0]], offered[o][1]) for o in one]) for one in best]


def _points_bits(points: int) -> float:
    return weights.PAIR_OPERATIONS["+"] + integer_bits(abs(points)) - 3 + (points < 0)


def _terms(conditions: Conditions, numbers: Sequence[Expression], size: int) -> list[Expression]:
    """Return the conditions, and the numbers with few values, that points are given for."""
    written = [conditions.written(index) for index in range(len(conditions))]
    few = [
        one
        for one in numbers
        if is_whole(one.values) and 1 < float(np.ptp(one.values[:size])) <= MOST_LEVELS // 2
    ]
    return [*written, *few]


def _most_right(
    sums: NDArray[np.int64], codes: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Return how many rows each sum gets right, cut into at most as many bands as classes."""
    right = np.zeros(len(sums), dtype=np.int64)
    for start in range(0, len(sums), 10_000):
        block = sums[start : start + 10_000]
        levels = np.minimum(block - block.min(axis=1, keepdims=True), MOST_LEVELS - 1)
        owners = np.arange(len(block))[:, None] * MOST_LEVELS
        cells = (owners + levels) * classes + codes
        counts = np.bincount(cells.ravel(), minlength=len(block) * MOST_LEVELS * classes)
        counts = counts.reshape(len(block), MOST_LEVELS, classes)
        best = np.zeros((len(block), classes, classes), dtype=np.int64)
        for level in range(MOST_LEVELS):
            if level:
                entered = best[:, :-1].max(axis=2)
                best[:, 1:] = np.maximum(best[:, 1:], entered[:, :, None])
            best += counts[:, level, None, :]
        right[start : start + len(block)] = best.max(axis=(1, 2))
    return right


def _different(
    costs: NDArray[np.float64],
    beam: Sequence[tuple[int, ...]],
    offered: Sequence[tuple[int, int]],
    sums: NDArray[np.int64],
) -> list[int]:
    """Return the cheapest sums, no two alike on the rows, none of which names a term twice."""
    chosen: list[int] = []
    seen: set[bytes] = set()
    uses: dict[int, int] = {}
    for place in np.argsort(costs, kind="stable")[: 100 * BEAM].tolist():
        term = offered[place % len(offered)][0]
        before = beam[place // len(offered)]
        if any(offered[one][0] == term for one in before) or uses.get(term, 0) >= PER_TERM:
            continue
        row = sums[place]
        key = (row - row.min()).tobytes()
        if key not in seen:
            seen.add(key)
            uses[term] = uses.get(term, 0) + 1
            chosen.append(place)
            if len(chosen) == BEAM:
                break
    return chosen


def _written(terms: Sequence[tuple[Expression, int]]) -> Expression:
    """Return the sum as an expression, terms with a plus sign first."""
    rows = len(terms[0][0].values)
    total = constant(0, rows)
    for place, (term, points) in enumerate(sorted(terms, key=lambda one: one[1] < 0)):
        number = replace(term, values=term.values.astype(np.float64))
        if abs(points) > 1:
            number = calculated(constant(abs(points), rows), "*", number, 0.0)
        bits = total.bits + term.bits + _points_bits(points)
        sign = "+" if points > 0 else "-"
        is_first = place == 0 and points > 0
        total = replace(number, bits=bits) if is_first else calculated(total, sign, number, bits)
    return total
