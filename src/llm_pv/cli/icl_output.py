"""Print results of in-context learning, and write the first version's files."""

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.cli.main import complain
from llm_pv.cli.options import Format
from llm_pv.cli.output import make_table, places, write_json, write_table
from llm_pv.cli.progress import Details, describe
from llm_pv.cli.report import leave_page
from llm_pv.errors import LLMPVError
from llm_pv.models.base import Usage
from llm_pv.report.text import percent, spread
from llm_pv.runs.cells import Cell
from llm_pv.runs.files import write_csv, write_json_lines, write_trials
from llm_pv.runs.reading import FAILED, read_replies
from llm_pv.stats import MeanStd

if TYPE_CHECKING:
    from rich.table import Table

    from llm_pv.models.language_model import LanguageModel
    from llm_pv.runs.journal import Record
    from llm_pv.tracks.icl.planning import PlannedCell
    from llm_pv.tracks.icl.scores import AnsweredCell, CellScore
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


class AnswerDetails(Details):
    """Counts the answers, and how many of them were right.

    Parameters
    ----------
    disclosure
        The text written to standard error before the first prompt is sent; empty for none.
    """

    def __init__(self, disclosure: str = "") -> None:
        super().__init__()
        self._disclosure = disclosure
        self._count: Counter[Cell] = Counter()
        self._right: Counter[Cell] = Counter()
        self._cost: float | None = 0.0

    def of_plan(self, cells: int, done: int) -> str:
        """Write which rows leave this machine, unless all prompts are answered."""
        if self._disclosure and done < cells:
            complain(self._disclosure)
        return ""

    def of_event(self, cell: Cell, event: object) -> str:
        """Count answers."""
        self._count[cell] += getattr(event, "count", 0)
        self._right[cell] += getattr(event, "right", 0)
        cost = getattr(event, "cost_usd", 0.0)
        self._cost = None if self._cost is None or cost is None else self._cost + cost
        return f"{self._right[cell]} of {self._count[cell]} right"

    def best(self) -> str:
        """Return how many answers of all cells were right."""
        return f"{self._right.total():,} of {self._count.total():,} answers right"

    def spent(self) -> str:
        """Return the money spent."""
        return "price unknown" if self._cost is None else f"${self._cost:.2f}" if self._cost else ""


def report(results: Sequence["AnsweredCell"], path: Path, format: Format) -> int:  # noqa: A002
    """Show the results of a run and return the exit status.

    Raise LLMPVError if no cell succeeded.
    """
    if not any(result.score for result in results):
        reasons = dict.fromkeys(result.reason for result in results)
        raise LLMPVError(
            f"no cell could be done: {'; '.join(list(reasons)[:3])}; answers are kept, and the "
            f"same command with --out {path} tries the rest again"
        )
    leave_page(path)
    if format == "json":
        record = {"run": str(path), "cells": [result.record() for result in results]}
        write_json(record)
    else:
        from rich.text import Text

        reasons = dict.fromkeys(result.reason for result in results if result.reason)
        write_table(
            _table(results), *(Text(reason, style="dim") for reason in reasons), places(path)
        )
    return 1 if any(result.status == FAILED for result in results) else 0


def _table(results: Sequence["AnsweredCell"]) -> "Table":
    table = make_table(
        ("task", "answer", "accuracy", "majority", "no label", "seconds"),
        title="Test accuracy in percent, with its 95% interval",
        left=("answer",),
    )
    for result in results:
        cell = result.cell
        length = f" L={cell.length}" if cell.length != "" else ""
        named = f"{cell.function}{length}" + (f" trial {cell.trial + 1}" if cell.trial else "")
        score = result.score
        if score is None:
            table.add_row(named, cell.method, result.status, "", "", "", style="dim")
            continue
        table.add_row(
            named,
            cell.method,
            _accuracy(score),
            percent(score.majority_accuracy),
            percent(score.unparsable_share),
            f"{score.seconds:.1f}",
        )
        for there, other in result.others.items():
            table.add_row(f"  at {there}", cell.method, _accuracy(other), "", "", "")
    return table


def _accuracy(score: "CellScore") -> str:
    right = spread(MeanStd(score.accuracy, score.deviation, len(score.accuracies)))
    return f"{right} ({percent(score.low)} to {percent(score.high)})"


def write_files(
    planned: Sequence["PlannedCell | AnsweredCell"],
    settings: "Settings",
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
    from llm_pv.tracks.icl.planning import PlannedCell
    from llm_pv.tracks.icl.run import read_results

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
    works: Sequence["PlannedCell"], replies: Sequence["Record"]
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


def cell_rows(results: Sequence["AnsweredCell"]) -> Iterator[dict[str, Any]]:
    """Return a row for each cell."""
    for result in results:
        record = result.record() | {"trial": result.cell.trial + 1}
        if result.score is None:
            record |= {"train_size": None, "test_size": None}
        else:
            record["example_orders"] = len(result.score.accuracies)
        yield {column: record.get(name) for column, name in CELL_COLUMNS.items()}


def print_dry_run(works: Sequence["PlannedCell | AnsweredCell"], model: "LanguageModel") -> None:
    """Show each cell's first prompt as it would be sent, and the cost of all of them."""
    from llm_pv.tracks.icl.planning import PlannedCell

    about = "" if model.counts_exactly else "about "
    for work in works:
        if not isinstance(work, PlannedCell):
            complain(f"{describe(work.cell)}: {work.reason}")
            continue
        counts = model.count_prompts(work.prompts[0], work.query)
        sent = sum(counts) * len(work.prompts)
        written = work.answers * work.query.max_new_tokens
        written = written if work.query.mode == "generate" else work.answers
        price = model.price(Usage(sent, written))
        cost = "price unknown" if price is None else f"at most ${price:.4g}"
        shown = model.show_prompt(work.prompts[0][0], work.query)
        sys.stdout.write(
            f"=== prompt: {describe(work.cell)}\n{shown}\n"
            f"=== estimate: {work.answers:,} prompts of up to {about}{max(counts):,} tokens, "
            f"{about}{sent:,} in all; {cost}\n\n"
        )
