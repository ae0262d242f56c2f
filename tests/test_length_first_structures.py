"""Gates, decision lists, scorecards, nesting and the other pieces, on values worked out by hand."""

import random

import numpy as np
import pytest

from llm_pv.proposers.length_first.boundaries import other_cuts, with_other_cuts
from llm_pv.proposers.length_first.columns import combined_columns
from llm_pv.proposers.length_first.conditions import Conditions, ready
from llm_pv.proposers.length_first.decisions import best_decision_lists
from llm_pv.proposers.length_first.derived import integer_lists_of_text
from llm_pv.proposers.length_first.expressions import Evaluator, Expression, Level, imports
from llm_pv.proposers.length_first.folds import folds_of
from llm_pv.proposers.length_first.gates import best_gated
from llm_pv.proposers.length_first.joining import best_differing
from llm_pv.proposers.length_first.nesting import (
    BETWEEN_DEPTHS,
    DEEPEST,
    PAIRS_WITHIN,
    is_nested,
    nested_sources,
)
from llm_pv.proposers.length_first.numbers import integer_numbers
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate
from llm_pv.proposers.length_first.reading import Integers
from llm_pv.proposers.length_first.scorecards import scored_sums
from llm_pv.proposers.length_first.scoring import Target
from llm_pv.proposers.length_first.sequences import Features, Part
from llm_pv.proposers.length_first.weights import DATE_NUMBERS, LIST_NUMBERS


def never() -> bool:
    return False


def ignored(_tried: int) -> None:
    """Count nothing."""


def problem_of(codes: list[int], classes: tuple[str, ...] = ("0", "1")) -> Problem:
    return Problem([str(i) for i in range(len(codes))], len(codes), np.array(codes), classes)


def conditions_of(columns: dict[str, list[bool]], bits: float = 4.0) -> Conditions:
    expressions = [
        Expression(code, bits, np.array(values, bool), Level.ATOM)
        for code, values in columns.items()
    ]
    truth = np.array([one.values for one in expressions], dtype=bool)
    return Conditions([ready(one) for one in expressions], truth, np.full(len(columns), bits))


def random_columns(number: int, rows: int) -> dict[str, list[bool]]:
    chance = random.Random(11)
    return {f"c{i}": [chance.random() < 0.5 for _ in range(rows)] for i in range(number)}


def test_a_gate_sends_rows_to_the_condition_of_their_side() -> None:
    columns = random_columns(12, 80)
    rows = zip(columns["c3"], columns["c5"], columns["c8"], strict=True)
    problem = problem_of([int(yes if gate else no) for gate, yes, no in rows])
    best = best_gated(conditions_of(columns), problem, 5, 12, expired=never, count=ignored)[0]
    assert best.body == ("if c3:", "    return int(c5)", "return int(c8)")
    assert best.mistakes == 0


def test_two_conditions_that_differ_are_found_though_neither_says_a_thing_alone() -> None:
    columns = random_columns(40, 60)
    members = np.array(columns["c7"]) != np.array(columns["c31"])
    target = Target.of(np.arange(60), members)
    best = best_differing(conditions_of(columns), target, 5, never, ignored)[0]
    assert (best.condition.code, best.mistakes) == ("c7 != c31", 0)
    opposite = Target.of(np.arange(60), ~members)
    best = best_differing(conditions_of(columns), opposite, 5, never, ignored)[0]
    assert (best.condition.code, best.mistakes) == ("c7 != (not c31)", 0)


def test_a_decision_list_answers_exceptions_first_and_looks_up_the_rest() -> None:
    columns = random_columns(10, 90)
    values = np.array([i % 3 for i in range(90)], dtype=np.float64)
    rows = zip(columns["c4"], values.astype(int).tolist(), strict=True)
    codes = [3 if exception else value for exception, value in rows]
    problem = problem_of(codes, ("a", "b", "c", "other"))
    features = Features([Expression("n", 3.0, values)])
    best = best_decision_lists(conditions_of(columns), features, problem)[0]
    assert best.mistakes == 0
    assert best.body[:2] == ("if c4:", '    return "other"')
    assert best.body[2].startswith('return {0: "a", 1: "b", 2: "c"}.get(n')


def test_points_are_added_up_where_their_sum_in_bands_tells_the_classes() -> None:
    columns = random_columns(8, 100)
    first, second, third = (np.array(columns[name], int) for name in ("c0", "c2", "c6"))
    points = 2 * first + second + third
    codes = np.where(points <= 1, 0, np.where(points <= 2, 1, 2)).tolist()
    problem = problem_of(codes, ("low", "mid", "high"))
    best = scored_sums(conditions_of(columns), [], problem)[0]
    assert best.values.tolist() == points.tolist()


