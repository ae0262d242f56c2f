"""The arguments and the result of the loop: the plan and the selection."""

from dataclasses import dataclass

from llm_pv.erm.attempts import Attempt
from llm_pv.erm.certificate import Certificate
from llm_pv.erm.metrics import ACCURACY, Metric
from llm_pv.errors import ConfigurationError
from llm_pv.models.base import NO_USAGE, Usage
from llm_pv.proposers.spending import NOTHING, Amount


@dataclass(frozen=True)
class Plan:
    """The settings that are fixed before the first verification."""

    attempts: int
    "The planned number of attempts K."
    delta: float = 0.05
    "The probability with which the certificate may fail."
    early_stop: bool = True
    "Whether to stop at the first program without a validation error."
    metric: Metric = ACCURACY
    stop_at: float = 1.0
    "Also stop at the first program with this score of the metric on the validation rows."
    planned: int = 0
    "K of the certificate if more attempts than first planned are made; 0 for `attempts`."
    seconds: float | None = None
    """The cap on the time of reading and verifying programs, to which waiting for proposals does
    not count; None for none."""

    @property
    def first_planned(self) -> int:
        """The number of attempts K that was planned before the first verification."""
        return self.planned or self.attempts

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigurationError(f"is {self.attempts}; at least 1 is needed", "attempts")
        if not 0 < self.delta < 1:
            raise ConfigurationError(
                f"is {self.delta}; give a probability between 0 and 1", "delta"
            )
        if not 0 < self.stop_at <= 1:
            raise ConfigurationError(f"is {self.stop_at}; give a share above 0, up to 1", "stop_at")


@dataclass(frozen=True)
class Selection:
    """The result of the loop."""

    attempts: tuple[Attempt, ...]
    "Every attempt in order; those excluded from selection are marked."
    selected: Attempt | None
    """The attempt with the fewest validation errors, ties to the shorter program, then to the
    earlier; None if no attempt gave a program that may be selected."""
    certificate: Certificate | None
    "The selected program's bound, None with ``selected``."
    unanswered: tuple[str, ...] = ()
    "Why attempts gave no reply: a failed call, a budget that was used up."
    warnings: tuple[str, ...] = ()
    "Warnings of the proposer for the user."
    usage: Usage = NO_USAGE
    cost_usd: float | None = 0.0
    """Tokens and price of all answers of models, including those without a reply; the cost is None
    if a price is unknown."""
    possibly_billed: Amount = NOTHING
    """The most that calls without an answer may cost in addition: they broke off, timed out, or
    were running when an earlier part of the run was killed."""
    predictions: tuple[str | None, ...] = ()
    "The selected program's predictions on the validation rows; empty without one."
    unverified: bool = False
    "Whether the plan's seconds were over before every attempt was made."

    @property
    def cut_short(self) -> bool:
        """Whether a cap on time or memory ended the search or the verification of its programs."""
        return self.unverified or any(attempt.proposal.capped for attempt in self.attempts)
