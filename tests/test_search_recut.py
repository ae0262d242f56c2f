"""Numbers in programs found are cut anew for the rows that each cut decides."""

import math
from dataclasses import replace

import pytest

from llm_pv.data.examples import Examples, Input
from llm_pv.search.bank import Bank
from llm_pv.search.cuts import between, compared, exchanged
from llm_pv.search.emit import source_of
from llm_pv.search.pool import conditions_of
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Bands, Branch, Node, answers_of
from llm_pv.search.reading import read_leaves
from llm_pv.search.recut import LEAST_DECIDED, MOST_CUTS, cuts_of, gap_of, recut, reworded
from llm_pv.search.types import Expression, Type, joined, negation

DECIDED = ((10, "0"), (30, "0"), (52, "0"), (67, "1"), (80, "1"))
"""Rows with the flag, whose class is whether the number is at least some 60, and others."""
OTHERS = (55, 57, 63, 65)
ROWS: list[Input] = [{"flag": True, "n": n} for n, _ in DECIDED]
ROWS += [{"flag": False, "n": n} for n in OTHERS]
LABELS = [label for _, label in DECIDED] + ["0"] * len(OTHERS)


def leaves(
    rows: list[Input] = ROWS, labels: list[str] = LABELS
) -> tuple[Problem, Expression, Expression]:
    """Return a problem, the flag and the number."""
    problem = Problem.of(Examples(rows, labels), sorted(set(labels)), probes=0)
    flag, number = read_leaves(Bank(problem))[0]
    assert (flag.type, number.type) == (Type.TRUTH, Type.NUMBER)
    return problem, flag, number


def nested(flag: Expression, condition: Expression) -> Node:
    return Branch(flag, Branch(condition, Answer(1), Answer(0)), Answer(0))


@pytest.mark.parametrize("constant", [56, 53, 75, 12])  # the last two make mistakes
def test_a_cut_is_moved_to_round_numbers_between_the_rows_it_decides(constant: int) -> None:
    problem, flag, number = leaves()
    program = nested(flag, compared(number, ">=", constant, 9.0))
    programs = list(recut(program, problem))
    tests = [f'x["n"] {test}' for test in (">= 60", "> 60", ">= 55", ">= 65")]
    sources = [source_of(one, problem.classes) for one, _ in programs]
    assert all(test in source for test, source in zip(tests, sources, strict=True)), sources
    edges = [edge for _, edge in programs]
    assert edges[0] == ""
    assert len(set(edges)) == 4, "no row tells them apart, yet all are proposed"


def test_a_cut_inside_a_conjunction_or_its_opposite_is_moved_too() -> None:
    problem, flag, number = leaves()
    below = negation(compared(number, ">=", 56.0, 9.0))
    program = Branch(joined("and", [flag, negation(below)], 12.0), Answer(1), Answer(0))
    first, _ = next(recut(program, problem))
    assert 'x["flag"] and x["n"] >= 60' in source_of(first, problem.classes)


def test_both_ends_of_an_interval_are_moved_and_it_stays_one() -> None:
    problem, flag, number = leaves()
    low, high = (compared(number, ">=", constant, 9.0) for constant in (56.0, 100.0))
    program = Branch(joined("and", [flag, between(low, high, 12.0)], 15.0), Answer(1), Answer(0))
    assert 'x["flag"] and 56 <= x["n"] < 100' in source_of(program, problem.classes)
    first, _ = next(recut(program, problem))
    assert 'x["flag"] and 60 <= x["n"] < 100' in source_of(first, problem.classes)
    assert answers_of(first)[: problem.size].tolist() == problem.codes.tolist()


def test_an_interval_whose_end_becomes_another_condition_is_said_as_two() -> None:
    _, flag, number = leaves()
    low, high = (compared(number, ">=", constant, 9.0) for constant in (30.0, 66.0))
    inside = between(low, high, 12.0)
    assert inside.code == '30 <= x["n"] <= 65'
    other = exchanged(inside, low, flag)
    assert other.code == 'x["flag"] and x["n"] < 66'
    assert other.values.tolist() == [n < 66 for n, _ in DECIDED] + [False] * len(OTHERS)
    assert exchanged(inside, high, compared(number, ">", 67.0, 9.0)).code == '30 <= x["n"] <= 67'


