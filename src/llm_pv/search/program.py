"""Programs as small trees: what unifiers return, priced and run on the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.mining import below, written_bits
from llm_pv.search.problem import Problem
from llm_pv.search.types import Column, Expression, Frame


@dataclass(frozen=True, eq=False)
class Answer:
    """One class, as a position in the classes."""

    code: int


@dataclass(frozen=True, eq=False)
class Branch:
    """A condition with a program for either truth value."""

    condition: Expression
    yes: "Node"
    no: "Node"


@dataclass(frozen=True, eq=False)
class Points:
    """A weighted sum of numbers and truth values; a missing number (NaN) adds nothing."""

    terms: tuple[tuple[float, Expression], ...]
    constant: float = 0.0


@dataclass(frozen=True, eq=False)
class Scorecard:
    """Points against a cut: one class where they reach it, another where they do not."""

    points: Points
    cut: float
    yes: int
    no: int


@dataclass(frozen=True, eq=False)
class Ranking:
    """The class whose points are the most, the first of equals; codes and points in step."""

    codes: tuple[int, ...]
    points: tuple[Points, ...]


@dataclass(frozen=True, eq=False)
class Bands:
    """A number cut into bands: the class of the first cut that it is below, else the last class.

    ``codes`` has one more entry than ``cuts``, which increase. A missing number has the last class.
    """

    number: Expression
    cuts: tuple[float, ...]
    codes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lookup:
    """A class by a value: a table of values, and a class for all others."""

    key: Expression
    table: tuple[tuple[object, int], ...]
    default: int


Node: TypeAlias = Answer | Branch | Scorecard | Ranking | Bands | Lookup


def answers_of(node: Node, frame: Frame | None = None) -> NDArray[np.int64]:
    """Return the class that a program answers on each row, by the values that expressions carry.

    With a frame, it is on the rows of that.
    """

    def read(expression: Expression) -> Column:
        return expression.values if frame is None else frame.values(expression)

    def points(one: Points) -> NDArray[np.float64]:
        # In the order in which the program adds them: sums of fractions depend on it.
        total: NDArray[np.float64] = np.zeros(())
        for weight, term in one.terms:
            values = np.asarray(read(term), dtype=np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                total = total + weight * np.where(np.isnan(values), 0.0, values)
        return total + one.constant

    match node:
        case Answer(code):
            return np.array(code, dtype=np.int64)
        case Branch(condition, yes, no):
            return np.where(read(condition), answers_of(yes, frame), answers_of(no, frame))
        case Scorecard(card, cut, yes_code, no_code):
            return np.where(points(card) >= cut, yes_code, no_code)
        case Ranking(codes, cards):
            columns = np.stack(np.broadcast_arrays(*(points(card) for card in cards)))
            # What is no number is never more than another.
            best = np.where(np.isnan(columns), -np.inf, columns).argmax(axis=0)
            return np.asarray(np.array(codes)[np.where(np.isnan(columns[0]), 0, best)])
        case Bands(number, cuts, codes):
            values = np.asarray(read(number), dtype=np.float64)
            return np.asarray(np.array(codes)[np.searchsorted(np.array(cuts), values, "right")])
        case Lookup(key, table, default):
            known = dict(table)
            values = read(key)
            listed = values.tolist() if isinstance(values, np.ndarray) else values
            return np.array([known.get(value, default) for value in listed], dtype=np.int64)


def bits_of(node: Node, classes: int) -> float:
    """Return the length of a program: its parts, by the price list."""
    leaf = prices.leaf_bits(classes)

    def points(one: Points) -> float:
        constant = prices.constant_bits(one.constant) if one.constant else 0.0
        return constant + sum(
            prices.POINT + prices.constant_bits(weight) + term.bits for weight, term in one.terms
        )

    match node:
        case Answer():
            return leaf
        case Branch(condition, Answer(), Answer()) if classes == 2:
            return condition.bits
        case Branch(condition, yes, no):
            inner = _branch_bits(yes, classes) + _branch_bits(no, classes)
            return prices.BRANCH + condition.bits + inner
        case Scorecard(card, cut, _, _):
            return points(card) + prices.constant_bits(cut) + prices.THRESHOLD
        case Ranking(codes, cards):
            return sum(map(points, cards)) + leaf * len(codes)
        case Bands(number, cuts, codes):
            said = [below(cut) for cut in cuts]
            cut_bits = sum(
                prices.THRESHOLD + written_bits(cut, number.kind) + prices.STRICT * (sign == "<=")
                for sign, cut in said
            )
            return number.bits + cut_bits + leaf * len(codes)
        case Lookup(key, table, _):
            return (
                key.bits
                + leaf
                + sum(prices.TABLE_ROW + leaf + _value_bits(value) for value, _ in table)
            )


def _value_bits(value: object) -> float:
    return prices.constant_bits(value) if isinstance(value, int | float) else 2.0


def _branch_bits(node: Node, classes: int) -> float:
    """Return a node's length inside another: a branch of two answers names them."""
    if isinstance(node, Branch):
        inner = _branch_bits(node.yes, classes) + _branch_bits(node.no, classes)
        return prices.BRANCH + node.condition.bits + inner
    return bits_of(node, classes)


def expressions_of(node: Node) -> Iterator[Expression]:
    """Yield the expressions of a program, in the order they are written."""
    match node:
        case Branch(condition, yes, no):
            yield condition
            yield from expressions_of(yes)
            yield from expressions_of(no)
        case Scorecard(card, _, _, _):
            yield from (term for _, term in card.terms)
        case Ranking(_, cards):
            yield from (term for card in cards for _, term in card.terms)
        case Bands(expression, _, _) | Lookup(expression, _, _):
            yield expression


@dataclass(frozen=True, eq=False)
class Candidate:
    """A program found, with what it costs."""

    program: Node  # the program
    bits: float  # its length
    answers: NDArray[np.int64]  # its class on every row of the problem, probes included
    mistakes: float  # the weight of the training rows it gets wrong
    cost: float  # its length and the bits of its mistakes: candidates are ordered by it
    stage: str = ""  # the unifier that found it
    is_rule: bool = True  # whether it explains the rows; otherwise it is offered for want of a rule
    # the conditions by which it differs from another program only where two numbers are equal
    edge: str = ""
    estimated: bool = False  # whether the mistakes are those of a sample, scaled to all rows


def candidate(program: Node, problem: Problem, stage: str, surcharge: float = 0.0) -> Candidate:
    """Return a program with its length, its answers and its mistakes.

    The surcharge is bits beyond the price list, for how many programs the stage chose from.
    """
    rows = len(problem.frame.rows)
    answers = np.broadcast_to(answers_of(program), (rows,)).astype(np.int64)
    bits = bits_of(program, len(problem.classes)) + surcharge
    mistakes = problem.mistakes(answers)
    cost = bits + float(problem.price(mistakes))
    return Candidate(program, bits, answers, mistakes, cost, stage)


def constant_program(problem: Problem) -> Candidate:
    """Return the program that always answers the class with most weight."""
    return candidate(Answer(problem.majority), problem, "majority")


def two_way(condition: Expression, code: int) -> Node:
    """Return the program that answers one of two classes where a condition holds."""
    return Branch(condition, Answer(code), Answer(1 - code))


def first_of(rules: Sequence[tuple[Expression, Node]], default: Node) -> Node:
    """Return the program of the first condition that holds."""
    for condition, program in reversed(rules):
        default = Branch(condition, program, default)
    return default
