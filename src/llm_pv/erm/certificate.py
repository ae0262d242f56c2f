"""The error bound of a selected program, and its limits."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llm_pv.errors import ConfigurationError
from llm_pv.stats import binomial_upper_limit

_UNBALANCED = 1.5
"""The ratio of the largest to the smallest class from which the text gives bounds by class."""
_MOST_CLASSES = 8


def error_share(delta: float, planned: int, position: int) -> float:
    """Return the part of ``delta`` that belongs to one program.

    Half of ``delta`` is divided equally among the first ``planned`` programs; program
    ``planned + j`` gets ``delta / (2 j (j + 1))``, which sums to the other half. The shares are
    fixed before the first verification, so they hold whenever the run stops.

    Parameters
    ----------
    delta
        The probability with which the certificate may fail, in (0, 1).
    planned
        The planned number of attempts K.
    position
        The program's number in the order of verification, from 1, identical digests counted once.

    Examples
    --------
    >>> error_share(0.05, planned=5, position=1)
    0.005
    >>> round(error_share(0.05, planned=5, position=7), 6)
    0.004167
    """
    if not 0 < delta < 1:
        raise ConfigurationError(
            f"is {delta}; it is a probability: give one between 0 and 1", "delta"
        )
    if planned < 1 or position < 1:
        raise ConfigurationError(
            f"{planned} planned attempts, position {position}: both start at 1"
        )
    if position <= planned:
        return delta / (2 * planned)
    beyond = position - planned
    return delta / (2 * beyond * (beyond + 1))


def mean_upper_limit(mean: float, units: int, share: float) -> float:
    """Return an upper confidence limit of the mean of quantities between 0 and 1.

    The largest m with ``units * KL(mean, m) <= log(1 / share)``: whatever the quantities'
    distribution, their true mean is above it with probability at most ``share`` (Hoeffding,
    J. Amer. Statist. Assoc. 58, 1963, theorem 1). For a mean of 0 it is the exact binomial limit.

    Parameters
    ----------
    mean
        The mean of the quantities seen.
    units
        How many there are; with none the limit is 1.
    share
        The probability with which the limit may be too low.

    Examples
    --------
    >>> round(mean_upper_limit(0.0, 100, 0.05), 4), round(mean_upper_limit(0.5, 100, 0.05), 4)
    (0.0295, 0.6206)
    """
    if not units or mean >= 1:
        return 1.0
    allowed = math.log(1 / share) / units
    low, high = mean, 1.0
    # The divergence grows with the supposed mean, so halving finds the largest that is allowed; 60
    # halvings reach double precision, and `high`, the side that is safe, is returned.
    for _ in range(60):
        middle = (low + high) / 2
        inside = 0.0 if not mean else mean * math.log(mean / middle)
        divergence = inside + (1 - mean) * math.log((1 - mean) / (1 - middle))
        low, high = (middle, high) if divergence <= allowed else (low, middle)
    return high


def mean_of_groups(wrong: Sequence[bool], groups: Sequence[str]) -> float:
    """Return the mean over groups of the share of a group's rows that are wrong.

    Examples
    --------
    >>> mean_of_groups([True, False, False, False, False], ["a", "a", "b", "b", "b"])
    0.25
    """
    rows, errors = Counter(groups), Counter(g for g, bad in zip(groups, wrong, strict=True) if bad)
    return sum(errors[group] / count for group, count in rows.items()) / max(1, len(rows))


@dataclass(frozen=True)
class ClassErrors:
    """The selected program's mistakes on the validation rows of one class."""

    label: str
    errors: int
    rows: int
    groups: int = 0
    group_error: float = 0.0
    "How many groups have rows of it, and the mean of their shares of mistakes; 0 without groups."

    def bound(self, share: float) -> float:
        """Return the upper limit of the class's error with this share of delta."""
        if self.groups:
            return mean_upper_limit(self.group_error, self.groups, share)
        return binomial_upper_limit(self.errors, self.rows, share)


