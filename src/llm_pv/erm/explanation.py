"""Explain a program for a table: its leaves, conditions, mistakes and columns."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llm_pv.data.examples import Examples, Input, Splits
from llm_pv.erm.selection import Selection
from llm_pv.errors import ProgramError
from llm_pv.sandbox import Sandbox
from llm_pv.sandbox.parser import ask_one

_MOST_MISTAKES = 20
_MOST_CELLS = 40
"""Columns of a row with a mistake; those that the program reads come first."""
_MOST_CHARACTERS = 300
_SECONDS = 5.0
"""For the program without each of its conditions; those that come later are left out."""
_MOST_CLASSES = 12
_MOST_COLUMNS = 12
_BINS = 24


def explain(
    selection: Selection, splits: Splits, test: Sequence[str | None], sandbox: Sandbox
) -> dict[str, Any]:
    """Return plain JSON values for the page; empty if there is no program or no table."""
    selected = selection.selected
    is_table = isinstance(next(iter(splits.train.inputs), None), Mapping)
    if selected is None or selected.program is None or not selection.predictions or not is_table:
        return {}
    source = selected.program.source
    try:
        found = ask_one("leaves", source)
    except ProgramError:
        found = {"lines": [], "columns": {}}
    parts: dict[str, tuple[Examples, Sequence[str | None]]] = {}
    parts["validation"] = (splits.validation, selection.predictions)
    if test:
        parts["test"] = (splits.test, test)
    return {
        "lines": [(depth, text[:_MOST_CHARACTERS], leaf) for depth, text, leaf in found["lines"]],
        "leaves": _by_leaf(found, splits.validation, selection.predictions, sandbox),
        "conditions": _contributions(source, splits.validation, selection.predictions, sandbox),
        "confusion": _confusion(parts, splits),
        "mistakes": _mistakes(parts, list(found["columns"])),
        "columns": _shapes(found["columns"], splits.train),
    }


def _by_leaf(
    found: Mapping[str, Any], rows: Examples, answers: Sequence[str | None], sandbox: Sandbox
) -> list[dict[str, int]]:
    """Return the validation rows that reach each leaf, and how many of them are right."""
    if not found["lines"]:
        return []
    reached = sandbox.predict(found["source"], rows.inputs).predictions
    counts = [{"rows": 0, "right": 0} for line in found["lines"] if line[2] is not None]
    for leaf, answer, label in zip(reached, answers, rows.labels, strict=True):
        if leaf is not None and leaf.isdecimal() and int(leaf) < len(counts):
            counts[int(leaf)]["rows"] += 1
            counts[int(leaf)]["right"] += answer == label
    return counts


def _contributions(
    source: str, rows: Examples, answers: Sequence[str | None], sandbox: Sandbox
) -> dict[str, Any]:
    """Return, for each condition, what the program without it answers on the validation rows."""
    try:
        variants = ask_one("conditions", source)
    except ProgramError:
        variants = []
    without = []
    sources = [variant for _, variant in variants]
    runs = sandbox.predict_many(sources, rows.inputs, deadline=time.monotonic() + _SECONDS)
    for (text, _), run in zip(variants, runs, strict=True):
        if len(run.predictions) != len(answers):
            break
        pairs = list(zip(run.predictions, answers, rows.labels, strict=True))
        changed = sum(other != answer for other, answer, _ in pairs)
        right = sum(other == label for other, _, label in pairs)
        without.append({"text": text[:_MOST_CHARACTERS], "changed": changed, "right": right})
    right = sum(answer == label for answer, label in zip(answers, rows.labels, strict=True))
    return {"rows": len(answers), "right": right, "without": without}


def _confusion(
    parts: Mapping[str, tuple[Examples, Sequence[str | None]]], splits: Splits
) -> dict[str, Any] | None:
    """Return how often each class was answered for each; of the test rows, if there are any."""
    if len(splits.classes.texts) > _MOST_CLASSES:
        return None
    split = "test" if "test" in parts else "validation"
    rows, answers = parts[split]
    pairs = Counter(zip(rows.labels, answers, strict=True))
    columns = [*splits.classes.texts, *([None] if None in answers else [])]
    return {
        "split": split,
        "answers": columns,
        "labels": list(splits.classes.texts),
        "counts": [[pairs[label, answer] for answer in columns] for label in splits.classes.texts],
    }


def _mistakes(
    parts: Mapping[str, tuple[Examples, Sequence[str | None]]], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the first rows with a wrong answer, of validation and test by turns."""
    wrong = [
        [
            {"split": split, "row": row, "label": label, "prediction": answer,
             "input": _cells(item, columns)}
            for row, (item, label, answer) in enumerate(
                zip(rows.inputs, rows.labels, answers, strict=True)
            )
            if answer != label
        ][:_MOST_MISTAKES]
        for split, (rows, answers) in parts.items()
    ]  # fmt: skip
    turns = [one for place in range(_MOST_MISTAKES) for some in wrong for one in some[place:][:1]]
    return sorted(turns[:_MOST_MISTAKES], key=lambda one: (one["split"] == "test", one["row"]))


def _cells(item: Input, columns: Sequence[str]) -> dict[str, Any]:
    assert isinstance(item, Mapping)
    names = [name for name in dict.fromkeys((*columns, *item)) if name in item][:_MOST_CELLS]
    return {name: _short(item[name]) for name in names}


def _short(value: object) -> object:
    if value is None or isinstance(value, bool) or _number(value) is not None:
        return value
    return str(value)[:_MOST_CHARACTERS]


def _number(value: object) -> float | None:
    """Return a number that a float can be; None for anything else, also for a bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= sys.float_info.max else None


def _shapes(columns: Mapping[str, Sequence[float]], rows: Examples) -> list[dict[str, Any]]:
    """Return, for numeric columns, the training rows of each class in bins of equal width."""
    classes = [label for label, _ in Counter(rows.labels).most_common(_MOST_CLASSES)]
    shapes = []
    for name, cuts in list(columns.items())[:_MOST_COLUMNS]:
        values = [
            (number, label)
            for item, label in zip(rows.inputs, rows.labels, strict=True)
            if isinstance(item, Mapping) and (number := _number(item.get(name))) is not None
        ]
        low = min((value for value, _ in values), default=0)
        high = max((value for value, _ in values), default=0)
        if low >= high:
            continue
        bins = {label: [0] * _BINS for label in classes}
        for value, label in values:
            if label in bins:
                place = min(_BINS - 1, int(_BINS * (value - low) / (high - low)))
                bins[label][place] += 1
        shapes.append({"name": name, "low": low, "high": high, "bins": bins, "cuts": list(cuts)})
    return shapes
