"""What is handed to a cluster and what comes of its answers, with a stand-in for Ray."""

import logging
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_pv.errors import (
    ClusterError,
    ConfigurationError,
    DataError,
    ExecutorClosedError,
    MissingExtraError,
    WorkerLostError,
)
from llm_pv.proposers.round_robin import StoppedError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors import executor_for
from llm_pv.runs.executors.base import CellContext, CellReassigned, CellTask
from llm_pv.runs.executors.local import LocalExecutor
from llm_pv.runs.executors.ray import (
    Cluster,
    Confining,
    RayExecutor,
    RaySandbox,
    Requirements,
    cluster,
    head,
    remote,
)
from llm_pv.runs.executors.ray.cluster import connect
from llm_pv.runs.executors.ray.executor import batch_seconds
from llm_pv.runs.executors.ray.remote import RecordBatch, RemoteCell, Versions
from llm_pv.runs.remote_records import Known
from llm_pv.sandbox import Batch, Confinement, Limits
from llm_pv.sandbox.outcome import not_run

HERE = Versions("1", "3.11", "2.60.0")
CELL = Cell("f")
TASK = CellTask(CELL, inputs=7)


class Machines:
    """In place of a cluster: notes what it is asked, and answers by functions."""

    def __init__(self, answer: Callable[[int], Any] = lambda _: None, slots: int = 2) -> None:
        self.slots = slots
        self.confining = Confining(Limits(cpu_seconds=3.0))
        self.confinement = Confinement("linux", ("seccomp",))
        self.closed = False
        self.answer = answer
        self.shared: list[Any] = []
        self.started: list[Any] = []
        self.kept: list[Any] = []
        self.processes: list[Any] = []
        self.asked: list[Any] = []
        self.dropped: list[Any] = []
        self.ended: list[Any] = []

    def share(self, value: Any) -> str:
        self.shared.append(value)
        return f"shared {len(self.shared)}"

    def start(self, *what: Any, **options: Any) -> int:
        self.started.append((*what, options) if options else what)
        return len(self.started)

    def result(self, task: Any, *, seconds: float | None = None) -> Any:
        self.asked.append((task, seconds))
        return self.answer(task)

    def results(self, task: Any) -> Iterator[Any]:
        yield from self.answer(task)

    def forget(self, task: int, *, cancel: bool = False) -> None:
        self.dropped.append((task, cancel))

    def keep(self, *what: Any) -> Any:
        self.kept.append(what)
        compute = SimpleNamespace(options=lambda **given: SimpleNamespace(
            remote=lambda *arguments: (given, arguments)
        ))  # fmt: skip
        opening = SimpleNamespace(remote=lambda: "opening")
        self.processes.append(SimpleNamespace(open=opening, compute=compute))
        return self.processes[-1]

    def end(self, process: Any) -> None:
        self.ended.append(process)

    def close(self) -> None:
        self.closed = True


def test_programs_run_on_machines_with_their_seeds_inputs_and_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    machines: Any = Machines(lambda task: [f"ran {task}"])
    sandbox = RaySandbox(machines)
    assert (sandbox.limits, sandbox.confinement) == (Limits(cpu_seconds=3.0), machines.confinement)
    assert sandbox.ahead == 2 * 4 * 2
    rows: Any = Batch(["0", "1"])
    found: list[Any] = [sandbox.predict("p", rows, seed=5), sandbox.predict("q", rows)]
    assert found == ["ran 1", "ran 2"]
    assert machines.started == [
        (remote.execute, machines.confining, "shared 1", [("p", 5)]),
        (remote.execute, machines.confining, "shared 1", [("q", 0)]),
    ]
    assert [list(batch) for batch in machines.shared] == [["0", "1"]]
    sandbox.predict("p", ["0", "1"], deadline=103.0)
    sandbox.predict("p", rows, deadline=90.0)
    assert [seconds for _, seconds in machines.asked] == [None, None, 3.0, 0.0]

    def late(_: int) -> Any:
        raise TimeoutError

    machines.answer = late
    assert sandbox.predict("p", ["0", "1"], deadline=103.0) == not_run(2)
    assert list(sandbox.predict_many(iter("abc"), rows, deadline=103.0)) == [not_run(2)] * 3
    sandbox.close()
    assert machines.closed


