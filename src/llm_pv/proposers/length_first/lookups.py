"""Values that name the class: a number, its remainder, a category, looked up in a small table."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    Definition,
    Expression,
    calculated,
    constant,
    is_whole,
)
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, label_literal
from llm_pv.proposers.length_first.sequences import Category, Features, literal
from llm_pv.proposers.length_first.weights import choice_bits, integer_bits

MOST_ENTRIES = 12
MODULI = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16)


def best_lookups(
    features: Features, problem: Problem, capacity: int, most_numbers: int
) -> list[Candidate]:
    """Return the cheapest programs that look the class up, or return a value as it is."""
    lookups = _Lookups(problem, capacity)
    for number in sorted(features.numbers, key=lambda number: number.bits)[:most_numbers]:
        train = number.values[: problem.size]
        if not is_whole(number.values):
            continue
        lookups.offer_number(number)
        spread = float(np.ptp(train))
        for modulus in MODULI:
            if modulus <= spread:
                bits = number.bits + weights.MODULUS + integer_bits(modulus) - 3.0
                lookups.offer_remainder(number, modulus, bits)
    for category in features.categories:
        lookups.offer_table(category)
    return lookups.cheapest()


class _Lookups:
    """The cheapest lookups so far; a program is written only once it is known to be cheap."""

    def __init__(self, problem: Problem, capacity: int) -> None:
        self._problem = problem
        self._capacity = capacity
        self._prices = problem.prices
        self._found: list[Candidate] = []
        self._bar = np.inf
        self._class_of_number = {
            int(text): index
            for index, text in enumerate(problem.classes)
            if label_literal(text) == text
        }

    def offer_number(self, number: Expression) -> None:
        """Try a whole number itself: as the answer, and as the key of a table."""
        # A count that was 0 or 1 so far is 2 one day: of two classes a condition says more.
        several = len(self._problem.classes) > 2
        train = number.values[: self._problem.size].astype(np.int64)
        self._offer(number, train, bounded=several)

    def offer_remainder(self, number: Expression, modulus: int, bits: float) -> None:
        """Try the remainder of a number."""
        train = number.values[: self._problem.size].astype(np.int64) % modulus
        if self._promising(train, bits):
            remainder = calculated(number, "%", constant(modulus, len(number.values)), bits)
            known = self._class_of_number.keys()
            self._offer(remainder, train, bounded=set(range(modulus)) <= known)

    def _promising(self, train: NDArray[np.int64], bits: float) -> bool:
        """Tell whether the best table for these values could be among the cheapest."""
        low = int(train.min())
        width = int(train.max()) - low + 1
        if width > 1000:
            return False
        classes = len(self._problem.classes)
        cells = np.bincount(
            (train - low) * classes + self._problem.codes, minlength=width * classes
        )
        right = int(cells.reshape(width, classes).max(axis=1).sum())
        return bits + self._prices[self._problem.size - right] < self._bar

    def _offer(self, number: Expression, train: NDArray[np.int64], *, bounded: bool) -> None:
        if not self._promising(train, number.bits):
            return
        keys = np.unique(train)
        if len(keys) > MOST_ENTRIES:
            return
        values = number.values.astype(np.int64)
        if self._class_of_number and bounded:
            answers = np.full(len(values), -1)
            for value, code in self._class_of_number.items():
                answers[values == value] = code
            self._keep(number.bits, answers, number.needs, lambda: f"return {number.code}")
        places = np.searchsorted(keys, values).clip(max=len(keys) - 1)
        places[keys[places] != values] = -1
        self._offer_entries(number.code, number.bits, keys.tolist(), places, number.needs)

    def offer_table(self, category: Category) -> None:
        """Try the table from each value of a category to its most frequent class."""
        if any(value != value for value in category.rows):  # noqa: PLR0124 - a NaN is no key
            return
        distinct: dict[object, int] = {}
        for value in category.rows[: self._problem.size]:
            distinct.setdefault(value, len(distinct))
        if len(distinct) <= MOST_ENTRIES:
            places = np.array([distinct.get(value, -1) for value in category.rows])
            keys = list(distinct)
            self._offer_entries(category.code, category.bits, keys, places, category.needs)

    def _offer_entries(
        self,
        code: str,
        bits: float,
        keys: Sequence[object],
        places: NDArray[np.int64],
        needs: tuple[Definition, ...],
    ) -> None:
        """Try a table; ``places`` says which key each row has, -1 for none of them."""
        problem = self._problem
        classes = problem.classes
        cells = places[: problem.size] * len(classes) + problem.codes
        counts = np.bincount(cells, minlength=len(keys) * len(classes))
        best = counts.reshape(len(keys), len(classes)).argmax(axis=1)
        if len(np.unique(best)) < 2:
            return
        default = int(np.bincount(problem.codes).argmax())

        def written() -> str:
            table = dict(zip(keys, best.tolist(), strict=True))
            order = sorted(table, key=lambda value: (isinstance(value, str), str(value)))
            entries = ", ".join(f"{literal(v)}: {label_literal(classes[table[v]])}" for v in order)
            return f"return {{{entries}}}.get({code}, {label_literal(classes[default])})"

        length = bits + weights.LOOKUP + len(keys) * choice_bits(len(classes))
        self._keep(length, np.where(places < 0, default, best[places]), needs, written)

    def _keep(
        self,
        bits: float,
        answers: NDArray[np.int64],
        needs: tuple[Definition, ...],
        written: Callable[[], str],
    ) -> None:
        mistakes = int((answers[: self._problem.size] != self._problem.codes).sum())
        cost = bits + self._prices[mistakes]
        if cost < self._bar:
            self._found.append(Candidate((written(),), needs, bits, answers, mistakes, cost))
            if len(self._found) > 2 * self._capacity:
                self._found = self.cheapest()
                self._bar = self._found[-1].cost

    def cheapest(self) -> list[Candidate]:
        """Return what was kept, cheapest first."""
        return sorted(self._found, key=lambda candidate: candidate.cost)[: self._capacity]
