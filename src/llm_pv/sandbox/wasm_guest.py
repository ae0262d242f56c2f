"""The inner side of the WebAssembly sandbox: runs one program, row by row, or explores rows.

CPython compiled to WebAssembly runs this file (`wasm_build` adds it, with what it imports). Nothing
here is a protection: the boundary is the WebAssembly machine around it. A program may replace
anything here without effect on others, because each program has its own interpreter and every reply
is checked outside.
"""

import contextlib
import importlib
import io
import json
import random
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from llm_pv.sandbox.exploration import Script, explore
from llm_pv.sandbox.job import OUT_OF_MEMORY, Function, LoadError, answer, load
from llm_pv.sandbox.modules import NEEDED_LATE, STANDARD_LIBRARY
from llm_pv.sandbox.result_page import ResultWriter

# There are no files to import from later: what is not imported now is not there.
_ALSO = ("_pylong", "annotationlib", "importlib.resources", "inspect", "json.decoder")
for _name in (*STANDARD_LIBRARY, *NEEDED_LATE, *_ALSO):
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)


class _Records(ResultWriter):
    """The records of the rows since they were last taken."""

    def __init__(self) -> None:
        super().__init__(bytearray(), 0)
        self._kept = bytearray()

    def add(self, records: bytes) -> None:
        """Keep the records."""
        self._kept += records

    def take(self) -> str:
        """Return the records and forget them."""
        records, self._kept = self._kept, bytearray()
        return records.decode("ascii")


class Guest:
    """Implements the functions of `wasm_guest.wit`: one program, loaded once, then stepped."""

    def __init__(self) -> None:
        self._inputs: Iterator[object] = iter(())
        self._program: Function = repr
        self._records = _Records()

    def load(self, job: str) -> tuple[str, str]:
        """Run a program's module body; return ``("", "")``, or the run's end and its reason.

        A job that holds labels is code to explore them with: it is run to its end at once.
        """
        task = json.loads(job)
        if "labels" in task:
            return _explore(task)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        random.seed(task["seed"])
        self._inputs = iter(task["inputs"])
        try:
            self._program = load(task["source"], _import)
        except MemoryError:
            return "memory", OUT_OF_MEMORY
        except LoadError as error:
            return "load", str(error)
        return "", ""

    def step(self, rows: int) -> tuple[str, str]:
        """Run the next rows; return ``""`` or the run's end, and the records of `result_page`."""
        end = ""
        for row in islice(self._inputs, rows):
            try:
                answer(self._program, row, self._records)
            except MemoryError:
                end = "memory"
                break
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        return end, self._records.take()


class _Unbuffered(io.RawIOBase):
    """Standard output without a buffer, which stays open even if the code closes ``sys.stdout``."""

    def __init__(self) -> None:
        self._file = io.FileIO(1, "w", closefd=False)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write all of the bytes: the machine takes few at a time."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            left = left[self._file.write(left) :]
        return size


def _explore(task: dict[str, Any]) -> tuple[str, str]:
    printed = _Unbuffered()
    sys.stdout = sys.stderr = io.TextIOWrapper(
        _Unbuffered(),
        "utf-8",
        errors="backslashreplace",
        write_through=True,
    )

    def complain(text: str) -> None:
        printed.write(text.encode("utf-8", "backslashreplace"))

    rows = list(zip(task["inputs"], task["labels"], strict=True))
    script = Script.decoded(task["source"])
    return explore(script, rows, _import, complain, seed=task["seed"])


def _import(
    name: str,
    namespace: Mapping[str, object] | None = None,
    local: Mapping[str, object] | None = None,
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> types.ModuleType:
    """Import what programs may import; the same programs then run in either sandbox.

    The interpreter calls this too, for modules that a method of a built-in type needs
    (`_strptime`): it takes the import function of the frame that called the method.
    """
    if name.startswith("_") or name.partition(".")[0] in STANDARD_LIBRARY:
        with contextlib.suppress(ModuleNotFoundError):
            return __import__(name, namespace, local, fromlist, level)
    raise ImportError(
        f"{name} is not available: programs in the WebAssembly sandbox may import "
        "the listed standard-library modules only"
    )
