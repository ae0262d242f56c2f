"""The first version's command, as its README writes it."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_openai_server import FakeOpenAI, Reply
from llm_pv.cli import seed_agent
from llm_pv.cli.seed_synthesis import run_seed
from llm_pv.tasks.loading import load_task
from llm_pv.tracks.synthesis.seed_rows import COLUMNS

ROOT = Path(__file__).parents[1]
AS_WRITTEN = [
    "--functions", "fn_a", "--lengths", "50", "--attempts", "3", "--enable-code-interpreter",
]  # fmt: skip
EVERY_FLAG = [
    *AS_WRITTEN, "--num-trials", "1", "--model", "gpt-5.4", "--provider", "openai",
    "--max-output-tokens", "100", "--reasoning-effort", "low", "--thinking-level", "low",
    "--verbosity", "low", "--temperature", "0.5", "--top-p", "0.9", "--tool-choice", "none",
    "--train-size", "4", "--val-size", "4", "--test-size", "10", "--seed", "7",
    "--dataset-dir", "data", "--concurrency", "2", "--timeout", "60", "--out-jsonl", "a.jsonl",
    "--out-csv", "a.csv", "--log-level", "ERROR",
]  # fmt: skip
PUBLISHED_ONLY = [
    "--allow-tools", "--hf-device-map", "auto", "--hf-torch-dtype", "bfloat16",
    "--no-hf-trust-remote-code", "--hf-attn-implementation", "sdpa", "--thinking-level", "minimal",
]  # fmt: skip
SMALL = [
    "--functions", "fn_a", "--lengths", "20", "--num-trials", "1", "--train-size", "8",
    "--val-size", "8", "--test-size", "20", "--dataset-dir", "data", "--log-level", "ERROR",
]  # fmt: skip
ANSWER: Reply = {"text": json.dumps({"code": "def f(x):\n    return x.count('1') % 2\n"})}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_command_as_written_asks_for_the_key_in_one_line_from_any_directory(
    tmp_path: Path,
) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "program_synthesis" / "runner.py"), *AS_WRITTEN],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "needs a key: set OPENAI_API_KEY in the environment" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ([], "OPENAI_API_KEY"),
        (["--model", "gemini-3.5-flash"], "GOOGLE_API_KEY or GEMINI_API_KEY"),
        (["--provider", "gemini"], "GOOGLE_API_KEY or GEMINI_API_KEY"),
        (["--model", "claude-opus"], "ANTHROPIC_API_KEY"),
    ],
)
def test_a_missing_key_is_named_beside_the_ways_that_need_none(
    more: list[str], names: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_seed([*AS_WRITTEN, *more]) == 2
    complaint = capfd.readouterr().err
    assert f"needs a key: set {names} in the environment" in complaint
    assert "--provider length-first" in complaint
    assert "--dry-run" in complaint
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_takes_every_flag_and_prints_the_request_with_training_rows_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_seed([*EVERY_FLAG, "--dry-run"]) == 0
    shown = capfd.readouterr().out
    splits = load_task("fn_a", length=50, train_size=4, validation_size=4, test_size=10, seed=7)
    for text, label in zip(splits.train.inputs, splits.train.labels, strict=True):
        assert f"\\n{text} -> {label}\\n" in shown
    assert not any(str(text) in shown for text in splits.validation.inputs)
    assert not any(str(text) in shown for text in splits.test.inputs)
    request = json.loads(shown[shown.index("{\n") : shown.index("\n}\n") + 2])
    assert request["model"] == "gpt-5.4"
    assert request["max_output_tokens"] == 100
    assert list(tmp_path.iterdir()) == []


def test_the_built_in_search_runs_offline_and_writes_the_published_columns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [
        "--functions", "fn_a", "fn_h", "--lengths", "30", "--attempts", "3",
        "--num-trials", "1", "--train-size", "40", "--test-size", "100", "--dataset-dir", "data",
        "--provider", "length-first", "--log-level", "ERROR", "--out-jsonl", "deep/rows.jsonl",
        "--out-csv", "rows.csv",
    ]  # fmt: skip
    assert run_seed(command) == 0
    shown = capfd.readouterr()
    assert shown.err == ""
    assert "fn_a L=30" in shown.out
    rows = read_lines(tmp_path / "deep" / "rows.jsonl")
    with (tmp_path / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS == tuple(rows[0])
    assert len(table) == len(rows)
    attempts = [row for row in rows if row["kind"] == "attempt"]
    assert all(row["test_acc"] is None for row in attempts)
    splits = load_task("fn_a", length=30, train_size=40, test_size=100)
    assert f"{splits.train.inputs[0]} -> {splits.train.labels[0]}\n" in attempts[0]["prompt"]
    assert "def f(x)" in attempts[0]["text"]
    (selected,) = [row for row in rows if row["kind"] == "selected"]
    assert (selected["fn"], selected["length"], selected["trial"]) == ("fn_a", 30, 1)
    assert selected["test_acc"] == 1.0
    assert selected["stopped_early"] is True
    (summary,) = [row for row in rows if row["is_summary"]]
    assert (summary["kind"], summary["num_trials"], summary["test_acc"]) == ("summary", 1, 1.0)
    (run,) = (tmp_path / "runs").iterdir()
    before = (run / "results_attempts.jsonl").read_bytes()
    assert run_seed(command) == 0, "the same command finds its run again"
    assert (run / "results_attempts.jsonl").read_bytes() == before
    assert read_lines(tmp_path / "deep" / "rows.jsonl") == rows


def test_a_bad_request_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command, named in (
        (["--functions", "fn_zz"], "fn_zz"),
        (["--lengths", "ten"], "ten"),
        (["--test-size", "9"], "9"),
        (["--tool-choice", "required"], "required"),
        (["--provider", "length-first", "--attempts", "0"], "attempts is 0"),
    ):
        assert run_seed(command) == 2
        complaint = capfd.readouterr().err
        assert complaint.count("\n") == 1
        assert named in complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", "-3"), ("top-p", "7"), ("max-output-tokens", "-4")]
)
def test_numbers_no_model_takes_are_refused(
    option: str, value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_seed(["--functions", "fn_a", f"--{option}={value}", "--dry-run"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert option in shown.err
    assert shown.err.count("\n") == 1


def served(server: FakeOpenAI) -> list[str]:
    return ["--provider", "openai-compatible", "--model", "m", "--base-url", server.base_url]


def test_flags_of_the_published_command_alone_are_taken_with_a_notice_where_they_mean_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_seed(["--functions", "fn_a", "--lengths", "20", *PUBLISHED_ONLY, "--dry-run"]) == 0
    shown = capfd.readouterr()
    assert '"code_interpreter"' in shown.out, "--allow-tools lets the model run Python"
    assert [line for line in shown.err.splitlines() if "no effect" in line] == [
        "llm-pv: --hf-... options have no effect: the model does not run in this process"
    ]
    words = ["--functions", "fn_a", "--lengths", "20", "--no-tools", "--hf-trust-remote-code"]
    assert run_seed([*words, "--enable-code-interpreter", "--dry-run"]) == 0
    shown = capfd.readouterr()
    assert "code_interpreter" not in shown.out
    assert "--hf-trust-remote-code has no effect: code of a model's repository" in shown.err


def test_the_environment_sets_what_the_command_line_does_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    environment = {
        "OPENAI_MODEL": "gpt-5.4", "ATTEMPTS": "4", "FUNCTIONS": "fn_a,fn_h", "SEED": "",
        "NUM_TRIALS": "9", "DRY_RUN": "1",
    }  # fmt: skip
    words = ["--lengths", "20", "--attempts", "2", "--trials", "1"]
    assert run_seed(words, environment) == 0  # calls no model, since it is a dry run
    shown = capfd.readouterr()
    assert "DRY_RUN=1" in shown.err
    assert "NUM_TRIALS" not in shown.err, "--trials is another name of its option"
    assert "from the environment: OPENAI_MODEL=gpt-5.4, FUNCTIONS=fn_a,fn_h" in shown.err
    assert '"model": "gpt-5.4"' in shown.out
    assert shown.out.count("attempts: 2,") == 2, "two tasks, and the attempts of the command line"


def test_wordings_are_json_or_a_file_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    wordings = json.dumps({"short": "Find f.\n{data_examples}"})
    assert run_seed([*SMALL, "--prompt-variants-json", wordings, "--dry-run"]) == 0
    assert "Find f." in capfd.readouterr().out
    for wrong, said in (
        ("[", "no JSON at line 1, column 2"),
        ("none.json", "none.json: No such file or directory; give JSON, or a file of it"),
        ('{"a": 1}', "holds no wordings"),
    ):
        assert run_seed([*SMALL, "--prompt-variants-json", wrong, "--dry-run"]) == 2
        complaint = capfd.readouterr().err
        assert said in complaint
        assert complaint.count("\n") == 1


def test_wordings_of_a_json_file_are_tried_in_one_run_into_one_table(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wordings = {
        "plain": "Inputs: {sequence_type}, length {sequence_dimension}.\n{data_examples}\n"
        'Answer {"code": "..."}',
        "ours": "{examples}\n{contract}",
    }
    (tmp_path / "wordings.json").write_text(json.dumps(wordings))
    with FakeOpenAI([ANSWER]) as server:
        words = [*served(server), "--prompt-variants-json", "wordings.json", "--attempts", "1"]
        assert run_seed([*SMALL, *words]) == 0
    capfd.readouterr()
    rows = read_lines(tmp_path / "results_attempts.jsonl")
    attempts = {row["prompt_variant"]: row for row in rows if row["kind"] == "attempt"}
    assert list(attempts) == ["plain", "ours"]
    assert attempts["plain"]["prompt"].startswith("Inputs: binary, length 20.\n")
    assert attempts["plain"]["prompt"].endswith('Answer {"code": "..."}')
    selected = [row for row in rows if row["kind"] == "selected"]
    assert [row["test_acc"] for row in selected] == [1.0, 1.0]
    for row in selected:
        total = row["adaptation_duration_ms"] + row["test_duration_ms"]
        assert row["total_wall_clock_duration_ms"] == pytest.approx(total, abs=0.01)
    trial = tmp_path / "results_attempts_trials" / "fn_a_L20_trial1_plain.jsonl"
    assert read_lines(trial) == [r for r in rows if r["prompt_variant"] == "plain"][:2]
    (tmp_path / "wordings.json").write_text('{"a": 3}')
    assert run_seed([*SMALL, *words]) == 2
    assert "holds no wordings" in capfd.readouterr().err


def test_the_agent_has_a_command_of_its_own_with_the_same_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    look: Reply = {"code": "print(len(rows))"}
    with FakeOpenAI([look, ANSWER], by_turn=True) as server:
        words = [*SMALL, *served(server), "--max-steps", "3", "--attempts", "5", "--allow-tools"]
        words += ["--prompt-rows", "5"]
        assert seed_agent.run_seed([*words, "--seed", "7"]) == 0
    assert "--attempts has no effect: a trial of the agent is one" in capfd.readouterr().err
    rows = read_lines(tmp_path / "agent_attempts.jsonl")
    assert [row["kind"] for row in rows] == ["attempt", "selected", "summary"]
    assert rows[0]["tool_uses"] == 1
    assert len(re.findall(r"[01]{20} -> ", rows[0]["prompt"])) == 5  # of 8 training rows
    assert rows[1]["test_acc"] == 1.0
