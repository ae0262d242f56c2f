"""Terminal tests: two numbers compared, or their difference, sum, product or quotient cut.

There are hundreds of thousands: they are scored in blocks against the classes, and the best kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import mining, prices
from llm_pv.search.bank import LARGEST_EXACT, Bank
from llm_pv.search.cuts import SIGNS, best_cuts, bits_of_groups, compared
from llm_pv.search.pool import Offer
from llm_pv.search.problem import Problem
from llm_pv.search.types import Expression, Frame, Level, Type, level_of

Floats: TypeAlias = NDArray[np.float64]
MOST_COMPARED, MOST_COMBINED = 700, 70
MOST_OF_TIME = 60
OF_TIME = {"months", "days", "years", "year", "month", "day", "minutes", "seconds"}
"""Kinds of numbers that are compared with each other, however long they are."""
BLOCK = 4000
"""Combinations of numbers that are computed and sorted at once."""
KEPT = 400
USUAL_ROWS = 120
Kinds: TypeAlias = tuple[NDArray[np.int64], Floats]
"""The kind of each number, and what it costs to add or compare two kinds."""
ODD = {2: 2.5}
MODULI = {3: 3.5, 4: 4.0, 5: 4.0, 6: 4.5, 7: 4.5, 8: 4.5, 9: 4.5, 10: 3.5, 11: 5.0, 12: 4.5}
"""Moduli of remainders, with their bits, the comparison included."""
COMPARISONS: tuple[tuple[Any, str, str, float], ...] = (
    (np.less, "{} < {}", "{} >= {}", 2.0),
    (np.equal, "{} == {}", "{} != {}", 2.0),
    (lambda a, b: 2 * a < b, "2 * {} < {}", "2 * {} >= {}", 3.5),
    (lambda a, b: a < 2 * b, "{} < 2 * {}", "{} >= 2 * {}", 3.5),
)
"""Comparisons: function, source, source of the opposite, bits."""
MOST_DOUBLED = 250


@dataclass(frozen=True)
class Form:
    """Arithmetic on two or three numbers, to be cut.

    Parameters
    ----------
    template
        Its source.
    function
        Of whole columns.
    bits
        Its price beyond the numbers'.
    additive
        Whether unlike numbers cost more.
    symmetric
        How many of the first numbers may change places.
    """

    template: str
    function: Callable[..., Any]
    bits: float
    additive: bool = True
    symmetric: int = 0

    @property
    def places(self) -> int:
        """How many numbers it takes."""
        return self.template.count("{")


FORMS = (
    Form("{} - {}", np.subtract, 2.0, symmetric=2),
    Form("{} + {}", np.add, 2.0, symmetric=2),
    Form("{} * {}", np.multiply, 3.0, additive=False, symmetric=2),
    Form("{} / {}", np.divide, 3.0, additive=False),
    Form("{} % {}", np.mod, 4.5),
)
OF_COLUMNS = (
    Form("{} + 2 * {}", lambda a, b: a + 2 * b, 3.5),
    Form("{} - 2 * {}", lambda a, b: a - 2 * b, 3.5),
    Form("{} + {} + {}", lambda a, b, c: a + b + c, 3.5, symmetric=3),
    Form("{} + {} - {}", lambda a, b, c: a + b - c, 4.0, symmetric=2),
    Form("{} + {} + 2 * {}", lambda a, b, c: a + b + 2 * c, 5.0, symmetric=2),
    Form("2 * ({} + {}) + {}", lambda a, b, c: 2 * (a + b) + c, 5.0, symmetric=2),
    Form("{} * {} * {}", lambda a, b, c: a * b * c, 4.5, additive=False, symmetric=3),
    Form("{} * {} + {}", lambda a, b, c: a * b + c, 6.0, symmetric=2),
    Form("{} * {} - {}", lambda a, b, c: a * b - c, 6.0, symmetric=2),
    Form("{} * {} / {}", lambda a, b, c: a * b / c, 5.0, additive=False, symmetric=2),
)
"""Forms of two or three raw columns of a table."""
MOST_COLUMNS = 8
EQUALITIES = (
    Form("{} + {}", np.add, 2.0, symmetric=2),
    Form("{} * {}", np.multiply, 3.0, additive=False, symmetric=2),
    Form("{} * (100 + {}) / 100", lambda a, b: a * (100 + b) / 100, 5.0, additive=False),
    Form("{} * (100 - {}) / 100", lambda a, b: a * (100 - b) / 100, 5.0, additive=False),
)
"""Arithmetic on two numbers that may give a third."""
MOST_EQUATED, KEPT_EQUATIONS = 36, 40
CENT = 0.006
"""What numbers with fractions may differ by and be equal: half a cent, and what floats err by."""


class Best:
    """Keeps what gains most."""

    def __init__(self, most: int, width: int = 5) -> None:
        self._most = most
        self._worth = np.zeros(0)
        self._notes = np.zeros((0, width))

    def add(self, worth: Floats, notes: Floats) -> None:
        """Offer candidates, a row of notes each."""
        good = worth > (self._worth[-1] if len(self._worth) == self._most else 0.0)
        both = np.concatenate([self._worth, worth[good]])
        every = np.concatenate([self._notes, notes[good]])
        order = np.argsort(-both, kind="stable")[: self._most]
        self._worth, self._notes = both[order], every[order]

    def __iter__(self) -> Iterator[list[float]]:
        return iter(self._notes.tolist())


def terminal_offers(bank: Bank) -> Iterator[Offer]:
    """Yield the comparisons of two numbers that tell most of the classes for their length."""
    problem, numbers = bank.problem, bank.numbers
    size = problem.size
    order = np.argsort(numbers.bits, kind="stable")
    # Pairs times rows are what costs: so many rows more, so many pairs less.
    root = max(0.3, problem.scale**0.5) * min(1.0, (USUAL_ROWS / size) ** 0.5)
    memory = problem.guard.most(8 * size, 0.02)
    some = order[: min(int(MOST_COMPARED * root), memory)]
    # Dates and times are long, and compared with each other.
    of_time = [i for i, one in numbers.written().items() if one.kind in OF_TIME]
    of_time.sort(key=numbers.shortness)
    some = np.array(list(dict.fromkeys([*some.tolist(), *of_time[:MOST_OF_TIME]])), dtype=np.int64)
    kinds = [numbers.expression(i).kind for i in some.tolist()]
    names = {kind: code for code, kind in enumerate(dict.fromkeys(kinds))}
    codes = np.array([names[kind] for kind in kinds])
    unlike = np.array([[prices.unlike_bits(one, two) for two in names] for one in names])
    columns = np.array([kind.startswith("column") for kind in kinds], bool)
    texts = bank.of(Type.TEXT)
    natural = isinstance(problem.frame.rows[0], dict) or any(one.kind == "prose" for one in texts)
    train, bits, kind_of = numbers.values[some, :size], numbers.bits[some], (codes, unlike)
    for note in _compared(train, bits, kind_of, problem):
        left, right, sign = int(some[int(note[0])]), int(some[int(note[1])]), int(note[2])
        yield _comparison(bank, left, sign, right, note[3])
    for note in _remainders(train, bits + prices.NATURAL * (columns | natural), problem, MODULI):
        yield _remainder(bank, int(some[int(note[0])]), int(note[1]), int(note[2]), note[3])
    # Odd or even may be what is counted at any length.
    everywhere = numbers.bits + prices.NATURAL * natural
    for note in _remainders(numbers.values[:, :size], everywhere, problem, ODD):
        yield _remainder(bank, int(note[0]), 2, int(note[2]), note[3])
    few = some[: int(MOST_COMBINED * root)]
    yield from _formed(bank, few, train, bits, kind_of, FORMS)
    yield from _equated(bank, some[: int(MOST_EQUATED * root)])
    raw = np.flatnonzero(columns)[:MOST_COLUMNS]
    yield from _formed(bank, some[raw], train[raw], bits[raw], (codes[raw], unlike), OF_COLUMNS)


def _formed(  # noqa: PLR0917
    bank: Bank,
    some: NDArray[np.int64],
    train: Floats,
    bits: Floats,
    kinds: Kinds,
    forms: Sequence[Form],
) -> Iterator[Offer]:
    count = len(some)
    for note in _combined(train[:count], bits[:count], kinds, bank.problem, forms):
        form = forms[int(note[3])]
        numbers = [bank.numbers.expression(some[int(n)]) for n in note[: form.places]]
        yield _cut(form, numbers, note[4], note[5])


def _compared(values: Floats, bits: Floats, kinds: Kinds, problem: Problem) -> Best:
    onehot = problem.onehot.astype(np.float32)
    total = problem.onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    best = Best(int(KEPT * max(1.0, problem.scale**0.5)))
    index = np.arange(len(values))
    block = max(1, 3_000_000 // max(1, values.size))
    for start in range(0, len(values), block):
        problem.guard.check()
        for code, (function, source, _, bits_of_sign) in enumerate(COMPARISONS):
            right = index[:MOST_DOUBLED] if "2" in source else index
            left = right[start : start + block]
            truth = function(values[left, None, :], values[None, right, :])
            held = truth.reshape(-1, problem.size).astype(np.float32) @ onehot
            gain = before - bits_of_groups(held) - bits_of_groups(total - held)
            pairs = np.stack(np.meshgrid(left, right, indexing="ij"), axis=-1).reshape(-1, 2)
            price = bits[pairs].sum(axis=1) + bits_of_sign
            price += kinds[1][kinds[0][pairs[:, 0]], kinds[0][pairs[:, 1]]]
            valid = pairs[:, 0] < pairs[:, 1] if code == 1 else pairs[:, 0] != pairs[:, 1]
            notes = np.column_stack([pairs, np.full(len(pairs), code), price, gain])
            worth = np.where(valid, gain - price, -1.0)
            best.add(worth, notes)
            problem.count(len(pairs))
    return best


def _remainders(
    values: Floats, bits: Floats, problem: Problem, moduli: Mapping[int, float]
) -> Best:
    onehot = problem.onehot.astype(np.float32)
    total = problem.onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    best = Best(KEPT)
    whole = np.flatnonzero((values == np.floor(values)).all(axis=1))
    spread = np.ptp(values[whole], axis=1)
    for modulus, bits_of_modulus in moduli.items():
        problem.guard.check()
        chosen = whole[spread >= modulus]
        rest = values[chosen] % modulus
        for remainder in range(modulus if modulus > 2 else 1):
            held = (rest == remainder).astype(np.float32) @ onehot
            gain = before - bits_of_groups(held) - bits_of_groups(total - held)
            price = bits[chosen] + bits_of_modulus + (1.0 if remainder else 0.0)
            columns = [chosen, np.full(len(chosen), modulus), np.full(len(chosen), remainder)]
            notes = np.column_stack([*columns, price, gain])
            best.add(gain - price, notes)
            problem.count(len(chosen))
    return best


def _remainder(bank: Bank, place: int, modulus: int, remainder: int, bits: float) -> Offer:
    truth = bank.numbers.values[place] % modulus == remainder

    def write() -> Expression:
        number = bank.numbers.expression(place)
        code = f"{number.at(Level.PRODUCT)} % {modulus}"
        # What is odd is written == 1, not != 0.
        opposite = f"{code} == 1" if modulus == 2 else f"{code} != {remainder}"
        return Expression(
            f"{code} == {remainder}",
            Type.TRUTH,
            bits,
            number.values % modulus == remainder,
            Level.COMPARISON,
            number.needs,
            opposite,
            lambda frame: frame.values(number) % modulus == remainder,
        )

    return Offer(truth, bits, write)


def _comparison(bank: Bank, left: int, sign: int, right: int, bits: float) -> Offer:
    function, source, opposite, _ = COMPARISONS[sign]
    values = bank.numbers.values
    truth = function(values[left], values[right])

    def write() -> Expression:
        one, two = bank.numbers.expression(left), bank.numbers.expression(right)
        level = Level.ATOM if "2" in source else Level.SUM
        before, after = one.at(level), two.at(level)
        missing = np.isnan(one.values).any() or np.isnan(two.values).any()

        def recipe(frame: Frame) -> Any:
            return function(frame.values(one), frame.values(two))

        return Expression(
            source.format(before, after),
            Type.TRUTH,
            bits,
            truth,
            Level.COMPARISON,
            one.needs + two.needs,
            "" if missing and "<" in source else opposite.format(before, after),
            recipe,
        )

    # Where the two are equal neither is less: no row need show which side that is on.
    may_be_equal = sign == 0 and len(np.intersect1d(values[left], values[right])) > 0
    return Offer(truth, bits, write, truth[:1].tobytes() if may_be_equal else b"")


def _combined(
    values: Floats, bits: Floats, kinds: Kinds, problem: Problem, forms: Sequence[Form]
) -> Best:
    """Return the places of numbers, the forms and the cuts that tell most for their length."""
    best = Best(KEPT, 6)
    whole = bool((values == np.floor(values)).all())
    for code, form in enumerate(forms):
        if "%" in form.template and not whole:
            continue
        chosen = np.array(list(_places(len(values), form)), dtype=np.int64)
        for start in range(0, len(chosen), BLOCK):
            places = chosen[start : start + BLOCK]
            with np.errstate(all="ignore"):
                made = form.function(*(values[column] for column in places.T))
            made[~(np.abs(made) < LARGEST_EXACT).all(axis=1)] = 0.0
            cuts = best_cuts(made, problem, 1)
            gain, low, high = cuts.gain[:, 0], cuts.low[:, 0], cuts.high[:, 0]
            price = bits[places].sum(axis=1) + form.bits + prices.THRESHOLD + 1.0
            if form.additive:
                of = kinds[0][places]
                price += sum(kinds[1][of[:, 0], of[:, column]] for column in range(1, form.places))
            third = places[:, 2] if form.places == 3 else np.zeros(len(places))
            notes = np.column_stack([places[:, :2], third, np.full(len(places), code), low, high])
            best.add(np.where(np.isfinite(gain), gain - price, -1.0), notes)
            problem.count(len(places) * problem.size)
    return best


def _places(count: int, form: Form) -> Iterator[tuple[int, ...]]:
    """Yield every choice of numbers for a form, one for those that are the same.

    Of two the longer comes first, as in ``price * amount + fee``; columns keep their order.
    """
    for places in permutations(range(count), form.places):
        first = places[: form.symmetric]
        if list(first) == sorted(first, reverse=form.places == 2):
            yield places


def _equated(bank: Bank, places: NDArray[np.int64]) -> Iterator[Offer]:
    """Yield whether two numbers give a third: a total that is right, a price with its tax."""
    problem = bank.problem
    values = bank.numbers.values[places, : problem.size]
    values = np.where(np.abs(values) < LARGEST_EXACT, values, np.nan)
    bits = bank.numbers.bits[places]
    onehot = problem.onehot.astype(np.float32)
    total = problem.onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    best = Best(KEPT_EQUATIONS)
    for code, form in enumerate(EQUALITIES):
        pairs = np.argwhere(~np.eye(len(places), dtype=bool))
        pairs = pairs[pairs[:, 0] < pairs[:, 1]] if form.symmetric else pairs
        made = form.function(values[pairs[:, 0]], values[pairs[:, 1]])
        for third in range(len(places)):
            problem.guard.check()
            held = (np.abs(made - values[third]) < CENT).astype(np.float32) @ onehot
            gain = before - bits_of_groups(held) - bits_of_groups(total - held)
            price = bits[pairs].sum(axis=1) + bits[third] + form.bits + prices.EQUALITY
            columns = [pairs, np.full(len(pairs), third), np.full(len(pairs), code), price]
            valid = (pairs != third).all(axis=1)
            best.add(np.where(valid, gain - price, -1.0), np.column_stack(columns))
            problem.count(len(pairs))
    for note in best:
        numbers = [bank.numbers.expression(places[int(n)]) for n in note[:3]]
        yield _equation(EQUALITIES[int(note[3])], numbers, note[4])


def _equation(form: Form, numbers: Sequence[Expression], bits: float) -> Offer:
    def holds(one: Floats, two: Floats, three: Floats) -> Any:
        with np.errstate(all="ignore"):
            return np.abs(form.function(one, two) - three) < CENT

    columns = [number.values for number in numbers]
    exact = "/" not in form.template and all(bool((v == np.floor(v)).all()) for v in columns)
    level = Level.SUM if form.template == "{} + {}" else Level.ATOM
    code = form.template.format(*(number.at(level) for number in numbers[:2]))
    last = numbers[2].at(Level.ATOM)
    text, opposite = f"{code} == {last}", f"{code} != {last}"
    if not exact:
        missing = any(bool(np.isnan(v).any()) for v in columns)
        text = f"abs({code} - {last}) < {CENT}"
        opposite = "" if missing else f"abs({code} - {last}) >= {CENT}"
    needs = tuple(need for number in numbers for need in number.needs)
    made = Expression(
        text, Type.TRUTH, bits, holds(*columns), Level.COMPARISON, needs, opposite,
        lambda frame: holds(*(frame.values(number) for number in numbers)),
    )  # fmt: skip
    return Offer(made.values, bits, lambda: made)


def _cut(form: Form, numbers: Sequence[Expression], low: float, high: float) -> Offer:
    sign, constant = mining.boundary(low, high, numbers[0].kind if form.additive else "")
    with np.errstate(all="ignore"):
        values = form.function(*(one.values for one in numbers))
    alien = sum(prices.unlike_bits(numbers[0].kind, one.kind) for one in numbers[1:])
    level = level_of(form.template.replace("{}", "a"))
    inner = Level.PRODUCT if level is Level.SUM and "*" not in form.template else Level.ATOM
    codes = [one.at(level if index == 0 else inner) for index, one in enumerate(numbers)]

    def recipe(frame: Frame) -> Any:
        with np.errstate(all="ignore"):
            return form.function(*(frame.values(one) for one in numbers))

    number = Expression(
        form.template.format(*codes),
        Type.NUMBER,
        sum(one.bits for one in numbers) + form.bits + alien * form.additive,
        values,
        level,
        tuple(need for one in numbers for need in one.needs),
        recipe=recipe,
    )
    price = number.bits + prices.THRESHOLD + prices.constant_bits(constant)
    return Offer(
        SIGNS[sign][0](values, constant), price, lambda: compared(number, sign, constant, price)
    )
