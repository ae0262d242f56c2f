"""Models in this process through transformers: the provider ``hf``.

For labels, the keys and values of the beginning that prompts share are computed in one pass and
copied for every batch; each prompt then costs its own few tokens. Where a model's state cannot be
shared (recurrent models), every prompt is computed separately.
"""

import copy
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.base import FinishReason, ModelOptions, Usage
from llm_pv.models.hub import from_pretrained, is_out_of_memory, out_of_memory
from llm_pv.models.in_process import LINE_END, Continuation, InProcessModel, ordered_ends
from llm_pv.models.label_queries import (
    LabelAnswer,
    LabelQuery,
    LabelTokens,
    Tokens,
    answer_of_scores,
    shared_length,
)
from llm_pv.models.transformers_tensors import (
    SharedPrefix,
    cache_argument,
    choices,
    free_bytes,
    padded,
)

_RUNNING = threading.Lock()
"""One generation at a time: torch's random state, which a seed sets, is global."""

_MOST_AT_ONCE = 64
_MEMORY_SHARE = 0.4
"""The part of the free memory that the keys and values of a batch may take."""


@dataclass(frozen=True)
class _Batch:
    """Prompts answered together: their tokens and seeds, and how many rows are computed at once."""

    encoded: Sequence[Sequence[int]]
    seeds: Sequence[int]
    shared: SharedPrefix
    labels: LabelTokens | None
    rows: int


