"""Scores of the answers of one cell."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean
from typing import Any

from llm_pv.data.examples import Examples
from llm_pv.erm.scoring import majority_label, score_predictions
from llm_pv.models.base import total_cost
from llm_pv.runs.cells import Cell
from llm_pv.runs.journal import Record
from llm_pv.stats import MeanStd, binomial_interval


@dataclass(frozen=True)
class CellScore:
    """How often a model's answers were right."""

    accuracy: float
    """The share of right answers, averaged over the orders of the examples; an answer without a
    label is wrong."""
    low: float
    high: float
    "Its exact binomial (Clopper-Pearson) interval over the test rows, at 95%."
    accuracies: tuple[float, ...]
    deviation: float | None
    "Their standard deviation with ``ddof=1``; None for one order."
    balanced_accuracy: float
    "The mean share recognised of each class."
    majority_accuracy: float
    "The accuracy of always answering the training rows' most frequent label."
    unparsable_share: float
    cut_share: float
    "The share of answers without a label, and of those cut off at their limit."
    seconds: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    "Tokens read, written, and read from a cache of what prompts share."
    cost_usd: float | None
    "The price, None where it is not known."

    def record(self) -> dict[str, Any]:
        """Return the score as plain JSON values."""
        return asdict(self) | {"accuracies": list(self.accuracies)}


@dataclass(frozen=True)
class AnsweredCell:
    """The result of one cell."""

    cell: Cell
    name: str
    status: str
    reason: str
    "How it ended, and why if it was not done."
    score: CellScore | None = None
    "How its answers did; None if it was not done."
    train_size: int = 0
    test_size: int = 0
    others: Mapping[int, CellScore] = field(default_factory=dict)
    "How the answers to inputs of other lengths did, by length."

    def record(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            **self.cell.record(),
            "name": self.name,
            "status": self.status,
            "reason": self.reason,
            "train_size": self.train_size,
            "test_size": self.test_size,
            **(self.score.record() if self.score else {}),
            "other_lengths": {
                str(length): {name: getattr(score, name) for name in ("accuracy", "low", "high")}
                for length, score in self.others.items()
            },
        }


def score_cell(
    records: Sequence[Record], train: Examples, test: Examples, first: int = 0
) -> CellScore:
    """Score the answers to every test row in every order.

    Parameters
    ----------
    records
        One for each order and example: ``order``, ``example``, ``predicted``, ``finish``, tokens,
        seconds and cost. Tokens and cost are those of all of them.
    first
        The ``example`` of the first of these test rows.
    """
    everything, rows = records, range(first, first + len(test))
    records = [record for record in everything if record["example"] in rows]
    by_order: dict[int, dict[int, str | None]] = {}
    for record in records:
        by_order.setdefault(record["order"], {})[record["example"]] = record["predicted"]
    scores = [
        score_predictions([found[row] for row in rows], test.labels)
        for _, found in sorted(by_order.items())
    ]
    accuracies = tuple(score.accuracy for score in scores)
    over_orders = MeanStd.of(accuracies)
    assert over_orders is not None
    accuracy = over_orders.mean
    low, high = binomial_interval(accuracy * len(test), len(test)) or (0.0, 1.0)
    majority = majority_label(train.labels)
    return CellScore(
        accuracy,
        low,
        high,
        accuracies,
        over_orders.deviation,
        balanced_accuracy=mean(score.balanced_accuracy for score in scores),
        majority_accuracy=sum(label == majority for label in test.labels) / len(test),
        unparsable_share=sum(record["predicted"] is None for record in records) / len(records),
        cut_share=sum(record["finish"] == "length" for record in records) / len(records),
        seconds=sum(record["seconds"] for record in records),
        input_tokens=sum(record["input_tokens"] for record in everything),
        output_tokens=sum(record["output_tokens"] for record in everything),
        cached_tokens=sum(record["cached_tokens"] for record in everything),
        cost_usd=total_cost(record["cost_usd"] for record in everything),
    )
