"""Facts computed from the training rows, for a prompt."""

from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Any

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.llm.prompt.notation import Notation, as_json

_MOST_COLUMNS = 50
_MOST_VALUES = 12
_MOST_CHARACTERS = 40
_MOST_CLASSES = 20


def facts(
    train: Examples, classes: Classes, *, tool_calls: int = 0, noise: float = 0.0, about: str = ""
) -> str:
    """Return facts about training rows, one a line; other rows have no influence.

    Parameters
    ----------
    train
        All training rows, those that a prompt does not show included.
    tool_calls
        How often a local tool may be called; 0 without one.

    Examples
    --------
    >>> rows = Examples(["0110", "011"], ["0", "1"])
    >>> print(facts(rows, Classes.of([0, 1]), tool_calls=20))
    - 2 training examples in all: 1 with label 0, 1 with label 1.
    - A label is an int; True and False count as 1 and 0, 1.0 as 1, and its text as the int.
    - Inputs have 3 to 4 characters, of 2 different ones: 0 1
    - No label is known to be wrong: the rule explains every example.
    - The tool can be called 20 times.
    """
    lines = [
        _about_counts(train),
        _about_label_type(classes),
        *_about_inputs(train),
        about_noise(noise),
    ]
    if tool_calls:
        lines.append(f"The tool can be called {tool_calls} times.")
    if about.strip():
        lines.append(f"Of the data it is said: {' '.join(about.split())}")
    return "\n".join(f"- {line}" for line in lines)


def about_noise(noise: float) -> str:
    """Return a sentence on whether labels may be wrong."""
    if not noise:
        return "No label is known to be wrong: the rule explains every example."
    return (
        f"About {noise:.1%} of the labels may be wrong: the right rule misses that many examples, "
        "whatever is said of all examples below, and it is no use to explain single ones."
    )


def _about_counts(train: Examples) -> str:
    counts, notation = Counter(train.labels), Notation.of(train)
    listed = [
        f"{count:,} with label {notation.label(label)}" for label, count in sorted(counts.items())
    ]  # by label, so that the order of rows has no effect
    rest = len(listed) - _MOST_CLASSES
    text = ", ".join(listed[:_MOST_CLASSES]) + (f", and {rest:,} labels more" if rest > 0 else "")
    return f"{len(train):,} training examples in all: {text}."


def _about_label_type(classes: Classes) -> str:
    """Return which values a program may return; predictions are compared as texts."""
    if all(_is_int(text) for text in classes.texts):
        return (
            "A label is an int; True and False count as 1 and 0, 1.0 as 1, and its text as the int."
        )
    if all(isinstance(value, Real) for value in classes.values):
        return "A label is a number; numbers of numpy and its text, as it is written here, count."
    return "A label is a string, exactly as it is written here (case, zeros and blanks count)."


def _about_inputs(train: Examples) -> list[str]:
    if any(isinstance(item, dict) for item in train.inputs):
        return _about_columns([item for item in train.inputs if isinstance(item, dict)])
    texts = [str(item) for item in train.inputs]
    sizes = [len(text) for text in texts]
    least, most = min(sizes), max(sizes)
    length = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    characters = sorted(set().union(*texts))
    told = f"Inputs have {length} characters, of {len(characters):,} different ones"
    if len(characters) <= _MOST_CHARACTERS:
        told += ": " + " ".join(_shown(character) for character in characters)
    else:
        told += "."
    return [told]


def _about_columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [_about_column(name, [row.get(name) for row in rows]) for name in names[:_MOST_COLUMNS]]
    rest = len(names) - _MOST_COLUMNS
    return lines + ([f"{rest:,} columns more, not listed here."] if rest > 0 else [])


def _about_column(name: str, values: Sequence[Any]) -> str:
    known = [value for value in values if value is not None]
    missing = len(values) - len(known)
    kinds = {type(value).__name__ for value in known}
    if not known:
        told = "always missing"
    elif kinds <= {"int", "float"}:
        kind = "int" if kinds == {"int"} else "float"
        told = f"{kind}, {_number(min(known))} to {_number(max(known))}"
    else:
        told = f"{'bool' if kinds == {'bool'} else 'str'}, {_few(known)}"
    if missing and known:
        told += f", missing (None) in {missing:,}"
    return f"Column {as_json(name)}: {told}."


def _few(values: Sequence[Any]) -> str:
    different = sorted(set(map(str, values)))
    if len(different) > _MOST_VALUES or max(map(len, different)) > _MOST_CHARACTERS:
        return f"{len(different):,} different values"
    return "one of " + ", ".join(as_json(value) for value in different)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shown(text: str) -> str:
    is_plain = bool(text) and text.isprintable() and text.strip() == text
    return text if is_plain else as_json(text)


def _is_int(text: str) -> bool:
    return text.lstrip("-").isdecimal() and text.isascii() and str(int(text[:300])) == text[:300]
