"""Conditions: numbers compared with constants, remainders, memberships, characters at positions.

A condition is sketched first, as a few small values beside its truth on all rows; its source is
written only for those that end up in a program.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    Expression,
    Level,
    calculated,
    compared,
    constant,
)
from llm_pv.proposers.length_first.sequences import Category, Features, Part, literal
from llm_pv.proposers.length_first.weights import choice_bits, integer_bits

MOST_CUTS = 128
MOST_EQUALITIES = 12
LONGEST = 21.0
"""Bits from which on equality with a constant or a remainder is not tried."""
MODULI = (2, 3, 4, 5, 6, 7, 8, 9, 10)
MOST_POSITIONS = 200
LARGEST_ROUNDED = 1e300
"""Rounding numbers beyond this may leave the range of floats."""
MOST_POSITION_CHARACTERS = 12

Truth = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sketch:
    """A condition's length and how to write it."""

    bits: float
    write: Callable[[], Expression]


@dataclass(frozen=True, eq=False)
class Conditions:
    """Different conditions, shortest first, with their truth on rows and probes.

    Parameters
    ----------
    sketches
        One for each condition.
    truth
        Their values, of shape (conditions, rows).
    bits
        Their lengths.
    """

    sketches: list[Sketch]
    truth: Truth
    bits: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sketches)

    def written(self, index: int) -> Expression:
        """Return one condition as an expression."""
        return self.sketches[index].write()

    def chosen(self, indices: NDArray[np.int64]) -> "Conditions":
        """Return some of the conditions."""
        sketches = [self.sketches[index] for index in indices]
        return Conditions(sketches, self.truth[indices], self.bits[indices])


def collect_conditions(
    features: Features,
    texts: list[Part],
    mined: list[Expression],
    codes: NDArray[np.int64],
    most_cells: int,
) -> Conditions:
    """Return all conditions on the features, without repetitions and without constant ones."""
    size = len(codes)
    blocks: list[tuple[list[Sketch], Truth]] = [
        ([ready(flag)], flag.values[None, :].astype(bool)) for flag in (*features.flags, *mined)
    ]
    for text in texts:
        blocks.extend(_positions(text, size))
    for category in features.categories:
        blocks.extend(_equalities(category, size))
    cells = 0
    for number in sorted(features.numbers, key=lambda number: number.bits):
        for block in _comparisons(number, codes):
            cells += block[1].size
            blocks.append(block)
        if cells > most_cells:
            break
    return _without_repetitions(blocks, size)


def _without_repetitions(blocks: list[tuple[list[Sketch], Truth]], size: int) -> Conditions:
    sketches = [sketch for block, _ in blocks for sketch in block]
    if not sketches:
        return Conditions([], np.zeros((0, size), bool), np.zeros(0))
    truth = np.concatenate([block for _, block in blocks])
    order = np.argsort([sketch.bits for sketch in sketches], kind="stable")
    # A condition and its opposite separate the same rows: one of them is enough.
    packed = np.packbits(truth ^ truth[:, :1], axis=1)
    sums = truth[:, :size].sum(axis=1)
    varies = (sums > 0) & (sums < size)
    seen: set[bytes] = set()
    kept: list[int] = []
    for index in order.tolist():
        if varies[index]:
            key = packed[index].tobytes()
            if key not in seen:
                seen.add(key)
                kept.append(index)
    bits = np.array([sketches[index].bits for index in kept])
    return Conditions([sketches[index] for index in kept], truth[kept], bits)


def _comparisons(
    number: Expression, codes: NDArray[np.int64]
) -> Iterator[tuple[list[Sketch], Truth]]:
    """Yield one number against constants: cuts, single values, remainders."""
    values = number.values
    train = values[: len(codes)].astype(np.float64)
    present = np.unique(train[np.isfinite(train)])
    cuts = cuts_between(train, codes)
    if len(cuts):
        bits = number.bits + weights.THRESHOLD + choice_bits(len(present))
        sketches = [
            _against(number, ">=", cut, bits + weights.DIGIT * digits_of(cut))
            for cut in cuts.tolist()
        ]
        yield sketches, values >= cuts[:, None]
    finite = train[np.isfinite(train)]
    if not len(finite) or not bool((np.floor(finite) == finite).all()):
        return
    counts = Counter(finite.tolist())
    wanted = [v for v, count in counts.most_common(MOST_EQUALITIES) if count > 1 or v == 0]
    if wanted and len(present) > 2:
        bits = number.bits + weights.EQUALITY + choice_bits(len(present))
        if bits <= LONGEST:
            sketches = [_against(number, "==", value, bits) for value in wanted]
            yield sketches, values == np.array(wanted)[:, None]
    spread = float(present[-1]) - float(present[0])
    for modulus in MODULI:
        price = weights.MODULUS + integer_bits(modulus) + choice_bits(modulus) - 3.0
        if modulus <= spread and number.bits + price <= LONGEST:
            yield _remainders(number, modulus)


def ready(flag: Expression) -> Sketch:
    """Return the sketch of a condition that is written already."""
    return Sketch(flag.bits, lambda: flag)


def _against(number: Expression, sign: str, value: float, bits: float) -> Sketch:
    rows = len(number.values)
    return Sketch(bits, lambda: compared(number, sign, constant(value, rows), bits))