@pytest.mark.parametrize(
    ("template", "row", "value"),
    [
        ("max(accumulate", [1, -3, 4, 5, -9, 2], 9),
        ("max(accumulate", [-4, -2, -7], -2),
        ("min(accumulate", [1, -3, 2, -5, 9], -6),
        ("max({s}) - min({s})", [4, -1, 6], 7),
    ],
)
def test_stretches_and_ranges_of_lists(template: str, row: list[int], value: int) -> None:
    primitive = next(one for one in LIST_NUMBERS if one.template.startswith(template))
    needs = imports(primitive.imports)
    assert Evaluator(1).run(primitive.template, {}, [row], needs) == [value]


def test_depths_of_brackets_are_read_as_they_are_drawn() -> None:
    evaluator = Evaluator(1)
    text = ["(a[b]c)d(e)"]
    needs = (BETWEEN_DEPTHS,)
    assert evaluator.run("between_depths({s}, 2)", {}, text, needs) == ["  [b]      "]
    assert evaluator.run("between_depths({s}, 0, 1)", {}, text, needs) == ["(a   c)d(e)"]
    assert evaluator.run("pairs_within({s})", {}, ["(()[()])()"], (PAIRS_WITHIN,)) == [
        [2, 0, 1, 0, 0]
    ]
    assert evaluator.run("deepest({s})", {}, ["()[{}]({})"], (DEEPEST,)) == ["{"]
    assert not is_nested(["()()", "[]"])
    assert not is_nested(["(())", "ab"])
    names = [source.name for source in nested_sources(["(1 (2) 3)", "(4)"])]
    assert names == ["children", "shallow", "shallow_numbers", "deep", "deep_numbers"]


@pytest.mark.parametrize(
    ("number", "square", "ten"), [(50, 1, 0), (43, 6, 3), (38, 2, 2), (4, 0, 4)]
)
def test_a_number_is_so_far_from_a_square_and_from_a_multiple(
    number: int, square: int, ten: int
) -> None:
    found = {
        one.code: one.values[0]
        for one in integer_numbers([Integers("n", 1.0, [number])], Evaluator(1))
    }
    assert found["abs(n - round(math.sqrt(n)) ** 2)"] == square
    assert found["min(n % 10, -n % 10)"] == ten


def folded(code: str, rows: list[list[int]]) -> list[float]:
    part = Part("numbers", 1.0, rows)
    return next(
        one.values.tolist() for one in folds_of([part], 13.0, 1e9, 10**6, never) if one.code == code
    )


def test_loops_find_items_by_membership_first_items_and_counts_that_compare() -> None:
    rows = [[1, 2, 3], [5, 6, 9], [4, -4, 1, 1, 5]]
    pairs = "any(a + b in numbers for a, b in combinations(numbers, 2))"
    assert folded(pairs, rows) == [True, False, True]
    assert folded("next((a for a in numbers if a > 2), 0)", rows) == [3, 5, 4]
    assert folded("sum(a == 1 for a in numbers) > sum(a > 4 for a in numbers)", rows) == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("time", "hour", "minutes"),
    [("12:05 AM", 0, 5), ("12:30 PM", 12, 750), ("07:00 PM", 19, 1140)],
)
def test_clock_times_of_twelve_hours_are_read(time: str, hour: int, minutes: int) -> None:
    templates = [one for one in DATE_NUMBERS if '"%I:%M %p"' in one.template]
    values = [Evaluator(1).run(p.template, {}, [time], imports(p.imports)) for p in templates]
    assert values == [[hour], [minutes]]


def test_digits_among_letters_and_hexadecimal_parts_are_lists() -> None:
    mixed = {one.name: one for one in integer_lists_of_text(["-12", "A34"])}
    assert Evaluator(1).run(mixed["digits"].template, {}, ["-12"], ()) == [[1, 2]]
    hexadecimal = {one.name: one for one in integer_lists_of_text(["#ff0a10", "#00a1b2"])}
    parts = hexadecimal["parts"]
    assert Evaluator(1).run(parts.template, {}, ["#ff0a10"], parts.needs) == [[255, 10, 16]]


def test_three_columns_are_weighed_and_the_largest_is_named() -> None:
    columns = [
        Expression(name, 1.0, np.array(values, dtype=np.float64))
        for name, values in (("a", [1, 5]), ("b", [4, 2]), ("c", [2, 9]))
    ]
    found = {one.code: one.values.tolist() for one in combined_columns(columns)}
    assert found["a + 2 * (b + c)"] == [13, 27]
    assert found["[a, b, c].index(max(a, b, c))"] == [1, 2]


def test_cuts_that_training_leaves_open_are_offered_and_others_are_not() -> None:
    assert other_cuts("-40") == ["-40", "-50", "-30"]
    problem = Problem(["10", "38", "41"], 3, np.array([0, 0, 1]), ("0", "1"))
    body = ("return int(int(x) >= 40)",)
    rule = Candidate(body, (), 9.0, problem.codes, 0, 9.0)
    assert [one.body[0] for one in with_other_cuts([rule], problem)] == [
        "return int(int(x) > 40)",
    ]
