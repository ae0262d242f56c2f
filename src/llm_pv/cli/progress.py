"""Live progress of a single run, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from llm_pv.erm.attempts import Attempt


class AttemptProgress:
    """Shows attempts as they are verified, and what the search is doing meanwhile."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("proposing", total=None, verified="")
        self._attempts = 0
        self._best = 0.0
        self._tokens = 0
        self._spent: float | None = 0.0

    def attempt(self, attempt: Attempt) -> None:
        """Count one verified attempt."""
        self._attempts += 1
        if attempt.validation is not None:
            self._best = max(self._best, attempt.validation.accuracy)
        proposal = attempt.proposal
        if proposal.usage.total_tokens:
            self._tokens += proposal.usage.total_tokens
            if self._spent is None or proposal.cost_usd is None:
                self._spent = None
            else:
                self._spent += proposal.cost_usd
        self._progress.update(
            self._task,
            description="verifying",
            verified=f"{self._attempts} verified, best validation accuracy {self._best:.1%}"
            + self._spending(),
        )

    def _spending(self) -> str:
        if not self._tokens:
            return ""
        price = "" if self._spent is None else f", ${self._spent:.2f}"
        return f", {self._tokens:,} tokens{price}"

    def search(self, stage: str, tried: int) -> None:
        """Tell how far the built-in search has come."""
        self._progress.update(self._task, description=f"searching: {stage}, {tried:,} tried")


@contextmanager
def attempt_progress() -> Iterator[AttemptProgress]:
    """Show live progress while the block runs, if standard error is a terminal."""
    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[verified]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        yield AttemptProgress(progress)
