"""What asking a model may cost, told before it is asked."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from math import ceil
from typing import TYPE_CHECKING

from llm_pv.models.base import Usage

if TYPE_CHECKING:
    from llm_pv.models.base import Preview
    from llm_pv.proposers.llm import LLM
    from llm_pv.proposers.spending import Amount

LIKELY_WRITTEN = 1_000
"""Tokens of a reply of middling length."""
LIKELY_SHOWN = 300
"""Tokens of a middling output of the tool."""
ASSUMED = (
    f'"about" assumes {LIKELY_WRITTEN:,} tokens written a call, half of the tool calls used and '
    f"{LIKELY_SHOWN} tokens shown by each; it was not measured"
)


@dataclass(frozen=True)
class Estimate:
    """US dollars; None where the price of the model is not known.

    Attributes
    ----------
    first_calls
        The most that the first calls come to, each as long as it may be.
    likely
        What all calls come to if half the tool calls are used, each call writes `LIKELY_WRITTEN`
        tokens and the tool shows `LIKELY_SHOWN`. An assumption, not a measurement.
    most
        The most that all calls come to: every tool call used, everything as long as it may be.

    Examples
    --------
    >>> Estimate(0.25, 0.5, 4.0).times(3)
    Estimate(first_calls=0.75, likely=1.5, most=12.0)
    >>> print(Estimate(0.25, 0.5, 4.0))
    about $0.50, at most $4.00 (the first calls $0.25)
    """

    first_calls: float | None
    likely: float | None
    most: float | None

    @classmethod
    def total(cls, estimates: "Iterable[Estimate]") -> "Estimate":
        """Return the sum of some estimates."""
        rows = [astuple(estimate) for estimate in estimates]
        return cls(*(_sum(row[place] for row in rows) for place in range(3)))

    def times(self, number: int) -> "Estimate":
        """Return what so many of this come to."""
        return Estimate.total([self] * number)

    def __str__(self) -> str:
        """Return it in words."""
        if self.first_calls is None or self.likely is None or self.most is None:
            return "price unknown"
        text = f"about ${self.likely:,.2f}, at most ${self.most:,.2f}"
        if self.first_calls == self.most:
            return text
        return f"{text} (the first calls ${self.first_calls:,.2f})"


def estimate_of(proposer: "LLM", preview: "Preview", worst: "Amount") -> Estimate:
    """Return what all attempts of a proposer on some training rows may cost.

    Parameters
    ----------
    proposer
        Makes the attempts.
    preview, worst
        What its `preview` returned for the rows.
    """
    model, settings = proposer.model, proposer.settings
    samples, sent = settings.samples_per_call, preview.input_tokens
    calls = settings.tool_calls if proposer.tool_place == "local" else 0

    def conversation(turns: int, written: int, shown: int) -> float | None:
        return _sum(
            model.price(Usage(sent + turn * (written + shown), written * samples))
            for turn in range(turns)
        )

    one = Estimate(
        worst.usd,
        conversation(ceil(calls / 2) + 1, min(LIKELY_WRITTEN, model.max_output_tokens),
                     min(LIKELY_SHOWN, settings.tool_limits.output_characters)),
        conversation(calls + 1 + settings.refinements, model.max_output_tokens,
                     settings.tool_limits.output_characters),
    )  # fmt: skip
    return one.times(ceil(proposer.attempts / samples))


def _sum(amounts: Iterable[float | None]) -> float | None:
    every = list(amounts)
    known = [amount for amount in every if amount is not None]
    return sum(known) if len(known) == len(every) else None
