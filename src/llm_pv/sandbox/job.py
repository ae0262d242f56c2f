"""Run one program over its inputs, or one script over labelled rows, inside the sandbox.

The caller has already confined the process. The answers are not protected against the program,
which shares the process: a program that corrupts them only harms its own result.
"""

import builtins
import io
import random
import sys
from collections.abc import Callable, Iterable
from types import CodeType, ModuleType
from typing import TypeAlias

from llm_pv.data.labels import label_text
from llm_pv.sandbox.exploration import Script, explore, line_of
from llm_pv.sandbox.result_page import (
    ANSWERS_TOO_LONG,
    LABEL_CHARACTERS,
    OutputCapture,
    PageFullError,
    PageMemory,
    ResultWriter,
)
from llm_pv.sandbox.transcript import Transcript

PROGRAM_NAME = "program"

SOURCE_CHARACTERS = 1_000_000
"""A longer source is no program."""

# Functions written in C import these in the name of the program that calls them.
_INTERNAL = frozenset({"_strptime", "copyreg", "linecache", "locale", "tracemalloc"})

OUT_OF_MEMORY = "the program asked for more memory than its limit"

_FILE = f"<{PROGRAM_NAME}>"

Function: TypeAlias = Callable[[object], object]


class LoadError(Exception):
    """The program has no ``f`` to call, and why."""


def run_program(
    source: str,
    inputs: Iterable[object],
    page: PageMemory,
    output_bytes: int,
    allowed: frozenset[str],
    *,
    seed: int = 0,
) -> None:
    """Load a program and write its answer for each input onto the page.

    Parameters
    ----------
    inputs
        What ``f`` is called with, one by one, each its own object.
    page, output_bytes
        Where answers and printed text go (see `llm_pv.sandbox.result_page`).
    """
    results = ResultWriter(page, output_bytes)
    _capture_output(OutputCapture(page, output_bytes))
    random.seed(seed)  # forking has seeded it from the system
    try:
        function = load(source, _guarded_import(allowed))
        for row in inputs:
            answer(function, row, results)
        results.end("finished")
    except LoadError as error:
        results.end("load", str(error))
    except MemoryError:
        results.end("memory", OUT_OF_MEMORY)
    except PageFullError:
        results.end("full", ANSWERS_TOO_LONG)


def run_exploration(
    script: Script,
    rows: list[tuple[object, object]],
    page: PageMemory,
    output_bytes: int,
    allowed: frozenset[str],
    *,
    seed: int = 0,
) -> None:
    """Run a script over labelled rows and write what it prints onto the page (see `transcript`)."""
    printed = Transcript(page, output_bytes)
    _capture_output(printed)

    def complain(text: str) -> None:
        printed.write(text.encode("utf-8", "backslashreplace"))

    ending, reason = explore(script, rows, _guarded_import(allowed), complain, seed=seed)
    ResultWriter(page, output_bytes).end(ending, reason)


def _capture_output(capture: io.BufferedIOBase) -> None:
    sys.stdout = sys.stderr = io.TextIOWrapper(
        capture, "utf-8", errors="backslashreplace", write_through=True
    )


def answer(function: Function, row: object, results: ResultWriter) -> None:
    """Write the answer of a program for one row, or its error; running out of memory is raised."""
    try:
        text = label_text(function(row))
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  (SystemExit counts as a mistake as well)
        results.error(describe(error))
        return
    if len(text) <= LABEL_CHARACTERS:
        results.label(text)
    else:
        results.error(f"ValueError: a label of {len(text):,} characters")


def load(source: str, import_module: Callable[..., ModuleType]) -> Function:
    """Run a program as a module and return its ``f``.

    Raise LoadError if it fails or defines none.
    """
    module = ModuleType(PROGRAM_NAME)
    sys.modules[PROGRAM_NAME] = module
    namespace = vars(module)
    namespace["__builtins__"] = {**vars(builtins), "__import__": import_module}
    try:
        exec(_compile(source), namespace)  # noqa: S102
    except (LoadError, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  (a program may raise anything)
        raise LoadError(describe(error) + line_of(error, _FILE)) from None
    function = namespace.get("f")
    if not callable(function):
        raise LoadError("the program defines no function f")
    return function  # type: ignore[no-any-return]


def _compile(source: str) -> CodeType:
    if len(source) > SOURCE_CHARACTERS:
        raise LoadError(
            f"the program has {len(source):,} characters; at most {SOURCE_CHARACTERS:,} are allowed"
        )
    try:
        return compile(source, _FILE, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise LoadError(f"{describe(error)} (line {error.lineno})") from None


def _guarded_import(allowed: frozenset[str]) -> Callable[..., ModuleType]:
    """Return the import function of a program; libraries keep the built-in one.

    It keeps programs to the documented modules. It is not a protection.
    """
    genuine = builtins.__import__

    def import_module(name: str, *context: object, **named: object) -> ModuleType:
        if name.partition(".")[0] not in allowed and name not in _INTERNAL:
            listed = ", ".join(sorted(allowed))
            raise ModuleNotFoundError(
                f"a program may not import {name or '.'!r}; it may import {listed}", name=name
            )
        return genuine(name, *context, **named)  # type: ignore[arg-type]

    return import_module


def describe(error: BaseException) -> str:
    """Return an exception as ``Type: message``, even if its own methods raise."""
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)
        return f"{type(error).__name__}: {message}" if message else type(error).__name__
    except MemoryError:
        raise
    except BaseException:  # noqa: BLE001  (the program's own __str__ may raise anything)
        return "an exception that cannot be described"
