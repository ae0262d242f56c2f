"""One run on disk: its configuration, its journals, its results.

A run directory holds ``run.json`` (resolved configuration, versions, the command),
``replies.jsonl`` (every reply, synced before it is used), ``results_attempts.jsonl`` and its
``.csv`` (one line per attempt), ``summary.csv`` with ``predictions/`` beside it,
``programs/<cell>-t<trial>.py``, ``prompts/<digest>.txt`` and ``runner.log`` (JSON lines).
``summary.csv`` gets a cell's row last, so a cell with a row is finished.
"""

import csv
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from llm_pv import __version__
from llm_pv.errors import RunError
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.files import write_atomically, write_csv
from llm_pv.runs.journal import Journal, Record

FORMAT = 1
"""Version of the layout; a run of another version is refused, never guessed at."""

SUMMARY_COLUMNS = (
    "track",
    "method",
    "model",
    "function",
    "name",
    "length",
    "sampler",
    "trial",
    "seed",
    "train_size",
    "validation_size",
    "test_size",
    "accuracy",
    "low",
    "high",
    "validation_accuracy",
    "learn_seconds",
    "test_seconds",
    "cost_usd",
    "status",
    "reason",
)
"""The columns every track writes, so that a report can lay them side by side."""

_RECORDED_PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "sympy", "networkx")


class RunDirectory:
    """A run's folder, held by one process at a time; use it as a context manager.

    Parameters
    ----------
    path
        The folder; made if it does not exist.
    configuration
        Everything that decides the results, as plain JSON values. An existing run is resumed
        only if its own configuration is the same.

    Raises
    ------
    RunError
        If the folder holds something else, a run with another configuration or format, is in use
        by another process, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RunDirectory(Path(folder) / "run", {"seed": 0}) as run:
    ...         run.finished(Cell("learn"))
    False
    """

    def __init__(self, path: Path, configuration: Mapping[str, Any]) -> None:
        self.path = path
        # Through JSON, so that a fresh configuration equals one that was read back.
        self.configuration: Record = json.loads(json.dumps(configuration))
        try:
            fresh = not path.exists() or not any(path.iterdir())
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / ".lock")
            if not fresh:
                self._refuse_foreign_folder()
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{path} is in use by another process; wait for it or choose another --out"
            ) from error
        except OSError as error:
            raise RunError(
                f"cannot use {path} as a run directory: {error.strerror or error}; "
                "choose another --out"
            ) from error
        try:
            if (path / "run.json").exists():
                self._check_same_run()
            else:
                self._write_run_json()
            self._replies = Journal(path / "replies.jsonl", sync=True)
            self._attempts = Journal(path / "results_attempts.jsonl", sync=False)
            self._log = Journal(path / "runner.log", sync=False)
            for journal in (self._replies, self._attempts):
                if journal.repaired:
                    self.log("warning", f"{journal.path.name}: cut off a torn last line")
            self._known_replies = self._replies.read()
            self._known_attempts = self._attempts.read()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.release()

    def cell_log(self, cell: Cell) -> CellLog:
        """Return the journals of one cell and trial, with what they already hold."""
        key = cell.record()
        replies, attempts = (
            [record for record in known if all(record.get(k) == v for k, v in key.items())]
            for known in (self._known_replies, self._known_attempts)
        )
        return CellLog(cell, replies, attempts, self._replies.append, self._attempts.append)

    def finished(self, cell: Cell) -> bool:
        """Whether the cell has its row in ``summary.csv``."""
        return any(_same_cell(row, cell) for row in read_summary(self.path))

    def finish(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Write the attempts as CSV and the cell's row into ``summary.csv``, in that order."""
        records = self._attempts.read()
        if records:
            columns = list(dict.fromkeys(name for record in records for name in record))
            write_csv(self.path / "results_attempts.csv", columns, records)
        rows = [old for old in read_summary(self.path) if not _same_cell(old, cell)]
        whole = dict.fromkeys(SUMMARY_COLUMNS, "") | cell.record() | dict(row)
        write_csv(self.path / "summary.csv", SUMMARY_COLUMNS, [*rows, whole])

    def write_program(self, cell: Cell, text: str) -> Path:
        """Write the selected program and return its path."""
        path = self.program_path(cell)
        write_atomically(path, text)
        return path

    def program_path(self, cell: Cell) -> Path:
        """Return where the cell's selected program stands, or will stand."""
        return self.path / "programs" / f"{cell.slug}-t{cell.trial}.py"

    def write_predictions(
        self, cell: Cell, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]
    ) -> Path:
        """Write the per-example predictions on the test rows and return their path."""
        path = self.path / "predictions" / f"{cell.slug}-t{cell.trial}.csv"
        write_csv(path, list(columns), rows)
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

    def _refuse_foreign_folder(self) -> None:
        if not (self.path / "run.json").exists() and {p.name for p in self.path.iterdir()} - {
            ".lock"
        }:
            raise RunError(
                f"{self.path} holds files that are no run of llm-pv; "
                "give --out a new or an empty folder"
            )

    def _check_same_run(self) -> None:
        record = read_run(self.path)
        old, new = record["configuration"], self.configuration
        different = [
            f"{key} is {_short(old.get(key))} there and {_short(new.get(key))} here"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
        if different:
            raise RunError(
                f"{self.path} holds another run: {'; '.join(different)}. "
                "Give the same options to resume it, or another --out"
            )

    def _write_run_json(self) -> None:
        versions = {"llm_pv": __version__, "python": platform.python_version()}
        for package in _RECORDED_PACKAGES:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        record = {
            "format": FORMAT,
            "configuration": self.configuration,
            "versions": versions,
            "platform": f"{sys.platform} {platform.machine()}",
            "command": sys.argv,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomically(self.path / "run.json", json.dumps(record, indent=2) + "\n")


def read_run(path: Path) -> Record:
    """Return what ``run.json`` of a run directory holds.

    Raises
    ------
    RunError
        If there is none, it cannot be read, or its format is another version's.
    """
    try:
        record = json.loads((path / "run.json").read_text("utf-8"))
        version = record["format"]
        record["configuration"].keys()
    except FileNotFoundError:
        raise RunError(f"{path} is no run directory: it holds no run.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path / 'run.json'} cannot be read: {error!r}") from error
    if version != FORMAT:
        raise RunError(
            f"{path} is a run of format {version!r}, this version of llm-pv reads {FORMAT}"
        )
    return dict(record)


def read_summary(path: Path) -> list[dict[str, str]]:
    """Return the rows of a run directory's ``summary.csv``, none if there is no such file."""
    try:
        with (path / "summary.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise RunError(f"{path / 'summary.csv'} cannot be read: {error}") from error


def _same_cell(row: Mapping[str, str], cell: Cell) -> bool:
    return all(row.get(key, "") == str(value) for key, value in cell.record().items())


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