def test_many_programs_go_four_to_a_task_and_few_one_to_each() -> None:
    read: list[str] = []

    def sources(number: int) -> Iterator[str]:
        for name in "abcdefghijklmnopqrstuvwxyz"[:number]:
            read.append(name)
            yield name

    machines: Any = Machines(slots=2)
    machines.answer = lambda task: [f"ran {source}" for source, _ in machines.started[task - 1][3]]
    sandbox = RaySandbox(machines)

    def tasks() -> list[str]:
        given = ["".join(source for source, _ in what[3]) for what in machines.started]
        machines.started.clear()
        return given

    found: list[Any] = list(sandbox.predict_many(sources(2), ["0"]))
    assert (found, tasks()) == (["ran a", "ran b"], ["a", "b"])
    found = list(sandbox.predict_many(sources(3), ["0"]))
    assert (found, tasks()) == (["ran a", "ran b", "ran c"], ["abc"])
    read.clear()
    running: Any = sandbox.predict_many(sources(26), ["0"], deadline=math.inf)
    assert next(running) == "ran a"
    # Twice as many tasks as run at once are under way, and no more sources were read.
    assert (len(machines.started), "".join(read)) == (4, "abcdefghijklmnop")
    assert [next(running) for _ in range(4)] == ["ran b", "ran c", "ran d", "ran e"]
    running.close()
    assert machines.dropped == [(3, True), (4, True), (5, True)]
    assert tasks() == ["abcd", "efgh", "ijkl", "mnop", "qrst"]
    assert [str(one)[-1] for one in sandbox.predict_many(sources(26), ["0"])] == read[-26:]
    assert {source for what in machines.started for _, source in what[3]} == {0}


def test_how_often_a_cell_sends_follows_the_size_of_the_cluster() -> None:
    assert [batch_seconds(slots) for slots in (1, 100, 150)] == [1.0, 1.0, 1.5]
    machines: Any = Machines()
    assert RayExecutor(machines).cells_at_once == 2_000
    assert RayExecutor(machines, make=dict).cells_at_once == 100
    assert RayExecutor(machines, most=3).cells_at_once == 3
    assert machines.shared == []


def test_one_function_chooses_the_executor_of_a_run() -> None:
    machines: Any = Machines()
    here = executor_for(None, cells_at_once=2, shared="all", portable=lambda: "sent", most=3)
    assert isinstance(here, LocalExecutor)
    assert here.cells_at_once == 2
    assert here.call(sorted, [2, 1], reverse=True) == [2, 1]
    found: list[Any] = []
    results: Any = None
    here.run(lambda inputs, _: found.append(inputs), TASK, results, found.append)
    assert found == [None, ("all", TASK.inputs)]
    there = executor_for(machines, cells_at_once=2, shared="all", portable=lambda: "sent", most=3)
    assert isinstance(there, RayExecutor)
    assert there.cells_at_once == 3
    assert machines.shared == ["sent"]


def test_a_call_is_answered_by_some_machine() -> None:
    machines: Any = Machines(lambda task: f"answer {task}")
    executor = RayExecutor(machines)
    assert executor.call(sorted, [2, 1], reverse=True) == "answer 1"  # type: ignore[comparison-overlap]
    assert machines.started == [(remote.answer, {"reverse": True}, sorted, [2, 1])]
    assert machines.asked == [(1, None)]


def compute(inputs: Any, context: CellContext) -> None:
    """Stand for a track's function, which runs on no machine here."""


