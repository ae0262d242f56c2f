"""Which training rows a program gets wrong, and which error is told first."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.metrics import Metric
from llm_pv.erm.scoring import Score
from llm_pv.erm.verification import (
    NOT_A_CLASS,
    Verification,
    Verifier,
    first_error,
    training_mistakes,
    verification_inputs,
    verify_programs,
)
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Mistake, Proposal
from llm_pv.sandbox import Execution, Limits, Outcome, Sandbox

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


@dataclass
class Clocked(Sandbox):
    """Takes ten seconds of its own clock for a program, and notes how many come together."""

    together: int = 3
    outcome: Outcome = Outcome.FINISHED
    now: float = 100.0
    asked: list[tuple[int, float]] = field(default_factory=list)

    @property
    def ahead(self) -> int:
        return self.together

    def predict_many(self, sources: Any, inputs: Any, *, deadline: float = math.inf) -> Any:
        self.asked.append((len(sources), deadline))
        for _ in sources:
            self.now += 10.0
            yield Execution(self.outcome, ("1",) * len(inputs), wall_seconds=10.0)


ONE_ROW = Examples(["a"], ["1"])
SPLITS = Splits(ONE_ROW, Examples(["v", "w"], ["1", "0"]), ONE_ROW, CLASSES)


def proposals(number: int) -> list[Proposal]:
    return [Proposal(f"def f(x):\n    return x + {n!r}\n") for n in range(number)]


@pytest.mark.parametrize(
    ("together", "ahead", "sizes"),
    [(3, False, [1] * 6), (3, True, [1, 2, 4, 8, 8, 7]), (12, True, [1, 2, 4, 8, 12, 3])],
)
def test_free_programs_are_verified_more_and_more_together(
    together: int, ahead: bool, sizes: list[int]
) -> None:
    sandbox = Clocked(together=together)
    verifier = Verifier(SPLITS, sandbox, seed=0)
    made = proposals(40)
    after = [Attempt(1, Proposal("no")), Attempt(2, Proposal("no"))]
    found = list(verifier.verify(iter(made), after=after, limit=2 + sum(sizes), ahead=ahead))
    assert [size for size, _ in sandbox.asked] == sizes
    assert [attempt.number for attempt in found] == list(range(3, 3 + sum(sizes)))
    assert [attempt.position for attempt in found] == list(range(1, 1 + sum(sizes)))
    assert found[0].validation == Score(2, 1, 0, 0.5)
    assert (found[0].seconds, found[0].outcome, found[0].error) == (10.0, Outcome.FINISHED, "")
    assert not verifier.cut_short
    again = Verifier(SPLITS, sandbox, seed=0)
    known = list(again.verify(iter(made), after=found, limit=40, ahead=False))
    assert [one.seconds for one in known[: len(found)]] == [0.0] * min(len(known), len(found))


@pytest.mark.parametrize(
    ("outcome", "seconds", "numbers", "cut_short"),
    [
        (Outcome.FINISHED, 20.0, [1, 2], True),
        (Outcome.TIMED_OUT, 20.0, [1], True),  # the second ended because the time was over
        (Outcome.TIMED_OUT, 20.5, [1, 2], True),  # the first two ended before
        (Outcome.FINISHED, 35.0, [1, 2, 3], False),
        (Outcome.FINISHED, None, [1, 2, 3], False),
    ],
)
def test_the_cap_ends_verification_on_the_second(
    outcome: Outcome, seconds: float | None, numbers: list[int], cut_short: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sandbox = Clocked(outcome=outcome)
    monkeypatch.setattr(
        "llm_pv.erm.verification.time", SimpleNamespace(monotonic=lambda: sandbox.now)
    )
    monkeypatch.setattr("llm_pv.erm.verification.programs_of", lambda made, deadline: [
        (Program(one.text, one.text, 1), "") for one in made
    ])  # fmt: skip
    verifier = Verifier(SPLITS, sandbox, seed=0, seconds=seconds)

    def waited() -> Iterator[Proposal]:
        for one in proposals(3):
            sandbox.now += 1_000.0  # which takes nothing of the cap
            yield one

    found = list(verifier.verify(waited(), limit=4, ahead=False))
    assert ([attempt.number for attempt in found], verifier.cut_short) == (numbers, cut_short)
    ends = [1_100.0, 2_100.0] if seconds == 20 else [1_100.0]
    if seconds is not None:
        assert [end for _, end in sandbox.asked][: len(ends)] == [end + seconds for end in ends]


def test_row_dependence_is_checked_once_a_program_in_as_long_as_one_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox = Clocked()
    sandbox.limits = Limits(cpu_seconds=3.0)
    monkeypatch.setattr(
        "llm_pv.erm.verification.time", SimpleNamespace(monotonic=lambda: sandbox.now)
    )
    given: list[Any] = []

    def check(program: Program, inputs: Any, where: Sandbox, **more: Any) -> str:
        assert where is sandbox
        given.append((program, list(inputs), more))
        return "by chance"

    monkeypatch.setattr("llm_pv.erm.verification.row_dependence", check)
    program = Program("f = len\n", "digest", 1)
    verifier = Verifier(SPLITS, sandbox, seed=7, seconds=20.0)
    attempt = Attempt(1, Proposal(""), program, validation=Score(2, 0, 0, 1.0))
    for _ in range(2):
        assert verifier.row_dependence(attempt) == "by chance"
    assert not verifier.is_perfect(attempt)
    assert given == [(program, ["v", "w", "a"], {"judged": 2, "seed": 7, "deadline": 123.0})]
    sandbox.limits = Limits()  # two seconds, and a hundredth for each row
    other = Attempt(2, Proposal(""), Program("f = max\n", "other", 1))
    verifier.row_dependence(other)
    assert given[1][2]["deadline"] == pytest.approx(120 + 2 + 3 / 100)
