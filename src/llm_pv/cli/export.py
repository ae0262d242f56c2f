"""``llm-pv export``: a learned program as SQL, a Python module or an estimator file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_pv.cli.main import complain
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, SandboxOptions
from llm_pv.errors import ConfigurationError, RunError

if TYPE_CHECKING:
    from llm_pv.data.examples import Input
    from llm_pv.runs.saved_program import SavedProgram

_MOST_ROWS = 50_000


def export(
    run: Path,
    /,
    *,
    to: Literal["sql", "python", "sklearn"],
    rows: str | None = None,
    data_format: str | None = None,
    dialect: Literal["duckdb", "postgres", "sqlite", "bigquery", "snowflake", "spark"] = "duckdb",
    table: str | None = None,
    view: str | None = None,
    column: str = "prediction",
    out: Path | None = None,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Write a learned program as SQL, as a Python module or as an estimator file.

    What is written has been run on rows and on edge rows made from the columns' types and the
    program's constants. If an answer differs from the confined program's, nothing is written.

    Parameters
    ----------
    run
        A run directory, or a program's file in one.
    to
        sql, python, or sklearn (a file of skops, without pickles).
    rows
        Rows to check it on; default the data file that the run was learned from.
    data_format
        csv, tsv, parquet, jsonl or text; default by the file's name.
    dialect
        Whose SQL is written.
    table
        Write a CREATE VIEW over this table instead of the expression alone.
    view
        Name of the view; default the table's with _predicted.
    column
        Name of the view's column with the class.
    out
        File to write; default standard output.
    """
    from llm_pv.runs.saved_program import load_program

    if to == "sklearn" and out is None:
        raise ConfigurationError("--to sklearn writes a binary file: name it with --out")
    if view is not None and table is None:
        raise ConfigurationError(f"--view {view}: name the rows' table with --table")
    saved = load_program(run)
    name, inputs = _rows(saved, run, rows, data_format)
    with sandbox.open() as opened:
        if to == "sql":
            from llm_pv.export.sql import export_sql

            written = export_sql(
                saved, inputs, opened, dialect=dialect, table=table, view=view, column=column
            )
            given, edges = written.rows, written.edge_rows
            checked = f"{' and '.join(written.checked_in)} gave the program's answer on"
            _write(written.text, out)
        elif to == "python":
            from llm_pv.export.python import export_python

            text, tried = export_python(saved, inputs, opened)
            given, edges = tried.given, len(tried.inputs) - tried.given
            checked = "the module gave the program's answer on"
            _write(text, out)
        else:
            from llm_pv.export.estimator import export_sklearn

            assert out is not None
            try:
                tried = export_sklearn(saved, inputs, opened, out)
            except OSError as error:
                raise RunError(f"cannot write {out}: {error.strerror or error}") from error
            given, edges = tried.given, len(tried.inputs) - tried.given
            checked = "the estimator, read back, gave the program's answer on"
    complain(f"{checked} {given:,} rows of {name} and {edges:,} edge rows")
    return 0


def _rows(
    saved: "SavedProgram", run: Path, rows: str | None, data_format: str | None
) -> "tuple[str, list[Input]]":
    from llm_pv.cli.program_rows import read_rows, rows_for
    from llm_pv.export.checked_rows import recorded_rows, require_run

    require_run(saved)
    path = rows or recorded_rows(run)
    if path is None:
        return "no file (name one with --rows)", []
    table = rows_for(saved, read_rows(path, saved, data_format=data_format), target=saved.target)
    return path, list(table.inputs(0, _MOST_ROWS).inputs)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror or error}") from error
