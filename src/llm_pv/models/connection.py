"""One HTTP client in one background event loop, callable from any thread."""

import asyncio
import contextlib
import json
import threading
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2

from llm_pv.errors import ModelError
from llm_pv.models.base import BeforeRetry
from llm_pv.models.openai_replies import readable_reply
from llm_pv.models.proxies import RoutedTransport
from llm_pv.models.wire_text import ENCODINGS, UnreadableReplyError, unpacked

Result = TypeVar("Result")

LONGEST_REPLY = 32 * 2**20
"""The most bytes of a reply, a hundred times the longest that a model can generate."""

MOST_KEPT = 200_000
"""Bytes kept of a reply that cannot be read, for the record."""

SPARE = 1_000
"""Bytes kept in addition, so that a key is never cut in two before it is removed."""


class ReplyTooLongError(ModelError):
    """Raised for a reply longer than any model can generate."""


class CapturedRequest(BaseException):
    """Carries a request that a preview intercepted before it was sent.

    Not an `Exception`, so that no client treats it as a network failure and retries.
    """

    def __init__(self, request: httpx2.Request) -> None:
        super().__init__("not sent")
        self.method = request.method
        self.url = str(request.url)
        self.body: dict[str, Any] = json.loads(request.content)


@dataclass
class RequestMonitor:
    """Monitors the requests of one call."""

    sent: int = 0
    possibly_billed: int = 0
    "Tries so far that failed and may be billed."
    received: bytearray = field(default_factory=bytearray)
    hold: bool = False
    "Whether the first request is intercepted before it is sent."
    longest_reply: int = LONGEST_REPLY
    "The most bytes of a reply."
    before_retry: BeforeRetry | None = None
    "Awaited before a request that follows a try that may be billed."
    failure: str = ""
    "How the last try failed, in one line."
    _covered: int = 0

    async def make_room(self) -> None:
        """Reserve the cost of another request for each earlier one that may be billed."""
        while self._covered < self.possibly_billed:
            if self.before_retry is not None:
                await self.before_retry()
            self._covered += 1


_monitor: ContextVar[RequestMonitor | None] = ContextVar("monitor", default=None)


@contextlib.contextmanager
def monitored(monitor: RequestMonitor) -> Iterator[RequestMonitor]:
    """Count the requests made within the block, or intercept the first of them."""
    token = _monitor.set(monitor)
    try:
        yield monitor
    finally:
        _monitor.reset(token)


async def _before(request: httpx2.Request) -> None:
    monitor = _monitor.get()
    if monitor is None:
        return
    if monitor.hold:
        raise CapturedRequest(request)
    monitor.sent += 1
    monitor.received.clear()


_PACKED = (b"\x1f", b"x\x01", b"x^", b"x\x9c", b"x\xda")
"""How gzip and zlib begin, and no text."""


class _Pieces(httpx2.AsyncByteStream):
    """A body whose pieces are checked or changed on their way."""

    def __init__(self, stream: httpx2.AsyncByteStream, pieces: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _capped(stream: AsyncIterable[bytes], monitor: RequestMonitor) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received > monitor.longest_reply:
            message = f"a reply of more than {monitor.longest_reply // 2**20} MiB"
            raise ReplyTooLongError(message, maybe_paid=True)
        monitor.received += chunk[: MOST_KEPT + SPARE - len(monitor.received)]
        yield chunk


async def _unpacked(stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield a body, decompressed in pieces where it is compressed so that its size can be bounded.

    Its first bytes decide: gateways decompress a body, or compress it, and leave its header.
    """
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by the header
    is_packed: bool | None = None
    async for chunk in stream:
        is_packed = chunk.startswith(_PACKED) if is_packed is None else is_packed
        for piece in unpacked(chunk, decoder) if is_packed else (chunk,):
            yield piece


def _inflated(body: bytes, most: int) -> bytes:
    """Return a body that was deflated without a header to recognise it by, others as they are."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    with contextlib.suppress(zlib.error):
        inflated = decoder.decompress(body, most)
        return inflated if decoder.eof and not decoder.unused_data else body
    return body


async def _after(response: httpx2.Response) -> None:
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    response.headers.pop("content-encoding", None)
    if response.request.method == "POST" and response.has_redirect_location:
        # If followed, one call could become many, and the rows could go to another server.
        raise ModelError(
            f"the server sends requests on to {response.headers['location']!r}, which are not "
            "followed; give that server's address as --base-url"
        )
    monitor = _monitor.get() or RequestMonitor()
    capped = _capped(_unpacked(_unpacked(stream)), monitor)  # a gateway compresses once more
    response.stream = stream = _Pieces(stream, capped)
    if response.request.method == "POST" and response.is_success:
        # The whole reply at once, as OpenAI would have written it.
        try:
            body = b"".join([piece async for piece in stream])
            await stream.aclose()
            body = _inflated(body, monitor.longest_reply) if encoding == "deflate" else body
            readable, response.status_code = readable_reply(response.request.url.path, body)
        except UnreadableReplyError as error:
            if encoding in ENCODINGS:
                raise
            message = f"a reply packed as {encoding!r}, which was not asked for"
            raise ReplyTooLongError(message, maybe_paid=True) from error
        response.stream = httpx2.ByteStream(readable)
        await response.aread()
        if readable is not body:  # clients parse only bodies of the type JSON
            response.headers["content-type"] = "application/json"


class Connection:
    """A thread with an event loop and its HTTP client.

    Parameters
    ----------
    timeout_seconds
        The longest wait for data; the caller limits the whole call.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._loop = asyncio.new_event_loop()
        self.client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_seconds, connect=min(30.0, timeout_seconds)),
            transport=RoutedTransport(
                httpx2.Limits(max_connections=None, max_keepalive_connections=100)
            ),
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [_before], "response": [_after]},
        )
        self._lock = threading.Lock()
        self._closed = False
        # A daemon thread, so that a program which never closes the model can still exit.
        self._thread = threading.Thread(target=self._serve, name="llm-pv-models", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the loop and wait; an interrupt in this thread cancels it."""
        future = self._submit(work)
        try:
            return future.result()
        except CancelledError as error:
            message = "this model was closed while it was answering"
            raise ModelError(message, transient=True, maybe_paid=True) from error
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel running calls and close every connection; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _submit(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        with self._lock:
            if self._closed:
                work.close()
                raise ModelError("this model is closed", transient=True)
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            pending = asyncio.all_tasks(self._loop)
            for task in pending:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self._loop.run_until_complete(self.client.aclose())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
