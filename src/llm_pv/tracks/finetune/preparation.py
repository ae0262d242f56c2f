"""A job checked before torch is imported: sizes, device, packages, memory."""

from dataclasses import dataclass, replace
from typing import Any

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.finetune import memory
from llm_pv.tracks.finetune.architectures import Architecture, Config
from llm_pv.tracks.finetune.process_group import (
    ProcessGroup,
    choose_device,
    choose_precision,
    free_on,
    fully_sharded,
    require_packages,
)
from llm_pv.tracks.finetune.request import Job, ModelRequest, Precision
from llm_pv.tracks.finetune.rows import Rows

_BEGINNING = 1
_MOST_CHARACTERS = 256  # a vocabulary's share of memory, before the rows have been read
# A GPU wants much to do at once, a CPU what stays in its cache.
_EVAL_TOKENS = {"cpu": 2_048, "cuda": 32_768}
_EVAL_ROWS = 1_024


@dataclass(frozen=True)
class Preparation:
    """What is settled about a job before anything is built."""

    world: ProcessGroup
    "The processes."
    architecture: Architecture
    "The model, its configuration known."
    device: str
    precision: Precision
    "Where and how it computes."
    options: dict[str, Any]
    "Everything that decides the results, as plain JSON values."
    rows: Rows | None
    "The rows, where they had to be read already."
    share: int
    "Rows a process has in a step."
    positions: int | None
    "Positions of the model; None where a pretrained one does not say."
    load: memory.Load
    "What a step takes in memory."

    def eval_rows(self, longest: int) -> int:
        """Return how many rows a process evaluates at once."""
        return max(self.share, min(_EVAL_ROWS, _EVAL_TOKENS[self.device] // max(1, longest)))


def prepare(job: Job, world: ProcessGroup) -> Preparation:
    """Check a job as far as that goes without torch.

    Raise ConfigurationError if options do not go together, the device is not there, or the model
    does not fit. Raise MissingExtraError if a package is missing.
    """
    found = job.model.architecture()
    share = world.share(job.training.batch_size)
    require_packages(job.around.report_to, adapters=job.model.lora_rank is not None)
    device = choose_device(job.around.device)
    precision = choose_precision(job.training.precision, device)
    if found.pretrained and not found.config:
        found = replace(found, config=_hub_config(found.pretrained))
    longest, rows, classes = job.rows.longest, None, 2
    if longest is None:
        rows = job.rows.load(job.training.batch_size)
        longest, classes = rows.longest, len(rows.classes)
    positions = _positions(job.model, found, longest + _BEGINNING)
    load = _load(job, found, precision, share * (longest + _BEGINNING), classes)
    if fully_sharded():
        load = replace(
            load, parameters=load.parameters // world.size, trained=load.trained // world.size
        )
    return Preparation(
        world=world,
        architecture=found,
        device=device,
        precision=precision,
        options=job.options() | {"precision": precision},
        rows=rows,
        share=share,
        positions=positions,
        load=memory.fitted(
            load,
            free_on(device, world),
            name=found.name,
            device="this machine" if device == "cpu" else "this GPU",
            checkpointing=job.training.checkpointing,
        ),
    )


def _hub_config(name: str) -> Config:
    from transformers import AutoConfig

    from llm_pv.models.hub import from_pretrained

    config: Config = from_pretrained(AutoConfig, name).to_dict()
    return config


def _positions(model: ModelRequest, found: Architecture, tokens: int) -> int | None:
    if found.pretrained:
        return found.positions
    positions = model.context_length or tokens
    if positions < tokens:
        raise ConfigurationError(
            f"the longest input has {tokens:,} tokens with the one that begins it, and "
            f"--context-length is {positions:,}: give --context-length {tokens} or shorter inputs"
        )
    return positions


def _load(
    job: Job, found: Architecture, precision: Precision, tokens: int, classes: int
) -> memory.Load:
    config, rank = found.config, job.model.lora_rank
    vocabulary = job.model.vocab_size or _MOST_CHARACTERS
    if found.pretrained:
        vocabulary = int(config.get("vocab_size") or vocabulary)
    size = memory.decoder_size(config, vocabulary, classes)
    if size is not None:
        parameters = size.total
        trained = size.trained(job.model.layers)
        if rank is not None:
            trained = memory.adapter_parameters(config, rank, classes)
            parameters += trained
    else:
        from llm_pv.tracks.finetune.building import count_parameters

        parameters = trained = count_parameters(
            config, vocabulary=vocabulary, classes=classes, positions=tokens
        )
    return memory.decoder_load(
        config,
        parameters=parameters,
        trained=trained,
        trained_layers=job.model.layers,
        tokens=tokens,
        half=precision != "fp32",
    )
