"""Choose the next token of each row of a batch, by the row's seed and among the labels."""

from collections.abc import Sequence
from typing import Any

from llm_pv.models.label_tokens import LabelTokens


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
    torch
        The library.
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
        processors.append(_AlongLabels(torch, labels, prompt_length, ends))
    if config.do_sample:
        if config.temperature is not None:
            processors.append(TemperatureLogitsWarper(float(config.temperature)))
        if config.top_k:
            processors.append(TopKLogitsWarper(config.top_k))
        if config.top_p is not None and config.top_p < 1:
            processors.append(TopPLogitsWarper(config.top_p))
        if config.min_p is not None:
            processors.append(MinPLogitsWarper(config.min_p))
        processors.append(_Drawn(torch, seeds))
    return processors


class _AlongLabels:
    """Allows only tokens that continue some label."""

    def __init__(
        self, torch: Any, labels: LabelTokens, prompt_length: int, ends: Sequence[int]
    ) -> None:
        self._torch = torch
        self._labels = labels
        self._prompt_length = prompt_length
        self._ends = list(ends)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        allowed = self._torch.full_like(scores, float("-inf"))
        for row, written in enumerate(input_ids[:, self._prompt_length :].tolist()):
            following = list(self._labels.following(written)) or self._ends or [0]
            allowed[row, following] = 0.0
        return scores + allowed


class _Drawn:
    """Adds Gumbel noise, which makes the highest score a sample from the probabilities."""

    def __init__(self, torch: Any, seeds: Sequence[int]) -> None:
        self._torch = torch
        self._generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 - as transformers calls it
        noise = self._torch.empty(scores.shape, dtype=self._torch.float32)
        for row, generator in enumerate(self._generators):
            noise[row].exponential_(generator=generator)
        return scores.float() - noise.log().to(scores.device)
