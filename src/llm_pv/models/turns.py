"""Turns made of the library's responses, with what they used and cost."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai import ModelResponse, RequestUsage

from llm_pv.models.base import Asked, Message, ToolAnswer, Turn, Usage
from llm_pv.models.conversation import (
    calls_of,
    finish_of,
    hosted_calls_of,
    mended,
    text_of,
    to_raw,
    usage_of,
)
from llm_pv.models.credentials import Redactor
from llm_pv.models.prices import PriceList
from llm_pv.models.tokens import estimate_tokens

ALTERNATIVES = "alternatives"
"""Where the metadata of a response hold the further ones that came with it."""


def to_turns(
    response: ModelResponse,
    conversation: Sequence[Message],
    prices: PriceList,
    redact: Redactor,
    *,
    seconds: float,
    tries: int,
) -> list[Turn]:
    """Return a response and the alternatives in it as turns; the first holds the whole usage.

    Where a server does not count tokens, an upper estimate stands in for them, so that a budget
    still bites; what they cost is then unknown.
    """
    rest: list[ModelResponse] = (response.metadata or {}).get(ALTERNATIVES, [])
    response.metadata = {
        name: value for name, value in (response.metadata or {}).items() if name != ALTERNATIVES
    } or None
    for alternative in rest:
        alternative.usage = RequestUsage()
    first, *others = [_turn(each, redact) for each in (response, *rest)]
    counted = usage_of(response)
    usage = counted or Usage(
        sum(estimate_tokens(_said(entry)) for entry in conversation),
        sum(
            estimate_tokens(turn.text)
            + sum(estimate_tokens(call.code or "") for call in turn.calls)
            for turn in (first, *others)
        ),
    )
    first = replace(
        first,
        usage=usage,
        cost_usd=prices.price(usage, first.model) if counted else None,
        seconds=seconds,
        tries=tries,
    )
    return [first, *(replace(turn, cost_usd=0.0, tries=0) for turn in others)]


def _turn(response: ModelResponse, redact: Redactor) -> Turn:
    def clean(text: str) -> str:
        return redact.reply(mended(text))

    calls = tuple(
        replace(call, code=clean(call.code)) if call.code else call for call in calls_of(response)
    )
    return Turn(
        text=clean(text_of(response)),
        calls=calls,
        finish=finish_of(response, calls),
        hosted_calls=hosted_calls_of(response),
        model=response.model_name or "",
        raw=_changed(to_raw(response), clean),
    )


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with all its strings changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _changed(entry, change) for name, entry in value.items()}
    if isinstance(value, list):
        return [_changed(entry, change) for entry in value]
    return value


def _said(entry: Message) -> str:
    assert isinstance(entry, Asked | ToolAnswer | Turn)
    return entry.text
