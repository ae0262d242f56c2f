"""``llm-pv baselines`` as a user meets it: tables, one-line errors, interruptions."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pv.cli.main import INTERRUPTED, run
from rows import parity_splits

SOURCE = str(Path(__file__).parents[1] / "src")
GRID = [
    "baselines", "--functions", "fn_a", "fn_h", "--lengths", "100", "50", "--trials", "1",
    "--test-size", "100", "--models", "decision_tree", "tabpfn",
]  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(work: Path) -> Path:
    """Rows whose label is whether a number exceeds 50, one class in five."""
    path = work / "rows.csv"
    lines = [f"{n * 1.0},{'ab'[n % 2]},{'yes' if n % 5 == 0 else 'no'}" for n in range(200)]
    path.write_text("size,kind,label\n" + "\n".join(lines) + "\n")
    return path


def test_a_grid_is_shown_with_published_figures_and_what_was_skipped(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*GRID, "--out", "run"]) == 0
    shown = capfd.readouterr()
    text = re.sub(r"\s+", " ", shown.out)
    for part in (
        "Test accuracy in percent, paper sampler", "fn_a L=100", "published:", "XGBoost,", "TabPFN",
        "not measured here", "skipped: decision_tree, tabpfn on fn_h L=50: dyck2 has no inputs",
        "skipped: tabpfn on 3 cells", "Everything else: run",
    ):  # fmt: skip
        assert part in text, part
    assert "tabpfn" not in text.split("fn_a L=100", maxsplit=1)[0], "no empty column"
    assert any("fn_a L=100 trial 1 decision_tree: done" in line for line in shown.err.splitlines())
    assert "Warning" not in shown.err


@pytest.mark.usefixtures("warm_processes")
def test_a_finished_run_says_so_and_is_shown_again(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*GRID, "--out", "run"]
    assert run(command) == 0
    first = capfd.readouterr()
    assert run(command) == 0
    again = capfd.readouterr()
    assert again.out == first.out
    assert again.err.startswith("llm-pv: run is a finished run")


@pytest.mark.usefixtures("warm_processes")
def test_rows_are_shown_with_intervals_balanced_accuracy_and_the_majority(
    rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["baselines", "rows.csv", "--target", "label", "--models", "decision_tree", "svm"]
    assert run([*command, "--out", "run"]) == 0
    text = re.sub(r"[\s│┃]+", " ", capfd.readouterr().out)
    for part in ("Baselines on rows.csv", "95% interval", "balanced", "majority class 80.0"):
        assert part in text, part
    assert run([*command, "--out", "run", "--format", "json"]) == 0
    record = json.loads(capfd.readouterr().out)
    (cell,) = record["cells"]
    assert [model["model"] for model in cell["models"]] == ["decision_tree", "svm"]
    assert cell["majority_test_accuracy"]["mean"] == pytest.approx(0.8)
    assert (Path("run") / "predictions" / "rows-svm-t0.csv").exists()
    assert "svm" in (Path("run") / "report.html").read_text()


@pytest.mark.usefixtures("warm_processes")
def test_the_first_split_of_rows_is_that_of_learn(
    rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from llm_pv.api import read_splits

    command = ["baselines", "rows.csv", "--target", "label", "--models", "decision_tree"]
    assert run([*command, "--seed", "3", "--out", "run"]) == 0
    capfd.readouterr()
    test = read_splits("rows.csv", target="label", seed=3).test
    lines = Path("run/predictions/rows-decision_tree-t0.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == list(test.labels)


@pytest.mark.usefixtures("warm_processes")
def test_a_hostile_name_and_label_stay_text(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = work / "[red]x.csv"
    labels = ("\x1b[31m[bold]", "no")
    path.write_text("n,label\n" + "\n".join(f"{n},{labels[n % 2]}" for n in range(40)) + "\n")
    assert run(["baselines", path.name, "--target", "label", "--models", "svm", "--out", "o"]) == 0
    shown = capfd.readouterr()
    assert "[red]x.csv" in shown.out
    assert "\x1b[31m" not in shown.out + shown.err


def test_a_first_run_of_which_nothing_can_be_fitted_is_not_called_finished(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--functions", "fn_a", "--lengths", "20", "--models", "tabpfn", "--trials", "1"]
    assert run(["baselines", *words, "--out", "run"]) == 2
    assert "finished run" not in capfd.readouterr().err


@pytest.mark.parametrize("model", ["svm", "decision_tree", "random_forest", "xgboost"])
def test_a_seed_of_more_than_32_bits_fits_every_baseline(model: str) -> None:
    from llm_pv.tracks.baselines import fit_baseline

    fitted = fit_baseline(model, parity_splits(20, 30, 39), seed=2**32 + 1)
    assert fitted.result.test is not None
    assert fitted.predict([]) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--models", "xgbost"], "did you mean 'xgboost'"),
        (["--target", "y"], "--target goes with a file of rows alone"),
        (["rows.csv", "--target", "label", "--functions", "fn_a"], "--functions goes with the"),
        (["rows.csv", "--target", "nonsense"], "no target 'nonsense'"),
        (["nowhere.csv"], "nowhere.csv"),
        (["rows.csv", "--target", "label", "--trials", "0"], "at least 1"),
        (["-", "--trials", "2"], "read once"),
        (["--functions", "fn_zz"], "fn_zz"),
        (["--functions", "fn_a", "--trials", "0"], "at least 1"),
        (["--functions", "fn_a", "--search", "random"], "--search"),
        (["--functions", "fn_a", "--lengths", "20", "--models", "tabpfn"], "no baseline could be"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_be_is_one_line_and_status_2(
    rows: Path, words: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["baselines", *words]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert told in lines[-1]
    assert all(line.startswith(("llm-pv: ", "1/")) for line in lines)


def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(work: Path) -> None:
    command = [
        sys.executable, "-m", "llm_pv", "baselines", "--functions", "fn_a", "--lengths", "20",
        "--trials", "40", "--models", "decision_tree", "random_forest", "--out", "run",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    with process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == INTERRUPTED
    assert "decision_tree: done" in first
    assert rest.splitlines()[-1] == (
        "llm-pv: interrupted; the same command with --out run continues from here"
    )
    assert "Traceback" not in rest
    assert "done" in (work / "run" / "summary.csv").read_text()
    import psutil

    commands = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    assert not any(str(work) in text for text in commands)
