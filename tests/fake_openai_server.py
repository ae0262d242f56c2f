"""A counting stand-in for OpenAI's chat completions and responses, on loopback.

``python tests/fake_openai_server.py --port 0 --delay 1 --reply replies.json --log log.jsonl``
prints its base URL's port in one line and serves until it is ended. ``GET /count`` tells how many
requests came and how many were answered; the log holds one line per request, written and flushed
before the delay: ``{"number", "path", "authorization", "body"}``, the authorization only as
whether there was one.

``--reply`` is a text file, the text of every reply, or a ``.json`` file:

- a list: the n-th request gets the n-th reply, the last one repeats;
- ``{"turns": [...]}``: a request with n tool answers in its conversation gets the n-th reply, so
  that many conversations at once are each served the same script.

A reply is ``{"text": "..."}``, ``{"code": "..."}`` (a call of run_python), ``{"call": {"name":
"...", "arguments": "..."}}`` (any call), or ``{"status": 500, "headers": {...}, "body": "..."}``;
``"finish"`` sets the finish reason, ``"usage"`` is ``[input, output, cached, reasoning]``,
``"delay"`` replaces the server's.
"""

import argparse
import contextlib
import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Reply = Mapping[str, Any]


@dataclass
class Script:
    """Which reply a request gets."""

    replies: Sequence[Reply]
    by_turn: bool = False

    @classmethod
    def read(cls, path: Path) -> "Script":
        text = path.read_text("utf-8")
        if path.suffix != ".json":
            return cls([{"text": text}])
        read = json.loads(text)
        return cls(read["turns"], by_turn=True) if isinstance(read, dict) else cls(read)

    def reply(self, number: int, body: Mapping[str, Any]) -> Reply:
        """Return the reply to the request of this number, counted from 0."""
        index = tool_answers(body) if self.by_turn else number
        return self.replies[min(index, len(self.replies) - 1)]


def tool_answers(body: Mapping[str, Any]) -> int:
    """Count the tool answers in a request of either interface."""
    entries = body.get("messages") or body.get("input") or []
    if isinstance(entries, str):
        return 0
    return sum(
        entry.get("role") == "tool" or entry.get("type") == "function_call_output"
        for entry in entries
    )


def chat_completion(reply: Reply, number: int, model: str, choices: int) -> dict[str, Any]:
    """Write a reply as a chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.get("text")}
    call = _call(reply)
    if call:
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": call}]
    finish = reply.get("finish", "tool_calls" if call else "stop")
    sent, written, cached, reasoning = reply.get("usage", (100, 20, 0, 0))
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [
            {"index": index, "finish_reason": finish, "message": message}
            for index in range(choices)
        ],
        "usage": {
            "prompt_tokens": sent,
            "completion_tokens": written * choices,
            "total_tokens": sent + written * choices,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }


def response(reply: Reply, number: int, model: str) -> dict[str, Any]:
    """Write a reply as a response of the Responses interface."""
    output: list[dict[str, Any]] = []
    sent, written, cached, reasoning = reply.get("usage", (100, 20, 0, 0))
    if reasoning:
        output.append(
            {
                "type": "reasoning",
                "id": f"rs_{number}",
                "summary": [],
                "encrypted_content": f"sealed-{number}",
            }
        )
    call = _call(reply)
    if call:
        output.append(
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{number}",
                "status": "completed",
                **call,
            }
        )
    if reply.get("text") is not None:
        output.append(
            {
                "type": "message",
                "id": f"msg_{number}",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": reply["text"], "annotations": []}],
            }
        )
    output.extend(reply.get("output", ()))
    finish = reply.get("finish")
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": model,
        "status": "incomplete" if finish else "completed",
        "incomplete_details": {"reason": finish} if finish else None,
        "error": None,
        "instructions": None,
        "metadata": {},
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": sent + written,
        },
    }


def _call(reply: Reply) -> dict[str, str] | None:
    if "code" in reply:
        return {"name": "run_python", "arguments": json.dumps({"code": reply["code"]})}
    return dict(reply["call"]) if "call" in reply else None


class LoopbackServer(ThreadingHTTPServer):
    """Serves in threads of its own; use it as a context manager."""

    daemon_threads = True
    request_queue_size = 512
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away: the tests cut connections on purpose."""


@dataclass
class Record:
    """What came in."""

    script: Script
    delay: float = 0.0
    log: Path | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entry: dict[str, Any]) -> int:
        """Keep a request and return its number, counted from 0."""
        with self.lock:
            number = len(self.requests)
            self.requests.append({"number": number, **entry})
            if self.log is not None:
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(self.requests[-1]) + "\n")
            return number

    def note_answered(self) -> None:
        with self.lock:
            self.answered += 1

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [entry["body"] for entry in self.requests]


class OpenAIHandler(BaseHTTPRequestHandler):
    """Serves the script of the record that a subclass holds."""

    record: Record
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one segment per reply, else Nagle's algorithm adds 40 ms
    disable_nagle_algorithm = True

    @classmethod
    def serving(cls, record: Record) -> type["OpenAIHandler"]:
        return type("Handler", (cls,), {"record": record})

    def do_GET(self) -> None:
        if self.path == "/count":
            counts = {"requests": len(self.record.requests), "answered": self.record.answered}
            self.send(200, json.dumps(counts))
        elif self.path == "/v1/models":
            models = {"object": "list", "data": [{"id": "fake", "object": "model"}]}
            self.send(200, json.dumps(models))
        else:
            self.send(404, "{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = bool(self.headers["Authorization"])
        number = self.record.add({"path": self.path, "authorization": authorization, "body": body})
        reply = self.record.script.reply(number, body)
        time.sleep(reply.get("delay", self.record.delay))
        if "status" in reply:
            text = str(reply.get("body", '{"error": {"message": "scripted"}}'))
            self.send(int(reply["status"]), text, reply.get("headers", {}))
            return
        model = str(body.get("model"))
        if self.path.endswith("/chat/completions"):
            made = chat_completion(reply, number, model, int(body.get("n") or 1))
        elif self.path.endswith("/responses"):
            made = response(reply, number, model)
        else:
            self.send(404, '{"error": {"message": "no such path"}}')
            return
        # Before the reply, so that whoever has read it finds it counted.
        self.record.note_answered()
        self.send(200, json.dumps(made))

    def send(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Log nothing to the terminal."""


class FakeOpenAI:
    """The server and what it saw, as a context manager for tests.

    Parameters
    ----------
    replies
        The script; see the module.
    by_turn
        Whether a reply is chosen by the number of tool answers.
    delay
        Seconds before each reply.
    """

    def __init__(self, replies: Sequence[Reply], by_turn: bool = False, delay: float = 0.0) -> None:
        self.record = Record(Script(replies, by_turn), delay)
        self._server = LoopbackServer(OpenAIHandler.serving(self.record))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return self.record.bodies

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--reply", type=Path, required=True, help="text or .json; see the file")
    parser.add_argument("--log", type=Path, help="where each request is appended as a JSON line")
    given = parser.parse_args()
    record = Record(Script.read(given.reply), given.delay, given.log)
    with LoopbackServer(OpenAIHandler.serving(record), given.port) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
