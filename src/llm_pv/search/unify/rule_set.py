"""Rules one after another, each for rows that no earlier rule covers.

The scheme of RIPPER (Cohen, Fast Effective Rule Induction, 1995) priced by description length: a
rule grows by the condition with the most information about its class (FOIL's gain) until it covers
no other class, and is cut back to the prefix that makes the whole program cheapest. A rule set
takes one class after another, a decision list at each step the class that a rule tells most of.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.pool import Conditions, Pool, conditions_of
from llm_pv.search.program import Answer, Candidate, Node, candidate, first_of
from llm_pv.search.types import Expression, Truths, joined, negation
from llm_pv.search.unify.features import features_of, steps

MOST_RULES = 30
YIELDED = {1, 2, 3, 5, 8, 12, 20, 30}
LONGEST = 6
CUTS = 15
LENGTH_PENALTY = 0.1
"""Bits of gain that a bit of a condition's length has to bring while a rule grows."""
COMPOSITE = 150
GROWING_ROWS = 10_000
"""Rules grow on so many rows at most, spread evenly; mistakes are counted on all."""


@dataclass(frozen=True)
class Rule:
    """A conjunction: positions in the literals (conditions, then their opposites), and a class."""

    literals: tuple[int, ...]
    code: int


class Covering:
    """Conditions and their opposites as literals, and the growing of rules from them."""

    def __init__(self, pool: Pool) -> None:
        self.problem = pool.problem
        self.conditions = self._conditions(pool)
        self.rows = self.problem.spread(GROWING_ROWS)
        self._truth = self.conditions.truth[:, self.rows]
        self._bits = np.concatenate([self.conditions.bits, self.conditions.bits])

    @staticmethod
    def _conditions(pool: Pool) -> Conditions:
        """Return raw features, numbers cut at quantiles, and the telling conditions of the pool."""
        problem = pool.problem
        features = features_of(pool, COMPOSITE)
        most = max(3, min(CUTS, 300 // max(1, len(features.numbers))))
        cuts = [one for number in features.numbers for one in steps(number, problem, most)]
        return conditions_of([*cuts, *features.flags], problem)

    def holds(self, rule: Rule) -> Truths:
        """Return the training rows that a rule covers, all of them."""
        covered = np.ones(self.problem.size, dtype=bool)
        for literal in rule.literals:
            covered &= self.literal(literal)
        return covered

    def literal(self, literal: int) -> Truths:
        """Return where a literal holds."""
        count, truth = len(self.conditions), self.conditions.truth
        return np.asarray(truth[literal] if literal < count else ~truth[literal - count])

    def expression(self, rule: Rule) -> Expression:
        """Return a rule's condition, its parts in the order of growth."""
        count = len(self.conditions)
        parts = [
            self.conditions.expression(literal)
            if literal < count
            else negation(self.conditions.expression(literal - count))
            for literal in rule.literals
        ]
        return joined("and", parts, self.rule_bits(rule))

    def rule_bits(self, rule: Rule) -> float:
        """Return the length of a rule's condition."""
        bits = sum(float(self._bits[literal]) for literal in rule.literals)
        return bits + prices.JOIN * (len(rule.literals) - 1)

    def grow(self, code: int, open_rows: Truths) -> Rule:
        """Return the longest rule for a class among rows that no earlier rule covers."""
        active = np.flatnonzero(open_rows[self.rows])
        members = self.problem.codes[self.rows] == code
        weights = self.problem.weights[self.rows]
        literals: list[int] = []
        while len(literals) < LONGEST:
            self.problem.guard.check()
            inside = weights[active] * members[active]
            signs = np.stack([inside, weights[active]], axis=1).astype(np.float32)
            total_inside, total = signs.sum(axis=0)
            if total_inside == 0 or total_inside >= total - 1e-6:
                break
            held = self._truth[:, active].astype(np.float32) @ signs
            counts = np.concatenate([held, [total_inside, total] - held])
            gain = foil_gain(counts[:, 0], counts[:, 1], float(total_inside), float(total))
            gain[gain <= 1e-6] = -np.inf
            best = int((gain - LENGTH_PENALTY * self._bits).argmax())
            if not np.isfinite(gain[best]):
                break
            literals.append(best)
            active = active[self.literal(best)[self.rows[active]]]
        self.problem.count(2 * len(self._bits) * max(1, len(literals)))
        return Rule(tuple(literals), code)


def foil_gain(
    inside: NDArray[np.float32], held: NDArray[np.float32], all_inside: float, total: float
) -> NDArray[np.float64]:
    """Return the bits that naming the covered members of the class gets cheaper by, all together.

    Examples
    --------
    >>> foil_gain(np.float32([4]), np.float32([4]), 4, 16).tolist()
    [8.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = inside * (np.log2(inside / held) - np.log2(all_inside / total))
    return np.nan_to_num(np.asarray(gain, dtype=np.float64), nan=0.0, neginf=0.0)


def rule_set(pool: Pool) -> Iterator[Candidate]:
    """Yield rule sets for the rarest class against the next, up to the most frequent."""
    problem = pool.problem
    covering = Covering(pool)
    if not len(covering.conditions):
        return
    order = np.argsort(problem.shares(problem.weights), kind="stable").tolist()
    for targets in [order[:-1], order[1:]] if problem.binary else [order[:-1]]:
        default = next(code for code in reversed(order) if code not in targets)
        yield from _cover(covering, targets, default)


def _cover(covering: Covering, targets: list[int], default: int) -> Iterator[Candidate]:
    problem = covering.problem
    open_rows = np.ones(problem.size, dtype=bool)
    rules: list[Rule] = []
    for code in targets:
        while len(rules) < MOST_RULES and (open_rows & (problem.codes == code)).any():
            rule, _ = cut_back(covering, covering.grow(code, open_rows), open_rows)
            if rule is None:
                break
            open_rows &= ~covering.holds(rule)
            rules.append(rule)
            if len(rules) in YIELDED:
                yield candidate(program_of(covering, rules, default), problem, "rule_set")
    shorter = without_idle(covering, rules, default)
    if shorter:
        yield candidate(program_of(covering, shorter, default), problem, "rule_set")


def cut_back(covering: Covering, rule: Rule, open_rows: Truths) -> tuple[Rule | None, float]:
    """Return the prefix of a rule that tells most for its length, and how much; None if nothing.

    What a rule tells is the bits by which its rows' classes get cheaper: their number times the
    divergence of their shares from those of all open rows.
    """
    problem = covering.problem
    weights = problem.weights * open_rows
    members = problem.codes == rule.code
    prior = float(weights[members].sum() / weights.sum())
    best: Rule | None = None
    most = 0.0
    covered = open_rows.copy()
    for length in range(1, len(rule.literals) + 1):
        covered &= covering.literal(rule.literals[length - 1])
        held, inside = float(weights[covered].sum()), float(weights[covered & members].sum())
        share = inside / held if held else 0.0
        if share <= max(prior, 0.5 if problem.binary else 0.0):
            continue
        told = inside * np.log2(share / prior)
        if share < 1:
            told += (held - inside) * np.log2((1 - share) / (1 - prior))
        prefix = Rule(rule.literals[:length], rule.code)
        value = float(told) - covering.rule_bits(prefix)
        if best is None or value > most:
            best, most = prefix, value
    return best, most


def without_idle(covering: Covering, rules: list[Rule], default: int) -> list[Rule]:
    """Return the rules that pay for themselves, those that do not dropped from the last on."""
    problem = covering.problem
    held = [covering.holds(rule) for rule in rules]

    def cost(chosen: list[int]) -> float:
        answers = np.full(problem.size, default)
        for index in reversed(chosen):
            answers[held[index]] = rules[index].code
        bits = sum(covering.rule_bits(rules[index]) + prices.BRANCH for index in chosen)
        return bits + float(problem.price(problem.mistakes(answers)))

    kept = list(range(len(rules)))
    for index in reversed(range(len(rules))):
        problem.guard.check()
        fewer = [other for other in kept if other != index]
        if cost(fewer) <= cost(kept):
            kept = fewer
    return [rules[index] for index in kept]


def program_of(covering: Covering, rules: list[Rule], default: int) -> Node:
    """Return the program of a list of rules."""
    listed = [(covering.expression(rule), Answer(rule.code)) for rule in rules]
    return first_of(listed, Answer(default))


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
        left = problem.shares(problem.weights * open_rows)
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
