"""Labels from models behind an API: one call for each prompt, several calls concurrently."""

import hashlib
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.answers import Answer, Asking
from llm_pv.models.answers_local import answer_of_scores
from llm_pv.models.base import LanguageModel, ModelOptions, Turn, Usage, UserMessage
from llm_pv.models.label_tokens import common_length
from llm_pv.models.registry import make_model, split_name
from llm_pv.models.tokens import estimate_tokens

_TOP_LOGPROBS = 20
_NOT_SEEN = -100.0
"""The logarithm given to a label that is not among the likeliest tokens."""


class VendorAnswers:
    """A model behind an API that answers with labels.

    Parameters
    ----------
    name
        ``PROVIDER:MODEL``.
    """

    def __init__(self, name: str, options: ModelOptions, *, concurrency: int = 5) -> None:
        provider, model = split_name(name)
        self._provider = provider
        self._full_name = f"{provider}:{model}"
        self._options = options
        self._concurrency = concurrency
        self._opened: dict[str, LanguageModel] = {}
        self._opening = threading.Lock()
        first = self._open(Asking(()))
        self.name = first.name
        self.identity = first.identity
        self.destination = first.destination
        self.counts_exactly = False

    @property
    def context_tokens(self) -> int | None:
        """Tokens of input and output together that fit, None where it is not known."""
        return self._open(Asking(())).context_tokens

    def check(self, asking: Asking) -> None:
        """Raise ConfigurationError, with the reason, if the model does not support this query."""
        if asking.chat == "off":
            raise ConfigurationError(
                f"--chat off: {self.name} is reached through its chat interface alone; leave the "
                "option out, or take hf: or vllm:"
            )
        if asking.mode == "constrained" and asking.form == "plain":
            raise ConfigurationError(
                f"--answer constrained with --label-form plain: {self.name} restricts its answers "
                "to JSON objects; give --label-form json"
            )
        if asking.mode == "likelihood":
            self._check_likelihood(asking)

    def _check_likelihood(self, asking: Asking) -> None:
        api = self._options.api or ("responses" if self._provider == "openai" else "chat")
        if not self._provider.startswith("openai") or api != "chat":
            raise ConfigurationError(
                f"--answer likelihood: {self.name} does not return probabilities of labels; take "
                "constrained or generate, or a model over chat completions (openai-compatible:, or "
                "openai: with --api chat), hf: or vllm:"
            )
        if asking.form == "json":
            raise ConfigurationError(
                f"--answer likelihood with {self.name} reads the first token of an answer, which "
                "has to be the label itself: give --label-form plain"
            )

    def count(self, prompts: Sequence[str], asking: Asking) -> list[int]:  # noqa: ARG002
        """Return an upper estimate of each prompt's tokens."""
        return [estimate_tokens(prompt) for prompt in prompts]

    def price(self, usage: Usage) -> float | None:
        """Return the price of a usage in US dollars, None where it is not known."""
        return self._open(Asking(())).price(usage)

    def show(self, prompt: str, asking: Asking) -> str:
        """Return the request that would be sent."""
        preview = self._open(asking).preview([UserMessage(prompt)])
        return f"{preview.method} {preview.url}\n{json.dumps(dict(preview.body), indent=2)}"

    def answers(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Yield each answer as it arrives; see `AnsweringModel.answers`."""
        self.check(asking)
        if not prompts:
            return
        model = self._open(asking, prompts[0][: common_length(prompts)])
        read = _of_scores if asking.mode == "likelihood" else _of_turn

        def ask(position: int) -> tuple[int, Answer]:
            (turn,) = model.answer([UserMessage(prompts[position])], seed=seeds[position])
            return position, read(turn, asking)

        # The first call alone, so that the others find the prefix in the vendor's cache.
        yield [ask(0)]
        threads = ThreadPoolExecutor(self._concurrency)
        try:
            yield from _as_they_come(threads, ask, range(1, len(prompts)), self._concurrency)
        finally:
            # Running calls end when the caller closes the model, which it does next.
            threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections."""
        for model in self._opened.values():
            model.close()

    def _open(self, asking: Asking, shared: str = "") -> LanguageModel:
        extra = {**self._request(asking, shared), **self._options.extra}
        key = json.dumps(extra, sort_keys=True)
        with self._opening:
            if key not in self._opened:
                options = replace(self._options, extra=extra)
                if asking.mode == "likelihood":
                    options = replace(options, max_output_tokens=1)
                self._opened[key] = make_model(self._full_name, options)
            return self._opened[key]

    def _request(self, asking: Asking, shared: str) -> dict[str, Any]:
        """Return the settings of a request other than the prompt."""
        request: dict[str, Any] = {}
        if self._provider == "openai" and shared:
            digest = hashlib.sha256(shared.encode("utf-8", "surrogatepass")).hexdigest()
            request["prompt_cache_key"] = digest[:32]
        if asking.mode == "likelihood":
            request |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        if asking.mode == "constrained":
            request |= self._schema(asking.labels)
        return request

    def _schema(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the setting that restricts an answer to the labels, in each vendor's form."""
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": list(labels)}},
            "required": ["label"],
            "additionalProperties": False,
        }
        named = {"name": "label", "strict": True, "schema": schema}
        if self._provider == "anthropic":
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        if self._provider == "google":
            return {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": schema,
                }
            }
        if self._options.api == "responses" or (
            self._provider == "openai" and self._options.api is None
        ):
            # The body's own "text" would be replaced whole, so the verbosity is named again.
            said = {} if self._options.verbosity is None else {"verbosity": self._options.verbosity}
            return {"text": {"format": {"type": "json_schema", **named}, **said}}
        return {"response_format": {"type": "json_schema", "json_schema": named}}


