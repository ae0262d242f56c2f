"""The training rows that a model may be shown again: exactly those that its program got wrong."""

from collections.abc import Iterator

import pytest

from llm_pv.data.examples import Classes, Examples
from llm_pv.erm.verification import training_mistakes
from llm_pv.proposers.base import Mistake
from llm_pv.sandbox import Sandbox

BITS = Classes.of([0, 1])
ROWS = Examples(["00", "01", "10", "11"], ["0", "1", "1", "0"])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def test_the_rows_a_program_gets_wrong_come_back_with_label_and_answer(sandbox: Sandbox) -> None:
    found = training_mistakes("def f(x):\n    return int(x[0])\n", ROWS, BITS, sandbox)
    assert found == [Mistake("01", "1", "0"), Mistake("11", "0", "1")]
    assert training_mistakes("def f(x):\n    return x in ('01', '10')\n", ROWS, BITS, sandbox) == []


def test_what_is_no_label_is_told_as_it_was_answered(sandbox: Sandbox) -> None:
    source = "def f(x):\n    return {'00': None, '01': 7}.get(x, int(x == '10'))\n"
    assert training_mistakes(source, ROWS, BITS, sandbox) == [
        Mistake("00", "0", "TypeError: a NoneType is no label", failed=True),
        Mistake("01", "1", "7", failed=True),
    ]


def test_an_error_names_the_line_of_the_program_it_came_from(sandbox: Sandbox) -> None:
    source = "def g(x):\n    return 1 // int(x)\n\n\ndef f(x):\n    return g(x) and x == '10'\n"
    assert training_mistakes(source, ROWS, BITS, sandbox) == [
        Mistake(
            "00",
            "0",
            "ZeroDivisionError: integer division or modulo by zero (line 2)",
            failed=True,
        ),
        Mistake("01", "1", "0"),
        Mistake("10", "1", "0"),
    ]


def test_a_crash_of_many_rows_is_an_error_in_each(sandbox: Sandbox) -> None:
    rows = Examples([f"{number:04b}" for number in range(16)], ["0", "1"] * 8)
    found = training_mistakes("def f(x):\n    return {}[1]\n", rows, BITS, sandbox)
    assert len(found) == 16
    assert {each.got for each in found} == {"KeyError: 1 (line 2)", "an error"}


def test_a_program_that_fails_when_it_is_loaded_is_wrong_on_every_row(sandbox: Sandbox) -> None:
    found = training_mistakes("import numby\nf = len\n", ROWS, BITS, sandbox)
    assert [each.input for each in found] == ["00", "01", "10", "11"]
    assert all("numby" in each.got and "(line 1)" in each.got for each in found)
    assert all(each.failed for each in found)
