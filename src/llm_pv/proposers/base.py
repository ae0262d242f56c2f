"""The protocol between the loop and the proposers."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any, Self

from llm_pv.data.examples import Classes, Examples, Input, resampled
from llm_pv.models.base import NO_USAGE, Usage, total_cost
from llm_pv.proposers.round_robin import Admission, at_once
from llm_pv.proposers.spending import Spending


@dataclass(frozen=True)
class Rival:
    """Another program that fits the training examples as well as a proposal does."""

    text: str
    bits: float
    "Its length in the proposer's own measure."
    disagreement: float
    "The share of slightly changed training inputs on which the two differ."
    example: Input
    answer: str
    rival_answer: str
    "The predictions of the proposal and of the rival for it."


@dataclass(frozen=True)
class Proposal:
    """One reply of a proposer, with its cost."""

    text: str
    "The unchanged reply: source from the built-in search, prose and code from a model."
    seconds: float = 0.0
    "Wall-clock seconds the reply took, its tool calls included."
    cost_usd: float | None = None
    "Its price in US dollars, None if unknown."
    prompt_digest: str = ""
    "SHA-256 of the prompt, empty if there was none."
    capped: bool = False
    """Whether a time cap had ended the proposer's search by then, so that other machines may give
    other proposals."""
    note: str = ""
    "Information to record with the attempt, such as a search cost in bits."
    origin: str = ""
    """The conversation with a model, the refinement, and the number of the program within the
    reply: ``"3"``, ``"3.1"``, ``"3.1/2"``."""
    usage: Usage = NO_USAGE
    "Tokens of all calls for this reply."
    tool_calls: int = 0
    "The number of tool calls before it."
    failure: str = ""
    "Why the reply does not count: cut off, refused, empty; an empty string if it counts."
    fallback: bool = False
    "Whether no rule was found, and this is only the best guess."
    rivals: tuple[Rival, ...] = ()
    "Other programs that fit as well, if the proposer searches for them."
    redacted: bool = False
    "Whether fragments of the API key were removed from the reply."
    proposer: str = ""
    "The name of the proposer in a pool; empty if the run has only one."


@dataclass(frozen=True)
class Mistake:
    """A training row that a program got wrong."""

    input: Input
    expected: str
    got: str
    "The program's prediction, or the error it raised."
    failed: bool = False
    "Whether that is not a label."


def _forget(*_: object) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """The services of a run that a proposer can use."""

    known: tuple[tuple[str, str], ...] = ()
    "The proposer and the origin of each proposal read by an earlier part of the run."
    attempts: int | None = None
    "The most proposals the run will read, None for all."
    turns: Sequence[Mapping[str, Any]] = ()
    "Records of model turns and tool calls of that earlier part, oldest first."
    write_turns: Callable[[Sequence[Mapping[str, Any]]], object] = _forget
    "Writes such records to disk, all of one call or none, before it returns."
    write_prompt: Callable[[str, str], object] = _forget
    write_failure: Callable[[int, str], object] = _forget
    "Records the number of a conversation that ended without a reply, and the reason."
    warn: Callable[[str], object] = _forget
    "Called with a sentence to show to the user with the result."
    mistakes: Callable[[str], list[Mistake]] | None = None
    "Runs a program, confined, on the training rows only, and returns those it gets wrong."
    admission: Admission = field(default_factory=at_once)
    "Decides when the next attempt may start."
    stopping: threading.Event = field(default_factory=threading.Event)
    "Set when no further attempt should start; those already started are still read."
    early_stop: bool = True
    "Whether a verified program may set ``stopping``."

    @property
    def start(self) -> int:
        """The number of proposals read by an earlier part of the run."""
        return len(self.known)

    @property
    def origins(self) -> frozenset[str]:
        """The origins of the proposals read by an earlier part of the run."""
        return frozenset(origin for _, origin in self.known)


class Proposer(ABC):
    """Base class of proposers, which propose programs from training examples only.

    A proposer gets the training examples once, and the loop reads one proposal at a time, as many
    as it needs; no information about validation is passed to it. A subclass defines ``name`` and
    `propose`. A free proposer gives the same proposals for the same arguments, unless a time cap
    ended its search.

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
    def columns(self) -> dict[str, str]:
        """The track, the method and the model of its trials, as ``summary.csv`` has them."""
        return {"track": "llm-pv", "method": self.name, "model": ""}

    @property
    def free(self) -> bool:
        """Whether proposals cost nothing, so that some may be requested and discarded."""
        return True

    @property
    def about(self) -> str:
        """The user's description of the rows, which the run and its report keep."""
        return ""

    @property
    def weighted(self) -> bool:
        """Whether `Examples.weights` of the training rows are used.

        A free proposer that uses none gets rows of more weight more often instead.
        """
        return False

    @property
    def interleaved(self) -> bool:
        """Whether attempts of several cells are scheduled round robin.

        Attempt i+1 of a cell then starts when every open cell has started its i-th, and all calls
        are made by threads of the process that runs the grid. Return True if an attempt costs
        money or waits for a service.
        """
        return False

    @property
    def default_attempts(self) -> int:
        """How many proposals a run requests unless the user gives a number."""
        return 5

    @property
    def identity(self) -> str:
        """The settings, besides rows and seed, that decide proposals; fixed when resuming."""
        return self.name

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Yield proposals until there are no more, without the first ``start``.

        A resumed run has those on disk already and must not pay for them again. A subclass
        overrides this method or `propose_in`.
        """
        proposals = self.propose_in(train, classes, seed=seed, context=Context())
        return islice(proposals, start, None)

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield the proposals that a run has not read yet.

        The loop calls this method. Override it instead of `propose` if proposals depend on the
        ``context``: on recorded turns, the scheduler, or mistakes on the training rows.
        """
        return self.propose(train, classes, seed=seed, start=context.start)

    def training_rows(self, train: Examples) -> Examples:
        """Return the training rows as they are passed to `propose_in`."""
        return resampled(train) if self.free and not self.weighted else train

    def plan_attempts(self, requested: int | None) -> int:
        """Return the number of attempts K that a run plans, given the number requested by the user.

        Raise ConfigurationError if the proposer cannot make that many.
        """
        return self.default_attempts if requested is None else requested

    def open(self, turns: Iterable[Mapping[str, Any]]) -> None:  # noqa: B027 - a default
        """Prepare for a run; ``turns`` are the model turns that an earlier part of it recorded."""

    def stop(self, context: Context) -> bool:
        """Start no further proposal; return whether those in progress should still be read."""
        context.stopping.set()
        return False

    def spending(
        self, proposals: Iterable[Proposal], turns: Iterable[Mapping[str, Any]]
    ) -> Spending:
        """Return the tokens and US dollars spent on a cell; the cost is None if unknown."""
        del turns  # of a proposer that calls models
        if self.free:
            return Spending()
        return Spending(cost_usd=total_cost(proposal.cost_usd for proposal in proposals))

    def portable(self) -> "Proposer":
        """Return an equivalent proposer that needs no files of this machine."""
        return self

    def close(self) -> None:  # noqa: B027 - a default
        """Release the proposer's processes and connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _delegated(name: str) -> Any:
    return property(attrgetter(f"proposer.{name}"))


class WrappedProposer(Proposer):
    """Base class of proposers that run another one; whatever they do not override is its own."""

    proposer: Proposer

    name = _delegated("name")
    columns = _delegated("columns")
    free = _delegated("free")
    about = _delegated("about")
    weighted = _delegated("weighted")
    interleaved = _delegated("interleaved")
    default_attempts = _delegated("default_attempts")
    identity = _delegated("identity")
    training_rows = _delegated("training_rows")
    open = _delegated("open")
    stop = _delegated("stop")
    spending = _delegated("spending")
    close = _delegated("close")
