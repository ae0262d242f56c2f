"""The class of all models behind an API; differences between vendors are in their `Endpoint`."""

import asyncio
import json
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from pydantic_ai import ModelMessage, ModelResponse, UsageExtractionFailedWarning
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.batch import BatchRequest

from llm_pv.errors import BudgetError, CredentialError, ModelError
from llm_pv.models.adaptation import Adaptation, Prepared
from llm_pv.models.base import ModelOptions, Preview, Request, Turn, Usage
from llm_pv.models.batch_queue import BatchQueue
from llm_pv.models.connection import CapturedRequest, Connection, RequestMonitor, monitored
from llm_pv.models.credentials import Redactor
from llm_pv.models.endpoint import Endpoint, PriceList
from llm_pv.models.label_queries import LabelAnswer, LabelQuery, common_length
from llm_pv.models.language_model import LanguageModel
from llm_pv.models.registry import Interface, Provider
from llm_pv.models.retrying import (
    Backoff,
    call_with_retries,
    explanation,
    is_transient,
    possibly_billed,
    translate,
)
from llm_pv.models.token_estimate import estimate_tokens
from llm_pv.models.vendor_choosing import answers_of, check_query, options_for
from llm_pv.models.vendor_messages import joined_responses, texts_of, to_turns
from llm_pv.telemetry import span

if TYPE_CHECKING:
    from pydantic_ai.settings import ModelSettings


# An impossible usage is discarded and replaced by an estimate.
warnings.filterwarnings("ignore", category=UsageExtractionFailedWarning)

_ABOUT_SAMPLES = re.compile(r"\bn\b|choice|completions|samples|candidates")
MOST_ADAPTATIONS = 6
"""The most changes to one request that a server refuses: of each kind, and both names."""

MOST_SEGMENTS = 10
"""The most requests of one turn, for a vendor that pauses long turns."""


