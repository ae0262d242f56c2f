"""Read rows for a saved program, with the options it was learned with, and write rows."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llm_pv.erm.verification import first_error
from llm_pv.errors import ConfigurationError, RunError
from llm_pv.runs.files import write_bytes_atomically
from llm_pv.runs.saved_program import SavedProgram
from llm_pv.sandbox import Sandbox

if TYPE_CHECKING:
    import pandas as pd

    from llm_pv.data.columns import ColumnType
    from llm_pv.data.examples import Input
    from llm_pv.data.formats import Content
    from llm_pv.data.new_rows import NewRows

BLOCK = 50_000
"""Rows converted and run together, so that memory does not grow with the file."""

_WRITERS = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Block:
    """The answers of a program on some rows."""

    inputs: "Sequence[Input]"
    "Those that can be read."
    answers: list[str | None]
    "The answer to each row as text; None without one."
    unreadable: int
    "How many rows could not be read."
    error: str
    "The first error; empty if there was none."


def read_rows(
    path: str, saved: SavedProgram, *, data_format: str | None, lenient: bool = False
) -> "Content":
    """Read every column of a file unchanged, with the encoding and delimiter of the program's."""
    from llm_pv.data.readers import read_content

    return read_content(path, format=data_format, reading=saved.reading, lenient=lenient)


def rows_for(saved: SavedProgram, rows: "Content", *, target: str | None) -> "NewRows":
    """Return the same rows as the program's inputs.

    Parameters
    ----------
    saved
        The program; the record of its run decides columns and types.
    target
        The column of labels, excluded from the inputs of a program without a run.
    """
    from llm_pv.data.new_rows import NewRows, new_rows
    from llm_pv.data.table import make_table

    if saved.columns is not None:
        types = cast("dict[str, ColumnType]", dict(saved.types or {}))
        return new_rows(
            rows.frame,
            saved.columns,
            types,
            source=saved.program.source,
            reading=saved.reading if rows.written else None,
            odd=saved.odd if rows.written else {},
            name=rows.name,
            unreadable=rows.unreadable,
        )
    columns = [name for name in rows.frame.columns if name not in (target, rows.target)]
    table = make_table(rows.frame, columns=columns, written=rows.written, name=rows.name)
    return NewRows(table.frame, table.types, frozenset(columns), rows.name, rows.unreadable)


def run_blocks(saved: SavedProgram, rows: "NewRows", sandbox: Sandbox) -> Iterator[Block]:
    """Run a program on all rows, block by block."""
    for start in range(0, len(rows), BLOCK):
        block = rows.inputs(start, min(start + BLOCK, len(rows)))
        execution = sandbox.predict(saved.program.source, block.inputs)
        yield Block(
            block.inputs,
            block.spread(execution.predictions),
            block.total - len(block.rows),
            block.fault or first_error(execution, saved.classes),
        )


def check_writable(out: Path | None) -> None:
    """Raise ConfigurationError if rows cannot be written to a file of this name."""
    if out is not None and out.suffix.lower() not in _WRITERS:
        raise ConfigurationError(f"--out {out}: give a name ending in {', '.join(_WRITERS)}")


def write_rows(frame: "pd.DataFrame", out: Path | None) -> None:
    """Write rows to a file, in the format of its name, or as CSV to standard output.

    Raise RunError if the file cannot be written; the old file is then unchanged.
    """
    if out is None:
        frame.to_csv(sys.stdout, index=False)
        return
    suffix = out.suffix.lower()
    if suffix == ".parquet":
        try:
            data = frame.to_parquet(None, index=False)
        except (ValueError, TypeError, OverflowError) as error:  # a column of several types
            reason = " ".join(map(str, error.args))
            raise RunError(f"cannot write {out} as Parquet: {reason}; give a .jsonl name") from None
    elif suffix == ".jsonl":
        data = frame.to_json(orient="records", lines=True, force_ascii=False).encode()
    else:
        data = frame.to_csv(index=False, sep="\t" if suffix == ".tsv" else ",").encode()
    write_bytes_atomically(out.resolve(), data)  # a link keeps pointing to the file
