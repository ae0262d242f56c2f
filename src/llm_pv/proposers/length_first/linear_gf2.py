"""Sums modulo two: an odd number of ones among some positions, or among some counts.

Small sets are found by trying them all, in bulk and in spite of a few wrong labels; large ones by
Gaussian elimination, which needs labels without errors and fewer unknowns than rows, more or less.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Expression,
    Level,
    is_whole,
    negation,
)
from llm_pv.proposers.length_first.scoring import Board, Scored, Target, scored
from llm_pv.proposers.length_first.sequences import Part
from llm_pv.proposers.length_first.weights import subset_bits

MOST_POSITIONS = 300
"""Columns up to which sums of any number of them are solved for."""
MOST_TRIPLED = 160
"""Columns of which sums of three are tried."""
MOST_COUNTS = 120
"""Columns of which sums of four are tried."""
LARGEST_COUNT = LARGEST_EXACT / 4
"""Numbers beyond this are left out: the sum of four would not be exact."""
LARGEST_NULL_SPACE = 12


def best_position_parities(
    text: Part, target: Target, capacity: int, count: Callable[[int], None]
) -> list[Scored]:
    """Return the cheapest sets of positions with an odd sum, or an even one."""
    rows = [str(row) for row in text.rows]
    train = [rows[index] for index in target.rows.tolist()]
    lengths = {len(row) for row in train}
    if len(lengths) != 1 or not 1 < max(lengths) <= MOST_POSITIONS:
        return []
    length = max(lengths)
    alphabet = sorted(set("".join(train)))
    if len(alphabet) == 2:
        item = f'{text.code}[i] == "{alphabet[1]}"'
        ones = np.array([[c == alphabet[1] for c in row[:length].ljust(length)] for row in rows])
    elif set(alphabet) <= set("0123456789"):
        item = f"int({text.code}[i])"
        ones = np.array([[c in "13579" for c in row[:length].ljust(length)] for row in rows])
    else:
        return []

    def written(chosen: Sequence[int]) -> Expression:
        positions = ", ".join(map(str, chosen)) + ("," if len(chosen) == 1 else "")
        bits = text.bits + weights.PARITY_OF_SET + subset_bits(length, len(chosen))
        code = f"sum({item} for i in ({positions})) % 2"
        truth = ones[:, list(chosen)].sum(axis=1) % 2 == 1
        return Expression(f"{code} == 1", bits, truth, Level.COMPARISON, text.needs, f"{code} == 0")

    sizes = [subset_bits(length, min(size, length)) for size in range(5)]
    bits = np.array(sizes) + weights.PARITY_OF_SET
    columns = ones[target.rows].T
    sets = list(_small_sets(_Columns(columns, bits, np.zeros(length)), target, capacity, count))
    sets += _eliminated(columns, target)
    return [_better(written(chosen), target) for chosen in dict.fromkeys(sets)]


def best_count_parities(
    numbers: Sequence[Expression],
    most: int,
    target: Target,
    capacity: int,
    count: Callable[[int], None],
) -> list[Scored]:
    """Return the cheapest sets of counts whose sum is odd, or even."""
    known: dict[bytes, Expression] = {}
    for number in sorted(numbers, key=lambda number: number.bits):
        values = number.values.astype(np.float64)
        if is_whole(values) and bool((np.abs(values) < LARGEST_COUNT).all()):
            odd = values[target.rows] % 2 == 1
            if odd.any() and not odd.all():
                known.setdefault(odd.tobytes(), number)
        if len(known) == most:
            break
    chosen = list(known.values())
    if len(chosen) < 2:
        return []
    columns = np.array([number.values[target.rows] % 2 == 1 for number in chosen])
    sizes = np.array([0.0, 99.0, *(weights.MODULUS + 2.0 * size for size in (2, 3, 4))])
    costs = np.array([number.bits for number in chosen])

    def written(indices: Sequence[int]) -> Expression:
        members = [chosen[index] for index in indices]
        total = np.array([member.values.astype(np.float64) for member in members]).sum(axis=0)
        bits = sum(member.bits for member in members) + float(sizes[len(members)])
        code = " + ".join(member.at(Level.SUM) for member in members)
        needs = tuple(need for member in members for need in member.needs)
        return Expression(
            f"({code}) % 2 == 1",
            bits,
            total % 2 == 1,
            Level.COMPARISON,
            needs,
            f"({code}) % 2 == 0",
        )

    sets = _small_sets(_Columns(columns, sizes, costs), target, capacity, count)
    return [_better(written(indices), target) for indices in sets if len(indices) > 1]


def _better(condition: Expression, target: Target) -> Scored:
    plain = scored(condition, target)
    return min(plain, scored(negation(condition), target), key=lambda one: one.cost)


@dataclass(frozen=True, eq=False)
class _Columns:
    """Columns of zeros and ones, with the lengths of sets of them.

    Parameters
    ----------
    ones
        Of shape (columns, training rows).
    size_bits
        The bits of a set by its size, from 0 to 4.
    bits
        The bits of each column on its own.
    """

    ones: NDArray[np.bool_]
    size_bits: NDArray[np.float64]
    bits: NDArray[np.float64]


def _small_sets(
    columns: _Columns, target: Target, capacity: int, count: Callable[[int], None]
) -> Iterator[tuple[int, ...]]:
    """Yield sets of one to four columns, cheapest first.

    As signs, a sum modulo two is a product, and the products' agreement with the target is one
    matrix product: pairs with the target against single columns, or against pairs.
    """
    signs = np.where(columns.ones, -1.0, 1.0).astype(np.float32)
    label = np.where(target.members, -1.0, 1.0).astype(np.float32)
    board = Board(capacity)

    def offer(sets: NDArray[np.int64], agreement: NDArray[np.floating]) -> None:
        mistakes = ((target.size - np.abs(agreement)) / 2).round().astype(np.int64)
        size = sets.shape[1]
        price = columns.size_bits[size] + columns.bits[sets].sum(axis=1) + target.prices[mistakes]
        notes = np.full((4, len(sets)), -1, dtype=np.int64)
        notes[:size] = sets.T
        board.offer(price, notes)

    offer(np.arange(len(signs))[:, None], signs @ label)
    width = min(len(signs), MOST_TRIPLED)
    first, second = (np.array(i) for i in np.triu_indices(width, 1))
    pairs = signs[first] * signs[second]
    offer(np.stack([first, second], axis=1), pairs @ label)
    least = 1
    for start in range(0, len(pairs), 512):
        one, two = first[start : start + 512], second[start : start + 512]
        block = pairs[start : start + 512] * label
        row, third = np.nonzero(np.arange(width)[None, :] > two[:, None])
        offer(np.stack([one[row], two[row], third], axis=1), (block @ signs[:width].T)[row, third])
        if len(signs) <= MOST_COUNTS:
            agreement = block @ pairs.T
            row, other = np.nonzero(np.abs(agreement) >= least)
            later = first[other] > two[row]
            row, other = row[later], other[later]
            four = np.stack([one[row], two[row], first[other], second[other]], axis=1)
            offer(four, agreement[row, other])
            # What agrees less can no longer be among the cheapest.
            dearest = board.bar - columns.size_bits[4] - 4 * columns.bits.min()
            allowed = int(np.searchsorted(target.prices[: target.size // 2], dearest))
            least = max(least, target.size - 2 * allowed)
    count(board.offered)
    for note in board.best().tolist():
        yield tuple(index for index in note if index >= 0)


def _eliminated(columns: NDArray[np.bool_], target: Target) -> list[tuple[int, ...]]:
    """Return the sets of columns whose sum is the target exactly, the smallest few of them.

    Every row is an equation over GF(2), kept as an integer: bit 0 the constant, bits 1 to n the
    unknowns, bit n + 1 the right side.
    """
    unknowns = len(columns)
    right = 1 << (unknowns + 1)
    equations = [
        1 + sum(2 << int(i) for i in np.flatnonzero(row)) + (right if member else 0)
        for row, member in zip(columns.T, target.members, strict=True)
    ]
    pivots = _reduced(equations, right)
    if pivots is None or unknowns + 1 - len(pivots) > LARGEST_NULL_SPACE:
        return []
    free = [bit for bit in range(unknowns + 1) if bit not in pivots]
    solutions = []
    for values in itertools.product((0, 1), repeat=len(free)):
        chosen = [bit for bit, value in zip(free, values, strict=True) if value]
        setting = sum(1 << bit for bit in chosen)
        for bit, equation in pivots.items():
            if ((equation & setting).bit_count() + bool(equation & right)) % 2:
                chosen.append(bit)
        solutions.append(tuple(sorted(bit - 1 for bit in chosen if bit > 0)))
    return sorted((s for s in solutions if s), key=lambda s: (len(s), s))[:5]


def _reduced(equations: Sequence[int], right: int) -> dict[int, int] | None:
    """Return one fully reduced equation for each pivot, None if they contradict each other."""
    pivots: dict[int, int] = {}
    for equation in equations:
        rest = equation
        for bit, pivot in pivots.items():
            if rest >> bit & 1:
                rest ^= pivot
        left = rest & (right - 1)
        if left:
            bit = left.bit_length() - 1
            pivots = {b: p ^ rest if p >> bit & 1 else p for b, p in pivots.items()}
            pivots[bit] = rest
        elif rest:
            return None
    return pivots
