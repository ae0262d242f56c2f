"""Walks over the lists of all rows, and what an item operator answers at each turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.bank import called, listed
from llm_pv.search.operators import Operator
from llm_pv.search.ragged import Layout, Ragged
from llm_pv.search.types import Type

Flat: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Walk:
    """A way to walk over a list: its clause and its bits."""

    over: str
    clause: str
    bits: float


WALKS = (
    Walk("each", "for {a} in {s}", 0.5),
    Walk("pairs", "for a, b in pairwise({s})", 1.5),
    Walk("indexed", "for i, {a} in enumerate({s})", 2.5),
    Walk("apart", "for a, b in zip({s}, {s}[2:])", 4.0),
    Walk("triples", "for a, b, d in zip({s}, {s}[1:], {s}[2:])", 3.0),
    Walk("mirrored", "for a, b in zip({s}[: len({s}) // 2], {s}[::-1])", 4.5),
    Walk("combined", "for a, b in combinations({s}, 2)", 3.0),
)


@dataclass(eq=False)
class View:
    """A walk over the lists of all rows."""

    layout: Layout  # how many turns each row takes
    variables: tuple[Flat, ...]  # each variable's value at each turn
    items: tuple[str, ...] | None  # for texts, what the values are positions in
    source: Ragged


def view_of(ragged: Ragged, over: str) -> View:
    """Walk over lists in one of the ways of `WALKS`."""
    layout, flat = ragged.layout, ragged.flat
    if over == "indexed":
        return View(layout, (layout.places.astype(np.float64), flat), ragged.items, ragged)
    if over == "mirrored":
        half = layout.lengths // 2
        here = np.flatnonzero(layout.places < np.repeat(half, layout.lengths))
        return View(Layout(half), (flat[here], flat[layout.mirrored[here]]), ragged.items, ragged)
    if over == "combined":
        shapes = {n: np.triu_indices(n, 1) for n in set(layout.lengths.tolist())}
        rows = list(zip(layout.starts.tolist(), layout.lengths.tolist(), strict=True))
        first, second = (np.concatenate([s + shapes[n][side] for s, n in rows]) for side in (0, 1))
        counts = layout.lengths * (layout.lengths - 1) // 2
        return View(Layout(counts), (flat[first], flat[second]), ragged.items, ragged)
    by = {"each": 0, "pairs": 1, "apart": 2, "triples": 2}[over]
    short, here = layout.shifted(by)
    places = {"each": (0,), "pairs": (0, 1), "apart": (0, 2), "triples": (0, 1, 2)}[over]
    return View(short, tuple(flat[here + place] for place in places), ragged.items, ragged)


def applied(operator: Operator, view: View, arguments: Sequence[Flat], constant: Any) -> Flat:
    """Return an item operator's value at each turn, 0 where it fails outside the sample."""
    extra = [] if constant is None else [constant]
    if operator.column is not None:
        with np.errstate(all="ignore"):
            return np.asarray(operator.column(*arguments, *extra))
    if len(arguments) == 1 and view.items is not None and operator.arguments[0] is Type.TEXT:
        return np.asarray(called(operator, [view.items], constant, 0)[arguments[0]])
    columns = [
        [view.items[place] for place in flat.tolist()]
        if kind is Type.TEXT and view.items is not None
        else listed(flat)
        for flat, kind in zip(arguments, operator.arguments, strict=True)
    ]
    rows = list(zip(*columns, strict=True))
    known = {row: place for place, row in enumerate(dict.fromkeys(rows))}
    answers = called(operator, list(zip(*known, strict=True)), constant, 0)
    return np.asarray(answers[[known[row] for row in rows]])
