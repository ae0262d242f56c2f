"""The loop of the method: propose, verify, select by validation error, certify.

Source: LLM Priors for ERM over Programs, arXiv 2510.14331.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

from llm_pv.data.examples import Splits
from llm_pv.erm.attempts import Attempt, attempt_from_record, programs_of
from llm_pv.erm.certificate import Certificate
from llm_pv.erm.purity import impurity
from llm_pv.erm.verification import training_mistakes, verification_inputs, verify_programs
from llm_pv.errors import ConfigurationError, RunError
from llm_pv.models.base import NO_USAGE, Usage
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Admission, AtOnce, Context, Proposal, Proposer, Rival
from llm_pv.proposers.llm import LLM
from llm_pv.proposers.turns import spent
from llm_pv.runs.cells import CellLog
from llm_pv.runs.journal import Record
from llm_pv.sandbox import Sandbox
from llm_pv.telemetry import span

_LEAST_AHEAD = 8
"""So many programs that cost nothing are verified at a time, more where more workers wait."""


@dataclass(frozen=True)
class Plan:
    """What is fixed before the first verification.

    Parameters
    ----------
    attempts
        The planned number of attempts K.
    delta
        The probability with which the certificate may fail.
    early_stop
        Whether to stop at the first program without a validation error.
    """

    attempts: int
    delta: float = 0.05
    early_stop: bool = True

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigurationError(f"attempts is {self.attempts}; at least 1 is needed")
        if not 0 < self.delta < 1:
            raise ConfigurationError(f"delta is {self.delta}; give a probability between 0 and 1")


@dataclass(frozen=True)
class Selection:
    """What the loop ends with.

    Parameters
    ----------
    attempts
        Every attempt in order, those barred from selection marked.
    selected
        The attempt with the fewest validation errors, ties to the shorter program, then to the
        earlier; None if no attempt gave a program that may be selected.
    certificate
        The selected program's bound, None with ``selected``.
    unanswered
        Why attempts came to no reply: a failed call, a budget that was used up.
    warnings
        What the proposer wants the user to read.
    usage, cost_usd
        What all calls of models took, those that led to no reply among them; the cost is None
        where a price is not known.
    """

    attempts: tuple[Attempt, ...]
    selected: Attempt | None
    certificate: Certificate | None
    unanswered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usage: Usage = NO_USAGE
    cost_usd: float | None = 0.0


def select_program(
    splits: Splits,
    proposer: Proposer,
    sandbox: Sandbox,
    plan: Plan,
    *,
    seed: int,
    log: CellLog,
    on_attempt: Callable[[Attempt], object] | None = None,
    admission: Admission | None = None,
) -> Selection:
    """Ask for proposals, verify each, and keep the one with the fewest validation errors.

    The proposer is handed the training examples and nothing else, once; what validation says is
    never passed on. A program without a validation error ends the search, except that attempts
    at a model which have begun are still verified. A program whose digest was seen before
    is not run again. The winner is run again in fresh processes (see `impurity`), and an impure
    one makes room for the next.

    Parameters
    ----------
    splits
        The rows; ``splits.test`` is not touched.
    proposer
        Where programs come from.
    sandbox
        Runs them.
    plan
        Attempts, delta and early stop.
    seed
        Passed on to the proposer, and draws the orders of the purity check.
    log
        Replies and attempts so far; new ones are appended before they count.
    on_attempt
        Called with each attempt when it is done.
    admission
        Says when attempts that cost something may begin; None for at once.

    Returns
    -------
    Selection
        The attempts, the selected one and its certificate.
    """
    run = _CellRun(splits, proposer, sandbox, plan, seed=seed, log=log, admission=admission)
    for attempt in run.attempts():
        run.done.append(attempt)
        if on_attempt is not None:
            on_attempt(attempt)
        if plan.early_stop and not run.stopping.is_set() and run.is_perfect(attempt):
            run.stopping.set()
            if not isinstance(proposer, LLM):
                break
    selected = run.best()
    certificate = None
    if selected is not None and selected.validation is not None:
        certificate = Certificate(
            errors=selected.validation.errors,
            rows=selected.validation.rows,
            planned=plan.attempts,
            verified=run.verified,
            position=selected.position,
            delta=plan.delta,
            repeated=splits.repeated,
        )
    usage, cost = run.spending()
    return Selection(
        tuple(run.done),
        selected,
        certificate,
        tuple(run.unanswered),
        tuple(run.warnings),
        usage,
        cost,
    )


class _CellRun:
    """One pass of the loop: what was proposed, what is known of each digest."""

    def __init__(
        self,
        splits: Splits,
        proposer: Proposer,
        sandbox: Sandbox,
        plan: Plan,
        *,
        seed: int,
        log: CellLog,
        admission: Admission | None,
    ) -> None:
        self.splits = splits
        self.proposer = proposer
        self.sandbox = sandbox
        self.plan = plan
        self.seed = seed
        self.log = log
        self.done: list[Attempt] = []
        self.verified = 0
        self.stopping = threading.Event()
        self.unanswered: list[str] = []
        self.warnings: list[str] = []
        self._admission = admission or AtOnce()
        self._inputs = verification_inputs(splits)
        self._by_digest: dict[str, Attempt] = {}
        self._impurity: dict[str, str] = {}

    def attempts(self) -> Iterator[Attempt]:
        """Yield recorded attempts, then new ones, up to the planned number."""
        recorded = self._recorded()
        for attempt in recorded:
            self._remember(attempt)
            yield attempt
        if any(record.get("kind") == "selected" for record in self.log.attempts):
            return  # this cell is finished, and proposes nothing more
        proposals = self._proposals(start=len(recorded))
        number, batch = len(recorded), 1
        while number < self.plan.attempts:
            wanted = min(batch, self.plan.attempts - number)
            taken = list(islice(proposals, wanted))
            if not taken:
                return
            for attempt in self._verify(taken, number + 1):
                self.log.append_attempt(attempt.record())
                yield attempt
            number += len(taken)
            if self.proposer.free:
                batch = min(2 * batch, max(_LEAST_AHEAD, self.sandbox.ahead))

    def spending(self) -> tuple[Usage, float | None]:
        """Return what the calls of models took, and what other proposers charged."""
        if isinstance(self.proposer, LLM):
            return spent(self.log.turns)
        if self.proposer.free:
            return NO_USAGE, 0.0
        costs = [attempt.proposal.cost_usd for attempt in self.done]
        known = [cost for cost in costs if cost is not None]
        return NO_USAGE, sum(known) if len(known) == len(costs) else None

    def is_perfect(self, attempt: Attempt) -> bool:
        """Whether an attempt makes no validation error and may be selected."""
        return (
            attempt.program is not None
            and attempt.validation is not None
            and attempt.validation.errors == 0
            and not self._impurity_of(attempt.program)
        )

    def _recorded(self) -> list[Attempt]:
        """Rebuild the attempts on disk, each with the reply it came from."""
        rows = len(self.splits.train), len(self.splits.validation)
        proposals = [
            _proposal_of(reply, number) for number, reply in enumerate(self.log.replies, 1)
        ]
        records = [record for record in self.log.attempts if record.get("kind") == "attempt"]
        numbers = [record.get("attempt") for record in records]
        if numbers != list(range(1, len(records) + 1)) or len(records) > len(proposals):
            raise RunError(
                "results_attempts.jsonl and replies.jsonl do not belong together: "
                f"attempts {numbers[:5]}... and {len(proposals)} replies of "
                f"{self.log.cell.slug}; restore the files or start a new run"
            )
        return [
            attempt_from_record(record, proposal, *rows)
            for record, proposal in zip(records, proposals, strict=False)
        ]

    def best(self) -> Attempt | None:
        """Return the best attempt that answers each input by itself, barring those that don't."""
        order = sorted(
            (attempt for attempt in self.done if attempt.selectable),
            key=lambda attempt: attempt.rank,
        )
        for attempt in order:
            assert attempt.program is not None
            reason = self._impurity_of(attempt.program)
            if not reason:
                return attempt
            self.done[attempt.number - 1] = attempt.reject(reason)
            self._record_rejection(attempt, reason)
        return None

    def _proposals(self, start: int) -> Iterator[Proposal]:
        """Yield recorded replies from ``start`` on, then new ones, each on disk before use."""
        for number, reply in enumerate(self.log.replies[start:], start + 1):
            yield _proposal_of(reply, number)
        for proposal in self._fresh():
            self.log.append_reply(
                {"attempt": len(self.log.replies) + 1}
                | asdict(proposal)
                | {"seconds": round(proposal.seconds, 6)}
            )
            yield proposal

    def _fresh(self) -> Iterator[Proposal]:
        """Yield proposals that no earlier part of the run has read."""
        train, classes = self.splits.train, self.splits.classes
        if isinstance(self.proposer, LLM):
            return self.proposer.propose(train, classes, seed=self.seed, context=self._context())
        start = len(self.log.replies)
        return self.proposer.propose(train, classes, seed=self.seed, start=start)

    def _context(self) -> Context:
        return Context(
            attempts=self.plan.attempts,
            origins=frozenset(reply.get("origin", "") for reply in self.log.replies),
            turns=tuple(self.log.turns),
            write_turns=self.log.append_turns,
            write_prompt=self.log.write_prompt,
            write_failure=self._record_failure,
            warn=self.warnings.append,
            mistakes=lambda source: training_mistakes(
                source, self.splits.train, self.splits.classes, self.sandbox
            ),
            admission=self._admission,
            stopping=self.stopping,
        )

    def _record_failure(self, number: int, reason: str) -> None:
        self.unanswered.append(reason)
        self.log.append_attempt({"kind": "unanswered", "attempt": number, "error": reason})

    def _verify(self, proposals: list[Proposal], first: int) -> Iterator[Attempt]:
        """Verify a batch; programs seen before, in it or earlier, are not run again."""
        read = programs_of(proposals)
        new: dict[str, Program] = {}
        for program, _ in read:
            if program is not None and program.digest not in self._by_digest:
                new.setdefault(program.digest, program)
        verifications = verify_programs(list(new.values()), self.splits, self._inputs, self.sandbox)
        for number, (proposal, (program, error)) in enumerate(
            zip(proposals, read, strict=True), start=first
        ):
            if program is None:
                yield Attempt(number, proposal, error=error)
                continue
            known = self._by_digest.get(program.digest)
            if known is not None:
                yield replace(known, number=number, proposal=proposal, seconds=0.0)
                continue
            with span("llm_pv.verify", attempt=number) as recording:
                verification = next(verifications)
                recording.note(outcome=str(verification.outcome))
            attempt = Attempt(
                number,
                proposal,
                program,
                position=self.verified + 1,
                train=verification.train,
                validation=verification.validation,
                outcome=verification.outcome,
                error=verification.error,
                seconds=verification.seconds,
            )
            self._remember(attempt)
            yield attempt

    def _remember(self, attempt: Attempt) -> None:
        if attempt.program is not None and attempt.program.digest not in self._by_digest:
            self._by_digest[attempt.program.digest] = attempt
            self.verified += 1

    def _impurity_of(self, program: Program) -> str:
        if program.digest not in self._impurity:
            self._impurity[program.digest] = impurity(
                program,
                self._inputs,
                self.sandbox,
                judged=len(self.splits.validation),
                seed=self.seed,
            )
        return self._impurity[program.digest]

    def _record_rejection(self, attempt: Attempt, reason: str) -> None:
        record = {"kind": "rejected", "attempt": attempt.number, "error": reason}
        if not any(old.items() >= record.items() for old in self.log.attempts):
            self.log.append_attempt(record)


def _proposal_of(reply: Record, number: int) -> Proposal:
    try:
        if reply["attempt"] != number:
            raise ValueError(f"it is the reply of attempt {reply['attempt']}")
        return Proposal(
            text=reply["text"],
            seconds=reply["seconds"],
            cost_usd=reply["cost_usd"],
            prompt_digest=reply["prompt_digest"],
            capped=reply["capped"],
            note=reply["note"],
            origin=reply.get("origin", ""),
            usage=Usage(**reply.get("usage", {})),
            tool_calls=reply.get("tool_calls", 0),
            failure=reply.get("failure", ""),
            fallback=reply.get("fallback", False),
            rivals=tuple(Rival(**rival) for rival in reply.get("rivals", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"replies.jsonl: reply {number} is damaged or missing ({error!r}); "
            "restore the file or start a new run"
        ) from error
