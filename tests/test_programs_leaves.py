"""A program's leaves: every answer has a number, and lines say how it is reached."""

import io
import textwrap
from typing import Any

import pytest
from rich.console import Console

from llm_pv.cli.learned_tables import shown_program
from llm_pv.errors import ProgramError
from llm_pv.programs.leaves import leaves

TREE = """
    import math

    def f(x):
        '''A rule.'''
        size = math.sqrt(x["area"])
        if size > 3:
            if x["zone"] == "north":
                return "a"
        elif x["age"] <= -2:
            return "b"
        else:
            size = 0
        return "c" if 1 < x["age"] < 5 else "d"
"""


def number_of(source: str, row: dict[str, Any]) -> object:
    names: dict[str, Any] = {}
    exec(leaves(textwrap.dedent(source))["source"], names)
    return names["f"](row)


@pytest.mark.parametrize(
    ("area", "zone", "age", "number"),
    [(16, "north", 0, 0), (16, "south", 2, 2), (4, "north", -2, 1), (4, "north", 5, 3)],
)
def test_the_variant_answers_with_the_number_of_the_leaf(
    area: int, zone: str, age: int, number: int
) -> None:
    assert number_of(TREE, {"area": area, "zone": zone, "age": age}) == number


def test_lines_name_columns_and_answers_in_the_order_of_the_program() -> None:
    found = leaves(textwrap.dedent(TREE))
    assert found["lines"] == [
        (0, "size = math.sqrt(area)", None),
        (0, "if size > 3", None),
        (1, "if zone == 'north'", None),
        (2, "a", 0),
        (0, "otherwise, if age <= -2", None),
        (1, "b", 1),
        (0, "otherwise", None),
        (1, "size = 0", None),
        (0, "if 1 < age < 5", None),
        (1, "c", 2),
        (0, "otherwise", None),
        (1, "d", 3),
    ]
    assert found["columns"] == {"area": [], "zone": [], "age": [-2, 1, 5]}


def test_an_answer_that_is_missing_is_a_leaf() -> None:
    source = "def f(x):\n    if x['n'] > 1:\n        return 1\n"
    assert [line[1] for line in leaves(source)["lines"] if line[2] is not None] == [
        "1", "no answer",
    ]  # fmt: skip
    assert number_of(source, {"n": 0}) == 1


@pytest.mark.parametrize(
    "body",
    [
        "for c in x:\n        if c == '1':\n            return 1\n    return 0",
        "try:\n        return int(x)\n    except ValueError:\n        return 0",
        "return len(x) % 2",
    ],
    ids=["loop", "try", "one leaf"],
)
def test_what_is_no_chain_of_conditions_is_refused(body: str) -> None:
    with pytest.raises(ProgramError):
        leaves(f"def f(x):\n    {body}\n")


def test_a_function_inside_may_return_anywhere() -> None:
    inner = "def g(y):\n        for c in y:\n            return c\n"
    source = f"def f(x):\n    {inner}    return 'a' if g(x['s']) == 'q' else 'b'\n"
    assert number_of(source, {"s": "qr"}) == 0


def test_a_long_condition_and_a_long_sum_have_their_parts_below_them() -> None:
    tests = " and ".join(f"x['column_{n}'] > {n}" for n in range(4))
    points = " + ".join(f"{n} * (x['column_{n}'] > {n})" for n in (1, 2, 3))
    source = (
        f"def f(x):\n    points = {points} - x['c'] * 2\n    return 1 if not ({tests}) else 0\n"
    )
    found = leaves(source)
    assert found["lines"] == [
        (0, "points = the sum of:", None),
        *((1, f"{n} * (column_{n} > {n})", None) for n in (1, 2, 3)),
        (1, "minus c * 2", None),
        (0, "if not all of:", None),
        *((1, f"column_{n} > {n}", None) for n in range(4)),
        (1, "1", 0),
        (0, "otherwise", None),
        (1, "0", 1),
    ]
    assert found["whole"]


def test_a_program_with_a_function_beside_f_is_not_whole_in_its_lines() -> None:
    helper = "import math\ndef g(x):\n    return x\n"
    rule = "def f(x):\n    return 1 if x else 0\n"
    assert not leaves(helper + rule)["whole"]
    assert leaves("import math\n" + rule)["whole"]


def shown(source: str) -> list[str]:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(shown_program(source, 60))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_terminal_shows_conditions_as_a_tree_where_lines_are_too_wide() -> None:
    tests = " or ".join(f"x.count('{n}') > {n}" for n in range(4))
    assert shown(f"def f(x):\n    return 'odd' if {tests} else 'even'\n") == [
        "if any of:",
        "   x.count('0') > 0",
        "   x.count('1') > 1",
        "   x.count('2') > 2",
        "   x.count('3') > 3",
        "   → odd",
        "otherwise",
        "   → even",
        "(in words, as its lines are long; the file has the code)",
    ]


def test_the_terminal_shows_a_narrow_program_and_one_that_is_no_tree_as_code() -> None:
    narrow = "def f(x):\n    return 1 if x else 0\n"
    assert shown(narrow) == narrow.splitlines()
    loop = f"def f(x):\n    for c in x:\n        return c in {'a' * 80!r}\n"
    assert shown(loop)[:2] == loop.splitlines()[:2]
