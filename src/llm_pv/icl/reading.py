r"""Reading a label out of an answer, however the model wrapped it.

Read are, the last of each first: the value of a ``label`` key, with any quotes or none; what
follows "label is", "label:" or "answer:"; the whole answer, if it is nothing but a label. Anything
else is no label: a word somewhere in the text is not taken for one.
"""

import json
import re
from collections.abc import Sequence

from llm_pv.data.labels import label_text

_MOST_CHARACTERS = 200_000
_MOST_TRIES = 100
_KEY = re.compile(r"""(?:\blabel|(?P<quote>["'])label(?P=quote))\s*+:\s*+""", re.IGNORECASE)
_VALUE = re.compile(
    r"""(?P<double>"(?:[^"\\]++|\\.)*+")|(?P<single>'[^']*+')|(?P<bare>[^\s,}"'\[\]{(][^,}\n"'\]]{0,1000}+)""",
    re.DOTALL,
)
_SAID = re.compile(r"\b(?:label|answer)\b(?:\s++is\b)?\s*+[:=]?\s*+", re.IGNORECASE)
_WRAPPING = " \t\r\n`*_.,;!\"'()[]{}"


def read_label(text: str, labels: Sequence[str]) -> str | None:
    r"""Return the label an answer gives, None if it gives none.

    Parameters
    ----------
    text
        The answer.
    labels
        The labels there are.

    Examples
    --------
    >>> read_label('{"label": "1"}', ["0", "1"]), read_label("```\n{'label': 0}\n```", ["0", "1"])
    ('1', '0')
    >>> read_label("**1**", ["0", "1"]), read_label("It could be 1 or 0.", ["0", "1"])
    ('1', None)
    """
    text = text[-_MOST_CHARACTERS:]
    if '\\"' in text and not _KEY.search(text):  # an object written as a string
        text = text.replace('\\"', '"')
    for pattern in (_KEY, _SAID):
        for found in list(pattern.finditer(text))[: -_MOST_TRIES - 1 : -1]:
            value = _VALUE.match(text, found.end())
            label = None if value is None else _match(_unquoted(value), labels)
            if label is not None:
                return label
    return _match(text, labels)


def _unquoted(value: re.Match[str]) -> str:
    if value["double"] is not None:
        try:
            return str(json.loads(value["double"], strict=False))
        except ValueError:
            return value["double"][1:-1]
    if value["single"] is not None:
        return value["single"][1:-1]
    return value["bare"]


def _match(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a text is, as it stands or less and less so."""
    for candidate in (text, text.strip(), text.strip(_WRAPPING)):
        if candidate in labels:
            return candidate
    stripped = text.strip(_WRAPPING)
    folded = [label for label in labels if label.casefold() == stripped.casefold()]
    if len(folded) == 1:
        return folded[0]
    return _as_value(stripped, labels)


def _as_value(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a number or a truth value is, by the rule for every prediction."""
    try:
        value = json.loads(text.lower())
        written = label_text(value)
    except (ValueError, TypeError, RecursionError):
        return None
    return written if isinstance(value, bool | int | float) and written in labels else None
