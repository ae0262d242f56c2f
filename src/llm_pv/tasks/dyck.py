"""Balanced brackets of two kinds, written two bits a token: 00 ``(``, 01 ``)``, 10 ``[``, 11 ``]``.

``00101101`` reads ``([])`` and has label 1; ``00100111`` reads ``([)]`` and has label 0.
"""

import numpy as np
import numpy.typing as npt

from llm_pv.tasks.swaps import alike, block_for_pairs
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Integers, Words

Tokens = npt.NDArray[np.uint8]
Marks = npt.NDArray[np.bool_]

_BLOCK = 1_300
_MOST_FLIPS = 5
_CLASSES = np.repeat(np.array([1, 0], dtype=np.uint8), _BLOCK)


def tokens(symbols: Symbols) -> Tokens:
    """Return each row as tokens: 0 ``(``, 1 ``)``, 2 ``[``, 3 ``]``."""
    bits = symbols & np.uint8(1)
    read: Tokens = bits[:, 0::2] << np.uint8(1) | bits[:, 1::2]
    return read


def written(words_of_tokens: Tokens) -> Symbols:
    """Return tokens as bits, the inverse of `tokens`."""
    rows, count = words_of_tokens.shape
    symbols = np.empty((rows, 2 * count), dtype=np.uint8)
    symbols[:, 0::2] = words_of_tokens >> 1
    symbols[:, 1::2] = words_of_tokens & 1
    return symbols + np.uint8(ord("0"))


def is_balanced(symbols: Symbols) -> Labels:
    """Label strings by whether their tokens are balanced; odd lengths never are."""
    if symbols.shape[1] % 2:
        return np.zeros(len(symbols), dtype=np.uint8)
    columns = np.ascontiguousarray(tokens(symbols).T)
    every = np.arange(len(symbols))
    stack = np.zeros((len(columns) + 1, len(symbols)), dtype=np.uint8)
    depth = np.zeros(len(symbols), dtype=np.int64)
    balanced = np.ones(len(symbols), dtype=np.bool_)
    for token in columns:
        closing = (token & 1).astype(np.bool_)
        # An opening token overwrites the stack at this depth; a closing one must find
        # its own kind on top, and rows that are unbalanced once stay unbalanced.
        depth -= closing
        balanced &= depth >= 0
        at = np.maximum(depth, 0)
        top = stack[at, every]
        balanced &= ~closing | (top == token >> 1)
        stack[at, every] = np.where(closing, top, token >> 1)
        depth += ~closing
    labels: Labels = (balanced & (depth == 0)).astype(np.uint8)
    return labels


