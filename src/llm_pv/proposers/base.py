"""The protocol between the loop and whatever proposes programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from llm_pv.data.examples import Classes, Examples


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
    note
        What the proposer wants recorded with the attempt, such as a search cost in bits.
    """

    text: str
    seconds: float = 0.0
    cost_usd: float | None = None
    note: str = ""


class Proposer(Protocol):
    """Suggests programs from training examples alone.

    A proposer never learns anything of validation: it is handed the training examples once and
    read one proposal at a time, as many as the loop wants. The same arguments give the same
    proposals, unless a time cap cut the work short.
    """

    @property
    def name(self) -> str:
        """The name a run records, such as ``"length-first"``."""
        ...

    @property
    def default_attempts(self) -> int:
        """How many proposals a run asks for unless the user says otherwise."""
        ...

    def propose(self, train: Examples, classes: Classes, seed: int) -> Iterator[Proposal]:
        """Yield proposals, best first, until there are no more."""
        ...
