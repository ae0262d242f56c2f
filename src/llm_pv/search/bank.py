"""The bank: values in order of bits, each kept once, with what made it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.emit import filled
from llm_pv.search.library import function_of
from llm_pv.search.names import Names
from llm_pv.search.operators import Operator
from llm_pv.search.problem import Problem
from llm_pv.search.ragged import Layout, Ragged
from llm_pv.search.types import Column, Expression, Frame, Local, Type

LARGEST_EXACT = 2**53
SOURCE = 1000
"""Bytes of what writes the source of a value, about."""
DEFAULTS: dict[Type, Any] = {
    Type.CATEGORY: None,
    **dict.fromkeys((Type.NUMBER, Type.TRUTH, Type.WHOLE), 0),
    **dict.fromkeys((Type.TEXT, Type.TEXTS, Type.NUMBERS), ""),
}
"""In place of a value where a template raised."""
FEW_SYMBOLS = 4
"""Symbols of which texts such as of bits or of bases are made."""
ERRORS = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError)


class Store:
    """Numbers or truth values as one matrix of so many at most, no two alike.

    Each has a value on every row of the frame, of which the first ``size`` are training rows.
    """

    def __init__(self, rows: int, size: int, dtype: Any, most: int) -> None:
        self._size, self._most = size, most
        self._values = np.zeros((most, rows), dtype=dtype)  # takes memory as it is filled
        self._known: dict[int, int] = {}  # by their hashes: the values are in memory already
        self._writers: list[Callable[[], Expression]] = []
        self._written: dict[int, Expression] = {}
        self._bits: list[float] = []
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._bits)

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return len(self._bits) >= self._most

    @property
    def values(self) -> NDArray[Any]:
        """All of them, of shape (values, rows)."""
        return self._values[: len(self._bits)]

    @property
    def bits(self) -> NDArray[np.float64]:
        """Their lengths."""
        return np.array(self._bits)

    def shortness(self, place: int) -> float:
        """Return the length of one of them."""
        return self._bits[place]

    def add(
        self,
        values: NDArray[Any],
        bits: Sequence[float],
        writer: Callable[[int], Callable[[], Expression]],
    ) -> list[int]:
        """Add those that differ from all known, or are shorter; return their places.

        Values are of shape (offered, rows); ``writer`` gives what writes the source of each.
        """
        new = []
        values = values + 0.0 if values.dtype == np.float64 else values  # -0.0 is 0.0
        train = values[:, : self._size]
        varied = (train != train[:, :1]).any(axis=1).tolist()
        for index, is_varied in enumerate(varied):
            if not is_varied:
                continue
            row = values[index]
            key = hash((~row if row.dtype == np.bool_ and row[0] else row).tobytes())
            place = self._known.get(key)
            if place is not None:
                if bits[index] < self._bits[place]:
                    self._bits[place] = bits[index]
                    self._writers[place] = writer(index)
                    self._written.pop(place, None)
                    self._values[place] = row
                continue
            if self.full:
                self.dropped += 1
                continue
            place = len(self._bits)
            self._values[place] = row
            self._known[key] = place
            self._bits.append(bits[index])
            self._writers.append(writer(index))
            new.append(place)
        return new

    def written(self) -> dict[int, Expression]:
        """Return those that have a source already, what is offered to operators among them."""
        return self._written

    def expression(self, index: int) -> Expression:
        """Return one of them with its source."""
        index = int(index)
        if index not in self._written:
            made = self._writers[index]()
            # A copy: the row of a truth value is overwritten where its opposite is shorter.
            self._written[index] = replace(made, values=self._values[index].copy())
        return self._written[index]


@dataclass(eq=False)
class Bank:
    """Values of every type."""

    problem: Problem  # the rows
    names: Names = field(default_factory=Names)  # gives local names away
    # how often each operator was tried, and how often that gave something new
    report: dict[str, tuple[int, int]] = field(default_factory=dict)
    fresh: list[Expression] = field(default_factory=list)
    # the places of numbers whose cuts tell most of the classes, the best first
    telling: list[int] = field(default_factory=list)
    # arithmetic on numbers that is not kept, of which cuts tell most
    formed: list[Expression] = field(default_factory=list)
    _kept: dict[Type, list[Expression]] = field(default_factory=dict)
    _seen: set[tuple[Type, Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        rows = len(self.problem.frame.rows)
        size, guard = self.problem.size, self.problem.guard
        most = int(min(30_000 * max(1.0, self.problem.scale), guard.most(8 * rows + SOURCE, 0.15)))
        self.numbers = Store(rows, size, np.float64, most)
        most = int(min(60_000 * max(1.0, self.problem.scale), guard.most(rows + SOURCE, 0.1)))
        self.truths = Store(rows, size, np.bool_, most)

    @cached_property
    def characters(self) -> int:
        """How many characters the first text has on all rows, at least 1."""
        texts = self.of(Type.TEXT)
        return max(1, sum(map(len, texts[0].values))) if texts else 1

    @cached_property
    def natural(self) -> bool:
        """Whether the first text is written in letters of many kinds."""
        texts = self.of(Type.TEXT)
        return bool(texts) and len(set(filter(str.isalpha, "".join(texts[0].values[:200])))) > 6

    def of(self, kind: Type) -> list[Expression]:
        """Return all values of a type, in the order they were added."""
        return self._kept.get(kind, [])

    def put(self, expression: Expression) -> Expression | None:
        """Add a value; None where it never varies or is known."""
        return self.offer(expression.type, expression.values, expression.bits, lambda: expression)

    def offer(
        self, kind: Type, values: Column, bits: float, write: Callable[[], Expression]
    ) -> Expression | None:
        """Add values, and write their source if they are new; None where they are not."""
        if kind in (Type.NUMBER, Type.TRUTH):
            store = self.numbers if kind is Type.NUMBER else self.truths
            new = store.add(values[None, :], [bits], lambda _: write)
            if not new:
                return None
            expression = store.expression(new[0])
        else:
            key = _key(kind, values, self.problem.size)
            if key is None or (kind, key) in self._seen:
                return None
            self._seen.add((kind, key))
            expression = write()
        self._kept.setdefault(kind, []).append(expression)
        return expression

    def keep(self, expression: Expression) -> None:
        """Offer a number or truth value of the bank to operators."""
        self._kept.setdefault(expression.type, []).append(expression)
        self.fresh.append(expression)

    def count(self, operator: Operator, tried: int, new: int) -> None:
        """Record what an operator did."""
        before = self.report.get(operator.template, (0, 0))
        self.report[operator.template] = before[0] + tried, before[1] + new

    def apply(
        self, operator: Operator, arguments: Sequence[Expression], constant: Any, bits: float
    ) -> Expression | None:
        """Add an operator's value on arguments; None where it fails, never varies or is known."""
        columns = [argument.values for argument in arguments]
        values = evaluate(operator, columns, constant, self.problem.size)
        if values is None:
            return None
        total = sum(one.bits for one in arguments) + bits

        def recipe(frame: Frame) -> Column:
            return evaluate(operator, [frame.values(one) for one in arguments], constant, 0)

        def write() -> Expression:
            code = written(operator, arguments, constant)
            needs = tuple(need for one in arguments for need in one.needs)
            if operator.name:
                name = self.names.fresh(_called(operator, arguments[0].code))
                needs = (Local(f"{name} = {code}", needs),)
                code = name
            first = arguments[0].kind
            # A part of a sentence is read as a sentence is.
            is_part = first == "prose" and operator.result in (Type.TEXT, Type.TEXTS)
            is_kept = operator.result is Type.NUMBER or is_part
            kind = operator.kind or (first if is_kept else "")
            is_text = operator.result is Type.TEXT and kind != "slice"
            if is_text and _are_names(values[: self.problem.size]):
                kind = "name"
            return Expression(code, operator.result, total, values, needs, recipe, kind)

        return self.offer(operator.result, values, total, write)


