"""The interface of every language model, for proposing programs and for choosing labels."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Self

from llm_pv.errors import ConfigurationError
from llm_pv.models.base import Preview, Request, ToolPlace, Turn, Usage, UserMessage
from llm_pv.models.label_queries import LabelAnswer, LabelQuery
from llm_pv.models.token_estimate import estimate_tokens


class LanguageModel(ABC):
    """Base class of models; safe to use from several threads.

    A subclass sets ``name`` and ``identity`` and defines `complete` and `preview`; everything else
    has a default. Use it as a context manager, or call `close`.
    """

    name: str
    "The name that the user gave, such as ``openai:gpt-5.4``."
    identity: str
    "Everything that decides its answers, as one line without secrets."
    destination: str | None = None
    "The host that conversations are sent to, None if they stay in this process."
    tool_places: frozenset[ToolPlace] = frozenset({"none"})
    'The places where its code can run; always includes ``"none"``.'
    default_tool: ToolPlace = "none"
    '``"local"`` where the model can call tools, else ``"none"``.'
    max_output_tokens: int = 20_000
    "The most tokens of one turn, including reasoning."
    most_samples: int = 1
    "The most answers that one call of `complete` can return."
    counts_exactly: bool = False
    "Whether token counts are exact, and not upper estimates."

    @property
    def context_tokens(self) -> int | None:
        """Tokens of input and output together that fit, None where it is not known."""
        return None

    @abstractmethod
    def complete(self, request: Request) -> list[Turn]:
        """Return the next turn, or up to ``samples`` alternatives; the usage is on the first.

        Raise CredentialError if the key is missing or rejected, as it would be for every other
        call. Raise ModelError if the call failed finally, after its retries. Raise BudgetError if
        ``before_retry`` refuses another request.
        """

    @abstractmethod
    def preview(self, request: Request) -> Preview:
        """Return what `complete` would send, without sending it."""

    def check_request(self, request: Request) -> None:
        """Raise ConfigurationError if the model has no such tool, or gives fewer answers a call."""
        if request.tool is not None and request.tool.place not in self.tool_places:
            places = ", ".join(sorted(self.tool_places))
            raise ConfigurationError(
                f"{self.name} has no {request.tool.place} tool; give --tool as one of {places}"
            )
        if not 1 <= request.samples <= self.most_samples:
            raise ConfigurationError(
                f"{self.name} returns at most {self.most_samples} answers a call, not "
                f"{request.samples}"
            )

    def choose(
        self, prompts: Sequence[str], query: LabelQuery, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, LabelAnswer]]]:
        """Yield answers with the positions of their prompts, in groups, as they come.

        Raise CredentialError if the key is missing or refused. Raise ModelError if a call failed
        finally; the answers received before have been yielded.

        Parameters
        ----------
        prompts
            The prompts; their common prefix is computed once if the model supports that.
        query
            The labels, and how they are obtained.
        seeds
            One for each prompt; the same prompt and seed give the same answer, independently of
            the other prompts, as far as the model is reproducible.
        """
        self.check_query(query)
        for position, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
            request = Request(
                [UserMessage(prompt)], seed=seed, max_output_tokens=query.max_new_tokens
            )
            (turn,) = self.complete(request)
            yield [(position, LabelAnswer.of(turn))]

    def check_query(self, query: LabelQuery) -> None:
        """Raise ConfigurationError, with the reason, if the model does not support this query."""
        if query.mode != "generate" or query.chat == "off":
            raise ConfigurationError(
                f"{self.name} answers in free text, through its chat interface: give --answer "
                "generate without --chat off"
            )

    def count_prompts(self, prompts: Sequence[str], query: LabelQuery) -> list[int]:  # noqa: ARG002
        """Return how many tokens each prompt has, as `choose` would send it."""
        return [self.count_tokens(prompt) for prompt in prompts]

    def show_prompt(self, prompt: str, query: LabelQuery) -> str:  # noqa: ARG002
        """Return what `choose` would send for a prompt, without sending it."""
        preview = self.preview(Request([UserMessage(prompt)]))
        return f"{preview.method} {preview.url}\n{json.dumps(dict(preview.body), indent=2)}"

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has; an upper estimate if it cannot be counted."""
        return estimate_tokens(text)

    def price(self, usage: Usage) -> float | None:  # noqa: ARG002
        """Return the price of a usage in US dollars, None where it is not known.

        A model that runs in this process costs 0.
        """
        return None

    def close(self) -> None:  # noqa: B027 - a default
        """Release connections or memory."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
