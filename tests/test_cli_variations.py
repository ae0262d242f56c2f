"""Several values of an option: which runs they make, and one page on all of them."""

import csv
from pathlib import Path

import pytest

from llm_pv.cli.main import run
from llm_pv.cli.variations import combinations


def test_every_combination_is_a_command_of_its_own_in_a_folder_of_its_own() -> None:
    words = ["synthesize", "--train-size", "20", "50", "--functions", "fn_a", "fn_b", "--tool",
             "local", "none", "--prompt-variant=2", "--out", "x"]  # fmt: skip
    found = combinations(words)
    assert found is not None
    folder, lines = found
    assert folder == Path("x")
    assert list(lines) == [
        "train20-tool-local", "train20-tool-none", "train50-tool-local", "train50-tool-none",
    ]  # fmt: skip
    assert lines["train50-tool-none"] == [
        "synthesize", "--functions", "fn_a", "fn_b", "--train-size", "50", "--tool", "none",
        "--prompt-variant", "2", "--out", "x/train50-tool-none",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["synthesize", "--train-size", "20", "--lengths", "10", "20"],
        ["baselines", "--train-size", "20", "rows.csv"],
        ["baselines", "--sampler", "hard", "hard"],
        ["learn", "--train-size", "20", "30"],
        ["synthesize", "--train-size"],
        [],
    ],
)
def test_one_value_or_a_file_after_it_makes_no_grid(words: list[str]) -> None:
    assert combinations(words) is None


def test_two_sizes_and_two_lengths_go_from_one_command_to_one_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["baselines", "--functions", "fn_a", "--lengths", "12", "14", "--models",
             "decision_tree", "--train-size", "20", "40", "--trials", "1", "--test-size",
             "40", "--out", "g"]  # fmt: skip
    assert run(words) == 0
    shown = capsys.readouterr()
    assert "llm-pv: 2 of 2: train40" in shown.err
    assert shown.err.splitlines()[-1] == "llm-pv: report on all: g/report/index.html"
    with (tmp_path / "g" / "report" / "tables" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["length"], row["labelled rows"], row["run"]) for row in rows) == [
        ("12", "120", "train20"), ("12", "140", "train40"),
        ("14", "120", "train20"), ("14", "140", "train40"),
    ]  # fmt: skip
    assert run(["report", "g", "--out", "again"]) == 0, "a folder is all runs in it"
    page = (tmp_path / "again" / "index.html").read_bytes()
    assert page == (tmp_path / "g" / "report" / "index.html").read_bytes()


def test_an_invalid_value_ends_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["synthesize", "--functions", "fn_a", "--lengths", "12", "--train-size", "21", "40"]
    assert run([*words, "--out", "g"]) == 2
    assert "train21" in capsys.readouterr().err
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["icl", "--val_size", "20", "50", "--model", "hf:x"], "nothing is selected here"),
        (["finetune", "--prompt-variant=2"], "prompts that ask for a program"),
        (["baselines", "--test-lengths", "20"], "a feature for each position"),
    ],
)
def test_an_option_of_another_track_is_refused_with_the_reason(
    words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"means nothing for {words[0]}" in said
    assert why in said
    assert list(tmp_path.iterdir()) == []
