"""The host process of the WebAssembly sandbox: runs one program after another in wasmtime.

A program gets its own interpreter, clocks, random numbers, and room for what it prints. It gets no
files, environment, arguments, standard input, network, processes or threads. WebAssembly code is
interrupted at its CPU limit; a call into the host that blocks (a long `time.sleep`) cannot be
interrupted, so the owner kills this process at the wall-clock limit. The protection is only as
good as wasmtime: a flaw in its compiler or runtime is a way out.

It runs by path, ``python -I -S wasm_process.py serve DIRECTORY COMPONENT``, with DIRECTORY holding
the wasmtime package, and imports nothing of this package. Frames go both ways: one byte of kind,
four of length (little-endian), the payload.
"""

import json
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import wasmtime
    from wasmtime import component

READY = b"+"
JOB = b"J"
REPLY = b"R"
END = b"E"
FAILED = b"X"
PRINTED = b"O"
PRINTED_LAST = b"T"
COUNTS = struct.Struct("<QQ")
FRAME_BYTES = 1 << 28
"""No frame is longer."""

# Memory in use before a program allocates any: the interpreter itself (12 to 16 MiB), and the
# inputs (their text twice, and the objects made of it).
_INTERPRETER_BYTES = 16 << 20
_BYTES_AN_INPUT_BYTE = 8
_MOST_MEMORY = 1 << 32
_CONTINUATIONS = bytes(range(0x80, 0xC0))  # the bytes of UTF-8 that begin no character

_FIRST_ROWS = 16
_MOST_ROWS = 4_096
_STEP_SECONDS = 0.02


def write_frame(stream: IO[bytes], kind: bytes, payload: bytes) -> None:
    """Write one frame and flush it."""
    stream.write(kind + struct.pack("<I", len(payload)) + payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read one frame as its kind and payload; None at the end of the stream, or if it is cut."""
    head = stream.read(5)
    if len(head) < 5:
        return None
    (length,) = struct.unpack("<I", head[1:])
    if length > FRAME_BYTES:
        return None
    payload = stream.read(length)
    return (head[:1], payload) if len(payload) == length else None


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

    def run(self, header: bytes, job: bytes, replies: IO[bytes]) -> None:
        """Run one program: reply frames as rows are done, then one end frame.

        Code that explores rows has no replies: what it prints first is sent as it comes, what it
        prints last before the end frame.
        """
        import wasmtime

        task = json.loads(header)
        exploring = task.get("exploring", False)
        printed = Printed(task["output_bytes"], replies if exploring else None)
        started = time.process_time()
        with _cpu_limit(self._engine, task["cpu_seconds"]) as interrupted:
            try:
                inputs_bytes = _BYTES_AN_INPUT_BYTE * len(job)
                memory = _INTERPRETER_BYTES + inputs_bytes + task["memory_bytes"]
                store = self._store(min(memory, _MOST_MEMORY), printed)
                try:
                    instance = self._linker.instantiate(store, self._component)
                    outcome, reason = _drive(store, instance, task["rows"], job, replies)
                finally:
                    store.close()
            except wasmtime.ExitTrap:
                outcome, reason = "crashed", "the program ended its interpreter"
            except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
                outcome, reason = "crashed", _trap_text(error)
        if interrupted.is_set() and outcome != "finished":
            outcome = "timed out"
            reason = f"the CPU limit of {task['cpu_seconds']:g} s was reached"
        if exploring:
            write_frame(replies, PRINTED_LAST, printed.rest())
        end = {
            "outcome": outcome,
            "reason": reason,
            "output": printed.first.decode("utf-8", "replace"),
            "cpu_seconds": time.process_time() - started,
        }
        write_frame(replies, END, json.dumps(end).encode())

    def _store(self, memory_bytes: int, printed: "Printed") -> "wasmtime.Store":
        import wasmtime

        capabilities = wasmtime.WasiConfig()
        capabilities.stdout_custom = printed.keep
        capabilities.stderr_custom = printed.keep
        store = wasmtime.Store(self._engine)
        store.set_epoch_deadline(1)
        store.set_limits(memory_size=memory_bytes)
        store.set_wasi(capabilities)
        return store


class Printed:
    """What a program prints: the first bytes of it, and of exploring code the last too.

    Parameters
    ----------
    room
        The bytes kept of either.
    stream
        Where the first bytes are sent as they come; None for a program that explores nothing.
    """

    def __init__(self, room: int, stream: IO[bytes] | None) -> None:
        self.first, self.last = bytearray(), bytearray()
        self.bytes = self.characters = 0
        self._room = room
        self._stream = stream

    def rest(self) -> bytes:
        """Return the numbers of bytes and of characters in all, and the last bytes."""
        return COUNTS.pack(self.bytes, self.characters) + self.last[-self._room :]

    def keep(self, data: bytes) -> int:
        """Keep the bytes that are among the first or the last; return how many were given."""
        first = data[: max(self._room - len(self.first), 0)]
        self.first += first
        if self._stream is not None:
            if first:
                write_frame(self._stream, PRINTED, first)
            self.last += data[len(first) :][-self._room :]
            if len(self.last) > 2 * self._room:
                del self.last[: -self._room]
            self.bytes += len(data)
            self.characters += len(data.translate(None, _CONTINUATIONS))
        return len(data)


def _drive(
    store: "wasmtime.Store",
    instance: "component.Instance",
    rows: int,
    job: bytes,
    replies: IO[bytes],
) -> tuple[str, str]:
    """Load the program and step through its rows, in steps short enough to lose little."""
    load, step = instance.get_func(store, "load"), instance.get_func(store, "step")
    assert load is not None
    assert step is not None
    outcome, reason = load(store, job.decode("ascii"))
    if outcome:
        return outcome, reason[:1_000]
    done, size = 0, _FIRST_ROWS
    while done < rows:
        size = min(size, rows - done)
        started = time.perf_counter()
        outcome, results = step(store, size)
        if len(results) > _reply_limit(size):
            return "malformed result", "a reply was longer than its rows allow"
        write_frame(replies, REPLY, results.encode())
        if outcome:
            return outcome, "the program asked for more memory than its limit"
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
        host.run(header, jobs.get(), replies)


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


if __name__ == "__main__":
    main(sys.argv[1:])
