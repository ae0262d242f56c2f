"""Rivals: programs that fit the training rows as well, but answer otherwise elsewhere."""

from collections.abc import Mapping, Sequence

from llm_pv.proposers.base import Rival
from llm_pv.search.emit import source_of
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate

RIVAL_BITS = 4.0
"""A rival is at most so many bits longer than what it rivals."""
MOST_COMPARED = 25
MOST_RIVALS = 4
LEAST_DISAGREEMENT = 0.05


def rivals_of(rules: Sequence[Candidate], problem: Problem) -> Mapping[int, tuple[Rival, ...]]:
    """Return the rivals of each rule that fits, by the rule's place."""
    if not rules:
        return {}
    least = rules[0].mistakes
    fitting = [
        place
        for place, rule in enumerate(rules[:MOST_COMPARED])
        if rule.mistakes <= least and rule.bits <= rules[0].bits + RIVAL_BITS
    ]
    return {place: tuple(_rivals(place, fitting, rules, problem)) for place in fitting}


def _rivals(
    place: int, fitting: Sequence[int], rules: Sequence[Candidate], problem: Problem
) -> list[Rival]:
    found: list[Rival] = []
    told = [rules[place].answers[problem.size :]]
    mine = told[0]
    for other in fitting:
        theirs = rules[other].answers[problem.size :]
        if min(((theirs != one).mean() for one in told), default=0.0) < LEAST_DISAGREEMENT:
            continue
        told.append(theirs)
        probes = problem.frame.rows[problem.size :]
        example = min(
            (i for i in range(len(probes)) if mine[i] != theirs[i]),
            key=lambda i: (len(str(probes[i])), i),
        )
        found.append(
            Rival(
                text=source_of(rules[other].program, problem.classes),
                bits=round(rules[other].bits, 1),
                disagreement=float((mine != theirs).mean()),
                example=probes[example],
                answer=problem.classes[mine[example]],
                rival_answer=problem.classes[theirs[example]],
            )
        )
        if len(found) == MOST_RIVALS:
            break
    return found
