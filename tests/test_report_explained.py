"""The page of a program for a table: rows by condition, mistakes, and the columns it reads."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.explanation import _by_leaf, _contributions, _mistakes, _shapes, explain
from llm_pv.erm.scoring import Score
from llm_pv.erm.selection import Selection
from llm_pv.errors import RunError
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Proposal
from llm_pv.report.comparison import compare_methods
from llm_pv.report.explained import read_explanation
from llm_pv.report.page import build_page
from llm_pv.report.records import load_runs
from llm_pv.sandbox import Execution, Outcome, Sandbox
from report_runs import learn_ages


def recorded(path: Path) -> dict[str, Any]:
    lines = (path / "results_attempts.jsonl").read_text("utf-8").splitlines()
    (found,) = [r["explanation"] for r in map(json.loads, lines) if r["kind"] == "selected"]
    return dict(found)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    return learn_ages(tmp_path_factory.mktemp("ages") / "run", sandbox)


def test_conditions_have_the_validation_rows_that_meet_them(run: Path) -> None:
    found = read_explanation(recorded(run))
    assert found is not None
    # Ages 45, 50 and 55 are called old, one of them wrongly; 15 and 30 young, one wrongly.
    assert [(line.text, line.rows, line.right) for line in found.lines] == [
        ("if age >= 40", 3, 2), ("old", 3, 2), ("otherwise", 2, 1), ("young", 2, 1),
    ]  # fmt: skip


def test_each_condition_has_the_answers_it_changes_and_the_rows_right_without_it(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    program = "def f(x):\n    return 'old' if x['age'] >= 40 and x['age'] < 52 else 'young'\n"
    run = learn_ages(tmp_path / "run", sandbox, program)
    # Of the ages 15 (young), 30 (old), 45 (old), 50 (young) and 55 (old), 15 and 45 are right.
    assert recorded(run)["conditions"] == {
        "rows": 5,
        "right": 2,
        "without": [
            {"text": "age >= 40", "changed": 2, "right": 2},  # 15 and 30 become old
            {"text": "age < 52", "changed": 1, "right": 3},  # 55 becomes old
        ],
    }
    found = read_explanation(recorded(run))
    assert found is not None
    assert found.conditions is not None
    assert [[value.text for value in row] for row in found.conditions.rows] == [
        ["age >= 40", "2", "40.0"],
        ["age < 52", "1", "60.0"],
    ]
    assert [row[2].detail for row in found.conditions.rows] == ["", "+20.0 points"]


def test_mistakes_are_rows_to_look_at_and_classes_are_counted_by_answer(run: Path) -> None:
    found = recorded(run)
    assert [(m["split"], m["row"], m["label"], m["input"]["age"]) for m in found["mistakes"]] == [
        ("validation", 1, "old", 30), ("validation", 3, "young", 50), ("test", 1, "young", 70),
    ]  # fmt: skip
    assert found["confusion"]["split"] == "test"
    assert found["confusion"]["counts"] == [[1, 0], [1, 1]]


def test_columns_that_are_read_have_their_training_rows_and_cuts(run: Path) -> None:
    (age,) = recorded(run)["columns"]
    assert (age["low"], age["high"], age["cuts"]) == (10, 60, [40])
    # 24 bins of 50 / 24 years from 10 on
    full = {
        label: [n for n, rows in enumerate(bins) if rows] for label, bins in age["bins"].items()
    }
    assert full == {"young": [0, 4], "old": [19, 23]}


def test_a_program_without_conditions_has_no_tree_but_its_mistakes(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    program = "def f(x):\n    return ['young', 'old'][x['age'] >= 40]\n"
    found = recorded(learn_ages(tmp_path / "run", sandbox, program))
    assert (found["lines"], found["leaves"]) == ([], [])
    assert len(found["mistakes"]) == 3


def test_a_run_from_before_explanations_has_its_page_without_them(
    tmp_path: Path, run: Path, sandbox: Sandbox
) -> None:
    old = learn_ages(tmp_path / "run", sandbox)
    journal = old / "results_attempts.jsonl"
    records = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    for record in records:
        record.pop("explanation", None)
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    text, new = (build_page(compare_methods(load_runs([path]))) for path in (old, run))
    for section in ("rule", "mistakes", "columns"):
        assert f'<section id="{section}">' not in text
        assert f'<section id="{section}">' in new
    assert "old" in re.sub(r"<[^>]*>", "", text)


def test_a_damaged_explanation_is_named(run: Path) -> None:
    with pytest.raises(RunError, match="explanation"):
        read_explanation(recorded(run) | {"leaves": []})


def table(label: str, *lasts: float | None) -> Examples:
    """Return rows of 42 columns, of which the program reads the last two."""
    odd: dict[str, Any] = {"c0": True, "c1": None, "c2": float("inf"), "c3": "x" * 301, "c4": 1.5}
    rows: list[Input] = [
        odd | {f"c{n}": n for n in range(5, 40)} | {"same": 7, "last": last} for last in lasts
    ]
    return Examples(rows, [label] * len(rows))


def test_what_is_shown_of_a_table_is_bounded_and_plain(sandbox: Sandbox) -> None:
    source = (
        "def f(x):\n    if x['last'] > 1 and x['same'] > 2:\n        return 'b'\n    return 'a'\n"
    )
    train = Examples(
        [*table("a", 0.0, 12.0, None).inputs, *table("b", 24.0, 23.0).inputs],
        ["a", "a", "a", "b", "b"],
    )
    validation, test = table("a", *[2.0] * 25), table("b", 0.0, 2.0, 0.0, 0.0)
    splits = Splits(train, validation, test, Classes(("a", "b"), ("a", "b")))
    program = Program.parse(source)
    attempt = Attempt(1, Proposal(source), program, validation=Score(25, 25, 0, 0.0))
    chosen = Selection((attempt,), attempt, None, predictions=("b",) * 25)
    found = explain(chosen, splits, ["a", "b", "a", "a"], sandbox)
    # By turns: three of test, and 17 of the 25 of validation.
    assert [(one["split"], one["row"]) for one in found["mistakes"]] == [
        *(("validation", row) for row in range(17)), ("test", 0), ("test", 2), ("test", 3),
    ]  # fmt: skip
    first = found["mistakes"][0]
    assert (first["label"], first["prediction"]) == ("a", "b")
    shown = first["input"]
    assert list(shown) == ["last", "same", *(f"c{n}" for n in range(38))]
    assert [shown[f"c{n}"] for n in range(5)] == [True, None, "inf", "x" * 300, 1.5]
    # The column that never varies has no shape; 24 bins of width 1, the greatest in the last.
    [column] = found["columns"]
    assert (column["name"], column["low"], column["high"], column["cuts"]) == ("last", 0, 24, [1])
    bins = {label: [n for n, rows in enumerate(each) if rows]
            for label, each in column["bins"].items()}  # fmt: skip
    assert bins == {"a": [0, 12], "b": [23]}
    assert column["bins"]["b"][23] == 2
    assert found["confusion"] == {
        "split": "test", "answers": ["a", "b"], "labels": ["a", "b"], "counts": [[0, 0], [3, 1]],
    }  # fmt: skip
    assert found["conditions"]["rows"] == 25
    assert [one["changed"] for one in found["conditions"]["without"]] == [0, 0]
    without = explain(replace(chosen, predictions=(None, *["b"] * 24)), splits, [], sandbox)
    assert without["confusion"] == {
        "split": "validation", "answers": ["a", "b", None], "labels": ["a", "b"],
        "counts": [[0, 24, 1], [0, 0, 0]],
    }  # fmt: skip
    assert {one["split"] for one in without["mistakes"]} == {"validation"}
    assert len(without["mistakes"]) == 20
    many = tuple(f"k{n:02}" for n in range(13))
    wide = replace(splits, classes=Classes(many, many))
    assert explain(chosen, wide, [], sandbox)["confusion"] is None
    twelve = replace(splits, classes=Classes(many[:12], many[:12]))
    assert explain(chosen, twelve, [], sandbox)["confusion"]["labels"] == list(many[:12])
    assert explain(replace(chosen, selected=None), splits, [], sandbox) == {}
    assert explain(replace(chosen, predictions=()), splits, [], sandbox) == {}
    texts = Examples(["a"], ["a"])
    assert explain(chosen, replace(splits, train=texts), [], sandbox) == {}


class Answering:
    """In place of a sandbox: gives answers made before, and notes what it is asked to run."""

    def __init__(self, *answers: tuple[str | None, ...]) -> None:
        self.answers = answers
        self.asked: list[Any] = []

    def predict(self, source: str, inputs: Any) -> Execution:
        self.asked.append((source, inputs))
        return Execution(Outcome.FINISHED, self.answers[0])

    def predict_many(self, sources: list[str], inputs: Any, deadline: float) -> list[Execution]:
        self.asked.append((len(sources), inputs, deadline))
        return [Execution(Outcome.FINISHED, answers) for answers in self.answers]


def test_rows_are_counted_at_the_leaf_that_they_reach() -> None:
    rows = Examples([{"n": n} for n in range(6)], list("aabbab"))
    found = {"source": "f", "lines": [(0, "if", None), (1, "a", 0), (0, "else", None), (1, "b", 1)]}
    sandbox: Any = Answering(("0", "1", "1", "2", None, "x"))
    assert _by_leaf(found, rows, list("abbaab"), sandbox) == [
        {"rows": 1, "right": 1}, {"rows": 2, "right": 1},
    ]  # fmt: skip
    assert sandbox.asked == [("f", rows.inputs)]
    assert _by_leaf({"lines": []}, rows, [], sandbox) == []


def test_conditions_are_taken_away_as_long_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = " and ".join(f"x['n{'m' * 300}{n}'] > {n}" for n in range(3))
    source = f"def f(x):\n    return 'a' if {parts} else 'b'\n"
    rows = Examples([{"n": n} for n in range(3)], list("aab"))
    monkeypatch.setattr("llm_pv.erm.explanation.time", SimpleNamespace(monotonic=lambda: 100.0))
    sandbox: Any = Answering(("a", "b", "b"), (), ("a", "a", "b"))
    found = _contributions(source, rows, list("aaa"), sandbox)
    assert sandbox.asked == [(3, rows.inputs, 105.0)]
    [without] = found.pop("without")
    assert found == {"rows": 3, "right": 2}
    assert (without["changed"], without["right"], len(without["text"])) == (2, 2, 300)


def test_columns_are_shown_by_the_most_frequent_classes() -> None:
    classes = [f"k{n:02}" for n in range(13)]
    labels = [*classes[1:], *classes]  # the first is the rarest
    rows = Examples(
        [{"n": float(n), "none": None, "text": "x", "same": 1} for n in range(25)], labels
    )
    columns: dict[str, Any] = {"none": [], "text": [], "same": [1.0], "n": [3.5]}
    columns |= {f"n{n}": [] for n in range(12)}
    [shape] = _shapes(columns, rows)
    assert (shape["name"], shape["low"], shape["high"]) == ("n", 0.0, 24.0)
    assert list(shape["bins"]) == classes[1:]
    # Each row lies in a bin of its own, but the last two of 24; k00 is row 12 and not shown.
    assert shape["bins"]["k12"] == [int(n in (11,)) + int(n == 23) for n in range(24)]
    assert sum(sum(bins) for bins in shape["bins"].values()) == 24
    twelve = {f"c{n:02}": [0.5] for n in range(13)}
    wide = Examples([dict.fromkeys(twelve, n) for n in range(2)], ["a", "b"])
    assert [each["name"] for each in _shapes(twelve, wide)] == list(twelve)[:12]


def test_a_number_too_large_for_a_float_is_shown_as_text() -> None:
    rows = Examples([{"n": 10**400, "m": 3}], ["1"])
    (mistake,) = _mistakes({"validation": (rows, ["0"])}, ["n"])
    assert mistake["input"]["n"].startswith("1000")
    assert mistake["input"]["m"] == 3
