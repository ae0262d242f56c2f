"""Attempts, certificates and results built by hand: each record, table and sentence by value."""

import json
import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.attempts import KEY_IN_PROGRAM, Attempt, History, attempt_from_record, programs_of
from llm_pv.erm.certificate import (
    AnswerCount,
    Certificate,
    ClassErrors,
    count_answers,
    count_classes,
    error_share,
    mean_of_groups,
    mean_upper_limit,
)
from llm_pv.erm.metrics import Metric, parse_costs
from llm_pv.erm.notebook import result_html
from llm_pv.erm.pipeline import Destination, program_header, write_results
from llm_pv.erm.queries import (
    Hypothesis,
    choose_queries,
    hypotheses_of,
    hypotheses_of_run,
    possible,
    rank_rows,
)
from llm_pv.erm.result import LearnedProgram, MajorityBaseline
from llm_pv.erm.scoring import Score
from llm_pv.erm.selection import Selection
from llm_pv.erm.verified_rivals import verified_rivals
from llm_pv.errors import ConfigurationError, RunError
from llm_pv.models.base import Usage
from llm_pv.models.credentials import REDACTED
from llm_pv.programs.program import Program
from llm_pv.programs.shown import highlight_python, visible
from llm_pv.proposers.base import Proposal, Rival
from llm_pv.proposers.spending import Amount
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.journal import Journal
from llm_pv.sandbox import Execution, Outcome, Sandbox
from llm_pv.search.probes import make_probes
from rows import FIRST_BIT, PARITY, parity_splits

BITS = Classes(("0", "1"), (0, 1))
RIVAL = Rival("f = len\n", 9.5, 0.25, "01", "1", "0")
PROPOSAL = Proposal(
    "the reply", seconds=1.23456789, cost_usd=0.5, prompt_digest="abc", note="a note",
    origin="3.1", usage=Usage(100, 20, 30, 4, 5), tool_calls=2, proposer="one of a pool",
)  # fmt: skip
RECORD = {
    "kind": "attempt",
    "attempt": 2,
    "prompt_digest": "abc",
    "program": PARITY,
    "position": 1,
    "train_accuracy": 0.75,
    "train_errors": 1,
    "train_failed": 0,
    "train_balanced_accuracy": 0.7,
    "validation_accuracy": 0.4,
    "validation_errors": 3,
    "validation_failed": 2,
    "validation_balanced_accuracy": 0.35,
    "validation_loss": 1.5,
    "test_accuracy": None,
    "outcome": "timed out",
    "error": "KeyError: 1",
    "note": "a note",
    "origin": "3.1",
    "proposer": "one of a pool",
    "input_tokens": 100,
    "output_tokens": 20,
    "reasoning_tokens": 5,
    "cached_tokens": 30,
    "tool_calls": 2,
    "cost_usd": 0.5,
    "proposal_seconds": 1.234568,
    "verify_seconds": 0.000002,
}


@pytest.fixture(scope="module")
def verified() -> Attempt:
    """An attempt that got 1 of 4 training rows wrong, and 3 of 5 validation rows."""
    return Attempt(
        2, PROPOSAL, Program.parse(PARITY), position=1, train=Score(4, 1, 0, 0.7),
        validation=Score(5, 3, 2, 0.35, 1.5), outcome=Outcome.TIMED_OUT, error="KeyError: 1",
        seconds=0.0000016,
    )  # fmt: skip


def made(number: int, errors: int, *, source: str = PARITY, bits: int = 40, **more: Any) -> Attempt:
    """Return an attempt that was wrong on so many of 10 validation rows."""
    program = Program(source, f"digest {source}", bits)
    validation = Score(10, errors, 0, 1 - errors / 10)
    values: dict[str, Any] = {"train": Score(20, 0, 0, 1.0), "position": number}
    return Attempt(number, Proposal(source), program, validation=validation, **values | more)


def test_an_attempt_is_recorded_value_by_value_and_read_back(verified: Attempt) -> None:
    assert verified.program is not None
    record = verified.record()
    assert record == {
        **RECORD, "digest": verified.program.digest, "bits": verified.program.bits,
    }  # fmt: skip
    assert attempt_from_record(record, PROPOSAL, 4, 5) == replace(verified, seconds=0.000002)
    older = {name: value for name, value in record.items() if name != "validation_loss"}
    read = attempt_from_record(older, PROPOSAL, 4, 5)
    assert read.validation == Score(5, 3, 2, 0.35, 3.0), "older records rank by mistakes"


def test_an_attempt_without_a_program_is_recorded_and_read_back() -> None:
    failed = Attempt(1, Proposal("no"), error="the reply holds no program")
    record = failed.record()
    assert {name: record[name] for name in RECORD if record[name] is None} == dict.fromkeys(
        ["train_accuracy", "train_errors", "train_failed", "train_balanced_accuracy",
         "validation_accuracy", "validation_errors", "validation_failed",
         "validation_balanced_accuracy", "validation_loss", "test_accuracy", "cost_usd"]
    )  # fmt: skip
    assert [record[name] for name in ("program", "digest", "bits", "outcome", "position")] == [
        "", "", None, "", 0,
    ]  # fmt: skip
    assert attempt_from_record(record, Proposal("no"), 4, 5) == failed


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("validation_failed", 4, "ValueError('3 validation errors and 4 failures on 5 rows')"),
        ("validation_errors", 6, "ValueError('6 validation errors and 2 failures on 5 rows')"),
        ("train_errors", 5, "ValueError('5 train errors and 0 failures on 4 rows')"),
        ("train_failed", -1, "ValueError('1 train errors and -1 failures on 4 rows')"),
        ("digest", "another", "ValueError('the program is not the one that was verified')"),
        ("outcome", "lost", "ValueError(\"'lost' is not a valid Outcome\")"),
        ("validation_balanced_accuracy", None, "TypeError("),
    ],
)
def test_a_record_that_cannot_be_is_refused_by_attempt_and_task(
    verified: Attempt, column: str, value: object, why: str
) -> None:
    record = verified.record() | {"function": "task", column: value}
    with pytest.raises(RunError) as raised:
        attempt_from_record(record, PROPOSAL, 4, 5)
    assert str(raised.value).startswith(
        "results_attempts.jsonl: the record of attempt 2 of 'task' is damaged or of another "
        f"version ({why}"
    )


