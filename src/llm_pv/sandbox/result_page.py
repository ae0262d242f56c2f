"""The one-way page on which a sandboxed process leaves its answers, and how it is read.

A page is a block of memory shared by both sides, read only when the writer is dead. It holds a
count and the beginning of what the program printed, then records in JSON, each closed by a comma
and a line break::

    "1",                          the label text of the next row
    ["ValueError: ..."], or null, the next row failed; the text of why, for the first few
    {"finished": ""},             nothing more comes: how it ended and why

Whoever controls the writing process can write anything here. Reading executes nothing, is bounded
by the size of the page, raises nothing but `MalformedError`, and at worst takes a wrong answer for
an answer. Runs inside the sandbox too: standard library only.
"""

import io
import json
import struct
from dataclasses import dataclass
from typing import Protocol, TypeAlias

LABEL_CHARACTERS = 1_000
"""A label text longer than this is an error of its row."""

ERROR_CHARACTERS = 300
"""Texts of errors are cut here."""

ERRORS_KEPT = 10
"""Rows that failed after this many leave no text."""

REASON_CHARACTERS = 1_500
"""The reason a program ended early is cut here."""

_COUNT = struct.Struct("=Q")
OUTPUT_START = _COUNT.size
"""Where the part of a page that keeps printed text begins."""

_CLOSE = b",\n"
_BYTES_PER_ROW = 64
_BYTES_SPARE = 1 << 20
_CHUNK = 1 << 16
_RECORD_BYTES = 12 * max(LABEL_CHARACTERS, REASON_CHARACTERS) + 100  # escaped, twelve a character
_ENDS = frozenset({"finished", "load", "memory", "full", "raised"})

_Record: TypeAlias = str | list[str] | dict[str, str] | None


class Page(Protocol):
    """Memory that slices of bytes can be written to: an ``mmap`` or a ``bytearray``."""

    def __setitem__(self, where: slice, data: bytes) -> None: ...

    def __len__(self) -> int: ...


def page_bytes(rows: int, output_bytes: int) -> int:
    """Return the size of the page for a run over this many rows."""
    return _COUNT.size + output_bytes + rows * _BYTES_PER_ROW + _BYTES_SPARE


class PageFullError(Exception):
    """More was written than the page holds."""


class MalformedError(ValueError):
    """A page that no honest run leaves."""


class ResultWriter:
    """Writes records onto a page, in order.

    Parameters
    ----------
    page
        The shared memory, all zeros.
    output_bytes
        The room kept for what the program prints.

    Examples
    --------
    >>> page = bytearray(page_bytes(rows=1, output_bytes=10))
    >>> results = ResultWriter(page, output_bytes=10)
    >>> results.label("spam")
    >>> results.end("finished")
    >>> read_page(io.BytesIO(page), rows=1, output_bytes=10).answers
    ['spam']
    """

    def __init__(self, page: Page, output_bytes: int) -> None:
        self._page = page
        self._next = _COUNT.size + output_bytes
        self._known: dict[str, bytes] = {}
        self._errors = 0

    def label(self, text: str) -> None:
        """Record a label text as the answer for the next row."""
        record = self._known.get(text)
        if record is None:
            record = json.dumps(text).encode() + _CLOSE
            if len(self._known) < 1000:
                self._known[text] = record
        following = self._next + len(record)
        if following > len(self._page):
            raise PageFullError
        self._page[self._next : following] = record
        self._next = following

    def error(self, text: str) -> None:
        """Record that the next row failed."""
        self._errors += 1
        self._append([text[:ERROR_CHARACTERS]] if self._errors <= ERRORS_KEPT else None)

    def end(self, how: str, reason: str = "") -> None:
        """Record how the run ended."""
        self._append({how: reason[:REASON_CHARACTERS]})

    def _append(self, record: object) -> None:
        data = json.dumps(record).encode() + _CLOSE
        following = self._next + len(data)
        if following > len(self._page):
            raise PageFullError
        self._page[self._next : following] = data
        self._next = following


