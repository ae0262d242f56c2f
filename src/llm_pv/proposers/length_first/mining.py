"""Substrings, prefixes and suffixes found in the training rows themselves."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product, repeat

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import Expression, Level, imports
from llm_pv.proposers.length_first.sequences import Part, literal
from llm_pv.proposers.length_first.weights import choice_bits, integer_bits

LONGEST = 12
LONGEST_PATTERN = 6
MOST_PATTERN_PLACES = 30_000
"""Characters of all training rows up to which patterns are mined."""
MOST_WINDOWS = 1_500_000
"""Windows read in all; longer substrings are left out where there are more."""
MOST_MINED = 150
"""Substrings kept for a class, those that tell most of it first."""

_MASKS = {
    length: [
        (False, *mask, False) for mask in product((False, True), repeat=length - 2) if any(mask)
    ]
    for length in range(3, LONGEST_PATTERN + 1)
}
"""For each length, which places inside are wildcards."""


def mine(text: Part, codes: NDArray[np.int64], classes: int) -> list[Expression]:
    """Return conditions on substrings, prefixes and suffixes that tell classes apart."""
    size = len(codes)
    train = [str(row) for row in text.rows[:size]]
    kinds = (("in", _substrings(train)), ("startswith", _affixes(train, 1)))
    found: list[Expression] = []
    alphabet = len(set().union(*train))
    for kind, occurrences in (*kinds, ("endswith", _affixes(train, -1))):
        for word in _telling(occurrences, codes, classes):
            share = occurrences[word].bit_count() / size
            found.append(_written(kind, word, text, alphabet, share))
    patterns = _telling(_patterns(train), codes, classes)
    found.extend(_searched(pattern, text, alphabet) for pattern in patterns)
    return found


def _patterns(train: list[str]) -> dict[str, int]:
    """Return the rows that each regular expression with wildcards, or with kinds, occurs in."""
    where: dict[str, int] = defaultdict(int)
    if sum(map(len, train)) > MOST_PATTERN_PLACES:
        return where
    kinds = {c: _kind_of(c) for c in set().union(*train)}
    escaped = {c: re.escape(c) for c in kinds}
    several = len(set(kinds.values())) > 1
    for index, row in enumerate(train):
        found = _with_wildcards([escaped[c] for c in row])
        if several:
            found |= _of_kinds([kinds[c] for c in row])
        for pattern in found:
            where[pattern] |= 1 << index
    return where


def _with_wildcards(row: list[str]) -> set[str]:
    """Return what occurs in a row when characters inside a word may be any."""
    found: set[str] = set()
    for length in range(3, min(LONGEST_PATTERN, len(row)) + 1):
        shifted = [row[start:] for start in range(length)]
        for mask in _MASKS[length]:
            columns = [repeat(".") if mask[i] else shifted[i] for i in range(length)]
            found.update(map("".join, zip(*columns, strict=False)))
    return found


def _of_kinds(row: list[str]) -> set[str]:
    """Return the words of kinds that occur in a row, begin it or end it."""
    lengths = range(1, min(LONGEST_PATTERN, len(row)) + 1)
    inside = {
        "".join(row[start : start + length])
        for length in lengths
        for start in range(len(row) - length + 1)
        if length > 1
    }
    starts = {"^" + "".join(row[:length]) for length in lengths}
    ends = {"".join(row[-length:]) + "$" for length in lengths}
    return inside | starts | ends


def _kind_of(character: str) -> str:
    if "0" <= character <= "9":
        return "[0-9]"
    if "a" <= character <= "z":
        return "[a-z]"
    if "A" <= character <= "Z":
        return "[A-Z]"
    return re.escape(character)


def _searched(pattern: str, text: Part, alphabet: int) -> Expression:
    rows = [str(row) for row in text.rows]
    kinds = pattern.count("[")
    places = len(re.findall(r"\[[^]]*\]|\\.|.", pattern, re.DOTALL))
    wildcards = pattern.count(".") - pattern.count("\\.")
    bits = text.bits + weights.PATTERN + integer_bits(places) / 2
    bits += (places - kinds - wildcards) * choice_bits(alphabet) + wildcards + 1.5 * kinds
    plain = '"' not in pattern and pattern.isprintable()
    source = f'r"{pattern}"' if plain else repr(pattern)
    many_lines = wildcards > 0 and any("\n" in row for row in rows)
    flags = ", re.DOTALL" if many_lines else ""
    expression = re.compile(pattern, re.DOTALL if many_lines else 0)
    truth = np.array([expression.search(row) is not None for row in rows])
    code = f"re.search({source}, {text.code}{flags})"
    needs = (*text.needs, *imports(weights.REGEX))
    return Expression(
        f"{code} is not None", bits, truth, Level.COMPARISON, needs, f"{code} is None"
    )


def _substrings(train: list[str]) -> dict[str, int]:
    """Return the rows each substring occurs in, as the bits of an integer."""
    where: dict[str, int] = defaultdict(int)
    windows = 0
    for length in range(1, LONGEST + 1):
        windows += sum(len(row) for row in train)
        if windows > MOST_WINDOWS and length > 2:
            break
        for index, row in enumerate(train):
            bit = 1 << index
            for word in {row[i : i + length] for i in range(len(row) - length + 1)}:
                where[word] |= bit
    return where


def _affixes(train: list[str], side: int) -> dict[str, int]:
    where: dict[str, int] = defaultdict(int)
    for index, row in enumerate(train):
        for length in range(1, min(LONGEST, len(row)) + 1):
            where[row[:length] if side > 0 else row[-length:]] |= 1 << index
    return where


def _telling(where: dict[str, int], codes: NDArray[np.int64], classes: int) -> Iterator[str]:
    """Yield the words whose presence says most about one class or another."""
    words = [word for word, rows in where.items() if rows.bit_count() > 1]
    if not words:
        return
    chosen: dict[str, None] = {}
    for code in range(classes):
        members = sum(1 << int(index) for index in np.flatnonzero(codes == code))
        total, inside = len(codes), members.bit_count()
        occurs = np.array([where[word].bit_count() for word in words], dtype=np.float64)
        right = np.array([(where[word] & members).bit_count() for word in words], dtype=np.float64)
        gain = information(right, occurs - right, inside, total - inside)
        lengths = np.array([len(word) for word in words])
        # Two bits a character is a rough price; among equals the shorter word comes first.
        order = np.lexsort((lengths, -(gain * total - 2 * lengths)))
        chosen.update(dict.fromkeys(words[index] for index in order[:MOST_MINED]))
    yield from chosen


def information(
    positives: NDArray[np.float64],
    negatives: NDArray[np.float64],
    all_positives: int,
    all_negatives: int,
) -> NDArray[np.float64]:
    """Return the bits a row that knowing a condition saves on its class.

    Parameters
    ----------
    positives, negatives
        For each condition, how many rows of either class it holds on.
    all_positives, all_negatives
        How many rows there are of either class.
    """
    total = all_positives + all_negatives

    def entropy(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        both = np.maximum(first + second, 1e-12)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [np.where(n > 0, n * np.log2(n / both), 0.0) for n in (first, second)]
        return -(parts[0] + parts[1])

    before = entropy(np.array([float(all_positives)]), np.array([float(all_negatives)]))
    after = entropy(positives, negatives)
    after = after + entropy(all_positives - positives, all_negatives - negatives)
    return np.asarray((before - after) / total)


def _written(kind: str, word: str, text: Part, alphabet: int, share: float) -> Expression:
    """Write one condition; its word is spelt, or pointed at where a row has it, the cheaper."""
    rows = [str(row) for row in text.rows]
    places = 1 if kind != "in" else max(1, sum(map(len, rows)) // len(rows))
    pointed = choice_bits(places) - math.log2(share) + weights.POINTED
    length = integer_bits(len(word)) / 2 + min(len(word) * choice_bits(alphabet), pointed)
    quoted = literal(word)
    if kind == "in":
        code, opposite = f"{quoted} in {text.code}", f"{quoted} not in {text.code}"
        truth = np.array([word in row for row in rows])
        bits = text.bits + weights.SUBSTRING + length
        return Expression(code, bits, truth, Level.COMPARISON, text.needs, opposite)
    test = str.startswith if kind == "startswith" else str.endswith
    truth = np.array([test(row, word) for row in rows])
    code = f"{text.code}.{kind}({quoted})"
    return Expression(code, text.bits + weights.AFFIX + length, truth, Level.ATOM, text.needs)
