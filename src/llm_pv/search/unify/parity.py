"""Sums modulo two: an odd number of ones among some positions, or among some counts.

Sets of up to four are found by trying them all, in spite of a few wrong labels; larger ones by
Gaussian elimination, which needs labels without errors and fewer unknowns than rows, more or less.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.emit import literal
from llm_pv.search.pool import Pool
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate, candidate, two_way
from llm_pv.search.types import Expression, Level, condition, negation
from llm_pv.search.unify.modular import reduced

MOST_POSITIONS = 300
MOST_TRIPLED = 160
"""Columns of which sums of three are tried."""
MOST_COUNTS = 70
"""Columns of which sums of four are tried, and numbers that are summed."""
LARGEST_COUNT = 2**50
LARGEST_NULL_SPACE = 12
PARITY = 4.0
KEPT = 12
Sets = list[tuple[int, ...]]


def parity(pool: Pool) -> Iterator[Candidate]:
    """Yield the sets of positions of a text, and of numbers, whose sum is odd for one class."""
    if not pool.problem.binary:
        return
    for text in pool.texts[:4]:
        yield from _of_positions(text, pool.problem)
    yield from _of_numbers(pool)


def _of_positions(text: Expression, problem: Problem) -> Iterator[Candidate]:
    length = len(text.values[0])
    rows = text.values[: problem.size]
    if any(len(row) != length for row in rows) or not 1 < length <= MOST_POSITIONS:
        return
    alphabet = sorted(set("".join(rows)))
    if len(alphabet) == 2:
        item, odd = f"{text.at(Level.ATOM)}[i] == {literal(alphabet[1])}", alphabet[1]
    elif set(alphabet) <= set("0123456789"):
        item, odd = f"int({text.at(Level.ATOM)}[i])", "13579"
    else:
        return

    def ones(values: Sequence[str]) -> NDArray[np.bool_]:
        return np.array([[c in odd for c in row[:length].ljust(length)] for row in values])

    def written(chosen: tuple[int, ...]) -> Expression:
        named = 1.0 + 2 * math.log2(1 + len(chosen)) + math.log2(math.comb(length, len(chosen)))
        return condition(
            f"sum({item} for i in {literal(chosen)}) % 2 == 1",
            text.bits + PARITY + named,
            lambda values: ones(values)[:, list(chosen)].sum(axis=1) % 2 == 1,
            text,
        )

    columns = ones(rows).T
    sizes = [1.0 + 2 * math.log2(1 + k) + math.log2(max(1, math.comb(length, k))) for k in range(5)]
    sets = _small_sets(columns, np.zeros(length), np.array(sizes), problem)
    if not sets or sets[0][0] > 0:
        sets = [*((0, one) for one in _eliminated(columns, problem.codes == 1)), *sets]
    for _, chosen in sets[:KEPT]:
        yield _better(written(chosen), problem)


def _of_numbers(pool: Pool) -> Iterator[Candidate]:
    problem = pool.problem
    known: dict[bytes, Expression] = {}
    for number in pool.numbers:
        values = number.values[: problem.size]
        with np.errstate(invalid="ignore"):
            whole = (values == np.floor(values)) & (np.abs(values) < LARGEST_COUNT)
        odd = values % 2 == 1 if whole.all() else np.zeros(1, dtype=bool)
        if odd.any() and not odd.all():
            known.setdefault(odd.tobytes(), number)
        if len(known) == MOST_COUNTS:
            break
    numbers = list(known.values())
    if len(numbers) < 2:
        return
    columns = np.array([number.values[: problem.size] % 2 == 1 for number in numbers])
    bits = np.array([number.bits for number in numbers])
    sizes = np.array([0.0, 2.5, 4.5, 6.5, 8.5])
    for _, chosen in _small_sets(columns, bits, sizes, problem)[:KEPT]:
        yield _better(_sum_is_odd([numbers[i] for i in chosen], float(sizes[len(chosen)])), problem)


def _sum_is_odd(members: Sequence[Expression], bits: float) -> Expression:
    code = " + ".join(member.at(Level.SUM) for member in members)
    code = f"({code}) % 2" if len(members) > 1 else f"{members[0].at(Level.PRODUCT)} % 2"
    bits += sum(member.bits for member in members)
    return condition(f"{code} == 1", bits, lambda *values: sum(values) % 2 == 1, *members)


def _better(one: Expression, problem: Problem) -> Candidate:
    made = [candidate(two_way(e, 1), problem, "parity") for e in (one, negation(one))]
    return min(made, key=lambda one: one.mistakes)


def _small_sets(
    columns: NDArray[np.bool_],
    bits: NDArray[np.float64],
    sizes: NDArray[np.float64],
    problem: Problem,
) -> list[tuple[int, tuple[int, ...]]]:
    """Return sets of one to four columns with their mistakes, cheapest first.

    As signs, a sum modulo two is a product, and how far products agree with the classes is one
    matrix product: pairs with the class against single columns, or against pairs.
    """
    signs = np.where(columns, -1.0, 1.0).astype(np.float32)
    label = np.where(problem.codes == 1, -1.0, 1.0).astype(np.float32)
    kept: list[tuple[float, int, tuple[int, ...]]] = []
    bar = [np.inf]

    def offer(sets: NDArray[np.int64], agreement: NDArray[np.floating]) -> None:
        mistakes = ((problem.size - np.abs(agreement)) / 2).round().astype(np.int64)
        price = sizes[sets.shape[1]] + bits[sets].sum(axis=1) + problem.price(mistakes)
        problem.count(len(sets))
        cheap = np.flatnonzero(price < bar[0])
        cheap = cheap[np.argsort(price[cheap], kind="stable")[: 3 * KEPT]]
        kept.extend(
            (float(price[place]), int(mistakes[place]), tuple(sets[place].tolist()))
            for place in cheap.tolist()
        )
        kept.sort()
        del kept[3 * KEPT :]
        if len(kept) == 3 * KEPT:
            bar[0] = kept[-1][0]

    offer(np.arange(len(signs))[:, None], signs @ label)
    width = min(len(signs), MOST_TRIPLED)
    first, second = (np.array(i) for i in np.triu_indices(width, 1))
    pairs = signs[first] * signs[second]
    offer(np.stack([first, second], axis=1), pairs @ label)
    for start in range(0, len(pairs), 512):
        problem.guard.check()
        one, two = first[start : start + 512], second[start : start + 512]
        block = pairs[start : start + 512] * label
        dearest = _allowed(problem, bar[0] - sizes[3] - 3 * bits.min())
        agreement = block @ signs[:width].T
        row, third = np.nonzero(np.abs(agreement) >= problem.size - 2 * dearest)
        later = third > two[row]
        row, third = row[later], third[later]
        offer(np.stack([one[row], two[row], third], axis=1), agreement[row, third])
        if len(signs) <= MOST_COUNTS:
            dearest = _allowed(problem, bar[0] - sizes[4] - 4 * bits.min())
            agreement = block @ pairs.T
            row, other = np.nonzero(np.abs(agreement) >= problem.size - 2 * dearest)
            later = first[other] > two[row]
            row, other = row[later], other[later]
            four = np.stack([one[row], two[row], first[other], second[other]], axis=1)
            offer(four, agreement[row, other])
    return [(mistakes, chosen) for _, mistakes, chosen in kept]


def _allowed(problem: Problem, bits: float) -> int:
    """Return how many mistakes a set may make to be cheap enough."""
    table = problem.price(np.arange(problem.size // 2 + 1))
    return int(np.searchsorted(table, min(bits, prices.choice_bits(2) * problem.size)))


def _eliminated(columns: NDArray[np.bool_], members: NDArray[np.bool_]) -> Sets:
    """Return the sets of columns whose sum is odd for the members exactly, the smallest few.

    Every row is an equation over GF(2): a constant and the columns on the left, the class right.
    """
    unknowns = len(columns) + 1
    ones = np.ones((len(members), 1), dtype=np.int64)
    matrix, pivots = reduced(np.hstack([ones, columns.T, members[:, None]]).astype(np.int64), 2)
    if unknowns in pivots or unknowns - len(pivots) > LARGEST_NULL_SPACE:
        return []
    free = [place for place in range(unknowns) if place not in pivots]
    solutions = []
    for values in itertools.product((0, 1), repeat=len(free)):
        setting = np.zeros(unknowns + 1, dtype=np.int64)
        setting[[*free, unknowns]] = *values, 1
        setting[pivots] = matrix[: len(pivots)] @ setting % 2
        chosen = np.flatnonzero(setting[1:unknowns]).tolist()
        if chosen:
            solutions.append(tuple(chosen))
    return sorted(solutions, key=lambda s: (len(s), s))[:5]
