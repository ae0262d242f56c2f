"""Published lists of rules: they load, and their rows are those that were measured."""

from pathlib import Path

import pytest
from benchmarks.rules import digest, draw, lists, load
from benchmarks.searching import count_tests

LIST = """
[[rule]]
name = "even_total"
kind = "digits"
sentence = "yes when the digits add up to an even number"
classes = ["yes", "no"]
code = '''
def make(chance):
    return "".join(chance.choices("0123456789", k=6))


def label(x):
    return "yes" if sum(map(int, x)) % 2 == 0 else "no"
'''
probes = '''
["2", "yes"]
["21", "no"]
'''
"""


@pytest.mark.parametrize("name", [f"round{number}" for number in range(1, 7)])
def test_a_published_list_has_forty_rules_with_sentences(name: str) -> None:
    rules = load(name)
    assert len(rules) == 40
    assert all(rule.sentence and rule.digest for rule in rules)


@pytest.mark.parametrize("name", lists())
def test_the_rows_of_a_list_are_those_that_were_measured(name: str) -> None:
    for rule in load(name)[::20]:
        assert digest(rule) == rule.digest, rule.name


def test_rows_are_distinct_rightly_labelled_and_follow_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LIST)
    (rule,) = load(str(path))
    rows = draw(rule, seed=3, test=50)
    inputs = [*rows.train.inputs, *rows.validation.inputs, *rows.test.inputs]
    labels = [*rows.train.labels, *rows.validation.labels, *rows.test.labels]
    assert len(set(map(str, inputs))) == 250
    for text, label in zip(inputs, labels, strict=True):
        assert label == ("no" if sum(str(text).count(digit) for digit in "13579") % 2 else "yes")
    assert draw(rule, seed=3, test=50) == rows
    assert draw(rule, seed=4, test=50) != rows
    assert rule.probes == (("2", "yes"), ("21", "no"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LIST + LIST, "'even_total' is used twice"),
        (LIST.replace("kind", "sort"), "'even_total' lacks kind"),
        (LIST.replace("def label", "def answer"), "'even_total' must define make and label"),
    ],
)
def test_a_damaged_list_is_refused_with_the_rule_named(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load(str(path))


@pytest.mark.parametrize(
    ("body", "tests"),
    [
        ("x > 3", 1),
        ("0 < x < 9 or x == 12", 3),
        ("x.isdigit() and x[0] in 'ab'", 2),
        ("1 if x else 0", 1),
        ("(x > 1) + (x > 5) >= 2", 3),
    ],
)
def test_tests_of_a_program_are_counted(body: str, tests: int) -> None:
    assert count_tests(f"def f(x):\n    return {body}") == tests
