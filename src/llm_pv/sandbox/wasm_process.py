"""The host process of the WebAssembly sandbox: runs one program after another in wasmtime.

A program gets its own interpreter, clocks, random numbers, and room for what it prints. It gets no
files, environment, arguments, standard input, network, processes or threads. WebAssembly code is
interrupted at its CPU limit; a call into the host that blocks (a long `time.sleep`) cannot be
interrupted, so the owner kills this process at the wall-clock limit. The protection is only as
good as wasmtime: a flaw in its compiler or runtime is a way out.

`boot` starts it with the arguments ``serve DIRECTORY COMPONENT``, DIRECTORY holding the wasmtime
package. Frames go both ways (see `frames`); answers and printed text go onto a page, as in the
other sandboxes (see `result_page`).
"""

import json
import mmap
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from llm_pv.sandbox.frames import read_frame, write_frame
from llm_pv.sandbox.result_page import (
    ANSWERS_TOO_LONG,
    OutputCapture,
    PageFullError,
    ResultWriter,
)
from llm_pv.sandbox.transcript import Transcript

if TYPE_CHECKING:
    import wasmtime
    from wasmtime import component

READY = b"+"
JOB = b"J"
END = b"E"
FAILED = b"X"
# Memory in use before a program allocates any: the interpreter itself (12 to 16 MiB), and the
# inputs (their text twice, and the objects made of it).
_INTERPRETER_BYTES = 16 << 20
_BYTES_AN_INPUT_BYTE = 8
_MOST_MEMORY = 1 << 32

_FIRST_ROWS = 16
_MOST_ROWS = 4_096
_STEP_SECONDS = 0.02


def engine() -> "wasmtime.Engine":
    """Return an engine; compiled components load only into one configured the same way."""
    import wasmtime

    config = wasmtime.Config()
    config.epoch_interruption = True
    return wasmtime.Engine(config)


def compile_component(source: str, target: str) -> None:
    """Compile a component to machine code, once for all later runs."""
    from wasmtime import component

    compiled = component.Component.from_file(engine(), source).serialize()
    Path(target).write_bytes(compiled)


class Host:
    """A compiled component, ready to run programs, each in an instance of its own."""

    def __init__(self, path: str) -> None:
        from wasmtime import component

        self._engine = engine()
        self._component = component.Component.deserialize_file(self._engine, path)
        self._linker = component.Linker(self._engine)
        self._linker.add_wasip2()

    def run(self, header: bytes, job: bytes) -> dict[str, float]:
        """Run one program, whose answers and printed text go onto a page.

        Return whether it was interrupted at its CPU limit, and the CPU seconds it took.
        """
        import wasmtime

        task = json.loads(header)
        started = time.process_time()
        with (
            Path(task["page"]).open("r+b") as file,
            mmap.mmap(file.fileno(), 0) as page,
            _cpu_limit(self._engine, task["cpu_seconds"]) as interrupted,
        ):
            printed = (Transcript if task["exploring"] else OutputCapture)(
                page, task["output_bytes"]
            )
            results = ResultWriter(page, task["output_bytes"])
            try:
                memory = _INTERPRETER_BYTES + _BYTES_AN_INPUT_BYTE * len(job) + task["memory_bytes"]
                store = self._store(min(memory, _MOST_MEMORY), printed.write)
                try:
                    instance = self._linker.instantiate(store, self._component)
                    end, reason = _drive(store, instance, task["rows"], job, results)
                finally:
                    store.close()
            except wasmtime.ExitTrap:
                end, reason = "crashed", "the program ended its interpreter"
            except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
                end, reason = "crashed", _trap_text(error)
            is_cut = interrupted.is_set() and end != "finished"
            if not is_cut:
                results.end(end, reason)
        return {"interrupted": is_cut, "cpu_seconds": time.process_time() - started}

    def _store(self, memory_bytes: int, keep: Callable[[bytes], int]) -> "wasmtime.Store":
        import wasmtime

        capabilities = wasmtime.WasiConfig()
        capabilities.stdout_custom = keep
        capabilities.stderr_custom = keep
        store = wasmtime.Store(self._engine)
        store.set_epoch_deadline(1)
        store.set_limits(memory_size=memory_bytes)
        store.set_wasi(capabilities)
        return store


def _drive(
    store: "wasmtime.Store",
    instance: "component.Instance",
    rows: int,
    job: bytes,
    results: ResultWriter,
) -> tuple[str, str]:
    """Load the program and step through its rows, in steps short enough to lose little."""
    load, step = instance.get_func(store, "load"), instance.get_func(store, "step")
    assert load is not None
    assert step is not None
    end, reason = load(store, job.decode("ascii"))
    if end:
        return end, reason
    done, size = 0, _FIRST_ROWS
    while done < rows:
        size = min(size, rows - done)
        started = time.perf_counter()
        end, records = step(store, size)
        if len(records) > _reply_limit(size) or "\0" in records:
            return "full", "a reply was longer than its rows allow"
        try:
            results.add(records.encode())
        except PageFullError:
            return "full", ANSWERS_TOO_LONG
        if end:
            return end, "the program asked for more memory than its limit"
        done += size
        took = time.perf_counter() - started
        if took < _STEP_SECONDS:
            size = min(2 * size, _MOST_ROWS)
        else:
            size = max(int(size * _STEP_SECONDS / took), 1)
    return "finished", ""


def _reply_limit(rows: int) -> int:
    # A label has at most 1,000 characters (see `wasm_guest`), and JSON writes one in at most 12.
    return 1_000 + 13_000 * rows


@contextmanager
def _cpu_limit(running: "wasmtime.Engine", seconds: float) -> Iterator[threading.Event]:
    """Interrupt the WebAssembly code once this process has used that much more CPU time."""
    limit = time.process_time() + seconds
    done, interrupted = threading.Event(), threading.Event()

    def watch() -> None:
        # CPU time passes no faster than the clock: one thread computes.
        while (left := limit - time.process_time()) > 0:
            if done.wait(left + 0.001):
                return
        interrupted.set()
        running.increment_epoch()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield interrupted
    finally:
        done.set()
        watcher.join()


def _trap_text(error: Exception) -> str:
    causes = [line.strip() for line in str(error).splitlines() if "wasm trap:" in line]
    return (
        f"the interpreter stopped ({causes[-1].split('wasm trap:')[1].strip()})"
        if causes
        else ("the interpreter stopped")
    )


def serve(path: str, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer jobs until the requests end, which also ends a program that is running."""
    try:
        host = Host(path)
    except Exception as error:  # noqa: BLE001
        write_frame(replies, FAILED, str(error).encode())
        return
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        while (frame := read_frame(requests)) is not None:
            jobs.put(frame[1])
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    write_frame(replies, READY, b"")
    while True:
        header = jobs.get()
        write_frame(replies, END, json.dumps(host.run(header, jobs.get())).encode())


def main(arguments: list[str]) -> None:
    """Serve jobs or compile a component, as the arguments say."""
    command, directory, *paths = arguments
    sys.path.append(directory)
    if command == "serve":
        replies = os.fdopen(os.dup(1), "wb")
        # Whatever else is printed in this process must not end up among the frames.
        os.dup2(2, 1)
        serve(paths[0], sys.stdin.buffer, replies)
    else:
        compile_component(*paths)
