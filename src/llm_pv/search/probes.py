"""Probes: plausible inputs without a label, made of the training inputs."""

import random
from collections.abc import Sequence

from llm_pv.data.examples import Input, Scalar


def make_probes(inputs: Sequence[Input], chance: random.Random, number: int) -> list[Input]:
    """Return inputs like the given ones: fields recombined, characters changed, columns mixed."""
    texts = [row for row in inputs if isinstance(row, str)]
    if not inputs:
        return []
    if len(texts) == len(inputs):
        alphabet = sorted(set("".join(texts[:200])))
        return [_changed(chance.choice(texts), texts, alphabet, chance) for _ in range(number)]
    tables = [row for row in inputs if isinstance(row, dict)]
    return [_mixed(tables, chance) for _ in range(number)]


def _changed(
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


def _mixed(rows: Sequence[dict[str, Scalar]], chance: random.Random) -> dict[str, Scalar]:
    row = dict(chance.choice(rows))
    for name in row:
        other = chance.choice(rows)
        if name in other and chance.random() < 0.5:
            row[name] = other[name]
    return row
