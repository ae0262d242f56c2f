"""What servers that speak OpenAI's language leave out or say in their own way, set right."""

import json
from collections.abc import Callable
from typing import Any

from llm_pv.errors import ModelError

PASSING_WORDS = {"rate": 429, "overload": 503, "unavailable": 503}
"""What an error without a status says of itself where it passes, and the status that means it."""


class UnreadableReplyError(ModelError):
    """A reply that is none: the same question may well be answered when it is asked again.

    Servers and what stands before them send such pages while they start, stop or are overloaded.

    Parameters
    ----------
    message
        What is wrong with it.
    told
        What `ModelError` takes besides.
    """

    def __init__(self, message: str, **told: Any) -> None:
        super().__init__(message, **({"passing": True, "maybe_paid": True} | told))


def mended_reply(path: str, body: bytes) -> tuple[bytes, int]:
    """Return a reply to a request of this path as OpenAI would have written it, and its status.

    Names that minimal servers leave out are filled in, a usage that cannot be is dropped, and an
    error that came as a success gets the status it should have had. The replies of other vendors,
    and answers to other questions, are returned as they are.

    Raises
    ------
    UnreadableReplyError
        If the reply holds no answer at all, or is no JSON, whichever vendor was asked.
    """
    mend = next((each for end, each in _MENDERS.items() if path.endswith(end)), None)
    if mend is None and not path.endswith(_OTHERS):
        return body, 200
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableReplyError("a reply that cannot be read: it is no JSON") from error
    if mend is None:
        return body, 200
    if not isinstance(reply, dict):
        raise UnreadableReplyError("the reply is no JSON object")
    if reply.get("error") and not (reply.get("choices") or reply.get("output")):
        if "status" not in reply:
            return body, _status(reply["error"])
        return body, 200
    mend(reply)
    return json.dumps(reply).encode(), 200


def _status(error: Any) -> int:
    """Return the status an error should have had; 400 if it tells of nothing that passes."""
    told = error if isinstance(error, dict) else {"message": error}
    for code in map(str, (told.get("code"), told.get("status"))):
        if len(code) == 3 and code.isdecimal() and 400 <= int(code) < 600:
            return int(code)
    words = " ".join(str(told.get(name, "")) for name in ("code", "type", "status")).lower()
    return next((status for word, status in PASSING_WORDS.items() if word in words), 400)


def _entries(reply: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = reply.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableReplyError(f"the reply lacks a list of {name}")
    return entries


def _mend_chat(reply: dict[str, Any]) -> None:
    _fill(reply, id="", model="", object="chat.completion", created=0)
    _mend_usage(reply, "prompt_tokens", "completion_tokens")
    choices = _entries(reply, "choices")
    if not choices:
        raise UnreadableReplyError("the reply's list of choices is empty")
    for number, choice in enumerate(choices):
        _fill(choice, index=number)
        message = choice.get("message")
        if not isinstance(message, dict):
            raise UnreadableReplyError("the reply lacks a message")
        _fill(message, role="assistant")
        for position, call in enumerate(message.get("tool_calls") or ()):
            if isinstance(call, dict):
                _fill(call, id=f"call_{number}_{position}", type="function")


def _mend_response(reply: dict[str, Any]) -> None:
    _fill(
        reply,
        id="",
        model="",
        object="response",
        created_at=0,
        status="completed",
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
    )
    _mend_usage(reply, "input_tokens", "output_tokens")
    for number, item in enumerate(_entries(reply, "output")):
        kind = item.setdefault("type", "message")
        if kind == "message":
            _fill(item, id=f"msg_{number}", role="assistant", status="completed", content=[])
            for part in _entries(item, "content"):
                _fill(part, type="output_text")
                if part["type"] == "output_text":
                    _fill(part, annotations=[])
        elif kind == "function_call":
            _fill(item, call_id=item.get("id") or f"call_{number}")


def _mend_usage(reply: dict[str, Any], sent: str, written: str) -> None:
    """Fill a usage in, or drop one whose counts are no counts."""
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        reply["usage"] = None
        return
    _fill(usage, **{sent: 0, written: 0})
    if _counts(usage):
        _fill(usage, total_tokens=usage[sent] + usage[written])
    else:
        reply["usage"] = None


def _counts(usage: dict[str, Any]) -> bool:
    """Tell whether no token count in a usage is anything but a count."""
    for name, value in usage.items():
        if isinstance(value, dict):
            if not _counts(value):
                return False
        elif name.endswith("_tokens") and not (
            value is None or (isinstance(value, int) and value >= 0)
        ):
            return False
    return True


def _fill(entry: dict[str, Any], **defaults: Any) -> None:
    for name, default in defaults.items():
        if entry.get(name) is None:
            entry[name] = default


_OTHERS = ("/messages", ":generateContent")
"""Where Anthropic and Google are asked; nothing is mended in their replies."""

_MENDERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "/chat/completions": _mend_chat,
    "/responses": _mend_response,
}
