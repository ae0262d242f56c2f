r"""Reading a label out of an answer, however the model wrapped it.

Read are, the last of each first: the value of a ``label`` or ``answer`` key, with any quotes or
none; what follows "label is", "label:", "answer:" or is in ``\boxed{}``; the whole answer, its
first line, or what follows an arrow at its end, if that is nothing but a label. A remark may follow
in parentheses or after a mark. Anything else is no label: a word somewhere in the text is not taken
for one.
"""

import json
import re
from collections.abc import Iterator, Sequence

from llm_pv.data.labels import label_text

_MOST_CHARACTERS = 200_000
_MOST_TRIES = 100
_STRAIGHT = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')
_KEY = re.compile(
    r"""(?:\blabel|(?P<quote>["'])(?:label|answer)(?P=quote))\s*+:\s*+""", re.IGNORECASE
)
_VALUE = re.compile(
    r"""(?P<double>"(?:[^"\\]++|\\.)*+")|(?P<single>'[^']*+')
    |\[\s*+(?:"(?P<one>[^"\\]*+)"|(?P<number>[^\s,"'\[\]{}]++))\s*+\]
    |(?P<bare>[^\s,}"'\[\]{(][^,}\n"'\]]{0,1000}+)""",
    re.DOTALL | re.VERBOSE,
)
_SAID = re.compile(
    r"\b(?:label|answer)\b[*_`\s]*+(?:is\b)?[*_`\s]*+[:=]?[*_`\s]*+|\\boxed\{", re.IGNORECASE
)
_REMARK = re.compile(r"(?P<label>\S.*?)(?:\s+(?:[(\u2013\u2014]|-\s+[A-Za-z])|[).:;](?:\s|$))")
_WRAPPING = " \t\r\n`*_.,;!\"'()[]{}"


def read_label(text: str, labels: Sequence[str]) -> str | None:
    r"""Return the label an answer gives, None if it gives none.

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
    for written in dict.fromkeys((text, text.translate(_STRAIGHT))):
        for candidate in _candidates(written):
            label = _match(candidate, labels)
            if label is not None:
                return label
    return None


def _candidates(text: str) -> Iterator[str]:
    """Yield what may be the label, the likeliest first."""
    for pattern in (_KEY, _SAID):
        for found in list(pattern.finditer(text))[: -_MOST_TRIES - 1 : -1]:
            value = _VALUE.match(text, found.end())
            if value is not None:
                yield _unquoted(value)
                yield from _before_remark(_unquoted(value))
    yield text
    stripped = text.strip()
    lines = stripped.splitlines()
    if stripped.startswith('"'):
        yield _parsed(stripped)
    if lines and "->" in lines[-1]:
        yield lines[-1].rpartition("->")[2]
    if len(lines) == 1 or (lines and not lines[1].strip()):
        yield lines[0]
        yield from _before_remark(lines[0])


def _before_remark(text: str) -> Iterator[str]:
    remark = _REMARK.match(text)
    if remark is not None:
        yield remark["label"]


def _unquoted(value: re.Match[str]) -> str:
    if value["double"] is not None:
        return _parsed(value["double"])
    if value["single"] is not None:
        return value["single"][1:-1]
    return next(part for name in ("one", "number", "bare") if (part := value[name]) is not None)


def _parsed(text: str) -> str:
    """Return what a JSON string says; without its quotes if it is none."""
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text[1:-1]


def _match(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a text is, first exactly, then with less and less kept."""
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
