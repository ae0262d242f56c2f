"""Read a cell's records: a resumed run treats them as just proposed and verified."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from llm_pv.data.examples import Splits
from llm_pv.erm.attempts import Attempt, attempt_from_record
from llm_pv.errors import RunError
from llm_pv.models.base import Usage
from llm_pv.proposers.base import Proposal, Rival
from llm_pv.runs.cells import CellLog
from llm_pv.runs.journal import Record


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
        if any(record.get("kind") == "selected" for record in self._log.attempts):
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
