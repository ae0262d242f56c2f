"""Infer the types of table columns from their cells, and convert cells to values.

A cell that a text file holds is text. A column of such cells is ``bool`` when every cell spells
true or false, ``int`` when every cell is a whole number without leading zeros, ``float`` when
every cell is such a number with or without decimals, and ``str`` otherwise: one ``007`` keeps the
whole column text. In any column an empty cell is missing; in a column of numbers or of true and
false the spellings in `MISSING_SPELLINGS` are missing too, for there they can be nothing else.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import pairwise
from numbers import Integral, Real
from reprlib import repr as short
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

import numpy as np
import pandas as pd

from llm_pv.data.examples import Input, Scalar
from llm_pv.errors import ConfigurationError, DataError

ColumnType: TypeAlias = Literal["str", "int", "float", "bool"]
"""The types a column's values can have; each value may be missing besides."""

MISSING_SPELLINGS = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Spellings of a missing value, in any case, in a column that is otherwise not text."""

_OTHER_SPELLINGS = (
    "- -- . #n/a #na n.a. <na> unknown missing #value! #div/0! #ref! #null! (null) nil nd"
)
_IN_INPUTS = MISSING_SPELLINGS | frozenset(_OTHER_SPELLINGS.split())
"""The same in a column of inputs; as a label, unknown is a class like any other."""

_WHOLE = r"[+-]?(?:0|[1-9][0-9]{0,4299})"  # 4,300 digits: as many as Python's int() reads
_PATTERNS: tuple[tuple[ColumnType, re.Pattern[str]], ...] = (
    ("bool", re.compile(r"\s*(?:true|false)\s*", re.IGNORECASE)),
    ("int", re.compile(rf"\s*{_WHOLE}\s*")),
    ("float", re.compile(rf"\s*(?:{_WHOLE}(?:\.[0-9]*)?|[+-]?\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")),
)
_CODE = re.compile(r"\s*[+-]?0[0-9].*|\s*\w*[0-9]\w*\s*")
"""An identifier or code: one such cell among numbers makes the column text."""
_EXPONENT = re.compile(r"\s*[0-9]+E[0-9]+\s*")
"""A code such as 10E0, which people do not write for a number."""
_OTHERWISE_WRITTEN = re.compile(r"\s*[$€£]?[+-]?[0-9][0-9.,' ]*\s*[%$€£]?\s*")
_MOSTLY = 0.8
"""The least share of numbers in a column whose other cells count as odd ones."""
_MOSTLY_WITH_WORDS = 0.95
_FEWEST_NUMBERS = 20
_IDENTIFIER = re.compile(
    r"[A-Za-z]{0,8}[-_ #/]?[0-9]{2,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?=.*[0-9])(?=.*[a-f])[0-9a-f]{12,}"
)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def check_types(types: Mapping[str, str]) -> None:
    """Raise an error unless every type is one of `ColumnType`.

    Raise ConfigurationError if one is not.
    """
    for name, kind in types.items():
        if kind not in get_args(ColumnType):
            known = ", ".join(get_args(ColumnType))
            raise ConfigurationError(f"type {kind!r} of column {name!r}: give one of {known}")


def written_type(
    texts: Iterable[str], missing: Collection[str] = MISSING_SPELLINGS
) -> tuple[ColumnType, frozenset[str]]:
    """Infer the type of a column from the cells of a text file.

    Parameters
    ----------
    missing
        The spellings of missing values, in lower case.

    Returns
    -------
    tuple
        The type, and the spellings in this column, other than the empty cell, that it reads as
        missing.

    Examples
    --------
    >>> written_type(["1", "2.5", "NA"])
    ('float', frozenset({'NA'}))
    >>> written_type(["1", "007"])
    ('str', frozenset())
    """
    distinct = set(texts)
    for kind, pattern in _PATTERNS:
        spelled = set()
        for text in distinct:
            if not pattern.fullmatch(text):
                if text.strip().lower() not in missing:
                    break
                spelled.add(text)
        else:
            if len(spelled) < len(distinct):
                return kind, frozenset(text for text in spelled if text.strip())
    return "str", frozenset()


def inferred_type(texts: Sequence[str]) -> tuple[ColumnType, frozenset[str], frozenset[str]]:
    """Infer the type of a column as `written_type` does, allowing a few odd cells.

    Parameters
    ----------
    texts
        All cells that are not empty: how often a spelling occurs matters here.

    Returns
    -------
    tuple
        The type, the spellings of missing values, and the odd cells of a column that is mostly
        numbers: words, and numbers that are written otherwise. They read as missing too. A
        column with codes, such as 007, is text.

    Examples
    --------
    >>> inferred_type(["1", "2", "3", "4", "5", "12%"])
    ('int', frozenset(), frozenset({'12%'}))
    """
    kind, spelled = written_type(texts, _IN_INPUTS)
    if kind in ("int", "float") and any(map(_EXPONENT.fullmatch, set(texts))):
        return "str", frozenset(), frozenset()
    if kind != "str":
        return kind, spelled, frozenset()
    counts = Counter(text for text in texts if text.strip().lower() not in _IN_INPUTS)
    number = dict(_PATTERNS)["float"]
    odd = {text for text in counts if not number.fullmatch(text)}
    if any(_CODE.fullmatch(text) or _EXPONENT.fullmatch(text) for text in odd):
        return "str", frozenset(), frozenset()
    numbers = sum(count for text, count in counts.items() if text not in odd)
    words = any(not _OTHERWISE_WRITTEN.fullmatch(text) for text in odd)
    least = _MOSTLY_WITH_WORDS if words else _MOSTLY
    if numbers < least * counts.total() or (words and numbers < _FEWEST_NUMBERS):
        return "str", frozenset(), frozenset()
    kind, spelled = written_type([text for text in texts if text not in odd], _IN_INPUTS)
    return kind, spelled, frozenset(odd)


def is_identifier(cells: "pd.Series[Any]", written: bool) -> bool:
    """Whether a column names or counts its rows: nothing that a rule for new rows could use.

    Every cell is there and differs from the others, and they are whole numbers that count up from
    row to row, or whole numbers or short codes in a column called an id, or codes of one form.
    """
    values = cells.tolist()
    try:
        if len(cells) < _FEWEST_NUMBERS or len(set(values)) < len(values) or cells.isna().any():
            return False
    except TypeError:
        return False
    kind = written_type(values)[0] if written else value_type(cells)
    if kind == "int":
        numbers = [int(value) for value in values]
        steps = {later - earlier for earlier, later in pairwise(numbers)}
        return steps == {1} or _named_identifier(str(cells.name))
    if kind != "str":
        return False
    if _named_identifier(str(cells.name)):
        return all(isinstance(value, str) and len(value.split()) == 1 for value in values)
    return all(isinstance(value, str) and _IDENTIFIER.fullmatch(value.strip()) for value in values)


def _named_identifier(name: str) -> bool:
    return bool(
        re.search(r"(?:^|[_\W])(?:id|uuid|guid|key)$|[a-z]I[dD]$|^ID$", name, re.ASCII)
    ) or (name.lower() in ("id", "index", "row", "rowid", "row_number", "unnamed: 0"))


def value_type(cells: "pd.Series[Any]") -> ColumnType:
    """Infer the type of a column of Python or numpy values, whose strings stay strings.

    Whole numbers and decimals together are ``float``; any other mixture is ``str``. Dates, times
    and the like are ``str``, written in ISO format.

    Raise DataError if a value is no scalar: a list, bytes, a complex number.
    """
    if pd.api.types.is_bool_dtype(cells.dtype):
        return "bool"
    if pd.api.types.is_integer_dtype(cells.dtype):
        return "int"
    if pd.api.types.is_float_dtype(cells.dtype):
        return "float"
    present = cells.dropna()
    kinds: set[ColumnType] = set()
    for python_type in set(map(type, present.tolist())):
        kind = _type_of(python_type)
        if kind is None:
            raise DataError(
                f"column {cells.name!r} holds a {python_type.__name__}: values must be strings, "
                "numbers, true or false, or missing; spread it over columns or leave it out"
            )
        kinds.add(kind)
    return joint_type(kinds)


def _type_of(python_type: type) -> ColumnType | None:
    if issubclass(python_type, bool | np.bool_):
        return "bool"
    if issubclass(python_type, Integral):
        return "int"
    if issubclass(python_type, Real | Decimal):
        return "float"
    if issubclass(python_type, str | date | time | timedelta | np.datetime64 | UUID | pd.Period):
        return "str"
    return None


def joint_type(kinds: Iterable[ColumnType]) -> ColumnType:
    """Return the type that includes all of these types; ``str`` if there is none.

    Examples
    --------
    >>> joint_type(["int", "float"]), joint_type(["int", "bool"])
    ('float', 'str')
    """
    distinct = set(kinds)
    if distinct == {"int", "float"}:
        return "float"
    return distinct.pop() if len(distinct) == 1 else "str"


def read_cells(cells: "pd.Series[Any]", kind: ColumnType) -> "np.ndarray[Any, Any]":
    """Convert a column's cells, text or values, to values of one type.

    Raise DataError if a cell cannot be read so, with its row, counted from 1.

    Returns
    -------
    numpy.ndarray
        As many values: for ``float`` as float64 with NaN for missing ones, for ``int`` possibly
        as int64, else Python objects with None for missing ones.
    """
    if kind == "float" and pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind == "int" and cells.dtype in (np.int64, np.int32, np.int16, np.int8):
        return cells.to_numpy(dtype=np.int64)
    present = ~np.asarray(pd.isna(cells.array))
    there = np.flatnonzero(present)
    values = (cells if present.all() else cells.iloc[there]).tolist()
    texts_only = set(map(type, values)) <= {str}
    read = _read_texts(values, kind) if texts_only else None
    if read is None:
        read = _read_one_by_one(values, kind, cells, there)
    missing = [np.nan] if kind == "float" else [None]
    array = np.array(missing, dtype=np.float64 if kind == "float" else object).repeat(len(cells))
    array[there] = read
    return array


def read_new_cells(
    cells: "pd.Series[Any]", kind: ColumnType
) -> tuple[list[Scalar], dict[int, str]]:
    """Convert a column for a program that was learned from a column of this type.

    A number with decimals may follow in a column of whole numbers; those that are whole stay int.

    Returns
    -------
    tuple
        A value for each cell, None for missing ones and for those that cannot be read; and what is
        wrong with the latter, by their place.

    Examples
    --------
    >>> read_new_cells(pd.Series(["3", "3.5", "", "many"], name="n"), "int")
    ([3, 3.5, None, None], {3: "column 'n', row 4: 'many' is no int"})
    """
    try:
        return python_values(read_cells(cells, kind)), {}
    except DataError:
        pass
    read = _READERS[kind]
    values: list[Scalar] = []
    faults: dict[int, str] = {}
    for place, cell in enumerate(cells.astype(object).where(cells.notna(), None).tolist()):
        value: Scalar = None
        try:
            value = None if cell is None else read(cell)
        except (ValueError, TypeError, OverflowError):
            try:
                if kind != "int":
                    raise
                value = _finite(_read_float(cell))
            except (ValueError, TypeError, OverflowError):
                row = int(cells.index[place]) + 1
                faults[place] = f"column {cells.name!r}, row {row:,}: {short(cell)} is no {kind}"
        values.append(value)
    return values, faults


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError(value)
    return value


def _read_texts(texts: list[str], kind: ColumnType) -> list[Any] | None:
    """Convert texts in bulk; return None if one is missing or invalid, to convert one by one."""
    try:
        if kind == "float":
            return list(map(float, texts))
        if kind == "int":
            return list(map(int, texts))
        if kind == "bool":
            return [_TRUTH[text.strip().lower()] for text in texts]
    except (ValueError, KeyError):
        return None
    return texts


def _read_one_by_one(
    values: list[Any], kind: ColumnType, cells: "pd.Series[Any]", there: "np.ndarray[Any, Any]"
) -> list[Scalar]:
    """Convert values, None for missing ones; raise DataError naming a cell that is invalid."""
    read = _READERS[kind]
    result: list[Scalar] = []
    for number, value in enumerate(values):
        try:
            result.append(read(value))
        except (ValueError, TypeError, OverflowError):
            row = int(cells.index[there[number]]) + 1
            raise DataError(
                f"column {cells.name!r}, row {row:,}: {short(value)} is no {kind}; change the cell "
                f"or give the column another type, such as {cells.name}=str"
            ) from None
    return result


def python_values(values: "np.ndarray[Any, Any]") -> list[Scalar]:
    """Return what `read_cells` read as plain Python values, None for missing ones."""
    if values.dtype == np.float64:
        return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124
    return list(values.tolist())


def dict_rows(columns: "dict[str, list[Scalar]]") -> list[Input]:
    """Return the rows of columns of equal length.

    Examples
    --------
    >>> dict_rows({"age": [41, 18], "zone": ["north", None]})
    [{'age': 41, 'zone': 'north'}, {'age': 18, 'zone': None}]
    """
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _read_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _read_float(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() in _IN_INPUTS:
        return None
    return float(value)


def _read_int(value: Any) -> int | None:
    if isinstance(value, str):
        if value.strip().lower() in _IN_INPUTS:
            return None
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if int(value) != value:
        raise ValueError(value)
    return int(value)


def _read_bool(value: Any) -> bool | None:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _IN_INPUTS:
            return None
        if text not in _TRUTH:
            raise ValueError(value)
        return _TRUTH[text]
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


_READERS: dict[ColumnType, Callable[[Any], Scalar]] = {
    "str": _read_text,
    "int": _read_int,
    "float": _read_float,
    "bool": _read_bool,
}