def _are_names(texts: Sequence[str]) -> bool:
    """Tell whether texts are a few words that come again, whose letters rarely matter."""
    distinct = set(texts)
    few = len(distinct) <= max(12, len(texts) // 8)
    return few and max(map(len, distinct)) > 1 and len(set("".join(distinct))) > FEW_SYMBOLS


def _called(operator: Operator, code: str) -> str:
    """Return what the value of an operator on some source is called: like the column it is of."""
    column = re.fullmatch(r'x\["(\w{1,24})"\].*', code)
    if column is None:
        return operator.name
    return column[1] if operator.result is Type.DATE else f"{column[1]}_{operator.name}"


def written(operator: Operator, arguments: Sequence[Expression], constant: Any) -> str:
    """Return the source of an operator applied."""
    pieces = {str(index): one for index, one in enumerate(arguments)}
    return filled(operator.template, pieces, constant)


@cache
def compiled(operator: Operator, *, columns: bool = False) -> Callable[..., Any]:
    """Return an operator's template as a Python function: see `function_of`."""
    return function_of(operator.template, operator.names, columns=columns)


def evaluate(operator: Operator, columns: Sequence[Column], constant: Any, size: int) -> Column:
    """Return an operator's values; None where it fails on one of the first ``size`` rows.

    On later rows a failure becomes a default: NaN, False, an empty text or list.
    """
    if operator.column is not None:
        with np.errstate(all="ignore"):
            values = operator.column(*columns, *([] if constant is None else [constant]))
        if operator.result is Type.NUMBER and not np.isfinite(values[:size]).all():
            known = [c for c in columns if isinstance(c, np.ndarray) and c.dtype == np.float64]
            missing = np.logical_or.reduce([np.isnan(column) for column in known])
            if not (np.isfinite(values) | missing)[:size].all():
                return None
            values = np.where(np.isfinite(values), values, np.nan)
        return values if operator.result is not Type.NUMBER or is_exact(values[:size]) else None
    return called(operator, [listed(column) for column in columns], constant, size)


def called(
    operator: Operator, columns: Sequence[Sequence[Any]], constant: Any, size: int
) -> Column:
    """Return an operator's values by its template, as `evaluate` does."""
    results: list[Any] = []
    try:
        results = compiled(operator, columns=True)(constant, *columns)
    except ERRORS:
        function = compiled(operator)
        for index, row in enumerate(zip(*columns, strict=True)):
            try:
                results.append(function(*row, constant))
            except ERRORS:
                if index < size:
                    return None
                results.append(DEFAULTS.get(operator.result))
    return as_column(results, operator.result, size)


def is_exact(values: NDArray[Any]) -> bool:
    """Tell whether floats that are whole numbers are those that Python computes with."""
    return not (np.abs(values) >= LARGEST_EXACT).any()


def listed(column: Column) -> list[Any]:
    """Return a column's values as Python's; whole numbers as int, missing ones as None."""
    if isinstance(column, Ragged):
        return column.rows
    if not isinstance(column, np.ndarray):
        values: list[Any] = column
        return values
    values = column.tolist()
    if column.dtype == np.float64:
        values = [int(v) if v.is_integer() else v for v in values]
        for place in np.flatnonzero(np.isnan(column)).tolist():
            values[place] = None
    return values


def as_column(results: Sequence[Any], kind: Type, size: int) -> Column:
    """Return values as a column; None where one of the first ``size`` is too large to be exact."""
    if kind is Type.NUMBER:
        numbers = as_floats(results)
        return numbers if is_exact(numbers[:size]) else None
    if kind is Type.TRUTH:
        return np.array(list(map(bool, results)))
    if kind is Type.NUMBERS:
        layout = Layout(np.array(list(map(len, results)), dtype=np.int64))
        flat = as_floats(list(chain.from_iterable(results)))
        known = flat[: layout.lengths[:size].sum()]
        return Ragged(flat, layout) if is_exact(known) else None
    return Ragged.of(results) if kind is Type.TEXTS else results


def as_floats(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return numbers as floats; infinity where one is too large for it."""
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.array(list(map(as_float, values)))


def as_float(value: Any) -> float:
    """Return a number as a float; infinity where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _key(kind: Type, values: Column, size: int) -> Any:
    """Return what tells a value from others; None where it never varies on training rows."""
    if isinstance(values, Ragged):
        lengths = values.layout.lengths[:size]
        train = values.flat[: lengths.sum()]
        if (lengths == lengths[0]).all() and (train.reshape(size, -1) == train[: lengths[0]]).all():
            return None
        return values.key()
    if all(value == values[0] for value in values[:size]):
        return None
    return tuple(map(str, values)) if kind is Type.EDGES else tuple(values)


def steps(top: float) -> Iterator[float]:
    """Yield the levels of bits from 0 to ``top``."""
    level = 0.0
    while level <= top:
        yield level
        level += prices.STEP
