"""Run programs in the sandbox and compare their predictions with the labels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.metrics import ACCURACY, Metric
from llm_pv.erm.scoring import Score, score_predictions
from llm_pv.programs.program import Program
from llm_pv.proposers.base import Mistake
from llm_pv.sandbox import Batch, Execution, Outcome, Sandbox

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
