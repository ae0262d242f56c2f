"""Rows of every kind through the built-in search: no failure, no warning, no wrong belief."""

import math
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_pv.data.examples import Examples, Input, Scalar
from llm_pv.data.labels import label_text
from llm_pv.search.emit import source_of
from llm_pv.search.engine import search
from llm_pv.search.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = 0.02
"""The budget beside the usual one."""

ALPHABETS = (
    *("0", "01", "ab", "0123456789", "(){}[]<>", "u0v1", "aB c", "\"'\\{}\n"),
    *("é漢😀", "\ud800\udfff", "\0\r\u2028", "٠١²½", "ıİßſ"),
)
WORDS = st.sampled_from(ALPHABETS).flatmap(
    lambda alphabet: st.integers(0, 6).flatmap(
        lambda most: st.lists(st.text(alphabet, min_size=most % 3, max_size=most), min_size=30)
    )
)
INTEGERS = st.integers(-20, 20) | st.integers(-(10**30), 10**30)
EDGES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=5).map(
    lambda edges: "".join(f"u{a}v{b}" for a, b in edges)
)
NUMERALS = st.sampled_from(
    (
        "1e999",
        "nan",
        "-inf",
        "0x1F",
        "1_000",
        " 12 ",
        "+5",
        "-0",
        "007",
        "-3",
        "2.50",
        "",
        "9" * 400,
    )
)
LISTS = st.sampled_from(", ").flatmap(
    lambda separator: st.lists(INTEGERS, max_size=5).map(
        lambda numbers: separator.join(map(str, numbers))
    )
)
SENTENCES = st.lists(st.text("abcX'", min_size=1, max_size=4), max_size=5).map(" ".join)
ODD_NUMBERS = st.sampled_from(
    (
        *(0, 1, -1, 2**53 + 1, 2**63, -(2**64), 10**60, 10**400, 10**5000),
        *(-0.0, 0.1, 1e22, 5e-324, 1.7e308, -1.7e308, math.inf, -math.inf),
    )
)
CELLS: tuple[st.SearchStrategy[Scalar], ...] = (
    *(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-1, 1), ODD_NUMBERS, INTEGERS),
    *(NUMERALS, EDGES, LISTS, st.dates().map(str), st.sampled_from(("red", "it's", "{s}", ""))),
    *(st.sampled_from((1, 1.0, True, "1", None, math.inf, "a")), st.floats()),
)
COLUMN_NAMES = (
    st.text(max_size=4)
    | st.sampled_from(
        ("", "x", "f", "math", "class", "numbers", "\n", "a\"b'c", "\\", "{s}", "__class__", "None")
    )
    | st.sampled_from(("count_1", "count_2", "If 2"))
)
LABELS = st.sampled_from(
    ("0", "1", "no", "yes", "it's", 'say "no"', "a\nb", "é😀", "", "-1", "-0", "007", "{}", "\\")
)


@st.composite
def tables(draw: st.DrawFn) -> list[Input]:
    """Draw rows with one kind of cell a column, some missing, in some rows the column itself."""
    names = draw(st.lists(COLUMN_NAMES, max_size=4, unique=True))
    cells = {name: draw(st.sampled_from(CELLS)) for name in names}
    holes = draw(st.booleans())
    values = {name: st.none() | cell if holes else cell for name, cell in cells.items()}
    optional = draw(st.sampled_from(names)) if holes and names and draw(st.booleans()) else None
    required = {name: value for name, value in values.items() if name != optional}
    rest = {name: values[name] for name in values if name == optional}
    return list(draw(st.lists(st.fixed_dictionaries(required, optional=rest), min_size=1)))


STRINGS = st.one_of(
    WORDS,
    *(
        st.lists(kind, min_size=1)
        for kind in (NUMERALS, EDGES, LISTS, SENTENCES, st.dates().map(str), st.text(max_size=6))
    ),
)


def disagreement(rows: list[Input], labels: list[str]) -> str:
    """Return a program that answers a training row otherwise than the search believes, or none."""
    classes = sorted(set(labels))
    problem = Problem.of(Examples(rows, labels), classes, seed=0)
    problem.scale = TINY
    for candidate in search(problem, lambda _stage, _account, _found: None)[0]:
        source = source_of(candidate.program, problem.classes)
        namespace: dict[str, Callable[[Input], object]] = {}
        exec(source, namespace)
        for row, code in zip(rows, candidate.answers.tolist()[: problem.size], strict=True):
            answer = label_text(namespace["f"](row))
            if (answer != classes[code]) if code >= 0 else (answer in classes):
                return f"{source}\n{row!r}: {answer!r}"
    return ""


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(STRINGS | tables(), st.data())
def test_no_kind_of_row_makes_the_search_fail_warn_or_believe_wrongly(
    rows: list[Input], data: st.DataObject
) -> None:
    known = data.draw(
        st.lists(LABELS, min_size=1, max_size=3, unique=True)
        | st.just([str(number) for number in range(30)])
    )
    chance = data.draw(st.randoms(use_true_random=False))
    period = data.draw(st.integers(1, 5))
    labels = [
        known[index // period % len(known)] if chance.random() < 0.9 else chance.choice(known)
        for index in range(len(rows))
    ]
    assert disagreement(rows, labels) == ""
