"""Reading raw inputs: which strings, lists, numbers and columns a row offers to the search."""

import builtins
import keyword
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from llm_pv.data.examples import Scalar
from llm_pv.proposers.length_first import derived, weights
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Definition,
    Evaluator,
    Expression,
    Level,
    imports,
    level_of,
)
from llm_pv.proposers.length_first.graphs import COUNTER, LISTS, edges_of
from llm_pv.proposers.length_first.nesting import deepest_bracket, nested_sources
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.sequences import Category, Part, is_writable, literal
from llm_pv.proposers.length_first.weights import (
    Primitive,
    choice_bits,
)

SEPARATORS = ",;:-/|_=@. "
MOST_FIELDS = 8
LIST_OF_NUMBERS = re.compile(r"\s*[\[({]?\s*-?\d+(?:\s*[,;|\s]\s*-?\d+)+\s*[\])}]?\s*")
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:$|[ T])")
RESERVED = {
    *dir(builtins),
    *["x", "f", "i", "a", "b", "c", "math", "re", "accumulate", "groupby", "pairwise"],
    *["combinations", "Counter", "calendar", "date", "datetime", "run", "holds", "vertex", "edge"],
    *["balanced", "is_prime", "prime_factors", "divisors", "component_sizes", "triangles"],
    *["between_depths", "pairs_within", "deepest", "chain", "part", "total"],
    *["is_bipartite", "has_directed_cycle", "longest_distance", "number", "word", "state"],
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
    words
        Lists of words.
    graphs
        Lists of edges.
    whole
        Strings and lists that are looked at as a whole only.
    filled
        Numeric columns with 0 for what is missing.
    names
        Local names given away.
    """

    texts: list[Part]
    lists: list[Part]
    integers: list[Integers]
    numbers: list[Expression]
    flags: list[Expression]
    categories: list[Category]
    words: list[Part] = field(default_factory=list)
    graphs: list[Part] = field(default_factory=list)
    whole: list[Part] = field(default_factory=list)
    filled: list[Expression] = field(default_factory=list)
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
    """Add what can be read out of one string: fields, words, numbers, lists.

    Where rows are plainly something else than text, such as lists of numbers, their characters are
    looked at last.
    """
    train = [str(row) for row in whole.rows[:size]]
    is_list = all(LIST_OF_NUMBERS.fullmatch(row) for row in train)
    is_graph = _read_graph(whole, reading, evaluator, size)
    is_date = all(DATE.match(row) for row in train)
    penalty = weights.CHARACTERS_OF_OTHERS if is_list or is_graph or is_date else 0.0
    _read_lists(whole, reading, evaluator, size, is_list=is_list)
    _read_nested(whole, reading, evaluator, size)
    whole = replace(whole, bits=whole.bits + penalty)
    texts = [whole]
    for source in _text_sources(train) if not (is_list or is_graph) else ():
        values = evaluator.run(source.template, {}, whole.rows, ())
        if values is not None and len(set(values[:size])) > 1:
            code = source.template.format(s=whole.code)
            texts.append(Part(code, whole.bits + source.bits, values, whole.needs))  # type: ignore[arg-type]
    reading.texts.extend(texts)
    for text in texts:
        integers = list(_integers(text, evaluator, size))
        reading.integers.extend(integers)
        for integer in integers[:1]:
            _read_factors(integer, reading, evaluator, size)
        _read_dates(text, reading, evaluator)


def _read_nested(whole: Part, reading: Reading, evaluator: Evaluator, size: int) -> None:
    """Add what lies how deep in brackets."""
    if reading.graphs:
        return
    for source in nested_sources([str(row) for row in whole.rows[:size]]):
        part = _named(source, whole, reading, evaluator, size)
        reading.whole.extend([part] if part else [])
    category = deepest_bracket(whole, evaluator, size)
    reading.categories.extend([category] if category else [])


def _read_factors(integer: Integers, reading: Reading, evaluator: Evaluator, size: int) -> None:
    """Add the factors and the divisors of a whole number that is not too large."""
    for source in derived.lists_of_integers(integer.rows):
        whole = Part(integer.code, integer.bits, integer.rows, integer.needs)  # type: ignore[arg-type]
        part = _named(source, whole, reading, evaluator, size)
        reading.lists.extend([part] if part else [])


def _read_dates(text: Part, reading: Reading, evaluator: Evaluator) -> None:
    """Add what is read off dates and times of day."""
    for primitive in weights.DATE_NUMBERS:
        needs = imports(primitive.imports)
        values = evaluator.run(primitive.template, {}, text.rows, needs)
        if values is None:
            continue
        code, bits = primitive.template.format(s=text.code), text.bits + primitive.bits
        needs = (*text.needs, *needs)
        if isinstance(values[0], bool):
            reading.flags.append(Expression(code, bits, np.array(values, bool), needs=needs))
        else:
            numbers = np.array(values, dtype=np.float64)
            level = level_of(primitive.template)
            reading.numbers.append(Expression(code, bits, numbers, level, needs))


def _read_lists(
    whole: Part, reading: Reading, evaluator: Evaluator, size: int, *, is_list: bool
) -> None:
    """Add the lists of integers and of words one string can be read as."""
    train = [str(row) for row in whole.rows[:size]]
    penalty = weights.CHARACTERS_OF_OTHERS if is_list or reading.graphs else 0.0
    late = replace(whole, bits=whole.bits + penalty)
    lists: list[Part] = []
    for source in derived.integer_lists_of_text(train):
        plain = is_list and source.name == "numbers"
        part = _named(source, whole if plain else late, reading, evaluator, size)
        lists += [part] if part else []
    for source in derived.word_lists_of_text(train) if not penalty else ():
        part = _named(source, whole, reading, evaluator, size)
        reading.words.extend([part] if part else [])
    reading.lists.extend(lists)
    for part in lists:
        _read_lists_of(part, reading, evaluator, size)


def _read_graph(whole: Part, reading: Reading, evaluator: Evaluator, size: int) -> bool:
    """Add the edges a string lists, and the degrees of its vertices."""
    local = reading.fresh_name("edges")
    edges = edges_of(whole, local, evaluator, size)
    if edges is None:
        reading.names.discard(local)
        return False
    reading.graphs.append(edges)
    for name, template, bits in LISTS:
        source = derived.Source(name, template, bits, COUNTER)
        part = _named(source, edges, reading, evaluator, size)
        reading.lists.extend([part] if part else [])
    return True


def _read_lists_of(part: Part, reading: Reading, evaluator: Evaluator, size: int) -> None:
    """Add what is made of a list that the input itself writes out."""
    if part.code.startswith(("numbers", "digits", "letters", "lengths", "minutes", "hundredths")):
        for source in derived.lists_of_lists():
            made = _named(source, part, reading, evaluator, size)
            reading.lists.extend([made] if made else [])


def _named(
    source: derived.Source, whole: Part, reading: Reading, evaluator: Evaluator, size: int
) -> Part | None:
    """Make a sequence of another and give it a local name, unless there is nothing in it."""
    local = reading.fresh_name(source.name)
    words = source.name in ("words", "lowered", "fields", "tokens")
    part = derived.made(source, whole, local, evaluator, size, words=words)
    if part is None:
        reading.names.discard(local)
    return part


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
        yield Primitive("{s}.lower()", weights.FIELD - 2)
        for separator in separators:
            for index in (0, -1):
                template = f"{{s}}.lower().split({literal(separator)})[{index}]"
                yield Primitive(template, weights.FIELD)


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
            if missing:
                filled = np.where(np.isnan(numbers.values), 0.0, numbers.values)
                price = bits + weights.MISSING_AS_ZERO
                reading.filled.append(Expression(f"({code} or 0)", price, filled))
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
