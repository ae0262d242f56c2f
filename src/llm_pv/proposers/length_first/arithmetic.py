"""Two numbers compared with each other, or their sum or difference compared with a constant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.conditions import simplest_between
from llm_pv.proposers.length_first.expressions import (
    ARITHMETIC,
    LARGEST_EXACT,
    Expression,
    calculated,
    compared,
    constant,
    negation,
)
from llm_pv.proposers.length_first.scoring import Board, Scored, Target, scored
from llm_pv.proposers.length_first.weights import NEGATION, choice_bits, integer_bits

MODULI = (2, 3)
MOST_MULTIPLIED = 60
LARGEST_SQUARED = 2**24
GREATER, EQUAL, CUT, REMAINDER = range(4)


def best_arithmetic(
    numbers: list[Expression],
    target: Target,
    capacity: int,
    most_cells: int,
    *,
    expired: Callable[[], bool],
    count: Callable[[int], None],
) -> list[Scored]:
    """Return the cheapest conditions on pairs of numbers."""
    complete = [n for n in numbers if bool((np.abs(n.values) < LARGEST_EXACT / 2).all())]
    most = max(2, int((2 * most_cells / target.size) ** 0.5))
    cheapest = sorted(complete, key=lambda number: number.bits)[:most]
    small = [number for number in cheapest if _is_small(number.values)]
    chosen = small + [number for number in cheapest if not _is_small(number.values)]
    board = Board(capacity)
    table = np.array([number.values[target.rows] for number in chosen])
    narrow = table[: len(small)].astype(np.int16)
    bits = np.array([number.bits for number in chosen])
    for index in range(len(chosen) - 1):
        if expired():
            break
        middle = max(index + 1, len(small))
        for numbers_of, others in (
            (narrow, slice(index + 1, middle)),
            (table, slice(middle, len(chosen))),
        ):
            if others.start < others.stop:
                for sign in ("-", "+"):
                    values = ARITHMETIC[sign][0](numbers_of[index], numbers_of[others])
                    price = bits[index] + bits[others]
                    _Results(index, others.start, sign, values, price, target).offer_to(board)
    count(board.offered)
    return [_written(chosen, note, target) for note in board.best().tolist()]


def with_multiples(numbers: list[Expression]) -> list[Expression]:
    """Add small multiples and squares of the shortest numbers, so that pairs may weigh them."""
    shortest = sorted(numbers, key=lambda number: number.bits)[:MOST_MULTIPLIED]
    more = []
    for number in shortest:
        rows = len(number.values)
        if not bool((np.abs(number.values) < LARGEST_SQUARED).all()):
            continue
        for factor in (2, 3):
            bits = number.bits + weights.MULTIPLE + integer_bits(factor) - 4
            more.append(calculated(constant(factor, rows), "*", number, bits))
        more.append(calculated(number, "*", number, number.bits + weights.SQUARE))
    return [*numbers, *more]


def _is_small(values: NDArray[Any]) -> bool:
    """Tell whether sums fit 16-bit integers, which are sorted and divided much faster."""
    return bool(((np.floor(values) == values) & (np.abs(values) < 2**14)).all())


@dataclass(frozen=True, eq=False)
class _Results:
    """The sums or differences of one number with those from ``first`` on, on the training rows."""

    index: int
    first: int
    sign: str
    values: NDArray[Any]
    bits: NDArray[np.float64]
    target: Target

    def offer_to(self, board: Board) -> None:
        """Offer all conditions on these results."""
        values, target = self.values, self.target
        price = weights.PAIR_OPERATIONS[self.sign]
        whole = bool((np.floor(values) == values).all())
        if self.sign == "-":
            self._offer(board, GREATER, values > 0, weights.COMPARISON, 1)
            self._offer(board, GREATER, values >= 0, weights.COMPARISON, 0)
            if whole:
                self._offer(board, EQUAL, values == 0, weights.COMPARISON)
        wrong, splits = best_cuts(values, target)
        extra = price + weights.THRESHOLD + choice_bits(target.size)
        self._offer_mistakes(board, CUT, wrong, extra, splits)
        if not whole:
            return
        for modulus in MODULI:
            remainders = values % modulus
            extra = price + weights.MODULUS + integer_bits(modulus) - 3 + choice_bits(modulus)
            for value in range(1 if modulus == 2 else 0, modulus):
                self._offer(board, REMAINDER, remainders == value, extra, modulus, value)

    def _offer(
        self,
        board: Board,
        kind: int,
        truth: NDArray[np.bool_],
        extra: float,
        *details: int,
    ) -> None:
        self._offer_mistakes(board, kind, self.target.mistakes_of(truth), extra, *details)

    def _offer_mistakes(
        self,
        board: Board,
        kind: int,
        wrong: NDArray[np.int64],
        extra: float,
        *details: int | NDArray[np.int64],
    ) -> None:
        base = self.bits + extra
        for opposite in (0, 1):
            mistakes = self.target.size - wrong if opposite else wrong
            costs = base + opposite * NEGATION + self.target.prices[mistakes]
            if not board.wants(costs):
                continue
            notes = np.zeros((7, len(costs)), dtype=np.int64)
            notes[0] = self.index
            notes[1] = np.arange(self.first, self.first + len(costs))
            notes[2], notes[3], notes[4] = self.sign == "-", kind, opposite
            for place, detail in enumerate(details):
                notes[5 + place] = detail
            board.offer(costs, notes)


def best_cuts(results: NDArray[Any], target: Target) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each row of numbers, the cut whose mistakes are furthest from chance.

    The condition is "at or above the cut"; mistakes near ``target.size`` mean that its opposite is
    the good one. A cut is a position in the sorted values: it lies just below the value there.
    """
    order = np.argsort(results, axis=1, kind="stable")
    ordered = np.take_along_axis(results, order, axis=1)
    below = np.cumsum(target.members[order], axis=1)[:, :-1]
    positions = np.arange(1, target.size)
    others = target.size - int(target.members.sum())
    wrong = below + others - (positions - below)
    inside = ordered[:, 1:] > ordered[:, :-1]
    extremity = np.where(inside, np.abs(wrong - target.size / 2), -1.0)
    best = np.argmax(extremity, axis=1)
    chosen = np.take_along_axis(wrong, best[:, None], axis=1)[:, 0]
    useless = ~inside.any(axis=1)
    chosen[useless] = target.size // 2
    return chosen, best + 1


def _written(numbers: list[Expression], note: list[int], target: Target) -> Scored:
    index, other, minus, kind, opposite, first, second = note
    left, right = numbers[index], numbers[other]
    rows = len(left.values)
    bits = left.bits + right.bits
    if kind == GREATER:
        condition = compared(left, ">" if first else ">=", right, bits + weights.COMPARISON)
    elif kind == EQUAL:
        condition = compared(left, "==", right, bits + weights.COMPARISON)
    else:
        sign = "-" if minus else "+"
        bits += weights.PAIR_OPERATIONS[sign]
        result = calculated(left, sign, right, bits)
        if kind == CUT:
            ordered = np.sort(result.values[target.rows])
            cut = simplest_between(ordered[first - 1], ordered[first])
            price = bits + weights.THRESHOLD + choice_bits(target.size)
            condition = compared(result, ">=", constant(cut, rows), price)
        else:
            price = bits + weights.MODULUS + integer_bits(first) - 3 + choice_bits(first)
            remainder = calculated(result, "%", constant(first, rows), price)
            condition = compared(remainder, "==", constant(second, rows), price)
    return scored(negation(condition) if opposite else condition, target)
