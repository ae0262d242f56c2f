"""One run on disk: its configuration, its journals, its results.

A run directory holds ``run.json`` (resolved configuration, versions, the command),
``replies.jsonl`` (every reply, every turn of a model and every answer of its tool, synced before
they are used; a record with a ``kind`` is one of the latter two), ``results_attempts.jsonl`` and
its ``.csv`` (one line per attempt; the CSV is written when the run is closed), ``transfer.jsonl``
(selected programs on other data), ``summary.csv`` and ``predictions/``,
``programs/<cell>-t<trial>.py``, ``prompts/<digest>.txt``, ``runner.log`` (JSON lines) and
``report.html``.
``summary.csv`` gets a cell's row last, so a cell with a row is finished, unless it failed: then it
is repeated when the run is resumed.
"""

import json
import platform
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from llm_pv import __version__
from llm_pv.data.databases import without_password
from llm_pv.errors import RepairWarning, RunError
from llm_pv.group_commit import GroupCommit
from llm_pv.runs.cells import Cell, CellLog, Key, by_cell, key_of, named, place_of, way_of
from llm_pv.runs.config_diff import differences, later_names
from llm_pv.runs.consistency import (
    cells_without_reply,
    consistent_records,
    inconsistent_rows,
)
from llm_pv.runs.files import remove_leftovers, write_atomically, write_csv
from llm_pv.runs.journal import Journal, Record
from llm_pv.runs.reading import FAILED, FORMAT, SUMMARY_COLUMNS, read_run, read_summary

