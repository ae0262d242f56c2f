"""A program's leaves: every answer has a number, and lines say how it is reached."""

import io
import textwrap
from typing import Any

import pytest
from rich.console import Console

from llm_pv.cli.learned_tables import shown_program
from llm_pv.errors import ProgramError
from llm_pv.programs.leaves import conditions, leaves

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
    assert leaves(source)["lines"][1:] == [(1, "1", 0), (0, "no answer", 1)]
    assert number_of(source, {"n": 0}) == 1


IN_A_BLOCK = "the program returns inside a loop or a similar block"
MANY = "\n    ".join(f"if x == {n}: return {n}" for n in range(40))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("for c in x:\n        if c == '1':\n            return 1\n    return 0", IN_A_BLOCK),
        ("try:\n        return int(x)\n    except ValueError:\n        return 0", IN_A_BLOCK),
        ("if x:\n        with x:\n            return 1\n    return 0", IN_A_BLOCK),
        ("return len(x) % 2", "the program has 1 leaves"),
        (f"{MANY}\n    return 40", "the program has 41 leaves"),
        (MANY, "the program has 41 leaves"),
    ],
)
def test_what_is_no_chain_of_conditions_is_refused(source: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        leaves(f"def f(x):\n    {source}\n")
    assert str(caught.value) == reason


@pytest.mark.parametrize("source", ["def g(x): return 1", "f = len", "def f(): return 1"])
def test_a_program_without_a_function_f_of_an_input_has_no_leaves(source: str) -> None:
    for read in (leaves, conditions):
        with pytest.raises(ProgramError) as caught:
            read(source)
        assert str(caught.value) == "the program is no function f of one input"


def test_from_as_few_leaves_as_asked_for_to_forty_are_taken() -> None:
    assert leaves("def f(x): return len(x)", 1)["source"] == "def f(x):\n    return 0\n"
    assert leaves(f"def f(x):\n    {MANY}\n    raise ValueError")["lines"][-2] == (1, "39", 39)
    with pytest.raises(ProgramError, match="has 2 leaves"):
        leaves("def f(x): return 1 if x else 0", 3)


WIDE = [letter * 28 for letter in "abc"]  # 59 characters are a + b; a - c has as many
LINES: dict[str, list[tuple[int, str, int | None]]] = {
    # What follows a condition whose every way returns is its other side.
    "if x: return 1\n return x": [
        (0, "if x", None), (1, "1", 0), (0, "otherwise", None), (1, "x", 1),
    ],
    "if x:\n  if x > 1: return 1\n return 2": [
        (0, "if x", None), (1, "if x > 1", None), (2, "1", 0), (0, "2", 1),
    ],
    "if x:\n  if x > 1: return 1\n  else: raise x\n return 2": [
        (0, "if x", None), (1, "if x > 1", None), (2, "1", 0), (1, "otherwise", None),
        (2, "raise x", None), (0, "otherwise", None), (1, "2", 1),
    ],
    "if x: return 1\n else: y = 2\n return 2": [
        (0, "if x", None), (1, "1", 0), (0, "otherwise", None), (1, "y = 2", None), (0, "2", 1),
    ],
    "if x: return 1\n y = 2\n return y": [
        (0, "if x", None), (1, "1", 0), (0, "y = 2", None), (0, "y", 1),
    ],
    "if x: return 1\n if x > 1: y = 2\n return 2": [
        (0, "if x", None), (1, "1", 0), (0, "if x > 1:\n    y = 2", None), (0, "2", 1),
    ],
    "y = 1\n if x: return 1\n return 2": [
        (0, "y = 1", None), (0, "if x", None), (1, "1", 0), (0, "otherwise", None), (1, "2", 1),
    ],
    "if x:\n  if y: return 1\n  return 2\n return 3": [
        (0, "if x", None), (1, "if y", None), (2, "1", 0), (1, "otherwise", None), (2, "2", 1),
        (0, "otherwise", None), (1, "3", 2),
    ],
    # Whether an answer may be missing.
    "if x: return": [(0, "if x", None), (1, "None", 0), (0, "no answer", 1)],
    "if x: return 1\n else: return 2": [
        (0, "if x", None), (1, "1", 0), (0, "otherwise", None), (1, "2", 1),
    ],
    "if x: y = 1\n else: return 2": [
        (0, "if x", None), (1, "y = 1", None), (0, "otherwise", None), (1, "2", 0),
        (0, "no answer", 1),
    ],
    "if x: return 1\n elif y: return 2": [
        (0, "if x", None), (1, "1", 0), (0, "otherwise, if y", None), (1, "2", 1),
        (0, "no answer", 2),
    ],
    "if x: return 1\n elif y: return 2\n raise x": [
        (0, "if x", None), (1, "1", 0), (0, "otherwise, if y", None), (1, "2", 1),
        (0, "raise x", None),
    ],
    # Texts that are no docstring, what follows a return, a chain of expressions.
    "'doc'\n 'more'\n x += 1\n y = z = x\n return 'a' if x else 2 if y else [3]\n return 4": [
        (0, "'more'", None), (0, "x += 1", None), (0, "y = z = x", None), (0, "if x", None),
        (1, "a", 0), (0, "otherwise, if y", None), (1, "2", 1), (0, "otherwise", None),
        (1, "[3]", 2),
    ],
    # Long conditions and answers.
    f"return 1 if {WIDE[0]} and {WIDE[1]} and x else 0": [
        (0, "if all of:", None), (1, WIDE[0], None), (1, WIDE[1], None), (1, "x", None),
        (1, "1", 0), (0, "otherwise", None), (1, "0", 1),
    ],
    f"return {WIDE[0]} - {WIDE[1]}b if x or {WIDE[0]} or {WIDE[2]} else {WIDE[1]} - ccc{WIDE[2]}": [
        (0, "if any of:", None), (1, "x", None), (1, WIDE[0], None), (1, WIDE[2], None),
        (1, f"{WIDE[0]} - {WIDE[1]}b", 0), (0, "otherwise", None), (1, "the sum of:", 1),
        (2, WIDE[1], None), (2, f"minus ccc{WIDE[2]}", None),
    ],
    f"return 1 if not ({WIDE[0]} or {WIDE[1]}) else {WIDE[0]} * {WIDE[1]} + x * 2": [
        (0, "if none of:", None), (1, WIDE[0], None), (1, WIDE[1], None), (1, "1", 0),
        (0, "otherwise", None), (1, "the sum of:", 1),
        (2, f"{WIDE[0]} * {WIDE[1]}", None), (2, "x * 2", None),
    ],
    f"return 1 if ({WIDE[0]} and {WIDE[1]}) + 1 > 2 + x else (x and {WIDE[0]}) + {WIDE[1]}": [
        (0, f"if ({WIDE[0]} and {WIDE[1]}) + 1 > 2 + x", None), (1, "1", 0),
        (0, "otherwise", None), (1, "the sum of:", 1), (2, f"x and {WIDE[0]}", None),
        (2, WIDE[1], None),
    ],
    f"return 1 if x else {WIDE[0]} - ({WIDE[1]} + ({WIDE[1]} - x - 1))": [
        (0, "if x", None), (1, "1", 0), (0, "otherwise", None), (1, "the sum of:", 1),
        (2, WIDE[0], None), (2, "minus the sum of:", None), (3, WIDE[1], None),
        (3, f"{WIDE[1]} - x - 1", None),
    ],
}  # fmt: skip


@pytest.mark.parametrize("body", LINES)
def test_lines_say_how_each_answer_is_reached(body: str) -> None:
    assert leaves(f"def f(x):\n {body}")["lines"] == LINES[body]


def test_columns_are_those_of_the_last_f_with_the_numbers_they_are_compared_with() -> None:
    source = """
        def f(y):
            return y['old'] > 1
        def f(x, z=1):
            if y['a'] > 1 and x.get('b', 2) >= 2.5 > x['c'] and 3 == x['a'] != 3 > x['d']:
                return x['b'] in (1, 2) or x['a'] > True or x['a'] < '7' or x['a'] > -1
            return x.pop('e') > z.get('g') > 4 or 2 < x['b'] < x['c'] < 0.5 or x[0] > 1
    """
    found = leaves(textwrap.dedent(source))
    assert found["columns"] == {"b": [2.5, 2], "c": [2.5, 0.5], "a": [3, -1], "d": [3]}
    assert not found["whole"]


def test_each_condition_is_left_out_by_itself() -> None:
    source = """
        def f(row):
            if row['a'] > 1 or not row['b']:
                return sum(c for c in row['t'] if c == 'x' if c) + (row['a'] < 5)
            if row['b']:
                return (row['a'] < 1) * (row['c'] == 2) + 7
            return 1 if row['a'] and (row['b'] or row['c']) else row['a'] > 3
    """
    found = conditions(textwrap.dedent(source))
    assert [text for text, _ in found] == [
        "a > 1", "not b", "c == 'x'", "c", "a < 5", "b", "a < 1", "c == 2", "a", "b", "c",
    ]  # fmt: skip
    total = "        return sum((c for c in row['t'] if c == 'x' if c)) + (row['a'] < 5)"
    last = "    return 1 if row['a'] and (row['b'] or row['c']) else row['a'] > 3"
    lines = [
        "    if False or not row['b']:",
        "    if row['a'] > 1 or False:",
        total.replace("c == 'x'", "True"),
        total.replace("if c)", "if True)"),
        total.replace("(row['a'] < 5)", "False"),
        "    if False:",
        "        return False * (row['c'] == 2) + 7",
        "        return (row['a'] < 1) * False + 7",
        last.replace("if row['a']", "if True"),
        last.replace("row['b']", "False"),
        last.replace("row['c']", "False"),
    ]
    numbers = [1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5]
    for (_, without), number, line in zip(found, numbers, lines, strict=True):
        assert without.splitlines()[number] == line
    without_b = [without.splitlines()[:3] + without.splitlines()[4:] for _, without in found][5]
    assert without_b[1:] == [
        "    if row['a'] > 1 or not row['b']:", total,
        "        return (row['a'] < 1) * (row['c'] == 2) + 7", last,
    ]  # fmt: skip
    many = "def f(x): return " + " or ".join(f"x == {n}" for n in range(30))
    assert [text for text, _ in conditions(many)] == [f"x == {n}" for n in range(24)]


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
    assert leaves("'doc'\nimport math\n" + rule)["whole"]


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
