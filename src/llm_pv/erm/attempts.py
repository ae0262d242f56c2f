"""One attempt: a proposal, its program, and the result of verification; their records."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.erm.scoring import Score
from llm_pv.errors import RunError
from llm_pv.models.base import Usage
from llm_pv.models.credentials import REDACTED
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_programs
from llm_pv.proposers.base import Proposal, Rival
from llm_pv.runs.cells import CellLog
from llm_pv.runs.journal import Record
from llm_pv.sandbox import Outcome

KEY_IN_PROGRAM = "the program contained fragments of the API key, and an altered one is not run"


@dataclass(frozen=True)
class Attempt:
    """One proposal, verified."""

    number: int
    "Its position in the order of proposals, from 1."
    proposal: Proposal
    program: Program | None = None
    "The program in the reply, None if there was none."
    position: int = 0
    """The program's number in the order of verification, identical digests counted once; 0 without
    a program."""
    train: Score | None = None
    validation: Score | None = None
    "The scores; None without a program."
    outcome: Outcome | None = None
    "How the run ended; None without a program."
    error: str = ""
    "Why there is no program, or the first error when it ran; empty if there was none."
    seconds: float = 0.0
    "Wall-clock seconds of verification."
    rejected: str = ""
    "Why the verified program cannot be selected; empty if it can."

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sort key of selection: validation loss, then description length, then order."""
        if self.program is None or self.validation is None:
            return (float("inf"), float("inf"), self.number)
        return (self.validation.loss, self.program.bits, self.number)

    @property
    def selectable(self) -> bool:
        """Whether the program answered at least one validation row."""
        return (
            self.program is not None
            and self.validation is not None
            and self.validation.failed < self.validation.rows
            and not self.rejected
        )

    def reject(self, reason: str) -> "Attempt":
        """Return the attempt excluded from selection, with the reason."""
        return replace(self, rejected=reason)

    def record(self) -> dict[str, Any]:
        """Return the attempt as one line of ``results_attempts.jsonl``."""
        program = self.program
        return {
            "kind": "attempt",
            "attempt": self.number,
            "prompt_digest": self.proposal.prompt_digest,
            "program": program.source if program else "",
            "digest": program.digest if program else "",
            "bits": program.bits if program else None,
            "position": self.position,
            **_score_columns("train", self.train),
            **_score_columns("validation", self.validation),
            "validation_loss": self.validation.loss if self.validation else None,
            "test_accuracy": None,
            "outcome": str(self.outcome) if self.outcome else "",
            "error": self.error,
            "note": self.proposal.note,
            "origin": self.proposal.origin,
            "proposer": self.proposal.proposer,
            "input_tokens": self.proposal.usage.input_tokens,
            "output_tokens": self.proposal.usage.output_tokens,
            "reasoning_tokens": self.proposal.usage.reasoning_tokens,
            "cached_tokens": self.proposal.usage.cached_tokens,
            "tool_calls": self.proposal.tool_calls,
            "cost_usd": self.proposal.cost_usd,
            "proposal_seconds": round(self.proposal.seconds, 6),
            "verify_seconds": round(self.seconds, 6),
        }


def attempt_from_record(
    record: Mapping[str, Any], proposal: Proposal, train_rows: int, validation_rows: int
) -> Attempt:
    """Return a recorded attempt, so that a resumed run need not verify it again.

    Raise RunError if this version did not write the record for these rows.
    """
    try:
        return _rebuilt(record, proposal, train_rows, validation_rows)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"results_attempts.jsonl: the record of attempt {record.get('attempt')!r} of "
            f"{record.get('function')!r} is damaged or of another version ({error!r}); "
            "restore the file or start a new run"
        ) from error


def _rebuilt(
    record: Mapping[str, Any], proposal: Proposal, train_rows: int, validation_rows: int
) -> Attempt:
    program = Program.parse(record["program"]) if record["program"] else None
    if program is not None and program.digest != record["digest"]:
        raise ValueError("the program is not the one that was verified")
    return Attempt(
        number=record["attempt"],
        proposal=proposal,
        program=program,
        position=record["position"],
        train=_score_of(record, "train", train_rows),
        validation=_score_of(record, "validation", validation_rows),
        outcome=Outcome(record["outcome"]) if record["outcome"] else None,
        error=record["error"],
        seconds=record["verify_seconds"],
    )


