"""Operators on the edges of a graph, and on brackets."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from llm_pv.search.operators import op
from llm_pv.search.prices import choice_bits

TOKENS = (r"\d+", r"[A-Za-z]+")
OPENING, CLOSING = "([{", ")]}"
PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))


def are_edges(token: str) -> Any:
    """Tell whether tokens come in pairs: what stands inside a pair never stands between pairs."""

    def is_graph(values: Sequence[str]) -> bool:
        inner: set[str] = set()
        outer: set[str] = set()
        longest = 0
        for row in values:
            gaps = re.split(token, row)
            if len(gaps) < 3 or len(gaps) % 2 == 0:
                return False
            inner.update(gaps[1:-1:2])
            outer.update(gaps[2:-1:2])
            longest = max(longest, len(gaps) // 2)
        return longest >= 2 and len(inner) <= 2 and not inner & outer and len(outer) <= 1

    return is_graph


def _vertices(values: Sequence[Any]) -> Iterator[tuple[str, float]]:
    """Yield vertices that most rows have."""
    counts: Counter[str] = Counter()
    for row in values:
        counts.update(sorted({vertex for edge in row for vertex in edge}))
    for vertex, count in counts.most_common(4):
        if count > len(values) / 2:
            yield vertex, 2.0


def _pairs_of_vertices(values: Sequence[Any]) -> Iterator[tuple[Any, float]]:
    frequent = sorted(vertex for vertex, _ in _vertices(values))
    yield from (((a, b), 1.5) for a in frequent for b in frequent if a < b)


for token in TOKENS:
    op(
        f'list(zip(*[iter(re.findall(r"{token}", {{0}}))] * 2))',
        "text -> edges",
        1.0,
        name="edges",
        when=are_edges(token),
    )
op("len({0})", "edges -> number", 1.0, kind="count")
op("len({{v for edge in {0} for v in edge}})", "edges -> number", 2.0, kind="count")
op("len({{frozenset(edge) for edge in {0}}})", "edges -> number", 3.5, kind="count")
op("len(component_sizes({0}))", "edges -> number", 2.0, kind="count")
op("max(component_sizes({0}))", "edges -> number", 3.0, kind="count")
op(
    "len({0}) - len({{v for edge in {0} for v in edge}}) + len(component_sizes({0}))",
    "edges -> number",
    4.0,
    kind="count",
)
op("triangles({0})", "edges -> number", 2.5, kind="count")
op("longest_distance({0})", "edges -> number", 4.0, kind="count")
op("sum((b, a) in {0} for a, b in {0})", "edges -> number", 4.0, kind="count")
op("len({{a for a, _ in {0}}})", "edges -> number", 4.0, kind="count")
op("len({{b for _, b in {0}}})", "edges -> number", 4.0, kind="count")
op("len({{a for a, _ in {0}}} - {{b for _, b in {0}}})", "edges -> number", 4.0, kind="count")
op("len({{b for _, b in {0}}} - {{a for a, _ in {0}}})", "edges -> number", 4.0, kind="count")
op("is_bipartite({0})", "edges -> truth", 2.5)
op("has_directed_cycle({0})", "edges -> truth", 3.0)
op("sum({c} in edge for edge in {0})", "edges -> number", 2.0, constants=_vertices, kind="count")
op(
    "len(component_sizes([edge for edge in {0} if {c} not in edge]))",
    "edges -> number",
    4.0,
    constants=_vertices,
    kind="count",
)
op("distance({0}, *{c})", "edges -> number", 2.5, constants=_pairs_of_vertices)
op("distance({0}, min(sum({0}, ()), key=int), max(sum({0}, ()), key=int))", "edges -> number", 4.0)
op(
    "list(Counter(v for edge in {0} for v in edge).values())",
    "edges -> numbers",
    1.5,
    name="degrees",
)
op("list(Counter(a for a, _ in {0}).values())", "edges -> numbers", 3.0, name="outgoing")
op("list(Counter(b for _, b in {0}).values())", "edges -> numbers", 3.0, name="incoming")


def _bracketed(values: Sequence[str]) -> bool:
    return sum(any(c in OPENING for c in row) for row in values) > 0.9 * len(values)


def _pairings(values: Sequence[str]) -> Iterator[tuple[Any, float]]:
    """Yield pairs of opening and closing symbols: the usual ones, or any of a few symbols."""
    symbols = sorted({c for value in values for c in value})
    usual = {b: a for a, b in PAIRS if a in symbols or b in symbols}
    if usual:
        yield dict(usual), 0.0
        if len(usual) > 1:
            for closing, opening in usual.items():
                yield {closing: opening}, 1.5
    elif len(symbols) in (2, 4):
        found = list(_partners(symbols))
        yield from ((pairing, float(round(choice_bits(len(found))))) for pairing in found)


def _token_pairings(values: Any) -> Iterator[tuple[Any, float]]:
    if values.items is not None and len(values.items) in (2, 4):
        found = list(_partners(list(values.items)))
        yield from ((pairing, float(round(choice_bits(len(found))))) for pairing in found)


def _partners(symbols: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield every way to make all symbols partners, closing ones to opening ones."""
    if not symbols:
        yield {}
        return
    first, *others = symbols
    for partner, opens in product(others, (True, False)):
        for rest in _partners([symbol for symbol in others if symbol != partner]):
            yield {partner: first, **rest} if opens else {first: partner, **rest}


op("balanced({0}, {c})", "text -> truth", 2.0, constants=_pairings)
op("balanced({0}, {c})", "texts -> truth", 2.0, constants=_token_pairings)
op("pairs_within({0})", "text -> numbers", 3.0, name="children", when=_bracketed)
op("deepest({0})", "text -> category", 3.0, when=_bracketed)
op("between_depths({0}, 0, 1)", "text -> text", 4.0, name="shallow", when=_bracketed)
op("between_depths({0}, 2)", "text -> text", 4.0, name="deep", when=_bracketed)
op(
    'list(accumulate((k in "([{{") - (k in ")]}}") for k in {0}))',
    "text -> numbers",
    2.5,
    name="depths",
    when=_bracketed,
)
