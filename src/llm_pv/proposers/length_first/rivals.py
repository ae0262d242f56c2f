"""Rivals: programs that fit the training rows as well, but answer otherwise elsewhere.

The rows are changed a little, and the programs that fit are run on what comes out. Where two of
them differ, the training rows do not say which of them is meant.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm_pv.data.examples import Examples, Input
from llm_pv.data.labels import label_text
from llm_pv.proposers.base import Rival
from llm_pv.proposers.length_first.problem import make_probes
from llm_pv.proposers.length_first.programs import Candidate, source_of

RIVAL_BITS = 10.0
"""The search goes on for so many bits after the first program that fits."""
MOST_COMPARED = 25
MOST_RIVALS = 4
PERTURBED = 200
LEAST_DISAGREEMENT = 0.02


def rivals_of(
    rules: Sequence[Candidate], train: Examples, seed: int
) -> Mapping[int, tuple[Rival, ...]]:
    """Return the rivals of each rule that fits, by the rule's place.

    A rule fits if it makes no more training mistakes than the first one, and at most `RIVAL_BITS`
    more bits tell it.
    """
    if not rules:
        return {}
    first = rules[0]
    fitting = [
        place
        for place, rule in enumerate(rules[:MOST_COMPARED])
        if rule.mistakes <= first.mistakes and rule.bits <= first.bits + RIVAL_BITS
    ]
    inputs = make_probes(list(train.inputs), random.Random(f"rivals {seed}"), PERTURBED)  # noqa: S311
    answers = {place: answers_of(source_of(rules[place]), inputs) for place in fitting}
    return {place: tuple(_rivals_of(place, fitting, answers, rules, inputs)) for place in fitting}


def _rivals_of(
    place: int,
    fitting: Sequence[int],
    answers: Mapping[int, Sequence[str | None]],
    rules: Sequence[Candidate],
    inputs: Sequence[Input],
) -> list[Rival]:
    """Return the shortest rivals of one rule, no two of which answer alike."""
    found: list[Rival] = []
    told: list[Sequence[str | None]] = []
    for other in fitting:
        both = [
            index
            for index, (a, b) in enumerate(zip(answers[place], answers[other], strict=True))
            if a is not None and b is not None
        ]
        differing = [i for i in both if answers[place][i] != answers[other][i]]
        if not both or len(differing) < LEAST_DISAGREEMENT * len(both):
            continue
        if any(_alike(answers[other], known) for known in told):
            continue
        told.append(answers[other])
        example = min(differing, key=lambda index: (len(str(inputs[index])), index))
        found.append(
            Rival(
                text=source_of(rules[other]),
                bits=round(rules[other].bits, 1),
                disagreement=len(differing) / len(both),
                example=inputs[example],
                answer=str(answers[place][example]),
                rival_answer=str(answers[other][example]),
            )
        )
        if len(found) == MOST_RIVALS:
            break
    return found


def _alike(first: Sequence[str | None], second: Sequence[str | None]) -> bool:
    differing = sum(a != b for a, b in zip(first, second, strict=True))
    return differing < LEAST_DISAGREEMENT * len(first)


def answers_of(source: str, inputs: Sequence[Input]) -> list[str | None]:
    """Run a program of this search on inputs; None where it raises.

    The source is made of this package's own templates; what comes from data entered it through
    ``repr``, so that it runs here without a sandbox.
    """
    namespace: dict[str, Callable[[Input], Any]] = {}
    exec(source, namespace)  # noqa: S102
    answers: list[str | None] = []
    for row in inputs:
        try:
            answers.append(label_text(namespace["f"](row)))
        except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError):
            answers.append(None)
    return answers
