"""If one condition holds, a second one answers, and otherwise a third.

What holds in one part of the rows alone says little on all of them, so that joining conditions
that do well on all rows does not get there. Here every gate is tried with every condition on
either side of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.conditions import Conditions
from llm_pv.proposers.length_first.expressions import Expression, negation
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, condition_body
from llm_pv.proposers.length_first.scoring import Target
from llm_pv.proposers.length_first.weights import NEGATION

SMALLEST_SIDE = 0.15
"""The share of the rows that either side of a gate has at least."""
BLOCK = 8_000
KEPT_PER_SIDE = 4


@dataclass(frozen=True, eq=False)
class _Sides:
    """For one side of every gate, the cheapest conditions found so far.

    All arrays have a row for each gate; ``chosen`` counts a condition's opposite as the condition's
    index and one more than all conditions.
    """

    costs: NDArray[np.float64]
    chosen: NDArray[np.int64]

    @classmethod
    def empty(cls, gates: int) -> "_Sides":
        shape = (gates, KEPT_PER_SIDE)
        return cls(np.full(shape, np.inf), np.zeros(shape, dtype=np.int64))

    def with_offers(self, costs: NDArray[np.float64], first: int) -> "_Sides":
        """Take the cheapest of what is kept and of these conditions, numbered from ``first``."""
        some = np.argpartition(costs, KEPT_PER_SIDE - 1, axis=1)[:, :KEPT_PER_SIDE]
        every = np.concatenate([self.costs, np.take_along_axis(costs, some, axis=1)], axis=1)
        names = np.concatenate([self.chosen, some + first], axis=1)
        order = np.lexsort((names, every), axis=1)[:, :KEPT_PER_SIDE]
        return _Sides(
            np.take_along_axis(every, order, axis=1), np.take_along_axis(names, order, axis=1)
        )


def best_gated(
    conditions: Conditions,
    problem: Problem,
    capacity: int,
    most_gates: int,
    *,
    expired: Callable[[], bool],
    count: Callable[[int], None],
) -> list[Candidate]:
    """Return the cheapest programs that ask a gate first, for two classes."""
    target = Target.of(np.arange(problem.size), problem.codes == 1, problem.noise)
    gates = _gates(conditions, target, most_gates)
    if len(gates) < 1 or len(conditions) < 2 * KEPT_PER_SIDE:
        return []
    holds = conditions.truth[gates][:, : problem.size]
    sides = [_Sides.empty(len(gates)), _Sides.empty(len(gates))]
    a_mistake = float(target.prices[1] - target.prices[0])
    signs = np.where(target.members, 1.0, -1.0)
    for start in range(0, len(conditions), BLOCK):
        if expired():
            return []
        truth = conditions.truth[start : start + BLOCK, : problem.size].astype(np.float32)
        if len(truth) < KEPT_PER_SIDE:
            continue
        # Of equals the first is kept, on every machine.
        bits = conditions.bits[start : start + BLOCK] + 1e-9 * np.arange(len(truth))
        for side, inside in enumerate((holds, ~holds)):
            right = (inside * signs).astype(np.float32) @ truth.T
            wrong = (inside & target.members).sum(axis=1)[:, None] - right
            costs = bits + a_mistake * wrong
            sides[side] = sides[side].with_offers(costs, start)
            others = inside.sum(axis=1)[:, None] - wrong
            opposite = bits + NEGATION + a_mistake * others
            sides[side] = sides[side].with_offers(opposite, start + len(conditions))
    count(4 * len(gates) * len(conditions))
    return _cheapest(conditions, gates, sides, problem, capacity)


def _gates(conditions: Conditions, target: Target, most: int) -> NDArray[np.int64]:
    """Return the shortest conditions that leave enough rows on either side, no two alike."""
    train = conditions.truth[:, : target.size]
    shares = train.mean(axis=1)
    apart = np.flatnonzero(np.minimum(shares, 1 - shares) >= SMALLEST_SIDE)
    seen: dict[bytes, int] = {}
    for index in apart.tolist():
        seen.setdefault(np.packbits(train[index] ^ train[index, 0]).tobytes(), index)
        if len(seen) == most:
            break
    return np.array(list(seen.values()), dtype=np.int64)


def _cheapest(
    conditions: Conditions,
    gates: NDArray[np.int64],
    sides: list[_Sides],
    problem: Problem,
    capacity: int,
) -> list[Candidate]:
    price = weights.GATE + conditions.bits[gates]
    total = price[:, None, None] + sides[0].costs[:, :, None] + sides[1].costs[:, None, :]
    order = np.argsort(total, axis=None, kind="stable")[:capacity]
    places = zip(*(axis.tolist() for axis in np.unravel_index(order, total.shape)), strict=True)

    def answer(chosen: int) -> Expression:
        one = conditions.written(chosen % len(conditions))
        return negation(one) if chosen >= len(conditions) else one

    found = []
    for gate, first, second in places:
        yes, no = int(sides[0].chosen[gate, first]), int(sides[1].chosen[gate, second])
        if yes != no:
            gated = conditions.written(int(gates[gate]))
            found.append(_written(gated, answer(yes), answer(no), problem))
    return found


def _written(gate: Expression, yes: Expression, no: Expression, problem: Problem) -> Candidate:
    answers = np.where(gate.values, yes.values, no.values).astype(np.int64)
    mistakes = int((answers[: problem.size] != problem.codes).sum())
    bits = weights.GATE + gate.bits + yes.bits + no.bits
    inner = [f"    {line}" for line in condition_body(yes, problem.classes, 1)]
    body = (f"if {gate.code}:", *inner, *condition_body(no, problem.classes, 1))
    needs = gate.needs + yes.needs + no.needs
    return Candidate(body, needs, bits, answers, mistakes, bits + problem.prices[mistakes])
