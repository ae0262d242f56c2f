"""Predicates: from values to conditions, as rows of one matrix with their prices.

Numbers are cut where that tells most of the labels, at the roundest number of the gap; cheap
numbers are cut everywhere, for what joins conditions. Categories and texts are compared with values
that training rows have.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import eq, lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import mining, prices
from llm_pv.search.bank import Bank, Store
from llm_pv.search.emit import literal
from llm_pv.search.pool import Conditions, Offer, mask_of
from llm_pv.search.problem import Expired, Problem
from llm_pv.search.types import Expression, Frame, Level, Truths, Type

EVERYWHERE = 40
"""The cheapest numbers are cut at every level worth it, the others only where it tells most."""
CUTS_EVERYWHERE = 20
MOST_BEST_CUTS = 2
MOST_CUT = 6000
MOST_STRICT = 200
"""The most telling cuts, of which what lies at the cut itself is tried on either side."""
MOST_INTERVALS = 1500
MOST_VALUES = 40
"""Distinct values of what is compared with sets of values."""
MOST_EQUALLED = 4000
MOST_IN_ORDER = 24
"""Strings of which any two are looked for, the one after the other."""
MOST_OTHERS = 12
"""Conditions kept beside the shortest of those that hold on the same training rows."""


def _ready(condition: Expression) -> Offer:
    return Offer(condition.values, condition.bits, lambda: condition)


SIGNS: dict[str, tuple[Any, str]] = {
    ">=": (np.greater_equal, "<"),
    ">": (np.greater, "<="),
    "==": (np.equal, "!="),
}
"""Comparisons: the function of whole columns, and the sign of the opposite."""


def compared(number: Expression, sign: str, constant: float, bits: float) -> Expression:
    """Compare a number with a constant; a missing number is never more, less or equal."""
    function, mirrored = SIGNS[sign]
    missing = bool(np.isnan(number.values).any())
    code, value = number.at(Level.SUM), literal(float(constant))
    opposite = f"{code} {mirrored} {value}" if sign in ("==", "!=") or not missing else ""
    return Expression(
        f"{code} {sign} {value}",
        Type.TRUTH,
        bits,
        function(number.values, constant),
        Level.COMPARISON,
        number.needs,
        opposite,
        lambda frame: function(frame.values(number), constant),
    )


def equals(value: Expression, constant: object, bits: float) -> Expression:
    """Compare a category or text with a constant."""

    def recipe(frame: Frame) -> Truths:
        return _equal(frame.values(value), constant)

    code, text = value.at(Level.SUM), literal(constant)
    sign, unlike = ("is", "is not") if constant is None else ("==", "!=")
    return Expression(
        f"{code} {sign} {text}",
        Type.TRUTH,
        bits,
        _equal(value.values, constant),
        Level.COMPARISON,
        value.needs,
        f"{code} {unlike} {text}",
        recipe,
    )


def _equal(column: Any, constant: object) -> Truths:
    return np.array([value == constant for value in column], dtype=bool)


def text_test(text: Expression, template: str, constant: str, bits: float) -> Expression:
    """Ask a text for a constant: ``{0}`` is the text, ``{c}`` the constant."""
    function = eval(f"lambda t, c: {template.format('t', c='c')}")  # noqa: S307 - of this module

    def recipe(frame: Frame) -> Truths:
        return np.array([function(value, constant) for value in frame.values(text)], dtype=bool)

    values = np.array([function(value, constant) for value in text.values], dtype=bool)
    code = template.format(text.at(Level.ATOM), c=literal(constant))
    inside = template.startswith("{c} in ")
    opposed = template.replace("{c} in ", "{c} not in ", 1)
    opposite = opposed.format(text.at(Level.ATOM), c=literal(constant)) if inside else ""
    level = Level.COMPARISON if inside else Level.ATOM
    return Expression(code, Type.TRUTH, bits, values, level, text.needs, opposite, recipe)


@dataclass(frozen=True, eq=False)
class Cuts:
    """For each number its best cuts: what they tell in bits, and between which values they lie.

    All of shape (numbers, cuts); the gain is -inf where there is no cut.
    """

    gain: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def best_cuts(values: NDArray[np.float64], problem: Problem, most: int) -> Cuts:
    """Return the cuts of numbers that tell most of the classes.

    Parameters
    ----------
    values
        Of shape (numbers, training rows).
    most
        Cuts for each number.
    """
    onehot = problem.onehot
    total = onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    block = max(1, 400_000 // (problem.size * len(problem.classes)))
    parts = []
    for start in range(0, len(values), block):
        problem.guard.check()
        some = values[start : start + block]
        order = np.argsort(some, axis=1, kind="stable")
        ordered = np.take_along_axis(some, order, axis=1)
        below = np.cumsum(onehot[order], axis=1)[:, :-1]
        gain = before - bits_of_groups(below) - bits_of_groups(total - below)
        with np.errstate(invalid="ignore"):
            gain[~(ordered[:, :-1] < ordered[:, 1:])] = -np.inf  # NaN is last and never a cut
        chosen = np.argsort(-gain, axis=1, kind="stable")[:, :most]
        parts.append(
            [np.take_along_axis(one, chosen, axis=1) for one in (gain, ordered, ordered[:, 1:])]
        )
    empty = np.zeros((0, most))
    return Cuts(*(np.concatenate([part[i] for part in parts] or [empty]) for i in range(3)))


def bits_of_groups(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bits that the classes of each group take; the last axis is the classes."""
    total = counts @ np.ones(counts.shape[-1], dtype=counts.dtype)  # faster than a sum along it
    inner = np.einsum("...c,...c->...", counts, np.log2(np.maximum(counts, 1e-12)))
    return np.asarray(total * np.log2(np.maximum(total, 1e-12)) - inner)


