"""A job checked before torch is imported: sizes, processes, device, packages, memory."""

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm_pv.errors import ConfigurationError, MissingExtraError
from llm_pv.tracks.finetune import memory
from llm_pv.tracks.finetune.architectures import Architecture, Config
from llm_pv.tracks.finetune.memory import free_memory
from llm_pv.tracks.finetune.request import Job, ModelRequest, Precision
from llm_pv.tracks.finetune.rows import Rows

_GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one job, as torchrun and accelerate launch set them."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    "How many of them share this machine."

    @classmethod
    def here(cls) -> "ProcessGroup":
        """Read the environment."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        rank, size, local = (int(os.environ.get(name, default)) for name, default in
                             zip(names, ("0", "1", "1"), strict=True))  # fmt: skip
        return cls(rank, size, local)

    @property
    def first(self) -> bool:
        """Whether this process writes the results."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Return the rows of a step that fall to each process.

        Raise ConfigurationError if they do not divide.
        """
        if batch_size % self.size:
            raise ConfigurationError(
                f"--batch-size {batch_size} does not divide among {self.size} processes; "
                f"give a multiple of {self.size}"
            )
        return batch_size // self.size


def fully_sharded() -> bool:
    """Tell whether accelerate is to share weights and optimizer out among the processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in {"1", "true", "yes"}


def require_packages(report_to: str, *, adapters: bool) -> None:
    """Refuse a job whose packages are not installed, before it begins.

    Raise MissingExtraError if torch, transformers, accelerate, or peft for adapters, is missing.
    Raise ConfigurationError if the package that reports are sent to is missing.
    """
    for package in ("torch", "transformers", "accelerate", *(("peft",) if adapters else ())):
        if find_spec(package) is None:
            raise MissingExtraError(package, "finetune", "train language models")
    if report_to != "none" and find_spec(report_to) is None:
        raise ConfigurationError(
            f"--report-to {report_to}: {report_to} is not installed: pip install {report_to}, "
            "or give --report-to none"
        )


def choose_device(wanted: str) -> str:
    """Return ``cpu`` or ``cuda``, without importing torch where no GPU can be.

    Raise ConfigurationError if CUDA is asked for and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    if wanted.startswith("cuda:"):
        # torch counts the devices once, when it is first asked; so this comes before.
        os.environ["CUDA_VISIBLE_DEVICES"] = wanted.removeprefix("cuda:")
    if any(Path(file).exists() for file in _GPU_FILES):
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if wanted == "auto":
        return "cpu"
    raise ConfigurationError(
        f"--device {wanted}: no CUDA device is to be seen here; give --device cpu"
    )


def choose_precision(wanted: Precision | None, device: str) -> Precision:
    """Return the precision a job runs in.

    Raise ConfigurationError if the device cannot compute so.
    """
    if device == "cpu":
        if wanted == "fp16":
            raise ConfigurationError(
                "--precision fp16 needs a GPU: its loss scaling is made for CUDA; give fp32 or bf16"
            )
        return wanted or "fp32"
    import torch

    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bf16" and not bf16:
        raise ConfigurationError("--precision bf16: this GPU has no bfloat16; give fp16 or fp32")
    return wanted or ("bf16" if bf16 else "fp32")


def free_on(device: str, world: ProcessGroup) -> int:
    """Return the bytes a process may take on its device."""
    if device == "cpu":
        return free_memory() // world.local_size
    import torch

    free, _ = torch.cuda.mem_get_info(int(os.environ.get("LOCAL_RANK", "0")))
    return int(free)


_BEGINNING = 1
_MOST_CHARACTERS = 256  # a vocabulary's share of memory, before the rows have been read
# A GPU wants much to do at once, a CPU what stays in its cache.
_EVAL_TOKENS = {"cpu": 2_048, "cuda": 32_768}
_EVAL_ROWS = 1_024


@dataclass(frozen=True)
class Preparation:
    """The properties of a job that are known before anything is built."""

    world: ProcessGroup
    architecture: Architecture
    device: str
    precision: Precision
    options: dict[str, Any]
    "Everything that decides the results, as plain JSON values."
    rows: Rows | None
    "The rows, where they had to be read already."
    share: int
    "Rows a process has in a step."
    positions: int | None
    "Positions of the model; None where a pretrained one does not say."
    load: memory.Load
    "The memory of one training step."

    def eval_rows(self, longest: int) -> int:
        """Return how many rows a process evaluates at once."""
        return max(self.share, min(_EVAL_ROWS, _EVAL_TOKENS[self.device] // max(1, longest)))


def prepare(job: Job, world: ProcessGroup) -> Preparation:
    """Check a job as far as possible without torch.

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
