"""A cell of a run, and the log of what was proposed and verified in it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llm_pv.runs.journal import Record


@dataclass(frozen=True)
class Cell:
    """One combination of task, length, sampler and trial; a `learn` run has a single cell.

    Parameters
    ----------
    function
        The task's id, or the name of the user's data.
    length
        The length of the inputs, empty for tables and user rows.
    sampler
        The benchmark's sampler, empty for user rows.
    trial
        The independent repetition, from 0.

    Examples
    --------
    >>> Cell("fn_a", 100, "paper", 2).slug
    'fn_a-L100-paper'
    """

    function: str
    length: int | str = ""
    sampler: str = ""
    trial: int = 0

    def record(self) -> Record:
        """Return the columns that name the cell."""
        return asdict(self)

    @property
    def slug(self) -> str:
        """The cell as part of a file name, without the trial."""
        parts = [self.function, f"L{self.length}" if self.length != "" else "", self.sampler]
        text = "-".join(part for part in parts if part)
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:80].lstrip(".") or "data"


def _forget(*_: object) -> None:
    return None


@dataclass
class CellLog:
    """What one cell has proposed and verified so far; new records go to disk before they count.

    ``turns`` are what a model and its tool said on the way to a reply. Without writers the log
    lives in memory only.
    """

    cell: Cell
    replies: list[Record] = field(default_factory=list)
    attempts: list[Record] = field(default_factory=list)
    turns: list[Record] = field(default_factory=list)
    write_replies: Callable[[Sequence[Mapping[str, Any]]], None] = _forget
    write_attempt: Callable[[Mapping[str, Any]], None] = _forget
    write_prompt: Callable[[str, str], object] = _forget

    def append_reply(self, record: Record) -> None:
        """Put one reply on disk, then into the log."""
        self.write_replies([self.cell.record() | record])
        self.replies.append(record)

    def append_turns(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Put turns or tool calls on disk, all or none, then into the log."""
        self.write_replies([self.cell.record() | record for record in records])
        self.turns.extend(dict(record) for record in records)

    def append_attempt(self, record: Record) -> None:
        """Put one verified attempt on disk, then into the log."""
        self.write_attempt(self.cell.record() | record)
        self.attempts.append(record)
