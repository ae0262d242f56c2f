"""Terminal tests: two numbers compared, or their difference, sum, product or quotient cut.

There are hundreds of thousands: they are scored in blocks against the classes, and the best kept.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import mining, prices
from llm_pv.search.bank import Bank
from llm_pv.search.pool import Offer
from llm_pv.search.predicates import best_cuts, bits_of_groups, compared
from llm_pv.search.problem import Problem
from llm_pv.search.types import Expression, Frame, Level, Type

Floats: TypeAlias = NDArray[np.float64]
MOST_COMPARED = 700
MOST_COMBINED = 70
KEPT = 400
USUAL_ROWS = 120
COMPARISON = 2.0
NATURAL = 3.0
"""Bits for the remainder of a table's column, which rarely means anything."""
Kinds: TypeAlias = tuple[NDArray[np.int64], Floats]
"""The kind of each number, and what it costs to add or compare two kinds."""
MODULI = {2: 2.5, 3: 3.5, 4: 4.0, 5: 4.0, 6: 4.5, 7: 4.5, 8: 4.5, 9: 4.5, 10: 3.5, 11: 5.0, 12: 4.5}
"""Moduli of remainders, with their bits, the comparison included."""
SIGNS: dict[str, tuple[Any, str]] = {"<": (np.less, ">="), "==": (np.equal, "!=")}
ARITHMETIC: dict[str, tuple[Any, Level, float]] = {
    "-": (np.subtract, Level.SUM, 2.0),
    "+": (np.add, Level.SUM, 2.0),
    "*": (np.multiply, Level.PRODUCT, 3.0),
    "/": (np.divide, Level.PRODUCT, 3.0),
    "%": (np.mod, Level.PRODUCT, 4.5),
}


