"""Values that name the class: a number, its remainder, a category, looked up in a small table."""

from collections.abc import Sequence

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
from llm_pv.proposers.length_first.sequences import Features, literal
from llm_pv.proposers.length_first.weights import choice_bits, integer_bits, mistake_bits

MOST_ENTRIES = 12
MODULI = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16)


def best_lookups(features: Features, problem: Problem, capacity: int) -> list[Candidate]:
    """Return the cheapest programs that look the class up, or return a value as it is."""
    lookups = _Lookups(problem, capacity)
    for number in features.numbers:
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
        lookups.offer_table(category.code, category.bits, category.rows, category.needs)
    return lookups.cheapest()


class _Lookups:
    """The cheapest lookups so far; a program is written only once it is known to be cheap."""

    def __init__(self, problem: Problem, capacity: int) -> None:
        self._problem = problem
        self._capacity = capacity
        self._prices = mistake_bits(problem.size, len(problem.classes))
        self._found: list[Candidate] = []
        self._bar = np.inf
        texts = {text: index for index, text in enumerate(problem.classes)}
        self._class_of_text = texts

    def offer_number(self, number: Expression) -> None:
        """Try a whole number itself: as the answer, and as the key of a table."""
        self._offer(number, number.values[: self._problem.size].astype(np.int64))

    def offer_remainder(self, number: Expression, modulus: int, bits: float) -> None:
        """Try the remainder of a number."""
        train = number.values[: self._problem.size].astype(np.int64) % modulus
        if self._promising(train, bits):
            remainder = calculated(number, "%", constant(modulus, len(number.values)), bits)
            self._offer(remainder, train)

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

    def _offer(self, number: Expression, train: NDArray[np.int64]) -> None:
        if not self._promising(train, number.bits) or len(np.unique(train)) > MOST_ENTRIES:
            return
        values = number.values.astype(np.int64).tolist()
        answers = np.array([self._class_of_text.get(str(value), -1) for value in values])
        self._keep((f"return {number.code}",), number.needs, number.bits, answers)
        self.offer_table(number.code, number.bits, values, number.needs)

    def offer_table(
        self, code: str, bits: float, rows: Sequence[object], needs: tuple[Definition, ...]
    ) -> None:
        """Try the table from each value to its most frequent class."""
        problem = self._problem
        classes = problem.classes
        if any(value != value for value in rows):  # noqa: PLR0124 - a NaN is no key
            return
        counts: dict[object, list[int]] = {}
        for value, label in zip(rows[: problem.size], problem.codes.tolist(), strict=True):
            counts.setdefault(value, [0] * len(classes))[label] += 1
        if not 1 < len(counts) <= MOST_ENTRIES:
            return
        default = int(np.bincount(problem.codes).argmax())
        table = {value: row.index(max(row)) for value, row in counts.items()}
        if len(set(table.values())) < 2:
            return
        answers = np.array([table.get(value, default) for value in rows])
        length = bits + weights.LOOKUP + len(table) * choice_bits(len(classes))
        order = sorted(table, key=lambda value: (isinstance(value, str), str(value)))
        entries = ", ".join(f"{literal(v)}: {label_literal(classes[table[v]])}" for v in order)
        body = (f"return {{{entries}}}.get({code}, {label_literal(classes[default])})",)
        self._keep(body, needs, length, answers)

    def _keep(
        self,
        body: tuple[str, ...],
        needs: tuple[Definition, ...],
        bits: float,
        answers: NDArray[np.int64],
    ) -> None:
        mistakes = int((answers[: self._problem.size] != self._problem.codes).sum())
        cost = bits + self._prices[mistakes]
        if cost < self._bar:
            self._found.append(Candidate(body, needs, bits, answers, mistakes, cost))
            if len(self._found) > 2 * self._capacity:
                self._found = self.cheapest()
                self._bar = self._found[-1].cost

    def cheapest(self) -> list[Candidate]:
        """Return what was kept, cheapest first."""
        return sorted(self._found, key=lambda candidate: candidate.cost)[: self._capacity]
