"""Convert conversations to the library's types, and its responses to turns with their cost."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    RequestUsage,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolDefinition,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import CodeExecutionTool

from llm_pv.models.base import (
    NO_USAGE,
    FinishReason,
    Message,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    Turn,
    Usage,
    UserMessage,
)
from llm_pv.models.credentials import Redactor, with_texts
from llm_pv.models.endpoint import PriceList
from llm_pv.models.token_estimate import estimate_tokens
from llm_pv.models.tool_calls import TOOL_NAME, split_calls, tool_call

ARGUMENTS = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python code to run."}},
    "required": ["code"],
    "additionalProperties": False,
}

FINISH: dict[str, FinishReason] = {
    "length": "length",
    "content_filter": "refused",
    "error": "error",
}

ALTERNATIVES = "alternatives"
"""The key in a response's metadata for its alternatives."""

ESTIMATED = "estimated"
"""The note in the metadata of a usage that the server did not report."""

_HALF = re.compile("[\ud800-\udfff]")


def repaired(text: str) -> str:
    """Return a text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return _HALF.sub("\ufffd", text)


def to_messages(conversation: Sequence[Message]) -> list[ModelMessage]:
    """Return a conversation as the library's messages, turns as exactly what the vendor sent.

    The messages between two turns become one request.
    """
    messages: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    for entry in conversation:
        if isinstance(entry, Turn):
            if parts:
                messages.append(ModelRequest(parts=parts))
                parts = []
            messages.append(_response(entry))
        elif isinstance(entry, ToolAnswer):
            text = repaired(entry.text)
            parts.append(ToolReturnPart(entry.call.name, text, tool_call_id=entry.call.id))
        else:
            assert isinstance(entry, UserMessage)
            parts.append(UserPromptPart(repaired(entry.text)))
    if parts:
        messages.append(ModelRequest(parts=parts))
    return messages


def _response(turn: Turn) -> ModelResponse:
    if turn.raw:
        [read] = ModelMessagesTypeAdapter.validate_python([turn.raw])
        assert isinstance(read, ModelResponse)
        return read
    return ModelResponse(parts=[TextPart(turn.text), *map(_call_part, turn.calls)])


def _call_part(call: ToolCall) -> ToolCallPart:
    return ToolCallPart(call.name, {"code": call.code or ""}, tool_call_id=call.id)


def to_parameters(tool: ToolOffer | None) -> ModelRequestParameters:
    """Return a tool as the library's definition."""
    if tool is None:
        return ModelRequestParameters()
    if tool.place == "hosted":
        return ModelRequestParameters(native_tools=[CodeExecutionTool()])
    offered = ToolDefinition(
        name=TOOL_NAME,
        description=tool.description or "Run Python code and see what it prints.",
        parameters_json_schema=ARGUMENTS,
    )
    return ModelRequestParameters(function_tools=[offered])


def calls_of(response: ModelResponse) -> tuple[ToolCall, ...]:
    """Return the tool calls of a response, invalid ones with their problem."""
    return tuple(
        tool_call(part.tool_call_id, part.tool_name, part.args)
        for part in response.parts
        if isinstance(part, ToolCallPart)
    )


def normalised_response(response: ModelResponse, turn: int, *, tools: bool | None) -> ModelResponse:
    """Return a response with the parts that its server did not separate.

    If there is only reasoning, it becomes the text, because some servers return the whole reply as
    reasoning. A tool call within the text becomes a call, and a call where no tool was offered
    becomes text: it cannot be answered, and its arguments may hold the program.

    Parameters
    ----------
    turn
        The number of messages before it, which makes the names of its calls unique.
    tools
        Whether a tool of ours may be called; None if there is none.
    """
    if tools is None:
        response = replace(response, parts=[_unoffered(part) for part in response.parts])
    asked = [part for part in response.parts if isinstance(part, ToolCallPart | NativeToolCallPart)]
    if asked or (response.provider_details or {}).get("refusal"):
        return response
    said = response.text or ""
    parts = list(response.parts)
    if not said.strip():
        said = "".join(part.content for part in parts if isinstance(part, ThinkingPart))
        parts = [*parts, TextPart(said)] if said.strip() else parts
    text, calls = split_calls(said, turn) if tools else (said, ())
    if any(call.code is not None for call in calls):
        parts = [part for part in parts if not isinstance(part, TextPart)]
        parts += [TextPart(text)] if text.strip() else []
        parts += map(_call_part, calls)
    return replace(response, parts=parts)


