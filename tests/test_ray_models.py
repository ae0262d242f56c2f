"""Models on a Ray cluster of two nodes: they answer and are trained as they are here."""

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llm_pv.cli.finetune import parse_job
from llm_pv.cli.main import run as llm_pv
from llm_pv.models.transformers_engine import TransformersModel
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.ray import Cluster
from llm_pv.runs.reading import read_replies, read_summary
from llm_pv.runs.runner import Observer
from llm_pv.tracks.finetune.job import run_job
from llm_pv.tracks.finetune.measures import LogLine, TrainingBegun
from llm_pv.tracks.icl.planning import plan_cells
from llm_pv.tracks.icl.run import Answered, open_same, run_icl
from llm_pv.tracks.icl.settings import Settings
from ray_cluster import WaitingModel, add_node, small_model, two_nodes
from test_icl_run import problem

pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray's own files
    pytest.mark.slow,
]

TWO_CELLS = Settings(modes=("constrained", "likelihood"), max_new_tokens=20)
TIMES = {"seconds", "learn_seconds", "test_seconds", "learn_seconds_a_sample", "memory",
         "test_seconds_a_sample", "seconds_to_train_accuracy_1", "evaluations"}  # fmt: skip
TINY = ["--model", "tiny", "--target-func", "first_character", "--sequence-length", "8",
        "--train-size", "40", "--test-size", "20", "--batch-size", "10", "--n-epochs", "2",
        "--lr", "1e-3", "--report-to", "none"]  # fmt: skip


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    with two_nodes() as cluster:
        yield cluster


def answers_of(run: Path) -> list[tuple[Any, ...]]:
    """Return what was answered to each prompt of a run, in order."""
    return sorted(
        (one["method"], one["order"], one["example"], one["text"], one["predicted"])
        for one in read_replies(run)
    )