def test_a_cell_is_continued_from_what_it_sent_until_no_machine_is_left(tmp_path: Path) -> None:
    heard: list[Any] = []
    reply = ("append_replies", ([CELL.record() | {"text": "x"}],))

    def sends(task: int) -> Iterator[Any]:
        yield RecordBatch()
        if task == 1:
            yield RecordBatch([(False, reply), (True, "event")])
        raise WorkerLostError("lost")

    machines: Any = Machines(sends, slots=300)
    executor = RayExecutor(machines, shared="all", prepare=lambda inputs: inputs + 1, alone=True)
    with RunDirectory(tmp_path / "run", {}) as run:
        with pytest.raises(WorkerLostError, match="lost"):
            executor.run(compute, TASK, run, heard.append)
        sent = {**CELL.record(), "text": "x"}
        known = [
            Known(CELL, False, run.path, run.program_path(CELL), replies)
            for replies in ((), (sent,))
        ]
        assert machines.shared == ["all", 8]
        options = {"retries": 0, "streaming": True, "alone": True}
        assert machines.started == [
            (remote.compute, RemoteCell(compute, known[n > 0], 3.0, machines.confining),
             "shared 2", "shared 1", options)
            for n in range(4)
        ]  # fmt: skip
        said = [type(one) if isinstance(one, CellReassigned) else one for one in heard]
        assert said == [
            None,
            None,
            "event",
            CellReassigned,
            None,
            CellReassigned,
            None,
            CellReassigned,
            None,
        ]
        attempts = run.cell_log(CELL)
        attempts.append_attempt({"kind": "attempt", "attempt": 1, "program": "p"})
        machines.answer = lambda _: [RecordBatch()]
        RayExecutor(machines).run(compute, TASK, run, heard.append)
        assert machines.started[-1][2:] == (
            "shared 3", None, {"retries": 0, "streaming": True, "alone": False},
        )  # fmt: skip
        assert machines.shared[-1] == 7
        assert (attempts.replies, attempts.attempts) == ([], [{"kind": "attempt", "attempt": 1}])
        machines.closed, machines.answer = True, sends
        with pytest.raises(ExecutorClosedError, match=r"^lost$"):
            RayExecutor(machines).run(compute, TASK, run, heard.append)
    executor.close()
    assert machines.closed


def test_a_cell_that_is_stopped_ends_its_task(tmp_path: Path) -> None:
    def stop(_: object) -> None:
        raise StoppedError

    machines: Any = Machines(lambda _: [RecordBatch(), RecordBatch()])
    with RunDirectory(tmp_path / "run", {}) as run, pytest.raises(StoppedError):
        RayExecutor(machines).run(compute, TASK, run, stop)
    assert machines.dropped == [(1, True)]


def test_a_process_with_a_model_computes_cell_after_cell_until_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[bool] = []

    def answer(task: Any) -> Any:
        if task == "opening":
            return None
        if lost:
            lost.pop()
            raise WorkerLostError("lost")
        computed.append(task)
        return [RecordBatch()]

    computed: list[Any] = []
    machines: Any = Machines(answer)
    executor = RayExecutor(machines, make=dict, shared="all")
    heard: list[Any] = []
    with RunDirectory(tmp_path / "run", {}) as run:
        for _ in range(2):
            executor.run(compute, TASK, run, heard.append)
        assert machines.kept == [(remote.ModelProcess, dict)]
        assert machines.started == []
        sent = RemoteCell(compute, Known.of(run, CELL), 1.0, machines.confining)
        assert computed == [
            ({"num_returns": "streaming"}, (sent, f"shared {n}", "shared 1")) for n in (2, 3)
        ]
        lost.append(True)
        executor.run(compute, TASK, run, heard.append)
        assert len(machines.kept) == 2, "another is opened in place of the one that was lost"
        assert machines.ended == machines.processes[:1]
        executor.run(compute, TASK, run, heard.append)
        assert len(machines.kept) == 2
        assert machines.asked == [("opening", None)] * 2
        assert executor._processes is not None
        cell = RemoteCell(compute, Known.of(run, CELL), 1.0)
        machines.answer = lambda task: None if task == "opening" else [task]
        assert list(executor._processes.stream(cell, "in", "all")) == [
            ({"num_returns": "streaming"}, (cell, "in", "all"))
        ]

        def refuse(task: Any) -> Any:
            raise DataError("no such model")

        machines.answer = refuse
        broken = RayExecutor(machines, make=dict)
        for times in (1, 2):
            with pytest.raises(DataError, match="no such model"):
                broken.run(compute, TASK, run, heard.append)
            assert len(machines.ended) == 1 + times, "each error is shown once"

        def full(*_: object) -> Any:
            raise WorkerLostError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(machines, "keep", full)
            broken = RayExecutor(machines, make=dict)
            assert broken._processes is not None
            with pytest.raises(WorkerLostError, match="no room"):
                broken._processes._take()
        assert machines.ended[-1] is None
        machines.answer = answer
        taken = executor._processes._take()
        executor._processes._put(taken)
        machines.closed = True
        executor.close()
        with pytest.raises(ExecutorClosedError, match="the cluster was released"):
            executor.run(compute, TASK, run, heard.append)


