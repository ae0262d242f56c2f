"""The protocol between the loop and whatever proposes programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from llm_pv.data.examples import Classes, Examples, Input


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
        Wall-clock seconds the reply took.
    cost_usd
        Its price in US dollars, None where it is not known.
    prompt_digest
        SHA-256 of the prompt that was answered, empty where there was none.
    capped
        Whether a time cap had cut the proposer's work short by then, so that another machine may
        propose something else.
    note
        What the proposer wants recorded with the attempt, such as a search cost in bits.
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
    fallback: bool = False
    rivals: tuple[Rival, ...] = ()


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
