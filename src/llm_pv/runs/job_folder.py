"""What a training job leaves beside its run directory: the first version's files and checkpoints.

``config.json`` (the options), ``stdout.log`` (what the job told), ``logs.log`` (what the libraries
told), ``metrics.json`` (accuracies so far, rewritten at every evaluation), ``tensorboard/``,
``checkpoints/`` while the job is not finished, and ``model/`` where the model was to be kept.
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
from llm_pv.runs.directory import FAILED, SUMMARY_COLUMNS, read_summary
from llm_pv.runs.files import write_atomically, write_csv
from llm_pv.runs.journal import Record

_PIECE = 32 << 20

_COMPLETE = "complete.json"
_CHECKPOINT = "checkpoint-"


@dataclass(frozen=True)
class Piece:
    """A part of a file that a job on another machine left.

    Parameters
    ----------
    name
        The file, within the job's folder.
    start
        Where the part begins.
    data
        The part.
    """

    name: str
    start: int
    data: bytes


class JobFolder:
    """The files of one job, in the folder of its run.

    Parameters
    ----------
    path
        The folder, which a `RunDirectory` holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log_file(self) -> Path:
        """Where the libraries' messages go."""
        return self.path / "logs.log"

    @property
    def tensorboard(self) -> Path:
        """Where TensorBoard's events go."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints go."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Where the trained model goes."""
        return self.path / "model"

    def write_config(self, options: Mapping[str, Any]) -> None:
        """Write the options."""
        write_atomically(self.path / "config.json", json.dumps(dict(options), indent=2) + "\n")

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write what was measured so far."""
        text = json.dumps(dict(metrics), indent=2, allow_nan=False) + "\n"
        write_atomically(self.path / "metrics.json", text)

    def write_vocabulary(self, alphabet: str) -> None:
        """Write which characters a kept model knows, beside it."""
        write_atomically(self.model / "alphabet.json", json.dumps({"alphabet": alphabet}) + "\n")

    def tell(self, line: str) -> None:
        """Append one line to what the job told."""
        try:
            with (self.path / "stdout.log").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self.path / 'stdout.log'}: {error}") from error

    def complete(self, step: int, state: Mapping[str, Any]) -> None:
        """Declare the checkpoint of a step complete, and remove the others.

        Parameters
        ----------
        step
            Its step.
        state
            What had been measured by then.
        """
        newest = self.checkpoints / f"{_CHECKPOINT}{step}"
        write_atomically(newest / _COMPLETE, json.dumps(dict(state)) + "\n")
        for other in self._checkpoints():
            if other != newest:
                shutil.rmtree(other, ignore_errors=True)

    def last_checkpoint(self) -> tuple[Path, Record] | None:
        """Return the newest complete checkpoint and what had been measured by then."""
        found = []
        for folder in self._checkpoints():
            try:
                state = json.loads((folder / _COMPLETE).read_text("utf-8"))
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

    def pieces(self) -> Iterator[Piece]:
        """Yield all files but checkpoints, each in parts that memory holds."""
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and self.checkpoints not in path.parents:
                name, start = path.relative_to(self.path).as_posix(), 0
                with path.open("rb") as file:
                    while (data := file.read(_PIECE)) or not start:
                        yield Piece(name, start, data)
                        start += len(data) or 1

    def put(self, piece: Piece) -> None:
        """Write a piece; those of a file come in their order, the first in place of the file.

        Raises
        ------
        RunError
            If it cannot be written.
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
    """Return the options of a job and what it measured, empty where it has not come so far."""
    records = []
    for name in ("config.json", "metrics.json"):
        try:
            record = json.loads((path / name).read_text("utf-8"))
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
    """The folder that holds the jobs of one sweep, held by one process at a time.

    The rows of its jobs are kept for the runner, a job being the cell of its name.

    Parameters
    ----------
    path
        The folder; made if it does not exist.
    jobs
        The names of the jobs, in order.

    Raises
    ------
    RunError
        If it is in use, or cannot be written.
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
        """Take columns of a job beside those that it wrote itself, and write ``sweep.csv``."""
        own = read_summary(self.job(cell.function)) or [{}]
        with self._mutex:
            self._rows[cell.function] = {"reason": "", **own[0], **row}
            rows = [{"job": name, **row} for name, row in self._rows.items() if row]
            write_csv(self.path / "sweep.csv", ("job", *SUMMARY_COLUMNS), rows)

    def log(self, level: str, message: str, **facts: Any) -> None:
        """Do nothing: each job has a log of its own."""