def count_classes(
    wrong: Sequence[bool], labels: Sequence[str], groups: Sequence[str] | None
) -> tuple[ClassErrors, ...]:
    """Count mistakes by class."""
    found = []
    for label in sorted(set(labels)):
        rows = [row for row, text in enumerate(labels) if text == label]
        bad = [wrong[row] for row in rows]
        own = [groups[row] for row in rows] if groups else []
        mean = mean_of_groups(bad, own) if own else 0.0
        found.append(ClassErrors(label, sum(bad), len(rows), len(set(own)), mean))
    return tuple(found)


@dataclass(frozen=True)
class AnswerCount:
    """How many validation rows with one answer of the program are of one class."""

    answer: str | None
    label: str
    "The program's answer, None if there was none, and the class."
    count: int
    rows: int
    "The rows of the class with that answer, and all rows with it."

    def limits(self, share: float) -> tuple[float, float]:
        """Return the exact confidence limits of the class's share among rows with the answer."""
        # Both sides may fail, each with half; the lower limit is the upper one of the other rows.
        return (
            1 - binomial_upper_limit(self.rows - self.count, self.rows, share / 2),
            binomial_upper_limit(self.count, self.rows, share / 2),
        )


def count_answers(
    predictions: Sequence[str | None], labels: Sequence[str]
) -> tuple[AnswerCount, ...]:
    """Count the classes among the rows with each answer."""
    counts = Counter(zip(predictions, labels, strict=True))
    rows = Counter(predictions)
    answers = sorted(rows, key=lambda answer: (answer is None, answer or ""))
    return tuple(
        AnswerCount(answer, label, counts[answer, label], rows[answer])
        for answer in answers
        for label in sorted(set(labels))
    )


