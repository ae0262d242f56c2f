"""The price list: what every primitive costs in bits, and the price of constants and of mistakes.

A program's length is the sum of its parts here; the search orders candidates by that length plus
the bits it takes to name the training rows they get wrong. The prices are set by hand: a choice
among n alternatives that are equally plausible costs log2(n), things people write often cost less.

In a template ``{s}`` is the sequence the primitive looks at (a string or a list of integers) and
``{c}`` a constant taken from the training rows.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Primitive:
    """A Python expression over one sequence, with its price and what it must import.

    Parameters
    ----------
    template
        The expression, with ``{s}`` for the sequence and ``{c}`` for a constant.
    bits
        Its price, constants not included.
    imports
        The import lines it needs.
    comparison
        Whether its outermost operation is a comparison, which needs parentheses inside others.
    """

    template: str
    bits: float
    imports: tuple[str, ...] = ()
    comparison: bool = False

    @property
    def opposite(self) -> str:
        """The template of the opposite question; empty where it is a plain ``not``."""
        if not self.comparison:
            return ""
        if " == " in self.template:
            return self.template.replace(" == ", " != ")
        return self.template.replace(" in ", " not in ", 1)


GROUPBY = ("from itertools import groupby",)
COUNTER = ("from collections import Counter",)
ACCUMULATE = ("from itertools import accumulate",)
MATH = ("import math",)
REGEX = ("import re",)
PAIRWISE = ("from itertools import pairwise",)

EACH, NEIGHBOURS, APART, TRIPLES, INDEXED = 1.0, 2.0, 4.5, 3.5, 3.0
MIRRORED, HALVED, ALL_PAIRS = 5.0, 5.0, 3.5
"""Loops over a sequence: each item, neighbours, items two apart, three in a row, with the index,
from both ends inwards, both halves side by side, every two items."""
TEST_REMAINDER, TEST_EQUAL, TEST_CUT, TEST_JOINED = 1.0, 1.0, 1.5, 1.5
"""Tests of an item, and joining two of them."""
COUNT, ANY_OR_ALL, SUM, EXTREME, DISTINCT = 1.0, 1.5, 1.0, 2.0, 2.5
FIRST_PLACE, LONGEST_RUN, FILTERED, FIRST_ITEM = 3.5, 4.0, 2.5, 2.0
"""What a loop ends with."""
COUNTS_COMPARED = 5.0
"""Two counts of one loop compared with each other, neither test included."""
ITEM_MEMBERSHIP = 2.5
"""A test whether the sequence has an item, the number that is sought not included."""

SLICES = (
    Primitive("{s}", 1),
    Primitive("{s}[: len({s}) // 2]", 4),
    Primitive("{s}[len({s}) // 2 :]", 4),
    Primitive("{s}[::2]", 4),
    Primitive("{s}[1::2]", 4),
    Primitive("{s}[1:]", 5),
    Primitive("{s}[:-1]", 5),
    Primitive("{s}[1:-1]", 6),
    Primitive("{s}[::3]", 7),
    Primitive("{s}[1::3]", 7),
    Primitive("{s}[2::3]", 7),
    Primitive("{s}[: len({s}) // 3]", 7),
    Primitive("{s}[-(len({s}) // 3) :]", 7),
    Primitive("{s}[: len({s}) // 4]", 7),
    Primitive("{s}[-(len({s}) // 4) :]", 7),
    Primitive("{s}[len({s}) // 4 : -(len({s}) // 4)]", 8),
)
"""Parts of a sequence; the same slices serve strings and lists."""

PREFIX_LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 16, 20)
"""Lengths of the fixed prefixes and suffixes tried as slices."""
AFFIX_SLICE = 4.0
"""A fixed prefix or suffix, its length not included."""

TEXT_NUMBERS = (
    Primitive("len({s})", 2),
    Primitive("len(set({s}))", 4),
    Primitive("sum(a != b for a, b in zip({s}, {s}[1:]))", 5),
    Primitive("sum(a == b for a, b in zip({s}, {s}[2:]))", 8),
    Primitive("sum(a == b for a, b in zip({s}, {s}[3:]))", 9),
    Primitive("sum(a == b for a, b in zip({s}, {s}[::-1]))", 7),
    Primitive("sum(a < b for a, b in zip({s}, {s}[1:]))", 6),
    Primitive("max((len(list(run)) for _, run in groupby({s})), default=0)", 6, GROUPBY),
    Primitive("max(Counter({s}).values(), default=0)", 6, COUNTER),
    Primitive("sum(count == 1 for count in Counter({s}).values())", 7, COUNTER),
    Primitive("sum(c.isdigit() for c in {s})", 5),
    Primitive("sum(c.isalpha() for c in {s})", 5),
    Primitive("sum(c.isupper() for c in {s})", 5),
    Primitive("sum(c.islower() for c in {s})", 5),
    Primitive('sum(c in "aeiouAEIOU" for c in {s})', 5),
    Primitive("sum(not c.isalnum() for c in {s})", 6),
    Primitive("len({s}.split())", 5),
    Primitive("ord({s}[0])", 7),
    Primitive("ord({s}[-1])", 7),
    Primitive("len({s}.encode())", 9),
    Primitive("int({s})", 3),
    Primitive("int({s}, 16)", 7),
    Primitive("int({s}, 2)", 3.5),
)
"""Numbers read off a string."""

CHARACTER_NUMBERS = (
    Primitive("{s}.count({c})", 2),
    Primitive("{s}.find({c})", 5),
    Primitive("{s}.rfind({c})", 6),
    Primitive("max(map(len, {s}.split({c})))", 6),
    Primitive("sum(i for i, c in enumerate({s}) if c == {c})", 7),
)
"""Numbers read off a string with respect to one character."""
WORD_PLACE = Primitive("{s}.find({c})", 4)
"""Where a word of two characters first stands."""
OVERLAPPING_COUNT = Primitive("sum({s}.startswith({c}, i) for i in range(len({s})))", 4)
"""Occurrences of a word of two characters or more, overlapping ones included."""
WORD_COUNT = Primitive("{s}.count({c})", 4)
"""The same for a word that cannot overlap itself."""

LIST_NUMBERS = (
    Primitive("len({s})", 3),
    Primitive("sum({s})", 2),
    Primitive("max({s})", 3),
    Primitive("max({s}, key=abs)", 5),
    Primitive("min({s})", 3),
    Primitive("{s}[0]", 3),
    Primitive("{s}[-1]", 3),
    Primitive("len(set({s}))", 4),
    Primitive("sum(a % 2 for a in {s})", 4),
    Primitive("sum(a % 2 == 0 for a in {s})", 4),
    Primitive("sum(a > 0 for a in {s})", 5),
    Primitive("sum(a < 0 for a in {s})", 5),
    Primitive("sum(a < b for a, b in zip({s}, {s}[1:]))", 5),
    Primitive("sum(a > b for a, b in zip({s}, {s}[1:]))", 5),
    Primitive("sum(a == b for a, b in zip({s}, {s}[1:]))", 5),
    Primitive("sum(abs(a - b) for a, b in zip({s}, {s}[1:]))", 6),
    Primitive("max(abs(a - b) for a, b in zip({s}, {s}[1:]))", 6),
    Primitive("sum(a < b > c for a, b, c in zip({s}, {s}[1:], {s}[2:]))", 7),
    Primitive("{s}.index(max({s}))", 5),
    Primitive("{s}.index(min({s}))", 5),
    Primitive("sum(i * a for i, a in enumerate({s}))", 7),
    Primitive("sum(a * a for a in {s})", 6),
    Primitive("sorted({s})[len({s}) // 2]", 6),
    Primitive("sorted({s})[1]", 6),
    Primitive("sorted({s})[-2]", 6),
    Primitive("math.gcd(*{s})", 6, MATH),
    Primitive("len({s}) * max({s})", 7),
    Primitive("len({s}) * {s}[-1]", 7),
    Primitive("len({s}) * {s}[0]", 7),
    Primitive("max(Counter({s}).values(), default=0)", 6, COUNTER),
    Primitive("max({s}) - min({s})", 5.5),
    Primitive("max(accumulate({s}, lambda total, a: max(total, 0) + a))", 6, ACCUMULATE),
    Primitive("min(accumulate({s}, lambda total, a: min(total, 0) + a))", 7, ACCUMULATE),
)
"""Numbers read off a list of integers; the last two are the best and worst sums of a stretch."""
ORDER_STATISTICS = (
    "max({s})",
    "sorted({s})[-2]",
    "sorted({s})[1]",
    "min({s})",
    "sum({s})",
    "len({s})",
)
"""Numbers of a list whose small multiples are compared with each other."""
COMPARED_STATISTICS = 8.0
"""Two of these compared, and a factor up to three."""
LIST_COUNT = Primitive("{s}.count({c})", 4)
"""How often a list holds one value."""

TEXT_FLAGS = (
    Primitive("{s} == {s}[::-1]", 4, comparison=True),
    Primitive("list({s}) == sorted({s})", 5, comparison=True),
    Primitive("list({s}) == sorted({s}, reverse=True)", 6, comparison=True),
    Primitive("{s}[:1] == {s}[-1:]", 4, comparison=True),
    Primitive("{s}.isdigit()", 5),
    Primitive("{s}.isalpha()", 5),
    Primitive("{s}.isalnum()", 6),
    Primitive("{s}.isupper()", 5),
    Primitive("{s}.islower()", 5),
    Primitive("{s}.istitle()", 6),
    Primitive("any(c.isdigit() for c in {s})", 5),
    Primitive("any(c.isupper() for c in {s})", 5),
    Primitive("len(set({s})) == len({s})", 5, comparison=True),
)
"""Yes-or-no questions about a string."""

LIST_FLAGS = (
    Primitive("{s} == {s}[::-1]", 4, comparison=True),
    Primitive("{s} == sorted({s})", 4, comparison=True),
    Primitive("{s} == sorted({s}, reverse=True)", 5, comparison=True),
    Primitive("len(set({s})) == len({s})", 4, comparison=True),
    Primitive("all(a < b for a, b in zip({s}, {s}[1:]))", 5),
    Primitive("all(a % 2 == 0 for a in {s})", 5),
    Primitive("0 in {s}", 5, comparison=True),
    Primitive("sum({s}) - max({s}) == max({s})", 8, comparison=True),
)
"""Yes-or-no questions about a list of integers."""

NUMBER_ROOTS = (
    Primitive("int({s})", 2),
    Primitive("int({s}, 2)", 3),
    Primitive("int({s}, 16)", 6),
)
"""Whole numbers, of any size, that a string writes out."""
NUMBER_NUMBERS = (
    Primitive("{s}", 1),
    Primitive("{s}.bit_length()", 5),
    Primitive("{s}.bit_count()", 5),
    Primitive("abs({s} - round(math.sqrt({s})) ** 2)", 6, MATH),
)
"""Numbers read off one integer."""
NEAREST_MULTIPLES = (5, 7, 9, 10, 11, 12, 13, 25, 50, 60, 100, 1000)
NEAREST_MULTIPLE = 5.0
"""How far a number is from a multiple of one of these, the choice not included."""
NUMBER_FLAGS = (
    Primitive("math.isqrt({s}) ** 2 == {s}", 5, MATH, comparison=True),
    Primitive("round(abs({s}) ** (1 / 3)) ** 3 == abs({s})", 7, comparison=True),
    Primitive("math.isqrt(8 * {s} + 1) ** 2 == 8 * {s} + 1", 8, MATH, comparison=True),
    Primitive("{s} & ({s} - 1) == 0", 6, comparison=True),
    Primitive("str({s}) == str({s})[::-1]", 6, comparison=True),
    Primitive('f"{{{s}:b}}" == f"{{{s}:b}}"[::-1]', 8, comparison=True),
)
"""Yes-or-no questions about one integer that is not negative."""
_DATE = ("from datetime import date",)
_DATETIME = ("from datetime import datetime",)
DATE_NUMBERS = (
    Primitive("date.fromisoformat({s}).weekday()", 4, _DATE),
    Primitive("date.fromisoformat({s}).timetuple().tm_yday", 5, _DATE),
    Primitive("(date.fromisoformat({s}).month - 1) // 3", 5, _DATE),
    Primitive("date.fromisoformat({s}).toordinal()", 6, _DATE),
    Primitive("calendar.isleap(date.fromisoformat({s}).year)", 5, (*_DATE, "import calendar")),
    *(
        Primitive(f'datetime.strptime({{s}}, "{form}").{what}', bits, _DATETIME)
        for form in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y")
        for what, bits in (("weekday()", 5), ("timetuple().tm_yday", 6))
    ),
    Primitive("60 * int({s}[:2]) + int({s}.split(':')[1])", 4),
    Primitive("datetime.fromisoformat({s}).hour", 4, _DATETIME),
    Primitive("datetime.fromisoformat({s}).weekday()", 5, _DATETIME),
    *(
        Primitive(template.replace("{f}", form), bits, _DATETIME)
        for form in ("%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
        for template, bits in (
            ('datetime.strptime({s}, "{f}").hour', 4),
            ('(datetime.strptime({s}, "{f}") - datetime(1900, 1, 1)).seconds // 60', 4.5),
        )
    ),
)
"""Numbers read off a date or a time of day."""
CHARACTERS_OF_OTHERS = 3.5
"""Looking at the characters of rows that are plainly lists of numbers, edges or dates."""
FIELD = 4.0
"""A word or field of a string, the choice among them not included."""
NUMBER_MODULUS = 2.0
PRIMALITY = 5.0
GCD = 5.0

TABLE_COLUMN = 1.0
"""Naming a column, the choice among the columns not included."""
PAIR_OPERATIONS = {"-": 3.0, "+": 3.0, "/": 4.0, "*": 4.0, "%": 4.0}
"""Arithmetic between two numbers."""

ROUND_THE_CLOCK = 5.0
"""The minutes from one time of day to another."""
SAME_QUESTION = 3.5
"""Asking of a second part what was asked of a first, and comparing the answers."""
EXTREME_OF_TWO = 4.0
"""The larger, the smaller, or the distance of two numbers."""
MISSING_AS_ZERO = 1.0
"""Reading a missing number as 0."""
LARGEST_OF = 5.0
"""Which of a few numbers is the largest, or the smallest, the numbers not included."""
ALL_COLUMNS = 6.0
"""A sum or an extreme of all columns of numbers, or a count of those that are true."""
MULTIPLE = 2.0
"""A small multiple of a number, the factor not included."""
SQUARE = 3.0
THRESHOLD = 1.5
"""A comparison with a constant, the constant not included."""
DIGIT = 0.3
"""Each significant digit of a threshold: among cuts that do as well, people like round ones."""
EQUALITY = 2.0
MODULUS = 2.0
COMPARISON = 2.0
"""A comparison between two numbers, or two strings."""
SUBSTRING = 3.0
AFFIX = 3.0
PATTERN = 4.0
"""A pattern with wildcards or kinds of characters, its places not included."""
POINTED = 2.0
"""Taking a word from a row that has it instead of spelling it, row and place not included."""
MEMBERSHIP = 3.0
POSITION = 2.0
"""One character by its position, neither position nor character included."""
NEGATION = 1.0
CONJUNCTION = 2.0
"""Joining two conditions by and, or, or their being different."""
NESTED = 3.0
"""Looking at how deep brackets lie, or at what lies so deep."""
GATE = 3.0
"""Asking one condition which of two others answers, none of the three included."""
BRACKETS = 6.0
PARITY_OF_SET = 5.0
"""An odd number among chosen positions, the choice not included."""
AUTOMATON = 4.0
"""A table of states, its entries not included."""
WEIGHTED_SUM = 4.0
"""A weighted sum modulo a number, weights and modulus not included."""
LOOKUP = 3.0
"""A table from values to classes, its entries not included."""
BRANCH = 2.0
"""One question of a tree or decision list, the condition not included."""

NOISE_SLACK = 8.0
"""With noisy labels, bits by which a program may cost more than the best and still be proposed."""
TRUST_MARGIN = 8.0
"""Bits by which a program must beat the majority class before the search calls it found."""


def choice_bits(alternatives: int) -> float:
    """Return the bits that name one of equally plausible alternatives.

    Examples
    --------
    >>> choice_bits(8)
    3.0
    """
    return math.log2(max(1, alternatives))


def integer_bits(value: float) -> float:
    """Return the bits of a whole number: small ones are cheap (Elias gamma, without rounding).

    Examples
    --------
    >>> [integer_bits(value) for value in (0, 1, 3)]
    [1.0, 3.0, 5.0]
    """
    return 1.0 + 2.0 * math.log2(1.0 + abs(value))


def subset_bits(size: int, chosen: int) -> float:
    """Return the bits that name a subset: its size, then which one of that size.

    Examples
    --------
    >>> subset_bits(4, 1)
    5.0
    """
    return integer_bits(chosen) + math.log2(math.comb(size, chosen))


def mistake_bits(rows: int, classes: int, noise: float = 0.0) -> list[float]:
    """Return, for 0 to ``rows`` mistakes, the bits that name them and put them right.

    Never decreasing, so that more mistakes never look better. Where a share of the labels is known
    to be wrong, naming that many costs less.

    Examples
    --------
    >>> [round(bits, 2) for bits in mistake_bits(3, 2)]
    [2.0, 3.58, 3.58, 3.58]
    """
    prices = [
        math.log2(rows + 1) + _log2_comb(rows, wrong) + wrong * choice_bits(classes - 1)
        for wrong in range(rows + 1)
    ]
    if noise > 0:
        right, wrong_label = -math.log2(1 - noise), -math.log2(noise)
        for wrong in range(rows + 1):
            known = (rows - wrong) * right + wrong * (wrong_label + choice_bits(classes - 1))
            prices[wrong] = min(prices[wrong], known)
    for wrong in range(1, rows + 1):
        prices[wrong] = max(prices[wrong], prices[wrong - 1])
    return prices


def _log2_comb(total: int, chosen: int) -> float:
    natural = math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    return natural / math.log(2)
