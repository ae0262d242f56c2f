"""What the owner of a WebAssembly worker makes of the bytes it gets, with a host made for each."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_pv.data.examples import Input
from llm_pv.errors import ConfinementError, SandboxError
from llm_pv.sandbox import frames, wasm, wasm_build
from llm_pv.sandbox.execution import Execution, Limits, Outcome
from llm_pv.sandbox.wasm import WasmWorker

ScriptedWorker = Callable[[str], WasmWorker]

HOST = """
import json, struct, sys, time
def send(kind, payload):
    sys.stdout.buffer.write(kind + struct.pack("<I", len(payload)) + payload)
    sys.stdout.buffer.flush()
def receive():
    head = sys.stdin.buffer.read(5)
    return sys.stdin.buffer.read(struct.unpack("<I", head[1:])[0]) if head else sys.exit()
def write(*records, output=b""):
    with open(header["page"], "r+b") as page:
        page.write(struct.pack("=Q", len(output)) + output)
        page.seek(8 + header["output_bytes"])
        page.write(b"".join(record + b",\\n" for record in records))
def end(**more):
    send(b"E", json.dumps({"interrupted": False, "cpu_seconds": 0.5} | more).encode())
FINISHED = b'{"finished": ""}'
"""
SERVE = (
    "send(b'+', b'')\nwhile True:\n    header, job = json.loads(receive()), json.loads(receive())\n"
)


@pytest.fixture
def scripted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> ScriptedWorker:
    component = tmp_path / "component"
    component.touch()
    monkeypatch.setattr(wasm_build, "built_component", lambda: component)

    def make(answer: str, *, whole: bool = False) -> WasmWorker:
        script = HOST + (answer if whole else SERVE + textwrap.indent(answer, "    "))
        command = [sys.executable, "-I", "-S", "-c", script]
        monkeypatch.setattr(wasm_build, "host_command", lambda *arguments: command)
        worker = WasmWorker()
        request.addfinalizer(worker.close)
        return worker

    return make


def run(worker: WasmWorker, *inputs: Input, wall_seconds: float = 60) -> Execution:
    return worker.run("def f(x): ...", inputs, Limits(wall_seconds=wall_seconds))


def test_results_are_read_from_the_page_with_errors_at_their_positions(
    scripted: ScriptedWorker,
) -> None:
    worker = scripted(
        """write(b'"1"', b'["E: no"]', b'null', b'"spam"', FINISHED, output=b"hello")\nend()"""
    )
    execution = run(worker, *"abcd")
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("1", None, None, "spam")
    assert execution.errors == {1: "E: no"}
    assert execution.unreached == ()
    assert (execution.output, execution.cpu_seconds) == ("hello", 0.5)


def test_the_host_gets_the_program_the_inputs_and_the_limits(scripted: ScriptedWorker) -> None:
    worker = scripted(
        "names = ('cpu_seconds', 'memory_bytes', 'output_bytes', 'rows', 'exploring')\n"
        "said = [str([header[n] for n in names]), job['source'], None]\n"
        "right = job['inputs'][1:] == ['\\ud800', {'n': None}] and job['seed'] == 6\n"
        "write(*(json.dumps(one).encode() for one in said), *[FINISHED] * right)\nend()"
    )
    limits = Limits(cpu_seconds=7, memory_bytes=8, output_bytes=9)
    execution = worker.run("source", ["a", "\ud800", {"n": None}], limits, seed=6)
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("[7, 8, 9, 3, False]", "source", None)


def test_a_program_interrupted_at_its_cpu_limit_keeps_the_rows_before(
    scripted: ScriptedWorker,
) -> None:
    execution = run(scripted("write(b'\"1\"')\nend(interrupted=True)"), "a", "b", "c")
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.predictions == ("1", None, None)
    assert execution.unreached == (1, 2)


@pytest.mark.parametrize("records", ["b'[1]', FINISHED", "FINISHED", 'b\'{"won": ""}\''])
def test_a_page_of_another_form_makes_the_whole_run_malformed(
    scripted: ScriptedWorker, records: str
) -> None:
    execution = run(scripted(f"write({records})\nend()"), "a")
    assert execution.outcome is Outcome.MALFORMED
    assert execution.predictions == (None,)
    assert execution.unreached == (0,)


def test_a_host_that_hangs_is_killed_at_the_wall_limit_and_replaced(
    scripted: ScriptedWorker,
) -> None:
    worker = scripted(
        "if job['inputs'] == ['hang']:\n    time.sleep(1000)\nwrite(b'\"1\"', FINISHED)\nend()"
    )
    execution = run(worker, "hang", wall_seconds=0.2)
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.reason == "stopped after 0.2 s"
    assert execution.unreached == (0,)
    assert run(worker, "a").predictions == ("1",)


def test_a_host_that_dies_is_a_crash_and_is_replaced(scripted: ScriptedWorker) -> None:
    worker = scripted("if job['inputs'] == ['die']:\n    sys.exit(3)\nwrite(FINISHED)\nend()")
    execution = run(worker, "die")
    assert execution.outcome is Outcome.CRASHED
    assert run(worker).outcome is Outcome.FINISHED


def test_a_host_that_died_between_two_runs_is_replaced(scripted: ScriptedWorker) -> None:
    worker = scripted("write(FINISHED)\nend()")
    run(worker)
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert run(worker).outcome is Outcome.FINISHED


def test_a_frame_that_is_cut_or_too_long_counts_as_the_end_of_the_host(
    scripted: ScriptedWorker,
) -> None:
    for cut in ("E", "E\\xff\\xff\\xff\\xff"):
        worker = scripted(f"sys.stdout.buffer.write(b'{cut}')\nsys.exit()")
        assert run(worker).outcome is Outcome.CRASHED


def test_an_interrupted_run_leaves_no_process(
    scripted: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = scripted("write(FINISHED)\nend()")
    run(worker)
    process = worker._process

    def interrupt(*frame: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wasm, "_exchange", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(worker)
    assert process is not None
    assert process.returncode is not None
    assert run(worker).outcome is Outcome.FINISHED


def test_a_worker_that_is_dropped_ends_its_process(scripted: ScriptedWorker) -> None:
    worker = scripted("write(FINISHED)\nend()")
    run(worker)
    process, finalizer = worker._process, worker._finalizer
    assert process is not None
    assert finalizer is not None
    finalizer()
    assert process.returncode is not None
    assert process.stdin is not None
    assert process.stdin.closed
    worker.close()
    worker.close()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("send(b'X', b'wrong version')", "wrong version"),
        ("sys.exit(3)", "it ended at once"),
    ],
)
def test_a_host_that_does_not_start_is_a_confinement_error(
    scripted: Callable[..., WasmWorker], script: str, why: str
) -> None:
    with pytest.raises(ConfinementError, match=f"does not start: {why}"):
        run(scripted(script, whole=True))


def test_a_component_that_does_not_load_is_built_again(
    scripted: ScriptedWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = tmp_path / "component"
    component.write_text("damaged")
    worker = scripted("write(FINISHED)\nend()")
    good = wasm_build.host_command()
    bad = [*good[:-1], HOST + "send(b'X', b'made for another processor')"]

    def build() -> Path:
        if not component.exists():
            component.write_text("built")
        return component

    monkeypatch.setattr(wasm_build, "built_component", build)
    monkeypatch.setattr(
        wasm_build,
        "host_command",
        lambda *arguments: good if arguments[-1].read_text() == "built" else bad,
    )
    assert run(worker).outcome is Outcome.FINISHED


@pytest.mark.parametrize(
    "value", [object(), {"n": {1, 2}}, 10**5000], ids=["object", "set", "long integer"]
)
def test_inputs_that_are_no_plain_values_are_refused(value: Input) -> None:
    with pytest.raises(SandboxError, match="these inputs cannot enter the sandbox"):
        WasmWorker().run("f = len", [value], Limits())


def test_inputs_too_large_for_one_frame_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_BYTES", 20)
    with pytest.raises(SandboxError, match="fewer rows at a time"):
        WasmWorker().run("f = len", ["a"], Limits())
