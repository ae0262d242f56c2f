"""From a prepared job to a trainer: model, tokenised rows, plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from llm_pv.runs.job_folder import JobFolder
from llm_pv.tracks.finetune import building
from llm_pv.tracks.finetune.batches import Sets
from llm_pv.tracks.finetune.measures import Measures
from llm_pv.tracks.finetune.preparation import Preparation
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.results import Recorder
from llm_pv.tracks.finetune.rows import Rows
from llm_pv.tracks.finetune.tokens import CharacterTokens, Tokenizer
from llm_pv.tracks.finetune.training import (
    ClassifierTrainer,
    MetricsCallback,
    make_trainer,
    tensorboard_callback,
    training_arguments,
)

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True)
class Assembly:
    """Everything a job trains with."""

    trainer: ClassifierTrainer
    "The trainer; its ``watch`` has the measures."
    tokens: Tokenizer
    sets: Sets
    "The rows, and how many steps they take."
    checkpoint: Path | None
    "Where it goes on from; None from the start."

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
