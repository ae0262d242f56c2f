"""Inputs as numbers: how strings and table rows become the columns that baselines learn from.

A string gives one feature a character, as in the published comparison: the character's rank among
the characters of the training strings. A table row gives its numbers as they are and a flag for
each frequent value of a text column. Everything is derived from the training inputs alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from llm_pv.data.examples import Input, Scalar

Kind = Literal["symbol", "number", "flag"]
"""The kind of a feature: a character's rank, a quantity, or 0 and 1."""

MOST_CHARACTERS = 2_000
"""Characters of a string that become features; what comes after is left out."""

MOST_VALUES = 20
"""Values of a text column that get a flag of their own."""

_LARGEST = 1e38  # fits the 32-bit floats that trees compare
_UNKNOWN = -1  # no character, or one that no training string has


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of numbers."""

    matrix: npt.NDArray[np.floating[Any]]
    "The numbers, of shape (rows, features), none missing."
    kinds: tuple[Kind, ...]

    def __len__(self) -> int:
        return len(self.matrix)

    def take(self, rows: "np.ndarray[Any, Any]") -> "Features":
        """Return the rows at these positions."""
        return replace(self, matrix=self.matrix[rows])

    def followed_by(self, others: "Features") -> "Features":
        """Return these rows and, after them, others with the same features."""
        return replace(self, matrix=np.concatenate([self.matrix, others.matrix]))


def fit_encoder(inputs: Sequence[Input]) -> "Encoder":
    """Learn from training inputs how to turn inputs like them into features.

    Examples
    --------
    >>> fit_encoder(["01", "11"]).encode(["10", "1"]).matrix.tolist()
    [[1.0, 0.0], [1.0, -1.0]]
    >>> rows = [{"age": 30, "job": "cook"}, {"age": None, "job": "smith"}, {"age": 50, "job": None}]
    >>> fit_encoder(rows).encode(rows).matrix.tolist()
    [[30.0, 0.0, 1.0, 0.0, 0.0], [40.0, 1.0, 0.0, 1.0, 0.0], [50.0, 0.0, 0.0, 0.0, 1.0]]
    """
    if isinstance(inputs[0], str):
        return StringEncoder.fit(cast("Sequence[str]", inputs))
    return TableEncoder.fit(cast("Sequence[dict[str, Scalar]]", inputs))


@dataclass(frozen=True, eq=False)
class StringEncoder:
    """One feature a character, counted from the left; the length too where lengths differ."""

    alphabet: npt.NDArray[np.uint32]
    "The code points of the training strings, in order."
    width: int
    """The characters that become features: as many as the longest training string has, up to
    `MOST_CHARACTERS`."""
    has_length: bool
    "Whether training strings differ in length, which makes the length a feature."
    warnings: tuple[str, ...] = ()

    @classmethod
    def fit(cls, inputs: Sequence[str]) -> "StringEncoder":
        """Learn the alphabet and the width."""
        lengths = {len(text) for text in inputs}
        longest = max(lengths)
        width = min(longest, MOST_CHARACTERS)
        alphabet = np.unique(_code_points(inputs, width))
        note = (
            f"strings of up to {longest:,} characters: baselines see the first "
            f"{MOST_CHARACTERS:,} of each"
        )
        return cls(
            alphabet[alphabet > 0], width, len(lengths) > 1, (note,) if longest > width else ()
        )

    def encode(self, inputs: Sequence[Input]) -> Features:
        """Return ranks of characters, -1 where there is none or one not seen in training."""
        points = _code_points(cast("Sequence[str]", inputs), self.width)
        ranks = np.searchsorted(self.alphabet, points)
        known = np.append(self.alphabet, 0)[ranks] == points
        known &= points > 0
        matrix = np.where(known, ranks, _UNKNOWN).astype(np.float32)
        kinds: list[Kind] = ["symbol"] * self.width
        if self.has_length or not self.width:
            lengths = np.array([len(cast("str", text)) for text in inputs], dtype=np.float32)
            matrix = np.column_stack([matrix, lengths])
            kinds.append("number")
        return Features(np.ascontiguousarray(matrix), tuple(kinds))


def _code_points(inputs: Sequence[str], width: int) -> npt.NDArray[np.uint32]:
    """Return one row a string, filled up with 0."""
    if not width:
        return np.zeros((len(inputs), 0), dtype=np.uint32)
    return np.array(inputs, dtype=f"U{width}").view(np.uint32).reshape(len(inputs), width)


@dataclass(frozen=True)
class _Column:
    """How one column of a table becomes features."""

    name: str
    is_number: bool
    median: float
    has_missing: bool
    values: tuple[str, ...]


@dataclass(frozen=True)
class TableEncoder:
    """Numbers as they are, text as flags; a flag for missing where training rows miss a value."""

    columns: tuple[_Column, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def fit(cls, inputs: Sequence[dict[str, Scalar]]) -> "TableEncoder":
        """Learn each column's kind, its median or its frequent values."""
        columns = tuple(_column(name, [row.get(name) for row in inputs]) for name in inputs[0])
        return cls(columns)

    def encode(self, inputs: Sequence[Input]) -> Features:
        """Return the features of table rows."""
        parts: list[npt.NDArray[np.float64]] = []
        kinds: list[Kind] = []
        for column in self.columns:
            cells = [cast("dict[str, Scalar]", row).get(column.name) for row in inputs]
            missing = np.array([_is_missing(cell) for cell in cells])
            if column.is_number:
                numbers = _numbers(cells)
                parts.append(np.where(np.isnan(numbers), column.median, numbers))
                kinds.append("number")
            else:
                texts = np.array(
                    ["" if cell is None else str(cell) for cell in cells], dtype=object
                )
                parts += [(texts == value) & ~missing for value in column.values]
                kinds += ["flag"] * len(column.values)
            if column.has_missing:
                parts.append(missing)
                kinds.append("flag")
        if not parts:
            parts, kinds = [np.zeros(len(inputs))], ["number"]
        return Features(np.column_stack(parts).astype(np.float64), tuple(kinds))


Encoder: TypeAlias = StringEncoder | TableEncoder
"""Turns inputs into features, as learned from training inputs."""


def _column(name: str, cells: Sequence[Scalar]) -> _Column:
    present = [cell for cell in cells if not _is_missing(cell)]
    is_number = bool(present) and not any(isinstance(cell, str) for cell in present)
    counts = Counter() if is_number else Counter(map(str, present))
    return _Column(
        name=name,
        is_number=is_number,
        median=float(np.median(_numbers(present))) if is_number else 0.0,
        has_missing=len(present) < len(cells),
        values=tuple(sorted(counts, key=lambda text: (-counts[text], text))[:MOST_VALUES]),
    )


def _is_missing(cell: Scalar) -> bool:
    return cell is None or cell != cell  # noqa: PLR0124 - only a NaN differs from itself


def _numbers(cells: Sequence[Scalar]) -> npt.NDArray[np.float64]:
    """Return numbers within what a 32-bit float holds; NaN for what is none."""
    numbers = np.array([_number(cell) for cell in cells], dtype=np.float64)
    return np.asarray(np.clip(numbers, -_LARGEST, _LARGEST), dtype=np.float64)


def _number(cell: Scalar) -> float:
    if cell is None or isinstance(cell, str):
        return float("nan")
    try:
        return float(cell)
    except OverflowError:  # a whole number beyond every float
        return _LARGEST if cell > 0 else -_LARGEST
