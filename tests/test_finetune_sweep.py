"""Sweeps: what their file says, jobs in processes of their own, failures, resuming."""

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_pv.errors import ConfigurationError, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.job_folder import SweepFolder
from llm_pv.runs.reading import SUMMARY_COLUMNS
from llm_pv.runs.runner import Observer
from llm_pv.tracks.finetune.averages import grouped
from llm_pv.tracks.finetune.sweep import read_sweep, run_sweep

# Stands in for a training command: fails, dies, or writes the row that says it is done.
STUB = """
import csv, os, sys
from pathlib import Path
options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
out = Path(options["results-path"])
out.mkdir(parents=True, exist_ok=True)
(out / "begun").open("a").write("x")
if options.get("kind") == "fails":
    sys.exit("llm-pv: this is why")
if options.get("kind") == "dies":
    os.kill(os.getpid(), 9)
if options.get("kind") == "waits":
    sys.stdin.read()
    sys.exit(3)
row = {"status": "done", "trial": "0", "accuracy": options.get("accuracy", "0.5")}
with (out / "summary.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerow(row)
""".replace("COLUMNS", repr(SUMMARY_COLUMNS))


# Ends as a training command does: what is under way is kept when it is told to terminate.
TERMINATED = """
import signal, sys
from pathlib import Path
out = Path(sys.argv[-1].split("=", 1)[1])
out.mkdir(parents=True)
def end(*_):
    (out / "ended").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
(out / "begun").touch()
signal.pause()
"""


def write(path: Path, **record: Any) -> Path:
    path.write_text(yaml.safe_dump(record, sort_keys=False))
    return path


@pytest.fixture
def stub(tmp_path: Path) -> list[str]:
    path = tmp_path / "stub.py"
    path.write_text(STUB)
    return [sys.executable, str(path)]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def is_done(folder: Path) -> Any:
    return lambda job: (folder / job.name / "summary.csv").exists()


def test_a_grid_is_every_combination_in_its_order(tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", experiment_name="e", results_root="r",
                 base_args={"model": "tiny", "online": True, "raw_tables": False, "config": None},
                 grid={"target_func": ["fn_a", "fn_b"], "lr": ["1e-5", 0.001]})  # fmt: skip
    sweep = read_sweep(path)
    assert sweep.folder == Path("r/e")
    assert [job.name for job in sweep.jobs] == [
        "target_func=fn_a,lr=1e-5", "target_func=fn_a,lr=0.001",
        "target_func=fn_b,lr=1e-5", "target_func=fn_b,lr=0.001",
    ]  # fmt: skip
    assert sweep.jobs[0].arguments == (
        "--model=tiny", "--online", "--target-func=fn_a", "--lr=1e-5",
    )  # fmt: skip


