"""Every operator's written code gives what its column function gives."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llm_pv.search.bank import as_column, compiled, evaluate, written
from llm_pv.search.library import arithmetic
from llm_pv.search.mining import boundary, places_of_list
from llm_pv.search.operators import ITEM_NAMES, Operator, load
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Expression, Type
from llm_pv.search.walks import WALKS, applied, view_of

WITH_COLUMNS = [one for one in load() if one.column is not None]


def numbers(chance: random.Random, rows: int) -> np.ndarray[Any, Any]:
    """Return whole numbers and decimals of both signs."""
    kind = chance.randrange(3)
    low = 0 if kind == 0 else -50
    values = [chance.randint(low, 1500 if kind == 0 else 60) for _ in range(rows)]
    return np.array(values, dtype=np.float64) / (4 if kind == 2 else 1)


def lists(chance: random.Random, rows: int) -> Ragged:
    """Return lists of one to seven whole numbers."""
    return Ragged.of(
        [[chance.randint(-9, 30) for _ in range(chance.randint(1, 7))] for _ in range(rows)]
    )


def bits(chance: random.Random, rows: int) -> list[str]:
    """Return strings of zeros and ones."""
    return ["".join(chance.choices("01", k=chance.randint(0, 12))) for _ in range(rows)]


def words(chance: random.Random, rows: int) -> Ragged:
    """Return lists of one to five words."""
    known = ["Ada", "bob", "eve", "x", "noon"]
    return Ragged.of([chance.choices(known, k=chance.randint(1, 5)) for _ in range(rows)])


MAKE: dict[Type, Callable[[random.Random, int], Any]] = {
    Type.NUMBER: numbers,
    Type.NUMBERS: lists,
    Type.TEXTS: words,
    Type.TEXT: bits,
}


@pytest.mark.parametrize(
    "operator", [one for one in WITH_COLUMNS if not one.over], ids=lambda one: one.template
)
def test_a_template_gives_what_its_column_function_gives(operator: Operator) -> None:
    chance = random.Random(operator.template)
    for _ in range(6):
        columns = [MAKE[kind](chance, 30) for kind in operator.arguments]
        for constant, _ in operator.choices(columns[0]):
            values = evaluate(operator, columns, constant, 0)
            rows = zip(*(_rows(column) for column in columns), strict=True)
            for row, value in zip(rows, values, strict=True):
                if not np.isfinite(value):
                    continue  # the search leaves out what is not finite on a training row
                assert compiled(operator)(*row, c=constant) == pytest.approx(value)


def _rows(column: Any) -> list[Any]:
    if isinstance(column, Ragged):
        return column.rows
    if isinstance(column, list):
        return column
    return [int(v) if float(v).is_integer() else float(v) for v in column]


@pytest.mark.parametrize(
    "operator",
    [one for one in WITH_COLUMNS if one.over],
    ids=lambda one: f"{one.over} {one.template}",
)
def test_an_item_operator_gives_for_each_item_what_its_template_gives(operator: Operator) -> None:
    chance = random.Random(operator.template)
    is_text = operator.arguments[-1] is Type.TEXT
    ragged = words(chance, 20) if is_text else lists(chance, 20)
    view = view_of(ragged, operator.over)
    constants = (
        [constant for constant, _ in operator.constants(view.variables[0])]
        if operator.constants
        else [None]
    )
    for constant in constants:
        values = applied(operator, view, list(view.variables), constant)
        for index, value in enumerate(values.tolist()):
            items = [_item(view, flat[index]) for flat in view.variables]
            extra = [] if constant is None else [constant]
            assert compiled(operator)(*items, *extra) == value


def _item(view: Any, value: Any) -> Any:
    if view.items is not None:
        return view.items[int(value)]
    return int(value) if float(value).is_integer() else float(value)


@pytest.mark.parametrize("way", WALKS, ids=lambda way: way.over)
def test_a_walk_takes_the_turns_that_its_clause_takes(way: Any) -> None:
    from itertools import combinations, pairwise

    rows = [[4, 7, 1, 7], [5], [2, 2, 3], [], [9, 8, 7, 6, 5]]
    view = view_of(Ragged.of(rows), way.over)
    names = ITEM_NAMES[way.over]
    source = f"[({', '.join(names)},) {way.clause.format(s='s', a='a')}]"
    turns = [
        eval(source, {"s": row, "pairwise": pairwise, "combinations": combinations}) for row in rows
    ]
    assert view.layout.lengths.tolist() == list(map(len, turns))
    flat = [turn for row in turns for turn in row]
    assert list(zip(*(flat.tolist() for flat in view.variables), strict=True)) == flat


def test_folds_agree_with_python() -> None:
    layout = Ragged.of([[1, 0, 1, 1], [], [0], [1, 1]]).layout
    truths = np.array([1, 0, 1, 1, 0, 1, 1], dtype=bool)
    assert layout.counts(truths).tolist() == [3, 0, 0, 2]
    assert layout.longest_run(truths).tolist() == [2, 0, 0, 2]
    assert layout.first_place(truths).tolist() == [0, -1, -1, 0]
    assert layout.last_place(truths).tolist() == [3, -1, -1, 1]
    # The last row's largest item is below zero, and the default is not in its way.
    numbers = np.array([1.0, 2, 3, 4, -5, -7, -6])
    assert layout.fold(np.maximum, numbers, 0.0).tolist() == [4, 0, -5, -6]


def test_a_text_is_a_list_of_its_characters() -> None:
    assert Ragged.of(["ab", "", "b"]).rows == [["a", "b"], [], ["b"]]


def test_brackets_are_balanced_where_each_is_closed_by_its_own_partner() -> None:
    operator = next(one for one in load() if one.template == "balanced({0}, {c})")
    assert operator.constants is not None
    partners = next(iter(operator.constants(["([]{})", "a"])))[0]
    texts = ["", "([]{})", "(a)[b]", "([)]", ")(", "(", "]"]
    answers = [compiled(operator)(text, c=partners) for text in texts]
    assert answers == [True, True, True, False, False, False, False]


def test_a_number_too_large_to_be_exact_is_no_number() -> None:
    assert as_column([1, 2**60], Type.NUMBER, 2) is None
    assert as_column([1, 10**400], Type.NUMBER, 2) is None
    assert as_column([[1, 2**53], [2]], Type.NUMBERS, 2) is None
    # What further rows have does not make it fail there: they are no training rows.
    later = as_column([1, 10**400], Type.NUMBER, 1)
    assert later.tolist() == [1.0, float("inf")]


def test_a_number_is_never_compared_with_one_that_has_no_source() -> None:
    assert boundary(float("-inf"), 1234.5)[0] == ">="
    assert boundary(1e300, float("inf"))[1] < float("inf")


def test_what_probes_lack_does_not_keep_a_place_of_a_list_from_being_read() -> None:
    listed = Ragged.of([[1, 2], [3, 4], [5]])
    assert [place for place, _ in places_of_list(listed[:2])] == [0, 1]
    assert listed[:2].rows == [[1, 2], [3, 4]]


def test_of_a_number_and_a_missing_one_columns_take_what_python_takes() -> None:
    nan = math.nan
    pairs = [(3.0, nan), (nan, 3.0), (2.0, 3.0), (3.0, 2.0), (nan, nan)]
    first, second = np.array(pairs).T
    for name, expected in (("max", [3.0, nan, 3.0, 3.0, nan]), ("min", [3.0, nan, 2.0, 2.0, nan])):
        column = arithmetic(f"{name}({{0}}, {{1}})", 2)(first, second)
        np.testing.assert_array_equal(column, expected)
        python = {"max": max, "min": min}[name]
        np.testing.assert_array_equal([python(*pair) for pair in pairs], expected)


def test_a_quotient_is_squared_as_a_whole() -> None:
    quotient = Expression("a / b", Type.NUMBER, 1.0, np.ones(2))
    codes = {
        one.template: written(one, [quotient], 10)
        for one in load()
        if one.template in {"{0} ** 2", "{0} % {c}"}
    }
    assert codes == {"{0} ** 2": "(a / b) ** 2", "{0} % {c}": "a / b % 10"}


def test_a_sum_or_product_too_large_to_be_exact_is_not_offered() -> None:
    half = np.array([2.0**52, 1.0])
    add = next(one for one in load() if one.template == "{0} + {1}")
    assert evaluate(add, [half, half], None, 2) is None
    assert evaluate(add, [half, -half], None, 2).tolist() == [0.0, 0.0]


def test_fractions_are_added_in_the_order_of_the_program() -> None:
    rows = [[0.1] * 3, [1e16, 1.0, -1e16, 0.5], [], [0.1] * 20]
    listed = Ragged.of(rows)
    sums = listed.layout.fold(np.add, listed.flat, 0.0)
    assert sums.tolist() == [sum(row) for row in rows]
    assert listed.layout.fold(np.add, listed.flat[None, :], 0.0).tolist() == [sums.tolist()]


def test_an_item_outside_the_sample_on_which_a_question_fails_ends_nothing() -> None:
    first = next(one for one in load() if one.template == "{a}[0].isupper()")
    view = view_of(Ragged.of([["Ada", "bob"], ["", "Eve"]]), "each")
    assert applied(first, view, view.variables, None).tolist() == [True, False, False, True]
