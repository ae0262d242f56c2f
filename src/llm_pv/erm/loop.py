"""The loop of the method: propose, verify, record, stop, select, certify.

Source: LLM Priors for ERM over Programs, arXiv 2510.14331. `llm_pv.erm.attempts` reads the records
of a resumed run; `llm_pv.erm.verification` runs, scores and compares programs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from llm_pv.data.examples import Splits
from llm_pv.erm.attempts import Attempt, History
from llm_pv.erm.certificate import (
    Certificate,
    count_answers,
    count_classes,
    mean_of_groups,
)
from llm_pv.erm.selection import Plan, Selection
from llm_pv.erm.verification import Verifier, read_predictions, training_mistakes
from llm_pv.proposers.base import Context, Proposer
from llm_pv.proposers.round_robin import Admission, at_once
from llm_pv.runs.cells import CellLog
from llm_pv.sandbox import Sandbox


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
    """Request proposals, verify each, and keep the one with the fewest validation errors.

    The proposer gets the training examples, once, and nothing about validation. A program without
    a validation error ends the search, except that attempts at a model that have started are still
    verified. The best program is run again in fresh processes; if its answers depend on the other
    rows, the next best is tried.

    Parameters
    ----------
    splits
        The rows; ``splits.test`` is not touched.
    seed
        Passed to the proposer, and used for the orders of the check of row independence.
    log
        Replies and attempts so far; new ones are appended before they are used.
    on_attempt
        Called after each attempt.
    admission
        Schedules attempts that cost something; None starts each immediately.
    """
    history = History(log, splits)
    verifier = Verifier(splits, sandbox, seed=seed, metric=plan.metric, seconds=plan.seconds)
    train, classes = splits.train, splits.classes
    shown = proposer.training_rows(train)
    recorded = history.attempts()
    unanswered: list[str] = []
    warnings: list[str] = []

    def on_failure(number: int, reason: str) -> None:
        unanswered.append(reason)
        history.append_unanswered(number, reason)

    context = Context(
        known=tuple((r.get("proposer", ""), r.get("origin", "")) for r in log.replies),
        attempts=plan.attempts,
        turns=tuple(log.turns),
        write_turns=log.append_turns,
        write_prompt=log.write_prompt,
        write_failure=on_failure,
        warn=warnings.append,
        mistakes=partial(training_mistakes, train=train, classes=classes, sandbox=sandbox),
        admission=admission or at_once(),
        early_stop=plan.early_stop,
    )

    # Nothing is requested before the recorded replies are used up: requests may cost money.
    proposals = history.proposals(
        lambda: proposer.propose_in(shown, classes, seed=seed, context=context)
    )
    verified = verifier.verify(proposals, after=recorded, limit=plan.attempts, ahead=proposer.free)
    attempts: list[Attempt] = []
    for attempt in chain(recorded, history.record(verified)):
        attempts.append(attempt)
        if on_attempt is not None:
            on_attempt(attempt)
        done = plan.early_stop and verifier.is_perfect(attempt, stop_at=plan.stop_at)
        if done and not context.stopping.is_set() and not proposer.stop(context):
            break
    if verifier.cut_short:
        proposer.stop(context)

    selected = _first_row_independent(attempts, verifier, history)
    predictions = _validation_predictions(selected, splits, sandbox)
    spending = proposer.spending((attempt.proposal for attempt in attempts), log.turns)
    return Selection(
        attempts=tuple(attempts),
        selected=selected,
        certificate=_certify(selected, attempts, plan, splits, predictions),
        unanswered=tuple(unanswered),
        warnings=tuple(warnings),
        usage=spending.usage,
        cost_usd=spending.cost_usd,
        possibly_billed=spending.most_possibly_billed,
        predictions=tuple(predictions),
        unverified=verifier.cut_short,
    )


def _first_row_independent(
    attempts: list[Attempt], verifier: Verifier, history: History
) -> Attempt | None:
    """Return the best attempt whose answers depend on no other rows; exclude better ones."""
    for attempt in sorted((a for a in attempts if a.selectable), key=lambda a: a.rank):
        reason = verifier.row_dependence(attempt)
        if not reason:
            return attempt
        attempts[attempt.number - 1] = attempt.reject(reason)
        history.append_rejection(attempt.number, reason)
    return None


def _validation_predictions(
    selected: Attempt | None, splits: Splits, sandbox: Sandbox
) -> list[str | None]:
    """Run the selected program on the validation rows again, for the figures by answer."""
    if selected is None or selected.program is None:
        return []
    execution = sandbox.predict(selected.program.source, splits.validation.inputs)
    return read_predictions(execution, splits.classes)


def _certify(
    selected: Attempt | None,
    attempts: Sequence[Attempt],
    plan: Plan,
    splits: Splits,
    predictions: Sequence[str | None],
) -> Certificate | None:
    """Return the bound of the selected program, None without one."""
    if selected is None or selected.validation is None:
        return None
    validation = splits.validation
    wrong = [guess != label for guess, label in zip(predictions, validation.labels, strict=True)]
    return Certificate(
        errors=selected.validation.errors,
        rows=selected.validation.rows,
        planned=plan.first_planned,
        verified=max(attempt.position for attempt in attempts),
        position=selected.position,
        delta=plan.delta,
        repeated=splits.repeated,
        groups=len(set(validation.groups or ())),
        group_error=mean_of_groups(wrong, validation.groups) if validation.groups else None,
        by_time=splits.by_time,
        metric=plan.metric.name,
        classes=count_classes(wrong, validation.labels, validation.groups),
        answers=count_answers(predictions, validation.labels),
    )
