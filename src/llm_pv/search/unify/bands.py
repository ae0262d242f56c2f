"""Bands of a number, alone or within each value of a category; tables of a category's values."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.mining import round_number
from llm_pv.search.pool import Pool
from llm_pv.search.predicates import equals
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Bands, Branch, Candidate, Lookup, Node, candidate
from llm_pv.search.types import Expression, Truths

MOST_BANDS = 6
MOST_VALUES = 30
"""Distinct values of a key; with more a table memorises."""
MOST_STEPS = 200
"""Places where a number may be cut: beyond, quantiles."""
NUMBERS = 150
NESTED_NUMBERS, NESTED_KEYS = 20, 12
YIELDED = 20
CUT_BITS = 6.0
"""What another band has to save while cuts are placed; `bits_of` has the true price."""


def bands(pool: Pool) -> Iterator[Candidate]:
    """Yield the cheapest bands, tables, and bands or tables within each value of a category."""
    problem = pool.problem
    found: list[Candidate] = []
    everything = np.ones(problem.size, dtype=bool)
    numbers = list(dict.fromkeys([*_numbers(pool), *pool.numbers[:NUMBERS]]))
    for number in numbers:
        program = banded(number, everything, problem)
        if isinstance(program, Bands) and (len(program.cuts) > 1 or not problem.binary):
            found.append(candidate(program, problem, "bands"))
    keys = [one for one in pool.categories if _is_key(one, problem)]
    for key in keys[: 3 * NESTED_KEYS]:
        problem.guard.check()
        found.append(candidate(_table(key, everything, problem), problem, "bands"))
    for key in keys[:NESTED_KEYS]:
        for number in numbers[:NESTED_NUMBERS]:
            nested = _nested(
                key, lambda rows, number=number: banded(number, rows, problem), problem
            )
            found.append(candidate(nested, problem, "bands"))
        for other in keys[:NESTED_KEYS]:
            if other is not key:
                nested = _nested(
                    key, lambda rows, other=other: _table(other, rows, problem), problem
                )
                found.append(candidate(nested, problem, "bands"))
    problem.count(len(found))
    yield from sorted(found, key=lambda one: one.cost)[:YIELDED]


def _numbers(pool: Pool) -> list[Expression]:
    return [one for one in pool.columns if np.asarray(one.values).dtype.kind == "f"]


def _is_key(key: Expression, problem: Problem) -> bool:
    distinct = set(key.values[: problem.size])
    return 2 <= len(distinct) <= min(MOST_VALUES, problem.size // 3)


def banded(number: Expression, rows: Truths, problem: Problem) -> Node:
    """Cut a number into at most six bands with the fewest mistakes, each further band paid for.

    Dynamic programming over the distinct values: the least cost of the values up to a place that
    end in a band of a class.
    """
    problem.guard.check()
    values = np.asarray(number.values[: problem.size], dtype=np.float64)
    use = rows & np.isfinite(values)
    missing = rows & ~np.isfinite(values)
    known, place = np.unique(values[use], return_inverse=True)
    if len(known) < 2:
        return Answer(_majority(rows, problem))
    starts = np.arange(len(known))
    if len(known) > MOST_STEPS:
        starts = np.unique(np.linspace(0, len(known) - 1, MOST_STEPS).astype(np.int64))
        place = np.searchsorted(starts, place, "right") - 1
    classes = len(problem.classes)
    counts = np.zeros((len(starts), classes))
    np.add.at(counts, (place, problem.codes[use]), problem.weights[use])
    wrong = counts.sum(axis=1, keepdims=True) - counts
    # A missing number has the last band's class.
    wrong[-1] += problem.weights[missing].sum() - np.bincount(
        problem.codes[missing], problem.weights[missing], minlength=classes
    )
    penalty = CUT_BITS / max(1.0, np.log2(max(2, int(rows.sum()))))
    cost = np.full((MOST_BANDS, classes), np.inf)
    cost[0] = wrong[0]
    came = np.zeros((len(starts), MOST_BANDS, classes), dtype=np.int64) - 1
    for step in range(1, len(starts)):
        other = np.full_like(cost, np.inf)
        best = cost[:-1].argmin(axis=1)
        other[1:] = (cost[:-1][np.arange(MOST_BANDS - 1), best] + penalty)[:, None]
        begin = other < cost - 1e-9
        came[step] = np.where(begin, np.concatenate([[0], best])[:, None], -1)
        cost = np.where(begin, other, cost) + wrong[step]
    used, code = np.unravel_index(int(cost.argmin()), cost.shape)
    return _read_back(number, known, starts, came, (int(used), int(code)))


def _read_back(
    number: Expression,
    known: NDArray[np.float64],
    starts: NDArray[np.int64],
    came: NDArray[np.int64],
    end: tuple[int, int],
) -> Node:
    """Return the bands that the cheapest path went through."""
    used, code = end
    cuts: list[float] = []
    codes = [code]
    for step in range(len(starts) - 1, 0, -1):
        before = int(came[step, used, code])
        if before >= 0:
            at = int(starts[step])
            cuts.append(round_number(float(known[at - 1]), float(known[at])))
            used, code = used - 1, before
            codes.append(code)
    if not cuts:
        return Answer(code)
    return Bands(number, tuple(reversed(cuts)), tuple(reversed(codes)))


def _majority(rows: Truths, problem: Problem) -> int:
    if not rows.any():
        return problem.majority
    return int(np.bincount(problem.codes[rows], problem.weights[rows]).argmax())


def _table(key: Expression, rows: Truths, problem: Problem) -> Node:
    """Return a table of the classes by a key's value, the most frequent answer by default."""
    counts: dict[Any, Counter[int]] = {}
    chosen = np.flatnonzero(rows).tolist()
    for index in chosen:
        value = key.values[index]
        counts.setdefault(value, Counter())[int(problem.codes[index])] += problem.weights[index]
    if not counts:
        return Answer(problem.majority)
    answers = {
        value: max(one, key=lambda code: (one[code], -code)) for value, one in counts.items()
    }
    default = Counter(answers.values()).most_common(1)[0][0]
    table = tuple(
        (value, code)
        for value, code in sorted(answers.items(), key=lambda pair: (pair[1], str(pair[0])))
        if code != default
    )
    return Lookup(key, table, default) if table else Answer(default)


def _nested(key: Expression, fit: Any, problem: Problem) -> Node:
    """Return a program for each value of a key, those that are alike fitted together."""
    values = np.array([str(value) for value in key.values[: problem.size]])
    distinct = Counter(key.values[: problem.size])
    bits = key.bits + 1.0 + prices.choice_bits(len(distinct)) / 2
    order: Sequence[Any] = [value for value, _ in distinct.most_common()]
    program: Node = fit(values == str(order[0]))
    for value in order[1:]:
        problem.guard.check()
        program = Branch(equals(key, value, bits), fit(values == str(value)), program)
    return program
