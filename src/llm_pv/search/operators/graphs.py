"""Operators on the edges of a graph, and on brackets."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from llm_pv.search.operators import op
from llm_pv.search.prices import choice_bits

COUNTER = ("from collections import Counter",)
ACCUMULATE = ("from itertools import accumulate",)
REGEX = ("import re",)
TOKENS = (r"\d+", r"[A-Za-z]+")
OPENING, CLOSING = "([{", ")]}"
PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))

COMPONENT_SIZES = '''def component_sizes(edges):
    """Return how many vertices each connected component has."""
    group = {vertex: {vertex} for edge in edges for vertex in edge}
    for a, b in edges:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for vertex in group[b]:
                group[vertex] = group[a]
    return sorted(len(one) for one in {id(one): one for one in group.values()}.values())'''
TRIANGLES = '''def triangles(edges):
    """Return how many three vertices are all joined."""
    links = {frozenset(edge) for edge in edges if edge[0] != edge[1]}
    vertices = sorted({vertex for edge in links for vertex in edge})
    joined = {v: {w for w in vertices if frozenset((v, w)) in links} for v in vertices}
    return sum(len(joined[a] & joined[b]) for a, b in map(tuple, links)) // 3'''
IS_BIPARTITE = '''def is_bipartite(edges):
    """Tell whether the vertices can be coloured in two colours, no edge joining equal ones."""
    joined = {}
    for a, b in edges:
        joined.setdefault(a, set()).add(b)
        joined.setdefault(b, set()).add(a)
    colour = {}
    for start in joined:
        if start in colour:
            continue
        colour[start], waiting = 0, [start]
        while waiting:
            vertex = waiting.pop()
            for other in joined[vertex]:
                if other not in colour:
                    colour[other] = 1 - colour[vertex]
                    waiting.append(other)
                elif colour[other] == colour[vertex]:
                    return False
    return True'''
HAS_DIRECTED_CYCLE = '''def has_directed_cycle(edges):
    """Tell whether following edges from first to second end can lead back to a vertex."""
    left = set(edges)
    while left:
        targets = {b for _, b in left}
        kept = {(a, b) for a, b in left if a in targets}
        if kept == left:
            return True
        left = kept
    return False'''
DISTANCES = '''def longest_distance(edges):
    """Return the largest number of edges on a shortest path between two joined vertices."""
    joined = {}
    for a, b in edges:
        joined.setdefault(a, set()).add(b)
        joined.setdefault(b, set()).add(a)
    longest = 0
    for start in joined:
        reached, border, distance = {start}, {start}, 0
        while border:
            longest = max(longest, distance)
            border = {other for vertex in border for other in joined[vertex]} - reached
            reached |= border
            distance += 1
    return longest'''
DISTANCE = '''def distance(edges, start, end):
    """Return how many edges lead from one vertex to another, -1 if none do."""
    reached, border, steps = {start}, {start}, 0
    while border:
        if end in reached:
            return steps
        border = {b for edge in edges for a, b in (edge, edge[::-1]) if a in border} - reached
        reached |= border
        steps += 1
    return -1'''
BALANCED = '''def balanced(symbols, partner):
    """Tell whether every opening symbol is closed by its own partner, in order."""
    waiting = []
    for symbol in symbols:
        if symbol in partner.values():
            waiting.append(symbol)
        elif symbol in partner and (not waiting or waiting.pop() != partner[symbol]):
            return False
    return not waiting'''
BETWEEN_DEPTHS = '''def between_depths(text, low, high=1000):
    """Return the text with blanks for what is less than low or more than high brackets deep."""
    kept, depth = [], 0
    for c in text:
        depth += c in "([{"
        kept.append(c if low <= depth <= high else " ")
        depth -= c in ")]}"
    return "".join(kept)'''
PAIRS_WITHIN = '''def pairs_within(text):
    """Return, for each pair of brackets, how many pairs lie directly inside it."""
    counts, open_pairs = [], []
    for c in text:
        if c in "([{":
            if open_pairs:
                counts[open_pairs[-1]] += 1
            open_pairs.append(len(counts))
            counts.append(0)
        elif c in ")]}" and open_pairs:
            open_pairs.pop()
    return counts'''
DEEPEST = '''def deepest(text):
    """Return the bracket that opens the deepest pair, the first one of several."""
    depth, best, found = 0, 0, ""
    for c in text:
        depth += c in "([{"
        if c in "([{" and depth > best:
            best, found = depth, c
        depth -= c in ")]}"
    return found'''


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
        counts.update({vertex for edge in row for vertex in edge})
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
        imports=REGEX,
        name="edges",
        when=are_edges(token),
    )
op("len({0})", "edges -> number", 1.0, kind="count")
op("len({{v for edge in {0} for v in edge}})", "edges -> number", 2.0, kind="count")
op("len({{frozenset(edge) for edge in {0}}})", "edges -> number", 3.5, kind="count")
op("len(component_sizes({0}))", "edges -> number", 2.0, helper=COMPONENT_SIZES, kind="count")
op("max(component_sizes({0}))", "edges -> number", 3.0, helper=COMPONENT_SIZES, kind="count")
op(
    "len({0}) - len({{v for edge in {0} for v in edge}}) + len(component_sizes({0}))",
    "edges -> number",
    4.0,
    helper=COMPONENT_SIZES,
    kind="count",
)
op("triangles({0})", "edges -> number", 2.5, helper=TRIANGLES, kind="count")
op("longest_distance({0})", "edges -> number", 4.0, helper=DISTANCES, kind="count")
op("sum((b, a) in {0} for a, b in {0})", "edges -> number", 4.0, kind="count")
op("len({{a for a, _ in {0}}})", "edges -> number", 4.0, kind="count")
op("len({{b for _, b in {0}}})", "edges -> number", 4.0, kind="count")
op("len({{a for a, _ in {0}}} - {{b for _, b in {0}}})", "edges -> number", 4.0, kind="count")
op("len({{b for _, b in {0}}} - {{a for a, _ in {0}}})", "edges -> number", 4.0, kind="count")
op("is_bipartite({0})", "edges -> truth", 2.5, helper=IS_BIPARTITE)
op("has_directed_cycle({0})", "edges -> truth", 3.0, helper=HAS_DIRECTED_CYCLE)
op("sum({c} in edge for edge in {0})", "edges -> number", 2.0, constants=_vertices, kind="count")
op(
    "len(component_sizes([edge for edge in {0} if {c} not in edge]))",
    "edges -> number",
    4.0,
    constants=_vertices,
    helper=COMPONENT_SIZES,
    kind="count",
)
op("distance({0}, *{c})", "edges -> number", 2.5, constants=_pairs_of_vertices, helper=DISTANCE)
op(
    "distance({0}, min(sum({0}, ()), key=int), max(sum({0}, ()), key=int))",
    "edges -> number",
    4.0,
    helper=DISTANCE,
)
op(
    "list(Counter(v for edge in {0} for v in edge).values())",
    "edges -> numbers",
    1.5,
    imports=COUNTER,
    name="degrees",
)
op(
    "list(Counter(a for a, _ in {0}).values())",
    "edges -> numbers",
    3.0,
    imports=COUNTER,
    name="outgoing",
)
op(
    "list(Counter(b for _, b in {0}).values())",
    "edges -> numbers",
    3.0,
    imports=COUNTER,
    name="incoming",
)


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


op("balanced({0}, {c})", "text -> truth", 2.0, constants=_pairings, helper=BALANCED)
op("balanced({0}, {c})", "texts -> truth", 2.0, constants=_token_pairings, helper=BALANCED)
op(
    "pairs_within({0})",
    "text -> numbers",
    3.0,
    helper=PAIRS_WITHIN,
    name="children",
    when=_bracketed,
)
op("deepest({0})", "text -> category", 3.0, helper=DEEPEST, when=_bracketed)
op(
    "between_depths({0}, 0, 1)",
    "text -> text",
    4.0,
    helper=BETWEEN_DEPTHS,
    name="shallow",
    when=_bracketed,
)
op(
    "between_depths({0}, 2)",
    "text -> text",
    4.0,
    helper=BETWEEN_DEPTHS,
    name="deep",
    when=_bracketed,
)
op(
    'list(accumulate((k in "([{{") - (k in ")]}}") for k in {0}))',
    "text -> numbers",
    2.5,
    imports=ACCUMULATE,
    name="depths",
    when=_bracketed,
)
