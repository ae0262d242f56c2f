"""Asking a model for labels: many prompts that share a beginning, read in one of three ways."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, Protocol, TypeAlias, get_args

from llm_pv.models.base import FinishReason, Usage

AnswerMode: TypeAlias = Literal["generate", "constrained", "likelihood"]
"""How a label is had: from free text, from text restricted to the labels, or from the
probabilities of the labels' tokens, without writing any."""

LabelForm: TypeAlias = Literal["json", "plain"]
"""How a label is written: as ``{"label": "1"}``, or as ``1``."""

ChatUse: TypeAlias = Literal["auto", "on", "off"]
"""Whether prompts go into the model's chat template: where it has one, always, never."""

MODES: tuple[AnswerMode, ...] = get_args(AnswerMode)


@dataclass(frozen=True)
class Asking:
    """How labels are asked for.

    Parameters
    ----------
    labels
        The labels there are.
    mode
        How one is had.
    form
        How it is written.
    chat
        Whether prompts go into a chat template.
    max_new_tokens
        Tokens a free answer may have.
    """

    labels: tuple[str, ...]
    mode: AnswerMode = "generate"
    form: LabelForm = "json"
    chat: ChatUse = "auto"
    max_new_tokens: int = 1_024

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
    """What a model answered to one prompt.

    Parameters
    ----------
    text
        What it wrote, its thoughts left out; under ``likelihood`` the likeliest label as an
        answer writes it.
    finish
        Why it ended.
    probabilities
        Under ``likelihood`` the probability of each label, the share that goes to none left out.
    usage
        Tokens used for it, shared ones counted as cached where they were.
    cost_usd
        Its price, None where it is not known.
    seconds
        Time it took; of answers made together, an equal share.
    """

    text: str
    finish: FinishReason = "stop"
    probabilities: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    seconds: float = 0.0


class AnsweringModel(Protocol):
    """A model that is asked for labels."""

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
        """Raise ConfigurationError, saying why, if it cannot be asked so."""
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

        Parameters
        ----------
        prompts
            The prompts; what they begin with alike is worked out once where that can be.
        asking
            How labels are asked for.
        seeds
            One for each prompt; the same prompt and seed give the same answer, whatever is
            answered beside it, as far as the model can repeat itself.

        Raises
        ------
        CredentialError
            If the key is missing or refused.
        ModelError
            If a call failed for good; answers that were had have been yielded before.
        """
        ...

    def close(self) -> None:
        """Let go of connections or memory."""
        ...


def write_label(label: str, form: LabelForm) -> str:
    """Write a label as an answer does."""
    return label if form == "plain" else json.dumps({"label": label}, ensure_ascii=False)


def shared_text(prompts: Sequence[str]) -> str:
    """Return what all prompts begin with.

    Examples
    --------
    >>> shared_text(["Input: 01", "Input: 00"])
    'Input: 0'
    """
    first, last = min(prompts), max(prompts)  # in between all begin as these two do
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in same)]
