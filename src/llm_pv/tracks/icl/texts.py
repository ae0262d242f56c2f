r"""The prompt of a query for a label, and reading the label out of an answer.

A prompt begins with what all queries of a cell share and ends in the one input to label. Of an
answer, however the model wrapped the label, are read, the last of each first: the value of a
``label`` or ``answer`` key, with any quotes or none; what follows "label is", "label:", "answer:"
or is in ``\boxed{}``; the whole answer, its first line, or what follows an arrow at its end, if
that is nothing but a label. A remark may follow in parentheses or after a mark. Anything else is no
label: a word somewhere in the text is not taken for one.
"""

import json
import re
from collections.abc import Iterator, Sequence

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.labels import label_text
from llm_pv.data.store import row_text
from llm_pv.models.label_queries import LabelForm

_INPUTS = {
    "binary": " Each input is a string of the characters 0 and 1.",
    "decimal": " Each input is a string of decimal digits.",
    "graph": " Each input is a string that lists the edges of a graph: u3v17 joins 3 and 17.",
    "table": " Each input is a row of a table, written name:value, one entry after another.",
}
"""Descriptions of the inputs, by their alphabet."""

_CONTRACTS: dict[LabelForm, str] = {
    "json": 'Answer with one JSON object and nothing else: {"label": "<one of the labels>"}',
    "plain": "Answer with the label and nothing else.",
}

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


def write_prompts(
    examples: Examples,
    classes: Classes,
    inputs: Sequence[Input],
    *,
    form: LabelForm = "json",
    alphabet: str = "",
) -> list[str]:
    r"""Write a prompt for each input; all of them begin with the same examples.

    Parameters
    ----------
    alphabet
        ``"binary"``, ``"decimal"``, ``"graph"`` or ``"table"``, where the inputs' kind is known.

    Examples
    --------
    >>> rows = Examples(["0110", "0111"], ["0", "1"])
    >>> first, second = write_prompts(rows, Classes.of(["0", "1"]), ["0000", "0001"])
    >>> first[:-4] == second[:-4], first[-12:]
    (True, '\nInput: 0000')
    """
    rows = "".join(
        f"{_line(item)} -> {_in_row(label)}\n"
        for item, label in zip(examples.inputs, examples.labels, strict=True)
    )
    shared = (
        f"A hidden rule gives every input a label.{_INPUTS.get(alphabet, '')} "
        f"Each label is one of: {_list(classes.texts)}.\n"
        f"{len(examples)} examples, one a line, input -> label:\n\n"
        f"{rows}\n"
        f"Give the label of one more input. {_CONTRACTS[form]}\n"
    )
    return [f"{shared}Input: {_line(item)}" for item in inputs]


def _list(labels: Sequence[str]) -> str:
    """Return labels as a list with unambiguous separators."""
    written = [_in_row(label) for label in labels]
    if any("," in label for label in labels):
        written = [json.dumps(label, ensure_ascii=False) for label in labels]
    return ", ".join(written)


def _in_row(label: str) -> str:
    """Return a label as the end of an example's line; as a JSON string if that is ambiguous."""
    plain = label == label.strip() and label and "->" not in label and '"' not in label
    plain = plain and len(label.splitlines()) == 1
    return label if plain else json.dumps(label, ensure_ascii=False)


def _line(item: Input) -> str:
    text = item if isinstance(item, str) else row_text(item)
    # Line breaks would end the example, so such a text is written as a JSON string.
    return json.dumps(text, ensure_ascii=False) if len(text.splitlines()) > 1 else text


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
