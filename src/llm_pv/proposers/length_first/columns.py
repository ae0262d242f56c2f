"""Numbers made of the columns of a table, or of the items of a short list."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Expression,
    Level,
    calculated,
    constant,
)
from llm_pv.proposers.length_first.sequences import Category, literal
from llm_pv.proposers.length_first.weights import choice_bits

Values = NDArray[np.float64] | NDArray[np.bool_]

MOST_PAIRED = 20
MOST_TIMES = 6
"""Times of day that are compared with each other."""
MOST_DIVIDED = 30
MOST_COMBINED = 8
"""Columns up to which three of them are combined."""
MOST_TRIPLES = 6000
LARGEST_SUBSET_OF = 10
"""Values of a category up to which every two, and every three, of them are tried as a set."""


def combined_columns(columns: Sequence[Expression]) -> Iterator[Expression]:
    """Yield arithmetic between two columns, then three, and sums and extremes of them all."""
    if not 1 < len(columns) <= MOST_PAIRED:
        return
    pairs = list(_pairs(columns))
    yield from pairs
    yield from _extremes(columns)
    if len(columns) > MOST_COMBINED:
        return
    yield from _of_three(columns)
    squares = [calculated(one, "*", one, one.bits + weights.SQUARE) for one in columns]
    squares = [square for square in squares if _is_exact(square.values)]
    yield from squares
    yield from itertools.islice(_triples(pairs, [*columns, *squares]), MOST_TRIPLES)


def clock_differences(times: Sequence[Expression]) -> Iterator[Expression]:
    """Yield the minutes from one time of day to another, over midnight where the second is earlier.

    Parameters
    ----------
    times
        Minutes since midnight.
    """
    for first, second in itertools.permutations(times[:MOST_TIMES], 2):
        bits = first.bits + second.bits + weights.ROUND_THE_CLOCK
        difference = calculated(second, "-", first, bits)
        yield calculated(difference, "%", constant(1440, len(first.values)), bits)


def _pairs(columns: Sequence[Expression]) -> Iterator[Expression]:
    for left, right in itertools.permutations(columns, 2):
        for sign, bits in weights.PAIR_OPERATIONS.items():
            if sign in "+*" and left.code > right.code:
                continue
            if sign in "/%" and not bool((right.values != 0).all()):
                continue
            if sign == "%" and not _is_whole(left.values, right.values):
                continue
            pair = calculated(left, sign, right, left.bits + right.bits + bits)
            if _is_exact(pair.values):
                yield pair


def _triples(pairs: Sequence[Expression], columns: Sequence[Expression]) -> Iterator[Expression]:
    """Yield a pair of columns combined with a third column or the square of one."""
    for pair, third in itertools.product(pairs, columns):
        for sign in "+-*/":
            if third.code in pair.code and sign in "+-":
                continue
            if sign == "/" and not bool((third.values != 0).all()):
                continue
            bits = pair.bits + third.bits + weights.PAIR_OPERATIONS[sign]
            triple = calculated(pair, sign, third, bits)
            if _is_exact(triple.values):
                yield triple
    singles = [column for column in columns if column.level != Level.PRODUCT]
    squares = [column for column in columns if column.level == Level.PRODUCT]
    for single, square in itertools.product(singles, squares):
        if bool((square.values != 0).all()):
            bits = single.bits + square.bits + weights.PAIR_OPERATIONS["/"]
            yield calculated(single, "/", square, bits)


def _extremes(columns: Sequence[Expression]) -> Iterator[Expression]:
    """Yield the larger, the smaller, the distance of two columns, and the extremes of all."""
    complete = [one for one in columns if bool(np.isfinite(one.values).all())]
    functions: tuple[tuple[str, Callable[..., NDArray[np.float64]]], ...] = (
        ("max", np.maximum),
        ("min", np.minimum),
    )
    for left, right in itertools.combinations(complete, 2):
        bits = left.bits + right.bits + weights.EXTREME_OF_TWO
        needs = (*left.needs, *right.needs)
        for word, function in functions:
            code = f"{word}({left.code}, {right.code})"
            yield Expression(code, bits, function(left.values, right.values), needs=needs)
        distance = np.abs(calculated(left, "-", right, bits).values)
        yield Expression(f"abs({left.code} - {right.code})", bits, distance, needs=needs)
    if len(complete) > 2:
        every = ", ".join(one.code for one in complete)
        needs = tuple(need for one in complete for need in one.needs)
        values = np.array([one.values for one in complete])
        bits = weights.ALL_COLUMNS
        largest, smallest = (
            Expression(f"{word}({every})", bits, function.reduce(values), needs=needs)
            for word, function in (("max", np.maximum), ("min", np.minimum))
        )
        spread = bits + weights.PAIR_OPERATIONS["-"]
        yield from (largest, smallest, calculated(largest, "-", smallest, spread))
        # Adding in the order of the source gives the same rounding.
        total = complete[0]
        for one in complete[1:]:
            total = calculated(total, "+", one, bits)
            if not _is_exact(total.values):
                return
        yield total


def _of_three(columns: Sequence[Expression]) -> Iterator[Expression]:
    """Yield extremes of three columns, which of them is extreme, and sums that count some twice."""
    complete = [one for one in columns if bool(np.isfinite(one.values).all())]
    for three in itertools.combinations(complete, 3):
        values = np.array([one.values for one in three])
        codes = ", ".join(one.code for one in three)
        needs = tuple(need for one in three for need in one.needs)
        bits = sum(one.bits for one in three)
        for word, extreme, where in (
            ("max", values.max(axis=0), values.argmax(axis=0)),
            ("min", values.min(axis=0), values.argmin(axis=0)),
        ):
            price = bits + weights.EXTREME_OF_TWO
            yield Expression(f"{word}({codes})", price, extreme, needs=needs)
            code = f"[{codes}].index({word}({codes}))"
            price = bits + weights.LARGEST_OF
            yield Expression(code, price, where.astype(np.float64), needs=needs)
        for factors in itertools.product((1, 2), repeat=3):
            if len(set(factors)) == 2:
                yield from _weighted(three, factors)


def _weighted(columns: Sequence[Expression], factors: Sequence[int]) -> Iterator[Expression]:
    """Yield the sum of columns times 1 or 2, added in the order of its source."""
    once = [one for one, factor in zip(columns, factors, strict=True) if factor == 1]
    twice = [one for one, factor in zip(columns, factors, strict=True) if factor == 2]
    bits = weights.PAIR_OPERATIONS["+"]
    double = twice[0]
    for one in twice[1:]:
        double = calculated(double, "+", one, double.bits + one.bits + bits)
    double = calculated(
        constant(2, len(double.values)), "*", double, double.bits + weights.MULTIPLE
    )
    total = once[0]
    for one in (*once[1:], double):
        total = calculated(total, "+", one, total.bits + one.bits + bits)
    if _is_exact(total.values):
        yield total


def remainders(numbers: Sequence[Expression]) -> Iterator[Expression]:
    """Yield the remainder of each of the shortest numbers when another one divides it."""
    whole = [
        one
        for one in numbers
        if _is_whole(one.values) and bool((one.values > 0).all()) and _is_exact(one.values)
    ]
    shortest = sorted(whole, key=lambda one: one.bits)[:MOST_DIVIDED]
    for left, right in itertools.permutations(shortest, 2):
        if bool((left.values >= right.values).any()):
            bits = left.bits + right.bits + weights.PAIR_OPERATIONS["%"]
            yield calculated(left, "%", right, bits)


def flags_counted(flags: Sequence[Expression]) -> Iterator[Expression]:
    """Yield how many columns of truth values are true."""
    if 1 < len(flags) <= MOST_PAIRED:
        code = " + ".join(flag.at(Level.SUM) for flag in flags)
        total = np.array([flag.values for flag in flags]).sum(axis=0).astype(np.float64)
        needs = tuple(need for flag in flags for need in flag.needs)
        bits = weights.ALL_COLUMNS
        if len(flags) == 2:
            bits = flags[0].bits + flags[1].bits + weights.PAIR_OPERATIONS["+"]
        yield Expression(code, bits, total, Level.SUM, needs)


def category_sets(categories: Sequence[Category], size: int) -> Iterator[Expression]:
    """Yield whether a category is one of two or three values, and whether two are the same."""
    for category in categories:
        values = sorted(set(category.rows[:size]) - {None}, key=repr)
        if not 3 <= len(values) <= LARGEST_SUBSET_OF:
            continue
        for count in (2, 3) if len(values) > 5 else (2,):
            for chosen in itertools.combinations(values, count):
                members = ", ".join(map(literal, chosen))
                bits = category.bits + weights.MEMBERSHIP + count * choice_bits(len(values)) - 1
                yield Expression(
                    f"{category.code} in ({members})",
                    bits,
                    np.array([row in chosen for row in category.rows]),
                    Level.COMPARISON,
                    category.needs,
                    f"{category.code} not in ({members})",
                )
    for left, right in itertools.combinations(categories[:MOST_PAIRED], 2):
        common = set(left.rows[:size]) & set(right.rows[:size])
        if common - {None}:
            same = [a == b for a, b in zip(left.rows, right.rows, strict=True)]
            yield Expression(
                f"{left.code} == {right.code}",
                left.bits + right.bits + weights.COMPARISON,
                np.array(same, bool),
                Level.COMPARISON,
                (*left.needs, *right.needs),
                f"{left.code} != {right.code}",
            )


def _is_exact(values: Values) -> bool:
    return bool((np.abs(values[np.isfinite(values)]) < LARGEST_EXACT).all())


def _is_whole(*columns: Values) -> bool:
    return all(bool((np.floor(one) == one).all()) for one in columns)
