"""The length-first search: programs in order of their length and their mistakes on training rows.

Numbers, truth values and categories are read off the rows; conditions on them are tried alone, in
pairs of numbers, joined, and as sums modulo two; values are looked up; trees are grown. What every
stage finds is ranked together by bits, so that the first program that fits is not simply taken.

Programs are written for rows like the training rows, so that they can be read. A column that is
None in some training row is guarded, and so is one that some row lacks; where no training row has
None, ``x["age"] >= 40`` raises on a later None, and ``x[7] == "1"`` on a string shorter than any
training row. Such a row counts as a mistake wherever programs are scored.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.arithmetic import best_arithmetic, with_multiples
from llm_pv.proposers.length_first.automata import best_automata
from llm_pv.proposers.length_first.boundaries import with_other_cuts
from llm_pv.proposers.length_first.budget import Budget
from llm_pv.proposers.length_first.conditions import Conditions, collect_conditions
from llm_pv.proposers.length_first.coordinates import telling_positions
from llm_pv.proposers.length_first.decisions import best_decision_lists
from llm_pv.proposers.length_first.features import collect_features
from llm_pv.proposers.length_first.gates import best_gated
from llm_pv.proposers.length_first.joining import best_differing, best_joined, best_of_three
from llm_pv.proposers.length_first.ladders import best_ladders
from llm_pv.proposers.length_first.linear_gf2 import best_count_parities, best_position_parities
from llm_pv.proposers.length_first.lookups import best_lookups
from llm_pv.proposers.length_first.mining import mine
from llm_pv.proposers.length_first.modular import best_weighted_sums, columns_of
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, condition_body, source_of
from llm_pv.proposers.length_first.reading import Reading
from llm_pv.proposers.length_first.rivals import rivals_of
from llm_pv.proposers.length_first.scan import best_scanned
from llm_pv.proposers.length_first.scorecards import scored_sums
from llm_pv.proposers.length_first.scoring import (
    Scored,
    Target,
    best_single,
    telling,
    telling_of_any,
    with_found,
)
from llm_pv.proposers.length_first.sequences import Features
from llm_pv.proposers.length_first.trees import (
    Branch,
    Leaf,
    constant_candidate,
    grow_trees,
    tree_candidate,
)

if TYPE_CHECKING:
    from llm_pv.proposers.length_first.expressions import Expression

MOST_RULES = 190
"""Rules proposed at most; trees and the majority class come after them."""
MOST_FITTING = 60
"""Places of those kept for programs without a training mistake."""
KEPT_PER_STAGE = 150
MOST_CLASSES = 6
"""With more classes, decision lists are left out: lookups and trees remain."""

DEFAULT_BUDGET = Budget()

HAND_OVER_SECONDS = 2.0
"""How often what was found is handed over, in case the search is stopped from outside."""
MOST_HANDED_OVER = 40

Progress = Callable[[str, int], None]
Interim = Callable[[Sequence[Proposal]], None]


class LengthFirst(Proposer):
    """The built-in proposer: finds readable programs without a model.

    Results depend on the rows, the classes and the seed alone, unless the time cap cuts the search
    short; `hit_time_cap` tells.

    Parameters
    ----------
    budget_seconds
        A cap on the seconds of one search.
    budget
        What the search may try and keep.
    noise
        The share of training labels that may be wrong, 0 for what is to be found out.
    progress
        Called with the name of a stage and the number of candidates tried so far.

    Examples
    --------
    >>> from llm_pv.data.examples import Classes, Examples
    >>> words = [f"{number:05b}" for number in range(32)]
    >>> rows = Examples(words, [str(word.count("1") % 2) for word in words])
    >>> first = next(LengthFirst().propose(rows, Classes.of(["0", "1"]), seed=0))
    >>> print(first.text.splitlines()[-1])
        return x.count("1") % 2
    """

    name = "length-first"
    default_attempts = 200

    def __init__(
        self,
        budget_seconds: float = 30.0,
        *,
        budget: Budget = DEFAULT_BUDGET,
        noise: float = 0.0,
        progress: Progress | None = None,
    ) -> None:
        self.budget_seconds = budget_seconds
        self.noise = noise
        self.budget = budget
        self.progress = progress
        self.interim: Interim | None = None
        self._hit_time_cap = False

    @property
    def identity(self) -> str:
        """The budgets, which decide what is tried."""
        noise = f", noise {self.noise:g}" if self.noise else ""
        return f"length-first within {self.budget_seconds:g} s and {self.budget}{noise}"

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

        problem = Problem.of(train, classes.texts, seed, self.noise)
        candidates = search(
            problem, self.budget, expired, self.progress or _silent, self._hand_over
        )
        seconds = time.monotonic() - started
        rules = [candidate for candidate in candidates if not candidate.is_fallback]
        rivals = rivals_of(rules, train, seed)
        for place, candidate in enumerate(candidates[start:], start):
            yield Proposal(
                source_of(candidate),
                seconds=seconds,
                capped=self._hit_time_cap,
                note=candidate.note,
                fallback=candidate.is_fallback,
                rivals=rivals.get(place, ()),
            )
            seconds = 0.0

    def _hand_over(self, candidates: Sequence[Candidate]) -> None:
        """Say what would be proposed if the search had to end now."""
        if self.interim is not None:
            self.interim(
                [Proposal(source_of(one), note=one.note, fallback=one.is_fallback)
                 for one in candidates]
            )  # fmt: skip


def _silent(_stage: str, _tried: int) -> None:
    """Report nothing."""


@dataclass
class _Search:
    """One search under way: what it has read, what it has found, how much it has tried."""

    problem: Problem
    budget: Budget
    expired: Callable[[], bool]
    progress: Progress
    write_results: Callable[[Sequence[Candidate]], None]
    tried: int = 0
    handed_over: float = field(default_factory=time.monotonic)
    found: list[Candidate] = field(default_factory=list)

    def count(self, candidates: int) -> None:
        """Add to the candidates tried."""
        self.tried += candidates

    def report(self, stage: str) -> None:
        """Tell which stage begins, and now and then what there is if it is the last."""
        self.progress(stage, self.tried)
        if time.monotonic() - self.handed_over > HAND_OVER_SECONDS:
            baseline = constant_candidate(self.problem)
            best = _ranked(self.found, baseline.cost - weights.TRUST_MARGIN)
            self.write_results([*best[:MOST_HANDED_OVER], baseline])
            self.handed_over = time.monotonic()


def search(
    problem: Problem,
    budget: Budget,
    expired: Callable[[], bool],
    progress: Progress,
    write_results: Callable[[Sequence[Candidate]], None] = lambda _candidates: None,
) -> list[Candidate]:
    """Return programs, best first; those no better than the majority class are left out."""
    baseline = constant_candidate(problem)
    if len(problem.classes) < 2:
        return [baseline]
    run = _Search(problem, budget, expired, progress, write_results)
    run.report("reading rows")
    features, reading = collect_features(problem, budget, expired)
    run.report("mining substrings")
    mined = [
        condition
        for text in reading.texts
        for condition in mine(text, problem.codes, len(problem.classes))
    ]
    conditions = collect_conditions(
        features, reading.texts, mined, problem.codes, budget.condition_cells
    )
    run.count(len(conditions))
    run.report("looking values up")
    run.found += best_lookups(features, problem, KEPT_PER_STAGE, budget.looked_up)
    run.report("automata and ladders")
    for text in reading.texts[:3]:
        run.found += best_automata(text, problem, budget.folding)
    targets = _targets(problem)
    points = scored_sums(
        telling_of_any(conditions, targets, budget.points), reading.numbers, problem
    )
    run.found += best_ladders([*features.numbers, *points], problem)
    if len(problem.classes) == 2:
        found = best_scanned(points, targets[1], KEPT_PER_STAGE, expired, run.count)
        run.found += [_two_way(one, problem, 1) for one in found]
    _search_classes(run, features, reading, conditions)
    run.report("growing trees")
    most = problem.codes == np.bincount(problem.codes).argmax()
    target = Target.of(np.arange(problem.size), most, problem.noise)
    trees = grow_trees(telling(conditions, target, budget.joined), problem)
    bar = baseline.cost - weights.TRUST_MARGIN
    # A tree that pays as a rule must is one, and stands where its length puts it.
    run.found += [replace(tree, kind="rule") for tree in trees if tree.cost < bar]
    trees = [tree for tree in trees if tree.cost >= bar]
    rules = _ranked(run.found, bar)
    if problem.noise and rules:
        # A longer rule that fits a wrong label or two by chance would pass for the better one.
        rules = [rule for rule in rules if rule.cost <= rules[0].cost + weights.NOISE_SLACK]
    variants = with_other_cuts(rules, problem)
    rules = [*rules[: MOST_RULES - len(variants)], *variants]
    run.report("done")
    known = {candidate.answers.tobytes() for candidate in (*rules, baseline)}
    trees = [tree for tree in trees if tree.answers.tobytes() not in known]
    return [*rules, *_ranked(trees, np.inf), baseline]


def _search_classes(
    run: _Search, features: Features, reading: Reading, conditions: Conditions
) -> None:
    """Search for conditions of one class of two, or for a decision list of several."""
    problem = run.problem
    classes = len(problem.classes)
    everything = np.arange(problem.size)
    if classes == 2:
        target = Target.of(everything, problem.codes == 1, problem.noise)
        found = _conditions_for(run, features, reading, conditions, target)
        run.found += [_two_way(one, problem, 1) for one in found]
        run.report("gates")
        run.found += best_gated(
            conditions,
            problem,
            KEPT_PER_STAGE,
            run.budget.gates,
            expired=run.expired,
            count=run.count,
        )
        return

    tests: list[Scored] = []

    def cheapest(code: int, rows: NDArray[np.int64]) -> Scored | None:
        target = Target.of(rows, problem.codes[rows] == code, problem.noise)
        found = _conditions_for(run, features, reading, conditions, target)
        if len(rows) == problem.size:
            tests.extend(sorted(found, key=lambda one: one.cost)[:KEPT_PER_STAGE])
        return min(found, key=lambda one: one.cost) if found else None

    if classes <= MOST_CLASSES:
        run.found += _decision_lists(cheapest, problem)
    if run.expired():
        return
    run.report("decision lists")
    targets = _targets(problem)
    pool = with_found(telling_of_any(conditions, targets, run.budget.listed), tests, targets[0])
    run.found += best_decision_lists(pool, features, problem)


def _targets(problem: Problem) -> list[Target]:
    """Return one target for each class, on all training rows."""
    everything = np.arange(problem.size)
    return [
        Target.of(everything, problem.codes == code, problem.noise)
        for code in range(len(problem.classes))
    ]


def _decision_lists(
    cheapest: Callable[[int, NDArray[np.int64]], Scored | None], problem: Problem
) -> list[Candidate]:
    """Return decision lists: one condition a class, each made for the rows that are left."""
    answers = {
        code: cheapest(code, np.arange(problem.size)) for code in range(len(problem.classes))
    }
    order = sorted(answers, key=lambda code: one.cost if (one := answers[code]) else np.inf)
    chosen: list[tuple[int, Expression]] = []
    rows = np.arange(problem.size)
    for code in order[:-1]:
        left = np.unique(problem.codes[rows])
        if code not in left or len(left) < 2:
            continue
        best = answers[code] if not chosen else cheapest(code, rows)
        if best is not None:
            chosen.append((code, best.condition))
            rows = rows[~best.condition.values[rows].astype(bool)]
    last = int(np.bincount(problem.codes[rows] if len(rows) else problem.codes).argmax())
    tree: Branch | Leaf = Leaf(last)
    for code, condition in reversed(chosen):
        tree = Branch(condition, Leaf(code), tree)
    return [tree_candidate(tree, problem, "rule")]


def _conditions_for(
    run: _Search, features: Features, reading: Reading, conditions: Conditions, target: Target
) -> list[Scored]:
    """Return the conditions that answer one class, from every stage."""
    run.report("single conditions")
    found = best_single(conditions, target, KEPT_PER_STAGE)
    run.count(2 * len(conditions))
    if run.expired():
        return found
    run.report("every number")
    chosen_positions = [one for text in reading.texts for one in telling_positions(text, target)]
    numbers = [*features.numbers, *chosen_positions]
    scanned = best_scanned(numbers, target, KEPT_PER_STAGE, run.expired, run.count)
    found += scanned
    run.report("sums modulo two")
    for text in reading.texts:
        found += best_position_parities(text, target, 20, run.count)
    weighted = [
        one
        for part in (*reading.texts, *reading.lists)
        for columns in columns_of(part, run.problem.size)
        for one in best_weighted_sums(columns, target)
    ]
    found += weighted
    found += best_count_parities(
        [*features.numbers, *features.flags], run.budget.summed, target, 40, run.count
    )
    if run.expired():
        return found
    run.report("pairs of numbers")
    numbers = with_multiples(features.numbers)
    cells = run.budget.pair_cells // max(1, len(run.problem.classes) - 1)
    paired = best_arithmetic(
        numbers, target, KEPT_PER_STAGE, cells, expired=run.expired, count=run.count
    )
    found += paired
    if run.expired():
        return found
    run.report("joined conditions")
    chosen = telling(conditions, target, _pool(run))
    most = run.budget.held(run.budget.differing, target.size)
    short = conditions.chosen(np.arange(min(len(conditions), most)))
    differing = best_differing(short, target, KEPT_PER_STAGE, run.expired, run.count)
    found += differing
    found += best_of_three(
        telling(conditions, target, run.budget.joined_by_three(len(run.problem.rows))),
        target,
        KEPT_PER_STAGE,
        run.expired,
        run.count,
    )
    chosen = with_found(chosen, [*scanned, *paired, *weighted], target)
    found += best_joined(chosen, target, KEPT_PER_STAGE, run.expired, run.count)
    return found


def _pool(run: _Search) -> int:
    """Return how many conditions are joined; with several classes they share the pairs."""
    targets = max(1, len(run.problem.classes) - 1)
    most = run.budget.held(run.budget.joined, run.problem.size)
    return max(20, int(most / targets**0.5))


def _two_way(one: Scored, problem: Problem, positive: int) -> Candidate:
    answers = np.where(one.condition.values, positive, 1 - positive)
    body = condition_body(one.condition, problem.classes, positive)
    needs, bits = one.condition.needs, one.condition.bits
    return Candidate(body, needs, bits, answers, one.mistakes, one.cost)


def _ranked(candidates: Sequence[Candidate], bar: float) -> list[Candidate]:
    """Return the candidates under the bar, cheapest first, one for each way to answer."""
    kept: dict[bytes, Candidate] = {}
    for candidate in sorted(candidates, key=lambda one: (one.cost, one.body)):
        if candidate.cost < bar:
            kept.setdefault(candidate.answers.tobytes(), candidate)
    cheapest = list(kept.values())
    # Variants of a program that nearly fits must not crowd out a longer one that does fit.
    fitting = [one for one in cheapest[MOST_RULES - MOST_FITTING :] if one.mistakes == 0]
    return [*cheapest[: MOST_RULES - MOST_FITTING], *fitting[:MOST_FITTING]]
