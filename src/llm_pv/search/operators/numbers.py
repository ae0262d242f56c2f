"""Operators on numbers, and on whole numbers of any size."""

from typing import Any

import numpy as np

from llm_pv.search import mining
from llm_pv.search.operators import op

MATH = ("import math",)


def _whole(values: Any) -> bool:
    known = values[np.isfinite(values)]
    return bool((known == np.floor(known)).all()) and len(np.unique(known[:200])) > 4


def _large(values: Any) -> bool:
    return _whole(values) and bool(np.nanmax(np.abs(values)) > 20)


def _signed(values: Any) -> bool:
    return bool(np.nanmin(values) < 0 < np.nanmax(values))


op("{0} % {c}", "number -> number", 2.0, constants=mining.moduli, column=np.mod, kind="remainder")
op("{0} // 10", "number -> number", 2.5, column=lambda v: np.floor_divide(v, 10), when=_large)
op("{0} // 100", "number -> number", 3.0, column=lambda v: np.floor_divide(v, 100), when=_large)
op("abs({0})", "number -> number", 1.0, column=np.abs, when=_signed)
op("{0} + {1}", "number, number -> number", 2.0, column=np.add)
op("{0} - {1}", "number, number -> number", 2.0, column=np.subtract)
op("{0} * {1}", "number, number -> number", 2.5, column=np.multiply)
op("{0} / {1}", "number, number -> number", 2.5, column=np.divide)
op("abs({0} - {1})", "number, number -> number", 3.0, column=lambda a, b: np.abs(a - b))
op("max({0}, {1})", "number, number -> number", 3.5, column=np.maximum)
op("min({0}, {1})", "number, number -> number", 3.5, column=np.minimum)
op("{0} % {1}", "number, number -> number", 3.5, column=np.mod, kind="remainder")

# Whole numbers, whose digits, factors and powers matter.
op("int({0})", "text -> whole", 1.0)
op("int({0}, 2)", "text -> whole", 2.5, when=lambda v: set("".join(v[:50])) <= set("01"))
MODULI = ((1.0, [2]), (1.5, [3, 4, 10]), (2.0, [5, 6, 7, 8, 9]), (2.5, [11, 12, 100]))
LARGER = ((3.0, [13, 15, 16, 20, 25]), (3.5, [17, 19]))
op(
    "{0} % {c}",
    "whole -> number",
    1.0,
    constants=lambda _: [(m, bits) for bits, some in (*MODULI, *LARGER) for m in some],
    kind="remainder",
)
op(
    "{0} - {c}",
    "whole -> whole",
    2.0,
    constants=lambda _: [(c, mining.grid(1.2 * len(str(abs(c))))) for c in range(-9, 100) if c],
)
op("{0}.bit_count()", "whole -> number", 4.0, when=lambda v: min(v) >= 0)
op("{0}.bit_length()", "whole -> number", 4.0, when=lambda v: min(v) >= 0)
op(
    "[int(k) for k in str(abs({0}))]",
    "whole -> numbers",
    2.5,
    name="digits",
    when=lambda v: max(v) < 10**12,
)
op(
    "math.isqrt({0}) ** 2 == {0}",
    "whole -> truth",
    4.0,
    imports=MATH,
    when=lambda v: min(v) >= 0,
    opposite="math.isqrt({0}) ** 2 != {0}",
)
op(
    "abs({0} - round(math.sqrt({0})) ** 2)",
    "whole -> number",
    5.0,
    imports=MATH,
    when=lambda v: min(v) >= 0 and max(v) < 10**14,
)
op("{0} & ({0} - 1) == 0", "whole -> truth", 5.0, when=lambda v: min(v) >= 0)
op("str({0}) == str({0})[::-1]", "whole -> truth", 5.0, when=lambda v: min(v) >= 0)

PRIME = '''def is_prime(n):
    """Tell whether n is prime (Miller and Rabin, with the first twelve primes as bases)."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if n < 2 or any(n % p == 0 for p in bases):
        return n in bases
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        power = pow(base, odd, n)
        if power in (1, n - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % n
            if power == n - 1:
                break
        else:
            return False
    return True'''
DIVISORS = '''def divisors(n):
    """Return the positive divisors of n."""
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]'''
FACTORS = '''def prime_factors(n):
    """Return the prime factors of n, smallest first, each as often as it divides n."""
    factors, divisor = [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors + [n] * (n > 1)'''
op("is_prime({0})", "whole -> truth", 4.0, helper=PRIME)
op(
    "divisors({0})",
    "whole -> numbers",
    3.0,
    helper=DIVISORS,
    name="found",
    when=lambda v: min(v) >= 1 and max(v) < 10**6,
)
op(
    "prime_factors({0})",
    "whole -> numbers",
    3.0,
    helper=FACTORS,
    name="factors",
    when=lambda v: min(v) >= 1 and max(v) < 10**6,
)


def _gcd(a: Any, b: Any) -> Any:
    if (a != np.floor(a)).any() or (b != np.floor(b)).any():
        return np.full(len(a), np.nan)
    return np.gcd(a.astype(np.int64), b.astype(np.int64)).astype(np.float64)


op("math.gcd(int({0}), int({1}))", "number, number -> number", 4.0, imports=MATH, column=_gcd)
