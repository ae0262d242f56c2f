"""The host process's own loop and limits, with stand-ins for the WebAssembly machine."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.sandbox import frames, wasm_build, wasm_process
from llm_pv.sandbox.result_page import ResultWriter, page_bytes


@given(st.lists(st.tuples(st.sampled_from([b"R", b"E", b"J"]), st.binary())))
def test_frames_are_read_as_they_were_written(sent: list[tuple[bytes, bytes]]) -> None:
    stream = io.BytesIO()
    for kind, payload in sent:
        frames.write_frame(stream, kind, payload)
    stream.seek(0)
    assert [frames.read_frame(stream) for _ in sent] == sent
    assert frames.read_frame(stream) is None


class FakeInstance:
    """Answers `load` and `step` like a component would."""

    def __init__(self, ended: tuple[str, str], step: Callable[[int], tuple[str, str]]) -> None:
        self._functions = {"load": lambda store, job: ended, "step": lambda store, n: step(n)}

    def get_func(self, store: object, name: str) -> Callable[..., tuple[str, str]]:
        return self._functions[name]


ROOM = 10


def drive(instance: FakeInstance, rows: int) -> tuple[tuple[str, str], list[str]]:
    page = bytearray(page_bytes(rows, ROOM))
    results = ResultWriter(page, ROOM)
    ended = wasm_process._drive(None, instance, rows, b"{}", results)  # type: ignore[arg-type]
    return ended, bytes(page[8 + ROOM :]).rstrip(b"\0").decode().split(",\n")[:-1]


def test_the_host_steps_through_every_row_once() -> None:
    sizes: list[int] = []

    def step(rows: int) -> tuple[str, str]:
        sizes.append(rows)
        return "", '"1",\n' * rows

    ended, records = drive(FakeInstance(("", ""), step), 100)
    assert ended == ("finished", "")
    assert sum(sizes) == 100
    assert records == ['"1"'] * 100


def test_the_host_passes_on_why_a_program_did_not_load() -> None:
    instance = FakeInstance(("load", "it fails"), lambda rows: ("", ""))
    assert drive(instance, 5) == (("load", "it fails"), [])


def test_the_host_ends_a_run_that_is_out_of_memory_with_the_rows_it_got() -> None:
    instance = FakeInstance(("", ""), lambda rows: ("memory", '"1",\n'))
    assert drive(instance, 5) == (
        ("memory", "the program asked for more memory than its limit"),
        ['"1"'],
    )


@pytest.mark.parametrize("reply", ["x" * 1_000_000, "\0"])
def test_the_host_refuses_a_reply_longer_than_its_rows_allow(reply: str) -> None:
    ended, records = drive(FakeInstance(("", ""), lambda rows: ("", reply)), 2)
    assert ended == ("full", "a reply was longer than its rows allow")
    assert records == []


def test_answers_beyond_the_page_end_the_run() -> None:
    long = json.dumps("x" * 1_000) + ",\n"
    ended, records = drive(FakeInstance(("", ""), lambda rows: ("", long * rows)), 5_000)
    assert ended == ("full", "the answers are too long in all")
    assert 1_000 < len(records) < 5_000


def test_the_longest_honest_reply_is_within_the_limit() -> None:
    records = [json.dumps(one) for one in ("\U0001f600" * 1000, ["\U0001f600" * 300], None)]
    assert len(",\n".join(records)) + 2 <= wasm_process._reply_limit(3)


class FakeEngine:
    """Counts its interruptions."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()

    def increment_epoch(self) -> None:
        self.interrupted.set()


def test_code_is_interrupted_once_its_cpu_time_is_used() -> None:
    engine = FakeEngine()
    with wasm_process._cpu_limit(engine, 0.02) as interrupted:  # type: ignore[arg-type]
        while not engine.interrupted.is_set():
            pass
    assert interrupted.is_set()


def test_code_that_ends_in_time_is_not_interrupted() -> None:
    engine = FakeEngine()
    with wasm_process._cpu_limit(engine, 1_000) as interrupted:  # type: ignore[arg-type]
        pass
    assert not interrupted.is_set()
    assert not engine.interrupted.is_set()


def test_a_trap_is_told_in_one_line() -> None:
    text = "error while executing\n  0: f\n\nCaused by:\n    wasm trap: call stack exhausted"
    assert wasm_process._trap_text(Exception(text)) == (
        "the interpreter stopped (call stack exhausted)"
    )
    assert wasm_process._trap_text(Exception("gone")) == "the interpreter stopped"


def test_the_host_process_runs_without_the_whole_package(
    tmp_path: Path,
) -> None:
    (tmp_path / "wasmtime.py").write_text("raise ImportError('this wasmtime is broken')")
    completed = subprocess.run(
        wasm_build.host_command("serve", tmp_path, "none"),
        env={},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert frames.read_frame(io.BytesIO(completed.stdout)) == (
        wasm_process.FAILED,
        b"this wasmtime is broken",
    )


def test_the_host_answers_jobs_in_turn_and_ends_with_its_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class EnoughError(Exception):
        pass

    class FakeHost:
        def __init__(self, path: str) -> None:
            self.path = path
            self.left = 2

        def run(self, header: bytes, job: bytes) -> list[str]:
            if not self.left:
                raise EnoughError
            self.left -= 1
            return [self.path, header.decode(), job.decode()]

    statuses: list[int] = []
    ended = threading.Event()

    def leave(status: int) -> None:
        statuses.append(status)
        ended.set()

    monkeypatch.setattr(wasm_process, "Host", FakeHost)
    monkeypatch.setattr(os, "_exit", leave)
    requests, replies = io.BytesIO(), io.BytesIO()
    for payload in (b"1", b"2", b"3", b"4", b"5", b"6"):
        frames.write_frame(requests, wasm_process.JOB, payload)
    requests.seek(0)
    with pytest.raises(EnoughError):
        wasm_process.serve("component", requests, replies)
    assert ended.wait(60)
    replies.seek(0)
    assert [frames.read_frame(replies) for _ in range(3)] == [
        (wasm_process.READY, b""),
        (wasm_process.END, b'["component", "1", "2"]'),
        (wasm_process.END, b'["component", "3", "4"]'),
    ]
    assert statuses == [0]


def test_a_component_is_compiled_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(wasm_process, "compile_component", lambda *paths: calls.append(paths))
    wasm_process.main(["compile", "packages", "guest.wasm", "guest.cwasm"])
    assert calls == [("guest.wasm", "guest.cwasm")]
    assert sys.path == ["packages"]
