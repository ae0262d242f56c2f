"""Labels from vLLM's offline engine, whose prefix cache holds the common prefix of prompts."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_pv.errors import ConfigurationError
from llm_pv.models.answers import Answer, Asking
from llm_pv.models.answers_local import LINE_END, LocalAnswers, answer_of_scores
from llm_pv.models.base import Usage
from llm_pv.models.label_tokens import LabelTokens, shared_length

if TYPE_CHECKING:
    from llm_pv.models.vllm_engine import Request, VLLMModel

_AT_ONCE = 32
"""Prompts passed to the engine together; answers are kept and progress shown after each batch."""

_MOST_CHOICES = 128
"""The most tokens for which vLLM returns probabilities by name."""


class VLLMAnswers(LocalAnswers):
    """A model of vLLM that answers with labels.

    Parameters
    ----------
    batch_size
        Prompts passed to the engine together; None for 32.
    """

    def __init__(self, model: "VLLMModel", *, batch_size: int | None = None) -> None:
        super().__init__(model)
        self._vllm = model
        self._batch_size = batch_size or _AT_ONCE

    def _load(self) -> None:
        self._vllm.load()

    def _answered(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        labels = None
        if asking.mode == "likelihood":
            encoded, labels = self._with_labels(prompts, asking, self._vllm.end_tokens())
        else:
            encoded = self._encoded(prompts, asking)
        # The first prompt alone, so that the others find the prefix in the cache.
        position, size = 0, 1
        while position < len(prompts):
            rows = range(position, min(position + size, len(prompts)))
            start = time.perf_counter()
            batch = [encoded[row] for row in rows]
            if labels is not None:
                answers = self._score(batch, labels, asking)
            else:
                answers = self._write(batch, asking, [seeds[row] for row in rows])
            seconds = (time.perf_counter() - start) / len(rows)
            yield [
                (row, replace(answer, seconds=seconds))
                for row, answer in zip(rows, answers, strict=True)
            ]
            position, size = rows.stop, self._batch_size

    def _write(
        self, batch: Sequence[Sequence[int]], asking: Asking, seeds: Sequence[int]
    ) -> list[Answer]:
        settings: dict[str, Any] = {"max_tokens": asking.max_new_tokens}
        if asking.mode == "constrained":
            settings |= self._constraint(asking)
        elif not self._chat(asking).has_template:
            settings["stop"] = [LINE_END]
        requests: list[Request] = [
            (
                tokens,
                settings
                | {
                    "seed": seed % 2**63,
                    "max_tokens": min(settings["max_tokens"], self._vllm.room(len(tokens))),
                },
            )
            for tokens, seed in zip(batch, seeds, strict=True)
        ]
        answers = []
        for output in self._vllm.generate(requests):
            continuation = self._vllm.continuation(output.outputs[0])
            answers.append(
                Answer(
                    self._said(continuation.tokens, asking),
                    "stop" if continuation.ended else "length",
                    usage=_usage(output, continuation.written),
                )
            )
        return answers

    def _constraint(self, asking: Asking) -> dict[str, Any]:
        from vllm.sampling_params import StructuredOutputsParams

        lead = "" if self._chat(asking).has_template else " "
        choice = [f"{lead}{one}" for one in asking.written()]
        longest = max(len(self._chat(asking).encode_continuation(one)) for one in choice)
        # One token of UTF-8 is at least a byte, and a choice may be spelt in more tokens than
        # its shortest spelling has.
        most = max(longest, *(len(one.encode()) for one in choice)) + 1
        return {
            "structured_outputs": StructuredOutputsParams(choice=choice),
            "max_tokens": most,
        }

    def _score(
        self, batch: Sequence[Sequence[int]], labels: LabelTokens, asking: Asking
    ) -> list[Answer]:
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
        outputs = self._vllm.generate(requests)
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
            answers.append(replace(answer_of_scores(asking, labels.scores(seen)), usage=usage))
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
