"""Programs of the built-in search: what they answer is what their source answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llm_pv.data.examples import Examples
from llm_pv.search.cuts import compared
from llm_pv.search.emit import filled, source_of
from llm_pv.search.library import relied_on
from llm_pv.search.pool import Pool, conditions_of
from llm_pv.search.problem import Expired, Guard, Problem
from llm_pv.search.program import (
    Answer,
    Bands,
    Branch,
    Lookup,
    Node,
    Points,
    Ranking,
    Scorecard,
    answers_of,
    candidate,
    two_way,
)
from llm_pv.search.types import Expression, Local, Type, negation
from llm_pv.search.unify.single import single

ROWS: list[dict[str, Any]] = [{"a": a, "b": b} for a in (1, 2, 3, 4) for b in (0, 5)]
LABELS = ["low", "low", "mid", "low", "mid", "high", "high", "high"]


def column(name: str) -> Expression:
    """Return a numeric column of `ROWS`."""
    values = np.array([row[name] for row in ROWS], dtype=np.float64)
    return Expression(f'x["{name}"]', Type.NUMBER, 2.0, values)


def at_least(name: str, cut: int) -> Expression:
    """Return a cut of a column."""
    values = column(name).values >= cut
    return Expression(f'x["{name}"] >= {cut}', Type.TRUTH, 4.0, values)


def remainder() -> Expression:
    """Return the remainder of a column, which binds no tighter than a sign before it."""
    return Expression('x["a"] % 3', Type.NUMBER, 4.0, column("a").values % 3)


def key() -> Expression:
    """Return column a as a category."""
    return Expression('x["a"]', Type.CATEGORY, 2.0, [row["a"] for row in ROWS])


PROGRAMS: list[Node] = [
    Answer(1),
    two_way(at_least("a", 3), 1),
    Branch(at_least("a", 3), Branch(at_least("b", 5), Answer(0), Answer(1)), Answer(2)),
    Branch(at_least("b", 5), Answer(0), Branch(at_least("a", 2), Answer(2), Answer(1))),
    Scorecard(Points(((2.0, at_least("a", 3)), (-0.5, column("b"))), 1.0), 1.0, 2, 0),
    Scorecard(Points(((-1.0, remainder()), (2.0, remainder()))), 1.0, 2, 0),
    Scorecard(Points(((-1.0, remainder()),)), 0.0, 2, 0),
    Ranking((0, 2), (Points(((1.0, column("a")),)), Points(((1.0, at_least("b", 5)),), 2.0))),
    # Ties but for the last digit, which depends on the order of adding.
    Scorecard(Points(((0.3, column("a")),)), 0.1 + 0.2, 2, 0),
    Ranking(
        (0, 2),
        (
            Points(((0.3, column("a")),)),
            Points(((0.1, column("a")), (0.2, column("a")))),
        ),
    ),
    Ranking((0, 2), (Points((), 0.6), Points(((0.1, column("a")), (0.2, column("a"))), 0.3))),
    Bands(column("a"), (2.0, 4.0), (1, 2, 0)),
    Lookup(key(), ((1, 1), (2, 2)), 0),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: type(program).__name__)
def test_the_source_of_a_program_answers_what_the_program_answers(program: Node) -> None:
    classes = ("high", "low", "mid")
    namespace: dict[str, Callable[[Any], Any]] = {}
    exec(source_of(program, classes), namespace)
    expected = np.broadcast_to(answers_of(program), (len(ROWS),))
    assert [namespace["f"](row) for row in ROWS] == [classes[code] for code in expected]


def test_local_names_lose_the_number_that_nothing_needs_and_columns_keep_theirs() -> None:
    def local(name: str, column: str) -> Expression:
        needs = (Local(f'{name} = x["{column}"] or 0'),)
        return Expression(name, Type.NUMBER, 2.0, np.zeros(len(ROWS)), needs=needs)

    for name, column_name, kept in (
        ("count_1", "count_1", "count_1"),
        ("total_2", "Total", "total"),
        ("if_2", "If 2", "if_2"),
        ("max_2", "Max 2", "max_2"),
    ):
        source = source_of(Bands(local(name, column_name), (3.0,), (0, 1)), ("low", "high"))
        namespace: dict[str, Callable[[Any], Any]] = {}
        exec(source, namespace)
        assert namespace["f"]({column_name: 2}) == "low"
        assert namespace["f"]({column_name: 3}) == "high"
        assert f'    {kept} = x["{column_name}"] or 0\n' in source


def test_bands_answer_the_class_of_the_first_cut_a_number_is_below() -> None:
    program = Bands(column("a"), (2.0, 4.0), (1, 2, 0))
    assert answers_of(program).tolist() == [1, 1, 2, 2, 2, 2, 0, 0]


def test_single_finds_the_condition_that_answers_two_classes_and_its_opposite() -> None:
    labels = ["no" if row["a"] >= 3 else "yes" for row in ROWS]
    problem = Problem.of(Examples(ROWS, labels), ("no", "yes"), probes=0)
    wanted = at_least("a", 3)
    pool = Pool(problem, conditions_of([at_least("b", 5), wanted], problem))
    best = min(single(pool), key=lambda one: one.cost)
    assert best.mistakes == 0
    assert 'return "yes" if x["a"] < 3 else "no"' in source_of(best.program, problem.classes)


def test_an_expired_deadline_stops_single() -> None:
    problem = Problem.of(Examples(ROWS, LABELS[:4] * 2), ("low", "mid"), guard=Guard(deadline=0.0))
    with pytest.raises(Expired):
        list(single(Pool(problem, conditions_of([at_least("b", 5)], problem))))


def test_mistakes_count_by_their_weight() -> None:
    labels = ["yes" if row["a"] >= 2 else "no" for row in ROWS]
    weights = np.array([3.0, 1, 1, 1, 1, 1, 1, 1])
    problem = Problem.of(Examples(ROWS, labels), ("no", "yes"), weights=weights, probes=0)
    wrong = candidate(two_way(negation(at_least("b", 1)), 1), problem, "")
    # Wrong: row 0 (weight 3), and rows 3, 5 and 7, of a total of 10 for eight rows.
    assert wrong.mistakes == pytest.approx(6 * 8 / 10)


def test_a_program_gets_the_imports_and_helpers_that_its_code_names() -> None:
    imports, helpers = relied_on('def f(x):\n    return is_prime(len(re.findall("math", x)))')
    assert imports == ["import re"]
    assert [text.splitlines()[0] for text in helpers] == ["def is_prime(n):"]
    # A local name is no helper, whatever it is called.
    own = "def f(x):\n    distance = x['distance']\n    return distance > 3"
    assert relied_on(own) == ([], [])


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{0} - {1}", "a - b - (a - b)"),
        ("{0} * {1}", "(a - b) * (a - b)"),
        ("max({0}, x[{1}])", "max(a - b, x[a - b])"),
        ("{0} < {c} and {1}.real == 0", "a - b < 3 and (a - b).real == 0"),
    ],
)
def test_an_argument_is_in_brackets_where_it_binds_looser(template: str, code: str) -> None:
    difference = Expression("a - b", Type.NUMBER, 1.0, np.zeros(2))
    assert filled(template, {"0": difference, "1": difference}, 3) == code


def test_what_may_be_missing_is_neither_less_nor_more() -> None:
    number = Expression("a", Type.NUMBER, 1.0, np.array([1.0, np.nan]))
    assert negation(compared(number, ">=", 2.0, 3.0)).code == "not a >= 2"
    assert negation(compared(number, "==", 2.0, 3.0)).code == "a != 2"
    known = Expression("a % 2", Type.NUMBER, 1.0, np.array([1.0, 0.0]))
    assert negation(compared(known, ">", 0.5, 3.0)).code == "a % 2 <= 0.5"
    assert negation(compared(known, "==", 0.0, 3.0)).code == "a % 2 == 1"
    odd = negation(compared(known, "==", 0.0, 3.0))
    assert odd.values.tolist() == [True, False]
    assert negation(odd).code == "a % 2 == 0"
