"""Leaves: what one row offers before any operator: the text itself, or the columns of a table."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from llm_pv.search.bank import LARGEST_EXACT, Bank, as_float
from llm_pv.search.emit import literal
from llm_pv.search.mining import grid
from llm_pv.search.operators.graphs import TOKENS, are_edges
from llm_pv.search.prices import choice_bits
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Column, Expression, Frame, Local, Type

COLUMN = 0.5
MOST_CATEGORIES = 40
MOST_CODES = 12
ALIKE, MOST_ALIKE = 0.3, 6
"""How far apart the ends of columns in one list may be, by their ranges, and how many they are."""
MOST_SYMBOLS = 6
"""Words of a sequence, such as of moves; what has more is made of sentences."""
LIST_OF_NUMBERS = re.compile(r"\s*[\[({]?\s*-?[\d.]+(?:\s*[-,;|:/\s]\s*-?[\d.]+)+\s*[\])}]?\s*")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def read_leaves(bank: Bank) -> tuple[list[Expression], list[Expression]]:
    """Return the leaves of all types, and among them the raw columns of a table."""
    rows = bank.problem.frame.rows
    if isinstance(rows[0], str):
        texts = [str(row) for row in rows]
        kind = _kind_of_texts(texts[: bank.problem.size])
        recipe: Callable[[Frame], Column] = lambda frame: list(frame.rows)  # noqa: E731
        return [Expression("x", Type.TEXT, 0.0, texts, recipe=recipe, kind=kind)], []
    names = list(dict.fromkeys(name for row in rows[: bank.problem.size] for name in row))
    leaves: list[Expression] = []
    columns: list[Expression] = []
    bits = COLUMN + grid(choice_bits(len(names)) / 2)
    for name in names:
        made = _column(name, bits, bank)
        leaves += made
        columns += [one for one in made if one.type is not Type.TEXT]
    return [*leaves, *_groups(names, bank), *_missing(bank)], columns


def _missing(bank: Bank) -> list[Expression]:
    """Return whether any cell of a row is missing, where several columns have missing cells."""

    def recipe(frame: Frame) -> Column:
        return np.array([isinstance(row, dict) and None in row.values() for row in frame.rows])

    rows = [row for row in bank.problem.frame.rows[: bank.problem.size] if isinstance(row, dict)]
    if len({name for row in rows for name, value in row.items() if value is None}) < 2:
        return []
    values = recipe(bank.problem.frame)
    return [Expression("None in x.values()", Type.TRUTH, 2.0, values, recipe=recipe)]


def _groups(names: Sequence[str], bank: Bank) -> list[Expression]:
    """Return numbered columns (``t1``, ``t2``), truth values, and numbers of one range as lists."""
    stems: dict[str, list[str]] = {}
    for name in names:
        stem = re.sub(r"[\W_]*\d+$", "", name)
        if stem != name:
            stems.setdefault(stem or "values", []).append(name)
    size = bank.problem.size
    cells = {name: _cells(name, bank.problem.frame)[:size] for name in names}
    truths = [name for name in names if {type(cell) for cell in cells[name]} == {bool}]
    numbers = [name for name in names if _are_numbers(cells[name])]
    grouped = [*stems.items(), ("flags", truths)]
    found = [
        _listed(stem, members, 2.0, bank)
        for stem, members in grouped
        if len(members) >= 3 and {*members} <= {*numbers, *truths}
    ]
    listed = [set(members) for _, members in grouped]
    return found + [
        replace(_listed("values", members, 2.0 + len(members) / 2, bank), kind="columns")
        for members in _alike({name: cells[name] for name in numbers})
        if 3 <= len(members) <= MOST_ALIKE and set(members) not in listed
    ]


def _are_numbers(cells: Sequence[Any]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(
        isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) < LARGEST_EXACT
        for cell in present
    )


def _alike(columns: dict[str, Sequence[Any]]) -> list[list[str]]:
    """Return groups of columns of about the same range, such as the marks in several subjects."""
    groups: list[tuple[Column, bool, list[str]]] = []
    for name, cells in columns.items():
        present = [float(cell) for cell in cells if cell is not None]
        ends = np.array([min(present), max(present)])
        whole = all(value.is_integer() for value in present)
        for others, whole_too, members in groups:
            apart = ALIKE * max(np.ptp(ends), np.ptp(others))
            if whole == whole_too and (np.abs(ends - others) <= apart).all():
                members.append(name)
                break
        else:
            groups.append((ends, whole, [name]))
    return [members for _, _, members in groups]


def _listed(stem: str, names: Sequence[str], bits: float, bank: Bank) -> Expression:
    """Return several columns as one list, without what is missing."""

    def recipe(frame: Frame) -> Column:
        cells = zip(*(_cells(name, frame) for name in names), strict=True)
        return Ragged.of([[v for v in row if isinstance(v, int | float)] for row in cells])

    values = recipe(bank.problem.frame)
    items = ", ".join(f"x[{literal(name)}]" for name in names)
    is_full = bool((values.layout.lengths[: bank.problem.size] == len(names)).all())
    code = f"[{items}]" if is_full else f"[v for v in ({items}) if v is not None]"
    local = bank.names.fresh(stem)
    needs = (Local(f"{local} = {code}"),)
    return Expression(local, Type.NUMBERS, bits, values, needs, recipe)


def _kind_of_texts(texts: Sequence[str]) -> str:
    """Tell what rows write: a list of numbers, a graph, a date, or sentences."""
    if any(are_edges(token)(texts) for token in TOKENS):
        return "graph"
    if all(map(ISO_DATE.fullmatch, texts)):
        return "day"
    if sum(len(text.split()) >= 4 for text in texts) > len(texts) / 2:
        words = {word for text in texts for word in text.split() if word.isalpha()}
        if sum(len(word) > 2 for word in words) > MOST_SYMBOLS:
            return "prose"
    return "written" if all(map(LIST_OF_NUMBERS.fullmatch, texts)) else ""


def _column(name: str, bits: float, bank: Bank) -> list[Expression]:
    """Return one column as what its values are."""
    size = bank.problem.size
    cells = _cells(name, bank.problem.frame)
    train = cells[:size]
    code = f"x[{literal(name)}]"
    present = [value for value in train if value is not None]
    if any(name not in row for row in bank.problem.frame.rows[:size]):
        code = f"x.get({literal(name)})"
    if not present or (len(set(map(str, present))) < 2 and len(present) == size):
        return []
    missing = len(present) < size
    found = []

    def asked(code: str, constant: bool | None, bits: float) -> Expression:
        def recipe(frame: Frame) -> Column:
            return np.array([value is constant for value in _cells(name, frame)])

        return Expression(code, Type.TRUTH, bits, recipe(bank.problem.frame), recipe=recipe)

    if missing:
        found.append(asked(f"{code} is None", None, bits + 1))
    kinds = {bool if isinstance(v, bool) else type(v) for v in present}
    if kinds == {bool}:
        found.append(asked(f"{code} is True" if missing else code, True, bits))
    elif kinds <= {int, float}:
        if not (_is_identifier(name, present, size)):
            found.append(_number(name, code, bits, missing, cells, bank))
        if _are_codes(present):
            found.append(_category(name, code, bits, cells))
    else:
        found += _texts(name, code, bits, cells, size)
    return found


def _is_identifier(name: str, values: Sequence[Any], size: int) -> bool:
    """Tell whether a column of numbers counts or names its rows: all different, and called so."""
    last = name.lower().replace("-", "_").split("_")[-1]
    named = last in ("id", "no", "number", "index", "nr", "ref", "key") or name.lower() == "id"
    whole = all(isinstance(value, int) or value.is_integer() for value in values)
    return named and whole and len(set(values)) > 0.95 * size > 20


def _are_codes(values: Sequence[Any]) -> bool:
    """Tell whether whole numbers name things, such as ports: a few, and far from counting."""
    distinct = {as_float(value) for value in values}
    apart = max(distinct) - min(distinct)
    whole = all(value.is_integer() for value in distinct)
    return whole and 2 < len(distinct) <= MOST_CODES < len(values) and apart > 4 * len(distinct)


def _category(name: str, code: str, bits: float, cells: Sequence[Any]) -> Expression:
    recipe = partial(_cells, name)
    return Expression(code, Type.CATEGORY, bits, list(cells), recipe=recipe)


def _number(  # noqa: PLR0917
    name: str, code: str, bits: float, missing: bool, cells: Sequence[Any], bank: Bank
) -> Expression:
    large = any(v is not None and abs(v) >= LARGEST_EXACT for v in cells)
    number = f"float({code})" if large else code
    needs: tuple[Local, ...] = ()
    if missing:
        local = bank.names.fresh(name)
        needs = (Local(f"{local} = math.nan if {code} is None else {number}"),)
        number = local

    values = _floats(cells)
    scale = math.floor(math.log10(np.clip(np.nanmedian(np.abs(values)), 1e-9, 1e300)))

    def recipe(frame: Frame) -> Column:
        return _floats(_cells(name, frame))

    return Expression(number, Type.NUMBER, bits, values, needs, recipe, f"column {scale}")


def _floats(cells: Sequence[Any]) -> Column:
    return np.array([math.nan if v is None or isinstance(v, str) else as_float(v) for v in cells])


def _texts(name: str, code: str, bits: float, cells: Sequence[Any], size: int) -> list[Expression]:
    train = cells[:size]
    distinct = set(train)
    kept = all(isinstance(value, str) for value in distinct if value is not None)
    are_words = all(str(value).isalpha() for value in distinct)
    few = len(distinct) <= max(12, min(MOST_CATEGORIES, size // (5 if are_words else 8)))
    found = []
    if few or not kept:
        found.append(_category(name, code, bits, cells))
    if kept and (not few or (len(distinct) > 6 and any(not str(v).isalpha() for v in distinct))):
        # A missing date is before all others, so that the others can be read as dates.
        dates = all(value is None or ISO_DATE.match(value) for value in distinct)
        default = "0001-01-01" if dates else ""
        text = f"{code} or {literal(default)}" if None in train else code

        def recipe(frame: Frame) -> Column:
            return [value if isinstance(value, str) else default for value in _cells(name, frame)]

        texts = [value if isinstance(value, str) else default for value in cells]
        # The characters of what is compared as a whole rarely matter.
        bits += 3.0 if few else 0.5
        kind = _kind_of_texts(texts[:size])
        found.append(Expression(text, Type.TEXT, bits, texts, recipe=recipe, kind=kind))
    return found


def _cells(name: str, frame: Frame) -> list[Any]:
    return [row.get(name) if isinstance(row, dict) else None for row in frame.rows]
