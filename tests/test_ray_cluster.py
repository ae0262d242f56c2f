"""Runs on a Ray cluster of two nodes: the same results as here, and losses that cost little."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llm_pv.api import Search, learn
from llm_pv.cli.main import INTERRUPTED
from llm_pv.cli.main import run as llm_pv
from llm_pv.erm.attempts import Attempt
from llm_pv.errors import ClusterError, ConfigurationError, ExecutorClosedError, WorkerLostError
from llm_pv.models.base import Message, Turn
from llm_pv.proposers.llm import LLM
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.ray import (
    Cluster,
    Confining,
    RayExecutor,
    RaySandbox,
    Requirements,
)
from llm_pv.runs.executors.ray.remote import ModelProcess, Versions, answer
from llm_pv.runs.reading import read_attempts, read_replies, read_summary
from llm_pv.sandbox import Limits, Sandbox, probe_confinement
from llm_pv.tasks import task
from llm_pv.tracks.baselines.run import run_baselines
from llm_pv.tracks.grid import GridRequest
from llm_pv.tracks.synthesis.run import run_grid
from ray_cluster import Waiting, add_node, two_nodes
from rows import ALWAYS_ONE, PARITY
from scripted_model import ScriptedModel
from test_synthesis_run import FIRST_HALF, Watching, replies

pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray's own files

SMALL = GridRequest(functions=("fn_a",), lengths=(20,), trials=2, test_size=200)
LIMITS = Limits(cpu_seconds=2, wall_seconds=2)
TIMINGS = {"learn_seconds", "test_seconds", "proposal_seconds", "verify_seconds", "result"}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="class")
def cluster(nodes: Any) -> Iterator[Cluster]:
    with Cluster(nodes.address, confining=Confining(LIMITS)) as connected:
        yield connected


def timeless(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records without what differs from run to run, in the order of their cells."""
    kept = [{name: v for name, v in one.items() if name not in TIMINGS} for one in records]
    return sorted(kept, key=lambda one: (one["function"], str(one["trial"])))


def model_here(conversation: Sequence[Message], seed: int) -> Turn:
    return Turn(PARITY)


