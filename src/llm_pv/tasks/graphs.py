"""Graphs as lists of edges: many independent cycles, or connected.

``u12v34u34v56`` is a graph of the edges 12-34 and 34-56: three vertices, one component, no cycle.
An input of length L holds L // 6 edges; ids run from 01 to 99, and u00v00 is no edge.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_pv.errors import DataError
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Integers, Words

_IDS = 100


@dataclass(frozen=True)
class Graphs:
    """n graphs of E edges each; an edge from 0 to 0 is absent."""

    first: Integers
    second: Integers
    """The ends of every edge, numbers from 0 to 99 (ids from 1 in graphs read from inputs); arrays
    of shape (n, E)."""
    from_zero: bool = False
    "Whether 0 is an ordinary vertex, as in graphs before they are encoded."

    @property
    def real(self) -> npt.NDArray[np.bool_]:
        """The mask of edges that are present."""
        real: npt.NDArray[np.bool_] = (self.first != 0) | (self.second != 0) | self.from_zero
        return real

    @property
    def count(self) -> Integers:
        """The number of edges of each graph."""
        count: Integers = self.real.sum(axis=1).astype(np.int64)
        return count

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """The mask of graphs without loops; an edge that was not drawn is a loop."""
        complete: npt.NDArray[np.bool_] = (self.first != self.second).all(axis=1)
        return complete

    def take(self, rows: npt.NDArray[np.bool_]) -> "Graphs":
        """Return some of the graphs."""
        return Graphs(self.first[rows], self.second[rows], self.from_zero)


def joins(graph: Graphs) -> Integers:
    """Count, for each graph, the edges that join two components when added one by one.

    The count is V - C, and the other edges are the independent cycles: E - V + C.
    """
    rows, count = graph.first.shape
    every = np.arange(rows)
    component = np.repeat(np.arange(_IDS, dtype=np.uint8)[None, :], rows, axis=0)
    joined = np.zeros(rows, dtype=np.int64)
    for i in range(count):
        one, other = component[every, graph.first[:, i]], component[every, graph.second[:, i]]
        joined += one != other
        np.copyto(component, one[:, None], where=component == other[:, None])
    return joined


def vertices(graph: Graphs) -> Integers:
    """Count the distinct vertices of each graph."""
    present = np.zeros((len(graph.first), _IDS), dtype=np.bool_)
    every = np.arange(len(graph.first))[:, None]
    for side in (graph.first, graph.second):
        # An absent edge marks id 0, which no edge of an input has.
        present[every, side] = True
    if not graph.from_zero:
        present[:, 0] = ((graph.first == 0) != (graph.second == 0)).any(axis=1)
    counts: Integers = present.sum(axis=1).astype(np.int64)
    return counts


def triangles(words: Words, rows: int, count: int) -> Graphs:
    """Build graphs of E // 3 triangles and E % 3 further edges, which touch none or two of them.

    One further edge joins two triangles; of two, the first is isolated.
    """
    whole = 3 * (count // 3)
    corner = np.arange(whole)
    first = np.empty((rows, count), dtype=np.int64)
    second = np.empty((rows, count), dtype=np.int64)
    first[:, :whole], second[:, :whole] = corner, corner // 3 * 3 + (corner + 1) % 3
    if count - whole == 2:
        first[:, whole], second[:, whole] = whole, whole + 1
    if count > whole:
        one = words.below(whole, rows)
        # Any vertex of another triangle: an offset from the next triangle, cyclically.
        step = words.below(whole - 3, rows)
        first[:, -1], second[:, -1] = one, (one // 3 * 3 + 3 + step) % whole
    return Graphs(first, second, from_zero=True)


def tree_and_edge(words: Words, rows: int, count: int) -> Graphs:
    """Build random recursive trees of E vertices, and add one new edge."""
    first = np.repeat(np.arange(1, count + 1)[None, :], rows, axis=0)
    second = words.below(np.arange(1, count + 1), rows, count)
    # Vertex i has i - 1 earlier vertices that are not its parent.
    upto = np.cumsum(np.arange(count) - 1)[2:]
    drawn = words.below(int(upto[-1]), rows)
    row = np.searchsorted(upto, drawn, side="right")
    late = row + 2
    early = drawn - np.concatenate([[0], upto])[row]
    early += early >= second[np.arange(rows), late - 1]
    first[:, -1], second[:, -1] = late, early
    return Graphs(first, second, from_zero=True)


def forest_with_cycles(words: Words, count: int, components: Integers, cycles: Integers) -> Graphs:
    """Build graphs of E edges with given numbers of components and of independent cycles.

    Every component has three vertices or more; vertices join any earlier one at random, and
    edges are added between vertices of a component that are neither neighbours nor share one, so
    that there is no triangle. A graph whose components leave no room for its cycles, or none
    found in reasonable time, comes out with edges from 0 to 0 in their place: see
    `Graphs.complete`.
    """
    rows = len(components)
    every = np.arange(rows)
    size = count - cycles + components
    first = np.zeros((rows, count), dtype=np.int64)
    second = np.zeros((rows, count), dtype=np.int64)
    home = np.repeat(np.arange(int(size.max()))[None, :], rows, axis=0)
    adjacent = np.zeros((rows, home.shape[1], home.shape[1]), dtype=np.bool_)
    for vertex in range(1, home.shape[1]):
        # The first vertices are roots, the next their children, the next their second ones.
        nth = vertex // components
        anchor = vertex - components * np.where(nth == 2, words.below(2, rows) + 1, 1)
        parent = np.where(nth < 3, anchor, words.below(vertex, rows))
        grown = np.flatnonzero((nth > 0) & (vertex < size))
        slot = vertex - components[grown]
        first[grown, slot], second[grown, slot] = vertex, parent[grown]
        home[grown, vertex] = home[grown, parent[grown]]
        adjacent[grown, vertex, parent[grown]] = adjacent[grown, parent[grown], vertex] = True
    slot = size - components
    for _ in range(int(cycles.max()) * 16):
        one, other = words.below(size), words.below(size)
        fits = (home[every, one] == home[every, other]) & (one != other) & (slot < count)
        fits &= ~adjacent[every, one, other]
        added = np.flatnonzero(fits)
        shared = adjacent[added, one[added]] & adjacent[added, other[added]]
        added = added[~shared.any(axis=1)]
        first[added, slot[added]], second[added, slot[added]] = one[added], other[added]
        adjacent[added, one[added], other[added]] = True
        adjacent[added, other[added], one[added]] = True
        slot[added] += 1
    return Graphs(first, second, from_zero=True)


def exchange_ends(words: Words, graph: Graphs) -> Graphs:
    """Exchange an end of two random edges of each graph, which keeps every degree."""
    rows, count = graph.first.shape
    every = np.arange(rows)
    one, other = words.distinct(rows, count, 2).T
    turned = words.bits(1, rows)[0] == 1
    first, second = graph.first.copy(), graph.second.copy()
    ends = np.where(turned, graph.second[every, other], graph.first[every, other])
    rest = np.where(turned, graph.first[every, other], graph.second[every, other])
    first[every, one], second[every, one] = graph.first[every, one], ends
    first[every, other], second[every, other] = graph.second[every, one], rest
    return Graphs(first, second, from_zero=True)


_BLOCK = 1_280
_HARD_BLOCK = 2_048


def many_cycles(symbols: Symbols) -> Labels:
    """Label graphs by whether the cyclomatic number E - V + C exceeds max(1, E // 6)."""
    graph = read(symbols)
    cycles = graph.count - joins(graph)
    return (cycles > np.maximum(1, graph.count // 6)).astype(np.uint8)


def connected(symbols: Symbols) -> Labels:
    """Label graphs by whether they have exactly one component."""
    graph = read(symbols)
    labels: Labels = (vertices(graph) - joins(graph) == 1).astype(np.uint8)
    return labels


def read(symbols: Symbols) -> Graphs:
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
    return Graphs(first, second)


def write(words: Words, graph: Graphs) -> Symbols:
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
        write(words, triangles(words, _BLOCK, count)),
        write(words, tree_and_edge(words, _BLOCK, count)),
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
    above = forest_with_cycles(
        words, count, components, np.full(_HARD_BLOCK, cycles, dtype=np.int64)
    )
    below = exchange_ends(words, above)
    kept = above.complete & (joins(below) == joins(above) + 1)
    return Candidates.from_pairs(write(words, above.take(kept)), write(words, below.take(kept)))


def draw_connected_paper(words: Words, length: int) -> Candidates:
    """Draw graphs of one and of two components, with as many vertices as edges in both."""
    sides = [
        forest_with_cycles(
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
    apart = forest_with_cycles(words, count, np.full(_HARD_BLOCK, 2, dtype=np.int64), cycles)
    joined = exchange_ends(words, apart)
    kept = apart.complete & (joins(joined) == joins(apart) + 1)
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
