"""A lenient reader for the replies of every server compatible with OpenAI.

A reply is read for what is needed (what was said and thought, the tool calls, why it ended, the
tokens), and written anew in OpenAI's own form; every other field may be missing, of another type or
nonsense. What is read besides the published form: a stream where none was asked for, content as
parts or as a JSON object, thoughts under any of their names, tool arguments as objects,
``function_call``, tool calls among the parts, finish reasons of other vendors, their single replies
where a gateway passes these on, and a reply in a gateway's own object.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from llm_pv.models.streams import Reply, dict_of, joined_chunks, joined_stream
from llm_pv.models.wire_text import UnreadableReplyError, json_values

PASSING_WORDS = {"rate": 429, "overload": 503, "unavailable": 503}
"""Words in transient errors without a status, and the statuses they correspond to."""

FINISH_REASONS = {
    "length": ("length", "max_tokens", "max_length", "max_output_tokens", "model_length"),
    "content_filter": ("content_filter", "content-filter", "safety", "refusal", "recitation"),
    "error": ("error", "failed"),
}
"""Our finish reasons and the servers' names for them; any other reason means a normal end."""

_TOOL_NAME = "run_python"  # of a call that names no tool: there is one
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
_TEXTS = ("text", "content", "parts", "thinking", "reasoning", "summary", "value")
_ANSWERS = (
    *("message", "messages", "content", "text", "output", "output_text", "response"),
    *("generated_text", "completion"),
)
"""Where servers put what was said, the likeliest first."""
_REASONS = ("finish_reason", "stop_reason", "finishReason", "done_reason")
_WRAPPERS = ("data", "result", "body")
_CHOICES = ("choices", "candidates", "outputs", "results", "generations")
_OF_REPLIES = {*_CHOICES, "error", *_ANSWERS, *_WRAPPERS}
_MOST_WRAPPERS = 3
_MOST_TOKENS = 10**12


def readable_reply(path: str, body: bytes) -> tuple[bytes, int]:
    """Return a reply to a request of this path as OpenAI would have written it, and its status.

    An error sent with a success status gets the status it should have. A stream of another vendor
    is joined; its other replies, and answers to other questions, are returned as they are.

    Raise UnreadableReplyError if the reply holds no answer or is not JSON, for any vendor.
    """
    read = next((each for end, each in _READERS.items() if path.endswith(end)), None)
    if read is None and not path.endswith(_OTHERS):
        return body, 200
    try:
        values = [each for each in map(_object, _flat(json_values(body))) if isinstance(each, dict)]
        if read is not None:
            reply = read(values)
        elif not values or body.lstrip().startswith(b"{"):
            return body, 200
        else:
            whole = joined_stream(path, values)
            reply = _Failure(whole["error"]) if whole.get("error") else whole
    except RecursionError as error:
        raise UnreadableReplyError("a reply that cannot be read: nested too deeply") from error
    if isinstance(reply, _Failure):
        return json.dumps({"error": reply.error}).encode(), _status(reply.error)
    return json.dumps(reply).encode(), 200


class _Failure:
    """An error sent with a success status."""

    def __init__(self, error: Any) -> None:
        self.error = error


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _status(error: Any) -> int:
    """Return the status that an error should have; 400 if it is not recognised as transient."""
    fields = error if isinstance(error, dict) else {"message": error}
    for code in map(str, (fields.get("code"), fields.get("status"))):
        if len(code) == 3 and code.isdecimal() and 400 <= int(code) < 600:
            return int(code)
    words = " ".join(str(fields.get(name, "")) for name in ("code", "type", "status")).lower()
    return next((status for word, status in PASSING_WORDS.items() if word in words), 400)


def _read_chat(values: list[Reply]) -> Reply | _Failure:
    """Return a chat completion of the values in a body."""
    if not values:
        raise UnreadableReplyError("the reply is no JSON object")
    reply = _unwrapped(joined_chunks(values))
    error = reply.get("error") or (reply if reply.get("object") == "error" else None)
    choices = _choices(reply)
    if error and not choices:
        return _Failure(error)
    if not isinstance(choices, list):
        raise UnreadableReplyError("the reply lacks a list of choices")
    if not choices:
        raise UnreadableReplyError("the reply's list of choices is empty")
    read: list[Reply] = []
    unreadable: UnreadableReplyError | None = None
    for number, choice in enumerate(choices):
        try:
            read.append(_read_choice(number, choice))
        except UnreadableReplyError as problem:
            unreadable = unreadable or problem
    if not read:
        assert unreadable is not None
        raise unreadable
    read.sort(key=lambda choice: not _says_something(choice["message"]))
    failed = next((each["error"] for each in choices if dict_of(each).get("error")), error)
    if failed and not _says_something(read[0]["message"]):
        return _Failure(failed)
    return {
        "id": _word(reply.get("id")),
        "object": "chat.completion",
        "created": _count(reply.get("created"), 2**32) or 0,
        "model": _word(reply.get("model")),
        "choices": [{**choice, "index": index} for index, choice in enumerate(read)],
        "usage": _usage(reply.get("usage"), "prompt_tokens", "completion_tokens"),
        "service_tier": _word(reply.get("service_tier")) or None,
    }


