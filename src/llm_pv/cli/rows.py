"""Rows for a saved program: read as the program was learned, a block at a time."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from llm_pv.runs.saved_program import SavedProgram
from llm_pv.sandbox import Execution, Sandbox

if TYPE_CHECKING:
    from llm_pv.data.table import Table

BLOCK = 50_000
"""Rows converted and run at once, so that memory does not grow with the file."""


def read_rows(path: str, *, data_format: str | None) -> "Table":
    """Read every column of a file as it stands."""
    from llm_pv.data.readers import read_table

    return read_table(path, format=data_format)


def inputs_for(
    saved: SavedProgram, rows: "Table", *, target: str | None, labelled: bool = False
) -> "Table":
    """Return the same rows as the program's inputs.

    Parameters
    ----------
    saved
        The program; what its run recorded decides columns and types.
    rows
        The rows with every column.
    target
        The column that holds labels, set apart from the inputs of a program that stands alone.
    labelled
        Whether the labels are wanted too; rows without one are left out.
    """
    from llm_pv.data.table import make_table

    columns: Sequence[str] | None = saved.columns
    if columns is None:
        columns = [name for name in rows.frame.columns if name != target]
    types = {
        # Decimals may turn up later in a column that held whole numbers only.
        column: "float" if (kind, rows.types.get(column)) == ("int", "float") else kind
        for column, kind in (saved.types or {}).items()
    }
    return make_table(
        rows.frame,
        target=target if labelled and rows.labels is None else None,
        labels=rows.labels if labelled else None,
        columns=columns,
        types=types,
        written=rows.written,
        name=rows.name,
    )


def run_blocks(saved: SavedProgram, table: "Table", sandbox: Sandbox) -> Iterator[Execution]:
    """Run a program on all rows of a table, block by block."""
    for start in range(0, len(table), BLOCK):
        block = table.inputs(range(start, min(start + BLOCK, len(table))))
        yield sandbox.predict(saved.program.source, block)