_RECORDED_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "sympy",
    "networkx",
    "xgboost",
    "deap",
    "tabpfn",
    "torch",
    "transformers",
    "vllm",
)


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the relevant installed packages."""
    found = {"llm_pv": __version__, "python": platform.python_version()}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


class RunDirectory:
    """A run's folder, locked by one process at a time; use it as a context manager.

    The threads of that process may share it, as long as each cell is used by one thread.

    Raise RunError if the folder holds something else, a run with another configuration or format,
    is in use by another process, or cannot be written.

    Parameters
    ----------
    configuration
        Everything that decides the results, as plain JSON values. An existing run is resumed
        only if its own configuration is the same.
    confinement
        The confinement of the run's programs, as plain JSON values (`Confinement.record`); None
        for a run without programs. A run that is resumed with another confinement records both.
    method
        The track, the method and the model of a run of one method, for reports on cells that have
        no row yet.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RunDirectory(Path(folder) / "run", {"seed": 0}) as run:
    ...         run.finished(Cell("learn"))
    False
    """

    def __init__(
        self,
        path: Path,
        configuration: Mapping[str, Any],
        confinement: Mapping[str, Any] | None = None,
        method: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self._method = {} if method is None else dict(method)
        self._confinement: list[Record] = [] if confinement is None else [dict(confinement)]
        # Through JSON, so that a new configuration compares equal to one read from a file.
        self.configuration: Record = json.loads(json.dumps(configuration))
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign_folder()
            self._lock = FileLock(path / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{path} is in use by another process; wait for it or choose another --out"
            ) from error
        except OSError as error:
            why = "it is a file" if path.is_file() else error.strerror or error
            raise RunError(
                f"cannot use {path} as a run directory: {why}; choose another --out"
            ) from error
        try:
            remove_leftovers(path)
            if (path / "run.json").exists():
                self._note_confinement(self._check_same_run())
            else:
                self._write_run(self._new_record())
            self._replies = Journal(path / "replies.jsonl", sync=True)
            self._attempts = Journal(path / "results_attempts.jsonl")
            self._transfer = Journal(path / "transfer.jsonl")
            self._log = Journal(path / "runner.log")
            for journal in (self._replies, self._attempts, self._transfer, self._log):
                if journal.repaired:
                    self.log("warning", f"{journal.path.name}: cut off a torn last line")
            said = self._replies.read()
            self._known_replies = by_cell(record for record in said if "kind" not in record)
            self._known_turns = by_cell(record for record in said if "kind" in record)
            self._rows: dict[Key, dict[Key, dict[str, str]]] = {}
            for row in read_summary(path):
                self._rows.setdefault(place_of(row), {})[way_of(row)] = row
            self._known_attempts = by_cell(self._attempts.read())
            self._repair()
            self._known_transfer = by_cell(self._transfer.read())
            self._mutex = threading.Lock()
            self._write_rows: GroupCommit[tuple[bool, dict[str, str]], None] = GroupCommit(
                self._rewrite_summary
            )
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except RunError:
            if kind is None:  # otherwise report the error that ended the run, not its consequence
                raise

    def close(self) -> None:
        """Write the attempts as CSV too, and release the lock on the folder."""
        try:
            records = self._attempts.read()
            if records:
                columns = list(dict.fromkeys(name for record in records for name in record))
                write_csv(self.path / "results_attempts.csv", columns, records)
        finally:
            self._lock.release()

    def cell_log(self, cell: Cell) -> CellLog:
        """Return the log of one cell and trial, with its records so far."""
        key = key_of(cell.record())
        replies = self._known_replies.setdefault(key, [])
        attempts = self._known_attempts.setdefault(key, [])
        turns = self._known_turns.setdefault(key, [])
        return CellLog(
            cell,
            replies,
            attempts,
            turns,
            lambda records: self._replies.append(*records),
            lambda records: self._attempts.append(*records),
            self.write_prompt,
        )

    def turns(self) -> Iterator[Record]:
        """Yield the recorded turns of models and tool outputs, of every cell."""
        for records in list(self._known_turns.values()):
            yield from records

    def finished(self, cell: Cell) -> bool:
        """Whether the cell has its row in ``summary.csv``, and did not fail."""
        row = self.row(cell)
        return row is not None and row["status"] != FAILED

    def reopen(self, cell: Cell) -> None:
        """Remove the selection and the row of a finished cell, so that more attempts can follow."""
        key = key_of(cell.record())
        self._repair_attempts({key})
        with self._mutex:
            self._rows.pop(place_of(cell.record()), None)

    def row(self, cell: Cell) -> dict[str, str] | None:
        """Return the cell's row of ``summary.csv`` as texts, None without one."""
        with self._mutex:
            rows = self._rows.get(place_of(cell.record()), {})
            if cell.method:
                return rows.get(way_of(cell.record()))
            return next(iter(rows.values()), None)  # a run of one method: there is no other

    def finish(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Write the cell's row into ``summary.csv``, in place of an earlier one."""
        whole: Record = dict.fromkeys(SUMMARY_COLUMNS, "") | named(cell, row)
        texts = {name: "" if value is None else str(value) for name, value in whole.items()}
        self._write_rows((bool(cell.method), texts))

    def transfer(self, cell: Cell) -> list[Record]:
        """Return the results of the cell's selected program on other data, one record each."""
        return list(self._known_transfer.get(key_of(cell.record()), ()))

    def add_transfer(self, cell: Cell, record: Record) -> None:
        """Append a result of the cell's selected program on other data."""
        whole = named(cell, record)
        self._transfer.append(whole)
        self._known_transfer.setdefault(key_of(whole), []).append(whole)

    def write_program(self, cell: Cell, text: str) -> Path:
        """Write the selected program and return its path."""
        path = self.program_path(cell)
        write_atomically(path, text)
        return path

    def program_path(self, cell: Cell) -> Path:
        """Return the path of the cell's selected program, which may not exist yet."""
        return self._files(cell)[0]

    def _files(self, cell: Cell) -> tuple[Path, Path]:
        """Return the paths of a cell's program and predictions, which may not exist yet."""
        name = f"{cell.slug}-t{cell.trial}"
        return self.path / "programs" / f"{name}.py", self.path / "predictions" / f"{name}.csv"

    def write_predictions(self, cell: Cell, text: str) -> Path:
        """Write the predictions on the test rows, as CSV, and return their path."""
        path = self._files(cell)[1]
        write_atomically(path, text)
        return path

    def write_prompt(self, digest: str, text: str) -> Path:
        """Write a prompt under its digest and return its path."""
        path = self.path / "prompts" / f"{digest}.txt"
        if not path.exists():
            write_atomically(path, text)
        return path

    def log(self, level: str, message: str, **facts: Any) -> None:
        """Append one line to ``runner.log``."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._log.append({"time": time, "level": level, "message": message, **facts})

    def _rewrite_summary(self, rows: Sequence[tuple[bool, dict[str, str]]]) -> None:
        """Add rows, each with whether its run has several methods, and write the whole table."""
        with self._mutex:
            for several, texts in rows:
                place, way = place_of(texts), way_of(texts)
                there = self._rows.pop(place, {})
                others = {other: row for other, row in there.items() if several and other != way}
                self._rows[place] = others | {way: texts}
            every = [row for rows in self._rows.values() for row in rows.values()]
        # A row marks its cell as finished, so its records must reach the disk before the row does.
        self._attempts.sync()
        self._transfer.sync()
        write_csv(self.path / "summary.csv", SUMMARY_COLUMNS, every)

    def _refuse_foreign_folder(self) -> None:
        """Raise RunError if there are files but no run; temporary files of a kill do not count."""
        names = {path.name for path in self.path.iterdir()}
        if "run.json" not in names and any(not name.startswith(".") for name in names):
            raise RunError(
                f"{self.path} holds files that are no run of llm-pv; "
                "give --out a new or an empty folder"
            )

    def _repair(self) -> None:
        """Remove rows and records whose files are missing, so that their cells are repeated."""
        rows = [row for rows in self._rows.values() for row in rows.values()]
        faults, torn = inconsistent_rows(
            rows, self._known_attempts, self._known_replies, self._files
        )
        if self._replies.repaired:
            torn |= cells_without_reply(self._known_attempts, self._known_replies)
        if torn:
            self._repair_attempts(torn)
        for row, _ in faults:
            del self._rows[place_of(row)][way_of(row)]
        if faults:
            row, fault = faults[0]
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            message = f"trial {row['trial']} of {row['function']}: {fault}{more}"
            self.log("warning", message)
            message += "; what is missing is done again"
            warnings.warn(f"{self.path}: {message}", RepairWarning, stacklevel=3)

    def _repair_attempts(self, torn: set[Key]) -> None:
        """Keep only the records from which these cells can continue."""
        for key in torn & self._known_attempts.keys():
            records = self._known_attempts[key]
            self._known_attempts[key] = consistent_records(
                records, self._known_replies.get(key, [])
            )
        self._attempts.replace(
            record for records in self._known_attempts.values() for record in records
        )

    def _check_same_run(self) -> Record:
        record = read_run(self.path)
        later = later_names(record["configuration"], self.configuration)
        record["configuration"] |= later
        if different := list(differences(record["configuration"], self.configuration)):
            between = [part for each in different for part in (each, "; ")][:-1]
            after = ". Give the same options to resume it, or another --out"
            raise RunError.of_parts(f"{self.path} holds another run: ", *between, after)
        if later:
            self._write_run(record)
        return record

    def _note_confinement(self, record: Record) -> None:
        """Record the confinement of this part of a resumed run, if it is a new one."""
        known = record.get("confinement")
        known = known if isinstance(known, list) else []
        if any(one not in known for one in self._confinement):
            record["confinement"] = [*known, *self._confinement]
            self._write_run(record)

    def _new_record(self) -> Record:
        return {
            "format": FORMAT,
            "configuration": self.configuration,
            "versions": versions(),
            "platform": f"{sys.platform} {platform.machine()}",
            **({"confinement": self._confinement} if self._confinement else {}),
            **({"method": self._method} if self._method else {}),
            "command": [without_password(word) for word in sys.argv],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _write_run(self, record: Record) -> None:
        write_atomically(self.path / "run.json", json.dumps(record, indent=2) + "\n")
