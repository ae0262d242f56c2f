"""The loop: what is selected, when it stops, what it asks for, what it counts."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.loop import select_program
from llm_pv.erm.metrics import Metric
from llm_pv.erm.pipeline import CUT_SHORT, Destination, _recorded_warnings, learn_splits
from llm_pv.erm.selection import Plan, Selection
from llm_pv.erm.warm_start import WarmStart
from llm_pv.errors import ConfigurationError, DataError, RunError
from llm_pv.models.base import Usage
from llm_pv.proposers.base import Context, Proposal
from llm_pv.proposers.round_robin import at_once
from llm_pv.proposers.spending import Amount, Spending
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.directory import RunDirectory
from llm_pv.sandbox import Limits, Sandbox
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, Scripted, parity_splits


def select(replies: list[str], sandbox: Sandbox, *, early_stop: bool = True) -> Selection:
    plan = Plan(len(replies), early_stop=early_stop)
    log = CellLog(Cell("test"))
    return select_program(parity_splits(), Scripted(replies), sandbox, plan, seed=0, log=log)


def test_the_program_with_the_fewest_validation_errors_is_selected(sandbox: Sandbox) -> None:
    almost = "def f(x):\n    return 1 - x.count('1') % 2 if x < '0001' else x.count('1') % 2\n"
    selection = select([ALWAYS_ONE, almost, FIRST_BIT], sandbox)
    labels = parity_splits().validation
    wrong = sum(text < "0001" for text in labels.inputs if isinstance(text, str))
    assert selection.selected is not None
    assert selection.selected.number == 2
    assert selection.selected.validation is not None
    assert selection.selected.validation.errors == wrong


def test_a_tie_goes_to_the_shorter_program_then_to_the_earlier(sandbox: Sandbox) -> None:
    long = "def f(x):\n    ones = 0\n    for c in x:\n        ones += int(c)\n    return ones % 2\n"
    other = "def f(x):\n    return x.count('1') & 1\n"
    twin = "def f(x):\n    return 1 & x.count('1')\n"
    selection = select([long, PARITY, long + "# again"], sandbox, early_stop=False)
    assert selection.selected is not None
    assert selection.selected.number == 2
    selection = select([other, twin], sandbox, early_stop=False)
    assert selection.attempts[0].program is not None
    assert selection.attempts[1].program is not None
    assert selection.attempts[0].program.bits == selection.attempts[1].program.bits
    assert selection.selected is not None
    assert selection.selected.number == 1


def test_the_loop_stops_at_the_first_program_without_a_validation_error(sandbox: Sandbox) -> None:
    proposer = Scripted([FIRST_BIT, PARITY, ALWAYS_ONE])
    plan = Plan(3)
    selection = select_program(
        parity_splits(), proposer, sandbox, plan, seed=0, log=CellLog(Cell("test"))
    )
    assert len(selection.attempts) == 2
    assert proposer.paid == 2, "a paid reply was asked for that nobody needs"


FOREVER = "def f(x):\n    while True: pass\n"


def test_a_reply_is_recorded_with_its_seconds_to_the_microsecond(sandbox: Sandbox) -> None:
    class Timed(Scripted):
        def propose(
            self, train: Examples, classes: Classes, *, seed: int, start: int = 0
        ) -> Iterator[Proposal]:
            del train, classes, seed, start
            yield Proposal(PARITY, seconds=1.23456789)

    log = CellLog(Cell("test"))
    select_program(parity_splits(), Timed([]), sandbox, Plan(1), seed=0, log=log)
    assert [(reply["attempt"], reply["seconds"]) for reply in log.replies] == [(1, 1.234568)]
    assert log.attempts[0]["proposal_seconds"] == 1.234568
    again = select_program(parity_splits(), Timed([]), sandbox, Plan(1), seed=0, log=log)
    assert again.attempts[0].proposal.seconds == 1.234568


def test_the_seconds_of_a_plan_end_it_though_a_program_still_runs(tmp_path: Path) -> None:
    splits, proposer = parity_splits(), Scripted([FIRST_BIT, FOREVER, PARITY])
    with (
        Sandbox(Limits(cpu_seconds=1_000), workers=1) as patient,
        RunDirectory(tmp_path, {}) as run,
    ):
        patient.predict(FIRST_BIT, splits.train.inputs)  # its processes are started
        destination = Destination(run, Cell("test"))
        plan = Plan(3, seconds=2.0)
        learned, again = [
            learn_splits(splits, proposer, patient, plan, destination=destination) for _ in range(2)
        ]
    assert learned.selection.cut_short
    assert [attempt.number for attempt in learned.selection.attempts] == [1]
    assert learned.program is not None
    assert learned.program.source == FIRST_BIT
    [warning] = [each for each in learned.warnings if each.startswith(CUT_SHORT)]
    assert "--budget-seconds" in warning
    assert proposer.paid == 2, "after the end nothing more is requested"
    replies = (tmp_path / "replies.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in replies] == [FIRST_BIT, FOREVER]
    assert again.already_finished
    assert again.warnings == learned.warnings


def test_waiting_for_a_proposal_takes_nothing_from_the_seconds_of_a_plan(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("llm_pv.erm.verification.time.monotonic", lambda: now)

    class Slow(Scripted):
        def propose(
            self, train: Examples, classes: Classes, *, seed: int, start: int = 0
        ) -> Iterator[Proposal]:
            nonlocal now
            for proposal in super().propose(train, classes, seed=seed, start=start):
                now += 50.0
                yield proposal

    def take(attempt: Attempt) -> None:
        nonlocal now
        now += 4.0  # as verifying it would

    plan = Plan(4, seconds=10.0, early_stop=False)
    selection = select_program(
        parity_splits(), Slow([ALWAYS_ONE, FIRST_BIT, PARITY, ALWAYS_ONE]), sandbox, plan,
        seed=0, log=CellLog(Cell("test")), on_attempt=take,
    )  # fmt: skip
    assert len(selection.attempts) == 3, "three times four seconds are more than ten"
    assert selection.cut_short
    assert selection.selected is not None
    assert selection.selected.number == 3


def test_a_plan_whose_seconds_suffice_is_not_cut_short(sandbox: Sandbox) -> None:
    plan, log = Plan(2, seconds=1_000.0), CellLog(Cell("test"))
    proposer = Scripted(["no program", PARITY])
    selection = select_program(parity_splits(), proposer, sandbox, plan, seed=0, log=log)
    assert len(selection.attempts) == 2
    assert not selection.cut_short


def test_a_program_seen_before_is_not_run_again_and_counts_once(sandbox: Sandbox) -> None:
    same = "def f(text):\n    # another name, another comment\n    return int(text[0])\n"
    selection = select([FIRST_BIT, same, ALWAYS_ONE], sandbox)
    first, second, third = selection.attempts
    assert second.seconds == 0.0 < first.seconds
    assert second.proposal.text == same
    assert second.validation == first.validation
    assert (first.position, second.position, third.position) == (1, 1, 2)
    assert selection.certificate is not None
    assert selection.certificate.verified == 2
    assert selection.certificate.planned == 3


def test_a_reply_without_a_program_is_an_attempt_with_its_reason(sandbox: Sandbox) -> None:
    selection = select(["I cannot help with that.", PARITY], sandbox)
    assert selection.attempts[0].program is None
    assert selection.attempts[0].error.startswith("the reply holds no program: ")
    assert selection.attempts[1].position == 1
    assert selection.selected is selection.attempts[1]


def test_programs_that_fail_are_scored_not_fatal(sandbox: Sandbox) -> None:
    hostile = [
        "def f(x):\n    while True: pass\n",
        "import os\ndef f(x):\n    os._exit(0)\n",
        "raise SystemExit\ndef f(x): return 1\n",
        "def f(x):\n    return 'banana'\n",
        PARITY,
    ]
    selection = select(hostile, sandbox)
    assert selection.selected is not None
    assert selection.selected.number == 5
    for attempt in selection.attempts[:4]:
        assert attempt.validation is not None
        assert attempt.validation.errors == 30
        assert attempt.error
    assert "'banana'" in selection.attempts[3].error


def test_nothing_is_selected_when_no_reply_holds_a_program(sandbox: Sandbox) -> None:
    selection = select(["no", "nor this"], sandbox)
    assert selection.selected is None
    assert selection.certificate is None
    learned = learn_splits(parity_splits(), Scripted(["no"]), sandbox, Plan(1))
    assert (learned.program, learned.test, learned.interval) == (None, None, None)
    assert learned.verdict.startswith("no program found: ")


def test_a_program_that_answers_no_row_is_never_selected(sandbox: Sandbox) -> None:
    selection = select(["def f(x):\n    return x['nope']\n"], sandbox)
    assert selection.attempts[0].program is not None
    assert selection.selected is None


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("attempts", lambda lines: [line.replace('"outcome"', '"outcom"') for line in lines]),
        ("attempts", lambda lines: [line.replace('errors": ', 'errors": -') for line in lines]),
        ("attempts", lambda lines: lines[1:]),
        ("attempts", lambda lines: [line.replace("return int", "return ") for line in lines]),
        ("replies", lambda lines: lines[1:]),
        ("replies", lambda lines: [line.replace('"text"', '"txt"') for line in lines]),
    ],
)
def test_a_tampered_journal_is_one_clear_error_naming_the_file(
    file: str, change: Callable[[list[str]], list[str]], tmp_path: Path, sandbox: Sandbox
) -> None:
    replies = [FIRST_BIT, ALWAYS_ONE]
    with RunDirectory(tmp_path, {}) as run:
        log = run.cell_log(Cell("test"))
        select_program(parity_splits(), Scripted(replies), sandbox, Plan(2), seed=0, log=log)
    path = tmp_path / {"attempts": "results_attempts.jsonl", "replies": "replies.jsonl"}[file]
    lines = path.read_text().splitlines()
    path.write_text("".join(line + "\n" for line in change(lines)))
    with RunDirectory(tmp_path, {}) as run, pytest.raises(RunError, match=r"jsonl"):
        select_program(
            parity_splits(), Scripted(replies), sandbox, Plan(2), seed=0,
            log=run.cell_log(Cell("test")),
        )  # fmt: skip


def test_training_accuracy_is_kept_as_information(sandbox: Sandbox) -> None:
    splits = parity_splits()
    ones = sum(label == "1" for label in splits.train.labels)
    attempt = select([ALWAYS_ONE], sandbox).attempts[0]
    assert attempt.train is not None
    assert attempt.train.errors == 20 - ones


@pytest.mark.parametrize(
    "arguments",
    [
        {"attempts": 0},
        {"attempts": 1, "delta": 0.0},
        {"attempts": 1, "delta": 1.0},
        {"attempts": 1, "stop_at": 0.0},
        {"attempts": 1, "stop_at": 1.5},
    ],
)
def test_a_plan_that_cannot_be_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Plan(**arguments)  # type: ignore[arg-type]


def test_learning_without_validation_rows_is_refused(sandbox: Sandbox) -> None:
    splits = parity_splits()
    nothing = Splits(splits.train, Examples([], []), splits.test, splits.classes)
    with pytest.raises(DataError, match="validation rows"):
        learn_splits(nothing, Scripted([PARITY]), sandbox, Plan(1))


def test_without_a_rule_the_verdict_says_so(sandbox: Sandbox) -> None:
    learned = learn_splits(parity_splits(), Scripted([ALWAYS_ONE]), sandbox, Plan(1))
    assert "nothing found that beats a baseline" in learned.verdict
    start = time.perf_counter()
    learned = learn_splits(parity_splits(), Scripted([PARITY]), sandbox, Plan(1))
    assert learned.learn_seconds > 0
    assert learned.test_seconds > 0
    assert learned.learn_seconds + learned.test_seconds < time.perf_counter() - start
    assert learned.verdict.startswith("a rule was found")
    assert learned.test is not None
    assert learned.test.accuracy == 1.0
    # Clopper and Pearson's interval of 40 right answers among 40.
    assert learned.interval == pytest.approx((0.025 ** (1 / 40), 1.0))
    assert learned.record()["program_file"] is None
    assert "training rows" not in learned.verdict
    row, label = parity_splits().train.inputs[0], int(parity_splits().train.labels[0])
    refuted = f"def f(x):\n    return {1 - label} if x == {row!r} else x.count('1') % 2\n"
    verdict = learn_splits(parity_splits(), Scripted([refuted]), sandbox, Plan(1)).verdict
    assert verdict.startswith("an approximate rule was found: right on 100.0%")
    assert verdict.endswith("; of the training rows it is wrong on 1")
    few = parity_splits(validation=4)
    assert (
        "does not rule out chance"
        in learn_splits(few, Scripted([PARITY]), sandbox, Plan(1)).verdict
    )


def test_groups_and_another_metric_are_in_the_certificate_and_the_verdict(
    sandbox: Sandbox,
) -> None:
    inputs, labels = ["11", "10", "01", "00", "1"], ["1", "1", "1", "1", "0"]
    rows = Examples(inputs, labels, groups=["a", "a", "a", "a", "b"])
    splits = Splits(rows, rows, rows, Classes(("0", "1"), (0, 1)))
    learned = learn_splits(splits, Scripted([FIRST_BIT]), sandbox, Plan(1, metric=Metric("f1")))
    assert learned.certificate is not None
    assert learned.certificate.groups == 2
    # Wrong on two of four rows of one group, and on the one row of the other.
    assert learned.certificate.group_error == (0.5 + 1) / 2
    # F1 of 0 and of 1: 0 and 4/7, against 0 and 8/9 of answering 1 always, the means of both.
    assert learned.verdict == (
        "nothing found that beats a baseline: F1 28.6% on the validation rows against 44.4% "
        "of the best constant answer"
    )


def test_a_warm_start_takes_over_programs_alone_in_their_order(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    replies = ["no program", ALWAYS_ONE, PARITY]
    with RunDirectory(tmp_path, {}) as run:
        destination = Destination(run, Cell("test"))
        learn_splits(parity_splits(), Scripted(replies), sandbox, Plan(3), destination=destination)
    warm, train = WarmStart(tmp_path, Scripted([FIRST_BIT])), parity_splits().train
    for start, texts in enumerate([[ALWAYS_ONE, PARITY, FIRST_BIT], [PARITY, FIRST_BIT]]):
        found = warm.propose(train, Classes(("0", "1"), (0, 1)), seed=0, start=start)
        assert [proposal.text for proposal in found] == texts
    assert (warm.plan_attempts(None), warm.not_made) == (2 + 5, 0)


def test_the_proposer_after_a_warm_start_knows_how_many_attempts_are_left(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    with RunDirectory(tmp_path, {}) as run:
        destination = Destination(run, Cell("test"))
        both = Scripted([ALWAYS_ONE, PARITY])
        learn_splits(parity_splits(), both, sandbox, Plan(2), destination=destination)
    given: list[int | None] = []

    class Noting(Scripted):
        def propose_in(
            self, train: Examples, classes: Classes, *, seed: int, context: Context
        ) -> Iterator[Proposal]:
            given.append(context.attempts)
            return super().propose_in(train, classes, seed=seed, context=context)

    splits = parity_splits()
    for attempts in (None, 7, 1):
        context = Context(attempts=attempts)
        warm = WarmStart(tmp_path, Noting([FIRST_BIT]))
        list(warm.propose_in(splits.train, splits.classes, seed=0, context=context))
    assert given == [None, 5, 0]


def test_the_table_of_candidates_marks_the_pick(sandbox: Sandbox) -> None:
    learned = learn_splits(
        parity_splits(), Scripted(["nothing", ALWAYS_ONE, PARITY]), sandbox, Plan(3)
    )
    frame = learned.to_frame()
    assert frame["pick"].tolist() == [">>>>", "", ""]
    assert frame["attempt"].tolist() == [3, 2, 1]
    assert frame["program"].iloc[0] == PARITY


def test_a_proposer_gets_what_the_run_offers_and_its_words_are_kept(sandbox: Sandbox) -> None:
    splits = parity_splits()
    contexts: list[Context] = []

    class Speaking(Scripted):
        def propose_in(
            self, train: Examples, classes: Classes, *, seed: int, context: Context
        ) -> Iterator[Proposal]:
            contexts.append(context)
            assert (seed, classes) == (6, splits.classes)
            assert train == splits.train
            context.write_prompt("abc", "the prompt")
            context.write_turns([{"kind": "tool"}])
            context.write_failure(7, "no key")
            context.warn("be warned")
            return super().propose_in(train, classes, seed=seed, context=context)

    prompts: list[tuple[str, str]] = []
    reply = {
        "attempt": 1, "text": FIRST_BIT, "seconds": 0.0, "cost_usd": 0.25, "prompt_digest": "",
        "capped": False, "note": "", "origin": "1", "proposer": "p",
    }  # fmt: skip
    log = CellLog(
        Cell("test"), [reply], turns=[{"kind": "turn"}],
        write_prompt=lambda *prompt: prompts.append(prompt),
    )  # fmt: skip
    told: list[Attempt] = []
    admission = at_once()
    selection = select_program(
        splits, Speaking(["unread", ALWAYS_ONE]), sandbox, Plan(2, early_stop=False), seed=6,
        log=log, on_attempt=told.append, admission=admission,
    )  # fmt: skip
    [context] = contexts
    assert context.known == (("p", "1"),)
    assert (context.attempts, context.early_stop, context.start) == (2, False, 1)
    assert context.turns == ({"kind": "turn"},)
    assert context.admission is admission
    assert context.mistakes is not None
    assert [(one.input, one.got) for one in context.mistakes(ALWAYS_ONE)] == [
        (row, "1")
        for row, label in zip(splits.train.inputs, splits.train.labels, strict=True)
        if label == "0"
    ]
    assert prompts == [("abc", "the prompt")]
    assert log.turns == [{"kind": "turn"}, {"kind": "tool"}]
    assert selection.warnings == ("be warned",)
    assert selection.unanswered == ("no key",)
    assert {"kind": "unanswered", "attempt": 7, "error": "no key"} in log.attempts
    assert [attempt.proposal.text for attempt in told] == [FIRST_BIT, ALWAYS_ONE]
    assert selection.cost_usd == 0.25 + 0.5
    chosen = selection.selected
    assert chosen is not None
    assert chosen.validation is not None
    wrong = sum(
        guess != label
        for guess, label in zip(selection.predictions, splits.validation.labels, strict=True)
    )
    assert wrong == chosen.validation.errors
    certificate = selection.certificate
    assert certificate is not None
    assert (certificate.errors, certificate.rows, certificate.delta) == (wrong, 30, 0.05)
    assert (certificate.planned, certificate.verified, certificate.position) == (
        2,
        2,
        chosen.position,
    )
    assert sum(found.errors for found in certificate.classes) == wrong
    assert sum(found.count for found in certificate.answers) == 30
    assert certificate.group_error is None


COUNTING = """
calls = []
def f(x):
    calls.append(x)
    return x.count("1") % 2 ^ (len(calls) > 9)
