"""A cell of a run, its keys in records and rows, and the log of its proposals and attempts."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_pv.runs.journal import Record


@dataclass(frozen=True)
class Cell:
    """One combination of task, length, sampler and trial; a `learn` run has a single cell.

    Examples
    --------
    >>> Cell("fn_a", 100, "paper", 2).slug
    'fn_a-L100-paper'
    >>> Cell("fn_a", 100, "paper", 2, "icl", "Qwen/Qwen3-0.6B").slug
    'fn_a-L100-paper-icl-Qwen--Qwen3-0.6B'
    """

    function: str
    "The task's id, or the name of the user's data."
    length: int | str = ""
    "The length of the inputs, empty for tables and user rows."
    sampler: str = ""
    "The benchmark's sampler, empty for user rows."
    trial: int = 0
    "The independent repetition, from 0."
    method: str = ""
    model: str = ""
    """The method and the model of the cell, in a run of several methods; both empty in a run of
    one. A model requires a method."""

    def __post_init__(self) -> None:
        if self.model and not self.method:
            raise ValueError(f"a cell of the model {self.model!r} needs its method too")

    def record(self) -> Record:
        """Return the columns that identify the cell; method and model only if they are set."""
        columns: Record = {
            "function": self.function,
            "length": self.length,
            "sampler": self.sampler,
            "trial": self.trial,
        }
        return columns | ({"method": self.method, "model": self.model} if self.method else {})

    @property
    def slug(self) -> str:
        """The cell as part of a file name, without the trial."""
        parts = [self.function, f"L{self.length}" if self.length != "" else "", self.sampler]
        name = _file_name("-".join(part for part in parts if part))
        if not self.method:
            return name[:_SLUG_LENGTH] or "data"
        ways = dict.fromkeys(filter(None, (self.method, self.model.replace("/", "--"))))
        way = "-".join(ways)
        slug = f"{name or 'data'}-{_file_name(way)}"
        if len(slug) <= _SLUG_LENGTH and _file_name(way) == way:
            return slug
        # A digest, so that models whose names become equal when shortened do not share a file.
        digest = hashlib.sha256(repr(self.record() | {"trial": 0}).encode()).hexdigest()[:8]
        return f"{slug[: _SLUG_LENGTH - 9]}-{digest}"


_SLUG_LENGTH = 80


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".")


def named(cell: Cell, record: Mapping[str, Any]) -> Record:
    """Return a record with the cell's columns first, in place of any that it has.

    Examples
    --------
    >>> named(Cell("fn_a", method="icl", model="gpt"), {"text": "1", "model": "gpt-2026"})["model"]
    'gpt'
    """
    return cell.record() | dict(record) | cell.record()


def _forget(*_: object) -> None:
    return None


@dataclass
class CellLog:
    """The proposals and attempts of one cell so far; new ones are written before they are added.

    ``turns`` are the model's turns and tool outputs that led to a reply. Without writers the log
    is in memory only.
    """

    cell: Cell
    replies: list[Record] = field(default_factory=list)
    attempts: list[Record] = field(default_factory=list)
    turns: list[Record] = field(default_factory=list)
    write_replies: Callable[[Sequence[Mapping[str, Any]]], None] = _forget
    write_attempts: Callable[[Sequence[Mapping[str, Any]]], None] = _forget
    write_prompt: Callable[[str, str], object] = _forget

    @property
    def selected(self) -> Record | None:
        """The record of the selection, None while there is none."""
        found = (one for one in reversed(self.attempts) if one.get("kind") == "selected")
        return next(found, None)

    def append_reply(self, record: Record) -> None:
        """Write one reply, then add it to the log."""
        self.append_replies([record])

    def append_replies(self, records: Sequence[Record]) -> None:
        """Write replies, all or none, then add them to the log."""
        self.write_replies([named(self.cell, record) for record in records])
        self.replies.extend(records)

    def append_turns(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write turns or tool calls, all or none, then add them to the log."""
        self.write_replies([named(self.cell, record) for record in records])
        self.turns.extend(dict(record) for record in records)

    def shorten(self) -> None:
        """Free the memory of a finished cell's replies; the files do not change."""
        if not any(record["kind"] == "attempt" for record in self.attempts):
            return
        self.replies.clear()
        self.turns.clear()
        self.attempts[:] = [
            {name: record[name] for name in ("kind", "attempt") if name in record}
            if record["kind"] == "attempt"
            else record
            for record in self.attempts
        ]

    def append_attempt(self, record: Record) -> None:
        """Write one verified attempt, then add it to the log."""
        self.append_attempts([record])

    def append_attempts(self, records: Sequence[Record]) -> None:
        """Write verified attempts, all or none, then add them to the log."""
        self.write_attempts([named(self.cell, record) for record in records])
        self.attempts.extend(records)


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
