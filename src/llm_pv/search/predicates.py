"""Predicates: from values to conditions, as rows of one matrix with their prices.

Categories and texts are compared with values that training rows have; `cuts` has the numbers.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from llm_pv.search import mining, prices
from llm_pv.search.bank import Bank
from llm_pv.search.cuts import bits_of_groups, of_numbers
from llm_pv.search.emit import literal
from llm_pv.search.pool import Conditions, Offer, mask_of
from llm_pv.search.problem import Expired, Problem
from llm_pv.search.types import Expression, Level, Truths, Type, condition

MOST_VALUES = 40
"""Distinct values of what is compared with sets of values."""
LEAST_PLACED = 4
"""Rows that all begin or end with a string which no other has."""
MOST_IN_ORDER = 24
"""Strings of which any two are looked for, the one after the other."""
MOST_OTHERS = 12
"""Conditions kept beside the shortest of those that hold on the same training rows."""


def _ready(condition: Expression) -> Offer:
    return Offer(condition.values, condition.bits, lambda: condition)


def equals(value: Expression, constant: object, bits: float) -> Expression:
    """Compare a category or text with a constant."""
    sign = "is" if constant is None else "=="
    return condition(
        f"{value.at(Level.SUM)} {sign} {literal(constant)}",
        bits,
        lambda column: np.array([one == constant for one in column], dtype=bool),
        value,
    )


def one_of(value: Expression, chosen: Sequence[Any], bits: float) -> Expression:
    """Ask whether a category or text is one of some values."""
    known = frozenset(chosen)
    return condition(
        f"{value.at(Level.SUM)} in {literal(tuple(chosen))}",
        bits,
        lambda column: np.array([one in known for one in column], dtype=bool),
        value,
    )


def text_test(text: Expression, template: str, constant: str, bits: float) -> Expression:
    """Ask a text for a constant: ``{0}`` is the text, ``{c}`` the constant."""
    function = eval(f"lambda t, c: {template.format('t', c='c')}")  # noqa: S307 - of this module
    return condition(
        template.format(text.at(Level.ATOM), c=literal(constant)),
        bits,
        lambda column: np.array([function(value, constant) for value in column], dtype=bool),
        text,
    )


def offers(bank: Bank) -> Iterator[Offer]:
    """Yield the conditions on all values of the bank."""
    truths, bits = bank.truths, bank.truths.bits.tolist()
    for index in range(len(truths)):
        yield Offer(truths.values[index], bits[index], partial(truths.expression, index))
    yield from of_numbers(bank)
    yield from _of_categories(bank)
    yield from _of_texts(bank)


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
                chosen.sort(key=lambda one: (str(type(one)), one))
                bits = 1.5 + len(chosen) * (1.0 + prices.choice_bits(len(places)) / 2)
                yield _ready(one_of(value, chosen, value.bits + bits))


def _of_categories(bank: Bank) -> Iterator[Offer]:
    problem = bank.problem
    size = problem.size
    for value in bank.of(Type.CATEGORY):
        problem.guard.check()
        counts = Counter(value.values[:size])
        choice = value.bits + 1.0 + prices.choice_bits(len(counts)) / 2
        for constant, count in counts.most_common(30):
            if 1 <= count < size:
                yield _ready(equals(value, constant, choice))
        if 3 <= len(counts) <= MOST_VALUES:
            yield from _sets(value, counts, problem)


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


def _of_substrings(text: Expression, problem: Problem, most: int) -> Iterator[Offer]:
    """Yield whether a text contains, begins with or ends with a string; whole words are cheaper."""
    size = problem.size
    rows = text.values[:size]
    symbols = set("".join(mining.training(rows)))
    alphabet, signs = len(symbols), sum(not c.isalnum() for c in symbols)
    letter, sign = prices.choice_bits(min(alphabet, 26)), 1.0 + prices.choice_bits(signs)
    bits_of = {c: letter if c.isalnum() else min(letter, sign) for c in symbols}
    words = {word for row in rows for word in row.split()}
    natural = alphabet > 12 or text.kind == "name"
    starts = Counter(row[:length] for row in rows for length in range(1, 7))
    ends = Counter(row[-length:] for row in rows for length in range(1, 7))
    contained: list[tuple[str, Truths, float]] = []
    guard = problem.guard
    characters = guard.most(150, 0.2)
    for string in mining.substrings(rows, most=most, characters=characters, check=guard.check):
        problem.guard.check()
        length = len(string)
        price = text.bits + 1.5 + sum(bits_of[c] for c in string) / 1.5
        if string.strip(".,!?") in words and length > 1:
            price = text.bits + 1.5 + min(length, 4)
        elif natural and any(map(str.isalnum, string)):
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
                    # What is nowhere else is meant to be there.
                    only = sum(truth[:size]) == held[:size].sum() >= LEAST_PLACED
                    less = price - 0.5 * only
                    yield _asked(text, template, string, np.array(truth, dtype=bool), less)
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
    whole, rest, tried = size // 8, 0xFF00 >> size % 8 & 0xFF, 0
    with suppress(Expired):
        for offer in found:
            tried += 1
            mask = mask_of(offer.truth)
            of_train = mask[:whole] + (bytes([mask[whole] & rest]) if rest else b"")
            group = groups.setdefault(of_train, {})
            key = mask + offer.edge
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
        held, same = first.truth[:size], mask_of(first.truth)
        others = [
            one
            for one in others
            if mask_of(one.truth) != same or (first.edge and one.edge not in (b"", first.edge))
        ]
        if held.any() and not held.all():
            listed.append((first.bits, first, mask, others))
    listed.sort(key=lambda one: one[0])
    del listed[most:]
    bits = np.array([one[0] for one in listed])
    floors = prices.rank_floor(np.arange(len(listed)))
    matrix = np.array([one[1].truth[:size] for one in listed], dtype=bool).reshape(-1, size)
    others_of = {mask: others for _, _, mask, others in listed if others}
    return Conditions(matrix, np.maximum(bits, floors), lambda i: listed[i][1].write(), others_of)
