"""What tells the records and rows of one cell from those of another."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_pv.runs.cells import Cell
from llm_pv.runs.journal import Record

Key = tuple[str, ...]


def place_of(record: Mapping[str, Any]) -> Key:
    """Return what tells task, length, sampler and trial, the same for journals and CSV files."""
    return tuple(
        str(record.get(column, "")) for column in ("function", "length", "sampler", "trial")
    )


def way_of(record: Mapping[str, Any]) -> Key:
    """Return what tells the method and its model."""
    return tuple(str(record.get(column, "")) for column in ("method", "model"))


def key_of(record: Mapping[str, Any]) -> Key:
    """Return what tells the cell of a journal's record.

    A record without a method may name a model for reasons of its own: it is of a run of one method.
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