def offers(bank: Bank) -> Iterator[Offer]:
    """Yield the conditions on all values of the bank."""
    truths, bits = bank.truths, bank.truths.bits.tolist()
    for index in range(len(truths)):
        yield Offer(truths.values[index], bits[index], partial(truths.expression, index))
    yield from _of_numbers(bank)
    yield from _intervals(bank)
    yield from _of_categories(bank)
    yield from _of_texts(bank)


def _of_numbers(bank: Bank) -> Iterator[Offer]:  # noqa: C901
    problem, numbers = bank.problem, bank.numbers
    size = problem.size
    train = numbers.values[:, :size]
    bits = numbers.bits
    order = np.argsort(bits, kind="stable")
    cheap = set(order[: int(EVERYWHERE * max(1.0, problem.scale**0.5))].tolist())

    timed = _timed(bank)

    def written(row: int, sign: str, constant: float, price: float) -> Expression:
        return compared(numbers.expression(row), sign, constant, price)

    def cut(row: int, low: float, high: float, *, strict: bool = False) -> Iterator[Offer]:
        kind = numbers.expression(row).kind if timed else ""
        sign, constant = mining.boundary(low, high, kind)
        price = bits[row] + prices.THRESHOLD + mining.written_bits(constant, kind)
        # No training row has the constant itself: which side it is on, validation tells.
        both = strict and sign == ">=" and constant < high
        for other, more in ((sign, 0.0), (">", 0.5))[: 1 + both]:
            truth = SIGNS[other][0](numbers.values[row], constant)
            yield Offer(truth, price + more, partial(written, row, other, constant, price + more))

    def equal(row: int, value: float) -> Offer:
        price = bits[row] + prices.EQUALITY + prices.constant_bits(value)
        return Offer(
            numbers.values[row] == value,
            price,
            partial(written, row, "==", value, price),
        )

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
        known = np.unique(train[row][np.isfinite(train[row])])
        if len(known) > CUTS_EVERYWHERE:
            levels = np.quantile(known, np.linspace(0, 1, CUTS_EVERYWHERE + 2))
            pairs = list(zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True))
        else:
            pairs = list(zip(known[:-1].tolist(), known[1:].tolist(), strict=True))
        for low, high in pairs:
            if low < high:
                yield from cut(row, low, high)
    for row in order[: int(MOST_EQUALLED * max(0.2, problem.scale))].tolist():
        problem.guard.check()
        if (train[row] != np.floor(train[row])).any():
            continue
        counts = Counter(train[row].tolist())
        for value, count in counts.most_common(12 if row in cheap else 4):
            if 2 <= count < size and len(counts) > 2:
                yield equal(row, value)


def _timed(bank: Bank) -> bool:
    """Tell whether numbers may be of a unit: only then are all written to find out."""
    return any(one.kind in mining.UNITS for one in bank.of(Type.NUMBERS))


def _intervals(bank: Bank) -> Iterator[Offer]:
    """Yield, for two classes, whether a number lies between two: the best interval of each number.

    With mistakes as signs, the best interval is the largest difference of two sums from the left,
    taken where the number changes.
    """
    problem, numbers = bank.problem, bank.numbers
    if not problem.binary or not len(numbers):
        return
    size = problem.size
    places = np.argsort(numbers.bits, kind="stable")[
        : int(MOST_INTERVALS * max(0.2, problem.scale))
    ]
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
                yield _between(numbers, int(places[row]), cuts[0], cuts[1], price)


