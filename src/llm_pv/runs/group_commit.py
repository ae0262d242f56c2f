"""Doing at one go what several threads ask for at the same time, such as writing to one file."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class GroupCommit(Generic[_Item]):
    """Hands items to a function, many at once where many wait, and returns when theirs is done.

    A disk syncs some hundred times a second, however little there is to sync. Whoever comes first
    therefore does it for everybody who waits by then; nobody's call returns before it is done.

    Parameters
    ----------
    do
        Does several items, all of them or none. It is never called twice at a time, and what it
        raises reaches everyone whose item was among them.

    Examples
    --------
    >>> written = []
    >>> write = GroupCommit(written.extend)
    >>> write("a line")
    >>> written
    ['a line']
    """

    def __init__(self, do: Callable[[Sequence[_Item]], None]) -> None:
        self._do = do
        self._waiting: list[_Wish[_Item]] = []
        self._queue = threading.Lock()
        self._work = threading.Lock()

    def __call__(self, item: _Item) -> None:
        """Do an item, and others that wait beside it."""
        wish = _Wish(item)
        with self._queue:
            self._waiting.append(wish)
        with self._work:
            if not wish.done:
                with self._queue:
                    wishes, self._waiting = self._waiting, []
                try:
                    self._do([one.item for one in wishes])
                except BaseException as error:
                    for one in wishes:
                        one.error = error
                    raise
                finally:
                    for one in wishes:
                        one.done = True
        if wish.error is not None:
            raise wish.error


@dataclass(eq=False)
class _Wish(Generic[_Item]):
    item: _Item
    done: bool = False
    error: BaseException | None = None
