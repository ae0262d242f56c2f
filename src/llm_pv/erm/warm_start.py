"""Propose the programs of another run first, then those of a proposer."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Context, Proposal, Proposer, WrappedProposer
from llm_pv.runs.reading import read_attempts, read_run


class WarmStart(WrappedProposer):
    """Proposes the programs of another run in its order, then those of a proposer.

    Raise ConfigurationError if the run holds no program. Raise RunError if it cannot be read.
    """

    def __init__(self, run: Path, proposer: Proposer) -> None:
        self.proposer = proposer
        records = [one for one in read_attempts(run) if one.get("kind") == "attempt"]
        # In the order of verification, all of them: their shares of delta may depend neither on
        # validation rows nor on how many programs turned out good.
        self._programs = list(
            dict.fromkeys(str(one["program"]) for one in records if one.get("program"))
        )
        if not self._programs:
            raise ConfigurationError(f"--warm-start {run} holds no program; give another run")
        planned = read_run(run)["configuration"].get("planned_attempts")
        self.not_made = max(0, int(planned or 0) - len(self._programs))
        "Attempts that the other run planned beyond its programs; the certificate counts them."

    @property
    def default_attempts(self) -> int:
        """The number of programs taken over plus the proposer's default."""
        return len(self._programs) + self.proposer.default_attempts

    @property
    def identity(self) -> str:
        """The identity of the proposer and of the programs."""
        digest = hashlib.sha256("\0".join(self._programs).encode()).hexdigest()[:16]
        return f"{self.proposer.identity} after {len(self._programs)} programs {digest}"

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield the programs, then the proposer's proposals."""
        taken = len(self._programs)
        context.warn(
            f"{taken} programs of another run were candidates first and count in the certificate; "
            "it holds if that run had the same training rows, or none of these validation rows"
        )
        for program in self._programs[context.start :]:
            yield Proposal(program, note="of the run that was given as a warm start")
        rest = replace(
            context,
            known=context.known[taken:],
            attempts=None if context.attempts is None else max(0, context.attempts - taken),
        )
        yield from self.proposer.propose_in(train, classes, seed=seed, context=rest)

    def plan_attempts(self, requested: int | None) -> int:
        """Return how many attempts are planned, including the programs taken over."""
        return len(self._programs) + self.proposer.plan_attempts(requested)
