"""Print results of in-context learning, and write the first version's files."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llm_pv.cli.main import complain
from llm_pv.cli.options import Format
from llm_pv.cli.output import make_table, places, write_json, write_table
from llm_pv.cli.progress import Details, describe
from llm_pv.cli.report import leave_page
from llm_pv.errors import LLMPVError
from llm_pv.models.base import Usage
from llm_pv.report.text import percent, spread
from llm_pv.runs.cells import Cell
from llm_pv.runs.reading import FAILED
from llm_pv.stats import MeanStd

if TYPE_CHECKING:
    from rich.table import Table

    from llm_pv.models.language_model import LanguageModel
    from llm_pv.tracks.icl.planning import PlannedCell
    from llm_pv.tracks.icl.scores import AnsweredCell, CellScore


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
