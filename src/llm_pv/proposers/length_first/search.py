"""The length-first search: programs in order of their length and their mistakes on training rows.

Numbers, truth values and categories are read off the rows; conditions on them are tried alone, in
pairs of numbers, joined, and as sums modulo two; values are looked up; trees are grown. What every
stage finds is ranked together by bits, so that the first program that fits is not simply taken.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.arithmetic import best_arithmetic
from llm_pv.proposers.length_first.conditions import Conditions, collect_conditions
from llm_pv.proposers.length_first.features import collect_features
from llm_pv.proposers.length_first.joining import best_joined
from llm_pv.proposers.length_first.linear_gf2 import best_count_parities, best_position_parities
from llm_pv.proposers.length_first.lookups import best_lookups
from llm_pv.proposers.length_first.mining import mine
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, condition_body, source_of
from llm_pv.proposers.length_first.reading import Reading
from llm_pv.proposers.length_first.scoring import Scored, Target, best_single, telling
from llm_pv.proposers.length_first.sequences import Features
from llm_pv.proposers.length_first.trees import (
    Branch,
    Leaf,
    constant_candidate,
    grow_trees,
    tree_candidate,
)

MOST_PROPOSALS = 200
KEPT_PER_STAGE = 150
MOST_CLASSES = 12
"""Classes that are searched for one by one; further ones are left to lookups and trees."""

Progress = Callable[[str, int], None]


class LengthFirst:
    """The built-in proposer: finds readable programs without a model.

    Results depend on the rows, the classes and the seed alone, unless the time cap cuts the search
    short; `hit_time_cap` tells.

    Parameters
    ----------
    budget_seconds
        A cap on the seconds of one search.
    progress
        Called with the name of a stage and the number of candidates tried so far.

    Examples
    --------
    >>> from llm_pv.data.examples import Classes, Examples
    >>> words = ["".join(c) for c in __import__("itertools").product("01", repeat=6)]
    >>> rows = Examples(words, [str(word.count("1") % 2) for word in words])
    >>> first = next(LengthFirst().propose(rows, Classes.of(["0", "1"]), seed=0))
    >>> print(first.text, end="")
    def f(x):
        return int(x.count("1") % 2 == 1)
    """

    name = "length-first"
    default_attempts = 200

    def __init__(self, budget_seconds: float = 30.0, *, progress: Progress | None = None) -> None:
        self.budget_seconds = budget_seconds
        self._progress = progress
        self._hit_time_cap = False

    @property
    def hit_time_cap(self) -> bool:
        """Whether the last search was cut short, so that another run may propose otherwise."""
        return self._hit_time_cap

    @property
    def free(self) -> bool:
        """A search costs nothing but time."""
        return True

    def propose(
        self, train: Examples, classes: Classes, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        """Search, then yield programs, best first, a fallback and the majority class last."""
        started = time.monotonic()
        self._hit_time_cap = False

        def expired() -> bool:
            if time.monotonic() - started > self.budget_seconds:
                self._hit_time_cap = True
            return self._hit_time_cap

        problem = Problem.of(train, classes.texts, seed)
        candidates = search(problem, expired, self._progress or _silent)
        seconds = time.monotonic() - started
        for candidate in candidates[start:]:
            yield Proposal(
                source_of(candidate),
                seconds=seconds,
                capped=self._hit_time_cap,
                note=candidate.note,
            )
            seconds = 0.0


def _silent(_stage: str, _tried: int) -> None:
    """Report nothing."""


@dataclass
class _Search:
    """One search under way: what it has read, what it has found, how much it has tried."""

    problem: Problem
    expired: Callable[[], bool]
    progress: Progress
    tried: int = 0
    found: list[Candidate] = field(default_factory=list)

    def count(self, candidates: int) -> None:
        """Add to the candidates tried."""
        self.tried += candidates

    def report(self, stage: str) -> None:
        """Tell which stage begins."""
        self.progress(stage, self.tried)


def search(problem: Problem, expired: Callable[[], bool], progress: Progress) -> list[Candidate]:
    """Return programs, best first; those no better than the majority class are left out."""
    baseline = constant_candidate(problem)
    if len(problem.classes) < 2:
        return [baseline]
    run = _Search(problem, expired, progress)
    run.report("reading rows")
    features, reading = collect_features(problem, expired)
    run.report("mining substrings")
    mined = [
        condition
        for text in reading.texts
        for condition in mine(text, problem.codes, len(problem.classes))
    ]
    conditions = collect_conditions(features, reading.texts, mined, problem.size)
    run.count(len(conditions))
    run.report("looking values up")
    run.found += best_lookups(features, problem, KEPT_PER_STAGE)
    _search_classes(run, features, reading, conditions)
    run.report("growing trees")
    target = Target.of(problem.codes == np.bincount(problem.codes).argmax())
    trees = grow_trees(telling(conditions, target), problem)
    rules = _ranked(run.found, baseline.cost - weights.TRUST_MARGIN)
    run.report("done")
    return [*rules, *_ranked(trees, np.inf), baseline]


def _search_classes(
    run: _Search, features: Features, reading: Reading, conditions: Conditions
) -> None:
    """Search for conditions of each class, or of one where there are two."""
    problem = run.problem
    classes = len(problem.classes)
    answers: dict[int, Scored] = {}
    wanted = [1] if classes == 2 else range(min(classes, MOST_CLASSES))
    for code in wanted:
        target = Target.of(problem.codes == code)
        found = _conditions_for(run, features, reading, conditions, target)
        if classes == 2:
            run.found += [_two_way(one, problem, code) for one in found]
        elif found:
            answers[code] = min(found, key=lambda one: one.cost)
    if classes > 2 and answers:
        run.found += _decision_lists(answers, problem)


def _conditions_for(
    run: _Search, features: Features, reading: Reading, conditions: Conditions, target: Target
) -> list[Scored]:
    """Return the conditions that answer one class, from every stage."""
    run.report("single conditions")
    found = best_single(conditions, target, KEPT_PER_STAGE)
    run.count(2 * len(conditions))
    if run.expired():
        return found
    run.report("sums modulo two")
    for text in reading.texts:
        found += best_position_parities(text, target, 20, run.count)
    found += best_count_parities(features.numbers, features.flags, target, 40, run.count)
    if run.expired():
        return found
    run.report("pairs of numbers")
    numbers = features.numbers
    found += best_arithmetic(numbers, target, KEPT_PER_STAGE, run.expired, run.count)
    if run.expired():
        return found
    run.report("joined conditions")
    chosen = telling(conditions, target)
    found += best_joined(chosen, target, KEPT_PER_STAGE, run.expired, run.count)
    return found


def _two_way(one: Scored, problem: Problem, positive: int) -> Candidate:
    answers = np.where(one.condition.values, positive, 1 - positive)
    body = condition_body(one.condition, problem.classes, positive)
    needs, bits = one.condition.needs, one.condition.bits
    return Candidate(body, needs, bits, answers, one.mistakes, one.cost)


def _decision_lists(answers: dict[int, Scored], problem: Problem) -> list[Candidate]:
    """Return decision lists: one condition a class, the cheapest first, one class left over."""
    by_cost = sorted(answers, key=lambda code: answers[code].cost)
    rest = [code for code in range(len(problem.classes)) if code not in answers]
    found = []
    for last in rest or by_cost[-2:]:
        tree: Branch | Leaf = Leaf(last)
        for code in reversed(by_cost):
            if code != last:
                tree = Branch(answers[code].condition, Leaf(code), tree)
        found.append(tree_candidate(tree, problem, "rule"))
    return found


def _ranked(candidates: Sequence[Candidate], bar: float) -> list[Candidate]:
    """Return the candidates under the bar, cheapest first, one for each way to answer."""
    kept: dict[bytes, Candidate] = {}
    for candidate in sorted(candidates, key=lambda one: (one.cost, one.body)):
        if candidate.cost < bar:
            kept.setdefault(candidate.answers.tobytes(), candidate)
    return list(kept.values())[:MOST_PROPOSALS]
