"""How inputs and labels are written in a prompt, each so that it can be read in one way only."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.store import row_text

ARROW = "->"
_MOST_LABELS = 50
_WORD = re.compile(r"(?!(?:nan|inf|infinity)$)[a-z_][a-z0-9_]*", re.IGNORECASE)

_INPUTS = {
    "binary": "Each input is a string of the characters 0 and 1.",
    "decimal": "Each input is a string of decimal digits.",
    "graph": "Each input is a string that lists the edges of a graph: u3v17 joins 3 and 17.",
    "table": (
        "Each input is a row of a table, written name:value, one entry after another. The "
        "function gets it as a dict from name to value, numbers as float."
    ),
}
"""Descriptions of the inputs of the benchmark's tasks, by their alphabet."""
_STRINGS = "Each input is a string."
_QUOTED = (
    "Below it is written as a JSON string, in double quotes and with escapes; the function gets "
    "the string itself."
)
_ROWS = (
    "Each input is a row of a table, written as a JSON object. The function gets it as a Python "
    "dict from column name to value, None for null, which is a missing value."
)


@dataclass(frozen=True)
class Notation:
    r"""How the rows of one prompt are written.

    Examples
    --------
    >>> rows = Examples(["two\nlines", "x -> y"], ["0", "a, b"])
    >>> notation = Notation.of(rows)
    >>> print(notation.line("x -> y", "a, b"))
    "x -> y" -> "a, b"
    """

    alphabet: str
    """``"binary"``, ``"decimal"``, ``"graph"``, ``"table"``, or empty where nothing is known."""
    rows: bool
    "Whether an input is a table row rather than a string."
    compact: bool
    """Whether table rows are written name:value, where numbers and texts look alike: for tables of
    the benchmark, whose numbers are all float and whose texts look like none."""
    quoted_inputs: bool
    "Whether strings are written as JSON, since as they are one of them would be misread."
    quoted_labels: bool
    "The same for labels."

    @classmethod
    def of(cls, train: Examples, alphabet: str = "") -> "Notation":
        """Choose the plainest notation that writes these rows without ambiguity."""
        rows = any(isinstance(item, dict) for item in train.inputs)
        return cls(
            alphabet,
            rows,
            alphabet == "table" and all(_is_compact(item) for item in train.inputs),
            rows or not all(_is_plain(str(item)) for item in train.inputs),
            not all(_is_plain(label) and "," not in label for label in set(train.labels)),
        )

    def input(self, item: Input) -> str:
        """Return an input as it is written."""
        if isinstance(item, dict) and self.compact:
            return row_text(item)
        if isinstance(item, str) and not self.quoted_inputs:
            return item
        return as_json(item)

    def label(self, text: str) -> str:
        """Return a label as it is written."""
        return as_json(text) if self.quoted_labels or not _is_plain(text) else text

    def line(self, item: Input, label: str) -> str:
        """Return an example as it is written, on one line."""
        return f"{self.input(item)} {ARROW} {self.label(label)}"

    def about_inputs(self) -> str:
        """Return the description of the inputs."""
        if self.rows:
            return _INPUTS["table"] if self.compact else _ROWS
        kind = _INPUTS.get(self.alphabet, _STRINGS)
        return f"{kind} {_QUOTED}" if self.quoted_inputs else kind

    def about_labels(self, labels: Sequence[str], classes: Classes) -> str:
        """Return the list of labels.

        Parameters
        ----------
        classes
            The labels there are in all; those that no row here has are counted only.
        """
        listed = ", ".join(self.label(text) for text in labels[:_MOST_LABELS])
        notes = []
        if len(labels) > _MOST_LABELS:
            notes.append(f"and {len(labels) - _MOST_LABELS:,} more that the examples show")
        if len(classes) > len(labels):
            notes.append(f"and {len(classes) - len(labels):,} that no example shows")
        if any(type(value).__name__ in {"bool", "bool_"} for value in classes.values):
            notes.append("1 is True, 0 is False")
        if self.quoted_labels:
            notes.append("written as JSON strings; return the string itself")
        return f"{listed} ({'; '.join(notes)})" if notes else listed


def as_json(value: object) -> str:
    r"""Write a value as JSON on one line that shows all there is.

    Examples
    --------
    >>> print(as_json("é"), as_json("no\u00a0break"))
    "é" "no\u00a0break"
    """
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_compact(item: Input) -> bool:
    if not isinstance(item, dict):
        return False
    return all(
        _WORD.fullmatch(name) and (value is None or type(value) is float or _is_word(value))
        for name, value in item.items()
    )


def _is_plain(text: str) -> bool:
    """Return whether a text can be written on a line unchanged without ambiguity."""
    return (
        text.isprintable() and text.strip() == text != "" and text[0] != '"' and ARROW not in text
    )


def alphabet_of(inputs: Iterable[Input]) -> str:
    """Return the alphabet of inputs, ``""`` if it is not one of those described.

    Examples
    --------
    >>> alphabet_of(["0110", "1"]), alphabet_of(["17"]), alphabet_of(["u3v17u1v2"])
    ('binary', 'decimal', 'graph')
    """
    patterns = {"binary": r"[01]+", "decimal": r"[0-9]+", "graph": r"(u[0-9]+v[0-9]+)+"}
    left = patterns
    for item in inputs:
        if not isinstance(item, str):
            return "table"
        left = {name: form for name, form in left.items() if re.fullmatch(form, item)}
    return next(iter(left), "")
