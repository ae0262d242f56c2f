"""Live progress of a training job, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from llm_pv.tracks.finetune.measures import Observer


class TrainingProgress(Observer):
    """Shows the steps done and the time left on a terminal, and every line the job tells.

    Parameters
    ----------
    progress
        The display.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._steps: TaskID | None = None

    def started(self, name: str, steps: int, done: int) -> None:
        """Begin with what an earlier run has done."""
        self._steps = self._progress.add_task(name, total=steps, completed=done)

    def stepped(self, step: int) -> None:
        """Show that a step was made."""
        if self._steps is not None:
            self._progress.update(self._steps, completed=step)

    def told(self, line: str) -> None:
        """Print the line."""
        self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def training_progress(*, quiet: bool = False) -> Iterator[TrainingProgress]:
    """Show live progress while the block runs."""
    console = Console(stderr=True, quiet=quiet)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    with progress:
        yield TrainingProgress(progress)
