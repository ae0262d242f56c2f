"""Read rows where they are: the answer to a database query, and data sets of the Hugging Face Hub.

Every database is queried through its driver's DB-API 2.0 (PEP 249): DuckDB, which also queries CSV,
Parquet and JSON files and folders of them, SQLite and PostgreSQL, each for reading alone.
"""

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from llm_pv.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

HUB = "hf://"
FILES = "duckdb:"
"""The database of a query that names files."""
_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@/\s]+@")
_WRITES = frozenset({"COPY", "EXPORT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "DROP", "ALTER"})
_LONGEST_REASON = 300


def without_password(text: str) -> str:
    """Return text in which the passwords of addresses are replaced.

    Examples
    --------
    >>> without_password("postgresql://me:secret@host/db")
    'postgresql://me:***@host/db'
    """
    return _PASSWORD.sub(r"\1:***@", text)


def read_query(query: str, database: str) -> "pd.DataFrame":
    """Return the answer to a query, its cells as Python values.

    Decimals become floats; dates and times ISO text. Raise DataError if the database cannot be
    opened, refuses the query or answers with other values. Raise MissingExtraError if its driver
    is not installed.

    Parameters
    ----------
    database
        The path of a DuckDB or SQLite file; ``duckdb:`` for a query that names files;
        ``postgresql://USER@HOST/NAME``.

    Examples
    --------
    >>> import sqlite3, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/rows.db"
    ...     connection = sqlite3.connect(path)
    ...     _ = connection.execute("CREATE TABLE t AS SELECT 41 AS age, 'no' AS y")
    ...     connection.close()
    ...     read_query("SELECT * FROM t", path).to_dict("records")
    [{'age': 41, 'y': 'no'}]
    """
    failures, connection = _opened(database)
    try:
        try:
            if hasattr(connection, "extract_statements"):  # DuckDB, which writes files too
                _check_reads(connection, query, database)
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchall() if names else []
        finally:
            connection.close()
    except failures as error:
        raise DataError(
            f"{without_password(database)} refuses the query: {_reason(error)}"
        ) from None
    if not names:
        raise DataError("the query gives no rows: write a SELECT")
    return _frame(names, zip(*rows, strict=True) if rows else [[]] * len(names), "the query")


def _check_reads(connection: Any, query: str, database: str) -> None:
    """Raise DataError if a statement writes: to a file, or to a database that another attached."""
    for statement in connection.extract_statements(query):
        kind = statement.type.name
        if kind in _WRITES:
            raise DataError(
                f"{without_password(database)} refuses the query: {kind} writes, and rows are only "
                "read; write a SELECT"
            )


def _opened(database: str) -> tuple[type[Exception], Any]:
    """Return the class of a driver's errors, and a connection for reading."""
    kind = _kind(database)
    driver: Any
    try:
        if kind == "postgresql":
            import psycopg as driver

            connection = driver.connect(database)
            connection.read_only = True
        elif kind == "sqlite":
            import sqlite3 as driver

            connection = driver.connect(f"{Path(database).resolve().as_uri()}?mode=ro", uri=True)
        else:
            import duckdb as driver

            in_memory = kind == "files"
            connection = driver.connect(
                ":memory:" if in_memory else database, read_only=not in_memory
            )
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "database", "query a database") from error
    except driver.Error as error:
        raise _cannot_open(database, _reason(error)) from None
    return driver.Error, connection


def _kind(database: str) -> str:
    """Return the kind of a database; a file's first bytes distinguish SQLite from DuckDB."""
    if database.startswith(("postgresql:", "postgres:")):
        return "postgresql"
    if database == FILES:
        return "files"
    try:
        with Path(database).open("rb") as file:
            beginning = file.read(16)
    except OSError as error:
        raise _cannot_open(database, error.strerror or str(error)) from None
    return "sqlite" if beginning == b"SQLite format 3\0" else "duckdb"


def _cannot_open(database: str, reason: str) -> DataError:
    return DataError(
        f"{without_password(database)} cannot be opened ({reason}); give a DuckDB or SQLite file, "
        f"{FILES} for a query over files, or postgresql://USER@HOST/NAME"
    )


def read_hub(address: str) -> "pd.DataFrame":
    """Return a split of a data set of the Hugging Face Hub, class numbers as their names.

    Raise DataError if it cannot be loaded. Raise MissingExtraError if ``datasets`` is not
    installed.

    Parameters
    ----------
    address
        ``hf://OWNER/NAME``, with ``?config=NAME&split=NAME`` if the data set has several; the
        split is ``train`` if not given.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("datasets", "datasets", "read data sets of the Hub") from error
    parts = urlsplit(address)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := options.keys() - {"config", "split"}:
        raise DataError(f"{address} has the option {min(unknown)!r}; it takes config and split")
    name = unquote(f"{parts.netloc}{parts.path}").strip("/")
    try:
        rows = datasets.load_dataset(
            name, options.get("config"), split=options.get("split", "train")
        )
    except Exception as error:  # noqa: BLE001 - whatever a loader, a hub or a network raises
        raise DataError(f"{address} cannot be loaded: {_reason(error)}") from None
    columns = []
    for column, feature in rows.features.items():
        cells = rows[column][:]
        if isinstance(feature, datasets.ClassLabel):
            cells = [None if cell is None else feature.int2str(cell) for cell in cells]
        columns.append(cells)
    return _frame(list(rows.features), columns, address)


def _frame(names: list[str], columns: Iterable[Iterable[Any]], source: str) -> "pd.DataFrame":
    from llm_pv.data.formats import check_distinct, frame_of_columns

    check_distinct(names, source)
    cells = {
        name: [_plain(cell, name, source) for cell in column]
        for name, column in zip(names, columns, strict=True)
    }
    return frame_of_columns(cells, len(cells[names[0]])).infer_objects()


def _plain(cell: Any, column: str, source: str) -> Any:
    """Return a database's value as one that programs get."""
    if cell is None or isinstance(cell, str | bool | int | float):
        return cell
    if isinstance(cell, decimal.Decimal):
        return float(cell)
    if isinstance(cell, dt.date | dt.time):  # a datetime is a date
        return cell.isoformat()
    if isinstance(cell, uuid.UUID):
        return str(cell)
    raise DataError(
        f"column {column!r} of {source} holds a {type(cell).__name__}: leave it out of the query, "
        "or write it as a number or text there"
    )


def _reason(error: Exception) -> str:
    text = without_password(" ".join(str(error).split()))
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."