"""


def test_what_a_run_warns_of_is_counted(tmp_path: Path, sandbox: Sandbox) -> None:
    train, later = Examples(list("ab"), list("01")), Examples(list("acde"), list("0111"))
    splits = Splits(
        train, later, Examples(list("ab"), list("01")), Classes(("0", "1"), (0, 1)),
        warnings=("of the rows",),
    )  # fmt: skip
    program = "def f(x):\n    return int(x in 'bcd')\n"
    noted: list[str] = []

    class Failing(Scripted):
        def propose_in(
            self, train: Examples, classes: Classes, *, seed: int, context: Context
        ) -> Iterator[Proposal]:
            noted.append("asked")
            for number in (1, 2, 3):
                context.write_failure(number, "no key" if number < 3 else "no money")
            context.warn("of the proposer")
            yield Proposal(program, capped=True)

    cell = Cell("test")
    with RunDirectory(tmp_path, {}) as run:
        destination = Destination(run, cell)
        learned = learn_splits(splits, Failing([]), sandbox, Plan(1), destination=destination)
        again = learn_splits(splits, Failing([]), sandbox, Plan(1), destination=destination)
    # Of c, d and e, which training lacks, e is wrong; of the test rows none is new.
    assert learned.unseen == {"validation": (3, 1), "test": (0, 0)}
    assert learned.warnings == (
        "of the rows",
        "validation rows whose input also occurs in training: 1 of 4; the program is right on "
        "66.7% of the other 3",
        "test rows whose input also occurs in training: 2 of 2; none is new",
        "of the proposer",
        "attempts without a reply: 2; no key",
        "attempts without a reply: 1; no money",
        f"{CUT_SHORT}: another machine, or this one at another time, may propose other programs, "
        "or verify more of them; a larger --budget-seconds or --budget-mb makes it reproducible",
    )
    assert again.already_finished
    assert again.warnings == learned.warnings
    assert noted == ["asked"]
    assert (learned.name, learned.seed, learned.path) == ("data", 0, tmp_path)
    assert learned.program_path == tmp_path / "programs" / "test-t0.py"


def test_programs_that_ran_out_of_time_or_were_rejected_are_counted(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    splits, cell = parity_splits(), Cell("test")
    with RunDirectory(tmp_path / "first", {}) as run:
        first = run.cell_log(cell)
        select_program(
            splits, Scripted([COUNTING, PARITY]), sandbox, Plan(2, early_stop=False), seed=0,
            log=first,
        )  # fmt: skip
        attempts = [one for one in first.attempts if one["kind"] == "attempt"]
        replies = list(first.replies)
    attempts[0] |= {"validation_errors": 0, "validation_loss": 0.0}
    attempts[1] |= {"validation_errors": 1, "validation_loss": 1.0, "outcome": "out of memory"}
    with RunDirectory(tmp_path / "second", {}) as run:
        log = run.cell_log(cell)
        log.append_replies(replies)
        log.append_attempts(attempts)
        destination = Destination(run, cell)
        learned = learn_splits(splits, Scripted([]), sandbox, Plan(2), destination=destination)
    assert learned.selection.selected is not None
    assert learned.selection.selected.number == 2
    assert learned.warnings == (
        "programs that ran out of time or memory: 1; their scores may differ on another machine",
        "programs rejected although they scored well: 1; run again on part of the rows, they did "
        "not give the same answers",
    )


def test_test_rows_that_contradict_the_certificate_are_a_warning(sandbox: Sandbox) -> None:
    splits = parity_splits(validation=60)
    turned = [str(1 - int(label)) for label in splits.test.labels]
    other = Splits(splits.train, splits.validation, Examples(splits.test.inputs, turned),
                   splits.classes)  # fmt: skip
    learned = learn_splits(other, Scripted([PARITY]), sandbox, Plan(1))
    # 1 - 0.025 ** (1 / 60) = 6.0%
    assert learned.warnings == (
        "THE TEST ROWS CONTRADICT THE CERTIFICATE: 100.0% of them are wrong, where at most 6.0% is "
        "certified; they are drawn otherwise than the validation rows, or the program behaves "
        "otherwise on them",
    )


def test_classes_are_unbalanced_from_three_to_two_on(sandbox: Sandbox) -> None:
    for labels, unbalanced in (("00011", True), ("0001111", False)):
        rows = Examples([f"{n:03b}" for n in range(len(labels))], list(labels))
        splits = Splits(rows, rows, rows, Classes(("0", "1"), (0, 1)))
        learned = learn_splits(splits, Scripted([ALWAYS_ONE]), sandbox, Plan(1))
        assert learned.unbalanced is unbalanced


def test_a_perfect_score_of_a_metric_or_a_share_of_it_ends_the_search(sandbox: Sandbox) -> None:
    inputs, labels = ["11", "10", "01", "00"], ["1", "1", "0", "1"]  # the first bit: wrong on 00
    rows = Examples(inputs, labels, weights=[1.0, 1.0, 1.0, 0.25])
    splits = Splits(rows, rows, rows, Classes(("0", "1"), (0, 1)))

    def attempts(**plan: Any) -> int:
        search = Scripted([FIRST_BIT, ALWAYS_ONE, ALWAYS_ONE])
        log = CellLog(Cell("test"))
        selection = select_program(splits, search, sandbox, Plan(3, **plan), seed=0, log=log)
        return len(selection.attempts)

    # 3 of 3.25 in weight is right: 0.923.
    assert attempts(stop_at=0.92) == 1
    assert attempts(stop_at=0.93) == 3
    learned = learn_splits(splits, Scripted([FIRST_BIT]), sandbox, Plan(1))
    assert (learned.validation_weight, learned.metric) == (3.25, Metric())
    # Always 1 is right on 2.25 of 3.25, which is 69.2%.
    assert learned.verdict == (
        "a program better than any constant answer: weighted accuracy 92.3% on the validation rows "
        "against 69.2%"
    )
    # Recalls of 2.0 / 2.25 and of 1: 0.944 on average.
    assert attempts(metric=Metric("balanced-accuracy"), stop_at=0.94) == 1
    assert attempts(metric=Metric("balanced-accuracy"), stop_at=0.95) == 3


def test_a_warm_start_says_what_it_took_over(tmp_path: Path, sandbox: Sandbox) -> None:
    splits = parity_splits()
    with RunDirectory(tmp_path, {"planned_attempts": 7}) as run:
        both = Scripted([ALWAYS_ONE, PARITY, ALWAYS_ONE])
        log = run.cell_log(Cell("test"))
        select_program(splits, both, sandbox, Plan(3, early_stop=False), seed=0, log=log)
    contexts: list[Context] = []

    class Noting(Scripted):
        def propose_in(
            self, train: Examples, classes: Classes, *, seed: int, context: Context
        ) -> Iterator[Proposal]:
            contexts.append(context)
            assert (train, seed) == (splits.train, 5)
            return iter(())

    warm = WarmStart(tmp_path, Noting([]))
    assert (warm.default_attempts, warm.plan_attempts(3), warm.not_made) == (2 + 5, 2 + 3, 5)
    digest = hashlib.sha256(f"{ALWAYS_ONE}\0{PARITY}".encode()).hexdigest()[:16]
    assert warm.identity == f"scripted after 2 programs {digest}"
    told: list[str] = []
    known = (("", "1"), ("", "2"), ("", "3"))
    for context in (Context(warn=told.append), Context(known=known, attempts=4)):
        found = list(warm.propose_in(splits.train, splits.classes, seed=5, context=context))
        noted = [(one.text, one.note) for one in found]
        note = "of the run that was given as a warm start"
        assert noted == ([] if context.known else [(ALWAYS_ONE, note), (PARITY, note)])
    assert told == [
        "2 programs of another run were candidates first and count in the certificate; it holds if "
        "that run had the same training rows, or none of these validation rows"
    ]
    assert [(one.known, one.attempts) for one in contexts] == [((), None), ((("", "3"),), 2)]


def test_proposals_under_way_are_still_read_where_the_proposer_asks_for_it(
    sandbox: Sandbox,
) -> None:
    @dataclass
    class Paid(Scripted):
        """Has further replies under way when it is stopped."""

        under_way: bool = True
        stops: int = 0

        def stop(self, context: Context) -> bool:
            self.stops += 1
            context.stopping.set()
            return self.under_way

        def spending(
            self, proposals: Iterable[Proposal], turns: Iterable[Mapping[str, Any]]
        ) -> Spending:
            number = len(list(proposals))
            possibly_billed = Amount(0.75, len(list(turns)))
            return Spending(Usage(number, 20), 0.25, possibly_billed=(possibly_billed,))

    for under_way, attempts in ((True, 4), (False, 2)):
        proposer = Paid([FIRST_BIT, PARITY, PARITY, ALWAYS_ONE], under_way=under_way)
        log = CellLog(Cell("test"), turns=[{"kind": "turn"}] * 3)
        selection = select_program(parity_splits(), proposer, sandbox, Plan(9), seed=0, log=log)
        assert (selection.usage, selection.cost_usd) == (Usage(attempts, 20), 0.25)
        assert selection.possibly_billed == Amount(0.75, 3)
        assert (len(selection.attempts), proposer.stops) == (attempts, 1)
    proposer = Paid([PARITY, PARITY])
    plan = Plan(2, early_stop=False)
    select_program(parity_splits(), proposer, sandbox, plan, seed=0, log=CellLog(Cell("test")))
    assert proposer.stops == 0
    plan = Plan(2, seconds=1e-9)
    ended = select_program(
        parity_splits(), proposer, sandbox, plan, seed=0, log=CellLog(Cell("test"))
    )
    assert (ended.attempts, ended.cut_short, proposer.stops) == ((), True, 1)


def test_what_was_planned_and_how_rows_were_split_is_in_the_certificate(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def check(*_: object, **more: Any) -> str:
        given.append(more)
        return ""

    monkeypatch.setattr("llm_pv.erm.verification.row_dependence", check)
    splits = replace(parity_splits(), repeated=5, by_time=True)
    metric = Metric("balanced-accuracy")
    plan = Plan(3, delta=0.1, planned=7, metric=metric, early_stop=False)
    replies = ["no program", ALWAYS_ONE, FIRST_BIT, ALWAYS_ONE]
    log = CellLog(Cell("test"))
    selection = select_program(splits, Scripted(replies), sandbox, plan, seed=4, log=log)
    found = selection.certificate
    assert found is not None
    assert (found.planned, found.verified, found.delta) == (7, 2, 0.1)
    assert (found.repeated, found.by_time, found.metric) == (5, True, "balanced-accuracy")
    assert (found.groups, found.group_error) == (0, None)
    assert {(more["seed"], more["judged"]) for more in given} == {(4, 30)}


def test_answers_that_change_among_other_rows_are_counted_in_a_warning(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = parity_splits()
    asked: list[tuple[Any, ...]] = []

    def changed(*what: Any) -> int:
        asked.append(what)
        return 2

    monkeypatch.setattr("llm_pv.erm.pipeline.changed_answers", changed)
    rivals: list[tuple[Any, ...]] = []

    def none(*what: Any) -> tuple[()]:
        rivals.append(what)
        return ()

    monkeypatch.setattr("llm_pv.erm.pipeline.verified_rivals", none)
    learned = learn_splits(splits, Scripted([PARITY]), sandbox, Plan(1), name="bits", seed=3)
    assert learned.warnings == (
        "DO NOT TRUST THIS PROGRAM: 2 test rows got another answer when they were run among other "
        "rows",
    )
    [(program, inputs, execution, company, where)] = asked
    assert (program, inputs, company) == (
        learned.program, splits.test.inputs, splits.validation.inputs,
    )  # fmt: skip
    assert list(execution.predictions) == splits.test.labels
    assert where is sandbox
    assert rivals == [(learned.selection, splits, sandbox)]
    assert (learned.name, learned.seed, learned.proposer) == ("bits", 3, "scripted")
    assert (learned.path, learned.program_path) == (None, None)
    # What is no better than the constant has no rivals, and without test rows nothing is run.
    learned = learn_splits(
        replace(splits, test=Examples([], [])), Scripted([ALWAYS_ONE]), sandbox, Plan(1)
    )
    assert (learned.test, learned.interval) == (None, None)
    assert (len(asked), len(rivals)) == (1, 1)


def test_rows_of_a_table_are_explained_where_they_are_a_user_s_and_repeats_are_counted(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    def rows(*ages: int) -> Examples:
        return Examples(
            [{"age": age, "zone": "a"} for age in ages], [str(int(age > 40)) for age in ages]
        )

    splits = Splits(
        rows(10, 20, 60, 70), rows(10, 50, 41, 30), rows(60, 35), Classes(("0", "1"), (0, 1))
    )
    program = "def f(x):\n    return int(x['age'] > 45)\n"
    for cell, explained in ((Cell("mine"), True), (Cell("grid", 12), False)):
        with RunDirectory(tmp_path / cell.slug, {}) as run:
            destination = Destination(run, cell)
            learned = learn_splits(
                splits, Scripted([program]), sandbox, Plan(1), destination=destination
            )
            [selected] = [one for one in run.cell_log(cell).attempts if one["kind"] == "selected"]
        assert bool(selected["explanation"]) is explained
        # Of validation 50, 41 and 30 are new, of which 41 is wrong; of test 35.
        assert learned.unseen == {"validation": (3, 1), "test": (1, 0)}
        assert learned.warnings[1] == (
            "test rows whose input also occurs in training: 1 of 2; the program is right on 100.0% "
            "of the other 1"
        )


def test_replies_and_results_of_early_versions_are_taken_as_they_are(sandbox: Sandbox) -> None:
    contexts: list[Context] = []

    class Noting(Scripted):
        def propose_in(
            self, train: Examples, classes: Classes, *, seed: int, context: Context
        ) -> Iterator[Proposal]:
            contexts.append(context)
            return iter(())

    early = {
        "attempt": 1, "text": "no program", "seconds": 0.5, "cost_usd": None, "prompt_digest": "",
        "capped": False, "note": "",
    }  # fmt: skip
    log = CellLog(Cell("test"), [early])
    selection = select_program(parity_splits(), Noting([]), sandbox, Plan(2), seed=0, log=log)
    assert contexts[0].known == (("", ""),)
    assert [attempt.proposal.seconds for attempt in selection.attempts] == [0.5]
    old: list[dict[str, Any]] = [{"kind": "selected"}, {"result": {"warnings": ["no"]}}]
    new = [{"kind": "selected", "result": {"warnings": [text]}} for text in ("first", "last")]
    for records, warnings in ((old, ()), ([], ()), ([*new, *old[1:]], ("last",))):
        assert _recorded_warnings(CellLog(Cell("test"), attempts=records)) == warnings
