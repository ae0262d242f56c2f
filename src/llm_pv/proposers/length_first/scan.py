"""Every number against its own best constants, found by sorting instead of by trying them.

For a number and a target there is a best cut, a best single value, a best interval and a best set
of remainders; each is computed for thousands of numbers at once, and only the cheapest are written
as source.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.arithmetic import best_cuts
from llm_pv.proposers.length_first.conditions import digits_of, simplest_between
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Expression,
    Level,
    calculated,
    compared,
    constant,
    negation,
)
from llm_pv.proposers.length_first.scoring import Board, Scored, Target, scored
from llm_pv.proposers.length_first.weights import NEGATION, choice_bits, integer_bits

MODULI = (*range(2, 13), 16, 20, 24, 26)
LARGEST_SET = 12
"""Moduli up to here may have several remainders answer alike."""
CHUNK_CELLS = 2_000_000
CUT, EQUAL, INTERVAL, REMAINDER, REMAINDERS = range(5)


def best_scanned(
    numbers: Sequence[Expression],
    target: Target,
    capacity: int,
    expired: Callable[[], bool],
    count: Callable[[int], None],
) -> list[Scored]:
    """Return the cheapest conditions on one number."""
    board = Board(capacity)
    finite = [n for n in numbers if bool((np.abs(n.values[target.rows]) < LARGEST_EXACT / 2).all())]
    block = max(1, CHUNK_CELLS // max(1, target.size))
    for start in range(0, len(finite), block):
        if expired():
            break
        chosen = finite[start : start + block]
        values = np.array([number.values[target.rows] for number in chosen])
        bits = np.array([number.bits for number in chosen])
        _Scan(values, bits, start, target, board).offer_all()
    count(board.offered)
    return [_written(finite, note, target) for note in board.best().tolist()]


@dataclass(frozen=True, eq=False)
class _Scan:
    """Some numbers on the rows of a target."""

    values: NDArray[np.float64]
    bits: NDArray[np.float64]
    start: int
    target: Target
    board: Board

    def offer_all(self) -> None:
        """Offer every kind of condition on these numbers."""
        size = self.target.size
        wrong, places = best_cuts(self.values, self.target)
        self._offer(CUT, wrong, weights.THRESHOLD + choice_bits(size), places)
        order = np.argsort(self.values, axis=1, kind="stable")
        ordered = np.take_along_axis(self.values, order, axis=1)
        signs = np.where(self.target.members[order], 1, -1)
        sums = np.concatenate([np.zeros((len(ordered), 1), int), np.cumsum(signs, axis=1)], axis=1)
        edges = np.ones(sums.shape, dtype=bool)
        edges[:, 1:-1] = ordered[:, 1:] > ordered[:, :-1]
        self._offer_single_values(sums, edges)
        self._offer_intervals(sums, edges)
        self._offer_remainders()

    def _offer_single_values(self, sums: NDArray[np.int64], edges: NDArray[np.bool_]) -> None:
        columns = np.arange(sums.shape[1])
        before = np.maximum.accumulate(np.where(edges, columns, 0), axis=1)[:, :-1]
        inside = sums[:, 1:] - np.take_along_axis(sums, before, axis=1)
        inside = np.where(edges[:, 1:], inside, 0)
        members = int(self.target.members.sum())
        distinct = np.log2(np.maximum(2, edges[:, 1:].sum(axis=1)))
        for best in (np.argmax(inside, axis=1), np.argmin(inside, axis=1)):
            chosen = np.take_along_axis(inside, best[:, None], axis=1)[:, 0]
            self._offer(EQUAL, members - chosen, weights.EQUALITY + distinct, best)

    def _offer_intervals(self, sums: NDArray[np.int64], edges: NDArray[np.bool_]) -> None:
        members = int(self.target.members.sum())
        price = 2 * weights.THRESHOLD + 2 * choice_bits(self.target.size) - 1
        for sign in (1, -1):
            signed = np.where(edges, sign * sums, 2**30)
            lowest = np.minimum.accumulate(signed, axis=1)
            gain = np.where(edges, sign * sums - lowest, -1)
            last = np.argmax(gain, axis=1)
            chosen = np.take_along_axis(gain, last[:, None], axis=1)[:, 0]
            low = np.take_along_axis(lowest, last[:, None], axis=1)
            first = np.argmax((signed == low) & (np.arange(sums.shape[1]) <= last[:, None]), axis=1)
            proper = (first > 0) & (last < self.target.size) & (last > first)
            rows = np.flatnonzero(proper)
            wrong = (members - sign * chosen)[rows]
            self._offer(INTERVAL, wrong, price, first[rows], last[rows], rows=rows)

    def _offer_remainders(self) -> None:
        whole = (np.floor(self.values) == self.values).all(axis=1)
        spread = np.ptp(self.values, axis=1)
        members = int(self.target.members.sum())
        signs = np.where(self.target.members, 1.0, -1.0).astype(np.float32)
        for modulus in MODULI:
            rows = np.flatnonzero(whole & (spread >= modulus))
            if not len(rows):
                continue
            remainders = (self.values[rows].astype(np.int64) % modulus).astype(np.int8)
            base = weights.MODULUS + integer_bits(modulus) - 3.0
            best = np.zeros(len(rows))
            chosen = np.zeros(len(rows), dtype=np.int64)
            for value in range(modulus):
                gain = (remainders == value).astype(np.float32) @ signs
                if value or modulus > 2:
                    extra = 1.0 if value == 0 or modulus == 2 else 1.0 + choice_bits(modulus - 1)
                    wrong = (members - gain).astype(np.int64)
                    details = np.full(len(rows), modulus), np.full(len(rows), value)
                    self._offer(REMAINDER, wrong, base + extra, *details, rows=rows)
                best += np.maximum(gain, 0)
                chosen |= (gain > 0).astype(np.int64) << value
            if 3 < modulus <= LARGEST_SET:
                wrong = (members - best).astype(np.int64)
                price = base + 1 + modulus
                details = np.full(len(rows), modulus), chosen
                self._offer(REMAINDERS, wrong, price, *details, rows=rows)

    def _offer(
        self,
        kind: int,
        wrong: NDArray[np.int64],
        extra: float | NDArray[np.float64],
        *details: NDArray[np.int64],
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        rows = np.arange(len(self.values)) if rows is None else rows
        base = self.bits[rows] + extra
        for opposite in (0, 1):
            mistakes = self.target.size - wrong if opposite else wrong
            costs = base + opposite * NEGATION + self.target.prices[mistakes]
            if not self.board.wants(costs):
                continue
            notes = np.zeros((5, len(costs)), dtype=np.int64)
            notes[0], notes[1], notes[2] = rows + self.start, kind, opposite
            for place, detail in enumerate(details):
                notes[3 + place] = detail
            self.board.offer(costs, notes)


def _written(numbers: Sequence[Expression], note: list[int], target: Target) -> Scored:
    index, kind, opposite, first, second = note
    number = numbers[index]
    rows = len(number.values)
    ordered = np.sort(number.values[target.rows].astype(np.float64))
    if kind == CUT:
        cut = simplest_between(ordered[first - 1], ordered[first])
        bits = number.bits + weights.THRESHOLD + choice_bits(target.size)
        bits += weights.DIGIT * digits_of(cut)
        condition = compared(number, ">=", constant(cut, rows), bits)
    elif kind == EQUAL:
        bits = number.bits + weights.EQUALITY + choice_bits(len(np.unique(ordered)))
        condition = compared(number, "==", constant(ordered[first], rows), bits)
    elif kind == INTERVAL:
        condition = _between(number, ordered, first, second)
    else:
        bits = number.bits + weights.MODULUS + integer_bits(first) - 3.0
        remainder = calculated(number, "%", constant(first, rows), bits)
        if kind == REMAINDER:
            bits += 1.0 if second == 0 or first == 2 else 1.0 + choice_bits(first - 1)
            condition = compared(remainder, "==", constant(second, rows), bits)
        else:
            chosen = [value for value in range(first) if second >> value & 1]
            condition = _among(remainder, chosen, bits + 1 + first)
    return scored(negation(condition) if opposite else condition, target)


def _between(number: Expression, ordered: NDArray[np.float64], first: int, last: int) -> Expression:
    """Return that a number lies in an interval, whose ends are as round as the rows allow."""
    low = simplest_between(ordered[first - 1], ordered[first])
    high = simplest_between(ordered[last - 1], ordered[last])
    bits = number.bits + 2 * weights.THRESHOLD + 2 * choice_bits(len(ordered)) - 1
    bits += weights.DIGIT * (digits_of(low) + digits_of(high))
    low_code, high_code = constant(low, 1).code, constant(high, 1).code
    truth = (number.values >= low) & (number.values < high)
    code = f"{low_code} <= {number.at(Level.SUM)} < {high_code}"
    return Expression(code, bits, truth, Level.COMPARISON, number.needs, f"not {code}")


def _among(number: Expression, values: Sequence[int], bits: float) -> Expression:
    truth = np.isin(number.values, list(values))
    members = ", ".join(map(str, values)) + ("," if len(values) == 1 else "")
    left = number.at(Level.SUM)
    return Expression(
        f"{left} in ({members})",
        bits,
        truth,
        Level.COMPARISON,
        number.needs,
        f"{left} not in ({members})",
    )
