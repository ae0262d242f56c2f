"""How many of three to five conditions hold, and the class of each count.

Conditions are added one at a time to the counts that tell most, each turned towards one class.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.cuts import bits_of_groups
from llm_pv.search.pool import Conditions, Pool
from llm_pv.search.problem import Problem
from llm_pv.search.program import Bands, Candidate, Node, candidate
from llm_pv.search.types import Truths, joined, negation

MOST, KEPT, YIELDED = 300, 60, 3
"""Conditions that are counted, sets kept of each size, and those of each that are yielded."""
LEAST = 60
"""Conditions for a class where there are many classes."""
LARGEST = 5
Sets = list[tuple[int, ...]]


def votes(pool: Pool) -> Iterator[Candidate]:
    """Yield the cheapest programs that count conditions, each turned towards one class."""
    problem, targets = pool.problem, pool.problem.targets()
    most = max(LEAST, 3 * MOST // max(3, len(targets)))
    offered = [(members, pool.telling(members, most)) for _, members in targets]
    if len(pool.conditions) > most:
        # The shortest alone, too: each may tell little that together tell all.
        shortest = np.argsort(pool.conditions.bits, kind="stable")[: most // 3]
        offered += [(members, shortest) for _, members in targets]
    for members, places in offered:
        conditions = pool.conditions.chosen(places)
        truth = conditions.truth
        flipped = truth[:, members].mean(axis=1) < truth[:, ~members].mean(axis=1)
        held = truth ^ flipped[:, None]
        found: Sets = [(place,) for place in range(len(held))]
        for size in range(2, min(LARGEST, len(held)) + 1):
            found = _extended(found, held, conditions.bits, problem)
            for chosen in found[:YIELDED] if size > 2 else ():
                yield candidate(_program(chosen, conditions, flipped, problem), problem, "votes")


def _extended(sets: Sets, held: Truths, bits: NDArray[np.float64], problem: Problem) -> Sets:
    """Return sets of conditions with one more each, those whose counts tell most first."""
    problem.guard.check()
    counted = np.stack([held[list(one)].sum(axis=0) for one in sets])
    terms = held.astype(np.float32)
    tables = np.zeros((len(sets), len(held), len(sets[0]) + 2, len(problem.classes)))
    for level in range(len(sets[0]) + 1):
        for code in range(len(problem.classes)):
            rows = ((counted == level) * problem.onehot[:, code]).astype(np.float32)
            joined = rows @ terms.T
            tables[:, :, level + 1, code] += joined
            tables[:, :, level, code] += rows.sum(axis=1)[:, None] - joined
    problem.guard.check()
    price = np.array([bits[list(one)].sum() for one in sets])
    value = bits_of_groups(tables).sum(axis=-1) + price[:, None] + bits
    for place, one in enumerate(sets):
        value[place, list(one)] = np.inf
    problem.count(value.size)
    order = np.argsort(value, axis=None, kind="stable")[: KEPT * (len(sets[0]) + 1)]
    pairs = (divmod(place, len(held)) for place in order.tolist())
    made = (sorted((*sets[one], two)) for one, two in pairs if np.isfinite(value[one, two]))
    return list(dict.fromkeys(map(tuple, made)))[:KEPT]


def _program(
    chosen: tuple[int, ...], conditions: Conditions, flipped: Truths, problem: Problem
) -> Node:
    """Return the program that answers the most frequent class of each count."""
    terms = [conditions.expression(place) for place in chosen]
    turned = [negation(t) if flipped[p] else t for t, p in zip(terms, chosen, strict=True)]
    counted = np.sum([one.values[: problem.size] for one in turned], axis=0)
    counts = np.zeros((len(chosen) + 1, len(problem.classes)))
    np.add.at(counts, counted, problem.onehot)
    codes = [problem.majority, *counts.argmax(axis=1).tolist()]
    for level, row in enumerate(counts):
        if not row.any():  # a count that no training row has
            codes[level + 1] = codes[level]
    cuts = [level for level in range(1, len(counts)) if codes[level + 1] != codes[level]]
    bits = sum(one.bits + prices.POINT + prices.constant_bits(1) for one in turned)
    number = joined("+", turned, bits)
    return Bands(number, tuple(map(float, cuts)), (codes[1], *(codes[c + 1] for c in cuts)))
