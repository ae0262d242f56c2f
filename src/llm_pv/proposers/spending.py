"""Enforce budgets: the worst case of every call is reserved before it starts."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from llm_pv.errors import BudgetError, ConfigurationError
from llm_pv.models.base import NO_USAGE, Usage, total_cost


@dataclass(frozen=True)
class Budget:
    """The limits on what a run spends on models; None for no limit.

    Examples
    --------
    >>> Budget(usd=2.0)
    Budget(usd=2.0, tokens=None, seconds=None)
    """

    usd: float | None = None
    "US dollars."
    tokens: int | None = None
    "Tokens sent and generated."
    seconds: float | None = None
    """Wall-clock seconds from the first call on; no call starts later, and a running one is
    cancelled then."""

    def __post_init__(self) -> None:
        for name in ("usd", "tokens", "seconds"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ConfigurationError(f"is {limit}; give a positive number", f"budget_{name}")


UNLIMITED = Budget()
"""No limit."""


@dataclass(frozen=True)
class Amount:
    """Money and tokens of one call, reserved or spent."""

    usd: float | None
    tokens: int

    def times(self, tries: int) -> "Amount":
        """Return the amount of several tries."""
        return Amount(None if self.usd is None else self.usd * tries, self.tokens * tries)

    def plus(self, other: "Amount") -> "Amount":
        """Return the sum of two amounts."""
        return Amount(total_cost((self.usd, other.usd)), self.tokens + other.tokens)

    def exceeds(self, other: "Amount") -> bool:
        """Whether it is more tokens, or more money where both prices are known.

        Examples
        --------
        >>> Amount(0.2, 100).exceeds(Amount(0.3, 99)), Amount(None, 100).exceeds(Amount(0.3, 100))
        (True, False)
        """
        dearer = None not in (self.usd, other.usd) and (self.usd or 0) > (other.usd or 0)
        return dearer or self.tokens > other.tokens

    @classmethod
    def of(cls, usage: Usage, usd: float | None) -> "Amount":
        """Return the amount of a usage and its price."""
        return cls(usd, usage.total_tokens)


NOTHING = Amount(0.0, 0)


@dataclass(frozen=True)
class Spending:
    """The spending of calls of models."""

    usage: Usage = NO_USAGE
    cost_usd: float | None = 0.0
    "Tokens and cost of the answers; the cost is None if a price is unknown."
    paid: tuple[Amount, ...] = ()
    "The amount of each answer; its worst case if its price turned out to be unknown."
    possibly_billed: tuple[Amount, ...] = ()
    "The worst case of each failed try that may be billed."

    def plus(self, other: "Spending") -> "Spending":
        """Return the sum of two; its cost is unknown if one of theirs is."""
        return Spending(
            self.usage + other.usage,
            total_cost((self.cost_usd, other.cost_usd)),
            self.paid + other.paid,
            self.possibly_billed + other.possibly_billed,
        )

    @property
    def most_possibly_billed(self) -> Amount:
        """The sum of the failed tries that may be billed."""
        return reduce(Amount.plus, self.possibly_billed, NOTHING)


_LOOK_SECONDS = 0.05
"""How often a waiting retry checks the budget; it must not block the event loop of the others."""


class BudgetTracker:
    """Tracks spending and reservations of a budget; safe to use from several threads.

    Examples
    --------
    >>> tracker = BudgetTracker(Budget(usd=1.0))
    >>> tracker.reserve(Amount(0.75, 1_000))
    >>> tracker.settle(Amount(0.75, 1_000), Amount(0.25, 400))
    >>> tracker.spent_usd
    0.25
    >>> tracker.reserve(Amount(0.80, 1_000))
    Traceback (most recent call last):
        ...
    llm_pv.errors.BudgetError: $0.25 of $1 is spent, and the next call may cost up to $0.8
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget
        self.spent_usd = 0.0
        self.spent_tokens = 0
        self.unknown_price = False
        self._held_usd = 0.0
        self._held_tokens = 0
        self._clock = clock
        self._began: float | None = None
        self._closed = False
        # Reentrant, since `reserve` holds it while it calls `try_to_reserve`.
        self._changed = threading.Condition(threading.RLock())

    @property
    def is_limited(self) -> bool:
        """Whether money or tokens are limited."""
        return self.budget.usd is not None or self.budget.tokens is not None

    def spend(self, amount: Amount) -> None:
        """Count the spending of an earlier part of the run."""
        with self._changed:
            self._count(amount)

    def reserve(self, worst: Amount) -> None:
        """Reserve the worst case of a call; wait for running calls to release part of theirs.

        Raise BudgetError if the budget cannot cover the call even after all running calls have
        ended.
        """
        with self._changed:
            while not self.try_to_reserve(worst):
                self._changed.wait()

    def try_to_reserve(self, worst: Amount) -> bool:
        """Reserve the worst case of a call if it fits now; return False if it may fit later.

        Raise BudgetError if the budget cannot cover the call even after all running calls have
        ended.
        """
        with self._changed:
            if self._began is None:
                self._began = self._clock()
            obstacle = self._obstacle(worst)
            if obstacle is not None:
                # Where no call holds anything, none can release anything: waiting would not end.
                if self._closed or not (self._held_usd or self._held_tokens):
                    raise BudgetError(obstacle)
                return False
            left = self.seconds_left()
            if left is not None and left <= 0:
                raise BudgetError(f"the {self.budget.seconds:g} seconds for models are over")
            self._held_usd += worst.usd or 0.0
            self._held_tokens += worst.tokens
            return True

    def settle(self, worst: Amount, spent: Amount) -> None:
        """Release the reservation of a call and count the amount spent."""
        with self._changed:
            self._held_usd = max(0.0, self._held_usd - (worst.usd or 0.0))
            self._held_tokens -= worst.tokens
            if not self._held_tokens:
                self._held_usd = 0.0  # a remainder of rounding would keep calls waiting
            self._count(spent)
            self._changed.notify_all()

    def seconds_left(self) -> float | None:
        """Return how long calls may still take, None for no limit."""
        if self.budget.seconds is None:
            return None
        began = self._clock() if self._began is None else self._began
        return began + self.budget.seconds - self._clock()

    def close(self) -> None:
        """Raise BudgetError in waiting calls instead of waiting longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _count(self, amount: Amount) -> None:
        self.spent_tokens += amount.tokens
        if amount.usd is None:
            self.unknown_price = True
        else:
            self.spent_usd += amount.usd

    def _obstacle(self, worst: Amount) -> str | None:
        usd, tokens = self.budget.usd, self.budget.tokens
        cost = worst.usd or 0.0
        if usd is not None and self.spent_usd + self._held_usd + cost > usd:
            return (
                f"${self.spent_usd:.4g} of ${usd:g} is spent, and the next call may cost up to "
                f"${cost:.4g}{_remedy(self.spent_tokens)}"
            )
        if tokens is not None and self.spent_tokens + self._held_tokens + worst.tokens > tokens:
            return (
                f"{self.spent_tokens:,} of {tokens:,} tokens are spent, and the next call may "
                f"take up to {worst.tokens:,}{_remedy(self.spent_tokens)}"
            )
        return None


class Reservation:
    """The reservation for one call of a model and each of its retries.

    A failed try that may be billed counts as spent at its worst case from then on. A call that
    waits to retry therefore holds no reservation, so that two such calls cannot block each other.

    Parameters
    ----------
    tracker
        The budget of the call; the constructor waits and raises as its `reserve`.

    Attributes
    ----------
    lost
        Tries so far that failed and may be billed, and requests that the call continued from.
    """

    def __init__(self, tracker: BudgetTracker, worst: Amount) -> None:
        self.lost = 0
        self._tracker = tracker
        self._worst = worst
        tracker.reserve(worst)
        self._held = worst

    async def again(self) -> None:
        """Reserve the worst case of another try, and count the last one at its worst case.

        Raise BudgetError if the budget does not cover it.
        """
        self._tracker.settle(self._held, self._worst)
        self._held = NOTHING
        self.lost += 1
        while not self._tracker.try_to_reserve(self._worst):
            await asyncio.sleep(_LOOK_SECONDS)
        self._held = self._worst

    def settle(self, charge: Amount | None) -> None:
        """Count the amount of all tries together; None if it is unknown."""
        counted = self._worst.times(self.lost)  # `again` has counted these already
        charge = counted.plus(self._held) if charge is None else charge
        self._tracker.settle(self._held, charge.plus(counted.times(-1)))


def _remedy(spent_tokens: int) -> str:
    """Return what to do where not even the first call fits."""
    return "" if spent_tokens else ": raise the budget, or lower --max-output-tokens"
