"""What the search believes of a program is what its source does, on any kind of row."""

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_pv.data.examples import Examples, Input, Scalar
from llm_pv.data.labels import label_text
from llm_pv.proposers.length_first.budget import Budget
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import source_of
from llm_pv.proposers.length_first.search import search

if TYPE_CHECKING:
    from collections.abc import Callable

HARD_TEXT = st.text(alphabet='01ab "\\{}()\n\0é漢😀-,7', max_size=9)
BINARY = st.text(alphabet="01", max_size=12)
NUMBERS = st.lists(st.integers(-50, 50), min_size=1, max_size=5).map(
    lambda numbers: " ".join(map(str, numbers))
)
DIGITS = st.integers(0, 10**25).map(str)
NAMES = ("age", "x", "class", "two words", 'quo"te', "{brace}", "numbers", "math")
VALUES = (
    st.one_of(st.none(), st.integers(-5, 5)),
    st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False)),
    st.one_of(st.none(), st.floats(-1, 1), st.booleans()),
    st.one_of(st.none(), st.sampled_from(["red", "green", "it's", "", "{s}"])),
    st.booleans(),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.integers(0, 3), st.sampled_from(["1", "a"])),
    HARD_TEXT,
)
TABLE_ROWS = st.fixed_dictionaries(dict(zip(NAMES, VALUES, strict=True)))
SPARSE_ROWS = st.fixed_dictionaries({"a": st.integers(0, 9)}, optional={"b": st.integers(0, 9)})

SMALL = Budget(candidates=150_000)


def agreements(rows: list[Input], labels: list[str]) -> list[tuple[str, bool]]:
    """Return each source with whether it answers every training row as the search says."""
    classes = sorted(set(labels))
    problem = Problem.of(Examples(rows, labels), classes, seed=0)
    results = []
    for candidate in search(problem, SMALL, lambda: False, lambda stage, tried: None):
        source = source_of(candidate)
        namespace: dict[str, Callable[[Input], object]] = {}
        exec(source, namespace)
        answers = [label_text(namespace["f"](row)) for row in rows]
        believed = [classes[code] if code >= 0 else None for code in candidate.answers[: len(rows)]]
        agree = [
            a == b if b is not None else a not in classes
            for a, b in zip(answers, believed, strict=False)
        ]
        wrong = sum(answer != label for answer, label in zip(answers, labels, strict=True))
        results.append((source, all(agree) and wrong == candidate.mistakes))
    return results


def labels_for(rows: list[Input], classes: int, seed: int) -> list[str]:
    """Return labels that depend on the rows a little, so that rules are found."""
    chance = random.Random(seed)
    names = ["no", "yes", "it's"][:classes]
    ranks = {repr(row): index for index, row in enumerate(sorted(rows, key=repr))}
    labels = [names[classes * ranks[repr(row)] // len(rows) % classes] for row in rows]
    return [label if chance.random() < 0.9 else chance.choice(names) for label in labels]


@pytest.mark.parametrize(
    "strategy", [HARD_TEXT, BINARY, NUMBERS, DIGITS, TABLE_ROWS, SPARSE_ROWS], ids=str
)
@pytest.mark.parametrize("classes", [2, 3])
def test_every_emitted_program_does_what_the_search_says(
    strategy: st.SearchStrategy[Input], classes: int
) -> None:
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(strategy, min_size=4, max_size=30), st.integers(0, 99))
    def check(rows: list[Input], seed: int) -> None:
        labels = labels_for(rows, classes, seed)
        for source, agrees in agreements(rows, labels):
            assert agrees, source

    check()


def test_numbers_too_large_to_be_exact_agree_too() -> None:
    table: list[dict[str, Scalar]] = [
        {"big": 2**53 + i, "huge": 10.0**300 * i, "infinite": float("inf") if i % 3 else -1.0}
        for i in range(40)
    ]
    rows: list[Input] = list(table)
    labels = ["1" if i % 5 else "0" for i in range(40)]
    for source, agrees in agreements(rows, labels):
        assert agrees, source


INFINITE = float("inf")


@pytest.mark.parametrize(
    ("rows", "classes"),
    [
        ([f"{i:02b}" for i in range(4)] * 3, 2),
        ([f"{i:03b}" for i in range(8)], 2),
        ([{"age": str(10 + i), "kept": i % 3} for i in range(40)], 2),
        ([{"day": f"2024-{1 + i % 12:02}-{1 + i % 28:02}"} for i in range(60)], 2),
        (["", "", "", ""], 2),
        (["\ud800", "\udfff\ud800", "\0", "\u2028"] * 3, 2),
        (["1e999", "-1e999", "nan", "1_000", "٣", " 1", "+1", "-0"] * 3, 3),
        ([str(10**399 + 7**i) for i in range(20)], 2),
        ([{"a": 10**60 * (-1) ** i, "b": i % 7} for i in range(40)], 2),
        ([{"a": 10**5000 if i % 2 else 0, "b": i % 7} for i in range(20)], 2),
        ([{"a": INFINITE if i % 3 == 0 else i % 5, "b": i % 7, "c": i % 4} for i in range(80)], 3),
        ([{"a": [1, "1", True, INFINITE, None, -0.0][i % 6]} for i in range(60)], 3),
        ([{"a": [1e308, -1e308, 1.7e308, 5e-324][i % 4], "b": i % 5} for i in range(40)], 3),
        ([{"a": 2**53 - 1 - i % 5, "b": 2**53 - 1 - i % 7, "c": i % 2} for i in range(40)], 2),
        (
            [
                {"": i % 2, "\n": i % 3, '"\\': i % 5, "__class__": i % 7, "None": i}
                for i in range(40)
            ],
            2,
        ),
        ([{"a": None} for _ in range(10)], 2),
    ],
)
def test_rows_of_rare_kinds_are_searched_without_a_warning(rows: list[Input], classes: int) -> None:
    texts = ["", 'a "quoted"\nlabel', "漢 \\{}"][:classes]
    labels = [texts[(i + i // 5) % classes] for i in range(len(rows))]
    for source, agrees in agreements(rows, labels):
        assert agrees, source
