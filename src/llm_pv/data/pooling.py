"""Join the tables of a user's rows: their types, their classes, and columns with a special role."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd

from llm_pv.data.columns import ColumnType, joint_type, read_cells
from llm_pv.data.examples import Classes
from llm_pv.data.reading import Reading, binned, target_edges, target_numbers
from llm_pv.data.table import Table
from llm_pv.data.targets import read_classes
from llm_pv.errors import DataError

PARTS = ("train", "validation", "test")
ADDED = len(PARTS)  # the source of rows that are training rows besides


@dataclass(frozen=True, eq=False)
class PooledRows:
    """All rows together, with the table, the input and the class of each."""

    table: Table
    source: "np.ndarray[Any, Any]"
    groups: "np.ndarray[Any, Any]"
    codes: "np.ndarray[Any, Any]"
    classes: Classes
    edges: tuple[float, ...] = ()
    units: "np.ndarray[Any, Any] | None" = None
    unit_names: Sequence[object] = ()
    times: "np.ndarray[Any, Any] | None" = None
    weights: "np.ndarray[Any, Any] | None" = None


def pooled(given: Sequence[Table], sources: Sequence[int], reading: Reading) -> PooledRows:
    """Return the rows of all tables; raise DataError if they do not go together."""
    first = given[0]
    tables = [_like(table, first) for table in given]
    labels = [_labels(table) for table in tables]
    types = _joint_types(tables)
    if ADDED in sources:
        _check_added(types, tables, sources)
    if len(tables) == 1:
        joined = tables[0]
    else:
        frame = pd.concat([table.frame.astype(object) for table in tables], ignore_index=True)
        odd = {
            name: tuple(sorted({cell for table in tables for cell in table.odd.get(name, ())}))
            for name in {name for table in tables for name in table.odd}
        }
        joined = replace(first, frame=frame, labels=None, types=types, odd=odd)
    written = [table.written for table in tables]
    edges: tuple[float, ...] = ()
    if reading.bins is not None or reading.threshold is not None:
        numbers = [target_numbers(column, reading) for column in labels]
        edges = target_edges(numbers, reading)
        labels = [pd.Series(binned(column, edges), dtype=object) for column in numbers]
        written = [False] * len(tables)
    codes, classes = read_classes(labels, written)
    source = np.repeat(sources, [len(table) for table in tables])
    pool = PooledRows(joined, source, _input_groups(joined), codes, classes, edges)
    apart = {use: _role_column(tables, use) for use in reading.apart}
    if "groups" in apart:
        units, names = pd.factorize(_present_cells(apart["groups"], "groups").astype(str))
        pool = replace(pool, units=units, unit_names=list(names))
    if "time" in apart:
        pool = replace(pool, times=moments(_present_cells(apart["time"], "time")))
    if "weights" in apart:
        pool = replace(pool, weights=row_weights(_present_cells(apart["weights"], "weights")))
    return pool


def _joint_types(tables: Sequence[Table]) -> dict[str, ColumnType]:
    filled = [set(table.frame.columns[table.frame.notna().any()]) for table in tables]
    return {
        name: joint_type(
            table.types[name] for table, there in zip(tables, filled, strict=True) if name in there
        )
        for name in tables[0].types
    }


def _check_added(
    types: dict[str, ColumnType], tables: Sequence[Table], sources: Sequence[int]
) -> None:
    """Raise DataError if added rows turn a column of the other tables into text."""
    others = [table for table, source in zip(tables, sources, strict=True) if source != ADDED]
    for name, before in _joint_types(others).items():
        if before != types[name] == "str":
            at = next(table for table in tables if joint_type([before, table.types[name]]) == "str")
            raise DataError(
                f"{at.name}: column {name!r} is {at.types[name]}, and {before} in "
                f"{tables[0].name}; correct its cells, or make it text in both with "
                f"--types {name}=str"
            )


def _like(table: Table, first: Table) -> Table:
    """Return the table with the columns of the first one; raise DataError if one is missing."""
    if table is first:
        return table
    if first.single and table.single:
        frame = table.frame.set_axis(list(first.frame.columns), axis=1)
        return replace(table, frame=frame)
    missing = [name for name in first.frame.columns if name not in table.frame.columns]
    if missing or table.single:
        raise DataError(
            f"{table.name} has not the columns of {first.name}: "
            f"{', '.join(map(repr, missing or first.frame.columns))} are missing; give both alike"
        )
    frame = table.frame[list(first.frame.columns)]
    return replace(table, frame=frame.fillna("") if first.single else frame)


def _labels(table: Table) -> "pd.Series[Any]":
    if table.labels is None:
        columns = ", ".join(repr(name) for name in table.frame.columns[:12])
        raise DataError(
            f"{table.name} has no labels: name the target (--target), one of its columns "
            f"{columns}, or write lines 'input -> label'"
        )
    if not len(table.labels):
        raise DataError(f"{table.name} has no row with a label: fill in the target column")
    return table.labels


def _input_groups(table: Table) -> "np.ndarray[Any, Any]":
    """Return a number for each row, equal for equal inputs only."""
    groups = np.zeros(len(table), dtype=np.int64)
    for name in table.frame.columns:
        cells = table.frame[name]
        values = cells.to_numpy() if table.single else read_cells(cells, table.types[name])
        codes, distinct = pd.factorize(values)  # a missing value has the code -1
        groups, different = pd.factorize(groups * (len(distinct) + 1) + codes + 1)
        if len(different) == len(table):
            break  # the other columns tell no more rows apart
    return groups


def _role_column(tables: Sequence[Table], use: str) -> "pd.Series[Any]":
    """Return a column with a special role, concatenated over all tables."""
    for table in tables:
        if use not in table.apart:
            raise DataError(f"{table.name} has no column for --{use}; give every file one")
    return pd.concat([table.apart[use] for table in tables], ignore_index=True)


def _present_cells(cells: "pd.Series[Any]", use: str) -> "pd.Series[Any]":
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
