"""Batches of graphs as arrays of edge ends: counting, and random construction."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
