"""What is refused before any cluster is reached, and what runs on its machines."""

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv import __version__
from llm_pv.cli.main import run as llm_pv
from llm_pv.erm.selection import Plan
from llm_pv.errors import ClusterError, ConfigurationError
from llm_pv.proposers.replay import Replay
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.ray import Confining, Requirements, remote
from llm_pv.runs.executors.ray.cluster import Cluster, connect
from llm_pv.runs.executors.ray.remote import Versions
from llm_pv.runs.reading import read_attempts, read_summary
from llm_pv.runs.remote_records import Known
from llm_pv.sandbox import Batch, Confinement
from llm_pv.tracks.synthesis.trials import GridWork, compute_trial
from rows import ALWAYS_ONE, PARITY
from test_synthesis_run import SMALL, replies

GRID = ["synthesize", "--functions", "fn_a", "--lengths", "20", "--trials", "1"]
HERE = Versions("1", "3.11", "2.60.0")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Confining]:
    """A confining whose sandbox is closed after the test."""
    monkeypatch.setattr(Versions, "here", lambda: HERE)
    yield Confining()
    for sandbox in remote._sandboxes.values():
        sandbox.close()
    remote._sandboxes.clear()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "give auto or HOST:PORT, and start the command on a machine"),
        ("head", "give auto, or HOST:PORT"),
        ("127.0.0.1:70000", "give auto, or HOST:PORT"),
        ("127.0.0.1:0", "give auto, or HOST:PORT"),
        ("", "--ray '': give auto, or HOST:PORT"),
    ],
)
def test_an_address_of_no_cluster_is_refused_at_once(
    address: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    assert llm_pv([*GRID, "--out", str(tmp_path / "run"), "--ray", address]) == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_auto_follows_the_environment_to_a_cluster_that_is_not_there(
    closed_port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    assert llm_pv(["baselines", "--functions", "fn_a", "--ray", "auto"]) == 2
    assert f"--ray 127.0.0.1:{closed_port}: no cluster answers there" in capfd.readouterr().err


def test_without_ray_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert llm_pv([*GRID, "--ray", "auto"]) == 2
    assert "pip install 'llm-pv[ray]'" in capfd.readouterr().err


def test_a_task_that_takes_nothing_or_less_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert llm_pv([*GRID, "--ray", "auto", "--ray-cpus", "0"]) == 2
    assert "--ray-cpus is 0.0; give a positive number" in capfd.readouterr().err
    with pytest.raises(ConfigurationError, match="gpus is -1"):
        Requirements(gpus=-1)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"cpus": float("nan")}, "cpus is nan; give a positive number"),
        ({"cpus": float("inf")}, "cpus is inf; give a positive number"),
        ({"cpus": 0.00001}, "cpus is 1e-05; give a multiple of 0.0001"),
        ({"gpus": 0.00001}, "gpus is 1e-05; give a multiple of 0.0001"),
        ({"gpus": 1.5}, "gpus is 1.5; give a whole number above 1"),
    ],
)
def test_shares_that_ray_does_not_know_are_refused(needs: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Requirements(**needs)
    Requirements(cpus=0.0001, gpus=2)
    Requirements(cpus=1.5, gpus=0.25)


def test_sigterm_does_after_a_connection_what_it_did_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray")
    before = signal.getsignal(signal.SIGTERM)

    def init(*_: object, **__: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise ConnectionError

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ClusterError, match="no cluster runs here"):
        connect("auto")
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_address_in_brackets_is_asked_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    asked = []

    def refuse(place: object, _: float) -> None:
        asked.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ClusterError, match="no cluster answers there"):
        connect("[::1]:6379")
    assert asked == [("::1", 6379)]


def test_machines_are_counted_by_what_runs_short_first() -> None:
    machine = {"CPU": 8.0, "GPU": 1.0, "memory": 1e9}
    assert Requirements().fitting(machine) == 8
    assert Requirements(cpus=3).fitting(machine) == 2
    assert Requirements(gpus=0.25).fitting(machine) == 4
    assert Requirements(cpus=0.1).fitting({"CPU": 0.3}) == 3, "0.3 / 0.1 is a little below 3"
    assert Requirements(gpus=1).fitting({"CPU": 8.0}) == 0