def _remainders(number: Expression, modulus: int) -> tuple[list[Sketch], Truth]:
    rows = len(number.values)
    bits = number.bits + weights.MODULUS + integer_bits(modulus) - 3.0
    remainder = calculated(number, "%", constant(modulus, rows), bits)
    wanted = [1] if modulus == 2 else list(range(modulus))
    sketches = []
    for value in wanted:
        cost = bits + (1.0 if value == 0 or modulus == 2 else 1.0 + choice_bits(modulus - 1))
        sketches.append(_against(remainder, "==", value, cost))
    return sketches, remainder.values == np.array(wanted)[:, None]


def cuts_between(values: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return thresholds between neighbouring values.

    Where there are too many, those between two values whose rows are all of one class are left
    out, and the rest are spread evenly. Each is the simplest number that is larger than the one
    value and not larger than the next.

    Parameters
    ----------
    values
        A number for each training row; some may be NaN.
    codes
        The rows' classes.

    Examples
    --------
    >>> cuts_between(np.array([1.0, 2.0, 6.0, 8.0]), np.array([0, 0, 1, 1])).tolist()
    [2.0, 4.0, 7.0]
    """
    finite = np.isfinite(values)
    present, places = np.unique(values[finite], return_inverse=True)
    classes = codes[finite]
    lowest = np.full(len(present), np.iinfo(np.int64).max)
    highest = np.full(len(present), -1)
    np.minimum.at(lowest, places, classes)
    np.maximum.at(highest, places, classes)
    pure = (lowest[:-1] == highest[:-1]) & (lowest[1:] == highest[1:])
    gaps = np.arange(len(present) - 1)
    if len(gaps) > MOST_CUTS:
        gaps = np.flatnonzero(~(pure & (lowest[:-1] == lowest[1:])))
    if len(gaps) > MOST_CUTS:
        gaps = gaps[np.linspace(0, len(gaps) - 1, MOST_CUTS).round().astype(np.int64)]
    return np.array([simplest_between(present[gap], present[gap + 1]) for gap in gaps])


def digits_of(value: float) -> int:
    """Return how many significant digits a number is written with, zeros after the point included.

    Examples
    --------
    >>> [digits_of(value) for value in (40, 0.25, 1200, 0.002)]
    [1, 2, 2, 3]
    """
    mantissa, exponent = f"{value:.15e}".split("e")
    significant = len(mantissa.strip("-").replace(".", "").rstrip("0"))
    return max(1, significant + max(0, -1 - int(exponent)))


def simplest_between(low: float, high: float) -> float:
    """Return the number in (low, high] with the fewest decimals, near the middle.

    Examples
    --------
    >>> simplest_between(3, 4), simplest_between(57, 64), simplest_between(16.77, 16.83)
    (4.0, 60.0, 16.8)
    """
    if not (abs(low) < LARGEST_ROUNDED and abs(high) < LARGEST_ROUNDED):
        return float(high)
    middle = (float(low) + float(high)) / 2
    magnitude = math.ceil(math.log10(max(abs(low), abs(high), 1e-300)))
    for decimals in range(-magnitude, 18 - magnitude):
        rounded = round(middle, decimals)
        # Half way between two whole numbers rounding may go down to the lower one itself.
        rounded = rounded if rounded > low else round(rounded + 10.0**-decimals, decimals)
        if low < rounded <= high:
            return rounded
    return float(high)


def _positions(text: Part, size: int) -> Iterator[tuple[list[Sketch], Truth]]:
    """Yield which character stands at a position, counted from either end."""
    rows = [str(row) for row in text.rows]
    lengths = [len(row) for row in rows[:size]]
    shortest = min(lengths)
    if shortest < 1:
        return
    alphabet = [c for c, _ in Counter("".join(rows[:size])).most_common(MOST_POSITION_CHARACTERS)]
    if len(set(alphabet)) == 2:
        alphabet = [max(alphabet)]
    front = list(range(min(shortest, MOST_POSITIONS)))
    back = [] if len(set(lengths)) == 1 else list(range(-min(shortest, MOST_POSITIONS // 4), 0))
    filled = [row if len(row) >= shortest else row.ljust(shortest, "\0") for row in rows]
    for position in (*front, *back):
        column = [row[position] for row in filled]
        bits = text.bits + weights.POSITION + choice_bits(shortest) + choice_bits(len(alphabet))
        bits -= 1 if position in (0, -1) else 0
        truth = np.array([[one == character for one in column] for character in alphabet])
        yield (
            [
                Sketch(bits, _position_writer(text, position, character, bits, truth[index]))
                for index, character in enumerate(alphabet)
            ],
            truth,
        )


def _position_writer(
    text: Part, position: int, character: str, bits: float, truth: Truth
) -> Callable[[], Expression]:
    left, right = f"{text.code}[{position}]", literal(character)
    return lambda: Expression(
        f"{left} == {right}", bits, truth, Level.COMPARISON, text.needs, f"{left} != {right}"
    )


def _equalities(category: Category, size: int) -> Iterator[tuple[list[Sketch], Truth]]:
    """Yield whether a category has a value that at least two training rows have."""
    counts = Counter(category.rows[:size])
    wanted = [value for value, count in counts.items() if count > 1 and value is not None]
    if not wanted:
        return
    truth = np.array([[row == value for row in category.rows] for value in wanted], bool)
    bits = category.bits + weights.EQUALITY + choice_bits(len(counts))
    sketches = []
    for index, value in enumerate(wanted):
        code, opposite = (f"{category.code} {sign} {literal(value)}" for sign in ("==", "!="))
        flag = Expression(code, bits, truth[index], Level.COMPARISON, category.needs, opposite)
        sketches.append(ready(flag))
    yield sketches, truth
