"""Estimate the memory of training from a configuration, before anything is built.

Counts are exact for the decoder families below, which share one layout; for others the caller
counts parameters on a model without storage. Activations are an estimate: what the layers keep for
the backward pass, as measured on small models of the same layout.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.finetune.architectures import Config

GIB = 1024**3

_RUNTIME = 600 * 1024**2
"""The memory of torch and its libraries themselves, in bytes."""

_MARGIN = 1.05
"""For what allocators lose between blocks."""


_NEEDED: Mapping[str, tuple[str, ...]] = {
    "llama": (),
    "qwen2": ("num_key_value_heads",),
    "qwen3": ("num_key_value_heads", "head_dim"),
    "mistral": ("num_key_value_heads",),
}
"""The families counted here, and the sizes for which each has a default of its own."""


@dataclass(frozen=True)
class Size:
    """The parameters of a model, by where they are."""

    embedding: int
    layer: int
    layers: int
    rest: int
    "The last norm and the classification head."

    @property
    def total(self) -> int:
        """All parameters."""
        return self.embedding + self.layer * self.layers + self.rest

    def trained(self, layers: int | None) -> int:
        """Return the parameters that are trained when only the top layers are."""
        return self.total if layers is None else self.layer * layers + self.rest


def decoder_size(config: Config, vocabulary: int, classes: int) -> Size | None:
    """Count the parameters of a decoder with a classification head.

    Returns
    -------
    Size or None
        None for a family whose layout is not known here, or sizes the configuration leaves open.

    Examples
    --------
    >>> from llm_pv.tracks.finetune.architectures import PUBLIC
    >>> f"{decoder_size(PUBLIC['qwen1.7B'][1], 5, 2).total:,}"
    '1,409,424,384'
    """
    family = str(config.get("model_type"))
    if family not in _NEEDED or not all(config.get(key) for key in _NEEDED[family]):
        return None
    try:
        hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
        heads, layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
    except KeyError:
        return None
    pairs = int(config.get("num_key_value_heads") or heads)
    width = int(config.get("head_dim") or hidden // heads)
    queries, keys = heads * width, pairs * width
    layer = 2 * hidden * (queries + keys) + 3 * hidden * inner + 2 * hidden
    if family == "qwen3":
        layer += 2 * width
    if family == "qwen2":
        layer += queries + 2 * keys
    elif config.get("attention_bias"):
        layer += queries + 2 * keys + hidden
    if config.get("mlp_bias"):
        layer += 2 * inner + hidden
    return Size(vocabulary * hidden, layer, layers, hidden + classes * hidden)


def adapter_parameters(config: Config, rank: int, classes: int) -> int:
    """Return the parameters low-rank adapters of a decoder add, and its head."""
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    heads = int(config["num_attention_heads"])
    width = int(config.get("head_dim") or hidden // heads)
    queries = heads * width
    keys = int(config.get("num_key_value_heads") or heads) * width
    ends = 2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + inner)
    return rank * ends * int(config["num_hidden_layers"]) + classes * hidden


@dataclass(frozen=True)
class Load:
    """The memory of one training step."""

    parameters: int
    trained: int
    "Parameters in all, and those that are trained."
    tokens: int
    "Tokens of a step in one process."
    kept_a_token: int
    "Numbers kept for the backward pass, for each token."
    layer_a_token: int
    "The same of a single layer."
    hidden: int
    layers: int
    half: bool
    "Whether matrix products run in 16 bits."
    checkpointing: bool = False
    "Whether activations are computed again layer by layer, instead of kept."

    @property
    def weights(self) -> int:
        """Bytes of the weights, with their 16-bit copies under autocast."""
        return self.parameters * (6 if self.half else 4)

    @property
    def gradients(self) -> int:
        """Bytes of the gradients."""
        return 4 * self.trained

    @property
    def optimizer(self) -> int:
        """Bytes of AdamW's two moments."""
        return 8 * self.trained

    @property
    def activations(self) -> int:
        """Bytes kept for the backward pass."""
        kept = self.kept_a_token
        if self.checkpointing:
            kept = self.layers * self.hidden + self.layer_a_token
        return self.tokens * kept * (3 if self.half else 4)

    @property
    def total(self) -> int:
        """Bytes in all."""
        parts = self.weights + self.gradients + self.optimizer + self.activations
        return int(_MARGIN * parts) + _RUNTIME

    def text(self) -> str:
        """Return the figures in GiB."""
        names = ("weights", "gradients", "optimizer", "activations")
        parts = ", ".join(
            f"{'AdamW' if name == 'optimizer' else name} {getattr(self, name) / GIB:.1f}"
            for name in names
        )
        return f"{self.total / GIB:.1f} GiB ({parts}, the rest for the program)"

    def record(self) -> dict[str, float | bool]:
        """Return the figures as plain JSON values, in GiB."""
        names = ("weights", "gradients", "optimizer", "activations", "total")
        figures = {f"{name}_gib": round(getattr(self, name) / GIB, 3) for name in names}
        return {**figures, "checkpointing": self.checkpointing}


