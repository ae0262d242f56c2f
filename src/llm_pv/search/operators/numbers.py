"""Operators on numbers, and on whole numbers of any size."""

from typing import Any

import numpy as np

from llm_pv.search import mining
from llm_pv.search.operators import op


def _whole(values: Any) -> bool:
    known = values[np.isfinite(values)]
    return bool((known == np.floor(known)).all()) and len(np.unique(known[:200])) > 4


def _large(values: Any) -> bool:
    return _whole(values) and bool(np.nanmax(np.abs(values)) > 20)


def _measured(values: Any) -> bool:
    fractions = (values != np.floor(values)) & np.isfinite(values)
    return bool(np.nanmax(values) < 1000 and fractions.any())


def _signed(values: Any) -> bool:
    return bool(np.nanmin(values) < 0 < np.nanmax(values))


op("{0} % {c}", "number -> number", 2.0, constants=mining.moduli, kind="remainder")
op("{0} // 10", "number -> number", 2.5, when=_large, kind="rounded")
op("{0} // 100", "number -> number", 3.0, when=_large, kind="rounded")
op("abs({0})", "number -> number", 1.0, when=_signed)
op("{0} ** 2", "number -> number", 2.5, when=_measured, kind="square")
op("{0} + {1}", "number, number -> number", 2.0)
op("{0} - {1}", "number, number -> number", 2.0)
op("{0} * {1}", "number, number -> number", 2.5)
op("{0} / {1}", "number, number -> number", 2.5)
op("abs({0} - {1})", "number, number -> number", 3.0)
op("max({0}, {1})", "number, number -> number", 3.5)
op("min({0}, {1})", "number, number -> number", 3.5)
op("{0} % {1}", "number, number -> number", 3.5, kind="remainder")

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
op("math.isqrt({0}) ** 2 == {0}", "whole -> truth", 4.0, when=lambda v: min(v) >= 0)
op(
    "abs({0} - round(math.sqrt({0})) ** 2)",
    "whole -> number",
    5.0,
    when=lambda v: min(v) >= 0 and max(v) < 10**14,
)
op("{0} & ({0} - 1) == 0", "whole -> truth", 5.0, when=lambda v: min(v) >= 0)
op("str({0}) == str({0})[::-1]", "whole -> truth", 5.0, when=lambda v: min(v) >= 0)

op("is_prime({0})", "whole -> truth", 4.0)
op(
    "divisors({0})",
    "whole -> numbers",
    3.0,
    name="found",
    when=lambda v: min(v) >= 1 and max(v) < 10**6,
)
op(
    "prime_factors({0})",
    "whole -> numbers",
    3.0,
    name="factors",
    when=lambda v: min(v) >= 1 and max(v) < 10**6,
)


def _gcd(a: Any, b: Any) -> Any:
    if (a != np.floor(a)).any() or (b != np.floor(b)).any():
        return np.full(len(a), np.nan)
    return np.gcd(a.astype(np.int64), b.astype(np.int64)).astype(np.float64)


op("math.gcd(int({0}), int({1}))", "number, number -> number", 4.0, column=_gcd)