def test_a_thread_that_waits_for_a_process_is_woken_when_the_cluster_is_released() -> None:
    opening = threading.Barrier(3)

    def wait(_: Any) -> Any:
        assert threading.current_thread().daemon
        opening.wait(60)
        threading.Event().wait(60)

    machines: Any = Machines(wait)
    executor = RayExecutor(machines, make=dict)
    ended: list[BaseException] = []

    def take() -> None:
        assert executor._processes is not None
        try:
            executor._processes._take()
        except ExecutorClosedError as error:
            ended.append(error)

    threads = [threading.Thread(target=take, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    opening.wait(60)  # a process for each of the two
    executor.close()
    for thread in threads:
        thread.join(60)
    assert len(ended) == 2


def test_as_many_processes_are_opened_as_threads_wait_for_one() -> None:
    begun, together = threading.Semaphore(0), threading.Event()

    def wait(_: Any) -> None:
        begun.release()
        assert together.wait(60)

    machines: Any = Machines(wait)
    processes = RayExecutor(machines, make=dict)._processes
    assert processes is not None
    taken: list[Any] = []
    threads = [threading.Thread(target=lambda: taken.append(processes._take())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=60)
    # The third waits for one that is being opened and that no other thread needs any more.
    processes._put("free")
    while not taken:
        time.sleep(0.01)
    threads.append(threading.Thread(target=lambda: taken.append(processes._take())))
    threads[-1].start()
    while processes._waiting < 2:
        time.sleep(0.01)
    together.set()
    for thread in threads:
        thread.join(60)
    assert len(taken) == 3
    assert len(machines.kept) == 2
    for one in taken[:2]:
        processes._put(one)
    assert [processes._take() for _ in range(2)] == taken[:2]
    assert len(machines.kept) == 2


class Ray:
    """In place of the module `ray`, with its exceptions."""

    def __init__(self, *resources: dict[str, float]) -> None:
        self.exceptions = pytest.importorskip("ray").exceptions
        self.resources = resources or ({"CPU": 2.5, "GPU": 1.0}, {"CPU": 1.0})
        self.given: list[Any] = []
        self.calls: list[Any] = []
        self.answers: dict[Any, Any] = {}
        self.initialized = True

    def nodes(self) -> list[dict[str, Any]]:
        dead = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        return [{"Alive": True, "Resources": each} for each in self.resources] + [dead]

    def remote(self, **options: Any) -> Any:
        def of(kind: Any) -> Any:
            def start(*arguments: Any) -> str:
                self.given.append((options, kind, arguments))
                return f"task {len(self.given)}"

            return SimpleNamespace(remote=start)

        return of

    def get(self, reference: Any, timeout: float | None = None) -> Any:
        self.calls.append(("get", reference, timeout))
        answer = self.answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def put(self, value: Any) -> Any:
        return ("put", value)

    def kill(self, actor: Any) -> None:
        self.calls.append(("kill", actor))

    def cancel(self, task: Any, force: bool) -> None:
        self.calls.append(("cancel", task, force))

    def is_initialized(self) -> bool:
        return self.initialized

    def shutdown(self) -> None:
        self.calls.append(("shutdown",))

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address="10.0.0.1:6379")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    """A cluster of three nodes, of which one is dead, whose machines are as they should be."""
    module = Ray()
    monkeypatch.setattr(cluster, "connect", lambda address: module)
    monkeypatch.setattr(Versions, "here", lambda: HERE)
    monkeypatch.setattr(Cluster, "_inspect_machines", lambda _: Confinement("linux", ("seccomp",)))
    return module


def test_a_task_takes_what_it_needs_and_is_named_after_its_function(ray: Ray) -> None:
    with Cluster("auto", needs=Requirements(0.5, 0.25)) as some, Cluster("auto") as plain:
        assert (some.slots, plain.slots) == (4, 3)
        assert (some.head, some.confining, some.closed) == ("10.0.0.1:6379", None, False)
        assert some.confinement == Confinement("linux", ("seccomp",))
        assert Cluster("auto", confining=Confining()).confining == Confining()
        assert some.share([1]) == ("put", [1])
        some.start(len, "abc", retries=0, streaming=True, alone=True)
        plain.start(len, "abc", 2)
        plain.keep(dict, 1)
        assert ray.given == [
            ({"num_cpus": 0.5, "num_gpus": 0.25, "max_retries": 0, "name": "llm-pv len",
              "num_returns": "streaming", "max_calls": 1}, len, (HERE, "abc")),
            ({"num_cpus": 1.0, "max_retries": 3, "name": "llm-pv len"}, len, (HERE, "abc", 2)),
            ({"num_cpus": 1.0}, dict, (HERE, 1)),
        ]  # fmt: skip
    assert plain.closed
    # What was under way is ended, the process that was kept too.
    assert ray.calls == [
        ("cancel", "task 2", True), ("kill", "task 3"), ("shutdown",),
        ("cancel", "task 1", True), ("shutdown",),
    ]  # fmt: skip
    for start in (plain.start, plain.keep):
        with pytest.raises(ExecutorClosedError, match="the cluster was released"):
            start(dict)


def test_what_a_task_answers_or_how_it_was_lost_is_told(ray: Ray) -> None:
    errors = ray.exceptions
    with Cluster("auto") as machines:
        first = machines.start(len)
        ray.answers[first] = 3
        assert machines.result(first, seconds=7.0) == 3
        assert ray.calls == [("get", first, 7.0)]
        failed = machines.start(len)
        ray.answers[failed] = remote.Failed(DataError("no rows"))
        with pytest.raises(DataError, match="no rows"):
            machines.result(failed)
        late = machines.start(len)
        ray.answers[late] = errors.GetTimeoutError("late")
        with pytest.raises(TimeoutError):
            machines.result(late, seconds=1.0)
        assert ray.calls[-2:] == [("get", late, 1.0), ("cancel", late, True)]
        gone = machines.start(len)
        ray.answers[gone] = errors.WorkerCrashedError()
        with pytest.raises(WorkerLostError) as lost:
            machines.result(gone)
        assert str(lost.value) == (
            "a process on the cluster ended before it answered: it was stopped, or its machine was "
            "lost or ran out of memory (WorkerCrashedError)"
        )
        unlike = machines.start(len)
        cause = ImportError("no module")
        ray.answers[unlike] = errors.RayTaskError("f", "a\n  ImportError: no module \n\n", cause)
        with pytest.raises(ClusterError, match=r"^a machine cannot run this package: .*; install"):
            machines.result(unlike)
    assert ("cancel", first, True) not in ray.calls, "nothing is left of what was answered"
    assert [call[0] for call in ray.calls].count("cancel") == 1


def test_a_stream_is_taken_piece_by_piece(ray: Ray) -> None:
    with Cluster("auto") as machines:
        ray.answers |= {"a": 1, "b": 2, "lost": ray.exceptions.RayError("gone")}

        def stream(*names: str) -> Any:
            task: Any = iter(names)
            machines._under_way[id(task)] = task
            return task

        assert list(machines.results(stream("a", "b"))) == [1, 2]
        with pytest.raises(WorkerLostError, match=r"out of memory \(RayError\)$"):
            list(machines.results(stream("a", "lost")))
        ray.answers["b"] = remote.Failed(DataError("no rows"))
        with pytest.raises(DataError, match="no rows"):
            list(machines.results(stream("b")))
        assert machines._under_way == {}
        machines.forget("unknown", cancel=True)
        actor = machines.keep(dict)
        machines.end(actor)
        machines.end(actor)
        task = machines.start(len)
        ray.initialized = False  # Ray was left, so nothing can be asked of it
        machines.end(machines.keep(dict))
        machines.forget(task, cancel=True)
        left = machines.start(len)
        machines.forget(left)
        ray.initialized = True
        machines.forget(left, cancel=True)
    assert [call for call in ray.calls if call[0] in ("kill", "cancel")] == [("kill", actor)]


def test_a_cluster_on_which_nothing_fits_is_left_again(ray: Ray) -> None:
    with pytest.raises(ClusterError) as refused:
        Cluster("auto", needs=Requirements(4, 1))
    assert str(refused.value) == (
        "a task needs 4 CPU and 1 GPU, and no machine of the cluster has that (at most 2.5 CPU and "
        "1 GPU): give other --ray-cpus or --ray-gpus, or start such machines first"
    )
    assert ray.calls == [("shutdown",)]
    ray.resources = ()
    with pytest.raises(ClusterError, match=r"\(at most 0 CPU and 0 GPU\)"):
        Cluster("auto")
    ray.resources = ({"GPU": 2.0},)
    with pytest.raises(ClusterError, match=r"needs 1 CPU, .*\(at most 0 CPU and 2 GPU\)"):
        Cluster("auto")


def test_a_connection_is_quiet_and_its_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(cluster, "refuse_unreachable", lambda address: None)
    monkeypatch.delenv("RAY_DEDUP_LOGS_SKIP_REGEX", raising=False)
    asked: list[Any] = []
    monkeypatch.setattr(ray, "init", lambda *given, **options: asked.append((given, options)))
    assert connect("10.0.0.1:6379") is ray
    assert asked == [(("10.0.0.1:6379",), {"log_to_driver": False, "logging_level": logging.ERROR})]
    assert os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] == "^"
    connected: list[Any] = []
    thread = threading.Thread(target=lambda: connected.append(connect("auto")))
    thread.start()
    thread.join(60)
    assert connected == [ray], "a thread beside the main one may connect too"
    for error, message in (
        (ConnectionError(), "--ray auto: no cluster runs here; begin one with ray start --head, or "
         "give the HOST:PORT of its head"),
        (RuntimeError("so\n  it is"), "--ray auto: so it is"),
        (ValueError("no"), "--ray auto: no"),
    ):  # fmt: skip

        def refuse(*_: object, why: Exception = error, **__: object) -> None:
            raise why

        monkeypatch.setattr(ray, "init", refuse)
        with pytest.raises(ClusterError) as refused:
            connect("auto")
        assert str(refused.value) == message
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as missing:
        connect("auto")
    assert str(missing.value) == str(MissingExtraError("ray", "ray", "run on a cluster"))


def test_an_address_is_asked_for_a_head_before_ray_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    connection = SimpleNamespace(close=lambda: asked.append("closed"))

    def create(*what: Any) -> Any:
        asked.append(what)
        return connection

    def run(command: Sequence[str], **options: Any) -> None:
        asked.append((command[0], list(command[1:3]), command[4], options))

    monkeypatch.setattr(socket, "create_connection", create)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    head.refuse_unreachable("auto")
    assert asked == []
    head.refuse_unreachable("[::1]:65535")
    nothing = subprocess.DEVNULL
    quiet = {
        "stdin": nothing,
        "stdout": nothing,
        "stderr": nothing,
        "timeout": 10.0,
        "check": False,
    }
    assert asked == [
        (("::1", 65535), 10.0), "closed", (sys.executable, ["-P", "-c"], "[::1]:65535", quiet),
    ]  # fmt: skip
    for address in ("head:65536", "head:x", ":6379", "head:0"):
        with pytest.raises(ConfigurationError, match="give auto, or HOST:PORT such as 10"):
            head.refuse_unreachable(address)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    head.refuse_unreachable("auto")
    assert len(asked) == 3


class Waiting(SimpleNamespace):
    """A function of a cell that emits, sends and waits to be emptied."""

    def __call__(self, inputs: Any, context: Any) -> None:
        context.emit("begun")
        context.results.log("info", "said")
        context.results.flush()
        context.emit((inputs, context.sandbox, context.opened))
        if self.error:
            raise self.error


KNOWN = Known(CELL, False, Path("run"), Path("p.py"))


def test_what_a_cell_sends_comes_in_its_order_and_its_error_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Versions, "here", lambda: HERE)
    for error in (None, DataError("no rows")):
        cell = RemoteCell(Waiting(error=error), KNOWN, 60.0)
        sent = list(remote.compute(HERE, cell, "in", None))
        failure = sent.pop() if error else None
        assert sent == [
            RecordBatch(),
            RecordBatch([(True, "begun"), (False, ("log", ("info", "said", {})))]),
            RecordBatch([(True, ("in", None, None))]),
        ]
        assert failure == (remote.Failed(error) if error else None)
    process = remote.ModelProcess(HERE, lambda: "model")
    assert process.open() is None
    cell = RemoteCell(Waiting(error=None), KNOWN, 60.0)
    *_, last = process.compute(cell, "in", "all")
    assert last == RecordBatch([(True, (("all", "in"), None, "model"))])

    def refuse() -> None:
        raise DataError("no such model")

    failed = remote.ModelProcess(HERE, refuse).open()
    assert isinstance(failed, remote.Failed)
    assert str(failed.error) == "no such model"
    other = remote.ModelProcess(Versions("2", "3.11", "2.60.0"), refuse).open()
    assert isinstance(other, remote.Failed)
    assert "llm_pv is 1 there and 2 here" in str(other.error)


