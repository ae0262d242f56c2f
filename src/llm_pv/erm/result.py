"""The result of learning: the selected program, its scores, and the table of candidates."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.data.examples import Classes, Splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.certificate import Certificate
from llm_pv.erm.metrics import ACCURACY, Metric
from llm_pv.erm.scoring import Score
from llm_pv.erm.selection import Selection
from llm_pv.programs.program import Program
from llm_pv.stats import binomial_interval

if TYPE_CHECKING:
    import pandas as pd

    from llm_pv.erm.verified_rivals import VerifiedRival

PICK = ">>>>"
"""The mark of the selected program in a table of candidates."""

UNBALANCED = 1.5
"""The ratio of the largest to the smallest class from which balanced accuracy is shown."""


@dataclass(frozen=True)
class MajorityBaseline:
    """The majority baseline: the constant answer that validation would select.

    The same constant is used for every figure: the one that a program must beat on the validation
    rows is the one shown beside its accuracy.
    """

    label: str
    """The class that is the best constant answer on the validation rows by the run's metric, for
    accuracy their most frequent one; among equals the training rows' more frequent class. Without
    validation rows the training rows' most frequent class."""
    validation_accuracy: float | None
    test_accuracy: float | None
    "Its accuracy; None without rows."
    validation_share: float | None = None
    "Its score of the metric on the validation rows, of which 1 is the best."

    @classmethod
    def of(cls, splits: Splits, metric: Metric = ACCURACY) -> "MajorityBaseline":
        """Return the majority baseline of these splits."""
        train, validation = Counter(splits.train.labels), splits.validation
        known = sorted(train | Counter(validation.labels))
        losses = {
            text: metric.loss([text] * len(validation), validation.labels, validation.weights)
            for text in known
        }
        label = min(known, key=lambda text: (losses[text], -train[text]))

        def accuracy(labels: Sequence[str]) -> float | None:
            return sum(text == label for text in labels) / len(labels) if labels else None

        weights = validation.weights
        share = metric.share(losses[label], sum(weights) if weights else len(validation))
        return cls(
            label,
            accuracy(validation.labels),
            accuracy(splits.test.labels),
            share if len(validation) else None,
        )


