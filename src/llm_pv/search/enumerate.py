"""Enumeration: operators applied to what the bank holds, in order of total bits."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product

import numpy as np

from llm_pv.search import prices
from llm_pv.search.bank import Bank, steps
from llm_pv.search.loops import walk
from llm_pv.search.operators import Operator, load
from llm_pv.search.prices import WRITTEN, unlike_bits
from llm_pv.search.types import Expression, Type

TOP = 8.0
"""Bits up to which values are enumerated; loops over lists go beyond by what is folded."""
BITS_OF_DOUBLING = 0.5
"""What twice the budget of candidates adds: values double about twice with each bit."""
MOST = {Type.TEXT: 40, Type.TEXTS: 8, Type.NUMBERS: 24, Type.WHOLE: 60, Type.CATEGORY: 60}
"""Values of a type that operators are applied to, the cheapest."""
MOST_TESTED, TESTED = 150, 2.0
"""Whole numbers that are tested (for primes, squares), and the bits they may have beyond the top:
what is tested ends there, and a number less a constant of two digits is within reach."""
MOST_ARGUMENTS = 120
"""Values of any other type that operators of one argument are applied to."""
MOST_PAIRED = {Type.TEXT: 30, Type.CATEGORY: 40}
MOST_NUMBERS_PAIRED = 16
"""Values that operators of two arguments are applied to, the cheapest."""
LISTS = (Type.TEXT, Type.TEXTS, Type.NUMBERS)
WALKED = {Type.TEXT: 6, Type.TEXTS: 4, Type.NUMBERS: 16}
READ = {
    "written": (Type.NUMBERS, Type.DATE, Type.WHOLE),
    "graph": (Type.EDGES,),
    "day": (Type.DATE,),
    "prose": (Type.TEXTS, Type.TEXT),
    "name": (Type.TEXT,),
}
"""What a text of a kind is meant to be read as; anything else costs more."""
NUMBERS_READ = ("number", "minutes")
"""Kinds of numbers that any text may be read as."""
DIGITS = 1.5
"""Looking at the digits of numbers that are written among words."""
USUAL_CHARACTERS = 10_000
"""Characters of all rows up to which operators are applied to all texts."""
CELLS = 30_000_000
"""Questions times items answered by all loops together."""


def top_of(scale: float) -> float:
    """Return the bits up to which values are enumerated with so many times the usual budget.

    Examples
    --------
    >>> top_of(0.01), top_of(1.0), top_of(10.0)
    (8.0, 8.0, 9.5)
    """
    return TOP + BITS_OF_DOUBLING * max(0, int(math.log2(scale)))


def fill(bank: Bank, leaves: Sequence[Expression]) -> None:
    """Put into the bank what operators make of leaves, cheapest first.

    Raises
    ------
    Expired
        When time is over; the bank then has what was found.
    """
    operators = [one for one in load() if not one.over]
    items = [one for one in load() if one.over]
    scale = bank.problem.scale
    cells = CELLS * scale
    walked: dict[Type, int] = {}
    waiting: list[Expression] = [one for leaf in leaves if (one := bank.put(leaf)) is not None]
    for level in steps(top_of(scale)):
        # What is made at a level may be an argument at the same level only where it is free.
        ready = [one for one in waiting if one.bits <= level]
        waiting = [one for one in waiting if one.bits > level]
        for one in ready:
            if one.type in LISTS and walked.get(one.type, 0) < WALKED[one.type] * scale**0.5:
                walked[one.type] = walked.get(one.type, 0) + 1
                walk(bank, one, items, cells / (6 + 2 * sum(walked.values())))
        waiting += bank.fresh
        bank.fresh.clear()
        for made in _applied(bank, operators, ready, level):
            waiting.append(made)


def _applied(
    bank: Bank, operators: Sequence[Operator], ready: Sequence[Expression], level: float
) -> Iterator[Expression]:
    """Apply every operator where the last of its arguments has become ready."""
    fresh = set(ready)
    cheapest = {kind: sorted(bank.of(kind), key=lambda one: one.bits) for kind in Type}
    kinds = {one.type for one in ready}
    for operator in operators:
        if kinds.isdisjoint(operator.arguments):
            continue
        bank.problem.guard.check()
        for arguments in _arguments(bank, operator, cheapest, fresh, level):
            yield from _made(bank, operator, arguments)


def _arguments(
    bank: Bank,
    operator: Operator,
    cheapest: Mapping[Type, Sequence[Expression]],
    fresh: set[Expression],
    level: float,
) -> Iterator[tuple[Expression, ...]]:
    scale = max(1.0, bank.problem.scale) ** 0.5
    if len(operator.arguments) == 1:
        kind = operator.arguments[0]
        most = int(MOST.get(kind, MOST_ARGUMENTS) * scale)
        top = top_of(bank.problem.scale)
        if kind is Type.WHOLE and operator.result is Type.TRUTH:
            most, top = int(MOST_TESTED * scale), top + TESTED
        if kind is Type.TEXT:
            most = max(8, int(most * min(1.0, USUAL_CHARACTERS / bank.characters)))
        if level + operator.bits <= top:
            yield from ((one,) for one in cheapest[kind][:most] if one in fresh)
        return
    most = int(MOST_PAIRED.get(operator.arguments[0], MOST_NUMBERS_PAIRED) * scale)
    options = [
        [one for one in cheapest[kind][:most] if one.bits <= level] for kind in operator.arguments
    ]
    if fresh.isdisjoint(chain(*options)):
        return
    for arguments in product(*options):
        if not fresh.isdisjoint(arguments) and len(set(arguments)) == len(arguments):
            yield arguments


def _made(
    bank: Bank, operator: Operator, arguments: tuple[Expression, ...]
) -> Iterator[Expression]:
    # Probes decide nothing: where lists are two or more on all training rows, they are.
    first = arguments[0].values[: bank.problem.size]
    if operator.kind == "slice" and arguments[0].kind == "slice":
        return
    if arguments[0].kind == "columns" and operator.result is not Type.NUMBER:
        return
    if operator.template.startswith(("{0} +", "{0} *", "{0} ==", "abs({0} -", "max(", "min(")) and (
        len(arguments) == 2 and arguments[0].code > arguments[1].code
    ):
        return  # it is the same the other way round
    is_compared = len(arguments) > 1 and operator.result is Type.TRUTH  # nothing is made of it
    gaps = _gaps(bank, arguments) if operator.result is Type.NUMBER else 0.0
    own = operator.bits + _surcharge(bank, operator, arguments)
    inner = sum(one.bits for one in arguments)
    tried = new = 0
    for constant, extra in operator.choices(first):
        if not is_compared and inner + own + extra > top_of(bank.problem.scale) + 2.0:
            continue
        bank.problem.guard.check()
        tried += 1
        made = bank.apply(operator, arguments, constant, own + extra + gaps)
        if made is not None:
            new += 1
            yield made
    bank.problem.count(tried)
    if tried:
        bank.count(operator, tried, new)


def _surcharge(bank: Bank, operator: Operator, arguments: Sequence[Expression]) -> float:
    """Return bits for what is rarely meant: unlike numbers added, remainders of table columns."""
    if operator.name == "digits" and bank.natural:
        return DIGITS
    if arguments[0].kind in READ and operator.arguments == (Type.TEXT,):
        is_read = operator.result in READ[arguments[0].kind] or operator.kind in NUMBERS_READ
        is_read = is_read and (arguments[0].kind, operator.kind) != ("name", "slice")
        return 0.0 if is_read or operator.name == "numbers" else WRITTEN
    if operator.kind == "remainder" and arguments[0].type is Type.WHOLE:
        return prices.NATURAL if bank.natural else 0.0
    if operator.result is not Type.NUMBER or arguments[0].type is not Type.NUMBER:
        return 0.0
    if len(arguments) == 1:
        is_odd = operator.kind == "remainder" and arguments[0].kind.startswith("column")
        return prices.NATURAL if is_odd else 0.0
    alike = any(sign in operator.template for sign in ("*", "/"))
    unlike = 0.0 if alike else unlike_bits(arguments[0].kind, arguments[1].kind)
    return unlike + prices.PRODUCT * sum(" * " in one.code for one in arguments) * alike


def _gaps(bank: Bank, arguments: Sequence[Expression]) -> float:
    """Return the bits of combining numbers that some rows lack, which all the same is tried."""
    numbers = [one.values[: bank.problem.size] for one in arguments if one.type is Type.NUMBER]
    return prices.GAP * sum(bool(np.isnan(one).any()) for one in numbers) * (len(numbers) > 1)
