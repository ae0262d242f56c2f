"""Constants read off training rows, with their bits: miners of operators and predicates."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.prices import choice_bits, constant_bits

SEPARATORS = " ,;:-/|_=@.#>()+"
MOST_CHARACTERS = 30
MOST_CUTS = 16
REMEMBERED = 50_000
"""Gaps whose constants are remembered: those between whole numbers come again and again."""


def grid(bits: float) -> float:
    """Round bits up to the grid of the bank's levels."""
    return float(np.ceil(bits * 2) / 2)


def training(values: Sequence[str]) -> Sequence[str]:
    """Return the values that constants are read off, 500 at most."""
    return values[:500]


def characters(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield single characters that some rows have more often than others."""
    counts = Counter(c for value in training(values) for c in value)
    chosen = [c for c, _ in counts.most_common(MOST_CHARACTERS)]
    for c in sorted(chosen, key=lambda c: (not c.isalnum(), -counts[c])):
        yield c, grid(choice_bits(min(len(chosen), 8)))


def symbols(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield characters where the alphabet is small, and punctuation elsewhere."""
    alphabet = set("".join(training(values)))
    for c, bits in characters(values):
        if len(alphabet) <= 12 or not c.isalnum():
            yield c, bits


def pairs_of_symbols(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield every two of a few characters."""
    alphabet = sorted(set("".join(training(values))))
    if 4 <= len(alphabet) <= 6 and all(len(value) == 1 for value in values):
        for pair in combinations(alphabet, 2):
            yield "".join(pair), 2.0


def symbols_of_pieces(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield the characters that pieces of a few symbols are made of."""
    alphabet = sorted(set("".join(training(values))))
    if 2 <= len(alphabet) <= 4 and min(map(len, values)) > 1:
        for symbol in alphabet:
            yield symbol, grid(choice_bits(len(alphabet)) / 2)


def separators(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield separators that every row has, the most even number of them first."""
    rows = training(values)
    found = [s for s in SEPARATORS if all(s in row for row in rows)]
    longer = [s for s in (" -> ", ", ", ": ", " / ", " | ", " - ") if all(s in row for row in rows)]
    for separator in (*longer, *found):
        yield separator, grid(choice_bits(len(found)) / 2)


def split_places(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield separators for splitting into a list: those that most rows have."""
    rows = training(values)
    for separator in ",;|/-_:.":
        if sum(separator in row for row in rows) > len(rows) / 2:
            yield separator, 0.5


def tokens(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield short strings of a small alphabet, and words, to be counted or found."""
    rows = training(values)
    alphabet = sorted(set("".join(rows)))
    if len(alphabet) <= 5:
        grams = [a + b for a in alphabet for b in alphabet]
        grams += [a + b for a in grams for b in alphabet]
        if len(alphabet) == 2:
            grams += [a + b for a in grams if len(a) == 3 for b in alphabet]
        for gram in grams:
            yield gram, grid(min(len(gram), 4) * choice_bits(len(alphabet)) / 1.5)


def places(values: Sequence[str]) -> Iterator[tuple[int, float]]:
    """Yield positions that every row has, the ends first."""
    shortest = min(map(len, training(values)), default=0)
    for place in range(min(shortest, 12)):
        yield place, grid(1.0 + choice_bits(place + 1))
    for place in range(-1, -min(shortest, 6) - 1, -1):
        yield place, grid(1.0 + choice_bits(-place))


def prefix_lengths(values: Sequence[str]) -> Iterator[tuple[int, float]]:
    """Yield lengths of prefixes and suffixes."""
    longest = max(map(len, training(values)), default=0)
    for length in (1, 2, 3, 4, 5, 6, 8):
        if length < longest:
            yield length, grid(choice_bits(length))


def places_of_list(values: Any) -> Iterator[tuple[int, float]]:
    """Yield positions that every list has."""
    shortest = int(values.layout.lengths.min())
    longest = int(values.layout.lengths.max())
    for place in range(min(shortest, 10)):
        yield place, grid(choice_bits(place + 1) / 2)
    if longest != shortest and shortest > 0:
        yield -1, 0.5
        if shortest > 1:
            yield -2, 1.5


def moduli(values: NDArray[np.float64]) -> Iterator[tuple[int, float]]:
    """Yield small moduli for whole numbers that are not all small themselves."""
    known = values[np.isfinite(values)][:2000]
    if not len(known) or (known != np.floor(known)).any():
        return
    spread = known.max() - known.min()
    for modulus, bits in ((2, 0.5), (10, 0.5), (100, 1.0)):
        if spread >= modulus:
            yield modulus, bits


def cuts(values: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """Yield numbers to compare items with: all distinct ones, or round ones at quantiles."""
    known = np.unique(values[np.isfinite(values)])
    if len(known) > MOST_CUTS:
        shares = np.linspace(0, 1, MOST_CUTS + 2)[1:-1]
        levels = np.quantile(values, shares)
        known = np.array(sorted({round_number(a, b) for a, b in pairwise(levels)}))
        if known.size and (values == np.floor(values)).all():
            known = np.unique(np.round(known))
    for value in known.tolist():
        yield _plain(value), grid(constant_bits(value))
    if len(known) and known.min() < 0 < known.max() and 0 not in known:
        yield 0, 0.5


def two_levels(values: Any) -> Iterator[tuple[tuple[float, float], float]]:
    """Yield pairs of round levels that items lie above and below, the higher first."""
    items = np.unique(values.flat)
    if len(items) < 8:
        return
    quantiles = np.quantile(items, np.linspace(0.1, 0.9, 7))
    levels = sorted({round_number(a, b) for a, b in pairwise(quantiles.tolist())})
    for index, high in enumerate(levels):
        for low in levels[:index]:
            yield (_plain(high), _plain(low)), grid((constant_bits(high) + constant_bits(low)) / 2)


def beside_numbers(values: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield patterns of the number after, or before, a sign or word that every row has once."""
    rows = training(values)
    if sum(len(re.findall(r"\d+", row)) > 1 for row in rows) < len(rows) / 2:
        return
    for found, pattern, alone in (
        (r"([^\s\d]+) ?\d", r"{} ?(\d+)", r"{}(?![-/:.]?\d)"),
        (r"\d ?([^\s\d]+)", r"(\d+) ?{}", r"(?<![-/:.\d]){}"),
    ):
        for beside in sorted(set(re.findall(found, rows[0]))):
            made = pattern.format(re.escape(beside))
            # A part of a date or of a decimal is no number.
            if all(
                len(re.findall(made, r)) == 1 == len(re.findall(alone.format(made), r))
                for r in rows
            ):
                yield made, 1.5


def item_values(values: Any) -> Iterator[tuple[Any, float]]:
    """Yield the items to be equal to: the most frequent texts, or the few distinct numbers."""
    if isinstance(values, np.ndarray):
        known, counts = np.unique(values, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:12]
        for index in order.tolist():
            value = float(known[index])
            yield _plain(value), grid(constant_bits(value))
        return
    for text in values[:MOST_CHARACTERS]:
        yield text, grid(choice_bits(min(len(values), 8)))


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else float(value)


UNITS = {"minutes": (60, 30, 15), "seconds": (3600, 60)}
"""What numbers of a kind are rounded to before their digits are."""


@lru_cache(REMEMBERED)
def round_number(low: float, high: float, kind: str = "") -> float:
    """Return the roundest number above ``low`` and up to ``high``.

    Parameters
    ----------
    kind
        The unit of the numbers: minutes are rounded to hours.

    Examples
    --------
    >>> round_number(17.3, 18.2), round_number(96.0, 104.0), round_number(0.312, 0.3174)
    (18.0, 100.0, 0.315)
    >>> round_number(440.0, 530.0), round_number(440.0, 530.0, "minutes")
    (500.0, 480.0)
    >>> round_number(5.0, float("inf")) > 5.0
    True
    """
    if not low < high:
        return high
    units = UNITS.get(kind, ()) if np.isfinite(high) else ()
    whole = [high // unit * unit for unit in units if low < high // unit * unit]
    return float(whole[0]) if whole else _roundest(low, high)


def reached(low: float, high: float, kind: str = "") -> float:
    """Return a number that is more than all numbers up to ``low``, and up to ``high``.

    It is that of `boundary`; where that is "more than" a number, the next that a float can be.

    Examples
    --------
    >>> reached(17.3, 18.2), reached(0.5, 0.52)
    (18.0, 0.5000000000000001)
    """
    sign, constant = boundary(low, high, kind)
    if sign == ">=" or low == 0:
        return constant if low != 0 else round_number(low, high, kind)
    return float(np.nextafter(constant, np.inf))


def below(cut: float) -> tuple[str, float]:
    """Return the sign and constant that say that a number is less than a cut.

    Examples
    --------
    >>> below(18.0), below(reached(0.5, 0.52))
    (('<', 18.0), ('<=', 0.5))
    """
    before = float(np.nextafter(cut, -np.inf))
    return ("<=", before) if constant_bits(before) + 0.5 < constant_bits(cut) else ("<", cut)


MOST_ROUND = 4


def round_numbers(low: float, high: float, kind: str = "") -> list[float]:
    """Return the round numbers above ``low`` and up to ``high``, the roundest first.

    Where a unit has more than a few, those of smaller units are not listed.

    Examples
    --------
    >>> round_numbers(62.0, 72.0), round_numbers(16.0, 18.0), round_numbers(38.0, 50.0, "minutes")
    ([70.0, 65.0], [17.0, 18.0], [45.0, 50.0, 40.0])
    """
    found: dict[float, None] = {}
    powers = [step * 10.0**digits for digits in range(5, -5, -1) for step in (1.0, 0.5)]
    for unit in (*UNITS.get(kind, ()), *powers):
        first, last = np.floor(low / unit) + 1, np.floor(high / unit)
        needless = unit < 1 and low == np.floor(low) and high == np.floor(high)
        if needless or not last - first < MOST_ROUND:
            break
        found |= dict.fromkeys(round(float(n * unit), 6) for n in np.arange(first, last + 1))
    return list(found)


@lru_cache(REMEMBERED)
def boundary(low: float, high: float, kind: str = "") -> tuple[str, float]:
    """Return the sign and constant that tell numbers from ``high`` on from those up to ``low``.

    Examples
    --------
    >>> boundary(17.3, 18.2), boundary(0.5, 0.52), boundary(475.0, 485.0, "minutes")
    (('>=', 18.0), ('>', 0.5), ('>=', 480.0))
    >>> boundary(480.0, 495.0, "minutes")
    ('>', 480.0)
    """
    constant = round_number(low, high, kind)
    if not np.isfinite(low):
        return ">=", constant
    units = UNITS.get(kind, ())

    def roughness(value: float) -> float:
        whole = [place for place, unit in enumerate(units) if value % unit == 0]
        return 10.0 * min(whole, default=len(units)) + constant_bits(value)

    # What is no rounder by half a digit is left: people mostly write the number that is reached.
    return (">", low) if roughness(low) + 0.5 < roughness(constant) else (">=", constant)


@lru_cache(REMEMBERED)
def written_bits(value: float, kind: str = "") -> float:
    """Return the bits of a constant to compare numbers of a kind with: whole hours are cheap.

    Examples
    --------
    >>> round(written_bits(540.0), 1), round(written_bits(540.0, "minutes"), 1)
    (2.7, 1.7)
    """
    units = [unit for unit in UNITS.get(kind, ())[:1] if value % unit == 0]
    return min([constant_bits(value), *(constant_bits(value / unit) + 0.5 for unit in units)])


def _roundest(low: float, high: float) -> float:
    """Return the number with the fewest digits above ``low`` and up to ``high``."""
    if not np.isfinite(high - low):  # a product that overflowed: any number between will do
        low = max(low, -1e15)
        high = min(high, max(2 * low, 1e15))
    if low < 0 <= high:
        return 0.0
    best = high
    for digits in range(-6, 12):
        scale = 10.0**digits
        for step in (1.0, 0.5):
            unit = step / scale
            candidate = np.ceil(low / unit + 1e-9) * unit
            if low < candidate <= high:
                nice = float(round(candidate, max(0, digits) + 1))
                if low < nice <= high:
                    middle = (low + high) / 2
                    nearest = round(round(middle / unit) * unit, max(0, digits) + 1)
                    return float(nearest) if low < nearest <= high else nice
    return best


WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return WORD.findall(text.lower())


def substrings(
    values: Sequence[str],
    longest: int = 12,
    most: int = 4000,
    *,
    characters: int = 1_000_000,
    check: Callable[[], object] = lambda: None,
) -> list[str]:
    """Return strings that some training rows contain and others do not.

    So many characters of all rows are looked at: of long texts the beginnings. ``check`` is called
    again and again; it may raise to end the search.

    Examples
    --------
    >>> rows = ["abz", "abz", "cdz"]
    >>> substrings(rows), substrings(rows, characters=3)
    (['abz', 'a', 'b', 'ab', 'bz'], ['a'])
    """
    rows = training(values)
    cut = max(1, characters // max(1, len(rows)))
    rows = [row[:cut] for row in rows]
    alphabet = len(set("".join(rows)))
    least = 2 if len(rows) < 300 else 3
    counts: Counter[str] = Counter()
    frequency = Counter(rows)
    for length in range(1, longest + 1):
        level: Counter[str] = Counter()
        for row, times in frequency.items():
            check()
            for part in {row[i : i + length] for i in range(len(row) - length + 1)}:
                level[part] += times
        telling = {s: n for s, n in level.items() if least <= n < len(rows)}
        counts.update(telling)
        if max(level.values(), default=0) < least or len(counts) > 4 * most:
            break
        if alphabet > 5 and length >= 8:
            break
    # Not a set: the order of words as frequent as each other would differ from run to run.
    words = Counter(word for row in rows for word in dict.fromkeys(row.split()) if len(word) > 1)
    whole = [word for word, count in words.most_common(most // 3) if least <= count < len(rows)]
    ordered = sorted(counts, key=lambda s: (len(s), -counts[s], s))
    return list(dict.fromkeys([*whole, *ordered]))[:most]
