"""Convert new rows to the inputs of a learned program, and report rows that cannot be converted.

New files may have other columns, in another order, new categories and invalid cells. A column that
the program does not read may be missing or invalid; a row with an invalid cell in a column that it
reads has no input, and the other rows are not affected.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import pandas as pd

from llm_pv.data.columns import ColumnType, dict_rows, read_new_cells
from llm_pv.data.examples import Input
from llm_pv.data.reading import Reading
from llm_pv.errors import DataError

_FUNCTION = re.compile(r"def +f *\( *([^\W\d]\w*)")
_LITERAL = r"""(["'])((?:\\.|(?!\1)[^\\\n])*)\1"""


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows to be labelled by a program."""

    frame: pd.DataFrame
    "The program's columns that are present, in its order; text cells of a file as text."
    types: Mapping[str, ColumnType]
    "The type of each column; empty where an input is a plain string."
    needed: frozenset[str]
    "The columns that the program requires."
    name: str = "the rows"
    unreadable: Mapping[int, str] = field(default_factory=dict)
    "Rows whose line could not be read, by number, and why."

    def __len__(self) -> int:
        return len(self.frame)

    def inputs(self, start: int = 0, stop: int | None = None) -> "Inputs":
        """Return the inputs of those rows that can be read."""
        frame = self.frame.iloc[start:stop]
        numbers = range(start, start + len(frame))
        unreadable = {n - start: self.unreadable[n] for n in numbers if n in self.unreadable}
        every: Sequence[Input]
        if not self.types:
            every = [str(text) for text in frame.iloc[:, 0].tolist()]
        else:
            every = self._dicts(frame, unreadable)
        rows = [row for row in range(len(frame)) if row not in unreadable]
        inputs = [every[row] for row in rows]
        fault = unreadable[min(unreadable)] if unreadable else ""
        return Inputs(inputs, rows, len(frame), fault)

    def _dicts(self, frame: pd.DataFrame, unreadable: dict[int, str]) -> list[Input]:
        """Return a dict for each row; add rows with an invalid cell that the program needs."""
        columns: dict[str, list[Any]] = {}
        for name, cells in frame.items():
            values, faults = read_new_cells(cells, self.types[str(name)])
            columns[str(name)] = values  # an invalid cell that is not needed is a missing value
            if faults and name in self.needed:
                unreadable |= faults | unreadable  # the first fault of a row counts
        return dict_rows(columns)


@dataclass(frozen=True)
class Inputs:
    """The inputs of some rows."""

    inputs: Sequence[Input]
    "One for each row that can be read."
    rows: Sequence[int]
    "Those rows' numbers, from 0."
    total: int
    fault: str = ""
    "Why the first unreadable row cannot be read; empty if all can."

    def spread(self, answers: Sequence[str | None]) -> list[str | None]:
        """Return one answer for each row, None for rows that could not be read."""
        spread: list[str | None] = [None] * self.total
        for row, answer in zip(self.rows, answers, strict=True):
            spread[row] = answer
        return spread


def new_rows(
    frame: pd.DataFrame,
    columns: Sequence[str],
    types: Mapping[str, ColumnType],
    *,
    source: str,
    reading: Reading | None = None,
    odd: Mapping[str, Sequence[str]] = MappingProxyType({}),
    name: str = "the rows",
    unreadable: Mapping[int, str] = MappingProxyType({}),
) -> NewRows:
    r"""Return rows as the inputs of a program.

    Raise DataError if a column is missing that the program reads.

    Parameters
    ----------
    columns, types
        The columns the program was learned from, and their types; no types if its input is the
        text of the one column.
    source
        The program's text, from which the columns that it reads are found.
    reading
        How text cells of a file are written; None for other rows.
    odd
        Cells that are missing as well, by column.
    unreadable
        Rows whose line could not be read, by number, and why.

    Examples
    --------
    >>> frame = pd.DataFrame({"note": ["a", "b"], "age": ["41", "?!"]})
    >>> program = "def f(x):\n    return x['age'] > 40\n"
    >>> types = {"age": "int", "zip": "str"}
    >>> rows = new_rows(frame, list(types), types, source=program).inputs()
    >>> rows.inputs, rows.spread(["1"])
    ([{'age': 41}], ['1', None])
    """
    needed = columns_read(source, columns) if types else frozenset(columns)
    there = matching_columns(frame, columns)
    if missing := [column for column in columns if column not in there and column in needed]:
        listed = ", ".join(map(repr, list(frame.columns)[:12]))
        raise DataError(
            f"{name} has no column {missing[0]!r}, which the program reads; its columns are "
            f"{listed}"
        )
    known = {column: frame[other] for column, other in there.items()}
    if not known:
        raise DataError(f"{name} has none of the columns that the program was learned from")
    cells = pd.DataFrame(known)
    if not types:
        cells = cells.astype(object).fillna("")
    elif reading is not None:
        for column, kind in types.items() if reading.rewrites else ():
            if column in cells and kind in ("int", "float"):
                cells[column] = reading.cells(cells[column])
            elif column in cells and reading.missing:
                cells[column] = cells[column].mask(cells[column].str.strip().isin(reading.missing))
        for column in cells.columns.intersection(list(odd)):
            cells[column] = cells[column].mask(cells[column].isin(list(odd[column])))
    return NewRows(cells, types, needed, name, unreadable)


def matching_columns(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Return those columns that a frame has, each with its name there, in any Unicode form."""
    composed = partial(unicodedata.normalize, "NFC")
    known = {composed(column): column for column in frame.columns}
    there = {
        column: column if column in frame.columns else known.get(composed(column))
        for column in columns
    }
    return {column: other for column, other in there.items() if other is not None}


def columns_read(source: str, columns: Sequence[str]) -> frozenset[str]:
    r"""Return the columns that a program may read, found in its text.

    A program that uses its row other than to look up columns by name may read all columns. Where a
    name is composed, every column whose name its text contains counts as read.

    Examples
    --------
    >>> sorted(columns_read("def f(x):\n    return x['a'] > x.get('b', 0)", ["a", "b", "c", "r"]))
    ['a', 'b']
    >>> sorted(columns_read("def f(x):\n    return sum(x.values())", ["a", "b"]))
    ['a', 'b']
    """
    found = _FUNCTION.search(source)
    row = re.escape(found.group(1)) if found else "x"
    body = source[found.end() :] if found else source
    if re.search(rf"\b{row}\b(?!\s*(?:\[|\.get\())", body):
        return frozenset(columns)
    spellings = {spelling: name for name in columns for spelling in (name, repr(name)[1:-1])}
    lookups = list(re.finditer(rf"\b{row}\s*(?:\[|\.get\()\s*(?:{_LITERAL}\s*[],)])?", body))
    names = {lookup.group(2) for lookup in lookups}
    if names <= spellings.keys():
        return frozenset(spellings[name] for name in names)
    return frozenset(name for spelling, name in spellings.items() if spelling in body)
