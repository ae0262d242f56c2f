"""Read responses, OpenAI's newer form, leniently; the output is kept as the server sent it."""

from typing import Any

from llm_pv.models.reply_fields import SentError, arguments_of, count_of, text_of, usage_of, word_of
from llm_pv.models.streams import Reply, dict_of
from llm_pv.models.tool_calls import TOOL_NAME
from llm_pv.models.wire_text import UnreadableReplyError


def read_response(values: list[Reply]) -> Reply:
    """Return a response of the values in a body, its own fields kept where they can be."""
    if not values:
        raise UnreadableReplyError("the reply is no JSON object")
    reply = _streamed_response(values)
    if reply.get("error") and not reply.get("output") and "status" not in reply:
        raise SentError(reply["error"])
    output = reply.get("output")
    if output is None and isinstance(reply.get("output_text"), str):
        output = [{"content": reply["output_text"]}]
    if not isinstance(output, list):
        raise UnreadableReplyError("the reply lacks a list of output")
    items = [item for item in output if isinstance(item, dict)]
    _fill(reply, parallel_tool_calls=False, tool_choice="auto", tools=[])
    return {
        **reply,
        "id": word_of(reply.get("id")),
        "model": word_of(reply.get("model")),
        "object": "response",
        "created_at": count_of(reply.get("created_at"), 2**32) or 0,
        "status": word_of(reply.get("status")) or "completed",
        "usage": usage_of(reply.get("usage"), "input_tokens", "output_tokens"),
        "output": [_read_item(number, item) for number, item in enumerate(items)],
    }


def _streamed_response(values: list[Reply]) -> Reply:
    """Return the whole response of a body; of a stream, the one in its last event."""
    whole = [dict_of(value.get("response")) for value in values]
    reply = next((each for each in reversed(whole) if each), values[0])
    if not reply.get("output"):
        done = [value["item"] for value in values if isinstance(value.get("item"), dict)]
        finished = [item for item in done if item.get("status") != "in_progress"]
        reply = {**reply, "output": finished} if finished else reply
    return reply


def _read_item(number: int, item: Reply) -> Reply:
    item = {**item, "type": word_of(item.get("type")) or "message"}
    if item["type"] == "message":
        content = item.get("content")
        parts = content if isinstance(content, list) else [content]
        item["content"] = [_read_part(part) for part in parts if part is not None]
        _fill(item, id=f"msg_{number}", role="assistant", status="completed")
    elif item["type"] == "function_call":
        item |= arguments_of(item.get("arguments"))
        _fill(item, call_id=item.get("id") or f"call_{number}", name=TOOL_NAME)
    elif item["type"] == "reasoning":
        summary = item.get("summary")
        if not isinstance(summary, list):
            text = text_of(summary)
            item["summary"] = [{"type": "summary_text", "text": text}] if text else []
        _fill(item, id=f"rs_{number}")
    return item


def _read_part(part: Any) -> Reply:
    if isinstance(part, dict) and part.get("type") == "refusal":
        return part
    kept = part if isinstance(part, dict) else {}
    annotations = kept.get("annotations")
    return {
        **kept,
        "type": "output_text",
        "text": text_of(part),
        "annotations": annotations if isinstance(annotations, list) else [],
    }


def _fill(entry: Reply, **defaults: Any) -> None:
    for name, default in defaults.items():
        if entry.get(name) is None:
            entry[name] = default
