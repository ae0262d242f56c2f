"""Compare predictions with labels, outside the sandbox."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llm_pv.erm.metrics import ACCURACY, Metric


@dataclass(frozen=True)
class Score:
    """The score of a program on some rows.

    Examples
    --------
    >>> score = score_predictions(["1", "0", None, "1"], ["1", "1", "1", "0"])
    >>> score.accuracy, score.errors, score.failed
    (0.25, 3, 1)
    """

    rows: int
    errors: int
    "Rows without the correct label, including those without any."
    failed: int
    "Rows for which the program gave no label of the problem."
    balanced_accuracy: float
    "The mean recall over the classes that occur."
    loss: float = -1.0
    "The value that ranks programs; the number of mistakes unless a metric or weights were given."

    def __post_init__(self) -> None:
        if self.loss < 0:
            object.__setattr__(self, "loss", float(self.errors))

    @property
    def accuracy(self) -> float:
        """The share of rows with the right label; 0 when there are no rows."""
        return (self.rows - self.errors) / self.rows if self.rows else 0.0


def score_predictions(
    predictions: Sequence[str | None],
    labels: Sequence[str],
    *,
    metric: Metric = ACCURACY,
    weights: Sequence[float] | None = None,
) -> Score:
    """Count mistakes; a row without a prediction (None) is one."""
    total = Counter(labels)
    right = Counter(
        label for guess, label in zip(predictions, labels, strict=True) if guess == label
    )
    recalls = [right[label] / count for label, count in total.items()]
    return Score(
        rows=len(labels),
        errors=len(labels) - right.total(),
        failed=sum(guess is None for guess in predictions),
        balanced_accuracy=sum(recalls) / len(recalls) if recalls else 0.0,
        loss=metric.loss(predictions, labels, weights)
        if weights or metric.name != "accuracy"
        else float(len(labels) - right.total()),
    )


def majority_label(labels: Sequence[str]) -> str:
    """Return the most frequent label, the first in sorted order among equals.

    Examples
    --------
    >>> majority_label(["b", "a", "b", "a"])
    'a'
    """
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))
