"""Parse the bytes of a file into columns: CSV, TSV, JSON lines, text lines and Parquet.

Delimited text is read by the standard library's strict `csv` reader and not by pandas', which
silently pads short rows; here every row has as many cells as the header, or an error names its
line. New rows for a program may be read leniently: such a line, or one that is no JSON object, is
then a row of missing cells, and the error is kept.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from reprlib import repr as short
from typing import Any

import pandas as pd

from llm_pv.errors import ConfigurationError, DataError, MissingExtraError

ARROW = " -> "
"""The separator of input and label in a text line; the last one counts."""

FORMATS = ("csv", "tsv", "jsonl", "text", "parquet")

_CHUNK_ROWS = 50_000  # cells wait as Python strings for so many rows before pandas packs them
_SAVE_AS_UTF8 = "save it as UTF-8, or learn with --encoding {}"


@dataclass(frozen=True)
class Content:
    """The columns of one file."""

    frame: pd.DataFrame
    "All columns, the target included. Missing cells are null."
    written: bool
    "Whether the cells are text whose types have to be inferred."
    target: str | None = None
    "The column of the labels if the format defines it (text lines)."
    warnings: tuple[str, ...] = ()
    unreadable: Mapping[int, str] = field(default_factory=dict)
    "Rows whose line could not be read, their cells missing, and why."
    name: str = "the rows"


def unpacked(data: bytes, name: str) -> bytes:
    """Return the bytes, decompressed if they are gzip.

    Raise DataError if they are empty or broken gzip.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name} is broken gzip ({error}): make or fetch it again") from None
    text = data.removeprefix(codecs.BOM_UTF8)
    if not text or text.isspace():
        raise DataError(f"{name} is empty: it needs a header and rows, or lines 'input -> label'")
    return data


def sniffed(data: bytes) -> str:
    """Infer the format of uncompressed bytes from their beginning."""
    if data.startswith(b"PAR1"):
        return "parquet"
    first = _first_line(data)
    if first.startswith((b"{", b"[")):
        return "jsonl"
    if ARROW.encode() in first:
        return "text"
    return "csv"


def _first_line(data: bytes) -> bytes:
    lines = (line.removeprefix(codecs.BOM_UTF8).strip(b"\r\n ") for line in io.BytesIO(data))
    return next(line for line in lines if line)


def parsed(
    data: bytes,
    file_format: str,
    name: str,
    *,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    lenient: bool = False,
) -> Content:
    """Parse uncompressed bytes of a known format.

    Raise DataError if they are not of that format. Raise ConfigurationError if there is no such
    format. Raise MissingExtraError if the format is Parquet and pyarrow is not installed.

    Parameters
    ----------
    delimiter
        The separator of CSV cells; inferred from the header if not given.
    encoding
        Of text without a UTF-8 byte order mark.
    lenient
        Whether a line of another number of cells, or of no JSON object, is kept as a row of
        missing cells instead; not if every line is.
    """
    if file_format not in FORMATS:
        raise ConfigurationError(f"format {file_format!r}: give one of {', '.join(FORMATS)}")
    if file_format != "parquet":
        if encoding != "utf-8" and not data.startswith(codecs.BOM_UTF8):
            try:
                data = data.decode(encoding).encode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{name} is not {encoding} text (byte {error.start:,}); give another --encoding"
                ) from None
        _check_text(data, name)
    if file_format in ("csv", "tsv"):
        sign = "\t" if file_format == "tsv" else _delimiter_of(data)
        return _read_delimited(data, name, delimiter or sign, lenient)
    if file_format == "jsonl":
        return _read_json_lines(data, name, lenient)
    return (_read_text_lines if file_format == "text" else _read_parquet)(data, name)


