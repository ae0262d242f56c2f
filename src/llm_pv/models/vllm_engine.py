"""Models in this process through vLLM's offline engine: the provider ``vllm``.

Its prefix cache holds what the prompts of a query for labels share.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.group_commit import GroupCommit
from llm_pv.models.base import ModelOptions, Usage
from llm_pv.models.hub import (
    generation_config,
    is_out_of_memory,
    local_folder,
    one_line,
    out_of_memory,
)
from llm_pv.models.in_process import LINE_END, Continuation, InProcessModel, ordered_ends
from llm_pv.models.label_queries import (
    LabelAnswer,
    LabelQuery,
    LabelTokens,
    answer_of_scores,
    shared_length,
)

_AT_ONCE = 32
"""Prompts passed to the engine together; answers are kept and progress shown after each batch."""

_MOST_CHOICES = 128
"""The most tokens for which vLLM returns probabilities by name."""

_CPU_CACHE_BYTES = 1 << 30
"""Key-value cache on a machine without an accelerator, where vLLM would take most of the memory."""

_CPU_TOKENS_AT_ONCE = 8_192

Request = tuple[Sequence[int], Mapping[str, Any]]
"""A prompt's tokens, and settings of `vllm.SamplingParams`."""


class VLLMModel(InProcessModel):
    """A model of vLLM's offline engine.

    Concurrent calls from several threads are answered together. ``timeout_seconds`` has no effect,
    because the engine cannot be interrupted.

    Raise ConfigurationError if vLLM is not installed, there is no such model, or an option does not
    fit.

    Parameters
    ----------
    options
        How it is called. Of ``extra``, ``engine`` goes to `vllm.LLM`, such as
        ``{"tensor_parallel_size": 2}``, and the rest to `vllm.SamplingParams`.
    """

    def __init__(self, folder_or_name: str, options: ModelOptions) -> None:
        if find_spec("vllm") is None:
            raise ConfigurationError(
                "vLLM is not installed: pip install vllm, in an environment of its own, since it "
                "pins its own torch; or give hf:, which runs models through transformers"
            )
        super().__init__("vllm", folder_or_name, options)
        self._generation = generation_config(folder_or_name, self.config)
        self._engine: Any = None
        self._closed = False
        self._loading = threading.Lock()
        self._together: GroupCommit[Request, Any] = GroupCommit(self._generate)

    def continue_tokens(
        self, tokens: Sequence[int], *, samples: int, seed: int, new_tokens: int
    ) -> list[Continuation]:
        """Return sampled continuations of a prompt."""
        settings = {"n": samples, "seed": seed % 2**63, "max_tokens": new_tokens}
        output = self._together((tokens, settings))
        return [self.continuation(one) for one in output.outputs]

    def generate(self, requests: Sequence[Request]) -> list[Any]:
        """Return vLLM's output for each request, computed together."""
        with self._together.paused():
            return self._generate(requests)

    def load(self) -> None:
        """Start the engine now, before the first prompt."""
        self._loaded()

    def end_tokens(self) -> list[int]:
        """Return the tokens that end a turn: its tokenizer's first, then the model's own."""
        return ordered_ends(self.chat.tokenizer, self._generation)

    def continuation(self, output: Any) -> Continuation:
        """Return one of vLLM's completions, without the token that ends the turn."""
        tokens, written = list(output.token_ids), len(output.token_ids)
        ended = output.finish_reason == "stop"
        if ended and not isinstance(output.stop_reason, str):
            tokens = tokens[:-1]
        return Continuation(tokens, ended, written)

    def close(self) -> None:
        """Release the weights."""
        with self._loading:
            self._closed = True
            if self._engine is None:
                return
            self._engine.llm_engine.engine_core.shutdown()
            self._engine = None

    def _generate(self, requests: Sequence[Request]) -> list[Any]:
        engine = self._loaded()
        prompts = [{"prompt_token_ids": list(tokens)} for tokens, _ in requests]
        params = [self._parameters(engine, settings) for _, settings in requests]
        try:
            return list(engine.generate(prompts, params, use_tqdm=False))
        except Exception as error:
            raise ModelError(self._failure(error)) from error

    def _parameters(self, engine: Any, settings: Mapping[str, Any]) -> Any:
        chosen = dict(settings)
        if self.options.temperature is not None:
            chosen.setdefault("temperature", self.options.temperature)
        if self.options.top_p is not None and chosen.get("temperature") != 0:
            chosen.setdefault("top_p", self.options.top_p)
        params = engine.get_default_sampling_params()
        chosen = {**self.sampling_options, **chosen, "stop_token_ids": self.end_tokens()}
        unknown = [name for name in chosen if not hasattr(params, name)]
        if unknown:
            raise ConfigurationError(f"{unknown[0]!r} is no setting of vllm.SamplingParams")
        try:
            for name, value in chosen.items():
                setattr(params, name, value)
            params.__post_init__()
        except Exception as error:
            # Only vLLM checks these, with an error class of its own.
            raise ConfigurationError(f"vLLM takes no such settings: {one_line(error)}") from error
        return params

    def _loaded(self) -> Any:
        with self._loading:
            if self._closed:
                raise ModelError(f"{self.name} is closed")
            if self._engine is None:
                self._engine = self._load()
            return self._engine

    def _load(self) -> Any:
        # vLLM reads this when imported; its log would overwrite the command's progress.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            from vllm import LLM
            from vllm.platforms import current_platform

            options: dict[str, Any] = {"enable_prefix_caching": True, "disable_log_stats": True}
            if self.options.context_tokens is not None:
                options["max_model_len"] = self.context_tokens
            if current_platform.is_cpu():
                # The engine starts ten times faster in this process than in a child.
                os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
                options |= {"enforce_eager": True, "kv_cache_memory_bytes": _CPU_CACHE_BYTES}
                # Chunked prefill and seeds do not work together there: "CPU Generator
                # does not use offset".
                options |= {
                    "enable_chunked_prefill": False,
                    "max_num_batched_tokens": max(_CPU_TOKENS_AT_ONCE, self.context_tokens or 0),
                }
            return LLM(local_folder(self.folder_or_name), **(options | self.engine_options))
        except Exception as error:
            raise ConfigurationError(
                f"cannot load the model {self.folder_or_name!r} in vLLM: {self._failure(error)}"
            ) from error

    def _failure(self, error: Exception) -> str:
        if is_out_of_memory(error):
            return out_of_memory(self.name, "in vLLM")
        return one_line(error)

    def _answered(
        self, prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, LabelAnswer]]]:
        labels = None
        if query.mode == "likelihood":
            encoded, labels = self._with_labels(prompts, query, self.end_tokens())
        else:
            encoded = self._encoded(prompts, query)
        # The first prompt alone, so that the others find the prefix in the cache.
        position, size = 0, 1
        while position < len(prompts):
            rows = range(position, min(position + size, len(prompts)))
            start = time.perf_counter()
            batch = [encoded[row] for row in rows]
            if labels is not None:
                answers = self._score(batch, labels, query)
            else:
                answers = self._write(batch, query, [seeds[row] for row in rows])
            seconds = (time.perf_counter() - start) / len(rows)
            yield [
                (row, replace(answer, seconds=seconds))
                for row, answer in zip(rows, answers, strict=True)
            ]
            position, size = rows.stop, self.options.batch_size or _AT_ONCE

    def _write(
        self, batch: Sequence[Sequence[int]], query: LabelQuery, seeds: Sequence[int]
    ) -> list[LabelAnswer]:
        settings: dict[str, Any] = {"max_tokens": query.max_new_tokens}
        if query.mode == "constrained":
            settings |= self._constraint(query)
        elif not self._chat(query).has_template:
            settings["stop"] = [LINE_END]
        requests: list[Request] = [
            (
                tokens,
                settings
                | {
                    "seed": seed % 2**63,
                    "max_tokens": min(settings["max_tokens"], self.room(len(tokens))),
                },
            )
            for tokens, seed in zip(batch, seeds, strict=True)
        ]
        answers = []
        for output in self.generate(requests):
            continuation = self.continuation(output.outputs[0])
            answers.append(
                LabelAnswer(
                    self._answer_text(continuation.tokens, query),
                    "stop" if continuation.ended else "length",
                    usage=_usage(output, continuation.written),
                )
            )
        return answers

    def _constraint(self, query: LabelQuery) -> dict[str, Any]:
        from vllm.sampling_params import StructuredOutputsParams

        lead = "" if self._chat(query).has_template else " "
        choice = [f"{lead}{one}" for one in query.written()]
        longest = max(len(self._chat(query).encode_continuation(one)) for one in choice)
        # One token of UTF-8 is at least a byte, and a choice may be spelt in more tokens than
        # its shortest spelling has.
        most = max(longest, *(len(one.encode()) for one in choice)) + 1
        return {"structured_outputs": StructuredOutputsParams(choice=choice), "max_tokens": most}

    def _score(
        self, batch: Sequence[Sequence[int]], labels: LabelTokens, query: LabelQuery
    ) -> list[LabelAnswer]:
        """Generate one token after each part of a label at which labels differ."""
        deciding = labels.deciding()
        # The common prefix of all labels is equally likely for each, so it decides nothing.
        first = shared_length(deciding)
        places = sorted({label[:cut] for label in deciding for cut in range(first, len(label))})
        requests: list[Request] = [
            (
                [*tokens, *place],
                {
                    "max_tokens": 1,
                    "temperature": 0.0,
                    "logprob_token_ids": self._following(labels, place),
                },
            )
            for tokens in batch
            for place in places
        ]
        outputs = self.generate(requests)
        answers = []
        for number, tokens in enumerate(batch):
            group = outputs[number * len(places) : (number + 1) * len(places)]
            seen = {
                place: {token: one.logprob for token, one in output.outputs[0].logprobs[0].items()}
                for place, output in zip(places, group, strict=True)
            }
            # The places share the prompt: it is counted once.
            cached = min(group[0].num_cached_tokens or 0, len(tokens))
            usage = Usage(len(tokens), len(places), cached_tokens=cached)
            answers.append(replace(answer_of_scores(query, labels.scores(seen)), usage=usage))
        return answers

    def _following(self, labels: LabelTokens, place: tuple[int, ...]) -> list[int]:
        following = list(labels.following(place))
        if len(following) > _MOST_CHOICES:
            raise ConfigurationError(
                f"vLLM gives the probabilities of {_MOST_CHOICES} tokens, the labels begin with "
                f"{len(following)}: take --answer constrained, or hf:"
            )
        return following


def _usage(output: Any, written: int) -> Usage:
    return Usage(len(output.prompt_token_ids), written, cached_tokens=output.num_cached_tokens or 0)
