"""The measure, priced by hand from its own definition."""

import ast
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.programs.description_length import VOCABULARY, description_length, number_bits
from llm_pv.programs.program import Program

# `f = VALUE`: a list of one statement 4, Assign 5, one target 4, Name 5, `f` 2 + 8.
AROUND = 4 + 5 + 4 + 5 + 10
CONSTANT = 5 + 3


def bits(source: str) -> int:
    return Program.parse(source).bits


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("None", CONSTANT + 2),
        ("True", CONSTANT + 2),
        ("...", CONSTANT + 2),
        ("0", CONSTANT + 1),
        ("1", CONSTANT + 4),
        ("1000", CONSTANT + 16),
        ("''", CONSTANT + 1),
        ("'a'", CONSTANT + 4 + 8),
        ("'é'", CONSTANT + 4 + 16),
        ("b'abc'", CONSTANT + 5 + 24),
        ("0.5", CONSTANT + 5 + 12),
        ("-1", 5 + 2 + CONSTANT + 4),
        ("len", 5 + 2 + 8),
        ("spam", 5 + 2 + 5 + 32),
        # Names seen before cost their number among these: the first 1 bit, the second 4.
        ("spam or eggs or eggs or spam", 5 + 1 + 5 + 2 * (5 + 2 + 5 + 32) + 2 * 7 + 4 + 1),
        # Call 5, function 15, one argument 4 and no keyword 1.
        ("len(0)", 5 + 15 + 4 + CONSTANT + 1 + 1),
        # Lambda 5; no positional-only 1, one argument 4 named %0 2 + 1 without annotation 1,
        # neither *args 1 nor keyword-only 1 and defaults 1 nor **kwargs 1 nor defaults 1; %0 5 + 3.
        ("lambda x: x", 5 + 1 + 4 + 3 + 1 + 1 + 1 + 1 + 1 + 1 + 5 + 3),
    ],
)
def test_a_value_costs_what_the_definition_says(value: str, expected: int) -> None:
    assert bits(f"f = {value}") == AROUND + expected


def test_writing_a_program_differently_costs_nothing() -> None:
    short = "def f(x): return [c for c in x]"
    long = '''
def f(a_long_name: str) -> list[str]:
    """Return the characters."""
    return [
        another_name  # one by one
        for another_name in a_long_name
    ]
'''
    assert bits(short) == bits(long)


@given(st.integers(0, 10**40))
def test_the_number_code_is_elias_delta(number: int) -> None:
    digits = math.floor(math.log2(number + 1)) + 1 if number < 2**40 else (number + 1).bit_length()
    assert number_bits(number) == (digits - 1) + (len(f"{digits:b}") - 1) + len(f"{digits:b}")


def test_the_number_code_is_decodable() -> None:
    # Kraft's sum stays below one, as any prefix code's does.
    assert sum(2.0 ** -number_bits(number) for number in range(100_000)) < 1


@given(st.text(max_size=30), st.text(min_size=1, max_size=5))
def test_a_longer_literal_costs_more(text: str, more: str) -> None:
    shorter, longer = (
        description_length(ast.parse(f"f = {value!a}")) for value in (text, text + more)
    )
    assert shorter < longer


@given(st.integers(0, 10**30))
def test_a_larger_number_costs_as_much_or_more(number: int) -> None:
    assert number_bits(number) <= number_bits(number + 1) < number_bits(4 * number + 4)


def test_a_table_of_answers_costs_more_than_the_rule_behind_it() -> None:
    table = {f"{i:08b}": i % 2 for i in range(64)}
    assert bits(f"f = {table!r}.get") > 10 * bits("def f(x): return x[-1] == '1'")


def test_the_vocabulary_fits_one_byte_a_name() -> None:
    assert len(VOCABULARY) <= 256
    assert all(name.isidentifier() for name in VOCABULARY)