def _check_text(data: bytes, name: str) -> None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is UTF-16 text: {_SAVE_AS_UTF8.format('utf-16')}")
    if data.startswith(b"PK\x03\x04"):
        raise DataError(f"{name} is a zip archive or a spreadsheet: unpack it, or save it as CSV")
    if (offset := data.find(b"\0")) >= 0:
        raise DataError(
            f"{name} is no text (byte 0 at offset {offset:,}): give CSV, TSV, JSON lines, "
            "'input -> label' lines or Parquet"
        )


@contextmanager
def _text_stream(data: bytes, name: str) -> Iterator[io.TextIOWrapper]:
    """Open bytes as text with unchanged line ends; raise DataError where it is not UTF-8."""
    try:
        yield io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    except UnicodeDecodeError:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{name}, line {line:,}: byte 0x{data[error.start]:02x} at offset "
                f"{error.start:,} is not UTF-8: {_SAVE_AS_UTF8.format('latin-1, cp1252, ...')}"
            ) from None


@contextmanager
def _unlimited_fields() -> Iterator[None]:
    """Raise the csv module's limit of 131,072 characters per cell."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimiter_of(data: bytes) -> str:
    header = re.sub(rb'"[^"]*"', b"", _first_line(data))
    return next((sign for sign in (",", "\t", ";") if sign.encode() in header), ",")


def _read_delimited(data: bytes, name: str, delimiter: str, lenient: bool) -> Content:
    pieces: list[pd.DataFrame] = []
    unreadable: dict[int, str] = {}
    with _text_stream(data, name) as stream, _unlimited_fields():
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            header = [cell.strip() for cell in next((row for row in reader if row), ())]
            if not header:  # half a byte order mark
                raise DataError(f"{name} holds no text: it needs a header and rows")
            chunk: list[list[str]] = []
            for row in filter(None, reader):
                if len(row) != len(header):
                    fault = (
                        f"{name}, line {reader.line_num:,}: {len(row)} cells where the header has "
                        f"{len(header)}; fix the line, or quote cells that hold {delimiter!r}"
                    )
                    if not lenient:
                        raise DataError(fault)
                    unreadable[len(pieces) * _CHUNK_ROWS + len(chunk)] = fault
                chunk.append(row if len(row) == len(header) else [""] * len(header))
                if len(chunk) == _CHUNK_ROWS:
                    pieces.append(_packed(chunk, len(header)))
                    chunk = []
        except csv.Error as error:
            raise DataError(
                f"{name}, line {reader.line_num:,}: {error}; a quote inside a quoted cell is "
                "written twice"
            ) from None
    if chunk:
        pieces.append(_packed(chunk, len(header)))
    if not pieces:
        raise DataError(f"{name} has a header and no rows: add rows under it")
    frame = pd.concat(pieces, ignore_index=True) if len(pieces) > 1 else pieces[0]
    _refuse_if_all(unreadable, frame)
    frame, warnings = _named(frame, header, name, unreadable)
    return Content(frame, written=True, warnings=warnings, unreadable=unreadable)


def _refuse_if_all(unreadable: Mapping[int, str], frame: pd.DataFrame) -> None:
    if len(unreadable) == len(frame):
        raise DataError(unreadable[0])


def _packed(rows: list[list[str]], width: int) -> pd.DataFrame:
    columns = zip(*rows, strict=True)
    return pd.DataFrame(
        {i: [cell or None for cell in next(columns)] for i in range(width)}, dtype="str"
    )


def _named(
    frame: pd.DataFrame, header: list[str], name: str, unreadable: Mapping[int, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Name the columns; drop unnamed ones that an export added."""
    kept: list[int] = []
    warnings: list[str] = []
    for position, column in enumerate(header):
        if column:
            kept.append(position)
        elif position == 0 and _counts_rows(frame[0].drop(list(unreadable))):
            warnings.append(f"{name}: the unnamed first column only counts the rows; left out")
        elif frame[position].notna().any():
            raise DataError(f"{name}: column {position + 1} has no name; name it in the header")
    names = [header[position] for position in kept]
    check_distinct(names, name)
    frame = frame[kept]
    frame.columns = pd.Index(names, dtype=object)
    return frame, tuple(warnings)


