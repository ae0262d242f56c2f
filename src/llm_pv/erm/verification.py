"""Running programs in the sandbox and holding what comes out against the labels."""

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
    """What verification found of one program.

    Parameters
    ----------
    train, validation
        The scores on the two splits.
    outcome
        How the run ended.
    error
        Why the run ended early, or the first error of a row; empty if all went well.
    seconds
        Wall-clock seconds in the sandbox.
    """

    train: Score
    validation: Score
    outcome: Outcome
    error: str
    seconds: float


def read_predictions(execution: Execution, classes: Classes) -> list[str | None]:
    """Return the predictions, None where a row has none or its text is no class."""
    known = frozenset(classes.texts)
    return [text if text in known else None for text in execution.predictions]


def first_error(execution: Execution, classes: Classes | None) -> str:
    """Return one line on what went wrong, empty if nothing; without classes any text will do."""
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
    """Return the inputs programs are verified on, made ready for many runs.

    Validation inputs come first, so that a program which runs out of time is judged on them.
    """
    return Batch([*splits.validation.inputs, *splits.train.inputs])


def verify_programs(
    programs: Sequence[Program],
    splits: Splits,
    inputs: Batch,
    sandbox: Sandbox,
    *,
    metric: Metric = ACCURACY,
) -> Iterator[Verification]:
    """Run each program on the validation and training inputs; labels stay outside.

    Parameters
    ----------
    programs
        The programs, each run in a process of its own.
    splits
        Where the labels are.
    inputs
        What `verification_inputs` made of the splits.
    sandbox
        Runs the programs.
    metric
        What the scores' loss is.
    """
    validation, train = splits.validation, splits.train
    sources = [program.source for program in programs]
    for execution in sandbox.predict_many(sources, inputs):
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


def training_mistakes(
    source: str, train: Examples, classes: Classes, sandbox: Sandbox
) -> list[Mistake]:
    """Return the training rows a program gets wrong, for a model that may try again.

    Parameters
    ----------
    source
        The program.
    train
        The training rows; no others are at hand here.
    classes
        The labels a program may answer with.
    sandbox
        Runs the program.
    """
    execution = sandbox.predict(source, train.inputs)
    predictions = read_predictions(execution, classes)
    mistakes = []
    for row, (item, label, guess) in enumerate(
        zip(train.inputs, train.labels, predictions, strict=True)
    ):
        if guess != label:
            raw = execution.predictions[row]
            got = raw if raw is not None else execution.errors.get(row) or execution.reason
            mistakes.append(Mistake(item, label, got or "no answer"))
    return mistakes
