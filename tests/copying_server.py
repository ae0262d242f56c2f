"""A chat-completions server that answers with the last character of the last message."""

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from fake_openai_server import LoopbackServer, chat_completion


class CopyingServer:
    """The server and what it was sent, as a context manager.

    Parameters
    ----------
    goes_away_after
        The number of requests after which it hangs up on every other.
    tells_logprobs
        Whether it tells probabilities when asked.
    """

    def __init__(self, goes_away_after: int | None = None, *, tells_logprobs: bool = True) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answered = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                entry = {"id": "copier", "object": "model", "max_model_len": 4_000}
                self._send({"object": "list", "data": [entry]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.bodies.append(body)
                    gone = goes_away_after is not None and len(server.bodies) > goes_away_after
                if gone:
                    self.close_connection = True
                    return
                self._send(server.completion(body, tells_logprobs=tells_logprobs))
                with server._lock:
                    server.answered += 1

            def _send(self, value: dict[str, Any]) -> None:
                text = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = LoopbackServer(Handler)
        self.base_url = f"http://127.0.0.1:{self._server.port}/v1"

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def completion(self, body: dict[str, Any], *, tells_logprobs: bool) -> dict[str, Any]:
        """Answer as JSON where the prompt or the request asks for it, else with the bare label."""
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        label = text[-1]
        as_json = "response_format" in body or "JSON" in text
        said = json.dumps({"label": label}) if as_json else label
        made = chat_completion({"text": said}, len(self.bodies), body["model"], 1)
        if body.get("logprobs") and tells_logprobs:
            tokens = [
                {"token": token, "logprob": logprob, "bytes": None}
                for token, logprob in ((label, -0.1), ("x", -3.0))
            ]
            entry = {**tokens[0], "top_logprobs": tokens}
            made["choices"][0]["logprobs"] = {"content": [entry], "refusal": None}
        return made
