"""Run code that explores labelled rows, inside the sandbox: standard library only.

The caller has already confined the process (Linux or WebAssembly); nothing here is a protection.
"""

import linecache
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm_pv.data.labels import label_text

if TYPE_CHECKING:
    from types import TracebackType
import ast
import builtins
import json
import random
from contextlib import suppress
from dataclasses import asdict, dataclass
from traceback import StackSummary, TracebackException
from types import CodeType, ModuleType
from typing import Any

CODE_FILE = "<code>"
"""The file name of the code in tracebacks."""
_EARLIER = "<call "
_usual_print = print
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Script:
    """Code that explores labelled rows, and what it finds besides them."""

    code: str
    earlier: tuple[str, ...] = ()
    "The sources of earlier calls, whose functions, classes and imports are defined again."
    check: bool = False
    "Whether the function ``check`` is there."
    survey: str | None = None
    "The output of the function ``survey``; None for no such function."

    def encoded(self) -> str:
        """Return the script as ASCII text."""
        return json.dumps(asdict(self))

    @classmethod
    def decoded(cls, text: str) -> "Script":
        """Return the script that `encoded` wrote."""
        read = json.loads(text)
        return cls(**{**read, "earlier": tuple(read["earlier"])})


def explore(
    script: Script,
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
    import_module
        What ``import`` calls in the script.
    complain
        Takes the traceback of an error, with the script's own lines alone.

    Returns
    -------
    ending, reason
        ``"finished"``, ``"raised"`` or ``"memory"``, and one line on the last two.
    """
    module = ModuleType("__main__")
    sys.modules["__main__"] = module  # dataclasses look their module up
    namespace = vars(module)
    given = {"__import__": import_module, "print": print_at_once}
    namespace["__builtins__"] = {**vars(builtins), **given}
    namespace["rows"] = rows
    if script.check:
        namespace["check"] = make_check(rows, _is_own)
    if script.survey is not None:
        namespace["survey"] = lambda: print_at_once(script.survey)
    try:
        for number, source in enumerate(script.earlier, start=1):
            _define_again(source, f"{_EARLIER}{number}>", namespace)
        random.seed(seed)  # forking has seeded it from the system
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(seed)
        _show_lines(script.code, CODE_FILE)
        for part in _compile(script.code):
            exec(part, namespace)  # noqa: S102
    except MemoryError as error:
        return "memory", "the code asked for more memory than its limit" + line_of(error, CODE_FILE)
    except SystemExit as error:
        if error.code is None or error.code == 0:
            return "finished", ""
        return _report(error, complain)
    except BaseException as error:  # noqa: BLE001  (the script may raise anything)
        return _report(error, complain)
    return "finished", ""


def print_at_once(
    *values: object, sep: str | None = " ", end: str | None = "\n", **others: Any
) -> None:
    """Print as the built-in function does, with one write: each one is kept on its own."""
    texts = sep is None or isinstance(sep, str), end is None or isinstance(end, str)
    if others or not all(texts):
        _usual_print(*values, sep=sep, end=end, **others)
        return
    text = (" " if sep is None else sep).join(map(str, values))
    sys.stdout.write(text + ("\n" if end is None else end))


def _define_again(source: str, file: str, namespace: dict[str, Any]) -> None:
    """Run the definitions and imports of an earlier call, those that can do without the rest."""
    try:
        body = ast.parse(source, file).body
    except (SyntaxError, ValueError, RecursionError):
        return
    _show_lines(source, file)
    futures = [
        one for one in body if isinstance(one, ast.ImportFrom) and one.module == "__future__"
    ]
    for statement in body:
        if isinstance(statement, _DEFINITIONS):
            part = ast.Module([*futures, statement], type_ignores=[])
            with suppress(Exception, SystemExit):  # such as a decorator that was a variable
                exec(compile(part, file, "exec", dont_inherit=True), namespace)  # noqa: S102


def _show_lines(source: str, file: str) -> None:
    """Let tracebacks show the lines of a source."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)


def _is_own(file: str) -> bool:
    return file == CODE_FILE or file.startswith(_EARLIER)


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
            own = [frame for frame in part.stack if _is_own(frame.filename)]
            part.stack = StackSummary.from_list(own)
            waiting += [part.__cause__, part.__context__, *(part.exceptions or ())]
    complain("".join(trace.format()))
    return "raised", "".join(trace.format_exception_only()).strip().rpartition("\n")[2]


def line_of(error: BaseException, file: str) -> str:
    """Return where in a file an exception passed last."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


MOST_SHOWN = 10
MOST_ALIKE = 2
"""So many rows with the same error are shown."""
MOST_CLASSES = 20
_INPUT_CHARACTERS, _ANSWER_CHARACTERS = 300, 200

Check = Callable[..., float]


def make_check(rows: Sequence[tuple[object, object]], is_own_file: Callable[[str], bool]) -> Check:
    """Return the function that tries a rule on labelled rows.

    Parameters
    ----------
    is_own_file
        Whether a file name in a traceback is one of the code's.

    Examples
    --------
    >>> check = make_check([("01", 1), ("11", 0)], lambda file: False)
    >>> check(lambda x: 1)
    right on 1 of 2 rows (50.0%); by label: 0 0/1, 1 1/1
    '11' -> 0, got 1
    0.5
    """
    rows = tuple(rows)
    labels = {label_text(label): label for _, label in rows}

    def check(f: Callable[[object], object], show: int = MOST_SHOWN) -> float:
        """Print how many rows f answers rightly, and mistakes; return the share of right rows."""
        if not callable(f):
            raise TypeError("check takes a function of one input, as in check(f)")
        total: Counter[str] = Counter()
        right: Counter[str] = Counter()
        alike: Counter[str] = Counter()
        shown: list[str] = []
        for row, label in rows:
            expected = label_text(label)
            total[expected] += 1
            answer, error = _answer(f, row, is_own_file)
            if answer == expected:
                right[expected] += 1
            elif len(shown) < show and alike[error] < MOST_ALIKE:
                alike[error] += bool(error)
                got = error or _short(labels.get(answer, answer), _ANSWER_CHARACTERS)
                shown.append(f"{_short(row, _INPUT_CHARACTERS)} -> {label!r}, got {got}")
        wrong = len(rows) - right.total()
        if wrong > len(shown) > 0:
            shown.append(f"... and {wrong - len(shown):,} more")
        sys.stdout.write("\n".join([_summary(total, right), *shown, ""]))
        return right.total() / max(1, len(rows))

    return check


def _summary(total: Counter[str], right: Counter[str]) -> str:
    rows = total.total()
    share = right.total() / max(1, rows)
    text = f"right on {right.total():,} of {rows:,} rows ({share:.1%})"
    if len(total) <= MOST_CLASSES:
        counts = (f"{label} {right[label]}/{total[label]}" for label in sorted(total))
        text += f"; by label: {', '.join(counts)}"
    return text


def _answer(
    f: Callable[[object], object], row: object, is_own_file: Callable[[str], bool]
) -> tuple[str, str]:
    """Return the label that a function gives, or the text of its error."""
    try:
        # A copy: a function that changes its input must not change the row for the next one.
        return label_text(f(dict(row) if isinstance(row, dict) else row)), ""
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  (the function may raise anything)
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001
            text = type(error).__name__
        return "", _short(text, _ANSWER_CHARACTERS, str) + _line_of(error, is_own_file)


def _line_of(error: BaseException, is_own_file: Callable[[str], bool]) -> str:
    """Return the last line of the code itself that an error passed."""
    found = ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_own_file(file):
            line = linecache.getline(file, trace.tb_lineno).strip()
            found = f" (line {trace.tb_lineno}: {line})"
        trace = trace.tb_next
    return found


def _short(value: object, most: int, write: Callable[[object], str] = repr) -> str:
    text = write(value)
    return text if len(text) <= most else f"{text[:most]}..."