def test_a_program_that_fails_on_every_row_is_read_back(verified: Attempt) -> None:
    lost = replace(verified, validation=Score(5, 5, 5, 0.0), train=Score(4, 0, 0, 1.0))
    read = attempt_from_record(lost.record(), PROPOSAL, 4, 5)
    assert (read.validation, read.train) == (lost.validation, lost.train)


def test_what_answers_a_row_and_was_not_rejected_may_be_selected(verified: Attempt) -> None:
    assert verified.selectable
    assert not verified.reject("chance").selectable
    assert verified.reject("chance").rejected == "chance"
    assert not replace(verified, validation=Score(5, 5, 5, 0.0)).selectable
    assert not replace(verified, validation=None).selectable
    assert not replace(verified, program=None).selectable
    assert verified.program is not None
    assert verified.rank == (1.5, verified.program.bits, 2)
    assert replace(verified, program=None).rank == (math.inf, math.inf, 2)
    assert replace(verified, validation=None).rank == (math.inf, math.inf, 2)


def test_each_reply_gives_its_program_or_the_reason_why_not() -> None:
    marked = f"f = lambda x: {REDACTED!r}\n"
    found = programs_of(
        [
            Proposal("f = len\n", failure="cut off", redacted=True),
            Proposal(marked, redacted=True),
            Proposal("nothing", redacted=True),
            Proposal("nothing"),
            Proposal("f = len\n", redacted=True),
            Proposal(marked),
        ]
    )
    assert [program.source if program else None for program, _ in found] == [
        None, None, None, None, "f = len\n", marked,
    ]  # fmt: skip
    reasons = [reason for _, reason in found]
    assert reasons[:3] == ["cut off", KEY_IN_PROGRAM, KEY_IN_PROGRAM]
    assert reasons[3].startswith("the reply holds no program")
    assert reasons[4:] == ["", ""]
    late = [Proposal("", failure="cut off"), Proposal("f = len"), Proposal("", failure="refused")]
    assert programs_of(late, deadline=time.monotonic() - 1) == [(None, "cut off")]


def test_shares_change_after_the_planned_programs() -> None:
    # Half of 0.05 for five programs, then 0.05 / (2 j (j + 1)).
    shares = [error_share(0.05, 5, position) for position in (1, 5, 6, 7)]
    assert shares == pytest.approx([0.005, 0.005, 0.0125, 0.05 / 12])
    with pytest.raises(ConfigurationError, match="5 planned attempts, position 0"):
        error_share(0.05, 5, 0)


def test_limits_of_means_at_their_ends() -> None:
    assert mean_upper_limit(0.3, 0, 0.05) == 1.0
    # KL(1/2, m) = log(1 / (4 m (1 - m))) / 2 = log 40, so that m (1 - m) = 1 / 6400.
    assert mean_upper_limit(0.5, 1, 0.025) == pytest.approx(0.999843725, abs=1e-9)
    assert mean_of_groups([], []) == 0.0


def certificate(**more: Any) -> Certificate:
    """Return one of two planned programs, of which the third was selected."""
    return Certificate(1, 4, planned=2, verified=3, position=3, delta=0.2, **more)


def test_mistakes_of_a_class_count_by_group_where_there_are_groups() -> None:
    wrong, labels = [True, False, False, False], ["a", "a", "b", "b"]
    assert count_classes(wrong, labels, None) == (ClassErrors("a", 1, 2), ClassErrors("b", 0, 2))
    found = count_classes(wrong, labels, ["g", "g", "g", "h"])
    assert found == (ClassErrors("a", 1, 2, 1, 0.5), ClassErrors("b", 0, 2, 2, 0.0))
    # The third of two planned programs has 0.2 / (2 * 1 * 2) = 0.05, each of two classes half.
    bounds = certificate(classes=found).class_bounds
    assert bounds["a"] == pytest.approx(0.999843725, abs=1e-9)  # as above
    assert bounds["b"] == pytest.approx(1 - math.sqrt(0.025))
    assert certificate(classes=found).balanced_bound == pytest.approx(sum(bounds.values()) / 2)
    assert certificate().balanced_bound == 1.0


def test_a_certificate_is_recorded_with_its_bounds() -> None:
    cells = count_answers(["a", "b", "b", "b"], ["a", "a", "b", "b"])
    assert cells == (
        AnswerCount("a", "a", 1, 1), AnswerCount("a", "b", 0, 1),
        AnswerCount("b", "a", 1, 3), AnswerCount("b", "b", 2, 3),
    )  # fmt: skip
    found = certificate(classes=(ClassErrors("a", 1, 2),), answers=cells)
    record = found.record()
    # The four answers share 0.05, and both sides of a limit share that: 1 / 160 each.
    ends = [(one["low"], one["high"]) for one in record["answers"]]
    tail = 1 / 160
    assert ends[0] == (pytest.approx(tail), 1.0)
    assert ends[1] == (0.0, pytest.approx(1 - tail))
    # Of 3 rows none, one or two: the binomial tails (1 - p)^3 and (1 - p)^3 + 3 p (1 - p)^2.
    high = ends[2][1]
    assert (1 - high) ** 3 + 3 * high * (1 - high) ** 2 == pytest.approx(tail)
    assert ends[3][0] == pytest.approx(1 - high)
    assert record["answers"][3] == {
        "answer": "b", "label": "b", "count": 2, "rows": 3, "low": ends[3][0], "high": ends[3][1],
    }  # fmt: skip
    # (1 - p)^4 + 4 p (1 - p)^3 = 0.05, and of two rows 1 - p^2 = 0.05.
    bound = record["error_bound"]
    assert (1 - bound) ** 4 + 4 * bound * (1 - bound) ** 3 == pytest.approx(0.05)
    assert record["class_bounds"] == {"a": pytest.approx(math.sqrt(0.95))}
    assert record["gap_term"] == pytest.approx(2 * math.sqrt(math.log(60) / 8))
    left = {"errors", "rows", "planned", "verified", "position", "delta", "repeated", "groups",
            "group_error", "by_time", "metric", "classes"}  # fmt: skip
    assert record.keys() == left | {"error_bound", "gap_term", "class_bounds", "answers"}
    assert (record["errors"], record["rows"], record["delta"]) == (1, 4, 0.2)


