"""Servers on loopback that say exactly what a test wants, well-formed or broken.

The replies are written from the vendors' published formats, and driven through their own clients.
"""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

import pytest

from fake_openai_server import LoopbackServer
from llm_pv.models import LanguageModel, ModelOptions, make_model


@dataclass(frozen=True)
class Wire:
    """One reply.

    Parameters
    ----------
    body
        A JSON value, or text or bytes sent as they are, or a function that makes one of these.
    status, headers
        Of the reply; the content type is JSON unless a header says otherwise, and ``URL`` in a
        header stands for the server's own.
    cut
        Bytes of the body after which the connection is reset; None to send them all.
    silent
        Whether nothing at all is sent until the test ends.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: bool = False

    def payload(self) -> bytes:
        body = self.body() if callable(self.body) else self.body
        if isinstance(body, bytes):
            return body
        text = body if isinstance(body, str) else json.dumps(body)
        return text.encode()


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes


class WireServer:
    """Gives the n-th request the n-th reply; the last repeats.

    A reply may also be chosen by a path fragment: ``routes`` are looked at first.
    """

    def __init__(
        self, replies: Sequence[Wire], routes: Mapping[str, Sequence[Wire]] | None = None
    ) -> None:
        self.seen: list[Seen] = []
        self.ended = threading.Event()
        self._replies = replies
        self.routes: dict[str, Sequence[Wire]] = dict(routes or {})
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = LoopbackServer(type("Handler", (_Handler,), {"wire": self}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def bodies(self) -> list[Any]:
        return [seen.body for seen in self.seen]

    def route(self, fragment: str, *replies: Wire) -> None:
        """Let requests to a path get other replies from now on."""
        with self._lock:
            self.routes[fragment] = replies
            self._counts[fragment] = 0

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.__exit__()

    def take(self, seen: Seen) -> Wire:
        with self._lock:
            self.seen.append(seen)
            for fragment, replies in self.routes.items():
                if fragment in f"{seen.method} {seen.path}":
                    return self._next(fragment, replies)
            return self._next("", self._replies)

    def _next(self, name: str, replies: Sequence[Wire]) -> Wire:
        number = self._counts.get(name, 0)
        self._counts[name] = number + 1
        return replies[min(number, len(replies) - 1)]


class _Handler(BaseHTTPRequestHandler):
    wire: WireServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.wire.take(Seen(self.command, self.path, headers, body, raw))
        if reply.silent:
            self.wire.ended.wait()
            return
        payload = reply.payload()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value.replace("URL", self.wire.url))
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if reply.cut is None:
            self.wfile.write(payload)
            return
        self.wfile.write(payload[: reply.cut])
        # A linger of 0 seconds makes closing the socket a reset, as when a server dies.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing to the terminal."""


def chat(text: str | None = "hello", **changes: Any) -> dict[str, Any]:
    """Return a chat completion; ``changes`` go into its only choice."""
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        **changes,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "tiny",
        "choices": [choice],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


def chat_call(arguments: str, name: str = "run_python") -> dict[str, Any]:
    """Return a chat completion that calls a tool."""
    function = {"name": name, "arguments": arguments}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    return chat(message=message, finish_reason="tool_calls")


def anthropic(*content: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a message of Anthropic's."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": list(content) or [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 300,
            "output_tokens": 40,
        },
        **changes,
    }


def google(*parts: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an answer of generateContent."""
    candidate = {
        "content": {"role": "model", "parts": list(parts) or [{"text": "hello"}]},
        "finishReason": "STOP",
        "index": 0,
        **changes,
    }
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 150,
        },
        "modelVersion": "gemini-3.1-pro-preview",
        "responseId": "r1",
    }


class OpenModels:
    """Opens models with keys of their own, and closes them in the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OPENAI", "ANTHROPIC", "GOOGLE"):
            monkeypatch.setenv(f"{name}_API_KEY", "a-key-of-the-tests")
        for name in ("GEMINI", "OPENAI_COMPATIBLE"):
            monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        self._stack = contextlib.ExitStack()

    def at(
        self, name: str, url: str | None = None, options: ModelOptions | None = None
    ) -> LanguageModel:
        """Open a model at the address of a server, the vendor's own if there is none."""
        path = "/v1" if name.startswith("openai") else ""
        base_url = url and url.removesuffix("/v1") + path
        model = make_model(name, replace(options or ModelOptions(), base_url=base_url))
        self._stack.callback(model.close)
        return model

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
