"""A lenient reader for the replies of every server compatible with OpenAI.

The message, reasoning, tool calls, finish reason and tokens of a reply are read, and written in
OpenAI's own form; every other field may be missing or malformed. Accepted besides the published
form: unrequested streams, content as parts or as a JSON object, reasoning under any of its names,
tool arguments as objects, ``function_call``, tool calls among the parts, finish reasons of other
vendors, their replies passed on by a gateway, and a reply within a gateway's own object.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from llm_pv.models.openai_responses import read_response
from llm_pv.models.reply_fields import (
    SentError,
    arguments_of,
    count_of,
    program_text,
    renamed,
    text_of,
    usage_of,
    vendor_usage,
    word_of,
)
from llm_pv.models.streams import Reply, dict_of, joined_chunks, joined_stream
from llm_pv.models.tool_calls import TOOL_NAME
from llm_pv.models.wire_text import UnreadableReplyError, json_values
from llm_pv.programs.replies import complete_part

TRANSIENT_WORDS = {"rate": 429, "overload": 503, "unavailable": 503}
"""Words in transient errors without a status, and the statuses they correspond to."""

FINISH_REASONS = {
    "length": ("length", "max_tokens", "max_length", "max_output_tokens", "model_length"),
    "content_filter": ("content_filter", "content-filter", "safety", "refusal", "recitation"),
    "error": ("error", "failed"),
}
"""Our finish reasons and the servers' names for them; any other reason means a normal end."""

_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
_ANSWERS = (
    *("message", "messages", "content", "text", "output", "output_text", "response"),
    *("generated_text", "completion"),
)
"""Keys under which servers put the message, the likeliest first."""
_CALL_KINDS = ("function", "custom", "code_interpreter")
_REASONS = ("finish_reason", "stop_reason", "finishReason", "done_reason")
_WRAPPERS = ("data", "result", "body")
_CHOICES = ("choices", "candidates", "outputs", "results", "generations")
_OF_REPLIES = {*_CHOICES, "error", *_ANSWERS, *_WRAPPERS}
_MOST_WRAPPERS = 3


def readable_reply(path: str, body: bytes) -> tuple[bytes, int]:
    """Return a reply to a request of this path as OpenAI would have written it, and its status.

    An error sent with a success status gets the status it should have. The replies of other vendors
    are returned as they are, but streams are joined; so are answers to other questions.

    Raise UnreadableReplyError if the reply holds no answer or is not JSON, for any vendor.
    """
    read = next((each for end, each in _READERS.items() if path.endswith(end)), None)
    if read is None and not path.endswith(_OTHERS):
        return body, 200
    try:
        read_values = _json_or_program(body)
        flat = (each if isinstance(each, list) else [each] for each in read_values)
        values = list(map(_object, chain.from_iterable(flat)))
        objects = [each for each in values if isinstance(each, dict)]
        if read is not None:
            reply = _read(read, objects, values)
        elif not objects:
            return body, 200
        else:
            whole = joined_stream(path, objects) if len(objects) > 1 else objects[0]
            if whole.get("error"):
                raise SentError(whole["error"])
            reply = vendor_usage(whole)
    except RecursionError as error:
        raise UnreadableReplyError("a reply that cannot be read: nested too deeply") from error
    except SentError as error:
        return json.dumps({"error": error.error}).encode(), _status(error.error)
    return json.dumps(reply).encode(), 200


def _json_or_program(body: bytes) -> list[Any]:
    """Return the JSON values in a body, or the text of a plain one that may define a function."""
    try:
        return json_values(body)
    except UnreadableReplyError:
        if body.lstrip().startswith(b"{") and (values := _cut_off(body)):
            return values
        if body.lstrip()[:1] in (b"<", b"{", b"[", b""):  # a page, or JSON that was cut off
            raise
        said = program_text(body.decode("utf-8", "replace"))
        if not said:
            raise
        return [said]


def _cut_off(body: bytes) -> list[Any]:
    """Return the reply in a body that ends within a text but holds a complete program.

    It is marked as cut off.
    """
    with suppress(UnreadableReplyError):
        reply = json_values(body.rstrip(b"\\") + b'"')[-1]
        last = (reply.get("choices") or [None])[-1] if isinstance(reply, dict) else None
        if isinstance(last, dict) and complete_part(program_text(last)):
            last["finish_reason"] = "length"
            return [reply]
    return []


def _read(read: "_Reader", objects: list[Reply], values: list[Any]) -> Reply:
    """Read the values in a body: in their form, with other names, or for a program anywhere."""
    try:
        return read(objects)
    except UnreadableReplyError:
        others = [renamed(each) for each in objects]
        with suppress(UnreadableReplyError):
            return read(others)
        said = program_text(values)
        if not said:
            raise
        known = others[-1] if others else {}
        return read([{"usage": known.get("usage"), "content": said, "output_text": said}])


def _status(error: Any) -> int:
    """Return the status that an error should have; 400 if it is not recognised as transient."""
    fields = error if isinstance(error, dict) else {"message": error}
    for code in map(str, (fields.get("code"), fields.get("status"))):
        if len(code) == 3 and code.isdecimal() and 400 <= int(code) < 600:
            # The gateway knows here that there was no answer: it did not break off.
            return 500 if code in {"502", "520"} else int(code)
    words = " ".join(str(fields.get(name, "")) for name in ("code", "type", "status")).lower()
    return next((status for word, status in TRANSIENT_WORDS.items() if word in words), 400)


