"""The command line as a user meets it: results, one-line errors, statuses."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from llm_pv import __version__
from llm_pv.cli import main
from llm_pv.cli.main import COMMANDS, INTERRUPTED, TRACKS, run
from llm_pv.proposers import own_process
from llm_pv.sandbox import Confinement
from rows import ALWAYS_ONE, PARITY

FIRST_HALF = "def f(x):\n    return x[:4].count('1') % 2\n"

SHUFFLED = [37 * n % 100 for n in range(100)]
"""A column of numbers that does not count its rows, which would make it an identifier."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose files the tests only read."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def rows(folder: Path) -> Path:
    """All strings of 8 bits with the parity of their ones, as text lines."""
    path = folder / "rows.txt"
    texts = [f"{number:08b}" for number in range(256)]
    path.write_text("".join(f"{text} -> {text.count('1') % 2}\n" for text in texts))
    return path


@pytest.fixture(scope="module")
def replies(folder: Path) -> Path:
    """Three saved replies, the second of which holds the rule."""
    path = folder / "replies.jsonl"
    texts = [ALWAYS_ONE, json.dumps({"code": PARITY}), "no code"]
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    return path


@pytest.fixture(scope="module")
def learned_once(folder: Path, rows: Path, replies: Path) -> Path:
    out = folder / "run"
    assert run(["learn", str(rows), "--proposer", f"replay:{replies}", "--out", str(out)]) == 0
    return out


@pytest.fixture
def finished(tmp_path: Path, learned_once: Path) -> Path:
    """A finished run, a copy for each test."""
    return shutil.copytree(learned_once, tmp_path / "run")


