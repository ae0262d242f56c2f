"""The protocol between the loop and whatever proposes programs."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.models.base import NO_USAGE, Usage


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
        Which conversation with a model it comes from, and which refinement: ``"3"``, ``"3.1"``.
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
    """

    input: Input
    expected: str
    got: str


class Admission(Protocol):
    """Says when the next attempt of a cell may begin."""

    def enter(self, number: int) -> None:
        """Wait until attempt ``number``, from 1, may begin.

        Raises
        ------
        StoppedError
            If none may begin any more.
        """
        ...

    def leave(self) -> None:
        """Tell that an attempt is over."""
        ...

    def close(self) -> None:
        """Tell that no further attempt will ask."""
        ...


class AtOnce:
    """Lets every attempt begin at once."""

    def enter(self, number: int) -> None:
        """Do not wait."""

    def leave(self) -> None:
        """Have nothing to tell."""

    def close(self) -> None:
        """Have nothing to tell."""


def _forget(*_: object) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """What a run gives the proposer that asks a model, besides the training rows.

    Parameters
    ----------
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


class Proposer(Protocol):
    """Suggests programs from training examples alone.

    A proposer never learns anything of validation: it is handed the training examples once and
    read one proposal at a time, as many as the loop wants. A proposer that needs no model gives
    the same proposals for the same arguments, unless a time cap cut its work short.
    """

    @property
    def name(self) -> str:
        """The name a run records, such as ``"length-first"``."""
        ...

    @property
    def identity(self) -> str:
        """What, besides rows and seed, decides the proposals; a resumed run must have the same."""
        ...

    @property
    def default_attempts(self) -> int:
        """How many proposals a run asks for unless the user says otherwise."""
        ...

    @property
    def free(self) -> bool:
        """Whether proposals cost nothing, so that some may be asked for and thrown away."""
        ...

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield proposals until there are no more, leaving out the first ``start``.

        A resumed run already has the first ``start`` of them on disk and must not pay for them
        again.
        """
        ...
