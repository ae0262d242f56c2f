"""Live progress on standard error: of a learning run, the cells of a run, a training job."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

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

from llm_pv.cli.main import complain, resumable
from llm_pv.cli.options import DEFAULT_OUTPUT_OPTIONS, OutputOptions
from llm_pv.erm.attempts import Attempt
from llm_pv.programs.shown import visible
from llm_pv.report.live_page import LivePage, RunView
from llm_pv.report.text import percent
from llm_pv.report.trackers import tracking
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.base import CellReassigned
from llm_pv.runs.runner import Observer

_MOST_SHOWN = 100


class Details:
    """The details shown beside cells; a track overrides the methods for its own."""

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
        return f"accuracy {percent(float(row['accuracy']), '%')}" if row.get("accuracy") else ""

    def best(self) -> str:
        """Return the best so far, or how good the run is as a whole; empty for nothing."""
        return ""

    def spent(self) -> str:
        """Return the money spent, empty for none."""
        return ""


class AttemptDetails(Details):
    """Verified attempts, the best validation accuracy and the money spent."""

    def __init__(self) -> None:
        super().__init__("data and proposals")
        self._attempts: dict[Cell, int] = {}
        self._best: dict[Cell, float] = {}
        self._tokens = 0
        self._cost: float | None = 0.0

    def of_event(self, cell: Cell, event: object) -> str:
        """Count an attempt and its cost."""
        if not isinstance(event, Attempt):
            return ""
        self._attempts[cell] = self._attempts.get(cell, 0) + 1
        proposal = event.proposal
        self._tokens += proposal.usage.total_tokens
        if proposal.usage.total_tokens and proposal.cost_usd is None:
            self._cost = None
        elif self._cost is not None:
            self._cost += proposal.cost_usd or 0.0
        if event.validation is not None:
            self._best[cell] = max(self._best.get(cell, 0.0), event.validation.accuracy)
        return self._of(cell)

    def of_end(self, cell: Cell, row: Mapping[str, str]) -> str:  # noqa: ARG002
        """Return how many attempts there were, and how good the best is."""
        return self._of(cell)

    def best(self) -> str:
        """Return the accuracy of the best program, of several cells the mean."""
        if not self._best:
            return ""
        count = len(self._best)
        mean = percent(sum(self._best.values()) / count, "%")
        perfect = sum(best == 1.0 for best in self._best.values())
        if count == 1:
            return f"best validation {mean}"
        return f"validation {mean} on average, {perfect} of {count} perfect"

    def spent(self) -> str:
        """Return the tokens and the money spent."""
        if not self._tokens and self._cost == 0:
            return ""
        price = "price unknown" if self._cost is None else f"${self._cost:.2f}"
        return f"{self._tokens:,} tokens, {price}"

    def _of(self, cell: Cell) -> str:
        best = self._best.get(cell)
        good = f"best validation accuracy {percent(best, '%')}" if best is not None else ""
        return f"{self._attempts.get(cell, 0)} tried, {good or 'no program yet'}"


class CellProgress(Observer):
    """Shows how many cells of a run are done, and the state of the running ones.

    On a terminal, one line for the run and one for every running cell; otherwise one line for
    every finished cell, so that a log shows the progress.

    Parameters
    ----------
    console
        Where lines go if there is no display; None for nowhere.

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
        self._ended: deque[tuple[str, str, str]] = deque(maxlen=_MOST_SHOWN)
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
            what = row["reason"] or self._details.of_end(cell, row)
            self._ended.appendleft((describe(cell), row["status"], what))
            if self._console is not None:
                place = f"{self._done}/{self._cells} {describe(cell)}"
                _print(self._console, f"{place}: {row['status']}, {what}")

    def view(self) -> RunView:
        """Return what a page shows of the run at this moment."""
        with self._lock:
            shown = {task.id: task.fields["detail"] for task in self._progress.tasks}
            running = [
                (describe(cell), "running", shown[line]) for cell, line in self._lines.items()
            ]
            return RunView(
                state=f"{self._done} of {self._cells} done",
                best=self._details.best() or "Nothing yet",
                spent=self._details.spent(),
                columns=("what", "state", "so far"),
                rows=[*reversed(running), *self._ended],
            )

    def _update_overall(self) -> None:
        assert self._overall is not None
        parts = [f"{self._done}/{self._cells} done", self._details.best(), self._details.spent()]
        detail = ", ".join(filter(None, parts))
        self._progress.update(self._overall, completed=self._done, detail=detail)


