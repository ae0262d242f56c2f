"""The first version's result files: one row an attempt, with the columns it published."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.errors import LLMPVError
from llm_pv.proposers.llm.prompt import problem_statement
from llm_pv.runs.directory import read_attempts, read_prompt, read_replies
from llm_pv.runs.files import write_atomically, write_csv
from llm_pv.runs.journal import Record
from llm_pv.stats import MeanStd
from llm_pv.tracks.grid import GridRequest, Trial

COLUMNS = (
    "kind",
    "fn",
    "length",
    "attempt",
    "trial",
    "prompt",
    "text",
    "duration_ms",
    "cached_tokens",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "tool_uses",
    "tool_results_chars",
    "val_acc",
    "val_acc_std",
    "test_acc",
    "test_acc_std",
    "stopped_early",
    "compile_error",
    "num_trials",
    "is_summary",
)
"""The published columns, and ``kind``: attempt, selected or summary."""

_KINDS = ("attempt", "selected")


def prompt_of(trial: Trial, splits: Splits) -> str:
    """Return the prompt of a trial's training rows."""
    return problem_statement(splits.train, splits.classes, alphabet=trial.task.alphabet)


def seed_rows(request: GridRequest, run: Path, dataset_dir: Path) -> Iterator[dict[str, Any]]:
    """Return the rows of a run: attempts, the selected one of each trial, and summaries.

    ``test_acc`` stands in the rows of kind ``selected`` and ``summary`` alone, because the test
    rows are looked at once, for the selected program. The built-in search reads the training rows
    themselves; its rows hold the prompt that a model would be sent.
    """
    texts = {(*_cell(reply), reply["attempt"]): reply["text"] for reply in read_replies(run)}
    attempts: dict[tuple[Any, ...], list[Record]] = {}
    for record in read_attempts(run):
        attempts.setdefault(_cell(record), []).append(record)
    trials = [trial for trial in request.plan() if not trial.skipped]
    for trial in trials:
        records = attempts.get(_cell(trial.cell.record()), [])
        records = [record for record in records if record["kind"] in _KINDS]
        derived = _prompt(request, trial, dataset_dir) if records else ""
        for record in records:
            text = texts.get((*_cell(record), record.get("attempt")), "")
            prompt = read_prompt(run, record.get("prompt_digest", "")) or derived
            yield _row(record, trial, prompt, text, len(records))
        if trial.cell.trial == request.trials - 1:
            cell = _cell(trial.cell.record())[:-1]
            group = [r for key, found in attempts.items() if key[:-1] == cell for r in found]
            yield _summary(trial, [r for r in group if r["kind"] == "selected"])


def write_seed_rows(rows: Iterable[dict[str, Any]], jsonl: Path, csv: Path) -> None:
    """Write rows as JSON lines and as CSV, each file whole or not at all."""
    listed = list(rows)
    write_atomically(jsonl, "".join(json.dumps(row) + "\n" for row in listed))
    write_csv(csv, COLUMNS, listed)


def _prompt(request: GridRequest, trial: Trial, dataset_dir: Path) -> str:
    try:
        return prompt_of(trial, request.splits(trial, dataset_dir))
    except LLMPVError:
        return ""  # a trial that failed because its data set went bad; its reason is recorded


def _cell(record: Record) -> tuple[Any, ...]:
    return record["function"], record["length"], record["sampler"], record["trial"]


def _row(record: Record, trial: Trial, prompt: str, text: str, records: int) -> dict[str, Any]:
    is_last = record["kind"] == "selected" or record["attempt"] == records - 1
    return dict.fromkeys(COLUMNS) | {
        "kind": record["kind"],
        "fn": trial.cell.function,
        "length": trial.length,
        "attempt": record.get("attempt"),
        "trial": trial.cell.trial + 1,
        "prompt": prompt,
        "text": text,
        "duration_ms": round(1000 * record.get("proposal_seconds", 0.0)),
        "cached_tokens": record.get("cached_tokens"),
        "prompt_tokens": record.get("input_tokens"),
        "completion_tokens": record.get("output_tokens"),
        "reasoning_tokens": record.get("reasoning_tokens"),
        "tool_uses": record.get("tool_calls"),
        "val_acc": record.get("validation_accuracy"),
        "test_acc": record.get("test_accuracy"),
        "stopped_early": is_last and record.get("validation_accuracy") == 1.0,
        "compile_error": record.get("error") or None,
        "is_summary": False,
    }


def _summary(trial: Trial, selected: list[Record]) -> dict[str, Any]:
    row = dict.fromkeys(COLUMNS) | {
        "kind": "summary",
        "fn": trial.cell.function,
        "length": trial.length,
        "num_trials": len(selected),
        "is_summary": True,
    }
    for column, name in (("val_acc", "validation_accuracy"), ("test_acc", "test_accuracy")):
        values = [record[name] for record in selected if record.get(name) is not None]
        spread = MeanStd.of(values)
        if spread is not None:
            row |= {column: spread.mean, f"{column}_std": spread.deviation}
    return row
