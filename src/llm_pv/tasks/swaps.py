"""Swaps that the usual statistics cannot see.

When two unequal symbols with the same neighbours change places, no count of substrings of two
changes; when the neighbours agree two deep, none of three does. The `hard` samplers break a
string of class 1 by such swaps, so that only the target distinguishes the classes.
"""

import numpy as np
import numpy.typing as npt

from llm_pv.tasks.task import Symbols
from llm_pv.tasks.words import Integers, Words

_DEPTHS = (3, 2, 1, 0)
_MOST_ROWS = 2_048
_MOST_PAIRS = 1 << 23


def block_for_pairs(end: int) -> int:
    """Return how many rows to process together when each two of ``end`` positions are compared."""
    return max(8, min(_MOST_ROWS, _MOST_PAIRS // end**2))


def contexts(symbols: Symbols, depth: int) -> Integers:
    """Return a number for the neighbours of every position, ``depth`` on either side.

    Two positions of a row get the same number when their neighbours agree. Positions nearer to an
    end than ``depth`` get numbers that agree with no other.
    """
    rows, length = symbols.shape
    codes = np.zeros((rows, length), dtype=np.int64)
    base = 4
    reduced = (symbols & 3).astype(np.int64)
    for step in range(1, depth + 1):
        codes[:, step:] = codes[:, step:] * base + reduced[:, :-step]
        codes[:, :-step] = codes[:, :-step] * base + reduced[:, step:]
    edge = np.setdiff1d(np.arange(length), np.arange(depth, length - depth))
    codes[:, edge] = -1 - edge
    return codes


def alike(symbols: Symbols, depth: int, end: int) -> npt.NDArray[np.bool_]:
    """Tell for each row and each two positions before ``end`` whether their neighbours agree.

    Positions so near to one another that a swap would change their own neighbours don't count,
    nor do the ends; each two positions are given once, the first before the second.
    """
    codes = contexts(symbols, depth)[:, :end]
    same: npt.NDArray[np.bool_] = codes[:, :, None] == codes[:, None, :]
    positions = np.arange(end)
    same &= positions[None, :] - positions[:, None] > depth
    same[:, 0, :] = False
    same[:, :, symbols.shape[1] - 1 :] = False
    return same


def unequal_pairs_alike_around(
    words: Words, symbols: Symbols, end: int
) -> tuple[Integers, Integers, Integers]:
    """Pick in each row two unequal symbols before ``end`` whose neighbours agree.

    They agree as deep as the row allows, three at most, and stand an even number of places apart,
    which keeps the counts of two-bit tokens as well; the first symbol of a string is never
    picked. Rows without such symbols are left out.

    Returns
    -------
    tuple of numpy.ndarray
        The rows, and in each of them the first and the second position.
    """
    found: list[tuple[Integers, Integers, Integers]] = []
    left = np.arange(len(symbols))
    partners = np.zeros_like(symbols)
    paired = symbols.shape[1] // 2 * 2
    partners[:, :paired] = symbols[:, np.arange(paired) ^ 1]
    even = (np.arange(end)[:, None] - np.arange(end)) % 2 == 0
    for depth in _DEPTHS:
        if end <= depth:
            continue
        part = symbols[left]
        allowed = alike(part, depth, end)
        allowed &= part[:, :end, None] != part[:, None, :end]
        allowed &= even & (partners[left, :end, None] == partners[left, None, :end])
        flat = allowed.reshape(len(part), end * end)
        has = flat.any(axis=1)
        picked = words.choose(flat[has])
        found.append((left[has], picked // end, picked % end))
        left = left[~has]
        if not len(left):
            break
    rows, first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, first, second


def equally_many(first: Integers, second: Integers) -> tuple[Integers, Integers]:
    """Choose rows so that every value of a statistic is as frequent in one class as in the other.

    Returns
    -------
    tuple of numpy.ndarray
        The rows to keep of each class, in order; equally many.

    Examples
    --------
    >>> equally_many(np.array([1, 1, 2]), np.array([2, 2, 1]))
    (array([0, 2]), array([0, 2]))
    """
    values, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    parts = codes[: len(first)], codes[len(first) :]
    counts = [np.bincount(part, minlength=len(values)) for part in parts]
    common = np.minimum(*counts)
    kept: list[Integers] = []
    for part, count in zip(parts, counts, strict=True):
        order = np.argsort(part, kind="stable")
        starts = np.cumsum(count) - count
        rank = np.empty(len(part), dtype=np.int64)
        rank[order] = np.arange(len(part)) - starts[part[order]]
        kept.append(np.flatnonzero(rank < common[part]))
    return kept[0], kept[1]
