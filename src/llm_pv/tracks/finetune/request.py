"""The request of a user: a model, rows, and how it is trained."""

import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llm_pv.errors import ConfigurationError
from llm_pv.models.hub import fingerprint
from llm_pv.tracks.finetune.architectures import Architecture, architecture, resized
from llm_pv.tracks.grid_settings import Sampler

if TYPE_CHECKING:
    from llm_pv.tracks.finetune.rows import RowSource

Precision = Literal["bf16", "fp16", "fp32"]

PRECISIONS = ("bf16", "fp16", "fp32")


@dataclass(frozen=True)
class ModelRequest:
    """Which model is trained, and which part of it."""

    model: str | None = None
    "tiny, qwen0.6B, qwen1.7B, llama3, deepseek, bloom (from scratch); qwen3_finetune, \
llama3_finetune, deepseek_finetune or hf:FOLDER_OR_NAME (pretrained). Default qwen1.7B."
    config_file: Path | None = None
    "A transformers config.json for a model from scratch."
    vocab_size: int | None = None
    "Tokens of a model from scratch; default what the rows need."
    context_length: int | None = None
    "Positions of a model from scratch; default what the rows need."
    n_layer: int | None = None
    "Layers of a model from scratch; default its own."
    n_head: int | None = None
    "Attention heads of a model from scratch; default its own."
    n_embd: int | None = None
    "Width of a model from scratch; default its own."
    layers: int | None = None
    "Train this many top layers, the last norm and the head; default all."
    symbols: Literal["contiguous", "spaced"] = "contiguous"
    "Whether a pretrained model reads a text as it is, or its symbols separated by spaces."
    lora_rank: int | None = None
    "Train low-rank adapters of this rank in place of the weights."

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model or (self.config_file.stem if self.config_file else "qwen1.7B")

    @property
    def spaced(self) -> bool:
        """Whether a pretrained model reads the symbols of a text separated by spaces."""
        return self.symbols == "spaced"

    def architecture(self) -> Architecture:
        """Return the model asked for.

        Raise ConfigurationError if there is none, or an option does not fit it.
        """
        found = architecture(self.name, self.config_file)
        owned = {"vocab_size": "vocabulary", "context_length": "positions",
                 "n_layer": "size", "n_head": "size", "n_embd": "size"}  # fmt: skip
        for name in (*owned, "lora_rank", "layers"):
            size, least = getattr(self, name), int(name != "layers")
            if size is not None and size < least:
                raise ConfigurationError(f"is {size}; give {least} or more", name)
        if self.lora_rank is not None and self.layers is not None:
            raise ConfigurationError(
                "--lora-rank adapts every layer and --num-layers-to-finetune unfreezes some: "
                "give one of them"
            )
        for name, own in owned.items():
            if found.pretrained and (size := getattr(self, name)) is not None:
                raise ConfigurationError(
                    f"is {size}; {found.name} is pretrained and brings its own {own}: leave it out",
                    name,
                )
        if self.spaced and not found.pretrained:
            raise ConfigurationError(
                f"is 'spaced'; {found.name} is trained from scratch and has a token for each "
                "character: leave it out",
                "symbols",
            )
        found = resized(found, self.n_layer, self.n_head, self.n_embd)
        total = found.config.get("num_hidden_layers")
        if self.layers is not None and isinstance(total, int) and self.layers > total:
            raise ConfigurationError(f"is {self.layers}, {found.name} has {total} layers", "layers")
        return found

    @property
    def is_folder(self) -> bool:
        """Whether the weights come from a folder of this machine."""
        source = self.architecture().pretrained
        return bool(source) and Path(source).is_dir()

    @property
    def method(self) -> str:
        """The method as the summary names it."""
        if self.lora_rank is not None:
            return "lora"
        return "fine-tune" if self.architecture().pretrained else "from-scratch"

    def record(self) -> dict[str, Any]:
        """Return the request as plain JSON values, a configuration file by what is in it."""
        return {
            "model": self.name,
            "config": dict(self.architecture().config) if self.config_file else None,
            "weights": fingerprint(self.architecture().pretrained) if self.is_folder else "",
            "vocab_size": self.vocab_size,
            "context_length": self.context_length,
            "num_layers_to_finetune": self.layers,
            "lora_rank": self.lora_rank,
            # Only where they are given, so that jobs of earlier versions are found again.
            **({"symbols": "spaced"} if self.spaced else {}),
            **{
                name: value
                for name in ("n_layer", "n_head", "n_embd")
                if (value := getattr(self, name)) is not None
            },
        }


