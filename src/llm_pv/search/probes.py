"""Probes: plausible inputs without a label, made of the training inputs.

Two expressions are one only where they agree on the training rows and on the probes; rivals are
judged by the probes on which they differ. A probe is made of parts of training rows, and what holds
of every training row (a valid date, matched brackets) holds of it.
"""

import random
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import cast

from llm_pv.data.examples import Input, Scalar

PARTS = re.compile(r"\d+|[^\W\d_]+|\s+|.", re.DOTALL)
TRIES = 12
"""Attempts at each probe before a training row is taken as it is."""
FEW_SYMBOLS = 12


def make_probes(inputs: Sequence[Input], chance: random.Random, number: int) -> list[Input]:
    """Return inputs like the given ones: fields recombined, characters changed, columns mixed."""
    if not inputs:
        return []
    if not isinstance(inputs[0], str):
        rows = cast("Sequence[dict[str, Scalar]]", inputs)
        return [_mixed(rows, chance) for _ in range(number)]
    texts = [row for row in inputs if isinstance(row, str)]
    laws = [law for law in LAWS if all(map(law, texts[:300]))]
    make = _way(texts)
    probes: list[Input] = []
    for _ in range(number):
        made = chance.choice(texts)
        for _ in range(TRIES):
            new = make(texts, chance)
            if new not in probes and all(law(new) for law in laws):
                made = new
                break
        probes.append(made)
    return probes


def _way(texts: Sequence[str]) -> Callable[[Sequence[str], random.Random], str]:
    """Return how to make a probe of texts like these."""
    some = texts[:100]
    symbols = set("".join(some))
    if all(len(PARTS.findall(text)) == 1 for text in some) or len(symbols) <= FEW_SYMBOLS:
        return _substituted if any(c.isdecimal() for c in symbols - set("01")) else _changed
    if any(any(c.isdecimal() for c in text) for text in some):
        return _substituted
    return _spliced if any(" " in text for text in some) else _changed


def _substituted(texts: Sequence[str], chance: random.Random) -> str:
    """Put parts of another row, of the same shape, in place of some; or exchange the ends."""
    parts, other = (PARTS.findall(chance.choice(texts)) for _ in range(2))
    if min(len(parts), len(other)) < 2:
        return _changed(texts, chance)
    if len(parts) == len(other) and chance.random() < 0.5:
        return "".join(
            b if a.isalnum() and _shape(a) == _shape(b) and chance.random() < 0.4 else a
            for a, b in zip(parts, other, strict=True)
        )
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(parts))
        alike = [part for part in other if _shape(part) == _shape(parts[place])]
        parts[place] = chance.choice(alike or [parts[place]])
    if len(parts) != len(other) and chance.random() < 0.4:
        cut = chance.randrange(min(len(parts), len(other)))
        alike = [i for i, part in enumerate(other) if _shape(part) == _shape(parts[cut])]
        parts = [*parts[:cut], *other[chance.choice(alike) :]] if alike else parts
    return "".join(parts)


def _shape(part: str) -> str:
    return "0" if part.isdecimal() else "a" if part.isalpha() else part


def _spliced(texts: Sequence[str], chance: random.Random) -> str:
    """Join the beginning of one row and the end of another at a blank, or exchange two words."""
    words = chance.choice(texts).split(" ")
    other = chance.choice(texts).split(" ")
    if chance.random() < 0.5:
        cut = chance.randrange(len(words) + 1)
        return " ".join([*words[:cut], *other[min(cut, len(other)) :]]) or chance.choice(texts)
    for _ in range(2):
        words[chance.randrange(len(words))] = chance.choice(other)
    return " ".join(words)


def _changed(texts: Sequence[str], chance: random.Random) -> str:
    """Change or exchange a character or two, or join two rows."""
    text, kind = chance.choice(texts), chance.randrange(4)
    other = chance.choice(texts)
    if kind == 0 or not text:
        cut = chance.randrange(min(len(text), len(other)) + 1)
        return text[:cut] + other[cut:]
    characters = list(text)
    if kind == 1:
        first, second = chance.randrange(len(text)), chance.randrange(len(text))
        characters[first], characters[second] = characters[second], characters[first]
    else:
        for _ in range(kind):
            characters[chance.randrange(len(text))] = chance.choice(other or text)
    return "".join(characters)


def _mixed(rows: Sequence[dict[str, Scalar]], chance: random.Random) -> dict[str, Scalar]:
    """Take some columns from other rows."""
    row = dict(chance.choice(rows))
    for name in row:
        other = chance.choice(rows)
        if name in other and chance.random() < 0.5:
            row[name] = other[name]
    return row


def _valid_dates(text: str) -> bool:
    found = re.findall(r"\d{4}-\d\d-\d\d", text)
    try:
        return bool([date.fromisoformat(one) for one in found])
    except ValueError:
        return False


def _matched(text: str) -> bool:
    waiting = []
    for symbol in text:
        if symbol in "([{":
            waiting.append(symbol)
        elif symbol in ")]}" and (not waiting or waiting.pop() + symbol not in ("()", "[]", "{}")):
            return False
    return not waiting


def _one_number(text: str) -> bool:
    return text.isdecimal() and (text[0] != "0" or text == "0")


def _edges_once(text: str) -> bool:
    names = re.findall(r"\d+", text)
    return len(names) % 2 == 0 and all(a != b for a, b in zip(names[::2], names[1::2], strict=True))


LAWS: tuple[Callable[[str], bool], ...] = (_valid_dates, _matched, _one_number, _edges_once)
"""What a probe must keep to where every training row does."""
