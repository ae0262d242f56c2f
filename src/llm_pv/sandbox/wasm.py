"""The portable sandbox: programs run in CPython compiled to WebAssembly, in a killable process.

It is for macOS, Windows, and kernels without Landlock or seccomp. It covers files, environment,
network, processes, threads, memory, CPU and wall-clock time. It does not cover a flaw in wasmtime
itself, and has no numpy, sympy or networkx: programs that import them do not load. String hashes,
and with them the order of sets, are seeded when it is built (componentize-py offers no fixed
seed): they are the same in every run on this machine, for every seed, but differ between machines.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from llm_pv.data.examples import Input
from llm_pv.errors import ConfinementError, SandboxError
from llm_pv.sandbox import wasm_build, wasm_process
from llm_pv.sandbox.batch import LabelledRows
from llm_pv.sandbox.execution import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.transcript import shown, side_bytes
from llm_pv.sandbox.wasm_build import wasm_available
from llm_pv.sandbox.wasm_guest import ERROR_CHARACTERS, ERRORS_TOLD, LABEL_CHARACTERS

__all__ = ["WasmWorker", "wasm_available"]

_START_SECONDS = 60.0
_REASON_CHARACTERS = 1_000


class WasmWorker:
    """Runs programs one after another in the WebAssembly sandbox.

    Not for two threads at once: take one worker for each. The process behind it starts with the
    first program (which builds the sandbox where that has not been done), is replaced after it had
    to be killed, and ends with `close`, with the worker, or with the process that owns it.

    Examples
    --------
    >>> worker = WasmWorker()  # doctest: +SKIP
    >>> worker.run("def f(x): return len(x)", ["ab", "abc"], Limits()).predictions  # doctest: +SKIP
    ('2', '3')
    >>> worker.close()  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes]], WasmWorker] | None = None

    def run(self, source: str, inputs: Sequence[Input], limits: Limits, seed: int = 0) -> Execution:
        """Run a program on these inputs.

        Raise MissingExtraError if wasmtime or componentize-py is not installed. Raise
        ConfinementError if the sandbox cannot be built or started. Raise SandboxError if the inputs
        are no strings and tables of plain values.

        Parameters
        ----------
        limits
            What the program may use; starting the sandbox itself is not counted.
        seed
            Where the numbers of `random` start; hashing stays as it was built.

        Returns
        -------
        Execution
            Failures of the program are recorded here, never raised.
        """
        rows = len(inputs)
        reader = _Reader(rows, limits)
        task = {"source": source, "inputs": list(inputs), "seed": seed}
        took = self._converse(_header(limits, rows), _encode_job(task), reader)
        return reader.execution(took)

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows (see `llm_pv.sandbox.worker_pool.Worker`).

        When it has to be killed, as it sleeps past its wall-clock limit, the beginning of what it
        printed is kept, not the end.
        """
        plain = limits.plain()
        reader = _Reader(0, plain)
        inputs, labels = list(rows.inputs), rows.labels
        task = {"source": script.encoded(), "inputs": inputs, "labels": labels, "seed": seed}
        room = {"exploring": True, "output_bytes": side_bytes(limits.output_characters)}
        took = self._converse(_header(plain, 0) | room, _encode_job(task), reader)
        return replace(reader.execution(took), output=reader.transcript(limits.output_characters))

    def _converse(self, header: Mapping[str, float], job: bytes, reader: "_Reader") -> float:
        """Run a job within its wall-clock limit, and return the seconds it took."""
        wall_seconds = reader.limits.wall_limit(reader.rows)
        process = self._ready_process()
        started = time.monotonic()
        expired = threading.Event()
        timer = threading.Timer(wall_seconds, _expire, (process, expired))
        timer.start()
        try:
            _exchange(process, json.dumps(header).encode(), job, reader)
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            timer.join()
        if expired.is_set() or not reader.ended:
            self.close()
            reader.lose(process.returncode, wall_seconds, timed_out=expired.is_set())
        return time.monotonic() - started

    def close(self) -> None:
        """End the process; the next program starts another."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = None

    def _ready_process(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        component = wasm_build.built_component()
        try:
            return self._start(component)
        except ConfinementError:
            # Compiled for another processor, or damaged: build the cached file again.
            component.unlink(missing_ok=True)
            return self._start(wasm_build.built_component())

    def _start(self, component: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603
            _host_command(component),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=wasm_build.bare_environment(),
        )
        self._process = process
        self._finalizer = weakref.finalize(self, _end, process)
        timer = threading.Timer(_START_SECONDS, process.kill)
        timer.start()
        try:
            frame = wasm_process.read_frame(_replies(process))
        finally:
            timer.cancel()
            timer.join()
        if frame is None or frame[0] != wasm_process.READY:
            self.close()
            why = "it ended at once" if frame is None else frame[1].decode("utf-8", "replace")
            raise ConfinementError(f"the WebAssembly sandbox does not start: {why[:300]}")
        return process


@dataclass
class _Reader:
    """Collects the frames of one run, which are untrusted, and checks each."""

    rows: int
    limits: Limits
    ended: bool = False
    outcome: Outcome = Outcome.MALFORMED
    reason: str = ""
    output: str = ""
    cpu_seconds: float = 0.0
    predictions: list[str | None] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    forged: bool = False
    first: bytes = b""
    last: bytes = b""
    printed: tuple[int, int] = (0, 0)

    def take(self, kind: bytes, payload: bytes) -> None:
        """Read one frame."""
        if kind == wasm_process.REPLY:
            self.forged = self.forged or not self._take_results(payload)
        elif kind == wasm_process.PRINTED:
            self.first += payload
        elif kind == wasm_process.PRINTED_LAST:
            self.printed = wasm_process.COUNTS.unpack_from(payload)
            self.last = payload[wasm_process.COUNTS.size :]
        elif kind == wasm_process.END:
            self._take_end(payload)
        else:
            self.forged = True

    def _take_results(self, payload: bytes) -> bool:
        try:
            results = json.loads(payload)
        except (ValueError, RecursionError):
            return False
        if type(results) is not list or len(self.predictions) + len(results) > self.rows:
            return False
        for result in results:
            if type(result) is str and len(result) <= LABEL_CHARACTERS:
                self.predictions.append(result)
            elif result is None or _is_error(result):
                if result is not None and len(self.errors) < ERRORS_TOLD:
                    self.errors[len(self.predictions)] = _printable(result[0])
                self.predictions.append(None)
            else:
                return False
        return True

    def _take_end(self, payload: bytes) -> None:
        end = json.loads(payload)  # written by the host process, not by the program
        self.ended = True
        self.outcome = Outcome(end["outcome"]) if end["outcome"] in set(Outcome) else self.outcome
        self.reason = _printable(end["reason"][:_REASON_CHARACTERS])
        self.output = _first_bytes(end["output"], self.limits.output_bytes)
        self.cpu_seconds = end["cpu_seconds"]
        if self.outcome is Outcome.FINISHED and len(self.predictions) != self.rows:
            self.forged = True
        if self.outcome is Outcome.MALFORMED:
            self.forged = True

    def lose(self, status: int | None, wall_seconds: float, *, timed_out: bool) -> None:
        """Record that the process ended without an end frame."""
        if timed_out:
            self.outcome = Outcome.TIMED_OUT
            self.reason = f"the wall-clock limit of {wall_seconds:g} s was reached"
        else:
            self.outcome = Outcome.CRASHED
            self.reason = f"the sandbox's process ended with status {status}"

    def transcript(self, characters: int) -> str:
        """Return what exploring code printed, cut to this many characters."""
        size, total = self.printed
        lost = size > len(self.first) + len(self.last)
        return shown(self.first, self.last, total if lost else None, characters)

    def execution(self, wall_seconds: float) -> Execution:
        """Return the run as a value."""
        if self.forged:
            self.outcome = Outcome.MALFORMED
            self.reason = "the program's results are not in the form the sandbox writes"
            self.predictions, self.errors = [], {}
        reached = len(self.predictions)
        return Execution(
            outcome=self.outcome,
            predictions=(*self.predictions, *[None] * (self.rows - reached)),
            unreached=tuple(range(reached, self.rows)),
            errors=self.errors,
            reason=self.reason,
            output=self.output,
            wall_seconds=wall_seconds,
            cpu_seconds=self.cpu_seconds,
        )


def _header(limits: Limits, rows: int) -> dict[str, float]:
    return {
        "rows": rows,
        "cpu_seconds": limits.cpu_limit(rows),
        "memory_bytes": limits.memory_bytes,
        "output_bytes": limits.output_bytes,
    }


def _encode_job(task: Mapping[str, object]) -> bytes:
    try:
        job = json.dumps(task).encode("ascii")
    except (TypeError, ValueError) as error:
        raise SandboxError(f"these inputs cannot enter the sandbox: {error}") from error
    if len(job) > wasm_process.FRAME_BYTES:
        raise SandboxError("the inputs take over 256 MiB: run the program on fewer rows at a time")
    return job


def _exchange(process: subprocess.Popen[bytes], header: bytes, job: bytes, reader: _Reader) -> None:
    """Send a job and read its frames until the end frame, or until the process ends."""
    assert process.stdin is not None
    try:
        for payload in (header, job):
            wasm_process.write_frame(process.stdin, wasm_process.JOB, payload)
    except OSError:
        return
    while not reader.ended:
        frame = wasm_process.read_frame(_replies(process))
        if frame is None:
            return
        reader.take(*frame)


def _host_command(component: Path) -> list[str]:
    # By path and without `site`: the process imports wasmtime and the standard library alone.
    host = [sys.executable, "-I", "-S", wasm_process.__file__, "serve"]
    return [*host, wasm_build.wasmtime_directory(), str(component)]


def _replies(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _is_error(result: object) -> bool:
    return (
        type(result) is list
        and len(result) == 1
        and type(result[0]) is str
        and len(result[0]) <= ERROR_CHARACTERS
    )


def _printable(text: str) -> str:
    return " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())


def _first_bytes(text: str, count: int) -> str:
    return text.encode("utf-8", "backslashreplace")[:count].decode("utf-8", "ignore")
