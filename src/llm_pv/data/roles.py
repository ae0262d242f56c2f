"""Columns with a special role: groups, times and weights of rows."""

from collections.abc import Sequence
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd

from llm_pv.data.table import Table
from llm_pv.errors import DataError


def role_column(tables: Sequence[Table], use: str) -> "pd.Series[Any]":
    """Return a column with a special role, concatenated over all tables."""
    for table in tables:
        if use not in table.apart:
            raise DataError(f"{table.name} has no column for --{use}; give every file one")
    return pd.concat([table.apart[use] for table in tables], ignore_index=True)


def present_cells(cells: "pd.Series[Any]", use: str) -> "pd.Series[Any]":
    """Return the cells; raise DataError if one is missing."""
    missing = (cells.isna() | (cells.astype(str).str.strip() == "")).to_numpy()
    if missing.any():
        raise DataError(
            f"column {cells.name!r} of --{use} is empty in {int(missing.sum()):,} rows, the first "
            f"of them row {int(np.flatnonzero(missing)[0]) + 1:,}: fill it in, or drop these rows"
        )
    return cells


def moments(cells: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """Return times as numbers in the same order: numbers unchanged, dates as nanoseconds.

    Raise DataError if a cell is neither.

    Examples
    --------
    >>> (moments(pd.Series(["2024-03-01", "2023-12-31"])).argsort()).tolist()
    [1, 0]
    """
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.notna().all():
        return numbers.to_numpy(dtype=np.float64)
    dates = pd.to_datetime(cells, utc=True, format="ISO8601", errors="coerce")
    if dates.isna().any():
        place = int(np.flatnonzero(dates.isna())[0])
        raise DataError(
            f"column {cells.name!r} of --time, row {place + 1:,}: {short(cells.iloc[place])} is no "
            "date; give numbers for all rows, or dates such as 2024-03-31"
        )
    return dates.to_numpy(dtype="datetime64[ns]").astype(np.int64)


def row_weights(cells: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """Return weights as numbers.

    Raise DataError if one is negative or no number, or all are 0.
    """
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"column {cells.name!r} of --weights, row {place + 1:,}: {cells.iloc[place]!s:.40} is "
            "no weight; give numbers from 0 on"
        )
    if not numbers.any():
        raise DataError(f"column {cells.name!r} of --weights: all weights are 0")
    return numbers
