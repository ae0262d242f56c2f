"""Substrings of eight bits: ``10101010`` and ``00111111``.

``0010101010`` holds the first pattern and has label 1 in its task, ``0010101011`` label 1 as well,
``0010101100`` label 0.
"""

from functools import partial

import numpy as np
import numpy.typing as npt

from llm_pv.tasks.swaps import contexts, equally_many
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Integers, Words

_BLOCK = 4_096
_HARD_BLOCK = 16_384
_HARD_SYMBOLS = 1 << 21
_SIZE = 8
_CLASSES = np.repeat(np.array([1, 0], dtype=np.uint8), _BLOCK)
_POPCOUNT = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)


def windows(symbols: Symbols) -> npt.NDArray[np.uint8]:
    """Return every window of eight bits as a number, one column for each position."""
    bits = symbols & 1
    places = bits.shape[1] - _SIZE + 1
    codes = np.zeros((len(bits), max(places, 0)), dtype=np.uint8)
    for offset in range(_SIZE if places > 0 else 0):
        codes |= bits[:, offset : offset + places] << np.uint8(_SIZE - 1 - offset)
    return codes


def occurs(symbols: Symbols, pattern: int) -> Labels:
    """Label strings by whether the pattern, eight bits read as a number, occurs."""
    labels: Labels = np.any(windows(symbols) == pattern, axis=1).astype(np.uint8)
    return labels


def near_misses(symbols: Symbols, pattern: int) -> Integers:
    """Count the positions where the pattern occurs with one wrong bit."""
    distances = _POPCOUNT[windows(symbols) ^ np.uint8(pattern)]
    counts: Integers = np.count_nonzero(distances == 1, axis=1).astype(np.int64)
    return counts


def write(symbols: Symbols, places: Integers, codes: npt.NDArray[np.uint8]) -> None:
    """Overwrite eight bits of each row at its position."""
    bits = np.unpackbits(codes[:, None], axis=1) + np.uint8(ord("0"))
    rows = np.arange(len(symbols))[:, None]
    symbols[rows, places[:, None] + np.arange(_SIZE)] = bits


def with_pattern(words: Words, length: int, pattern: int, rows: int) -> tuple[Symbols, Integers]:
    """Draw uniform strings with the pattern written over a random place, and the places."""
    symbols = words.bits(rows, length) + np.uint8(ord("0"))
    places = words.below(length - _SIZE + 1, rows)
    write(symbols, places, np.full(rows, pattern, dtype=np.uint8))
    return symbols, places


def draw_paper(words: Words, length: int, pattern: int) -> Candidates:
    """Draw strings with the pattern written over a random place, and uniform strings."""
    ones, _ = with_pattern(words, length, pattern, _BLOCK)
    zeros = words.bits(_BLOCK, length) + np.uint8(ord("0"))
    return Candidates(np.concatenate([ones, zeros]), _CLASSES)


def draw_hard(words: Words, length: int, pattern: int, breakable: int) -> Candidates:
    """Draw strings with the pattern, and such strings with one bit of it swapped away.

    One of the pattern's first ``breakable`` bits changes places with an unequal one whose
    neighbours agree, two on either side or, below length 50, one: that keeps the counts of ones,
    of two-bit tokens and of all substrings of up to three bits (two, below 50). Of the strings
    with the pattern and of those that lost it equally many are kept with each number of near
    misses (the pattern with one bit wrong), of ones, of changes between neighbours, and with each
    longest run of zeros and of ones (of ones and changes, beyond length 50, in steps of L/25).
    What must differ is what holds the pattern: substrings of eight and, the more the shorter the
    string, of four and more; for ``10101010`` the longest alternating stretch.
    """
    base, places = with_pattern(words, length, pattern, min(_HARD_BLOCK, _HARD_SYMBOLS // length))
    target = places + words.below(breakable, len(base))
    depth = 2 if length >= 50 else 1
    codes = contexts(base, depth).astype(np.int16)
    every = np.arange(len(base))
    allowed = codes == codes[every, target][:, None]
    allowed &= base != base[every, target][:, None]
    distance = np.abs(np.arange(length, dtype=np.int16) - target[:, None].astype(np.int16))
    allowed &= (distance > depth) & (distance % 2 == 0)
    rows = np.flatnonzero(allowed.any(axis=1))
    other = words.choose(allowed[rows])
    before, after = base[rows], base[rows]
    every = np.arange(len(rows))
    after[every, target[rows]] ^= 1
    after[every, other] ^= 1
    broken = occurs(after, pattern) == 0
    ones, zeros = before[broken][::2], after[broken][1::2]
    alike = equally_many(_statistics(ones, pattern), _statistics(zeros, pattern))
    return Candidates.of_classes(ones[alike[0]], zeros[alike[1]])


def _statistics(symbols: Symbols, pattern: int) -> Integers:
    """Return, for each row, one number for the statistics that both classes must share."""
    bits = symbols & 1
    columns = [near_misses(symbols, pattern), *(longest_runs(symbols, code) for code in b"01")]
    # Long strings take too many values for rows to agree in each of them exactly.
    length = symbols.shape[1]
    width = 1 if length <= 50 else length // 25
    columns.append(bits.sum(axis=1, dtype=np.int64) // width)
    columns.append((bits[:, 1:] ^ bits[:, :-1]).sum(axis=1, dtype=np.int64) // width)
    combined = np.zeros(len(symbols), dtype=np.int64)
    for column in columns:
        combined = combined * 64 + np.minimum(column, 63)
    return combined


def longest_runs(symbols: Symbols, symbol: int) -> Integers:
    """Return the length of each row's longest run of a symbol."""
    here = np.arange(1, symbols.shape[1] + 1, dtype=np.int16)
    last_other = np.maximum.accumulate((symbols != symbol) * here, axis=1)
    longest: Integers = (here - last_other).max(axis=1).astype(np.int64)
    return longest


def _task(task_id: str, name: str, pattern: str, breakable: int) -> Task:
    code = int(pattern, 2)
    return Task(
        id=task_id,
        name=name,
        description=f"{pattern} occurs",
        alphabet="binary",
        examples=("0" + pattern[:4] + pattern[:4][::-1] + "0", "0" + pattern + "0"),
        target_function=partial(occurs, pattern=code),
        samplers={
            "paper": Sampler(partial(draw_paper, pattern=code)),
            "hard": Sampler(partial(draw_hard, pattern=code, breakable=breakable), 16),
        },
        apart_from=100,
        lengths=Lengths(
            smallest=_SIZE + 1,
            largest=800,
            reason="the pattern has 8 bits, and long strings nearly all hold it",
        ),
    )


TASKS = (
    _task("fn_c", "patternmatch1", "10101010", breakable=8),
    # Breaking the run of ones would change the longest run.
    _task("fn_d", "patternmatch2", "00111111", breakable=2),
)
