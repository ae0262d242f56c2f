"""``llm-pv synthesize`` as a user meets it: tables, one-line errors, interruptions."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_pv.cli.main import INTERRUPTED, run
from rows import ALWAYS_ONE, PARITY

SOURCE = str(Path(__file__).parents[1] / "src")
ENDLESS = "def f(x):\n    while True:\n        pass\n"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a reply that is half right and one that is right."""
    path = tmp_path / "replies"
    path.mkdir()
    (path / "1.py").write_text(ALWAYS_ONE)
    (path / "2.py").write_text(PARITY)
    return path


def words(folder: Path, *more: str) -> list[str]:
    return [
        "synthesize", "--functions", "fn_a", "fn_h", "--lengths", "100", "50", "--trials", "2",
        "--test-size", "100", "--proposer", f"replay:{folder}", "--workers", "1", *more,
    ]  # fmt: skip


def test_the_table_shows_measured_and_published_figures_and_what_was_skipped(
    work: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(words(folder, "--out", "run")) == 0
    shown = capfd.readouterr()
    for text in (
        "fn_a L=100", "100.0 ± 0.0", "2/2 trials", "200: 100.0", "400: 100.0", "published: LLM-PV",
        "100.0 GPT-5", "82.0 ICL-GPT-5", "not measured here", "skipped (2): fn_h at length 50",
        "multiples of 4",
    ):  # fmt: skip
        assert text in re.sub(r"\s+", " ", shown.out), text
    lines = shown.err.splitlines()
    assert sum("fn_a L=100 trial 1: done" in line for line in lines) == 1
    assert lines[-1].startswith("8/8 ")
    assert (work / "datasets" / "parity_all" / "L100").is_dir()
    assert len(list((work / "run" / "programs").iterdir())) == 6


def test_a_finished_grid_says_so_and_is_shown_again(
    work: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = words(folder, "--out", "run", "--no-transfer", "--concurrency", "1")
    assert run(command) == 0
    first = capfd.readouterr()
    assert run(command) == 0
    again = capfd.readouterr()
    assert again.out == first.out
    assert again.err.startswith("llm-pv: run is a finished run")


def test_a_trial_that_fails_is_shown_with_its_reason_and_the_status_tells(
    work: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = words(folder, "--strict-sizes", "--no-transfer")
    command[command.index("fn_h")] = "fn_g"
    command[command.index("50")] = "8"
    assert run(command) == 1
    shown = re.sub(r"\s+", " ", capfd.readouterr().out)
    assert re.search(r"failed \(2\): fn_g at length 8: .* which strict sizes forbid", shown)
    assert "fn_a L=100" in shown


def test_json_holds_every_figure(
    work: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more = ["--format", "json", "--same-data", "--sampler", "hard"]
    assert run([word for word in words(folder, *more) if word != "fn_h"]) == 0
    record: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert Path(record["run"]).parent == Path("runs")
    assert record["sampler"] == "hard"
    cell = next(c for c in record["cells"] if (c["function"], c["length"]) == ("fn_a", 100))
    assert cell["test_accuracy"] == {"mean": 1.0, "standard_deviation": 0.0, "trials": 2}
    assert cell["attempts"] == [2, 2]
    assert cell["published_test_accuracy"] == {}, "published figures are the paper's sampler's"
    assert set(cell["other_lengths"]) == {"200", "400"}


def test_a_grid_of_which_nothing_can_be_done_is_one_line(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = work / "empty.csv"
    table.write_text("")
    command = ["synthesize", "--functions", "fn_n", "--trials", "1", "--table", str(table)]
    assert run([*command, "--out", "run"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    (complaint,) = [line for line in shown.err.splitlines() if line.startswith("llm-pv: ")]
    assert "no trial could be done" in complaint
    assert "empty.csv" in complaint


BAD = {
    "an unknown id": (["--functions", "fn_zz"], "fn_zz"),
    "a name nearly right": (["--functions", "palindrom"], "palindrome"),
    "an odd size": (["--train-size", "7"], "7"),
    "no length that can be": (["--functions", "fn_h", "--lengths", "50"], "multiples of 4"),
    "no trials": (["--trials", "0"], "trials is 0"),
    "no such table": (["--functions", "fn_m", "--table", "none.csv"], "none.csv"),
    "no proposer like it": (["--proposer", "gpt"], "gpt"),
    "no attempts": (["--attempts", "0"], "attempts is 0"),
    "nobody at work": (["--concurrency", "0"], "concurrency"),
    "a sampler there is not": (["--sampler", "easy"], "easy"),
    "a file as data sets": (["--functions", "fn_a", "--dataset-dir", "{file}"], "is a file"),
    "a file as run": (["--functions", "fn_a", "--out", "{file}/run"], "is a file"),
    "a folder of something else": (["--functions", "fn_a", "--out", "{folder}"], "no run"),
}


@pytest.mark.parametrize(("command", "named"), BAD.values(), ids=BAD.keys())
def test_a_request_that_cannot_be_met_is_one_line_and_leaves_nothing(
    command: list[str], named: str, work: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (work.parent / "file").write_text("")
    places = {"{file}": work.parent / "file", "{folder}": folder}
    for mark, place in places.items():
        command = [word.replace(mark, str(place)) for word in command]
    assert run(["synthesize", *command]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("llm-pv: ")
    assert shown.err.count("\n") == 1
    assert named in shown.err
    assert not list(work.iterdir()), "something half-written was left behind"
    assert sorted(path.name for path in folder.iterdir()) == ["1.py", "2.py"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_grid_that_is_stopped_goes_on_where_it_was(
    how: signal.Signals, work: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "2.py").write_text(ENDLESS)
    (folder / "3.py").write_text(PARITY)
    command = [
        "synthesize", "--functions", "fn_a", "--lengths", "20", "--trials", "1", "--out", "run",
        "--test-size", "100", "--proposer", f"replay:{folder}", "--workers", "2",
        "--cpu-seconds", "60",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_pv", *command],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": SOURCE, "PATH": os.environ["PATH"]},
    )  # fmt: skip
    attempts = work / "run" / "results_attempts.jsonl"
    replies = work / "run" / "replies.jsonl"
    while process.poll() is None and not (
        replies.exists() and len(replies.read_text().splitlines()) == 3
    ):
        pass
    process.send_signal(how)
    _, complaint = process.communicate(timeout=30)
    before = attempts.read_text()
    if how == signal.SIGINT:
        assert process.returncode == INTERRUPTED
        assert "the same command with --out run continues from here" in complaint
        assert "Traceback" not in complaint
    # The replies asked for are on disk and not asked for again: make the endless one end there.
    replies.write_text(replies.read_text().replace(json.dumps(ENDLESS), json.dumps(ALWAYS_ONE)))
    assert run(command) == 0
    capfd.readouterr()
    assert attempts.read_text().startswith(before), "nothing is verified twice"
    assert len(list((work / "run" / "programs").iterdir())) == 1
