"""Lists of unequal length, one a row, in one flat array, and what is folded over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Layout:
    """How many items each row has."""

    lengths: NDArray[np.int64]  # of shape (rows,)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each row's items begin in the flat array."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @cached_property
    def empty(self) -> NDArray[np.bool_]:
        """Which rows have no item."""
        return np.asarray(self.lengths == 0)

    @cached_property
    def row_starts(self) -> NDArray[np.int64]:
        """For each item, where its row begins."""
        return np.repeat(self.starts, self.lengths)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """For each item, its position in its row."""
        return np.arange(int(self.lengths.sum())) - self.row_starts

    def fold(self, function: np.ufunc, flat: NDArray[Any], default: float) -> NDArray[Any]:
        """Reduce each row's items, along the last axis; rows without items have the default."""
        if function is np.add and flat.dtype == np.float64 and (flat != np.floor(flat)).any():
            # Sums of fractions depend on how they are added: as the program does it.
            ends = list(
                zip(self.starts.tolist(), (self.starts + self.lengths).tolist(), strict=True)
            )
            rows = flat.reshape(-1, flat.shape[-1]).tolist()
            sums = [[sum(row[start:end]) for start, end in ends] for row in rows]
            return np.array(sums, dtype=np.float64).reshape(*flat.shape[:-1], len(ends))
        dtype = np.result_type(flat.dtype, type(default))
        folded = np.full((*flat.shape[:-1], len(self.lengths)), default, dtype=dtype)
        if not self.empty.all():
            # Rows without items take none, so the next row that has any begins where one ends.
            folded[..., ~self.empty] = function.reduceat(flat, self.starts[~self.empty], axis=-1)
        return folded

    def counts(self, truths: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return how many items of each row hold."""
        return self.fold(np.add, truths.astype(np.int32), 0).astype(np.float64)

    def longest_run(self, truths: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the most items of each row in succession that hold."""
        index = np.arange(truths.shape[-1])
        last = np.maximum.accumulate(np.where(truths, -1, index), axis=-1)
        runs = index - np.maximum(last, self.row_starts - 1)
        return self.fold(np.maximum, np.where(truths, runs, 0), 0).astype(np.float64)

    def first_place(self, truths: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the position of the first item of each row that holds, -1 if none does."""
        far = 1 << 40
        first = self.fold(np.minimum, np.where(truths, self.places, far), far)
        return np.where(first == far, -1, first).astype(np.float64)

    def last_place(self, truths: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the position of the last item of each row that holds, -1 if none does."""
        return self.fold(np.maximum, np.where(truths, self.places, -1), -1).astype(np.float64)

    def shifted(self, by: int) -> tuple["Layout", NDArray[np.int64]]:
        """Return the layout without each row's last ``by`` items, and which items are left."""
        lengths = np.maximum(self.lengths - by, 0)
        left = self.places < np.repeat(lengths, self.lengths)
        return Layout(lengths), np.flatnonzero(left)

    @cached_property
    def mirrored(self) -> NDArray[np.int64]:
        """For each item, the item as far from its row's end as this from its beginning."""
        lengths = np.repeat(self.lengths, self.lengths)
        return self.row_starts + lengths - 1 - self.places


@dataclass(frozen=True, eq=False)
class Ragged:
    """A list for every row."""

    flat: NDArray[Any]  # all items: float64, bool, or positions in ``items``
    layout: Layout  # how many each row has
    # for texts, the distinct ones, sorted, so that positions compare as the texts do
    items: tuple[str, ...] | None = None

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]]) -> "Ragged":
        """Make it of Python lists of texts or numbers."""
        layout = Layout(np.array([len(row) for row in rows], dtype=np.int64))
        flat = [item for row in rows for item in row]
        if any(isinstance(item, str) for item in flat[:1]):
            items = tuple(sorted(set(flat)))
            place = {item: index for index, item in enumerate(items)}
            return cls(np.array([place[item] for item in flat], dtype=np.int64), layout, items)
        return cls(np.array(flat, dtype=np.float64), layout)

    @cached_property
    def rows(self) -> list[list[Any]]:
        """The lists as Python lists; whole numbers as int."""
        flat: list[Any] = self.flat.tolist()
        if self.items is not None:
            flat = [self.items[index] for index in flat]
        elif self.flat.dtype == np.float64:
            flat = [int(item) if item.is_integer() else item for item in flat]
        starts, lengths = self.layout.starts.tolist(), self.layout.lengths.tolist()
        return [flat[s : s + n] for s, n in zip(starts, lengths, strict=True)]

    def __getitem__(self, rows: slice) -> "Ragged":
        """Return the lists of the first rows."""
        layout = Layout(self.layout.lengths[rows])
        return Ragged(self.flat[: int(layout.lengths.sum())], layout, self.items)

    def key(self) -> bytes:
        """Return bytes that are equal for equal lists."""
        return self.flat.tobytes() + self.layout.lengths.tobytes()
