"""Shallow decision trees: readable fallbacks, and rules for three classes or more."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.conditions import Conditions
from llm_pv.proposers.length_first.expressions import Definition, Expression, negation
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, label_literal
from llm_pv.proposers.length_first.scoring import entropies
from llm_pv.proposers.length_first.weights import choice_bits

DEPTHS = (1, 2, 3, 4)
SMALLEST = 2
"""Trees up to this depth are grown whether their questions pay or not."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """The end of a branch: one class."""

    code: int


@dataclass(frozen=True, eq=False)
class Branch:
    """A question with a subtree for either answer."""

    condition: Expression
    yes: "Branch | Leaf"
    no: "Branch | Leaf"


def grow_trees(conditions: Conditions, problem: Problem) -> list[Candidate]:
    """Return one greedily grown tree for each depth."""
    onehot = np.zeros((problem.size, len(problem.classes)), dtype=np.float32)
    onehot[np.arange(problem.size), problem.codes] = 1.0
    trees = []
    for depth in DEPTHS:
        # Where no question pays, a small tree is grown all the same: the best there is.
        least = 1.0 if depth > SMALLEST else 0.0
        tree = _grow(conditions, onehot, np.ones(problem.size, bool), depth, least)
        trees.append(tree_candidate(tree, problem))
    return trees


def constant_candidate(problem: Problem) -> Candidate:
    """Return the program that always answers the most frequent class."""
    counts = np.bincount(problem.codes, minlength=len(problem.classes))
    return tree_candidate(Leaf(int(np.argmax(counts))), problem)


def _grow(
    conditions: Conditions,
    onehot: NDArray[np.float32],
    rows: NDArray[np.bool_],
    depth: int,
    least: float,
) -> Branch | Leaf:
    """Split where it saves more bits on the rows' classes than the question costs."""
    counts = onehot[rows].sum(axis=0)
    leaf = Leaf(int(np.argmax(counts)))
    if depth == 0 or (counts > 0).sum() < 2 or not len(conditions):
        return leaf
    truth = conditions.truth[:, : len(rows)][:, rows].astype(np.float32)
    inside = truth @ onehot[rows]
    saved = entropies(counts[None, :]) - entropies(inside) - entropies(counts[None, :] - inside)
    gain = saved - conditions.bits - weights.BRANCH
    best = int(np.argmax(gain))
    if saved[best] <= least * (conditions.bits[best] / 2 + weights.BRANCH):
        return leaf
    condition = conditions.written(best)
    holds = condition.values[: len(rows)].astype(bool)
    yes = _grow(conditions, onehot, rows & holds, depth - 1, least)
    no = _grow(conditions, onehot, rows & ~holds, depth - 1, least)
    if isinstance(yes, Leaf) and isinstance(no, Leaf) and yes.code == no.code:
        return yes
    return Branch(condition, yes, no)


def tree_candidate(tree: Branch | Leaf, problem: Problem, kind: str = "fallback") -> Candidate:
    """Return a tree as a program."""
    answers = _answers(tree, len(problem.rows))
    mistakes = int((answers[: problem.size] != problem.codes).sum())
    bits = _bits(tree, len(problem.classes))
    cost = bits + problem.prices[mistakes]
    body = tuple(_lines(tree, problem.classes))
    return Candidate(body, _needs(tree), bits, answers, mistakes, cost, kind)


def _answers(tree: Branch | Leaf, rows: int) -> NDArray[np.int64]:
    if isinstance(tree, Leaf):
        return np.full(rows, tree.code, dtype=np.int64)
    return np.where(tree.condition.values, _answers(tree.yes, rows), _answers(tree.no, rows))


def _bits(tree: Branch | Leaf, classes: int) -> float:
    if isinstance(tree, Leaf):
        return 1.0 + choice_bits(classes)
    inner = _bits(tree.yes, classes) + _bits(tree.no, classes)
    return weights.BRANCH + tree.condition.bits + inner


def _needs(tree: Branch | Leaf) -> tuple[Definition, ...]:
    if isinstance(tree, Leaf):
        return ()
    return tree.condition.needs + _needs(tree.yes) + _needs(tree.no)


def _lines(tree: Branch | Leaf, classes: tuple[str, ...]) -> list[str]:
    """Write a tree: the side that ends at once comes first, so that the rest needs no else."""
    if isinstance(tree, Leaf):
        return [f"return {label_literal(classes[tree.code])}"]
    condition, first, second = tree.condition, tree.yes, tree.no
    if isinstance(second, Leaf) and not isinstance(first, Leaf):
        condition, first, second = negation(condition), second, first
    lines = [f"if {condition.code}:"]
    lines += [f"    {line}" for line in _lines(first, classes)]
    return lines + _lines(second, classes)
