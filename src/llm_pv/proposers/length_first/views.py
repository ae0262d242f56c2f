"""Ways to walk over a sequence: its items one by one, with their index, in neighbouring pairs, ...

A view lays the items of all rows end to end, so that a question about an item is answered for
every item of every row by one numpy operation.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import Definition, imports
from llm_pv.proposers.length_first.sequences import Part

LARGEST_ITEM = 2**31
"""Integers beyond this are not walked over: the product of two would not be exact."""
LONGEST_COMBINED = 40
"""From this many items in a row on, not every item is compared with every later one."""


@dataclass(frozen=True, eq=False)
class View:
    """A loop over all rows at once.

    Parameters
    ----------
    loop
        Its source, such as ``for a, b in pairwise(numbers)``.
    bits
        The price of the loop, the sequence included.
    names
        Its variables.
    kind
        ``"int"``, ``"char"`` or ``"word"``: what the variables are; an index is always an integer.
    items
        For each variable its value at every turn: integers, or strings.
    counts
        How many turns each row takes.
    needs
        What the loop relies on.
    """

    loop: str
    bits: float
    names: tuple[str, ...]
    kind: str
    items: tuple[NDArray[Any], ...]
    counts: NDArray[np.int64]
    needs: tuple[Definition, ...]

    @property
    def size(self) -> int:
        """How many turns all rows take together."""
        return len(self.items[0])

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """Which rows take any turn."""
        return self.counts > 0

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where the turns of each row that takes any begin."""
        ends = np.cumsum(self.counts)
        return np.asarray((ends - self.counts)[self.filled])

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The number of each turn within its row, from 0."""
        ends = np.cumsum(self.counts)
        return np.arange(self.size) - np.repeat(ends - self.counts, self.counts)

    def totals(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sum over each row's turns; ``values`` has shape (questions, turns)."""
        return self.folded(np.add, values, 0.0)

    def folded(self, function: np.ufunc, values: NDArray[Any], empty: float) -> NDArray[np.float64]:
        """Fold each row's turns with a function; a row without any gets ``empty``."""
        result = np.full((len(values), len(self.counts)), empty)
        if len(self.starts):
            kind = np.int64 if values.dtype != np.float64 else np.float64
            result[:, self.filled] = function.reduceat(values, self.starts, axis=1, dtype=kind)
        return result


@dataclass(frozen=True)
class Walk:
    """How to walk: a loop over ``{s}``, its price, and which items its variables stand for.

    Parameters
    ----------
    loop
        Its source.
    bits
        Its price.
    offsets
        For each variable, how many items after the current one it lies.
    imports
        The import lines it needs.
    """

    loop: str
    bits: float
    offsets: tuple[int, ...]
    imports: tuple[str, ...] = ()


WALKS = (
    Walk("for a in {s}", weights.EACH, (0,)),
    Walk("for a, b in pairwise({s})", weights.NEIGHBOURS, (0, 1), weights.PAIRWISE),
    Walk("for a, b in zip({s}, {s}[2:])", weights.APART, (0, 2)),
    Walk("for a, b, c in zip({s}, {s}[1:], {s}[2:])", weights.TRIPLES, (0, 1, 2)),
)


def views_of(part: Part) -> Iterator[View]:
    """Yield the views of a part, the plain loop first."""
    laid_out = _Layout.of(part)
    if laid_out is None:
        return
    for walk in WALKS:
        yield from laid_out.walked(walk)
    yield from laid_out.special()