def test_the_text_of_a_certificate_word_for_word() -> None:
    # 1 - 0.005 ** (1 / 100) = 5.2%, and 2 sqrt(log(400) / 200) = 0.346
    assert Certificate(0, 100, planned=5, verified=2, position=2).text() == (
        "With 95% confidence this program is wrong on at most 5.2% of new inputs (0 mistakes on "
        "100 validation rows; program 2 of 2 tried, 5 planned). This holds for new inputs drawn "
        "like the validation rows, and for this run alone: running again on the same validation "
        "rows and keeping the best voids it, and so do rows of one group on both sides of the "
        "split. It says nothing about inputs of another kind: a shortcut that fits the data "
        "passes too. The gap term of the paper's bound, 2*sqrt(log(4k/delta)/(2m)), is 0.346 here."
    )
    grouped = certificate(groups=2, group_error=0.0).text()
    # 1 - 0.05 ** (1 / 2) = 77.6%
    assert grouped.startswith(
        "With 80% confidence this program is wrong on at most 77.6% of the rows of new groups, "
        "each group counting as one (1 mistake on 4 validation rows of 2 groups; program 3 of 3 "
        "tried, 2 planned). This holds for new groups drawn like the validation groups, and for "
        "this run alone: running again on the same validation rows and keeping the best voids it. "
    )


def test_a_certificate_has_bounds_by_class_where_classes_are_unequal_or_the_metric_asks() -> None:
    def asides(*sizes: int, **more: Any) -> str:
        classes = tuple(ClassErrors(str(n), 0, rows) for n, rows in enumerate(sizes))
        return Certificate(
            0, 100, planned=1, verified=1, position=1, classes=classes, **more
        ).text()

    assert "By class" in asides(3, 2)
    assert "By class" not in asides(7, 5)
    assert "By class" not in asides()
    # Each of 8 classes has 0.025 / 8: 1 - that ** (1 / 50) = 10.9%.
    of_each = ", ".join(f"'{n}' 10.9% (0 of 50)" for n in range(8))
    eight = asides(*[50] * 8, metric="balanced-accuracy")
    assert (
        "By class, with the same confidence for all of them together, at most so many of its rows "
        f"are wrong: {of_each}; balanced accuracy is at least 89.1%. This holds"
    ) in eight
    # With nine the share is 0.025 / 9, and 1 - that ** (1 / 50) = 11.1%.
    nine = asides(*[50] * 9, metric="f1")
    assert "'7' 11.1% (0 of 50), ...; balanced accuracy is at least 88.9%. F1 has no bound" in nine
    assert "'8'" not in nine
    assert "costs at most its bound times its dearest mistake" in asides(2, 2, metric="cost")
    later = asides(repeated=1_800, by_time=True)
    assert "(1,800 rows repeated one and were left out). The validation rows are later" in later


def test_metrics_at_their_ends() -> None:
    free = Metric("cost", {("a", "b"): 0.0, ("b", "c"): 7.0})
    assert free.loss(["b", "b"], ["a", "b"]) == 0.0
    assert free.loss([None, None], ["a", "b"]) == (1 + 7) / 2
    assert free.loss([], []) == 0.0
    assert Metric("f1").loss([], []) == Metric("balanced-accuracy").loss([], []) == 1.0
    assert Metric("f1").loss(["a", "b"], ["a", "b"], [1.0, 0.0]) == 0.5
    # F1 of a is 2 / 3, and c is never right.
    assert Metric("f1").loss(["a", "c"], ["a", "a"]) == pytest.approx(1 - (2 / 3 + 0) / 2)
    assert Metric("balanced-accuracy").loss(["b", "c", "c"], ["b", "b", "c"]) == (0.5 + 0) / 2
    with pytest.raises(ConfigurationError, match="give two classes"):
        Metric("cost", {("a", "a"): 1.0})
    # A class without weight does not count, in the metric and in the weights for proposers.
    balanced = Metric("balanced-accuracy")
    assert balanced.loss(["a", "a"], ["a", "b"], [1.0, 0.0]) == 0.0
    assert balanced.row_weights(["a", "b"], [1.0, 0.0]) == [0.5, 0.5]
    assert (Metric().share(2.0, 8.0), Metric().share(0.0, 0.0)) == (0.75, 0.0)
    assert free.share(0.25, 8.0) == 0.75
    classes = [f"c{number}" for number in range(14)]
    with pytest.raises(ConfigurationError, match=r"'x'; the classes are c0, .*, c11$"):
        Metric("cost", {("c0", "x"): 1.0}).check(classes)
    free.check(["a", "b", "c"])
    assert parse_costs(['" as b=1', '"" as b=2']) == {('"', "b"): 1.0, ("", "b"): 2.0}
    with pytest.raises(ConfigurationError, match="write 'A as B=NUMBER'"):
        parse_costs(["a as b=much"])


