"""Conditions looked for as wholes: equations of three numbers, one string after another."""

import math
import random
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llm_pv.data.examples import Examples, Input
from llm_pv.search.bank import SOURCE, Bank, Store, as_float
from llm_pv.search.cuts import best_cuts
from llm_pv.search.engine import ranked
from llm_pv.search.enumerate import fill
from llm_pv.search.library import NAMES
from llm_pv.search.names import Names
from llm_pv.search.pool import Offer
from llm_pv.search.predicates import offers, pool_of
from llm_pv.search.prices import WRITTEN
from llm_pv.search.problem import Guard, Problem
from llm_pv.search.program import candidate, two_way
from llm_pv.search.reading import read_leaves
from llm_pv.search.terminal import terminal_offers
from llm_pv.search.types import Type


def bank_of(rows: Sequence[Input], held: Sequence[bool]) -> Bank:
    """Return a bank of the leaves of rows, whose class is whether something holds."""
    examples = Examples(rows, [str(int(one)) for one in held])
    bank = Bank(Problem.of(examples, ["0", "1"], probes=0))
    for leaf in read_leaves(bank)[0]:
        bank.put(leaf)
    return bank


def sources(found: Iterable[Offer], held: Sequence[bool]) -> list[str]:
    """Return the sources of the conditions that hold on the rows wanted and on no others."""
    return [offer.write().code for offer in found if offer.truth.tolist() == list(held)]


@pytest.mark.parametrize(
    ("third", "source"),
    [
        (lambda net, rate: net + rate, 'x["net"] + x["rate"] == x["total"]'),
        (lambda net, rate: net * rate, 'x["net"] * x["rate"] == x["total"]'),
        (
            lambda net, rate: round(net * (100 + rate) / 100, 2),
            'abs(x["net"] * (100 + x["rate"]) / 100 - x["total"]) < 0.006',
        ),
        (
            lambda net, rate: round(net * (100 - rate) / 100, 2),
            'abs(x["net"] * (100 - x["rate"]) / 100 - x["total"]) < 0.006',
        ),
    ],
)
def test_a_third_number_that_two_give_is_found(
    third: Callable[[int, int], float], source: str
) -> None:
    chance = random.Random(source)
    rows: list[Input] = []
    held = [index % 2 == 0 for index in range(40)]
    for is_right in held:
        net, rate = chance.randint(20, 900), chance.choice([3, 5, 7, 19])
        wrong = 0 if is_right else chance.choice([-30, -1, 1, 25])
        rows.append({"net": net, "rate": rate, "total": third(net, rate) + wrong})
    assert source in sources(terminal_offers(bank_of(rows, held)), held)


def test_a_string_after_another_is_found_and_not_before_it() -> None:
    chance = random.Random(0)
    rows: list[Input] = []
    for index in range(40):
        parts = (("ab", "cd"), ("cd", "ab"), ("ab", ""), ("", "cd"))[index % 4]
        filling = ["".join(chance.choices("xyz", k=chance.randint(0, 4))) for _ in range(3)]
        rows.append(filling[0] + parts[0] + filling[1] + parts[1] + filling[2])
    held = ["ab" in str(row) and str(row).find("cd") > str(row).find("ab") for row in rows]
    assert np.any(held)
    assert '"cd" in x.partition("ab")[2]' in sources(offers(bank_of(rows, held)), held)


def test_what_is_looked_for_may_hold_the_words_that_join_a_condition() -> None:
    rows: list[Input] = ["a in b", "a or b", "c in b", "c or b"] * 5
    held = [" in " in str(row) for row in rows]
    found = [offer.write() for offer in offers(bank_of(rows, held))]
    opposites = {one.opposite for one in found if one.values.tolist() == held}
    assert '" in b" not in x' in opposites


def test_arithmetic_that_tells_most_is_cut_more_than_once_and_offered_as_a_number() -> None:
    chance = random.Random(1)
    ends = [(a, chance.randrange(100)) for a in range(100)]
    held = [10 <= a - b < 30 for a, b in ends]
    bank = bank_of([{"a": a, "b": b} for a, b in ends], held)
    codes = {offer.write().code for offer in terminal_offers(bank)}
    cuts = {int(code.split()[-1]) for code in codes if code.startswith('x["a"] - x["b"] >')}
    assert any(7 <= cut <= 12 for cut in cuts), cuts
    assert any(27 <= cut <= 32 for cut in cuts), cuts
    assert 'x["a"] - x["b"]' in {one.code for one in bank.formed}


