"""What the loop is given and what it returns: the plan and the selection."""

from dataclasses import dataclass

from llm_pv.erm.attempts import Attempt
from llm_pv.erm.certificate import Certificate
from llm_pv.erm.metrics import ACCURACY, Metric
from llm_pv.errors import ConfigurationError
from llm_pv.models.base import NO_USAGE, Usage
from llm_pv.proposers.spending import NOTHING, Amount


@dataclass(frozen=True)
class Plan:
    """What is fixed before the first verification.

    Parameters
    ----------
    attempts
        The planned number of attempts K.
    delta
        The probability with which the certificate may fail.
    early_stop
        Whether to stop at the first program without a validation error.
    metric
        What selects among programs.
    stop_at
        Stop, too, at the first program with this figure of the metric on the validation rows.
    planned
        K of the certificate where more attempts than first planned are made; 0 for `attempts`.
    """

    attempts: int
    delta: float = 0.05
    early_stop: bool = True
    metric: Metric = ACCURACY
    stop_at: float = 1.0
    planned: int = 0

    @property
    def first_planned(self) -> int:
        """The number of attempts K that was planned before the first verification."""
        return self.planned or self.attempts

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigurationError(f"attempts is {self.attempts}; at least 1 is needed")
        if not 0 < self.delta < 1:
            raise ConfigurationError(f"delta is {self.delta}; give a probability between 0 and 1")
        if not 0 < self.stop_at <= 1:
            raise ConfigurationError(f"stop_at is {self.stop_at}; give a share above 0, up to 1")


@dataclass(frozen=True)
class Selection:
    """The result of the loop.

    Parameters
    ----------
    attempts
        Every attempt in order, those barred from selection marked.
    selected
        The attempt with the fewest validation errors, ties to the shorter program, then to the
        earlier; None if no attempt gave a program that may be selected.
    certificate
        The selected program's bound, None with ``selected``.
    unanswered
        Why attempts gave no reply: a failed call, a budget that was used up.
    warnings
        Warnings of the proposer for the user.
    usage, cost_usd
        Tokens and price of all answers of models, those without a reply included; the cost is None
        where a price is not known.
    doubtful
        The most that calls without an answer may be charged besides: they broke off, ran out of
        time, or were under way when an earlier part of the run was killed.
    predictions
        What the selected program answers on the validation rows; empty without one.
    """

    attempts: tuple[Attempt, ...]
    selected: Attempt | None
    certificate: Certificate | None
    unanswered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usage: Usage = NO_USAGE
    cost_usd: float | None = 0.0
    doubtful: Amount = NOTHING
    predictions: tuple[str | None, ...] = ()
