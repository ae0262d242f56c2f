"""The class of all models behind an API; differences between vendors are in their `Endpoint`."""

import asyncio
import json
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pydantic_ai import ModelMessage, ModelResponse, UsageExtractionFailedWarning
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.batch import BatchRequest
from pydantic_ai.models.openai import OpenAIChatModel

from llm_pv.errors import BudgetError, ConfigurationError, CredentialError, ModelError
from llm_pv.models.base import (
    BeforeRetry,
    Message,
    ModelOptions,
    Preview,
    ToolOffer,
    ToolPlace,
    Turn,
    Usage,
    UserMessage,
)
from llm_pv.models.batches import BatchQueue, Pace
from llm_pv.models.connection import CapturedRequest, Connection, Watch, watched
from llm_pv.models.conversation import to_messages, to_parameters
from llm_pv.models.credentials import Redactor
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.refusals import LIMIT_NAMES, Refusal, ToolRefusedError, refusal_of
from llm_pv.models.retrying import (
    Backoff,
    call_with_retries,
    doubtful,
    explanation,
    passes,
    translate,
)
from llm_pv.models.tokens import estimate_tokens
from llm_pv.models.turns import to_turns
from llm_pv.telemetry import span

if TYPE_CHECKING:
    from pydantic_ai.settings import ModelSettings


# An impossible usage is discarded and replaced by an estimate.
warnings.filterwarnings("ignore", category=UsageExtractionFailedWarning)

_ABOUT_SAMPLES = re.compile(r"\bn\b|choice|completions|samples|candidates")
ADAPTABLE = (400, 413, 422, 500, 501)
"""Statuses of servers that do not support a request."""

MOST_ADAPTATIONS = 3

LEAST_OUTPUT = 64
"""The fewest output tokens that can hold a program."""

MOST_SEGMENTS = 10
"""The most requests of one turn, for a vendor that pauses long turns."""


@dataclass(frozen=True)
class Prepared:
    """One call, in our types and the library's."""

    conversation: Sequence[Message]
    messages: list[ModelMessage]
    settings: Mapping[str, Any]
    parameters: ModelRequestParameters

    @property
    def forbids_tools(self) -> bool:
        """Whether the request includes a tool that may not be called."""
        return self.settings.get("tool_choice") == "none"


