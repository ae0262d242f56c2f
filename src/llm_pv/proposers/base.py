"""The protocol between the loop and whatever proposes programs."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.models.base import NO_USAGE, Usage
from llm_pv.proposers.spending import Spending


@dataclass(frozen=True)
class Rival:
    """Another program that fits the training examples as well as a proposal does.

    Parameters
    ----------
    text
        Its source.
    bits
        Its length in the proposer's own measure.
    disagreement
        The share of slightly changed training inputs on which the two answer differently.
    example
        One of these inputs.
    answer, rival_answer
        What the proposal and what the rival answers there.
    """

    text: str
    bits: float
    disagreement: float
    example: Input
    answer: str
    rival_answer: str


@dataclass(frozen=True)
class Proposal:
    """One reply of a proposer, with what it cost.

    Parameters
    ----------
    text
        The reply as it came: bare source from the built-in search, prose and JSON from a model.
    seconds
        Wall-clock seconds the reply took, its tool calls included.
    cost_usd
        Its price in US dollars, None where it is not known.
    prompt_digest
        SHA-256 of the prompt that was answered, empty where there was none.
    capped
        Whether a time cap had cut the proposer's work short by then, so that another machine may
        propose something else.
    note
        What the proposer wants recorded with the attempt, such as a search cost in bits.
    origin
        Which conversation with a model it comes from, which refinement, and which further program
        of that reply: ``"3"``, ``"3.1"``, ``"3.1/2"``.
    usage
        Tokens of all the calls that led to it.
    tool_calls
        Tool calls on the way.
    failure
        Why the reply does not count: cut off, refused, without a word; empty if nothing was wrong.
    fallback
        Whether this is offered for want of a rule: the best there is, not an explanation.
    rivals
        Other programs that fit as well, where the proposer has looked for them.
    redacted
        Whether pieces of the API key stood in the reply, which are taken out.
    """

    text: str
    seconds: float = 0.0
    cost_usd: float | None = None
    prompt_digest: str = ""
    capped: bool = False
    note: str = ""
    origin: str = ""
    usage: Usage = NO_USAGE
    tool_calls: int = 0
    failure: str = ""
    fallback: bool = False
    rivals: tuple[Rival, ...] = ()
    redacted: bool = False


@dataclass(frozen=True)
class Mistake:
    """A training row that a program got wrong.

    Parameters
    ----------
    input
        The row.
    expected
        Its label.
    got
        What the program answered, or the error it raised.
    failed
        Whether that is no label at all.
    """

    input: Input
    expected: str
    got: str
    failed: bool = False


class Admission(Protocol):
    """Says when the next attempt of a cell may begin."""

    def acquire(self, number: int) -> None:
        """Wait until attempt ``number``, from 1, may begin.

        Raises
        ------
        StoppedError
            If none may begin any more.
        """
        ...

    def release(self) -> None:
        """Tell that an attempt is over."""
        ...

    def close(self) -> None:
        """Tell that no further attempt will ask."""
        ...


class AtOnce:
    """Lets every attempt begin at once."""

    def acquire(self, number: int) -> None:
        """Return at once."""

    def release(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _forget(*_: object) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """What a run offers a proposer besides the training rows.

    Parameters
    ----------
    start
        How many proposals an earlier part of the run has read.
    attempts
        The most proposals the run will read, None for as many as there are.
    origins
        Where the proposals come from that an earlier part of the run has read.
    turns
        Records of model turns and tool calls of that earlier part, oldest first.
    write_turns
        Puts such records on the disk, all of one call or none, before it returns.
    write_prompt
        Keeps a prompt under its digest.
    write_failure
        Records, with a conversation's number and the reason, that it ended without a reply.
    warn
        Takes a sentence the user should read with the result.
    mistakes
        Runs a program, confined, on the training rows alone and says which it gets wrong.
    admission
        Says when the next attempt may begin.
    stopping
        Set when no further attempt shall begin; those that have begun are still read.
    """

    start: int = 0
    attempts: int | None = None
    origins: frozenset[str] = frozenset()
    turns: Sequence[Mapping[str, Any]] = ()
    write_turns: Callable[[Sequence[Mapping[str, Any]]], object] = _forget
    write_prompt: Callable[[str, str], object] = _forget
    write_failure: Callable[[int, str], object] = _forget
    warn: Callable[[str], object] = _forget
    mistakes: Callable[[str], list[Mistake]] | None = None
    admission: Admission = field(default_factory=AtOnce)
    stopping: threading.Event = field(default_factory=threading.Event)


class Proposer(ABC):
    """Suggests programs from training examples alone; the whole interface between it and the loop.

    A proposer gets the training examples once, and the loop reads one proposal at a time, as many
    as it wants; nothing about validation is passed on. A subclass gives ``name`` and `propose`.
    One that costs nothing gives the same proposals for the same arguments, unless a time cap cut
    its work short.

    Examples
    --------
    >>> class Constant(Proposer):
    ...     name = "constant"
    ...
    ...     def propose(self, train, classes, *, seed, start=0):
    ...         yield from [Proposal("f = lambda x: 1")][start:]
    >>> Constant().plan_attempts(None), Constant().identity
    (5, 'constant')
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name a run records, such as ``"length-first"``."""

    @property
    def free(self) -> bool:
        """Whether proposals cost nothing, so that some may be requested and thrown away."""
        return True

    @property
    def weighted(self) -> bool:
        """Whether `Examples.weights` of the training rows are used.

        A free proposer that uses none gets rows of more weight more often instead.
        """
        return False

    @property
    def interleaved(self) -> bool:
        """Whether attempts of several cells take turns.

        Attempt i+1 of a cell then starts when every open cell has its i-th started, and all calls
        are made by threads of the process that runs the grid. So it should be where an attempt
        costs money or waits for a service.
        """
        return False

    @property
    def default_attempts(self) -> int:
        """How many proposals a run requests unless the user gives a number."""
        return 5

    @property
    def identity(self) -> str:
        """What, besides rows and seed, decides the proposals; a resumed run must have the same."""
        return self.name

    @abstractmethod
    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield proposals until there are no more, leaving out the first ``start``.

        A resumed run already has the first ``start`` of them on disk and must not pay for them
        again.
        """

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield the proposals that a run has not read yet, using what it offers in ``context``.

        This is what the loop calls. Override it in place of `propose` if proposals depend on more
        than their number: recorded turns, the scheduler, scores on the training rows.
        """
        return self.propose(train, classes, seed=seed, start=context.start)

    def plan_attempts(self, requested: int | None) -> int:
        """Return the number of attempts K a run plans, given the number the user asked for.

        Raises
        ------
        ConfigurationError
            If the proposer cannot make that many.
        """
        return self.default_attempts if requested is None else requested

    def open(self, turns: Iterable[Mapping[str, Any]]) -> None:  # noqa: B027 - a default
        """Prepare for a run; ``turns`` are the model turns that an earlier part of it recorded."""

    def stop(self, context: Context) -> bool:
        """Begin no further proposal. Return whether those under way should still be read."""
        context.stopping.set()
        return False

    def spending(
        self, proposals: Iterable[Proposal], turns: Iterable[Mapping[str, Any]]
    ) -> Spending:
        """Return the tokens and US dollars spent on a cell; the cost is None if not known."""
        del turns  # of a proposer that calls models
        if self.free:
            return Spending()
        costs = [proposal.cost_usd for proposal in proposals]
        known = [cost for cost in costs if cost is not None]
        return Spending(cost_usd=sum(known) if len(known) == len(costs) else None)

    def portable(self) -> "Proposer":
        """Return a proposer of the same proposals that needs no file of this machine."""
        return self

    def close(self) -> None:  # noqa: B027 - a default
        """Release what the proposer holds: processes, connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
