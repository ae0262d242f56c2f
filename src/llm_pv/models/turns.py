"""Convert the library's responses to turns, with usage and cost."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic_ai import ModelResponse, RequestUsage

from llm_pv.models.base import Message, ToolAnswer, ToolCall, Turn, Usage, UserMessage
from llm_pv.models.conversation import (
    as_said,
    calls_of,
    finish_of,
    hosted_calls_of,
    repaired,
    text_of,
    to_raw,
    usage_of,
)
from llm_pv.models.credentials import Redactor, with_texts
from llm_pv.models.prices import PriceList
from llm_pv.models.tokens import estimate_tokens

ALTERNATIVES = "alternatives"
"""The key in a response's metadata for its alternatives."""

ESTIMATED = "estimated"
"""The note in the metadata of a usage that the server did not report."""


def to_turns(
    response: ModelResponse,
    conversation: Sequence[Message],
    prices: PriceList,
    redact: Redactor,
    *,
    tools: bool | None = None,
    seconds: float,
    tries: int,
    possibly_billed: int = 0,
) -> list[Turn]:
    """Return a response and the alternatives in it as turns; the first holds the whole usage.

    If a server does not report tokens, an upper estimate is used, so that budgets still apply;
    ``raw`` notes that in ``metadata.usage``.
    """
    rest: list[ModelResponse] = (response.metadata or {}).get(ALTERNATIVES, [])
    response.metadata = {
        name: value for name, value in (response.metadata or {}).items() if name != ALTERNATIVES
    } or None
    for alternative in rest:
        alternative.usage = RequestUsage()
    sent = [entry.text for entry in conversation if not isinstance(entry, Turn)]
    said = [as_said(each, len(conversation), tools=tools) for each in (response, *rest)]
    first, *others = [_turn(each, redact, sent) for each in said]
    written = sum(_tokens(turn) for turn in (first, *others))
    usage = usage_of(response)
    if usage is None or not usage.input_tokens or (written and not usage.output_tokens):
        usage = Usage(sum(_tokens(entry) for entry in conversation), written)
        noted = {**(first.raw.get("metadata") or {}), "usage": ESTIMATED}
        first = replace(first, raw={**first.raw, "metadata": noted})
    first = replace(
        first,
        usage=usage,
        cost_usd=prices.price(usage, response.model_name or ""),
        seconds=seconds,
        tries=tries,
        possibly_billed=possibly_billed,
    )
    return [first, *(replace(turn, cost_usd=0.0, tries=0) for turn in others)]


def _turn(response: ModelResponse, redact: Redactor, sent: Sequence[str]) -> Turn:
    """Return a response as a turn, with the key removed from all its texts."""

    def clean(text: str) -> str:
        return redact.reply(repaired(text), sent)

    calls = tuple(_cleaned(call, clean) for call in calls_of(response))
    said = repaired(text_of(response))
    text = clean(said)
    return Turn(
        text=text,
        calls=calls,
        finish=finish_of(response, calls),
        hosted_calls=hosted_calls_of(response),
        model=clean(response.model_name or ""),
        raw=with_texts(to_raw(response), clean),
        redacted=text != said,
    )


def _cleaned(call: ToolCall, clean: Callable[[str], str]) -> ToolCall:
    """Return a call without the key; code that contained fragments of it is not run."""
    code, problem = call.code, clean(call.problem)
    if code is not None and clean(code) != repaired(code):
        code, problem = None, "The code contained fragments of the API key, so it was not run."
    return ToolCall(
        clean(call.id), None if code is None else repaired(code), clean(call.name), problem
    )


def _tokens(entry: Message) -> int:
    """Return an upper estimate of what a message and its calls have."""
    assert isinstance(entry, UserMessage | ToolAnswer | Turn)
    calls = entry.calls if isinstance(entry, Turn) else ()
    return estimate_tokens(entry.text) + sum(estimate_tokens(call.code or "") for call in calls)
