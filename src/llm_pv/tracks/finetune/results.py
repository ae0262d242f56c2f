"""Write the measures of a job: to the terminal, ``metrics.json`` and the summary."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from llm_pv.erm.result import exact_interval
from llm_pv.erm.scoring import majority_label, score_predictions
from llm_pv.runs.executors.base import Emit
from llm_pv.runs.job_folder import JobFolder
from llm_pv.tracks.finetune.measures import LogLine, StepDone, TrainingBegun
from llm_pv.tracks.finetune.preparation import Preparation
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.rows import Rows

if TYPE_CHECKING:
    from llm_pv.tracks.finetune.measures import Measures
    from llm_pv.tracks.finetune.training import Assembly

TRACK = "finetune"

_LAST = (
    "epoch", "step", "loss", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
)  # fmt: skip
"""Figures of the last evaluation that are also recorded at the top level."""


class Recorder:
    """Emits the progress of a job as events, logs it, and keeps ``metrics.json`` up to date.

    Parameters
    ----------
    folder
        The folder of the log; None in all processes but the first.
    """

    def __init__(
        self, job: Job, prepared: Preparation, emit: Emit, folder: JobFolder | None
    ) -> None:
        self._job = job
        self._prepared = prepared
        self._emit = emit
        self._folder = folder
        self._measures: Measures | None = None

    def on_begin(self, assembly: "Assembly") -> None:
        """Log what begins."""
        self._measures = assembly.trainer.watch.measures
        parameters, trained = assembly.parameters
        prepared, steps = self._prepared, assembly.sets.steps
        self.on_line(
            f"{prepared.architecture.name}: {parameters:,} parameters, {trained:,} trained, "
            f"{prepared.precision} on {prepared.device}"
            + (", activations computed again" if prepared.load.checkpointing else "")
            + f"; about {prepared.load.text()}"
        )
        if assembly.done:
            self.on_line(f"going on after step {assembly.done:,} of {steps:,}")
        self._emit(TrainingBegun(self._job.rows.name, steps, assembly.done))

    def on_step(self, step: int) -> None:
        """Emit the number of a finished step."""
        self._emit(StepDone(step))

    def on_line(self, line: str) -> None:
        """Emit and log a line, and write the measures so far."""
        self.log(line)
        if self._folder and self._measures and self._measures.evaluations:
            self._folder.write_metrics(_so_far(self._measures) | {"status": "running"})

    def on_end(self, metrics: dict[str, Any]) -> None:
        """Log the result."""
        if metrics["train_loss"] is None or metrics["test_loss"] is None:
            self.log(
                "warning: the training diverged, its loss is not a number any more: give a smaller "
                "--lr, or a smaller --clip"
            )
        self.log(
            f"test accuracy {metrics['test_accuracy']:.2%} on {metrics['test_rows']:,} rows "
            f"(majority {metrics['majority_accuracy']:.2%})"
        )

    def log(self, line: str) -> None:
        """Emit and log a line; the metrics are final."""
        self._emit(LogLine(line))
        if self._folder is not None:
            self._folder.tell(line)


def metrics_of(job: Job, prepared: Preparation, rows: Rows, assembly: "Assembly") -> dict[str, Any]:
    """Return everything a finished job measured, as plain JSON values."""
    trainer, measures = assembly.trainer, assembly.trainer.watch.measures
    assert trainer.predictions is not None
    score = score_predictions(predicted_labels(trainer.predictions, rows), rows.test.labels)
    majority = majority_label(rows.train.labels or rows.test.labels)
    low, high = exact_interval(score) or (None, None)
    parameters, trained = assembly.parameters
    return {
        **_so_far(measures),
        "status": "done",
        "test_accuracy": score.accuracy,
        "test_balanced_accuracy": score.balanced_accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "majority_accuracy": sum(label == majority for label in rows.test.labels) / len(rows.test),
        **_other_lengths(rows, assembly),
        **_times(job, rows, assembly),
        "parameters": parameters,
        "trained_parameters": trained,
        "device": prepared.device,
        "precision": prepared.precision,
        "processes": prepared.world.size,
        "memory": prepared.load.record(),
    }


def summary_row(job: Job, rows: Rows, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a finished job in the summary that all tracks share."""
    return naming_columns(job) | {
        "train_size": metrics["train_rows"],
        "validation_size": 0,
        "test_size": len(rows.test),
        "accuracy": metrics["test_accuracy"],
        "low": metrics["test_accuracy_low"],
        "high": metrics["test_accuracy_high"],
        "learn_seconds": metrics["learn_seconds"],
        "test_seconds": metrics["test_seconds"],
        "cost_usd": 0.0,
        "majority_accuracy": metrics["majority_accuracy"],
        "status": "done",
    }


def predicted_labels(predictions: npt.NDArray[np.int64], rows: Rows) -> list[str]:
    """Return the label of each test row's predicted class."""
    return [rows.classes.texts[number] for number in predictions.tolist()]


def _so_far(measures: "Measures") -> dict[str, Any]:
    evaluations = measures.record()["evaluations"]
    last = {name: evaluations[-1][name] for name in _LAST}
    fitted = {"seconds_to_train_accuracy_1": measures.seconds_to_fit()}
    return {"status": "", **last, **fitted, "evaluations": evaluations}


def _times(job: Job, rows: Rows, assembly: "Assembly") -> dict[str, Any]:
    measures = assembly.trainer.watch.measures
    learn, test = measures.elapsed(), measures.evaluations[-1].test_seconds
    learned = assembly.sets.steps * job.training.batch_size if rows.fresh else len(rows.train)
    return {
        "train_rows": learned,
        "test_rows": len(rows.test),
        "learn_seconds": round(learn, 3),
        "test_seconds": round(test, 3),
        "learn_seconds_a_sample": learn / learned,
        "test_seconds_a_sample": test / len(rows.test),
    }


def _other_lengths(rows: Rows, assembly: "Assembly") -> dict[str, Any]:
    """Test at the other lengths, if there are any."""
    found = []
    for texts, encoded in zip(rows.longer, assembly.sets.longer, strict=True):
        outcome = assembly.trainer.predict(encoded, metric_key_prefix="test")
        found.append(
            {
                "length": len(texts.inputs[0]),
                "sampler": rows.sampler,
                "rows": len(texts),
                "test_accuracy": (outcome.metrics or {})["test_accuracy"],
            }
        )
    return {"other_length": found[0] if found else None, "other_lengths": found}


def naming_columns(job: Job) -> dict[str, Any]:
    """Return the columns of the summary that a job's row has however it ends."""
    return {
        "track": TRACK,
        "method": job.model.method,
        "model": job.model.name,
        "name": job.rows.name,
        "seed": job.rows.seed,
        "train_size": job.rows.train_size,
    }
