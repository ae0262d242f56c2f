"""The words every language model is spoken to in, whatever its vendor's wire format."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

FinishReason: TypeAlias = Literal["stop", "tools", "length", "refused", "error"]
"""Why a turn ended: done, wants tools, cut at the token limit, refused by a filter, or broken."""

ToolPlace: TypeAlias = Literal["none", "local", "hosted"]
"""Where code runs that a model writes while it thinks: nowhere, in our sandbox, at the vendor."""


BeforeRetry: TypeAlias = Callable[[], Awaitable[None]]
"""Sets aside what another request of a call may cost; a `BudgetError` says that it cannot."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, or of several summed.

    Parameters
    ----------
    input_tokens
        Tokens sent, cached ones included.
    output_tokens
        Tokens written, reasoning included.
    cached_tokens
        Those of ``input_tokens`` that were read from the vendor's cache.
    cache_write_tokens
        Those of ``input_tokens`` that were written to it, where the vendor charges for that.
    reasoning_tokens
        Those of ``output_tokens`` that were thought and not said.

    Examples
    --------
    >>> Usage(100, 20) + Usage(50, 5, cached_tokens=40)
    Usage(input_tokens=150, output_tokens=25, cached_tokens=40, cache_write_tokens=0, \
reasoning_tokens=0)
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Sum two usages."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    @property
    def total_tokens(self) -> int:
        """Tokens sent and written."""
        return self.input_tokens + self.output_tokens


NO_USAGE = Usage()
"""No token at all."""


@dataclass(frozen=True)
class UserMessage:
    """Something said to the model.

    Parameters
    ----------
    text
        The message.
    """

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A model's wish to run code.

    Parameters
    ----------
    id
        The vendor's name for the call, which the answer has to repeat.
    code
        The Python code; None if the arguments held none, which ``problem`` explains.
    name
        The tool asked for.
    problem
        What was wrong with the call, in words for the model; empty if nothing.
    """

    id: str
    code: str | None
    name: str = "run_python"
    problem: str = ""


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool call came to.

    Parameters
    ----------
    call
        The call.
    text
        What the model is shown.
    """

    call: ToolCall
    text: str


