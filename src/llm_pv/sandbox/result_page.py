"""The shared memory page on which a sandboxed process writes its answers, and its reader.

A page is read only after the writer has ended, so the reader never sees a page that changes. It
holds a count and the beginning of what the program printed, then records in JSON, each followed by
a comma and a line break::

    "1",                          the label text of the next row
    ["ValueError: ..."], or null, the next row failed; with the error text for the first few
    {"finished": ""},             the last record: how the run ended, and the reason

A candidate that controls its process can write anything here. The reader executes nothing, is
bounded by the size of the page, raises only `MalformedError`, and at worst returns wrong answers.
Runs inside the sandbox too: standard library only.
"""

import io
import json
import struct
from dataclasses import dataclass
from typing import Protocol, TypeAlias

LABEL_CHARACTERS = 1_000
"""A longer label text counts as an error of its row."""

ANSWERS_TOO_LONG = "the answers are too long in all"
"""The reason of a run that ended because the page was full."""

ERROR_CHARACTERS = 300
"""The most characters kept of an error text."""

ERRORS_KEPT = 10
"""The number of failed rows whose error text is kept."""

REASON_CHARACTERS = 1_500
"""The most characters kept of the reason why a program ended early."""

_COUNT = struct.Struct("=Q")
OUTPUT_START = _COUNT.size
"""The offset of the printed text in a page."""

_CLOSE = b",\n"
_BYTES_PER_ROW = 64
_BYTES_SPARE = 1 << 20
_CHUNK = 1 << 16
_RECORD_BYTES = 12 * max(LABEL_CHARACTERS, REASON_CHARACTERS) + 100  # escaped, twelve a character
_ENDS = frozenset({"finished", "load", "memory", "full", "raised", "crashed"})

_Record: TypeAlias = str | list[str] | dict[str, str] | None


class PageMemory(Protocol):
    """Memory that slices of bytes can be written to: an ``mmap`` or a ``bytearray``."""

    def __setitem__(self, where: slice, data: bytes) -> None: ...

    def __len__(self) -> int: ...


def page_bytes(rows: int, output_bytes: int) -> int:
    """Return the size in bytes of the page for a run over this many rows."""
    return _COUNT.size + output_bytes + rows * _BYTES_PER_ROW + _BYTES_SPARE


class PageFullError(Exception):
    """Raised if a record does not fit on the page."""


class MalformedError(ValueError):
    """Raised if a page is not one that `ResultWriter` writes."""


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

    def __init__(self, page: PageMemory, output_bytes: int) -> None:
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
        self.add(record)

    def error(self, text: str) -> None:
        """Record that the next row failed."""
        self._errors += 1
        kept = [text[:ERROR_CHARACTERS]] if self._errors <= ERRORS_KEPT else None
        self.add(json.dumps(kept).encode() + _CLOSE)

    def end(self, how: str, reason: str = "") -> None:
        """Record how the run ended."""
        self.add(json.dumps({how: reason[:REASON_CHARACTERS]}).encode() + _CLOSE)

    def add(self, records: bytes) -> None:
        """Append records as they are written here; raise PageFullError if they do not fit."""
        following = self._next + len(records)
        if following > len(self._page):
            raise PageFullError
        self._page[self._next : following] = records
        self._next = following


class OutputCapture(io.BufferedIOBase):
    """A stream that keeps the beginning of its input on the page and discards the rest."""

    def __init__(self, page: PageMemory, output_bytes: int) -> None:
        self._page = page
        self._room = output_bytes
        self._used = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: object) -> int:
        """Keep those bytes that still fit, and return the number given."""
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
    """The content of a page."""

    answers: list[str | None]
    "A label text for each row that was reached, None where the row failed."
    errors: dict[int, str]
    "The texts of failures, by position."
    end: str
    reason: str
    "How the run ended by its own account and why; both empty when it was cut off."
    output: str


def read_page(page: io.BufferedIOBase, rows: int, output_bytes: int) -> PageContent:
    """Return the content of the page of a process that has ended.

    Raise MalformedError if the page is not what `ResultWriter` writes for a run over this many
    rows.
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
    """Return the bytes up to the first that was never written.

    A blank page is all zeros, and JSON in ASCII contains no zero byte.
    """
    chunks = []
    while chunk := page.read(_CHUNK):
        end = chunk.find(0)
        if end >= 0:
            chunks.append(chunk[:end])
            break
        chunks.append(chunk)
    return b"".join(chunks)


def _parse(data: bytes, rows: int) -> list[_Record]:
    """Return the records that were written completely.

    Their number is checked before any is parsed: a few bytes each would become many objects.
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
