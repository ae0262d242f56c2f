"""Live progress of a grid, on standard error."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from llm_pv.erm.attempts import Attempt
from llm_pv.runs.cells import Cell
from llm_pv.tracks.synthesis.run import Observer


class GridProgress(Observer):
    """Shows how many trials are done, the best programs so far, spending and the time left.

    On a terminal a line for the whole and one for every trial under way; elsewhere a line for
    every trial that ended, so that a log tells how far a grid has come.

    Parameters
    ----------
    progress
        The display.
    console
        Where lines go if there is no display; None for nowhere.

    Attributes
    ----------
    resumed_all
        Whether an earlier run had done every trial.
    """

    def __init__(self, progress: Progress, console: Console | None) -> None:
        self._progress = progress
        self._console = console
        self._lock = threading.Lock()
        self._overall: TaskID | None = None
        self._lines: dict[Cell, TaskID] = {}
        self._attempts: dict[Cell, int] = {}
        self._best: dict[Cell, float] = {}
        self._spent: float | None = 0.0
        self._trials = self._done = 0
        self.resumed_all = False

    def planned(self, trials: int, done: int) -> None:
        """Begin with what an earlier run has done."""
        self.resumed_all = done == trials
        self._trials, self._done = trials, done
        self._overall = self._progress.add_task(
            "grid", total=trials, completed=done, detail=self._summary()
        )

    def started(self, cell: Cell) -> None:
        """Give the trial a line."""
        with self._lock:
            self._lines[cell] = self._progress.add_task(
                f"  {describe(cell)}", total=None, detail="data and proposals"
            )

    def attempted(self, cell: Cell, attempt: Attempt) -> None:
        """Count an attempt and what it cost."""
        with self._lock:
            self._attempts[cell] = self._attempts.get(cell, 0) + 1
            proposal = attempt.proposal
            if proposal.usage.total_tokens and proposal.cost_usd is None:
                self._spent = None
            elif self._spent is not None:
                self._spent += proposal.cost_usd or 0.0
            if attempt.validation is not None:
                best = max(self._best.get(cell, 0.0), attempt.validation.accuracy)
                self._best[cell] = best
            detail = f"{self._attempts[cell]} verified, {self._validation(cell)}"
            self._progress.update(self._lines[cell], detail=detail)
            self._tell_overall()

    def ended(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Take the trial's line away, or print it where there is no display."""
        with self._lock:
            self._done += 1
            self._progress.remove_task(self._lines.pop(cell))
            self._tell_overall()
            if self._console is not None:
                what = row["reason"] or (
                    f"{self._attempts.get(cell, 0)} verified, {self._validation(cell)}"
                )
                self._console.print(
                    f"{self._done}/{self._trials} {describe(cell)}: {row['status']}, {what}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )

    def _tell_overall(self) -> None:
        assert self._overall is not None
        self._progress.update(self._overall, completed=self._done, detail=self._summary())

    def _summary(self) -> str:
        parts = [f"{self._done}/{self._trials} done"]
        if self._best:
            perfect = sum(best == 1.0 for best in self._best.values())
            mean = sum(self._best.values()) / len(self._best)
            parts.append(f"best validation {mean:.1%} ({perfect} perfect)")
        parts.append("price unknown" if self._spent is None else f"${self._spent:.2f}")
        return ", ".join(parts)

    def _validation(self, cell: Cell) -> str:
        best = self._best.get(cell)
        return "no program yet" if best is None else f"best validation accuracy {best:.1%}"


class _TimeLeft(TimeRemainingColumn):
    """The time left for the whole grid, nothing for single trials."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task).append(" left")


def describe(cell: Cell) -> str:
    """Return a trial in words.

    Examples
    --------
    >>> describe(Cell("fn_a", 100, "paper", 0))
    'fn_a L=100 trial 1'
    """
    return f"{cell.function} L={cell.length} trial {cell.trial + 1}"


@contextmanager
def grid_progress(*, quiet: bool = False) -> Iterator[GridProgress]:
    """Show live progress while the block runs."""
    console = Console(stderr=True)
    live = console.is_terminal and not quiet
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        _TimeLeft(),
        console=console,
        transient=True,
        disable=not live,
    )
    with progress:
        yield GridProgress(progress, None if live or quiet else console)
