"""Scorecards: a few terms with integer points, against a cut or against each other.

Terms are chosen on the path of an L1-penalised logistic regression, one class against the rest,
refitted with an L2 penalty, and rounded to points of at most ten. The path is followed by proximal
gradient steps with momentum (Beck and Teboulle, FISTA, 2009).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.cuts import best_cut
from llm_pv.search.pool import Pool
from llm_pv.search.problem import Problem
from llm_pv.search.program import Candidate, Node, Points, Ranking, Scorecard, candidate
from llm_pv.search.types import Expression, Truths, Type
from llm_pv.search.unify.features import Features, features_of, matrix, steps

TERMS = (3, 5, 10, 20, 30)
"""Terms of a scorecard; with several classes, of each class."""
POINTS = 10
PENALTIES = 14
STEPS = 50
STEPS_OF_A_NUMBER = 9
MOST_FEATURES = 250
FITTING_ROWS = 4000
"""Terms are chosen on so many rows at most, spread evenly."""
REFITTING_ROWS = 20_000
SHRINKAGE = 40.0
"""L2 penalty of a refit times the root of its rows: few rows ask for more of it."""
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Places = NDArray[np.int64]


def scorecard(pool: Pool) -> Iterator[Candidate]:
    """Yield scorecards of several sizes: on numbers as they are, and on numbers cut into steps."""
    problem = pool.problem
    features = features_of(pool)
    for terms in (_linear(features), _stepped(features, problem)):
        if terms:
            yield from _cards(terms[:MOST_FEATURES], problem)


def _linear(features: Features) -> list[Expression]:
    """Return numbers as they are, and flags."""
    return [*features.numbers, *features.flags] if features.numbers else []


def _stepped(features: Features, problem: Problem) -> list[Expression]:
    """Return whether numbers reach their quantiles, and flags."""
    most = max(2, min(STEPS_OF_A_NUMBER, MOST_FEATURES // max(1, len(features.numbers))))
    cut = [one for number in features.numbers for one in steps(number, problem, most)]
    return [*cut, *features.flags]


def _cards(terms: list[Expression], problem: Problem) -> Iterator[Candidate]:
    targets = problem.targets()
    rows = problem.spread(int(min(FITTING_ROWS, 300 + 400 * problem.guard.seconds)))
    design, scale = _standardised(matrix(terms, problem, rows))
    problem.guard.check()
    signs = np.stack([np.where(members[rows], 1.0, -1.0) for _, members in targets], axis=1)
    supports = _supports(design, signs.astype(np.float32), problem, problem.weights[rows])
    del design
    rows = problem.spread(REFITTING_ROWS)
    known: set[tuple[tuple[int, ...], ...]] = set()
    for most in TERMS:
        chosen = tuple(tuple(support[:most]) for support in supports)
        if chosen in known or not any(chosen):
            continue
        known.add(chosen)
        fits = [
            _refit([terms[i] for i in support], scale[list(support)], members, problem, rows)
            for support, (_, members) in zip(chosen, targets, strict=True)
        ]
        if any(fit.weights.any() for fit in fits):
            yield candidate(_program(_points(fits), problem), problem, "scorecard")


def _program(cards: Iterator[Points], problem: Problem) -> Node:
    """Return the points of one class against the best cut, or of all classes against each other."""
    if not problem.binary:
        return Ranking(tuple(code for code, _ in problem.targets()), tuple(cards))
    card = Points(next(cards).terms)
    total = np.zeros(problem.size)
    for weight, term in card.terms:
        total += weight * np.nan_to_num(np.asarray(term.values[: problem.size], dtype=np.float64))
    return Scorecard(card, best_cut(np.round(total, 9), problem.codes == 1, problem)[0], 1, 0)


def _standardised(design: Singles) -> tuple[Singles, Floats]:
    """Centre and scale the columns in place; return them and their scales."""
    with np.errstate(over="ignore", invalid="ignore"):
        design -= design.mean(axis=0)
        scale = np.maximum(design.std(axis=0), 1e-9)
        design /= scale
    # What is too large to be scaled tells nothing.
    design[:, ~np.isfinite(design).all(axis=0)] = 0.0
    scale[~np.isfinite(scale)] = 1.0
    return design, scale.astype(np.float64)


def _supports(
    design: Singles, signs: Singles, problem: Problem, weights: Floats
) -> list[list[int]]:
    """Return for each class the terms in the order in which they enter the path."""
    rows, width = design.shape
    weight = (weights / weights.sum()).astype(np.float32)[:, None]
    scaled = (design * np.sqrt(weight)).astype(np.float64)
    curvature = 0.25 * float(np.linalg.eigvalsh(scaled.T @ scaled)[-1])  # faster than the norm
    prior = np.clip((weight * (signs > 0)).sum(axis=0), 1e-3, 1 - 1e-3)
    offset = np.log(prior / (1 - prior)).astype(np.float32)
    coefficients = np.zeros((width, signs.shape[1]), dtype=np.float32)

    def slope(at: Singles) -> Singles:
        margins = signs * (design @ at + offset)
        return np.asarray(design.T @ (-weight * signs / (1 + np.exp(np.clip(margins, -30, 30)))))

    largest = np.abs(slope(coefficients)).max()
    supports: list[dict[int, None]] = [{} for _ in range(signs.shape[1])]
    step = 1 / max(curvature, 1e-9)
    for penalty in largest * np.geomspace(0.8, 0.8 / min(1000, 10 * rows**0.5), PENALTIES):
        ahead, momentum = coefficients, 1.0
        for _ in range(STEPS):
            problem.guard.check()
            moved = ahead - step * slope(ahead)
            new = np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0)
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = new + np.float32((momentum - 1) / following) * (new - coefficients)
            coefficients, momentum = new.astype(np.float32), following
        for target, support in enumerate(supports):
            sizes = np.abs(coefficients[:, target])
            for index in np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())].tolist():
                support.setdefault(index)
        if all(len(support) >= TERMS[-1] for support in supports):
            break
    problem.count(sum(map(len, supports)))
    return [list(support) for support in supports]


@dataclass(frozen=True)
class Fit:
    """A logistic regression: weights of terms in units of their own, and a constant."""

    terms: list[Expression]
    units: Floats
    weights: Floats
    constant: float

    @property
    def flags(self) -> Truths:
        """Which terms are truth values."""
        return np.array([term.type is Type.TRUTH for term in self.terms], dtype=bool)

    @property
    def sizes(self) -> Floats:
        """What each term weighs: that of a number is by its standard deviation."""
        return np.where(self.flags, self.weights / self.units, self.weights)


def _refit(
    terms: list[Expression], units: Floats, members: Truths, problem: Problem, rows: Places
) -> Fit:
    """Fit a logistic regression with an L2 penalty, by Newton's steps."""
    design = np.ones((len(rows), len(terms) + 1))
    design[:, 1:] = matrix(terms, problem, rows) / units
    middle = np.concatenate([[0.0], design[:, 1:].mean(axis=0)])
    design -= middle
    target, weights = members[rows], problem.weights[rows]
    ridge = np.full(len(terms) + 1, SHRINKAGE / len(rows) ** 0.5)
    ridge[0] = 1e-6
    fitted = np.zeros(len(terms) + 1)
    for _ in range(15):
        problem.guard.check()
        chance = 1 / (1 + np.exp(-np.clip(design @ fitted, -30, 30)))
        slope = design.T @ (weights * (chance - target)) + ridge * fitted
        bend = np.maximum(weights * chance * (1 - chance), 1e-6)
        change = np.linalg.solve(design.T @ (design * bend[:, None]) + np.diag(ridge), slope)
        fitted -= change
        if np.abs(change).max() < 1e-4:
            break
    return Fit(terms, units, fitted[1:], float(fitted[0] - fitted @ middle))


def _points(fits: Sequence[Fit]) -> Iterator[Points]:
    """Yield integer points on one scale."""
    factor = POINTS / max(float(np.abs(fit.sizes).max(initial=0.0)) for fit in fits)
    for fit in fits:
        points = np.round(fit.sizes * factor)
        weights = [float(f"{w:.2g}") for w in np.where(fit.flags, points, points / fit.units)]
        terms = tuple((w, term) for w, term in zip(weights, fit.terms, strict=True) if w)
        yield Points(terms, float(np.round(fit.constant * factor)))
