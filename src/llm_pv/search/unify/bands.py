"""Bands of a number, alone or within each value of a category; tables of a category's values."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.mining import reached
from llm_pv.search.pool import Pool
from llm_pv.search.predicates import equals
from llm_pv.search.problem import Problem
from llm_pv.search.program import (
    Answer,
    Bands,
    Branch,
    Candidate,
    Lookup,
    Node,
    answers_of,
    bits_of,
    candidate,
    first_of,
)
from llm_pv.search.types import Expression, Truths, Type

MOST_BANDS = 6
MOST_VALUES = 30
"""Distinct values of a key; with more a table memorises."""
MOST_STEPS = 200
"""Places where a number may be cut: beyond, quantiles."""
NUMBERS = 80
NESTED_NUMBERS, NESTED_KEYS, NESTED_STEPS = 16, 8, 50
EXCEPTED, EXCEPTIONS = 12, 3
"""Bands that get an exception before them, and how many each."""
FITTING_ROWS = 5000
YIELDED = 20
CUT_BITS = 6.0
"""What another band has to save while cuts are placed; `bits_of` has the true price."""


@dataclass(frozen=True)
class Fit:
    """A program of some rows, and the weight of those that it answers wrongly."""

    program: Node
    wrong: float


def bands(pool: Pool) -> Iterator[Candidate]:
    """Yield the cheapest bands, tables, and bands or tables within each value of a category.

    They are fitted on some thousand rows, and the best of them compared on all.
    """
    problem = pool.problem
    rows = np.zeros(problem.size, dtype=bool)
    rows[problem.spread(FITTING_ROWS)] = True
    found: list[Fit] = []
    some = [*_numbers(pool), *pool.telling_numbers[: NUMBERS // 2], *pool.numbers]
    numbers = list(dict.fromkeys(some))[:NUMBERS]
    for number in numbers:
        fit = banded(number, rows, problem, MOST_STEPS)
        if isinstance(fit.program, Bands) and (len(fit.program.cuts) > 1 or not problem.binary):
            found.append(fit)
    keys = [one for one in pool.categories if _is_key(one, problem)]
    found += [_table(key, rows, problem) for key in keys[: 3 * NESTED_KEYS]]
    for key in [*keys[:NESTED_KEYS], *pool.truths]:
        values = _Values(key, problem)
        for number in numbers[:NESTED_NUMBERS]:
            inner = partial(banded, number, problem=problem, most_steps=NESTED_STEPS)
            found.append(values.each(inner, rows))
        for other in keys[:NESTED_KEYS]:
            if other is not key:
                found.append(values.each(partial(_table, other, problem=problem), rows))

    def cost(fit: Fit) -> float:
        return bits_of(fit.program, len(problem.classes)) + _price(fit, rows, problem)

    found.sort(key=cost)
    plain = [fit.program for fit in found if isinstance(fit.program, Bands) and fit.wrong]
    for program in plain[:EXCEPTED]:
        found += _excepted(program, rows, pool)
    problem.count(len(found))
    found.sort(key=cost)
    made = []
    for fit in found[: 3 * YIELDED]:
        problem.guard.check()
        made.append(candidate(fit.program, problem, "bands"))
    yield from sorted(made, key=lambda one: one.cost)[:YIELDED]


def _excepted(program: Bands, rows: Truths, pool: Pool) -> Iterator[Fit]:
    """Yield bands cut anew without the rows of a condition, which get one class before them."""
    problem, conditions = pool.problem, pool.conditions
    weights = problem.weights * rows
    right = answers_of(program)[: problem.size] == problem.codes
    others = problem.codes != np.arange(len(problem.classes))[:, None]
    # What a class for the rows of a condition puts right, less what it makes wrong.
    saved = conditions.truth @ (weights * (~others & ~right) - weights * (others & right)).T
    worth = saved * np.log2(problem.size) - conditions.bits[:, None]
    for place in np.argsort(-worth, axis=None, kind="stable")[:EXCEPTIONS].tolist():
        index, code = divmod(place, len(problem.classes))
        held = conditions.truth[index]
        rest = banded(program.number, rows & ~held, problem, MOST_STEPS)
        node = Branch(conditions.expression(index), Answer(code), rest.program)
        yield Fit(node, rest.wrong + float(weights[held & others[code]].sum()))


def _price(fit: Fit, rows: Truths, problem: Problem) -> float:
    """Return the bits of a fit's mistakes, as many on all rows as on those it was fitted on."""
    share = fit.wrong / max(1e-9, float(problem.weights[rows].sum()))
    return float(problem.price(share * problem.weights.sum()))


