"""A decision list: at each step the rule that tells most, for whichever class it is."""

from collections.abc import Iterator

import numpy as np

from llm_pv.search.pool import Pool
from llm_pv.search.program import Candidate, candidate
from llm_pv.search.types import Truths
from llm_pv.search.unify.rule_set import (
    MOST_RULES,
    YIELDED,
    Covering,
    Rule,
    cut_back,
    program_of,
    without_idle,
)


def decision_list(pool: Pool) -> Iterator[Candidate]:
    """Yield decision lists of increasing length."""
    problem = pool.problem
    covering = Covering(pool)
    if not len(covering.conditions):
        return
    open_rows = np.ones(problem.size, dtype=bool)
    rules: list[Rule] = []
    default = problem.majority
    while len(rules) < MOST_RULES:
        found = _best_rule(covering, open_rows)
        if found is None:
            break
        rules.append(found)
        open_rows &= ~covering.holds(found)
        left = np.bincount(
            problem.codes[open_rows], problem.weights[open_rows], minlength=len(problem.classes)
        )
        default = int(left.argmax()) if left.any() else default
        if len(rules) in YIELDED:
            yield candidate(program_of(covering, rules, default), problem, "decision_list")
        if np.count_nonzero(left) < 2:
            break
    shorter = without_idle(covering, rules, default)
    if shorter:
        yield candidate(program_of(covering, shorter, default), problem, "decision_list")


def _best_rule(covering: Covering, open_rows: Truths) -> Rule | None:
    """Return the rule that tells most for its length, for any class."""
    problem = covering.problem
    best: tuple[float, Rule] | None = None
    for code in np.unique(problem.codes[open_rows]).tolist():
        rule, value = cut_back(covering, covering.grow(code, open_rows), open_rows)
        if rule is not None and (best is None or value > best[0]):
            best = value, rule
    return None if best is None else best[1]
