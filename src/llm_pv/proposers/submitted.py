"""Programs that a client submits one by one while its run is open."""

from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.base import Context, Proposal, Proposer
from llm_pv.proposers.round_robin import StoppedError


class Submitted(Proposer):
    """Proposes what is submitted from another thread, in order, until the submissions end.

    A run blocks while it waits for the next one. The cost of a program is unknown: its author
    works outside this package.

    Attributes
    ----------
    opened
        Gets the run's context when the run waits for its first new program.
    """

    name = "mcp"
    free = False
    "Nothing can be requested ahead."

    def __init__(self, note: str = "") -> None:
        self.opened: Future[Context] = Future()
        self._note = note
        self._programs: SimpleQueue[str | StoppedError | None] = SimpleQueue()

    def submit(self, text: str) -> None:
        """Propose a reply with a program."""
        self._programs.put(text)

    def end(self) -> None:
        """End the submissions, so that the run selects one."""
        self._programs.put(None)

    def abandon(self) -> None:
        """End the run without a selection; it can be resumed."""
        self._programs.put(StoppedError())

    def propose_in(
        self,
        train: Examples,  # noqa: ARG002 - the client has seen them
        classes: Classes,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        context: Context,
    ) -> Iterator[Proposal]:
        """Yield what is submitted from now on, and make the run's services available."""
        self.opened.set_result(context)
        while (item := self._programs.get()) is not None:
            if isinstance(item, StoppedError):
                raise item
            yield Proposal(item, note=self._note)
