"""What a search looks at: rows with classes and weights, probes, and a guard of time and memory."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.data.examples import Examples, Input
from llm_pv.search import prices
from llm_pv.search.probes import make_probes
from llm_pv.search.types import Column, Expression, Frame

SAMPLE_ROWS = 300
"""Training rows that values are enumerated on; what they give is fitted on all of them."""
MOST_PROBES = 80
PART = 2_000_000
"""Characters of the rows that values are computed on at once, about."""


class Expired(Exception):  # noqa: N818 - not an error: the search hands over what it has
    """Raised by `Guard.check` when the time of the search is over."""


@dataclass
class Guard:
    """The deadline and the memory of one search."""

    deadline: float = float("inf")  # when to stop, on the clock of `time.monotonic`
    megabytes: float = 1000.0  # memory for what the search keeps
    limit: float = float("inf")  # when the stage under way has to stop, at the latest
    stage: str = ""  # its name
    kept: float = 0.0  # seconds at the end that later stages are to have
    began: float = field(default_factory=time.monotonic)
    began_cpu: float = field(default_factory=time.process_time)
    # the names of the stages that were cut short
    cut: dict[str, None] = field(default_factory=dict)

    @property
    def stopped(self) -> bool:
        """Whether a stage was cut short."""
        return bool(self.cut)

    @property
    def seconds(self) -> float:
        """The time from the beginning to the deadline."""
        return max(0.0, min(self.deadline - self.began, 1e6))

    def allot(self, share: float) -> None:
        """Give the stage that begins a share of the time that is left, without what is kept."""
        now = time.monotonic()
        self.limit = now + share * max(0.0, self.deadline - self.kept - now)

    def check(self, ahead: float = 0.0) -> None:
        """Raise `Expired` once the deadline is over; call it at least every 50 ms of work.

        Work to come that cannot call it is ``ahead`` CPU seconds: a busy machine takes longer.
        """
        now = time.monotonic()
        if ahead:
            used = max(0.1, time.process_time() - self.began_cpu)
            ahead *= max(1.0, (now - self.began) / used)
        if now + ahead > min(self.deadline, self.limit):
            self.cut.setdefault(self.stage)
            raise Expired

    def most(self, bytes_each: float, share: float = 0.1) -> int:
        """Return how many things of a size fit into a share of the memory."""
        return max(1, int(self.megabytes * 1e6 * share / max(1.0, bytes_each)))


@dataclass(eq=False)
class Problem:
    """Rows with their classes; the first `size` rows of the frame, probes follow."""

    frame: Frame  # the inputs: training rows, then probes, which have no class
    size: int  # how many are training rows
    # the class of each training row, as a position in ``classes``; of shape (size,)
    codes: NDArray[np.int64]
    classes: tuple[str, ...]  # the label texts
    # what a mistake on each training row counts, 1 on average; of shape (size,)
    weights: NDArray[np.float64]
    noise: float = 0.0  # the share of training labels expected to be wrong, 0 where unknown
    guard: Guard = field(default_factory=Guard)  # the deadline and the memory
    # the budget of candidates beside the usual one: stages try so many times more
    scale: float = 1.0
    count: Callable[[int], Any] = lambda _: None  # adds to the candidates tried

    def __post_init__(self) -> None:
        self._prices = prices.mistake_bits(self.size, len(self.classes), self.noise)

    @classmethod
    def of(
        cls,
        train: Examples,
        classes: Sequence[str],
        *,
        seed: int = 0,
        noise: float = 0.0,
        guard: Guard | None = None,
        weights: NDArray[np.float64] | None = None,
        probes: int = MOST_PROBES,
    ) -> "Problem":
        """Make the problem of all training rows, with ``probes`` rows that have no class."""
        present = tuple(text for text in classes if text in set(train.labels))
        place = {text: code for code, text in enumerate(present)}
        codes = np.array([place[label] for label in train.labels], dtype=np.int64)
        chance = random.Random(f"probes {seed}")  # noqa: S311 - reproducible, nothing secret
        added = make_probes(train.inputs, chance, probes) if probes else []
        weight = np.ones(len(train)) if weights is None else weights / weights.mean()
        rows: list[Input] = [*train.inputs, *added]
        return cls(Frame(rows), len(train), codes, present, weight, noise, guard or Guard())

    def spread(self, most: int) -> NDArray[np.int64]:
        """Return so many training rows at most, spread evenly."""
        return np.unique(np.linspace(0, self.size - 1, min(self.size, most)).astype(np.int64))

    def chosen(self, rows: NDArray[np.int64]) -> "Problem":
        """Return the problem of some training rows, with all probes."""
        every, codes, weights = self.frame.rows, self.codes[rows], self.weights[rows]
        frame = Frame([*(every[i] for i in rows.tolist()), *every[self.size :]])
        return replace(self, frame=frame, size=len(rows), codes=codes, weights=weights)

    @cached_property
    def parts(self) -> list[Frame]:
        """The rows in parts on which values take little time and memory."""
        rows = self.frame.rows
        each = max(1, PART // max(100, len(str(rows[0]))))
        starts = range(0, len(rows), each)
        return [Frame(rows[at : at + each]) for at in starts] if len(starts) > 1 else [self.frame]

    def in_parts(self, function: Callable[[Frame], Any]) -> Any:
        """Return what a function makes of the rows, an array or a list, part by part."""
        made = []
        for part in self.parts:
            self.guard.check()
            made.append(function(part))
            part.forget(self.guard.most(40 * len(self.frame.rows), 0.1))
        if len(made) == 1 or not isinstance(made[0], list):
            return made[0] if len(made) == 1 else np.concatenate(made)
        return [*chain.from_iterable(made)]

    def values(self, expression: Expression) -> Column:
        """Return an expression's values on all rows, computed part by part."""
        return self.in_parts(lambda part: part.values(expression))

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2

    @cached_property
    def onehot(self) -> NDArray[np.float64]:
        """The weight of each training row in the column of its class."""
        table = np.zeros((self.size, len(self.classes)))
        table[np.arange(self.size), self.codes] = self.weights
        return table

    @property
    def majority(self) -> int:
        """The class that weighs most; of classes that weigh the same, the one with most rows."""
        counts = self.shares(self.weights)
        rows = np.bincount(self.codes, minlength=len(self.classes))
        return int(np.where(np.isclose(counts, counts.max()), rows, -1).argmax())

    def shares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the training rows of each class weigh."""
        return np.bincount(self.codes, weights, len(self.classes)).astype(np.float64)

    def mistakes(self, answers: NDArray[np.int64]) -> float:
        """Return the weight of the training rows that answers get wrong."""
        return float(self.weights[answers[: self.size] != self.codes].sum())

    def price(self, mistakes: Any) -> Any:
        """Return the bits of so many mistakes, a number or an array of them."""
        whole = np.ceil(np.asarray(mistakes) - 1e-9).astype(np.int64)
        return self._prices.take(whole, mode="clip")

    def targets(self) -> list[tuple[int, NDArray[np.bool_]]]:
        """Return each class with its members: for two classes only the second."""
        codes = [1] if self.binary else list(range(len(self.classes)))
        return [(code, self.codes == code) for code in codes]
