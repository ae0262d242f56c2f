"""Write files atomically: a reader sees the old file or the new one, never a part."""

import csv
import errno
import io
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_pv.errors import RunError

_DISK_ERRORS = (errno.EFBIG, errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""The pattern of temporary names that `write_atomically` uses."""


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, making its folder if there is none.

    Raise RunError if the file cannot be written; the old file is then unchanged.
    """
    write_bytes_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as `write_atomically` writes text.

    Raise RunError if the file cannot be written; the old file is then unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                # Sync before the rename: after a power cut the name could mean an empty file.
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def _sync_folder(folder: Path) -> None:
    """Sync a folder, if the system supports that: a rename is durable only after it."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> RunError:
    """Return a RunError on why a file of a run cannot be written, and what to do."""
    if isinstance(error, FileNotFoundError):
        return RunError(
            f"cannot write {path}: {path.parent} is gone; put it back to go on with the run, or "
            "start it anew"
        )
    return RunError(
        f"cannot write {path}: {error.strerror or error}; free the disk or choose another --out"
    )


def disk_error(error: BaseException) -> RunError | None:
    """Return the error that ends a run if the disk is full or read-only, else None."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return RunError(f"{error}; free the disk, or choose other directories")
    return None


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that killed processes left below a folder."""
    for path in folder.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with these columns; None is an empty cell."""
    write_atomically(path, csv_text(columns, rows))


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV with these columns; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def predictions_csv(labels: Sequence[str], predictions: Sequence[str | None]) -> str:
    """Return the label and the prediction of each test row as CSV."""
    pairs = enumerate(zip(labels, predictions, strict=True))
    rows = ({"row": n, "label": label, "prediction": guess} for n, (label, guess) in pairs)
    return csv_text(("row", "label", "prediction"), rows)


def trial_file(jsonl: Path, function: str, length: int | str, trial: int, more: str = "") -> Path:
    """Return the file of one trial's rows beside the file of all rows.

    Examples
    --------
    >>> trial_file(Path("rows.jsonl"), "fn_a", 50, 1).as_posix()
    'rows_trials/fn_a_L50_trial1.jsonl'
    """
    suffix = f"_{more}" if more else ""
    name = f"{function}_L{length}_trial{trial}{suffix}.jsonl"
    return jsonl.with_name(f"{jsonl.stem}_trials") / name


def write_trials(jsonl: Path, rows: Iterable[Mapping[str, Any]], more: str) -> None:
    """Write the rows of each trial into a file of its own; `more` is a column that divides them."""
    of_trials: dict[Path, list[Mapping[str, Any]]] = {}
    for row in rows:
        name = trial_file(jsonl, row["fn"], row["length"], row["trial"], row[more])
        of_trials.setdefault(name, []).append(row)
    for path, own in of_trials.items():
        write_json_lines(path, own)


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, the file whole or not at all."""
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file; empty if it does not exist.

    Raise RunError if it cannot be read.
    """
    try:
        return list(csv.DictReader(io.StringIO(path.read_bytes().decode())))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


_umask_lock = threading.Lock()


def _umask() -> int:
    with _umask_lock:  # the mask can only be read by setting it, which other threads must not see
        mask = os.umask(0o022)
        os.umask(mask)
    return mask
