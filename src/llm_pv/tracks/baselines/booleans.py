"""Features as bits, packed into whole numbers: one bit a row, so that one operation does all rows.

A feature of two values is one bit. A character is one bit for each symbol of its position, a
quantity one bit for each of a few thresholds. Everything is derived from training rows alone; a
feature that is constant on them gives no bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_pv.tracks.baselines.features import Features, Kind

MOST_SYMBOLS = 16
"""Symbols of one position that get a bit: the most frequent ones."""

THRESHOLDS = 7
"""Thresholds of a quantity: the octiles of its training values, or fewer."""


@dataclass(frozen=True)
class Bit:
    """One bit of a row: whether a feature is above a threshold, or equal to a symbol."""

    feature: int
    "The position of the feature."
    value: float
    "The threshold, or the symbol."
    is_threshold: bool
    "Which of the two."


def fit_bits(features: Features) -> list[Bit]:
    """Choose the bits that tell training rows apart.

    Examples
    --------
    >>> rows = Features(np.array([[0.0, 5.0], [1.0, 5.0]]), ("symbol", "number"))
    >>> fit_bits(rows)
    [Bit(feature=0, value=0.5, is_threshold=True)]
    """
    return [
        bit
        for position, kind in enumerate(features.kinds)
        for bit in _column_bits(position, features.matrix[:, position], kind)
    ]


def pack(features: Features, bits: list[Bit]) -> list[int]:
    """Return one whole number for each bit of a row; its bit i, from the lowest, is row i's.

    Examples
    --------
    >>> pack(Features(np.array([[0.0], [2.0], [2.0]]), ("symbol",)), [Bit(0, 2.0, False)])
    [6]
    """
    columns = features.matrix.T
    return [
        pack_bits(
            columns[bit.feature] > bit.value
            if bit.is_threshold
            else columns[bit.feature] == bit.value
        )
        for bit in bits
    ]


def pack_bits(bits: npt.NDArray[np.bool_]) -> int:
    """Return some rows' bits as one whole number, the first row's the lowest."""
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def unpack(packed: int, rows: int) -> npt.NDArray[np.bool_]:
    """Return the bits of a whole number, one a row.

    Examples
    --------
    >>> unpack(6, 3).tolist()
    [False, True, True]
    """
    data = np.frombuffer(packed.to_bytes((rows + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(data, count=rows, bitorder="little").astype(bool)


def _column_bits(position: int, column: npt.NDArray[np.floating[Any]], kind: Kind) -> list[Bit]:
    values, counts = np.unique(column, return_counts=True)
    if len(values) == 1:
        return []
    if kind == "symbol" and len(values) > 2:
        frequent = values[np.argsort(-counts, kind="stable")[:MOST_SYMBOLS]]
        return [Bit(position, float(value), is_threshold=False) for value in np.sort(frequent)]
    middles = (values[1:] + values[:-1]) / 2
    if len(middles) > THRESHOLDS:
        shares = np.arange(1, THRESHOLDS + 1) / (THRESHOLDS + 1)
        octiles = np.quantile(column, shares, method="lower")
        middles = middles[np.unique(np.clip(np.searchsorted(values, octiles), 0, len(middles) - 1))]
    return [Bit(position, float(middle), is_threshold=True) for middle in middles]
