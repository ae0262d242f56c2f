"""Edge lists: text that names pairs of vertices, and what is read off the graph they make."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    Definition,
    Evaluator,
    Expression,
    as_numbers,
    imports,
    level_of,
)
from llm_pv.proposers.length_first.sequences import Part, literal

MOST_NAMED = 6
"""Vertices that are looked at by name, the most frequent ones."""
TOKENS = (r"\d+", r"[A-Za-z]+", r"\w+")

COMPONENT_SIZES = Definition(
    '''def component_sizes(edges):
    """Return how many vertices each connected component has."""
    group = {vertex: {vertex} for edge in edges for vertex in edge}
    for a, b in edges:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for vertex in group[b]:
                group[vertex] = group[a]
    return sorted(len(one) for one in {id(one): one for one in group.values()}.values())''',
    "helper",
)
TRIANGLES = Definition(
    '''def triangles(edges):
    """Return how many three vertices are all joined."""
    links = {frozenset(edge) for edge in edges if edge[0] != edge[1]}
    vertices = sorted({vertex for edge in links for vertex in edge})
    joined = {v: {w for w in vertices if frozenset((v, w)) in links} for v in vertices}
    return sum(len(joined[a] & joined[b]) for a, b in map(tuple, links)) // 3''',
    "helper",
)
IS_BIPARTITE = Definition(
    '''def is_bipartite(edges):
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
    return True''',
    "helper",
)
HAS_DIRECTED_CYCLE = Definition(
    '''def has_directed_cycle(edges):
    """Tell whether following edges from first to second end can lead back to a vertex."""
    left = set(edges)
    while left:
        targets = {b for _, b in left}
        kept = {(a, b) for a, b in left if a in targets}
        if kept == left:
            return True
        left = kept
    return False''',
    "helper",
)
DISTANCES = Definition(
    '''def longest_distance(edges):
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
    return longest''',
    "helper",
)
DISTANCE = Definition(
    '''def distance(edges, start, end):
    """Return how many edges lead from one vertex to another, -1 if none do."""
    reached, border, steps = {start}, {start}, 0
    while border:
        if end in reached:
            return steps
        border = {b for edge in edges for a, b in (edge, edge[::-1]) if a in border} - reached
        reached |= border
        steps += 1
    return -1''',
    "helper",
)
COUNTER = imports(weights.COUNTER)


@dataclass(frozen=True)
class Invariant:
    """A number, a truth value or a list read off edges, with its price."""

    template: str
    bits: float
    needs: tuple[Definition, ...] = ()


NUMBERS = (
    Invariant("len({s})", 2.0),
    Invariant("len({{vertex for edge in {s} for vertex in edge}})", 2.0),
    Invariant("len({{frozenset(edge) for edge in {s}}})", 4.0),
    Invariant("len(component_sizes({s}))", 3.0, (COMPONENT_SIZES,)),
    Invariant("max(component_sizes({s}))", 4.0, (COMPONENT_SIZES,)),
    Invariant("min(component_sizes({s}))", 4.5, (COMPONENT_SIZES,)),
    Invariant("triangles({s})", 4.0, (TRIANGLES,)),
    Invariant("longest_distance({s})", 5.0, (DISTANCES,)),
    Invariant("sum(a == b for a, b in {s})", 4.0),
    Invariant("sum(a < b for a, b in {s})", 5.0),
    Invariant("len({{a for a, _ in {s}}})", 4.5),
    Invariant("len({{b for _, b in {s}}})", 4.5),
    Invariant("sum((b, a) in {s} for a, b in {s})", 5.0),
    Invariant(
        "len({s}) - len({{vertex for edge in {s} for vertex in edge}}) + len(component_sizes({s}))",
        5.0,
        (COMPONENT_SIZES,),
    ),
)
FLAGS = (
    Invariant("is_bipartite({s})", 4.0, (IS_BIPARTITE,)),
    Invariant("has_directed_cycle({s})", 4.5, (HAS_DIRECTED_CYCLE,)),
)
LISTS = (
    ("degrees", "list(Counter(vertex for edge in {s} for vertex in edge).values())", 2.0),
    ("outgoing", "list(Counter(a for a, _ in {s}).values())", 4.0),
    ("incoming", "list(Counter(b for _, b in {s}).values())", 4.0),
)


def edges_of(text: Part, local: str, evaluator: Evaluator, size: int) -> Part | None:
    """Return the edges a text lists, under a local name; None if it is no list of edges."""
    train = [str(row) for row in text.rows[:size]]
    for token in TOKENS:
        if not _are_edges(train, token):
            continue
        template = f'list(zip(*[iter(re.findall(r"{token}", {{s}}))] * 2))'
        needs = imports(weights.REGEX)
        rows = evaluator.run(template, {}, text.rows, needs)
        if rows is None:
            continue
        assignment = f"{local} = {template.format(s=text.code)}"
        definition = Definition(assignment, "local", (*text.needs, *needs))
        return Part(local, text.bits + 2.0, rows, (definition,))  # type: ignore[arg-type]
    return None


def _are_edges(train: Sequence[str], token: str) -> bool:
    """Tell whether tokens come in pairs: what stands inside a pair never stands between pairs."""
    inner: set[str] = set()
    outer: set[str] = set()
    longest = 0
    for row in train:
        gaps = re.split(token, row)
        if len(gaps) < 3 or len(gaps) % 2 == 0:
            return False
        inner.update(gaps[1:-1:2])
        outer.update(gaps[2:-1:2])
        longest = max(longest, len(gaps) // 2)
    return longest >= 2 and len(inner) <= 2 and not inner & outer and len(outer) <= 2


def _between_named(edges: Part, size: int) -> Iterator[Invariant]:
    """Yield distances between vertices that most rows have, and their degrees."""
    counts: Counter[str] = Counter()
    for row in edges.rows[:size]:
        counts.update({str(vertex) for edge in row for vertex in edge})  # type: ignore[union-attr]
    frequent = [name for name, count in counts.most_common(MOST_NAMED) if count > size / 2]
    for index, first in enumerate(frequent):
        name = literal(first)
        yield Invariant(f"sum({name} in edge for edge in {{s}})", 5.0)
        for second in frequent[:index]:
            template = f"distance({{s}}, {literal(second)}, {name})"
            yield Invariant(template, 6.0, (DISTANCE,))


def _of_ends(edges: Part) -> Iterator[Invariant]:
    """Yield distances and degrees of the lowest, highest, first and last vertex."""
    key = ", key=int" if str(edges.rows[0][0][0]).isdecimal() else ""  # type: ignore[index]
    lowest, highest = (f"{word}(chain(*{{s}}){key})" for word in ("min", "max"))
    chain = imports(("from itertools import chain",))
    yield Invariant(f"distance({{s}}, {lowest}, {highest})", 5.5, (DISTANCE, *chain))
    yield Invariant("distance({s}, {s}[0][0], {s}[-1][-1])", 6.0, (DISTANCE,))
    for vertex, needs in (
        (lowest, chain),
        (highest, chain),
        ("{s}[0][0]", ()),
        ("{s}[-1][-1]", ()),
    ):
        yield Invariant(f"sum({vertex} in edge for edge in {{s}})", 6.0, needs)


def graph_expressions(edges: Part, evaluator: Evaluator, size: int) -> Iterator[Expression]:
    """Yield the numbers and truth values read off edges."""
    numbers = (*NUMBERS, *_of_ends(edges), *_between_named(edges, size))
    for group, is_flag in ((numbers, False), (FLAGS, True)):
        for invariant in group:
            values = evaluator.run(invariant.template, {}, edges.rows, invariant.needs)
            if values is None:
                continue
            array = np.array(values, bool) if is_flag else as_numbers(values)
            if array is not None:
                code = invariant.template.format(s=edges.code)
                needs = (*edges.needs, *invariant.needs)
                bits = edges.bits + invariant.bits
                level = level_of(invariant.template)
                yield Expression(code, bits, array, level, needs)
