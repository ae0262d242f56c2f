"""Estimate the cost of calling a model before it is called."""

from dataclasses import astuple, dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from llm_pv.models.base import Usage, total_cost
from llm_pv.proposers.llm.worst_case import HOSTED_ROUNDS, most_of_conversations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_pv.models.base import Preview, ToolPlace
    from llm_pv.proposers.llm.proposer import LLM
    from llm_pv.proposers.llm.worst_case import Call
    from llm_pv.proposers.llm_settings import LLMSettings

LIKELY_WRITTEN = 1_000
"""Tokens of a typical reply."""
LIKELY_SHOWN = 300
"""Tokens of a typical output of the tool."""
ASSUMED = (
    f'"about" assumes {LIKELY_WRITTEN:,} tokens written a call, half of the tool calls used and '
    f"{LIKELY_SHOWN} tokens shown by each; it was not measured"
)


@dataclass(frozen=True)
class CostEstimate:
    """Costs in US dollars; None if the price of the model is unknown.

    Attributes
    ----------
    first_calls
        The most that the first calls cost, each of maximal length.
    likely
        The cost of all calls if half the tool calls are used, each call writes `LIKELY_WRITTEN`
        tokens and the tool shows `LIKELY_SHOWN`. An assumption, not a measurement.
    most
        The most that all calls cost: every tool call used, everything of maximal length.

    Examples
    --------
    >>> CostEstimate(0.25, 0.5, 4.0).times(3)
    CostEstimate(first_calls=0.75, likely=1.5, most=12.0)
    >>> print(CostEstimate(0.25, 0.5, 4.0))
    about $0.50, at most $4.00 (the first calls $0.25)
    """

    first_calls: float | None
    likely: float | None
    most: float | None

    @classmethod
    def total(cls, estimates: "Iterable[CostEstimate]") -> "CostEstimate":
        """Return the sum of some estimates."""
        rows = [astuple(estimate) for estimate in estimates]
        return cls(*(total_cost(row[place] for row in rows) for place in range(3)))

    def times(self, number: int) -> "CostEstimate":
        """Return the estimate multiplied by a number."""
        return CostEstimate.total([self] * number)

    def __str__(self) -> str:
        """Return the estimate as text."""
        if self.first_calls is None or self.likely is None or self.most is None:
            return "price unknown"
        text = f"about ${self.likely:,.2f}, at most ${self.most:,.2f}"
        if self.first_calls == self.most:
            return text
        return f"{text} (the first calls ${self.first_calls:,.2f})"


def estimate_of(proposer: "LLM", preview: "Preview", first: "Call") -> CostEstimate:
    """Return the estimated cost of all attempts of a proposer on training rows.

    Retries after failed calls are not included; a budget covers them too.
    """
    model, settings = proposer.model, proposer.settings
    samples, sent = settings.samples_per_call, preview.input_tokens
    calls = settings.tool_calls if proposer.tool_place == "local" else 0
    written = min(LIKELY_WRITTEN, model.max_output_tokens)
    shown = min(LIKELY_SHOWN, settings.tool_limits.output_characters)
    every = most_of_conversations(
        model,
        replace(first, sent=max(first.sent, sent) + proposer.most_shown),
        tool_calls=settings.tool_calls,
        shown=settings.tool_limits.output_characters,
        refinements=settings.refinements,
    )
    one = CostEstimate(
        every[0].worst(model).usd,
        total_cost(
            model.price(Usage(sent + turn * (written + shown), written * samples))
            for turn in range(ceil(calls / 2) + 1)
        ),
        total_cost(call.worst(model).usd for call in every),
    )
    return one.times(ceil(proposer.attempts / samples))


def most_tool_calls(settings: "LLMSettings", tool: "ToolPlace") -> int:
    """Return the most tool calls of one attempt, as the upper cost counts them."""
    most = {"none": 0, "local": settings.tool_calls, "hosted": HOSTED_ROUNDS}[tool]
    return most * (1 + settings.refinements)
