"""What the owner of a WebAssembly worker makes of the bytes it gets, with a host made for each."""

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.data.examples import Input
from llm_pv.errors import ConfinementError, SandboxError
from llm_pv.sandbox import wasm, wasm_build, wasm_process
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
def end(outcome, **more):
    values = dict(outcome=outcome, reason="", output="", cpu_seconds=0.5) | more
    send(b"E", json.dumps(values).encode())
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
        monkeypatch.setattr(wasm, "_host_command", lambda component: command)
        worker = WasmWorker()
        request.addfinalizer(worker.close)
        return worker

    return make


def run(worker: WasmWorker, *inputs: Input, wall_seconds: float = 60) -> Execution:
    return worker.run("def f(x): ...", inputs, Limits(wall_seconds=wall_seconds))


def test_results_arrive_in_order_with_errors_at_their_positions(scripted: ScriptedWorker) -> None:
    worker = scripted(
        'send(b"R", b\'["1", ["E: no"]]\')\n'
        'send(b"R", b\'[null, "spam"]\')\n'
        'end("finished", output="hello")'
    )
    execution = run(worker, *"abcd")
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("1", None, None, "spam")
    assert execution.errors == {1: "E: no"}
    assert execution.unreached == ()
    assert (execution.output, execution.cpu_seconds) == ("hello", 0.5)


def test_the_host_gets_the_program_the_inputs_and_the_limits(scripted: ScriptedWorker) -> None:
    worker = scripted(
        "names = ('cpu_seconds', 'memory_bytes', 'output_bytes', 'rows')\n"
        "send(b'R', json.dumps([str([header[n] for n in names]), job['source'], None]).encode())\n"
        "right = job['inputs'][1:] == ['\\ud800', {'n': None}] and job['seed'] == 6\n"
        "end('finished' if right else 'crashed')"
    )
    limits = Limits(cpu_seconds=7, memory_bytes=8, output_bytes=9)
    execution = worker.run("source", ["a", "\ud800", {"n": None}], limits, seed=6)
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("[7, 8, 9, 3]", "source", None)


FORGED = [
    b"",
    b"not json",
    b"\xff",
    b'{"0": "1"}',
    b"3",
    b'"11"',
    b"[1]",
    b"[true]",
    b'[["a", "b"]]',
    b"[[1]]",
    b"[[]]",
    b'["1", "1", "1"]',
    b'["' + b"x" * 1001 + b'"]',
    b'[["' + b"x" * 301 + b'"]]',
    b"[" * 100_000,
    b"[" + b"9" * 5_000 + b"]",
]


@pytest.mark.parametrize("reply", FORGED, ids=[repr(reply[:20]) for reply in FORGED])
def test_a_reply_of_another_form_makes_the_whole_run_malformed(reply: bytes) -> None:
    reader = wasm._Reader(rows=2, limits=Limits())
    reader.take(wasm_process.REPLY, b'["1"]')
    reader.take(wasm_process.REPLY, reply)
    execution = reader.execution(1.0)
    assert execution.outcome is Outcome.MALFORMED
    assert execution.predictions == (None, None)
    assert execution.unreached == (0, 1)
    assert execution.reason == "the program's results are not in the form the sandbox writes"


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
))  # fmt: skip
def test_whatever_json_a_program_sends_the_run_is_a_valid_execution(value: object) -> None:
    reader = wasm._Reader(rows=3, limits=Limits())
    reader.take(wasm_process.REPLY, json.dumps(value).encode())
    execution = reader.execution(1.0)
    assert execution.outcome is Outcome.MALFORMED
    assert len(execution.predictions) == 3
    assert all(label is None or type(label) is str for label in execution.predictions)


def test_a_run_that_claims_to_be_finished_but_left_rows_out_is_malformed(
    scripted: ScriptedWorker,
) -> None:
    execution = run(scripted("send(b'R', b'[\"1\"]')\nend('finished')"), "a", "b")
    assert execution.outcome is Outcome.MALFORMED


@pytest.mark.parametrize("answer", ["send(b'?', b'')\nend('finished')", "end('won')"])
def test_unknown_frames_and_outcomes_are_malformed(scripted: ScriptedWorker, answer: str) -> None:
    assert run(scripted(answer)).outcome is Outcome.MALFORMED


