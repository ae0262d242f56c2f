"""What a grid needs of other machines that do whole trials for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_pv.data.examples import Splits
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.selection import Plan
from llm_pv.proposers.base import Proposer
from llm_pv.runs.remote_records import Known, Message
from llm_pv.tracks.grid import GridRequest, Trial


@dataclass(frozen=True)
class Work:
    """What all trials of a grid share, sent to other machines once.

    Parameters
    ----------
    request, plan, proposer
        What was asked for.
    transfer
        Whether selected programs are scored on other data too.
    """

    request: GridRequest
    plan: Plan
    proposer: Proposer
    transfer: bool


@dataclass(frozen=True)
class Parcel:
    """Some of what a trial on another machine has come to.

    Parameters
    ----------
    messages
        What is to be written down.
    attempts
        The attempts that were verified meanwhile.
    """

    messages: Sequence[Message] = ()
    attempts: Sequence[Attempt] = ()


class Elsewhere(Protocol):
    """Machines that do trials."""

    @property
    def at_once(self) -> int:
        """How many trials may be handed over at the same time."""
        ...

    def take(self, work: Work) -> None:
        """Take what all trials share, before the first of them."""
        ...

    def do(
        self, trial: Trial, splits: Splits | None, known: Callable[[], Known]
    ) -> Iterator[Parcel]:
        """Do a trial and yield what it comes to; the first parcel tells that it has begun.

        Parameters
        ----------
        trial
            The trial.
        splits
            Its rows, where they cannot be drawn elsewhere.
        known
            Returns what is known of its cell; asked again when a machine is lost and the trial is
            gone on with on another.

        Raises
        ------
        LLMPVError
            The error that ended the trial.
        """
        ...

    def close(self) -> None:
        """End every trial under way."""
        ...
