"""Query a model for labels, for many prompts with a common prefix, in one of three modes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, get_args

from llm_pv.models.base import FinishReason, Usage

AnswerMode: TypeAlias = Literal["generate", "constrained", "likelihood"]
"""How a label is obtained: from free text, from text restricted to the labels, or from the
probabilities of the labels' tokens, without generating any."""

LabelForm: TypeAlias = Literal["json", "plain"]
"""How a label is written: as ``{"label": "1"}``, or as ``1``."""

ChatUse: TypeAlias = Literal["auto", "on", "off"]
"""Whether prompts go into the model's chat template: where it has one, always, never."""

MODES: tuple[AnswerMode, ...] = get_args(AnswerMode)


@dataclass(frozen=True)
class Asking:
    """The settings of a query for labels."""

    labels: tuple[str, ...]
    "The possible labels."
    mode: AnswerMode = "generate"
    "How a label is obtained."
    form: LabelForm = "json"
    "How it is written."
    chat: ChatUse = "auto"
    "Whether prompts go into a chat template."
    max_new_tokens: int = 1_024
    "The most tokens of a free answer."

    def written(self) -> tuple[str, ...]:
        """Return every label as an answer writes it.

        Examples
        --------
        >>> Asking(("0", "1")).written()
        ('{"label": "0"}', '{"label": "1"}')
        """
        return tuple(write_label(label, self.form) for label in self.labels)


@dataclass(frozen=True)
class Answer:
    """The answer of a model to one prompt."""

    text: str
    """The text without reasoning; under ``likelihood`` the likeliest label as an answer would write
    it."""
    finish: FinishReason = "stop"
    "Why it ended."
    probabilities: Mapping[str, float] = field(default_factory=dict)
    "Under ``likelihood`` the probability of each label, without the share of other texts."
    usage: Usage = field(default_factory=Usage)
    "Tokens used, those of a shared prefix counted as cached if they were."
    cost_usd: float | None = 0.0
    "Its price, None if unknown."
    seconds: float = 0.0
    "The time it took; an equal share for answers generated together."


class AnsweringModel(Protocol):
    """A model that answers prompts with labels."""

    @property
    def name(self) -> str:
        """What the user asked for, such as ``"hf:FOLDER"``."""
        ...

    @property
    def identity(self) -> str:
        """Everything that decides its answers, as one line without secrets."""
        ...

    @property
    def destination(self) -> str | None:
        """The host that prompts are sent to, None if they stay in this process."""
        ...

    @property
    def context_tokens(self) -> int | None:
        """Tokens of input and output together that fit, None where it is not known."""
        ...

    @property
    def counts_exactly(self) -> bool:
        """Whether `count` is exact, and not an upper estimate."""
        ...

    def check(self, asking: Asking) -> None:
        """Raise ConfigurationError, with the reason, if the model does not support this query."""
        ...

    def count(self, prompts: Sequence[str], asking: Asking) -> list[int]:
        """Return how many tokens each prompt has, as it would be sent."""
        ...

    def price(self, usage: Usage) -> float | None:
        """Return the price of a usage in US dollars, None where it is not known."""
        ...

    def show(self, prompt: str, asking: Asking) -> str:
        """Return what would be sent for a prompt, without sending it."""
        ...

    def answers(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers with the positions of their prompts, in groups, as they come.

        Raise CredentialError if the key is missing or refused. Raise ModelError if a call failed
        finally; the answers received before have been yielded.

        Parameters
        ----------
        prompts
            The prompts; their common prefix is computed once if the model supports that.
        seeds
            One for each prompt; the same prompt and seed give the same answer, independently of
            the other prompts, as far as the model is reproducible.
        """
        ...

    def close(self) -> None:
        """Release connections or memory."""
        ...


def write_label(label: str, form: LabelForm) -> str:
    """Return a label as an answer writes it."""
    return label if form == "plain" else json.dumps({"label": label}, ensure_ascii=False)
