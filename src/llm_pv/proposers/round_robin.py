"""Attempts in rounds: attempt i+1 of a cell starts when every open cell has its i-th started.

Where attempts cost money, cells that stop early make room before dear cells get their next one,
and no cell has paid for all its attempts while another has none.
"""

import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass


class StoppedError(Exception):
    """No attempt may begin any more; never shown."""


class RoundRobin:
    """Lets so many attempts be under way at once, in rounds.

    Parameters
    ----------
    started
        How many attempts each open cell has started, those of an earlier run included.
    slots
        How many attempts are under way at once.

    Examples
    --------
    >>> rounds = RoundRobin({"one": 0, "two": 1}, slots=2)
    >>> one, two = rounds.cell("one"), rounds.cell("two")
    >>> one.acquire(1)
    >>> two.acquire(2)
    >>> one.close()
    >>> two.release()
    >>> two.acquire(3)
    """

    def __init__(self, started: Mapping[Hashable, int], slots: int) -> None:
        self._started = dict(started)
        self._free = slots
        self._changed = threading.Condition()
        self._stopped = False

    def cell(self, key: Hashable) -> "CellTurns":
        """Return the admission of one cell."""
        return CellTurns(self, key)

    def acquire(self, key: Hashable, number: int) -> None:
        """Wait until every open cell has started attempt ``number - 1``, and for a slot.

        A cell that asks for an attempt will not ask for an earlier one any more.
        """
        with self._changed:
            self._started[key] = max(self._started.get(key, 0), number - 1)
            self._changed.notify_all()
            while not self._free or min(self._started.values(), default=number) < number - 1:
                if self._stopped:
                    raise StoppedError
                self._changed.wait()
            if self._stopped:
                raise StoppedError
            self._free -= 1
            self._started[key] = number
            self._changed.notify_all()

    def release(self) -> None:
        """Free the slot of an attempt that is over."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def close(self, key: Hashable) -> None:
        """Take a cell out of the rounds."""
        with self._changed:
            self._started.pop(key, None)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let nothing begin any more: whoever waits gets a StoppedError."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


@dataclass(frozen=True)
class CellTurns:
    """The admission of one cell.

    Parameters
    ----------
    rounds, key
        The rounds, and the cell's place in them.
    """

    rounds: RoundRobin
    key: Hashable

    def acquire(self, number: int) -> None:
        """Wait until attempt ``number`` may begin."""
        self.rounds.acquire(self.key, number)

    def release(self) -> None:
        """Tell that an attempt is over."""
        self.rounds.release()

    def close(self) -> None:
        """Tell that no further attempt will ask."""
        self.rounds.close(self.key)
