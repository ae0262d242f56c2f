"""Check that finished cells have their files and records, and which records are valid."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_pv.runs.cells import Cell, Key, cell_of, place_of, way_of
from llm_pv.runs.journal import Record

_OF_PROGRAMS = ("llm-pv", "agent")
_WITH_SELECTION = (*_OF_PROGRAMS, "baselines")
"""Tracks whose finished cells have a record of kind ``selected``; others record no attempts."""

Row = dict[str, str]

_FINISHED = ("done", "nothing found")


SHARES = ("accuracy", "low", "high", "validation_accuracy", "majority_accuracy")
SIZES = ("train_size", "validation_size", "test_size")
NUMBERS = (*SHARES, "learn_seconds", "test_seconds", "cost_usd")
"""Columns of ``summary.csv`` with shares, with whole numbers, and with shares and decimals."""


def inconsistent_rows(
    rows: Iterable[Row],
    attempts: Mapping[Key, Sequence[Record]],
    replies: Mapping[Key, Sequence[Record]],
    files: Callable[[Cell], tuple[Path, Path]],
) -> tuple[list[tuple[Row, str]], set[Key]]:
    """Return rows of finished cells with missing files or records, and what is missing.

    Parameters
    ----------
    files
        Returns the paths of a cell's program and predictions.

    Returns
    -------
    tuple
        The rows, and the keys of the cells with incomplete records.
    """
    faults, torn = [], set()
    for row in rows:
        key = place_of(row) + way_of(row)
        key = key if key in attempts else place_of(row)
        fault = missing_records(row, attempts.get(key, ()), replies.get(key, ()))
        if fault:
            torn.add(key)
        else:
            fault = missing_files(row, *files(cell_of(key)))
        if fault:
            faults.append((row, fault))
    return faults, torn


def cells_without_reply(
    attempts: Mapping[Key, Sequence[Record]], replies: Mapping[Key, Sequence[Record]]
) -> set[Key]:
    """Return the cells that have more attempts than replies."""
    return {
        key
        for key, records in attempts.items()
        if [record.get("kind") for record in records].count("attempt") > len(replies.get(key, ()))
    }


def missing_records(
    row: Mapping[str, str], attempts: Sequence[Record], replies: Sequence[Record]
) -> str:
    """Return what a finished cell's records lack, ``""`` if nothing.

    Examples
    --------
    >>> row = {"track": "llm-pv", "status": "done"}
    >>> missing_records(row, [{"kind": "attempt", "attempt": 1}], [{"attempt": 1}])
    'its selection is missing in results_attempts.jsonl'
    """
    if row["track"] not in _WITH_SELECTION or row["status"] not in _FINISHED:
        return ""
    kinds = [record.get("kind") for record in attempts]
    selections = kinds.count("selected")
    if selections != 1:
        lack = "is missing" if not selections else "occurs more than once"
        return f"its selection {lack} in results_attempts.jsonl"
    if row["track"] not in _OF_PROGRAMS:
        return ""
    numbers = [record.get("attempt") for record in attempts if record.get("kind") == "attempt"]
    if (row["status"] == "done" and not numbers) or numbers != list(range(1, len(numbers) + 1)):
        return "attempts are missing or out of order in results_attempts.jsonl"
    if [reply.get("attempt") for reply in replies[: len(numbers)]] != numbers:
        return "replies are missing or out of order in replies.jsonl"
    return ""


def missing_files(row: Mapping[str, str], program: Path, predictions: Path) -> str:
    """Return which file of a finished cell is missing, ``""`` if none is."""
    if row["track"] not in _WITH_SELECTION or row["status"] != "done":
        return ""
    if row["track"] in _OF_PROGRAMS and not program.is_file():
        return f"{program.name} is missing in programs"
    if row["accuracy"] and not predictions.is_file():
        return f"{predictions.name} is missing in predictions"
    return ""


def consistent_records(attempts: Sequence[Record], replies: Sequence[Record]) -> list[Record]:
    """Return the records from which a cell can continue.

    These are the attempts up to the first that is missing or has no reply, and the records about
    them; a selection among attempts of which some are missing is dropped.

    Examples
    --------
    >>> attempts = [{"kind": "attempt", "attempt": number} for number in (1, 3)]
    >>> consistent_records(attempts, [{}, {}, {}])
    [{'kind': 'attempt', 'attempt': 1}]
    """
    kept: list[Record] = []
    expected = 1
    for record in attempts:
        kind = record.get("kind")
        if kind == "attempt":
            if record.get("attempt") != expected or expected > len(replies):
                continue
            expected += 1
        elif kind == "selected" or (
            kind == "rejected" and record.get("attempt") not in range(1, expected)
        ):
            continue
        kept.append(record)
    return kept


def malformed(row: Mapping[Any, Any], columns: Sequence[str]) -> str:
    """Return why a row of ``summary.csv`` is damaged, ``""`` if it is not."""
    if missing := [name for name in columns if row.get(name) is None]:
        return f"no value for {', '.join(missing[:3])}"
    if None in row or any("\0" in value for value in row.values()):
        return "it is malformed"
    for column in (*SIZES, *NUMBERS):
        text = row[column][:40]
        try:
            number = (int if column in SIZES else float)(row[column] or 0)
        except ValueError:
            return f"{column} {text!r} is no number"
        if not 0 <= number < math.inf:
            return f"{column} {text!r} is no figure from 0 on"
        if column in SHARES and number > 1:
            return f"{column} {text} is no share between 0 and 1"
    if not row["trial"].isdecimal():
        return f"trial {row['trial'][:40]!r} is no number"
    return ""
