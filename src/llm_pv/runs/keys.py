"""The keys that identify the cell of records and rows."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_pv.runs.cells import Cell
from llm_pv.runs.journal import Record

Key = tuple[str, ...]


def place_of(record: Mapping[str, Any]) -> Key:
    """Return the key of task, length, sampler and trial, equal for journals and CSV files."""
    return tuple(
        str(record.get(column, "")) for column in ("function", "length", "sampler", "trial")
    )


def way_of(record: Mapping[str, Any]) -> Key:
    """Return the key of the method and its model."""
    return tuple(str(record.get(column, "")) for column in ("method", "model"))


def key_of(record: Mapping[str, Any]) -> Key:
    """Return the key of the cell of a journal's record.

    A record without a method belongs to a run of one method, even if it names a model.
    """
    return place_of(record) + (way_of(record) if record.get("method") else ())


def cell_of(key: Key) -> Cell:
    """Return the cell of a `key_of`."""
    function, length, sampler, trial, *way = key
    return Cell(function, length, sampler, int(trial), *way)


def by_cell(records: Iterable[Record]) -> dict[Key, list[Record]]:
    """Return the records of each cell, by its key."""
    grouped: dict[Key, list[Record]] = {}
    for record in records:
        grouped.setdefault(key_of(record), []).append(record)
    return grouped
