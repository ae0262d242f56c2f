"""Attempts in rounds: attempt i+1 of a cell starts when every open cell has its i-th started.

If attempts cost money, cells that stop early free their share for the others, and no cell has paid
for all its attempts while another has none.
"""

import sys
import threading
from collections.abc import Hashable, Mapping, Sequence


class StoppedError(Exception):
    """Raised if no further attempt may start; never shown."""


class RoundRobin:
    """Limits the number of concurrent attempts, and admits them round robin.

    Parameters
    ----------
    started
        The attempts that each open cell has started, including those of an earlier run.
    slots
        The most concurrent attempts.

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

    def cell(self, key: Hashable) -> "Admission":
        """Return the admission of one cell."""
        return Admission(self, key)

    def acquire(self, key: Hashable, number: int) -> None:
        """Block until every open cell has started attempt ``number - 1`` and a slot is free.

        The attempts of a cell must be requested in ascending order.
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
        """Free the slot of an attempt that has ended."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def close(self, key: Hashable) -> None:
        """Remove a cell, so that the others no longer wait for it."""
        with self._changed:
            self._started.pop(key, None)
            self._changed.notify_all()

    def divide(self, key: Hashable, names: Sequence[str]) -> "list[Admission]":
        """Replace a cell by several, which take turns like cells of their own."""
        with self._changed:
            started = self._started.pop(key, 0)
            self._started.update({(key, name): started for name in names})
            self._changed.notify_all()
        return [self.cell((key, name)) for name in names]

    def stop(self) -> None:
        """Admit no further attempt; waiting calls raise StoppedError."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


class Admission:
    """Decides when the next attempt of a cell may start.

    Parameters
    ----------
    rounds, key
        The round robin, and the cell's key in it.
    """

    def __init__(self, rounds: RoundRobin, key: Hashable) -> None:
        self._rounds = rounds
        self._key = key

    def acquire(self, number: int) -> None:
        """Block until attempt ``number``, from 1, may start.

        Raise StoppedError if no further attempt may start.
        """
        self._rounds.acquire(self._key, number)

    def release(self) -> None:
        """Report that an attempt has ended."""
        self._rounds.release()

    def close(self) -> None:
        """Report that no further attempt will start."""
        self._rounds.close(self._key)

    def divide(self, names: Sequence[str]) -> "Sequence[Admission]":
        """Return the admissions of several proposers, which share that of the cell."""
        return self._rounds.divide(self._key, names)


def at_once() -> Admission:
    """Return the admission of a cell that lets every attempt start immediately."""
    return RoundRobin({}, sys.maxsize).cell("")
