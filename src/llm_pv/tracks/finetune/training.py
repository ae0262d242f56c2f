"""Training with transformers' Trainer: what it lacks for this track, and no more."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from llm_pv.runs.job_folder import JobFolder
from llm_pv.tracks.finetune import building
from llm_pv.tracks.finetune.batches import CharacterTokens, Sets, Tokenizer
from llm_pv.tracks.finetune.measures import Measures
from llm_pv.tracks.finetune.preparation import Preparation
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.results import Recorder
from llm_pv.tracks.finetune.rows import Rows

if TYPE_CHECKING:
    from transformers import TrainerCallback
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from transformers import (
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from llm_pv.tracks.finetune.batches import as_batch
from llm_pv.tracks.finetune.measures import TrainingEvaluation, finite


def training_arguments(
    job: Job, prepared: Preparation, sets: Sets, folder: JobFolder
) -> TrainingArguments:
    """Return the Trainer's arguments for a job."""
    training, around, fresh = job.training, job.around, sets.recent is not None
    on_cpu = prepared.device == "cpu"
    return TrainingArguments(
        output_dir=str(folder.checkpoints),
        per_device_train_batch_size=prepared.share,
        per_device_eval_batch_size=(
            around.eval_batch_size or prepared.eval_rows(sets.test.longest)
        ),
        # Fresh rows are one long pass, so that row and step number go together.
        num_train_epochs=1 if fresh else training.epochs,
        train_sampling_strategy="sequential" if fresh else "random",
        learning_rate=training.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr": training.final_learning_rate},
        weight_decay=training.weight_decay,
        max_grad_norm=training.clip,
        optim="adamw_torch_fused",
        bf16=prepared.precision == "bf16",
        fp16=prepared.precision == "fp16",
        activation_checkpointing=prepared.load.checkpointing,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and prepared.world.size > 1 else None,
        ddp_find_unused_parameters=False,
        # Classification heads return a mean over rows; this would multiply it by the processes.
        average_tokens_across_devices=False,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        # `MetricsCallback` says when to log, evaluate and save.
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,  # it hides a loss gone wrong, and waits for the GPU at it
        disable_tqdm=True,
        report_to=[around.report_to] if around.report_to in {"wandb", "mlflow"} else "none",
        seed=training.seed,
        data_seed=training.seed,
    )


