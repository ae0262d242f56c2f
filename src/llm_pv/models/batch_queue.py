"""Collect calls into the vendors' batches: half the price, and up to a day to wait.

Submitted batches are recorded in a file, so that a killed run can collect what it has paid for: a
request is recognised by the digest of its body and its seed. Only a batch whose creation the
vendor had not yet confirmed can be lost.
"""

import asyncio
import hashlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_ai import ModelResponse
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models import Model
from pydantic_ai.models.batch import Batch, BatchRequest, BatchResult, EncodedBatchRequest

from llm_pv.errors import ModelError, RepairWarning
from llm_pv.models.connection import RequestMonitor, monitored
from llm_pv.models.retrying import Backoff, call_with_retries, explanation, is_transient

Result = TypeVar("Result")

LONGEST_RESULTS = 2**30
"""The most bytes of the results of a batch."""

TOO_MANY = 429
"""The only failure after which a batch was certainly not created, and may be created later."""

_HANDLES = TypeAdapter(Batch)


@dataclass
class _Item:
    """One call: its name within batches, its request, and the futures awaiting the answer."""

    name: str
    request: BatchRequest
    encoded: EncodedBatchRequest
    answer: "asyncio.Future[ModelResponse]"


class BatchQueue:
    """Turns single calls into batches; used in one event loop only.

    Parameters
    ----------
    record
        The file that records batches; None to record none.
    retries, backoff
        For the requests that create and poll a batch.
    """

    window = 2.0
    "Seconds that the first call waits for others to join its batch."
    first_look, longest_look = 30.0, 600.0
    "The first and the longest wait between status requests; each is half as long again."
    sleep = staticmethod(asyncio.sleep)

    def __init__(
        self, model: Model[Any], record: Path | None, retries: int, backoff: Backoff
    ) -> None:
        self._model = model
        self._record = record
        self._retries = retries
        self._backoff = backoff
        self._asked: Counter[str] = Counter()
        self._waiting: list[_Item] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._known = dict(_read(record))

    async def ask(self, request: BatchRequest, seed: int) -> ModelResponse:
        """Return the answer to a request, sent in the next batch or found in a recorded one."""
        encoded = await self._model.batch_encode(request)
        key = hashlib.sha256(f"{seed}\n{encoded.body}".encode()).hexdigest()[:32]
        # The same request twice, or again after a failure, is a separate item.
        name = f"{key}-{self._asked[key]}"
        self._asked[key] += 1
        item = _Item(
            name,
            replace(request, custom_id=name),
            replace(encoded, custom_id=name),
            asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(item)
        if len(self._waiting) == 1:
            self._start(self._send_gathered())
        return await item.answer

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_gathered(self) -> None:
        await self.sleep(self.window)
        items, self._waiting = self._waiting, []
        with _failing(items):
            self._send_all(items)

    def _send_all(self, items: list[_Item]) -> None:
        noted: dict[str, list[_Item]] = {}
        fresh: dict[str, list[_Item]] = {}
        for item in items:
            handle = self._known.get(item.name)
            if handle is None:
                fresh.setdefault(item.encoded.group, []).append(item)
            else:
                noted.setdefault(handle.id, []).append(item)
        for together in noted.values():
            self._start(self._collect(self._known[together[0].name], together))
        for group in fresh.values():
            for chunk in self._chunks(group):
                self._start(self._send(chunk))

    def _chunks(self, items: list[_Item]) -> Iterator[list[_Item]]:
        most = self._model.batch_max_requests or 1
        most_bytes = self._model.batch_max_bytes or LONGEST_RESULTS
        chunk: list[_Item] = []
        size = 0
        for item in items:
            more = self._model.batch_request_size(item.encoded)
            if chunk and (len(chunk) == most or size + more > most_bytes):
                yield chunk
                chunk, size = [], 0
            chunk.append(item)
            size += more
        yield chunk

    async def _send(self, items: list[_Item]) -> None:
        with _failing(items), monitored(RequestMonitor(longest_reply=LONGEST_RESULTS)):
            handle = await self._create([item.encoded for item in items])
            _note(self._record, handle, [item.name for item in items])
            await self._wait_and_deliver(handle, items)

    async def _create(self, requests: list[EncodedBatchRequest]) -> Batch:
        try:
            return await self._call(partial(self._model.batch_create, requests), _was_not_made)
        except ModelAPIError as error:
            if is_transient(error) and not _was_not_made(error):
                raise ModelError(
                    f"a batch failed to be made, but may have been made all the same: "
                    f"{explanation(error)}",
                    transient=True,
                    maybe_paid=True,
                ) from error
            raise

    async def _collect(self, handle: Batch, items: list[_Item]) -> None:
        """Wait for a batch that an earlier process sent."""
        with _failing(items), monitored(RequestMonitor(longest_reply=LONGEST_RESULTS)):
            try:
                handle = await self._call(partial(self._model.batch_status, handle))
            except ModelHTTPError as error:
                if error.status_code != 404:
                    raise
                # The vendor no longer has it, so it has to be sent, and paid for, again.
                await self._send(items)
                return
            await self._wait_and_deliver(handle, items)

    async def _wait_and_deliver(self, handle: Batch, items: list[_Item]) -> None:
        wait = self.first_look
        while handle.status != "ended":
            await self.sleep(wait)
            wait = min(wait * 1.5, self.longest_look)
            handle = await self._call(partial(self._model.batch_status, handle))
        results = await self._call(partial(self._model.batch_results, handle))
        by_name = {result.custom_id: result for result in results}
        for item in items:
            self._deliver(item, by_name.get(item.name))

    def _deliver(self, item: _Item, result: BatchResult | None) -> None:
        if item.answer.done():
            return
        if result is None:
            lost = ModelError("the batch ended without an answer to this call", transient=True)
            item.answer.set_exception(lost)
            return
        try:
            item.answer.set_result(self._model.batch_decode(result, item.request))
        except Exception as error:  # noqa: BLE001 - an unreadable answer fails this item only
            item.answer.set_exception(error)

    async def _call(
        self,
        call: Callable[[], Coroutine[Any, Any, Result]],
        retry: Callable[[BaseException], bool] = is_transient,
    ) -> Result:
        return await call_with_retries(call, self._retries, self._backoff, retry)


def _was_not_made(error: BaseException) -> bool:
    return isinstance(error, ModelHTTPError) and error.status_code == TOO_MANY


@contextmanager
def _failing(items: list[_Item]) -> Iterator[None]:
    """Pass a failure of a batch to everything that awaits it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it is raised again where the answers are awaited
        for item in items:
            if not item.answer.done():
                item.answer.set_exception(error)


def _note(record: Path | None, handle: Batch, names: list[str]) -> None:
    """Append a batch to the record and sync it, before anything depends on it."""
    if record is None:
        return
    # The group holds a digest of the key, which only sending needs.
    group = {**json.loads(handle.group), "credential": ""}
    plain = _HANDLES.dump_python(replace(handle, group=json.dumps(group)), mode="json")
    line = json.dumps({"batch": plain, "calls": names}).encode() + b"\n"
    with record.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            # A kill may have cut the last line short: joined to it, this line would be unreadable.
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _read(record: Path | None) -> Iterator[tuple[str, Batch]]:
    if record is None or not record.exists():
        return
    for line in record.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
            handle = _HANDLES.validate_python(entry["batch"])
            yield from ((name, handle) for name in entry["calls"])
        except (ValueError, KeyError, TypeError):
            # The last line of a run that was killed while writing it.
            warnings.warn(
                f"{record}: a line that was cut short is passed over; its batch may be paid again",
                RepairWarning,
                stacklevel=2,
            )
