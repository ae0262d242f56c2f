"""What unifiers choose from: conditions as one matrix, and values, all on the same rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.problem import Problem
from llm_pv.search.types import Expression, Truths, negation


@dataclass(frozen=True, eq=False)
class Offer:
    """A condition not written yet, with its truth on all rows, probes included.

    Of numbers compared, ``edge`` tells conditions apart that differ only where the two are equal.
    """

    truth: Truths
    bits: float
    write: Callable[[], Expression]
    edge: bytes = b""


def mask_of(truth: Truths) -> bytes:
    """Return bytes that are equal for conditions that split rows alike."""
    return np.packbits(~truth if truth[0] else truth).tobytes()


@dataclass(eq=False)
class Conditions:
    """Truth values on the training rows, with their prices; source is written when asked for."""

    truth: Truths  # of shape (conditions, training rows)
    # their lengths, of shape (conditions,), the floor by rank among all tried included
    bits: NDArray[np.float64]
    writer: Callable[[int], Expression]  # returns the expression of a condition by its position
    # by the `mask_of` a condition's training rows, what splits these alike, but not the probes
    others: Mapping[bytes, Sequence["Offer"]] = field(default_factory=dict)
    _written: dict[int, Expression] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bits)

    def expression(self, index: int) -> Expression:
        """Return a condition as an expression, at the price it has here."""
        index = int(index)
        if index not in self._written:
            self._written[index] = self.writer(index).priced(float(self.bits[index]))
        return self._written[index]

    def alternatives(self, condition: Expression) -> list[Expression]:
        """Return conditions that agree with one on all training rows, and on probes do not."""
        values = np.asarray(condition.values)
        found = []
        for offer in self.others.get(mask_of(values[: self.truth.shape[1]]), ()):
            is_same = mask_of(offer.truth) == mask_of(values)
            if offer.edge or not is_same:
                made = offer.write()
                made = made if offer.truth[0] == values[0] else negation(made)
                found.append(replace(made, kind="edge" if is_same else made.kind))
        return found

    def chosen(self, indices: Sequence[int] | NDArray[np.int64]) -> "Conditions":
        """Return the conditions at these positions."""
        kept = np.asarray(indices, dtype=np.int64)
        return Conditions(self.truth[kept], self.bits[kept], lambda i: self.expression(kept[i]))


def conditions_of(expressions: Sequence[Expression], problem: Problem) -> Conditions:
    """Return these conditions as a matrix, at their own prices."""
    truth = np.zeros((len(expressions), problem.size), dtype=bool)
    for index, expression in enumerate(expressions):
        truth[index] = expression.values[: problem.size]
    bits = np.array([expression.bits for expression in expressions], dtype=np.float64)
    return Conditions(truth, bits, lambda i: expressions[i])


@dataclass(eq=False)
class Pool:
    """What is offered to unifiers."""

    problem: Problem  # the rows, which all values here are on
    conditions: Conditions  # conditions, cheapest first; `telling` chooses among them
    # raw columns of a table: numbers (float64, NaN where missing), truth values, and categories (a
    # list of Python values). Always complete.
    columns: list[Expression] = field(default_factory=list)
    # numbers of every origin, raw columns among them, cheapest first
    numbers: list[Expression] = field(default_factory=list)
    # values compared for equality only, of every origin: lists of Python values
    categories: list[Expression] = field(default_factory=list)
    # strings, cheapest first: the row itself, fields, text columns
    texts: list[Expression] = field(default_factory=list)
    words: list[Expression] = field(default_factory=list)  # lists of words
    lists: list[Expression] = field(default_factory=list)  # lists of numbers: values are `Ragged`
    # numbers whose cuts tell most of the classes, the best first
    telling_numbers: list[Expression] = field(default_factory=list)
    # truth values of every origin that are no comparisons with constants, cheapest first
    truths: list[Expression] = field(default_factory=list)
    # conditions on sets that were learnt, by the rows of a class
    sets: dict[bytes, list[Expression]] = field(default_factory=dict)

    def telling(self, members: Truths, most: int) -> NDArray[np.int64]:
        """Return positions of the conditions worth combining for a class.

        Two thirds of the places go by what a condition tells of the class, its members, less its
        price, a third by price alone: what matters in a conjunction may say little by itself.
        """
        conditions = self.conditions
        if len(conditions) <= most:
            return np.arange(len(conditions))
        gain = information(conditions.truth, members, self.problem.weights)
        order = np.argsort(conditions.bits - gain, kind="stable")
        chosen = dict.fromkeys(order[: most * 2 // 3].tolist())
        for index in np.argsort(conditions.bits, kind="stable").tolist():
            if len(chosen) >= most:
                break
            chosen.setdefault(index)
        return np.array(sorted(chosen), dtype=np.int64)


def information(
    truth: Truths, members: Truths, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the bits that each condition tells of a class, over all rows together."""
    inside = float(weights[members].sum())
    total = float(weights.sum())
    signs = np.stack([np.where(members, weights, 0.0), weights], axis=1).astype(np.float32)
    held = np.zeros((len(truth), 2))
    for start in range(0, len(truth), 4096):
        held[start : start + 4096] = truth[start : start + 4096].astype(np.float32) @ signs
    yes, both = held[:, 0], held[:, 1]
    before = _entropy(np.array([inside]), np.array([total]))
    after = _entropy(yes, both) + _entropy(inside - yes, total - both)
    return np.asarray(before - after)


def _entropy(part: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(part / total, 1e-12, 1 - 1e-12)
        bits = -total * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    return np.where(total > 0, bits, 0.0)
