"""The cost of calls of a model: the worst case, for budgets, and an estimate for display."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from llm_pv.models.base import Message, Preview, ToolOffer, ToolPlace, Usage, total_cost
from llm_pv.models.base import Turn as ModelTurn
from llm_pv.models.language_model import LanguageModel
from llm_pv.proposers.spending import Amount

if TYPE_CHECKING:
    from llm_pv.proposers.llm.proposer import LLM
    from llm_pv.proposers.llm_settings import LLMSettings

HOSTED_ROUNDS = 10
"""How often a vendor is assumed to read the conversation again while its hosted tool runs."""

TURNS_BESIDE_CALLS = 2
"""Turns besides one per tool call: one that requests the used-up tool, and the answer."""


@dataclass(frozen=True)
class Call:
    """One call of a model that may be made."""

    sent: int
    "Tokens of the conversation, an upper estimate."
    limit: int
    "The most tokens of one answer."
    samples: int = 1
    tool: ToolPlace = "none"
    "Where the model's own code runs."

    def worst(self, model: LanguageModel) -> Amount:
        """Return the worst-case amount of one try, including cache writes."""
        sent = self.sent * (HOSTED_ROUNDS if self.tool == "hosted" else 1)
        written = self.samples * self.limit
        prices = [
            model.price(Usage(sent, written)),
            model.price(Usage(sent, written, cache_write_tokens=sent)),
        ]
        known = [price for price in prices if price is not None]
        return Amount(max(known) if known else None, sent + written)


def next_call(
    model: LanguageModel, tool: ToolOffer | None, messages: Sequence[Message], samples: int
) -> Call:
    """Return the next call of a conversation, cut to what fits into the context.

    The tokens sent are an upper estimate, so a quarter of the context is kept for the answer.
    """
    sent = tokens_sent(model, tool, messages)
    place: ToolPlace = "none" if tool is None else tool.place
    return Call(sent, output_limit(model, sent), samples, place)


def output_limit(model: LanguageModel, sent: int) -> int:
    """Return the most tokens of an answer to a conversation of this many tokens."""
    window = model.context_tokens
    if window is None:
        return model.max_output_tokens
    return min(model.max_output_tokens, max(window - sent, window // 4, 1))


def tokens_sent(model: LanguageModel, tool: ToolOffer | None, messages: Sequence[Message]) -> int:
    """Return an upper estimate of the tokens that a conversation sends."""
    sent = model.count_tokens(tool.description) + 200 if tool else 200
    for message in messages:
        said = model.count_tokens(message.text)
        if isinstance(message, ModelTurn):
            code = sum(model.count_tokens(call.code or "") for call in message.calls)
            said = max(said + code, message.usage.output_tokens)
        sent += said + 20
    return sent


def most_of_conversations(
    model: LanguageModel, first: Call, *, tool_calls: int, shown: int, refinements: int
) -> list[Call]:
    """Return every call of the conversations that one call starts, each of maximal length.

    Parameters
    ----------
    first
        The call that starts them; its samples are their number.
    tool_calls
        Calls of a local tool in one answer.
    shown
        The most tokens of each tool output.
    refinements
        The number of refinements of each.
    """
    calls = tool_calls if first.tool == "local" else 0
    turns = (calls + TURNS_BESIDE_CALLS if calls else 1) * (1 + refinements)
    further = []
    sent, window = first.sent, model.context_tokens
    for _ in range(turns - 1):
        sent += first.limit + shown
        sent = sent if window is None else min(sent, window)
        further.append(Call(sent, output_limit(model, sent), 1, first.tool))
    return [first, *further * first.samples]


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
    def total(cls, estimates: Iterable["CostEstimate"]) -> "CostEstimate":
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


def estimate_of(proposer: "LLM", preview: Preview, first: Call) -> CostEstimate:
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


def most_tool_calls(settings: "LLMSettings", tool: ToolPlace) -> int:
    """Return the most tool calls of one attempt, as the upper cost counts them."""
    most = {"none": 0, "local": settings.tool_calls, "hosted": HOSTED_ROUNDS}[tool]
    return most * (1 + settings.refinements)
