"""Calls from several threads, done together by whichever of them comes first."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


@dataclass
class _Waiting(Generic[_Request, _Result]):
    request: _Request
    done: threading.Event = field(default_factory=threading.Event)
    result: _Result | None = None
    error: BaseException | None = None


class Gathering(Generic[_Request, _Result]):
    """Runs a function on many requests at once, one run at a time.

    A call that finds no run under way begins one with every request that waits; requests that
    come meanwhile make up the next.

    Parameters
    ----------
    run
        Takes requests and returns their results, in order.

    Examples
    --------
    >>> Gathering(lambda numbers: [2 * number for number in numbers]).call(21)
    42
    """

    def __init__(self, run: Callable[[Sequence[_Request]], Sequence[_Result]]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._running = threading.Lock()
        self._waiting: list[_Waiting[_Request, _Result]] = []

    def call(self, request: _Request) -> _Result:
        """Return the result of one request; an error of its run is raised to every caller."""
        mine: _Waiting[_Request, _Result] = _Waiting(request)
        with self._lock:
            self._waiting.append(mine)
        with self._running:
            if not mine.done.is_set():
                self._run_waiting()
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep runs from beginning."""
        with self._running:
            yield

    def _run_waiting(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            results = self._run([one.request for one in batch])
            for one, result in zip(batch, results, strict=True):
                one.result = result
        except BaseException as error:
            for one in batch:
                one.error = error
            raise
        finally:
            for one in batch:
                one.done.set()
