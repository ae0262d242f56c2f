"""Weighted sums modulo m that are the same for every row of a class, found by solving for them.

Each row of the class is an equation: the weighted sum of its columns is the remainder, modulo a
prime. Elimination gives the weights, if the rows are more than the columns; for a product of two
primes the solutions are put together (Chinese remainder theorem).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.pool import Pool
from llm_pv.search.prices import choice_bits
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate, candidate, two_way
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Expression, Level, condition

PRIMES = tuple(p for p in range(2, 102) if all(p % d for d in range(2, p)))
PRODUCTS = ((2, 3), (2, 5), (2, 7), (3, 5), (2, 11), (2, 13))
MOST_COLUMNS = 30
MOST_SOURCES = 6
"""Texts, and lists, whose digits or numbers are columns."""
SPARE_ROWS = 6
"""Rows beyond the columns, so that weights that solve the equations do not do so by chance."""
WEIGHTED_SUM = 5.0
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Columns:
    """Integers for each row, and how to write a weighted sum of them."""

    source: Expression  # the text or list they are read off
    read: Callable[[object], Rows]  # from the source's values to an array of shape (rows, columns)
    template: str  # the weighted sum, ``{w}`` standing for the weights
    bits: float  # the price of the sum, weights not included
    width: int = 0  # how many weights make one group of the written tuple; 0 for a plain tuple

    def written(self, chosen: Sequence[int]) -> str:
        """Return the weighted sum's source."""
        groups: Sequence[object] = tuple(chosen)
        if self.width:
            starts = range(0, len(chosen), self.width)
            groups = tuple(tuple(chosen[start : start + self.width]) for start in starts)
        return self.template.format(s=self.source.at(Level.ATOM), w=groups)


def modular(pool: Pool) -> Iterator[Candidate]:
    """Yield the weighted sums modulo m that all rows of a class share and few others."""
    problem = pool.problem
    if not problem.binary:
        return
    size = problem.size
    texts = [
        one
        for one in pool.texts
        if all(map(_is_digits, one.values[:size])) and len(set(one.values[:size])) > size / 2
    ]
    # What is whole says more than its parts.
    texts.sort(key=lambda one: -len(one.values[0]))
    for source in (*texts[:MOST_SOURCES], *pool.lists[:MOST_SOURCES]):
        for columns in _columns_of(source, problem.size):
            rows = columns.read(source.values)
            for code in (0, 1):
                problem.guard.check()
                yield from _of_class(columns, rows, code, problem)


def _is_digits(row: str) -> bool:
    return row.isdecimal() and row.isascii()


def _columns_of(source: Expression, size: int) -> Iterator[Columns]:
    """Yield the columns of rows of equally many digits or whole numbers."""
    values = source.values
    if isinstance(values, Ragged):
        whole = values.flat
        lengths = set(values.layout.lengths[:size].tolist())
        if (whole != np.floor(whole)).any() or np.abs(whole).max(initial=0) > 10**6:
            return
    else:
        lengths = set(map(len, values[:size]))
    if len(lengths) == 1 and 2 <= max(lengths) <= MOST_COLUMNS:
        width = max(lengths)
        item = "a" if isinstance(values, Ragged) else "int(a)"
        template = f"sum(w * {item} for w, a in zip({{w}}, {{s}}))"
        yield Columns(source, lambda v: _places(v, width), template, source.bits + WEIGHTED_SUM)
    if not isinstance(values, Ragged):
        # What a digit counts for may depend on whether its place, from the right, is even.
        template = "sum({w}[i % 2][int(a)] for i, a in enumerate({s}[::-1]))"
        yield Columns(source, _counts, template, source.bits + WEIGHTED_SUM + 2, 10)


def _places(values: object, width: int) -> Rows:
    if isinstance(values, Ragged):
        rows = [[int(item) for item in row] for row in values.rows]
    else:
        assert isinstance(values, list)
        rows = [[int(c) if c in "0123456789" else 0 for c in row] for row in values]
    return np.array([(row + [0] * width)[:width] for row in rows], dtype=np.int64)


def _counts(values: object) -> Rows:
    assert isinstance(values, list)
    counts = np.zeros((len(values), 20), dtype=np.int64)
    for index, row in enumerate(values):
        for place, digit in enumerate(reversed(row)):
            if digit in "0123456789":
                counts[index, 10 * (place % 2) + int(digit)] += 1
    return counts


def _of_class(columns: Columns, rows: Rows, code: int, problem: Problem) -> Iterator[Candidate]:
    train = rows[: problem.size]
    members = problem.codes == code
    solutions: dict[int, list[int]] = {}
    for prime in PRIMES:
        problem.guard.check()
        solved = _solved(train[members], train, prime)
        if solved is not None:
            solutions[prime] = solved
    for first, second in PRODUCTS:
        if first in solutions and second in solutions:
            both = zip(solutions[first], solutions[second], strict=True)
            solutions[first * second] = [
                next(n for n in range(first * second) if n % first == a and n % second == b)
                for a, b in both
            ]
    for modulus, solution in solutions.items():
        yield candidate(two_way(_condition(columns, solution, modulus), code), problem, "modular")


def _condition(columns: Columns, solution: Sequence[int], modulus: int) -> Expression:
    *chosen, remainder = solution
    factors = np.array(chosen)
    varied = sum(weight != 0 for weight in chosen)
    return condition(
        f"{columns.written(chosen)} % {modulus} == {remainder}",
        columns.bits + 2 * choice_bits(modulus) + choice_bits(modulus) * (1 + varied),
        lambda values: columns.read(values) @ factors % modulus == remainder,
        columns.source,
    )


def _solved(members: Rows, rows: Rows, prime: int) -> list[int] | None:
    """Return weights, then the remainder; None unless they are determined."""
    free = _independent(rows, prime)
    if len(members) < len(free) + SPARE_ROWS or not free:
        return None
    ones = np.full((len(members), 1), -1)
    matrix = np.concatenate([members[:, free], ones], axis=1) % prime
    solved, pivots = reduced(matrix, prime)
    if len(pivots) != len(free):
        return None
    (unknown,) = set(range(len(free) + 1)) - set(pivots)
    solution = np.zeros(len(free) + 1, dtype=np.int64)
    solution[unknown] = 1
    for row, pivot in zip(solved, pivots, strict=False):
        solution[pivot] = -row[unknown] % prime
    if not solution[:-1].any():
        return None
    leading = int(solution[np.flatnonzero(solution[:-1])[-1]])
    solution = solution * pow(leading, -1, prime) % prime
    weights = np.zeros(rows.shape[1] + 1, dtype=np.int64)
    weights[[*free, -1]] = solution
    return [int(weight) for weight in weights]


def _independent(rows: Rows, prime: int) -> list[int]:
    """Return columns that neither are constant nor depend on others, on any row at all."""
    matrix = np.concatenate([np.ones((len(rows), 1), np.int64), rows], axis=1) % prime
    _, pivots = reduced(matrix, prime)
    return [pivot - 1 for pivot in pivots if pivot > 0]


def reduced(matrix: Rows, prime: int) -> tuple[Rows, list[int]]:
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
