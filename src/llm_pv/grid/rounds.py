"""Attempts in rounds: attempt i+1 of a cell starts when every open cell has its i-th started.

Where attempts cost money, cells that stop early make room before dear cells get their next one,
and no cell has paid for all its attempts while another has none.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.runs.cells import Cell


class StoppedError(Exception):
    """The grid is being stopped; never shown."""


class Rounds:
    """Lets so many cells work at once, in rounds of attempts.

    Parameters
    ----------
    started
        How many attempts each open cell has started, those of an earlier run included.
    slots
        How many cells work at once; one that waits for its round leaves its slot to another.

    Examples
    --------
    >>> one, two = Cell("fn_a", trial=0), Cell("fn_a", trial=1)
    >>> rounds = Rounds({one: 0, two: 1}, slots=2)
    >>> rounds.begin()
    >>> rounds.next_attempt(one, 1)
    >>> rounds.next_attempt(one, 2)
    >>> rounds.end(one)
    """

    def __init__(self, started: Mapping[Cell, int], slots: int) -> None:
        self._started = dict(started)
        self._free = slots
        self._changed = threading.Condition()
        self._stopped = False

    def begin(self) -> None:
        """Wait for a slot."""
        with self._changed:
            self._take_slot()

    def next_attempt(self, cell: Cell, number: int) -> None:
        """Wait until every open cell has started attempt ``number - 1``."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()
            while min(self._started.values()) < number - 1:
                self._wait()
            self._started[cell] = number
            self._changed.notify_all()
            self._take_slot()

    def end(self, cell: Cell) -> None:
        """Take a cell that is done out of the rounds, and its slot with it."""
        with self._changed:
            self._started.pop(cell, None)
            self._free += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Make every waiting cell raise StoppedError."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take_slot(self) -> None:
        while not self._free:
            self._wait()
        self._free -= 1

    def _wait(self) -> None:
        if self._stopped:
            raise StoppedError
        self._changed.wait()


@dataclass(frozen=True)
class InRounds:
    """A proposer whose every proposal waits for its round.

    Parameters
    ----------
    proposer
        Where proposals come from.
    rounds, cell
        The rounds, and the cell that asks.
    """

    proposer: Proposer
    rounds: Rounds
    cell: Cell

    @property
    def name(self) -> str:
        """The proposer's own."""
        return self.proposer.name

    @property
    def identity(self) -> str:
        """The proposer's own."""
        return self.proposer.identity

    @property
    def default_attempts(self) -> int:
        """The proposer's own."""
        return self.proposer.default_attempts

    @property
    def free(self) -> bool:
        """The proposer's own."""
        return self.proposer.free

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield the proposer's proposals, each asked for when its round has come."""
        proposals = self.proposer.propose(train, classes, seed=seed, start=start)
        number = start
        while True:
            number += 1
            self.rounds.next_attempt(self.cell, number)
            try:
                yield next(proposals)
            except StopIteration:
                return