def test_a_machine_with_another_version_is_told_apart() -> None:
    ray = pytest.importorskip("ray")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert Versions.here() == Versions(__version__, python, ray.__version__)
    there = Versions("2", "3.12", "2.60.0")
    assert HERE.difference(HERE) == ""
    assert (
        HERE.difference(there) == "llm_pv is 2 there and 1 here, python is 3.12 there and 3.11 here"
    )


def test_a_machine_of_another_version_does_nothing(
    warm: Confining, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Versions("0", "3.11", "2.60.0")
    obstacle = remote.inspect(other, warm)
    assert isinstance(obstacle, remote.Failed)
    assert "llm_pv is 1 there and 0 here" in str(obstacle.error)
    assert socket.gethostname() in str(obstacle.error)
    failed = remote.answer(other, {}, len, "abc")
    assert isinstance(failed, remote.Failed)
    assert isinstance(remote.execute(other, warm, Batch([]), []), remote.Failed)
    assert not remote._sandboxes


def test_a_machine_runs_programs_and_functions_and_tells_errors(warm: Confining) -> None:
    confinement = remote.inspect(HERE, warm)
    assert isinstance(confinement, Confinement)
    assert confinement.sufficient
    assert remote.inspect(HERE, None) is None
    assert remote.answer(HERE, {"key": len}, max, ["a", "bbb", "cc"]) == "bbb"
    failed = remote.answer(HERE, {}, Replay(Path("/nowhere")).replies)
    assert isinstance(failed, remote.Failed)
    with pytest.raises(ConfigurationError, match="cannot read replies"):
        raise failed.error
    executions = remote.execute(HERE, warm, Batch(["01", "11"]), [(PARITY, 0), (ALWAYS_ONE, 1)])
    assert isinstance(executions, list)
    assert [one.predictions for one in executions] == [("1", "0"), ("1", "1")]
    unconfined = Confining(backend="unconfined")
    obstacle = remote.inspect(HERE, unconfined)
    assert isinstance(obstacle, remote.Failed)
    assert "--allow-unconfined" in str(obstacle.error)
    (refused,) = remote.compute(HERE, *no_work(unconfined))
    assert isinstance(refused, remote.Failed)


def no_work(confining: Confining) -> tuple[remote.RemoteCell, Any, Any]:
    work = GridWork(SMALL, Plan(1), Replay(Path("/nowhere")), transfer=False)
    known = Known(Cell("fn_a", 20, "paper", 0), False, Path("run"), Path("p.py"))
    return (
        remote.RemoteCell(compute_trial, known, 1.0, confining),
        (SMALL.plan()[0], None),
        work,
    )


def test_a_trial_is_sent_in_batches_that_leave_a_whole_run_where_they_are_written(
    warm: Confining, tmp_path: Path
) -> None:
    search = replies(tmp_path, ALWAYS_ONE, PARITY)
    proposer, plan = search.resolve()
    trial = SMALL.plan()[0]
    events: list[Any] = []
    with RunDirectory(tmp_path / "run", {}) as run:
        work = GridWork(SMALL, plan, proposer.portable(), transfer=True)
        (tmp_path / "replies.jsonl").unlink()
        cell = remote.RemoteCell(compute_trial, Known.of(run, trial.cell), 0.01, warm)
        batches = list(remote.compute(HERE, cell, (trial, None), work))
        assert batches[0] == remote.RecordBatch()
        for batch in batches:
            assert isinstance(batch, remote.RecordBatch)
            batch.deliver(trial.cell, run, events.append)
        assert [event.number for event in events] == [1, 2]
        assert run.finished(trial.cell)
        assert {t["accuracy"] for t in run.transfer(trial.cell)} == {1.0}
        assert run.program_path(trial.cell).is_file()
    (row,) = read_summary(tmp_path / "run")
    assert (row["status"], row["accuracy"]) == ("done", "1.0")
    kinds = [record["kind"] for record in read_attempts(tmp_path / "run")]
    assert kinds == ["attempt", "attempt", "selected"]


def test_a_trial_that_fails_elsewhere_is_told_as_its_error(warm: Confining) -> None:
    begun, failed = remote.compute(HERE, *no_work(warm))
    assert begun == remote.RecordBatch()
    assert isinstance(failed, remote.Failed)
    with pytest.raises(ConfigurationError, match="cannot read replies"):
        raise failed.error


def node_id(name: str) -> str:
    return name.encode().hex().ljust(56, "0")


class Machines:
    """In place of Ray: machines by their names, and what their inspection comes to."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.exceptions = pytest.importorskip("ray").exceptions
        self.answers = answers
        self.asked: list[dict[str, Any]] = []
        self.waited: list[float] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": node_id(name), "NodeManagerAddress": f"10.0.0.{n}", "Alive": name != "dead",
             "Resources": {"CPU": 0.5 if name == "small" else 2.0}}
            for n, name in enumerate(self.answers)
        ]  # fmt: skip

    def remote(self, **options: Any) -> Any:
        self.asked.append(options)
        name = options["scheduling_strategy"].node_id

        def of(function: Any) -> Any:
            assert function is remote.inspect
            return SimpleNamespace(remote=lambda *arguments: (name, arguments))

        return of

    def get(self, task: tuple[str, Any], timeout: float) -> Any:
        self.waited.append(timeout)
        name, arguments = task
        assert arguments == (HERE, Confining(allow_unconfined=True))
        answer = next(answer for each, answer in self.answers.items() if node_id(each) == name)
        if isinstance(answer, Exception):
            raise answer
        return answer


def inspected(machines: Machines) -> Confinement | None:
    cluster = Cluster.__new__(Cluster)
    cluster.needs, cluster.versions = Requirements(), HERE
    cluster.confining = Confining(allow_unconfined=True)
    cluster._ray = machines
    return cluster._inspect_machines()


def test_every_machine_that_could_take_a_task_is_inspected_on_itself() -> None:
    full = ("seccomp", "no_new_privs", "rlimits", "Landlock")
    best, least = Confinement("linux", (*full, "mount namespace")), Confinement("linux", full)
    machines = Machines({"one": best, "dead": None, "two": least, "small": None})
    assert inspected(machines) == least
    assert inspected(Machines({"one": least, "two": best})) == least
    assert [options["num_cpus"] for options in machines.asked] == [0, 0]
    strategies = [options["scheduling_strategy"] for options in machines.asked]
    assert [(each.node_id, each.soft) for each in strategies] == [
        (node_id("one"), False), (node_id("two"), False),
    ]  # fmt: skip
    assert machines.waited == [120.0, 120.0]
    weak = Confinement("linux", (*full[1:], "a", "b", "c"))
    assert inspected(Machines({"one": best, "two": weak})) == weak, "what is not enough is least"
    assert inspected(Machines({"one": None})) is None


def test_what_is_wrong_with_machines_is_said_of_the_first() -> None:
    errors = pytest.importorskip("ray").exceptions
    gone = errors.TaskUnschedulableError("gone")
    assert inspected(Machines({"gone": gone, "one": None})) is None
    late = errors.GetTimeoutError("late")
    for answers, message in (
        ({"one": None, "two": late}, "10.0.0.1 (node 74776f00) of the cluster cannot be used: it "
         "did not answer within 120 seconds"),
        ({"one": gone, "two": errors.RayError(" ")}, "10.0.0.1 (node 74776f00) of the cluster "
         "cannot be used: it cannot run this package: RayError"),
        ({"one": errors.RayError("so\n\n it \n it is \n"), "two": late}, "10.0.0.0 (node "
         "6f6e6500) (and 1 more machines) of the cluster cannot be used: it cannot run this "
         "package: it is"),
        ({"one": remote.Failed(ClusterError("other versions"))}, "10.0.0.0 (node 6f6e6500) of the "
         "cluster cannot be used: other versions"),
    ):  # fmt: skip
        with pytest.raises(ClusterError) as caught:
            inspected(Machines(answers))
        assert str(caught.value) == message
