"""Labels from models behind an API: one call for each prompt, several calls concurrently."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.base import ModelOptions, Request, Turn, UserMessage
from llm_pv.models.label_queries import LabelAnswer, LabelQuery, answer_of_scores
from llm_pv.models.language_model import LanguageModel
from llm_pv.models.registry import IN_PROCESS, PROVIDERS, Interface

_TOP_LOGPROBS = 20
_NOT_SEEN = -100.0
"""The logarithm given to a label that is not among the likeliest tokens."""


def check_query(name: str, interface: Interface, query: LabelQuery) -> None:
    """Raise ConfigurationError, with the reason, if a model does not support a query."""
    if query.chat == "off":
        raise ConfigurationError(
            f"--chat off: {name} is reached through its chat interface alone; leave the "
            f"option out, or take {IN_PROCESS}"
        )
    if query.mode == "constrained" and query.form == "plain":
        raise ConfigurationError(
            f"--answer constrained with --label-form plain: {name} restricts its answers "
            "to JSON objects; give --label-form json"
        )
    if query.mode != "likelihood":
        return
    if interface != "chat":
        over_chat = [
            f"{one.name}:" + ("" if one.uses_default("chat") else " with --api chat")
            for one in PROVIDERS.values()
            if "chat" in one.interfaces
        ]
        raise ConfigurationError(
            f"--answer likelihood: {name} does not return probabilities of labels; take "
            f"constrained or generate, or a model over chat completions ({', '.join(over_chat)}), "
            f"{IN_PROCESS}"
        )
    if query.form == "json":
        raise ConfigurationError(
            f"--answer likelihood with {name} reads the first token of an answer, which "
            "has to be the label itself: give --label-form plain"
        )


def options_for(
    query: LabelQuery, interface: Interface, options: ModelOptions, shared: str
) -> ModelOptions:
    """Return the options with the settings of a query's requests.

    Parameters
    ----------
    shared
        The common prefix of the prompts, to be named in requests; empty to name none.
    """
    request: dict[str, Any] = {}
    if shared:
        digest = hashlib.sha256(shared.encode("utf-8", "surrogatepass")).hexdigest()
        request["prompt_cache_key"] = digest[:32]
    if query.mode == "likelihood":
        request |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        options = replace(options, max_output_tokens=1)
    if query.mode == "constrained":
        request |= _schema(interface, options.verbosity, query.labels)
    return replace(options, extra={**request, **options.extra})


def _schema(interface: Interface, verbosity: str | None, labels: Sequence[str]) -> dict[str, Any]:
    """Return the setting of an interface that restricts an answer to the labels."""
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(labels)}},
        "required": ["label"],
        "additionalProperties": False,
    }
    named = {"name": "label", "strict": True, "schema": schema}
    match interface:
        case "messages":
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        case "generateContent":
            form = {"responseMimeType": "application/json", "responseJsonSchema": schema}
            return {"generationConfig": form}
        case "responses":
            # The body's own "text" would be replaced whole, so the verbosity is named again.
            more = {} if verbosity is None else {"verbosity": verbosity}
            return {"text": {"format": {"type": "json_schema", **named}, **more}}
        case "chat":
            return {"response_format": {"type": "json_schema", "json_schema": named}}


def answers_of(
    model: LanguageModel,
    prompts: Sequence[str],
    query: LabelQuery,
    seeds: Sequence[int],
    concurrency: int,
) -> Iterator[list[tuple[int, LabelAnswer]]]:
    """Yield each answer as it arrives, as for `LanguageModel.choose`."""

    def ask(position: int) -> tuple[int, LabelAnswer]:
        (turn,) = model.complete(Request([UserMessage(prompts[position])], seed=seeds[position]))
        is_scored = query.mode == "likelihood"
        return position, answer_of_logprobs(turn, query) if is_scored else LabelAnswer.of(turn)

    # The first call alone, so that the others find the prefix in the vendor's cache.
    yield [ask(0)]
    threads = ThreadPoolExecutor(concurrency)
    try:
        yield from _as_they_come(threads, ask, range(1, len(prompts)), concurrency)
    finally:
        # Running calls end when the caller closes the model, which it does next.
        threads.shutdown(wait=False, cancel_futures=True)


def _as_they_come(
    threads: ThreadPoolExecutor,
    ask: Callable[[int], tuple[int, LabelAnswer]],
    positions: Sequence[int],
    concurrency: int,
) -> Iterator[list[tuple[int, LabelAnswer]]]:
    """Yield answers as they arrive; after an error, those of the calls still running."""
    waiting = iter(positions)
    under_way: set[Future[tuple[int, LabelAnswer]]] = set()
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


def answer_of_logprobs(turn: Turn, query: LabelQuery) -> LabelAnswer:
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
    sure = _decided(query, logs)
    if sure is None:
        answer = LabelAnswer("", turn.finish)
    elif not any(sure):
        answer = LabelAnswer(turn.text, turn.finish)
    else:
        scores = [max(math.log(share), _NOT_SEEN) if share else _NOT_SEEN for share in sure]
        answer = answer_of_scores(query, scores)
    return replace(answer, usage=turn.usage, cost_usd=turn.cost_usd, seconds=turn.seconds)


def _decided(query: LabelQuery, logs: Mapping[str, float]) -> list[float] | None:
    """Return the probability of each label, summed over its spellings.

    A token that several labels begin with is for none of them alone. None if such tokens could
    make another label the likeliest.
    """
    sure = dict.fromkeys(query.labels, 0.0)
    possible = dict.fromkeys(query.labels, 0.0)
    for spelt, log in logs.items():
        token = spelt.strip().strip("\"'")
        begun = [label for label in query.labels if token and label.startswith(token)]
        for label in begun:
            possible[label] += math.exp(log)
            if len(begun) == 1:
                sure[label] += math.exp(log)
    best = max(sure, key=lambda label: sure[label])
    if any(share > sure[best] for label, share in possible.items() if label != best):
        return None
    return list(sure.values())
