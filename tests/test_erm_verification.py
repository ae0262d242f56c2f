"""Which training rows a program gets wrong, and which error is told first."""

import math
from dataclasses import dataclass, field
from typing import Any

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.metrics import Metric
from llm_pv.erm.scoring import Score
from llm_pv.erm.verification import (
    NOT_A_CLASS,
    Verification,
    first_error,
    training_mistakes,
    verification_inputs,
    verify_programs,
)
from llm_pv.programs.program import Program
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
    seen: Any = Execution(Outcome.FINISHED, (None, "x" * 41, "z"), errors={2: "third", 1: "second"})
    assert first_error(seen, None) == "second"
    many = Classes(tuple(f"c{n}" for n in range(9)), tuple(range(9)))
    assert first_error(Execution(Outcome.FINISHED, (None, "x" * 41)), many) == (
        f"gave an answer that is none of the classes: '{'x' * 40}', not one of c0, c1, c2, c3, c4, "
        "c5, c6, c7"
    )


def test_at_most_three_different_errors_are_run_again_for_their_line(sandbox: Sandbox) -> None:
    rows = Examples(["a", "b", "a", "c", "d"], ["1"] * 5)
    found = training_mistakes("def f(x):\n    raise ValueError(x)\n", rows, CLASSES, sandbox)
    line = " (line 2)"
    assert [(one.got, one.failed) for one in found] == [
        (f"ValueError: {text}", True)
        for text in ("a" + line, "b" + line, "a" + line, "c" + line, "d")
    ]


@dataclass
class Answering(Sandbox):
    """Gives executions that were made before, and notes what it is asked to run."""

    executions: list[Execution] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def predict_many(self, sources: Any, inputs: Any, **more: Any) -> Any:
        self.asked.append((list(sources), list(inputs), more))
        return iter(self.executions)


def test_each_split_is_scored_by_its_own_answers_labels_and_weights() -> None:
    splits = Splits(
        Examples(["t1", "t2"], ["1", "1"], weights=[2.0, 3.0]),
        Examples(["v1", "v2", "v3"], ["0", "1", "1"], weights=[5.0, 7.0, 8.0]),
        Examples(["e"], ["0"]),
        CLASSES,
    )
    ended = Execution(
        Outcome.TIMED_OUT, ("0", "0", "odd", "1", None), reason="2 s are over", wall_seconds=1.5
    )
    sandbox = Answering(executions=[ended])
    inputs = verification_inputs(splits)
    programs, metric = [Program("f = len\n", "digest", 1)], Metric("balanced-accuracy")
    # Training: wrong on weight 3 of 5. Validation: recalls of 5 / 5 and of 0 / 15.
    cases: list[tuple[dict[str, Any], float, float, float]] = [
        ({"metric": metric, "deadline": 7.0}, 7.0, 1 - 2 / 5, 0.5),
        ({}, math.inf, 3.0, 15.0),
    ]
    for chosen, deadline, train, validation in cases:
        [found] = verify_programs(programs, splits, inputs, sandbox, **chosen)
        assert found == Verification(
            Score(2, 1, 1, 0.5, train), Score(3, 2, 1, 0.5, validation), Outcome.TIMED_OUT,
            "timed out: 2 s are over", 1.5,
        )  # fmt: skip
        assert sandbox.asked.pop() == (
            ["f = len\n"], ["v1", "v2", "v3", "t1", "t2"], {"deadline": deadline},
        )  # fmt: skip
