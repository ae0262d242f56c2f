"""Adapt requests to what a server refuses: tools, streams, seeds, the limit on output tokens."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import ModelMessage
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel

from llm_pv.errors import ModelError
from llm_pv.models.base import Message, ModelOptions, Request, UserMessage
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.refusals import LIMIT_NAMES, Refusal, ToolRefusedError, refusal_of
from llm_pv.models.retrying import explanation
from llm_pv.models.token_estimate import estimate_tokens
from llm_pv.models.vendor_messages import to_messages, to_parameters

ADAPTABLE = (400, 404, 413, 422, 500, 501)
"""Statuses of servers that do not support a request; the message says what of it."""

LEAST_OUTPUT = 64
"""The fewest output tokens that can hold a program."""


@dataclass(frozen=True)
class Prepared:
    """One call, in our types and the library's."""

    conversation: Sequence[Message]
    messages: list[ModelMessage]
    settings: Mapping[str, Any]
    parameters: ModelRequestParameters

    @classmethod
    def of(cls, endpoint: Endpoint, options: ModelOptions, request: Request) -> "Prepared":
        """Return a request as it is sent to an endpoint."""
        most = options.max_output_tokens
        if request.max_output_tokens is not None:
            most = min(most, request.max_output_tokens)
        tool, first = request.tool, request.conversation[0]
        assert isinstance(first, UserMessage)
        given = endpoint.per_call(first.text, request.samples, request.seed)
        settings: dict[str, Any] = {
            "max_tokens": most if options.capped else None,
            "request_timeout": options.timeout_seconds,
            "cache": True,
            "thinking": options.reasoning_effort,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "tool_choice": "none" if tool is not None and tool.forbidden else None,
            **endpoint.settings,
            **endpoint.per_limit(most),
            **given,
        }
        if endpoint.extra_in_settings:
            settings["extra_body"] = {**given.get("extra_body", {}), **options.extra} or None
        wanted = {name: value for name, value in settings.items() if value is not None}
        said = request.conversation
        return cls(said, to_messages(said), wanted, to_parameters(tool))

    @property
    def forbids_tools(self) -> bool:
        """Whether the request includes a tool that may not be called."""
        return self.settings.get("tool_choice") == "none"


class Adaptation:
    """Records what a server accepts, and changes all later requests accordingly."""

    def __init__(self, name: str, endpoint: Endpoint, max_output_tokens: int) -> None:
        self._name = name
        self._model = endpoint.model
        self._max_output_tokens = max_output_tokens
        self._streams = False
        self._forbids_tools = True
        self._most_output: int | None = None
        self._takes_seed = True
        self._refused_names: set[str] = set()
        self._first_limit_name = endpoint.limit_name

    def adapted(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings of a new request, changed if the server refused something before."""
        changed = self._most_output or self._refused_names or self._streams
        if changed or not (self._forbids_tools and self._takes_seed):
            return self.limited(settings)
        return settings

    def refusal(self, error: BaseException, prepared: Prepared) -> Refusal | None:
        """Return the refusal, if the request can be changed to avoid it."""
        if not isinstance(error, ModelHTTPError) or error.status_code not in ADAPTABLE:
            return None
        return refusal_of(
            explanation(error),
            asked=self.limit_of(prepared.settings),
            sent=sum(estimate_tokens(message.text) for message in prepared.conversation),
            limit_name=self._limit_name_of(prepared.settings),
            tools=bool(prepared.parameters.function_tools),
            forbids=prepared.forbids_tools,
            streams="stream" in (prepared.settings.get("extra_body") or {})
            or not isinstance(self._model, OpenAIChatModel),
            seeded="seed" in prepared.settings,
        )

    def adapt(self, refusal: Refusal, said: str, settings: Mapping[str, Any]) -> str:
        """Change later requests accordingly, and return a notice about it."""
        if refusal.kind == "tools":
            raise ToolRefusedError(f"{self._name} takes no tool (give --tool none): {said}")
        if refusal.kind == "choice":
            self._forbids_tools = False
            return f"{self._name} does not let a tool be forbidden: {said}"
        if refusal.kind == "stream":
            self._streams = True
            return f"{self._name} answers in streams alone"
        if refusal.kind == "seed":
            self._takes_seed = False
            return f"{self._name} takes no seed: {said}"
        if refusal.kind == "name":
            if not isinstance(self._model, OpenAIChatModel):
                raise ModelError(f"{self._name}: {said}")
            self._refused_names.add(self._limit_name_of(settings))
            if self._limit_name is None:
                return f"{self._name} takes no limit on output tokens, its own applies: {said}"
            return f"{self._name} wants the limit on output tokens as {self._limit_name}"
        if refusal.limit is None or refusal.limit < LEAST_OUTPUT:
            raise ModelError(
                f"{self._name}: the conversation leaves no room for an answer (give fewer "
                f"--prompt-rows, or --context-tokens as the server has it): {said}"
            )
        self._most_output = min(refusal.limit, self._most_output or refusal.limit)
        return f"{self._name} takes at most {self._most_output:,} output tokens a call: {said}"

    def limit_of(self, settings: Mapping[str, Any]) -> int:
        """Return the most output tokens of a request with these settings."""
        body = settings.get("extra_body") or {}
        limits = [settings.get("max_tokens"), *(body.get(name) for name in LIMIT_NAMES)]
        known = (int(limit) for limit in limits if limit is not None)
        return next(known, self._max_output_tokens)

    def limited(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings with what the server takes, as it takes it."""
        changed = dict(settings)
        body = dict(changed.pop("extra_body", None) or {})
        sent = [changed.pop("max_tokens", None), *(body.pop(name, None) for name in LIMIT_NAMES)]
        if self._limit_name and (self._most_output or any(sent)):
            limit = min(self.limit_of(settings), self._most_output or sys.maxsize)
            if self._limit_name == self._first_limit_name:
                changed["max_tokens"] = limit
            else:
                body[self._limit_name] = limit
        if self._streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if not self._forbids_tools:
            changed.pop("tool_choice", None)
        if not self._takes_seed:
            changed.pop("seed", None)
        return {**changed, "extra_body": body} if body else changed

    @property
    def _limit_name(self) -> str | None:
        """The name of the limit on output tokens; None if the server refused both."""
        names = (self._first_limit_name, *LIMIT_NAMES)
        return next((name for name in names if name not in self._refused_names), None)

    def _limit_name_of(self, settings: Mapping[str, Any]) -> str:
        """Return what a request called its limit: other calls may have adapted meanwhile."""
        body = settings.get("extra_body") or {}
        return next((name for name in LIMIT_NAMES if name in body), self._first_limit_name)
