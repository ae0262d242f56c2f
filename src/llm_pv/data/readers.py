"""Read a user's rows: files of five formats, standard input, frames, arrays and lists."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llm_pv.data.databases import HUB, read_hub
from llm_pv.data.file_bytes import NotAFileError, file_bytes, stream_bytes
from llm_pv.data.formats import (
    Content,
    check_distinct,
    frame_of_columns,
    frame_of_records,
    parsed,
    sniffed,
    unpacked,
)
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.data.table import Table, make_table
from llm_pv.errors import DataError

_FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def read_table(
    path: str | Path,
    *,
    target: str | None = None,
    types: Mapping[str, str] | None = None,
    format: str | None = None,  # noqa: A002 -- the word users know from every reader
    reading: Reading = DEFAULT_READING,
    learning: bool = False,
) -> Table:
    """Read the rows of a file, infer the types of its columns, separate its labels.

    Parameters
    ----------
    path
        A CSV, TSV, JSON lines, Parquet or ``input -> label`` text file, plain or gzipped; ``"-"``
        for standard input; ``hf://OWNER/NAME`` for a data set of the Hugging Face Hub.
    target
        The column that holds the labels. Without it the table has no labels, unless its lines
        read ``input -> label``.
    types
        The type (``"str"``, ``"int"``, ``"float"``, ``"bool"``) of columns whose type is not
        inferred from their cells.
    format
        ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"text"`` or ``"parquet"``; inferred from the file's
        name if not given, or else from its first bytes.
    reading, learning
        As in `make_table`; `reading` also sets the encoding and the delimiter of a text file.

    Returns
    -------
    Table
        Its rows; those without a label are left out, with a warning that counts them.

    Raises
    ------
    DataError
        If the file cannot be read, with the line and the remedy.
    ConfigurationError
        If there is no such format or type.
    MissingExtraError
        If it is Parquet and pyarrow is not installed.
    """
    content = read_content(path, format=format, reading=reading)
    return make_table(
        content.frame,
        target=target or content.target,
        types=types,
        written=content.written,
        name=content.name,
        warnings=content.warnings,
        reading=reading,
        learning=learning,
    )


def read_content(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    reading: Reading = DEFAULT_READING,
    lenient: bool = False,
) -> Content:
    """Read every column of a file unchanged, as for `read_table`.

    Parameters
    ----------
    lenient
        Whether a line that cannot be read is a row of missing cells, in `Content.unreadable`.
    """
    if str(path).startswith("hf:/"):  # a Path holds one of the two slashes
        address = HUB + str(path).removeprefix("hf:").lstrip("/")
        frame = plain_frame(_frame_of(read_hub(address), address), address)
        _check_rows(frame, address)
        return Content(frame, written=False, name=address)
    name = "standard input" if str(path) == "-" else str(path)
    data = unpacked(_bytes_of(path), name)
    if format is None:
        suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
        format = _FORMAT_OF_SUFFIX.get(suffixes[-1] if suffixes else "") or sniffed(data)  # noqa: A001
    content = parsed(
        data,
        format,
        name,
        delimiter=reading.delimiter,
        encoding=reading.encoding,
        lenient=lenient,
    )
    frame = content.frame if content.written else plain_frame(content.frame, name)
    return replace(content, frame=frame, name=name)


def _bytes_of(path: str | Path) -> bytes:
    name = path
    try:
        if str(path) != "-":
            return file_bytes(path)
        if sys.stdin is None:
            raise DataError("standard input is closed; give a file")
        name = "standard input"
        return stream_bytes(sys.stdin.buffer)
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{name} is a directory; give a file in it") from None
    except NotAFileError as error:
        raise DataError(f"{name} {error.strerror}; give a file") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from None


def table_from(
    rows: Any,
    labels: Any = None,
    *,
    target: str | None = None,
    types: Mapping[str, str] | None = None,
    name: str = "the rows",
    reading: Reading = DEFAULT_READING,
    learning: bool = False,
) -> Table:
    """Return a table of rows in memory.

    Parameters
    ----------
    rows
        A DataFrame, of pandas or another library that narwhals knows (polars, pyarrow); a
        two-dimensional array or list of lists (columns ``x0``, ``x1``, ...); a list, array or
        Series of n strings; or a list of n dicts.
    labels
        The n labels, if they are not a column of the rows.
    target
        The column that holds the labels, instead of `labels`.
    types, reading, learning
        As in `read_table`.
    name
        The name of these rows, for messages.

    Raises
    ------
    DataError
        If the rows are of another kind, or the number of labels differs.

    Examples
    --------
    >>> table_from([[1, 2.5], [3, None]], ["a", "b"]).inputs()
    [{'x0': 1, 'x1': 2.5}, {'x0': 3, 'x1': None}]
    >>> table_from(["0110", "1001"]).inputs()
    ['0110', '1001']
    """
    frame = plain_frame(_frame_of(rows, name), name)
    _check_rows(frame, name)
    cells = None if labels is None else _labels_of(labels, len(frame), name)
    return make_table(
        frame,
        target=target,
        labels=cells,
        types=types,
        name=name,
        reading=reading,
        learning=learning,
    )


def _check_rows(frame: pd.DataFrame, name: str) -> None:
    if not len(frame):
        raise DataError(f"{name}: there are none; give at least five")


def pandas_frame(rows: Any) -> Any:
    """Return a frame of another library (polars, pyarrow, ...) as a DataFrame, its values kept.

    A series becomes a Series; anything else is returned as it is.
    """
    if isinstance(rows, pd.DataFrame | pd.Series | np.ndarray | list | tuple | str):
        return rows
    import narwhals as nw

    frame = nw.from_native(rows, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise DataError("the rows are a lazy frame: collect it first")
    if isinstance(frame, nw.Series):
        return pd.Series(frame.to_list(), name=frame.name, dtype=object)
    if isinstance(frame, nw.DataFrame):
        columns = {name: frame[name].to_list() for name in frame.columns}
        return frame_of_columns(columns, len(frame)).infer_objects()
    return rows


def _frame_of(rows: Any, name: str) -> pd.DataFrame:
    rows = pandas_frame(rows)
    if isinstance(rows, pd.DataFrame):
        return rows
    if isinstance(rows, pd.Series):
        return rows.to_frame(name="input" if rows.name is None else rows.name)
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        return pd.DataFrame(rows, columns=_numbered(rows.shape[1]))
    if isinstance(rows, str | bytes | Mapping) or not hasattr(rows, "__len__"):
        kind = f"a {type(rows).__name__}"
    else:
        listed = rows.tolist() if isinstance(rows, np.ndarray) else list(rows)
        kinds = {type(row) for row in listed}
        if all(issubclass(kind, str) for kind in kinds):
            return frame_of_columns({"input": listed}, len(listed))
        if all(issubclass(kind, Mapping) for kind in kinds):
            return frame_of_records(listed)
        widths = {len(row) for row in listed if isinstance(row, list | tuple | np.ndarray)}
        if len(widths) == 1 and all(issubclass(kind, list | tuple | np.ndarray) for kind in kinds):
            columns = map(list, zip(*listed, strict=True))
            return frame_of_columns(
                dict(zip(_numbered(*widths), columns, strict=True)), len(listed)
            )
        kind = "a list of " + ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(
        f"{name} are {kind}: give a DataFrame, n rows of equally many values, n strings or n dicts"
    )


def _numbered(count: int) -> list[str]:
    return [f"x{number}" for number in range(count)]


def _labels_of(labels: Any, rows: int, name: str) -> "pd.Series[Any]":
    labels = pandas_frame(labels)
    values = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    if len(values) != rows:
        raise DataError(f"{name}: {rows:,} rows and {len(values):,} labels; give one label a row")
    return frame_of_columns({"label": values}, rows)["label"]


def plain_frame(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a frame with rows numbered from 0, columns named by strings, categories as values."""
    frame = frame.reset_index(drop=True)
    frame.columns = pd.Index([str(column) for column in frame.columns], dtype=object)
    check_distinct(list(frame.columns), name)
    categories = frame.select_dtypes("category").columns
    return frame.astype(dict.fromkeys(categories, object)) if len(categories) else frame
