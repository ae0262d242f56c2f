"""What the pool asks of whatever runs candidates."""

from typing import TYPE_CHECKING, Protocol

from llm_pv.sandbox.execution import Execution, Limits

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input


class Worker(Protocol):
    """Runs one candidate at a time, starting what it needs when it is first used."""

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

    def close(self) -> None:
        """End what was started, a run in progress included; callable from any thread, twice."""
        ...
