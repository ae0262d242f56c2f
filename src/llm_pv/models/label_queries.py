"""Queries of a model for labels, in one of three modes, and its answers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from llm_pv.models.base import FinishReason, Turn, Usage

AnswerMode: TypeAlias = Literal["generate", "constrained", "likelihood"]
"""How a label is obtained: from free text, from text restricted to the labels, or from the
probabilities of the labels' tokens, without generating any."""

LabelForm: TypeAlias = Literal["json", "plain"]
"""How a label is written: as ``{"label": "1"}``, or as ``1``."""

ChatUse: TypeAlias = Literal["auto", "on", "off"]
"""Whether prompts go into the model's chat template: where it has one, always, never."""

MODES: tuple[AnswerMode, ...] = get_args(AnswerMode)


@dataclass(frozen=True)
class LabelQuery:
    """The settings of a query for labels."""

    labels: tuple[str, ...]
    mode: AnswerMode = "generate"
    form: LabelForm = "json"
    chat: ChatUse = "auto"
    max_new_tokens: int = 1_024
    "The most tokens of a free answer."

    def written(self) -> tuple[str, ...]:
        """Return every label as an answer writes it.

        Examples
        --------
        >>> LabelQuery(("0", "1")).written()
        ('{"label": "0"}', '{"label": "1"}')
        """
        return tuple(write_label(label, self.form) for label in self.labels)


@dataclass(frozen=True)
class LabelAnswer:
    """The answer of a model to one prompt."""

    text: str
    """The text without reasoning; under ``likelihood`` the likeliest label as an answer would write
    it."""
    finish: FinishReason = "stop"
    probabilities: Mapping[str, float] = field(default_factory=dict)
    "Under ``likelihood`` the probability of each label, without the share of other texts."
    usage: Usage = field(default_factory=Usage)
    "Tokens used, those of a shared prefix counted as cached if they were."
    cost_usd: float | None = 0.0
    "Its price, None if unknown."
    seconds: float = 0.0
    "The time it took; an equal share for answers generated together."

    @classmethod
    def of(cls, turn: Turn) -> "LabelAnswer":
        """Return the turn that answers one prompt as an answer."""
        return cls(
            turn.text, turn.finish, usage=turn.usage, cost_usd=turn.cost_usd, seconds=turn.seconds
        )


def write_label(label: str, form: LabelForm) -> str:
    """Return a label as an answer writes it."""
    return label if form == "plain" else json.dumps({"label": label}, ensure_ascii=False)


def answer_of_scores(query: LabelQuery, scores: Sequence[float]) -> LabelAnswer:
    """Return the label with the highest logarithm of its probability, the first among equals."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    best = scores.index(highest)
    shares = [weight / sum(weights) for weight in weights]
    return LabelAnswer(
        query.written()[best], probabilities=dict(zip(query.labels, shares, strict=True))
    )
