"""The further files of a training job in its run directory: those of version 1, and checkpoints.

``config.json`` (the options), ``stdout.log`` (the job's messages), ``logs.log`` (the libraries'
messages), ``metrics.json`` (accuracies so far, rewritten at every evaluation), ``tensorboard/``,
``checkpoints/`` while the job is not finished, and ``model/`` if the model is kept.
"""

import json
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from llm_pv.errors import RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.files import write_atomically, write_csv
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import FAILED, SUMMARY_COLUMNS, read_summary

_PIECE = 32 << 20

_COMPLETE = "complete.json"
_CHECKPOINT = "checkpoint-"


@dataclass(frozen=True)
class FilePart:
    """A part of a file of a job on another machine."""

    name: str
    "The file, within the job's folder."
    start: int
    data: bytes


class JobFolder:
    """The files of one job, in the folder of its run.

    Parameters
    ----------
    path
        The folder, which a `RunDirectory` has locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log_file(self) -> Path:
        """The path of the libraries' messages."""
        return self.path / "logs.log"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The folder of the trained model."""
        return self.path / "model"

    def write_config(self, options: Mapping[str, Any]) -> None:
        """Write the options."""
        write_atomically(self.path / "config.json", json.dumps(dict(options), indent=2) + "\n")

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write the measurements so far."""
        text = json.dumps(dict(metrics), indent=2, allow_nan=False) + "\n"
        write_atomically(self.path / "metrics.json", text)

    def write_vocabulary(self, alphabet: str) -> None:
        """Write the character vocabulary of a kept model, beside it."""
        write_atomically(self.model / "alphabet.json", json.dumps({"alphabet": alphabet}) + "\n")

    def tell(self, line: str) -> None:
        """Append one line to the job's messages."""
        try:
            with (self.path / "stdout.log").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self.path / 'stdout.log'}: {error}") from error

    def complete(self, step: int, state: Mapping[str, Any]) -> None:
        """Mark the checkpoint of a step as complete, and remove the others."""
        newest = self.checkpoints / f"{_CHECKPOINT}{step}"
        write_atomically(newest / _COMPLETE, json.dumps(dict(state)) + "\n")
        for other in self._checkpoints():
            if other != newest:
                shutil.rmtree(other, ignore_errors=True)

    def last_checkpoint(self) -> tuple[Path, Record] | None:
        """Return the newest complete checkpoint and its measurements."""
        found = []
        for folder in self._checkpoints():
            try:
                state = json.loads((folder / _COMPLETE).read_bytes())
            except (OSError, ValueError):
                continue  # a kill cut it short
            found.append((int(folder.name.removeprefix(_CHECKPOINT)), folder, state))
        if not found:
            return None
        _, folder, state = max(found, key=lambda entry: entry[0])
        return folder, state

    def remove_checkpoints(self) -> None:
        """Remove all checkpoints: the job is finished."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def pieces(self) -> Iterator[FilePart]:
        """Yield all files but checkpoints, each in parts that memory holds."""
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and self.checkpoints not in path.parents:
                name = path.relative_to(self.path).as_posix()
                with path.open("rb") as file:
                    yield FilePart(name, 0, file.read(_PIECE))
                    while data := file.read(_PIECE):
                        yield FilePart(name, file.tell() - len(data), data)

    def put(self, piece: FilePart) -> None:
        """Write a part; those of a file come in order, and the first replaces the file.

        Raise RunError if it cannot be written.
        """
        path = self.path / piece.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab" if piece.start else "wb") as file:
                file.write(piece.data)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error}") from error

    def _checkpoints(self) -> Iterator[Path]:
        if self.checkpoints.is_dir():
            for folder in sorted(self.checkpoints.iterdir()):
                if folder.name.removeprefix(_CHECKPOINT).isdigit():
                    yield folder


def read_job(path: Path) -> tuple[Record, Record]:
    """Return the options and the measurements of a job, empty if not written yet."""
    records = []
    for name in ("config.json", "metrics.json"):
        try:
            record = json.loads((path / name).read_bytes())
        except FileNotFoundError:
            record = {}
        except (OSError, ValueError) as error:
            raise RunError(f"{path / name} cannot be read: {error}") from error
        records.append(record if isinstance(record, dict) else {})
    return records[0], records[1]


def find_jobs(root: Path) -> list[Path]:
    """Return every folder below a root that holds a job, in order of their names."""
    return sorted(file.parent for file in root.rglob("metrics.json"))


def finished_row(path: Path) -> Record | None:
    """Return the summary row of a job that is finished and did not fail, else None."""
    rows = [row for row in read_summary(path) if row.get("status") != FAILED]
    return rows[0] if rows else None


class SweepFolder:
    """The folder of the jobs of one sweep, locked by one process at a time.

    It stores the rows of the jobs for the runner; each job is a cell of the same name.

    Raise RunError if it is in use, or cannot be written.
    """

    def __init__(self, path: Path, jobs: Sequence[str] = ()) -> None:
        self.path = path
        self._rows: dict[str, dict[str, str]] = {name: {} for name in jobs}
        self._mutex = threading.Lock()
        self._lock = FileLock(path / ".lock")
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{path} is in use by another sweep; wait for it or choose another experiment_name"
            ) from error
        except OSError as error:
            raise RunError(
                f"cannot use {path} for a sweep: {error.strerror or error}; "
                "choose another results_root"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def job(self, name: str) -> Path:
        """Return the folder of a job."""
        return self.path / name

    def row(self, cell: Cell) -> dict[str, str] | None:
        """Return the row of a job, None without one."""
        return self._rows[cell.function] or None

    def finished(self, cell: Cell) -> bool:
        """Whether a job has its row, and did not fail."""
        row = self.row(cell)
        return row is not None and row["status"] != FAILED

    def finish(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Add columns to a job's row, and write ``sweep.csv``."""
        own = read_summary(self.job(cell.function)) or [{}]
        with self._mutex:
            self._rows[cell.function] = {"reason": "", **own[0], **row}
            rows = [{"job": name, **row} for name, row in self._rows.items() if row]
            write_csv(self.path / "sweep.csv", ("job", *SUMMARY_COLUMNS), rows)

    def log(self, level: str, message: str, **facts: Any) -> None:
        """Do nothing: each job has a log of its own."""