def _between(
    numbers: Store, place: int, low: tuple[str, float], high: tuple[str, float], bits: float
) -> Offer:
    (above, bottom), (beyond, top) = low, high

    def held(values: NDArray[np.float64]) -> Truths:
        return np.asarray(SIGNS[above][0](values, bottom) & ~SIGNS[beyond][0](values, top))

    truth = held(numbers.values[place])

    def write() -> Expression:
        number = numbers.expression(place)
        last, sign = top, SIGNS[beyond][1]
        whole = bool((number.values == np.floor(number.values)).all()) and top == np.floor(top)
        if whole and sign == "<" and prices.constant_bits(top - 1) <= prices.constant_bits(top):
            last, sign = top - 1, "<="

        def recipe(frame: Frame) -> Truths:
            return held(frame.values(number))

        below = {">=": "<=", ">": "<"}[above]
        code = f"{literal(bottom)} {below} {number.at(Level.SUM)} {sign} {literal(last)}"
        needs = number.needs
        return Expression(code, Type.TRUTH, bits, truth, Level.COMPARISON, needs, "", recipe)

    return Offer(truth, bits, write)


def _sets(value: Expression, counts: Counter[Any], problem: Problem) -> Iterator[Offer]:
    """Yield whether a category is one of those whose rows are mostly of a class."""
    size = problem.size
    places = {constant: place for place, constant in enumerate(counts)}
    rows = np.array([places[one] for one in value.values[:size]])
    table = np.zeros((len(places), len(problem.classes)))
    np.add.at(table, (rows, problem.codes), problem.weights)
    share = table / table.sum(axis=1, keepdims=True)
    usual = table.sum(axis=0) / table.sum()
    for code, _ in problem.targets():
        for least in (0.5, float(usual[code]), 0.95):
            inside = np.flatnonzero(share[:, code] > least)
            chosen = [constant for constant, place in places.items() if place in set(inside)]
            if len(chosen) > len(places) / 2:
                chosen = [constant for constant in places if constant not in chosen]
            if 2 <= len(chosen) <= 12 and None not in chosen:
                yield _ready(_one_of(value, chosen, len(places)))


def _one_of(value: Expression, chosen: list[Any], known: int) -> Expression:
    chosen = sorted(chosen, key=lambda one: (str(type(one)), one))
    texts = literal(tuple(chosen))

    def recipe(frame: Frame) -> Truths:
        return np.array([one in chosen for one in frame.values(value)], dtype=bool)

    code = value.at(Level.SUM)
    bits = value.bits + 1.5 + len(chosen) * (1.0 + prices.choice_bits(known) / 2)
    return Expression(
        f"{code} in {texts}",
        Type.TRUTH,
        bits,
        np.array([one in chosen for one in value.values], dtype=bool),
        Level.COMPARISON,
        value.needs,
        f"{code} not in {texts}",
        recipe,
    )


def _of_categories(bank: Bank) -> Iterator[Offer]:
    problem = bank.problem
    size = problem.size
    categories = bank.of(Type.CATEGORY)
    for value in categories:
        problem.guard.check()
        counts = Counter(value.values[:size])
        choice = value.bits + 1.0 + prices.choice_bits(len(counts)) / 2
        for constant, count in counts.most_common(30):
            if 1 <= count < size:
                yield _ready(equals(value, constant, choice))
        if 3 <= len(counts) <= MOST_VALUES:
            yield from _sets(value, counts, problem)
    for index, one in enumerate(categories[:40]):
        for two in categories[:index]:
            alike = related(two, "==", one)
            if alike is not None:
                yield _ready(alike)


def _of_texts(bank: Bank) -> Iterator[Offer]:
    problem = bank.problem
    size = problem.size
    texts = sorted(bank.of(Type.TEXT), key=lambda one: one.bits)
    for index, text in enumerate(texts):
        problem.guard.check()
        rows = text.values[:size]
        counts = Counter(rows)
        if len(counts) <= size / 2:
            for constant, count in counts.most_common(30):
                if count >= 2:
                    made = equals(text, constant, text.bits + 1.0 + prices.choice_bits(len(counts)))
                    yield _ready(made)
            if 3 <= len(counts) <= MOST_VALUES:
                yield from _sets(text, counts, problem)
        if index < 6:
            yield from _of_substrings(text, problem, 2000 if index == 0 else 300)
        for other in texts[:index] if index < 30 else ():
            for sign in ("==", "<"):
                comparison = related(other, sign, text)
                if comparison is not None:
                    yield _ready(comparison)


def related(one: Expression, sign: str, two: Expression) -> Expression | None:
    """Compare two texts by ``==`` or ``<``, or two categories; None where that never varies."""
    compare, opposite, bits = {"==": (eq, "!=", 2.0), "<": (lt, ">=", 2.5)}[sign]

    def of(left: Sequence[Any], right: Sequence[Any]) -> Truths:
        return np.array(list(map(compare, left, right)), dtype=bool)

    values = of(one.values, two.values)
    if values.all() or not values.any():
        return None
    left, right = one.at(Level.SUM), two.at(Level.SUM)
    return Expression(
        f"{left} {sign} {right}",
        Type.TRUTH,
        one.bits + two.bits + bits,
        values,
        Level.COMPARISON,
        one.needs + two.needs,
        f"{left} {opposite} {right}",
        lambda frame: of(frame.values(one), frame.values(two)),
    )


