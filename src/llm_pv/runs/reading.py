"""Read runs, also while they are written, for tables and pages; write their page."""

import json
from collections.abc import Sequence
from pathlib import Path

from llm_pv.errors import RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.consistency import malformed
from llm_pv.runs.files import read_csv, write_atomically
from llm_pv.runs.journal import Record, read_journal

FORMAT = 1
"""Version of the layout; a run of another version is refused, never guessed at."""

SUMMARY_COLUMNS = (
    "track",
    "method",
    "model",
    "function",
    "name",
    "length",
    "sampler",
    "trial",
    "seed",
    "train_size",
    "validation_size",
    "test_size",
    "accuracy",
    "low",
    "high",
    "validation_accuracy",
    "learn_seconds",
    "test_seconds",
    "cost_usd",
    "status",
    "reason",
    "majority_accuracy",
)
"""The columns that every track writes, so that a report can compare tracks."""

_LATER_COLUMNS = ("majority_accuracy",)
"""Columns that rows of earlier versions lack; they read as empty."""

FAILED = "failed"
"""The status of a cell that ended with an error."""

UNFINISHED = "unfinished"
"""The status that reports show of a cell without a row."""


def batch_record(path: Path) -> Path:
    """Return the file of a run directory that records submitted batches of a vendor."""
    return path / "batches.jsonl"


def read_run(path: Path) -> Record:
    """Return the content of ``run.json`` of a run directory.

    Raise RunError if it does not exist, cannot be read, or has another format version.
    """
    try:
        record = json.loads((path / "run.json").read_bytes())
        version = record["format"]
        record["configuration"].keys()
    except FileNotFoundError:
        why = "it holds no run.json" if path.exists() else "there is no such folder; check the path"
        raise RunError(f"{path} is no run directory: {why}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or repr(error)
        raise RunError(f"{path / 'run.json'} cannot be read: {reason}") from error
    if version != FORMAT:
        raise RunError(
            f"{path} is a run of format {version!r}, this version of llm-pv reads {FORMAT}"
        )
    return dict(record)


def read_summary(path: Path) -> list[dict[str, str]]:
    """Return the rows of a run directory's ``summary.csv``, none if there is no such file.

    Raise RunError if it cannot be read, or a row is damaged.
    """
    rows = read_csv(path / "summary.csv")
    for line, row in enumerate(rows, start=2):
        for name in _LATER_COLUMNS:
            row.setdefault(name, "")
        if fault := malformed(row, SUMMARY_COLUMNS):
            raise RunError(
                f"{path}: summary.csv, line {line}: {fault}; restore the file, or remove it and "
                "give the same command again, which writes it anew"
            )
    return rows


def read_replies(path: Path) -> list[Record]:
    """Return every reply of a run directory, without turns; empty if there is no such run."""
    said = read_journal(path / "replies.jsonl")
    return [record for record in said if "kind" not in record]


def read_prompt(path: Path, digest: str) -> str:
    """Return the prompt of a digest in a run directory, ``""`` if there is none."""
    try:
        return (path / "prompts" / f"{digest}.txt").read_bytes().decode()
    except OSError:
        return ""


def read_attempts(path: Path) -> list[Record]:
    """Return every attempt and selection of a run directory; empty if there is no such run."""
    return read_journal(path / "results_attempts.jsonl")


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
    unnamed = Cell(cell.function, cell.length, cell.sampler, cell.trial)
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
