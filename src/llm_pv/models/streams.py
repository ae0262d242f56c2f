"""Join the pieces of replies that gateways send as streams, also if none was requested.

OpenAI's chat completions come as chunks, Anthropic's messages as events, Google's answers as parts.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

Reply = dict[str, Any]

_TEXTS = ("content", "text", "refusal", "reasoning_content", "reasoning", "thinking")
_LISTS = ("reasoning_details", "thinking_blocks")


def joined_chunks(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the chat completion of chunks; a complete one is returned unchanged.

    Examples
    --------
    >>> pieces = [{"choices": [{"delta": {"content": text}}]} for text in ("de", "f")]
    >>> joined_chunks(pieces)["choices"]
    [{'message': {'content': 'def'}}]
    """
    first = values[0]
    if len(values) == 1 and not any("delta" in choice for choice in _dicts(first.get("choices"))):
        return first
    whole: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    for chunk in values:
        for name in ("id", "model", "created", "usage", "service_tier", "error"):
            if chunk.get(name):
                whole[name] = chunk[name]
        pieces = _dicts(chunk.get("choices")) or _other_pieces(chunk)
        for position, piece in enumerate(pieces):
            index = piece.get("index")
            place = index if isinstance(index, int) else position
            choices.setdefault(place, _Choice()).add(piece)
    if choices:
        whole["choices"] = [choices[place].whole() for place in sorted(choices)]
    return whole


def _other_pieces(chunk: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a chunk in another vendor's form adds to the reply."""
    said = chunk.get("delta") or chunk.get("message")
    for candidate in _dicts(chunk.get("candidates"))[:1]:
        parts = _dicts((*_dicts(candidate.get("content")), {})[0].get("parts"))
        said = "".join(str(part.get("text") or "") for part in parts if not part.get("thought"))
    if isinstance(said, dict):
        return [{"delta": said}]
    said = said if said and "message" not in chunk else chunk.get("response")
    return [{"delta": {"content": said}}] if isinstance(said, str) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, dict)]


class _Choice:
    """A partial choice; texts are kept in pieces so that the work stays linear."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[Any]] = {}
        self._calls: list[_Call] = []
        self._latest: dict[int | None, _Call] = {}
        self._function: _Call | None = None
        self._message: dict[str, Any] | None = None
        self._others: dict[str, Any] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
        for name in ("finish_reason", "error"):
            if piece.get(name):
                self._others[name] = piece[name]
        for entry in _dicts(piece.get("logprobs")):
            self._lists.setdefault("logprobs", []).extend(_dicts(entry.get("content")))
        message = piece.get("message")
        if isinstance(message, dict) and any(message.get(name) for name in _TEXTS):
            self._message = message  # the complete message, which some servers send last
        delta = piece.get("delta")
        if isinstance(piece.get("text"), str):
            delta = {"content": piece["text"]}
        if isinstance(delta, dict):
            self._add_delta(delta)

    def _add_delta(self, delta: Mapping[str, Any]) -> None:
        for name in _TEXTS:
            value = delta.get(name)
            if isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif value:
                self._lists.setdefault(name, []).extend(_dicts(value))
        for name in _LISTS:
            self._lists.setdefault(name, []).extend(_dicts(delta.get(name)))
        for piece in _dicts(delta.get("tool_calls")):
            self._call_of(piece).add(piece)
        if isinstance(delta.get("function_call"), dict):
            self._function = self._function or _Call()
            self._function.add({"function": delta["function_call"]})

    def _call_of(self, piece: Mapping[str, Any]) -> "_Call":
        """Return the call that a piece continues, or a new one."""
        own, index = piece.get("id"), piece.get("index")
        place = index if isinstance(index, int) else None
        call = self._latest.get(place)
        if call is None or (own and call.id and own != call.id):
            call = _Call()
            self._calls.append(call)
        self._latest[place] = self._latest[None] = call
        return call

    def whole(self) -> dict[str, Any]:
        """Return the choice of all its pieces."""
        logprobs = self._lists.pop("logprobs", [])
        message: dict[str, Any] = dict(self._message or {})
        if not message:
            message = {name: parts for name, parts in self._lists.items() if parts}
            for name, texts in self._texts.items():
                message.setdefault(name, "".join(texts))
            if "content" not in message and "text" in message:
                message["content"] = message.pop("text")
        if self._calls and not message.get("tool_calls"):
            message["tool_calls"] = [call.whole() for call in self._calls]
        if self._function:
            message.setdefault("function_call", self._function.whole()["function"])
        extra = {"logprobs": {"content": logprobs}} if logprobs else {}
        return {"message": message, **self._others, **extra}


class _Call:
    """A partial tool call."""

    def __init__(self) -> None:
        self.id: Any = None
        self._entry: dict[str, Any] = {}
        self._name: Any = None
        self._arguments: list[str] = []
        self._object: Any = None

    def add(self, piece: Mapping[str, Any]) -> None:
        self.id = self.id or piece.get("id")
        if piece.get("extra_content"):
            self._entry["extra_content"] = piece["extra_content"]
        function = piece.get("function")
        if not isinstance(function, dict):
            return
        self._name = self._name or function.get("name")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            self._arguments.append(arguments)
        elif arguments is not None:
            self._object = arguments

    def whole(self) -> dict[str, Any]:
        arguments = "".join(self._arguments) or self._object
        function = {"name": self._name, "arguments": arguments}
        return {"id": self.id, **self._entry, "function": function}


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
                usage = dict_of(message.get("usage")) | dict_of(event.get("usage"))
                message |= dict_of(event.get("delta")) | {"usage": usage}
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
            content = dict_of(dict_of(piece).get("content"))
            parts += content.get("parts") or []
            candidate |= dict_of(piece) | {"content": content | {"parts": parts}}
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


def dict_of(value: Any) -> Reply:
    """Return an object of JSON; an empty one for any other value."""
    return value if isinstance(value, dict) else {}
