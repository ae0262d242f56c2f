"""One evolution of a Boolean expression, on the trees and operators of DEAP.

An expression is kept small in three ways: none grows deeper than a limit; of two expressions that
are right on equally many rows the smaller one wins (lexicographic parsimony pressure: Luke and
Panait, GECCO 2002); and, as published, each of its nodes may cost a share of the accuracy.
"""

import operator
import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deap import gp, tools

CROSSOVER = 0.7
MUTATION = 0.25
TOURNAMENT = 5

_BINARY = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}


@dataclass(frozen=True)
class BitExpression:
    """A Boolean expression in prefix order: ``and``, ``or``, ``xor``, ``not`` and bits by position.

    Examples
    --------
    >>> expression = BitExpression(("xor", 0, "not", 1))
    >>> expression.run([0b0011, 0b0101], rows=4)  # of each row a bit, the first row's the lowest
    9
    """

    nodes: tuple[str | int, ...]

    def run(self, columns: Sequence[int], rows: int) -> int:
        """Return the answers for some rows, packed as their bits are."""
        return _run(self.nodes, columns, (1 << rows) - 1)


def _run(nodes: Sequence[str | int], columns: Sequence[int], every_row: int) -> int:
    stack: list[int] = []
    push, pop = stack.append, stack.pop
    for node in reversed(nodes):
        if type(node) is int:
            push(columns[node])
        elif node == "xor":
            push(pop() ^ pop())
        elif node == "and":
            push(pop() & pop())
        elif node == "or":
            push(pop() | pop())
        else:
            push(pop() ^ every_row)
    return stack[0]


@dataclass(frozen=True)
class Evolution:
    """Parameters of an evolution."""

    population: int
    "Expressions alive at once."
    generations: int
    "How often they are replaced by their offspring."
    depth: int
    "The deepest an expression may be."
    stop_when_fit: bool
    "Whether it ends when an expression is right on every row."
    initial_depth: int = 4
    "The deepest tree it begins with."
    mutation_depth: int = 2
    "The deepest branch that mutation puts in."
    elite: float = 0.0
    "The share of the best expressions that live on unchanged."
    size_penalty: float = 0.0
    "The accuracy that each node of an expression costs."


class _BitTree(gp.PrimitiveTree):  # type: ignore[misc]
    """A tree of DEAP with how good it is: rows that are right, less its size, then smallness."""

    right: int
    score: tuple[float, int]


def evolve(
    columns: Sequence[int], target: int, rows: int, how: Evolution, seed: int
) -> BitExpression:
    """Return the best expression of an evolution.

    Parameters
    ----------
    columns
        For each bit of a row, that bit of all rows, the first row's the lowest; at least one.
    target
        The answer wanted of each row, packed alike.

    Examples
    --------
    >>> how = Evolution(population=50, generations=10, depth=4, stop_when_fit=True)
    >>> evolve([0b0011, 0b0101], target=0b0110, rows=4, how=how, seed=0).run([3, 5], 4)
    6
    """
    names = _primitives(len(columns))
    every_row = (1 << rows) - 1
    position = {f"ARG{number}": number for number in range(len(columns))}

    def nodes(tree: _BitTree) -> list[str | int]:
        return [position.get(node.name, node.name) for node in tree]

    def judge(trees: Iterable[_BitTree]) -> None:
        for tree in trees:
            wrong = _run(nodes(tree), columns, every_row) ^ target
            tree.right = rows - wrong.bit_count()
            tree.score = (tree.right - how.size_penalty * rows * len(tree), -len(tree))

    with _seeded(seed):
        first = (names, 1, how.initial_depth)
        trees = [_BitTree(gp.genHalfAndHalf(*first)) for _ in range(how.population)]
        judge(trees)
        best = max(trees, key=_score)
        for _ in range(how.generations):
            if how.stop_when_fit and best.right == rows:
                break
            kept = tools.selBest(trees, int(how.elite * how.population), fit_attr="score")
            parents = tools.selTournament(
                trees, how.population - len(kept), TOURNAMENT, fit_attr="score"
            )
            children, changed = _offspring(parents, names, how)
            judge(changed)
            trees = [*kept, *children]
            best = max(best, *trees, key=_score)
    return BitExpression(tuple(nodes(best)))


def _score(tree: _BitTree) -> tuple[float, int]:
    return tree.score


def _offspring(
    parents: Sequence[_BitTree], names: gp.PrimitiveSet, how: Evolution
) -> tuple[list[_BitTree], list[_BitTree]]:
    """Return the next generation, and those of it that are new."""
    children = list(parents)
    changed: dict[int, _BitTree] = {}

    def put(place: int, tree: _BitTree) -> None:
        if tree.height <= how.depth:  # else the parent lives on
            children[place] = changed[place] = tree

    for place in range(0, len(parents) - 1, 2):
        if _happens(CROSSOVER):
            one, two = gp.cxOnePoint(_BitTree(children[place]), _BitTree(children[place + 1]))
            put(place, one)
            put(place + 1, two)

    def graft(pset: gp.PrimitiveSet, type_: object) -> list[object]:
        return gp.genFull(pset, 0, how.mutation_depth, type_)  # type: ignore[no-any-return]

    for place, child in enumerate(children):
        if _happens(MUTATION):
            (tree,) = gp.mutUniform(_BitTree(child), graft, names)
            put(place, tree)
    return children, list(changed.values())


def _happens(probability: float) -> bool:
    return random.random() < probability  # noqa: S311 - evolution keeps no secrets


def _primitives(bits: int) -> gp.PrimitiveSet:
    primitives = gp.PrimitiveSet("MAIN", bits)
    for name, function in _BINARY.items():
        primitives.addPrimitive(function, 2, name=name)
    primitives.addPrimitive(operator.not_, 1, name="not")
    return primitives


_one_at_a_time = threading.Lock()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the `random` module, which DEAP draws from, and leave it as it was."""
    with _one_at_a_time:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
