"""The process that parses untrusted source (see `parser`) without running any of it.

`boot` starts it. It imports what it needs, drops every permission that it can, and answers batches
until its standard input ends. A CPU timer for each text ends the process. It exits by itself after
a text that took much memory, because CPython does not return all of that to the system.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import IO, Any

from llm_pv.sandbox.frames import read_frame, write_frame

_LARGE_BYTES = 96 * 1024 * 1024
_TEXTS_BETWEEN_COLLECTIONS = 200
_TIMER_CALL = "setitimer"
# Compiling these imports what no file can be opened for later: codecs, names of characters.
_WARM_UP: tuple[list[Any], ...] = (
    ["program", "def f(x): return '\\d', '\\N{BULLET}', \u00e9, 1j, 0.5, 10 ** 20"],
    ["imports", "import re"],
    ["reply", '{"code": "def f(x): return \\\\ud83d"} &amp; {"lines": ["f"]}'],
    ["reply", "```python\n(\n```"],
    ["objects", "{'a': None, # none\n}"],
    ["escaped", "f = '\x1b' # \x1b\n"],
    ["body_summary", "def f(x): return 1"],
    ["sql", "def f(x): return len(x)", [], {}, [], []],
)


def main(arguments: list[str]) -> None:
    """Answer batches of requests until the owner closes the pipe."""
    memory_bytes = int(arguments[0])
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    peak = PeakMemory()
    os.dup2(2, 1)  # anything printed in this process must not mix with the answers
    operations = import_module("llm_pv.programs.operations").OPERATIONS
    for operation, *request in _WARM_UP:
        answer(operations[operation], request, 10.0)  # what is imported late is imported now
    confine(memory_bytes, max(replies.fileno(), peak.file) + 1)
    gc.collect()
    gc.freeze()
    gc.disable()  # trees hold few cycles: a collection each while is enough
    _write(replies, [True, None, True])
    start = peak.bytes()
    texts = 0
    while (message := read_frame(requests)) is not None:
        operation, cpu_seconds, batch = json.loads(message[1])
        for request in batch:
            sound, value = answer(operations[operation], request, cpu_seconds)
            taken = peak.bytes() - start
            if not sound and taken > memory_bytes // 2:
                value = f"it takes more than {memory_bytes >> 20:,} MiB to parse"
            _write(replies, [sound, value, taken <= _LARGE_BYTES])
            if taken > _LARGE_BYTES:
                return
            texts += 1
            if texts % _TEXTS_BETWEEN_COLLECTIONS == 0:
                gc.collect()


def answer(operation: Any, request: Sequence[object], cpu_seconds: float) -> tuple[bool, object]:
    """Return whether the operation gave a value, and that or the reason."""
    _limit_cpu(cpu_seconds)
    try:
        return True, operation(*request)
    except (MemoryError, RecursionError):
        return False, "the source is nested too deeply to parse"
    except SyntaxError as error:
        return False, f"syntax error on line {error.lineno or 1}: {error.msg}"
    except ValueError as error:  # a ProgramError, as a rule
        return False, str(error)
    except Exception as error:  # noqa: BLE001  (a source that finds a fault in what reads it)
        return False, f"it cannot be parsed: {type(error).__name__}"
    finally:
        _limit_cpu(0.0)


def confine(memory_bytes: int, first_file: int) -> None:
    """Drop the permissions that a process which only parses text does not need.

    Layers that this system does not offer are skipped: none of the text is executed, so the limits
    of CPU time and memory are what matters.
    """
    if sys.platform != "linux":
        with suppress(ImportError, OSError, ValueError):
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes * 2, memory_bytes * 2))
        return
    kernel = import_module("llm_pv.sandbox.kernel")
    size = kernel.address_space()
    for give_up in (
        kernel.become_nobody,
        kernel.drop_capabilities,
        kernel.forbid_new_privileges,
        kernel.deny_files,
    ):
        with suppress(OSError):
            give_up()
    kernel.close_files(first_file)
    kernel.limit_resources(size + memory_bytes, 1e6)
    _limit_cpu(0.0)
    with suppress(OSError, KeyError):
        kernel.CallFilter((_TIMER_CALL,)).install()


class PeakMemory:
    """The most memory that this process has held; 0 where the system does not say.

    On Linux it is read off ``/proc``, from a file that is opened before none can be: what
    `getrusage` gives begins with the peak of the process that started this one.
    """

    def __init__(self) -> None:
        self.file = -1
        if sys.platform == "linux":
            with suppress(OSError):
                self.file = os.open("/proc/self/status", os.O_RDONLY)

    def bytes(self) -> int:
        """Return the peak in bytes."""
        if self.file >= 0:
            os.lseek(self.file, 0, os.SEEK_SET)
            _, _, after = os.read(self.file, 1 << 16).partition(b"VmHWM:")
            return int(after.split(maxsplit=1)[0]) * 1024 if after else 0
        try:
            import resource
        except ImportError:
            return 0
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024


def _limit_cpu(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _write(stream: IO[bytes], answer: object) -> None:
    write_frame(stream, b"!", json.dumps(answer).encode("ascii"))
