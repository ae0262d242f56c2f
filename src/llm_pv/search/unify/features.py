"""What fitted models look at: numbers and flags of a pool, cut and spelt out as conditions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.cuts import compared
from llm_pv.search.emit import literal
from llm_pv.search.mining import boundary, written_bits
from llm_pv.search.pool import Pool
from llm_pv.search.predicates import equals
from llm_pv.search.problem import Problem
from llm_pv.search.ragged import Ragged
from llm_pv.search.terminal import OF_TIME
from llm_pv.search.types import Expression, Truths, Type, condition

LEAST_ROWS = 3
"""A level of a category is a feature if so many training rows have it."""
MOST_LEVELS = 40
MOST_NUMBERS = 30
MOST_TIMES = 6
"""Numbers read off dates and times that are features beside a table's columns."""
MOST_WORDS, LEAST_VOCABULARY = 120, 40
"""Words of a text that are features, and how many must recur for any to be."""
LARGEST = float(np.finfo(np.float32).max) / 4
"""The largest number that learners are given; a larger one counts as this one."""


@dataclass(frozen=True)
class Features:
    """Numbers, and conditions that need no fitting."""

    numbers: list[Expression]  # columns of a table, or the cheapest numbers of a text
    # truth columns, levels of categories, and for texts words and the most telling conditions
    flags: list[Expression]


def features_of(pool: Pool, most_conditions: int = 0) -> Features:
    """Return the features of a pool.

    Parameters
    ----------
    most_conditions
        How many telling conditions of the pool to add to the flags of a table; a problem without
        columns always has at least 150.
    """
    problem = pool.problem
    if not pool.columns:
        most_conditions = max(150, most_conditions)
    numbers = [one for one in pool.columns if one.type is Type.NUMBER]
    if pool.columns:
        numbers += [one for one in pool.numbers if one.kind in OF_TIME][:MOST_TIMES]
    flags = [one for one in pool.columns if one.type is Type.TRUTH]
    for column in pool.columns:
        if column.type is Type.CATEGORY:
            flags += levels(column, problem)
    if not pool.columns:
        numbers = pool.numbers[:MOST_NUMBERS]
    for texts in richest(pool.words, problem):
        flags += words_of(texts, problem)
    targets = problem.targets()
    each = most_conditions // len(targets)
    chosen = dict.fromkeys(
        index for _, members in targets for index in pool.telling(members, each).tolist() if each
    )
    flags += [pool.conditions.expression(index) for index in chosen]
    return Features(numbers, _distinct(flags, problem))


def richest(lists: Sequence[Expression], problem: Problem) -> list[Expression]:
    """Return the list of words of which most recur in other rows, if there are enough of them."""
    found = []
    for one in lists:
        _, code = _occurrences(one, problem)
        items = one.values.items or ()
        count = np.bincount(code, minlength=len(items)).tolist()
        often = [
            n for n, text in zip(count, items, strict=True) if n >= LEAST_ROWS and len(text) > 2
        ]
        if len(often) >= LEAST_VOCABULARY:
            found.append((sum(often), one))
    return [max(found, key=lambda pair: pair[0])[1]] if found else []


def _occurrences(lists: Expression, problem: Problem) -> tuple[NDArray[np.int64], ...]:
    """Return the training rows and the words of all that occur in them, each once a row."""
    ragged = lists.values
    if ragged.items is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    row = np.repeat(np.arange(len(ragged.layout.lengths)), ragged.layout.lengths)
    inside = row < problem.size
    pairs = np.unique(row[inside] * len(ragged.items) + ragged.flat[inside])
    return np.divmod(pairs, len(ragged.items))


def words_of(lists: Expression, problem: Problem) -> Iterator[Expression]:
    """Yield whether a text has each of the words that tell most of a class."""
    rows, code = _occurrences(lists, problem)
    items = lists.values.items
    held = np.bincount(code, minlength=len(items))
    known = np.flatnonzero(held >= LEAST_ROWS)
    bits = lists.bits + 2.0 + prices.choice_bits(len(known)) / 2
    targets = problem.targets()
    chosen: dict[int, None] = {}
    for _, members in targets:
        inside = np.bincount(code[members[rows]], minlength=len(items))
        # How far from what chance gives, in standard deviations.
        apart = np.abs(inside - members.mean() * held)[known] / np.sqrt(held[known])
        order = known[np.argsort(-apart, kind="stable")]
        chosen |= dict.fromkeys(order[: MOST_WORDS // len(targets)].tolist())
    for place in chosen:
        problem.guard.check()
        yield _contains(lists, items[place], bits)


def _contains(lists: Expression, word: str, bits: float) -> Expression:
    def has_word(values: Ragged) -> Truths:
        place = values.items.index(word) if values.items and word in values.items else -1
        return np.asarray(values.layout.counts(values.flat == place) > 0)

    return condition(f"{literal(word)} in {lists.code}", bits, has_word, lists)


def levels(column: Expression, problem: Problem) -> Iterator[Expression]:
    """Yield whether a category has each of its levels that a few rows have."""
    counts = Counter(column.values[: problem.size])
    bits = column.bits + 1.0 + prices.choice_bits(len(counts)) / 2
    for value, count in counts.most_common(MOST_LEVELS):
        if LEAST_ROWS <= count < problem.size:
            problem.guard.check()
            yield equals(column, value, bits)


def steps(number: Expression, problem: Problem, most: int) -> Iterator[Expression]:
    """Yield whether a number reaches its quantiles, at the roundest constants between two rows."""
    values = number.values[: problem.size]
    known = np.unique(values[np.isfinite(values)])
    if len(known) < 2:
        return
    shares = np.linspace(0, 1, most + 2)[1:-1]
    finite = values[np.isfinite(values)]
    chosen = np.unique(np.searchsorted(known, np.quantile(finite, shares, method="higher")))
    for place in chosen.tolist():
        if place > 0:
            yield reaches(number, float(known[place - 1]), float(known[place]))


def reaches(number: Expression, low: float, high: float) -> Expression:
    """Return whether a number is above ``low``: on training rows, at least ``high``."""
    sign, constant = boundary(low, high, number.kind)
    bits = number.bits + prices.THRESHOLD + written_bits(constant, number.kind)
    return compared(number, sign, constant, bits)


def matrix(
    expressions: list[Expression], problem: Problem, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Return the values on training rows, missing numbers being 0; of shape (rows, features)."""
    chosen = np.arange(problem.size) if rows is None else rows
    columns = np.zeros((len(chosen), len(expressions)), dtype=np.float32)
    for index, one in enumerate(expressions):
        values = np.nan_to_num(np.asarray(one.values[: problem.size])[chosen])
        columns[:, index] = np.clip(values, -LARGEST, LARGEST)
    return columns


def _distinct(flags: list[Expression], problem: Problem) -> list[Expression]:
    """Return the flags that differ on training rows, the first of equals and of opposites."""
    known: dict[bytes, Expression] = {}
    for flag in flags:
        truth = np.asarray(flag.values[: problem.size], dtype=bool)
        if truth.any() and not truth.all():
            known.setdefault(np.packbits(truth ^ truth[0]).tobytes(), flag)
    return list(known.values())
