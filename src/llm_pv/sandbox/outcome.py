"""Turn the exit status of a process and its result page into an `Execution`."""

import io
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_pv.sandbox.execution import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.result_page import (
    ERRORS_KEPT,
    OUTPUT_START,
    MalformedError,
    PageContent,
    read_page,
)
from llm_pv.sandbox.transcript import read_transcript

_ENDINGS = {
    "finished": Outcome.FINISHED,
    "load": Outcome.FAILED_TO_LOAD,
    "memory": Outcome.OUT_OF_MEMORY,
    "full": Outcome.MALFORMED,
    "raised": Outcome.RAISED,
    "crashed": Outcome.CRASHED,
}
# By number: not every system has these signals.
_SIGKILL, _SIGXCPU, SIGPROF = 9, 24, 27


@dataclass(frozen=True)
class ProcessEnding:
    """How a candidate's process ended, as its parent saw it."""

    status: int
    "The exit status; minus the number of the signal that ended it."
    cut_off: bool
    "Whether it was killed for the wall-clock limit."
    cpu_seconds: float
    wall_seconds: float


def conclude(
    ending: ProcessEnding, page: io.BufferedIOBase, rows: int, limits: Limits
) -> Execution:
    """Return the result of a process that has ended; a candidate cannot make this raise."""
    try:
        content = read_page(page, rows, limits.output_bytes)
        outcome, reason = _outcome(content, ending, rows, limits)
    except MalformedError as error:
        content = PageContent([], {}, "", "", "")
        outcome, reason = Outcome.MALFORMED, str(error)
    missing = rows - len(content.answers)
    return Execution(
        outcome=outcome,
        predictions=(*content.answers, *[None] * missing),
        unreached=tuple(range(rows - missing, rows)),
        errors=content.errors,
        reason=reason,
        output=content.output,
        wall_seconds=ending.wall_seconds,
        cpu_seconds=ending.cpu_seconds,
    )


def conclude_exploration(
    ending: ProcessEnding, page: io.BufferedIOBase, limits: ToolLimits
) -> Execution:
    """Return what exploring code printed, after its process ended; it cannot make this raise."""
    plain = limits.plain()
    execution = conclude(ending, page, 0, plain)
    page.seek(OUTPUT_START)
    text = read_transcript(page.read(plain.output_bytes), limits.output_characters)
    return replace(execution, output=text)


def not_run(rows: int) -> Execution:
    """Return the result of a run that was ended for a deadline of its caller."""
    return Execution(
        Outcome.TIMED_OUT,
        predictions=(None,) * rows,
        unreached=tuple(range(rows)),
        reason="ended because the time for all programs together was over",
    )


def _outcome(
    content: PageContent, ending: ProcessEnding, rows: int, limits: Limits
) -> tuple[Outcome, str]:
    if content.end:
        return _ENDINGS[content.end], content.reason
    if ending.cut_off:
        return Outcome.TIMED_OUT, f"stopped after {round(limits.wall_limit(rows), 2):g} s"
    # The kernel ends a process at its hard CPU limit by SIGKILL, as it does when memory is short:
    # only the CPU time used tells the two apart.
    allowed = limits.cpu_limit(rows)
    spent = ending.cpu_seconds >= allowed
    if -ending.status in {SIGPROF, _SIGXCPU} or (ending.status == -_SIGKILL and spent):
        return Outcome.TIMED_OUT, f"stopped after {allowed:g} s of CPU time"
    if ending.status == -_SIGKILL:
        return Outcome.OUT_OF_MEMORY, "killed by the system, which was short of memory"
    if ending.status < 0:
        return Outcome.CRASHED, f"ended by {_signal_name(-ending.status)}"
    return Outcome.CRASHED, f"ended itself with exit status {ending.status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def join(parts: Sequence[Execution]) -> Execution:
    """Return the executions of one program on consecutive parts of the rows as one.

    The first part that did not finish decides the outcome and the reason.
    """
    decisive = next((part for part in parts if part.outcome is not Outcome.FINISHED), parts[0])
    predictions: list[str | None] = []
    unreached: list[int] = []
    errors: dict[int, str] = {}
    for part in parts:
        start = len(predictions)
        unreached += [start + position for position in part.unreached]
        errors |= {start + position: text for position, text in part.errors.items()}
        predictions += part.predictions
    return Execution(
        outcome=decisive.outcome,
        predictions=tuple(predictions),
        unreached=tuple(unreached),
        errors=dict(sorted(errors.items())[:ERRORS_KEPT]),
        reason=decisive.reason,
        output=next((part.output for part in parts if part.output), ""),
        wall_seconds=max(part.wall_seconds for part in parts),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
    )
