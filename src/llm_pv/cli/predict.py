"""``llm-pv predict``: add a prediction column to rows, the program confined."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.cli.main import complain
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, Rows, SandboxOptions
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

_TYPED = (".jsonl", ".parquet")


def predict(
    program: Path,
    rows: Rows,
    /,
    *,
    out: Path | None = None,
    column: str = "prediction",
    target: str | None = None,
    data_format: str | None = None,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Add a prediction column to rows, the program confined.

    Rows for which the program gives no label get an empty cell and are counted on standard error.
    So are lines with too many or too few cells, and JSON lines that are none; their other cells
    stay empty too.

    Parameters
    ----------
    program
        A run directory, or a program's Python file.
    rows
        CSV, TSV, Parquet, JSONL or text lines; - for standard input.
    out
        File to write (csv, tsv, jsonl or parquet); default CSV on standard output.
    column
        Name of the new column.
    target
        Column with labels, excluded from the inputs of a program file without a run.
    data_format
        csv, tsv, parquet, jsonl or text; default by the file's name.
    """
    import pandas as pd

    from llm_pv.cli.program_rows import check_writable, read_rows, rows_for, run_blocks, write_rows
    from llm_pv.data.columns import python_values, read_cells
    from llm_pv.data.table import make_table
    from llm_pv.runs.saved_program import load_program

    check_writable(out)
    saved = load_program(program)
    table = read_rows(rows, saved, data_format=data_format, lenient=True)
    inputs = rows_for(saved, table, target=target)
    frame = table.frame.copy(deep=False)
    if column in frame.columns:
        raise ConfigurationError(f"{table.name} has a column {column!r} already; give --column")
    predictions: list[Any] = []
    reason = ""
    unreadable = 0
    with sandbox.open() as opened:
        for block in run_blocks(saved, inputs, opened):
            predictions += [saved.value(text) for text in block.answers]
            unreadable += block.unreadable
            reason = reason or block.error

    def values(cells: list[Any]) -> "pd.Series[Any]":
        # As objects: one missing value among whole numbers would turn all of them into decimals.
        return pd.Series(cells, index=frame.index, dtype=object)

    if table.written and out is not None and out.suffix.lower() in _TYPED:
        typed = make_table(frame, target=table.target, written=True, odd_as_missing=False)
        for name, kind in typed.types.items():
            frame[name] = values(python_values(read_cells(frame[name], kind)))
    frame[column] = values(predictions)
    write_rows(frame, out)
    failed = sum(value is None for value in predictions)
    if failed:
        cells = (
            f", {unreadable:,} of them for a line or a cell that cannot be read"
            if unreadable
            else ""
        )
        complain(f"{failed:,} of {len(predictions):,} rows got no prediction{cells} ({reason})")
    return 0
