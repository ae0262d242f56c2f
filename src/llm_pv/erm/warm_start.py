"""Propose the programs of another run first, then those of a proposer."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Context, Proposal, Proposer
from llm_pv.proposers.spending import Spending
from llm_pv.runs.directory import read_attempts

_MOST = 100
"""The most programs taken from the other run, its best ones."""


class WarmStart(Proposer):
    """Proposes the programs of another run, best first, then those of a proposer.

    Raise ConfigurationError if the run holds no program. Raise RunError if it cannot be read.

    Parameters
    ----------
    run
        The other run's directory.
    proposer
        The proposer of the following programs.
    """

    def __init__(self, run: Path, proposer: Proposer) -> None:
        self._proposer = proposer
        best: dict[str, tuple[float, int]] = {}
        for number, record in enumerate(read_attempts(run)):
            if record.get("kind") == "attempt" and record.get("program"):
                accuracy = record.get("validation_accuracy") or 0.0
                best.setdefault(str(record["program"]), (-accuracy, number))
        if not best:
            raise ConfigurationError(f"--warm-start {run} holds no program; give another run")
        self._programs = sorted(best, key=lambda program: best[program])[:_MOST]

    @property
    def name(self) -> str:
        """The name of the following proposer."""
        return self._proposer.name

    @property
    def free(self) -> bool:
        """Whether proposals of the following proposer cost nothing."""
        return self._proposer.free

    @property
    def about(self) -> str:
        """What the user wrote about the rows."""
        return self._proposer.about

    @property
    def weighted(self) -> bool:
        """Whether it uses weights of rows."""
        return self._proposer.weighted

    @property
    def interleaved(self) -> bool:
        """Whether attempts of several cells are scheduled round robin."""
        return self._proposer.interleaved

    def training_rows(self, train: Examples) -> Examples:
        """Return the rows as the proposer takes them."""
        return self._proposer.training_rows(train)

    @property
    def default_attempts(self) -> int:
        """The number of programs taken over plus the proposer's default."""
        return len(self._programs) + self._proposer.default_attempts

    @property
    def identity(self) -> str:
        """The identity of the proposer and of the programs."""
        digest = hashlib.sha256("\0".join(self._programs).encode()).hexdigest()[:16]
        return f"{self._proposer.identity} after {len(self._programs)} programs {digest}"

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield the programs, then the proposer's proposals."""
        context = Context(known=(("", ""),) * start)
        yield from self.propose_in(train, classes, seed=seed, context=context)

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield the programs, then the proposer's proposals."""
        taken = len(self._programs)
        context.warn(
            f"{taken} programs of another run were candidates first: the certificate holds only if "
            "that run did not select them by these validation rows"
        )
        for program in self._programs[context.start :]:
            yield Proposal(program, note="of the run that was given as a warm start")
        rest = replace(
            context,
            known=context.known[taken:],
            attempts=None if context.attempts is None else max(0, context.attempts - taken),
        )
        yield from self._proposer.propose_in(train, classes, seed=seed, context=rest)

    def plan_attempts(self, requested: int | None) -> int:
        """Return how many attempts are planned, including the programs taken over."""
        if requested is None:
            return len(self._programs) + self._proposer.plan_attempts(None)
        return requested

    def open(self, turns: Iterable[Mapping[str, Any]]) -> None:
        """Prepare the proposer."""
        self._proposer.open(turns)

    def stop(self, context: Context) -> bool:
        """Stop the proposer."""
        return self._proposer.stop(context)

    def spending(
        self, proposals: Iterable[Proposal], turns: Iterable[Mapping[str, Any]]
    ) -> Spending:
        """Return the proposer's spending; the programs cost nothing."""
        return self._proposer.spending(proposals, turns)

    def close(self) -> None:
        """Close the proposer."""
        self._proposer.close()
