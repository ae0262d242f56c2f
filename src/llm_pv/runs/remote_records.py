"""Transfer the results of a cell that is computed on another machine without the run directory.

The remote process gets the cell's records, and sends new ones as messages, in order; the process
with the directory writes them, so that the run is the same as if the cell were computed there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from llm_pv.runs.cells import Cell, CellLog, named
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import FAILED

Message = tuple[str, tuple[Any, ...]]
"""One write: the name of a method of `Results` or of a cell's log, and its arguments."""


@dataclass(frozen=True)
class Known:
    """The records of one cell in a run directory, enough to continue it on another machine."""

    cell: Cell
    finished: bool
    "The cell, and whether it is finished."
    path: Path
    program_path: Path
    "The run directory, and the path of the cell's program in it."
    replies: tuple[Record, ...] = ()
    attempts: tuple[Record, ...] = ()
    turns: tuple[Record, ...] = ()
    transfer: tuple[Record, ...] = ()
    "The cell's records."

    @classmethod
    def of(cls, run: "Results", cell: Cell) -> "Known":
        """Return the current records of a cell in a run directory."""
        log = run.cell_log(cell)
        return cls(
            cell,
            run.finished(cell),
            run.path,
            run.program_path(cell),
            tuple(log.replies),
            tuple(log.attempts),
            tuple(log.turns),
            tuple(run.transfer(cell)),
        )


class Relay:
    """Accepts a cell's results like a run directory, and sends them as messages.

    Parameters
    ----------
    send
        Called with each message; `write_records` applies them to the directory, in order.
    flush
        Waits until all messages are sent, so that large ones do not pile up in memory.
    """

    def __init__(
        self,
        known: Known,
        send: Callable[[Message], object],
        flush: Callable[[], object] = lambda: None,
    ) -> None:
        self.flush = flush
        self.path = known.path
        self._known = known
        self._send = send
        self._finished = known.finished
        self._row: dict[str, str] | None = None
        self._transfer = list(known.transfer)
        self._log = CellLog(
            known.cell,
            list(known.replies),
            list(known.attempts),
            list(known.turns),
            write_replies=lambda records: self.send("append_replies", list(records)),
            write_attempts=lambda records: self.send("append_attempts", list(records)),
            write_prompt=lambda digest, text: self.send("write_prompt", digest, text),
        )

    def cell_log(self, cell: Cell) -> CellLog:
        """Return the cell's journals."""
        assert cell == self._known.cell
        return self._log

    def finished(self, cell: Cell) -> bool:
        """Whether the cell has its row in the summary, and did not fail."""
        assert cell == self._known.cell
        return self._finished

    def row(self, cell: Cell) -> dict[str, str] | None:
        """Return the row that was sent, None without one."""
        assert cell == self._known.cell
        return self._row

    def finish(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Send the cell's row of the summary."""
        self.send("finish", cell, dict(row))
        self._finished = row["status"] != FAILED
        self._row = {"reason": ""} | {name: str(value) for name, value in row.items()}

    def transfer(self, cell: Cell) -> list[Record]:
        """Return the results of the cell's selected program on other data."""
        assert cell == self._known.cell
        return list(self._transfer)

    def add_transfer(self, cell: Cell, record: Record) -> None:
        """Send a result of the cell's selected program on other data."""
        self.send("add_transfer", cell, record)
        self._transfer.append(named(cell, record))

    def write_program(self, cell: Cell, text: str) -> Path:
        """Send the selected program and return the path it will have."""
        self.send("write_program", cell, text)
        return self._known.program_path

    def program_path(self, cell: Cell) -> Path:
        """Return the path of the cell's selected program, which may not exist yet."""
        assert cell == self._known.cell
        return self._known.program_path

    def write_predictions(self, cell: Cell, text: str) -> Path:
        """Send the predictions on the test rows, as CSV."""
        self.send("write_predictions", cell, text)
        return self.path

    def log(self, level: str, message: str, **facts: Any) -> None:
        """Send a line for the run's log."""
        self.send("log", level, message, facts)

    def send(self, what: str, *arguments: Any) -> None:
        """Send one message."""
        self._send((what, arguments))


Results: TypeAlias = RunDirectory | Relay
"""The destination of a cell's results."""


def write_records(messages: Sequence[Message], cell: Cell, results: Results) -> None:
    """Write the messages of a `Relay`; consecutive records of one kind in one append.

    Raise RunError if they cannot be written.
    """
    # Each reply precedes its attempts, so all replies of a batch can be written before all its
    # attempts: one sync for a whole batch.
    ordered = sorted(messages, key=lambda message: message[0] != "append_replies")
    for what, group in groupby(ordered, key=lambda message: message[0]):
        every = [arguments for _, arguments in group]
        if what == "append_replies":
            log = results.cell_log(cell)
            log.append_replies([record for (records,) in every for record in records])
        elif what == "append_attempts":
            log = results.cell_log(cell)
            log.append_attempts([record for (records,) in every for record in records])
        elif what == "log":
            for level, message, facts in every:
                results.log(level, message, **facts)
        else:
            write = getattr(results, what)
            for arguments in every:
                write(*arguments)
