"""Labels from a model of transformers: the common prefix of the prompts is computed once.

The keys and values of the shared beginning are computed in one pass and copied for every batch;
each prompt then costs its own few tokens. Where a model's state cannot be shared so (recurrent
ones), every prompt is worked out whole and alone.
"""

import copy
import inspect
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_pv.errors import ModelError
from llm_pv.models.answers import Answer, Asking
from llm_pv.models.answers_local import LINE_END, LocalAnswers, answer_of_scores
from llm_pv.models.base import FinishReason, Usage
from llm_pv.models.hub import is_out_of_memory
from llm_pv.models.label_tokens import LabelTokens, Tokens, shared_length

if TYPE_CHECKING:
    from llm_pv.models.transformers_engine import TransformersModel


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


_MOST_AT_ONCE = 64
_MEMORY_SHARE = 0.4
"""The part of the free memory that the keys and values of a batch may take."""


@dataclass(frozen=True)
class _Shared:
    """The beginning that prompts share: its tokens, its keys and values, and a token's bytes."""

    length: int
    cache: Any
    bytes_per_token: float


@dataclass(frozen=True)
class _Batch:
    """Prompts answered together: their tokens and seeds, and how many rows are computed at once."""

    encoded: Sequence[Sequence[int]]
    seeds: Sequence[int]
    shared: _Shared
    labels: LabelTokens | None
    rows: int


