"""Queries of a model for labels, in one of three modes, its answers, and labels as tokens."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal, TypeAlias, get_args

from llm_pv.errors import ConfigurationError
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


Tokens = tuple[int, ...]


@dataclass(frozen=True)
class LabelTokens:
    """Every label as its token sequence in an answer; none is a prefix of another.

    Examples
    --------
    >>> labels = LabelTokens.of([(7, 1, 0), (7, 2, 0), (7, 2, 3)])
    >>> labels.following((7,))
    (1, 2)
    >>> labels.deciding()
    [(7, 1), (7, 2, 0), (7, 2, 3)]
    >>> labels.paths()
    [(7, 2)]
    """

    tokens: tuple[Tokens, ...]
    "The tokens of each label, the one that ends an answer included."
    ends: Tokens = ()
    """Tokens that end an answer, if there are several: the first of them, with which the labels are
    written, represents all."""

    @classmethod
    def of(cls, tokens: Sequence[Sequence[int]], ends: Sequence[int] = ()) -> "LabelTokens":
        """Initialise from the labels' tokens.

        Raise ConfigurationError if a label's tokens are a prefix of those of another, so that they
        are ambiguous.
        """
        listed = tuple(tuple(label) for label in tokens)
        for number, label in enumerate(listed):
            for other, longer in enumerate(listed):
                if number != other and longer[: len(label)] == label:
                    raise ConfigurationError(
                        f"the tokenizer writes labels {number + 1} and {other + 1} such that they "
                        "cannot be distinguished; rename the labels or take --answer generate"
                    )
        return cls(listed, tuple(ends))

    def following(self, path: Sequence[int]) -> Tokens:
        """Return the tokens that may follow a prefix of a label; none if the label is complete."""
        start = tuple(path)
        begun = (label for label in self.tokens if label[: len(start)] == start)
        following = (label[len(start)] for label in begun if len(label) > len(start))
        return tuple(dict.fromkeys(one for token in following for one in self._meant(token)))

    def deciding(self) -> list[Tokens]:
        """Return, for each label, its shortest prefix that no other label has."""
        return [self._deciding(label) for label in self.tokens]

    def paths(self) -> list[Tokens]:
        """Return the paths to evaluate so that every deciding token's probability is known.

        A path that another begins with is left out: its probabilities show on the way.
        """
        needed = sorted({deciding[:-1] for deciding in self.deciding()})
        return [
            path
            for path in needed
            if not any(other != path and other[: len(path)] == path for other in needed)
        ]

    def seen_along(self, path: Sequence[int]) -> list[tuple[Tokens, Tokens]]:
        """Return each prefix of a path, the path included, with the tokens that may follow."""
        starts = (tuple(path[:cut]) for cut in range(len(path) + 1))
        return [(start, self.following(start)) for start in starts]

    def scores(self, seen: Mapping[Tokens, Mapping[int, float]]) -> list[float]:
        """Return the log probability of each label, apart from the common prefix of all labels.

        Parameters
        ----------
        seen
            For prefixes of labels, the log probabilities of the tokens that may follow.

        Examples
        --------
        >>> labels = LabelTokens.of([(1, 0), (1, 5, 0)], ends=[0, 9])
        >>> labels.scores({(1,): {0: math.log(0.25), 9: math.log(0.5), 5: math.log(0.25)}})
        [-0.2876820724517809, -1.3862943611198906]
        """
        deciding = self.deciding()
        first = shared_length(deciding)
        return [
            sum(
                _log_of_sum([seen[label[:cut]][token] for token in self._meant(label[cut])])
                for cut in range(first, len(label))
            )
            for label in deciding
        ]

    def label_of(self, written: Sequence[int]) -> int | None:
        """Return the number of the label that these tokens write, None if there is none."""
        for number, label in enumerate(self.tokens):
            before, last = len(label) - 1, written[len(label) - 1 : len(label)]
            if tuple(written[:before]) == label[:-1] and last and last[0] in self._meant(label[-1]):
                return number
        return None

    def _meant(self, token: int) -> Tokens:
        """Return all tokens that a token represents."""
        return self.ends if self.ends and token == self.ends[0] else (token,)

    def _deciding(self, label: Tokens) -> Tokens:
        for end in range(1, len(label) + 1):
            if sum(other[:end] == label[:end] for other in self.tokens) == 1:
                return label[:end]
        return label


def _log_of_sum(logs: Sequence[float]) -> float:
    highest = max(logs)
    if highest == -math.inf:
        return highest
    return highest + math.log(sum(math.exp(log - highest) for log in logs))


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """Return the length of the common prefix, at least one token of each prompt left over.

    Examples
    --------
    >>> shared_length([[1, 2, 3, 4], [1, 2, 5]]), shared_length([[1, 2]])
    (2, 1)
    """
    most = min(len(prompt) for prompt in prompts) - 1
    return max(min(common_length(list(map(list, prompts))), most), 0)


def common_length(sequences: Sequence[Any]) -> int:
    """Return the length of the common prefix of all strings, or of all lists of tokens.

    Examples
    --------
    >>> common_length(["Input: 01", "Input: 00"])
    8
    """
    pairs = zip(min(sequences), max(sequences), strict=False)  # in order all others are between
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
