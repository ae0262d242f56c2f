"""Asking for labels: which rows decide between the programs still possible, and what follows."""

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from llm_pv import ProgramClassifier, Search, learn
from llm_pv.api import read_splits
from llm_pv.cli.main import run as command
from llm_pv.data.reading import Reading
from llm_pv.erm.queries import Hypothesis, hypotheses_of_run, most_informative, possible
from llm_pv.errors import DataError, RunError
from llm_pv.runs.reading import read_run

PROGRAMS = [
    f'def f(x):\n    return "yes" if x["age"] >= {age} else "no"\n' for age in (40, 35, 45, 5)
]
AGES = [*range(10, 34), *range(46, 70)]  # none between 33 and 46: three thresholds fit alike


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled ages with a gap, a pool of ages in and around it, and a finished run."""
    path = tmp_path_factory.mktemp("made")
    rows = [f"{age},{age % 3},{'yes' if age >= 40 else 'no'}" for age in AGES]
    (path / "rows.csv").write_text("\n".join(["age,zone,y", *rows]) + "\n")
    pool = [f"{age},0" for age in (20, 34, 37, 42, 60)]
    (path / "pool.csv").write_text("\n".join(["age,zone", *pool]) + "\n")
    (path / "replies.jsonl").write_text("".join(json.dumps(text) + "\n" for text in PROGRAMS))
    search = Search(f"replay:{path / 'replies.jsonl'}", early_stop=False)
    learn(path / "rows.csv", target="y", search=search, out=path / "run")
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of these files to work in."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "here"))
    return Path.cwd()


def learned_again(*more: str) -> int:
    options = ["--proposer", "replay:replies.jsonl", "--no-early-stop", "--out", "run"]
    return command(["learn", "rows.csv", "--target", "y", *options, *more])


def test_a_row_that_separates_likelier_hypotheses_comes_first() -> None:
    answers = ["aab", "abb", "baa"]
    assert [row for row, _ in most_informative(answers, [1, 1, 0.01], 3)] == [1, 0, 2]


def test_the_second_row_separates_what_the_first_left_together() -> None:
    # Row 0 puts two against two; row 1 the same two; row 2 separates within both pairs.
    answers = ["aaa", "aab", "bba", "bbb"]
    assert [row for row, _ in most_informative(answers, [1, 1, 1, 1], 2)] == [0, 2]


def test_rows_on_which_all_agree_are_not_asked_for() -> None:
    assert most_informative(["ab", "ab"], [1, 1], 2) == []


def test_programs_with_significantly_more_training_mistakes_are_ruled_out() -> None:
    # C(40, k) / C(80, k), the chance that k mistakes fall to one of two: 0.058 for 4, 0.027 for 5.
    sources = {
        mistakes: Hypothesis(f"f = lambda x: {mistakes}", mistakes) for mistakes in (0, 4, 5)
    }
    assert list(possible(sources.values(), 40)) == [sources[0].source, sources[4].source]


def test_a_journal_holds_the_programs_and_their_training_mistakes(folder: Path) -> None:
    found = hypotheses_of_run(folder / "run")
    assert [one.mistakes for one in found[:3]] == [0, 0, 0]
    # From 5 on says yes to everybody: wrong on the training rows of label no, about half of 19.
    assert found[3].mistakes > 5
    with pytest.raises(RunError, match="holds no program"):
        hypotheses_of_run(folder / "none")


def test_ask_ranks_rows_and_writes_them_with_an_empty_label(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ask", "run", "pool.csv", "-n", "4", "--out", "ask.csv", "--format", "json"]
    assert command(arguments) == 0
    records = json.loads(capsys.readouterr().out)
    # 37 is yes for the threshold 35 alone, 42 no for 45 alone; on 20, 34 and 60 the three agree.
    assert [(record["row"], record["answers"]) for record in records] == [
        (2, {"no": 2, "yes": 1}),
        (3, {"yes": 2, "no": 1}),
    ]
    with (folder / "ask.csv").open() as file:
        assert list(csv.DictReader(file)) == [
            {"age": "37", "zone": "0", "y": ""},
            {"age": "42", "zone": "0", "y": ""},
        ]


def test_labelled_rows_are_trained_on_in_a_new_run_that_takes_the_old_one_s_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ask.csv").write_text("age,zone,y\n37,0,no\n42,0,yes\n")
    assert learned_again("--add", "ask.csv", "--format", "json") == 0
    shown = capsys.readouterr()
    assert "run.before-1 is the run without the added rows; its certificate ends" in shown.err
    assert ">= 40" in json.loads(shown.out)["program"]
    old, new = (
        read_run(folder / name)["configuration"]["sizes"] for name in ("run.before-1", "run")
    )
    assert new == [old[0] + 2, *old[1:]]
    learned_again("--add", "ask.csv")
    assert "finished run" in capsys.readouterr().err
    assert not (folder / "run.before-2").exists()


def test_no_row_is_asked_for_where_the_programs_agree(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "clear.csv").write_text("age,zone\n20,0\n60,1\n")
    assert command(["ask", "run", "clear.csv", "--out", "ask.csv"]) == 1
    assert "agree on every row" in capsys.readouterr().err
    assert not (folder / "ask.csv").exists()


def test_a_pool_needs_the_columns_that_added_rows_need(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pool.csv").write_text("age,note\n37,a\n42,b\n")
    assert command(["ask", "run", "pool.csv"]) == 2
    error = capsys.readouterr().err
    assert "pool.csv lacks 'zone'" in error
    assert error.count("\n") == 1


def test_added_rows_need_the_run_whose_place_they_take(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ask.csv").write_text("age,zone,y\n37,0,no\n")
    assert command(["learn", "rows.csv", "--target", "y", "--add", "ask.csv"]) == 2
    assert "name it with --out" in capsys.readouterr().err


@pytest.mark.parametrize("distinct", [False, True])
def test_added_rows_leave_validation_and_test_as_they_were(folder: Path, distinct: bool) -> None:
    reading = Reading(distinct_inputs=distinct)
    before = read_splits("rows.csv", target="y", reading=reading)
    held = before.validation.inputs[0]
    assert isinstance(held, dict)
    (folder / "more.csv").write_text(f"age,zone,y\n37,0,no\n{held['age']},{held['zone']},yes\n")
    after = read_splits("rows.csv", target="y", reading=reading, added=["more.csv"])
    assert (after.validation, after.test) == (before.validation, before.test)
    added = [{"age": 37, "zone": 0}] if distinct else [{"age": 37, "zone": 0}, held]
    assert len(after.train) == len(before.train) + len(added)
    assert all(row in after.train.inputs for row in added)
    assert any("training rows added: 2" in warning for warning in after.warnings)


def test_a_mistyped_cell_of_added_rows_makes_no_column_text(folder: Path) -> None:
    (folder / "ask.csv").write_text("age,zone,y\nforty,0,no\n42,0,yes\n")
    with pytest.raises(DataError, match=r"ask.csv: column 'age' is str, and int in .*age=str"):
        read_splits("rows.csv", target="y", added=["ask.csv"])
    as_text = read_splits("rows.csv", target="y", added=["ask.csv"], types={"age": "str"})
    assert as_text.types["age"] == "str"
    (folder / "ask.csv").write_text("age,zone,y\n41.5,,yes\n")
    assert read_splits("rows.csv", target="y", added=["ask.csv"]).types["age"] == "float"


def test_a_classifier_asks_for_the_rows_that_divide_its_programs(folder: Path) -> None:
    model = ProgramClassifier(
        proposer=f"replay:{folder / 'replies.jsonl'}", early_stop=False, random_state=0
    )
    labels = ["yes" if age >= 40 else "no" for age in AGES]
    model.fit(pd.DataFrame({"age": AGES}), labels)
    pool = pd.DataFrame({"age": [20, 37, 42, 60]})
    assert model.query(pool).tolist() == [1, 2]
    assert model.query(pool, n=1).tolist() == [1]
