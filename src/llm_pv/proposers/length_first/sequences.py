"""Reading strings and lists of integers: their parts, their counts, and questions about them."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice

import numpy as np

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    Definition,
    Evaluator,
    Expression,
    as_numbers,
    imports,
    level_of,
)
from llm_pv.proposers.length_first.weights import Primitive, choice_bits, integer_bits

LONGEST_INTEGER = 14_000
"""Bits from which on an integer is too long for Python to write or read in decimal."""
MOST_ITEMS = 200_000
"""Characters or integers that are read to know the most frequent ones."""
MOST_WORDS_FOUND = 4
MOST_CHARACTERS = 40
"""Characters of the alphabet that are counted one by one, the most frequent first."""


@dataclass(frozen=True, eq=False)
class Part:
    """A string or a list of integers for every row, with the source that reads it off the input.

    Parameters
    ----------
    code
        A Python expression.
    bits
        Its length.
    rows
        Its value on every training row and probe.
    needs
        What the code relies on.
    """

    code: str
    bits: float
    rows: Sequence[str] | Sequence[list[int]]
    needs: tuple[Definition, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether the values are strings."""
        return isinstance(self.rows[0], str)

    @cached_property
    def items(self) -> int:
        """How many characters or integers all rows hold together."""
        return sum(map(len, self.rows))

    def first_items(self) -> Iterator[str | int]:
        """Yield the characters or integers of the rows, as many as it takes to know them."""
        rows: Sequence[Sequence[str | int]] = self.rows
        return islice(chain.from_iterable(rows), MOST_ITEMS)


@dataclass
class Features:
    """What can be read off the rows: numbers, truth values, and categories.

    Parameters
    ----------
    numbers, flags
        Expressions without repetitions.
    categories
        Parts and columns with few distinct values, as source beside the values themselves.
    """

    numbers: list[Expression] = field(default_factory=list)
    flags: list[Expression] = field(default_factory=list)
    categories: list["Category"] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Category:
    """A value for every row that is compared for equality only."""

    code: str
    bits: float
    rows: Sequence[object]
    needs: tuple[Definition, ...] = ()


@dataclass(frozen=True)
class Question:
    """One primitive asked of one part, not evaluated yet."""

    primitive: Primitive
    part: Part
    constant: str | int | None
    bits: float

    @property
    def effort(self) -> float:
        """Steps to answer it: one a character where Python loops, one for a hundred elsewhere."""
        loops = " for " in self.primitive.template or "Counter" in self.primitive.template
        return (self.part.items if loops else self.part.items / 100) + 10 * len(self.part.rows)

    def answer(self, evaluator: Evaluator) -> Expression | None:
        """Return its value on every row; None where it fails or is not exact."""
        constants = {} if self.constant is None else {"c": literal(self.constant)}
        needs = (*self.part.needs, *imports(self.primitive.imports))
        values = evaluator.run(self.primitive.template, constants, self.part.rows, needs)
        if values is None:
            return None
        is_flag = isinstance(values[0], bool)
        array = np.array(values, dtype=bool) if is_flag else as_numbers(values)
        if array is None:
            return None
        code = self.primitive.template.format(s=self.part.code, **constants)
        level = level_of(self.primitive.template)
        opposite = self.primitive.opposite.format(s=self.part.code, **constants)
        return Expression(code, self.bits, array, level, needs, opposite)


def literal(value: object) -> str:
    r"""Return a constant's source, strings in double quotes where that needs no escape.

    Examples
    --------
    >>> literal("a"), literal(3), literal("it's")
    ('"a"', '3', '"it\'s"')
    """
    if isinstance(value, str) and repr(value)[1:-1] == value and '"' not in value:
        return f'"{value}"'
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def is_writable(value: object) -> bool:
    """Tell whether Python reads a constant's source: integers have a limit of 4,300 digits."""
    return not isinstance(value, int) or value.bit_length() <= LONGEST_INTEGER


def parts_of(whole: Part, evaluator: Evaluator) -> list[Part]:
    """Return the slices of a string or list, shortest description first, without repetitions."""
    primitives = list(weights.SLICES)
    shortest = min(len(row) for row in whole.rows)
    for length in weights.PREFIX_LENGTHS:
        if length < shortest:
            bits = weights.AFFIX_SLICE + integer_bits(length)
            primitives.append(Primitive(f"{{s}}[:{length}]", bits))
            primitives.append(Primitive(f"{{s}}[-{length}:]", bits))
    parts: list[Part] = []
    seen: set[tuple[object, ...]] = set()
    for primitive in sorted(primitives, key=lambda primitive: primitive.bits):
        rows = evaluator.run(primitive.template, {}, whole.rows, ())
        if rows is None or not any(rows):
            continue
        code = primitive.template.format(s=whole.code)
        bits = whole.bits + primitive.bits
        part = Part(code, bits, rows, whole.needs)  # type: ignore[arg-type]
        key = tuple(part.rows if part.is_text else map(tuple, part.rows))
        if key not in seen:
            seen.add(key)
            parts.append(part)
    return parts


def questions_about(part: Part) -> Iterator[Question]:
    """Yield everything that is asked of one part."""
    if part.is_text:
        yield from _questions_about_text(part)
        return
    for primitive in (*weights.LIST_NUMBERS, *weights.LIST_FLAGS):
        yield Question(primitive, part, None, part.bits + primitive.bits)
    counts = Counter(part.first_items())
    common = [item for item, _ in counts.most_common(16)]
    for item in common:
        bits = part.bits + weights.LIST_COUNT.bits + choice_bits(len(common))
        yield Question(weights.LIST_COUNT, part, item, bits)


def _questions_about_text(part: Part) -> Iterator[Question]:
    for primitive in (*weights.TEXT_NUMBERS, *weights.TEXT_FLAGS):
        yield Question(primitive, part, None, part.bits + primitive.bits)
    counts = Counter(part.first_items())
    alphabet = [character for character, _ in counts.most_common(MOST_CHARACTERS)]
    for character in alphabet:
        for primitive in weights.CHARACTER_NUMBERS:
            bits = part.bits + primitive.bits + choice_bits(len(alphabet))
            yield Question(primitive, part, character, bits)
    letters = alphabet[:5] if len(alphabet) <= 5 else alphabet[:3]
    words = [f"{a}{b}" for a in letters for b in letters]
    words += [f"{word}{c}" for word in words for c in letters] if len(letters) <= 2 else []
    for word in words[:MOST_WORDS_FOUND]:
        bits = part.bits + weights.WORD_PLACE.bits + len(word) * choice_bits(len(letters))
        yield Question(weights.WORD_PLACE, part, word, bits)
    for word in words:
        primitive = weights.OVERLAPPING_COUNT if overlaps_itself(word) else weights.WORD_COUNT
        bits = part.bits + primitive.bits + len(word) * choice_bits(len(letters))
        yield Question(primitive, part, word, bits)


def overlaps_itself(word: str) -> bool:
    """Tell whether two occurrences of a word can share characters.

    Examples
    --------
    >>> overlaps_itself("010"), overlaps_itself("011")
    (True, False)
    """
    return any(word.endswith(word[:length]) for length in range(1, len(word)))