def programs_of(
    proposals: Sequence[Proposal], *, deadline: float = math.inf
) -> list[tuple[Program | None, str]]:
    """Return the program of each reply, or the reason why there is none.

    The list ends before the first reply that is not read by the deadline of `time.monotonic`.
    """
    texts = [one.text for one in proposals if not one.failure]
    read = iter(read_programs(texts, deadline=deadline))
    found: list[tuple[Program | None, str]] = []
    for proposal in proposals:
        answer = proposal.failure or next(read, None)
        if answer is None:
            break
        if not isinstance(answer, Program):
            altered = proposal.redacted and not proposal.failure
            found.append((None, KEY_IN_PROGRAM if altered else str(answer)))
        elif proposal.redacted and REDACTED in answer.source:
            found.append((None, KEY_IN_PROGRAM))
        else:
            found.append((answer, ""))
    return found


def _score_columns(split: str, score: Score | None) -> dict[str, Any]:
    return {
        f"{split}_accuracy": score.accuracy if score else None,
        f"{split}_errors": score.errors if score else None,
        f"{split}_failed": score.failed if score else None,
        f"{split}_balanced_accuracy": score.balanced_accuracy if score else None,
    }


def _score_of(record: Mapping[str, Any], split: str, rows: int) -> Score | None:
    if record[f"{split}_errors"] is None:
        return None
    errors, failed = int(record[f"{split}_errors"]), int(record[f"{split}_failed"])
    if not 0 <= failed <= errors <= rows:
        raise ValueError(f"{errors} {split} errors and {failed} failures on {rows} rows")
    loss = record.get(f"{split}_loss")  # older records rank by errors
    balanced = float(record[f"{split}_balanced_accuracy"])
    return Score(rows, errors, failed, balanced, float(errors if loss is None else loss))


class History:
    """Reads the recorded replies and attempts of a cell, and appends new ones before use."""

    def __init__(self, log: CellLog, splits: Splits) -> None:
        self._log = log
        self._rows = len(splits.train), len(splits.validation)

    def attempts(self) -> list[Attempt]:
        """Return the attempts on disk, each with its reply.

        Raise RunError if attempts and replies do not match, or a record is damaged.
        """
        records = [record for record in self._log.attempts if record.get("kind") == "attempt"]
        numbers = [record.get("attempt") for record in records]
        replies = self._log.replies
        if numbers != list(range(1, len(records) + 1)) or len(records) > len(replies):
            raise RunError(
                "results_attempts.jsonl and replies.jsonl do not belong together: "
                f"attempts {numbers[:5]}... and {len(replies)} replies of "
                f"{self._log.cell.slug}; restore the files or start a new run"
            )
        return [
            attempt_from_record(record, _proposal_of(reply, number), *self._rows)
            for number, (record, reply) in enumerate(zip(records, replies, strict=False), 1)
        ]

    def proposals(self, request: Callable[[], Iterator[Proposal]]) -> Iterator[Proposal]:
        """Yield recorded replies without an attempt, then new ones, each written before it is used.

        A finished cell yields nothing.
        """
        if self._log.selected is not None:
            return
        first = 1 + sum(record.get("kind") == "attempt" for record in self._log.attempts)
        for number, reply in enumerate(self._log.replies[first - 1 :], first):
            yield _proposal_of(reply, number)
        for proposal in request():
            self._log.append_reply(
                {"attempt": len(self._log.replies) + 1}
                | asdict(proposal)
                | {"seconds": round(proposal.seconds, 6)}
            )
            yield proposal

    def record(self, attempts: Iterable[Attempt]) -> Iterator[Attempt]:
        """Yield attempts, each written to disk before it is used."""
        for attempt in attempts:
            self._log.append_attempt(attempt.record())
            yield attempt

    def append_unanswered(self, number: int, reason: str) -> None:
        """Record that an attempt gave no reply."""
        self._log.append_attempt({"kind": "unanswered", "attempt": number, "error": reason})

    def append_rejection(self, number: int, reason: str) -> None:
        """Record, once, that an attempt cannot be selected."""
        record = {"kind": "rejected", "attempt": number, "error": reason}
        if not any(old.items() >= record.items() for old in self._log.attempts):
            self._log.append_attempt(record)


_ALWAYS = ("text", "seconds", "cost_usd", "prompt_digest", "capped", "note")
_LATER = ("origin", "tool_calls", "failure", "fallback", "redacted", "proposer")
"""The keys of every reply, and those that early versions did not write."""


def _proposal_of(reply: Record, number: int) -> Proposal:
    try:
        if reply["attempt"] != number:
            raise ValueError(f"it is the reply of attempt {reply['attempt']}")
        return Proposal(
            **{name: reply[name] for name in _ALWAYS},
            **{name: reply[name] for name in _LATER if name in reply},
            usage=Usage(**reply.get("usage", {})),
            rivals=tuple(Rival(**rival) for rival in reply.get("rivals", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"replies.jsonl: reply {number} is damaged or missing ({error!r}); "
            "restore the file or start a new run"
        ) from error
