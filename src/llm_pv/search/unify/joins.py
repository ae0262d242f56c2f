"""Two to four conditions joined by and, or, or exactly one of two: all pairs, scored in blocks.

For each pair the rows where both hold are counted by one matrix product; from that follow the
mistakes of the pair joined in ten ways, with either part negated and either answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.pool import Conditions, Pool, conditions_of, information
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Candidate, Node, candidate, first_of, two_way
from llm_pv.search.types import Expression, Truths, joined, negation
from llm_pv.search.unify.word_set import learnt_sets

PAIRED = 1500
"""Conditions of which all pairs are tried, with two classes and the usual budget."""
PAIRED_OF_MANY = 1200
"""The same with several classes, all together; at least 60 each."""
KEPT_PAIRS = 400
JOINED_WITH = 800
YIELDED = 20
BLOCK = 200
MOST_BRANCHES = 8
Floats = NDArray[np.float64]


WAYS = np.array([(True, True), (True, False), (False, True), (False, False)])
"""The truth that each part is to have; the way after the last one is that the two differ."""
DIFFER = len(WAYS)


class Join(NamedTuple):
    """A pair joined in one of the ways, or the opposite of it."""

    cost: float
    left: int
    right: int
    way: int
    flipped: bool

    @property
    def bits(self) -> float:
        """What joining costs."""
        return prices.DIFFER if self.way == DIFFER else prices.JOIN


def joins(pool: Pool) -> Iterator[Candidate]:
    """Yield the cheapest joins for two classes, or a list of joins for many, class by class."""
    problem = pool.problem
    if not len(pool.conditions):
        return
    if not problem.binary:
        yield from _of_many(pool)
        return
    members = problem.codes == 1
    root = max(1.0, problem.scale) ** 0.5
    singles = _telling(pool, members, int(PAIRED * root))
    goal = Goal(members, problem.weights, problem)
    pairs, kept = _level(singles, singles, goal)
    yield from _written(pairs, singles, singles, problem)
    two = _terms_of(kept, singles, singles)
    triples, _ = _level(two, singles.chosen(range(len(singles))[: int(JOINED_WITH * root)]), goal)
    yield from _written(triples, two, singles, problem)
    fours, _ = _level(two, two, goal)
    yield from _written(fours, two, two, problem)


def _of_many(pool: Pool) -> Iterator[Candidate]:
    """Yield a list of joined conditions: at each step the class that costs least to separate."""
    problem = pool.problem
    weights = problem.weights.copy()
    most = max(60, PAIRED_OF_MANY // len(problem.classes))
    chain: list[tuple[Expression, Node]] = []
    singles = {code: _telling(pool, members, most) for code, members in problem.targets()}
    while len(chain) < min(MOST_BRANCHES, len(problem.classes)):
        best: tuple[float, Expression, int] | None = None
        for code in np.unique(problem.codes[weights > 0]).tolist():
            members = problem.codes == code
            found, _ = _level(singles[code], singles[code], Goal(members, weights, problem), 1)
            for join in found:
                value = join.cost - float(problem.price(weights[members].sum()))
                if best is None or value < best[0]:
                    written = _expression(join, singles[code], singles[code])
                    best = value, written, code
        if best is None:
            break
        chain.append((best[1], Answer(best[2])))
        weights[np.asarray(best[1].values[: problem.size], dtype=bool)] = 0
        left = problem.shares(weights)
        default = Answer(int(left.argmax()) if left.any() else problem.majority)
        yield candidate(first_of(chain, default), problem, "joins")
        if np.count_nonzero(left) < 2:
            break


def _telling(pool: Pool, members: Truths, most: int) -> Conditions:
    """Return the conditions worth joining and learnt sets, the most telling first."""
    sets = conditions_of(learnt_sets(pool, members), pool.problem)
    chosen = pool.conditions.chosen(pool.telling(members, most))
    truth = np.concatenate([sets.truth, chosen.truth])
    bits = np.concatenate([sets.bits, chosen.bits])

    def write(place: int) -> Expression:
        return sets.expression(place) if place < len(sets) else chosen.expression(place - len(sets))

    order = np.argsort(bits - information(truth, members, pool.problem.weights), kind="stable")
    return Conditions(truth, bits, write).chosen(order)


@dataclass(frozen=True, eq=False)
class Goal:
    """The rows that a join should hold on, and what each row weighs."""

    members: Truths
    weights: Floats
    problem: Problem


def _level(
    left: Conditions, right: Conditions, goal: Goal, most: int = YIELDED
) -> tuple[list[Join], list[Join]]:
    """Return the cheapest joins of two lists of terms, and joins worth joining further."""
    problem, members, weights = goal.problem, goal.members, goal.weights
    kept = int(KEPT_PAIRS * max(1.0, problem.scale) ** 0.5)
    inside = np.where(members, weights, 0.0)
    total, total_inside = float(weights.sum()), float(inside.sum())
    columns = right.truth.T.astype(np.float32)
    cheapest: list[Join] = []
    telling: list[Join] = []
    block = min(BLOCK, problem.guard.most(160 * len(right.bits), 0.1))
    for start in range(0, len(left.bits), block):
        problem.guard.check()
        rows = left.truth[start : start + block]
        counts, counts_inside = (
            _quadrants(
                ((rows * of).astype(np.float32) @ columns).astype(np.float64),
                (rows * of).sum(axis=1)[:, None],
                (of @ right.truth.T)[None, :],
                float(of.sum()),
            )
            for of in (weights, inside)
        )
        bits = left.bits[start : start + block, None] + right.bits[None, :]
        later = np.arange(start, start + len(rows))[:, None] <= np.arange(len(right.bits))
        idle = np.where(later & (left is right), np.inf, 0.0)  # each pair once
        problem.count(10 * bits.size)
        for way, (held, held_inside) in enumerate(zip(counts, counts_inside, strict=True)):
            wrong = total_inside + held - 2 * held_inside
            price = bits + (prices.DIFFER if way == DIFFER else prices.JOIN)
            costs = price + problem.price(np.minimum(wrong, total - wrong))
            cheapest += _best(costs + idle, wrong > total / 2, start, way, most)
            with np.errstate(divide="ignore", invalid="ignore"):
                spread = held * (total - held) * total_inside * (total - total_inside) / total
                told = 0.72 * (held_inside * total - held * total_inside) ** 2 / spread
            value = price - np.nan_to_num(told) + idle
            telling += _best(value, np.zeros_like(wrong, dtype=bool), start, way, kept // 5)
    return sorted(cheapest, key=_cost)[:most], sorted(telling, key=_cost)[:kept]


def _cost(join: Join) -> float:
    return join.cost


def _quadrants(both: Floats, left: Floats, right: Floats, total: float) -> list[Floats]:
    """Return the weight where both hold, only the left, only the right, neither, exactly one."""
    only_left, only_right = left - both, right - both
    return [both, only_left, only_right, total - left - right + both, only_left + only_right]


def _best(costs: Floats, flipped: Truths, start: int, way: int, most: int) -> Iterator[Join]:
    """Yield the cheapest joins of a block."""
    flat = costs.ravel()
    order = np.arange(flat.size)
    if flat.size > most:
        order = np.sort(np.argpartition(flat, most)[:most])
    for index in order[np.argsort(flat[order], kind="stable")].tolist():
        if np.isfinite(flat[index]):
            row, column = divmod(index, costs.shape[1])
            yield Join(float(flat[index]), start + row, column, way, bool(flipped[row, column]))


def _terms_of(found: list[Join], left: Conditions, right: Conditions) -> Conditions:
    """Return joins as terms for further joins."""
    places = np.array([join[1:4] for join in found], dtype=np.int64).reshape(-1, 3)
    one, two = left.truth[places[:, 0]], right.truth[places[:, 1]]
    wanted = WAYS[places[:, 2] % DIFFER]
    truth = (one == wanted[:, :1]) & (two == wanted[:, 1:])
    truth = np.where(places[:, 2:] == DIFFER, one ^ two, truth)
    extra = [join.bits for join in found]
    bits = left.bits[places[:, 0]] + right.bits[places[:, 1]] + extra
    return Conditions(truth, bits, lambda index: _expression(found[index], left, right))


def _expression(join: Join, left: Conditions, right: Conditions) -> Expression:
    """Write a join as a condition."""
    both = left.expression(join.left), right.expression(join.right)
    bits = sum(one.bits for one in both) + join.bits
    if join.way == DIFFER:
        made = joined("!=", both, bits)
        return negation(made) if join.flipped else made
    wanted = WAYS[join.way] ^ join.flipped
    parts = [one if true else negation(one) for one, true in zip(both, wanted, strict=True)]
    return joined("or" if join.flipped else "and", parts, bits)


def _written(
    found: list[Join], left: Conditions, right: Conditions, problem: Problem
) -> Iterator[Candidate]:
    size = problem.size
    for join in found:
        condition = _expression(join, left, right)
        held = condition.values[:size]
        if all((part.values[:size] != held).any() for part in condition.parts[1]):
            yield candidate(two_way(condition, 1), problem, "joins")
