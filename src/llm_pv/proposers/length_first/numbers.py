"""Questions about whole numbers of any size: remainders, squares, primality, common divisors."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    Definition,
    Evaluator,
    Expression,
    Level,
    as_numbers,
    imports,
    level_of,
)
from llm_pv.proposers.length_first.reading import Integers
from llm_pv.proposers.length_first.weights import choice_bits, integer_bits

LARGEST_MODULUS = 100
FULLY_TRIED_MODULUS = 12
"""Up to here every remainder is a candidate; beyond, the one most frequent in each class."""
LARGEST_SHIFT = 64
MOST_BITS_OF_A_PRIME = 512
SMALL_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)

IS_PRIME = Definition(
    '''def is_prime(n):
    """Tell whether n is prime (Miller-Rabin; proven below 3.3e24, beyond that almost certain)."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
    if n < 2 or any(n % p == 0 for p in bases):
        return n in bases
    twos = (n - 1 & 1 - n).bit_length() - 1
    for base in bases:
        y = pow(base, n - 1 >> twos, n)
        if y in (1, n - 1):
            continue
        for _ in range(twos - 1):
            y = y * y % n
            if y == n - 1:
                break
        else:
            return False
    return True''',
    "helper",
)


def integer_numbers(integers: Sequence[Integers], evaluator: Evaluator) -> Iterator[Expression]:
    """Yield numbers read off whole numbers, and the greatest common divisors of two of them."""
    for integer in integers:
        for primitive in weights.NUMBER_NUMBERS:
            values = evaluator.run(primitive.template, {}, integer.rows, imports(primitive.imports))
            numbers = None if values is None else as_numbers(values)
            if numbers is not None:
                code = primitive.template.format(s=integer.code)
                needs = (*integer.needs, *imports(primitive.imports))
                bits, level = integer.bits + primitive.bits, level_of(primitive.template)
                yield Expression(code, bits, numbers, level, needs)
        yield from _distances(integer)
    for index, left in enumerate(integers):
        for right in integers[index + 1 :]:
            numbers = as_numbers(
                [math.gcd(a, b) for a, b in zip(left.rows, right.rows, strict=True)]
            )
            if numbers is not None:
                code = f"math.gcd({left.code}, {right.code})"
                needs = (*left.needs, *right.needs, *imports(weights.MATH))
                yield Expression(code, left.bits + right.bits + weights.GCD, numbers, needs=needs)


def _distances(integer: Integers) -> Iterator[Expression]:
    """Yield how far a number is from the nearest multiple of a common modulus."""
    bits = integer.bits + weights.NEAREST_MULTIPLE + choice_bits(len(weights.NEAREST_MULTIPLES))
    for modulus in weights.NEAREST_MULTIPLES:
        code = f"min({integer.code} % {modulus}, -{integer.code} % {modulus})"
        distances = np.array([min(n % modulus, -n % modulus) for n in integer.rows], np.float64)
        yield Expression(code, bits, distances, needs=integer.needs)


def integer_flags(
    integers: Sequence[Integers], evaluator: Evaluator, codes: NDArray[np.int64]
) -> Iterator[Expression]:
    """Yield questions about whole numbers: remainders, squares, and primality after a shift."""
    size = len(codes)
    for integer in integers:
        yield from _remainders(integer, codes)
        for primitive in weights.NUMBER_FLAGS:
            values = evaluator.run(primitive.template, {}, integer.rows, imports(primitive.imports))
            if values is not None:
                code = primitive.template.format(s=integer.code)
                opposite = primitive.opposite.format(s=integer.code)
                needs = (*integer.needs, *imports(primitive.imports))
                bits = integer.bits + primitive.bits
                yield Expression(
                    code, bits, np.array(values, bool), Level.COMPARISON, needs, opposite
                )
        yield from _shifted_primes(integer, evaluator, codes, size)


def _remainders(integer: Integers, codes: NDArray[np.int64]) -> Iterator[Expression]:
    for modulus in range(2, LARGEST_MODULUS + 1):
        remainders = np.array([value % modulus for value in integer.rows])
        train = remainders[: len(codes)]
        if modulus <= FULLY_TRIED_MODULUS:
            tried = set(train.tolist())
        else:
            tried = {
                Counter(train[codes == code].tolist()).most_common(1)[0][0] for code in set(codes)
            } | ({0} if 0 in train else set())
        for remainder in sorted(tried):
            bits = integer.bits + weights.NUMBER_MODULUS + integer_bits(modulus)
            bits += 1 if remainder == 0 else 1 + choice_bits(modulus - 1)
            left = f"{integer.code} % {modulus}"
            yield Expression(
                f"{left} == {remainder}",
                bits,
                remainders == remainder,
                Level.COMPARISON,
                integer.needs,
                f"{left} != {remainder}",
            )


def _shifted_primes(
    integer: Integers, evaluator: Evaluator, codes: NDArray[np.int64], size: int
) -> Iterator[Expression]:
    """Yield whether the number, shifted by a small constant, is prime, where that says much.

    A shift is given up where numbers with small factors alone, or the first two dozen rows,
    disagree with every class more often than one row in four.
    """
    if max(value.bit_length() for value in integer.rows) > MOST_BITS_OF_A_PRIME:
        return
    factors = _SmallFactors(integer.rows[:size])
    shifts = sorted(range(-LARGEST_SHIFT, LARGEST_SHIFT + 1), key=lambda shift: (abs(shift), shift))
    for shift in shifts:
        if shift and not factors.could_tell(shift, codes):
            continue
        rows = integer.rows if shift == 0 else [value + shift for value in integer.rows]
        if shift and not _worth_going_on(rows[:size], evaluator, codes):
            continue
        values = evaluator.run("is_prime({s})", {}, rows, (IS_PRIME,))
        if values is None:
            continue
        sign = "+" if shift > 0 else "-"
        inner = integer.code if shift == 0 else f"{integer.code} {sign} {abs(shift)}"
        bits = integer.bits + weights.PRIMALITY + integer_bits(shift)
        needs = (*integer.needs, IS_PRIME)
        yield Expression(f"is_prime({inner})", bits, np.array(values, bool), Level.ATOM, needs)


class _SmallFactors:
    """Finds the numbers that are composite for sure, before any of them is tested in earnest."""

    def __init__(self, rows: Sequence[int]) -> None:
        self._remainders = np.array([[n % p for n in rows] for p in SMALL_PRIMES])
        # Beyond the primes themselves, whatever the shift, a factor means composite.
        self._large = np.array([n > LARGEST_SHIFT + SMALL_PRIMES[-1] for n in rows])

    def could_tell(self, shift: int, codes: NDArray[np.int64]) -> bool:
        """Tell whether primality of the shifted numbers may agree with a class, or its opposite."""
        divisors = np.array(SMALL_PRIMES)[:, None]
        composite = ((self._remainders + shift) % divisors == 0).any(axis=0) & self._large
        inside = np.bincount(codes[composite], minlength=int(codes.max()) + 1)
        most = len(codes) // 4
        return bool((np.minimum(inside, inside.sum() - inside) <= most).any())


def _worth_going_on(rows: Sequence[int], evaluator: Evaluator, codes: NDArray[np.int64]) -> bool:
    start = min(len(rows), 24)
    values = evaluator.run("is_prime({s})", {}, rows[:start], (IS_PRIME,))
    if values is None:
        return False
    answers = np.array(values, bool)
    classes = codes[:start]
    for code in np.unique(codes):
        wrong = int((answers != (classes == code)).sum())
        if min(wrong, start - wrong) <= start // 4:
            return True
    return False
