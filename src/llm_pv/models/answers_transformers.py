"""Labels from a model of transformers: what the prompts share is worked out once.

The keys and values of the shared beginning are computed in one pass and copied for every batch;
each prompt then costs its own few tokens. Where a model's state cannot be shared so (recurrent
ones), every prompt is worked out whole and alone.
"""

import copy
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_pv.errors import ModelError
from llm_pv.models.answers import Answer, Asking
from llm_pv.models.answers_local import LINE_END, LocalAnswers, answer_of_scores
from llm_pv.models.base import Usage
from llm_pv.models.hub import is_out_of_memory
from llm_pv.models.label_tokens import LabelTokens, shared_length
from llm_pv.models.transformers_choice import choices

if TYPE_CHECKING:
    from llm_pv.models.transformers_engine import TransformersModel

_MOST_AT_ONCE = 64
_MEMORY_SHARE = 0.4
"""The part of the free memory that the keys and values of a batch may take."""


@dataclass(frozen=True)
class _Shared:
    """The beginning that prompts share: its tokens, its keys and values, and a token's bytes."""

    length: int
    cache: Any
    bytes_per_token: float


class TransformersAnswers(LocalAnswers):
    """A model of transformers that is asked for labels.

    Parameters
    ----------
    model
        The model.
    batch_size
        Prompts answered together; None for what memory holds, 64 at most.
    """

    def __init__(self, model: "TransformersModel", *, batch_size: int | None = None) -> None:
        super().__init__(model)
        self._transformers = model
        self._batch_size = batch_size

    def answers(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Yield the answers batch by batch; see `AnsweringModel.answers`."""
        if not prompts:
            return
        self.check(asking)
        encoded = self._encoded(prompts, asking)
        start = time.perf_counter()
        shared = self._share(encoded)
        most = self._batch_size or self._fitting(shared, max(map(len, encoded)), asking)
        # What the beginning took is every answer's in equal shares.
        begun = (time.perf_counter() - start) / len(prompts)
        position = 0
        while position < len(prompts):
            rows = range(position, min(position + most, len(prompts)))
            start = time.perf_counter()
            try:
                answers = self._batch(
                    [encoded[row] for row in rows], asking, [seeds[row] for row in rows], shared
                )
            except ModelError as error:
                if len(rows) == 1 or not is_out_of_memory(error):
                    raise
                most = max(1, len(rows) // 2)
                continue
            seconds = begun + (time.perf_counter() - start) / len(rows)
            yield [
                (row, self._finished(answer, len(encoded[row]), shared.length, seconds))
                for row, answer in zip(rows, answers, strict=True)
            ]
            position = rows.stop

    def _labels(self, asking: Asking) -> LabelTokens:
        return self._label_tokens(asking, min(self._transformers.end_tokens(), default=None))

    def _finished(self, answer: Answer, tokens: int, shared: int, seconds: float) -> Answer:
        usage = Usage(tokens, answer.usage.output_tokens, cached_tokens=shared)
        return Answer(
            answer.text, answer.finish, answer.probabilities, usage, cost_usd=0.0, seconds=seconds
        )

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
            model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        return _Shared(length, cache, held / length)

    def _fitting(self, shared: _Shared, longest: int, asking: Asking) -> int:
        """Return how many prompts' keys and values fit into memory together."""
        if not shared.length:
            return 1
        with self._transformers.running(0, "counting memory") as (torch, model):
            free = _free_bytes(torch, model.device)
        new = asking.max_new_tokens if asking.mode == "generate" else 64
        rows = _MEMORY_SHARE * free / (shared.bytes_per_token * (longest + new))
        return max(1, min(_MOST_AT_ONCE, int(rows)))

    def _batch(
        self,
        encoded: Sequence[Sequence[int]],
        asking: Asking,
        seeds: Sequence[int],
        shared: _Shared,
    ) -> list[Answer]:
        longest = max(map(len, encoded))
        what = f"answering {len(encoded)} prompts of up to {longest:,} tokens at once"
        with self._transformers.running(0, what) as (torch, model):
            if asking.mode == "likelihood":
                return self._score(torch, model, encoded, asking, shared)
            return self._write(torch, model, encoded, asking, seeds, shared=shared)

    def _write(
        self,
        torch: Any,
        model: Any,
        encoded: Sequence[Sequence[int]],
        asking: Asking,
        seeds: Sequence[int],
        *,
        shared: _Shared,
    ) -> list[Answer]:
        """Let the model write, freely or along the labels alone."""
        engine = self._transformers
        new_tokens = min(asking.max_new_tokens, engine.room(max(map(len, encoded))))
        labels = None
        if asking.mode == "constrained":
            labels = self._labels(asking)
            new_tokens = max(len(label) for label in labels.tokens)
        config = engine.generation_config(new_tokens)
        tokens, mask, cache = _padded(torch, model, encoded, shared, engine.pad_token())
        processors = choices(
            torch,
            config,
            seeds,
            labels=labels,
            prompt_length=tokens.shape[1],
            ends=sorted(engine.end_tokens()),
        )
        config.update(do_sample=False, temperature=None, top_p=None, top_k=None, min_p=None)
        if not self._chat(asking).has_template:
            config.update(stop_strings=[LINE_END])
        output = model.generate(
            tokens,
            attention_mask=mask,
            generation_config=config,
            logits_processor=processors,
            tokenizer=engine.chat.tokenizer,
            **({} if cache is None else {"past_key_values": cache}),
        )
        answers = []
        for row in output[:, tokens.shape[1] :].tolist():
            continuation = engine.continuation(row)
            written = continuation.written
            answers.append(
                Answer(
                    self._said(continuation.tokens, asking),
                    "stop" if continuation.ended or labels else "length",
                    usage=Usage(0, written),
                )
            )
        return answers

    def _score(
        self,
        torch: Any,
        model: Any,
        encoded: Sequence[Sequence[int]],
        asking: Asking,
        shared: _Shared,
    ) -> list[Answer]:
        """Read the labels' probabilities off one forward pass."""
        labels = self._labels(asking)
        paths = labels.paths()
        rows = [[*prompt, *path] for prompt in encoded for path in paths]
        tokens, mask, cache = _padded(torch, model, rows, shared, self._transformers.pad_token())
        longest = max(len(path) for path in paths)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared.length :]
        logits = model(
            input_ids=tokens[:, shared.length :],
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            logits_to_keep=longest + 1,
        ).logits
        scores = torch.log_softmax(logits.float(), dim=-1).cpu()
        return [
            _likeliest(asking, labels, paths, scores[start : start + len(paths)])
            for start in range(0, len(rows), len(paths))
        ]


def _likeliest(
    asking: Asking, labels: LabelTokens, paths: Sequence[tuple[int, ...]], scores: Any
) -> Answer:
    """Return the likeliest label, given the scores of tokens along each path."""
    sums = []
    for deciding in labels.deciding():
        before = deciding[:-1]
        number = next(n for n, path in enumerate(paths) if path[: len(before)] == before)
        first = scores.shape[1] - 1 - len(paths[number])  # where the prompt's last token stands
        sums.append(
            sum(float(scores[number, first + step, token]) for step, token in enumerate(deciding))
        )
    return answer_of_scores(asking, sums)


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