def _unoffered(part: ModelResponsePart) -> ModelResponsePart:
    return TextPart(part.args_as_json_str()) if isinstance(part, ToolCallPart) else part


def finish_of(response: ModelResponse, calls: Sequence[ToolCall]) -> FinishReason:
    """Return why a response ended; ``"stop"`` for an unknown reason."""
    if not response.parts and response.finish_reason is None and usage_of(response) is None:
        return "error"
    known = FINISH.get(response.finish_reason or "stop", "stop")
    return "tools" if calls and known == "stop" else known


def usage_of(response: ModelResponse) -> Usage | None:
    """Return the tokens of a response, None where the server did not count them."""
    usage = response.usage
    if usage.unmeasured_requests or not (usage.input_tokens or usage.output_tokens):
        return None
    reasoning = usage.details.get("reasoning_tokens", usage.details.get("thoughts_tokens", 0))
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        reasoning,
    )


def to_turns(
    response: ModelResponse,
    conversation: Sequence[Message],
    prices: PriceList,
    redact: Redactor,
    *,
    tools: bool | None = None,
) -> list[Turn]:
    """Return a response and the alternatives in it as turns; the first holds the whole usage.

    Where a server does not report the tokens sent or written, an upper estimate is used, so that
    budgets still apply; ``raw`` notes that in ``metadata.usage``.
    """
    rest: list[ModelResponse] = (response.metadata or {}).get(ALTERNATIVES, [])
    response.metadata = {
        name: value for name, value in (response.metadata or {}).items() if name != ALTERNATIVES
    } or None
    for alternative in rest:
        alternative.usage = RequestUsage()
    sent = [entry.text for entry in conversation if not isinstance(entry, Turn)]
    said = [normalised_response(each, len(conversation), tools=tools) for each in (response, *rest)]
    first, *others = [_turn(each, redact, sent) for each in said]
    written = sum(_tokens(turn) for turn in (first, *others))
    usage = usage_of(response) or NO_USAGE
    if not usage.input_tokens or (written and not usage.output_tokens):
        usage = replace(
            usage,
            input_tokens=max(usage.input_tokens, sum(_tokens(entry) for entry in conversation)),
            output_tokens=max(usage.output_tokens, written),
        )
        noted = {**(first.raw.get("metadata") or {}), "usage": ESTIMATED}
        first = replace(first, raw={**first.raw, "metadata": noted})
    first = replace(first, usage=usage, cost_usd=prices.price(usage, response.model_name or ""))
    return [first, *(replace(turn, cost_usd=0.0, tries=0) for turn in others)]


def _turn(response: ModelResponse, redact: Redactor, sent: Sequence[str]) -> Turn:
    """Return a response as a turn, with the key removed from all its texts."""

    def clean(text: str) -> str:
        return redact.reply(repaired(text), sent)

    calls = tuple(_cleaned(call, clean) for call in calls_of(response))
    refusal = (response.provider_details or {}).get("refusal")
    said = repaired(response.text or (refusal if isinstance(refusal, str) else ""))
    text = clean(said)
    [raw] = ModelMessagesTypeAdapter.dump_python([response], mode="json")
    code_runs = [
        part
        for part in response.parts
        if isinstance(part, NativeToolCallPart) and part.tool_name == CodeExecutionTool.kind
    ]
    return Turn(
        text=text,
        calls=calls,
        finish=finish_of(response, calls),
        hosted_calls=len(code_runs),
        model=clean(response.model_name or ""),
        raw=with_texts(raw, clean),
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


def joined_responses(first: ModelResponse, second: ModelResponse) -> ModelResponse:
    """Return two parts of one turn as one response, in the form the vendor requires back."""
    return replace(
        second,
        parts=[*first.parts, *second.parts],
        usage=first.usage + second.usage,
        provider_details={**(first.provider_details or {}), **(second.provider_details or {})},
    )


def texts_of(value: Any) -> list[str]:
    """Return the names and strings of a JSON value."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    with_texts(value, keep)
    return found