def _as_they_come(
    threads: ThreadPoolExecutor,
    ask: Callable[[int], tuple[int, Answer]],
    positions: Sequence[int],
    concurrency: int,
) -> Iterator[list[tuple[int, Answer]]]:
    """Yield answers as they arrive; after an error, those of the calls still running."""
    waiting = iter(positions)
    under_way: set[Future[tuple[int, Answer]]] = set()
    error: BaseException | None = None
    while True:
        while error is None and len(under_way) < concurrency:
            position = next(waiting, None)
            if position is None:
                break
            under_way.add(threads.submit(ask, position))
        if not under_way:
            break
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        failures = [failure for future in done if (failure := future.exception()) is not None]
        error = error or next(iter(failures), None)
        came = [future.result() for future in done if future.exception() is None]
        if came:
            yield came
    if error is not None:
        raise error


def _of_turn(turn: Turn, asking: Asking) -> Answer:  # noqa: ARG001 - the same form as _of_scores
    return Answer(
        turn.text, turn.finish, usage=turn.usage, cost_usd=turn.cost_usd, seconds=turn.seconds
    )


def _of_scores(turn: Turn, asking: Asking) -> Answer:
    """Return the labels' probabilities, from the likeliest first tokens."""
    details: Mapping[str, Any] = turn.raw.get("provider_details") or {}
    logprobs = details.get("logprobs")
    if not logprobs:
        raise ModelError(
            "--answer likelihood: the server returned no probabilities (logprobs); take generate"
        )
    # The generated token is also among the likeliest.
    entries = [*logprobs[0].get("top_logprobs", ()), logprobs[0]]
    logs = {entry["token"]: float(entry["logprob"]) for entry in entries}
    sure = _decided(asking, logs)
    if sure is None:
        answer = Answer("", turn.finish)
    elif not any(sure):
        answer = Answer(turn.text, turn.finish)
    else:
        scores = [max(math.log(share), _NOT_SEEN) if share else _NOT_SEEN for share in sure]
        answer = answer_of_scores(asking, scores)
    return replace(answer, usage=turn.usage, cost_usd=turn.cost_usd, seconds=turn.seconds)


def _decided(asking: Asking, logs: Mapping[str, float]) -> list[float] | None:
    """Return the probability of each label, summed over its spellings.

    A token that several labels begin with is for none of them alone. None if such tokens could
    make another label the likeliest.
    """
    sure = dict.fromkeys(asking.labels, 0.0)
    possible = dict.fromkeys(asking.labels, 0.0)
    for spelt, log in logs.items():
        token = spelt.strip().strip("\"'")
        begun = [label for label in asking.labels if token and label.startswith(token)]
        for label in begun:
            possible[label] += math.exp(log)
            if len(begun) == 1:
                sure[label] += math.exp(log)
    best = max(sure, key=lambda label: sure[label])
    if any(share > sure[best] for label, share in possible.items() if label != best):
        return None
    return list(sure.values())
