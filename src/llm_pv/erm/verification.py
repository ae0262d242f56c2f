"""Run programs in the sandbox, several in parallel, and compare their predictions with labels."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.attempts import Attempt, programs_of
from llm_pv.erm.metrics import ACCURACY, Metric
from llm_pv.erm.row_independence import NOT_ANSWERED, row_dependence
from llm_pv.erm.scoring import Score, score_predictions
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Mistake, Proposal
from llm_pv.sandbox import Batch, Execution, Outcome, Sandbox
from llm_pv.telemetry import span

NOT_A_CLASS = "gave an answer that is none of the classes"


@dataclass(frozen=True)
class Verification:
    """The result of verifying one program."""

    train: Score
    validation: Score
    "The scores on the two splits."
    outcome: Outcome
    error: str
    "Why the run ended early, or the first error of a row; empty if there was none."
    seconds: float
    "Wall-clock seconds in the sandbox."


def read_predictions(execution: Execution, classes: Classes) -> list[str | None]:
    """Return the predictions, None for a row without one or with a text that is not a class."""
    known = frozenset(classes.texts)
    return [text if text in known else None for text in execution.predictions]


def first_error(execution: Execution, classes: Classes | None) -> str:
    """Return the first error in one line, empty if none; without classes any text is valid."""
    if execution.reason:
        return f"{execution.outcome}: {execution.reason}"
    if execution.errors:
        return execution.errors[min(execution.errors)]
    if classes is None:
        return ""
    strange = next(
        (text for text in execution.predictions if text is not None and text not in classes.texts),
        None,
    )
    if strange is not None:
        return f"{NOT_A_CLASS}: {strange[:40]!r}, not one of {', '.join(classes.texts[:8])}"
    return ""


def verification_inputs(splits: Splits) -> Batch:
    """Return the inputs of verification as a batch for many runs.

    Validation inputs come first, so that a program that runs out of time is scored on them.
    """
    return Batch([*splits.validation.inputs, *splits.train.inputs])


def verify_programs(
    programs: Sequence[Program],
    splits: Splits,
    inputs: Batch,
    sandbox: Sandbox,
    *,
    metric: Metric = ACCURACY,
    deadline: float = math.inf,
) -> Iterator[Verification]:
    """Run each program on the validation and training inputs; labels stay outside."""
    validation, train = splits.validation, splits.train
    sources = [program.source for program in programs]
    for execution in sandbox.predict_many(sources, inputs, deadline=deadline):
        predictions = read_predictions(execution, splits.classes)
        yield Verification(
            train=score_predictions(
                predictions[len(validation) :],
                train.labels,
                metric=metric,
                weights=train.weights,
            ),
            validation=score_predictions(
                predictions[: len(validation)],
                validation.labels,
                metric=metric,
                weights=validation.weights,
            ),
            outcome=execution.outcome,
            error=first_error(execution, splits.classes),
            seconds=execution.wall_seconds,
        )


_MOST_LOCATED = 3
"""The most different errors located in one program; each needs a run."""


def training_mistakes(
    source: str, train: Examples, classes: Classes, sandbox: Sandbox
) -> list[Mistake]:
    """Return the training rows a program gets wrong, for a model that may try again."""
    execution = sandbox.predict(source, train.inputs)
    predictions = read_predictions(execution, classes)
    located = _located(source, train, execution, sandbox)
    mistakes = []
    for row, (item, label, guess) in enumerate(
        zip(train.inputs, train.labels, predictions, strict=True)
    ):
        if guess != label:
            raw = execution.predictions[row]
            error = execution.errors.get(row) or execution.reason or "an error"
            got = raw if raw is not None else located.get(error, error)
            mistakes.append(Mistake(item, label, got, failed=guess is None))
    return mistakes


def _located(
    source: str, train: Examples, execution: Execution, sandbox: Sandbox
) -> dict[str, str]:
    """Return the first few different errors of rows, with their line in the program.

    Errors during loading include the line, so the row is run as part of loading.
    """
    first_rows: dict[str, int] = {}
    for row, error in execution.errors.items():
        first_rows.setdefault(error, row)
    located = {}
    for error, row in list(first_rows.items())[:_MOST_LOCATED]:
        again = sandbox.predict(
            f"{source}\nf({train.inputs[row]!r})\n", train.inputs[row : row + 1]
        )
        if again.reason.startswith(error):
            located[error] = again.reason
    return located


_LEAST_AHEAD = 8
"""The most free programs verified together, unless the sandbox has more workers."""


class Verifier:
    """Verifies the proposals of one cell; a program with a known digest is not run again.

    Parameters
    ----------
    seconds
        The cap on the time of reading and running programs, to which waiting for proposals does
        not count; None for none.

    Attributes
    ----------
    cut_short
        Whether the cap was reached before every attempt was made.
    """

    def __init__(
        self,
        splits: Splits,
        sandbox: Sandbox,
        *,
        seed: int,
        metric: Metric = ACCURACY,
        seconds: float | None = None,
    ) -> None:
        self.cut_short = False
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        self._splits = splits
        self._sandbox = sandbox
        self._seed = seed
        self._metric = metric
        self._inputs = verification_inputs(splits)
        self._by_digest: dict[str, Attempt] = {}
        self._dependence: dict[str, str] = {}

    def verify(
        self,
        proposals: Iterator[Proposal],
        *,
        after: Sequence[Attempt] = (),
        limit: int,
        ahead: bool,
    ) -> Iterator[Attempt]:
        """Yield an attempt for each proposal until the cap on the time.

        Parameters
        ----------
        after
            Earlier attempts; the first new one has the next number.
        limit
            The number of the last attempt.
        ahead
            Whether proposals are free, so that some may be read ahead and verified together.
        """
        for attempt in after:
            self._remember(attempt)
        number, batch = len(after), 1
        while number < limit:
            left = self._deadline - time.monotonic()
            if left <= 0:
                self.cut_short = True
                return
            taken = list(islice(proposals, min(batch, limit - number)))
            self._deadline = time.monotonic() + left
            if not taken:
                return
            for attempt in self._verify_together(taken, number + 1):
                number = attempt.number
                yield attempt
            if ahead:
                batch = min(2 * batch, max(_LEAST_AHEAD, self._sandbox.ahead))

    def is_perfect(self, attempt: Attempt, *, stop_at: float = 1.0) -> bool:
        """Whether an attempt is good enough to end the search and may be selected."""
        score, weights = attempt.validation, self._splits.validation.weights
        return (
            score is not None
            and (
                score.errors == 0
                or self._metric.share(score.loss, sum(weights) if weights else score.rows)
                >= stop_at
            )
            and not self.row_dependence(attempt)
        )

    def row_dependence(self, attempt: Attempt) -> str:
        """Return why an attempt's answers may depend on other rows, empty if they do not."""
        program = attempt.program
        assert program is not None
        if program.digest not in self._dependence:
            # So that a program can be selected when the time is over, all checks together may take
            # one program's time more.
            more = self._sandbox.limits.cpu_limit(len(self._inputs))
            reason = row_dependence(
                program,
                self._inputs,
                self._sandbox,
                judged=len(self._splits.validation),
                seed=self._seed,
                deadline=self._deadline + more,
            )
            # Without an answer in the time left, nothing speaks against the program.
            self._dependence[program.digest] = "" if reason == NOT_ANSWERED else reason
        return self._dependence[program.digest]

    def _verify_together(self, proposals: list[Proposal], first: int) -> Iterator[Attempt]:
        """Verify a batch; programs seen before, in it or earlier, are not run again.

        At the deadline it ends.
        """
        read = programs_of(proposals, deadline=self._deadline)
        new: dict[str, Program] = {}
        for program, _ in read:
            if program is not None and program.digest not in self._by_digest:
                new.setdefault(program.digest, program)
        verifications = verify_programs(
            list(new.values()),
            self._splits,
            self._inputs,
            self._sandbox,
            metric=self._metric,
            deadline=self._deadline,
        )
        for number, (proposal, (program, error)) in enumerate(
            zip(proposals, read, strict=False), start=first
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
            late = time.monotonic() >= self._deadline
            if late and verification.outcome is Outcome.TIMED_OUT:
                return
            attempt = Attempt(
                number,
                proposal,
                program,
                position=len(self._by_digest) + 1,
                **vars(verification),
            )
            self._remember(attempt)
            yield attempt

    def _remember(self, attempt: Attempt) -> None:
        if attempt.program is not None:
            self._by_digest.setdefault(attempt.program.digest, attempt)