def _choices(reply: Reply) -> Any:
    """Return the choices of a reply, itself if it is one; None if there are none."""
    choices = next((reply[name] for name in _CHOICES if name in reply), None)
    if isinstance(choices, dict):
        return [choices] if _ANSWERS[0] in choices else list(choices.values())
    is_report = isinstance(reply.get("message"), str)  # as errors are
    if choices is None and not is_report and any(reply.get(name) for name in _ANSWERS):
        return [reply]
    return choices


def _unwrapped(reply: Reply) -> Reply:
    """Return the reply within a gateway's own object, which may be written as text."""
    for _ in range(_MOST_WRAPPERS):
        inner = next(filter(_is_whole, reply.values()), None)
        inner = _object(inner or next(filter(None, map(reply.get, _WRAPPERS)), None))
        if "choices" in reply or not isinstance(inner, dict) or not inner.keys() & _OF_REPLIES:
            break
        reply = inner
    return reply


def _is_whole(value: Any) -> bool:
    """Whether a value within a reply is a reply of its own."""
    inner = dict_of(value)
    return any(
        isinstance(inner.get(name), dict | list) for name in ("choices", "message", "output")
    )


def _object(value: Any) -> Any:
    """Return the JSON object that is written in a text; any other value as it is."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(UnreadableReplyError):
            return json_values(value.encode("utf-8", "replace"))[0]
    return value


def _says_something(message: Reply) -> bool:
    return any(message.get(name) for name in ("content", "tool_calls", "refusal", *_THOUGHTS[:2]))


def _read_choice(number: int, choice: Any) -> Reply:
    if not isinstance(choice, dict):
        raise UnreadableReplyError("the reply lacks a message")
    message = next((choice[name] for name in _ANSWERS if choice.get(name)), choice.get("message"))
    if isinstance(written := _object(message), dict) and "content" in written:
        message = written
    if not isinstance(message, dict):
        if not isinstance(message, str | list):
            raise UnreadableReplyError("the reply lacks a message")
        message = {"content": message}
    message = {name: choice[name] for name in (*_THOUGHTS, "text") if choice.get(name)} | message
    content = message.get("content") or message.get("parsed") or message.get("text")
    said, thought, calls = _parts(message if message.get("parts") else content)
    thoughts = [name for name in _THOUGHTS if _text_of(message.get(name))]
    name = "reasoning" if thoughts[:1] == ["reasoning"] else "reasoning_content"
    calls = _calls(number, message, calls)
    return {
        "message": {
            "role": "assistant",
            "content": said or None,
            "refusal": None if said or calls else _word(message.get("refusal")) or None,
            name: thought or next((_text_of(message[each]) for each in thoughts), None),
            "tool_calls": calls or None,
        },
        "finish_reason": _finish(next(filter(None, map(choice.get, _REASONS)), None), calls),
        "logprobs": _logprobs(choice.get("logprobs")),
    }


def _finish(reason: Any, calls: list[Reply]) -> str:
    word = _word(reason).lower()
    known = next((ours for ours, theirs in FINISH_REASONS.items() if word in theirs), None)
    return known or ("tool_calls" if calls else "stop")


def _parts(content: Any) -> tuple[str, str, list[Reply]]:
    """Return the text, the reasoning and the tool calls of content."""
    if content is None or isinstance(content, str):
        return content or "", "", []
    if isinstance(content, dict) and not _text_of(content):
        return json.dumps(content, ensure_ascii=False), "", []  # an answer in JSON, already parsed
    if not isinstance(content, dict | list):
        raise UnreadableReplyError("the reply's content is no text")
    said: list[str] = []
    thought: list[str] = []
    calls: list[Reply] = []
    for part in content if isinstance(content, list) else [content]:
        kind = _word(dict_of(part).get("type")).lower()
        if kind == "tool_use":
            calls.append({**part, "arguments": part.get("input")})
        else:
            is_thought = "think" in kind or "reason" in kind
            (thought if is_thought else said).append(_text_of(part))
    return "".join(said), "".join(thought), calls


def _text_of(value: Any) -> str:
    """Return the text in a string, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_text_of, value))
    if isinstance(value, dict):
        return next((text for name in _TEXTS if (text := _text_of(value.get(name)))), "")
    return ""


