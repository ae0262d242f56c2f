"""Rivals: programs that fit the training rows as well, but answer otherwise on probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_pv.data.examples import Input
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate

RIVAL_BITS = 8.0
"""A rival is at most so many bits longer than what it rivals."""
MOST_COMPARED = 25
MOST_RIVALS = 4
LEAST_DISAGREEMENT = 0.05


@dataclass(frozen=True, eq=False)
class Difference:
    """Another program that fits as well, and where it differs.

    Parameters
    ----------
    rival
        The other program.
    share
        The share of probes on which the two answer differently.
    example
        The shortest of these probes.
    answer, rival_answer
        What the one and what the other answers there.
    """

    rival: Candidate
    share: float
    example: Input
    answer: str
    rival_answer: str


def rivals_of(rules: Sequence[Candidate], problem: Problem) -> Mapping[int, list[Difference]]:
    """Return the rivals of each rule that fits, by the rule's place.

    A rule fits if it makes no more training mistakes than the first one, and is at most
    `RIVAL_BITS` longer.
    """
    if not rules:
        return {}
    first = rules[0]
    fitting = [
        place
        for place, rule in enumerate(rules[:MOST_COMPARED])
        if rule.mistakes <= first.mistakes and rule.bits <= first.bits + RIVAL_BITS
    ]
    return {place: _rivals(place, fitting, rules, problem) for place in fitting}


def _rivals(
    place: int, fitting: Sequence[int], rules: Sequence[Candidate], problem: Problem
) -> list[Difference]:
    """Return the shortest rivals of one rule, no two of which answer alike."""
    found: list[Difference] = []
    probes = problem.frame.rows[problem.size :]
    mine = rules[place].answers[problem.size :]
    told = [mine]
    for other in fitting:
        theirs = rules[other].answers[problem.size :]
        if min(((theirs != one).mean() for one in told), default=0.0) < LEAST_DISAGREEMENT:
            continue
        told.append(theirs)
        differing = [i for i in range(len(probes)) if mine[i] != theirs[i]]
        place_of_example = min(differing, key=lambda i: (len(str(probes[i])), i))
        found.append(
            Difference(
                rules[other],
                float((mine != theirs).mean()),
                probes[place_of_example],
                problem.classes[mine[place_of_example]],
                problem.classes[theirs[place_of_example]],
            )
        )
        if len(found) == MOST_RIVALS:
            break
    return found
