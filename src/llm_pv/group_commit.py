"""Group commit: one of several waiting threads executes the work of all of them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class GroupCommit(Generic[_Item, _Result]):
    """Passes waiting items to a function in batches; each call returns when its item is done.

    A disk syncs some hundred times a second, whatever the amount of data, and an accelerator
    answers many prompts in the time of one.

    Parameters
    ----------
    do
        Executes several items, all of them or none, and returns their results in order, or None
        if there are none. It never runs concurrently, and an error that it raises is raised in
        every call whose item was in the batch.

    Examples
    --------
    >>> written = []
    >>> write = GroupCommit(written.extend)
    >>> write("a line")
    >>> written
    ['a line']
    >>> GroupCommit(lambda numbers: [2 * number for number in numbers])(21)
    42
    """

    def __init__(self, do: Callable[[Sequence[_Item]], Sequence[_Result] | None]) -> None:
        self._do = do
        self._waiting: list[_Request[_Item, _Result]] = []
        self._queue = threading.Lock()
        self._work = threading.Lock()

    def __call__(self, item: _Item) -> _Result:
        """Execute an item, together with others that are waiting."""
        mine: _Request[_Item, _Result] = _Request(item)
        with self._queue:
            self._waiting.append(mine)
        with self._work:
            if not mine.done:  # otherwise the thread that held the lock before has executed it
                self._do_waiting()
        if mine.error is not None:
            raise mine.error
        return cast("_Result", mine.result)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait for the current run, if any, and prevent further ones."""
        with self._work:
            yield

    def _do_waiting(self) -> None:
        with self._queue:
            requests, self._waiting = self._waiting, []
        try:
            results = self._do([one.item for one in requests])
            if results is not None:
                for one, result in zip(requests, results, strict=True):
                    one.result = result
        except BaseException as error:
            for one in requests:
                one.error = error
            raise
        finally:
            for one in requests:
                one.done = True


@dataclass(eq=False)
class _Request(Generic[_Item, _Result]):
    item: _Item
    done: bool = False
    result: _Result | None = None
    error: BaseException | None = None
