"""Read the fields of replies in the form of any vendor; a field of another type is none."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_pv.models.streams import Reply, dict_of
from llm_pv.programs.entry_points import DEFINES

_TEXTS = ("text", "content", "parts", "thinking", "reasoning", "summary", "value")
_NO_ANSWERS = {
    *("error", "errors", "detail", "details", "warning", "warnings", "message"),
    *("input", "inputs", "instructions", "messages", "prompt", "request", "tools"),
}
"""Keys of errors, and of what was asked."""
_GOOGLE_PARTS = (
    *("thoughtsTokenCount", "promptTokenCount", "candidatesTokenCount", "toolUsePromptTokenCount"),
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MOST_TOKENS = 10**12


class SentError(Exception):
    """Raised for an error sent with a success status."""

    def __init__(self, error: Any) -> None:
        self.error = error


def text_of(value: Any) -> str:
    """Return the text in a string, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(text_of, value))
    if isinstance(value, dict):
        return next((text for name in _TEXTS if (text := text_of(value.get(name)))), "")
    return ""


def program_text(value: Any) -> str:
    """Return the last text anywhere in a JSON value that may define a function, ``""`` for none.

    Errors and what was asked do not count.

    Examples
    --------
    >>> program_text({"prompt": "def g", "data": [{"rule": "def f(x): return 1"}], "id": 7})
    'def f(x): return 1'
    """
    return next(filter(DEFINES.search, _texts_within(value)), "")


def _texts_within(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value, the last first."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in reversed(value):
            yield from _texts_within(each)
    elif isinstance(value, dict):
        for name, each in reversed(value.items()):
            if name.lower() not in _NO_ANSWERS or (name == "message" and isinstance(each, dict)):
                yield from _texts_within(each)


def renamed(value: Any) -> Any:
    """Return a JSON value with its keys in lower case and underscores.

    Examples
    --------
    >>> renamed({"Choices": [{"finishReason": "Stop"}]})
    {'choices': [{'finish_reason': 'Stop'}]}
    """
    if isinstance(value, dict):
        return {_HUMP.sub("_", name).lower(): renamed(each) for name, each in value.items()}
    return list(map(renamed, value)) if isinstance(value, list) else value


def arguments_of(given: Any) -> dict[str, str]:
    """Return the arguments of a tool call as text."""
    text = given if isinstance(given, str) else "" if given is None else json.dumps(given)
    return {"arguments": text}


def usage_of(usage: Any, sent: str, written: str) -> Reply | None:
    """Return the counts of a usage, None where there is none.

    Whatever the total holds beside the tokens sent counts as written, which costs the most: some
    servers count reasoning there alone.
    """
    counts = _counts(dict_of(usage))
    found = [
        next((counts[name] for name in names if isinstance(counts.get(name), int)), None)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    ]
    total = counts.get("total_tokens") or 0
    if found == [None, None] and not total:
        return None
    first, second = found
    if first is None:
        first = max(total - second, 0) if second else 0
    second = max(second or 0, total - first)
    return {**counts, sent: first, written: second, "total_tokens": first + second}


def vendor_usage(reply: Reply) -> Reply:
    """Return a reply of Anthropic or Google with its counts alone, and all of them.

    What Google's total holds beside its parts counts as thoughts.

    Examples
    --------
    >>> vendor_usage({"content": [], "usage": {"input_tokens": "7", "service_tier": "batch"}})
    {'content': [], 'usage': {'input_tokens': 7, 'output_tokens': 0}}
    >>> vendor_usage({"usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 9}})
    {'usageMetadata': {'promptTokenCount': 5, 'totalTokenCount': 9, 'thoughtsTokenCount': 4}}
    """
    if "content" in reply:
        counts = _counts(dict_of(reply.get("usage")))
        return {**reply, "usage": {"input_tokens": 0, "output_tokens": 0} | counts}
    if "usageMetadata" not in reply:
        return reply
    counts = _counts(dict_of(reply["usageMetadata"]))
    parts = sum(counts.get(name) or 0 for name in _GOOGLE_PARTS)
    if parts < (counts.get("totalTokenCount") or 0):
        thoughts = counts.get(_GOOGLE_PARTS[0]) or 0
        counts[_GOOGLE_PARTS[0]] = thoughts + counts["totalTokenCount"] - parts
    return {**reply, "usageMetadata": counts}


def _counts(usage: Mapping[str, Any]) -> Reply:
    """Return the entries of a usage that are counts, and the objects that hold such."""
    counts: Reply = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            counts[name] = _counts(value)
        elif (count := count_of(value, _MOST_TOKENS)) is not None:
            counts[name] = count
    return counts


def count_of(value: Any, most: int) -> int | None:
    """Return a non-negative whole number, as a number or text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        return None
    return int(value)


def word_of(value: Any) -> str:
    """Return a string; an empty one for any other value."""
    return value if isinstance(value, str) else ""
