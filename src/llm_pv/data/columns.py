"""The types of table columns: how they are told from the cells, and how cells become values.

A cell that a text file holds is text. A column of such cells is ``bool`` when every cell spells
true or false, ``int`` when every cell is a whole number without leading zeros, ``float`` when
every cell is such a number with or without decimals, and ``str`` otherwise: one ``007`` keeps the
whole column text. In any column an empty cell is missing; in a column of numbers or of true and
false the spellings in `MISSING_SPELLINGS` are missing too, for there they can be nothing else.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from reprlib import repr as short
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

import numpy as np
import pandas as pd

from llm_pv.data.examples import Scalar
from llm_pv.errors import ConfigurationError, DataError

ColumnType: TypeAlias = Literal["str", "int", "float", "bool"]
"""The types a column's values can have; each value may be missing besides."""

MISSING_SPELLINGS = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What stands for a missing value, in any case, in a column that is otherwise no text."""

_WHOLE = r"[+-]?(?:0|[1-9][0-9]{0,4299})"  # 4,300 digits: as many as Python's int() reads
_PATTERNS: tuple[tuple[ColumnType, re.Pattern[str]], ...] = (
    ("bool", re.compile(r"\s*(?:true|false)\s*", re.IGNORECASE)),
    ("int", re.compile(rf"\s*{_WHOLE}\s*")),
    ("float", re.compile(rf"\s*(?:{_WHOLE}(?:\.[0-9]*)?|[+-]?\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")),
)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def check_types(types: Mapping[str, str]) -> None:
    """Raise unless every type named is one of `ColumnType`.

    Raises
    ------
    ConfigurationError
        If one is not.
    """
    for name, kind in types.items():
        if kind not in get_args(ColumnType):
            known = ", ".join(get_args(ColumnType))
            raise ConfigurationError(f"type {kind!r} of column {name!r}: give one of {known}")


def written_type(texts: Iterable[str]) -> tuple[ColumnType, frozenset[str]]:
    """Tell the type of a column from its cells as a text file holds them.

    Parameters
    ----------
    texts
        The cells; repeats and empty ones do no harm.

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
                if text.strip().lower() not in MISSING_SPELLINGS:
                    break
                spelled.add(text)
        else:
            if len(spelled) < len(distinct):
                return kind, frozenset(text for text in spelled if text.strip())
    return "str", frozenset()


def value_type(cells: "pd.Series[Any]") -> ColumnType:
    """Tell the type of a column of Python or numpy values, whose strings stay strings.

    Whole numbers and decimals together are ``float``; any other mixture is ``str``. Dates, times
    and the like are ``str``, written in ISO format.

    Raises
    ------
    DataError
        If a value is no scalar: a list, bytes, a complex number.
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
    """Return the one type that holds the values of all of these types; ``str`` for none.

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
    """Read a column's cells, text or values, as values of one type.

    Returns
    -------
    numpy.ndarray
        As many values: for ``float`` as float64 with NaN for missing ones, for ``int`` possibly
        as int64, else Python objects with None for missing ones.

    Raises
    ------
    DataError
        If a cell cannot be read so, with its row, counted from 1.
    """
    if kind == "float" and pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind == "int" and cells.dtype in (np.int64, np.int32, np.int16, np.int8):
        return cells.to_numpy(dtype=np.int64)
    there = np.flatnonzero(cells.notna().to_numpy())
    values = cells.iloc[there].tolist()
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
    """Read a column for a program that was learned from another column of this type.

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
    """Read texts in bulk; None where one is missing or does not fit, to be read one by one."""
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
    """Read values, None for missing ones; say which cell cannot be read."""
    read = _READERS[kind]
    result: list[Scalar] = []
    for number, value in enumerate(values):
        try:
            result.append(read(value))
        except (ValueError, TypeError, OverflowError):
            row = int(cells.index[there[number]]) + 1
            raise DataError(
                f"column {cells.name!r}, row {row:,}: {short(value)} is no {kind}; mend the cell "
                f"or give the column another type, such as {cells.name}=str"
            ) from None
    return result


def python_values(values: "np.ndarray[Any, Any]") -> list[Scalar]:
    """Return what `read_cells` read as plain Python values, None for missing ones."""
    if values.dtype == np.float64:
        return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124
    return list(values.tolist())


def _read_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _read_float(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() in MISSING_SPELLINGS:
        return None
    return float(value)


def _read_int(value: Any) -> int | None:
    if isinstance(value, str):
        if value.strip().lower() in MISSING_SPELLINGS:
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
        if text in MISSING_SPELLINGS:
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