def test_help_and_version_come_without_work(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out.strip() == __version__
    assert run(["--help"]) == 0
    listing = capfd.readouterr().out
    places = [listing.index(f"\n│ {name} ") for name in (*COMMANDS, *TRACKS)]
    assert places == sorted(places), "in the order of a person's work"
    for name in (*COMMANDS, *TRACKS):
        assert run([name, "--help"]) == 0
        assert "Usage" in capfd.readouterr().out


@pytest.mark.parametrize("name", [*COMMANDS, *TRACKS])
def test_every_argument_and_option_is_described(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert run([name, "--help"]) == 0
    begun = re.findall(r"^│ (?:\*  )?((?:--|[A-Z]+ ).*?) *│$", capfd.readouterr().out, re.MULTILINE)
    assert begun
    # What has no description ends after its name, or only has its default beside it.
    assert [line for line in begun if not re.search(r"\S {2,}[^\s[]", line)] == []


def test_learn_shows_the_dozen_options_used_most_before_all_others(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["learn", "--help"]) == 0
    first, _, others = capfd.readouterr().out.partition("Rows of your own")
    assert first.count("\n│ --") == 12
    assert others.count("\n│ --") > 30


def test_learn_shows_pick_source_scores_certificate_and_files(
    tmp_path: Path, rows: Path, replies: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    status = run(["learn", str(rows), "--proposer", f"replay:{replies}", "--out", str(out)])
    shown = capfd.readouterr().out
    assert status == 0
    places = [
        shown.index(text) for text in ("def f(x):", "majority", "Certificate", ">>>>", str(out))
    ]
    assert places == sorted(places), "the rule first, then how good it is, then the candidates"
    assert (out / "programs" / "rows-t0.py").read_text().endswith(PARITY)


def test_learn_shows_the_assumptions_of_the_certificate_if_asked(
    tmp_path: Path, rows: Path, replies: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["learn", str(rows), "--proposer", f"replay:{replies}", "--out", str(tmp_path / "run")]
    assert run(words) == 0
    short = " ".join(capfd.readouterr().out.split())
    assert "With 95% confidence this program is wrong on at most" in short
    assert "voids it" not in short
    assert run([*words, "--explain"]) == 0
    assert "keeping the best voids it" in " ".join(capfd.readouterr().out.split())


def test_learn_without_out_makes_a_new_folder_under_runs(
    tmp_path: Path, rows: Path, replies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(["learn", str(rows), "--proposer", f"replay:{replies}"]) == 0
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all((folder / "summary.csv").exists() for folder in folders)


def test_learn_as_json_is_one_object_and_nothing_else(
    tmp_path: Path, rows: Path, replies: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(["learn", str(rows), "--proposer", f"replay:{replies}", "--out", str(tmp_path / "run"),
         "--format", "json"])  # fmt: skip
    shown = capfd.readouterr()
    assert "model" not in shown.err, "saved replies ask none"
    record = json.loads(shown.out)
    assert record["program"] == PARITY
    assert record["test"]["accuracy"] == 1.0
    assert record["test"]["rows"] == 51
    assert [row["attempt"] for row in record["candidates"]][0] == 2
    assert 0 < record["certificate"]["error_bound"] < 0.1


def test_learn_on_a_finished_run_says_so_and_shows_it_again(
    finished: Path, rows: Path, replies: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "replies.jsonl").read_bytes()
    command = ["learn", str(rows), "--proposer", f"replay:{replies}", "--out", str(finished)]
    assert run(command) == 0
    shown = capfd.readouterr()
    assert "is a finished run" in shown.err
    assert "def f(x):" in shown.out
    assert (finished / "replies.jsonl").read_bytes() == before


def test_learn_reads_standard_input(tmp_path: Path, rows: Path, replies: Path) -> None:
    out = tmp_path / "run"
    result = subprocess.run(
        [sys.executable, "-m", "llm_pv", "learn", "-", "--proposer", f"replay:{replies}",
         "--out", str(out)],
        input=rows.read_bytes(), capture_output=True, check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[1] / "src")},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (out / "summary.csv").exists()


def test_learn_without_any_program_says_so_with_status_1(
    tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reply.txt").write_text("I am afraid not.")
    out = tmp_path / "run"
    command = ["learn", str(rows), "--proposer", f"replay:{tmp_path / 'reply.txt'}"]
    assert run([*command, "--out", str(out)]) == 1
    assert "o program found" in capfd.readouterr().out
    assert not (out / "programs").exists()


def test_what_a_program_says_cannot_steer_the_terminal(
    tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "replies"
    folder.mkdir()
    (folder / "1.py").write_text("def f(x):\n    raise ValueError('\\x1b]0;owned\\x07 [red]')\n")
    (folder / "2.py").write_text("def f(x):\n    note = '\x1b[2J'\n    return x[0]\n")
    out = tmp_path / "run"
    assert run(["learn", str(rows), "--proposer", f"replay:{folder}", "--out", str(out)]) == 0
    shown = capfd.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "ValueError" in shown.out
    table = tmp_path / "new.csv"
    table.write_text("input\n00000001\n")
    assert run(["predict", str(folder / "1.py"), str(table)]) == 0
    assert run(["verify", str(folder / "1.py"), str(rows)]) == 0
    shown = capfd.readouterr()
    assert "owned" in shown.err
    assert "\x1b" not in shown.out + shown.err


def test_predict_adds_a_column_and_keeps_the_others_as_written(
    tmp_path: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "new.csv"
    table.write_text('input,zip,note\n00000001,007,"a, b"\n00000011,1e3,\n')
    assert run(["predict", str(finished), str(table)]) == 0
    assert capfd.readouterr().out == (
        'input,zip,note,prediction\n00000001,007,"a, b",1\n00000011,1e3,,0\n'
    )


def test_predict_writes_files_of_each_kind(
    tmp_path: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "new.csv"
    table.write_text("input\n00000001\n00000011\n")
    program = next((finished / "programs").iterdir())
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        "a.csv": pd.read_csv,
        "a.tsv": lambda path: pd.read_csv(path, sep="\t"),
        "a.jsonl": lambda path: pd.read_json(path, lines=True),
        "a.parquet": pd.read_parquet,
    }
    for name, read in readers.items():
        out = tmp_path / "deep" / name
        assert run(["predict", str(program), str(table), "--out", str(out)]) == 0
        assert read(out)["prediction"].tolist() == [1, 0]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_predict_leaves_the_old_file_as_it_was_where_the_disk_is_full(
    name: str,
    tmp_path: Path,
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    table = tmp_path / "new.csv"
    table.write_text("input\n00000001\n")
    out = tmp_path / "out" / name
    out.parent.mkdir()
    out.write_text("kept")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run(["predict", str(finished), str(table), "--out", str(out)]) == 2
    assert f"cannot write {out}: No space left on device" in capfd.readouterr().err
    assert out.read_text() == "kept"
    assert list(out.parent.iterdir()) == [out]


def test_predict_writes_the_file_that_a_link_points_to(tmp_path: Path, finished: Path) -> None:
    table, out, link = tmp_path / "new.csv", tmp_path / "out.csv", tmp_path / "link.csv"
    table.write_text("input\n00000001\n")
    link.symlink_to(out)
    assert run(["predict", str(finished), str(table), "--out", str(link)]) == 0
    assert link.is_symlink()
    assert out.read_text() == "input,prediction\n00000001,1\n"


@pytest.mark.parametrize("cells", [(1, '"z"'), (10**30, 1)])
def test_predict_names_the_way_out_of_what_parquet_cannot_hold(
    cells: tuple[Any, Any], tmp_path: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "new.jsonl", tmp_path / "out.parquet"
    table.write_text("".join(f'{{"input": "00000001", "b": {cell}}}\n' for cell in cells))
    assert run(["predict", str(finished), str(table), "--out", str(out)]) == 2
    said = capfd.readouterr().err
    assert f"cannot write {out} as Parquet: " in said
    assert "give a .jsonl name" in said
    assert not out.exists()


def test_predict_counts_rows_without_an_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program.py"
    program.write_text("def f(x):\n    return 1 // int(x)\n")
    table = tmp_path / "new.csv"
    table.write_text("x\n1\n0\n")
    assert run(["predict", str(program), str(table)]) == 0
    shown = capfd.readouterr()
    assert shown.out == "x,prediction\n1,1\n0,\n"
    assert "1 of 2 rows got no prediction" in shown.err
    assert "ZeroDivisionError" in shown.err


def test_predict_gives_back_the_user_s_own_label_values(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    lines = [f"{n},{n % 7},{'True' if n > 50 else 'False'}" for n in SHUFFLED]
    table.write_text("a,b,y\n" + "\n".join(lines) + "\n")
    (tmp_path / "reply.txt").write_text("def f(row):\n    return row['a'] > 50\n")
    out = tmp_path / "run"
    command = ["learn", str(table), "--target", "y", "--out", str(out)]
    assert run([*command, "--proposer", f"replay:{tmp_path / 'reply.txt'}"]) == 0
    capfd.readouterr()
    new = tmp_path / "new.csv"
    new.write_text("b,a\n3,60\n3,40\n")
    assert run(["predict", str(out), str(new)]) == 0
    assert capfd.readouterr().out == "b,a,prediction\n3,60,True\n3,40,False\n"


def test_predict_takes_decimals_in_a_column_that_held_whole_numbers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("a,b,y\n" + "".join(f"{n},{n % 7},{int(n > 50)}\n" for n in SHUFFLED))
    (tmp_path / "reply.txt").write_text("def f(row):\n    return int(row['a'] > 50)\n")
    out = tmp_path / "run"
    command = ["learn", str(table), "--target", "y", "--out", str(out)]
    assert run([*command, "--proposer", f"replay:{tmp_path / 'reply.txt'}"]) == 0
    capfd.readouterr()
    new = tmp_path / "new.csv"
    new.write_text("a,b\n50.5,3\n49,3\n")
    assert run(["predict", str(out), str(new)]) == 0
    assert capfd.readouterr().out == "a,b,prediction\n50.5,3,1\n49,3,0\n"


@pytest.fixture(scope="module")
def compared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("over_fifty")
    lines = [f"{n},{n % 7},c{n % 3},{int(n > 50)}\n" for n in SHUFFLED]
    table = folder / "rows.csv"
    table.write_text("a,b,zip,y\n" + "".join(lines))
    (folder / "reply.txt").write_text("def f(row):\n    return int(row['a'] > 50)\n")
    command = ["learn", str(table), "--target", "y", "--out", str(folder / "run")]
    assert run([*command, "--proposer", f"replay:{folder / 'reply.txt'}"]) == 0
    return folder / "run"


@pytest.fixture
def over_fifty(tmp_path: Path, compared_once: Path) -> Path:
    """A run whose program compares column a and reads neither b nor zip, a copy for each test."""
    return shutil.copytree(compared_once, tmp_path / "run")


def test_predict_answers_tomorrow_s_rows_as_far_as_they_can_be_read(
    tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.csv"
    # Another order, an unseen category, a new column, no column b, a cell that is no number.
    new.write_text("zip,more,a\nunseen,1,60\nc0,2,sixty\nc1,3,40\nc2,4,\n")
    assert run(["predict", str(over_fifty), str(new)]) == 0
    shown = capfd.readouterr()
    assert shown.out == ("zip,more,a,prediction\nunseen,1,60,1\nc0,2,sixty,\nc1,3,40,0\nc2,4,,\n")
    assert (
        "2 of 4 rows got no prediction, 1 of them for a line or a cell that cannot be read"
        in shown.err
    )
    assert "column 'a', row 2: 'sixty' is no int" in shown.err


@pytest.mark.parametrize("learned", [True, False])
def test_a_line_with_other_cells_than_the_header_has_a_row_without_a_prediction(
    learned: bool, tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = over_fifty if learned else tmp_path / "program.py"
    if not learned:
        program.write_text("def f(row):\n    return int(row['a'] > 50)\n")
    new = tmp_path / "new.csv"
    new.write_text(",zip,b,a\n0,c0,2\n1,c1,1,60\n\n2,c,0,1,70\n3,c1,3,40\n")
    assert run(["predict", str(program), str(new)]) == 0
    shown = capfd.readouterr()
    assert shown.out == "zip,b,a,prediction\n,,,\nc1,1,60,1\n,,,\nc1,3,40,0\n"
    assert "2 of 4 rows got no prediction, 2 of them for a line or a cell" in shown.err
    assert "new.csv, line 2: 3 cells where the header has 4; fix the line" in shown.err
    assert run(["predict", str(program), str(new), "--out", str(tmp_path / "out.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["a"] for row in rows] == [None, 60, None, 40]
    answers = [None, 1, None, 0] if learned else [None, "1", None, "0"]
    assert [row["prediction"] for row in rows] == answers
    assert [type(row["a"]) for row in rows[1::2]] == [int, int]


def test_json_lines_that_are_none_have_rows_without_a_prediction(
    tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.jsonl"
    new.write_text('{"zip": "c", "a": 60}\n{"zip": "c", "a": 4\n[60]\n{"zip": "c", "a": 40}\n')
    assert run(["predict", str(over_fifty), str(new)]) == 0
    shown = capfd.readouterr()
    assert shown.out == "zip,a,prediction\nc,60,1\n,,\n,,\nc,40,0\n"
    assert "2 of 4 rows got no prediction, 2 of them for a line or a cell" in shown.err
    assert "new.jsonl, line 2: no JSON" in shown.err


def test_a_file_of_which_no_line_can_be_read_is_refused_and_so_are_rows_to_learn_from(
    tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.csv"
    new.write_text("zip,b,a\nc0,2\nc1\n")
    assert run(["predict", str(over_fifty), str(new)]) == 2
    assert "new.csv, line 2: 2 cells where the header has 3" in capfd.readouterr().err
    new.write_text("zip,b,a,y\nc0,2,60,1\nc1,3,40\n")
    for command in (["verify", str(over_fifty), str(new)], ["learn", str(new), "--target", "y"]):
        assert run(command) == 2
        assert "new.csv, line 3: 3 cells where the header has 4" in capfd.readouterr().err


def test_the_answer_to_a_row_does_not_depend_on_the_other_rows_of_the_file(
    tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.csv"
    # Thirty numbers and one odd cell: enough for learning to take it for missing.
    new.write_text("a,b,zip\nsixty,1,c0\n" + "60,2,c1\n" * 30)
    assert run(["predict", str(over_fifty), str(new)]) == 0
    shown = capfd.readouterr()
    assert shown.out == "a,b,zip,prediction\nsixty,1,c0,\n" + "60,2,c1,1\n" * 30
    assert "column 'a', row 1: 'sixty' is no int" in shown.err


def test_an_odd_cell_of_training_is_missing_in_new_rows_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cells = ["12%" if n in {3, 60} else str(n) for n in SHUFFLED]
    lines = [f"{a},{n % 7},{int(n > 50)}\n" for a, n in zip(cells, SHUFFLED, strict=True)]
    table = tmp_path / "rows.csv"
    table.write_text("a,b,y\n" + "".join(lines))
    rule = "def f(row):\n    return 1 if row['a'] is None else int(row['a'] > 50)\n"
    (tmp_path / "reply.txt").write_text(rule)
    command = ["learn", str(table), "--target", "y", "--out", str(tmp_path / "run")]
    assert run([*command, "--proposer", f"replay:{tmp_path / 'reply.txt'}"]) == 0
    assert "cells read as missing in column 'a': 2 ('12%')" in capfd.readouterr().out
    new = tmp_path / "new.csv"
    new.write_text("a,b\n12%,1\n13%,1\n40,1\n")
    assert run(["predict", str(tmp_path / "run"), str(new)]) == 0
    shown = capfd.readouterr()
    assert shown.out == "a,b,prediction\n12%,1,1\n13%,1,\n40,1,0\n"
    assert "column 'a', row 2: '13%' is no int" in shown.err


def test_predict_without_a_column_that_the_program_reads_names_it(
    tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.csv"
    new.write_text("zip,b\nc0,1\n")
    assert run(["predict", str(over_fifty), str(new)]) == 2
    assert "has no column 'a', which the program reads" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_a_missing_cell_leaves_whole_numbers_whole_in_every_format(
    name: str, tmp_path: Path, over_fifty: Path
) -> None:
    new, out = tmp_path / "new.csv", tmp_path / name
    new.write_text("a,b,zip\n60,1,c0\n,2,c1\n40,,c2\n")
    assert run(["predict", str(over_fifty), str(new), "--out", str(out)]) == 0
    if name == "out.csv":
        assert out.read_text() == "a,b,zip,prediction\n60,1,c0,1\n,2,c1,\n40,,c2,0\n"
        return
    if name == "out.jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(out).to_pylist()
    assert rows == [
        {"a": 60, "b": 1, "zip": "c0", "prediction": 1},
        {"a": None, "b": 2, "zip": "c1", "prediction": None},
        {"a": 40, "b": None, "zip": "c2", "prediction": 0},
    ]
    assert [type(row["a"]) for row in rows] == [int, type(None), int]
    assert [type(row["prediction"]) for row in rows] == [int, type(None), int]


def test_verify_scores_a_program_on_other_rows(
    tmp_path: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "labelled.csv"
    table.write_text("input,label\n00000001,1\n00000011,1.0\n00000111,1\n00001111,0\n")
    command = ["verify", str(finished), str(table), "--target", "label", "--format", "json"]
    assert run(command) == 0
    record = json.loads(capfd.readouterr().out)
    assert record["rows"] == 4
    assert record["errors"] == 1
    assert record["accuracy"] == 0.75
    assert record["majority_accuracy"] == 0.75
    assert record["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert record["answers_by_its_input_alone"] is True
    assert run(["verify", str(finished), str(table), "--target", "label"]) == 0
    assert "75.0% of 4 rows" in capfd.readouterr().out


def test_verify_infers_the_type_of_a_column_once_and_of_none_that_a_run_recorded(
    tmp_path: Path, over_fifty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_pv.data import table as tables
    from llm_pv.data.columns import inferred_type

    inferred: list[list[str]] = []

    def counted(texts: list[str]) -> Any:
        inferred.append(texts)
        return inferred_type(texts)

    monkeypatch.setattr(tables, "inferred_type", counted)
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("a,b,y\n60,1,1\n40,2,0\n")
    (tmp_path / "program.py").write_text("def f(row):\n    return int(row['a'] > 50)\n")
    assert run(["verify", str(tmp_path / "program.py"), str(labelled), "--target", "y"]) == 0
    assert inferred == [["60", "40"], ["1", "2"]]
    labelled.write_text("a,b,zip,y\n60,1,c0,1\n40,2,c1,0\n")
    assert run(["verify", str(over_fifty), str(labelled)]) == 0
    assert len(inferred) == 2


@pytest.mark.parametrize("labels", [("yes ", "no "), ("a\n", " b"), ("[/a]", "[red]"), ("é", "1")])
def test_verify_on_a_run_s_own_rows_agrees_with_the_run(
    labels: tuple[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    frame = pd.DataFrame({"a": SHUFFLED, "b": [n % 7 for n in SHUFFLED]})
    frame["y"] = [labels[int(n > 50)] for n in SHUFFLED]
    frame.to_csv(table, index=False)
    one, other = (label.strip() for label in labels)
    reply = f"def f(row):\n    return {other!r} if row['a'] > 50 else {one!r}\n"
    (tmp_path / "reply.txt").write_text(reply)
    out = tmp_path / "run"
    command = ["learn", str(table), "--target", "y", "--out", str(out), "--format", "json"]
    assert run([*command, "--proposer", f"replay:{tmp_path / 'reply.txt'}"]) == 0
    assert json.loads(capfd.readouterr().out)["validation"]["accuracy"] == 1.0
    assert run(["verify", str(out), str(table)]) == 0
    assert "100.0% of 100 rows" in capfd.readouterr().out


def test_verify_shows_a_program_that_looks_at_other_rows(
    tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program.py"
    program.write_text("n = 0\ndef f(x):\n    global n\n    n += 1\n    return n % 2\n")
    assert run(["verify", str(program), str(rows)]) == 0
    assert "NO" in capfd.readouterr().out


def test_verify_compares_no_answers_of_a_program_that_gave_none_in_time(
    tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program.py"
    program.write_text("def f(x):\n    while True: pass\n")
    command = ["verify", str(program), str(rows), "--cpu-seconds", "0.2"]
    assert run(command) == 0
    assert "not compared: a limit came before any answer" in capfd.readouterr().out
    assert run([*command, "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out)["answers_by_its_input_alone"] is None


def test_verify_runs_a_program_again_for_as_long_as_one_run_may_take(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ends = time.monotonic(), []

    def check(*_: Any, deadline: float, **more: Any) -> str:
        assert began + 50 <= deadline <= time.monotonic() + 50
        ends.append(deadline)
        return ""

    monkeypatch.setattr("llm_pv.erm.row_independence.row_dependence", check)
    (tmp_path / "program.py").write_text("def f(x):\n    return 1\n")
    assert run(["verify", str(tmp_path / "program.py"), str(rows), "--wall-seconds", "50"]) == 0
    assert len(ends) == 1


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        (["--min-accuracy", "0.75"], 0, "PASSED: accuracy 75.0% of 4 rows, at least 75.0% wanted"),
        (["--min-accuracy", "0.76"], 1, "FAILED: accuracy 75.0% of 4 rows, at least 76.0% wanted"),
        (["--max-error", "0.25"], 0, "PASSED: accuracy (--max-error) 75.0% of 4 rows, at least 75"),
        (["--max-error", "0.2"], 1, "FAILED: accuracy (--max-error) 75.0% of 4 rows, at least 80"),
        (["--min-class-accuracy", "1=0.9"], 1, "FAILED: accuracy of '1' 66.7% of 3 rows, at least"),
        (["--min-class-accuracy", "0=1"], 0, "PASSED: accuracy of '0' 100.0% of 1 rows, at least"),
    ],
)
def test_verify_is_a_gate(
    options: list[str],
    status: int,
    line: str,
    tmp_path: Path,
    finished: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    table, junit = tmp_path / "labelled.csv", tmp_path / "gate.xml"
    table.write_text("input,label\n00000001,1\n00000011,1\n00000111,1\n00001111,0\n")
    command = ["verify", str(finished), str(table), "--target", "label", "--junit", str(junit)]
    assert run([*command, *options]) == status
    shown = capfd.readouterr().out
    assert shown.startswith(line)
    assert shown.count("\n") == 1
    suite = ET.fromstring(junit.read_text())
    assert (suite.get("tests"), suite.get("failures")) == ("1", str(status))
    assert len(suite.findall("testcase/failure")) == status


def test_verify_tells_where_rows_left_the_range_of_training(
    tmp_path: Path, over_fifty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "labelled.csv"
    table.write_text("a,b,zip,y\n500,1,c0,1\n60,1,new,1\n40,2,c1,0\n")
    assert run(["verify", str(over_fifty), str(table), "--min-accuracy", "1"]) == 0
    shown = capfd.readouterr().err
    assert "drift: column 'a': 1 of 3 rows outside" in shown
    assert "drift: column 'zip': 1 of 3 rows with new values ('new')" in shown
    assert "column 'b'" not in shown


@pytest.mark.filterwarnings("always")
def test_a_library_s_warning_is_one_line_without_a_path_or_none(
    rows: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_pv.data import formats

    def warning(data: bytes, *others: Any, **options: Any) -> formats.Content:
        warnings.warn("this parameter goes away", FutureWarning, stacklevel=2)
        warnings.warn("a column\nis odd", UserWarning, stacklevel=2)
        return parsed(data, *others, **options)

    parsed = formats.parsed
    monkeypatch.setattr("llm_pv.data.readers.parsed", warning)
    assert run(["learn", str(rows), "--target", "nowhere"]) == 2
    shown = capfd.readouterr().err
    assert "goes away" not in shown
    assert ".py" not in shown
    assert "llm-pv: a column is odd (UserWarning)\n" in shown


def test_doctor_tells_confinement_extras_and_keys_but_no_key(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-shown")
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    assert run(["doctor"]) == 0
    shown = capfd.readouterr().out
    assert "sk-never-shown" not in shown
    assert "seccomp" in shown
    assert run(["doctor", "--format", "json"]) == 0
    findings = json.loads(capfd.readouterr().out)
    assert findings["keys"]["OPENAI_API_KEY"] is True
    assert findings["keys"]["GOOGLE_API_KEY"] is False
    assert findings["confinement"]["sufficient"] is True
    assert findings["extras"]["programs"] == {"sympy": True, "networkx": True}


BAD = {
    "no command like it": (["lern", "x.csv"], "lern"),
    "no such option": (["learn", "{rows}", "--atempts", "3"], "--atempts"),
    "no number": (["learn", "{rows}", "--attempts", "many"], "many"),
    "a part of a row": (["learn", "{rows}", "--train-size", "7.5"], '"7.5" into a whole number'),
    "a part of a length": (["synthesize", "--lengths", "9", "7.5"], '"7.5" into a whole number'),
    "no attempts": (["learn", "{rows}", "--attempts", "0"], "attempts is 0"),
    "no such file": (["learn", "{folder}/none.csv"], "none.csv"),
    "a folder": (["learn", "{folder}"], "directory"),
    "no such column": (["learn", "{rows}", "--target", "labell"], "labell"),
    "no such proposer": (["learn", "{rows}", "--proposer", "gpt"], "gpt"),
    "a bad type": (["learn", "{rows}", "--types", "zip"], "zip"),
    "no memory": (["learn", "{rows}", "--memory-mb", "0"], "memory-mb"),
    "more rows than there are": (["learn", "{rows}", "--train-size", "1000"], "1,000"),
    "a file in the place of the run": (["learn", "{rows}", "--out", "{rows}"], "rows.txt"),
    "no run": (["predict", "{folder}", "{rows}"], "no run directory"),
    "no program": (["predict", "{rows}", "{rows}"], "rows.txt"),
    "an unknown ending": (["predict", "{run}", "{rows}", "--out", "a.xls"], "a.xls"),
    "a column that is there": (["predict", "{run}", "{rows}", "--column", "input"], "--column"),
    "rows without a label": (["verify", "{run}", "{bare}"], "--target"),
    "rows without the column": (["predict", "{run}", "{other}"], "input"),
}


@pytest.mark.parametrize(("command", "named"), BAD.values(), ids=BAD.keys())
def test_a_request_that_cannot_be_met_is_one_line_and_status_2(
    command: list[str],
    named: str,
    tmp_path: Path,
    rows: Path,
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "bare.csv").write_text("input\n00000001\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    places = {
        "{rows}": rows, "{folder}": tmp_path, "{run}": finished,
        "{bare}": tmp_path / "bare.csv", "{other}": tmp_path / "other.csv",
    }  # fmt: skip
    words = []
    for word in command:
        for mark, place in places.items():
            word = word.replace(mark, str(place))
        words.append(word)
    assert run(words) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("llm-pv: ")
    assert shown.err.count("\n") == 1
    assert named in shown.err
    assert not list((tmp_path / "work").iterdir()), "something half-written was left behind"


def test_a_full_standard_output_is_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "llm_pv", "doctor"], stdout=full, stderr=subprocess.PIPE,
            text=True, check=False, env={"PYTHONPATH": str(Path(__file__).parents[1] / "src")},
        )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.startswith("llm-pv: the system refused")
    assert result.stderr.count("\n") == 1


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"none\.csv"):
        run(["learn", str(tmp_path / "none.csv"), "--debug"])


def test_an_interruption_keeps_the_run_and_says_how_to_go_on(
    tmp_path: Path, rows: Path, replies: Path
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "1.py").write_text(ALWAYS_ONE)
    (slow / "2.py").write_text("def f(x):\n    while True:\n        pass\n")
    (slow / "3.py").write_text(PARITY)
    out = tmp_path / "run"
    command = [sys.executable, "-m", "llm_pv", "learn", str(rows), "--out", str(out),
               "--proposer", f"replay:{slow}"]  # fmt: skip
    environment = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    process = subprocess.Popen(
        [*command, "--wall-seconds", "60", "--cpu-seconds", "60"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    attempts = out / "results_attempts.jsonl"
    while process.poll() is None and not attempts.exists():
        pass
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert "continues from here" in complaint
    assert len(attempts.read_text().splitlines()) == 1
    (slow / "2.py").write_text(FIRST_HALF)


@pytest.fixture
def random_labels(tmp_path: Path) -> Path:
    """Rows whose labels no short program explains, over which the search takes its time."""
    chance = random.Random(3)
    path = tmp_path / "random.csv"
    lines = [",".join(str(chance.randrange(1000)) for _ in range(12)) for _ in range(600)]
    names = ",".join(f"c{number}" for number in range(12))
    labelled = [f"{line},{chance.randrange(2)}" for line in lines]
    path.write_text("\n".join([f"{names},y", *labelled, ""]))
    return path


def test_ctrl_c_during_the_built_in_search_hands_over_what_it_has_found(
    random_labels: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def press() -> None:
        while not any(search.has_found for search in list(own_process._running)):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "run"
    words = ["learn", str(random_labels), "--target", "y", "--out", str(out), "--format", "json"]
    words += ["--budget-seconds", "600"]
    threading.Thread(target=press, daemon=True).start()
    assert run(words) == 0
    record = json.loads(capfd.readouterr().out)
    assert "def f(x):" in record["program"]
    assert any("by Ctrl-C" in text for text in record["warnings"])
    assert run(words) == 0
    assert f"{out} is a finished run" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("signals", "handed_over", "status"),
    [
        ([signal.SIGINT], True, 0),
        ([signal.SIGINT], False, INTERRUPTED),
        ([signal.SIGTERM], True, INTERRUPTED),
        ([signal.SIGINT, signal.SIGINT], True, INTERRUPTED),
        ([signal.SIGINT, signal.SIGTERM], True, INTERRUPTED),
    ],
)
def test_only_the_first_ctrl_c_hands_over(
    signals: list[signal.Signals], handed_over: bool, status: int,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def app(*_: object, **__: object) -> None:
        with main.first_ctrl_c(lambda: handed_over):
            for number in signals:
                signal.raise_signal(number)

    monkeypatch.setattr(main, "app", app)
    assert run(["learn", "rows.csv"]) == status
    assert capfd.readouterr().err == ("llm-pv: interrupted\n" if status else "")
    assert main._signals.at_ctrl_c is None


def test_an_interruption_while_the_page_is_written_says_that_the_result_is_kept(
    rows: Path, replies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_pv.report.write.write_run_page", interrupted)
    words = ["learn", str(rows), "--out", str(tmp_path / "run"), "--proposer", f"replay:{replies}"]
    assert run(words) == INTERRUPTED
    kept = tmp_path / "run"
    said = f"{kept} keeps the result, and the same command with --out {kept} shows it"
    assert said in capfd.readouterr().err
    monkeypatch.undo()
    assert run(words) == 0
    assert f"{kept} is a finished run; this is its result" in capfd.readouterr().err


def test_an_interrupted_command_and_a_reader_gone_away_end_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def raising(error: type[BaseException]) -> Callable[..., None]:
        def app(*_: object, **__: object) -> None:
            raise error

        return app

    monkeypatch.setattr(main, "app", raising(KeyboardInterrupt))
    assert run(["learn", "rows.csv"]) == INTERRUPTED
    assert capfd.readouterr().err == "llm-pv: interrupted\n"
    code = "from llm_pv.cli.main import run; run(['learn', '--help']); run(['--help'])"
    source = str(Path(__file__).parents[1] / "src")
    result = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -c 10 > /dev/null', sys.executable, code],
        capture_output=True, check=False, env={"PYTHONPATH": source, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert result.stderr == b""


def test_what_confined_the_programs_is_told_recorded_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("".join(f"{n:05b} -> {n % 2}\n" for n in range(32)), "utf-8")
    replies = tmp_path / "replies.txt"
    replies.write_text("def f(x): return x[-1]", "utf-8")
    asked = ["learn", str(rows), "--proposer", f"replay:{replies}", "--out", str(tmp_path / "run")]
    asked.append("--allow-unconfined")
    poor = Confinement("linux", ("rlimits",), {"seccomp": "not here"})
    with monkeypatch.context() as poorer:
        poorer.setattr("llm_pv.sandbox.linux.LinuxWorker.confinement", poor)
        poorer.setattr("llm_pv.sandbox.worker_pool._wasm_reason", lambda: "not installed")
        assert run(asked) == 0
    told = "programs run NOT sufficiently confined (active: rlimits; missing seccomp: not here)"
    assert told in " ".join(capsys.readouterr().err.split())
    (record,) = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["confinement"]
    assert record == {
        "backend": "linux",
        "sufficient": False,
        "layers": ["rlimits"],
        "missing": {"seccomp": "not here"},
    }
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "linux: NOT sufficient, rlimits (seccomp: not here)" in page
    assert run(asked) == 0  # on a machine that confines, the second part is noted too
    first, second = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["confinement"]
    assert first == record
    assert second["sufficient"]
    assert "programs run" not in capsys.readouterr().err


def test_only_an_argument_is_named_by_its_option_and_no_word_of_a_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["learn", "seed is here.csv", "--target", "y", "--seed", "3"]) == 2
    assert capfd.readouterr().err == (
        "llm-pv: seed is here.csv: there is no such file; check the path\n"
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--attempts", "0"], "--attempts is 0; at least 1 is needed"),
        (["--delta=2.0"], "--delta is 2.0; give a probability between 0 and 1"),
        (["--stop-at", "7"], "--stop-at is 7.0; give a share above 0, up to 1"),
        (["--budget-seconds", "-1"], "--budget-seconds is -1.0; give a positive number"),
        (["--noise", "0.7"], "--noise is 0.7; give a share from 0 to below 0.5"),
        (["--budget-mb", "1"], "--budget-mb is 1; give 50 or more"),
    ],
)
def test_an_error_names_the_option_as_it_was_given(
    words: list[str], shown: str, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["learn", str(rows), *words]) == 2
    assert f"llm-pv: {shown}" in capfd.readouterr().err


def test_a_run_resumed_with_another_budget_names_it(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["learn", str(rows), "--out", str(tmp_path / "run"), "--budget-candidates", "5000"]
    assert run([*command, "--budget-seconds", "20"]) in {0, 1}
    assert run([*command, "--budget-seconds", "40"]) == 2
    assert "another run: --budget-seconds is 20 there and 40 here." in capfd.readouterr().err