class VendorModel(LanguageModel):
    """A model behind an API; see `llm_pv.models.language_model.LanguageModel`.

    Parameters
    ----------
    connection
        The connection; the model closes it.
    reopen
        Returns the same model with other options.
    """

    def __init__(
        self,
        provider: Provider,
        name: str,
        options: ModelOptions,
        endpoint: Endpoint,
        connection: Connection,
        *,
        prices: PriceList,
        redact: Redactor,
        backoff: Backoff,
        reopen: "Callable[[ModelOptions], VendorModel]",
    ) -> None:
        self.name = name
        self._costliest = ""
        self.identity = redact.reply(_identity(name, options))
        self.destination = urlsplit(endpoint.model.base_url or "").netloc or provider.name
        hosts_tool = provider.hosted_tool and provider.uses_default(options.api)
        self.tool_places = frozenset({"none", "local", *(("hosted",) if hosts_tool else ())})
        self.default_tool = "local"  # every model behind an API is taken to call tools
        self.max_output_tokens = options.max_output_tokens
        self.most_samples = endpoint.most_samples
        self._options = options
        self._provider = provider
        self._endpoint = endpoint
        self._prices = prices
        self._connection = connection
        self._redact = redact
        self._translate = partial(translate, name=name, redact=redact, variable=provider.keys[0])
        self._backoff = backoff
        self._opening = threading.Lock()
        self._opened: dict[str, VendorModel] = {}
        "Models with the settings of queries, by these."
        self._reopen = reopen
        self._refuses_samples = False
        self._noticed: set[str] = set()
        self._adaptation = Adaptation(name, endpoint, options.max_output_tokens)
        self._batches: BatchQueue | None = None
        if options.batch:
            record, retries = options.batch_record, options.retries
            self._batches = BatchQueue(endpoint.model, record, retries, backoff)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @cached_property
    def context_tokens(self) -> int | None:
        """Tokens of input and output together that fit, None where it is not known."""
        known = self._options.context_tokens or self._endpoint.model.context_window
        ask = self._endpoint.ask_context
        if known is not None or ask is None or self._options.offline:
            return known
        return self._connection.run(ask())

    def complete(self, request: Request) -> list[Turn]:
        """Return the next turn, or alternatives of it; see `LanguageModel.complete`.

        After a server rejects a request for several, all later requests are for one.
        """
        if self._options.offline:
            raise ModelError(f"{self.name} was opened for inspection only and cannot be called")
        self.check_request(request)
        if self._refuses_samples:
            request = replace(request, samples=1)
        prepared = self._prepared(request)
        model = self.name.partition(":")[2]
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._provider.name,
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": self._adaptation.limit_of(prepared.settings),
        }
        with span(f"chat {model}", **attributes) as recording:
            try:
                turns = self._connection.run(self._answer(prepared, request))
            except ModelError as error:
                if request.samples == 1 or not _may_refuse_samples(error):
                    raise
                request = replace(request, samples=1)
                turns = self._connection.run(self._answer(self._prepared(request), request))
                self._refuses_samples = True  # one answer at a time is given
            first, *others = turns[: request.samples]  # a server may return more than requested
            outcome: dict[str, str | int | float | None] = {
                "gen_ai.response.model": first.model,
                "gen_ai.usage.input_tokens": first.usage.input_tokens,
                "gen_ai.usage.output_tokens": first.usage.output_tokens,
                "llm_pv.tries": first.tries,
                "llm_pv.cost_usd": first.cost_usd,
            }
            recording.note(**outcome)
        return [first, *others]

    def preview(self, request: Request) -> Preview:
        """Return what would be sent."""
        self.check_request(request)
        return self._connection.run(self._preview(self._prepared(request)))

    def price(self, usage: Usage) -> float | None:
        """Return the price of a usage in US dollars, None where it is not known.

        It is that of the costliest model that the vendor has answered with.
        """
        prices = [self._prices.price(usage, name) for name in ("", self._costliest)]
        return max((price for price in prices if price is not None), default=None)

    def close(self) -> None:
        """Close the connections; running calls fail."""
        self._connection.close()
        for model in self._opened.values():
            model.close()

    def choose(
        self, prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, LabelAnswer]]]:
        """Yield each answer as it arrives; see `LanguageModel.choose`."""
        self.check_query(query)
        if prompts:
            model = self._with(query, prompts[0][: common_length(prompts)])
            yield from answers_of(model, prompts, query, seeds, self._options.concurrency)

    def check_query(self, query: LabelQuery) -> None:
        """Raise ConfigurationError, with the reason, if the model does not support this query."""
        check_query(self.name, self._interface, query)

    def show_prompt(self, prompt: str, query: LabelQuery) -> str:
        """Return the request that would be sent."""
        return LanguageModel.show_prompt(self._with(query), prompt, query)

    def _with(self, query: LabelQuery, shared: str = "") -> "VendorModel":
        """Return this model with the settings of a query in every request."""
        shared = shared if self._provider.cache_key else ""
        options = options_for(query, self._interface, self._options, shared)
        if options == self._options:
            return self
        key = json.dumps(options.extra, sort_keys=True)
        with self._opening:
            if key not in self._opened:
                self._opened[key] = self._reopen(options)
            return self._opened[key]

    @property
    def _interface(self) -> Interface:
        return self._options.api or self._provider.interfaces[0]

    async def _preview(self, prepared: Prepared) -> Preview:
        with monitored(RequestMonitor(hold=True)):
            try:
                await self._live(prepared, prepared.messages)
            except CapturedRequest as captured:
                tokens = sum(estimate_tokens(text) for text in texts_of(captured.body))
                return Preview(captured.method, captured.url, captured.body, tokens)
        raise AssertionError("a request went past its preview")

    async def _answer(self, prepared: Prepared, request: Request) -> list[Turn]:
        within = request.within
        started = time.perf_counter()
        with monitored(RequestMonitor(before_retry=request.before_retry)) as monitor:
            try:
                async with asyncio.timeout(within) as limit:
                    response, notices = await self._adapted_turn(prepared, request.seed, monitor)
            except TimeoutError as error:
                if not limit.expired():
                    raise self._translate(error, monitor=monitor) from None
                raise ModelError(
                    f"{self.name}: cancelled after {within:.0f} seconds, when the time for models "
                    "was over",
                    transient=True,
                    possibly_billed=monitor.possibly_billed,
                ) from None
            except BudgetError as error:
                message = f"{self.name}: {monitor.failure}; no further try: {error}"
                raise BudgetError(self._redact(message)) from None
            except Exception as error:  # noqa: BLE001 - a strange reply breaks a client anyhow
                # No chained error: the server's message may quote the key.
                raise self._translate(error, monitor=monitor) from None
        first, *rest = to_turns(
            response,
            prepared.conversation,
            self._prices,
            self._redact,
            tools=not prepared.forbids_tools if prepared.parameters.function_tools else None,
        )
        rate = partial(self._prices.price, Usage(1_000, 1_000))
        self._costliest = max(self._costliest, first.model, key=lambda name: rate(name) or 0.0)
        first = replace(
            first,
            seconds=time.perf_counter() - started,
            tries=monitor.sent,
            possibly_billed=monitor.possibly_billed,
            notices=notices,
        )
        return [first, *rest]

    async def _adapted_turn(
        self, prepared: Prepared, seed: int, monitor: RequestMonitor
    ) -> tuple[ModelResponse, tuple[str, ...]]:
        """Return a turn and notices, after reducing the request if the server rejects it."""
        notices: list[str] = []
        adapted = 0
        while True:
            try:
                return await self._whole_turn(prepared, seed, monitor), tuple(notices)
            except ModelHTTPError as error:
                refusal = self._adaptation.refusal(error, prepared)
                if refusal is None or adapted == MOST_ADAPTATIONS:
                    raise
                said = self._redact(explanation(error))
            notice = self._adaptation.adapt(refusal, said, prepared.settings)
            if notice not in self._noticed:
                self._noticed.add(notice)
                notices.append(notice)
            prepared = replace(prepared, settings=self._adaptation.limited(prepared.settings))
            adapted += 1

    async def _whole_turn(
        self, prepared: Prepared, seed: int, monitor: RequestMonitor
    ) -> ModelResponse:
        """Make a request, and its continuations if the vendor pauses a long turn."""
        whole: ModelResponse | None = None
        for paused in range(MOST_SEGMENTS):
            sent = [*prepared.messages, whole] if whole else prepared.messages
            request = partial(self._try, prepared, sent, seed, monitor)
            response = await call_with_retries(
                request,
                self._options.retries,
                self._backoff,
                lambda error: (
                    is_transient(error) and self._adaptation.refusal(error, prepared) is None
                ),
            )
            whole = joined_responses(whole, response) if whole else response
            if whole.state != "suspended":
                monitor.possibly_billed -= paused
                return whole
            # Billed, and lost if the rest does not arrive.
            monitor.possibly_billed += 1
            monitor.failure = "the vendor paused the turn"
        raise ModelError(
            f"the vendor paused the turn {MOST_SEGMENTS} times and did not end it",
            transient=True,
            maybe_paid=True,
        )

    def _prepared(self, request: Request) -> Prepared:
        prepared = Prepared.of(self._endpoint, self._options, request)
        return replace(prepared, settings=self._adaptation.limited(prepared.settings))

    async def _try(
        self, prepared: Prepared, messages: list[ModelMessage], seed: int, monitor: RequestMonitor
    ) -> ModelResponse:
        """Make one try, and count it if it fails but may be billed."""
        await monitor.make_room()
        try:
            if self._batches is None:
                return await self._live(prepared, messages)
            return await self._batched(prepared, messages, seed, monitor)
        except (Exception, asyncio.CancelledError) as error:
            monitor.possibly_billed += possibly_billed(error)
            monitor.failure = explanation(error) if isinstance(error, Exception) else ""
            raise

    async def _live(self, prepared: Prepared, messages: list[ModelMessage]) -> ModelResponse:
        return await model_request(
            self._endpoint.model,
            messages,
            model_settings=cast("ModelSettings", prepared.settings),
            model_request_parameters=prepared.parameters,
        )

    async def _batched(
        self, prepared: Prepared, messages: list[ModelMessage], seed: int, monitor: RequestMonitor
    ) -> ModelResponse:
        assert self._batches is not None
        monitor.sent += 1
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


def _identity(name: str, options: ModelOptions) -> str:
    fields = {
        "model": name,
        "base_url": options.base_url,
        "api": options.api,
        "reasoning_effort": options.reasoning_effort,
        "verbosity": options.verbosity,
        "max_output_tokens": options.max_output_tokens if options.capped else None,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "extra": dict(options.extra),
    }
    return json.dumps({name: value for name, value in fields.items() if value not in (None, {})})
