"""Weighted sums modulo m that are the same for every row of a class, found by solving for them.

Each row of the class is an equation: the weighted sum of its columns is the remainder, modulo a
prime. Elimination gives the weights, if the rows are more than the columns; for a product of two
primes the solutions are put together (Chinese remainder theorem).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import Expression, Level
from llm_pv.proposers.length_first.scoring import Scored, Target, scored
from llm_pv.proposers.length_first.sequences import Part
from llm_pv.proposers.length_first.weights import choice_bits, integer_bits

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
LARGEST_PRIMES = (89, 97, 101)
PRODUCTS = ((2, 3), (2, 5), (2, 7), (3, 5), (2, 11), (2, 13))
MOST_COLUMNS = 30
SPARE_ROWS = 6
"""Rows beyond the columns, so that weights that solve the equations do not do so by chance."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Integers for each row, and how to write a weighted sum of them.

    Parameters
    ----------
    values
        Of shape (rows, columns).
    template
        The weighted sum, ``{w}`` standing for the weights.
    bits
        The price of the sum, weights not included.
    part
        What the sum is over.
    width
        How many weights make one group of the written tuple; 0 for a plain tuple.
    """

    values: NDArray[np.int64]
    template: str
    bits: float
    part: Part
    width: int = 0

    def written(self, chosen: Sequence[int]) -> str:
        """Return the weighted sum's source."""
        if not self.width:
            return self.template.format(s=self.part.code, w=tuple(chosen))
        groups = [
            tuple(chosen[start : start + self.width]) for start in range(0, len(chosen), self.width)
        ]
        return self.template.format(s=self.part.code, w=tuple(groups))


def columns_of(part: Part, size: int) -> Iterator[Columns]:
    """Yield the columns of rows of equally many digits or integers."""
    lengths = {len(row) for row in part.rows[:size]}
    if part.is_text:
        if not all(str(row).isdecimal() and str(row).isascii() for row in part.rows):
            return
        rows = [[int(character) for character in str(row)] for row in part.rows]
        item = "int(a)"
    else:
        rows = [[int(item) for item in row] for row in part.rows]
        item = "a"
    if len(lengths) == 1 and 2 <= max(lengths) <= MOST_COLUMNS:
        width = max(lengths)
        values = np.array([(row + [0] * width)[:width] for row in rows], dtype=np.int64)
        template = f"sum(w * {item} for w, a in zip({{w}}, {{s}}))"
        yield Columns(values, template, part.bits + weights.WEIGHTED_SUM, part)
    if part.is_text:
        # What a digit counts for may depend on whether its place, from the right, is even.
        counts = np.zeros((len(rows), 20), dtype=np.int64)
        for index, row in enumerate(rows):
            for place, digit in enumerate(reversed(row)):
                counts[index, 10 * (place % 2) + digit] += 1
        template = "sum({w}[i % 2][int(a)] for i, a in enumerate({s}[::-1]))"
        yield Columns(counts, template, part.bits + weights.WEIGHTED_SUM + 2, part, 10)


def best_weighted_sums(columns: Columns, target: Target) -> list[Scored]:
    """Return the weighted sums modulo m that all members share and few others."""
    found = []
    for members in (target.members, ~target.members):
        rows = columns.values[target.rows]
        solutions = {}
        for prime in (*PRIMES, *LARGEST_PRIMES):
            solved = _solved(rows[members], rows, prime)
            if solved is not None:
                solutions[prime] = solved
        for first, second in PRODUCTS:
            if first in solutions and second in solutions:
                pairs = zip(solutions[first], solutions[second], strict=True)
                solutions[first * second] = [
                    next(n for n in range(first * second) if n % first == a and n % second == b)
                    for a, b in pairs
                ]
        for modulus, solution in solutions.items():
            condition = _condition(columns, solution, modulus, members=members is target.members)
            found.append(scored(condition, target))
    return sorted(found, key=lambda one: one.cost)[:20]


def _solved(members: NDArray[np.int64], rows: NDArray[np.int64], prime: int) -> list[int] | None:
    """Return weights, then the remainder; None unless they are determined."""
    free = _independent(rows, prime)
    if len(members) < len(free) + SPARE_ROWS or not free:
        return None
    ones = np.full((len(members), 1), -1)
    matrix = np.concatenate([members[:, free], ones], axis=1) % prime
    reduced, pivots = _reduced(matrix, prime)
    if len(pivots) != len(free):
        return None
    (unknown,) = set(range(len(free) + 1)) - set(pivots)
    solution = np.zeros(len(free) + 1, dtype=np.int64)
    solution[unknown] = 1
    for row, pivot in zip(reduced, pivots, strict=False):
        solution[pivot] = -row[unknown] % prime
    if not solution[:-1].any():
        return None
    leading = int(solution[np.flatnonzero(solution[:-1])[-1]])
    solution = solution * pow(leading, -1, prime) % prime
    weights_of = np.zeros(rows.shape[1] + 1, dtype=np.int64)
    weights_of[[*free, -1]] = solution
    return [int(weight) for weight in weights_of]


def _independent(rows: NDArray[np.int64], prime: int) -> list[int]:
    """Return columns that neither are constant nor depend on others, on any row at all."""
    matrix = np.concatenate([np.ones((len(rows), 1), np.int64), rows], axis=1) % prime
    _, pivots = _reduced(matrix, prime)
    return [pivot - 1 for pivot in pivots if pivot > 0]


def _reduced(matrix: NDArray[np.int64], prime: int) -> tuple[NDArray[np.int64], list[int]]:
    """Return the reduced echelon form modulo a prime, and its pivot columns."""
    matrix = matrix.copy()
    pivots: list[int] = []
    for column in range(matrix.shape[1]):
        place = len(pivots)
        below = np.flatnonzero(matrix[place:, column])
        if not len(below):
            continue
        row = place + int(below[0])
        matrix[[place, row]] = matrix[[row, place]]
        matrix[place] = matrix[place] * pow(int(matrix[place, column]), -1, prime) % prime
        others = matrix[:, column].copy()
        others[place] = 0
        matrix = (matrix - others[:, None] * matrix[place]) % prime
        pivots.append(column)
        if len(pivots) == len(matrix):
            break
    return matrix, pivots


def _condition(
    columns: Columns, solution: Sequence[int], modulus: int, *, members: bool
) -> Expression:
    *chosen, remainder = solution
    total = columns.values @ np.array(chosen)
    varied = sum(weight != 0 for weight in chosen)
    bits = columns.bits + integer_bits(modulus) + choice_bits(modulus) * (1 + varied)
    code = f"{columns.written(chosen)} % {modulus}"
    sign, opposite = ("==", "!=") if members else ("!=", "==")
    truth = total % modulus == remainder
    return Expression(
        f"{code} {sign} {remainder}",
        bits,
        truth if members else ~truth,
        Level.COMPARISON,
        columns.part.needs,
        f"{code} {opposite} {remainder}",
    )