@dataclass(frozen=True)
class Turn:
    """One answer of a model.

    Parameters
    ----------
    text
        What it said, without its thoughts.
    calls
        The tools it wants run before it goes on.
    finish
        Why it ended.
    usage
        Tokens of this call.
    cost_usd
        The price of this call in US dollars, None where it is not known.
    seconds
        Wall-clock seconds from the first try to the last byte.
    tries
        Requests made for it, failed ones included.
    possibly_billed
        Those of ``tries`` that failed although the vendor may charge for them: no answer came in
        time, the connection broke, or the reply could not be read.
    hosted_calls
        Code executions at the vendor within this turn.
    model
        The name the server gave itself.
    raw
        The whole turn in a form its model can go on from, as plain JSON values without secrets.
    redacted
        Whether pieces of the key stood in what it said, which are taken out.
    notices
        What the user should read, such as that a limit was lowered to what the server takes.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = "stop"
    usage: Usage = NO_USAGE
    cost_usd: float | None = None
    seconds: float = 0.0
    tries: int = 1
    possibly_billed: int = 0
    hosted_calls: int = 0
    model: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    redacted: bool = False
    notices: tuple[str, ...] = ()


Message: TypeAlias = UserMessage | Turn | ToolAnswer
"""One entry of a conversation, which begins with `UserMessage`."""


@dataclass(frozen=True)
class ToolOffer:
    """A tool a model may use in its next turn.

    Parameters
    ----------
    place
        ``"local"``: the function ``run_python(code)``, whose calls come back in `Turn.calls`;
        ``"hosted"``: the vendor's own code execution, which happens within the turn.
    description
        What the model is told of a local tool.
    forbidden
        Whether it may not be called in this turn. It is still part of the request, which vendors
        want of a conversation that used it; whatever looks like a call is text.
    """

    place: Literal["local", "hosted"] = "local"
    description: str = ""
    forbidden: bool = False


@dataclass(frozen=True)
class Preview:
    """What a call would send.

    Parameters
    ----------
    method, url
        Where it would go; the URL of an engine in this process is ``"in-process"``.
    body
        The exact body, as plain JSON values; no header and no key.
    input_tokens
        Estimated tokens of it, rounded up.
    """

    method: str
    url: str
    body: Mapping[str, Any]
    input_tokens: int


class LanguageModel(Protocol):
    """A model that answers one conversation at a time; safe to use from several threads.

    Use it as a context manager, or call `close`.
    """

    @property
    def name(self) -> str:
        """What the user asked for, such as ``"openai:gpt-5.4"``."""
        ...

    @property
    def destination(self) -> str | None:
        """The host that conversations are sent to, None if they stay in this process."""
        ...

    @property
    def identity(self) -> str:
        """Everything that decides its answers, as one line without secrets."""
        ...

    @property
    def tool_places(self) -> frozenset[ToolPlace]:
        """Where its code can run; ``"none"`` is always among them."""
        ...

    @property
    def default_tool(self) -> ToolPlace:
        """``"local"`` where the model can call tools, else ``"none"``."""
        ...

    @property
    def context_tokens(self) -> int | None:
        """Tokens of input and output together that fit, None where it is not known."""
        ...

    @property
    def max_output_tokens(self) -> int:
        """Tokens one turn may write, reasoning included."""
        ...

    @property
    def most_samples(self) -> int:
        """How many answers one call can return; 1 where the server returns no more."""
        ...

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
        """Return the next turn, or up to ``samples`` alternatives; the usage is on the first.

        Parameters
        ----------
        conversation
            What was said so far.
        tool
            The tool on offer, None for none.
        samples
            How many alternatives; at most ``most_samples``. A server may return fewer.
        seed
            Passed to engines and servers that can repeat themselves.
        within
            Seconds after which a call of an API is given up, its retries included; a model in this
            process ends a turn it has begun.
        max_output_tokens
            Tokens this turn may write, where that is less than the model's ``max_output_tokens``.
        before_retry
            Awaited before another request is sent although an earlier one may be charged.

        Raises
        ------
        CredentialError
            If the key is missing or refused: no other call can do better.
        ModelError
            If the call failed for good, after its retries.
        BudgetError
            If ``before_retry`` refuses another request.
        """
        ...

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
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, rounded up where it can only be estimated."""
        ...

    def price(self, usage: Usage) -> float | None:
        """Return the price of a usage in US dollars, None where it is not known.

        A model that runs in this process costs 0.
        """
        ...

    def close(self) -> None:
        """Let go of connections or memory."""
        ...


@dataclass(frozen=True)
class ModelOptions:
    """How a model is called.

    Parameters
    ----------
    reasoning_effort
        minimal, low, medium, high; None leaves it to the vendor. Passed on where a model has it.
    verbosity
        low, medium, high; None leaves it to the vendor.
    max_output_tokens
        Tokens one turn may write, reasoning included.
    timeout_seconds
        Wall-clock seconds one request may take.
    retries
        Further requests after one that failed for a transient reason.
    temperature, top_p
        Sampling; None leaves it to the vendor.
    base_url
        Address of a compatible server.
    api
        Which of OpenAI's interfaces is spoken; None takes responses for OpenAI itself and
        chat completions for compatible servers.
    batch
        Whether calls go through the vendor's batch interface, slower and at a lower price.
    batch_record
        File in which batches under way are noted, so that a run that was killed collects them;
        None to note them nowhere.
    extra
        Options passed through to the vendor's request body.
    context_tokens
        The context window, for a server that does not tell.
    offline
        Whether the model is only looked at: no key is needed, `answer` refuses.
    prices
        US dollars for a million tokens sent and for a million written, in place of the list's, for
        a model behind an API.
    """

    reasoning_effort: str | None = "high"
    verbosity: str | None = "low"
    max_output_tokens: int = 20_000
    timeout_seconds: float = 1_200.0
    retries: int = 5
    temperature: float | None = None
    top_p: float | None = None
    base_url: str | None = None
    api: Literal["responses", "chat"] | None = None
    batch: bool = False
    batch_record: Path | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    context_tokens: int | None = None
    offline: bool = False
    prices: tuple[float, float] | None = None