@dataclass(frozen=True, eq=False)
class _Layout:
    """The items of all rows, end to end."""

    part: Part
    kind: str
    items: NDArray[Any]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, part: Part) -> "_Layout | None":
        counts = np.array([len(row) for row in part.rows], dtype=np.int64)
        if not counts.sum():
            return None
        if part.is_text:
            text = "".join(str(row) for row in part.rows)
            return cls(part, "char", np.array(list(text), dtype=np.str_), counts)
        flat = [item for row in part.rows for item in row]
        if isinstance(flat[0], str):
            return cls(part, "word", np.array(flat, dtype=object), counts)
        try:
            items = np.array(flat, dtype=np.int64)
        except OverflowError:
            return None
        if items.max() >= LARGEST_ITEM or items.min() <= -LARGEST_ITEM:
            return None
        return cls(part, "int", items, counts)

    @property
    def starts(self) -> NDArray[np.int64]:
        return np.cumsum(self.counts) - self.counts

    @property
    def places(self) -> NDArray[np.int64]:
        return np.arange(len(self.items)) - np.repeat(self.starts, self.counts)

    def walked(self, walk: Walk) -> Iterator[View]:
        """Yield the view of a walk whose variables lie a fixed number of items apart."""
        furthest = max(walk.offsets)
        lengths = np.repeat(self.counts, self.counts)
        here = np.flatnonzero(self.places < lengths - furthest)
        counts = np.maximum(self.counts - furthest, 0)
        names = tuple("abc"[: len(walk.offsets)])
        columns = tuple(self.items[here + offset] for offset in walk.offsets)
        yield from self.view(walk, names, columns, counts)

    def special(self) -> Iterator[View]:
        """Yield the views that pair items in other ways, or pair them with their index."""
        indexed = Walk("for i, a in enumerate({s})", weights.INDEXED, (0,))
        yield from self.view(indexed, ("i", "a"), (self.places, self.items), self.counts)
        ends = np.repeat(self.starts + self.counts - 1, self.counts)
        mirror = ends - self.places
        first = np.flatnonzero(self.places < np.repeat(self.counts // 2, self.counts))
        walk = Walk("for a, b in zip({s}[: len({s}) // 2], {s}[::-1])", weights.MIRRORED, (0,))
        columns = (self.items[first], self.items[mirror[first]])
        yield from self.view(walk, ("a", "b"), columns, self.counts // 2)
        half = np.repeat(self.counts // 2, self.counts)
        first = np.flatnonzero(self.places < np.repeat(self.counts, self.counts) - half)
        walk = Walk("for a, b in zip({s}, {s}[len({s}) // 2 :])", weights.HALVED, (0,))
        columns = (self.items[first], self.items[first + half[first]])
        yield from self.view(walk, ("a", "b"), columns, self.counts - self.counts // 2)
        if self.counts.max() <= LONGEST_COMBINED:
            yield from self._combinations()

    def _combinations(self) -> Iterator[View]:
        pairs = {int(n): np.triu_indices(int(n), 1) for n in np.unique(self.counts)}
        rows = list(zip(self.starts.tolist(), self.counts.tolist(), strict=True))
        first = np.concatenate([start + pairs[n][0] for start, n in rows])
        second = np.concatenate([start + pairs[n][1] for start, n in rows])
        walk = Walk(
            "for a, b in combinations({s}, 2)",
            weights.ALL_PAIRS,
            (0,),
            ("from itertools import combinations",),
        )
        counts = self.counts * (self.counts - 1) // 2
        yield from self.view(walk, ("a", "b"), (self.items[first], self.items[second]), counts)

    def view(
        self,
        walk: Walk,
        names: tuple[str, ...],
        items: tuple[NDArray[Any], ...],
        counts: NDArray[np.int64],
    ) -> Iterator[View]:
        """Yield the view, unless no row takes a turn."""
        if len(items[0]):
            loop = walk.loop.format(s=self.part.code)
            needs = (*self.part.needs, *imports(walk.imports))
            bits = self.part.bits + walk.bits
            yield View(loop, bits, names, self.kind, items, counts, needs)


def vectorised(function: Callable[..., Any], *columns: Sequence[Any]) -> NDArray[Any]:
    """Apply a function to every turn, each distinct combination of values once."""
    known: dict[Any, Any] = {}
    answers = []
    for values in zip(*columns, strict=True):
        if values not in known:
            known[values] = function(*values)
        answers.append(known[values])
    return np.array(answers)
