"""Which training rows a program gets wrong, and which error is told first."""

from llm_pv.data.examples import Classes, Examples
from llm_pv.erm.verification import NOT_A_CLASS, first_error, training_mistakes
from llm_pv.proposers.base import Mistake
from llm_pv.sandbox import Execution, Outcome, Sandbox

CLASSES = Classes(("0", "1"), (0, 1))
PROGRAM = """
def f(x):
    if x == "boom":
        raise ValueError("of " + x)
    return {"right": 1, "wrong": 0, "none": None, "strange": "maybe"}[x]
"""


def test_exactly_the_rows_that_are_wrong_come_back_with_label_and_answer(sandbox: Sandbox) -> None:
    train = Examples(["right", "wrong", "none", "strange", "boom", "right"], ["1"] * 6)
    found = training_mistakes(PROGRAM, train, CLASSES, sandbox)
    assert [mistake.input for mistake in found] == ["wrong", "none", "strange", "boom"]
    assert {mistake.expected for mistake in found} == {"1"}
    wrong, none, strange, boom = found
    assert wrong == Mistake("wrong", "1", "0")
    assert "None" in none.got
    assert strange.got == "maybe"
    assert "ValueError: of boom" in boom.got


def test_a_program_without_mistakes_sends_no_row_back(sandbox: Sandbox) -> None:
    train = Examples(["a", "b"], ["1", "1"])
    assert training_mistakes("def f(x):\n    return 1\n", train, CLASSES, sandbox) == []


def test_the_error_of_the_first_row_that_fails_is_told(sandbox: Sandbox) -> None:
    source = "def f(x):\n    return 1 if x == 'a' else int(x)\n"
    execution = sandbox.predict(source, ["a", "second", "first"])
    told = first_error(execution, CLASSES)
    assert "second" in told
    assert "first" not in told.replace("first row", "")


def test_an_answer_that_is_no_class_is_an_error_and_a_class_is_none(sandbox: Sandbox) -> None:
    strange = sandbox.predict("def f(x):\n    return x\n", ["1", "7"])
    assert first_error(strange, CLASSES).startswith(f"{NOT_A_CLASS}: '7', not one of 0, 1")
    assert first_error(strange, None) == ""
    assert first_error(sandbox.predict("def f(x):\n    return 1\n", ["a"]), CLASSES) == ""


def test_why_a_run_ended_early_comes_before_the_errors_of_rows() -> None:
    execution = Execution(Outcome.TIMED_OUT, (None,), errors={0: "of a row"}, reason="2 s are over")
    assert first_error(execution, CLASSES).endswith(": 2 s are over")
