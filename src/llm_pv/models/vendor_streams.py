"""Join the events of Anthropic's and Google's streams, which some gateways send unasked."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

Reply = dict[str, Any]


def joined_stream(path: str, values: Sequence[Reply]) -> Reply:
    """Return the whole reply of the values of a stream, an error if it holds nothing else.

    Examples
    --------
    >>> parts = [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("a", "b")]
    >>> joined_stream("/models/gemini:generateContent", parts)["candidates"]
    [{'content': {'parts': [{'text': 'a'}, {'text': 'b'}]}}]
    """
    return _message(values) if path.endswith("/messages") else _answer(values)


def _message(values: Sequence[Reply]) -> Reply:
    """Return a message of Anthropic."""
    message: Reply = {}
    blocks: dict[object, _Block] = {}
    for event in values:
        match event:
            case {"type": "message_start", "message": dict(start)}:
                message = dict(start)
            case {"type": "content_block_start", "content_block": dict(block)}:
                blocks[event.get("index")] = _Block(block)
            case {"type": "content_block_delta", "delta": dict(delta)}:
                blocks.setdefault(event.get("index"), _Block({"type": "text"})).add(delta)
            case {"type": "message_delta"}:
                usage = _dict(message.get("usage")) | _dict(event.get("usage"))
                message |= _dict(event.get("delta")) | {"usage": usage}
            case {"type": "error"} if not blocks:
                return event
            case {"type": "message"}:  # the whole, which some send last
                return event
    return message | {"content": [block.whole() for block in blocks.values()]}


def _answer(values: Sequence[Reply]) -> Reply:
    """Return an answer of Google, its first candidate."""
    answer: Reply = {}
    candidate: Reply = {}
    parts: list[Any] = []
    for chunk in values:
        answer |= chunk
        for piece in (chunk.get("candidates") or [])[:1]:
            content = _dict(_dict(piece).get("content"))
            parts += content.get("parts") or []
            candidate |= _dict(piece) | {"content": content | {"parts": parts}}
    return answer | ({"candidates": [candidate]} if candidate else {})


class _Block:
    """A partial block of a message; texts are kept in pieces so that the work stays linear."""

    def __init__(self, start: Reply) -> None:
        self._start = start
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: Reply) -> None:
        for name in ("text", "thinking", "signature", "partial_json"):
            if isinstance(delta.get(name), str):
                self._pieces.setdefault(name, []).append(delta[name])

    def whole(self) -> Reply:
        """Return the block of all its pieces."""
        block = dict(self._start)
        arguments = "".join(self._pieces.pop("partial_json", ()))
        with suppress(ValueError, RecursionError):  # the arguments of a call may be cut off
            block |= {"input": json.loads(arguments, strict=False)} if arguments else {}
        for name, pieces in self._pieces.items():
            block[name] = str(block.get(name) or "") + "".join(pieces)
        return block


def _dict(value: Any) -> Reply:
    return value if isinstance(value, dict) else {}
