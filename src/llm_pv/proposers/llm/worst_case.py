"""The worst-case cost of calls of a model, for budgets and for displayed prices."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_pv.models.base import Message, ToolOffer, ToolPlace, Usage
from llm_pv.models.base import Turn as ModelTurn
from llm_pv.models.language_model import LanguageModel
from llm_pv.proposers.spending import Amount

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