def _counts_rows(cells: "pd.Series[Any]") -> bool:
    rows, texts = cells.index.to_numpy(), cells.tolist()
    return any((rows + start).astype(str).tolist() == texts for start in (0, 1))


def check_distinct(names: list[str], name: str) -> None:
    """Raise an error unless the columns have distinct names.

    Raise DataError if two columns share one.
    """
    seen: set[str] = set()
    for column in names:
        if column in seen:
            bare = all(other.replace(".", "").lstrip("-").isdigit() for other in seen)
            hint = "; has the file no header? Write one as its first line" if bare else ""
            raise DataError(f"{name} has two columns named {column!r}: rename one{hint}")
        seen.add(column)


def _read_json_lines(data: bytes, name: str, lenient: bool) -> Content:
    pieces: list[pd.DataFrame] = []
    unreadable: dict[int, str] = {}

    def objects(stream: io.TextIOWrapper) -> Iterator[dict[str, Any]]:
        lines = ((n, line) for n, line in enumerate(stream, start=1) if not line.isspace())
        for row, (number, line) in enumerate(lines):
            try:
                value = _json_object(line, number, name)
            except DataError as error:
                if not lenient:
                    raise
                unreadable[row], value = str(error), {}
            yield value

    with _text_stream(data, name) as stream:
        records = objects(stream)
        while chunk := list(islice(records, _CHUNK_ROWS)):
            pieces.append(frame_of_records(chunk))
    if not pieces:
        raise DataError(f"{name} holds nothing but blank lines; give one JSON object a line")
    frame = pd.concat(pieces, ignore_index=True)
    _refuse_if_all(unreadable, frame)
    return Content(frame, written=False, unreadable=unreadable)


def _json_object(line: str, number: int, name: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
        if "\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{name}, line {number:,}: half a surrogate pair is no text; correct it"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name}, line {number:,}: no JSON ({error}); give one object a line"
        ) from None
    if not isinstance(value, dict):
        raise DataError(
            f"{name}, line {number:,}: {short(value)} is no JSON object; write one object a line"
        )
    return value


def frame_of_columns(columns: "dict[str, list[Any]]", rows: int) -> pd.DataFrame:
    """Return a frame whose cells are unchanged Python values."""
    cells = {column: pd.Series(values, dtype=object) for column, values in columns.items()}
    return pd.DataFrame(cells, index=pd.RangeIndex(rows))


def frame_of_records(records: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """Return a frame of rows that may lack fields; its cells are unchanged Python values."""
    keys = dict.fromkeys(key for record in records for key in record)
    columns = {key: [record.get(key) for record in records] for key in keys}
    return frame_of_columns(columns, len(records))


def _read_text_lines(data: bytes, name: str) -> Content:
    with _text_stream(data, name) as stream:
        lines = [
            (number, line.removesuffix("\r"))
            for number, line in enumerate(stream.read().split("\n"), start=1)
            if line.removesuffix("\r")
        ]
    bare = next((number for number, line in lines if ARROW not in line), None)
    if bare is None:
        pairs = [line.rsplit(ARROW, 1) for _, line in lines]
        frame = pd.DataFrame(
            {"input": [p[0] or None for p in pairs], "label": [p[1] or None for p in pairs]},
            dtype="str",
        )
        return Content(frame, written=True, target="label")
    if any(ARROW in line for _, line in lines):
        raise DataError(
            f"{name}, line {bare:,}: no {ARROW!r}; write every line as 'input -> label', or none"
        )
    return Content(pd.DataFrame({"input": [line for _, line in lines]}, dtype="str"), written=True)


def _read_parquet(data: bytes, name: str) -> Content:
    try:
        frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "read Parquet files") from None
    except (ValueError, OSError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name} cannot be read as Parquet: {reason}; write it again") from None
    return Content(frame, written=False)
