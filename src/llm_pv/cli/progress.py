"""Live progress on standard error: of a learning run, the cells of a run, a training job."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
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
from llm_pv.runs.runner import Observer

if TYPE_CHECKING:
    from llm_pv.tracks.finetune.measures import TrainingObserver


class Details:
    """The details shown beside cells; a track overrides the methods for its own.

    Parameters
    ----------
    beginning
        What is shown of a cell before its first event.
    """

    def __init__(self, beginning: str = "") -> None:
        self.beginning = beginning

    def of_plan(self, cells: int, done: int) -> str:  # noqa: ARG002
        """Return a line to be printed before the first cell, empty for none."""
        return ""

    def of_event(self, cell: Cell, event: object) -> str:  # noqa: ARG002
        """Return what is shown of a cell after an event, empty to leave it as it is."""
        return ""

    def of_end(self, cell: Cell, row: Mapping[str, str]) -> str:  # noqa: ARG002
        """Return what is shown of a cell that has ended well."""
        return f"accuracy {float(row['accuracy']):.1%}" if row.get("accuracy") else ""

    def of_run(self) -> str:
        """Return what is shown of the run as a whole, empty for nothing."""
        return ""


class AttemptDetails(Details):
    """Verified attempts, the best validation accuracy and the money spent."""

    def __init__(self) -> None:
        super().__init__("data and proposals")
        self._attempts: dict[Cell, int] = {}
        self._best: dict[Cell, float] = {}
        self._spent: float | None = 0.0

    def of_event(self, cell: Cell, event: object) -> str:
        """Count an attempt and its cost."""
        if not isinstance(event, Attempt):
            return ""
        self._attempts[cell] = self._attempts.get(cell, 0) + 1
        proposal = event.proposal
        if proposal.usage.total_tokens and proposal.cost_usd is None:
            self._spent = None
        elif self._spent is not None:
            self._spent += proposal.cost_usd or 0.0
        if event.validation is not None:
            self._best[cell] = max(self._best.get(cell, 0.0), event.validation.accuracy)
        return self._of(cell)

    def of_end(self, cell: Cell, row: Mapping[str, str]) -> str:  # noqa: ARG002
        """Return how many attempts there were, and how good the best is."""
        return self._of(cell)

    def of_run(self) -> str:
        """Return the mean of the best programs and the money spent."""
        spent = "price unknown" if self._spent is None else f"${self._spent:.2f}"
        if not self._best:
            return spent
        perfect = sum(best == 1.0 for best in self._best.values())
        mean = sum(self._best.values()) / len(self._best)
        return f"best validation {mean:.1%} ({perfect} perfect), {spent}"

    def _of(self, cell: Cell) -> str:
        best = self._best.get(cell)
        shown = "no program yet" if best is None else f"best validation accuracy {best:.1%}"
        return f"{self._attempts.get(cell, 0)} verified, {shown}"


class CellProgress(Observer):
    """Shows how many cells of a run are done, and the state of the running ones.

    On a terminal, one line for the run and one for every running cell; otherwise one line for
    every finished cell, so that a log shows the progress.

    Parameters
    ----------
    progress
        The display.
    console
        Where lines go if there is no display; None for nowhere.
    details
        What is shown of cells.

    Attributes
    ----------
    begun
        Whether the run's directory was opened.
    resumed_all
        Whether an earlier run had done every cell.
    """

    def __init__(self, progress: Progress, console: Console | None, details: Details) -> None:
        self._progress = progress
        self._console = console
        self._details = details
        self._lock = threading.Lock()
        self._overall: TaskID | None = None
        self._lines: dict[Cell, TaskID] = {}
        self._cells = self._done = 0
        self.begun = self.resumed_all = False

    @property
    def under_way(self) -> set[Cell]:
        """The cells that have begun and not ended."""
        return set(self._lines)

    def on_plan(self, cells: int, done: int) -> None:
        """Start with the cells that are finished or skipped."""
        self.begun, self.resumed_all = True, cells == done
        self._cells, self._done = cells, done
        self._overall = self._progress.add_task("run", total=cells, completed=done, detail="")
        self._update_overall()
        if line := self._details.of_plan(cells, done):
            self._progress.console.print(line, highlight=False)

    def on_start(self, cell: Cell) -> None:
        """Give the cell a line."""
        with self._lock:
            self._lines[cell] = self._progress.add_task(
                f"  {describe(cell)}", total=None, detail=self._details.beginning
            )

    def on_event(self, cell: Cell, event: object) -> None:
        """Update the cell's line."""
        with self._lock:
            if detail := self._details.of_event(cell, event):
                self._progress.update(self._lines[cell], detail=detail)
                self._update_overall()

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Remove the cell's line, or print it where there is no display."""
        with self._lock:
            self._done += 1
            self._progress.remove_task(self._lines.pop(cell))
            self._update_overall()
            if self._console is not None:
                place = f"{self._done}/{self._cells} {describe(cell)}"
                what = row["reason"] or self._details.of_end(cell, row)
                _print(self._console, f"{place}: {row['status']}, {what}")

    def _update_overall(self) -> None:
        assert self._overall is not None
        parts = [f"{self._done}/{self._cells} done", self._details.of_run()]
        detail = ", ".join(filter(None, parts))
        self._progress.update(self._overall, completed=self._done, detail=detail)


