"""At least two of three conditions, for two classes: all threes of the most telling conditions."""

from collections.abc import Iterator

import numpy as np

from llm_pv.search.pool import Pool
from llm_pv.search.program import Candidate, Points, Scorecard, candidate
from llm_pv.search.types import negation

MOST, KEPT, YIELDED = 120, 3, 5
"""Conditions that are combined, threes kept for each first one, and those that are yielded."""


def votes(pool: Pool) -> Iterator[Candidate]:
    """Yield the cheapest programs that count three conditions, each turned towards one class."""
    problem, members = pool.problem, pool.problem.codes == 1
    if not problem.binary:
        return
    conditions = pool.conditions.chosen(pool.telling(members, MOST))
    truth = conditions.truth
    flipped = truth[:, members].mean(axis=1) < truth[:, ~members].mean(axis=1)
    held = (truth ^ flipped[:, None]).astype(np.float32)
    signs = np.where(members, -problem.weights, problem.weights).astype(np.float32)
    none = float(problem.weights[members].sum())
    found: list[tuple[float, tuple[int, int, int]]] = []
    for first in range(len(held) - 2):
        problem.guard.check()
        rest = held[first + 1 :]
        # Where both of two hold it is two already; where one does the third decides.
        both, one = rest * held[first], np.abs(rest - held[first])
        wrong = none + (both @ signs)[:, None] + (one * signs) @ rest.T
        bits = conditions.bits[first + 1 :]
        cost = problem.price(wrong) + bits[:, None] + bits + conditions.bits[first]
        cost[np.tril_indices(len(rest))] = np.inf
        for place in np.argsort(cost, axis=None, kind="stable")[:KEPT].tolist():
            two, three = divmod(place, len(rest))
            found.append((float(cost[two, three]), (first, first + 1 + two, first + 1 + three)))
        problem.count(cost.size // 2)
    for _, three in sorted(found)[:YIELDED]:
        terms = [conditions.expression(place) for place in three]
        turned = [negation(t) if flipped[p] else t for t, p in zip(terms, three, strict=True)]
        points = Points(tuple((1.0, term) for term in turned))
        yield candidate(Scorecard(points, 2.0, 1, 0), problem, "votes")
