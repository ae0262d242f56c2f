"""The inner side of the WebAssembly sandbox: runs one program, row by row, or explores rows.

CPython compiled to WebAssembly runs this file (`wasm_build` adds it, with the label rule and the
list of modules). Nothing here is a protection: the boundary is the WebAssembly machine around it.
A program may replace anything here without effect on others, because each program has its own
interpreter and every reply is checked outside.
"""

import builtins
import contextlib
import importlib
import io
import json
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from llm_pv.data.labels import label_text
from llm_pv.sandbox.exploration import Script, explore
from llm_pv.sandbox.modules import STANDARD_LIBRARY
from llm_pv.sandbox.wasm_modules import NEEDED_LATE

LABEL_CHARACTERS = 1_000
ERROR_CHARACTERS = 300
ERRORS_TOLD = 10

_FILE = "<program>"
_ENDINGS = {"finished": "finished", "raised": "raised an error", "memory": "out of memory"}
_OUT_OF_MEMORY = "the program asked for more memory than its limit"

for _name in (*STANDARD_LIBRARY, *NEEDED_LATE):
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)


class Guest:
    """What answers the functions of `wasm_guest.wit`: one program, loaded once, then stepped."""

    def __init__(self) -> None:
        self._inputs: Iterator[object] = iter(())
        self._program: Callable[[object], object] = label_text
        self._errors_left = ERRORS_TOLD

    def load(self, job: str) -> tuple[str, str]:
        """Run a program's module body; return ``("", "")``, or the outcome and its reason.

        A job that holds labels is code to explore them with: it is run to its end at once.
        """
        task = json.loads(job)
        if "labels" in task:
            return _explore(task)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        random.seed(task["seed"])
        self._inputs = iter(task["inputs"])
        module = types.ModuleType("program")
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        sys.modules["program"] = module
        try:
            exec(compile(task["source"], _FILE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
        except MemoryError:
            return "out of memory", _OUT_OF_MEMORY
        except BaseException as error:  # noqa: BLE001
            return "failed to load", _describe(error) + _line_of(error)
        program = module.__dict__.get("f")
        if not callable(program):
            return "failed to load", "the program defines no function f"
        self._program = program
        return "", ""

    def step(self, rows: int) -> tuple[str, str]:
        """Run the next rows; return ``""`` or the outcome that ends the run, and the results.

        The results are a JSON list: a label's text, or for a row without one a list of one error
        text, or null once `ERRORS_TOLD` error texts were sent.
        """
        results: list[str | list[str] | None] = []
        outcome = ""
        for value in islice(self._inputs, rows):
            try:
                label = label_text(self._program(value))
                if len(label) > LABEL_CHARACTERS:
                    raise ValueError(f"a label of {len(label)} characters")
                results.append(label)
            except MemoryError:
                outcome = "out of memory"
                break
            except BaseException as error:  # noqa: BLE001
                self._errors_left -= 1
                results.append([_describe(error)] if self._errors_left >= 0 else None)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        return outcome, json.dumps(results)


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
    ending, reason = explore(script, rows, _import, complain, seed=task["seed"])
    return _ENDINGS[ending], reason


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


def _describe(error: BaseException) -> str:
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)
        return f"{type(error).__name__}{': ' * bool(message)}{message}"[:ERROR_CHARACTERS]
    except BaseException:  # noqa: BLE001
        return "an exception that cannot be described"


def _line_of(error: BaseException) -> str:
    """Return the last line of the program itself in the traceback."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