def test_the_cuts_of_bands_are_moved_within_the_rows_that_reach_them() -> None:
    rows: list[Input] = [{"flag": True, "n": n} for n in (10, 28, 42, 52, 67, 80)]
    rows += [{"flag": False, "n": n} for n in (29, 41, 55)]
    problem, flag, number = leaves(rows, ["0", "0", "1", "1", "2", "2", "0", "0", "0"])
    program = Branch(flag, Bands(number, (30.0, 66.0), (0, 1, 2)), Answer(0))
    cuts = list(cuts_of(program))
    assert [gap_of(cut, problem) for cut in cuts] == [(28.0, 42.0), (52.0, 67.0)]
    bands = [
        one.yes.cuts
        for one, _ in recut(program, problem)
        if isinstance(one, Branch) and isinstance(one.yes, Bands)
    ]
    # Of the gaps 28 to 42 and 52 to 67 first 40 and 60, then "more than" these and the other tens
    # and fives, one at a time, then both "more than".
    above_40, above_60 = (math.nextafter(n, 100) for n in (40, 60))
    lower = [(40, 60), (above_40, 60), (30, 60), (35, 60)]
    assert bands == [*lower, (40, above_60), (40, 55), (40, 65), (above_40, above_60)]


def test_a_gap_is_that_of_the_rows_decided_and_one_that_is_as_good_is_kept() -> None:
    problem, flag, number = leaves()
    condition = compared(number, ">=", 56.0, 9.0)
    [cut] = cuts_of(nested(flag, condition))
    assert gap_of(cut, problem) == (52.0, 67.0)
    # Without the flag the other rows count: between 65 and 67 none is wrong.
    [cut] = cuts_of(Branch(condition, Answer(1), Answer(0)))
    assert gap_of(cut, problem) == (65.0, 67.0)
    # Two cuts make one mistake each; the present one stays.
    rows: list[Input] = [{"flag": n < 20, "n": n} for n in (10, 20, 30, 40)]
    problem, flag, number = leaves(rows, ["0", "1", "0", "1"])
    for constant, gap in ((15.0, (10.0, 20.0)), (35.0, (30.0, 40.0)), (25.0, (10.0, 20.0))):
        [cut] = cuts_of(Branch(compared(number, ">=", constant, 9.0), Answer(1), Answer(0)))
        assert gap_of(cut, problem) == gap


def test_nothing_is_yielded_where_nothing_is_free_or_cuts_are_many() -> None:
    problem, flag, number = leaves()
    assert list(recut(nested(flag, flag), problem)) == []
    rows: list[Input] = [{"flag": True, "n": n} for n in (58, 59, 60, 61)]
    rows += [{"flag": False, "n": 0}]
    known, flag, number = leaves(rows, ["0", "0", "1", "1", "0"])
    assert list(recut(nested(flag, compared(number, ">=", 60.0, 9.0)), known)) == []
    many: Node = Answer(0)
    for constant in range(MOST_CUTS + 1):
        many = Branch(compared(number, ">=", 53.0 + constant / 100, 9.0), Answer(1), many)
    assert list(recut(many, problem)) == []


def test_a_condition_gives_way_to_a_shorter_one_that_decides_alike() -> None:
    rows: list[Input] = [{"flag": False, "n": n} for n in range(5)]
    rows += [{"flag": True, "n": n} for n in range(10)]
    labels = ["0"] * 5 + ["1"] * 5 + ["2"] * 5
    problem, flag, number = leaves(rows, labels)
    # Of rows with the flag it tells five from five; of those without it nothing is asked.
    odd = replace(flag, code="odd(x)", bits=9.0, values=number.values < 5)
    shorter = compared(number, ">=", 5, 3.0)
    short_but_wrong = compared(number, ">=", 6, 2.0)
    conditions = conditions_of([short_but_wrong, shorter], problem)
    program = Branch(flag, Branch(odd, Answer(1), Answer(2)), Answer(0))
    source = source_of(reworded(program, conditions, problem), problem.classes)
    assert 'x["n"] >= 5' in source
    assert "odd" not in source
    assert answers_of(reworded(program, conditions, problem)).tolist() == list(map(int, labels))


def test_a_condition_that_decides_a_few_rows_is_left() -> None:
    rows: list[Input] = [{"flag": n >= 2, "n": n} for n in range(6)]
    assert LEAST_DECIDED > 4, "rows that the second condition decides"
    problem, flag, number = leaves(rows, ["0", "0", "1", "1", "1", "2"])
    rare = replace(flag, code="rare(x)", bits=9.0, values=number.values == 5)
    conditions = conditions_of([compared(number, ">=", 5, 3.0)], problem)
    program = Branch(flag, Branch(rare, Answer(2), Answer(1)), Answer(0))
    assert "rare" in source_of(reworded(program, conditions, problem), problem.classes)
