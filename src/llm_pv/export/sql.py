"""A program as SQL: translated in the confined parser, written in a dialect, run and compared.

DuckDB runs it always, SQLite where that is the dialect. The other dialects are transpiled from what
DuckDB ran, and no server of theirs is asked. The expression comes from a process that has read
untrusted source: the databases it runs in have no files and no network, and a limit of time.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llm_pv.data.examples import Input, Scalar
from llm_pv.errors import ConfigurationError, ProgramError
from llm_pv.export.checked_rows import CheckedRows, checked_rows, require_run
from llm_pv.runs.saved_program import SavedProgram
from llm_pv.sandbox.parser import ask_one

if TYPE_CHECKING:
    from llm_pv.sandbox import Sandbox

Dialect = Literal["duckdb", "postgres", "sqlite", "bigquery", "snowflake", "spark"]

_SECONDS = 60.0
_MOST_CHARACTERS = 300_000
_TYPES = {"int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "str": "VARCHAR"}
_DTYPES = {"BIGINT": "Int64", "DOUBLE": "Float64", "BOOLEAN": "boolean"}
_WIDEST = 2**63


@dataclass(frozen=True)
class ExportedSQL:
    """The result of `export_sql`."""

    text: str
    "The expression, or the view."
    rows: int
    edge_rows: int
    checked_in: tuple[str, ...]
    "The databases that ran it."


def export_sql(
    saved: SavedProgram,
    inputs: Sequence[Input],
    sandbox: "Sandbox",
    *,
    dialect: Dialect = "duckdb",
    table: str | None = None,
    view: str | None = None,
    column: str = "prediction",
) -> ExportedSQL:
    """Return a program as SQL that gives the confined program's answer on every row tried.

    Raise ConfigurationError if DuckDB or sqlglot is not installed, or the program has no run.
    Raise ProgramError if a construct has no translation, or an answer differs.

    Parameters
    ----------
    table, view
        Write a view of this name over this table; without a table the expression alone.
    column
        The view's column with the class.
    """
    try:
        import duckdb  # noqa: F401
        import sqlglot
    except ImportError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: pip install 'llm-pv[sql]'"
        ) from error
    require_run(saved)
    assert saved.columns is not None
    assert saved.classes is not None
    found = ask_one(
        "sql",
        saved.program.source,
        list(saved.columns),
        dict(saved.types or {}),
        list(saved.classes.texts),
        list(saved.classes.values),
    )
    expression, constants = str(found["sql"]), list(found["constants"])
    if len(expression) > _MOST_CHARACTERS:  # the parser's own limit is lower
        raise ProgramError(f"refused: the SQL has {len(expression):,} characters")
    if found["orders_text"] and dialect == "postgres":
        raise ProgramError(
            "refused: the program compares texts by their order, which PostgreSQL takes from the "
            "locale; choose another --dialect"
        )
    known = [row for row in inputs if _fits(row, saved)]
    rows = checked_rows(
        saved, known, constants, lambda name: f'"{_doubled(name)}"' in expression, sandbox
    )
    try:
        tree = _without_needless_parentheses(sqlglot.parse_one(expression, read="duckdb"))
        tested = tree.sql(dialect="duckdb")
        written = tree.sql(dialect=dialect, pretty=True)
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise ProgramError(f"refused: sqlglot cannot write it for {dialect}: {error}") from error
    rows.compare(_in_duckdb(tested, saved, rows), "DuckDB")
    if dialect == "sqlite":
        rows.compare(_in_sqlite(written, saved, rows), "SQLite")
    databases = ("DuckDB", "SQLite") if dialect == "sqlite" else ("DuckDB",)
    if table is not None:
        names = sqlglot.exp.to_table(table), sqlglot.exp.to_table(view or f"{table}_predicted")
        source, target = (name.sql(dialect=dialect, identify=False) for name in names)
        head = sqlglot.exp.to_identifier(column, quoted=True).sql(dialect=dialect)
        written = f"CREATE VIEW {target} AS\nSELECT *,\n{written} AS {head}\nFROM {source};"
    edge = len(rows.inputs) - rows.given
    return ExportedSQL(written + "\n", rows.given, edge, databases)


def _without_needless_parentheses(tree: Any) -> Any:
    """Return a syntax tree of sqlglot without parentheses that change nothing."""
    from sqlglot import exp

    tight = (exp.Column, exp.Literal, exp.Case, exp.Cast, exp.Length, exp.Trim)
    test = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
    for node in list(tree.find_all(exp.Paren)):
        inside, outside = node.this, node.parent
        product = isinstance(inside, exp.Mul) and isinstance(outside, (exp.Add, *test))
        total = isinstance(inside, (exp.Add, exp.Sub)) and isinstance(outside, test)
        chosen = isinstance(outside, (exp.If, exp.Paren)) and not isinstance(inside, exp.Connector)
        joined = isinstance(inside, test) and isinstance(outside, (exp.And, exp.Or, exp.Not))
        if isinstance(inside, tight) or product or total or chosen or joined:
            node.replace(inside)
    return tree


def _fits(row: Input, saved: SavedProgram) -> bool:
    """Whether a row can be in a table with the columns' types."""
    if isinstance(row, str):
        return "\0" not in row
    return all(
        (isinstance(value, int) and abs(value) < _WIDEST)
        if (saved.types or {}).get(name) == "int" and value is not None
        else not (isinstance(value, str) and "\0" in value)
        for name, value in row.items()
    )


