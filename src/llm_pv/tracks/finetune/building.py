"""A model with a classification head, its tokenizer, and which of its parameters are trained."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from llm_pv.errors import ConfigurationError
from llm_pv.models.hub import from_pretrained, is_out_of_memory, one_line
from llm_pv.tracks.finetune.architectures import Config
from llm_pv.tracks.finetune.batches import BOS, CharacterTokens, Tokens
from llm_pv.tracks.finetune.request import ModelRequest

_OF_OTHERS = (
    "architectures", "auto_map", "torch_dtype", "dtype", "transformers_version", "_name_or_path",
    "quantization_config", "id2label", "label2id", "eos_token_id", "vocab_size",
    "max_position_embeddings", "n_positions", "pad_token_id", "bos_token_id", "num_labels",
    "problem_type",
)  # fmt: skip

_FROM_PADDING = {
    "camembert", "data2vec-text", "longformer", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
"""Families that count positions from that of the padding token, and so need one more."""

_PROBLEM = "single_label_classification"
"""The problem type of every head, whatever a configuration says."""


@dataclass(frozen=True)
class ModelTokens:
    """A pretrained model's own tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    spaced: bool = False

    @property
    def pad(self) -> int:
        """The padding token; where there is none, the end of a text serves."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if isinstance(token, int):
                return token
        raise ConfigurationError("the model's tokenizer has neither a padding nor an end token")

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text; an empty one becomes the token that pads."""
        written = [" ".join(text) for text in texts] if self.spaced else list(texts)
        encoded = self.tokenizer(written, padding=False, truncation=False, verbose=False)
        rows: Any = encoded["input_ids"]
        return [np.array(row or [self.pad], dtype=np.int32) for row in rows]


_FROM_CONFIG: Callable[..., Any] = AutoModelForSequenceClassification.from_config


def from_scratch(
    config: Config, tokens: CharacterTokens, *, classes: int, positions: int, seed: int
) -> PreTrainedModel:
    """Build a model with random weights.

    The weights are those of ``transformers.set_seed(seed)`` followed by
    ``AutoModelForSequenceClassification.from_config``.

    Raise ConfigurationError if transformers cannot build it.
    """
    built = scratch_config(config, vocabulary=tokens.size, classes=classes, positions=positions)
    set_seed(seed)
    with _telling(f"a {config['model_type']} model"):
        model = _classifier(_FROM_CONFIG(built))
        _try_out(model, classes)
        return model


def _try_out(model: PreTrainedModel, classes: int) -> None:
    """Let a model see two short rows: some are built that cannot be trained on characters."""
    rows = torch.full((2, 2), BOS)
    was_training = model.training
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        scores = model.train()(input_ids=rows, labels=torch.zeros(2, dtype=torch.long)).logits
    model.train(was_training)
    if scores.shape != (2, classes):
        raise ValueError(f"its scores have the shape {tuple(scores.shape)}")


def scratch_config(config: Config, *, vocabulary: int, classes: int, positions: int) -> Any:
    """Return the transformers configuration of a model for characters."""
    own = {key: value for key, value in config.items() if key not in _OF_OTHERS}
    if config["model_type"] not in CONFIG_MAPPING:
        close = get_close_matches(config["model_type"], list(CONFIG_MAPPING), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigurationError(f"transformers knows no model_type {config['model_type']!r}{hint}")
    with _telling(f"a {config['model_type']} model"):
        return AutoConfig.for_model(
            **own,
            vocab_size=vocabulary,
            max_position_embeddings=positions + (config["model_type"] in _FROM_PADDING),
            pad_token_id=0,
            bos_token_id=BOS,
            eos_token_id=None,
            num_labels=classes,
            problem_type=_PROBLEM,
        )


def count_parameters(config: Config, *, vocabulary: int, classes: int, positions: int) -> int:
    """Count the parameters of a model of any family, on one without storage."""
    built = scratch_config(config, vocabulary=vocabulary, classes=classes, positions=positions)
    with _telling(f"a {config['model_type']} model"), torch.device("meta"):
        model = _FROM_CONFIG(built)
    return sum(parameter.numel() for parameter in model.parameters())


def pretrained(
    source: str, *, classes: int, seed: int, spaced: bool = False
) -> tuple[PreTrainedModel, ModelTokens]:
    """Load a model's weights and tokenizer; the head is new.

    Raise ConfigurationError if there is no such model, or it cannot be loaded.

    Parameters
    ----------
    seed
        Draws the head.
    """
    tokens = ModelTokens(from_pretrained(AutoTokenizer, source), spaced)
    set_seed(seed)
    model = from_pretrained(
        AutoModelForSequenceClassification,
        source,
        num_labels=classes,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # a head for other classes makes room for the new one
    )
    for config in (model.config, model.config.get_text_config()):
        config.pad_token_id = tokens.pad
        config.problem_type = _PROBLEM
    return _classifier(model), tokens


def choose_parameters(model: PreTrainedModel, request: ModelRequest) -> nn.Module:
    """Return the model with the parameters asked for left to train, the others frozen."""
    if request.lora_rank is not None:
        return _with_adapters(model, request.lora_rank)
    if request.layers is not None:
        _freeze_below(model, request.layers)
    return model


def _freeze_below(model: PreTrainedModel, top: int) -> None:
    """Leave the top layers, what follows them, and the head to train."""
    stacks = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers
    }
    if not stacks:
        raise ConfigurationError(
            f"--num-layers-to-finetune: {type(model).__name__} has no list of its layers; "
            "leave it out"
        )
    prefix, layers = min(stacks.items(), key=lambda entry: len(entry[0]))
    if top > len(layers):
        raise ConfigurationError(
            f"--num-layers-to-finetune is {top}, the model has {len(layers)} layers"
        )
    tables = tuple(
        f"{name}." for name, module in model.named_modules() if isinstance(module, nn.Embedding)
    )
    kept = tuple(f"{prefix}.{number}." for number in range(len(layers) - top, len(layers)))
    for name, parameter in model.named_parameters():
        in_stack = name.startswith(f"{prefix}.")
        # The norms and projections of embeddings lie below the layers, whatever they are.
        below = name.startswith(tables) or "embed" in name
        parameter.requires_grad = name.startswith(kept) if in_stack else not below


def _with_adapters(model: PreTrainedModel, rank: int) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="SEQ_CLS", r=rank, lora_alpha=2 * rank, target_modules="all-linear"
    )
    with warnings.catch_warnings():
        # peft asks for an attribute that transformers has renamed.
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning
        )
        return get_peft_model(model, config)


def _classifier(model: Any) -> PreTrainedModel:
    if not isinstance(model, PreTrainedModel):
        raise ConfigurationError(f"{type(model).__name__} cannot be trained as a classifier")
    return model


@contextlib.contextmanager
def _telling(name: str) -> Iterator[None]:
    """Turn what transformers raises for a model it cannot build into one line."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # What is raised over a value that cannot be differs from family to family.
        raise ConfigurationError(
            f"transformers cannot build {name} as a classifier: {one_line(error)}"
        ) from error
