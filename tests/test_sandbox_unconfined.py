"""The worker without confinement keeps time and order, and the pool offers it only when told to."""

import marshal
import os
import random
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from llm_pv.child_process import usable_cores
from llm_pv.errors import ConfinementError, SandboxError
from llm_pv.sandbox import (
    Batch,
    Confinement,
    Execution,
    Limits,
    Outcome,
    Sandbox,
    program_sandbox,
    worker_pool,
)
from llm_pv.sandbox.job import PROGRAM_NAME
from llm_pv.sandbox.result_page import page_bytes, read_page
from llm_pv.sandbox.unconfined import UnconfinedWorker, run_job

PARITY = "def f(x):\n    return x.count('1') % 2"


def test_a_program_runs_in_a_process_of_its_own() -> None:
    execution = UnconfinedWorker().run(PARITY, ["1", "11", "\ud800"], Limits())
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("1", "0", "0")


def test_hashing_and_random_numbers_start_from_the_seed() -> None:
    source = (
        "import random, numpy.random\nDRAWN = random.random(), numpy.random.random()\n"
        "def f(x):\n    return f'{DRAWN[0]!r} {float(DRAWN[1])!r} {hash(x)}'"
    )
    hashes = set()
    for seed in (0, 9):
        (answer,) = UnconfinedWorker().run(source, ["a"], Limits(wall_seconds=60), seed).predictions
        drawn = random.Random(seed).random(), float(np.random.RandomState(seed).random())
        assert answer is not None
        assert answer.split()[:2] == [repr(value) for value in drawn]
        hashes.add(answer.split()[2])
    assert len(hashes) == 2


def test_an_endless_program_is_ended_and_its_answers_are_kept() -> None:
    source = "def f(x):\n    while x == 'stop': pass\n    return x"
    execution = UnconfinedWorker().run(source, ["a", "stop", "b"], Limits(wall_seconds=1))
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.predictions == ("a", None, None)
    assert execution.unreached == (1, 2)


def test_closing_ends_the_run_in_progress() -> None:
    worker = UnconfinedWorker()
    worker.close()
    results: list[Execution] = []
    source = "def f(x):\n    while True: pass"
    thread = threading.Thread(
        target=lambda: results.append(worker.run(source, ["a"], Limits(wall_seconds=100)))
    )
    thread.start()
    while not results and thread.is_alive():
        worker.close()
        thread.join(0.05)
    assert results[0].outcome in {Outcome.OUT_OF_MEMORY, Outcome.CRASHED}


def test_an_interpreter_that_cannot_start_is_an_error_of_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(SandboxError, match="no process can be started"):
        UnconfinedWorker().run(PARITY, ["1"], Limits())


def test_what_the_fresh_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setitem(sys.modules, PROGRAM_NAME, sys)
    rows = [{"a": 1}, {"a": 2}]
    (tmp_path / "page").write_bytes(bytes(page_bytes(2, 10)))
    job = ("program", "def f(x):\n    return x['a']", Batch(rows).encoded(), 10, 0)  # type: ignore[arg-type]
    (tmp_path / "job").write_bytes(marshal.dumps(job))
    run_job(str(tmp_path), ["math"])
    with (tmp_path / "page").open("rb") as page:
        assert read_page(page, 2, 10).answers == ["1", "2"]


class FakeWasmWorker:
    """Answers each row with its length."""

    def run(self, source: str, inputs: list[str], limits: Limits, seed: int) -> Execution:
        return Execution(Outcome.FINISHED, tuple(str(len(row)) for row in inputs))

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def without_linux(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A system that is not Linux, with a WebAssembly worker to be had."""
    wasm = ModuleType("llm_pv.sandbox.wasm")
    wasm.__dict__.update(WasmWorker=FakeWasmWorker, wasm_available=lambda: None)
    monkeypatch.setitem(sys.modules, "llm_pv.sandbox.wasm", wasm)
    monkeypatch.setattr(sys, "platform", "win32")
    return wasm


def test_elsewhere_webassembly_confines(without_linux: ModuleType) -> None:
    with Sandbox(workers=1) as sandbox:
        why = {"the Linux sandbox": "the Linux sandbox does not run on win32"}
        assert sandbox.confinement == Confinement("wasm", ("WebAssembly",), why)
        assert sandbox.confinement.warning() == (
            "programs run confined by WebAssembly instead of the Linux sandbox (active: "
            "WebAssembly; missing the Linux sandbox: the Linux sandbox does not run on win32)"
        )
        assert sandbox.predict(PARITY, ["abc"]).predictions == ("3",)


def test_without_webassembly_it_refuses_and_says_what_is_missing(
    without_linux: ModuleType,
) -> None:
    without_linux.__dict__["wasm_available"] = lambda: "wasmtime is not installed"
    with pytest.raises(ConfinementError, match="wasmtime is not installed"):
        Sandbox()
    with pytest.raises(ConfinementError, match="wasmtime is not installed"):
        Sandbox(backend="wasm", allow_unconfined=True)
    with Sandbox(backend="unconfined", allow_unconfined=True) as sandbox:
        assert not sandbox.confinement.sufficient


def test_a_probe_reports_a_sandbox_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**named: object) -> None:
        raise SandboxError("no process")

    monkeypatch.setattr(program_sandbox, "Sandbox", fail)
    found = program_sandbox.probe_confinement()
    assert not found.sufficient
    assert found.missing == {"process": "no process"}


def test_a_forked_copy_begins_with_fresh_workers(without_linux: ModuleType) -> None:
    with Sandbox(workers=2) as sandbox:
        before = set(sandbox._pool._workers)
        assert sandbox._pool in worker_pool._pools
        sandbox._pool.after_fork()
        assert len(sandbox._pool._workers) == 2
        assert not before & sandbox._pool._workers
        assert sandbox.predict(PARITY, ["abc"]).predictions == ("3",)
        for worker in before:
            worker.close()


def test_the_number_of_workers_is_that_of_the_usable_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
