"""Palindromes: strings that equal their reverse, such as ``0110``; ``0100`` is none."""

import numpy as np

from llm_pv.tasks.swaps import block_for_pairs, unequal_pairs_alike_around
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Words

_BLOCK = 2_048
_CLASSES = np.repeat(np.array([1, 0], dtype=np.uint8), _BLOCK)


def is_palindrome(symbols: Symbols) -> Labels:
    """Label strings by whether they equal their reverse."""
    half = symbols.shape[1] // 2
    left, right = symbols[:, :half], symbols[:, : -half - 1 : -1]
    labels: Labels = np.all(left == right, axis=1).astype(np.uint8)
    return labels


def palindromes(words: Words, length: int, rows: int) -> Symbols:
    """Draw palindromes, each as likely as another."""
    left = words.bits(rows, (length + 1) // 2) + np.uint8(ord("0"))
    return np.concatenate([left, left[:, : length // 2][:, ::-1]], axis=1)


def draw_paper(words: Words, length: int) -> Candidates:
    """Draw palindromes, and palindromes with one bit of their first half flipped.

    The published code lets the flipped bit be the middle one of an odd length and labels that
    palindrome 0; here it stays out.
    """
    symbols = palindromes(words, length, 2 * _BLOCK)
    flipped = words.below(length // 2, _BLOCK)
    symbols[np.arange(_BLOCK, 2 * _BLOCK), flipped] ^= 1
    return Candidates(symbols, _CLASSES)


def draw_hard(words: Words, length: int) -> Candidates:
    """Draw palindromes, and palindromes with unequal bits of one half swapped.

    Once, or by ever smaller chances up to L/8 times, two unequal bits of one half change places,
    wherever possible two with the same neighbours: the counts of ones, in the whole and in each
    half, stay as they are, and so do the counts of substrings of two, mostly three, and with them
    the runs. The first and the last character stay. What compares the ends place by place (a
    quarter's ones with the last quarter's, the centre of gravity, one mirrored pair) is the
    target itself in part, and must differ.
    """
    half = length // 2
    rows_each = block_for_pairs(half)
    symbols = palindromes(words, length, 2 * rows_each)
    broken = symbols[rows_each:]
    active = np.arange(rows_each)
    for _ in range(max(1, length // 8)):
        rows, first, second = unequal_pairs_alike_around(words, broken[active], half)
        rows = active[rows]
        broken[rows, first] ^= 1
        broken[rows, second] ^= 1
        active = active[words.bits(1, len(active))[0] == 1]
        if not len(active):
            break
    mirrored = words.bits(1, rows_each)[0] == 1
    broken[mirrored] = broken[mirrored, ::-1]
    return Candidates.of_classes(symbols[:rows_each], broken)


TASKS = (
    Task(
        id="fn_g",
        name="palindrome",
        description="the string equals its reverse",
        alphabet="binary",
        examples=("0100", "0110"),
        target_function=is_palindrome,
        lengths=Lengths(largest=2_000),
        apart_from=160,
        samplers={
            "paper": Sampler(draw_paper),
            "hard": Sampler(draw_hard, smallest=8, patience=16),
        },
    ),
)
