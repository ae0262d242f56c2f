"""Machines that are lost while they answer or train, played by this process."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from llm_pv.cli.finetune import parse_job
from llm_pv.errors import ClusterError, ConfigurationError, LLMPVError, WorkerLostError
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.base import CellReassigned
from llm_pv.runs.executors.ray import Cluster
from llm_pv.runs.executors.ray.remote import Failed, ModelProcess, RecordBatch, Versions
from llm_pv.runs.job_folder import FilePart, JobFolder
from llm_pv.runs.reading import read_replies, read_summary
from llm_pv.runs.runner import Observer
from llm_pv.tracks.finetune.job import run_job
from llm_pv.tracks.finetune.measures import TrainingBegun
from llm_pv.tracks.finetune.sweep import Sweep, SweepJob, run_sweep
from llm_pv.tracks.icl.planning import plan_cells
from llm_pv.tracks.icl.run import open_same, run_icl
from llm_pv.tracks.icl.settings import Settings
from test_icl_run import Parrot, problem

HERE = Versions("1", "3.11", "2.60.0")
TINY = ["--model", "tiny", "--target-func", "first_character", "--sequence-length", "8",
        "--train-size", "20", "--test-size", "20", "--batch-size", "10", "--n-epochs", "1",
        "--lr", "1e-3", "--report-to", "none"]  # fmt: skip


class Method:
    """A method of an object kept on the cluster, called as Ray calls it."""

    def __init__(self, method: Any) -> None:
        self.remote = method

    def options(self, **_: Any) -> "Method":
        return self


def one_by_one(batches: Any) -> Iterator[Any]:
    """Yield what a machine sends as if each record and event came alone."""
    for batch in batches:
        if isinstance(batch, RecordBatch) and batch.items:
            yield from (RecordBatch([item]) for item in batch.items)
        else:
            yield batch


class ThisProcess:
    """Stands in for a cluster; its machines are lost after so many results, then none is."""

    slots = 1
    confining = None

    def __init__(self, *losses: int) -> None:
        self.losses = list(losses)
        self.kept: list[Any] = []
        self.ended: list[Any] = []
        self.closed = False

    def share(self, value: Any) -> Any:
        return value

    def start(self, function: Any, *args: Any, **_: Any) -> Any:
        return function(HERE, *args)

    def keep(self, kind: Any, *args: Any) -> Any:
        desk = kind(HERE, *args)
        desk.open, desk.compute = Method(desk.open), Method(desk.compute)
        self.kept.append(desk)
        return desk

    def result(self, value: Any) -> Any:
        if isinstance(value, Failed):
            raise value.error
        return value

    def results(self, items: Any) -> Iterator[Any]:
        left = self.losses.pop(0) if self.losses else None
        for number, item in enumerate(one_by_one(items)):
            if number == left:
                raise WorkerLostError("a machine was lost")
            yield self.result(item)

    def end(self, desk: Any) -> None:
        self.ended.append(desk)

    def forget(self, task: Any, *, cancel: bool = False) -> None:
        assert cancel

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _same_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Versions, "here", lambda: HERE)
    # One cell at a time, so that which one is lost is known.
    monkeypatch.setattr("llm_pv.runs.executors.ray.executor.MOST_PROCESSES", 1)
    monkeypatch.setattr("llm_pv.runs.executors.ray.executor.MOST_UNDER_WAY", 1)


def lost_after(*losses: int) -> tuple[ThisProcess, Cluster]:
    process = ThisProcess(*losses)
    return process, cast("Cluster", process)


def ask(tmp_path: Path, cluster: Cluster, asked: Parrot, identity: str = "parrot") -> Any:
    settings = Settings()
    planned = plan_cells([problem("one"), problem("two")], Parrot(), settings)
    return run_icl(
        planned,
        Parrot(),
        settings,
        out=tmp_path / "run",
        configuration={},
        cluster=cluster,
        opening=partial(open_same, lambda: asked, identity, tmp_path),
    )


def test_a_cell_goes_on_from_the_answers_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process, cluster = lost_after(4, 0)
    parrot = Parrot()
    results = ask(tmp_path, cluster, parrot)
    assert [result.score.accuracy for result in results] == [1.0, 1.0]
    assert len(read_replies(tmp_path / "run")) == 20
    assert len(process.ended) == 2, "a lost machine is not asked again"
    assert len(process.kept) == 3, "the second cell is computed where the first one ended"
    # Four results: that it began, an answer, its event, an answer. The machine had all ten by then.
    assert len(parrot.asked) == 10 + 8 + 10, "the answers that it had not sent are had again"


def test_a_cell_fails_when_machine_after_machine_is_lost_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failed, done = ask(tmp_path, lost_after(2, 2, 2, 2)[1], Parrot())
    assert (failed.status, failed.reason) == ("failed", "a machine was lost")
    assert done.status == "done"
    assert len(read_replies(tmp_path / "run")) == 4 + 10
    again = ask(tmp_path, lost_after()[1], Parrot())
    assert [result.status for result in again] == ["done", "done"]
    assert len(read_replies(tmp_path / "run")) == 20


def test_a_prompt_that_a_machine_refuses_fails_its_cell_and_a_cluster_let_go_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused, _ = ask(tmp_path, lost_after()[1], Parrot(dies_after=3, goes_away=False))
    assert (refused.status, refused.reason) == ("failed", "the server went away")
    process, cluster = lost_after(0)
    process.close()
    with pytest.raises(WorkerLostError):
        ask(tmp_path / "other", cluster, Parrot())
    assert read_summary(tmp_path / "other" / "run") == []


def test_a_machine_with_another_model_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process = ModelProcess(HERE, partial(open_same, Parrot, "another", tmp_path / "nowhere"))
    failed = process.open()
    assert isinstance(failed, Failed)
    assert "parrot:1 has other files" in str(failed.error)
    with pytest.raises(LLMPVError, match="has other files"):
        ask(tmp_path, lost_after()[1], Parrot(), "another")


def test_a_job_whose_machine_is_lost_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    checkpoints = tmp_path / "run" / "checkpoints"

    class Leaving(Observer):
        """Leaves a checkpoint as of an earlier run here, and remembers events."""

        def __init__(self) -> None:
            self.events: list[type] = []

        def on_event(self, cell: Cell, event: object) -> None:
            self.events.append(type(event))
            if isinstance(event, TrainingBegun):
                (checkpoints / "checkpoint-1").mkdir(parents=True, exist_ok=True)

    heard = Leaving()
    (tmp_path / "tiny.json").write_text(
        json.dumps({"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2})
    )
    words = ["--config", "tiny.json", *TINY[2:], "--save-model", "--results-path=run"]
    job = parse_job(words)
    metrics = run_job(job, heard, lost_after(0, 1)[1])
    assert metrics["status"] == "done"
    assert heard.events.count(CellReassigned) == 2
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    assert not checkpoints.exists()
    assert run_job(job, cluster=lost_after()[1])["already_finished"]


def test_a_job_of_a_sweep_that_is_lost_each_time_fails_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    rows = tmp_path / "rows.txt"
    rows.write_text("".join(f"{number:08b} -> {number % 2}\n" for number in range(40)))
    own = [str(rows), *TINY[:2], *TINY[10:]]
    words = {"lost": TINY, "kept": own}
    sweep = Sweep(tmp_path / "e", tuple(SweepJob(name, tuple(w)) for name, w in words.items()))
    jobs = {name: parse_job([*w, f"--results-path=e/{name}"]) for name, w in words.items()}
    _, cluster = lost_after(2, 2, 2, 2)
    ended = run_sweep(
        sweep, [], finished=lambda _: False, concurrency=1, cluster=cluster, jobs=jobs
    )
    assert (ended["lost"]["status"], ended["kept"]["status"]) == ("failed", "done")
    assert ended["lost"]["reason"] == "a machine was lost"
    (row,) = read_summary(tmp_path / "e" / "lost")
    assert (row["status"], row["reason"]) == ("failed", "a machine was lost")


def test_a_job_of_a_sweep_whose_memory_runs_out_there_fails_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from llm_pv.tracks.finetune import job as finetune_job

    monkeypatch.chdir(tmp_path)
    fit, begun = finetune_job._fit, iter([True, False])

    def greedy(assembly: Any) -> None:
        if next(begun):
            raise MemoryError
        fit(assembly)

    monkeypatch.setattr(finetune_job, "_fit", greedy)
    words = {name: [*TINY, "--seed", name] for name in ("1", "2")}
    sweep = Sweep(tmp_path / "e", tuple(SweepJob(name, tuple(w)) for name, w in words.items()))
    jobs = {name: parse_job([*w, f"--results-path=e/{name}"]) for name, w in words.items()}
    cluster = lost_after()[1]
    ended = run_sweep(sweep, [], finished=lambda _: False, cluster=cluster, jobs=jobs)
    assert [row["status"] for row in ended.values()] == ["failed", "done"]
    (row,) = read_summary(tmp_path / "e" / "1")
    assert row["reason"].startswith("memory ran out: give a smaller --batch-size")
    assert (row["track"], row["model"]) == ("finetune", "tiny")
    (logged,) = (tmp_path / "e" / "1" / "runner.log").read_text().splitlines()
    assert "In the worker process:" in logged


def test_a_job_that_cannot_be_done_there_is_told_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = parse_job([*TINY, "--context-length", "3", "--results-path=run"])
    with pytest.raises(ConfigurationError, match="--context-length is 3"):
        run_job(job, cluster=lost_after()[1])
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigurationError, match="--device cuda:1: on a cluster Ray chooses"):
        run_job(parse_job([*TINY, "--device", "cuda:1"]), cluster=lost_after()[1])
    process, cluster = lost_after(0)
    process.close()
    with pytest.raises(WorkerLostError):
        run_job(parse_job([*TINY, "--results-path=run"]), cluster=cluster)


def test_a_job_for_which_a_machine_has_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Other(ThisProcess):
        """A machine whose model has other weights."""

        def results(self, items: Any) -> Iterator[Any]:
            for batch in one_by_one(items):
                for _, (what, arguments) in batch.items:
                    assert what == "begin"
                    others = {**arguments[0], "weights": "others"}
                    yield RecordBatch([(False, ("begin", (others,)))])

    with pytest.raises(ClusterError, match="tiny has other files on a machine of the cluster"):
        run_job(parse_job([*TINY, "--results-path=run"]), cluster=cast("Cluster", Other()))
    assert not (tmp_path / "run").exists()


def test_files_travel_in_pieces_without_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pv.runs.job_folder._PIECE", 4)
    there, here = JobFolder(tmp_path / "there"), JobFolder(tmp_path / "here")
    (there.checkpoints / "checkpoint-1").mkdir(parents=True)
    (there.checkpoints / "checkpoint-1" / "weights").write_bytes(b"x")
    there.model.mkdir()
    (there.model / "weights").write_bytes(b"0123456789")
    (there.path / "logs.log").touch()
    here.put(FilePart("model/weights", 0, b"of an earlier run, and longer"))
    for piece in there.pieces():
        here.put(piece)
    assert (here.model / "weights").read_bytes() == b"0123456789"
    assert (here.path / "logs.log").read_bytes() == b""
    assert not here.checkpoints.exists()
