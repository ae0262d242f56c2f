"""What the worker_pool asks of whatever runs candidates and exploring code."""

from typing import TYPE_CHECKING, Protocol

from llm_pv.sandbox.batch import LabelledRows
from llm_pv.sandbox.execution import Execution, Limits, ToolLimits

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input


class Worker(Protocol):
    """Runs one candidate or piece of code at a time, starting what it needs when first used."""

    def run(
        self, source: str, inputs: "Sequence[Input]", limits: Limits, seed: int = 0
    ) -> Execution:
        """Run a program over the inputs within the limits; whatever it does is in the result.

        Random numbers and, where that can be, hashing start from the seed, 0 to 2**32 - 1.

        Raises
        ------
        SandboxError
            If the worker itself fails, or is closed meanwhile.
        """
        ...

    def explore(
        self, code: str, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows; what it printed is the output, cut to the limits.

        Random numbers start from the seed, hashing from 0.

        Raises
        ------
        SandboxError
            As for `run`.
        """
        ...

    def close(self) -> None:
        """End what was started, a run in progress included; callable from any thread, twice."""
        ...
