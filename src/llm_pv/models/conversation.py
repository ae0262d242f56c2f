"""Our words for a conversation in the library's, and the library's answers in ours."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic_ai import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    NativeToolCallPart,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import CodeExecutionTool

from llm_pv.models.base import (
    Asked,
    FinishReason,
    Message,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    Turn,
    Usage,
)
from llm_pv.models.tool_calls import TOOL_NAME

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


_HALF = re.compile("[\ud800-\udfff]")


def mended(text: str) -> str:
    """Return a text that UTF-8 can hold: JSON knows half characters, which it does not."""
    return _HALF.sub("\ufffd", text)


def to_messages(conversation: Sequence[Message]) -> list[ModelMessage]:
    """Return a conversation as the library's messages, turns as exactly what the vendor sent.

    What stands between two turns goes into one request.
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
            text = mended(entry.text)
            parts.append(ToolReturnPart(entry.call.name, text, tool_call_id=entry.call.id))
        else:
            assert isinstance(entry, Asked)
            parts.append(UserPromptPart(mended(entry.text)))
    if parts:
        messages.append(ModelRequest(parts=parts))
    return messages


def _response(turn: Turn) -> ModelResponse:
    if turn.raw:
        [read] = ModelMessagesTypeAdapter.validate_python([turn.raw])
        assert isinstance(read, ModelResponse)
        return read
    calls = [
        ToolCallPart(call.name, {"code": call.code or ""}, tool_call_id=call.id)
        for call in turn.calls
    ]
    return ModelResponse(parts=[TextPart(turn.text), *calls])


def to_parameters(tool: ToolOffer | None) -> ModelRequestParameters:
    """Return a tool on offer in the library's words."""
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


def to_raw(response: ModelResponse) -> dict[str, Any]:
    """Return a response as plain JSON values, from which `to_messages` makes the same again."""
    [raw] = ModelMessagesTypeAdapter.dump_python([response], mode="json")
    assert isinstance(raw, dict)
    return raw


def calls_of(response: ModelResponse) -> tuple[ToolCall, ...]:
    """Read the tool calls of a response, broken ones with what is wrong with them."""
    return tuple(_call(part) for part in response.parts if isinstance(part, ToolCallPart))


def _call(part: ToolCallPart) -> ToolCall:
    def broken(problem: str) -> ToolCall:
        return ToolCall(part.tool_call_id, None, part.tool_name, problem)

    if part.tool_name != TOOL_NAME:
        return broken(f"There is no tool {part.tool_name!r}; the only one is {TOOL_NAME}(code).")
    arguments = part.args
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            return broken(f"The arguments are not valid JSON: {error}.")
    if not isinstance(arguments, dict) or "code" not in arguments:
        return broken('The arguments have to be an object like {"code": "print(1)"}.')
    extra = sorted(set(arguments) - {"code"})
    if extra:
        return broken(f"{TOOL_NAME} takes nothing but code; it was also given {', '.join(extra)}.")
    code = arguments["code"]
    if not isinstance(code, str):
        return broken("The argument code has to be a string.")
    return ToolCall(part.tool_call_id, code)


def finish_of(response: ModelResponse, calls: Sequence[ToolCall]) -> FinishReason:
    """Say why a response ended; a reason that nobody knows counts as an ordinary end."""
    if not response.parts and response.finish_reason is None and usage_of(response) is None:
        return "error"
    known = FINISH.get(response.finish_reason or "stop", "stop")
    return "tools" if calls and known == "stop" else known


def text_of(response: ModelResponse) -> str:
    """Return what a response says; a refusal says why it is one."""
    refusal = (response.provider_details or {}).get("refusal")
    return response.text or (refusal if isinstance(refusal, str) else "")


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


def hosted_calls_of(response: ModelResponse) -> int:
    """Count the code executions at the vendor."""
    return sum(
        isinstance(part, NativeToolCallPart) and part.tool_name == CodeExecutionTool.kind
        for part in response.parts
    )
