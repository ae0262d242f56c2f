"""The survey of training rows: formats, what is constant, telling conditions, its deadline."""

import time

import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.llm.survey import Survey, formats, telling_conditions
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
    return telling_conditions(problem)


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