class TransformersAnswers(LocalAnswers):
    """A model of transformers that answers with labels.

    Parameters
    ----------
    batch_size
        Prompts answered together; None for as many as memory holds, 64 at most.
    """

    def __init__(self, model: "TransformersModel", *, batch_size: int | None = None) -> None:
        super().__init__(model)
        self._transformers = model
        self._batch_size = batch_size

    def _load(self) -> None:
        with self._transformers.running(0, "loading it"):
            pass

    def _answered(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        labels = None
        if asking.mode == "generate":
            encoded = self._encoded(prompts, asking)
        else:
            ends = self._transformers.end_tokens()
            encoded, labels = self._with_labels(prompts, asking, ends)
        start = time.perf_counter()
        shared = self._share(encoded)
        rows_each = 1
        if labels is not None and asking.mode == "likelihood":
            rows_each = len(labels.paths())
        # The rows that are worked out at once: of one prompt or of several, or some of one's.
        most = self._fitting(shared, max(map(len, encoded)), asking, labels)
        if self._batch_size:
            most = self._batch_size * rows_each
        # The time of the prefix is divided equally among the answers.
        begun = (time.perf_counter() - start) / len(prompts)
        position = 0
        while position < len(prompts):
            rows = range(position, min(position + max(1, most // rows_each), len(prompts)))
            batch = _Batch(
                [encoded[row] for row in rows], [seeds[row] for row in rows], shared, labels, most
            )
            start = time.perf_counter()
            try:
                answers = self._batch(batch, asking)
            except ModelError as error:
                tried = min(most, len(rows) * rows_each)
                if tried == 1 or not is_out_of_memory(error):
                    raise
                most = max(1, tried // 2)
                continue
            seconds = begun + (time.perf_counter() - start) / len(rows)
            yield [
                (row, replace(answer, usage=usage, seconds=seconds))
                for row, answer in zip(rows, answers, strict=True)
                for usage in (Usage(len(encoded[row]), answer.usage.output_tokens, shared.length),)
            ]
            position = rows.stop

    def _share(self, encoded: Sequence[Sequence[int]]) -> _Shared:
        length = shared_length(encoded)
        with self._transformers.running(0, f"with a prompt of {len(encoded[0]):,} tokens") as (
            torch,
            model,
        ):
            if model._is_stateful or length == 0 or len(encoded) == 1:
                return _Shared(0, None, 0.0)
            from transformers import DynamicCache

            cache: Any = DynamicCache(config=model.config)
            if not all(hasattr(layer, "keys") for layer in cache.layers):
                return _Shared(0, None, 0.0)  # a recurrent layer among others
            tokens = torch.tensor([list(encoded[0][:length])], device=model.device)
            model(input_ids=tokens, **_cached(cache), use_cache=True, logits_to_keep=1)
            held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        return _Shared(length, cache, held / length)

    def _fitting(
        self, shared: _Shared, longest: int, asking: Asking, labels: LabelTokens | None
    ) -> int:
        """Return how many rows' keys and values fit into memory together."""
        if not shared.length:
            return 1
        with self._transformers.running(0, "counting memory") as (torch, model):
            free = _free_bytes(torch, model.device)
        new = max(map(len, labels.tokens)) if labels else asking.max_new_tokens
        row_bytes = shared.bytes_per_token * (longest + new)
        if labels is not None and asking.mode == "likelihood":
            # Scores of every token at every place: as they come, as floats, as logarithms.
            vocabulary = model.get_output_embeddings().weight.shape[0]
            row_bytes += 3 * 4 * vocabulary * new
        return max(1, min(_MOST_AT_ONCE, int(_MEMORY_SHARE * free / row_bytes)))

    def _batch(self, batch: _Batch, asking: Asking) -> list[Answer]:
        longest = max(map(len, batch.encoded))
        what = f"answering {len(batch.encoded)} prompts of up to {longest:,} tokens at once"
        with self._transformers.running(0, what) as (torch, model):
            if asking.mode == "likelihood" and batch.labels is not None:
                return self._score(torch, model, batch, batch.labels, asking)
            return self._write(torch, model, batch, asking)

    def _write(self, torch: Any, model: Any, batch: _Batch, asking: Asking) -> list[Answer]:
        """Generate answers, free or restricted to the labels."""
        engine, labels = self._transformers, batch.labels
        if labels is not None:
            new_tokens = max(map(len, labels.tokens))
        else:
            new_tokens = min(asking.max_new_tokens, engine.room(max(map(len, batch.encoded))))
        config = engine.generation_config(new_tokens)
        tokens, mask, cache = _padded(torch, model, batch.encoded, batch.shared, engine.pad_token())
        processors = choices(
            torch,
            config,
            batch.seeds,
            labels=labels,
            prompt_length=tokens.shape[1],
            ends=engine.end_tokens(),
        )
        config.update(do_sample=False, temperature=None, top_p=None, top_k=None, min_p=None)
        if labels is None and not self._chat(asking).has_template:
            config.update(stop_strings=[LINE_END])
        output = model.generate(
            tokens,
            attention_mask=mask,
            generation_config=config,
            logits_processor=processors,
            tokenizer=engine.chat.tokenizer,
            **_cached(cache),
        )
        return [self._read(row, labels, asking) for row in output[:, tokens.shape[1] :].tolist()]

    def _read(self, row: Sequence[int], labels: LabelTokens | None, asking: Asking) -> Answer:
        """Return the generated answer, padded on the right."""
        continuation = self._transformers.continuation(row)
        usage = Usage(0, continuation.written)
        label = None if labels is None else labels.label_of(row)
        if label is not None:
            return Answer(asking.written()[label], usage=usage)
        finish: FinishReason = "stop" if continuation.ended else "length"
        return Answer(self._said(continuation.tokens, asking), finish, usage=usage)

    def _score(
        self, torch: Any, model: Any, batch: _Batch, labels: LabelTokens, asking: Asking
    ) -> list[Answer]:
        """Return the labels' probabilities, from forward passes over prompts and label prefixes."""
        paths = labels.paths()
        rows = [[*prompt, *path] for prompt in batch.encoded for path in paths]
        seen: list[dict[Tokens, dict[int, float]]] = [{} for _ in batch.encoded]
        for start in range(0, len(rows), batch.rows):
            together = rows[start : start + batch.rows]
            scores = self._log_probabilities(
                torch, model, together, batch.shared, places=max(map(len, paths)) + 1
            )
            for row, of_row in enumerate(scores, start):
                prompt, path = divmod(row, len(paths))
                # The last places are the path's and, before them, that of the prompt's last token.
                own = of_row[-len(paths[path]) - 1 :]
                for place, (written, following) in enumerate(labels.seen_along(paths[path])):
                    scores = own[place, list(following)].tolist()
                    seen[prompt][written] = dict(zip(following, scores, strict=True))
        return [answer_of_scores(asking, labels.scores(of_prompt)) for of_prompt in seen]

    def _log_probabilities(
        self,
        torch: Any,
        model: Any,
        rows: Sequence[Sequence[int]],
        shared: _Shared,
        *,
        places: int,
    ) -> Any:
        """Return the logarithms of what may come after the last places of each row."""
        tokens, mask, cache = _padded(torch, model, rows, shared, self._transformers.pad_token())
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared.length :]
        logits = model(
            input_ids=tokens[:, shared.length :],
            attention_mask=mask,
            position_ids=positions,
            **_cached(cache),
            logits_to_keep=places,
        ).logits
        return torch.log_softmax(logits.float(), dim=-1).cpu()


def _cached(cache: Any) -> dict[str, Any]:
    """Return the argument that gives a model its cache, under the name of this transformers."""
    if cache is None:
        return {}
    from transformers import GenerationMixin

    # Called past_key_values before 5.24, which warns of that name.
    taken = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    return {"cache" if "cache" in taken else "past_key_values": cache}


def _padded(
    torch: Any, model: Any, encoded: Sequence[Sequence[int]], shared: _Shared, pad: int
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
    """Return a cache for so many rows that begin alike; nothing is copied until it grows."""
    repeated = copy.copy(cache)
    repeated.layers = []
    for layer in cache.layers:
        own = copy.copy(layer)
        own.keys, own.values = (
            states.expand(rows, *states.shape[1:]) for states in (layer.keys, layer.values)
        )
        repeated.layers.append(own)
    return repeated


def _free_bytes(torch: Any, device: Any) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4 << 30