@pytest.mark.parametrize(
    ("values", "are_codes"),
    [
        ([22, 80, 443, 8080], True),
        ([22, None, 80, 443], True),
        ([0, 1, 2, 3, 4, 5], False),  # counts
        ([22, 443], False),  # a cut says the same
        ([22.5, 80, 443, 8080], False),
        (range(0, 1300, 100), False),  # too many
    ],
)
def test_whole_numbers_that_name_things_are_compared_as_categories_too(
    values: Sequence[float | None], are_codes: bool
) -> None:
    rows: list[Input] = [{"port": value} for value in [*values] * 5]
    bank = bank_of(rows, [index % 2 == 0 for index in range(len(rows))])
    leaves = read_leaves(bank)[1]
    assert [one.type for one in leaves if one.type is not Type.TRUTH] == [
        Type.NUMBER,
        *([Type.CATEGORY] if are_codes else []),
    ]


def test_of_numbers_that_are_never_equal_both_sides_are_proposed() -> None:
    chance = random.Random(0)
    pairs = [(due, paid) for due in range(0, 90, 7) if (paid := chance.randrange(0, 90, 7)) != due]
    held = [paid < due for due, paid in pairs]
    bank = bank_of([{"due": due, "paid": paid} for due, paid in pairs], held)
    conditions = pool_of(terminal_offers(bank), bank.problem, 1000)
    agree = (conditions.truth == held).mean(axis=1)
    first = conditions.expression(int(np.flatnonzero((agree == 0) | (agree == 1))[0]))
    equal = {"x": {"due": 14, "paid": 14}}
    found = [first, *conditions.alternatives(first)]
    assert {eval(one.code, equal) for one in found} == {False, True}

    one = candidate(two_way(first, 1), bank.problem, "single")
    edges = [replace(one, edge=edge) for edge in ("a > 3", "b > 5", "a > 3")]
    kept = ranked([one, one, *edges], bank.problem)
    assert [other.edge for other in kept] == ["", "a > 3", "b > 5", ""]


def test_a_sum_of_a_product_and_a_column_is_compared_with_a_fourth_column() -> None:
    chance = random.Random(5)
    rows: list[Input] = []
    held = [index % 2 == 0 for index in range(120)]
    for is_right in held:
        row = {"pieces": chance.randint(1, 20), "price": chance.randint(3, 40)}
        row["fee"] = chance.randint(0, 40)
        total = row["pieces"] * row["price"] + row["fee"]
        off = chance.choice([0, 1]) if is_right else chance.randint(4, 30)
        rows.append({**row, "total": total - off})
    bank = bank_of(rows, held)
    made = sources(terminal_offers(bank), [not one for one in held])
    arithmetic = 'x["pieces"] * x["price"] + x["fee"] - x["total"]'
    assert any(code.startswith(f"{arithmetic} >") for code in made), made
    assert arithmetic in {one.code for one in bank.formed}


SENTENCES = [
    f"{first} the {what} {last}"
    for first in ("I saw", "please send", "we lost", "she kept")
    for what in ("garden", "letter", "window", "kettle")
    for last in ("today", "again")
]
CODES = [f"{a}{b}-{c}" for a in "abcd" for b in "efgh" for c in "ij"]


def small_problem(rows: Sequence[Input], labels: Sequence[str]) -> Problem:
    """Return a problem for which little is enumerated."""
    problem = Problem.of(Examples(rows, labels), ["0", "1"], probes=0)
    problem.scale = 0.5
    return problem


def bits_of_values(rows: Sequence[str]) -> dict[str, float]:
    """Return the sources of the numbers that are enumerated for texts, with their bits."""
    labels = [str(index % 2) for index in range(len(rows))]
    bank = Bank(small_problem(rows, labels))
    fill(bank, read_leaves(bank)[0])
    numbers = map(bank.numbers.expression, range(len(bank.numbers)))
    return {one.code: one.bits for one in numbers}


def test_lengths_and_characters_of_parts_of_sentences_cost_more_than_of_codes() -> None:
    in_sentences, in_codes = bits_of_values(SENTENCES), bits_of_values(["ab " + c for c in CODES])
    part = 'len(x.split(" ")[1])'
    count = 'sum(k in "aeiouAEIOU" for k in x.split(" ")[1])'
    assert in_sentences.keys() >= {part}
    assert count in in_codes
    assert in_sentences.get(count, math.inf) >= in_codes[count] + WRITTEN