def _of_substrings(text: Expression, problem: Problem, most: int) -> Iterator[Offer]:
    """Yield whether a text contains, begins with or ends with a string; whole words are cheaper."""
    size = problem.size
    rows = text.values[:size]
    alphabet = len(set("".join(mining.training(rows))))
    words = {word for row in rows for word in row.split()}
    natural = alphabet > 12
    starts = Counter(row[:length] for row in rows for length in range(1, 7))
    ends = Counter(row[-length:] for row in rows for length in range(1, 7))
    contained: list[tuple[str, Truths, float]] = []
    guard = problem.guard
    characters = guard.most(150, 0.2)
    for string in mining.substrings(rows, most=most, characters=characters, check=guard.check):
        problem.guard.check()
        length = len(string)
        price = text.bits + 1.5 + length * prices.choice_bits(min(alphabet, 26)) / 1.5
        if string.strip(".,!?") in words and length > 1:
            price = text.bits + 1.5 + min(length, 4)
        elif natural and string.isalnum():
            price += prices.PIECE
        held = np.array([string in row for row in text.values], dtype=bool)
        yield _asked(text, "{c} in {0}", string, held, price)
        if length > 1:
            contained.append((string, held, price))
        if starts[string] > 1 or ends[string] > 1:
            for template, truth in (
                ("{0}.startswith({c})", [row.startswith(string) for row in text.values]),
                ("{0}.endswith({c})", [row.endswith(string) for row in text.values]),
            ):
                if 1 < sum(truth[:size]) < size:
                    yield _asked(text, template, string, np.array(truth, dtype=bool), price)
    if contained and text.kind != "slice":
        yield from _in_order(text, contained, problem)


def _in_order(
    text: Expression, strings: Sequence[tuple[str, Truths, float]], problem: Problem
) -> Iterator[Offer]:
    """Yield whether a text contains one string and after it another, of those that tell most."""
    held = np.array([truth[: problem.size] for _, truth, _ in strings], dtype=np.float32)
    counts = (held @ problem.onehot.astype(np.float32)).astype(np.float64)
    left = bits_of_groups(counts) + bits_of_groups(problem.onehot.sum(axis=0) - counts)
    some = [strings[i] for i in np.argsort(left, kind="stable")[:MOST_IN_ORDER].tolist()]
    for first, there, price in some:
        problem.guard.check()
        rests = [row.partition(first)[2] for row in text.values]
        before = literal(first).replace("{", "{{").replace("}", "}}")
        for second, also, other in some:
            problem.guard.check()
            if not (there & also)[: problem.size].any():
                continue
            truth = np.array([second in rest for rest in rests], dtype=bool)
            template = f"{{c}} in {{0}}.partition({before})[2]"
            yield _asked(text, template, second, truth, price + other - text.bits + 1.0)


def _asked(text: Expression, template: str, string: str, held: Truths, price: float) -> Offer:
    return Offer(held, price, lambda: text_test(text, template, string, price))


def pool_of(found: Iterator[Offer], problem: Problem, most: int) -> Conditions:
    """Return conditions that differ on training rows, the cheapest of those that do not.

    Each costs at least what its rank among all tried asks for. A few that differ on probes alone
    are kept beside it.
    """
    size = problem.size
    groups: dict[bytes, dict[bytes, Offer]] = {}
    tried = 0
    with suppress(Expired):
        for offer in found:
            tried += 1
            group = groups.setdefault(mask_of(offer.truth[:size]), {})
            key = mask_of(offer.truth)
            if key in group or len(group) <= MOST_OTHERS:
                if key not in group or offer.bits < group[key].bits:
                    group[key] = offer
                continue
            last = max(group, key=lambda one: group[one].bits)
            if offer.bits < group[last].bits:
                del group[last]
                group[key] = offer
    problem.count(tried)
    listed = []
    for mask, group in groups.items():
        first, *others = sorted(group.values(), key=lambda one: one.bits)
        held = first.truth[:size]
        if held.any() and not held.all():
            listed.append((first.bits, first, mask, others))
    listed.sort(key=lambda one: one[0])
    del listed[most:]
    bits = np.array([one[0] for one in listed])
    floors = prices.rank_floor(np.arange(len(listed)))
    matrix = np.array([one[1].truth[:size] for one in listed], dtype=bool).reshape(-1, size)
    others_of = {mask: others for _, _, mask, others in listed if others}
    return Conditions(matrix, np.maximum(bits, floors), lambda i: listed[i][1].write(), others_of)
