"""The limits and the result of a sandboxed run, independent of the backend."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from llm_pv.errors import ConfigurationError
from llm_pv.sandbox.result_page import ANSWERS_TOO_LONG
from llm_pv.sandbox.transcript import transcript_bytes


class Outcome(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    FAILED_TO_LOAD = "failed to load"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"
    MALFORMED = "malformed result"
    RAISED = "raised an error"  # of exploring code: a candidate that raises has failed rows


_MOST = {
    "cpu_seconds": 1_000_000,
    "wall_seconds": 1_000_000,
    "memory_bytes": 2**46,
    "output_bytes": 2**26,
}
_MOST_CHARACTERS = 10_000_000
_MOST_LOAD = 5.0


@dataclass(frozen=True)
class Limits:
    """Limits of one candidate.

    Parameters
    ----------
    cpu_seconds
        CPU time; None for 2 s and 10 ms a row.
    wall_seconds
        Wall-clock time; None for twice the CPU limit.
    memory_bytes
        Address space beyond what the sandbox itself and the inputs take.
    output_bytes
        Text kept from stdout and stderr; the rest is thrown away.

    Raises
    ------
    ConfigurationError
        If a limit is not positive, or beyond what a system can count.

    Examples
    --------
    >>> Limits().cpu_limit(rows=100), Limits(cpu_seconds=1).wall_limit(rows=100)
    (3.0, 2.0)
    """

    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    memory_bytes: int = 512 * 1024 * 1024
    output_bytes: int = 10_000

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if value is not None and not 0 < value <= most:
                raise ConfigurationError(
                    f"the limit {name} is {value}: give a number above 0, at most {most:,}"
                )

    def cpu_limit(self, rows: int) -> float:
        """Return the CPU seconds for this many rows."""
        return self.cpu_seconds if self.cpu_seconds is not None else 2.0 + 0.01 * rows

    def wall_limit(self, rows: int) -> float:
        """Return the wall-clock seconds for this many rows."""
        return self.wall_seconds if self.wall_seconds is not None else 2.0 * self.cpu_limit(rows)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class ToolLimits:
    """Limits of one call of the Python tool.

    Raise ConfigurationError if a limit is not positive, or beyond what a system can count.

    Examples
    --------
    >>> ToolLimits(cpu_seconds=1).wall_limit
    6.0
    """

    cpu_seconds: float = 10.0
    wall_seconds: float | None = None
    """Wall-clock time; None for six times the CPU limit, and more on a busy machine, so that it
    cuts no code that computes."""
    memory_bytes: int = 1024 * 1024 * 1024
    "Address space beyond what the sandbox itself and the rows take."
    output_characters: int = 10_000
    """The most characters shown of what the code prints: half of them from its beginning, half from
    its end."""

    def __post_init__(self) -> None:
        if not 0 < self.output_characters <= _MOST_CHARACTERS:
            raise ConfigurationError(
                f"the limit output_characters is {self.output_characters}: give a number above 0, "
                f"at most {_MOST_CHARACTERS:,}"
            )
        self.plain()

    @property
    def wall_limit(self) -> float:
        """The wall-clock seconds of one call."""
        return 6.0 * self.cpu_seconds if self.wall_seconds is None else self.wall_seconds

    def plain(self) -> Limits:
        """Return these limits as those of a process, with room for the characters shown."""
        return Limits(
            cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_limit,
            memory_bytes=self.memory_bytes,
            output_bytes=transcript_bytes(self.output_characters),
        )

    def at_load(self, load: float) -> "ToolLimits":
        """Return the limits where so many processes want each core: up to five times the clock.

        Examples
        --------
        >>> [ToolLimits().at_load(load).wall_limit for load in (0.5, 3.0, 40.0)]
        [60.0, 180.0, 300.0]
        """
        if self.wall_seconds is not None:
            return self
        return replace(self, wall_seconds=self.wall_limit * min(max(load, 1.0), _MOST_LOAD))


DEFAULT_TOOL_LIMITS = ToolLimits()


@dataclass(frozen=True)
class Execution:
    """The predictions of one program on a sequence of inputs.

    Parameters
    ----------
    outcome
        How the run ended.
    predictions
        One label text for each input; None where the program gave none: it raised, returned no
        label, or the run ended before that row.
    unreached
        Positions of the rows the run ended before, ascending; empty when it finished.
    errors
        The text of what went wrong, by position, for the first few rows that failed.
    reason
        One line on why the run did not finish; empty when it did.
    output
        The beginning of what the program printed: untrusted text, control characters included.
    wall_seconds, cpu_seconds
        What the run took.
    """

    outcome: Outcome
    predictions: tuple[str | None, ...]
    unreached: tuple[int, ...] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    reason: str = ""
    output: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def cut_short(self) -> bool:
        """Whether a limit of the run as a whole ended it: time, memory, or the answers' length.

        Examples
        --------
        >>> Execution(Outcome.TIMED_OUT, (None,), unreached=(0,)).cut_short
        True
        """
        limited = self.outcome in (Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY)
        return limited or self.reason == ANSWERS_TOO_LONG