class MetricsCallback(TrainerCallback):
    """Decides when to log, evaluate and save, and keeps the measures."""

    def __init__(
        self,
        job: Job,
        prepared: Preparation,
        sets: Sets,
        *,
        measures: Measures,
        folder: JobFolder,
        recorder: Recorder,
    ) -> None:
        self.measures = measures
        self.recorder = recorder
        self.stop = False
        self._training = job.training
        self._between_saves = 60.0 * job.around.checkpoint_minutes
        self._sets = sets
        self._world = prepared.world
        self._folder = folder
        self._saved = time.monotonic()
        self._logged = 0

    def on_train_begin(self, *arguments: Any, **_: Any) -> None:
        """Start the clock."""
        state: TrainerState = arguments[1]
        self._logged = state.global_step
        self.measures.start()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Stop the clock: what is tested afterwards is no training."""
        self.measures.stop()

    def on_step_end(self, *arguments: Any, **_: Any) -> TrainerControl:
        """Decide what happens after this step."""
        state: TrainerState
        control: TrainerControl
        _, state, control = arguments
        step, sets = state.global_step, self._sets
        self.recorder.on_step(step)
        last = step == sets.steps
        epoch_ends = step % sets.steps_an_epoch == 0
        control.should_evaluate = last or (
            epoch_ends and step // sets.steps_an_epoch % self._training.evaluate_every == 0
        )
        if sets.recent is not None and control.should_evaluate:
            first = (step - sets.steps_an_epoch) * self._training.batch_size
            sets.recent.first = max(0, first)
        control.should_save = not last and (
            self._due(step, evaluating=control.should_evaluate) or self.stop
        )
        # A checkpoint holds the losses until then, so that a resumed run reports the same.
        control.should_log = epoch_ends or last or control.should_save
        if self.stop and not last:
            control.should_training_stop = True
        return control

    def on_log(self, *arguments: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Add up the losses since the last evaluation; what is logged is a mean over steps."""
        if logs and "loss" in logs:
            state: TrainerState = arguments[1]
            total, count = self.measures.losses
            steps, self._logged = state.global_step - self._logged, state.global_step
            self.measures.losses = (total + steps * logs["loss"], count + steps)

    def on_save(self, *arguments: Any, **_: Any) -> None:
        """Declare the checkpoint complete."""
        if self._world.first:
            state: TrainerState = arguments[1]
            self._folder.complete(state.global_step, self.measures.record())
        self._saved = time.monotonic()

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep an evaluation."""
        total, count = self.measures.losses
        self.measures.losses = (0.0, 0)
        entry = TrainingEvaluation(
            epoch=math.ceil(step / self._sets.steps_an_epoch),
            step=step,
            loss=finite(total / count) if count else None,
            train_loss=finite(metrics["eval_train_loss"]),
            train_accuracy=metrics["eval_train_accuracy"],
            test_loss=finite(metrics["eval_test_loss"]),
            test_accuracy=metrics["eval_test_accuracy"],
            seconds=round(self.measures.elapsed(), 3),
            test_seconds=metrics["eval_test_runtime"],
        )
        self.measures.evaluations.append(entry)
        self.recorder.on_line(entry.text(self._training.epochs))

    def _due(self, step: int, *, evaluating: bool) -> bool:
        """Return whether it is time to save; the answer is the same in all processes."""
        if self._world.size == 1:
            if not self._between_saves:
                return evaluating
            return time.monotonic() - self._saved >= self._between_saves
        if not (evaluating or step % 20 == 0):
            return False
        due = torch.tensor(float(time.monotonic() - self._saved >= self._between_saves))
        if self._between_saves:
            device = "cpu" if torch.distributed.get_backend() == "gloo" else "cuda"
            due = due.to(device)
            torch.distributed.broadcast(due, src=0)
            return bool(due.item())
        return evaluating


class ClassifierTrainer(Trainer):
    """The Trainer with a plain AdamW, and a clock that stops while it evaluates.

    Attributes
    ----------
    watch
        Keeps what is measured.
    predictions
        The classes of the test rows at the last evaluation; None before the first.
    latest
        The classes of the rows evaluated last.
    """

    watch: MetricsCallback
    predictions: "np.ndarray[Any, Any] | None" = None
    latest: "np.ndarray[Any, Any] | None" = None

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Decay every parameter, as ``torch.optim.AdamW`` does and the published code did."""
        return [name for name, _ in model.named_parameters()]

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Evaluate on training and test rows with the clock stopped."""
        if metric_key_prefix != "eval":
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        with self.watch.measures.paused():
            metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
            self.watch.evaluated(self.state.global_step, metrics)
        self.predictions = self.latest  # the test rows come last
        return metrics


def make_trainer(
    model: nn.Module,
    arguments: TrainingArguments,
    watch: MetricsCallback,
    sets: Sets,
    callbacks: list[TrainerCallback],
) -> ClassifierTrainer:
    """Return a trainer that evaluates on training and test rows, in this order."""
    evaluated: dict[str, Any] = {"train": sets.recent or sets.train, "test": sets.test}
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # a process drives one GPU; several are torchrun's business
    collate: Callable[[list[Any]], dict[str, Any]] = as_batch
    trainer: ClassifierTrainer

    def measured(outcome: EvalPrediction) -> dict[str, float]:
        gathered: Any = outcome.predictions
        classes, losses = gathered
        trainer.latest = np.asarray(classes)
        return {
            "accuracy": float(np.mean(trainer.latest == outcome.label_ids)),
            # Takes the place of the Trainer's own, which weights the processes' last batches alike
            # although one of them may hold fewer rows.
            "loss": float(np.mean(losses, dtype=np.float64)),
        }

    trainer = ClassifierTrainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=sets.train,
        eval_dataset=evaluated,
        compute_metrics=measured,
        preprocess_logits_for_metrics=_classes_and_losses,
        callbacks=callbacks,
    )
    trainer.watch = watch
    trainer.remove_callback(PrinterCallback)
    return trainer


def tensorboard_callback(folder: JobFolder) -> TrainerCallback:
    """Return a callback that writes TensorBoard's events into a folder of the job."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import integration_utils

    make_writer: Callable[..., Any] = SummaryWriter
    make_callback: Callable[..., TrainerCallback] = integration_utils.TensorBoardCallback
    return make_callback(make_writer(log_dir=str(folder.tensorboard)))