@dataclass(frozen=True)
class Certificate:
    """An upper bound on the selected program's error rate on new inputs.

    Parameters
    ----------
    errors, rows
        Mistakes of the selected program on the validation rows, and their number.
    planned
        The planned number of attempts K, fixed before the first verification.
    verified
        Distinct programs verified when the run ended.
    position
        The selected program's number among them, from 1.
    delta
        The probability with which the bound may fail over repetitions of the whole run.
    repeated
        Rows that were left out because their input occurs in another row.
    groups, group_error
        Groups among the validation rows, and the mean over them of the share of a group's rows
        that are wrong; 0 and None without groups.
    by_time
        Whether training rows are earlier than validation rows.
    metric
        What selected the program.
    classes
        The mistakes by class.
    answers
        The classes among the validation rows with each answer of the program.

    Examples
    --------
    >>> certificate = Certificate(errors=0, rows=100, planned=5, verified=2, position=2)
    >>> round(certificate.error_bound, 3)
    0.052
    """

    errors: int
    rows: int
    planned: int
    verified: int
    position: int
    delta: float = 0.05
    repeated: int = 0
    groups: int = 0
    group_error: float | None = None
    by_time: bool = False
    metric: str = "accuracy"
    classes: tuple[ClassErrors, ...] = ()
    answers: tuple[AnswerCount, ...] = ()

    @property
    def share(self) -> float:
        """The share of ``delta`` for the selected program's bound."""
        return error_share(self.delta, self.planned, self.position)

    @property
    def error_bound(self) -> float:
        """The error rate on new inputs is at most this, with probability ``1 - delta``.

        With groups, the mean over new groups of a group's error rate: rows of one group are not
        independent, so each group counts as one.
        """
        if self.group_error is not None:
            return mean_upper_limit(self.group_error, self.groups, self.share)
        return binomial_upper_limit(self.errors, self.rows, self.share)

    @property
    def class_bounds(self) -> dict[str, float]:
        """The error rate of each class is at most this, all with probability ``1 - delta``."""
        # A union bound: the classes divide what the selected program has of delta.
        share = self.share / max(1, len(self.classes))
        return {found.label: found.bound(share) for found in self.classes}

    @property
    def balanced_bound(self) -> float:
        """One less the balanced accuracy is at most this: the mean of the classes' bounds."""
        bounds = self.class_bounds.values()
        return sum(bounds) / len(bounds) if bounds else 1.0

    @property
    def answer_limits(self) -> dict[tuple[str | None, str], tuple[float, float]]:
        """The limits of each class's share by answer, all with probability ``1 - delta``."""
        share = self.share / max(1, len(self.answers))
        return {(cell.answer, cell.label): cell.limits(share) for cell in self.answers}

    @property
    def gap_term(self) -> float:
        """The term ``2 sqrt(log(4 k / delta) / (2 m))`` of the paper's bound, k programs, m rows.

        Only this term: the bound adds the error rate of the best program the proposer would have
        found, which is unknown. Source: LLM Priors for ERM over Programs, arXiv 2510.14331.
        """
        if not self.rows:
            return math.inf
        programs = max(self.planned, self.verified)
        return 2 * math.sqrt(math.log(4 * programs / self.delta) / (2 * self.rows))

    def sentence(self) -> str:
        """Return the bound in one sentence."""
        mistakes = f"{self.errors} mistake{'' if self.errors == 1 else 's'}"
        count = f"program {self.position} of {self.verified} tried, {self.planned} planned"
        among = f" of {self.groups} groups" if self.groups else ""
        units = (
            "new inputs"
            if self.group_error is None
            else "the rows of new groups, each group counting as one"
        )
        return (
            f"With {1 - self.delta:.0%} confidence this program is wrong on at most "
            f"{self.error_bound:.1%} of {units} ({mistakes} on {self.rows} validation rows{among}; "
            f"{count})."
        )

    def text(self) -> str:
        """Return the bound and its assumptions as text, several sentences."""
        units = "inputs" if self.group_error is None else "groups"
        aside = "" if self.groups else ", and so do rows of one group on both sides of the split"
        sentences = [
            self.sentence(),
            *self._asides(),
            f"This holds for new {units} drawn like the validation "
            f"{'groups' if self.groups else 'rows'}, and for this run alone: running again on the "
            f"same validation rows and keeping the best voids it{aside}.",
            "It says nothing about inputs of another kind: a shortcut that fits the data passes "
            "too.",
            "The gap term of the paper's bound, 2*sqrt(log(4k/delta)/(2m)), is "
            f"{self.gap_term:.3f} here.",
        ]
        return " ".join(sentences)

    def _asides(self) -> list[str]:
        """Return further remarks on the bound."""
        sentences = []
        if self.repeated:
            sentences.append(
                f"Each different input counts once, however common it is ({self.repeated:,} rows "
                "repeated one and were left out)."
            )
        if self.by_time:
            sentences.append(
                "The validation rows are later than the training rows: it holds for as long as new "
                "rows are like those of their time."
            )
        sizes = [found.rows for found in self.classes]
        if self.metric == "accuracy" and not (sizes and max(sizes) >= _UNBALANCED * min(sizes)):
            return sentences
        bounds = self.class_bounds
        listed = ", ".join(
            f"{found.label!r} {bounds[found.label]:.1%} ({found.errors} of {found.rows})"
            for found in self.classes[:_MOST_CLASSES]
        )
        more = ", ..." if len(self.classes) > _MOST_CLASSES else ""
        sentences.append(
            f"By class, with the same confidence for all of them together, at most so many of its "
            f"rows are wrong: {listed}{more}; balanced accuracy is at least "
            f"{1 - self.balanced_bound:.1%}."
        )
        if self.metric == "f1":
            sentences.append(
                "F1 has no bound of its own: it rests on these and on how common each is."
            )
        if self.metric == "cost":
            sentences.append(
                "A row of a class costs at most its bound times its dearest mistake, on average."
            )
        return sentences

    def record(self) -> dict[str, Any]:
        """Return the certificate as plain values for a file."""
        limits = self.answer_limits
        answers = [
            asdict(cell) | dict(zip(("low", "high"), limits[cell.answer, cell.label], strict=True))
            for cell in self.answers
        ]
        return asdict(self) | {
            "error_bound": self.error_bound,
            "gap_term": self.gap_term,
            "class_bounds": self.class_bounds,
            "answers": answers,
        }