@dataclass(frozen=True)
class LearnedProgram:
    """The outcome of learning.

    Parameters
    ----------
    name
        The name of the data.
    proposer
        The proposer of the programs.
    seed
        The seed of all random choices.
    classes
        The classes, as texts and as the user's values.
    selection
        Every attempt, the selected one and its certificate.
    baseline
        The majority class, for comparison.
    test
        The selected program's score on the test rows; None without test rows or program.
    interval
        Exact 95% confidence limits of the test accuracy.
    unbalanced
        Whether the classes are so unequal that balanced accuracy is shown.
    warnings
        Warnings for the user about rows and run, one sentence each.
    learn_seconds, test_seconds
        Wall-clock seconds for proposing and verifying, and for scoring the test rows.
    path, program_path
        The run directory and the program's file; None if nothing was written.
    already_finished
        Whether this was read from a run that had finished before.
    rivals
        Other programs that the rows do not distinguish from the selected one.
    metric
        The metric of selection.
    unseen
        For validation and test rows, if some of their inputs occur in training: the number of
        rows whose input does not, and the selected program's mistakes on them.
    """

    name: str
    proposer: str
    seed: int
    classes: Classes
    selection: Selection
    baseline: MajorityBaseline
    test: Score | None
    interval: tuple[float, float] | None
    unbalanced: bool
    warnings: tuple[str, ...]
    learn_seconds: float
    test_seconds: float
    path: Path | None = None
    program_path: Path | None = None
    already_finished: bool = False
    rivals: tuple["VerifiedRival", ...] = ()
    metric: Metric = ACCURACY
    validation_weight: float = 0.0
    unseen: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def program(self) -> Program | None:
        """The selected program."""
        return self.selection.selected.program if self.selection.selected else None

    @property
    def certificate(self) -> Certificate | None:
        """The selected program's error bound."""
        return self.selection.certificate

    @property
    def verdict(self) -> str:
        """One sentence on whether a rule was found."""
        selected, certificate = self.selection.selected, self.selection.certificate
        if selected is None or selected.validation is None or certificate is None:
            if len(self.selection.attempts) == 1:
                (attempt,) = self.selection.attempts
                if reason := attempt.rejected or attempt.error:
                    return f"no program found: {' '.join(reason.split())}"
            return "no program found: no proposal held a program that runs and answers by its input"
        if self.metric.name != "accuracy" or self.validation_weight:
            loss, rows = selected.validation.loss, selected.validation.rows
            share = self.metric.share(loss, self.validation_weight or rows)
            return _verdict_by_metric(self.metric, share, self.baseline.validation_share or 0.0)
        accuracy, reference = selected.validation.accuracy, self.baseline.validation_accuracy or 0.0
        if accuracy <= reference:
            return (
                f"nothing found that beats a baseline: always answering {self.baseline.label!r} is "
                f"right on {reference:.1%} of the validation rows, the best program on "
                f"{accuracy:.1%}"
            )
        unsure = certificate.error_bound >= 1 - reference
        if selected.proposal.fallback:
            return _verdict_on_fallback(accuracy, reference, unsure=unsure)
        if unsure:
            return (
                f"a program better than any constant answer on the validation rows ({accuracy:.1%} "
                f"against {reference:.1%}), but its bound does not rule out chance"
            )
        refuting = selected.train.errors if selected.train else 0
        found = "an approximate rule was found" if refuting else "a rule was found"
        but = f"; of the training rows it is wrong on {refuting}" if refuting else ""
        return (
            f"{found}: right on {accuracy:.1%} of the validation rows, the best constant "
            f"answer on {reference:.1%}{but}"
        )

    def to_frame(self) -> "pd.DataFrame":
        """Return the candidates, best first, as a table with the pick marked ``>>>>``."""
        import pandas as pd

        return pd.DataFrame(candidate_rows(self.selection))

    def _repr_html_(self) -> str:
        from llm_pv.erm.notebook import result_html

        return result_html(self)

    def record(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        selected = self.selection.selected
        return {
            "name": self.name,
            "proposer": self.proposer,
            "classes": list(self.classes.texts),
            "attempts": len(self.selection.attempts),
            "verdict": self.verdict,
            "program": self.program.source if self.program else None,
            "bits": self.program.bits if self.program else None,
            "train": _score_record(selected.train if selected else None),
            "validation": _score_record(selected.validation if selected else None),
            "test": _score_record(self.test),
            "test_interval": self.interval,
            "baseline": asdict(self.baseline),
            "metric": self.metric.record(),
            "unseen": {
                split: {"rows": rows, "errors": errors}
                for split, (rows, errors) in self.unseen.items()
            },
            "unbalanced": self.unbalanced,
            "certificate": self.certificate.record() if self.certificate else None,
            "certificate_sentence": self.certificate.sentence() if self.certificate else None,
            "certificate_text": self.certificate.text() if self.certificate else None,
            "fallback": bool(selected and selected.proposal.fallback),
            "rivals": [rival.record() for rival in self.rivals],
            "candidates": candidate_rows(self.selection),
            "warnings": list(self.warnings),
            "usage": asdict(self.selection.usage),
            "cost_usd": self.selection.cost_usd,
            "doubtful_tokens": self.selection.possibly_billed.tokens,
            "doubtful_usd": self.selection.possibly_billed.usd,
            "learn_seconds": self.learn_seconds,
            "test_seconds": self.test_seconds,
            "run": str(self.path) if self.path else None,
            "program_file": str(self.program_path) if self.program_path else None,
        }


def _verdict_by_metric(metric: Metric, share: float, reference: float) -> str:
    """Return the scores of a program and of the best constant by a metric other than accuracy."""
    if metric.name == "cost":
        figures = f"a mean cost of {1 - share:.3f} a validation row against {1 - reference:.3f}"
    else:
        name = {"accuracy": "weighted accuracy", "f1": "F1"}.get(metric.name, "balanced accuracy")
        figures = f"{name} {share:.1%} on the validation rows against {reference:.1%}"
    if share <= reference:
        return f"nothing found that beats a baseline: {figures} of the best constant answer"
    return f"a program better than any constant answer: {figures}"


def _verdict_on_fallback(accuracy: float, reference: float, *, unsure: bool) -> str:
    offered = (
        f"a fallback is offered, right on {accuracy:.1%} of the validation rows, the best constant "
        f"answer on {reference:.1%}"
    )
    if unsure:
        return f"nothing found that beats a baseline for sure: no rule was found; {offered}"
    return f"no short rule was found that explains the rows; {offered}"


def candidate_rows(selection: Selection) -> list[dict[str, Any]]:
    """Return the attempts as rows of a table: programs in order of selection, then the rest."""
    chosen = selection.selected.number if selection.selected else 0
    rows = sorted(selection.attempts, key=lambda a: (bool(a.rejected), *a.rank))
    return [_candidate_row(attempt, attempt.number == chosen) for attempt in rows]


def _candidate_row(attempt: Attempt, chosen: bool) -> dict[str, Any]:
    return {
        "pick": PICK if chosen else "",
        "attempt": attempt.number,
        "validation_accuracy": attempt.validation.accuracy if attempt.validation else None,
        "train_accuracy": attempt.train.accuracy if attempt.train else None,
        "bits": attempt.program.bits if attempt.program else None,
        "program": attempt.program.source if attempt.program else None,
        "fallback": attempt.proposal.fallback,
        "proposer": attempt.proposal.proposer,
        "remark": attempt.rejected or attempt.error,
    }


def _score_record(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else asdict(score) | {"accuracy": score.accuracy}


def exact_interval(score: Score) -> tuple[float, float] | None:
    """Return the exact 95% limits of an accuracy, None without rows."""
    return binomial_interval(score.rows - score.errors, score.rows)