def balanced_tokens(words: Words, rows: int, count: int) -> Tokens:
    """Draw balanced words as the paper does: open or close by a fair coin if both are possible."""
    coins = words.bits(count, rows)
    kinds = words.bits(count, rows)
    columns = np.empty((count, rows), dtype=np.uint8)
    every = np.arange(rows)
    stack = np.zeros((count // 2 + 1, rows), dtype=np.uint8)
    depth = np.zeros(rows, dtype=np.int64)
    for i in range(count):
        opening = (depth == 0) | ((coins[i] == 1) & (depth < count - i))
        depth -= ~opening
        kind = np.where(opening, kinds[i], stack[depth, every])
        stack[depth, every] = kind
        columns[i] = kind << 1 | ~opening
        depth += opening
    return columns.T


def draw_paper(words: Words, length: int) -> Candidates:
    """Draw balanced words, and balanced words with 1 to 5 bits flipped.

    Flipped bits change the counts of tokens, which therefore carry part of the label.
    """
    symbols = written(balanced_tokens(words, 2 * _BLOCK, length // 2))
    broken = symbols[_BLOCK:]
    flips = words.below(_MOST_FLIPS, _BLOCK) + 1
    places = words.distinct(_BLOCK, length, _MOST_FLIPS)
    every = np.arange(_BLOCK)
    for i in range(_MOST_FLIPS):
        broken[every, places[:, i]] ^= (flips > i).astype(np.uint8)
    return Candidates(symbols, _CLASSES)


def draw_hard(words: Words, length: int) -> Candidates:
    """Draw balanced words, and such words after two tokens with like neighbours changed places.

    For half of them these are two closing tokens of different kinds, which keeps the depth
    profile; for the other half an opening token and a later closing one, so that the depth falls
    below zero. Either way the counts of tokens and of two tokens in a row stay, with them the
    counts of ones and of up to three bits in a row, and every word starts with an opening and
    ends with a closing token. Where a word allows it the neighbours agree two tokens deep;
    short words often allow none, and then any tokens are swapped but the first and the last. What
    must differ is the target's own machinery: a pair that does not match and, for the second
    half, the lowest depth, for which closing tokens have to come earlier.
    """
    base = balanced_tokens(words, block_for_pairs(length // 2), length // 2)
    profile = np.arange(len(base)) % 4 < 2
    chosen: list[tuple[Integers, Integers, Integers]] = []
    left = np.arange(len(base))
    for depth in (2, 1) if length >= 40 else (2, 1, 0):
        part = base[left]
        allowed = alike(part, depth, length // 2)
        allowed &= np.where(
            profile[left, None, None], _closing_of_two_kinds(part), _below_zero(part)
        )
        flat = allowed.reshape(len(part), (length // 2) ** 2)
        has = flat.any(axis=1)
        first, second = np.divmod(words.choose(flat[has]), length // 2)
        chosen.append((left[has], first, second))
        left = left[~has]
    rows, first, second = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
    order = np.argsort(rows, kind="stable")
    rows, first, second = rows[order], first[order], second[order]
    broken = base[rows]
    every = np.arange(len(rows))
    broken[every, first], broken[every, second] = base[rows, second], base[rows, first]
    kept = ~_mismatch_side_by_side(broken)
    both = _equal_shares(profile[rows], kept)
    return Candidates.from_pairs(written(base[rows][both]), written(broken[both]))


def _equal_shares(profile: Marks, kept: Marks) -> Integers:
    """Return equally many rows that keep the depth profile and that do not, alternating by twos."""
    kinds = [np.flatnonzero(kept & (profile == kind)) for kind in (True, False)]
    size = min(map(len, kinds)) // 2 * 2
    return np.stack([kind[:size].reshape(-1, 2) for kind in kinds], axis=1).ravel()


def _mismatch_side_by_side(words_of_tokens: Tokens) -> Marks:
    """Return for each row whether ``(]`` or ``[)`` occurs, which no balanced word contains."""
    left, right = words_of_tokens[:, :-1], words_of_tokens[:, 1:]
    wrong: Marks = np.any((left & 1 < right & 1) & (left >> 1 != right >> 1), axis=1)
    return wrong


def _closing_of_two_kinds(words_of_tokens: Tokens) -> Marks:
    """Return for each two positions whether they hold ``)`` and ``]``."""
    first, second = words_of_tokens[:, :, None], words_of_tokens[:, None, :]
    closing: Marks = (first & second & 1 == 1) & (first != second)
    return closing


def _below_zero(words_of_tokens: Tokens) -> Marks:
    """Return for each two positions whether swapping an opening and a closing token breaks depth.

    The depth between the two falls by 2, so somewhere between them it must be 1 or less.
    """
    closing = (words_of_tokens & 1).astype(np.int64)
    depth = np.cumsum(1 - 2 * closing, axis=1)
    low = depth <= 1
    # The number of low places from the first position to just before the second.
    until: Integers = np.cumsum(low, axis=1) - low
    between: Integers = until[:, None, :] - until[:, :, None]
    opens_then_closes = (closing[:, :, None] == 0) & (closing[:, None, :] == 1)
    breaks: Marks = opens_then_closes & (between > 0)
    return breaks


TASKS = (
    Task(
        id="fn_h",
        name="dyck2",
        description="the two-bit tokens 00 ( 01 ) 10 [ 11 ] are balanced",
        alphabet="binary",
        examples=("00100111", "00101101"),
        target_function=is_balanced,
        samplers={"paper": Sampler(draw_paper), "hard": Sampler(draw_hard, patience=8)},
        apart_from=200,
        lengths=Lengths(
            default=(100, 80, 60, 40, 20),
            smallest=20,
            largest=2_000,
            multiple=4,
            reason="tokens have two bits and come in pairs",
        ),
    ),
)