def test_a_cell_whose_driver_has_gone_waits_for_nobody() -> None:
    ended = threading.Event()

    def flush(inputs: Any, context: Any) -> None:
        context.emit("begun")
        context.results.flush()
        context.results.flush()
        ended.set()

    outbox = remote._Outbox(60.0)
    batches = outbox.fill(RemoteCell(flush, KNOWN, 60.0), None, None, None)
    assert next(batches) == RecordBatch()
    assert next(batches) == RecordBatch([(True, "begun")])
    batches.close()  # type: ignore[attr-defined]
    assert ended.wait(60)


def test_a_machine_has_one_sandbox_for_each_way_of_confining(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(remote, "_sandboxes", {})
    monkeypatch.setattr(remote, "Sandbox", lambda *given, **options: made.append((given, options)))
    for confining in (Confining(), Confining(Limits(cpu_seconds=9.0), True, "wasm"), Confining()):
        remote.warm_sandbox(confining)
    assert made == [
        ((Limits(),), {"workers": 1, "allow_unconfined": False, "backend": "auto"}),
        ((Limits(cpu_seconds=9.0),), {"workers": 1, "allow_unconfined": True, "backend": "wasm"}),
    ]
    monkeypatch.chdir(Path.cwd())
    before = Path.cwd()
    remote.enter_folder(tmp_path / "none")
    assert Path.cwd() == before
    remote.enter_folder(tmp_path)
    assert Path.cwd() == tmp_path