def selection_of(*attempts: Attempt, selected: int | None = 0, **more: Any) -> Selection:
    """Return a selection of one of these attempts, with the certificate of its mistakes."""
    chosen = None if selected is None else attempts[selected]
    bound = None
    if chosen is not None:
        assert chosen.validation is not None
        bound = Certificate(
            chosen.validation.errors, chosen.validation.rows, planned=5, verified=len(attempts),
            position=chosen.position,
        )  # fmt: skip
    return Selection(attempts, chosen, bound, **more)


def learned_of(selection: Selection, **more: Any) -> LearnedProgram:
    """Return the result of a selection on ten validation rows."""
    values: dict[str, Any] = {
        "name": "rows.csv", "proposer": "llm:openai:gpt", "seed": 7, "classes": BITS,
        "selection": selection, "baseline": MajorityBaseline("1", 0.6, 0.55, 0.6),
        "test": Score(8, 2, 1, 0.7), "interval": (0.25, 0.9), "unbalanced": True,
        "warnings": ("a warning",), "learn_seconds": 1.23456, "test_seconds": 0.00049,
    }  # fmt: skip
    return LearnedProgram(**{**values, **more})


def test_a_result_is_recorded_value_by_value() -> None:
    better = replace(made(3, 0, bits=90), proposal=Proposal(PARITY, fallback=True, proposer="p"))
    tried = [made(1, 4, bits=80), made(2, 0).reject("by chance"), better,
             Attempt(4, Proposal("no"), error="no program")]  # fmt: skip
    selection = selection_of(
        *tried, selected=2, usage=Usage(10, 20), cost_usd=None, possibly_billed=Amount(0.75, 30)
    )
    unseen = {"validation": (3, 1)}
    learned = learned_of(selection, unseen=unseen, path=Path("run"), program_path=Path("run/f.py"))
    certificate = selection.certificate
    assert certificate is not None
    score = {"rows": 10, "errors": 0, "failed": 0, "balanced_accuracy": 1.0, "loss": 0.0}

    def row(number: int, pick: str, accuracy: float | None, bits: int | None, **more: Any) -> Any:
        has_program = bits is not None
        return {
            "pick": pick, "attempt": number, "validation_accuracy": accuracy,
            "train_accuracy": 1.0 if has_program else None, "bits": bits,
            "program": PARITY if has_program else None, "fallback": False, "proposer": "",
            "remark": "",
        } | more  # fmt: skip

    record = learned.record()
    assert record["candidates"] == [
        row(3, ">>>>", 1.0, 90, fallback=True, proposer="p"),
        row(1, "", 0.6, 80),
        row(4, "", None, None, remark="no program"),
        row(2, "", 1.0, 40, remark="by chance"),
    ]
    assert learned.to_frame()["attempt"].tolist() == [3, 1, 4, 2]
    del record["candidates"]
    assert record == {
        "name": "rows.csv",
        "proposer": "llm:openai:gpt",
        "classes": ["0", "1"],
        "attempts": 4,
        "verdict": learned.verdict,
        "program": PARITY,
        "bits": 90,
        "train": score | {"rows": 20, "accuracy": 1.0},
        "validation": score | {"accuracy": 1.0},
        "test": {"rows": 8, "errors": 2, "failed": 1, "balanced_accuracy": 0.7, "loss": 2.0,
                 "accuracy": 0.75},
        "test_interval": (0.25, 0.9),
        "baseline": {"label": "1", "validation_accuracy": 0.6, "test_accuracy": 0.55,
                     "validation_share": 0.6},
        "metric": {"name": "accuracy"},
        "unseen": {"validation": {"rows": 3, "errors": 1}},
        "unbalanced": True,
        "certificate": certificate.record(),
        "certificate_sentence": certificate.sentence(),
        "certificate_text": certificate.text(),
        "fallback": True,
        "rivals": [],
        "warnings": ["a warning"],
        "usage": {"input_tokens": 10, "output_tokens": 20, "cached_tokens": 0,
                  "cache_write_tokens": 0, "reasoning_tokens": 0},
        "cost_usd": None,
        "doubtful_tokens": 30,
        "doubtful_usd": 0.75,
        "learn_seconds": 1.23456,
        "test_seconds": 0.00049,
        "run": "run",
        "program_file": "run/f.py",
    }  # fmt: skip


def test_a_result_without_a_program_is_recorded_as_none() -> None:
    learned = learned_of(
        selection_of(Attempt(1, Proposal("no")), Attempt(2, Proposal("nor")), selected=None),
        test=None, interval=None, unbalanced=False,
    )  # fmt: skip
    record = learned.record()
    names = ["program", "bits", "train", "validation", "test", "test_interval", "certificate",
             "certificate_sentence", "certificate_text", "run", "program_file"]  # fmt: skip
    assert {name: record[name] for name in names} == dict.fromkeys(names)
    assert record["fallback"] is record["unbalanced"] is False
    assert [row["pick"] for row in record["candidates"]] == ["", ""]
    assert learned.verdict == (
        "no program found: no proposal held a program that runs and answers by its input"
    )


@pytest.mark.parametrize(
    ("attempt", "verdict"),
    [
        (Attempt(1, Proposal(""), error="of\n  two lines"), "no program found: of two lines"),
        (made(1, 0, error="an error").reject("by chance"), "no program found: by chance"),
        (Attempt(1, Proposal("")), "no program found: no proposal held a program that runs and "
         "answers by its input"),
    ],
)  # fmt: skip
def test_the_reason_of_an_only_attempt_is_the_verdict(attempt: Attempt, verdict: str) -> None:
    assert learned_of(selection_of(attempt, selected=None)).verdict == verdict