def _calls(number: int, message: Mapping[str, Any], among_parts: list[Reply]) -> list[Reply]:
    """Return the tool calls of a message, each with an identifier of its own."""
    asked = message.get("tool_calls")
    entries = asked if isinstance(asked, list) else [asked]
    entries = [entry for entry in entries if isinstance(entry, dict)] or among_parts
    legacy = message.get("function_call")
    if not entries and isinstance(legacy, dict):
        entries = [legacy]
    calls: list[Reply] = []
    taken: set[str] = set()
    for position, entry in enumerate(entries):
        function = next(
            (entry[name] for name in ("function", "custom") if isinstance(entry.get(name), dict)),
            entry,
        )
        given = function.get("arguments", function.get("parameters", function.get("input")))
        own = _word(entry.get("id"))
        own = own if own and own not in taken else f"call_{number}_{position}"
        taken.add(own)
        call = {
            "id": own,
            "type": "function",
            "function": {"name": _word(function.get("name")) or _TOOL_NAME, **_arguments(given)},
        }
        if isinstance(entry.get("extra_content"), dict):  # a signature, to be sent back as it is
            call["extra_content"] = entry["extra_content"]
        calls.append(call)
    return calls


def _arguments(given: Any) -> dict[str, str]:
    text = given if isinstance(given, str) else "" if given is None else json.dumps(given)
    return {"arguments": text}


def _logprobs(value: Any) -> Reply | None:
    """Return the likeliest tokens, if they are in the published form."""

    def entry(token: Any) -> Reply | None:
        token = dict_of(token)
        log = token.get("logprob")
        if not isinstance(token.get("token"), str) or not isinstance(log, int | float):
            return None
        likely = token.get("top_logprobs")
        return {
            "token": token["token"],
            "logprob": log,
            "top_logprobs": _entries(likely, entry),
        }

    content = _entries(dict_of(value).get("content"), entry)
    return {"content": content} if content else None


def _entries(values: Any, read: Callable[[Any], Reply | None]) -> list[Reply]:
    if not isinstance(values, list):
        return []
    return [entry for value in values if (entry := read(value)) is not None]


def _read_response(values: list[Reply]) -> Reply | _Failure:
    """Return a response of the values in a body, its own fields kept where they can be."""
    if not values:
        raise UnreadableReplyError("the reply is no JSON object")
    reply = _streamed_response(values)
    if reply.get("error") and not reply.get("output") and "status" not in reply:
        return _Failure(reply["error"])
    output = reply.get("output")
    if output is None and isinstance(reply.get("output_text"), str):
        output = [{"content": reply["output_text"]}]
    if not isinstance(output, list):
        raise UnreadableReplyError("the reply lacks a list of output")
    items = [item for item in output if isinstance(item, dict)]
    _fill(reply, parallel_tool_calls=False, tool_choice="auto", tools=[])
    return {
        **reply,
        "id": _word(reply.get("id")),
        "model": _word(reply.get("model")),
        "object": "response",
        "created_at": _count(reply.get("created_at"), 2**32) or 0,
        "status": _word(reply.get("status")) or "completed",
        "usage": _usage(reply.get("usage"), "input_tokens", "output_tokens"),
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
    item = {**item, "type": _word(item.get("type")) or "message"}
    if item["type"] == "message":
        content = item.get("content")
        parts = content if isinstance(content, list) else [content]
        item["content"] = [_read_part(part) for part in parts if part is not None]
        _fill(item, id=f"msg_{number}", role="assistant", status="completed")
    elif item["type"] == "function_call":
        item |= _arguments(item.get("arguments"))
        _fill(item, call_id=item.get("id") or f"call_{number}", name=_TOOL_NAME)
    elif item["type"] == "reasoning":
        summary = item.get("summary")
        if not isinstance(summary, list):
            text = _text_of(summary)
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
        "text": _text_of(part),
        "annotations": annotations if isinstance(annotations, list) else [],
    }


def _usage(usage: Any, sent: str, written: str) -> Reply | None:
    """Return the counts of a usage; None where tokens sent and written are both unknown."""
    counts = _counts(dict_of(usage))
    total = counts.get("total_tokens")
    found = [
        next((counts[name] for name in names if isinstance(counts.get(name), int)), None)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    ]
    if found == [None, None]:
        return None
    if isinstance(total, int):  # the missing count is the difference
        known = sum(count or 0 for count in found)
        found = [max(total - known, 0) if count is None else count for count in found]
    first, second = (count or 0 for count in found)
    return {**counts, sent: first, written: second, "total_tokens": first + second}


def _counts(usage: Mapping[str, Any]) -> Reply:
    """Return the entries of a usage that are counts, and the objects that hold such."""
    counts: Reply = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            counts[name] = _counts(value)
        elif (count := _count(value, _MOST_TOKENS)) is not None:
            counts[name] = count
    return counts


def _count(value: Any, most: int) -> int | None:
    """Return a non-negative whole number, as a number or text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        return None
    return int(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _fill(entry: Reply, **defaults: Any) -> None:
    for name, default in defaults.items():
        if entry.get(name) is None:
            entry[name] = default


_OTHERS = ("/messages", ":generateContent")
"""Where Anthropic and Google are asked."""

_READERS: dict[str, Callable[[list[Reply]], Reply | _Failure]] = {
    "/chat/completions": _read_chat,
    "/responses": _read_response,
}
"""OpenAI, over responses or chat completions, and every server that speaks the latter."""
