"""One attempt: a proposal, the program in it, and what verification said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_pv.erm.scoring import Score
from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_program
from llm_pv.proposers.base import Proposal

REJECTED = "its answer for an input depends on the other inputs, their order, or chance"


@dataclass(frozen=True)
class Attempt:
    """One proposal, verified.

    Parameters
    ----------
    number
        Its place in the order of proposals, from 1.
    proposal
        The reply, with its cost.
    program
        The program read out of the reply, None if there was none.
    position
        The program's number in the order of verification, identical digests counted once; 0
        without a program.
    train, validation
        The scores; None without a program.
    unreached
        Rows the program ran out of time or memory for.
    error
        Why there is no program, or the first thing that went wrong when it ran; empty if nothing.
    seconds
        Wall-clock seconds of verification.
    rejected
        Why the program cannot be selected although it was verified; empty if it can.
    """

    number: int
    proposal: Proposal
    program: Program | None = None
    position: int = 0
    train: Score | None = None
    validation: Score | None = None
    unreached: int = 0
    error: str = ""
    seconds: float = 0.0
    rejected: str = ""

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sort key of selection: validation errors, then description length, then order."""
        if self.program is None or self.validation is None:
            return (float("inf"), float("inf"), self.number)
        return (self.validation.errors, self.program.bits, self.number)

    def reject(self, reason: str) -> "Attempt":
        """Return the attempt barred from selection."""
        return replace(self, rejected=reason)

    def record(self) -> dict[str, Any]:
        """Return the attempt as one line of ``results_attempts.jsonl``."""
        train, validation, program = self.train, self.validation, self.program
        return {
            "kind": "attempt",
            "attempt": self.number,
            "prompt_digest": self.proposal.prompt_digest,
            "program": program.source if program else "",
            "digest": program.digest if program else "",
            "bits": program.bits if program else None,
            "position": self.position,
            "train_accuracy": train.accuracy if train else None,
            "train_errors": train.errors if train else None,
            "validation_accuracy": validation.accuracy if validation else None,
            "validation_errors": validation.errors if validation else None,
            "validation_failed": validation.failed if validation else None,
            "validation_balanced_accuracy": validation.balanced_accuracy if validation else None,
            "test_accuracy": None,
            "unreached": self.unreached,
            "error": self.error,
            "note": self.proposal.note,
            "cost_usd": self.proposal.cost_usd,
            "proposal_seconds": round(self.proposal.seconds, 6),
            "verify_seconds": round(self.seconds, 6),
        }


def attempt_from_record(
    record: Mapping[str, Any], proposal: Proposal, train_rows: int, validation_rows: int
) -> Attempt:
    """Rebuild a recorded attempt, so that a resumed run need not verify it again."""
    program = Program.parse(record["program"]) if record["program"] else None
    train = validation = None
    if program is not None:
        train = Score(train_rows, record["train_errors"], 0, 0.0)
        validation = Score(
            validation_rows,
            record["validation_errors"],
            record["validation_failed"],
            record["validation_balanced_accuracy"],
        )
    return Attempt(
        number=record["attempt"],
        proposal=proposal,
        program=program,
        position=record["position"],
        train=train,
        validation=validation,
        unreached=record["unreached"],
        error=record["error"],
        seconds=record["verify_seconds"],
    )


def program_of(proposal: Proposal) -> tuple[Program | None, str]:
    """Read the program out of a reply, or say why there is none."""
    try:
        return read_program(proposal.text), ""
    except ProgramError as error:
        return None, str(error)
