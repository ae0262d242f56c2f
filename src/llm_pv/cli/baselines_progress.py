"""Live progress of a run of baselines, on standard error."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from llm_pv.runs.cells import Cell
from llm_pv.tracks.baselines.run import Observer


class BaselineProgress(Observer):
    """Shows how many fits are done and what is under way.

    On a terminal a line for the whole and one for every baseline under way; elsewhere a line for
    every one that ended.

    Parameters
    ----------
    progress
        The display.
    console
        Where lines go if there is no display; None for nowhere.

    Attributes
    ----------
    resumed_all
        Whether an earlier run had done everything.
    """

    def __init__(self, progress: Progress, console: Console | None) -> None:
        self._progress = progress
        self._console = console
        self._lock = threading.Lock()
        self._overall: TaskID | None = None
        self._lines: dict[Cell, TaskID] = {}
        self._jobs: dict[Cell, int] = {}
        self._total = self._done = 0
        self.resumed_all = False

    def planned(self, fits: int, done: int) -> None:
        """Begin with what an earlier run has done, or what cannot be."""
        self.resumed_all = fits == done
        self._total, self._done = fits, done
        self._overall = self._progress.add_task("baselines", total=fits, completed=done, detail="")
        self._tell_overall()

    def started(self, cell: Cell) -> None:
        """Give the baseline a line."""
        with self._lock:
            self._lines[cell] = self._progress.add_task(
                f"  {describe(cell)}", total=None, detail="data and search"
            )

    def tried(self, cell: Cell, jobs: int) -> None:
        """Count what its search has done."""
        with self._lock:
            self._jobs[cell] = self._jobs.get(cell, 0) + jobs
            self._progress.update(self._lines[cell], detail=f"{self._jobs[cell]} searches done")

    def ended(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Take the line away, or print it where there is no display."""
        with self._lock:
            self._done += 1
            self._progress.remove_task(self._lines.pop(cell))
            self._tell_overall()
            if self._console is not None:
                what = (
                    row["reason"] or f"validation accuracy {float(row['validation_accuracy']):.1%}"
                )
                self._console.print(
                    f"{self._done}/{self._total} {describe(cell)}: {row['status']}, {what}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )

    def _tell_overall(self) -> None:
        assert self._overall is not None
        detail = f"{self._done}/{self._total} done"
        self._progress.update(self._overall, completed=self._done, detail=detail)


def describe(cell: Cell) -> str:
    """Return a baseline on a data set in words.

    Examples
    --------
    >>> describe(Cell("fn_a", 50, "paper", 0, "svm", "svm"))
    'fn_a L=50 trial 1 svm'
    """
    length = f" L={cell.length}" if cell.length != "" else ""
    return f"{cell.function}{length} trial {cell.trial + 1} {cell.model}"


@contextmanager
def baseline_progress() -> Iterator[BaselineProgress]:
    """Show live progress while the block runs."""
    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        yield BaselineProgress(progress, None if console.is_terminal else console)