def test_names_unfit_for_folders_are_told_apart_by_a_digest(tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", experiment_name="e",
                 grid={"model": ["hf:a/b", "hf:a:b"], "data": ["rows one.csv"]})  # fmt: skip
    first, second = read_sweep(path).jobs
    assert first.name != second.name
    assert first.name.startswith("model=hf_a_b,data=rows_one.csv-")
    assert first.arguments == ("rows one.csv", "--model=hf:a/b")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("[", "cannot be read as a sweep"),
        ("- 1", "is no sweep"),
        ("experiment_name: e\nextra: 1", "extra unknown; a sweep has base_args"),
        ("grid: {seed: [1]}", "experiment_name is None"),
        ("experiment_name: ../x", "experiment_name is '../x'"),
        ("experiment_name: e\ngrid: {seed: 1}", "grid.seed is no list"),
        ("experiment_name: e\ngrid: {seed: []}", "grid.seed is no list"),
        ("experiment_name: e\ngrid: {seed: [[1]]}", "grid.seed holds a list"),
        ("experiment_name: e\nbase_args: {seed: [1]}", "base_args.seed has several values"),
        ("experiment_name: e\nbase_args: [1]", "base_args is no mapping"),
        ("experiment_name: e\nbase_args: {results_path: x}", "is for the sweep to choose"),
        ("experiment_name: e\nbase_args: {ray: auto}", "base_args.ray is for the sweep to choose"),
    ],
)
def test_files_that_are_no_sweep_are_refused_in_one_line(
    tmp_path: Path, record: str, message: str
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(record)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_sweep(path)
    assert "\n" not in str(caught.value)


def test_failures_are_recorded_and_the_sweep_goes_on(tmp_path: Path, stub: list[str]) -> None:
    path = write(tmp_path / "s.yaml", experiment_name="e", results_root=str(tmp_path),
                 grid={"kind": ["fails", "dies", "works", "odd"]})  # fmt: skip
    sweep = read_sweep(path)
    heard: list[tuple[str, str]] = []

    class Listener(Observer):
        def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
            heard.append((cell.function, row["status"]))

    outcomes = run_sweep(sweep, stub, finished=is_done(sweep.folder), concurrency=2,
                         impossible={"kind=odd": "no such kind"}, observer=Listener())  # fmt: skip
    assert {name: row["status"] for name, row in outcomes.items()} == {
        "kind=fails": "failed", "kind=dies": "failed", "kind=works": "done", "kind=odd": "skipped",
    }  # fmt: skip
    assert outcomes["kind=fails"]["reason"] == "this is why (status 1)"
    assert "SIGKILL, as by a machine out of memory" in outcomes["kind=dies"]["reason"]
    assert [row["job"] for row in rows(sweep.folder)] == [job.name for job in sweep.jobs]
    assert [row["reason"] for row in rows(sweep.folder)][3] == "no such kind"
    assert sorted(heard) == [("kind=dies", "failed"), ("kind=fails", "failed"),
                             ("kind=works", "done")]  # fmt: skip
    again = run_sweep(sweep, stub, finished=is_done(sweep.folder))
    assert (sweep.folder / "kind=works" / "begun").read_text() == "x"
    assert (sweep.folder / "kind=fails" / "begun").read_text() == "xx"
    assert again["kind=works"]["status"] == "done"


def test_a_folder_is_held_by_one_sweep_at_a_time(tmp_path: Path, stub: list[str]) -> None:
    path = write(tmp_path / "s.yaml", experiment_name="e", results_root=str(tmp_path),
                 grid={"kind": ["works"]})  # fmt: skip
    sweep = read_sweep(path)
    with (
        SweepFolder(sweep.folder),
        pytest.raises(RunError, match="in use by another sweep"),
    ):
        run_sweep(sweep, stub, finished=is_done(sweep.folder))
    with pytest.raises(ConfigurationError, match="concurrency is 0"):
        run_sweep(sweep, stub, finished=is_done(sweep.folder), concurrency=0)


def test_jobs_end_with_a_killed_sweep_and_only_unfinished_ones_are_done_again(
    tmp_path: Path, stub: list[str]
) -> None:
    path = write(tmp_path / "s.yaml", experiment_name="e", results_root=str(tmp_path),
                 grid={"kind": ["works", "waits"]})  # fmt: skip
    sweep = read_sweep(path)
    script = textwrap.dedent(f"""
        from pathlib import Path
        from llm_pv.tracks.finetune.sweep import run_sweep
        from llm_pv.tracks.finetune.sweep import read_sweep
        run_sweep(read_sweep(Path({str(path)!r})), {stub!r}, finished=lambda job: False)
    """)
    source = str(Path(__file__).parents[1] / "src")
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": source}
    )
    waiting = sweep.folder / "kind=waits" / "begun"
    deadline = time.monotonic() + 100
    while not waiting.exists():
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)  # between two looks; nothing depends on how long
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    (tmp_path / "stub.py").write_text(STUB.replace('== "waits"', '== "never"'))
    outcomes = run_sweep(sweep, stub, finished=is_done(sweep.folder))
    assert {row["status"] for row in outcomes.values()} == {"done"}
    assert (sweep.folder / "kind=works" / "begun").read_text() == "x"
    assert waiting.read_text() == "xx"


def test_jobs_that_are_not_done_count_in_no_mean() -> None:
    options = {"model": "tiny", "target_func": "fn_a", "sequence_length": 20}
    (record,) = grouped(
        [
            (options | {"seed": 1}, {"status": "done", "test_accuracy": 1.0}),
            (options | {"seed": 2}, {"status": "running", "test_accuracy": 0.5}),
        ]
    )
    assert (record["jobs"], record["done"]) == (2, 1)
    assert record["test_accuracy"] == {"mean": 1.0, "standard_deviation": None, "jobs": 1}


def test_a_sweep_told_to_terminate_lets_its_jobs_end_by_themselves(tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", experiment_name="e", results_root=str(tmp_path),
                 base_args={"target_func": "first_character", "model": "tiny"},
                 grid={"seed": [1]})  # fmt: skip
    (tmp_path / "stub.py").write_text(TERMINATED)
    script = textwrap.dedent(f"""
        import sys
        from llm_pv.cli import sweep
        from llm_pv.cli.main import run_app
        sweep.LAUNCHER = [sys.executable, {str(tmp_path / "stub.py")!r}]
        sys.exit(run_app(sweep.sweep_app, [{str(path)!r}]))
    """)
    source = str(Path(__file__).parents[1] / "src")
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": source},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = tmp_path / "e" / "seed=1"
    deadline = time.monotonic() + 100
    while not (folder / "begun").exists():
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)  # between two looks; nothing depends on how long
    child.send_signal(signal.SIGTERM)
    _, told = child.communicate(timeout=100)
    assert child.returncode == 130
    assert (folder / "ended").exists()
    assert "interrupted; the same command continues" in told


def test_jobs_that_differ_in_seed_are_shown_together() -> None:
    def one(seed: int, length: int, accuracy: float) -> tuple[dict[str, Any], dict[str, Any]]:
        options = {"model": "tiny", "target_func": "fn_a", "sequence_length": length, "lr": 1e-5,
                   "seed": seed}  # fmt: skip
        return options, {"status": "done", "test_accuracy": accuracy}

    records = grouped([one(1, 20, 0.5), one(2, 20, 0.75), one(1, 50, 1.0)])
    assert [(record["sequence_length"], record["jobs"]) for record in records] == [(20, 2), (50, 1)]
    assert "lr" not in records[0]
    accuracy = records[0]["test_accuracy"]
    assert accuracy["mean"] == 0.625
    assert accuracy["standard_deviation"] == pytest.approx(0.1767767)
    assert records[1]["test_accuracy"]["standard_deviation"] is None
    assert records[0]["train_accuracy"] is None
    assert json.dumps(records)
