"""Run code that explores labelled rows, inside the sandbox: standard library only.

The caller has already confined the process (Linux or WebAssembly); nothing here is a protection.
"""

import ast
import builtins
import linecache
import random
import sys
from collections.abc import Callable
from traceback import StackSummary, TracebackException
from types import CodeType, ModuleType

CODE_FILE = "<code>"
"""What tracebacks call the code."""


def explore(
    code: str,
    rows: list[tuple[object, object]],
    import_module: Callable[..., ModuleType],
    complain: Callable[[str], object],
    *,
    seed: int,
) -> tuple[str, str]:
    """Run code as a script that finds the rows under the name ``rows``.

    The value of a last statement that is an expression is printed, as in a notebook.

    Parameters
    ----------
    rows
        Pairs of an input and its label.
    import_module
        What ``import`` calls in the script.
    complain
        Takes the traceback of an error, with the script's own lines alone.
    seed
        Where the numbers of `random` and ``numpy.random`` start.

    Returns
    -------
    ending, reason
        ``"finished"``, ``"raised"`` or ``"memory"``, and one line on the last two.
    """
    random.seed(seed)  # forking has seeded it from the system
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    module = ModuleType("__main__")
    sys.modules["__main__"] = module  # dataclasses look their module up
    namespace = vars(module)
    namespace["__builtins__"] = {**vars(builtins), "__import__": import_module}
    namespace["rows"] = rows
    try:
        linecache.cache[CODE_FILE] = (len(code), None, code.splitlines(keepends=True), CODE_FILE)
        for part in _compile(code):
            exec(part, namespace)  # noqa: S102
    except MemoryError as error:
        return "memory", "the code asked for more memory than its limit" + _line_of(error)
    except SystemExit as error:
        if error.code is None or error.code == 0:
            return "finished", ""
        return _report(error, complain)
    except BaseException as error:  # noqa: BLE001  (the script may raise anything)
        return _report(error, complain)
    return "finished", ""


def _compile(code: str) -> list[CodeType]:
    """Return the script, its last statement apart when its value is to be printed."""
    tree = ast.parse(code, CODE_FILE)
    last = tree.body[-1:]
    if not last or not isinstance(last[0], ast.Expr):
        return [compile(tree, CODE_FILE, "exec", dont_inherit=True)]
    del tree.body[-1]
    return [
        compile(tree, CODE_FILE, "exec", dont_inherit=True),
        compile(ast.Interactive(last), CODE_FILE, "single", dont_inherit=True),
    ]


def _report(error: BaseException, complain: Callable[[str], object]) -> tuple[str, str]:
    """Write the traceback of an error and its causes, each with the script's own lines only."""
    trace = TracebackException.from_exception(error, compact=True)
    waiting: list[TracebackException | None] = [trace]
    while waiting:
        part = waiting.pop()
        if part is not None:
            own = [frame for frame in part.stack if frame.filename == CODE_FILE]
            part.stack = StackSummary.from_list(own)
            waiting += [part.__cause__, part.__context__, *(part.exceptions or ())]
    complain("".join(trace.format()))
    return "raised", "".join(trace.format_exception_only()).strip().rpartition("\n")[2]


def _line_of(error: BaseException) -> str:
    """Return where in the code an exception passed last."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == CODE_FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
