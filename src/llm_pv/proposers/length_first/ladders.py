"""Ladders: one number, cut into intervals, each with its class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.conditions import digits_of, simplest_between
from llm_pv.proposers.length_first.expressions import Expression, constant
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, label_literal
from llm_pv.proposers.length_first.weights import choice_bits

MOST_STEPS = 6
MOST_NUMBERS = 6000
KEPT = 60


def best_ladders(numbers: Sequence[Expression], problem: Problem) -> list[Candidate]:
    """Return the cheapest ladders of up to one interval a class, and one more."""
    classes = len(problem.classes)
    if not 2 < classes <= MOST_STEPS:
        return []
    chosen = [n for n in numbers if bool(np.isfinite(n.values[: problem.size]).all())]
    chosen = sorted(chosen, key=lambda number: number.bits)[:MOST_NUMBERS]
    if not chosen:
        return []
    values = np.array([number.values[: problem.size] for number in chosen])
    right = _most_right(values, problem.codes, classes)
    prices = np.array(problem.prices)
    bits = np.array([number.bits for number in chosen])
    offers = []
    for steps in range(2, classes + 2):
        costs = bits + _price(steps, problem) + prices[problem.size - right[:, steps - 1]]
        offers += [(float(costs[i]), i, steps) for i in np.argsort(costs, kind="stable")[:KEPT]]
    return [_written(chosen[i], steps, problem) for _, i, steps in sorted(offers)[:KEPT]]


def _price(steps: int, problem: Problem) -> float:
    cut = weights.THRESHOLD + choice_bits(problem.size)
    return (steps - 1) * cut + steps * choice_bits(len(problem.classes))


def _most_right(
    values: NDArray[np.float64], codes: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Return, for 1, 2, ... intervals, how many rows each number can get right."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    labels = codes[order]
    steps = classes + 1
    best = np.full((len(values), steps, classes), -(2**30))
    best[:, 0, :] = 0
    for place in range(values.shape[1]):
        if place:
            open_here = ordered[:, place] > ordered[:, place - 1]
            entered = np.where(open_here[:, None], best[:, :-1].max(axis=2), -(2**30))
            best[:, 1:] = np.maximum(best[:, 1:], entered[:, :, None])
        best[np.arange(len(values)), :, labels[:, place]] += 1
    return np.asarray(np.maximum.accumulate(best.max(axis=2), axis=1))


def _written(number: Expression, steps: int, problem: Problem) -> Candidate:
    train = number.values[: problem.size].astype(np.float64)
    cuts, labels = _cuts(train, problem.codes, steps, len(problem.classes))
    thresholds = [simplest_between(low, high) for low, high in cuts]
    places = np.searchsorted(np.array(thresholds), number.values, side="right")
    answers = np.array(labels)[places]
    mistakes = int((answers[: problem.size] != problem.codes).sum())
    bits = number.bits + _price(len(labels), problem)
    bits += weights.DIGIT * sum(digits_of(cut) for cut in thresholds)
    is_short = len(number.code) <= 16
    name = number.code if is_short else "value"
    lines = [] if is_short else [f"value = {number.code}"]
    for cut, label in zip(thresholds, labels, strict=False):
        lines += [f"if {name} < {constant(cut, 1).code}:"]
        lines += [f"    return {label_literal(problem.classes[label])}"]
    lines.append(f"return {label_literal(problem.classes[labels[-1]])}")
    cost = bits + problem.prices[mistakes]
    return Candidate(tuple(lines), number.needs, bits, answers, mistakes, cost)


def _cuts(
    values: NDArray[np.float64], codes: NDArray[np.int64], steps: int, classes: int
) -> tuple[list[tuple[float, float]], list[int]]:
    """Return the gaps that are cut and the intervals' classes, for the most rows right."""
    order = np.argsort(values, kind="stable")
    ordered, labels = values[order].tolist(), codes[order].tolist()
    # For each number of intervals and class: rows right, gaps cut, classes so far.
    best: dict[tuple[int, int], tuple[int, tuple[int, ...], tuple[int, ...]]] = {
        (0, label): (0, (), (label,)) for label in range(classes)
    }
    for place, label in enumerate(labels):
        if place and ordered[place] > ordered[place - 1]:
            for step in range(steps - 1, 0, -1):
                before = [best[step - 1, c] for c in range(classes) if (step - 1, c) in best]
                top = max(before, key=lambda one: one[0]) if before else None
                for new in range(classes):
                    known = best.get((step, new), (-1, (), ()))
                    if top is not None and top[0] > known[0] and top[2][-1] != new:
                        best[step, new] = (top[0], (*top[1], place), (*top[2], new))
        for step in range(steps):
            if (step, label) in best:
                count, gaps, chosen = best[step, label]
                best[step, label] = (count + 1, gaps, chosen)
    _, gaps, chosen = max(best.values(), key=lambda one: (one[0], -len(one[1])))
    return [(ordered[gap - 1], ordered[gap]) for gap in gaps], list(chosen)