@pytest.mark.slow
class TestOneConnection:
    """Tests in this order: the last one interrupts."""

    def test_a_grid_on_a_cluster_leaves_what_it_leaves_here(
        self, cluster: Cluster, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        search = replies(tmp_path, ALWAYS_ONE, FIRST_HALF, PARITY)
        request = replace(SMALL, functions=("fn_a", "fn_h"))
        here, there = tmp_path / "here", tmp_path / "there"
        run_grid(request, search, sandbox=sandbox, out=here)
        watching = Watching()
        assert cluster.slots == 2
        result = run_grid(
            request,
            search,
            sandbox=RaySandbox(cluster),
            out=there,
            observer=watching,
            cluster=cluster,
        )
        assert result.cells[0].attempts == (3, 3)
        assert timeless(read_summary(there)) == timeless(read_summary(here))
        assert timeless(read_attempts(there)) == timeless(read_attempts(here))
        assert timeless(read_replies(there)) == timeless(read_replies(here))
        for folder in ("programs", "predictions"):
            for file in (here / folder).iterdir():
                assert (there / folder / file.name).read_bytes() == file.read_bytes()
        assert watching.heard.count(("attempted", (0, 3))) == 2, "one in each function"
        # The same call here reads back what was learned there.
        again = Watching()
        assert run_grid(request, search, sandbox=sandbox, out=there, observer=again) == result
        assert again.heard == [("planned", (4, 4))]

    def test_candidates_and_baselines_on_a_cluster_come_to_the_same_as_here(
        self, cluster: Cluster, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        inputs = [f"{n:06b}" for n in range(64)]
        labels = [text.count("1") % 2 for text in inputs]
        many = [f"def f(x):\n    return int(x[{place}])\n" for place in (0, 1, 2, 3, 4, 5)]
        search = replies(tmp_path, *many, ALWAYS_ONE, PARITY)
        request = replace(SMALL, trials=1, test_size=100)
        models = ("decision_tree",)
        far = RaySandbox(cluster)
        assert list(far.predict_many(iter(many), inputs))[3].predictions == tuple(
            text[3] for text in inputs
        )
        started = far.predict_many(iter(many), inputs)
        assert next(started).predictions[-1] == "1"
        started.close()  # type: ignore[attr-defined]
        there, here = (
            learn(inputs, labels, search=search, sandbox=place) for place in (far, sandbox)
        )
        assert there.program == here.program
        assert [one.validation for one in there.selection.attempts] == [
            one.validation for one in here.selection.attempts
        ]
        # A model is asked here, whatever the cluster does.
        result = run_grid(
            request,
            Search(LLM(ScriptedModel(model_here), attempts=1)),
            sandbox=far,
            out=tmp_path / "model",
            transfer=False,
            cluster=cluster,
        )
        assert result.cells[0].test_accuracy is not None
        assert result.cells[0].test_accuracy.mean == 1.0
        run_baselines(request, models, out=tmp_path / "there", cluster=cluster)
        run_baselines(request, models, out=tmp_path / "here")
        assert timeless(read_summary(tmp_path / "there")) == timeless(
            read_summary(tmp_path / "here")
        )

    def test_rows_of_a_table_are_read_here_and_sent(
        self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)  # a machine of the cluster finds no such file
        names = [*(f"column_{n}" for n in range(14)), "income"]
        lines = [[*(str(n % (k + 2)) for k in range(14)), "<=50K"] for n in range(100)]
        lines += [[*(str(n % (k + 3)) for k in range(14)), ">50K"] for n in range(100)]
        text = "\n".join(",".join(line) for line in [names, *lines])
        Path("table.csv").write_text(text + "\n")
        request = GridRequest(
            functions=("fn_m",),
            trials=1,
            train_size=20,
            validation_size=20,
            test_size=40,
            table=Path("table.csv"),
        )
        result = run_grid(
            request,
            replies(tmp_path, ALWAYS_ONE),
            sandbox=RaySandbox(cluster),
            out=tmp_path / "run",
            cluster=cluster,
        )
        assert result.cells[0].reasons == ()
        assert result.cells[0].test_accuracy is not None
        assert result.cells[0].test_accuracy.mean == 0.5, "half of the rows are of each class"

    def test_a_node_that_is_killed_costs_what_its_trial_had_not_sent(
        self, nodes: Any, cluster: Cluster, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        search = Search(Waiting((ALWAYS_ONE, FIRST_HALF, PARITY), before=1, gate=gate))
        killing = threading.Lock()
        victim = next(node for node in nodes.worker_nodes)

        class Killing(Watching):
            """Kills a node when each has a trial that waits, then lets trials go on."""

            def attempted(self, cell: Cell, attempt: Attempt) -> None:
                with killing:
                    super().attempted(cell, attempt)
                    both = all(("attempted", (trial, 1)) in self.heard for trial in (0, 1))
                    if both and not gate.exists():
                        nodes.remove_node(victim, allow_graceful=False)
                        gate.touch()

        watching, out = Killing(), tmp_path / "run"
        result = run_grid(
            SMALL,
            search,
            sandbox=RaySandbox(cluster),
            out=out,
            observer=watching,
            cluster=cluster,
        )
        add_node(nodes)
        assert victim not in nodes.worker_nodes
        assert result.cells[0].statuses == {"done": 2}
        attempts = [("attempted", (trial, n)) for trial in (0, 1) for n in (1, 2, 3)]
        assert sorted(map(str, watching.heard)) == sorted(
            map(
                str,
                [
                    ("planned", (2, 0)),
                    ("started", 0),
                    ("started", 1),
                    *attempts,
                    ("ended", (0, "done")),
                    ("ended", (1, "done")),
                ],
            )
        ), "nothing is told twice, what was sent before is not done again"
        assert len(read_replies(out)) == 6
        kinds = [record["kind"] for record in read_attempts(out)]
        assert (kinds.count("attempt"), kinds.count("selected")) == (6, 2)
        alone = tmp_path / "alone"
        run_grid(SMALL, search, sandbox=sandbox, out=alone)
        assert timeless(read_summary(out)) == timeless(read_summary(alone))

    def test_an_interrupted_grid_on_a_cluster_keeps_what_it_has_and_goes_on(
        self, cluster: Cluster, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        gate, out = tmp_path / "gate", tmp_path / "run"
        search = Search(Waiting((ALWAYS_ONE, PARITY), before=1, gate=gate))

        class Impatient(Watching):
            def attempted(self, cell: Cell, attempt: Attempt) -> None:
                super().attempted(cell, attempt)
                interrupt_main()

        request = replace(SMALL, trials=1)
        with pytest.raises(KeyboardInterrupt):
            run_grid(
                request,
                search,
                sandbox=RaySandbox(cluster),
                out=out,
                observer=Impatient(),
                cluster=cluster,
            )
        assert [record["kind"] for record in read_attempts(out)] == ["attempt"]
        assert read_summary(out) == []
        gate.touch()
        result = run_grid(request, search, sandbox=sandbox, out=out)
        assert result.cells[0].statuses == {"done": 1}
        assert result.cells[0].attempts == (2,)


def test_a_cluster_that_cannot_do_what_is_asked_is_refused_in_one_line(
    nodes: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["synthesize", "--functions", "fn_a", "--lengths", "20", "--trials", "1"]
    words += ["--test-size", "100", "--out", str(tmp_path / "run"), "--ray", nodes.address]
    assert llm_pv([*words, "--ray-gpus", "1"]) == 2
    assert "a task needs 1 CPU and 1 GPU, and no machine" in capfd.readouterr().err
    with pytest.raises(ClusterError, match=r"cannot be used: .*--allow-unconfined"):
        Cluster(nodes.address, confining=Confining(backend="unconfined"))
    other = Versions.here()
    monkeypatch.setattr(Versions, "here", lambda: replace(other, llm_pv="0.0.1"))
    assert llm_pv(words) == 2
    err = capfd.readouterr().err
    assert "and 0.0.1 here" in err
    assert "install the same on every machine" in err
    assert "(and 1 more machines)" in err, "both nodes stand at one address"
    assert err.count("llm-pv:") == 1
    assert not (tmp_path / "run").exists()


def test_one_connection_takes_calls_programs_and_objects_until_it_is_released(nodes: Any) -> None:
    inputs = [f"{number:04b}" for number in range(16)]
    places = [number % 4 for number in range(11)]
    programs = [f"def f(x):\n    return int(x[{place}])\n" for place in places]
    with Cluster(nodes.address, confining=Confining(LIMITS)) as cluster:
        executor, far = RayExecutor(cluster), RaySandbox(cluster)
        assert executor.call(math.comb, 5, 2) == 10
        assert executor.call(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]
        with pytest.raises(ConfigurationError, match="did you mean"):
            executor.call(task, "parity_al")
        assert far.confinement == probe_confinement()
        assert far.ahead == 16, "two tasks of four programs for each of two cores"
        executions = list(far.predict_many(iter(programs), inputs))
        columns = [tuple(text[place] for text in inputs) for place in places]
        assert [one.predictions for one in executions] == columns
        assert far.predict(programs[2], inputs).predictions == columns[2]
        endless = "def f(x):\n    while True:\n        pass\n"
        late = far.predict(endless, inputs, deadline=time.monotonic() + 0.2)
        assert late.reason == "ended because the time for all programs together was over"

        process = cluster.keep(ModelProcess, partial(int, "7"))
        assert cluster.result(process.open.remote()) is None
        cluster.end(process)
        with pytest.raises(WorkerLostError):
            cluster.result(process.open.remote())
        kept = cluster.keep(ModelProcess, partial(int, "no number"))
        with pytest.raises(RuntimeError, match="ValueError: invalid literal"):
            cluster.result(kept.open.remote())
        asleep = cluster.start(answer, {}, time.sleep, 600)
        cluster.close()
        with pytest.raises(WorkerLostError):
            cluster.result(asleep, seconds=30)
        with pytest.raises(WorkerLostError):
            cluster.result(kept.open.remote())
        for begin in (lambda: executor.call(math.comb, 5, 2), lambda: cluster.keep(ModelProcess)):
            with pytest.raises(ExecutorClosedError, match="released"):
                begin()


def test_one_machine_that_cannot_be_used_is_named_alone(nodes: Any) -> None:
    node = nodes.add_node(num_cpus=1, num_gpus=1, object_store_memory=80_000_000)
    try:
        needs = Requirements(gpus=0.5)
        with Cluster(nodes.address, needs=needs) as cluster:
            assert cluster.slots == 1, "it has one core for two halves of a GPU"
            assert cluster.confinement is None
        alone = r"[\d.]+ \(node [0-9a-f]{8}\) of the cluster cannot be used: .*--allow-unconfined"
        with pytest.raises(ClusterError, match=f"^{alone}"):
            Cluster(nodes.address, needs=needs, confining=Confining(backend="unconfined"))
    finally:
        nodes.remove_node(node)


def test_sigterm_stops_a_command_on_a_cluster_with_one_line(nodes: Any, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.txt", tmp_path / "run"
    rows.write_text("".join(f"{n:06b} -> {n.bit_count() % 2}\n" for n in range(64)))
    replies(tmp_path, ALWAYS_ONE, "def f(x):\n    while True:\n        pass\n", PARITY)
    words = ["learn", str(rows), "--proposer", f"replay:{tmp_path / 'replies.jsonl'}"]
    words += ["--wall-seconds", "600", "--cpu-seconds", "600", "--ray", nodes.address]
    source = str(Path(__file__).parents[1] / "src")
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_pv", *words, "--out", str(out)],
        env=os.environ | {"PYTHONPATH": source}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        while process.poll() is None and len(read_replies(out)) < 3:
            time.sleep(0.05)  # between two looks; nothing depends on how long
        process.send_signal(signal.SIGTERM)
        complaint = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED
    (line,) = [line for line in complaint.splitlines() if line.startswith("llm-pv: ")]
    assert line == f"llm-pv: interrupted; the same command with --out {out} continues from here"
    assert "SIGTERM received" not in complaint


def test_learn_and_synthesize_take_the_address_of_a_cluster(
    nodes: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    replies(tmp_path, ALWAYS_ONE, PARITY)
    saved = ["--proposer", "replay:replies.jsonl", "--ray", nodes.address, "--format", "json"]
    grid = ["--functions", "fn_a", "--lengths", "20", "--trials", "1", "--no-transfer"]
    words = ["synthesize", *grid, "--test-size", "100", "--out", "grid", *saved]
    assert llm_pv(words) == 0
    assert json.loads(capfd.readouterr().out)["cells"][0]["test_accuracy"]["mean"] == 1.0
    rows = "".join(f"{n:06b} -> {n.bit_count() % 2}\n" for n in range(64))
    (tmp_path / "rows.txt").write_text(rows)
    assert llm_pv(["learn", "rows.txt", "--out", "learned", *saved]) == 0
    assert json.loads(capfd.readouterr().out)["certificate"]["errors"] == 0
