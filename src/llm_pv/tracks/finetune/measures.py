"""Measurements made while a model is trained."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingBegun:
    """The event that a job begins."""

    name: str
    "What is trained on."
    steps: int
    done: int
    "The steps of the job, and those that an earlier run did."


@dataclass(frozen=True)
class StepDone:
    """The event that a step of training is finished."""

    step: int


@dataclass(frozen=True)
class LogLine:
    """The event that a line was added to the job's log."""

    text: str


@dataclass(frozen=True)
class TrainingEvaluation:
    """One evaluation."""

    epoch: int
    step: int
    loss: float | None
    "The mean training loss since the one before."
    train_loss: float | None
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float
    "Of the model as it stood, on all rows; of fresh rows, on those of the last epoch."
    seconds: float
    "Seconds of training until then, evaluations left out."
    test_seconds: float

    def text(self, epochs: int) -> str:
        """Return the evaluation as a line."""
        loss = "" if self.loss is None else f"loss {self.loss:.4f}, "
        return (
            f"epoch {self.epoch}/{epochs}: {loss}train accuracy {self.train_accuracy:.1%}, "
            f"test accuracy {self.test_accuracy:.1%}, {self.seconds:.1f} s of training"
        )


@dataclass
class Measures:
    """Everything measured so far; saved with every checkpoint and restored from it."""

    evaluations: list[TrainingEvaluation] = field(default_factory=list)
    seconds: float = 0.0
    "Seconds of training, evaluations left out, over all runs of the job."
    losses: tuple[float, int] = (0.0, 0)
    "The sum of the losses since the last evaluation, and of how many steps."
    _since: float | None = None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Measures":
        """Read back what `record` wrote."""
        evaluations = [TrainingEvaluation(**entry) for entry in record["evaluations"]]
        total, steps = record.get("losses", (0.0, 0))
        return cls(evaluations, record["seconds"], (total, steps))

    def record(self) -> dict[str, Any]:
        """Return the measures as plain JSON values."""
        return {
            "evaluations": [asdict(entry) for entry in self.evaluations],
            "seconds": self.elapsed(),
            "losses": list(self.losses),
        }

    def start(self) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds, self._since = self.elapsed(), None

    def elapsed(self) -> float:
        """Return the seconds of training so far."""
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return self.seconds + running

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for as long as the block takes."""
        was_running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if was_running:
                self.start()

    def seconds_to_fit(self) -> float | None:
        """Return the seconds of training until all training rows were right, None if never."""
        fitted = (entry.seconds for entry in self.evaluations if entry.train_accuracy == 1.0)
        return next(fitted, None)


def finite(value: float | None) -> float | None:
    """Return a number JSON can hold: None for what is not finite.

    Examples
    --------
    >>> finite(0.5), finite(float("nan"))
    (0.5, None)
    """
    return value if value is not None and math.isfinite(value) else None
