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
        self.started = dict(started)
        self.free = slots
        self.changed = threading.Condition()
        self.stopped = False

    def cell(self, key: Hashable) -> "Admission":
        """Return the admission of one cell."""
        return Admission(self, key)

    def stop(self) -> None:
        """Admit no further attempt; waiting calls raise StoppedError."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


class Admission:
    """Decides when the next attempt of a cell may start."""

    def __init__(self, rounds: RoundRobin, key: Hashable) -> None:
        self._rounds = rounds
        self._key = key

    def acquire(self, number: int) -> None:
        """Block until attempt ``number``, from 1, may start and a slot is free.

        That is when every open cell has started attempt ``number - 1``. The attempts of a cell must
        be requested in ascending order. Raise StoppedError if no further attempt may start.
        """
        rounds = self._rounds
        with rounds.changed:
            rounds.started[self._key] = max(rounds.started.get(self._key, 0), number - 1)
            rounds.changed.notify_all()
            while not rounds.free or min(rounds.started.values(), default=number) < number - 1:
                if rounds.stopped:
                    raise StoppedError
                rounds.changed.wait()
            if rounds.stopped:
                raise StoppedError
            rounds.free -= 1
            rounds.started[self._key] = number
            rounds.changed.notify_all()

    def release(self) -> None:
        """Free the slot of an attempt that has ended."""
        with self._rounds.changed:
            self._rounds.free += 1
            self._rounds.changed.notify_all()

    def close(self) -> None:
        """Report that no further attempt will start, so that others do not wait for it."""
        with self._rounds.changed:
            self._rounds.started.pop(self._key, None)
            self._rounds.changed.notify_all()

    def divide(self, names: Sequence[str]) -> "list[Admission]":
        """Return the admissions of several proposers, which take turns like cells of their own."""
        rounds, key = self._rounds, self._key
        with rounds.changed:
            started = rounds.started.pop(key, 0)
            rounds.started.update({(key, name): started for name in names})
            rounds.changed.notify_all()
        return [rounds.cell((key, name)) for name in names]


def at_once() -> Admission:
    """Return the admission of a cell that lets every attempt start immediately."""
    return RoundRobin({}, sys.maxsize).cell("")
