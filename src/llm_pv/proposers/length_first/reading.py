"""Reading raw inputs: which strings, lists, numbers and columns a row offers to the search."""

import builtins
import keyword
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from llm_pv.data.examples import Scalar
from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Definition,
    Evaluator,
    Expression,
    Level,
    imports,
)
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.sequences import Category, Part, is_writable, literal
from llm_pv.proposers.length_first.weights import (
    REGEX,
    Primitive,
    choice_bits,
    integer_bits,
)

SEPARATORS = ",;:-/|_=@. "
MOST_FIELDS = 8
LONGEST_TOKEN = 4
RESERVED = {
    *dir(builtins),
    *["x", "f", "math", "re", "accumulate", "groupby", "balanced", "is_prime"],
}


@dataclass(frozen=True, eq=False)
class Integers:
    """One integer of any size for every row, with the source that reads it."""

    code: str
    bits: float
    rows: Sequence[int]
    needs: tuple[Definition, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the rows offer.

    Parameters
    ----------
    texts
        Strings whose slices and positions are worth looking at.
    lists
        Lists of integers.
    integers
        Whole numbers written out in a string, of any size.
    numbers, flags
        Numeric columns and columns of truth values.
    categories
        Columns compared for equality only.
    names
        Local names given away.
    """

    texts: list[Part]
    lists: list[Part]
    integers: list[Integers]
    numbers: list[Expression]
    flags: list[Expression]
    categories: list[Category]
    names: set[str] = field(default_factory=set)

    def fresh_name(self, wanted: str) -> str:
        """Return a local name like the wanted one that nothing in a program uses yet."""
        name = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_").lower()
        if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED:
            name = f"{name}_value" if name.isidentifier() else f"value_{name}".strip("_")
        base, number = name, 1
        while name in self.names:
            number += 1
            name = f"{base}_{number}"
        self.names.add(name)
        return name


def read(problem: Problem, evaluator: Evaluator) -> Reading:
    """Find out what kind of rows these are."""
    reading = Reading([], [], [], [], [], [])
    if isinstance(problem.rows[0], str):
        whole = Part("x", 0.0, [str(row) for row in problem.rows])
        _read_text(whole, reading, evaluator, problem.size)
        return reading
    rows = [row for row in problem.rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        _read_column(name, rows, choice_bits(len(names)), reading, problem.size)
    texts, reading.texts[:] = list(reading.texts), []
    for text in texts:
        _read_text(text, reading, evaluator, problem.size)
    return reading


def _read_text(whole: Part, reading: Reading, evaluator: Evaluator, size: int) -> None:
    """Add what can be read out of one string: fields, words, numbers, lists."""
    texts = [whole]
    for source in _text_sources([str(row) for row in whole.rows[:size]]):
        values = evaluator.run(source.template, {}, whole.rows, ())
        if values is not None and len(set(values[:size])) > 1:
            code = source.template.format(s=whole.code)
            texts.append(Part(code, whole.bits + source.bits, values, whole.needs))  # type: ignore[arg-type]
    reading.texts.extend(texts)
    for text in texts:
        reading.integers.extend(_integers(text, evaluator, size))
    for name, source in _list_sources([str(row) for row in whole.rows[:size]]):
        values = evaluator.run(source.template, {}, whole.rows, imports(source.imports))
        if values is None:
            continue
        local = reading.fresh_name(name)
        assignment = f"{local} = {source.template.format(s=whole.code)}"
        definition = Definition(assignment, "local", (*whole.needs, *imports(source.imports)))
        reading.lists.append(Part(local, whole.bits + source.bits, values, (definition,)))  # type: ignore[arg-type]


def _text_sources(train: Sequence[str]) -> Iterator[Primitive]:
    """Yield templates for the fields and words that every row has."""
    separators = [s for s in SEPARATORS if all(s in row for row in train)]
    for separator in separators:
        counts = [row.count(separator) + 1 for row in train]
        bits = weights.FIELD + choice_bits(len(separators))
        for index in range(min(*counts, MOST_FIELDS)):
            template = f"{{s}}.split({literal(separator)})[{index}]"
            yield Primitive(template, bits + choice_bits(min(counts)))
        if len(set(counts)) > 1:
            yield Primitive(f"{{s}}.split({literal(separator)})[-1]", bits + 1)
    if " " in separators:
        yield Primitive("max({s}.split(), key=len)", bits + 3)
    if any(row != row.lower() for row in train):
        yield Primitive("{s}.lower()", weights.FIELD)


def _list_sources(train: Sequence[str]) -> Iterator[tuple[str, Primitive]]:
    """Yield a name and a template for each list of integers the rows can be read as."""
    alphabet = set().union(*train)
    shortest = min(map(len, train))
    is_decimal = all(row.isdecimal() for row in train)
    if not is_decimal and all(any(c.isdecimal() for c in row) for row in train):
        signed = any(re.search(r"(?<!\w)-\d", row) for row in train)
        pattern = r"-?\d+" if signed else r"\d+"
        template = f'[int(number) for number in re.findall(r"{pattern}", {{s}})]'
        yield "numbers", Primitive(template, 2, REGEX)
    if is_decimal and shortest > 1 and not alphabet <= set("01"):
        yield "digits", Primitive("[int(c) for c in {s}]", 2)
    if alphabet <= set("01"):
        for width in range(2, LONGEST_TOKEN + 1):
            if shortest >= 2 * width:
                step = f"range(0, len({{s}}), {width})"
                template = f"[int({{s}}[i : i + {width}], 2) for i in {step}]"
                yield f"tokens{width}", Primitive(template, 4 + integer_bits(width))
    if len(alphabet) == 2 or (alphabet and alphabet <= set("()")):
        up = literal(max(alphabet, key=lambda c: (c == "(", c)))
        up = up.replace("{", "{{").replace("}", "}}")
        template = f"list(accumulate(1 if c == {up} else -1 for c in {{s}}))"
        yield "heights", Primitive(template, 6, ("from itertools import accumulate",))
    if any(len(row.split()) > 1 for row in train):
        yield "lengths", Primitive("[len(word) for word in {s}.split()]", 5)
    if not is_decimal and any(c.isalpha() for c in alphabet):
        yield "codes", Primitive("[ord(c) for c in {s}]", 6)


def _integers(text: Part, evaluator: Evaluator, size: int) -> Iterator[Integers]:
    """Yield the whole numbers a string, or one of its halves, writes out."""
    slices = weights.SLICES[:3] if min(len(row) for row in text.rows[:size]) > 3 else ()
    for part in slices or weights.SLICES[:1]:
        for root in weights.NUMBER_ROOTS:
            template = root.template.replace("{s}", part.template)
            alphabet = set().union(*map(str, text.rows[:size]))
            if "16" in template and not alphabet & set("abcdefABCDEF"):
                continue
            values = evaluator.run(template, {}, text.rows, ())
            if values is not None and len(set(values[:size])) > 1:
                bits = text.bits + part.bits + root.bits
                code = template.format(s=text.code)
                yield Integers(code, bits, values, text.needs)  # type: ignore[arg-type]


def _read_column(
    name: str,
    rows: Sequence[dict[str, Scalar]],
    choice: float,
    reading: Reading,
    size: int,
) -> None:
    """Add one column of a table, as what its values are."""
    bits = weights.TABLE_COLUMN + choice
    everywhere = all(name in row for row in rows[:size])
    code = f"x[{literal(name)}]" if everywhere else f"x.get({literal(name)})"
    values = [row.get(name) for row in rows]
    present = [value for value in values if value is not None]
    missing = len(present) < len(values)
    if not present or not all(map(is_writable, present)):
        return
    if missing:
        absent = np.array([value is None for value in values])
        opposite = f"{code} is not None"
        reading.flags.append(
            Expression(f"{code} is None", bits + 1, absent, Level.COMPARISON, (), opposite)
        )
    if all(isinstance(value, bool) for value in present):
        truth = np.array([value is True for value in values])
        true = f"{code} is True" if missing else code
        level = Level.COMPARISON if missing else Level.ATOM
        reading.flags.append(Expression(true, bits, truth, level))
        return
    if all(isinstance(value, int | float) for value in present):
        numbers = _numeric_column(code, bits, values, reading.fresh_name(name))
        if numbers is not None:
            reading.numbers.append(numbers)
            return
    reading.categories.append(Category(code, bits, values))
    is_text = all(isinstance(value, str) for value in present)
    if is_text and len(set(values[:size])) > max(12, size // 10):
        text = f'({code} or "")' if missing else code
        reading.texts.append(Part(text, bits + 1, [str(value or "") for value in values]))


def _numeric_column(
    code: str, bits: float, values: Sequence[Scalar], local: str
) -> Expression | None:
    """Return a column of numbers; where some are missing, through a local name that may be NaN."""
    needs: tuple[Definition, ...] = ()
    try:
        numbers = [math.nan if value is None else float(value) for value in values]
    except OverflowError:
        return None
    number = code
    if any(isinstance(value, int) and abs(value) >= LARGEST_EXACT for value in values):
        number = f"float({code})"
    if None in values:
        assignment = f"{local} = math.nan if {code} is None else {number}"
        needs = (Definition(assignment, "local", imports(weights.MATH)),)
        number = local
    return Expression(number, bits, np.array(numbers, dtype=np.float64), needs=needs)