class OutputCapture(io.BufferedIOBase):
    """Keeps the beginning of what is written to it on the page, and swallows the rest."""

    def __init__(self, page: Page, output_bytes: int) -> None:
        self._page = page
        self._room = output_bytes
        self._used = 0

    def writable(self) -> bool:
        """Say that this can be written to."""
        return True

    def write(self, data: object) -> int:
        """Take bytes, keeping those that still fit."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        kept = bytes(view[: self._room - self._used])
        if kept:
            start = _COUNT.size + self._used
            self._page[start : start + len(kept)] = kept
            self._used += len(kept)
            self._page[: _COUNT.size] = _COUNT.pack(self._used)
        return len(view)


@dataclass(frozen=True)
class PageContent:
    """What a page says.

    Parameters
    ----------
    answers
        A label text for each row that was reached, None where the row failed.
    errors
        The texts of failures, by position.
    end, reason
        How the run ended by its own account and why; both empty when it was cut off.
    output
        The beginning of what the program printed.
    """

    answers: list[str | None]
    errors: dict[int, str]
    end: str
    reason: str
    output: str


def read_page(page: io.BufferedIOBase, rows: int, output_bytes: int) -> PageContent:
    """Read what a dead process left.

    Parameters
    ----------
    page
        The page, as a file positioned at its start.
    rows
        The number of rows the program was given.
    output_bytes
        The room that was kept for what it printed.

    Raises
    ------
    MalformedError
        If the page is not what `ResultWriter` writes for a run over this many rows.
    """
    head = page.read(_COUNT.size + output_bytes)
    printed = min(_COUNT.unpack_from(head)[0], output_bytes)
    output = head[_COUNT.size : _COUNT.size + printed].decode("utf-8", "replace")
    records = _parse(_written(page), rows)
    end, reason = "", ""
    last = records[-1] if records else None
    if isinstance(last, dict):
        end, reason = _ending(last)
        del records[-1]
    answers: list[str | None] = []
    errors: dict[int, str] = {}
    for position, record in enumerate(records):
        if isinstance(record, dict):
            raise MalformedError("the run's end is not at the end")
        if isinstance(record, list) and len(errors) < ERRORS_KEPT:
            errors[position] = record[0][:ERROR_CHARACTERS]
        answers.append(record if isinstance(record, str) else None)
    if len(answers) > rows or (end == "finished" and len(answers) < rows):
        raise MalformedError(f"{len(answers)} answers for {rows} rows")
    return PageContent(answers, errors, end, reason, output)


def _written(page: io.BufferedIOBase) -> bytes:
    """Return the bytes up to the first that was never written."""
    chunks = []
    while chunk := page.read(_CHUNK):
        end = chunk.find(0)
        if end >= 0:
            chunks.append(chunk[:end])
            break
        chunks.append(chunk)
    return b"".join(chunks)


def _parse(data: bytes, rows: int) -> list[_Record]:
    """Return the records that were written to their end.

    One after another, and only when there are not too many: few bytes make many objects.
    """
    lines = data.split(_CLOSE)[:-1]
    if len(lines) > rows + 1:
        raise MalformedError(f"{len(lines):,} records for {rows:,} rows")
    known = {line: _record(line) for line in set(lines)}
    return [known[line] for line in lines]


def _record(line: bytes) -> _Record:
    if len(line) > _RECORD_BYTES:
        raise MalformedError("a record is too long")
    try:
        record = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise MalformedError("the answers are not in the agreed form") from error
    match record:
        case None | [str()]:
            return record
        case str() if len(record) <= LABEL_CHARACTERS:
            return record
        case dict() if len(record) == 1 and isinstance(next(iter(record.values())), str):
            return record
    raise MalformedError("a record is neither a label nor an error")


def _ending(record: dict[str, str]) -> tuple[str, str]:
    ((end, reason),) = record.items()
    if end not in _ENDS:
        raise MalformedError("the run's end is not in the agreed form")
    return end, " ".join(reason[:REASON_CHARACTERS].split())
