"""Graphs as lists of edges: many independent cycles, or connected.

``u12v34u34v56`` is a graph of the edges 12-34 and 34-56: three vertices, one component, no cycle.
An input of length L holds L // 6 edges; ids run from 01 to 99, and u00v00 is no edge.
"""

import numpy as np
import numpy.typing as npt

from llm_pv.errors import DataError
from llm_pv.tasks import edges
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Words

_BLOCK = 1_280
_HARD_BLOCK = 2_048


def many_cycles(symbols: Symbols) -> Labels:
    """Label graphs by whether the cyclomatic number E - V + C exceeds max(1, E // 6)."""
    graph = read(symbols)
    cycles = graph.count - edges.joins(graph)
    return (cycles > np.maximum(1, graph.count // 6)).astype(np.uint8)


def connected(symbols: Symbols) -> Labels:
    """Label graphs by whether they have exactly one component."""
    graph = read(symbols)
    labels: Labels = (edges.vertices(graph) - edges.joins(graph) == 1).astype(np.uint8)
    return labels


def read(symbols: Symbols) -> edges.Graphs:
    """Return rows of ASCII codes as graphs.

    Raise DataError if a row is no list of edges such as ``u12v34``.
    """
    rows, width = symbols.shape
    parts = symbols.reshape(rows, width // 6, 6) if width % 6 == 0 else None
    if parts is None or (parts[:, :, 0] != ord("u")).any() or (parts[:, :, 3] != ord("v")).any():
        raise DataError("a graph is a list of edges of six characters each, such as u12v34u34v56")
    digits = parts[:, :, [1, 2, 4, 5]].astype(np.int64) - ord("0")
    if (digits > 9).any():
        raise DataError("a graph's ids have two digits, as in u12v34")
    first = digits[:, :, 0] * 10 + digits[:, :, 1]
    second = digits[:, :, 2] * 10 + digits[:, :, 3]
    return edges.Graphs(first, second)


def write(words: Words, graph: edges.Graphs) -> Symbols:
    """Return graphs as rows, with permuted ids, shuffled edges and random directions."""
    rows, count = graph.first.shape
    used = int(max(graph.first.max(), graph.second.max())) + 1
    ids = words.distinct(rows, 99, used) + 1
    order = words.distinct(rows, count, count)
    ends = [
        np.take_along_axis(ids, np.take_along_axis(side, order, axis=1), axis=1)
        for side in (graph.first, graph.second)
    ]
    turned = words.bits(rows, count) == 1
    symbols = np.empty((rows, count, 6), dtype=np.uint8)
    symbols[:, :, 0], symbols[:, :, 3] = ord("u"), ord("v")
    symbols[:, :, 1:3] = _TWO_DIGITS[np.where(turned, ends[1], ends[0])]
    symbols[:, :, 4:6] = _TWO_DIGITS[np.where(turned, ends[0], ends[1])]
    return symbols.reshape(rows, count * 6)


_TWO_DIGITS: npt.NDArray[np.uint8] = np.frombuffer(
    "".join(f"{number:02d}" for number in range(100)).encode("ascii"), dtype=np.uint8
).reshape(100, 2)


def draw_cycles_paper(words: Words, length: int) -> Candidates:
    """Draw many triangles, and spanning trees with one further edge.

    The number of distinct vertices separates the classes at length 100, other invariants do at
    300.
    """
    count = length // 6
    return Candidates.of_classes(
        write(words, edges.triangles(words, _BLOCK, count)),
        write(words, edges.tree_and_edge(words, _BLOCK, count)),
    )


def draw_cycles_hard(words: Words, length: int) -> Candidates:
    """Draw graphs just above the threshold, and such graphs with two components joined.

    A graph has one independent cycle more than the threshold allows; two edges of different
    components then exchange an end, which joins these where one edge lay on a cycle. The number
    of vertices and every degree stay, so both are distributed alike, neither graph has a
    triangle or a component of a single edge, and only one of the two is kept. What must differ is
    what the target is made of: the number of components, their sizes, and longer cycles, the more
    the smaller the graph. E is the same for all inputs of one length, so that
    E // 6 itself cannot be learnt from one length.
    """
    count = length // 6
    cycles = max(1, count // 6) + 1
    rank = count - cycles
    most = min(rank // 2, 99 - rank, 2 + count // 5)
    components = words.below(most - 1, _HARD_BLOCK) + 2
    above = edges.forest_with_cycles(
        words, count, components, np.full(_HARD_BLOCK, cycles, dtype=np.int64)
    )
    below = edges.exchange_ends(words, above)
    kept = above.complete & (edges.joins(below) == edges.joins(above) + 1)
    return Candidates.from_pairs(write(words, above.take(kept)), write(words, below.take(kept)))


def draw_connected_paper(words: Words, length: int) -> Candidates:
    """Draw graphs of one and of two components, with as many vertices as edges in both."""
    sides = [
        edges.forest_with_cycles(
            words,
            length // 6,
            np.full(_BLOCK, components, dtype=np.int64),
            np.full(_BLOCK, components, dtype=np.int64),
        )
        for components in (1, 2)
    ]
    return Candidates.of_classes(*(write(words, graph.take(graph.complete)) for graph in sides))


def draw_connected_hard(words: Words, length: int) -> Candidates:
    """Draw graphs of two components, and such graphs joined into one.

    As for `draw_cycles_hard`, two edges exchange an end: the number of vertices and every degree
    stay. The number of vertices varies with that of the cycles, from 2 on.
    """
    count = length // 6
    fewest = max(2, count + 2 - 99)
    cycles = words.below(max(1, count // 4 + 2 - fewest), _HARD_BLOCK) + fewest
    apart = edges.forest_with_cycles(words, count, np.full(_HARD_BLOCK, 2, dtype=np.int64), cycles)
    joined = edges.exchange_ends(words, apart)
    kept = apart.complete & (edges.joins(joined) == edges.joins(apart) + 1)
    return Candidates.from_pairs(write(words, joined.take(kept)), write(words, apart.take(kept)))


_LENGTHS = Lengths(
    default=(300, 100),
    smallest=36,
    largest=594,
    reason="six characters an edge, and 99 ids",
)

TASKS = (
    Task(
        id="fn_aa",
        name="graph_has_cycle",
        description="the cyclomatic number E - V + C exceeds max(1, E//6)",
        alphabet="graph",
        examples=(
            "u01v02u02v03u03v04u04v05u05v06u06v01",
            "u01v02u02v03u03v01u04v05u05v06u06v04",
        ),
        target_function=many_cycles,
        samplers={
            "paper": Sampler(draw_cycles_paper),
            "hard": Sampler(draw_cycles_hard, smallest=48),
        },
        lengths=_LENGTHS,
        apart_from=60,
    ),
    Task(
        id="",
        name="graph_connected",
        description="the graph has one component",
        alphabet="graph",
        examples=(
            "u01v02u02v03u03v01u04v05u05v06u06v04",
            "u01v02u02v03u03v04u04v05u05v06u06v01",
        ),
        target_function=connected,
        samplers={
            # Two components with a cycle each, neither a triangle, take eight edges.
            "paper": Sampler(draw_connected_paper, smallest=48),
            "hard": Sampler(draw_connected_hard, smallest=48),
        },
        lengths=_LENGTHS,
        apart_from=60,
    ),
)
