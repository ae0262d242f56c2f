"""Files of rows of in-context learning: one a row for each example, one for each cell."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from llm_pv.runs.cells import Cell
from llm_pv.runs.files import write_csv, write_json_lines, write_trials
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import read_replies
from llm_pv.tracks.icl.planning import PlannedCell
from llm_pv.tracks.icl.run import read_results
from llm_pv.tracks.icl.scores import AnsweredCell
from llm_pv.tracks.icl.settings import Settings

_SAME = ("low", "high", "balanced_accuracy", "majority_accuracy", "unparsable_share", "cut_share",
         "seconds")  # fmt: skip
_PLACE = {"fn": "function", "name": "name", "length": "length", "trial": "trial", "model": "model",
          "answer": "method"}  # fmt: skip
CELL_COLUMNS = {
    **_PLACE,
    **{name: name for name in ("train_size", "test_size", "example_orders", "accuracy")},
    "accuracy_std": "deviation",
    **dict(zip(_SAME, _SAME, strict=True)),
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    **{name: name for name in ("cached_tokens", "cost_usd", "status", "reason")},
}
"""Columns of the file of cells, and what of a cell's record each has."""

PUBLISHED_EXAMPLE_COLUMNS = {
    "function": "fn",
    "model_output": "text",
    "is_correct": "correct",
    "test_duration_ms": "duration_ms",
}
"""Columns of the published command's rows of examples, and which of ours has the value."""

DURATIONS = ("adaptation_duration_ms", "test_duration_ms", "total_wall_clock_duration_ms")
"""Columns of the published command's rows of cells: learning, testing, both, in milliseconds."""


def write_files(
    planned: Sequence[PlannedCell | AnsweredCell],
    settings: Settings,
    run: Path,
    *,
    jsonl: Path | None,
    csv: Path | None,
    under_way: Collection[Cell] = (),
    published: bool = False,
) -> None:
    """Write a row for each example and each cell so far.

    Parameters
    ----------
    published
        Whether the published command's columns come first, and each trial's examples are in a file
        of their own as well.
    """
    if jsonl is not None:
        works = [work for work in planned if isinstance(work, PlannedCell)]
        rows = list(example_rows(works, read_replies(run)))
        if published:
            columns_of_ours = PUBLISHED_EXAMPLE_COLUMNS.items()
            rows = [{name: row[own] for name, own in columns_of_ours} | row for row in rows]
            write_trials(jsonl, rows, "answer")
        write_json_lines(jsonl, rows)
    if csv is not None:
        results = read_results(planned, run, settings, under_way)
        cells = list(cell_rows(results))
        columns = tuple(CELL_COLUMNS)
        if published:
            columns = ("function", *DURATIONS, *CELL_COLUMNS)
            seconds = {work.cell: work.learn_seconds for work in planned
                       if isinstance(work, PlannedCell)}  # fmt: skip
            cells = [
                _published_cell(row, seconds.get(result.cell))
                for row, result in zip(cells, results, strict=True)
            ]
        write_csv(csv, columns, cells)


def _published_cell(row: dict[str, Any], learn_seconds: float | None) -> dict[str, Any]:
    durations: tuple[float | None, ...] = (None, None, None)
    if learn_seconds is not None and row["seconds"] is not None:
        learning, testing = 1000 * learn_seconds, 1000 * row["seconds"]
        durations = (round(learning, 3), round(testing, 3), round(learning + testing, 3))
    return {"function": row["fn"], **dict(zip(DURATIONS, durations, strict=True))} | row


def example_rows(
    works: Sequence[PlannedCell], replies: Sequence[Record]
) -> Iterator[dict[str, Any]]:
    """Return a row for each example that was answered."""
    for work in works:
        cell, labels = work.cell.record(), work.asked.labels
        place = {**cell, "trial": work.cell.trial + 1}
        lengths = [work.cell.length] * len(work.splits.test)
        lengths += [length for length, rows in work.others.items() for _ in rows.labels]
        mine = [reply for reply in replies if reply.items() >= cell.items()]
        for record in sorted(mine, key=lambda one: (one["order"], one["example"])):
            row, label = record["example"], labels[record["example"]]
            yield {
                **{name: place[own] for name, own in _PLACE.items() if own in place},
                "order": record["order"],
                "example": row,
                "prompt": work.prompts[record["order"]][row],
                "text": record["text"],
                "true_label": label,
                "predicted_label": record["predicted"],
                "correct": record["predicted"] == label,
                "finish": record["finish"],
                "probabilities": record["probabilities"],
                "prompt_tokens": record["input_tokens"],
                "completion_tokens": record["output_tokens"],
                "cached_tokens": record["cached_tokens"],
                "duration_ms": round(1000 * record["seconds"], 3),
                "cost_usd": record["cost_usd"],
                "test_length": lengths[row],
            }


def cell_rows(results: Sequence[AnsweredCell]) -> Iterator[dict[str, Any]]:
    """Return a row for each cell."""
    for result in results:
        record = result.record() | {"trial": result.cell.trial + 1}
        if result.score is None:
            record |= {"train_size": None, "test_size": None}
        else:
            record["example_orders"] = len(result.score.accuracies)
        yield {column: record.get(name) for column, name in CELL_COLUMNS.items()}
