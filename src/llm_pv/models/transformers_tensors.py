"""Tensors for labels from a model of transformers: what draws tokens, shared keys and values."""

import copy
import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_pv.models.label_queries import LabelTokens


@dataclass(frozen=True)
class SharedPrefix:
    """The beginning that prompts share: its tokens, its keys and values, and a token's bytes."""

    length: int
    cache: Any
    bytes_per_token: float


def choices(
    torch: Any,
    config: Any,
    seeds: Sequence[int],
    *,
    labels: LabelTokens | None,
    prompt_length: int,
    ends: Sequence[int],
) -> Any:
    """Return processors after which the highest score is the token to take.

    Drawing with a generator for each row makes an answer independent of the batch it is in, which
    sampling from the process's one random state would not.

    Parameters
    ----------
    config
        A `transformers.GenerationConfig`; its temperature, top_k, top_p and min_p count.
    labels
        The labels that may be written; None for anything.
    prompt_length
        Tokens before the answer, padding included.
    ends
        Tokens that end an answer.
    """
    from transformers import (
        LogitsProcessorList,
        MinPLogitsWarper,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    processors = LogitsProcessorList()
    if labels is not None:
        processors.append(_label_constraint(torch, labels, prompt_length, ends))
    if config.do_sample:
        if config.temperature is not None:
            processors.append(TemperatureLogitsWarper(float(config.temperature)))
        if config.top_k:
            processors.append(TopKLogitsWarper(config.top_k))
        if config.top_p is not None and config.top_p < 1:
            processors.append(TopPLogitsWarper(config.top_p))
        if config.min_p is not None:
            processors.append(MinPLogitsWarper(config.min_p))
        processors.append(_gumbel_noise(torch, seeds))
    return processors


def _label_constraint(
    torch: Any, labels: LabelTokens, prompt_length: int, ends: Sequence[int]
) -> Any:
    """Return a processor that allows only tokens which continue some label."""

    def constrain(input_ids: Any, scores: Any) -> Any:
        allowed = torch.full_like(scores, float("-inf"))
        for row, written in enumerate(input_ids[:, prompt_length:].tolist()):
            following = list(labels.following(written)) or list(ends) or [0]
            allowed[row, following] = 0.0
        return scores + allowed

    return constrain


def _gumbel_noise(torch: Any, seeds: Sequence[int]) -> Any:
    """Return a processor that adds noise, so that the highest score is a sample."""
    generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def add_noise(_: Any, scores: Any) -> Any:
        noise = torch.empty(scores.shape, dtype=torch.float32)
        for row, generator in enumerate(generators):
            noise[row].exponential_(generator=generator)
        return scores.float() - noise.log().to(scores.device)

    return add_noise


def cache_argument(cache: Any) -> dict[str, Any]:
    """Return the argument that gives a model its cache, under the name of this transformers."""
    if cache is None:
        return {}
    from transformers import GenerationMixin

    # Called past_key_values before 5.24, which warns of that name.
    taken = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    return {"cache" if "cache" in taken else "past_key_values": cache}


def padded(
    torch: Any, model: Any, encoded: Sequence[Sequence[int]], shared: SharedPrefix, pad: int
) -> tuple[Any, Any, Any]:
    """Return prompts as one block, with filling between the shared beginning and their own part."""
    width = max(map(len, encoded))
    tokens = torch.full((len(encoded), width), pad)
    mask = torch.zeros((len(encoded), width), dtype=torch.long)
    for row, prompt in enumerate(encoded):
        own = list(prompt[shared.length :])
        tokens[row, : shared.length] = torch.tensor(list(prompt[: shared.length]), dtype=torch.long)
        tokens[row, width - len(own) :] = torch.tensor(own)
        mask[row, : shared.length] = 1
        mask[row, width - len(own) :] = 1
    cache = None
    if shared.cache is not None:
        cache = _repeated(shared.cache, len(encoded))
    return tokens.to(model.device), mask.to(model.device), cache


def _repeated(cache: Any, rows: int) -> Any:
    """Return a cache for several rows with this prefix; nothing is copied until it grows."""
    repeated = copy.copy(cache)
    repeated.layers = []
    for layer in cache.layers:
        own = copy.copy(layer)
        own.keys, own.values = (
            states.expand(rows, *states.shape[1:]) for states in (layer.keys, layer.values)
        )
        repeated.layers.append(own)
    return repeated


def free_bytes(torch: Any, device: Any) -> int:
    """Return the free memory of a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4 << 30
