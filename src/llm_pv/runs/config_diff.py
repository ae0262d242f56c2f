"""Describe the differences of two configurations, each in at most one line."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_pv.errors import ArgumentText

_LONGEST = 60
_BEFORE = 40
_LATER = ("about", "odd_cells")
_WALL_LIMIT = re.compile(r"wall_seconds=[\w.]+, ")
_PROPOSER_OPTION = re.compile(
    r"""(?P<name>\w+)(?:=|": )(?P<value>"(?:[^"\\]|\\.)*+"|[^\s,;(){}]++(?=[,;)}]|$))"""
    r"|within (?P<budget_seconds>[\d.e+-]++) s\b|, noise (?P<noise>[\d.e+-]++)"
)
_OPTIONS = {
    "candidates": "budget_candidates", "megabytes": "budget_mb", "refinements": "refine",
    "prompt": "prompt_variant", "samples": "samples_per_call", "programs": "programs_per_reply",
    "answer": "answer_format", "cpu_seconds": "tool_cpu_seconds",
    "output_characters": "tool_output",
}  # fmt: skip
"""The options behind the names in a proposer's text, where they differ."""
_TOOL_FUNCTIONS = re.compile(r"; tool_functions=[^;]*")


def later_names(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """Return those entries that runs of earlier versions did not record, if one is missing there.

    They decide nothing by themselves: the proposer's text holds what ``about`` says, and the odd
    cells follow from the rows and how they are read.

    Examples
    --------
    >>> later_names({"seed": 4}, {"seed": 5, "odd_cells": {"age": ["12%"]}})
    {'odd_cells': {'age': ['12%']}}
    """
    return {name: here[name] for name in _LATER if name in here and name not in there}


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Yield each field that differs, also in nested mappings, with both values.

    Examples
    --------
    >>> list(differences({"request": {"trials": 1, "seed": 4}}, {"request": {"trials": 2}}))
    ['seed is 4 there and null here', 'trials is 1 there and 2 here']
    >>> text = "a long text that says many things; tool_calls="
    >>> list(differences({"proposer": text + "30; seconds=9"}, {"proposer": text + "5; seconds=9"}))
    ['tool_calls is 30 there and 5 here']
    >>> text = "a long text that says so many other things: "
    >>> list(differences({"proposer": text + "this"}, {"proposer": text + "that"}))
    ['proposer is "...this" there and "...that" here']
    """
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if old == new or (name == "proposer" and _same_proposer(old, new)):
            continue
        if name == "proposer" and (options := list(_proposer_options(old, new))):
            yield from options
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new)
        else:
            start = _start(old, new)
            what = f"is {_short(old, start)} there and {_short(new, start)} here"
            yield ArgumentText(name, what)


def _proposer_options(old: object, new: object) -> Iterator[str]:
    """Yield the options that differ between two texts, if nothing else does."""
    texts = str(old), str(new)
    if len({_PROPOSER_OPTION.sub(_without_value, text) for text in texts}) > 1:
        return
    for one, other in zip(*map(_PROPOSER_OPTION.finditer, texts), strict=True):
        name = one["name"] or one.lastgroup or ""
        before, after = (each["value"] or each[each.lastgroup or 0] for each in (one, other))
        if before != after:
            yield ArgumentText(_OPTIONS.get(name, name), f"is {before} there and {after} here")


def _without_value(option: re.Match[str]) -> str:
    return f"{option['name'] or option.lastgroup}="


def _same_proposer(old: object, new: object) -> bool:
    """Whether two texts differ only in what earlier versions did not record.

    That is the functions of the local tool, and the wall-clock limit of its calls, which had
    another default.
    """
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    if "tool_functions=" not in old:
        new = _TOOL_FUNCTIONS.sub("", new)
    return _WALL_LIMIT.sub("", old) == _WALL_LIMIT.sub("", new)


def _start(old: object, new: object) -> int:
    """Return the position at which to start two excerpts so that they show the difference."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return 0
    pairs = zip(old, new, strict=False)
    same = next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    if same < _BEFORE:
        return 0
    before = old[same - _BEFORE : same]
    word = max(before.rfind(mark) for mark in " ,{(")
    return same - _BEFORE + word + 1


def _short(value: object, start: int) -> str:
    if isinstance(value, str) and start:
        value = "..." + value[start:]
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
