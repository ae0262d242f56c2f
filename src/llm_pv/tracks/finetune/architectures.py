"""Language models by name: public dimensions, hub names, configuration files.

The dimensions are the facts published in the ``config.json`` of the model repositories named beside
them. Vocabulary and context are not taken from there: a model trained from scratch on characters
gets those its task needs. Nor is the scaling of rotary positions (llama3, deepseek), which only
stretches a pretrained context.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llm_pv.errors import ConfigurationError

Config = Mapping[str, Any]
"""The content of a ``config.json``."""

_SIZES = (
    "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "tie_word_embeddings",
)  # fmt: skip


def _config(*sizes: str | float) -> Config:
    return dict(zip(_SIZES, sizes, strict=True))


PUBLIC: Mapping[str, tuple[str, Config]] = MappingProxyType(
    {
        "qwen0.6B": (
            "Qwen/Qwen3-0.6B",
            _config("qwen3", 1024, 3072, 28, 16, 8, 128, 1e-6, 1_000_000.0, True),
        ),
        "qwen1.7B": (
            "Qwen/Qwen3-1.7B",
            _config("qwen3", 2048, 6144, 28, 16, 8, 128, 1e-6, 1_000_000.0, True),
        ),
        "llama3": (
            "meta-llama/Llama-3.2-1B",
            _config("llama", 2048, 8192, 16, 32, 8, 64, 1e-5, 500_000.0, True),
        ),
        "deepseek": (
            "deepseek-ai/deepseek-coder-1.3b-base",
            _config("llama", 2048, 5504, 24, 16, 16, 128, 1e-6, 100_000.0, False),
        ),
        "bloom": (
            "bigscience/bloom-560m",
            {
                "model_type": "bloom",
                "hidden_size": 1024,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "layer_norm_epsilon": 1e-5,
            },
        ),
    }
)
"""The published models: the repository whose ``config.json`` was read, and its dimensions."""

TINY = MappingProxyType(_config("qwen3", 64, 192, 2, 4, 2, 16, 1e-6, 10_000.0, True))
"""A model of our own for trying things out on a CPU."""

PRETRAINED: Mapping[str, str] = MappingProxyType(
    {
        "qwen3_finetune": "Qwen/Qwen3-1.7B",
        "llama3_finetune": "meta-llama/Llama-3.2-1B",
        "deepseek_finetune": "deepseek-ai/deepseek-coder-1.3b-base",
    }
)
"""The published names of pretrained models, with their names on the hub."""

HUB_PREFIX = "hf:"


@dataclass(frozen=True)
class Architecture:
    """A model before it is built."""

    name: str
    pretrained: str
    "The folder or hub name its weights come from; empty for a model from scratch."
    config: Config
    "Its ``config.json``; empty where only the hub knows it."

    @property
    def positions(self) -> int | None:
        """How many positions a pretrained model has, None if that is not known."""
        value = self.config.get("max_position_embeddings") or self.config.get("n_positions")
        return int(value) if value else None


def architecture(name: str, config_file: Path | None = None) -> Architecture:
    """Find a model by its name, or read its configuration file.

    Raise ConfigurationError if there is no such model, or the file is no configuration.

    Parameters
    ----------
    name
        ``tiny``, a public name, a ``..._finetune`` name, or ``hf:FOLDER_OR_NAME``; with a
        configuration file, what to call it.
    config_file
        A transformers ``config.json`` for a model from scratch.

    Examples
    --------
    >>> architecture("qwen0.6B").config["hidden_size"], architecture("qwen3_finetune").pretrained
    (1024, 'Qwen/Qwen3-1.7B')
    """
    if config_file is not None:
        return Architecture(name or config_file.stem, "", read_config(config_file))
    if name == "tiny":
        return Architecture(name, "", TINY)
    if name in PUBLIC:
        return Architecture(name, "", PUBLIC[name][1])
    source = PRETRAINED.get(name, name.removeprefix(HUB_PREFIX))
    if name not in PRETRAINED and not name.startswith(HUB_PREFIX):
        known = ["tiny", *PUBLIC, *PRETRAINED]
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ConfigurationError(
            f"no model {name!r}: {hint}choose {', '.join(known)}, hf:FOLDER_OR_NAME, "
            "or --config FILE"
        )
    if not source:
        raise ConfigurationError("--model hf: names nothing: write hf:FOLDER or hf:OWNER/NAME")
    folder = Path(source).expanduser()
    if folder.is_dir():
        return Architecture(name, str(folder), read_config(folder / "config.json"))
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise ConfigurationError(f"--model {name}: there is no folder {source}")
    return Architecture(name, source, {})


def resized(
    found: Architecture, layers: int | None, heads: int | None, width: int | None
) -> Architecture:
    """Return a model from scratch with other numbers of layers and heads, or another width.

    What depends on the width is scaled with it; there are at most as many key and value heads as
    heads.

    Examples
    --------
    >>> small = resized(architecture("qwen0.6B"), 2, 4, 64).config
    >>> small["num_hidden_layers"], small["num_key_value_heads"], small["intermediate_size"]
    (2, 4, 192)
    """
    config = dict(found.config)
    if layers is not None:
        config["num_hidden_layers"] = layers
    if width is not None:
        if "intermediate_size" in config:
            scaled = config["intermediate_size"] * width // config["hidden_size"]
            config["intermediate_size"] = max(1, scaled)
        config["hidden_size"] = width
    if heads is not None:
        config["num_attention_heads"] = heads
        if "num_key_value_heads" in config:
            config["num_key_value_heads"] = min(heads, config["num_key_value_heads"])
    if config != dict(found.config):
        check_sizes(config, found.name)
    return Architecture(found.name, found.pretrained, config)


def read_config(path: Path) -> Config:
    """Read a transformers ``config.json``.

    Raise ConfigurationError if it cannot be read, names no ``model_type``, or its sizes do not
    divide.
    """
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as a model's config.json: {error}"
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ConfigurationError(f"{path} is no model's config.json: it names no model_type")
    check_sizes(config, str(path))
    return config


def check_sizes(config: Config, name: str) -> None:
    """Refuse sizes that are no whole numbers above 0, or that do not divide."""
    sizes = {}
    for key in ("hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers",
                "intermediate_size", "head_dim", "vocab_size"):  # fmt: skip
        size = config.get(key)
        if size is None:
            continue
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ConfigurationError(
                f"{name}: {key} is {size!r}; it must be a whole number above 0"
            )
        sizes[key] = size
    heads = sizes.get("num_attention_heads")
    pairs = [
        ("num_attention_heads", heads, "num_key_value_heads", sizes.get("num_key_value_heads"))
    ]
    if "head_dim" not in sizes:
        pairs.append(("hidden_size", sizes.get("hidden_size"), "num_attention_heads", heads))
    for whole_name, whole, part_name, part in pairs:
        if whole and part and whole % part:
            raise ConfigurationError(
                f"{name}: {whole_name} {whole} is no multiple of {part_name} {part}; change either"
            )
    width = sizes.get("head_dim") or (sizes.get("hidden_size", 0) // heads if heads else 0)
    if width % 2:
        raise ConfigurationError(
            f"{name}: heads of {width} numbers cannot be rotated; give an even width"
        )
