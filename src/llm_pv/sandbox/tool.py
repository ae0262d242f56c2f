"""The Python tool: runs, confined, the code that a model writes to explore its training rows.

It has its own sandbox, because the processes of candidates must not hold any label.
"""

import os
import weakref
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from llm_pv.sandbox.batch import LabelledRows
from llm_pv.sandbox.execution import DEFAULT_TOOL_LIMITS, Execution, Outcome, ToolLimits
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.modules import PACKAGES, STANDARD_LIBRARY
from llm_pv.sandbox.transcript import printable
from llm_pv.sandbox.worker_pool import Backend, Worker, assemble, usable_seed

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Collection, Sequence

    from llm_pv.data.examples import Input

ToolFunction: TypeAlias = Literal["check", "survey"]
"""A function that code finds besides the rows."""

_FUNCTIONS: dict[ToolFunction, str] = {
    "check": (
        "`check(f)` prints the accuracy of a function f of one input on all rows and its mistakes "
        "(input, label, answer, the line of a crash) and returns the accuracy; `check(f, show=0)` "
        "prints one line. "
    ),
    "survey": (
        "`survey()` prints what a search found in the rows: formats, what is constant, and the "
        "most telling conditions with their counts by label. "
    ),
}
_TOO_MUCH = "compute less in one call; the functions it defined are there in the next one"
_TOO_LONG = (
    "by the clock, not for its CPU time: it waited or the machine is busy; do not sleep, and try "
    "it again"
)
_PRINTED_NOTHING = "[the code printed nothing]"
# The printed text already shows how these ended.
_SHOWN_BY_OUTPUT = (Outcome.FINISHED, Outcome.RAISED)


@dataclass(frozen=True)
class ToolResult:
    """The result of one call of the Python tool."""

    output: str
    """The text for the model: stdout and stderr in the order they were written, the traceback of
    an error among them, cut in the middle to the limit; then, in brackets, why the code was ended
    early, or that it printed nothing. Control characters are shown by pictures."""
    outcome: Outcome
    seconds: float


class PythonTool:
    """Runs code that explores training rows, each call in a fresh confined process.

    The code finds the rows as ``rows``, a list of pairs of an input and its label. The value of
    its last statement is printed when that is an expression, as in a notebook. Tracebacks show the
    code's own lines only. Nothing stays from one call to the next but what `run` is given. Calls
    may come from several threads at once; those beyond the number of workers wait.

    Raise DataError if an input or a label is no plain value. Raise ConfinementError if code cannot
    be confined here, and `allow_unconfined` is not set.

    Parameters
    ----------
    rows
        The training rows, and no others: an input (a string, or a dict from column name to value)
        and its label as the value a program would return. None are needed if each call brings its
        own.
    limits
        What one call may use.
    functions
        Which functions the code finds: ``"check"`` compares a rule with the rows, ``"survey"``
        prints the text that `run` is given.
    workers
        How many calls run at once; None for one a usable core.
    allow_unconfined, backend
        As for `llm_pv.sandbox.Sandbox`. Unconfined code is held by the wall-clock limit and the
        cut of its output alone.

    Attributes
    ----------
    limits
        What one call may use.
    functions
        Which functions the code finds.
    confinement
        What confines the code here.

    Examples
    --------
    >>> with PythonTool([("0110", 0), ("0111", 1)]) as tool:  # doctest: +SKIP
    ...     print(tool.run("[x.count('1') % 2 == y for x, y in rows]").output)
    [True, True]
    """

    def __init__(
        self,
        rows: "Sequence[tuple[Input, object]]" = (),
        *,
        limits: ToolLimits = DEFAULT_TOOL_LIMITS,
        functions: "Collection[ToolFunction]" = (),
        workers: int | None = None,
        allow_unconfined: bool = False,
        backend: Backend = "auto",
    ) -> None:
        self.limits = limits
        self.functions = frozenset(functions)
        self._rows = LabelledRows(rows)
        self._pool, self.confinement = assemble(backend, workers, allow_unconfined=allow_unconfined)
        self._finalizer = weakref.finalize(self, self._pool.close)

    @property
    def description(self) -> str:
        """The description for a model: what the tool runs, the modules to import, the limits."""
        limits = self.limits
        wasm = self.confinement.backend == "wasm"
        packages = [name for name in PACKAGES if not wasm and find_spec(name) is not None]
        lacking = [name for name in PACKAGES if name not in packages]
        without = f" (there is no {' and no '.join(lacking)})" if lacking else ""
        return (
            "Runs Python code on the training examples and returns what it prints, errors "
            "included. The code finds the examples as `rows`, a list of (input, label) pairs. "
            f"{''.join(text for name, text in _FUNCTIONS.items() if name in self.functions)}Each "
            "call is a fresh process: top-level functions, classes and imports of your earlier "
            "calls are defined again, other variables are gone. The value of a last line that is "
            "an expression is printed. The code may import "
            f"{', '.join((*packages, *STANDARD_LIBRARY))}{without}. It has no files, network, "
            f"processes or threads; {limits.cpu_seconds:g} s of CPU time, {limits.wall_limit:g} s "
            "by the clock (more on a busy machine) and "
            f"{limits.memory_bytes / 2**20:,.0f} MiB of memory a call; what it prints is cut to "
            f"{limits.output_characters:,} characters."
        )

    def run(
        self,
        code: str,
        rows: LabelledRows | None = None,
        *,
        seed: int = 0,
        earlier: "Sequence[str]" = (),
        survey: str = "",
    ) -> ToolResult:
        """Run code over the rows.

        Raise ConfigurationError if the seed is no such number. Raise SandboxError if the sandbox
        itself fails or is closed.

        Parameters
        ----------
        rows
            Other training rows than the tool's, for one that serves several data sets.
        seed
            Where `random` and ``numpy.random`` start, from 0 to 2**32 - 1.
        earlier
            Scripts whose functions, classes and imports are defined again first.
        survey
            What the function ``survey`` prints.

        Returns
        -------
        ToolResult
            Failures of the code are recorded here, never raised.
        """
        number = usable_seed(seed)
        script = Script(
            code,
            tuple(earlier),
            check="check" in self.functions,
            survey=survey if "survey" in self.functions else None,
        )

        limits = self.limits.at_load(_load())

        def task(worker: Worker) -> Execution:
            return worker.explore(script, self._rows if rows is None else rows, limits, number)

        execution = self._pool.run(task, set())
        output = _output(execution, limits)
        return ToolResult(output, execution.outcome, execution.wall_seconds)

    def close(self) -> None:
        """End every process of this tool; a call in progress raises SandboxError."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _load() -> float:
    """Return how many processes want each core of the machine, 0 where that is not known."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def _output(execution: Execution, limits: ToolLimits) -> str:
    if execution.outcome in _SHOWN_BY_OUTPUT:
        return execution.output or _PRINTED_NOTHING
    line_break = "\n" if execution.output and not execution.output.endswith("\n") else ""
    reason = printable(execution.reason)
    if execution.outcome is Outcome.TIMED_OUT:
        by_clock = execution.wall_seconds >= limits.wall_limit
        reason += f": {_TOO_LONG if by_clock else _TOO_MUCH}"
    return f"{execution.output}{line_break}[{reason}]"
