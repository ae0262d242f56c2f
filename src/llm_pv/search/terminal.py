"""Terminal tests: two numbers compared, or their difference, sum, product or quotient cut.

There are hundreds of thousands: they are scored in blocks against the classes, and the best kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import mining, prices
from llm_pv.search.bank import LARGEST_EXACT, Bank
from llm_pv.search.cuts import SIGNS, best_cuts, bits_of_groups, compared, offered
from llm_pv.search.emit import filled
from llm_pv.search.library import arithmetic
from llm_pv.search.pool import Offer
from llm_pv.search.problem import Problem
from llm_pv.search.types import Expression, Type, derived

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


@dataclass(frozen=True)
class Form:
    """A comparison of numbers, or arithmetic on two to four of them, to be cut."""

    template: str
    bits: float  # beyond the numbers'
    additive: bool = True  # whether unlike numbers cost more
    symmetric: int = 0  # how many of the first numbers may change places

    @property
    def places(self) -> int:
        """How many numbers it takes."""
        return self.template.count("{")

    @property
    def function(self) -> Callable[..., Any]:
        """Its values by those of its numbers; what overflows or is divided by 0 is no number."""
        return arithmetic(self.template, self.places)


COMPARISONS = (
    Form("{0} < {1}", 2.0),
    Form("{0} == {1}", 2.0, symmetric=2),
    Form("2 * {0} < {1}", 3.5),
    Form("{0} < 2 * {1}", 3.5),
)
MORE = 0.25
"""What it costs less that the shorter of two numbers is more than the other."""
MOST_DOUBLED = 250
MOST_PLACES = 4
PROMOTED, CUTS_OF_PROMOTED = 8, 4
"""The arithmetic that becomes numbers, by what its best cut tells, and the cuts of each."""
LONGEST = 14.0
"""Bits of arithmetic that becomes a number, at most."""
FORMS = (
    Form("{0} - {1}", 2.0, symmetric=2),
    Form("{0} + {1}", 2.0, symmetric=2),
    Form("{0} * {1}", 3.0, additive=False, symmetric=2),
    Form("{0} / {1}", 3.0, additive=False),
    Form("{0} % {1}", 4.5),
)
OF_COLUMNS = (
    Form("{0} + 2 * {1}", 3.5),
    Form("{0} - 2 * {1}", 3.5),
    Form("{0} + {1} + {2}", 3.5, symmetric=3),
    Form("{0} + {1} - {2}", 4.0, symmetric=2),
    Form("{0} + {1} + 2 * {2}", 5.0, symmetric=2),
    Form("2 * ({0} + {1}) + {2}", 5.0, symmetric=2),
    Form("{0} * {1} * {2}", 4.5, additive=False, symmetric=3),
    Form("{0} * {1} + {2}", 6.0, symmetric=2),
    Form("{0} * {1} - {2}", 6.0, symmetric=2),
    Form("{0} * {1} / {2}", 5.0, additive=False, symmetric=2),
    Form("{0} + {1} + {2} - {3}", 4.5, symmetric=3),
    Form("{0} * {1} + {2} - {3}", 6.0, additive=False, symmetric=2),
)
"""Forms of two to four raw columns of a table."""
MOST_COLUMNS = 8
EQUALITIES = (
    Form("{0} + {1}", 2.0, symmetric=2),
    Form("{0} * {1}", 3.0, additive=False, symmetric=2),
    Form("{0} * (100 + {1}) / 100", 5.0, additive=False),
    Form("{0} * (100 - {1}) / 100", 5.0, additive=False),
)
"""Arithmetic on two numbers that may give a third."""
MOST_EQUATED, KEPT_EQUATIONS = 36, 40
CENT = 0.006
"""What numbers with fractions may differ by and be equal: half a cent, and what floats err by."""


class Best:
    """Keeps the tests that tell most of the classes beyond their price, with a note on each."""

    def __init__(self, problem: Problem, most: int = KEPT) -> None:
        self._problem, self._most = problem, most
        self._onehot = problem.onehot.astype(np.float32)
        self._total = problem.onehot.sum(axis=0)
        self._worth = np.zeros(0)
        self._notes: Floats | None = None

    def score(self, truth: Any, price: Any, *notes: Any, valid: Any = True) -> None:
        """Offer tests by their truth on training rows, of shape (tests, rows)."""
        held = truth.reshape(-1, self._problem.size).astype(np.float32) @ self._onehot
        before = float(bits_of_groups(self._total))
        gain = before - bits_of_groups(held) - bits_of_groups(self._total - held)
        self.add(np.where(valid, gain - price, -1.0), *notes, price)
        self._problem.count(len(gain))

    def add(self, worth: Floats, *notes: Any) -> None:
        """Offer candidates by what they tell beyond their price."""
        rows = np.column_stack(
            [np.broadcast_to(one, (len(worth), *np.shape(one)[1:])) for one in notes]
        )
        good = worth > (self._worth[-1] if len(self._worth) == self._most else 0.0)
        known = np.zeros((0, rows.shape[1])) if self._notes is None else self._notes
        both = np.concatenate([self._worth, worth[good]])
        order = np.argsort(-both, kind="stable")[: self._most]
        self._worth, self._notes = both[order], np.concatenate([known, rows[good]])[order]

    def __iter__(self) -> Iterator[list[float]]:
        return iter([] if self._notes is None else self._notes.tolist())


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
    train, kind_of = numbers.values[some, :size], (codes, unlike)
    bits = numbers.bits[some] + prices.GAP * np.isnan(train).any(axis=1)
    for left, right, code, price in _compared(train, bits, kind_of, problem):
        pair = [int(left), int(right)]
        spoken = code == 0 and bits[pair[0]] > bits[pair[1]]
        yield _comparison(bank, some[pair].tolist(), int(code), price, spoken=spoken)
    dearer = bits + prices.NATURAL * (columns | natural | bank.natural)
    for place, modulus, rest, price in _remainders(train, dearer, problem, MODULI):
        template = f"{{0}} % {int(modulus)} == {int(rest)}"
        yield offered(numbers, [int(some[int(place)])], template, price)
    # Odd or even may be what is counted at any length.
    every, dearer = numbers.values[:, :size], numbers.bits + prices.NATURAL * natural
    for place, _, rest, price in _remainders(every, dearer, problem, ODD):
        yield offered(numbers, [int(place)], f"{{0}} % 2 == {int(rest)}", price)
    is_cheap = np.arange(len(some)) < MOST_COMBINED * root
    few = np.flatnonzero(is_cheap | np.isin(some, of_time[: MOST_OF_TIME // 2]))
    yield from _formed(bank, some[few], (codes[few], unlike), FORMS)
    yield from _equated(bank, some[: int(MOST_EQUATED * root)])
    raw = np.flatnonzero(columns)[:MOST_COLUMNS]
    yield from _formed(bank, some[raw], (codes[raw], unlike), OF_COLUMNS)


def _comparison(bank: Bank, pair: Sequence[int], code: int, price: float, *, spoken: bool) -> Offer:
    """Return a comparison of two numbers of the bank, the second more than the first if spoken of.

    What is spoken of is rather "more than" the other than "at least" as much.
    """
    numbers, template = bank.numbers, COMPARISONS[code].template
    if spoken:
        pair, template, price = pair[::-1], "{0} > {1}", price - MORE
    offer = offered(numbers, pair, template, price)
    # Where the two are equal neither is less: no row need show which side that is on.
    equal = code == 0 and len(np.intersect1d(*numbers.values[pair])) > 0
    return replace(offer, edge=offer.truth[:1].tobytes()) if equal else offer


def _compared(values: Floats, bits: Floats, kinds: Kinds, problem: Problem) -> Best:
    best = Best(problem, int(KEPT * max(1.0, problem.scale**0.5)))
    index = np.arange(len(values))
    block = max(1, min(3_000_000, problem.guard.most(6, 0.02)) // max(1, values.size))
    for start in range(0, len(values), block):
        problem.guard.check()
        for code, form in enumerate(COMPARISONS):
            right = index[:MOST_DOUBLED] if "2 *" in form.template else index
            left = right[start : start + block]
            truth = form.function(values[left, None, :], values[None, right, :])
            pairs = np.stack(np.meshgrid(left, right, indexing="ij"), axis=-1).reshape(-1, 2)
            one, two = pairs.T
            price = bits[pairs].sum(axis=1) + form.bits + kinds[1][kinds[0][one], kinds[0][two]]
            best.score(truth, price, pairs, code, valid=one < two if form.symmetric else one != two)
    return best


def _remainders(
    values: Floats, bits: Floats, problem: Problem, moduli: Mapping[int, float]
) -> Best:
    best = Best(problem)
    parts = np.array_split(values, 1 + len(values) // 1000)
    # A missing number (NaN) is no fraction, and has no remainder.
    whole = np.flatnonzero(
        np.concatenate([((one == np.floor(one)) | np.isnan(one)).all(axis=1) for one in parts])
    )
    spread = np.nanmax(values, axis=1)[whole] - np.nanmin(values, axis=1)[whole]
    block = problem.guard.most(24 * problem.size, 0.25)
    for modulus, bits_of_modulus in moduli.items():
        all_chosen = whole[spread >= modulus]
        for start in range(0, len(all_chosen), block):
            problem.guard.check()
            chosen = all_chosen[start : start + block]
            rest = values[chosen] % modulus
            for remainder in range(modulus if modulus > 2 else 1):
                price = bits[chosen] + bits_of_modulus + (1.0 if remainder else 0.0)
                best.score(rest == remainder, price, chosen, modulus, remainder)
    return best


def _formed(
    bank: Bank, some: NDArray[np.int64], kinds: Kinds, forms: Sequence[Form]
) -> Iterator[Offer]:
    """Yield the cuts of arithmetic on numbers that tell most for their length."""
    problem, best = bank.problem, Best(bank.problem)
    values = bank.numbers.values[some, : problem.size]
    bits = bank.numbers.bits[some] + prices.GAP * np.isnan(values).any(axis=1)
    whole = bool((values == np.floor(values)).all())
    products = np.array([" * " in bank.numbers.expression(int(i)).code for i in some], dtype=bool)
    block = min(BLOCK, problem.guard.most(40 * problem.size, 0.05))
    for code, form in enumerate(forms):
        if "%" in form.template and not whole:
            continue
        chosen = np.array(list(_places(len(values), form)), dtype=np.int64)
        for start in range(0, len(chosen), block):
            places = chosen[start : start + block]
            made = form.function(*(values[column] for column in places.T))
            made[~(np.abs(made) < LARGEST_EXACT).all(axis=1)] = 0.0
            cuts = best_cuts(made, problem, 1)
            price = bits[places].sum(axis=1) + form.bits + prices.THRESHOLD + 1.0
            if not form.additive:
                price += prices.PRODUCT * products[places].sum(axis=1)
            if form.additive:
                of = kinds[0][places]
                price += sum(kinds[1][of[:, 0], of[:, column]] for column in range(1, form.places))
            all_places = np.pad(places, ((0, 0), (0, MOST_PLACES - form.places)))
            gain = np.where(np.isfinite(cuts.gain[:, 0]), cuts.gain[:, 0] - price, -1.0)
            best.add(gain, all_places, code, cuts.low[:, 0], cuts.high[:, 0])
            problem.count(len(places) * problem.size)
    promoted = 0
    for *notes, which, lower, upper in best:
        form = forms[int(which)]
        numbers = [bank.numbers.expression(some[int(n)]) for n in notes[: form.places]]
        ends = lower, upper
        if form.template == "{0} - {1}" and upper <= 0:  # what is at least -10 is rather at most 10
            numbers, ends = numbers[::-1], (-upper, -lower)
        number = _made(form, numbers)
        if promoted < PROMOTED and number.bits <= LONGEST and not _shared(numbers):
            promoted += 1
            bank.formed.append(number)
            more = best_cuts(number.values[None, : problem.size], problem, CUTS_OF_PROMOTED)
            for place in np.flatnonzero(more.gain[0] > prices.THRESHOLD).tolist():
                yield _cut(number, more.low[0, place], more.high[0, place])
        else:
            yield _cut(number, *ends)


def _places(count: int, form: Form) -> Iterator[tuple[int, ...]]:
    """Yield every choice of numbers for a form, one for those that are the same.

    Of two the longer comes first, as in ``price * amount + fee``; columns keep their order.
    """
    for places in permutations(range(count), form.places):
        first = places[: form.symmetric]
        if list(first) == sorted(first, reverse=form.places == 2):
            yield places


def _shared(numbers: Sequence[Expression]) -> bool:
    """Tell whether a number is combined with itself, or two are made of one column."""
    if any(one.code in other.code for one, other in permutations(numbers, 2)):
        return True
    columns = [name for one in numbers for name in set(re.findall(r"x\[[^]]+\]", one.code))]
    return len(columns) > len(set(columns))


def _made(form: Form, numbers: Sequence[Expression]) -> Expression:
    """Return the arithmetic as a number, in the unit of its first where it adds."""
    alien = sum(prices.unlike_bits(numbers[0].kind, one.kind) for one in numbers[1:])
    gaps = prices.GAP * sum(np.isnan(one.values).any() for one in numbers)
    more = alien if form.additive else prices.PRODUCT * sum(" * " in one.code for one in numbers)
    bits = sum(one.bits for one in numbers) + form.bits + more + gaps
    code = filled(form.template, {str(place): one for place, one in enumerate(numbers)})
    kind = numbers[0].kind if form.additive else ""
    return derived(code, Type.NUMBER, bits, form.function, numbers, kind=kind)


def _cut(number: Expression, low: float, high: float) -> Offer:
    sign, constant = mining.boundary(low, high, number.kind)
    price = number.bits + prices.THRESHOLD + prices.constant_bits(constant)
    truth = SIGNS[sign](number.values, constant)
    return Offer(truth, price, lambda: compared(number, sign, constant, price))


def _equated(bank: Bank, places: NDArray[np.int64]) -> Iterator[Offer]:
    """Yield whether two numbers give a third: a total that is right, a price with its tax."""
    problem = bank.problem
    values = bank.numbers.values[places, : problem.size]
    values = np.where(np.abs(values) < LARGEST_EXACT, values, np.nan)
    bits = bank.numbers.bits[places]
    best = Best(problem, KEPT_EQUATIONS)
    for code, form in enumerate(EQUALITIES):
        pairs = np.argwhere(~np.eye(len(places), dtype=bool))
        pairs = pairs[pairs[:, 0] < pairs[:, 1]] if form.symmetric else pairs
        made = form.function(values[pairs[:, 0]], values[pairs[:, 1]])
        for third in range(len(places)):
            problem.guard.check()
            price = bits[pairs].sum(axis=1) + bits[third] + form.bits + prices.EQUALITY
            valid = (pairs != third).all(axis=1)
            best.score(np.abs(made - values[third]) < CENT, price, pairs, third, code, valid=valid)
    for *notes, which, price in best:
        some = [int(places[int(n)]) for n in notes]
        form, columns = EQUALITIES[int(which)], bank.numbers.values[some]
        exact = "/" not in form.template and bool((columns == np.floor(columns)).all())
        near = f"abs({form.template} - {{2}}) < {CENT}"
        yield offered(bank.numbers, some, f"{form.template} == {{2}}" if exact else near, price)
