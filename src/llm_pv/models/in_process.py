"""The common part of in-process engines: generation, token counts and the context limit."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_pv.errors import ConfigurationError, ModelError
from llm_pv.models.base import (
    BeforeRetry,
    Message,
    ModelOptions,
    Preview,
    ToolOffer,
    ToolPlace,
    Turn,
    Usage,
)
from llm_pv.models.chat import Chat
from llm_pv.models.hub import fingerprint, load_tokenizer

MOST_SAMPLES = 16
"""The most answers generated side by side; each needs memory for its tokens."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are sampled."""

    temperature: float | None = None
    top_p: float | None = None
    "0 takes the likeliest token; None leaves it to the model's own settings."
    extra: Mapping[str, Any] | None = None
    "Further settings, by the engine's names."


@dataclass(frozen=True)
class Continuation:
    """Tokens that a model generated."""

    tokens: Sequence[int]
    "The tokens without the one that ends a turn."
    ended: bool
    "Whether the model ended its turn, rather than reaching the limit."
    written: int
    "The number of tokens, including the one that ends a turn."


class InProcessModel(ABC):
    """A model in this process; its weights are loaded when they are first needed.

    Raise ConfigurationError if there is no such model, or an option does not fit.

    Parameters
    ----------
    provider
        ``"hf"`` or ``"vllm"``.
    model
        A folder, or a name on the hub.
    options
        How it is called. Of ``extra``, ``engine`` holds what the engine is made with,
        ``chat_template_kwargs`` variables of the chat template, and everything else how tokens
        are drawn, by the engine's own names.
    """

    def __init__(self, provider: str, model: str, options: ModelOptions) -> None:
        if options.base_url is not None or options.batch:
            raise ConfigurationError(f"--base-url and --batch are not for {provider}: models")
        extra = dict(options.extra)
        self.engine_options = _table(extra.pop("engine", {}), "engine")
        variables = _table(extra.pop("chat_template_kwargs", {}), "chat_template_kwargs")
        if options.reasoning_effort is not None:
            variables = {"reasoning_effort": options.reasoning_effort, **variables}
        self.folder_or_name = model
        self.options = options
        self.sampling = Sampling(options.temperature, options.top_p, extra)
        self.name = f"{provider}:{model}"
        self.destination = None
        self.config, tokenizer = load_tokenizer(model)
        self.chat = Chat(tokenizer, variables)
        self.context_tokens = _context(self.config, options.context_tokens)
        self.max_output_tokens = options.max_output_tokens
        self.most_samples = MOST_SAMPLES
        self.identity = json.dumps(
            {
                "model": self.name,
                "files": fingerprint(model),
                "temperature": options.temperature,
                "top_p": options.top_p,
                "max_output_tokens": options.max_output_tokens,
                "reasoning_effort": options.reasoning_effort,
                "context_tokens": self.context_tokens,
                "extra": dict(options.extra),
            },
            sort_keys=True,
        )

    @property
    def tool_places(self) -> frozenset[ToolPlace]:
        """``"local"`` where the chat template shows tools to the model, and ``"none"``."""
        return frozenset({"none", "local"} if self.chat.takes_tools else {"none"})

    @property
    def default_tool(self) -> ToolPlace:
        """``"local"`` where the model can call tools."""
        return "local" if self.chat.takes_tools else "none"

    def answer(
        self,
        conversation: Sequence[Message],
        *,
        tool: ToolOffer | None = None,
        samples: int = 1,
        seed: int = 0,
        within: float | None = None,  # noqa: ARG002 - a turn that was begun is ended
        max_output_tokens: int | None = None,
        before_retry: BeforeRetry | None = None,  # noqa: ARG002 - nothing is tried again
    ) -> list[Turn]:
        """Return the next turn, or several alternatives of it; the same seed gives the same."""
        if self.options.offline:
            raise ModelError(f"{self.name} was opened for inspection only and cannot be called")
        self._check(tool, samples)
        start = time.perf_counter()
        prompt = self.chat.render(conversation, tool)
        tokens = self.chat.encode(prompt)
        new_tokens = self._new_tokens(len(tokens), max_output_tokens)
        continuations = self.continue_tokens(
            tokens, samples=samples, seed=seed, new_tokens=new_tokens
        )
        seconds = time.perf_counter() - start
        written = sum(continuation.written for continuation in continuations)
        return [
            self._turn(
                continuation,
                self.chat.read(continuation.tokens, prompt, tool=tool, turn=len(conversation)),
                usage=Usage() if number else Usage(len(tokens), written),
                seconds=seconds,
            )
            for number, continuation in enumerate(continuations)
        ]

    def preview(
        self,
        conversation: Sequence[Message],
        *,
        tool: ToolOffer | None = None,
        samples: int = 1,
        seed: int = 0,
        max_output_tokens: int | None = None,
    ) -> Preview:
        """Return the rendered prompt and the sampling settings; no weights are loaded."""
        self._check(tool, samples)
        prompt = self.chat.render(conversation, tool)
        tokens = len(self.chat.encode(prompt))
        body = {
            "prompt": prompt,
            "max_new_tokens": self._new_tokens(tokens, max_output_tokens),
            "samples": samples,
            "seed": seed,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            **(self.sampling.extra or {}),
        }
        return Preview("generate", "in-process", body, tokens)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self.chat.encode_continuation(text))

    def price(self, usage: Usage) -> float:  # noqa: ARG002 - every usage costs the same
        """Return 0: a model in this process has no price per token."""
        return 0.0

    def room(self, prompt_tokens: int) -> int:
        """Return how many tokens can be generated after a prompt.

        Raise ModelError if the prompt alone fills the context.
        """
        if self.context_tokens is None:
            return self.max_output_tokens
        if prompt_tokens >= self.context_tokens:
            raise ModelError(
                f"the prompt has {prompt_tokens:,} tokens and the context of {self.name} holds "
                f"{self.context_tokens:,}: give fewer training rows or shorter ones"
            )
        return self.context_tokens - prompt_tokens

    @abstractmethod
    def continue_tokens(
        self, tokens: Sequence[int], *, samples: int, seed: int, new_tokens: int
    ) -> list[Continuation]:
        """Return sampled continuations of a prompt."""

    @abstractmethod
    def close(self) -> None:
        """Release the weights."""

    def _new_tokens(self, prompt_tokens: int, limit: int | None) -> int:
        wanted = self.max_output_tokens if limit is None else min(limit, self.max_output_tokens)
        return min(wanted, self.room(prompt_tokens))

    def _check(self, tool: ToolOffer | None, samples: int) -> None:
        if tool is not None and tool.place not in self.tool_places:
            raise ConfigurationError(
                f"{self.name} cannot use a {tool.place} tool"
                + ("" if self.chat.takes_tools else ": its chat template shows it none")
            )
        if not 1 <= samples <= MOST_SAMPLES:
            raise ConfigurationError(f"samples is {samples}; {self.name} gives 1 to {MOST_SAMPLES}")

    def _turn(
        self, continuation: Continuation, reply: Any, *, usage: Usage, seconds: float
    ) -> Turn:
        finish = "stop" if continuation.ended else "length"
        return Turn(
            reply.text if reply.text or reply.calls else reply.thoughts,
            reply.calls,
            finish="tools" if reply.calls else finish,  # type: ignore[arg-type]
            usage=usage,
            cost_usd=0.0,
            seconds=seconds,
            model=self.folder_or_name,
            raw={
                "text": reply.text,
                "thoughts": reply.thoughts,
                "calls": [{"name": call.name, "code": call.code} for call in reply.calls],
            },
        )


def ordered_ends(tokenizer: Any, generation_config: Any) -> list[int]:
    """Return the tokens that end a turn, the tokenizer's own first.

    Published chat models list several, such as the end of a message and that of a text; only the
    tokenizer's is the one that its chat template writes.
    """
    listed = generation_config.eos_token_id
    known = [listed] if isinstance(listed, int) else list(listed or ())
    own = tokenizer.eos_token_id
    return list(dict.fromkeys(known if own is None else [own, *known]))


def _context(config: Any, wanted: int | None) -> int | None:
    """Return the context length of the model, or the requested one if smaller."""
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    own = getattr(text_config, "max_position_embeddings", None)
    known = [int(tokens) for tokens in (own, wanted) if tokens]
    return min(known) if known else None


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"the option {name} is {value!r}; give a table of settings")
    return dict(value)
