"""The ranges of training inputs, and the rows outside them."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_pv.data.examples import Input

_MOST_VALUES = 200
"""The most different words of a column with a range."""


def input_ranges(inputs: Sequence[Input]) -> dict[str, Any]:
    """Return the range of each column of inputs, as plain JSON values.

    Numbers have their least and greatest value, words are listed where they are few. Strings that
    are the whole input have their lengths, under the name ``""``.

    Examples
    --------
    >>> input_ranges([{"age": 41, "zone": "north"}, {"age": 18, "zone": None}])
    {'age': {'low': 18, 'high': 41}, 'zone': {'values': ['north']}}
    """
    ranges: dict[str, Any] = {}
    for name, values in _columns(inputs).items():
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        words = {value for value in values if isinstance(value, str)}
        if numbers and not words:
            ranges[name] = {"low": min(numbers), "high": max(numbers)}
        elif words and not numbers and len(words) <= _MOST_VALUES:
            ranges[name] = {"values": sorted(words)}
    return ranges


def drift(ranges: Mapping[str, Any], inputs: Sequence[Input]) -> list[str]:
    """Return, for each column with such rows, how many are outside its range in training.

    Examples
    --------
    >>> drift({"age": {"low": 18, "high": 41}}, [{"age": 17}, {"age": 30}])
    ["column 'age': 1 of 2 rows outside 18 to 41"]
    """
    notes = []
    columns = _columns(inputs)
    for name, known in ranges.items():
        values = columns.get(name, [])
        what = f"column {name!r}" if name else "length of the input"
        if "low" in known:
            low, high = known["low"], known["high"]
            out = sum(
                not low <= value <= high
                for value in values
                if isinstance(value, int | float) and not isinstance(value, bool)
            )
            if out:
                notes.append(f"{what}: {out:,} of {len(values):,} rows outside {low:,} to {high:,}")
            continue
        seen = set(known["values"])
        new = [value for value in values if isinstance(value, str) and value not in seen]
        if new:
            listed = ", ".join(map(repr, list(dict.fromkeys(new))[:5]))
            notes.append(f"{what}: {len(new):,} of {len(values):,} rows with new values ({listed})")
    return notes


def _columns(inputs: Sequence[Input]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {}
    for item in inputs:
        cells = {"": len(item)} if isinstance(item, str) else item
        for name, value in cells.items():
            columns.setdefault(name, []).append(value)
    return columns