@pytest.mark.parametrize(("row", "is_code"), [("07{:03d} {}1", True), ("7{:03d} {}1", False)])
def test_digits_that_begin_with_a_zero_are_not_read_as_a_number(row: str, is_code: bool) -> None:
    bits = bits_of_values([row.format(7 * index, index % 9) for index in range(40)])
    first = {'int(x.split(" ")[0])', 'float(x.split(" ")[0])', "numbers[0]"}
    (shortest,) = first & bits.keys()  # of equal values one is kept
    assert (bits[shortest] >= 4.0) == is_code


def marks(gaps: float) -> list[dict[str, Any]]:
    chance = random.Random(3)

    def cell(value: float) -> float | None:
        return None if chance.random() < gaps else value

    return [
        {
            "maths": cell(chance.randint(20, 99)),
            "music": cell(chance.randint(22, 97)),
            "art": cell(chance.randint(25, 98)),
            "year": chance.randint(2019, 2025),
            "height": round(chance.uniform(20, 99), 1),  # no whole number
        }
        for _ in range(60)
    ]


@pytest.mark.parametrize(
    ("gaps", "listed"),
    [
        (0.0, '[x["maths"], x["music"], x["art"]]'),
        (0.4, '[v for v in (x["maths"], x["music"], x["art"]) if v is not None]'),
    ],
)
def test_columns_of_one_range_are_a_list_too(gaps: float, listed: str) -> None:
    rows = marks(gaps)
    bank = bank_of(rows, [index % 2 == 0 for index in range(len(rows))])
    (values,) = bank.of(Type.NUMBERS)
    assert [need.text for need in values.needs] == [f"{values.code} = {listed}"]
    held = bank.problem.frame.values(values).rows
    assert held == [
        [v for name in ("maths", "music", "art") if (v := row[name]) is not None] for row in rows
    ]


@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_of_columns_in_a_list_the_order_is_not_asked(gaps: float) -> None:
    rows = marks(gaps)
    labels = [str(index % 2) for index in range(len(rows))]
    bank = Bank(small_problem(rows, labels))
    fill(bank, read_leaves(bank)[0])
    codes = {
        store.expression(i).code for store in (bank.numbers, bank.truths) for i in range(len(store))
    }
    mean = "sum(values) / max(1, len(values))" if gaps else "sum(values) / len(values)"
    lowest = "min(values, default=0)" if gaps else "min(values)"
    assert codes >= {mean, lowest}
    assert not {code for code in codes if "pairwise(values)" in code or "values[::-1]" in code}


def test_cutting_numbers_takes_a_small_share_of_the_memory() -> None:
    rows: list[Input] = [{"n": n} for n in range(300)]
    problem = Problem.of(Examples(rows, ["0", "1"] * 150), ["0", "1"], guard=Guard(megabytes=50))
    numbers = np.random.default_rng(0).normal(size=(1_500, problem.size))
    assert problem.onehot.shape == (300, 2)  # computed before
    tracemalloc.start()
    try:
        best_cuts(numbers, problem, 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5e6, "a tenth of the budget"


@pytest.mark.parametrize("dtype", [np.float64, np.bool_])
def test_a_full_store_takes_the_memory_of_its_values_and_sources(dtype: Any) -> None:
    values = np.random.default_rng(0).integers(0, 2, (2_000, 400)).astype(dtype)
    writer: Any = {0: list}.__getitem__
    tracemalloc.start()
    try:
        store = Store(400, 320, dtype, 2_000)
        for row in values:
            store.add(row[None, :], [1.0], writer)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(store) == 2_000
    assert taken < 2_000 * (400 * values.itemsize + SOURCE)


def test_no_local_name_is_one_that_programs_import_or_define() -> None:
    for taken in NAMES:
        if taken.isidentifier():
            assert Names().fresh(taken) != taken


def test_whole_numbers_too_large_for_a_float_are_read() -> None:
    rows: list[Input] = [{"size": 10**400 * (1 + n % 3), "n": n} for n in range(30)]
    bank = bank_of(rows, [n >= 9 for n in range(30)])
    assert 'x["n"]' in {one.code for one in bank.of(Type.NUMBER)}
    assert not np.isfinite([as_float(row["size"]) for row in rows if isinstance(row, dict)]).any()