def _classes_and_losses(logits: Any, labels: torch.Tensor) -> Any:
    """Return the class and the loss of each row; logits of all rows would be gathered for nothing.

    What is gathered row by row is counted row by row: rows that fill up a process's last batch
    are dropped, and no batch weighs more than its rows.
    """
    scores = logits[0] if isinstance(logits, tuple) else logits
    losses = nn.functional.cross_entropy(scores.float(), labels, reduction="none")
    return scores.argmax(dim=-1), losses


@dataclass(frozen=True)
class Assembly:
    """Everything a job trains with."""

    trainer: ClassifierTrainer
    "The trainer; its ``watch`` has the measures."
    tokens: Tokenizer
    sets: Sets
    "The rows, and how many steps they take."
    checkpoint: Path | None
    "The checkpoint to resume from; None to start from scratch."

    @property
    def done(self) -> int:
        """Steps an earlier run of the job has done."""
        return 0 if self.checkpoint is None else int(self.checkpoint.name.rpartition("-")[2])

    @property
    def parameters(self) -> tuple[int, int]:
        """The model's parameters, and those of them that are trained."""
        parameters = list(self.trainer.model.parameters()) if self.trainer.model else []
        counts = [(p.numel(), p.numel() if p.requires_grad else 0) for p in parameters]
        return sum(count for count, _ in counts), sum(count for _, count in counts)


def assemble(
    job: Job, prepared: Preparation, rows: Rows, folder: JobFolder, recorder: Recorder
) -> Assembly:
    """Build the model and everything it is trained with.

    Raise ConfigurationError if the model cannot be built, or a row has more tokens than it has
    positions.
    """
    model, tokens = _model(job, prepared, rows)
    if job.training.compile:
        model.compile()  # in place: the Trainer's own option leaves evaluation as it was
    sets = Sets.of(job, rows, tokens, prepared.positions)
    found = folder.last_checkpoint()
    measures = Measures() if found is None else Measures.of_record(found[1])
    watch = MetricsCallback(
        job, prepared, sets, measures=measures, folder=folder, recorder=recorder
    )
    callbacks: list[TrainerCallback] = [watch]
    if prepared.world.first and job.around.report_to == "tensorboard":
        callbacks.append(tensorboard_callback(folder))
    arguments = training_arguments(job, prepared, sets, folder)
    trainer = make_trainer(model, arguments, watch, sets, callbacks)
    return Assembly(trainer, tokens, sets, None if found is None else found[0])


def _model(job: Job, prepared: Preparation, rows: Rows) -> tuple[nn.Module, Tokenizer]:
    found, classes, seed = prepared.architecture, len(rows.classes), job.training.seed
    if found.pretrained:
        model, own_tokens = building.pretrained(
            found.pretrained, classes=classes, seed=seed, spaced=job.model.spaced
        )
        return building.choose_parameters(model, job.model), own_tokens
    texts = (str(text) for text in rows.train.inputs)
    tokens = CharacterTokens.of(texts, rows.alphabet, job.model.vocab_size)
    assert prepared.positions is not None
    model = building.from_scratch(
        found.config, tokens, classes=classes, positions=prepared.positions, seed=seed
    )
    return building.choose_parameters(model, job.model), tokens
