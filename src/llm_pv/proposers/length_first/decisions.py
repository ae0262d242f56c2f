"""Decision lists of several classes: exceptions one after another, then one answer for the rest.

A beam keeps the lists that leave the least to be told. What a list leaves is answered by its most
frequent class, or by a number: looked up, or cut into intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.conditions import Conditions
from llm_pv.proposers.length_first.expressions import Definition, Expression, negation
from llm_pv.proposers.length_first.ladders import best_ladders
from llm_pv.proposers.length_first.lookups import best_lookups
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate
from llm_pv.proposers.length_first.scoring import entropies
from llm_pv.proposers.length_first.sequences import Features
from llm_pv.proposers.length_first.trees import Branch, Leaf, tree_candidate
from llm_pv.proposers.length_first.weights import NEGATION, choice_bits

BEAM = 30
PER_CLASS = 4
"""Ways to go on with one list that are kept for each class."""
MOST_EXCEPTIONS = 5
KEPT = 60
ENDED = 6
"""Lists whose rest is looked up or cut into intervals."""
LEAST_LEFT = 20
"""Rows below which nothing is made of a rest."""
MOST_NUMBERS = 1000


@dataclass(frozen=True, eq=False)
class _List:
    """Exceptions so far: a condition each, with the class of the rows it holds on.

    ``left`` tells the training rows none holds on; ``cost`` is the bits so far, mistakes included.
    """

    exceptions: tuple[tuple[Expression, int], ...]
    left: NDArray[np.bool_]
    cost: float
    expected: float


def best_decision_lists(
    conditions: Conditions, features: Features, problem: Problem
) -> list[Candidate]:
    """Return the cheapest decision lists over these conditions."""
    onehot = np.zeros((problem.size, len(problem.classes)), dtype=np.float32)
    onehot[np.arange(problem.size), problem.codes] = 1.0
    truth = conditions.truth[:, : problem.size].astype(np.float32)
    everything = np.ones(problem.size, bool)
    beam = [_List((), everything, 0.0, _entropy(onehot.sum(axis=0)))]
    every: list[_List] = []
    for _ in range(min(MOST_EXCEPTIONS, len(problem.classes) + 1)):
        longer = [new for one in beam for new in _extended(one, conditions, truth, onehot, problem)]
        beam = _different(longer)[:BEAM]
        every += beam
    every.sort(key=lambda one: one.expected)
    found = [_written(one, problem) for one in every[: 4 * KEPT]]
    short = [one for one in every if len(one.exceptions) <= 2 and one.left.sum() >= LEAST_LEFT]
    for one in _spread(short):
        found += _with_rest(one, features, problem)
    return sorted(found, key=lambda one: one.cost)[:KEPT]


def _entropy(counts: NDArray[np.float32]) -> float:
    present = counts[counts > 0]
    return float(-(present * np.log2(present / counts.sum())).sum())


def _extended(
    one: _List,
    conditions: Conditions,
    truth: NDArray[np.float32],
    onehot: NDArray[np.float32],
    problem: Problem,
) -> list[_List]:
    """Return the list with one more exception: the most promising ones for each class."""
    here = onehot * one.left[:, None]
    counts = here.sum(axis=0)
    if (counts > 0).sum() < 2:
        return []
    inside = truth @ here
    a_mistake = problem.prices[1] - problem.prices[0]
    price = weights.BRANCH + 1.0 + choice_bits(len(problem.classes))
    found = []
    for opposite, covered in ((0, inside), (1, counts - inside)):
        total = covered.sum(axis=1)
        left = entropies(counts - covered)
        bits = conditions.bits + opposite * NEGATION + price
        for code in np.flatnonzero(counts).tolist():
            wrong = total - covered[:, code]
            cost = one.cost + bits + a_mistake * wrong
            useless = (covered[:, code] < 2) | (total == counts.sum())
            expected = np.where(useless, np.inf, cost + left)
            some = np.argsort(expected, kind="stable")[:PER_CLASS]
            for index in some[np.isfinite(expected[some])].tolist():
                condition = conditions.written(index)
                condition = negation(condition) if opposite else condition
                rows = one.left & ~condition.values[: problem.size].astype(bool)
                exceptions = (*one.exceptions, (condition, code))
                found.append(_List(exceptions, rows, float(cost[index]), float(expected[index])))
    return found


def _different(lists: Sequence[_List]) -> list[_List]:
    """Return the lists, most promising first, one for each way to answer the rows so far."""
    kept: dict[tuple[object, ...], _List] = {}
    for one in sorted(lists, key=lambda one: one.expected):
        classes = frozenset(code for _, code in one.exceptions)
        kept.setdefault((one.left.tobytes(), classes), one)
    return list(kept.values())


def _spread(lists: Sequence[_List]) -> list[_List]:
    """Return the most promising lists, the same number for each set of classes told apart."""
    kept: dict[tuple[int, ...], list[_List]] = {}
    for one in lists:
        kept.setdefault(tuple(sorted(code for _, code in one.exceptions)), []).append(one)
    ranked = [
        (place, one.expected, one) for group in kept.values() for place, one in enumerate(group)
    ]
    return [one for *_, one in sorted(ranked, key=lambda entry: entry[:2])][:ENDED]


def _written(one: _List, problem: Problem) -> Candidate:
    rest = np.bincount(problem.codes[one.left] if one.left.any() else problem.codes)
    tree: Branch | Leaf = Leaf(int(rest.argmax()))
    for condition, code in reversed(one.exceptions):
        tree = Branch(condition, Leaf(code), tree)
    return tree_candidate(tree, problem, "rule")


def _with_rest(one: _List, features: Features, problem: Problem) -> list[Candidate]:
    """Return the list's exceptions, then the best that numbers and categories make of the rest."""
    probes = np.arange(problem.size, len(problem.rows))
    rows = np.concatenate([np.flatnonzero(one.left), probes])
    codes = problem.codes[one.left]
    present = np.unique(codes)
    if len(present) < 2:
        return []
    names = tuple(problem.classes[code] for code in present)
    part = Problem(
        [problem.rows[row] for row in rows.tolist()],
        len(codes),
        np.searchsorted(present, codes),
        names,
        problem.noise,
    )
    numbers = [
        replace(number, values=number.values[rows])
        for number in sorted(features.numbers, key=lambda number: number.bits)[:MOST_NUMBERS]
    ]
    categories = [
        replace(category, rows=[category.rows[row] for row in rows.tolist()])
        for category in features.categories
    ]
    ends = best_lookups(Features(numbers, [], categories), part, 20, MOST_NUMBERS)
    ends += best_ladders(numbers, part)
    return [_joined(one, end, rows, present, problem) for end in ends]


def _joined(
    one: _List,
    end: Candidate,
    rows: NDArray[np.int64],
    present: NDArray[np.int64],
    problem: Problem,
) -> Candidate:
    """Return the exceptions followed by a program for the rest."""
    answers = np.zeros(len(problem.rows), dtype=np.int64)
    # A value that names no class of the rest is answered as it is there: by none of them.
    answers[rows] = np.where(end.answers < 0, -1, present[end.answers])
    lines: list[str] = []
    needs: tuple[Definition, ...] = ()
    bits = end.bits
    for condition, code in reversed(one.exceptions):
        answers[condition.values.astype(bool)] = code
        shown = _leaf_line(code, problem)
        lines = [f"if {condition.code}:", f"    {shown}", *lines]
        needs = (*condition.needs, *needs)
        bits += condition.bits + weights.BRANCH + 1.0 + choice_bits(len(problem.classes))
    mistakes = int((answers[: problem.size] != problem.codes).sum())
    body = (*lines, *end.body)
    cost = bits + problem.prices[mistakes]
    return Candidate(body, (*needs, *end.needs), bits, answers, mistakes, cost)


def _leaf_line(code: int, problem: Problem) -> str:
    return tree_candidate(Leaf(code), problem).body[0]