class Best:
    """Keeps what gains most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._worth = np.zeros(0)
        self._notes = np.zeros((0, 5))

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
    kinds = [numbers.expression(i).kind for i in some.tolist()]
    names = {kind: code for code, kind in enumerate(dict.fromkeys(kinds))}
    codes = np.array([names[kind] for kind in kinds])
    unlike = np.array([[prices.unlike_bits(one, two) for two in names] for one in names])
    columns = np.array([kind.startswith("column") for kind in kinds])
    train, bits, kind_of = numbers.values[some, :size], numbers.bits[some], (codes, unlike)
    for note in _compared(train, bits, kind_of, problem):
        left, right, sign = int(some[int(note[0])]), int(some[int(note[1])]), int(note[2])
        yield _comparison(bank, left, list(SIGNS)[sign], right, note[3])
    for note in _remainders(train, bits + NATURAL * columns, problem):
        yield _remainder(bank, int(some[int(note[0])]), int(note[1]), int(note[2]), note[3])
    few = some[: int(MOST_COMBINED * root)]
    for note in _combined(train[: len(few)], bits[: len(few)], kind_of, problem):
        yield _cut(bank, int(few[int(note[0])]), int(few[int(note[1])]), note)


def _compared(
    values: Floats,
    bits: Floats,
    kinds: Kinds,
    problem: Problem,
) -> Best:
    onehot = problem.onehot.astype(np.float32)
    total = problem.onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    best = Best(int(KEPT * max(1.0, problem.scale**0.5)))
    index = np.arange(len(values))
    block = max(1, 3_000_000 // max(1, values.size))
    for start in range(0, len(values), block):
        problem.guard.check()
        left = index[start : start + block]
        for code, (function, _) in enumerate(SIGNS.values()):
            truth = function(values[left, None, :], values[None, :, :])
            held = truth.reshape(-1, problem.size).astype(np.float32) @ onehot
            gain = before - bits_of_groups(held) - bits_of_groups(total - held)
            pairs = np.stack(np.meshgrid(left, index, indexing="ij"), axis=-1).reshape(-1, 2)
            price = bits[pairs].sum(axis=1) + COMPARISON
            price += kinds[1][kinds[0][pairs[:, 0]], kinds[0][pairs[:, 1]]]
            valid = pairs[:, 0] != pairs[:, 1] if code == 0 else pairs[:, 0] < pairs[:, 1]
            notes = np.column_stack([pairs, np.full(len(pairs), code), price, gain])
            worth = np.where(valid, gain - price, -1.0)
            best.add(worth, notes)
            problem.count(len(pairs))
    return best


def _remainders(values: Floats, bits: Floats, problem: Problem) -> Best:
    onehot = problem.onehot.astype(np.float32)
    total = problem.onehot.sum(axis=0)
    before = float(bits_of_groups(total))
    best = Best(KEPT)
    whole = np.flatnonzero((values == np.floor(values)).all(axis=1))
    spread = np.ptp(values[whole], axis=1)
    for modulus, bits_of_modulus in MODULI.items():
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


def _comparison(bank: Bank, left: int, sign: str, right: int, bits: float) -> Offer:
    function, mirrored = SIGNS[sign]
    values = bank.numbers.values
    truth = function(values[left], values[right])

    def write() -> Expression:
        one, two = bank.numbers.expression(left), bank.numbers.expression(right)
        before, after = one.at(Level.SUM), two.at(Level.SUM)
        missing = np.isnan(one.values).any() or np.isnan(two.values).any()

        def recipe(frame: Frame) -> Any:
            return function(frame.values(one), frame.values(two))

        return Expression(
            f"{before} {sign} {after}",
            Type.TRUTH,
            bits,
            truth,
            Level.COMPARISON,
            one.needs + two.needs,
            "" if missing and sign == "<" else f"{before} {mirrored} {after}",
            recipe,
        )

    return Offer(truth, bits, write)


def _combined(
    values: Floats,
    bits: Floats,
    kinds: Kinds,
    problem: Problem,
) -> Best:
    best = Best(KEPT)
    index = np.arange(len(values))
    whole = bool((values == np.floor(values)).all())
    for first in index.tolist():
        for code, (sign, (function, _, extra)) in enumerate(ARITHMETIC.items()):
            others = index[:first] if sign in "+*-" else index[index != first]
            if not len(others) or (sign == "%" and not whole):
                continue
            with np.errstate(all="ignore"):
                made = function(values[first], values[others])
            made[~np.isfinite(made).all(axis=1)] = 0.0
            cuts = best_cuts(made, problem, 1)
            gain, low, high = cuts.gain[:, 0], cuts.low[:, 0], cuts.high[:, 0]
            price = bits[first] + bits[others] + extra + prices.THRESHOLD + 1.0
            price = price + kinds[1][kinds[0][first], kinds[0][others]] * (sign in "+-%")
            pairs = np.stack([np.full(len(others), first), others], axis=1)
            notes = np.column_stack([pairs, np.full(len(others), code), low, high])
            best.add(np.where(np.isfinite(gain), gain - price, -1.0), notes)
            problem.count(len(others) * problem.size)
    return best


def _cut(bank: Bank, first: int, second: int, note: list[float]) -> Offer:
    sign = list(ARITHMETIC)[int(note[2])]
    function, level, extra = ARITHMETIC[sign]
    constant = mining.round_number(note[3], note[4])
    one, two = bank.numbers.expression(first), bank.numbers.expression(second)
    with np.errstate(all="ignore"):
        values = function(one.values, two.values)
    alien = prices.unlike_bits(one.kind, two.kind) if sign in "+-%" else 0.0
    number = Expression(
        f"{one.at(level)} {sign} {two.at(Level(level + 1))}",
        Type.NUMBER,
        one.bits + two.bits + extra + alien,
        values,
        level,
        one.needs + two.needs,
        recipe=_recipe(function, one, two),
    )
    price = number.bits + prices.THRESHOLD + prices.constant_bits(constant)
    return Offer(values >= constant, price, lambda: compared(number, ">=", constant, price))


def _recipe(function: Any, one: Expression, two: Expression) -> Callable[[Frame], Any]:
    def recipe(frame: Frame) -> Any:
        with np.errstate(all="ignore"):
            return function(frame.values(one), frame.values(two))

    return recipe