def figures(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in TIMES}


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_icl_takes_the_address_of_a_cluster(
    nodes: Any,
    copier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(copier.parent)  # a relative folder means the same on every machine
    words = ["icl", "--functions", "fn_a", "--lengths", "20", "--train-size", "12", "--test-size",
             "8", "--answer", "likelihood", "--model", f"hf:{copier.name}", "--trials", "2",
             "--format", "json", "--out-csv", str(tmp_path / "cells.csv")]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(TransformersModel, "load", lambda _: pytest.fail("the model is used here"))
        assert llm_pv([*words, "--out", str(tmp_path / "there"), "--ray", nodes.address]) == 0
    far = json.loads(capfd.readouterr().out)["cells"]
    with (tmp_path / "cells.csv").open(newline="") as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["1", "2"]
    assert llm_pv([*words, "--out", str(tmp_path / "here")]) == 0
    near = json.loads(capfd.readouterr().out)["cells"]
    assert [cell["accuracy"] for cell in far] == [cell["accuracy"] for cell in near]
    assert answers_of(tmp_path / "there") == answers_of(tmp_path / "here")


def test_a_job_on_a_cluster_leaves_what_it_leaves_here(nodes: Any, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    near = run_job(parse_job([*TINY, "--save-model", f"--results-path={here}"]))

    class Watching(Observer):
        def __init__(self) -> None:
            self.lines: list[str] = []
            self.begun: list[tuple[int, int]] = []

        def on_event(self, cell: Cell, event: object) -> None:
            if isinstance(event, TrainingBegun):
                self.begun.append((event.steps, event.done))
            elif isinstance(event, LogLine):
                self.lines.append(event.text)

    watching = Watching()
    job = parse_job([*TINY, "--save-model", f"--results-path={there}"])
    with Cluster(nodes.address) as cluster:
        far = run_job(job, watching, cluster)
        again = run_job(job, cluster=cluster)
    assert watching.begun == [(8, 0)]
    assert figures(far) == figures(near)
    assert again == far | {"already_finished": True}
    assert files_of(there) == files_of(here)
    assert any(line.startswith("epoch 2/2") for line in watching.lines)
    told = (there / "stdout.log").read_text().splitlines()
    assert told == watching.lines
    (row,), (other) = read_summary(there), read_summary(here)
    assert row["accuracy"] == other[0]["accuracy"]
    for name in ("config.json", "predictions/first_character-L8-paper-t0.csv"):
        assert (there / name).read_bytes() == (here / name).read_bytes()
    weights = "model/model.safetensors"
    assert (there / weights).stat().st_size == (here / weights).stat().st_size
    assert run_job(job)["already_finished"]


def test_finetune_and_sweep_take_the_address_of_a_cluster(
    nodes: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{number:08b} -> {'ab'[number % 2]}\n" for number in range(60)]
    Path("rows.txt").write_text("".join(lines))
    Path("sweep.yaml").write_text(
        "experiment_name: e\nresults_root: results\n"
        "base_args: {model: tiny, batch_size: 10, n_epochs: 1, lr: 1e-3, report_to: none}\n"
        "grid: {data: [rows.txt], seed: [1, 2]}\n"
    )
    ray = ["--ray", nodes.address, "--format", "json"]
    monkeypatch.setattr("llm_pv.cli.sweep.LAUNCHER", ("/nowhere",))  # no job is done here
    assert llm_pv(["sweep", "sweep.yaml", *ray]) == 0
    far = {one["job"]: one["accuracy"] for one in json.loads(capfd.readouterr().out)}
    folders = sorted(path for path in (tmp_path / "results" / "e").iterdir() if path.is_dir())
    assert (
        [path.name for path in folders]
        == list(far)
        == [
            "data=rows.txt,seed=1",
            "data=rows.txt,seed=2",
        ]
    )
    for folder in folders:
        assert {"config.json", "stdout.log", "logs.log", "metrics.json"} <= files_of(folder)
    assert llm_pv(["sweep", "sweep.yaml"]) == 0  # with or without a cluster
    assert "2 of 2 jobs are finished already" in capfd.readouterr().err
    words = ["rows.txt", "--model", "tiny", "--batch-size", "10", "--n-epochs", "1", "--lr",
             "1e-3", "--report-to", "none", "--seed", "1"]  # fmt: skip
    assert llm_pv(["finetune", *words, "--out", "alone", "--format", "json"]) == 0
    near = json.loads(capfd.readouterr().out)
    assert float(far["data=rows.txt,seed=1"]) == near["test_accuracy"]
    # What fails there fails here, in one line.
    wide = ["--context-length", "3", "--out", "narrow", *ray]
    monkeypatch.setattr(
        "llm_pv.tracks.finetune.job.train_cell", lambda *_: pytest.fail("trained here")
    )
    assert llm_pv(["finetune", *words, *wide]) == 2
    assert "--context-length is 3" in capfd.readouterr().err


def test_a_node_that_is_killed_costs_the_answers_it_had_not_sent(
    nodes: Any, copier: Path, tmp_path: Path
) -> None:
    gate, victim = tmp_path / "gate", next(node for node in nodes.worker_nodes)
    model = small_model(copier)
    planned = plan_cells([problem(train=12, test=12)], model, TWO_CELLS)

    class Killing(Observer):
        """Kills a node when each has sent a group of answers, then lets them go on."""

        def __init__(self) -> None:
            self.heard: list[tuple[Cell, int]] = []
            self.before: list[int] = []

        def on_event(self, cell: Cell, event: object) -> None:
            if not isinstance(event, Answered):
                return
            self.heard.append((cell, event.count))
            if len({one for one, _ in self.heard}) == 2 and not gate.exists():
                self.before = [count for _, count in self.heard]
                nodes.remove_node(victim, allow_graceful=False)
                gate.touch()

    watching, there, here = Killing(), tmp_path / "there", tmp_path / "here"
    with Cluster(nodes.address) as cluster:
        opening = partial(open_same, WaitingModel(copier, gate), model.identity, tmp_path)
        results = run_icl(
            planned,
            model,
            TWO_CELLS,
            out=there,
            configuration={},
            observer=watching,
            cluster=cluster,
            opening=opening,
        )
        add_node(nodes)
    alone = run_icl(planned, model, TWO_CELLS, out=here, configuration={})
    assert victim not in nodes.worker_nodes
    assert watching.before == [4, 4], "both cells were under way when it was killed"
    assert sum(count for _, count in watching.heard) == 24, "each answer is told once"
    assert len(read_replies(there)) == 24
    assert answers_of(there) == answers_of(here)
    assert [result.status for result in results] == ["done", "done"]
    for far, near in zip(results, alone, strict=True):
        assert far.cell == near.cell
        assert far.score is not None
        assert near.score is not None
        assert far.score.accuracy == near.score.accuracy
    again = run_icl(planned, model, TWO_CELLS, out=there, configuration={})
    assert len(read_replies(there)) == 24, "and the same run here asks nothing again"
    assert [one.status for one in again] == ["done", "done"]
    model.close()


def test_models_behind_a_key_are_not_asked_from_a_cluster(
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = ["icl", "--model", "openai:gpt", "--functions", "fn_a", "--ray", "auto"]
    assert llm_pv(words) == 2
    err = capfd.readouterr().err
    assert "--ray: openai:gpt is called over the network" in err
    assert err.count("\n") == 1
