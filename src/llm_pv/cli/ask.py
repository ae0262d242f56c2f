"""``llm-pv ask``: which rows to label next."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llm_pv.cli.main import complain
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, Format, Rows, SandboxOptions
from llm_pv.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from llm_pv.data.formats import Content
    from llm_pv.erm.queries import Query

_MOST_ROWS = 50_000
_CELLS_WIDTH = 60


def ask(
    run: Path,
    rows: Rows,
    /,
    *,
    n: Annotated[int, Parameter(name=["--number", "-n"])] = 5,
    out: Path | None = None,
    data_format: str | None = None,
    format: Format = "table",  # noqa: A002
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Rank unlabelled rows by how well their labels would separate the possible programs.

    Possible are the programs of the run whose training mistakes are not significantly more than
    the best one's. Fill in the label column of --out and give the file to learn with --add.

    Parameters
    ----------
    run
        A run directory.
    rows
        CSV, TSV, Parquet, JSONL or text lines; - for standard input.
    n
        How many rows to ask for.
    out
        File to write (csv, tsv, jsonl or parquet): the rows, with an empty column for the label.
    data_format
        csv, tsv, parquet, jsonl or text; default by the file's name.
    format
        How the rows are shown: table, or a JSON array.
    """
    from llm_pv.cli.output import write_json
    from llm_pv.cli.program_rows import check_writable, read_rows, rows_for, write_rows
    from llm_pv.erm.queries import choose_queries, hypotheses_of_run, possible
    from llm_pv.runs.reading import read_run
    from llm_pv.runs.saved_program import load_program

    if n < 1:
        raise ConfigurationError(f"--number {n}: give 1 or more")
    check_writable(out)
    saved = load_program(run)
    if saved.classes is None:
        raise ConfigurationError(f"{run} is no run directory: give one")
    likely = possible(hypotheses_of_run(run), read_run(run)["configuration"]["sizes"][0])
    table = read_rows(rows, saved, data_format=data_format)
    if saved.types:
        _check_columns(table, saved.types)
    inputs = rows_for(saved, table, target=saved.target).inputs(0, _MOST_ROWS)
    with sandbox.open() as opened:
        queries = choose_queries(likely, inputs.inputs, saved.classes, opened, n=n)
    places = [inputs.rows[query.row] for query in queries]
    if len(table.frame) > _MOST_ROWS:
        complain(f"only the first {_MOST_ROWS:,} rows of {table.name} are compared")
    label = saved.target or "label"
    if out is not None and queries:
        write_rows(table.frame.iloc[places].assign(**{label: ""}), out)
    if format == "json":
        write_json(_records(queries, places, table))
    else:
        _print(queries, places, table, len(likely))
    if not queries:
        agree = (
            f"the {len(likely)} programs still possible agree on every row: no label would tell "
            "one from another"
            if len(likely) > 1
            else "only one program is still possible"
        )
        complain(f"{agree}; learn with --no-early-stop, which keeps more")
        return 1
    if out is not None:
        complain(f"fill in column {label!r} of {out}; then: learn as before, with --add {out}")
    return 0


def _check_columns(table: "Content", columns: "Collection[str]") -> None:
    """Raise DataError if a column of the run is missing, without which rows cannot be added."""
    from llm_pv.data.new_rows import matching_columns

    there = matching_columns(table.frame, list(columns))
    if missing := [repr(column) for column in columns if column not in there]:
        raise DataError(
            f"{table.name} lacks {', '.join(missing)}: programs of the run may read them, and "
            "--add takes rows with every column of the run"
        )


def _records(
    queries: "Sequence[Query]", places: "Sequence[int]", table: "Content"
) -> list[dict[str, Any]]:
    cells = table.frame.astype(object).where(table.frame.notna(), None).to_dict("records")
    return [
        {
            "row": place,
            "disagreement": query.disagreement,
            "answers": dict(query.answers),
            "cells": {str(name): cell for name, cell in cells[place].items()},
        }
        for query, place in zip(queries, places, strict=True)
    ]


def _print(
    queries: "Sequence[Query]", places: "Sequence[int]", table: "Content", programs: int
) -> None:
    from rich.text import Text

    from llm_pv.cli.output import make_table, write_table
    from llm_pv.programs.shown import escaped

    shown = make_table(
        ["row", "disagreement", "programs by answer", "cells"],
        title=f"Rows of {table.name} to label; {programs} programs are still possible",
        left=("programs by answer", "cells"),
    )
    for record in _records(queries, places, table):
        votes = ", ".join(
            f"{answer or 'no answer'}: {count}" for answer, count in record["answers"].items()
        )
        cells = ", ".join(f"{name}={cell}" for name, cell in record["cells"].items())
        summary = Text(escaped(cells))
        summary.truncate(_CELLS_WIDTH, overflow="ellipsis")
        disagreement = f"{record['disagreement']:.2f}"
        shown.add_row(str(record["row"]), disagreement, Text(escaped(votes)), summary)
    write_table(shown)
