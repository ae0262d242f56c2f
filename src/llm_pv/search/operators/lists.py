"""Operators on lists of numbers and texts, and on their items."""

from typing import Any

import numpy as np

from llm_pv.search import mining
from llm_pv.search.operators import each, op

ACCUMULATE = ("from itertools import accumulate",)
COUNTER = ("from collections import Counter",)
GROUPBY = ("from itertools import groupby",)
PAIRWISE = ("from itertools import pairwise",)
MATH = ("import math",)
STATISTICS = ("import statistics",)
SWITCHED = '''def switched(values, on, off):
    """Return the states of a switch that values above one level turn on, below another off."""
    states, state = [], False
    for value in values:
        state = value > on or (state and value >= off)
        states.append(state)
    return states'''


def _varied(values: Any) -> bool:
    return len(set(values.layout.lengths.tolist())) > 1


def _whole(values: Any) -> bool:
    return bool((values.flat == np.floor(values.flat)).all())


op(
    "len({0})",
    "numbers -> number",
    1.0,
    column=lambda v: v.layout.lengths.astype(float),
    kind="count",
)
op(
    "len({0})",
    "texts -> number",
    1.0,
    column=lambda v: v.layout.lengths.astype(float),
    kind="count",
)
op("{0}[{c}]", "numbers -> number", 0.5, constants=mining.places_of_list)
op("{0}[{c}]", "texts -> text", 1.0, constants=mining.places_of_list)
op("len(set({0}))", "texts -> number", 2.0, kind="count")
op("sum({0}) / len({0})", "numbers -> number", 2.0)
op("statistics.median({0})", "numbers -> number", 3.0, imports=STATISTICS)
op("sorted({0})[1]", "numbers -> number", 4.0)
op("sorted({0})[-2]", "numbers -> number", 3.0)
op("max({0}) - min({0})", "numbers -> number", 3.0)
op("{0}.index(max({0}))", "numbers -> number", 3.0, kind="place")
op("{0}.index(min({0}))", "numbers -> number", 3.0, kind="place")
op(
    "max(accumulate({0}, lambda total, a: max(total, 0) + a))",
    "numbers -> number",
    4.0,
    imports=ACCUMULATE,
)
op(
    "min(accumulate({0}, lambda total, a: min(total, 0) + a))",
    "numbers -> number",
    4.0,
    imports=ACCUMULATE,
)
op("max({0}, key=abs)", "numbers -> number", 3.0, when=lambda v: v.flat.min() < 0)
for code in ("sum(switched({0}, *{c}))", "switched({0}, *{c})[-1]"):
    op(
        code,
        "numbers -> number" if code.startswith("sum") else "numbers -> truth",
        3.0,
        constants=mining.two_levels,
        helper=SWITCHED,
        kind="count",
        when=lambda v: v.layout.lengths.mean() >= 6,
    )
op("sum(a * b for a, b in zip({0}[::2], {0}[1::2]))", "numbers -> number", 3.5, when=_varied)
op("math.gcd(*{0})", "numbers -> number", 4.0, imports=MATH, when=_whole)
op("max(Counter({0}).values(), default=0)", "numbers -> number", 3.0, imports=COUNTER, kind="count")
op("max(Counter({0}).values(), default=0)", "texts -> number", 3.0, imports=COUNTER, kind="count")
op(
    "math.prod({0})",
    "numbers -> number",
    4.0,
    imports=MATH,
    when=lambda v: v.layout.lengths.max() < 6,
)

op("{0} == {0}[::-1]", "numbers -> truth", 3.0, opposite="{0} != {0}[::-1]")
op("{0} == sorted({0})", "numbers -> truth", 2.5, opposite="{0} != sorted({0})")
op("{0} == sorted({0})", "texts -> truth", 2.5, opposite="{0} != sorted({0})")
op("len(set({0})) == len({0})", "numbers -> truth", 2.5, opposite="len(set({0})) < len({0})")
op("len(set({0})) == len({0})", "texts -> truth", 2.5, opposite="len(set({0})) < len({0})")
op(
    "{0}[: len({0}) // 2] < {0}[len({0}) // 2 :]",
    "numbers -> truth",
    4.0,
    opposite="{0}[: len({0}) // 2] >= {0}[len({0}) // 2 :]",
)

