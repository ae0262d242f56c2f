"""Adapt requests to what a server refuses: tools, streams, seeds, the limit on output tokens.

Refusals are recognised by the common wording of OpenAI, Anthropic, vLLM, SGLang, TGI, llama.cpp,
Ollama and LiteLLM.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_ai import ModelMessage
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel

from llm_pv.errors import ModelError, ToolRefusedError
from llm_pv.models.base import Message, ModelOptions, Request, UserMessage
from llm_pv.models.endpoint import Endpoint
from llm_pv.models.retrying import explanation
from llm_pv.models.token_estimate import estimate_tokens
from llm_pv.models.vendor_messages import to_messages, to_parameters

LIMIT_NAMES = ("max_tokens", "max_completion_tokens")

_NOT = (
    r"(?:unsupported|unrecognized|unknown|unexpected|forbidden|extra inputs|"
    r"(?:not|n't).{0,12}(?:support|enabl|available|allow|permit))"
)


def _refused(what: str) -> str:
    """Return a pattern of sentences that refuse something."""
    return rf"{_NOT}[^.]{{0,60}}?{what}|{what}[^.]{{0,60}}?{_NOT}"


_TOOLS = re.compile(
    _refused(r"\b(?:tools|functions|(?:tool|function).?(?:choice|calls?|calling|use))\b")
    + r"|enable-auto-tool-choice|tool-call-parser|requires --jinja"
    r"|no endpoints found that support tool",
    re.IGNORECASE,
)
_SEED = re.compile(_refused(r"\bseed\b"), re.IGNORECASE)
_REFUSED = re.compile(rf"{_NOT}|deprecated|instead|use ['\"`]?max_", re.IGNORECASE)
_STREAM = re.compile(
    r"\bstream\b[^.]{0,40}(must|require|should be|has to be|true|enable)"
    r"|(only|must|require)[^.]{0,40}\bstream"
    r"|non.?stream\w*[^.]{0,40}(not|un)",
    re.IGNORECASE,
)
_NUMBER = r"(\d[\d,_]*)"
_WINDOW = (
    re.compile(
        rf"(?:context (?:length|window|size)|n_ctx|model length|max_model_len|max_total_tokens|"
        rf"must be (?:<=|less than or equal to))\D{{0,40}}{_NUMBER}",
        re.IGNORECASE,
    ),
    re.compile(rf"\d \+ [\d,]+ > {_NUMBER}"),
)
_SENT = (
    re.compile(rf"{_NUMBER} \+ [\d,]+ > \d"),
    re.compile(
        rf"{_NUMBER} (?:tokens )?(?:in|from|of) (?:the |your )?(?:messages|input|prompt)",
        re.IGNORECASE,
    ),
    re.compile(rf"given: {_NUMBER} `?inputs", re.IGNORECASE),
    re.compile(
        rf"(?:prompt|request|input)[^.\d]{{0,30}}?(?:contains|has)(?: at least)?\s*{_NUMBER}"
        r"(?: input)? tokens?",
        re.IGNORECASE,
    ),
)
_LIMIT = (
    re.compile(
        # Not of a sum of it and the input.
        r"(?<!\+ )(?<!\+ `)(?<!and )(?<!and `)"
        r"\bmax_(?:new_|completion_|output_)?tokens\b[^+]{0,80}?"
        r"(?:≤|<=|less than or equal to|at most|maximum of|\[\s*\d+\s*,|between \d+ and)"
        rf"\W{{0,3}}{_NUMBER}",
        re.IGNORECASE,
    ),
    re.compile(rf"{_NUMBER}\W{{1,4}}the maximum value for", re.IGNORECASE),
)
_MOST = (
    re.compile(
        rf"(?:at most|maximum of|less than or equal to|<=|must be (?:at most|in)\D{{0,12}}|"
        rf">)\s*{_NUMBER}[^.]{{0,40}}(?:completion|output|token)",
        re.IGNORECASE,
    ),
)


@dataclass(frozen=True)
class Refusal:
    """A capability that a server lacks."""

    kind: Literal["tools", "choice", "stream", "seed", "name", "limit"]
    """``"tools"``; ``"choice"``, that a tool may not be called; ``"stream"``, that the reply come
    at once; ``"seed"``; ``"name"`` of the limit on output tokens; or ``"limit"``, which is too
    high."""
    limit: int | None = None
    "Output tokens that fit; None if unknown."


def refusal_of(
    said: str,
    *,
    asked: int,
    sent: int,
    limit_name: str,
    tools: bool,
    forbids: bool = False,
    streams: bool = False,
    seeded: bool = False,
) -> Refusal | None:
    """Return the refusal in a server's message, None if it is of another kind.

    Parameters
    ----------
    sent
        An upper estimate of the tokens sent, for a server that does not report them.
    limit_name
        The name of the limit on output tokens in the request.
    forbids
        Whether it said that the tool may not be called.
    streams
        Whether it asked for a stream already.
    seeded
        Whether it has a seed.

    Examples
    --------
    >>> said = "This model's maximum context length is 8192 tokens. However, you requested 21000 "
    >>> said += "tokens (1000 in the messages, 20000 in the completion)."
    >>> refusal_of(said, asked=20_000, sent=3_000, limit_name="max_tokens", tools=False)
    Refusal(kind='limit', limit=7176)
    """
    if not streams and _STREAM.search(said):
        return Refusal("stream")
    if forbids and "tool_choice" in said:
        return Refusal("choice")
    if tools and _TOOLS.search(said):
        return Refusal("tools")
    other = next(name for name in LIMIT_NAMES if name != limit_name)
    about_name = re.search(rf"\b{limit_name}\b", said)
    if about_name and _REFUSED.search(said) and (other in said or not re.search(r"\d{3}", said)):
        return Refusal("name")
    if seeded and _SEED.search(said):
        return Refusal("seed")
    if 0 < (most := _first(_LIMIT, said) or 0) < asked:
        return Refusal("limit", most)
    if (window := _first(_WINDOW, said)) is not None:
        reported = _first(_SENT, said)
        # Sixteen tokens that a template may add to what was counted.
        fits = window - (sent if reported is None else reported) - 16
        return Refusal("limit", fits) if fits < asked else None
    if "token" in said and 0 < (most := _first(_MOST, said) or 0) < asked:
        return Refusal("limit", most)
    return None


def _first(forms: Iterable[re.Pattern[str]], said: str) -> int | None:
    """Return the number in the first form that a message has."""
    found = next((found for form in forms if (found := form.search(said))), None)
    return None if found is None else int(found[1].replace(",", "").replace("_", ""))


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
