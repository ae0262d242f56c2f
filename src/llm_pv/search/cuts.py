"""Conditions on numbers: cuts, equality and intervals.

Numbers are cut where that tells most of the labels, at the roundest number of the gap; cheap
numbers are cut everywhere, for what joins conditions.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import mining, prices
from llm_pv.search.bank import Bank, Store
from llm_pv.search.emit import filled, literal
from llm_pv.search.library import arithmetic
from llm_pv.search.pool import Offer
from llm_pv.search.problem import Problem
from llm_pv.search.types import Expression, Truths, Type, condition, joined, negation

Floats: TypeAlias = NDArray[np.float64]
Test: TypeAlias = Callable[..., Truths]
"""A condition on whole columns of numbers."""
EVERYWHERE = 40
"""The cheapest numbers are cut at every level worth it, the others only where it tells most."""
CUTS_EVERYWHERE = 20
MOST_BEST_CUTS = 2
MOST_CUT = 6000
MOST_STRICT = 200
"""The most telling cuts, of which what lies at the cut itself is tried on either side."""
MOST_INTERVALS = 1500
MOST_EQUALLED = 4000
SIGNS: dict[str, Any] = {">=": np.greater_equal, ">": np.greater, "==": np.equal}
"""Comparisons as functions of whole columns."""


def on_numbers(
    numbers: Sequence[Expression], template: str, bits: float, function: Test | None = None
) -> Expression:
    """Return a condition on numbers; one that is missing is never more, less or equal."""
    code = filled(template, {str(place): one for place, one in enumerate(numbers)})
    ordered = not any(np.isnan(one.values).any() for one in numbers)
    function = function or arithmetic(template, len(numbers))
    return condition(code, bits, function, *numbers, ordered=ordered)


def offered(
    numbers: Store,
    places: Sequence[int],
    template: str,
    bits: float,
    function: Test | None = None,
) -> Offer:
    """Return a condition on numbers of a bank, written when it is asked for."""

    def write() -> Expression:
        return on_numbers([numbers.expression(place) for place in places], template, bits, function)

    made, values = function or arithmetic(template, len(places)), numbers.values
    return Offer(made(*[values[place] for place in places]), bits, write)


def compared(number: Expression, sign: str, constant: float, bits: float) -> Expression:
    """Compare a number with a constant: a remainder is 0 or not, what is counted is there."""
    template = f"{{0}} {sign} {literal(float(constant))}"
    values = number.values
    if (sign, constant) in {(">=", 1), (">", 0)} and (values == np.floor(values)).all():
        template = _some(number.code, number.kind) if (values >= 0).all() else template
    made = on_numbers([number], template, bits, lambda values: SIGNS[sign](values, constant))
    return replace(made, cut=(number, sign, constant))


def _some(code: str, kind: str) -> str:
    """Return how to say that a whole number is 1 or more, as a template of it or in full.

    Examples
    --------
    >>> _some("n % 2", "remainder"), _some('x.count("ab")', "count"), _some("a + b", "count")
    ('{0} == 1', '"ab" in x', '{0} >= 1')
    >>> _some("sum(k in 'ab' for k in x)", "count"), _some("sum(k for k in x)", "count")
    ("any(k in 'ab' for k in x)", '{0} >= 1')
    """
    if kind == "remainder":
        return "{0} == 1" if code.endswith("% 2") else "{0} != 0"
    match ast.parse(code, mode="eval").body:
        case ast.Call(ast.Attribute(_, "count"), [ast.Constant() as sought]):
            sought_code = ast.get_source_segment(code, sought) or ""
            said = f"{sought_code} in {code.removesuffix(f'.count({sought_code})')}"
        case ast.Call(ast.Name("sum"), [ast.GeneratorExp(ast.Compare() | ast.BoolOp())]):
            said = f"any{code.removeprefix('sum')}"
        case _:
            return "{0} >= 1"
    return said.replace("{", "{{").replace("}", "}}")


def _at(numbers: Store, place: int, sign: str, constant: float, bits: float) -> Offer:
    """Return a comparison of a number of a bank: there are too many to write each template."""
    truth = SIGNS[sign](numbers.values[place], constant)
    return Offer(truth, bits, lambda: compared(numbers.expression(place), sign, constant, bits))


@dataclass(frozen=True, eq=False)
class Cuts:
    """For each number its best cuts: what they tell in bits, and between which values they lie.

    All of shape (numbers, cuts); the gain is -inf where there is no cut.
    """

    gain: Floats
    low: Floats
    high: Floats


def best_cuts(values: Floats, problem: Problem, most: int) -> Cuts:
    """Return the cuts of numbers that tell most of the classes.

    Values are of shape (numbers, training rows). Each further cut of a number is the one that adds
    most to those before it: the second best by itself would lie beside the best.
    """
    onehot = problem.onehot
    total = onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    cells = min(400_000, problem.guard.most(80, 0.04))
    block = max(1, cells // (problem.size * len(problem.classes)))
    parts = []
    for start in range(0, len(values), block):
        problem.guard.check()
        some = values[start : start + block]
        order = np.argsort(some, axis=1, kind="stable")
        ordered = np.take_along_axis(some, order, axis=1)
        below = np.cumsum(onehot[order], axis=1)[:, :-1]
        with np.errstate(invalid="ignore"):
            is_cut = ordered[:, :-1] < ordered[:, 1:]  # NaN is last and never a cut
        low, high, whole = np.zeros(len(total)), total, np.asarray(before)
        found = []
        for _ in range(most):
            gain = whole - bits_of_groups(below - low) - bits_of_groups(high - below)
            gain[~is_cut] = -np.inf
            place = gain.argmax(axis=1)[:, None]
            found.append(
                [np.take_along_axis(one, place, 1) for one in (gain, ordered, ordered[:, 1:])]
            )
            if len(found) < most:
                edge = np.take_along_axis(below, place[:, :, None], axis=1)
                is_after = (np.arange(below.shape[1]) >= place)[:, :, None]
                low = np.where(is_after, np.maximum(edge, low), low)
                high = np.where(is_after, high, np.minimum(edge, high))
                whole = bits_of_groups(high - low)
        parts.append([np.concatenate(columns, axis=1) for columns in zip(*found, strict=True)])
    empty = np.zeros((0, most))
    return Cuts(*(np.concatenate([part[i] for part in parts] or [empty]) for i in range(3)))


def best_cut(total: NDArray[Any], members: Truths, problem: Problem) -> tuple[float, float]:
    """Return the cut with the fewest mistakes for a class at or above it, and their weight.

    It is the roundest number of its gap; all rows are at or above one, where no other is better.
    """
    known, place = np.unique(total, return_inverse=True)
    signs = np.where(members, problem.weights, -problem.weights)
    saved = np.concatenate([[0.0], np.cumsum(np.bincount(place, signs))])
    wrong = saved + problem.weights[~members].sum()
    index = int(wrong[1:-1].argmin()) + 1 if len(known) > 1 else 0
    low = float(known[index - 1]) if index else float(known[0]) - 1
    return mining.round_number(low, float(known[index])), float(wrong[index])


def bits_of_groups(counts: Floats) -> Floats:
    """Return the bits that the classes of each group take; the last axis is the classes."""
    total = counts @ np.ones(counts.shape[-1], dtype=counts.dtype)  # faster than a sum along it
    inner = np.einsum("...c,...c->...", counts, np.log2(np.maximum(counts, 1e-12)))
    return np.asarray(total * np.log2(np.maximum(total, 1e-12)) - inner)


def of_numbers(bank: Bank) -> Iterator[Offer]:
    """Yield the cuts, equalities and intervals of all numbers of a bank."""
    yield from _cuts(bank)
    yield from _intervals(bank)


def _cuts(bank: Bank) -> Iterator[Offer]:
    problem, numbers = bank.problem, bank.numbers
    size = problem.size
    train = numbers.values[:, :size]
    bits = numbers.bits
    order = np.argsort(bits, kind="stable")
    cheap = set(order[: int(EVERYWHERE * max(1.0, problem.scale**0.5))].tolist())

    timed = _timed(bank)

    def cut(row: int, low: float, high: float, *, strict: bool = False) -> Iterator[Offer]:
        kind = numbers.expression(row).kind if timed else ""
        sign, constant = mining.boundary(low, high, kind)
        price = bits[row] + prices.THRESHOLD + mining.written_bits(constant, kind)
        # No training row has the constant itself: which side it is on, validation tells.
        both = strict and sign == ">=" and constant < high
        for other, more in ((sign, 0.0), (">", 0.5))[: 1 + both]:
            yield _at(numbers, row, other, constant, price + more)

    best = best_cuts(train, problem, MOST_BEST_CUTS)
    # What tells least for its length is not worth a place; cheap numbers are cut everywhere.
    worth = np.where(np.isfinite(best.gain), best.gain - bits[:, None], -np.inf).ravel()
    most_telling = np.argsort(-worth, kind="stable")
    bank.telling = list(dict.fromkeys((most_telling[:200] // best.gain.shape[1]).tolist()))
    for rank, place in enumerate(most_telling[: int(MOST_CUT * max(0.2, problem.scale))].tolist()):
        row, which = divmod(place, best.gain.shape[1])
        if np.isfinite(worth[place]):
            low, high = float(best.low[row, which]), float(best.high[row, which])
            yield from cut(row, low, high, strict=rank < MOST_STRICT)
    for row in cheap:
        levels = np.unique(train[row][np.isfinite(train[row])])
        if len(levels) > CUTS_EVERYWHERE:
            levels = np.unique(np.quantile(levels, np.linspace(0, 1, CUTS_EVERYWHERE + 2)))
        for low, high in pairwise(levels.tolist()):
            yield from cut(row, low, high)
    yield from _equalities(bank, order, cheap)


def _equalities(bank: Bank, order: NDArray[np.int64], cheap: set[int]) -> Iterator[Offer]:
    problem, numbers = bank.problem, bank.numbers
    size = problem.size
    train, bits = numbers.values[:, :size], numbers.bits
    tried = order[: int(MOST_EQUALLED * max(0.2, problem.scale))]
    is_whole = (train[tried] == np.floor(train[tried])).all(axis=1)
    for row in tried[is_whole].tolist():
        problem.guard.check()
        counts = Counter(train[row].tolist())
        if not 2 < len(counts) < size:
            continue
        often = sorted(counts.items(), key=itemgetter(1), reverse=True)
        for value, count in often[: 12 if row in cheap else 4]:
            if count >= 2:
                price = bits[row] + prices.EQUALITY + prices.constant_bits(value)
                yield _at(numbers, row, "==", value, price)


def _timed(bank: Bank) -> bool:
    """Tell whether numbers may be of a unit: only then are all written to find out."""
    return any(one.kind in mining.UNITS for one in bank.of(Type.NUMBERS))


def _intervals(bank: Bank) -> Iterator[Offer]:
    """Yield, for two classes, whether a number lies between two: the best interval of each number.

    With mistakes as signs, the best interval is the largest difference of two sums from the left,
    taken where the number changes.
    """
    problem, numbers = bank.problem, bank.numbers
    most = int(MOST_INTERVALS * max(0.2, problem.scale)) if problem.binary else 0
    block = problem.guard.most(48 * problem.size, 0.025 * max(1.0, problem.scale))
    places = np.argsort(numbers.bits, kind="stable")[:most]
    for start in range(0, len(places), block):
        yield from _intervals_of(bank, places[start : start + block])


def _intervals_of(bank: Bank, places: NDArray[np.int64]) -> Iterator[Offer]:
    problem, numbers, size = bank.problem, bank.numbers, bank.problem.size
    values, bits = numbers.values[places, :size], numbers.bits[places]
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    with np.errstate(invalid="ignore"):
        changes = ordered[:, :-1] < ordered[:, 1:]
    least, timed = np.log2(size), _timed(bank)
    for sign in (1.0, -1.0):
        problem.guard.check()
        signs = np.where(problem.codes == 1, sign, -sign) * problem.weights
        sums = np.cumsum(signs[order], axis=1)
        lowest, start = np.full(len(places), np.inf), np.zeros(len(places), dtype=np.int64)
        best, low, high = (np.zeros(len(places)) for _ in range(3))
        for column in range(size - 1):
            valid = changes[:, column]
            total = sums[:, column]
            better = valid & (total - lowest > best)
            best[better] = (total - lowest)[better]
            low[better], high[better] = start[better], column
            lower = valid & (total < lowest)
            lowest[lower], start[lower] = total[lower], column
        for row in np.flatnonzero((best > 0) & (high > low)).tolist():
            first, last = int(low[row]), int(high[row])
            kind = numbers.expression(places[row]).kind if timed else ""
            cuts = [
                mining.boundary(float(ordered[row, i]), float(ordered[row, i + 1]), kind)
                for i in (first, last)
            ]
            constants = [mining.written_bits(constant, kind) for _, constant in cuts]
            price = bits[row] + 2 * prices.THRESHOLD + sum(constants)
            if best[row] > least:
                low_cut, high_cut = (
                    _at(numbers, int(places[row]), *cut, bits[row] + prices.THRESHOLD + more)
                    for cut, more in zip(cuts, constants, strict=True)
                )
                truth = low_cut.truth & ~high_cut.truth

                def write(
                    low: Offer = low_cut, high: Offer = high_cut, price: float = price
                ) -> Expression:
                    return between(low.write(), high.write(), price)

                yield Offer(truth, price, write)


def between(low: Expression, high: Expression, bits: float) -> Expression:
    """Return whether a number is above one cut and not above another, as an interval."""
    assert low.cut is not None
    assert high.cut is not None
    number, above, bottom = low.cut
    _, beyond, top = high.cut
    last, sign = top, {">=": "<", ">": "<="}[beyond]
    is_shorter = prices.constant_bits(top - 1) <= prices.constant_bits(top)
    is_whole = bool((number.values == np.floor(number.values)).all())
    if is_whole and top == np.floor(top) and sign == "<" and is_shorter:
        last, sign = top - 1, "<="
    below = {">=": "<=", ">": "<"}[above]
    template = f"{literal(bottom)} {below} {{0}} {sign} {literal(last)}"
    inside = on_numbers(
        [number],
        template,
        bits,
        lambda values: SIGNS[above](values, bottom) & ~SIGNS[beyond](values, top),
    )
    return replace(inside, parts=("between", (low, high)))


def exchanged(whole: Expression, old: Expression, new: Expression) -> Expression:
    """Return a condition with one that it consists of exchanged for another."""
    if whole is old:
        return new
    word, parts = whole.parts
    made = [exchanged(part, old, new) for part in parts]
    if all(one is part for one, part in zip(made, parts, strict=True)):
        return whole
    if word == "not":
        return negation(made[0])
    bits = whole.bits + sum(one.bits for one in made) - sum(part.bits for part in parts)
    if word != "between":
        return joined(word, made, bits)
    low, high = made
    if low.cut and high.cut and low.cut[0] is high.cut[0] and "==" not in (low.cut[1], high.cut[1]):
        return between(low, high, bits)
    return joined("and", [low, negation(high)], bits)