def _numbers(pool: Pool) -> list[Expression]:
    return [one for one in pool.columns if np.asarray(one.values).dtype.kind == "f"]


def _is_key(key: Expression, problem: Problem) -> bool:
    distinct = set(key.values[: problem.size])
    return 2 <= len(distinct) <= min(MOST_VALUES, problem.size // 3)


def banded(number: Expression, rows: Truths, problem: Problem, most_steps: int) -> Fit:
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
        return _constant(rows, problem)
    starts = np.arange(len(known))
    if len(known) > most_steps:
        starts = np.unique(np.linspace(0, len(known) - 1, most_steps).astype(np.int64))
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
    first, *others = wrong.tolist()
    cost = [first, *([math.inf] * classes for _ in range(MOST_BANDS - 1))]
    came: dict[tuple[int, int, int], int] = {}
    for step, added in enumerate(others, 1):  # the matrices are small: lists are faster
        for used in range(MOST_BANDS - 1, 0, -1):
            least = min(cost[used - 1])
            other, before = least + penalty, cost[used - 1].index(least)
            for code, one in enumerate(cost[used]):
                if other < one - 1e-9:
                    came[step, used, code] = before
                    cost[used][code] = other
                cost[used][code] += added[code]
        cost[0] = [one + more for one, more in zip(cost[0], added, strict=True)]
    least, used, code = min((one, *at) for at, one in np.ndenumerate(cost))
    program = _read_back(number, known, starts, came, (used, code))
    return Fit(program, least - penalty * used)


def _read_back(
    number: Expression,
    known: NDArray[np.float64],
    starts: NDArray[np.int64],
    came: dict[tuple[int, int, int], int],
    end: tuple[int, int],
) -> Node:
    """Return the bands that the cheapest path went through."""
    used, code = end
    cuts: list[float] = []
    codes = [code]
    for step in range(len(starts) - 1, 0, -1):
        before = came.get((step, used, code))
        if before is not None:
            at = int(starts[step])
            cuts.append(reached(float(known[at - 1]), float(known[at]), number.kind))
            used, code = used - 1, before
            codes.append(code)
    if not cuts:
        return Answer(code)
    return Bands(number, tuple(reversed(cuts)), tuple(reversed(codes)))


def _constant(rows: Truths, problem: Problem) -> Fit:
    """Return the most frequent answer."""
    shares = problem.shares(problem.weights * rows)
    code = int(shares.argmax()) if shares.any() else problem.majority
    return Fit(Answer(code), float(shares.sum() - shares.max()))


def _table(key: Expression, rows: Truths, problem: Problem) -> Fit:
    """Return a table of the classes by a key's value, the most frequent answer by default."""
    problem.guard.check()
    counts: dict[Any, Counter[int]] = {}
    for index in np.flatnonzero(rows).tolist():
        value = key.values[index]
        counts.setdefault(value, Counter())[int(problem.codes[index])] += problem.weights[index]
    if not counts:
        return _constant(rows, problem)
    answers = {
        value: max(one, key=lambda code: (one[code], -code)) for value, one in counts.items()
    }
    wrong = sum(one.total() - one[answers[value]] for value, one in counts.items())
    default = Counter(answers.values()).most_common(1)[0][0]
    table = tuple(
        (value, code)
        for value, code in sorted(answers.items(), key=lambda pair: (pair[1], str(pair[0])))
        if code != default
    )
    return Fit(Lookup(key, table, default) if table else Answer(default), float(wrong))


class _Values:
    """The values of a key, the most frequent first, with the condition of having each."""

    def __init__(self, key: Expression, problem: Problem) -> None:
        train = key.values[: problem.size]
        if key.type is Type.TRUTH:
            self._codes, self._conditions = train.astype(np.int64), [key]
            return
        order = [value for value, _ in Counter(train).most_common()]
        place = {value: index for index, value in enumerate(order)}
        bits = key.bits + 1.0 + prices.choice_bits(len(order)) / 2
        self._codes = np.array([place[value] for value in train])
        self._conditions = []
        for value in order[1:]:
            problem.guard.check()
            self._conditions.append(equals(key, value, bits))

    def each(self, fit: Callable[..., Fit], rows: Truths) -> Fit:
        """Return a program for each value, the most frequent value last."""
        made = [fit(rows=rows & (self._codes == c)) for c in range(len(self._conditions) + 1)]
        programs = [one.program for one in made]
        rules = list(zip(self._conditions, programs[1:], strict=True))
        return Fit(first_of(rules[::-1], programs[0]), sum(one.wrong for one in made))
