"""The first version's result files: one row an attempt, with the columns it published."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.errors import LLMPVError
from llm_pv.proposers.llm.prompt.statement import problem_statement
from llm_pv.runs.cells import place_of
from llm_pv.runs.files import write_csv, write_json_lines, write_trials
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import read_attempts, read_prompt, read_replies, read_summary
from llm_pv.stats import MeanStd
from llm_pv.tracks.grid import GridRequest, Trial

COLUMNS = (
    "fn",
    "length",
    "attempt",
    "trial",
    "prompt",
    "text",
    "duration_ms",
    "adaptation_duration_ms",
    "test_duration_ms",
    "total_wall_clock_duration_ms",
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
    "kind",
    "prompt_variant",
    "cost_usd",
)
"""The published columns, and three of ours: ``kind`` is attempt, selected or summary."""

_KINDS = ("attempt", "selected")


def prompt_of(trial: Trial, splits: Splits) -> str:
    """Return the prompt of a trial's training rows."""
    return problem_statement(splits.train, splits.classes, alphabet=trial.task.alphabet)


def seed_rows(
    request: GridRequest, run: Path, dataset_dir: Path, *, prompt_variant: str = ""
) -> Iterator[dict[str, Any]]:
    """Return the rows of a run: attempts, the selected one of each trial, and summaries.

    ``test_acc`` is set in the rows of kind ``selected`` and ``summary`` alone, because the test
    rows are looked at once, for the selected program. The built-in search reads the training rows
    themselves; its rows hold the prompt that a model would be sent.
    """
    times = {place_of(row): row for row in read_summary(run)}
    texts = {(*place_of(reply), reply["attempt"]): reply["text"] for reply in read_replies(run)}
    attempts: dict[tuple[Any, ...], list[Record]] = {}
    for record in read_attempts(run):
        attempts.setdefault(place_of(record), []).append(record)
    trials = [trial for trial in request.plan() if not trial.skipped]
    for trial in trials:
        records = attempts.get(place_of(trial.cell.record()), [])
        records = [record for record in records if record["kind"] in _KINDS]
        derived = _prompt(request, trial, dataset_dir) if records else ""
        for record in records:
            text = texts.get((*place_of(record), record.get("attempt")), "")
            prompt = read_prompt(run, record.get("prompt_digest", "")) or derived
            row = _row(record, trial, prompt, text, len(records))
            if record["kind"] == "selected":
                row |= _durations([times.get(place_of(trial.cell.record()), {})])
            yield row | {"prompt_variant": prompt_variant}
        if trial.cell.trial == request.trials - 1:
            cell = place_of(trial.cell.record())[:-1]
            group = [r for key, found in attempts.items() if key[:-1] == cell for r in found]
            summary = _summary(trial, [r for r in group if r["kind"] == "selected"])
            summary |= _durations([row for key, row in times.items() if key[:-1] == cell])
            yield summary | {"prompt_variant": prompt_variant}


def write_seed_rows(rows: Iterable[dict[str, Any]], jsonl: Path, csv: Path) -> None:
    """Write rows as JSON lines and as CSV, and those of each trial beside the former.

    Each file is written whole or not at all. The rows of a trial are in
    ``<stem>_trials/<function>_L<length>_trial<number>.jsonl``, with ``_<wording>`` before the
    ending where several wordings were tried.
    """
    listed = list(rows)
    write_json_lines(jsonl, listed)
    write_csv(csv, COLUMNS, listed)
    write_trials(jsonl, [row for row in listed if not row["is_summary"]], "prompt_variant")


def _durations(times: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Return the mean times of some trials in milliseconds, from their rows of the summary."""
    known = [
        (float(row["learn_seconds"]), float(row["test_seconds"]))
        for row in times
        if row.get("learn_seconds") and row.get("test_seconds")
    ]
    if not known:
        return {}
    learning, testing = (1000 * mean(values) for values in zip(*known, strict=True))
    return {
        "adaptation_duration_ms": round(learning, 3),
        "test_duration_ms": round(testing, 3),
        "total_wall_clock_duration_ms": round(learning + testing, 3),
    }


def _prompt(request: GridRequest, trial: Trial, dataset_dir: Path) -> str:
    try:
        return prompt_of(trial, request.splits(trial, dataset_dir))
    except LLMPVError:
        return ""  # a trial that failed because its data set went bad; its reason is recorded


def _row(record: Record, trial: Trial, prompt: str, text: str, records: int) -> dict[str, Any]:
    seconds = record.get("proposal_seconds", 0.0) + record.get("verify_seconds", 0.0)
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
        "adaptation_duration_ms": round(1000 * seconds, 3),
        "total_wall_clock_duration_ms": round(1000 * seconds, 3),
        "cost_usd": record.get("cost_usd"),
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
        spread = MeanStd.of(record.get(name) for record in selected)
        if spread is not None:
            row |= {column: spread.mean, f"{column}_std": spread.deviation}
    return row
