"""Programs found are cut anew for the rows that each comparison decides."""

from dataclasses import replace

import numpy as np
import pytest

from llm_pv.data.examples import Examples, Input
from llm_pv.search.bank import Bank
from llm_pv.search.cuts import compared
from llm_pv.search.emit import source_of
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Branch, Node
from llm_pv.search.reading import read_leaves
from llm_pv.search.recut import MOST_COMPARISONS, gap_of, recut
from llm_pv.search.types import Expression, Type, joined, negation

DECIDED = ((10, "0"), (30, "0"), (52, "0"), (67, "1"), (80, "1"))
"""Rows with the flag, whose class is whether the number is at least some 60, and others."""
OTHERS = (55, 57, 63, 65)
ROWS: list[Input] = [{"flag": True, "n": n} for n, _ in DECIDED]
ROWS += [{"flag": False, "n": n} for n in OTHERS]
LABELS = [label for _, label in DECIDED] + ["0"] * len(OTHERS)


def leaves() -> tuple[Problem, Expression, Expression]:
    problem = Problem.of(Examples(ROWS, LABELS), ("0", "1"), probes=0)
    flag, number = read_leaves(Bank(problem))[0]
    assert (flag.type, number.type) == (Type.TRUTH, Type.NUMBER)
    return problem, flag, number


def nested(flag: Expression, condition: Expression) -> Node:
    return Branch(flag, Branch(condition, Answer(1), Answer(0)), Answer(0))


@pytest.mark.parametrize("constant", [56, 53, 75, 12])  # the last two make mistakes
def test_a_cut_is_moved_to_the_roundest_number_between_the_rows_it_decides(constant: int) -> None:
    problem, flag, number = leaves()
    program = nested(flag, compared(number, ">=", constant, 9.0))
    first, second = (source_of(one, problem.classes) for one in recut(program, problem))
    assert 'x["n"] >= 60' in first
    assert 'x["n"] > 60' in second, "no row has 60 itself"


def test_a_cut_inside_a_conjunction_or_its_opposite_is_moved_too() -> None:
    problem, flag, number = leaves()
    below = negation(compared(number, ">=", 56.0, 9.0))
    program = Branch(joined("and", [flag, negation(below)], 12.0), Answer(1), Answer(0))
    first = source_of(next(recut(program, problem)), problem.classes)
    assert 'x["flag"] and x["n"] >= 60' in first


def test_a_gap_is_that_of_the_rows_decided_and_one_that_is_as_good_is_kept() -> None:
    problem, flag, number = leaves()
    condition = compared(number, ">=", 56.0, 9.0)
    assert gap_of(nested(flag, condition), condition, problem) == (52.0, 67.0)
    # Without the flag the other rows count: between 65 and 67 none is wrong.
    assert gap_of(Branch(condition, Answer(1), Answer(0)), condition, problem) == (65.0, 67.0)
    # Two cuts make one mistake each; the present one stays.
    labels = ["0", "1", "0", "1"]
    rows: list[Input] = [{"flag": True, "n": n} for n in (10, 20, 30, 40)]
    tied = Problem.of(Examples(rows, labels), ("0", "1"), probes=0)
    [cut] = [one for one in read_leaves(Bank(tied))[0] if one.type is Type.NUMBER]
    for constant, gap in ((15.0, (10.0, 20.0)), (35.0, (30.0, 40.0)), (25.0, (10.0, 20.0))):
        condition = compared(cut, ">=", constant, 9.0)
        assert gap_of(Branch(condition, Answer(1), Answer(0)), condition, tied) == gap


def test_nothing_is_yielded_where_cuts_are_round_and_reached_or_are_many() -> None:
    problem, flag, number = leaves()
    assert list(recut(nested(flag, flag), problem)) == []
    reached = replace(problem, frame=type(problem.frame)([{"flag": True, "n": 60}, *ROWS[1:]]))
    assert len(list(recut(nested(flag, compared(number, ">=", 60.0, 9.0)), problem))) == 1
    values = np.array([row["n"] for row in reached.frame.rows if isinstance(row, dict)], float)
    there = replace(number, values=values)
    codes = np.array([1, *problem.codes[1:]])
    known = replace(reached, codes=codes)
    assert list(recut(nested(flag, compared(there, ">=", 60.0, 9.0)), known)) == []
    many: Node = Answer(0)
    for constant in range(MOST_COMPARISONS + 1):
        many = Branch(compared(number, ">=", 53.0 + constant / 100, 9.0), Answer(1), many)
    assert list(recut(many, problem)) == []