def test_a_result_in_a_notebook_tag_by_tag() -> None:
    source = "\nimport re\nf = len # <b> \n\n"
    chosen = made(1, 0, source=source, bits=41, train=Score(0, 0, 0, 0.0))
    failed = Attempt(2, Proposal("no"), error="no <program>")
    learned = learned_of(selection_of(chosen, failed), interval=None, warnings=("ends.", "a & b"))
    certificate = learned.certificate
    assert certificate is not None
    shown = highlight_python("\nimport re\nf = len # <b> ", inline=True)
    assert result_html(learned) == (
        '<div class="llm-pv"><p><strong>A program better than any constant answer on the '
        "validation rows (100.0% against 60.0%), but its bound does not rule out chance.</strong>"
        "</p>"
        f"<pre>{shown}</pre><table><thead><tr><th>rows</th><th>number</th><th>right</th>"
        "<th>majority baseline</th></tr></thead><tbody>"
        "<tr><td>validation</td><td>10</td><td>100.0%</td><td>60.0%</td></tr>"
        "<tr><td>test</td><td>8</td><td>75.0%</td><td>55.0%</td></tr></tbody></table>"
        f"<p><strong>Certificate:</strong> {escape(certificate.text())}</p>"
        "<p>Note: Ends.</p><p>Note: A &amp; b.</p>"
        "<details open><summary>2 candidates</summary><table><thead><tr><th></th><th>attempt</th>"
        "<th>validation</th><th>train</th><th>bits</th><th>program</th></tr></thead><tbody>"
        "<tr><td>&gt;&gt;&gt;&gt;</td><td>1</td><td>100.0%</td><td>0.0%</td><td>41</td>"
        "<td>f = len # &lt;b&gt;</td></tr>"
        "<tr><td></td><td>2</td><td></td><td></td><td></td><td>no &lt;program&gt;</td></tr>"
        "</tbody></table></details></div>"
    )
    long = learned_of(
        selection_of(*(made(n, n, source="x" * 91) for n in range(13)), selected=None),
        test=None, interval=None, unbalanced=False, warnings=("y" * 2_001,),
    )  # fmt: skip
    html = result_html(long)
    assert "<summary>13 candidates, 1 of them not shown</summary>" in html
    assert html.count("<tr><td>") == 12
    assert f"<td>{escape(visible('x' * 91, 90))}</td>" in html
    assert f"<p>Note: Y{visible('y' * 2_001, 2_000)[1:]}" in html
    assert "<pre>" not in html
    alone = result_html(learned_of(selection_of(chosen)))
    assert "<summary>1 candidate</summary>" in alone
    assert "<td>75.0% [25.0%, 90.0%]</td>" in alone
    assert "<td>100.0% [" not in alone, "the interval is that of the test rows"


AS_GOOD = "nothing found that beats a baseline: "
FALLBACK = Proposal(PARITY, fallback=True)
SURE = MajorityBaseline("1", 0.2, None, 0.2)


@pytest.mark.parametrize(
    ("attempt", "more", "verdict"),
    [
        # No better than the constant is no rule; 1 - 0.005 ** (1 / 10) = 41% is below 80%.
        (made(1, 4), {}, AS_GOOD + "always answering '1' is right on 60.0% of the validation rows, "
         "the best program on 60.0%"),
        (made(1, 0), {}, "a program better than any constant answer on the validation rows (100.0% "
         "against 60.0%), but its bound does not rule out chance"),
        (made(1, 0), {"baseline": SURE}, "a rule was found: right on 100.0% of the validation "
         "rows, the best constant answer on 20.0%"),
        (made(1, 0, train=Score(20, 3, 0, 0.85)), {"baseline": SURE}, "an approximate rule was "
         "found: right on 100.0% of the validation rows, the best constant answer on 20.0%; of the "
         "training rows it is wrong on 3"),
        (made(1, 0, train=None), {"baseline": SURE}, "a rule was found: right on 100.0% of the "
         "validation rows, the best constant answer on 20.0%"),
        (replace(made(1, 0), proposal=FALLBACK), {}, AS_GOOD.removesuffix(": ") + " for sure: no "
         "rule was found; a fallback is offered, right on 100.0% of the validation rows, the best "
         "constant answer on 60.0%"),
        (replace(made(1, 0), proposal=FALLBACK), {"baseline": SURE}, "no short rule was found that "
         "explains the rows; a fallback is offered, right on 100.0% of the validation rows, the "
         "best constant answer on 20.0%"),
        (made(1, 4), {"baseline": MajorityBaseline("1", None, None)}, "a rule was found: right on "
         "60.0% of the validation rows, the best constant answer on 0.0%"),
        # By weights: 4 of 16 lost, against 0.75 of the constant: no better.
        (made(1, 4), {"validation_weight": 16.0, "baseline": MajorityBaseline("1", 0, 0, 0.75)},
         AS_GOOD + "weighted accuracy 75.0% on the validation rows against 75.0% of the best "
         "constant answer"),
        (made(1, 4), {"validation_weight": 16.0, "baseline": MajorityBaseline("1", 0, 0, None)},
         "a program better than any constant answer: weighted accuracy 75.0% on the validation "
         "rows against 0.0%"),
        (replace(made(1, 4), validation=Score(10, 4, 0, 0.6, 0.25)),
         {"metric": Metric("cost"), "baseline": MajorityBaseline("1", 0.6, None, 0.5)},
         "a program better than any constant answer: a mean cost of 0.250 a validation row against "
         "0.500"),
        (replace(made(1, 4), validation=Score(10, 4, 0, 0.6, 0.25)),
         {"metric": Metric("balanced-accuracy"), "baseline": MajorityBaseline("1", 0, 0, 0.5)},
         "a program better than any constant answer: balanced accuracy 75.0% on the validation "
         "rows against 50.0%"),
    ],
)  # fmt: skip
def test_the_verdict_weighs_a_program_against_the_constant(
    attempt: Attempt, more: dict[str, Any], verdict: str
) -> None:
    assert learned_of(selection_of(attempt), **more).verdict == verdict