@dataclass(frozen=True)
class TaskRequest:
    """Rows of a benchmark task."""

    function: str | None = None
    "A task's id or name; to try things out, first_character or majority."
    length: int | None = None
    "Length of the inputs; default the task's own."
    sampler: Sampler = "paper"
    train_size: int = 200
    test_size: int = 10_000
    """Even numbers of rows, half of each class; the published comparison trains on 200, the rows
    that other methods split into 100 training and 100 validation rows."""
    test_lengths: tuple[int, ...] = ()
    "Other lengths to test at as well."
    online: bool = False
    "Draw fresh rows for each step; an epoch is then --train-set-size of them."
    seed: int = 42
    trial: int = 0
    "Which independent repetition under the seed."
    dataset_dir: Path | None = None
    table: Path | None = None
    raw_tables: bool = False


@dataclass(frozen=True)
class TrainingRequest:
    """How a model is trained; the defaults are the published ones.

    ``bf16`` and ``fp16`` run matrix products under autocast, with weights and optimizer in float32.
    """

    batch_size: int = 20
    "Rows of a step, over all processes."
    epochs: int = 200
    "Passes over the training rows."
    learning_rate: float = 1e-5
    "Learning rate at the start."
    final_learning_rate: float = 1e-6
    "Learning rate at the end of the cosine; never more than --lr."
    weight_decay: float = 1e-5
    "AdamW's weight decay."
    clip: float = 1.0
    "The norm gradients are cut to."
    precision: Precision | None = None
    "Of matrix products; default bf16 on a GPU, fp32 on a CPU."
    evaluate_every: int = 10
    "Epochs from one evaluation to the next."
    seed: int = 42
    "Draws rows, initial weights and the order of training."
    compile: bool = False
    "Use torch.compile."
    checkpointing: Literal["auto", "on", "off"] = "auto"
    "Recompute activations instead of keeping them; auto only if memory requires it."

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "epochs", "clip", "evaluate_every"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ConfigurationError(f"is {value}; give a number above 0", name)
        for name, most, limit in (
            (
                "final_learning_rate",
                self.learning_rate,
                f"from 0 to the learning rate ({self.learning_rate})",
            ),
            ("weight_decay", sys.float_info.max, "0 or more"),
            ("seed", 2**32 - 1, f"from 0 to {2**32 - 1}"),
        ):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise ConfigurationError(f"is {value}; give a number {limit}", name)
        if self.precision is not None and self.precision not in PRECISIONS:
            raise ConfigurationError(
                f"is {self.precision!r}; choose {', '.join(PRECISIONS)}", "precision"
            )

    def record(self) -> dict[str, Any]:
        """Return everything that decides the result, as plain JSON values and published names."""
        names = {"learning_rate": "lr", "final_learning_rate": "eta_min", "epochs": "n_epochs",
                 "evaluate_every": "eval_every"}  # fmt: skip
        return {names.get(key, key): value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class JobContext:
    """Where a job runs and what it leaves; nothing here decides its figures."""

    out: Path | None = None
    "Results folder; default a new one under runs/."
    device: str = "auto"
    "auto, cpu, cuda, or one GPU such as cuda:1."
    eval_batch_size: int | None = None
    "Rows evaluated at once; default what fits."
    checkpoint_minutes: float = 10.0
    "Least time between two checkpoints; 0 for one at every evaluation."
    save_model: bool = False
    "Keep the trained model in model/ of the results folder."
    report_to: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"
    "Where curves go."

    def __post_init__(self) -> None:
        if not (self.device in {"auto", "cpu", "cuda"} or self.device.startswith("cuda:")):
            raise ConfigurationError(
                f"is {self.device!r}; choose auto, cpu, cuda or cuda:0", "device"
            )
        if not self.checkpoint_minutes >= 0:
            raise ConfigurationError(
                f"is {self.checkpoint_minutes}; give 0 or more", "checkpoint_minutes"
            )
        if self.eval_batch_size is not None and self.eval_batch_size < 1:
            raise ConfigurationError(
                f"is {self.eval_batch_size}; give 1 or more", "eval_batch_size"
            )


@dataclass(frozen=True)
class Job:
    """A model, rows, and how the one is trained on the other."""

    model: ModelRequest
    rows: "RowSource"
    training: TrainingRequest
    "The request of the user."
    around: JobContext
    "Where it runs."

    @property
    def out(self) -> Path:
        """The results folder."""
        assert self.around.out is not None, "the command names a new folder"
        return self.around.out

    def options(self) -> dict[str, Any]:
        """Return everything that decides the results, as plain JSON values."""
        return {
            "command": "finetune",
            **self.model.record(),
            **self.rows.record(),
            **self.training.record(),
        }
