"""An append-only file of JSON lines that stays readable if the process is killed at any time."""

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_pv.errors import RepairWarning, RunError
from llm_pv.group_commit import GroupCommit
from llm_pv.runs.files import cannot_write, write_bytes_atomically

Record = dict[str, Any]
"""One line: plain JSON values by name."""


class Journal:
    """JSON lines, one record each, appended.

    A process killed while appending leaves at most an incomplete last line; opening the journal
    removes it with a `RepairWarning` and sets ``repaired``. Several threads may append.

    Parameters
    ----------
    sync
        Whether an append returns only after the line is on the disk (fsync).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "log.jsonl", sync=True)
    ...     journal.append({"attempt": 1})
    ...     journal.read()
    [{'attempt': 1}]
    """

    def __init__(self, path: Path, *, sync: bool = False) -> None:
        self.path = path
        self.repaired = False
        self._sync = sync
        self._behind = False
        self._write: GroupCommit[bytes, None] = GroupCommit(self._append_bytes)
        self._cut_torn_line()

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write each record as one line, all of them or none.

        Raise RunError if the file cannot be written: a full disk, a read-only directory.
        """
        self._write(b"".join(map(_line, records)))

    def _append_bytes(self, parts: Sequence[bytes]) -> None:
        data = b"".join(parts)
        try:
            with self.path.open("ab", buffering=0) as file:
                start = file.tell()
                try:
                    # Unbuffered writes may be partial, on a disk that is almost full for one.
                    left = memoryview(data)
                    while left:
                        left = left[file.write(left) :]
                except OSError:
                    file.truncate(start)  # a partial line would spoil every later append
                    raise
                if self._sync:
                    os.fsync(file.fileno())
                else:
                    self._behind = True
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def sync(self) -> None:
        """Write everything appended so far to the disk (fsync).

        Raise RunError if that fails.
        """
        if not self._behind:
            return
        self._behind = False  # before the fsync: an append during it must set this again
        try:
            with self.path.open("ab") as file:
                os.fsync(file.fileno())
        except OSError as error:
            self._behind = True
            raise cannot_write(self.path, error) from error

    def replace(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace all records, to repair a run before anything is appended."""
        write_bytes_atomically(self.path, b"".join(map(_line, records)))

    def read(self) -> list[Record]:
        """Return every record, oldest first.

        Raise RunError if a line is not a JSON object; the message names the line.
        """
        return _records(self.path, _bytes(self.path))

    def _cut_torn_line(self) -> None:
        # The line break is the last byte of a record, so a line without one is incomplete.
        data = _bytes(self.path)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            try:
                os.truncate(self.path, whole)
            except OSError as error:
                raise RunError(f"cannot repair {self.path}: {error.strerror or error}") from error
            self.repaired = True
            warnings.warn(
                f"{self.path}: the last line was incomplete and is removed; its work is repeated",
                RepairWarning,
                stacklevel=3,
            )


def read_journal(path: Path) -> list[Record]:
    """Return every complete record of a journal that another process may be writing.

    Unlike opening the journal, this does not change the file: an incomplete last line is ignored.
    A file that does not exist has no records.

    Raise RunError if the file cannot be read, or a complete line is not a JSON object.
    """
    data = _bytes(path)
    return _records(path, data[: data.rfind(b"\n") + 1])


def iterate_journal(path: Path, *, containing: Sequence[bytes]) -> Iterator[Record]:
    """Yield the complete records of a journal whose lines hold one of some texts.

    As `read_journal`, but one line at a time, for journals that are long.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n") and any(text in line for text in containing):
                    yield _record(path, number, line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error


def _records(path: Path, data: bytes) -> list[Record]:
    return [_record(path, number, line) for number, line in enumerate(data.splitlines(), start=1)]


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path}, line {number}: not JSON ({error}); restore the file or start a new run"
        ) from error
    if not isinstance(record, dict):
        raise RunError(f"{path}, line {number}: not a JSON object")
    return record
