"""Live progress of in-context learning, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from llm_pv.cli.main import complain
from llm_pv.runs.cells import Cell
from llm_pv.tracks.icl.run import Observer
from llm_pv.tracks.icl.scores import CellResult


class AnswerProgress(Observer):
    """Shows how many answers have come, and how many of the cell's were right.

    On a terminal a bar; elsewhere a line for every cell that ended.

    Parameters
    ----------
    progress
        The display.
    console
        Where lines go if there is no display; None for nowhere.
    disclosure
        What is written to standard error before the first prompt is sent.

    Attributes
    ----------
    begun
        Whether the run's directory was opened.
    resumed_all
        Whether an earlier run had had every answer.
    results
        The cells that ended.
    """

    def __init__(self, progress: Progress, console: Console | None, disclosure: str = "") -> None:
        self._progress = progress
        self._console = console
        self._disclosure = disclosure
        self._bar = progress.add_task("", total=None)
        self._right: dict[Cell, int] = {}
        self._count: dict[Cell, int] = {}
        self.begun = False
        self.resumed_all = False
        self.results: list[CellResult] = []

    def planned(self, answers: int, known: int) -> None:
        """Begin with what an earlier run has had."""
        self.begun = True
        self.resumed_all = answers == known
        if self._disclosure and not self.resumed_all:
            complain(self._disclosure)
        self._progress.update(self._bar, total=answers, completed=known)

    def answered(self, cell: Cell, count: int, right: int) -> None:
        """Count answers."""
        self._count[cell] = self._count.get(cell, 0) + count
        self._right[cell] = self._right.get(cell, 0) + right
        self._progress.update(
            self._bar,
            advance=count,
            description=f"{describe(cell)}: {self._right[cell]} of {self._count[cell]} right",
        )

    def ended(self, result: CellResult) -> None:
        """Keep the result, and print it where there is no display."""
        self.results.append(result)
        if self._console is None:
            return
        score = result.score
        what = result.reason if score is None else f"accuracy {score.accuracy:.1%}"
        self._console.print(
            f"{describe(result.cell)}: {result.status}, {what}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def describe(cell: Cell) -> str:
    """Return a cell in words.

    Examples
    --------
    >>> describe(Cell("fn_a", 50, "paper", 0, "likelihood", "hf:m")), describe(Cell("rows"))
    ('fn_a L=50 trial 1 likelihood', 'rows')
    """
    length = f" L={cell.length}" if cell.length != "" else ""
    trial = f" trial {cell.trial + 1}" if cell.sampler else ""
    return f"{cell.function}{length}{trial} {cell.method}".strip()


@contextmanager
def answer_progress(disclosure: str = "", *, quiet: bool = False) -> Iterator[AnswerProgress]:
    """Show live progress while the block runs."""
    console = Console(stderr=True)
    live = console.is_terminal and not quiet
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not live,
    )
    with progress:
        yield AnswerProgress(progress, None if live or quiet else console, disclosure)