class LearnProgress:
    """Shows the attempts of one learning run, and the stage of its search."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("proposing", total=None, detail="")
        self._details = AttemptDetails()
        self._tokens = 0
        self._spent: float | None = 0.0

    def attempt(self, attempt: Attempt) -> None:
        """Count one verified attempt."""
        proposal = attempt.proposal
        if proposal.usage.total_tokens:
            self._tokens += proposal.usage.total_tokens
            if self._spent is None or proposal.cost_usd is None:
                self._spent = None
            else:
                self._spent += proposal.cost_usd
        detail = self._details.of_event(Cell("learn"), attempt) + self._spending()
        self._progress.update(self._task, description="verifying", detail=detail)

    def search(self, stage: str, tried: int) -> None:
        """Show the progress of the built-in search."""
        self._progress.update(self._task, description=f"searching: {stage}, {tried:,} tried")

    def _spending(self) -> str:
        if not self._tokens:
            return ""
        price = "" if self._spent is None else f", ${self._spent:.2f}"
        return f", {self._tokens:,} tokens{price}"


def describe(cell: Cell) -> str:
    """Return a cell in words.

    Examples
    --------
    >>> describe(Cell("fn_a", 50, "paper", 0, "likelihood", "hf:m")), describe(Cell("rows"))
    ('fn_a L=50 trial 1 likelihood', 'rows')
    """
    length = f" L={cell.length}" if cell.length != "" else ""
    trial = f" trial {cell.trial + 1}" if cell.sampler or cell.trial else ""
    return f"{cell.function}{length}{trial} {cell.method}".strip()


@contextmanager
def cell_progress(details: Details, *, quiet: bool = False) -> Iterator[CellProgress]:
    """Show the cells of a run while the block runs."""
    console = Console(stderr=True)
    live = console.is_terminal and not quiet
    with _display(console, _DETAIL, _TimeLeft(), live=live) as progress:
        yield CellProgress(progress, None if live or quiet else console, details)


@contextmanager
def learn_progress() -> Iterator[LearnProgress]:
    """Show a learning run while the block runs, if standard error is a terminal."""
    console = Console(stderr=True)
    with _display(console, _DETAIL, live=console.is_terminal) as progress:
        yield LearnProgress(progress)


@contextmanager
def training_progress(*, quiet: bool = False) -> Iterator["TrainingObserver"]:
    """Show a training job while the block runs: its steps on a terminal, and every line it logs."""
    from llm_pv.tracks.finetune.measures import TrainingObserver

    console = Console(stderr=True, quiet=quiet)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())

    class Shown(TrainingObserver):
        def on_start(self, name: str, steps: int, done: int) -> None:
            progress.add_task(name, total=steps, completed=done)

        def on_step(self, step: int) -> None:
            for task in progress.task_ids:
                progress.update(task, completed=step)

        def on_line(self, line: str) -> None:
            _print(console, line)

    with _display(console, *columns, live=console.is_terminal and not quiet) as progress:
        yield Shown()


class _TimeLeft(TimeRemainingColumn):
    """The time left for the whole run, nothing for single cells."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task).append(" left")


_DETAIL = TextColumn("{task.fields[detail]}")


def _display(console: Console, *columns: ProgressColumn, live: bool) -> Progress:
    """Return the progress display of all commands: description, progress, time."""
    what = TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False)
    shown = (SpinnerColumn(), what, *columns, TimeElapsedColumn())
    return Progress(*shown, console=console, transient=True, disable=not live)


def _print(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
