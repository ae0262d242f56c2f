"""The portable sandbox: programs run in CPython compiled to WebAssembly, in a killable process.

It is for macOS, Windows, and kernels without Landlock or seccomp. It covers files, environment,
network, processes, threads, memory, CPU and wall-clock time. It does not cover a flaw in wasmtime
itself, and has no numpy, sympy or networkx: programs that import them do not load. String hashes,
and with them the order of sets, are seeded when it is built (componentize-py offers no fixed
seed): they are the same in every run on this machine, for every seed, but differ between machines.
"""

import io
import json
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_pv import child_process
from llm_pv.data.examples import Input
from llm_pv.errors import ConfinementError, SandboxError
from llm_pv.sandbox import frames, wasm_build, wasm_process
from llm_pv.sandbox.batch import LabelledRows
from llm_pv.sandbox.execution import Execution, Limits, ToolLimits
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.outcome import SIGPROF, ProcessEnding, conclude, conclude_exploration
from llm_pv.sandbox.result_page import page_bytes
from llm_pv.sandbox.wasm_build import wasm_available

__all__ = ["WasmWorker", "wasm_available"]

_START_SECONDS = 60.0


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
        task = {"source": source, "inputs": list(inputs), "seed": seed}
        with self._ended(task, limits, rows) as (ending, page):
            return conclude(ending, page, rows, limits)

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows (see `llm_pv.sandbox.worker_pool.Worker`)."""
        inputs, labels = list(rows.inputs), rows.labels
        task = {"source": script.encoded(), "inputs": inputs, "labels": labels, "seed": seed}
        with self._ended(task, limits.plain(), 0) as (ending, page):
            return conclude_exploration(ending, page, limits)

    @contextmanager
    def _ended(
        self, task: Mapping[str, object], limits: Limits, rows: int
    ) -> Iterator[tuple[ProcessEnding, io.BufferedIOBase]]:
        """Run a job within its wall-clock limit; give how it ended, and its page."""
        job = _encode_job(task)
        with TemporaryDirectory(prefix="llm-pv-") as folder:
            path = Path(folder, "page")
            with path.open("wb") as page:
                page.truncate(page_bytes(rows, limits.output_bytes))
            header = {
                "page": str(path),
                "rows": rows,
                "exploring": "labels" in task,
                "cpu_seconds": limits.cpu_limit(rows),
                "memory_bytes": limits.memory_bytes,
                "output_bytes": limits.output_bytes,
            }
            ending = self._converse(json.dumps(header).encode(), job, limits.wall_limit(rows))
            with path.open("rb") as page:
                yield ending, page

    def _converse(self, header: bytes, job: bytes, wall_seconds: float) -> ProcessEnding:
        """Run a job and return how it ended; end the process if it does not say so in time."""
        process = self._ready_process()
        started = time.monotonic()
        expired = threading.Event()
        timer = threading.Timer(wall_seconds, _expire, (process, expired))
        timer.start()
        try:
            end = _exchange(process, header, job)
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            timer.join()
        took = time.monotonic() - started
        if end is None or expired.is_set():
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            status = 1 if process.returncode is None else process.returncode
            self.close()
            return ProcessEnding(status, expired.is_set(), 0.0, took)
        # As the timer of the other sandboxes ends a program at its CPU limit.
        return ProcessEnding(-SIGPROF if end["interrupted"] else 0, False, end["cpu_seconds"], took)

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
            wasm_build.host_command("serve", wasm_build.wasmtime_directory(), component),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_process.bare_environment(),
        )
        self._process = process
        self._finalizer = weakref.finalize(self, child_process.end, process)
        timer = threading.Timer(_START_SECONDS, process.kill)
        timer.start()
        try:
            frame = frames.read_frame(child_process.pipes(process)[1])
        finally:
            timer.cancel()
            timer.join()
        if frame is None or frame[0] != wasm_process.READY:
            self.close()
            why = "it ended at once" if frame is None else frame[1].decode("utf-8", "replace")
            raise ConfinementError(f"the WebAssembly sandbox does not start: {why[:300]}")
        return process


def _encode_job(task: Mapping[str, object]) -> bytes:
    try:
        job = json.dumps(task).encode("ascii")
    except (TypeError, ValueError) as error:
        raise SandboxError(f"these inputs cannot enter the sandbox: {error}") from error
    if len(job) > frames.FRAME_BYTES:
        raise SandboxError("the inputs take over 256 MiB: run the program on fewer rows at a time")
    return job


def _exchange(process: subprocess.Popen[bytes], header: bytes, job: bytes) -> dict[str, Any] | None:
    """Send a job and return how the host ended it; None if the host itself ends before."""
    requests, replies = child_process.pipes(process)
    try:
        for payload in (header, job):
            frames.write_frame(requests, wasm_process.JOB, payload)
    except OSError:
        return None
    frame = frames.read_frame(replies)
    return json.loads(frame[1]) if frame is not None and frame[0] == wasm_process.END else None


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    process.kill()