def test_a_bound_that_just_reaches_the_constant_does_not_rule_out_chance() -> None:
    # The bound of no mistake among 10 is 1 - 0.005 ** (1 / 10), so the constant of the rest ties.
    bound = selection_of(made(1, 0)).certificate
    assert bound is not None
    for right, sure in ((1 - bound.error_bound, False), (0.99 - bound.error_bound, True)):
        learned = learned_of(
            selection_of(made(1, 0)), baseline=MajorityBaseline("1", right, None, right)
        )
        assert learned.verdict.startswith("a rule was found") is sure


def test_the_constant_is_chosen_by_weighted_mistakes() -> None:
    rows = Examples(list("abc"), list("001"), weights=[1.0, 1.0, 6.0])
    found = MajorityBaseline.of(Splits(rows, rows, rows, BITS))
    # Always 1 is wrong on weight 2 of 8, though on two rows of three.
    assert (found.label, found.validation_accuracy, found.validation_share) == ("1", 1 / 3, 0.75)


def test_results_are_written_with_their_summary_row(tmp_path: Path) -> None:
    splits = parity_splits(train=3, validation=10, test=2)
    cell = Cell("task", 12, "paper")
    learned = learned_of(selection_of(made(1, 0), cost_usd=1.5), test=Score(2, 1, 0, 0.5),
                         learn_seconds=1.23456, test_seconds=0.00049)  # fmt: skip
    with RunDirectory(tmp_path / "run", {}) as run:
        log = run.cell_log(cell)
        columns = {"track": "llm-pv", "method": "llm", "model": "openai:gpt"}
        destination = Destination(run, cell, columns | {"name": "another name"})
        for _ in range(2):  # the record of a selection is written once
            write_results(learned, splits, ["0", None], destination, log, explained={"lines": []})
        assert run.row(cell) == {
            "track": "llm-pv", "method": "llm", "model": "openai:gpt", "function": "task",
            "name": "another name", "length": "12", "sampler": "paper", "trial": "0", "seed": "7",
            "train_size": "3", "validation_size": "10", "test_size": "2", "accuracy": "0.5",
            "low": "0.25", "high": "0.9", "validation_accuracy": "1.0", "learn_seconds": "1.235",
            "test_seconds": "0.0", "cost_usd": "1.5", "status": "done", "reason": "",
            "majority_accuracy": "0.55",
        }  # fmt: skip
        [selected] = log.attempts
        program = run.program_path(cell).read_text("utf-8")
    lengths = {"": {"low": 12, "high": 12}}
    assert {name: selected[name] for name in ("kind", "attempt", "test_accuracy", "ranges")} == {
        "kind": "selected", "attempt": 1, "test_accuracy": 0.5, "ranges": lengths,
    }  # fmt: skip
    assert selected["explanation"] == {"lines": []}
    assert selected["result"] == learned.record()
    first, second = splits.test.labels
    written = (tmp_path / "run" / "predictions" / "task-L12-paper-t0.csv").read_text("utf-8")
    assert written == f"row,label,prediction\n0,{first},0\n1,{second},\n"
    assert learned.certificate is not None
    for line in (
        "Learned from rows.csv by llm-pv (llm:openai:gpt).",
        "train: 100.0% of 20 rows right, balanced 100.0%",
        "test: 50.0% of 2 rows right, balanced 50.0%",
        "majority baseline on validation: 60.0% (always '1')",
    ):
        assert f"\n{line}\n" in program.replace('"""', "\n")
    lines = (tmp_path / "run" / "runner.log").read_text("utf-8").splitlines()
    logged = [json.loads(line) for line in lines]
    assert [{**one, "time": None} for one in logged][:1] == [
        {"time": None, "level": "info", "message": "finished", "cell": cell.record(),
         "verdict": learned.verdict}
    ]  # fmt: skip


def test_the_header_of_a_program_tells_what_there_is_to_tell() -> None:
    chosen = made(1, 0, train=Score(0, 0, 0, 0.0))
    learned = learned_of(
        selection_of(chosen), test=None, unbalanced=False, proposer="replay:saved.jsonl",
        baseline=MajorityBaseline("1", None, None),
    )  # fmt: skip
    assert learned.certificate is not None
    assert program_header(learned) == (
        "Learned from rows.csv by llm-pv (replay:saved.jsonl).\n\n"
        "validation: 100.0% of 10 rows right\n"
        "majority baseline on validation: 0.0% (always '1')\n\n"
        f"Certificate: {learned.certificate.text()}"
    )


def test_a_cell_without_a_program_has_its_row_too(tmp_path: Path) -> None:
    cell = Cell("task")
    nothing = learned_of(
        selection_of(Attempt(1, Proposal("no"), error="nothing"), selected=None),
        test=None, interval=None, proposer="length-first",
    )  # fmt: skip
    with RunDirectory(tmp_path / "run", {}) as run:
        log = run.cell_log(cell)
        write_results(nothing, parity_splits(), [], Destination(run, cell), log, explained={})
        row = run.row(cell)
    assert row is not None
    assert {name: row[name] for name in ("status", "reason", "accuracy", "low", "high", "model",
                                         "validation_accuracy")} == {
        "status": "nothing found", "reason": "no program found: nothing", "accuracy": "",
        "low": "", "high": "", "model": "", "validation_accuracy": "",
    }  # fmt: skip
    assert log.attempts[0]["test_accuracy"] is None
    assert not (tmp_path / "run" / "programs").exists()
    assert not (tmp_path / "run" / "predictions").exists()


def reply_of(number: int) -> dict[str, Any]:
    return {
        "attempt": number, "text": f"reply {number}", "seconds": 1.5, "cost_usd": None,
        "prompt_digest": "abc", "capped": True, "note": "a note",
    }  # fmt: skip


