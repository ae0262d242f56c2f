"""Read runs, also while they are written, for tables and pages; write their page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llm_pv.runs.cells import Cell
from llm_pv.runs.files import read_csv, write_atomically
from llm_pv.runs.journal import Record, read_journal


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return run directories, and in place of a folder without ``run.json`` those below it.

    A folder that holds none stays, for its reader to say so.
    """
    found: list[Path] = []
    for path in paths:
        inside = [] if (path / "run.json").is_file() else sorted(path.rglob("run.json"))
        found += [file.parent for file in inside] or [path]
    return found


def read_transfer(path: Path) -> list[Record]:
    """Return the results of a run's selected programs on other data; empty without a grid."""
    return read_journal(path / "transfer.jsonl")


def read_test_predictions(path: Path, cell: Cell) -> list[dict[str, str]]:
    """Return the predictions on a cell's test rows: columns row, label and prediction.

    Empty if the cell was not finished, or has no program or no test rows. A cell that names its
    method is also found in a run of one method, whose cells do not.

    Raise RunError if the file cannot be read.
    """
    unnamed = replace(cell, method="", model="")
    for known in (cell, unnamed):
        rows = read_csv(path / "predictions" / f"{known.slug}-t{known.trial}.csv")
        if rows:
            return rows
    return []


def write_report(path: Path, page: str) -> Path:
    """Write a run directory's report page and return its path."""
    report = path / "report.html"
    write_atomically(report, page)
    return report