def _doubled(name: str) -> str:
    return name.replace('"', '""')


def _columns(saved: SavedProgram, rows: CheckedRows) -> dict[str, tuple[str, list[Scalar]]]:
    """Return the type and the cells of each column."""
    if saved.types:
        return {
            name: (_TYPES[kind], [row.get(name) for row in rows.inputs if isinstance(row, dict)])
            for name, kind in saved.types.items()
        }
    name = saved.columns[0] if saved.columns else "text"
    return {name: ("VARCHAR", [row for row in rows.inputs if isinstance(row, str)])}


def _in_duckdb(expression: str, saved: SavedProgram, rows: CheckedRows) -> list[Any]:
    """Return the expression's value for each row in DuckDB."""
    import duckdb
    import pandas as pd

    columns = _columns(saved, rows)
    frame = pd.DataFrame(
        {
            f"c{place}": pd.Series(cells, dtype=_DTYPES.get(kind, "object"))
            for place, (kind, cells) in enumerate(columns.values())
        }
    )
    frame["row_number"] = range(len(frame))
    listed = ", ".join(
        f'CAST(c{place} AS {kind}) AS "{_doubled(name)}"'
        for place, (name, (kind, _)) in enumerate(columns.items())
    )
    with duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection:
        connection.register("frame", frame)
        # No user's column is called so.
        listed += ', row_number AS "\1row"'
        create = f"CREATE TABLE checked_rows AS SELECT {listed} FROM frame"  # noqa: S608
        connection.execute(create)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        query = f'SELECT {expression} FROM checked_rows ORDER BY "\1row"'  # noqa: S608
        try:
            with _interrupted(connection.interrupt):
                return [answer for (answer,) in connection.execute(query).fetchall()]
        except duckdb.Error as error:
            raise ProgramError(f"refused: DuckDB says {_first_line(error)}") from error


def _in_sqlite(expression: str, saved: SavedProgram, rows: CheckedRows) -> list[Any]:
    """Return the expression's value for each row in SQLite."""
    columns = _columns(saved, rows)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        listed = ", ".join(f'"{_doubled(name)}" {kind}' for name, (kind, _) in columns.items())
        connection.execute(f"CREATE TABLE checked_rows ({listed})")
        marks = ", ".join("?" * len(columns))
        cells = zip(*(cells for _, cells in columns.values()), strict=True)
        connection.executemany(f"INSERT INTO checked_rows VALUES ({marks})", cells)  # noqa: S608
        query = f"SELECT {expression} FROM checked_rows ORDER BY rowid"  # noqa: S608
        with _interrupted(connection.interrupt):
            answers = [answer for (answer,) in connection.execute(query)]
    except sqlite3.Error as error:
        raise ProgramError(f"refused: SQLite says {_first_line(error)}") from error
    finally:
        connection.close()
    assert saved.classes is not None
    if {type(value) for value in saved.classes.values} == {bool}:
        return [None if answer is None else bool(answer) for answer in answers]
    return answers


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@contextmanager
def _interrupted(interrupt: Callable[[], None]) -> Iterator[None]:
    """End a query in the block that takes too long."""
    timer = threading.Timer(_SECONDS, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
