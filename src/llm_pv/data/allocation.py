"""Compute the sizes of splits, and each class's share of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm_pv.errors import ConfigurationError, DataError

DEFAULT_SHARES = {"train": 2, "validation": 2, "test": 1}
"""The proportions of splits without a requested size: 40 to 40 to 20."""

DEFAULT_LIMITS = {"train": 10_000, "validation": 10_000, "test": 10_000}
"""The most rows of a split without a requested size."""

FEWEST_ROWS = 5
"""The fewest rows that are split by default."""


def split_sizes(rows: int, asked: Mapping[str, int | None], name: str) -> dict[str, int]:
    """Return the size of each split to be drawn from a number of rows.

    Raise ConfigurationError if a requested size is too small. Raise DataError if there are too few
    rows.

    Parameters
    ----------
    asked
        The splits to draw, each with the size asked for or None.

    Examples
    --------
    >>> split_sizes(5_000, {"train": None, "validation": None, "test": 100}, "rows.csv")
    {'train': 2450, 'validation': 2450, 'test': 100}
    """
    wanted = {part: size for part, size in asked.items() if size is not None}
    for part, size in wanted.items():
        least = 0 if part == "test" else 1
        if size < least:
            raise ConfigurationError(f"{part} size {size}: give at least {least}")
    rest = rows - sum(wanted.values())
    if rest < 0:
        listed = " + ".join(f"{size:,} {part}" for part, size in wanted.items())
        raise DataError(
            f"{name} has {rows:,} labelled rows, fewer than the {listed} asked for: ask "
            "for fewer or add rows"
        )
    shares = {part: DEFAULT_SHARES[part] for part in asked if part not in wanted}
    quotas = np.array([rest * share / sum(shares.values()) for share in shares.values()])
    drawn = _apportioned(rest if shares else 0, quotas, np.zeros(len(shares)), quotas + 1)
    sizes = wanted | {
        part: min(int(size), DEFAULT_LIMITS[part]) for part, size in zip(shares, drawn, strict=True)
    }
    starved = any(sizes.get(part) == 0 for part in ("train", "validation"))
    if starved or (not wanted and len(asked) > 1 and rows < FEWEST_ROWS):
        raise DataError(
            f"{name} has {rows:,} labelled rows of its own, too few to split them: "
            f"give at least {FEWEST_ROWS}, or smaller splits"
        )
    return {part: sizes[part] for part in asked}


def allocate(
    counts: "np.ndarray[Any, Any]", sizes: Sequence[int], essential: Sequence[bool]
) -> "np.ndarray[Any, Any]":
    """Allocate the rows of each class to splits in proportion.

    A class gets a row in each essential split as far as its count and the splits' sizes allow,
    the first split first and the commoner classes first.

    Parameters
    ----------
    sizes
        The size of each split, together at most the sum of the counts.
    essential
        For each split, whether every class should be in it.

    Returns
    -------
    numpy.ndarray
        The number of rows of each class in each split, shape (classes, splits).

    Examples
    --------
    >>> allocate(np.array([8, 2]), [4, 4, 2], [True, True, False]).tolist()
    [[3, 3, 2], [1, 1, 0]]
    """
    left = counts.astype(np.int64)
    taken = np.zeros((len(counts), len(sizes)), dtype=np.int64)
    for split, size in enumerate(sizes):
        high = left.copy()
        for later in range(split + 1, len(sizes)):
            if essential[later]:  # reserve one row of every class that has enough
                high[_commonest(high >= 2, left, sizes[later])] -= 1
        low = np.zeros_like(left)
        if essential[split]:
            low[_commonest(high >= 1, left, size)] = 1
        quotas = left * size / max(int(left.sum()), 1)
        taken[:, split] = _apportioned(size, quotas, low, high)
        left -= taken[:, split]
    return taken


def _commonest(
    among: "np.ndarray[Any, Any]", counts: "np.ndarray[Any, Any]", most: int
) -> "np.ndarray[Any, Any]":
    """Return at most this many of the allowed classes, those with the most rows."""
    order = np.argsort(-counts, kind="stable")
    return np.asarray(order[among[order]][:most])


def _apportioned(
    total: int,
    quotas: "np.ndarray[Any, Any]",
    low: "np.ndarray[Any, Any]",
    high: "np.ndarray[Any, Any]",
) -> "np.ndarray[Any, Any]":
    """Round quotas to whole numbers within bounds and with a given sum, by largest remainders."""
    shares: np.ndarray[Any, Any] = np.clip(np.floor(quotas), low, high).astype(np.int64)
    while (lacking := total - int(shares.sum())) > 0:
        room = np.flatnonzero(shares < high)
        shares[room[np.argsort((shares - quotas)[room], kind="stable")[:lacking]]] += 1
    while (excess := int(shares.sum()) - total) > 0:
        spare = np.flatnonzero(shares > low)
        shares[spare[np.argsort((quotas - shares)[spare], kind="stable")[:excess]]] -= 1
    return shares