def decoder_load(
    config: Config,
    *,
    parameters: int,
    trained: int,
    trained_layers: int | None,
    tokens: int,
    half: bool,
) -> Load:
    """Estimate what a step of training a decoder has to hold.

    Parameters
    ----------
    config
        Its configuration; sizes it does not name are inferred from its parameters.
    parameters, trained
        Parameters in all, and those that are trained.
    trained_layers
        The top layers that keep activations; None for all.
    tokens
        Tokens of a step in one process.
    half
        Whether matrix products run in 16 bits.
    """
    layers = int(config.get("num_hidden_layers") or config.get("n_layer") or 12)
    hidden = int(config.get("hidden_size") or config.get("n_embd") or 1024)
    inner = int(config.get("intermediate_size") or 4 * hidden)
    heads = int(config.get("num_attention_heads") or config.get("n_head") or 8)
    width = int(config.get("head_dim") or max(1, hidden // heads))
    queries, keys = heads * width, int(config.get("num_key_value_heads") or heads) * width
    # Each norm keeps what goes in, comes out and lies between; queries and keys are kept before
    # and after their norm and rotation, and then attention's result and the four of the gated MLP.
    layer = 6 * hidden + 4 * queries + 4 * keys + 4 * inner
    deep = layers if trained_layers is None else max(trained_layers, 1)
    return Load(
        parameters=parameters,
        trained=trained,
        tokens=tokens,
        kept_a_token=layer * deep + 4 * hidden + 4 * inner,
        layer_a_token=layer,
        hidden=hidden,
        layers=deep,
        half=half,
    )


def fitted(load: Load, free: int, *, name: str, device: str, checkpointing: str) -> Load:
    """Return the load with checkpointing where memory asks for it.

    Raise ConfigurationError if it does not fit; the message has the numbers and ways out.
    """
    choices = {
        "auto": (load, replace(load, checkpointing=True)),
        "on": (replace(load, checkpointing=True),),
        "off": (load,),
    }[checkpointing]
    for choice in choices:
        if choice.total <= free:
            return choice
    raise ConfigurationError(
        f"{name} will not fit: training takes about {choices[-1].text()}, and {free / GIB:.1f} GiB "
        f"are free on {device}. Take a smaller model, --num-layers-to-finetune 1 or --lora-rank 8, "
        "a smaller --batch-size, or a machine with more memory"
    )


def free_memory() -> int:
    """Return the bytes this machine, or its container, has left.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
    groups = Path("/sys/fs/cgroup")
    second = _free_of_container(groups, "memory.max", "memory.current", "file")
    first = _free_of_container(
        groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "cache"
    )
    return min(limit for limit in (_free_of_machine(), second, first) if limit is not None)


def _free_of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux: what is installed is the best there is to know
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_of_container(folder: Path, limit_file: str, used_file: str, cache: str) -> int | None:
    """Return what a control group has left; file cache it can give back counts as free."""
    try:
        limit = (folder / limit_file).read_text("ascii").strip()
        used = int((folder / used_file).read_text("ascii"))
        statistics = (folder / "memory.stat").read_text("ascii").splitlines()
        figures = dict(line.split() for line in statistics)
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    return max(0, int(limit) - used + int(figures.get(cache, 0)))
