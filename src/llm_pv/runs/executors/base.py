"""The interface between the runner, executors, and the functions that compute cells."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, Protocol, TypeVar

from llm_pv.errors import LLMPVError, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.files import disk_error
from llm_pv.runs.remote_records import Results
from llm_pv.sandbox import Sandbox

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Emit = Callable[[object], None]
"""Takes an event of a cell, such as a verified attempt, for the observer of the run."""


class CellReassigned:
    """The event that a cell's machine was lost, and that another one continues the cell."""


class Processes:
    """Computes functions of a module: this class in the calling thread, subclasses in processes."""

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Return what the function returns."""
        return function(*args, **kwargs)

    def map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Return the function of each item, one after another."""
        return [function(item) for item in items]


@dataclass(frozen=True)
class CellTask:
    """One cell to be computed."""

    cell: Cell
    inputs: Any = None
    "The argument of the track's function; picklable if cells run on other machines."
    columns: Mapping[str, Any] = field(default_factory=dict)
    "Columns of the cell's row in the summary, should it be skipped or fail."
    skipped: str = ""
    "Why it cannot be computed; empty if it can."


@dataclass(frozen=True)
class CellContext:
    """The services for the function that computes a cell."""

    results: Results
    "Where its results go: the run directory, or a relay to it."
    emit: Emit
    processes: Processes = field(default_factory=Processes)
    "Where heavy functions are computed."
    sandbox: Sandbox | None = None
    "Where programs run; None for a track that runs none."
    opened: Any = None
    "An object that the executor opened once for many cells, such as a model; None for none."


CellFunction = Callable[[Any, CellContext], None]
"""A track's function: it computes one cell from its inputs and writes the results down.

It writes the cell's row of the summary last. What the results already hold of the cell is not
computed again.
"""


class Executor(Protocol):
    """Where cells are computed."""

    @property
    def cells_at_once(self) -> int:
        """How many cells may be under way at the same time."""
        ...

    def call(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Return what a function returns where cells are computed."""
        ...

    def run(self, function: CellFunction, task: CellTask, results: Results, emit: Emit) -> None:
        """Compute a cell, or continue it; the first event is None, when it begins.

        Raises
        ------
        LLMPVError
            The error that ended the cell.
        ExecutorClosedError
            If the executor was closed.
        """
        ...

    def close(self) -> None:
        """End every cell under way; may be called from any thread, and more than once."""
        ...


def with_shared(shared: Any, inputs: Any) -> Any:
    """Return what a track's function gets: the inputs, or a pair of what all share and them."""
    return inputs if shared is None else (shared, inputs)


def portable(error: Exception) -> LLMPVError | RuntimeError:
    """Return an error as one that every process can read, its traceback as a note.

    Examples
    --------
    >>> portable(ZeroDivisionError("division by zero"))
    RuntimeError('ZeroDivisionError: division by zero')
    """
    if isinstance(error, LLMPVError):
        known: LLMPVError | RuntimeError = error
    elif (fatal := disk_error(error)) is not None:
        known = RunError(str(fatal))
    else:
        known = RuntimeError(f"{type(error).__name__}: {error}")
    trace = "".join(traceback.format_exception(error))
    known.add_note(f"In the worker process:\n{trace}")
    return known.with_traceback(None)
