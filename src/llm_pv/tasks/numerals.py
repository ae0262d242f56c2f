"""Whole numbers in decimal: parsing inputs, and primality tests."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from llm_pv.errors import MissingExtraError
from llm_pv.tasks.task import Symbols
from llm_pv.tasks.words import Integers, Words

_FACTORS_BELOW = 10_000
_LONG = 160
_ZERO = np.uint8(ord("0"))


def texts(symbols: Symbols) -> list[str]:
    """Return each row as a string."""
    width = symbols.shape[1]
    joined = symbols.tobytes().decode("ascii")
    return [joined[start : start + width] for start in range(0, len(joined), width)]


def digits(words: Words, rows: int, length: int) -> Symbols:
    """Draw numbers of this many digits, each as likely as another, as rows of ASCII digits."""
    groups = words.below(10**9, rows, -(-length // 9))
    millions, rest = np.divmod(groups, 10**6)
    thousands, units = np.divmod(rest, 10**3)
    triples: Symbols = _triples()[np.stack([millions, thousands, units], axis=2)]
    drawn = triples.reshape(rows, -1)[:, :length].copy()
    drawn[:, 0] = words.below(9, rows).astype(np.uint8) + _ZERO + np.uint8(1)
    return drawn


@cache
def _triples() -> Symbols:
    """Return the three ASCII digits of each number below 1,000."""
    joined = "".join(f"{number:03d}" for number in range(1_000)).encode("ascii")
    return np.frombuffer(joined, dtype=np.uint8).reshape(1_000, 3)


def written(values: list[int], length: int) -> Symbols:
    """Return numbers of exactly this many digits as rows of ASCII digits."""
    joined = "".join(map(str, values)).encode("ascii")
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(values), length)


def remainders(symbols: Symbols, moduli: Integers) -> Integers:
    """Return each row's remainder for each modulus.

    Parameters
    ----------
    symbols
        n numbers as rows of ASCII digits.
    moduli
        m moduli below 10,000.
    """
    rows, length = symbols.shape
    size = -(-length // 9)
    padded = np.zeros((rows, 9 * size), dtype=np.uint8)
    padded[:, 9 * size - length :] = symbols - _ZERO
    limbs = np.zeros((rows, size), dtype=np.int64)
    for place in range(9):
        limbs = limbs * 10 + padded[:, place::9]
    powers = np.array(
        [[pow(10**9, size - 1 - i, int(modulus)) for modulus in moduli] for i in range(size)],
        dtype=np.int64,
    ).reshape(size, len(moduli))
    left: Integers = (limbs @ powers) % moduli
    return left


@cache
def small_primes(limit: int) -> Integers:
    """Return the primes below a limit."""
    sieve = np.ones(limit, dtype=np.bool_)
    sieve[:2] = False
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = False
    return np.flatnonzero(sieve)


@cache
def prime_test() -> tuple[Callable[[str], Any], Callable[[Any], bool]]:
    """Return the function that parses digits and the primality test.

    The test is Baillie, Pomerance, Selfridge and Wagstaff's, exact below 2**64 and without a
    known exception above: by gmpy2, or by sympy, ten times slower, where gmpy2 is missing.

    Raise MissingExtraError if neither is installed.
    """
    try:
        import gmpy2
    except ImportError:
        try:
            import sympy
        except ImportError:
            raise MissingExtraError("gmpy2", "tasks", "test primes of a hundred digits") from None
        return int, lambda number: bool(sympy.isprime(number))
    small_factors = gmpy2.primorial(_FACTORS_BELOW)

    def test(number: Any) -> bool:
        # One gcd finds most composites of many digits for a tenth of the test's cost.
        if number.bit_length() > _LONG and gmpy2.gcd(number, small_factors) != 1:
            return False
        # Up to 24 repetitions GMP runs only this test; from 25 on it adds random bases.
        return bool(gmpy2.is_prime(number, 24))

    return gmpy2.mpz, test