op("{0}[1:]", "numbers -> numbers", 1.5, kind="slice", when=_varied)
op("{0}[:-1]", "numbers -> numbers", 1.5, kind="slice")
op("{0}[::2]", "numbers -> numbers", 2.0, kind="slice")
op("{0}[1::2]", "numbers -> numbers", 2.0, kind="slice")
op("{0}[: len({0}) // 2]", "numbers -> numbers", 2.5, kind="slice")
op("{0}[len({0}) // 2 :]", "numbers -> numbers", 2.5, kind="slice")
op("[b - a for a, b in pairwise({0})]", "numbers -> numbers", 2.0, imports=PAIRWISE, name="steps")
op("list(accumulate({0}))", "numbers -> numbers", 2.0, imports=ACCUMULATE, name="totals")
op("sorted({0})", "numbers -> numbers", 2.0, name="ordered", kind="slice")
op("list(Counter({0}).values())", "numbers -> numbers", 2.5, imports=COUNTER, name="counts")
op("list(Counter({0}).values())", "texts -> numbers", 2.5, imports=COUNTER, name="counts")
op(
    "[len(list(run)) for _, run in groupby({0})]",
    "numbers -> numbers",
    3.5,
    imports=GROUPBY,
    name="runs",
)
op("[w[:1] for w in {0}]", "texts -> texts", 2.0, name="initials")

each("{a} > {c}", "number -> truth", 1.0, constants=mining.cuts, column=np.greater)
each("{a} < {c}", "number -> truth", 1.0, constants=mining.cuts, column=np.less)
each("{a} == {c}", "number -> truth", 1.0, constants=mining.item_values, column=np.equal)
each("{a} % 2 == 0", "number -> truth", 1.0, column=lambda a: a % 2 == 0)
each("{a} % 2 == 1", "number -> truth", 1.0, column=lambda a: a % 2 == 1)
each(
    "{a} % {c} == 0",
    "number -> truth",
    1.0,
    column=lambda a, c: a % c == 0,
    constants=lambda _: [(3, 1.0), (4, 1.5), (5, 1.5), (7, 2.0), (10, 1.0)],
)
each("abs({a})", "number -> number", 1.0, column=np.abs, when=lambda v: v.min() < 0)
each("{a} * {a}", "number -> number", 2.0, column=np.square)
each("{a} % 10", "number -> number", 1.5, column=lambda a: a % 10, when=lambda v: v.max() > 20)

SIGNS = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal, "==": np.equal}
for sign, compare in SIGNS.items():
    code = f"{{a}} {sign} {{b}}"
    each(code, "number, number -> truth", 1.0, over="pairs", column=compare)
each("{a} + 1 == {b}", "number, number -> truth", 1.5, over="pairs", column=lambda a, b: a + 1 == b)
each("{a} * {b} < 0", "number, number -> truth", 2.5, over="pairs", column=lambda a, b: a * b < 0)
each(
    "({a} + {b}) % 2 == 0",
    "number, number -> truth",
    2.5,
    over="pairs",
    column=lambda a, b: (a + b) % 2 == 0,
)
each("{b} - {a}", "number, number -> number", 1.0, over="pairs", column=lambda a, b: b - a)
each(
    "abs({a} - {b})",
    "number, number -> number",
    1.0,
    over="pairs",
    column=lambda a, b: np.abs(a - b),
)
each("{a} + {b}", "number, number -> number", 1.0, over="pairs", column=np.add)
each("{a} == {b}", "number, number -> truth", 1.0, over="apart", column=np.equal)
each("{a} < {b}", "number, number -> truth", 1.0, over="apart", column=np.less)
for one, two in (("<", ">"), (">", "<"), ("<", "<"), (">", ">")):
    each(
        f"{{a}} {one} {{b}} {two} {{d}}",
        "number, number, number -> truth",
        1.0,
        over="triples",
        column=lambda a, b, d, one=SIGNS[one], two=SIGNS[two]: one(a, b) & two(b, d),
    )
each(
    "({a} < {b}) != ({b} < {d})",
    "number, number, number -> truth",
    2.0,
    over="triples",
    column=lambda a, b, d: (a < b) != (b < d),
)
each("{a} == {b}", "number, number -> truth", 1.0, over="combined", column=np.equal)
each("{a} > {b}", "number, number -> truth", 1.5, over="combined", column=np.greater)
each("{a} + {b}", "number, number -> number", 1.0, over="combined", column=np.add)
each(
    "abs({a} - {b})",
    "number, number -> number",
    1.0,
    over="combined",
    column=lambda a, b: np.abs(a - b),
)
each("{b} - {a}", "number, number -> number", 1.0, over="combined", column=lambda a, b: b - a)
each("{i} * {a}", "number, number -> number", 1.5, over="indexed", column=np.multiply)
each(
    "{a} * (-1) ** {i}",
    "number, number -> number",
    2.0,
    over="indexed",
    column=lambda i, a: a * (-1) ** i,
)
each("{a} == {i}", "number, number -> truth", 2.0, over="indexed", column=np.equal)
each("{a} > {i}", "number, number -> truth", 2.5, over="indexed", column=lambda i, a: a > i)
each("{a} == {b}", "number, number -> truth", 1.0, over="mirrored", column=np.equal)
each("{a} + {b}", "number, number -> number", 1.5, over="mirrored", column=np.add)
