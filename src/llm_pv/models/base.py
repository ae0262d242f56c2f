"""The types common to all language models, independent of the vendor."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from operator import add
from pathlib import Path
from typing import Any, Literal, TypeAlias

FinishReason: TypeAlias = Literal["stop", "tools", "length", "refused", "error"]
"""Why a turn ended: complete, tool calls, token limit, refused by a filter, or error."""

ToolPlace: TypeAlias = Literal["none", "local", "hosted"]
"""Where the code of a model's tool calls runs: nowhere, in our sandbox, at the vendor."""

BeforeRetry: TypeAlias = Callable[[], Awaitable[None]]
"""Reserves the cost of another request of a call; raises `BudgetError` if it exceeds the budget."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, or of several summed.

    Examples
    --------
    >>> Usage(100, 20) + Usage(50, 5, cached_tokens=40)
    Usage(input_tokens=150, output_tokens=25, cached_tokens=40, cache_write_tokens=0, \
reasoning_tokens=0)
    """

    input_tokens: int = 0
    "Tokens sent, including cached ones."
    output_tokens: int = 0
    "Tokens generated, including reasoning."
    cached_tokens: int = 0
    "Those of ``input_tokens`` that were read from the vendor's cache."
    cache_write_tokens: int = 0
    "Those of ``input_tokens`` that were written to it, where the vendor charges for that."
    reasoning_tokens: int = 0
    "Those of ``output_tokens`` used for reasoning."

    def __add__(self, other: "Usage") -> "Usage":
        """Sum two usages."""
        return Usage(*map(add, astuple(self), astuple(other)))

    @property
    def total_tokens(self) -> int:
        """Tokens sent and generated."""
        return self.input_tokens + self.output_tokens


def total_cost(costs: Iterable[float | None]) -> float | None:
    """Return the sum of costs; None if one of them is unknown.

    Examples
    --------
    >>> total_cost([0.5, 0.25]), total_cost([0.5, None])
    (0.75, None)
    """
    known: list[float] = []
    for cost in costs:
        if cost is None:
            return None
        known.append(cost)
    return sum(known)


NO_USAGE = Usage()


@dataclass(frozen=True)
class UserMessage:
    """A message to the model."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A model's request to run code."""

    id: str
    "The vendor's identifier of the call, which the answer has to repeat."
    code: str | None
    "The Python code; None if the arguments held none, which ``problem`` explains."
    name: str = "run_python"
    problem: str = ""
    "The error in the call, as a message to the model; empty if there is none."


@dataclass(frozen=True)
class ToolAnswer:
    """The result of a tool call."""

    call: ToolCall
    text: str


@dataclass(frozen=True)
class Turn:
    """One answer of a model."""

    text: str
    "The text, without reasoning."
    calls: tuple[ToolCall, ...] = ()
    "The tool calls to run before the next turn."
    finish: FinishReason = "stop"
    "Why the turn ended."
    usage: Usage = NO_USAGE
    "Tokens of this call."
    cost_usd: float | None = None
    "The price of this call in US dollars, None if unknown."
    seconds: float = 0.0
    "Wall-clock seconds from the first try to the last byte."
    tries: int = 1
    "Requests made, including failed ones."
    possibly_billed: int = 0
    """Those of ``tries`` that failed but may be billed: no answer arrived in time, the connection
    broke, or the reply could not be read."""
    hosted_calls: int = 0
    "Code executions at the vendor within this turn."
    model: str = ""
    "The name the server gave itself."
    raw: Mapping[str, Any] = field(default_factory=dict)
    "The whole turn in the form to send back to the model, as plain JSON values without secrets."
    redacted: bool = False
    "Whether fragments of the key were removed from the text."
    notices: tuple[str, ...] = ()
    "Messages for the user, such as that a limit was lowered to what the server accepts."


Message: TypeAlias = UserMessage | Turn | ToolAnswer
"""One entry of a conversation, which begins with `UserMessage`."""


@dataclass(frozen=True)
class ToolOffer:
    """A tool a model may use in its next turn."""

    place: Literal["local", "hosted"] = "local"
    """``"local"``: the function ``run_python(code)``, whose calls come back in `Turn.calls`;
    ``"hosted"``: the vendor's own code execution, which happens within the turn."""
    description: str = ""
    forbidden: bool = False
    """Whether it may not be called in this turn. It is still part of the request, because vendors
    require it in a conversation that used it; text that looks like a call is text."""


@dataclass(frozen=True)
class Request:
    """One call of a model."""

    conversation: Sequence[Message]
    "The messages so far."
    tool: ToolOffer | None = None
    "The tool on offer, None for none."
    samples: int = 1
    "How many alternatives; at most ``most_samples`` of the model. A server may return fewer."
    seed: int = 0
    "Passed to engines and servers that accept a seed."
    max_output_tokens: int | None = None
    "The most tokens of this turn, if less than the model's ``max_output_tokens``."
    within: float | None = None
    """Seconds after which an API call is cancelled, retries included; a model in this process
    completes a turn that it has started."""
    before_retry: BeforeRetry | None = None
    "Awaited before another request is sent after one that may be billed."


@dataclass(frozen=True)
class Preview:
    """The request that a call would send."""

    method: str
    url: str
    """Method and address of the request; ``"in-process"`` for an engine in this process."""
    body: Mapping[str, Any]
    "The exact body, as plain JSON values; no header and no key."
    input_tokens: int
    "Estimated tokens of it, rounded up."


@dataclass(frozen=True)
class ModelOptions:
    """How a model is called."""

    reasoning_effort: str | None = "high"
    "How long the model reasons; none for the vendor's default."
    verbosity: str | None = "low"
    "How much it writes besides its reasoning; none for the vendor's default."
    max_output_tokens: int = 20_000
    "Most tokens generated by one call, including reasoning."
    capped: bool = True
    "Whether that limit is sent; if not, the vendor's own applies, and budgets count on this one."
    timeout_seconds: float = 1_200.0
    "Most seconds of one call."
    retries: int = 5
    "Retries of a call after a transient error."
    temperature: float | None = None
    "Sampling temperature; default the vendor's."
    top_p: float | None = None
    "Nucleus sampling; default the vendor's."
    base_url: str | None = None
    "Address of an openai-compatible server, such as http://localhost:8000/v1."
    is_addressed: bool = False
    "Whether ``base_url`` is part of the model's name, as in ``PROVIDER:MODEL@URL``."
    api: Literal["responses", "chat"] | None = None
    "Which of OpenAI's interfaces is used."
    batch: bool = False
    "Use the vendor's batch interface: slower, and cheaper."
    batch_record: Path | None = None
    "File that records submitted batches, so that a killed run can collect them; None for none."
    extra: Mapping[str, Any] = field(default_factory=dict)
    "Options passed through to the vendor's request body."
    context_tokens: int | None = None
    "The model's context window, if it is not known."
    concurrency: int = 5
    "Concurrent calls, for a model behind an API."
    batch_size: int | None = None
    "Prompts answered together by a model in this process; default as many as memory holds."
    offline: bool = False
    "Whether the model is only inspected: no key is needed, and `complete` raises."
    prices: tuple[float, float] | None = None
    "US dollars for a million tokens sent and for a million written, in place of the list's."
