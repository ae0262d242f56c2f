"""Operators on lists of numbers and texts, and on their items."""

from typing import Any

import numpy as np

from llm_pv.search import mining
from llm_pv.search.operators import each, op


def _lengths(values: Any) -> Any:
    return values.layout.lengths.astype(float)


def _varied(values: Any) -> bool:
    return len(set(values.layout.lengths.tolist())) > 1


def _whole(values: Any) -> bool:
    return bool((values.flat == np.floor(values.flat)).all())


op("len({0})", "numbers | texts -> number", 1.0, column=_lengths, kind="count")
op("{0}[{c}]", "numbers -> number", 0.5, constants=mining.places_of_list)
op("{0}[{c}]", "texts -> text", 1.0, constants=mining.places_of_list)
op("len(set({0}))", "texts -> number", 2.0, kind="count")
op("sum({0}) / len({0})", "numbers -> number", 2.0)
op(
    "sum({0}) / max(1, len({0}))",
    "numbers -> number",
    2.5,
    when=lambda v: v.layout.empty.any(),
)
op("statistics.median({0})", "numbers -> number", 3.0)
op("sorted({0})[1]", "numbers -> number", 4.0)
op("sorted({0})[-2]", "numbers -> number", 3.0)
op("max({0}) - min({0})", "numbers -> number", 3.0)
op("{0}.index(max({0}))", "numbers -> number", 3.0, kind="place")
op("{0}.index(min({0}))", "numbers -> number", 3.0, kind="place")
op("max(accumulate({0}, lambda total, a: max(total, 0) + a))", "numbers -> number", 4.0)
op("min(accumulate({0}, lambda total, a: min(total, 0) + a))", "numbers -> number", 4.0)
op("max({0}, key=abs)", "numbers -> number", 3.0, when=lambda v: v.flat.min() < 0)
for code in ("sum(switched({0}, *{c}))", "switched({0}, *{c})[-1]"):
    op(
        code,
        "numbers -> number" if code.startswith("sum") else "numbers -> truth",
        3.0,
        constants=mining.two_levels,
        kind="count",
        when=lambda v: v.layout.lengths.mean() >= 6,
    )
op("sum(a * b for a, b in zip({0}[::2], {0}[1::2]))", "numbers -> number", 3.5, when=_varied)
op("math.gcd(*{0})", "numbers -> number", 4.0, when=_whole)
op("max(Counter({0}).values(), default=0)", "numbers | texts -> number", 3.0, kind="count")
op("math.prod({0})", "numbers -> number", 4.0, when=lambda v: v.layout.lengths.max() < 6)

op("{0} == {0}[::-1]", "numbers -> truth", 3.0)
op("{0} == sorted({0})", "numbers | texts -> truth", 2.5)
op("len(set({0})) == len({0})", "numbers | texts -> truth", 2.5)
op("{0}[: len({0}) // 2] < {0}[len({0}) // 2 :]", "numbers -> truth", 4.0)

op("{0}[1:]", "numbers -> numbers", 1.5, kind="slice", when=_varied)
op("{0}[:-1]", "numbers -> numbers", 1.5, kind="slice")
op("{0}[::2]", "numbers -> numbers", 2.0, kind="slice")
op("{0}[1::2]", "numbers -> numbers", 2.0, kind="slice")
op("{0}[: len({0}) // 2]", "numbers -> numbers", 2.5, kind="slice")
op("{0}[len({0}) // 2 :]", "numbers -> numbers", 2.5, kind="slice")
op("{0}[(len({0}) + 1) // 2 :]", "numbers -> numbers", 3.0, kind="slice", when=_varied)
op("sorted({0})[1:-1]", "numbers -> numbers", 2.5, name="middle")
op("[b - a for a, b in pairwise({0})]", "numbers -> numbers", 2.0, name="steps")
op("list(accumulate({0}))", "numbers -> numbers", 2.0, name="totals")
op("sorted({0})", "numbers -> numbers", 2.0, name="ordered", kind="slice")
op("list(Counter({0}).values())", "numbers | texts -> numbers", 2.5, name="counts")
op("[len(list(run)) for _, run in groupby({0})]", "numbers -> numbers", 3.5, name="runs")
op("[w[:1] for w in {0}]", "texts -> texts", 2.0, name="initials")

each("{a} > {c}", "number -> truth", 1.0, constants=mining.cuts)
each("{a} < {c}", "number -> truth", 1.0, constants=mining.cuts)
each("{a} == {c}", "number -> truth", 1.0, constants=mining.item_values)
each("{a} % 2 == 0", "number -> truth", 1.0)
each("{a} % 2 == 1", "number -> truth", 1.0)
each(
    "{a} % {c} == 0",
    "number -> truth",
    1.0,
    constants=lambda _: [(3, 1.0), (4, 1.5), (5, 1.5), (7, 2.0), (10, 1.0)],
)
each("abs({a})", "number -> number", 1.0, when=lambda v: v.min() < 0)
each("{a} * {a}", "number -> number", 2.0)
each("{a} % 10", "number -> number", 1.5, when=lambda v: v.max() > 20)

for sign in ("<", ">", "<=", ">=", "=="):
    each(f"{{a}} {sign} {{b}}", "number, number -> truth", 1.0, over="pairs")
each("{a} + 1 == {b}", "number, number -> truth", 1.5, over="pairs")
each("{a} * {b} < 0", "number, number -> truth", 2.5, over="pairs")
each("({a} + {b}) % 2 == 0", "number, number -> truth", 2.5, over="pairs")
for code in ("{b} - {a}", "abs({a} - {b})", "{a} + {b}"):
    each(code, "number, number -> number", 1.0, over="pairs, combined")
each("{a} == {b}", "number, number -> truth", 1.0, over="apart, combined, mirrored")
each("{a} < {b}", "number, number -> truth", 1.0, over="apart")
each("{a} > {b}", "number, number -> truth", 1.5, over="combined")
each("{a} + {b}", "number, number -> number", 1.5, over="mirrored")
for one, two in (("<", ">"), (">", "<"), ("<", "<"), (">", ">")):
    each(f"{{a}} {one} {{b}} {two} {{d}}", "number, number, number -> truth", 1.0, over="triples")
each("({a} < {b}) != ({b} < {d})", "number, number, number -> truth", 2.0, over="triples")
each("{i} * {a}", "number, number -> number", 1.5, over="indexed")
each("{a} * (-1) ** {i}", "number, number -> number", 2.0, over="indexed")
each("{a} == {i}", "number, number -> truth", 2.0, over="indexed")
each("{a} > {i}", "number, number -> truth", 2.5, over="indexed")