class LearnProgress:
    """Shows the attempts of one learning run, and the stage of its search."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("proposing", total=None, detail="")
        self._details = AttemptDetails()
        self._lock = threading.Lock()
        self._state, self._detail = "proposing", ""
        self._latest: deque[Attempt] = deque(maxlen=_MOST_SHOWN)

    def attempt(self, attempt: Attempt) -> None:
        """Count one verified attempt."""
        with self._lock:
            detail = self._details.of_event(Cell("learn"), attempt)
            self._latest.appendleft(attempt)
            self._detail = ", ".join(filter(None, (detail, self._details.spent())))
            self._show("verifying")

    def search(self, stage: str, tried: int) -> None:
        """Show the progress of the built-in search; few of its candidates become attempts."""
        self._show(f"searching: {stage.replace('_', ' ')}, {tried:,} compared")

    def view(self) -> RunView:
        """Return what a page shows of the run at this moment."""
        with self._lock:
            return RunView(
                state=self._state,
                best=self._details.best() or "No program yet",
                spent=self._details.spent(),
                columns=("attempt", "validation %", "train %", "program"),
                rows=[_line(attempt) for attempt in self._latest],
            )

    def _show(self, state: str) -> None:
        self._state = state
        self._progress.update(self._task, description=state, detail=self._detail)


def _line(attempt: Attempt) -> list[str]:
    """Return an attempt as a row of the page."""
    from llm_pv.report.trial_entries import program_summary

    shown = program_summary(attempt.program.source) if attempt.program else attempt.error
    scores = (attempt.validation, attempt.train)
    right = [percent(score.accuracy if score else None) for score in scores]
    return [str(attempt.number), *right, visible(shown, 200)]


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
def cell_progress(
    details: Details, *, quiet: bool = False, watch: bool = False
) -> Iterator[CellProgress]:
    """Show the cells of a run while the block runs, on a page too if it is watched."""
    console = Console(stderr=True)
    live = console.is_terminal and not quiet
    with _display(console, _DETAIL, _TimeLeft(), live=live) as progress:
        shown = CellProgress(progress, None if live or quiet else console, details)
        with _live_page(shown.view, wanted=watch):
            yield shown


@contextmanager
def run_progress(
    details: Details,
    out: Path,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    *,
    again: str = "",
    quiet: bool = False,
) -> Iterator[tuple[CellProgress, Observer]]:
    """Show the cells of a resumable run while the block runs, and track their figures.

    Parameters
    ----------
    output
        Whether there is a page, and a tracker.
    again
        How an interrupted run continues; default by the same command.
    """
    is_resumed = out.is_dir() and any(out.iterdir())
    with (
        resumable(again or f"the same command with --out {out} continues from here"),
        cell_progress(details, quiet=quiet, watch=output.watch) as progress,
        tracking(output.track, out, complain, progress) as observer,
    ):
        yield progress, observer
    if is_resumed and progress.resumed_all:
        complain(f"{out} is a finished run; this is its result, give another --out to run anew")


@contextmanager
def learn_progress(*, watch: bool = False) -> Iterator[LearnProgress]:
    """Show a learning run while the block runs, on a terminal and, if it is watched, a page."""
    console = Console(stderr=True)
    with _display(console, _DETAIL, live=console.is_terminal) as progress:
        shown = LearnProgress(progress)
        with _live_page(shown.view, wanted=watch):
            yield shown


@contextmanager
def training_progress(*, quiet: bool = False) -> Iterator[Observer]:
    """Show a training job while the block runs: its steps on a terminal, and every line it logs."""
    from llm_pv.tracks.finetune.measures import LogLine, StepDone, TrainingBegun

    console = Console(stderr=True, quiet=quiet)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())

    class Shown(Observer):
        def on_event(self, cell: Cell, event: object) -> None:  # noqa: ARG002
            match event:
                case TrainingBegun(name=name, steps=steps, done=done):
                    progress.add_task(name, total=steps, completed=done)
                case StepDone(step=step):
                    for task in progress.task_ids:
                        progress.update(task, completed=step)
                case LogLine(text=line):
                    _print(console, line)
                case CellReassigned():
                    _print(console, "the machine was lost; the job restarts on another one")

    with _display(console, *columns, live=console.is_terminal and not quiet) as progress:
        yield Shown()


@contextmanager
def _live_page(view: Callable[[], RunView], *, wanted: bool) -> Iterator[None]:
    """Serve the page of a run while the block runs, if it is wanted."""
    if not wanted:
        yield
        return
    with LivePage(view) as live:
        complain(f"this run can be watched at {live.url}")
        yield


class _TimeLeft(TimeRemainingColumn):
    """The time left for the whole run, nothing for single cells."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task).append(" left")


_DETAIL = TextColumn("{task.fields[detail]}")


def _display(console: Console, *columns: ProgressColumn, live: bool) -> Progress:
    """Return the progress display of all commands: description, progress, time."""
    # A long description is cut, not the time beside it.
    column = Column(no_wrap=True, max_width=max(20, console.width - 12))
    what = TextColumn("{task.description}", table_column=column, markup=False)
    shown = (SpinnerColumn(), what, *columns, TimeElapsedColumn())
    return Progress(*shown, console=console, transient=True, disable=not live)


def _print(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
