"""Every price of the search in bits, with its reason.

A choice among n equally plausible alternatives costs log2(n); what people write often costs less.
"""

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

STEP = 0.5
"""Values are enumerated in levels this far apart; an operator's bits are a multiple of it."""
JOIN = 1.5
"""Joining two conditions by ``and`` or ``or``."""
DIFFER = 3.0
"""Two conditions of which exactly one holds."""
BRANCH = 2.0
"""One question of a tree or decision list, the condition not included."""
POINT = 3.0
"""One term of a scorecard, its points and its condition not included."""
TABLE_ROW = 1.0
"""One row of a lookup table, its value and its class not included."""
RANK_SHARE = 1.15
"""A condition costs at least this many bits for each doubling of its rank among those tried."""
THRESHOLD = 1.5
"""A comparison with a constant, the constant not included."""
STRICT = 0.5
"""What a cut costs more that leaves out the constant itself."""
EQUALITY = 2.0
SIGNIFICANT_DIGIT = 1.2
TRAILING_ZERO = 0.3
WRITTEN = 2.5
"""Looking at the characters of rows that write lists of numbers, edges or dates."""
PIECE = 2.5
"""Letters of a natural text that are no whole word."""
NATURAL = 3.0
"""The remainder of a table's column, or of anything counted in sentences, rarely means anything."""
GAP = 1.0
"""Adding, multiplying or comparing a number that some rows lack: these are said by themselves."""
PRODUCT = 2.0
"""Multiplying or dividing a product again: three columns are rarely multiplied."""
TRUST_MARGIN = 8.0
"""Bits by which a rule must beat the majority class to be called found."""
NOISE_SLACK = 8.0
"""With noisy labels, bits by which a program may cost more than the best and still be proposed."""


def choice_bits(alternatives: float) -> float:
    """Return the bits that name one of equally plausible alternatives.

    Examples
    --------
    >>> choice_bits(8)
    3.0
    """
    return math.log2(max(1.0, alternatives))


COUNTS = frozenset({"count", "length", "place", "number", ""})


def unlike_bits(one: str, two: str) -> float:
    """Return the bits of adding or comparing numbers of these kinds: none for like with like.

    Columns of a table are of a kind where their scales are within a factor of about ten.

    Examples
    --------
    >>> unlike_bits("count", "count"), unlike_bits("column 2", "column 3")
    (0.0, 0.0)
    >>> unlike_bits("month", "count"), unlike_bits("column 1", "column 5")
    (4.0, 3.0)
    """
    if one == two:
        return 0.0
    if one in COUNTS and two in COUNTS:
        return 1.0
    if {one, two} & {"words", "letters"} and {one, two} & COUNTS:
        return 1.0
    if one.startswith("column ") and two.startswith("column "):
        apart = abs(int(one.split()[1]) - int(two.split()[1]))
        return 0.0 if apart <= 1 else 3.0
    return 1.0 if {"days", "minutes", "seconds"} & {one, two} else 4.0


def leaf_bits(classes: int) -> float:
    """Return the bits of an answer at the end of a branch."""
    return 1.0 + choice_bits(classes)


@lru_cache(50_000)
def constant_bits(value: float) -> float:
    """Return the bits of a number written into a program: by its digits, zeros being cheap.

    Examples
    --------
    >>> [round(constant_bits(value), 1) for value in (0, 3, 18, 800, 1000, 0.5)]
    [0.5, 1.2, 2.4, 1.8, 1.2, 1.5]
    """
    text = repr(int(value)) if float(value).is_integer() else repr(float(value))
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    if "e" in text or not digits:
        return 0.5 if not digits else SIGNIFICANT_DIGIT * 8
    zeros = len(digits) - len(digits.rstrip("0"))
    if digits.rstrip("0") == "1":  # a power of ten
        return SIGNIFICANT_DIGIT + TRAILING_ZERO * ("." in text) + 0.5 * (value < 0)
    point = TRAILING_ZERO if "." in text else 0.0
    sign = 0.5 if value < 0 else 0.0
    return SIGNIFICANT_DIGIT * (len(digits) - zeros) + TRAILING_ZERO * zeros + point + sign


def rank_floor(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the least bits of conditions by their rank, 0 first, among all that were tried.

    With 30,000 candidates, one fits 100 rows by luck.
    """
    return np.asarray(RANK_SHARE * np.log2(1.0 + ranks))


@cache
def _mistake_bits(rows: int, classes: int, noise: float) -> tuple[float, ...]:
    prices: list[float] = []
    for wrong in range(rows + 1):
        named = math.log2(rows + 1) + _log2_comb(rows, wrong) + wrong * choice_bits(classes - 1)
        if noise > 0:
            relabelled = wrong * (choice_bits(classes - 1) - math.log2(noise))
            named = min(named, relabelled - (rows - wrong) * math.log2(1 - noise))
        prices.append(max(named, prices[-1] if prices else 0.0))
    return tuple(prices)


def mistake_bits(rows: int, classes: int, noise: float = 0.0) -> NDArray[np.float64]:
    """Return, for 0 to ``rows`` mistakes, the bits that name them and put them right.

    Never decreasing, so that more mistakes never look better. Where a share of the labels is known
    to be wrong, naming that many costs less.

    Examples
    --------
    >>> mistake_bits(3, 2).round(2).tolist()
    [2.0, 3.58, 3.58, 3.58]
    """
    return np.array(_mistake_bits(rows, classes, noise))


def _log2_comb(total: int, chosen: int) -> float:
    natural = math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    return natural / math.log(2)