def test_rows_before_the_end_are_kept_and_the_others_reported(scripted: ScriptedWorker) -> None:
    worker = scripted("send(b'R', b'[\"1\"]')\nend('out of memory', reason='used\\n up')")
    execution = run(worker, "a", "b", "c")
    assert execution.outcome is Outcome.OUT_OF_MEMORY
    assert execution.predictions == ("1", None, None)
    assert execution.unreached == (1, 2)
    assert execution.reason == "used up"


def test_output_is_cut_at_its_limit_and_holds_no_surrogates() -> None:
    reader = wasm._Reader(rows=0, limits=Limits(output_bytes=10))
    end = {"outcome": "finished", "reason": "", "output": "\ud800abcdefgh", "cpu_seconds": 0}
    reader.take(wasm_process.END, json.dumps(end).encode())
    assert reader.execution(0).output == "\\ud800abcd"


def test_a_host_that_hangs_is_killed_at_the_wall_limit_and_replaced(
    scripted: ScriptedWorker,
) -> None:
    worker = scripted(
        "if job['inputs'] == ['hang']:\n    time.sleep(1000)\n"
        "send(b'R', b'[\"1\"]')\nend('finished')"
    )
    execution = run(worker, "hang", wall_seconds=0.2)
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.reason == "the wall-clock limit of 0.2 s was reached"
    assert execution.unreached == (0,)
    assert run(worker, "a").predictions == ("1",)


def test_a_host_that_dies_is_a_crash_and_is_replaced(scripted: ScriptedWorker) -> None:
    worker = scripted("if job['inputs'] == ['die']:\n    sys.exit(3)\nend('finished')")
    execution = run(worker, "die")
    assert execution.outcome is Outcome.CRASHED
    assert run(worker).outcome is Outcome.FINISHED


def test_a_host_that_died_between_two_runs_is_replaced(scripted: ScriptedWorker) -> None:
    worker = scripted("end('finished')")
    run(worker)
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert run(worker).outcome is Outcome.FINISHED


def test_a_frame_that_is_cut_or_too_long_counts_as_the_end_of_the_host(
    scripted: ScriptedWorker,
) -> None:
    for answer in ("send(b'R', b'[')\nsys.stdout.buffer.write(b'R\\xff')", "send(b'R', b'')"):
        worker = scripted(
            answer + "\nsys.stdout.buffer.write(b'E\\xff\\xff\\xff\\xff')\nsys.exit()"
        )
        assert run(worker).outcome is Outcome.MALFORMED


def test_an_interrupted_run_leaves_no_process(
    scripted: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = scripted("end('finished')")
    run(worker)
    process = worker._process

    def interrupt(*frame: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wasm._Reader, "take", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(worker)
    assert process is not None
    assert process.returncode is not None
    assert run(worker).outcome is Outcome.FINISHED


def test_a_worker_that_is_dropped_ends_its_process(scripted: ScriptedWorker) -> None:
    worker = scripted("end('finished')")
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
    worker = scripted("end('finished')")
    good = wasm._host_command(component)
    bad = [*good[:-1], HOST + "send(b'X', b'made for another processor')"]

    def build() -> Path:
        if not component.exists():
            component.write_text("built")
        return component

    monkeypatch.setattr(wasm_build, "built_component", build)
    monkeypatch.setattr(
        wasm, "_host_command", lambda path: good if path.read_text() == "built" else bad
    )
    assert run(worker).outcome is Outcome.FINISHED


@pytest.mark.parametrize(
    "value", [object(), {"n": {1, 2}}, 10**5000], ids=["object", "set", "long integer"]
)
def test_inputs_that_are_no_plain_values_are_refused(value: Input) -> None:
    with pytest.raises(SandboxError, match="these inputs cannot enter the sandbox"):
        WasmWorker().run("f = len", [value], Limits())


def test_inputs_too_large_for_one_frame_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm_process, "FRAME_BYTES", 20)
    with pytest.raises(SandboxError, match="fewer rows at a time"):
        WasmWorker().run("f = len", ["a"], Limits())
