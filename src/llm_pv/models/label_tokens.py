"""Labels as tokens: which may follow which, and which of them tell one label from the others."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_pv.errors import ConfigurationError

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class LabelTokens:
    """Every label as the tokens an answer writes it with; none begins with another.

    Parameters
    ----------
    tokens
        The tokens of each label, the one that ends an answer included.
    ends
        Tokens that end an answer, where there are several: the first of them, which the labels are
        written with, stands for all.

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
    ends: Tokens = ()

    @classmethod
    def of(cls, tokens: Sequence[Sequence[int]], ends: Sequence[int] = ()) -> "LabelTokens":
        """Collect the labels' tokens.

        Raises
        ------
        ConfigurationError
            If a label's tokens begin with those of another, so that they cannot be told apart.
        """
        listed = tuple(tuple(label) for label in tokens)
        for number, label in enumerate(listed):
            for other, longer in enumerate(listed):
                if number != other and longer[: len(label)] == label:
                    raise ConfigurationError(
                        f"the tokenizer writes labels {number + 1} and {other + 1} so that they "
                        "cannot be told apart; rename the labels or take --answer generate"
                    )
        return cls(listed, tuple(ends))

    def following(self, path: Sequence[int]) -> Tokens:
        """Return the tokens that may come after some of a label's, none where it is complete."""
        start = tuple(path)
        begun = (label for label in self.tokens if label[: len(start)] == start)
        following = (label[len(start)] for label in begun if len(label) > len(start))
        return tuple(dict.fromkeys(one for token in following for one in self._meant(token)))

    def deciding(self) -> list[Tokens]:
        """Return, for each label, its first tokens up to the one no other label has there."""
        return [self._deciding(label) for label in self.tokens]

    def paths(self) -> list[Tokens]:
        """Return what has to be written to see every deciding token's probability, each once.

        A path that another begins with is left out: its probabilities show on the way.
        """
        needed = sorted({deciding[:-1] for deciding in self.deciding()})
        return [
            path
            for path in needed
            if not any(other != path and other[: len(path)] == path for other in needed)
        ]

    def seen_along(self, path: Sequence[int]) -> list[tuple[Tokens, Tokens]]:
        """Return each beginning of a path, the path itself included, with what may follow it."""
        starts = (tuple(path[:cut]) for cut in range(len(path) + 1))
        return [(start, self.following(start)) for start in starts]

    def scores(self, seen: Mapping[Tokens, Mapping[int, float]]) -> list[float]:
        """Return the logarithm of each label's probability, up to what all labels begin with.

        Parameters
        ----------
        seen
            After the beginnings of labels, the logarithms of the probabilities of what may follow.

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
        """Return the number of the label that was written, None if it is none."""
        for number, label in enumerate(self.tokens):
            before, last = len(label) - 1, written[len(label) - 1 : len(label)]
            if tuple(written[:before]) == label[:-1] and last and last[0] in self._meant(label[-1]):
                return number
        return None

    def _meant(self, token: int) -> Tokens:
        """Return all tokens that one stands for."""
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
    """Return how many tokens all prompts begin with alike, at least one of each left over.

    Examples
    --------
    >>> shared_length([[1, 2, 3, 4], [1, 2, 5]]), shared_length([[1, 2]])
    (2, 1)
    """
    # In between all begin as these two do.
    shortest, longest = min(map(list, prompts)), max(map(list, prompts))
    most = min(len(prompt) for prompt in prompts) - 1
    for position in range(most):
        if shortest[position] != longest[position]:
            return position
    return max(most, 0)