class TransformersModel(InProcessModel):
    """A model of transformers, on the accelerator if there is one.

    One generation runs at a time; others wait. A generation with the same seed, on the same
    machine, gives the same text. If neither the user nor the model's ``generation_config.json``
    sets sampling options, tokens are sampled at temperature 1.

    Raise ConfigurationError if there is no such model, or an option does not fit. Raise
    MissingExtraError if transformers is not installed.

    Parameters
    ----------
    options
        How it is called. Of ``extra``, ``engine`` goes to ``from_pretrained`` and the rest is
        part of a `transformers.GenerationConfig`.
    """

    def __init__(self, folder_or_name: str, options: ModelOptions) -> None:
        super().__init__("hf", folder_or_name, options)
        _check_settings(self.sampling_options)
        self._model: Any = None
        self._closed = False

    def continue_tokens(
        self, tokens: Sequence[int], *, samples: int, seed: int, new_tokens: int
    ) -> list[Continuation]:
        """Return sampled continuations of a prompt."""
        with self.running(seed, f"with a prompt of {len(tokens):,} tokens") as (torch, model):
            inputs = torch.tensor([list(tokens)], device=model.device)
            output = model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=self.generation_config(new_tokens, samples=samples),
            )
            written = output[:, len(tokens) :].tolist()
        continuations = [self.continuation(one) for one in written]
        # Greedy decoding gives the same tokens for every sample, so it runs once.
        return continuations + [replace(continuations[0], written=0)] * (samples - len(written))

    @contextmanager
    def running(self, seed: int, what: str) -> Iterator[tuple[Any, Any]]:
        """Lock torch, seed it and yield the model; raise ModelError if memory runs out."""
        import torch

        with _RUNNING, torch.inference_mode(), _seeded(torch, seed):
            model = self._loaded(torch)
            try:
                yield torch, model
            except Exception as error:
                if is_out_of_memory(error):
                    raise ModelError(out_of_memory(self.name, what)) from error
                raise

    def generation_config(self, new_tokens: int, *, samples: int = 1) -> Any:
        """Return the generation settings for at most this many tokens."""
        config = copy.deepcopy(self._model.generation_config)
        own_temperature = config.temperature if config.do_sample else None
        temperature = self.options.temperature
        if temperature is None:
            temperature = 1.0 if own_temperature is None else own_temperature
        config.update(
            max_new_tokens=new_tokens,
            max_length=None,
            num_return_sequences=samples if temperature > 0 else 1,
            do_sample=temperature > 0,
            temperature=temperature if temperature > 0 else None,
            eos_token_id=self.end_tokens(),
            pad_token_id=self.pad_token(),
            max_time=self.options.timeout_seconds,
        )
        if temperature == 0:
            config.update(top_p=None, top_k=None, min_p=None, typical_p=None)
        elif self.options.top_p is not None:
            config.top_p = self.options.top_p
        if temperature > 0 and own_temperature is None:
            config.top_k = 0  # the default of transformers keeps only the 50 likeliest tokens
        config.update(**self.sampling_options)
        return config

    def end_tokens(self) -> list[int]:
        """Return the tokens that end a turn: its tokenizer's first, then the model's own."""
        return ordered_ends(self.chat.tokenizer, self._model.generation_config)

    def pad_token(self) -> int:
        """Return the padding token."""
        pad = self.chat.tokenizer.pad_token_id
        return next(iter(self.end_tokens()), 0) if pad is None else int(pad)

    def continuation(self, written: Sequence[int]) -> Continuation:
        """Return the generated tokens up to the end of the turn, without padding."""
        ends = self.end_tokens()
        for position, token in enumerate(written):
            if token in ends:
                return Continuation(written[:position], True, position + 1)
        return Continuation(written, False, len(written))

    def close(self) -> None:
        """Release the weights."""
        with _RUNNING:
            self._closed = True
            if self._model is None:
                return
            self._model = None
            import torch

            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _loaded(self, torch: Any) -> Any:
        if self._closed:
            raise ModelError(f"{self.name} is closed")
        if self._model is None:
            from transformers import AutoModelForCausalLM

            options = {"dtype": "auto", **self.engine_options}
            if torch.accelerator.is_available():
                options.setdefault("device_map", "auto")
            with _no_progress_bar():
                model = from_pretrained(AutoModelForCausalLM, self.folder_or_name, **options)
            self._model = model.eval()
        return self._model

    def load(self) -> None:
        """Load the weights."""
        with self.running(0, "loading it"):
            pass

    def _answered(
        self, prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, LabelAnswer]]]:
        labels = None
        if query.mode == "generate":
            encoded = self._encoded(prompts, query)
        else:
            ends = self.end_tokens()
            encoded, labels = self._with_labels(prompts, query, ends)
        start = time.perf_counter()
        shared = self._share(encoded)
        rows_each = 1
        if labels is not None and query.mode == "likelihood":
            rows_each = len(labels.paths())
        # The rows computed together: of one prompt or of several, or some of one prompt.
        most = self._fitting(shared, max(map(len, encoded)), query, labels)
        if self.options.batch_size:
            most = self.options.batch_size * rows_each
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
                answers = self._batch(batch, query)
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

    def _share(self, encoded: Sequence[Sequence[int]]) -> SharedPrefix:
        length = shared_length(encoded)
        with self.running(0, f"with a prompt of {len(encoded[0]):,} tokens") as (torch, model):
            if model._is_stateful or length == 0 or len(encoded) == 1:
                return SharedPrefix(0, None, 0.0)
            from transformers import DynamicCache

            cache: Any = DynamicCache(config=model.config)
            if not all(hasattr(layer, "keys") for layer in cache.layers):
                return SharedPrefix(0, None, 0.0)  # a recurrent layer among others
            tokens = torch.tensor([list(encoded[0][:length])], device=model.device)
            model(input_ids=tokens, **cache_argument(cache), use_cache=True, logits_to_keep=1)
            held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        return SharedPrefix(length, cache, held / length)

    def _fitting(
        self, shared: SharedPrefix, longest: int, query: LabelQuery, labels: LabelTokens | None
    ) -> int:
        """Return how many rows' keys and values fit into memory together."""
        if not shared.length:
            return 1
        with self.running(0, "counting memory") as (torch, model):
            free = free_bytes(torch, model.device)
        new = max(map(len, labels.tokens)) if labels else query.max_new_tokens
        row_bytes = shared.bytes_per_token * (longest + new)
        if labels is not None and query.mode == "likelihood":
            # Scores of every token at every place: as they come, as floats, as logarithms.
            vocabulary = model.get_output_embeddings().weight.shape[0]
            row_bytes += 3 * 4 * vocabulary * new
        return max(1, min(_MOST_AT_ONCE, int(_MEMORY_SHARE * free / row_bytes)))

    def _batch(self, batch: _Batch, query: LabelQuery) -> list[LabelAnswer]:
        longest = max(map(len, batch.encoded))
        what = f"answering {len(batch.encoded)} prompts of up to {longest:,} tokens at once"
        with self.running(0, what) as (torch, model):
            if query.mode == "likelihood" and batch.labels is not None:
                return self._score(torch, model, batch, batch.labels, query)
            return self._write(torch, model, batch, query)

    def _write(self, torch: Any, model: Any, batch: _Batch, query: LabelQuery) -> list[LabelAnswer]:
        """Generate answers, free or restricted to the labels."""
        labels = batch.labels
        if labels is not None:
            new_tokens = max(map(len, labels.tokens))
        else:
            new_tokens = min(query.max_new_tokens, self.room(max(map(len, batch.encoded))))
        config = self.generation_config(new_tokens)
        tokens, mask, cache = padded(torch, model, batch.encoded, batch.shared, self.pad_token())
        processors = choices(
            torch,
            config,
            batch.seeds,
            labels=labels,
            prompt_length=tokens.shape[1],
            ends=self.end_tokens(),
        )
        config.update(do_sample=False, temperature=None, top_p=None, top_k=None, min_p=None)
        if labels is None and not self._chat(query).has_template:
            config.update(stop_strings=[LINE_END])
        output = model.generate(
            tokens,
            attention_mask=mask,
            generation_config=config,
            logits_processor=processors,
            tokenizer=self.chat.tokenizer,
            **cache_argument(cache),
        )
        return [self._read(row, labels, query) for row in output[:, tokens.shape[1] :].tolist()]

    def _read(
        self, row: Sequence[int], labels: LabelTokens | None, query: LabelQuery
    ) -> LabelAnswer:
        """Return the generated answer, padded on the right."""
        continuation = self.continuation(row)
        usage = Usage(0, continuation.written)
        label = None if labels is None else labels.label_of(row)
        if label is not None:
            return LabelAnswer(query.written()[label], usage=usage)
        finish: FinishReason = "stop" if continuation.ended else "length"
        return LabelAnswer(self._answer_text(continuation.tokens, query), finish, usage=usage)

    def _score(
        self, torch: Any, model: Any, batch: _Batch, labels: LabelTokens, query: LabelQuery
    ) -> list[LabelAnswer]:
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
        return [answer_of_scores(query, labels.scores(of_prompt)) for of_prompt in seen]

    def _log_probabilities(
        self,
        torch: Any,
        model: Any,
        rows: Sequence[Sequence[int]],
        shared: SharedPrefix,
        *,
        places: int,
    ) -> Any:
        """Return the logarithms of what may come after the last places of each row."""
        tokens, mask, cache = padded(torch, model, rows, shared, self.pad_token())
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared.length :]
        logits = model(
            input_ids=tokens[:, shared.length :],
            attention_mask=mask,
            position_ids=positions,
            **cache_argument(cache),
            logits_to_keep=places,
        ).logits
        return torch.log_softmax(logits.float(), dim=-1).cpu()


def _check_settings(options: Mapping[str, Any]) -> None:
    from transformers import GenerationConfig

    known = GenerationConfig()
    for name in options:
        if not hasattr(known, name):
            raise ConfigurationError(
                f"{name!r} is no setting of hf: models; settings are those of "
                "transformers.GenerationConfig, engine and chat_template_kwargs"
            )


@contextmanager
def _seeded(torch: Any, seed: int) -> Iterator[None]:
    """Seed the random state, and restore it afterwards."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed % 2**63)
        yield


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Turn off the progress bars of loading, which would overwrite the command's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
