"""One condition for two classes."""

from collections.abc import Iterator

import numpy as np

from llm_pv.search.pool import Pool
from llm_pv.search.program import Candidate, candidate, two_way
from llm_pv.search.types import negation

KEPT = 60


def single(pool: Pool) -> Iterator[Candidate]:
    """Yield the conditions, or their opposites, that answer two classes most cheaply."""
    problem, conditions = pool.problem, pool.conditions
    if not problem.binary or not len(conditions):
        return
    signs = np.where(problem.codes == 1, -problem.weights, problem.weights).astype(np.float32)
    wrong = np.empty(len(conditions))
    for start in range(0, len(conditions), 4096):
        problem.guard.check()
        block = conditions.truth[start : start + 4096].astype(np.float32)
        wrong[start : start + 4096] = block @ signs
    wrong += problem.weights[problem.codes == 1].sum()
    problem.count(2 * len(wrong))
    total = problem.weights.sum()
    costs = conditions.bits + problem.price(np.minimum(wrong, total - wrong))
    for index in np.argsort(costs, kind="stable")[:KEPT]:
        condition = conditions.expression(index)
        if wrong[index] > total - wrong[index]:
            condition = negation(condition)
        yield candidate(two_way(condition, 1), problem, "single")