def test_replies_without_an_attempt_come_before_new_ones() -> None:
    rival = {"text": "f = len\n", "bits": 9.5, "disagreement": 0.25, "example": "01",
             "answer": "1", "rival_answer": "0"}  # fmt: skip
    later: dict[str, Any] = {"origin": "2", "tool_calls": 3, "failure": "cut off", "fallback": True,
             "redacted": True, "proposer": "p"}  # fmt: skip
    replies = [reply_of(1), reply_of(2), reply_of(3) | later | {
        "usage": {"input_tokens": 7}, "rivals": [rival]}]  # fmt: skip
    failed = Attempt(1, Proposal("reply 1"), error="no").record()
    others = [{"kind": kind, "attempt": 1} for kind in ("unanswered", "rejected")]
    log = CellLog(Cell("task"), replies, [failed, *others])
    history = History(log, parity_splits())
    assert [one.error for one in history.attempts()] == ["no"]

    def request() -> Iterator[Proposal]:
        yield Proposal("new", seconds=0.12345678)

    plain = Proposal("reply 2", 1.5, None, "abc", capped=True, note="a note")
    assert list(history.proposals(request)) == [
        plain,
        replace(plain, text="reply 3", **later, usage=Usage(7), rivals=(RIVAL,)),
        Proposal("new", seconds=0.12345678),
    ]
    assert (log.replies[3]["attempt"], log.replies[3]["seconds"]) == (4, 0.123457)
    log.append_attempt({"kind": "selected"})
    assert list(history.proposals(request)) == [], "a finished cell asks for nothing"


def test_replies_of_other_attempts_are_refused() -> None:
    log = CellLog(Cell("task"), [reply_of(2)])
    why = "reply 1 is damaged or missing (ValueError('it is the reply of attempt 2')); restore"
    with pytest.raises(RunError, match=re.escape(why)):
        next(History(log, parity_splits()).proposals(lambda: iter(())))
    attempts = [{"kind": "attempt", "attempt": number} for number in (2, 3, 4, 5, 6, 7)]
    log = CellLog(Cell("task", 5), [reply_of(1)], attempts)
    message = r"attempts \[2, 3, 4, 5, 6\]\.\.\. and 1 replies of task-L5; restore"
    with pytest.raises(RunError, match=message):
        History(log, parity_splits()).attempts()
    for numbers, replied in (((2,), 3), ((1, 2), 1)):
        replies = [reply_of(number) for number in range(1, replied + 1)]
        log = CellLog(
            Cell("task"), replies, [Attempt(number, Proposal("")).record() for number in numbers]
        )
        with pytest.raises(
            RunError, match=r"results_attempts\.jsonl and replies\.jsonl do not bel"
        ):
            History(log, parity_splits()).attempts()


def test_a_rejection_is_recorded_once() -> None:
    log = CellLog(Cell("task"))
    history = History(log, parity_splits())
    for number, reason in ((1, "by chance"), (1, "by chance"), (2, "by chance"), (1, "by order")):
        history.append_rejection(number, reason)
    history.append_unanswered(3, "no key")
    assert [tuple(record.values()) for record in log.attempts] == [
        ("rejected", 1, "by chance"), ("rejected", 2, "by chance"), ("rejected", 1, "by order"),
        ("unanswered", 3, "no key"),
    ]  # fmt: skip
    assert set(log.attempts[0]) == {"kind", "attempt", "error"}


def test_the_programs_of_a_result_are_its_attempts_and_their_rivals() -> None:
    rivalled = replace(made(1, 1), proposal=Proposal(PARITY, rivals=(RIVAL,)))
    other = made(4, 2, source="f = max\n", train=Score(20, 6, 0, 0.7))
    tried = [rivalled, made(2, 0).reject("by chance"), Attempt(3, Proposal("no")), other]
    tried.append(made(5, 2, train=None))
    assert hypotheses_of(learned_of(selection_of(*tried))) == [
        Hypothesis(PARITY, 0), Hypothesis("f = len\n", 0), Hypothesis("f = max\n", 6),
    ]  # fmt: skip


def test_the_programs_of_a_journal_are_its_attempts_and_their_rivals(tmp_path: Path) -> None:
    attempts = [
        {"kind": kind, "attempt": number, "program": program, "train_errors": mistakes, "trial": 0}
        for kind, number, program, mistakes in (
            ("attempt", 1, "f = len", 0), ("attempt", 2, "", None), ("attempt", 3, "f = max", 4),
            ("rejected", 3, "", None), ("unanswered", 5, "f = id", 0), ("attempt", 4, "f = min", 2),
            ("selected", 4, "f = min", 2),
        )
    ]  # fmt: skip
    rivals = {1: ["f = abs", "f = hex"], 3: ["f = oct"], 4: ["f = str"]}
    replies: list[dict[str, Any]] = [{"attempt": 2}]
    replies += [{"attempt": n, "rivals": [{"text": t} for t in rivals[n]]} for n in rivals]
    Journal(tmp_path / "replies.jsonl").append(*replies)
    journal = Journal(tmp_path / "results_attempts.jsonl")
    journal.append(*attempts)
    assert hypotheses_of_run(tmp_path) == [
        Hypothesis("f = len", 0), Hypothesis("f = abs", 0), Hypothesis("f = hex", 0),
        Hypothesis("f = min", 2), Hypothesis("f = str", 2),
    ]  # fmt: skip
    for other in ({"function": "g", "trial": 0}, {"trial": 1}):
        journal.replace([*attempts, other])
        with pytest.raises(RunError) as raised:
            hypotheses_of_run(tmp_path)
        assert str(raised.value) == f"{tmp_path} is a run over several data sets: give a run of one"


