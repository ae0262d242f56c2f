"""A page on 127.0.0.1 that shows a run while it works."""

import json
import secrets
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from types import TracebackType
from typing import Any

_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def interrupt() -> None:
    """Interrupt the main thread as one Ctrl-C does."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@dataclass(frozen=True)
class RunView:
    """The state of a run as the page shows it."""

    state: str
    best: str
    spent: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    "The latest first."


class LivePage:
    """Serve the state of one run until it is closed; no other machine can reach it.

    The address holds a token, so that other users and pages of this machine cannot read it.

    Parameters
    ----------
    view
        Returns what the page shows; called in other threads.
    stop
        Called, in another thread, by the page's button.
    """

    def __init__(self, view: Callable[[], RunView], stop: Callable[[], None] = interrupt) -> None:
        self._view, self._stop = view, stop
        self._token, self._nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.policy = _POLICY.format(nonce=self._nonce)
        "Content security policy: the page loads its own style and script alone."
        self._start = time.monotonic()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self._host}/{self._token}/"
        "Where the page is."

    def __enter__(self) -> "LivePage":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, host: str, *, post: bool) -> tuple[int, str, str]:
        """Return the status, the type and the text for a request."""
        token, _, name = path.removeprefix("/").partition("/")
        # A page of another name that resolves to this machine has another host.
        if host != self._host or not secrets.compare_digest(token.encode(), self._token.encode()):
            return 404, "text/plain", "not found\n"
        if post and name == "stop":
            self._stop()
            return 200, "text/plain", "stopping\n"
        if not post and name == "state":
            return 200, "application/json", json.dumps(self._state())
        if not post and name == "":
            folder = files("llm_pv.report").joinpath("templates")
            style = folder.joinpath("style.css").read_text("utf-8")
            page = folder.joinpath("watch.html").read_text("utf-8")
            return 200, "text/html", page.replace("NONCE", self._nonce).replace("STYLE", style)
        return 404, "text/plain", "not found\n"

    def _state(self) -> dict[str, Any]:
        return {"seconds": round(time.monotonic() - self._start)} | asdict(self._view())


class _Handler(BaseHTTPRequestHandler):
    """Answers of a `LivePage`, never kept and never shown inside another page."""

    def __init__(self, page: LivePage, *args: Any) -> None:
        self._page = page
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer with the page or the state."""
        self._answer(post=False)

    def do_POST(self) -> None:
        """Stop the run."""
        self._answer(post=True)

    def _answer(self, *, post: bool) -> None:
        host = self.headers.get("Host", "")
        status, kind, text = self._page.answer(self.path, host, post=post)
        data = text.encode()
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(data)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": self._page.policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the terminal free of requests."""
