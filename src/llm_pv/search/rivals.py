"""Rivals: programs that fit the training rows as well, but answer otherwise on probes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llm_pv.data.examples import Input
from llm_pv.search.cuts import exchanged
from llm_pv.search.pool import Conditions
from llm_pv.search.problem import Problem
from llm_pv.search.program import Branch, Candidate, Node
from llm_pv.search.types import Expression

RIVAL_BITS = 5.0
"""A rival is at most so many bits longer than what it rivals."""
MOST_RIVALS, MOST_OF_FALLBACK = 4, 2
LEAST_DISAGREEMENT = 0.1


@dataclass(frozen=True, eq=False)
class Difference:
    """Another program that fits as well, and where it differs."""

    rival: Candidate  # the other program
    share: float  # the share of probes on which the two answer differently
    example: Input  # the shortest of these probes
    answer: str  # what the one and what the other answers there
    rival_answer: str


def rivals_of(found: Sequence[Candidate], problem: Problem) -> Mapping[int, list[Difference]]:
    """Return the rivals of each program by its place; ``found`` is in order of cost.

    Of a program without training mistakes a rival makes none either and is at most `RIVAL_BITS`
    longer; of any other it costs at most so much more.
    """
    if not found or len(problem.frame.rows) == problem.size:
        return {}
    answers = np.stack([one.answers[problem.size :] for one in found])
    bits, cost = (np.array([getattr(one, name) for one in found]) for name in ("bits", "cost"))
    exact = np.array([one.mistakes == 0 for one in found])
    lengths = [len(str(row)) for row in problem.frame.rows[problem.size :]]
    rivals = {}
    for place, one in enumerate(found):
        if exact[place]:
            fits = exact & (bits <= one.bits + RIVAL_BITS)
        else:
            fits = cost <= one.cost + RIVAL_BITS
        apart = (answers != answers[place]).mean(axis=1)
        others = np.flatnonzero(fits & (apart >= LEAST_DISAGREEMENT))
        most = MOST_RIVALS if one.is_rule else MOST_OF_FALLBACK
        rivals[place] = [
            _difference(one, found[other], float(apart[other]), lengths, problem)
            for other in _unlike(answers, others.tolist(), most)
        ]
    return rivals


def _unlike(answers: NDArray[np.int64], others: Sequence[int], most: int) -> Iterator[int]:
    """Yield the first programs no two of which answer alike."""
    chosen: list[int] = []
    for other in others:
        if all((answers[other] != answers[one]).mean() >= LEAST_DISAGREEMENT for one in chosen):
            chosen.append(other)
            yield other
        if len(chosen) == most:
            return


def _difference(
    one: Candidate, rival: Candidate, share: float, lengths: Sequence[int], problem: Problem
) -> Difference:
    """Return where two programs differ, with the shortest of these probes."""
    rows = problem.frame.rows
    differing = np.flatnonzero((one.answers != rival.answers)[problem.size :])
    example = problem.size + min(differing.tolist(), key=lambda i: (lengths[i], i))
    answer, other = (problem.classes[of.answers[example]] for of in (one, rival))
    return Difference(rival, share, rows[example], answer, other)


def variants(program: Node, conditions: Conditions) -> Iterator[tuple[Node, str]]:
    """Yield a program with one condition exchanged for another that holds on the same rows.

    Where the two differ only where numbers are equal, that condition's source comes with it.
    """
    if not isinstance(program, Branch):
        return
    for other in _exchanged(program.condition, conditions):
        yield replace(program, condition=other), other.code if other.kind == "edge" else ""
    for yes, edge in variants(program.yes, conditions):
        yield replace(program, yes=yes), edge
    for no, edge in variants(program.no, conditions):
        yield replace(program, no=no), edge


def _exchanged(condition: Expression, conditions: Conditions) -> Iterator[Expression]:
    """Yield a condition's alternatives, and joins of which one part is exchanged; none shorter."""
    for other in conditions.alternatives(condition):
        yield other.priced(max(other.bits, condition.bits))
    for part in condition.parts[1]:
        for other in _exchanged(part, conditions):
            yield replace(exchanged(condition, part, other), kind=other.kind)