def test_attempts_about_as_good_are_rivals_where_they_answer_otherwise() -> None:
    rows = [f"{number:06b}" for number in range(64)]
    examples = Examples(rows, [row[0] for row in rows])
    splits = Splits(examples, examples, examples, BITS)
    probes = make_probes(examples.inputs, random.Random("rivals"), 80)
    assert len(probes) == 80
    # The selected one has 4 mistakes of 10, so that up to 4 + 2 are chance.
    tried = [
        made(1, 4, source="s1"), made(2, 6, source="s2"), made(3, 7, source="s3"),
        made(4, 5, source="s4").reject("by chance"), made(5, 4, source="s5"),
        made(6, 4, source="s6", bits=90), made(7, 4, source="s7", bits=91),
        made(8, 5, source="s8"), made(9, 6, source="s9"), Attempt(10, Proposal("no")),
    ]  # fmt: skip
    apart = {"s1": 0, "s2": 30, "s5": 3, "s6": 4, "s7": 4, "s8": 5, "s9": 40}
    asked: list[Any] = []

    def predict_many(sources: list[str], inputs: Any) -> Any:
        asked.append((sources, list(inputs)))
        for source in sources:
            other: str | None = "1" if source == "s8" else None
            answers = [other if n < apart[source] else "0" for n in range(80)]
            yield Execution(Outcome.FINISHED, tuple(answers))

    sandbox: Any = SimpleNamespace(predict_many=predict_many)
    first, second = verified_rivals(selection_of(*tried), splits, sandbox)
    assert asked == [(["s1", "s5", "s6", "s7", "s8", "s2", "s9"], probes)]
    shortest = [min(range(n), key=lambda at: (len(str(probes[at])), at)) for n in (4, 5)]
    assert [first.rival, second.rival] == [
        Rival("s6", 90, 4 / 80, probes[shortest[0]], "0", "none"),
        Rival("s8", 40, 5 / 80, probes[shortest[1]], "0", "1"),
    ]
    assert (first.validation.errors, second.validation.errors) == (4, 5)
    assert {first.selected, second.selected} == {"s1"}
    assert verified_rivals(selection_of(*tried[:1]), splits, sandbox) == ()
    assert verified_rivals(selection_of(*tried, selected=None), splits, sandbox) == ()
    many = [made(n, 4, source="s1") for n in range(1, 41)]
    assert verified_rivals(selection_of(*many), splits, sandbox) == ()
    assert [len(sources) for sources, _ in asked[1:]] == [1 + 30]


def test_rivals_that_a_proposer_named_stand_unless_validation_refutes_them(
    sandbox: Sandbox,
) -> None:
    splits = parity_splits()
    other = "def f(x):\n    return sum(c == '1' for c in x) % 2\n"
    named = tuple(
        replace(RIVAL, text=text) for text in ("no program", FIRST_BIT, other, "f = lambda x: 1")
    )
    perfect = replace(made(1, 0), proposal=Proposal(PARITY, rivals=named))
    [found] = verified_rivals(selection_of(perfect), splits, sandbox)
    assert (found.rival, found.selected) == (named[2], PARITY)
    assert (found.validation.rows, found.validation.errors) == (30, 0)
    assert verified_rivals(selection_of(made(1, 0)), splits, sandbox) == ()


def test_of_equal_programs_the_first_is_possible_and_at_most_a_hundred_are() -> None:
    same = [Hypothesis("f", 1), Hypothesis("f", 0), Hypothesis("g", 1)]
    # The best has 1 mistake of 10 rows: a rate of 2 / 12, odds of 1 to 5.
    assert possible(same, 10) == {"f": 1.0, "g": 1.0}
    assert possible([*same, Hypothesis("h", 2)], 10)["h"] == pytest.approx(0.2)
    assert possible([], 10) == {}
    # Where most rows are wrong, a mistake more is no likelier than none.
    assert possible([Hypothesis("f", 9), Hypothesis("g", 10)], 10) == {"f": 1.0, "g": 1.0}
    many = [Hypothesis(f"f{number}", number % 2) for number in range(150)]
    likely = possible(many, 100)
    assert len(likely) == 100
    assert list(likely.values()) == [1.0] * 75 + [pytest.approx(1 / 101)] * 25


def test_rows_are_chosen_by_what_the_likely_programs_answer() -> None:
    asked: list[Any] = []

    def predict_many(sources: list[str], inputs: Any) -> Any:
        asked.append((sources, list(inputs)))
        return [Execution(Outcome.FINISHED, answers) for answers in (("0", "odd"), ("0", "1"))]

    sandbox: Any = SimpleNamespace(predict_many=predict_many)
    likely = {"f": 1.0, "g": 1.0}
    [query] = choose_queries(likely, ["a", "b"], BITS, sandbox, n=2)
    assert asked == [(["f", "g"], ["a", "b"])]
    assert (query.row, query.disagreement, query.answers) == (1, 0.5, {"": 1, "1": 1})
    assert choose_queries({}, ["a"], BITS, sandbox, n=2) == []
    assert choose_queries(likely, [], BITS, sandbox, n=2) == []
    assert len(asked) == 1, "nothing is run for nothing"


def test_programs_that_answer_alike_count_as_the_likeliest_of_them() -> None:
    answers = [("a", "b"), ("b", "b"), ("a", "b"), ("a", "a")]
    found = rank_rows(answers, [0.5, 0.25, 1.0, 0.5], 1)
    assert rank_rows(answers, [1.0, 0.25, 0.5, 0.5], 1) == found
    # ab weighs 1, bb 1/4 and aa 1/2, of 7/4: row 1 parts 5/7 from 2/7, row 0 parts 6/7 from 1/7.
    [query] = found
    assert (query.row, query.answers) == (1, {"b": 3, "a": 1})
    assert query.disagreement == pytest.approx(1 - (25 + 4) / 49)
