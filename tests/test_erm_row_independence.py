"""Which runs a program is compared in, by a sandbox that writes down what it is asked to run."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from llm_pv.data.examples import Input
from llm_pv.erm.row_independence import (
    NOT_ANSWERED,
    NOT_COMPARED,
    ROW_DEPENDENT,
    changed_answers,
    row_dependence,
)
from llm_pv.programs.program import Program
from llm_pv.sandbox import Execution, Outcome, Sandbox

PROGRAM = Program("f = len\n", "digest", 1)
ROWS = [f"{number:02}" for number in range(20)]

Answer = Callable[[int, Sequence[Input]], tuple[list[str | None], tuple[int, ...]]]
"""From the number of a run and its inputs, the answers and the positions that it did not reach."""


def same(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
    """Answer each input with itself."""
    del run
    return [str(item) for item in inputs], ()


@dataclass
class Noting(Sandbox):
    """Answers by a function, and notes every run."""

    answer: Answer = same
    runs: list[tuple[list[Input], int, float]] = field(default_factory=list)

    def predict(
        self,
        source: str,
        inputs: Sequence[Input],
        *,
        seed: int = 0,
        deadline: float = math.inf,
    ) -> Execution:
        assert source == PROGRAM.source
        answers, unreached = self.answer(len(self.runs), inputs)
        self.runs.append((list(inputs), seed, deadline))
        outcome = Outcome.TIMED_OUT if unreached else Outcome.FINISHED
        return Execution(outcome, tuple(answers), unreached)


def test_a_program_runs_on_halves_on_repeated_judged_rows_and_on_single_rows() -> None:
    noting, later = Noting(), time.monotonic() + 1_000
    assert row_dependence(PROGRAM, ROWS, noting, judged=9, seed=4, deadline=later) == ""
    first, one, other, longer, *singles = [inputs for inputs, _, _ in noting.runs]
    assert first == ROWS
    assert len(one) == len(other) == 10
    assert sorted([*one, *other], key=str) == ROWS
    assert one != sorted(one, key=str)
    # Three times nine rows are as many as the first run; twice that is a longer one.
    assert sorted(longer, key=str) == sorted(ROWS[:9] * 6)
    assert longer[:9] != ROWS[:9]
    assert [len(inputs) for inputs in singles] == [1] * 8
    assert {*ROWS[:9]} > {str(inputs[0]) for inputs in singles}
    assert len({str(inputs[0]) for inputs in singles}) == 8
    # The seed of scoring for one half and for single rows, others for the rest.
    assert [seed for _, seed, _ in noting.runs] == [0, 0, 1, 2, *[0] * 8]
    assert {deadline for _, _, deadline in noting.runs} == {later}
    again, differently = Noting(), Noting()
    row_dependence(PROGRAM, ROWS, again, judged=9, seed=4)
    row_dependence(PROGRAM, ROWS, differently, judged=9, seed=5)
    orders = [[inputs for inputs, *_ in each.runs] for each in (noting, again, differently)]
    assert orders[0] == orders[1] != orders[2]
    assert {deadline for _, _, deadline in again.runs} == {math.inf}
    by_default = Noting()
    row_dependence(PROGRAM, ROWS, by_default)
    zero = Noting()
    row_dependence(PROGRAM, ROWS, zero, judged=20, seed=0)
    assert by_default.runs == zero.runs
    assert len(by_default.runs[3][0]) == 40
    single = Noting()
    row_dependence(PROGRAM, ROWS, single, judged=1)
    assert single.runs[3][0] == [ROWS[0]] * 40
    row_dependence(PROGRAM, ROWS, single, judged=0)  # nothing to repeat, and nothing amiss


def test_one_changed_answer_in_any_run_is_found_and_ends_the_check() -> None:
    for changed in range(1, 12):

        def answer(
            run: int, inputs: Sequence[Input], at: int = changed
        ) -> tuple[list[str | None], tuple[int, ...]]:
            answers, unreached = same(run, inputs)
            return ([*answers[:-1], None] if run == at else answers), unreached

        noting = Noting(answer)
        assert row_dependence(PROGRAM, ROWS, noting, judged=9) == ROW_DEPENDENT
        assert len(noting.runs) == changed + 1


def test_judged_rows_that_a_limit_cut_off_run_once_more_by_themselves() -> None:
    def cut(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        """Reach rows 03, 09 and 15 in the first run only, and 07 not even there."""
        late = ("07",) if run == 0 else ("03", "07", "09", "15") if run < 12 else ()
        places = tuple(place for place, item in enumerate(inputs) if item in late)
        return [None if item in late else str(item) for item in inputs], places

    noting = Noting(cut)
    assert row_dependence(PROGRAM, ROWS, noting, judged=9) == ""
    assert noting.runs[-1] == (["03"], 3, math.inf), "09 and 15 are not judged, 07 has no answer"

    def always_cut(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        return cut(min(run, 1), inputs)

    assert row_dependence(PROGRAM, ROWS, Noting(always_cut), judged=9) == NOT_COMPARED

    def changed(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        return (["other"], ()) if run == 12 else cut(run, inputs)

    assert row_dependence(PROGRAM, ROWS, Noting(changed), judged=9) == ROW_DEPENDENT


def test_a_program_that_a_limit_ended_before_its_first_answer_runs_once() -> None:
    def never(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        return [None] * len(inputs), tuple(range(len(inputs)))

    noting = Noting(never)
    assert row_dependence(PROGRAM, ROWS, noting) == NOT_ANSWERED
    assert len(noting.runs) == 1

    def no_judged(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        return [None] * 9 + [str(item) for item in inputs[9:]], tuple(range(9))

    noting = Noting(no_judged)
    assert row_dependence(PROGRAM, ROWS, noting, judged=9) == NOT_ANSWERED
    assert len(noting.runs) == 1


def test_rows_that_a_limit_cut_off_at_first_are_not_run_again() -> None:
    def first_five(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        answers: list[str | None] = [str(item) if str(item) < "05" else None for item in inputs]
        return answers, tuple(range(5, 20)) if run == 0 else ()

    noting = Noting(first_five)
    assert row_dependence(PROGRAM, ROWS, noting) == ""
    first, one, other, longer, *singles = [inputs for inputs, *_ in noting.runs]
    assert first == ROWS
    assert sorted([*one, *other], key=str) == ["00", "01", "02", "03", "04"]
    assert sorted(longer, key=str) == sorted(ROWS[:5] * 2)
    assert sorted(singles) == [["00"], ["01"], ["02"], ["03"], ["04"]]


@pytest.mark.parametrize(
    ("deadline", "runs", "reason"), [(10, 1, NOT_COMPARED), (15, 2, NOT_COMPARED), (25, 3, "")]
)
def test_no_run_starts_after_the_deadline(
    deadline: float, runs: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noting = Noting()  # each run takes 10 s; both halves, the second and third, compare every row
    clock = SimpleNamespace(monotonic=lambda: 10.0 * len(noting.runs))
    monkeypatch.setattr("llm_pv.erm.row_independence.time", clock)
    assert row_dependence(PROGRAM, ROWS, noting, deadline=deadline) == reason
    assert len(noting.runs) == runs


def test_answers_that_are_too_long_in_all_for_a_longer_run_have_not_changed() -> None:
    # An answer takes 900 * 6 bytes and 4 more. Of 120 rows that is 648,480, and 64 * 120 + 2**20 =
    # 1,056,256 are allowed; of 240 rows 1,296,960, and 1,063,936 are allowed.
    source = 'def f(x):\n    return "\\N{BULLET}" * 900\n'
    rows = [str(number) for number in range(120)]
    with Sandbox(workers=1) as sandbox:
        longer = sandbox.predict(source, rows * 2)
        assert longer.unreached
        assert longer.cut_short
        assert row_dependence(Program(source, "digest", 2), rows, sandbox) == ""
    cut = Execution(Outcome.MALFORMED, (None, "t1"), (0,), reason=longer.reason)
    assert changed_answers(PROGRAM, ["t0", "t1"], cut, ["c0"], Noting()) == 0
    # A result that the program damaged is an answer of its own.
    forged = Execution(Outcome.MALFORMED, (None, "t1"), (0,), reason="not JSON")
    assert changed_answers(PROGRAM, ["t0", "t1"], forged, ["c0"], Noting()) == 1


def test_answers_among_other_rows_are_compared_on_a_sample() -> None:
    tested, company = [f"t{n}" for n in range(400)], [f"c{n}" for n in range(500)]
    first = Execution(Outcome.FINISHED, tuple(tested))

    def answer(run: int, inputs: Sequence[Input]) -> tuple[list[str | None], tuple[int, ...]]:
        answers = [None if str(item)[-1] == "7" else str(item) for item in inputs]
        return list(answers), ()

    noting = Noting(answer)
    changed = changed_answers(PROGRAM, tested, first, company, noting, seed=2)
    [(inputs, seed, _)] = noting.runs
    ours = [str(item) for item in inputs if str(item)[0] == "t"]
    assert (len(set(inputs)), len(ours), seed) == (600, 300, 1)
    assert changed == sum(name[-1] == "7" for name in ours) > 0
    assert ours != sorted(ours)
    by_default, zero = Noting(answer), Noting(answer)
    changed_answers(PROGRAM, tested, first, company, by_default)
    changed_answers(PROGRAM, tested, first, company, zero, seed=0)
    assert by_default.runs == zero.runs != noting.runs
    # Rows that a limit cut off then or now say nothing.
    cut = Execution(Outcome.OUT_OF_MEMORY, (None, "t1"), unreached=(0,))
    assert changed_answers(PROGRAM, ["t0", "t1"], cut, ["c0"], Noting()) == 0
    # What the program itself ended is an answer of its own.
    crashed = Execution(Outcome.CRASHED, (None, "t1"), unreached=(0,))
    assert changed_answers(PROGRAM, ["t0", "t1"], crashed, ["c0"], Noting()) == 1
    assert changed_answers(PROGRAM, ["t0", "t7"], Execution(Outcome.FINISHED, ("t0", "t7")), [],
                           Noting(lambda run, inputs: ([None, None], (0, 1)))) == 0  # fmt: skip