def _read_chat(values: list[Reply]) -> Reply:
    """Return a chat completion of the values in a body."""
    if not values:
        raise UnreadableReplyError("the reply is no JSON object")
    reply = _unwrapped(joined_chunks(values))
    error = reply.get("error") or (reply if reply.get("object") == "error" else None)
    choices = _choices(reply)
    if error and not choices:
        raise SentError(error)
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
        raise SentError(failed)
    return {
        "id": word_of(reply.get("id")),
        "object": "chat.completion",
        "created": count_of(reply.get("created"), 2**32) or 0,
        "model": word_of(reply.get("model")),
        "choices": [{**choice, "index": index} for index, choice in enumerate(read)],
        "usage": usage_of(reply.get("usage"), "prompt_tokens", "completion_tokens"),
        "service_tier": word_of(reply.get("service_tier")) or None,
    }


def _choices(reply: Reply) -> Any:
    """Return the choices of a reply, itself if it is one; None if there are none."""
    choices = _object(next((reply[name] for name in _CHOICES if name in reply), None))
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
    """Return the JSON object or list that is written in a text; any other value as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with suppress(UnreadableReplyError):
            return json_values(value.encode("utf-8", "replace"))[0]
    return value


def _says_something(message: Reply) -> bool:
    return any(message.get(name) for name in ("content", "tool_calls", "refusal", *_THOUGHTS[:2]))


def _read_choice(number: int, choice: Any) -> Reply:
    if not isinstance(choice, dict | str):
        raise UnreadableReplyError("the reply lacks a message")
    choice = {"text": choice} if isinstance(choice, str) else choice
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
    thoughts = [name for name in _THOUGHTS if text_of(message.get(name))]
    name = "reasoning" if thoughts[:1] == ["reasoning"] else "reasoning_content"
    calls = _calls(number, message, calls)
    if not (said or thought or thoughts or calls or message.get("refusal")):
        said = program_text(message)
    return {
        "message": {
            "role": "assistant",
            "content": said or None,
            "refusal": None if said or calls else word_of(message.get("refusal")) or None,
            name: thought or next((text_of(message[each]) for each in thoughts), None),
            "tool_calls": calls or None,
        },
        "finish_reason": _finish(next(filter(None, map(choice.get, _REASONS)), None), calls),
        "logprobs": _logprobs(choice.get("logprobs")),
    }


def _finish(reason: Any, calls: list[Reply]) -> str:
    word = word_of(reason).lower()
    known = next((ours for ours, theirs in FINISH_REASONS.items() if word in theirs), None)
    return known or ("tool_calls" if calls else "stop")


def _parts(content: Any) -> tuple[str, str, list[Reply]]:
    """Return the text, the reasoning and the tool calls of content."""
    if content is None or isinstance(content, str):
        return content or "", "", []
    if isinstance(content, dict) and not text_of(content):
        return json.dumps(content, ensure_ascii=False), "", []  # an answer in JSON, already parsed
    if not isinstance(content, dict | list):
        raise UnreadableReplyError("the reply's content is no text")
    said: list[str] = []
    thought: list[str] = []
    calls: list[Reply] = []
    for part in content if isinstance(content, list) else [content]:
        kind = word_of(dict_of(part).get("type")).lower()
        if kind == "tool_use":
            calls.append({**part, "arguments": part.get("input")})
        else:
            is_thought = "think" in kind or "reason" in kind
            (thought if is_thought else said).append(text_of(part))
    return "".join(said), "".join(thought), calls


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
            (entry[name] for name in _CALL_KINDS if isinstance(entry.get(name), dict)), entry
        )
        given = function.get("arguments", function.get("parameters", function.get("input")))
        own = word_of(entry.get("id"))
        own = own if own and own not in taken else f"call_{number}_{position}"
        taken.add(own)
        call = {
            "id": own,
            "type": "function",
            "function": {"name": word_of(function.get("name")) or TOOL_NAME, **arguments_of(given)},
        }
        if isinstance(entry.get("extra_content"), dict):  # a signature, to be sent back as it is
            call["extra_content"] = entry["extra_content"]
        calls.append(call)
    return calls


def _logprobs(value: Any) -> Reply | None:
    """Return the likeliest tokens, if they are in the published form."""

    def entry(token: Any) -> Reply | None:
        token = dict_of(token)
        log = token.get("logprob")
        if not isinstance(token.get("token"), str) or not isinstance(log, int | float):
            return None
        likely = token.get("top_logprobs")
        return {"token": token["token"], "logprob": log, "top_logprobs": _entries(likely, entry)}

    content = _entries(dict_of(value).get("content"), entry)
    return {"content": content} if content else None


def _entries(values: Any, read: Callable[[Any], Reply | None]) -> list[Reply]:
    if not isinstance(values, list):
        return []
    return [entry for value in values if (entry := read(value)) is not None]


_OTHERS = ("/messages", ":generateContent")
"""The paths of Anthropic's and Google's interfaces."""

_Reader = Callable[[list[Reply]], Reply]

_READERS: dict[str, _Reader] = {"/chat/completions": _read_chat, "/responses": read_response}
"""OpenAI, over responses or chat completions, and every server that speaks the latter."""