class VendorModel:
    """A model behind an API; see `llm_pv.models.base.LanguageModel`.

    Parameters
    ----------
    name
        What the user asked for, ``PROVIDER:MODEL``.
    connection
        The connection; the model closes it.
    redact
        Removes the key from all texts.
    variable
        The environment variable of the key, for error messages.
    backoff
        How long to wait between tries.
    pace
        How long to wait for batches; None for the default.
    """

    def __init__(
        self,
        name: str,
        options: ModelOptions,
        endpoint: Endpoint,
        connection: Connection,
        *,
        redact: Redactor,
        variable: str,
        backoff: Backoff,
        pace: Pace | None = None,
    ) -> None:
        self._name = name
        self._options = options
        self._endpoint = endpoint
        self._connection = connection
        self._redact = redact
        self._variable = variable
        self._backoff = backoff
        self._asking = threading.Lock()
        self._refuses_samples = False
        self._noticed: set[str] = set()
        self._streams = False
        self._forbids_tools = True
        self._told: tuple[int | None] | None = None
        self._most_output: int | None = None
        self._first_limit_name = self._limit_name = (
            "max_tokens" if name.startswith("openai-compatible") else "max_completion_tokens"
        )
        self._batches: BatchQueue | None = None
        if options.batch:
            record, retries = options.batch_record, options.retries
            self._batches = BatchQueue(endpoint.model, record, retries, backoff, pace)

    def __enter__(self) -> "VendorModel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def name(self) -> str:
        """What the user asked for."""
        return self._name

    @property
    def destination(self) -> str:
        """The host that conversations are sent to."""
        return urlsplit(self._endpoint.model.base_url or "").netloc or self._name.partition(":")[0]

    @property
    def identity(self) -> str:
        """Everything that decides its answers, as one line without secrets."""
        options = self._options
        fields = {
            "model": self.name,
            "base_url": options.base_url,
            "api": options.api,
            "reasoning_effort": options.reasoning_effort,
            "verbosity": options.verbosity,
            "max_output_tokens": options.max_output_tokens if options.capped else None,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "extra": dict(options.extra),
        }
        line = json.dumps(
            {name: value for name, value in fields.items() if value not in (None, {})}
        )
        return self._redact.reply(line)

    @property
    def tool_places(self) -> frozenset[ToolPlace]:
        """Where its code can run."""
        return self._endpoint.tool_places

    @property
    def default_tool(self) -> ToolPlace:
        """``"local"``: every model behind an API is taken to call tools."""
        return "local"

    @property
    def context_tokens(self) -> int | None:
        """Tokens of input and output together that fit, None where it is not known."""
        known = self._options.context_tokens or self._endpoint.model.context_window
        ask = self._endpoint.ask_context
        if known is not None or ask is None or self._options.offline:
            return known
        with self._asking:
            if self._told is None:
                self._told = (self._connection.run(ask()),)
        return self._told[0]

    @property
    def max_output_tokens(self) -> int:
        """Tokens one turn may write, reasoning included."""
        return self._options.max_output_tokens

    @property
    def most_samples(self) -> int:
        """How many answers one call can return."""
        return self._endpoint.most_samples

    def answer(
        self,
        conversation: Sequence[Message],
        *,
        tool: ToolOffer | None = None,
        samples: int = 1,
        seed: int = 0,
        within: float | None = None,
        max_output_tokens: int | None = None,
        before_retry: BeforeRetry | None = None,
    ) -> list[Turn]:
        """Return the next turn, or alternatives of it; see `LanguageModel.answer`.

        After a server rejects a request for several, all later requests are for one.
        """
        if self._options.offline:
            raise ModelError(f"{self.name} was opened for inspection only and cannot be called")
        self._check_call(tool, samples)
        if self._refuses_samples:
            samples = 1
        prepared = self._prepared(conversation, tool, samples, seed, max_output_tokens)
        provider, _, model = self.name.partition(":")
        attributes: dict[str, str | int | None] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": self._limit_of(prepared.settings),
        }
        with span(f"chat {model}", **attributes) as recording:
            try:
                turns = self._connection.run(self._answer(prepared, seed, within, before_retry))
            except ModelError as error:
                if samples == 1 or not _may_refuse_samples(error):
                    raise
                alone = self._prepared(conversation, tool, 1, seed, max_output_tokens)
                turns = self._connection.run(self._answer(alone, seed, within, before_retry))
                self._refuses_samples = True  # one answer at a time is given
            turns = turns[:samples]  # a server may return more than requested
            usage = turns[0].usage
            outcome: dict[str, str | int | float | None] = {
                "gen_ai.response.model": turns[0].model,
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "llm_pv.tries": turns[0].tries,
                "llm_pv.cost_usd": turns[0].cost_usd,
            }
            recording.note(**outcome)
        return turns

    def preview(
        self,
        conversation: Sequence[Message],
        *,
        tool: ToolOffer | None = None,
        samples: int = 1,
        seed: int = 0,
        max_output_tokens: int | None = None,
    ) -> Preview:
        """Return what `answer` would send, without sending it."""
        self._check_call(tool, samples)
        prepared = self._prepared(conversation, tool, samples, seed, max_output_tokens)
        return self._connection.run(self._preview(prepared))

    def count_tokens(self, text: str) -> int:
        """Return an upper estimate of a text's tokens."""
        return estimate_tokens(text)

    def price(self, usage: Usage) -> float | None:
        """Return the price of a usage in US dollars, None where it is not known."""
        return self._endpoint.prices.price(usage)

    def close(self) -> None:
        """Close the connections; running calls fail."""
        self._connection.close()

    def _check_call(self, tool: ToolOffer | None, samples: int) -> None:
        if tool is not None and tool.place not in self.tool_places:
            raise ConfigurationError(f"{self.name} has no {tool.place} tool; take another --tool")
        if not 1 <= samples <= self.most_samples:
            raise ConfigurationError(
                f"{self.name} returns at most {self.most_samples} answers a call, not {samples}"
            )

    async def _preview(self, prepared: Prepared) -> Preview:
        with watched(Watch(hold=True)):
            try:
                await self._live(prepared, prepared.messages)
            except CapturedRequest as captured:
                tokens = sum(estimate_tokens(text) for text in _texts(captured.body))
                return Preview(captured.method, captured.url, captured.body, tokens)
        raise AssertionError("a request went past its preview")

    async def _answer(
        self,
        prepared: Prepared,
        seed: int,
        within: float | None,
        before_retry: BeforeRetry | None,
    ) -> list[Turn]:
        started = time.perf_counter()
        with watched(Watch(before_retry=before_retry)) as watch:
            try:
                async with asyncio.timeout(within) as limit:
                    response, notices = await self._adapted_turn(prepared, seed, watch)
            except TimeoutError as error:
                if not limit.expired():
                    raise translate(error, self.name, self._redact, watch, self._variable) from None
                raise ModelError(
                    f"{self.name}: cancelled after {within:.0f} seconds, when the time for models "
                    "was over",
                    transient=True,
                    possibly_billed=watch.doubtful,
                ) from None
            except BudgetError as error:
                message = f"{self.name}: {watch.failure}; no further try: {error}"
                raise BudgetError(self._redact(message)) from None
            except Exception as error:  # noqa: BLE001 - a strange reply breaks a client anyhow
                # No chained error: the server's message may quote the key.
                raise translate(error, self.name, self._redact, watch, self._variable) from None
        first, *rest = to_turns(
            response,
            prepared.conversation,
            self._endpoint.prices,
            self._redact,
            tools=bool(prepared.parameters.function_tools) and not prepared.forbids_tools,
            seconds=time.perf_counter() - started,
            tries=watch.sent,
            possibly_billed=watch.doubtful,
        )

        return [replace(first, notices=notices), *rest]

    async def _adapted_turn(
        self, prepared: Prepared, seed: int, watch: Watch
    ) -> tuple[ModelResponse, tuple[str, ...]]:
        """Return a turn and notices, after reducing the request if the server rejects it."""
        notices: list[str] = []
        adapted = 0
        while True:
            try:
                return await self._whole_turn(prepared, seed, watch), tuple(notices)
            except ModelHTTPError as error:
                refusal = self._refusal(error, prepared)
                if refusal is None or adapted == MOST_ADAPTATIONS:
                    raise
                said = self._redact(explanation(error))
            notice = self._adapt(refusal, said, self._limit_name_of(prepared.settings))
            if notice not in self._noticed:
                self._noticed.add(notice)
                notices.append(notice)
            prepared = replace(prepared, settings=self._limited(prepared.settings))
            adapted += 1

    def _refusal(self, error: BaseException, prepared: Prepared) -> Refusal | None:
        """Return the refusal, if the request can be changed to avoid it."""
        if not isinstance(error, ModelHTTPError) or error.status_code not in ADAPTABLE:
            return None
        return refusal_of(
            explanation(error),
            asked=self._limit_of(prepared.settings),
            sent=sum(estimate_tokens(message.text) for message in prepared.conversation),
            limit_name=self._limit_name_of(prepared.settings),
            tools=bool(prepared.parameters.function_tools),
            forbids=prepared.forbids_tools,
            streams="stream" in (prepared.settings.get("extra_body") or {})
            or not isinstance(self._endpoint.model, OpenAIChatModel),
        )

    def _limit_name_of(self, settings: Mapping[str, Any]) -> str:
        """Return what a request called its limit: other calls may have adapted meanwhile."""
        body = settings.get("extra_body") or {}
        return next((name for name in LIMIT_NAMES if name in body), self._first_limit_name)

    def _adapt(self, refusal: Refusal, said: str, limit_name: str) -> str:
        """Change later requests accordingly, and return a notice about it."""
        if refusal.kind == "tools":
            raise ToolRefusedError(f"{self.name} takes no tool (give --tool none): {said}")
        if refusal.kind == "choice":
            self._forbids_tools = False
            return f"{self.name} does not let a tool be forbidden: {said}"
        if refusal.kind == "stream":
            self._streams = True
            return f"{self.name} answers in streams alone"
        if refusal.kind == "name":
            if not isinstance(self._endpoint.model, OpenAIChatModel):
                raise ModelError(f"{self.name}: {said}")
            self._limit_name = next(name for name in LIMIT_NAMES if name != limit_name)
            return f"{self.name} wants the limit on output tokens as {self._limit_name}"
        if refusal.limit is None or refusal.limit < LEAST_OUTPUT:
            raise ModelError(
                f"{self.name}: the conversation leaves no room for an answer (give fewer "
                f"--prompt-rows, or --context-tokens as the server has it): {said}"
            )
        self._most_output = min(refusal.limit, self._most_output or refusal.limit)
        return f"{self.name} takes at most {self._most_output:,} output tokens a call: {said}"

    def _limit_of(self, settings: Mapping[str, Any]) -> int:
        body = settings.get("extra_body") or {}
        limits = [settings.get("max_tokens"), *(body.get(name) for name in LIMIT_NAMES)]
        known = (int(limit) for limit in limits if limit is not None)
        return next(known, self._options.max_output_tokens)

    def _limited(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings with what the server takes, as it takes it."""
        limit = min(self._limit_of(settings), self._most_output or sys.maxsize)
        changed = {**settings, "max_tokens": limit}
        body = dict(settings.get("extra_body") or {})
        for name in LIMIT_NAMES:
            body.pop(name, None)
        if self._limit_name != self._first_limit_name:
            del changed["max_tokens"]
            body[self._limit_name] = limit
        if self._streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if not self._forbids_tools:
            changed.pop("tool_choice", None)
        return {**changed, "extra_body": body} if body else changed

    async def _whole_turn(self, prepared: Prepared, seed: int, watch: Watch) -> ModelResponse:
        """Make a request, and its continuations if the vendor pauses a long turn."""
        whole: ModelResponse | None = None
        for paused in range(MOST_SEGMENTS):
            sent = [*prepared.messages, whole] if whole else prepared.messages
            request = partial(self._try, prepared, sent, seed, watch)
            response = await call_with_retries(
                request,
                self._options.retries,
                self._backoff,
                lambda error: passes(error) and self._refusal(error, prepared) is None,
            )
            whole = _joined(whole, response) if whole else response
            if whole.state != "suspended":
                watch.doubtful -= paused
                return whole
            # Billed, and lost if the rest does not arrive.
            watch.doubtful += 1
            watch.failure = "the vendor paused the turn"
        raise ModelError(
            f"the vendor paused the turn {MOST_SEGMENTS} times and did not end it",
            transient=True,
            maybe_paid=True,
        )

    def _prepared(
        self,
        conversation: Sequence[Message],
        tool: ToolOffer | None,
        samples: int,
        seed: int,
        limit: int | None,
    ) -> Prepared:
        options = self._options
        most = options.max_output_tokens if limit is None else min(limit, options.max_output_tokens)
        first = conversation[0]
        assert isinstance(first, UserMessage)
        given = self._endpoint.per_call(first.text, samples, seed)
        settings: dict[str, Any] = {
            "max_tokens": most if options.capped else None,
            "request_timeout": options.timeout_seconds,
            "cache": True,
            "thinking": options.reasoning_effort,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "tool_choice": "none" if tool is not None and tool.forbidden else None,
            **self._endpoint.settings,
            **self._endpoint.per_limit(most),
            **given,
        }
        if self._endpoint.extra_in_settings:
            settings["extra_body"] = {**given.get("extra_body", {}), **options.extra} or None
        wanted = {name: value for name, value in settings.items() if value is not None}
        renamed = self._limit_name != self._first_limit_name
        if self._most_output or renamed or self._streams or not self._forbids_tools:
            wanted = self._limited(wanted)
        return Prepared(conversation, to_messages(conversation), wanted, to_parameters(tool))

    async def _try(
        self, prepared: Prepared, messages: list[ModelMessage], seed: int, watch: Watch
    ) -> ModelResponse:
        """Make one try, and count it if it fails but may be billed."""
        await watch.make_room()
        try:
            if self._batches is None:
                return await self._live(prepared, messages)
            return await self._batched(prepared, messages, seed, watch)
        except (Exception, asyncio.CancelledError) as error:
            watch.doubtful += doubtful(error)
            watch.failure = explanation(error) if isinstance(error, Exception) else ""
            raise

    async def _live(self, prepared: Prepared, messages: list[ModelMessage]) -> ModelResponse:
        return await model_request(
            self._endpoint.model,
            messages,
            model_settings=cast("ModelSettings", prepared.settings),
            model_request_parameters=prepared.parameters,
        )

    async def _batched(
        self, prepared: Prepared, messages: list[ModelMessage], seed: int, watch: Watch
    ) -> ModelResponse:
        assert self._batches is not None
        watch.sent += 1
        settings = {
            name: value for name, value in prepared.settings.items() if name != "request_timeout"
        }
        request = BatchRequest(
            custom_id="",
            messages=messages,
            model_settings=cast("ModelSettings", settings),
            model_request_parameters=prepared.parameters,
        )
        return await self._batches.ask(request, seed)


def _may_refuse_samples(error: ModelError) -> bool:
    """Return whether a server may have rejected the request for several answers."""
    if isinstance(error, CredentialError) or error.possibly_billed:
        return False
    return not error.transient or bool(_ABOUT_SAMPLES.search(str(error)))


def _joined(first: ModelResponse, second: ModelResponse) -> ModelResponse:
    """Return two parts of one turn as one response, in the form the vendor requires back."""
    return replace(
        second,
        parts=[*first.parts, *second.parts],
        usage=first.usage + second.usage,
        provider_details={**(first.provider_details or {}), **(second.provider_details or {})},
    )


def _texts(value: Any) -> Iterator[str]:
    """Yield the names and strings of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield name
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
