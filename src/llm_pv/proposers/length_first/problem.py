"""The rows the search works on: training rows with their classes, then probes without any."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.data.examples import Examples, Input, Scalar
from llm_pv.proposers.length_first.weights import mistake_bits

MOST_PROBES = 60


@dataclass(frozen=True)
class Problem:
    """What the search looks at.

    Parameters
    ----------
    rows
        The training inputs, then the probes: training inputs changed a little, without a label.
        Two expressions are the same to the search when they agree on all of these. On training
        rows alone, every program that fits would be the same, and the shortest wrong one would
        hide the right one.
    size
        How many of the rows are training rows.
    codes
        The class of each training row, as a position in ``classes``.
    classes
        The label texts.
    noise
        The share of training labels that are expected to be wrong.
    """

    rows: Sequence[Input]
    size: int
    codes: NDArray[np.int64]
    classes: tuple[str, ...]
    noise: float = 0.0

    @property
    def prices(self) -> list[float]:
        """The bits that 0, 1, 2, ... training mistakes cost."""
        return mistake_bits(self.size, len(self.classes), self.noise)

    @classmethod
    def of(
        cls, train: Examples, classes: Sequence[str], seed: int, noise: float = 0.0
    ) -> "Problem":
        """Add probes to the training rows."""
        present = tuple(text for text in classes if text in set(train.labels))
        codes = np.array([present.index(label) for label in train.labels], dtype=np.int64)
        chance = random.Random(seed)  # noqa: S311 - reproducible, and nothing secret
        probes = make_probes(list(train.inputs), chance)
        return cls([*train.inputs, *probes], len(train), codes, present, noise)


def make_probes(
    inputs: Sequence[Input], chance: random.Random, number: int | None = None
) -> list[Input]:
    """Return inputs like the given ones: characters changed, parts swapped, columns mixed."""
    number = number or min(MOST_PROBES, max(20, len(inputs)))
    if not inputs:
        return []
    texts = [row for row in inputs if isinstance(row, str)]
    if len(texts) == len(inputs):
        alphabet = sorted(set("".join(texts)))
        return [_changed_text(chance.choice(texts), texts, alphabet, chance) for _ in range(number)]
    tables = [row for row in inputs if isinstance(row, dict)]
    return [_mixed_row(tables, chance) for _ in range(number)]


def _changed_text(
    text: str, texts: Sequence[str], alphabet: Sequence[str], chance: random.Random
) -> str:
    kind = chance.randrange(4)
    if kind == 0 or not text:
        other = chance.choice(texts)
        cut = chance.randrange(min(len(text), len(other)) + 1)
        return text[:cut] + other[cut:]
    characters = list(text)
    if kind == 1:
        first, second = chance.randrange(len(text)), chance.randrange(len(text))
        characters[first], characters[second] = characters[second], characters[first]
    else:
        for _ in range(kind):
            characters[chance.randrange(len(text))] = chance.choice(alphabet)
    return "".join(characters)


def _mixed_row(rows: Sequence[dict[str, Scalar]], chance: random.Random) -> dict[str, Scalar]:
    row = dict(chance.choice(rows))
    for name in row:
        other = chance.choice(rows)
        if name in other and chance.random() < 0.5:
            row[name] = other[name]
    return row
