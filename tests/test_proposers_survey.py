"""The survey of training rows: formats, what is constant, telling conditions, its deadline."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.llm import survey
from llm_pv.proposers.llm.survey import Survey, formats, informative_conditions
from llm_pv.search.problem import Problem


def test_formats_are_counted_and_what_is_the_same_is_named() -> None:
    codes = ["AB-17-x", "CD-205-x", "EF-33-x", "GH-4-x"]
    assert formats(Examples(codes, ["0"] * 4)) == [
        "Formats (A letters, a small letters, 9 digits, with how many):",
        '  A{2}-9{2}-a{1}: 2 rows, such as "AB-17-x"',
        '  A{2}-9{3}-a{1}: 1 row, such as "CD-205-x"',
        '  A{2}-9{1}-a{1}: 1 row, such as "GH-4-x"',
        'The same in all rows: they end with "-x"',
    ]


def test_texts_of_few_symbols_have_no_format_and_many_formats_are_coarse() -> None:
    bits = Examples(["0101", "1100", "0011"], ["0"] * 3)
    assert formats(bits) == ["The same in all rows: the length, 4"]
    words = [f"{'a' * (n % 13 + 1)} {'b' * (n % 11 + 1)}-{n:0{n % 5 + 1}d}" for n in range(40)]
    assert formats(Examples(words, ["0"] * 40))[:2] == [
        "Formats (A letters, a small letters, 9 digits):",
        '  a a-9: 40 rows, such as "a b-0"',
    ]


def test_columns_that_never_vary_are_named_and_columns_of_text_have_formats() -> None:
    rows = [{"id": f"K{n}", "unit": "kg", "size": n} for n in range(12)]
    assert formats(Examples(rows, ["0"] * 12)) == [  # type: ignore[arg-type]
        'Column "id": Formats (A letters, a small letters, 9 digits, with how many):',
        '  A{1}9{1}: 10 rows, such as "K0"',
        '  A{1}9{2}: 2 rows, such as "K10"',
        "The same in all rows: column \"unit\" is 'kg'",
    ]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Sizes from 0 to 79 in steps; large from 50 on, with one label of each class wrong."""
    sizes = [(number * 37) % 80 for number in range(80)]
    rows = [{"size": size, "colour": "red" if size % 2 else "blue"} for size in sizes]
    labels = ["large" if (size >= 50) != (size in {3, 77}) else "small" for size in sizes]
    problem = Problem.of(Examples(rows, labels), ("large", "small"))  # type: ignore[arg-type]
    return informative_conditions(problem)


def test_the_condition_that_tells_most_comes_with_its_counts(lines: list[str]) -> None:
    best = lines[1]
    assert 'x["size"] >= 50' in best
    # From 50 to 79 are 30 sizes, 77 labelled small; of the 50 others 3 is labelled large.
    assert best.endswith("large: 29, small: 1 | small: 49, large: 1")


def test_every_column_has_a_condition_whatever_little_it_tells(lines: list[str]) -> None:
    place = lines.index(" columns that these leave out:")
    # Of 40 red, odd sizes 15 are from 51 on: less 77, more 3. Of 40 blue ones 15 are large.
    assert 'x["colour"] == ' in lines[place + 1]
    assert lines[place + 1].endswith("small: 25, large: 15 | small: 25, large: 15")


def test_conditions_that_say_the_same_are_shown_once(lines: list[str]) -> None:
    assert 2 <= len(lines) <= 20
    assert sum('x["size"] >= 5' in line for line in lines) == 1


def test_a_survey_that_fails_ends_no_conversation() -> None:
    rows = Examples(["a", "b"], ["0", "of no class"])
    assert Survey(rows, Classes.of(["0"]), seed=0).text() == "The survey failed: do without it."


def test_a_deadline_cuts_the_survey_and_what_was_found_is_kept() -> None:
    texts = [f"{(number * 7919) % 10**9:09d}-{number}" for number in range(300)]
    rows = Examples(texts, [str(number % 3) for number in range(300)])
    began = time.monotonic()
    text = Survey(rows, Classes.of(rows.labels), seed=0, seconds=0.1).text()
    assert time.monotonic() - began < 60
    assert text.startswith(("Survey of 300 training rows.", "There was no time"))
    assert text.endswith("It was cut short by its limit on time or memory.")


def test_labels_are_counted_the_most_frequent_first_and_up_to_four() -> None:
    problem: Any = SimpleNamespace(
        codes=np.array([5, 0, 0, 1, 1, 1, 2, 3, 4, 4, 4, 4]),
        classes=("a", "b", "c" * 41, "d", "e", "f"),
    )
    every = np.ones(12, dtype=bool)
    assert survey._counts(problem, every) == "e: 4, b: 3, a: 2, f: 1, and 2 labels more"
    assert survey._counts(problem, every & (problem.codes != 5)) == (
        f"e: 4, b: 3, a: 2, {'c' * 40}...: 1, and 1 labels more"
    )
    assert survey._counts(problem, problem.codes < 2) == "b: 3, a: 2"


def conditions(*codes: str, truth: Any = None) -> Any:
    """Conditions as a pool has them, each of one bit, on 100 rows."""
    rows = np.arange(100)
    truths = [rows < 10 * (place + 1) for place in range(len(codes))] if truth is None else truth
    expressions = [SimpleNamespace(code=code, needs=()) for code in codes]
    return SimpleNamespace(
        truth=np.array(truths), bits=np.ones(len(codes)), expression=expressions.__getitem__
    )


def test_conditions_that_agree_with_a_better_one_are_left_out() -> None:
    rows = np.arange(100)
    truth = [rows < 50, rows < 58, rows >= 50, rows < 59, rows % 2 == 0, rows % 3 == 0, rows < 30]
    pool = conditions("a", "b", "c", "d", "e" * 161, "f" * 160, "g", truth=truth)
    gain = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 0.0])
    shown: list[int] = []
    # b agrees with a on 92 rows, c on none, d on 91; e is too long, g tells nothing.
    assert list(survey._different(pool, gain, 9, shown)) == [0, 3, 5]
    assert shown == [0, 3, 5]
    assert list(survey._different(pool, gain, 2, [])) == [0, 3]
    assert list(survey._different(pool, gain[::-1], 1, [])) == [6]
    pool.bits = np.array([9.0, 1, 1, 1, 1, 1, 1])  # a costs as much as it tells
    assert list(survey._different(pool, gain, 1, [])) == [1]


def test_columns_of_no_shown_condition_have_their_best_one() -> None:
    pool = conditions(
        'x["a"] > 1', 'x["b"] > 1', 'x["c"] > x["d"]', 'x["b"] > 2', 'x["d"] > 1', "y"
    )
    problem: Any = SimpleNamespace(
        frame=SimpleNamespace(rows=[{"a": 1, "b": 2}, "text", {"c": 3, "d": 4}])
    )
    gain = np.array([9.0, 5.0, 8.0, 6.0, 1.0, 7.0])
    assert list(survey._of_other_columns(pool, gain, problem, [0])) == [3, 4]
    assert list(survey._of_other_columns(pool, gain, problem, [0, 1, 2])) == []
    assert list(survey._of_other_columns(pool, gain, problem, [2])) == [0, 3]
    assert survey._columns_of(pool, 2, ["a", "b", "c", "d"]) == {"c", "d"}
    names = [f"c{number}" for number in range(32)]
    many = conditions(*(f'x["{name}"] > 1' for name in names))
    problem.frame.rows = [dict.fromkeys(names, 0)]
    # Beyond thirty columns no further ones are looked for.
    assert len(list(survey._of_other_columns(many, np.ones(32), problem, []))) == 31
