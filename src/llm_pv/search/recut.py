"""Programs whose numbers are cut anew, where that suits the rows that each cut decides.

A condition of a pool is cut for all rows, between two neighbouring values of a number. In a program
other conditions decide some of these rows. Among the rest another cut may make fewer mistakes; and
where the nearest rows are farther apart, the roundest number between them is likelier what was
meant. Which of the round numbers it is, training rows do not tell: the first few are all proposed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from llm_pv.search import prices
from llm_pv.search.cuts import SIGNS, compared, exchanged
from llm_pv.search.mining import below, boundary, reached, round_numbers, written_bits
from llm_pv.search.pool import Conditions
from llm_pv.search.problem import Problem
from llm_pv.search.program import Answer, Bands, Branch, Node, answers_of
from llm_pv.search.types import Expression

MOST_CUTS = 30
"""Cuts of a program; one with more is left as it is."""
LEAST_DECIDED = 5
"""Rows that a condition must decide to be exchanged: of fewer, many are right by luck."""
ROUND = 3
"""Round numbers of a gap that are proposed."""
Put = Callable[[Node], Node]
"""Returns the whole program with another node in the place of one."""


@dataclass(frozen=True)
class Cut:
    """A number compared with a constant in a program, and the program with that exchanged."""

    number: Expression
    sign: str
    constant: float
    above: Node  # the program if the number were always above the cut
    below: Node
    moved: Callable[[str, float], Node]  # the program with another sign and constant
    between: tuple[float, float] = (-np.inf, np.inf)  # the next cuts of bands
    signs: bool = True  # whether what equals the constant may be below the cut


def recut(program: Node, problem: Problem) -> Iterator[tuple[Node, str]]:
    """Yield a program with its numbers cut anew, then with other constants that fit as well.

    Each of the latter comes with what tells it from the first: no training row does.
    """
    count = sum(1 for _ in islice(cuts_of(program), MOST_CUTS + 1))
    if not 0 < count <= MOST_CUTS:
        return
    made = program
    others: list[list[tuple[int, str, float]]] = []
    for place in range(count):
        problem.guard.check()
        cut = _at(made, place)
        gap = gap_of(cut, problem)
        first, *more = _constants(cut, *gap) if gap else [(cut.sign, cut.constant)]
        if first != (cut.sign, cut.constant):
            made = cut.moved(*first)
        others.append([(place, *one) for one in more])
    if made is not program:
        yield made, ""
    single = [[one] for several in others for one in several]
    several = [[one[0], two[0]] for one, two in combinations(filter(None, others), 2)]
    for moves in [*single, *several]:
        other = made
        for place, sign, constant in moves:
            problem.guard.check()
            other = _at(other, place).moved(sign, constant)
        yield other, ", ".join(f"{place} {sign} {constant}" for place, sign, constant in moves)


def reworded(program: Node, conditions: Conditions, problem: Problem) -> Node:
    """Return a program with each condition exchanged for the shortest that decides alike.

    Only rows count on which the program would be right with one truth value alone: what a condition
    is on rows that are answered before, or alike, is not asked.
    """
    for place in range(sum(1 for _ in islice(_branches(program), MOST_CUTS))):
        problem.guard.check()
        branch, put = next(islice(_branches(program), place, None))
        rightness = [
            np.broadcast_to(answers_of(put(node)), len(problem.frame.rows))[: problem.size]
            == problem.codes
            for node in (branch.yes, branch.no)
        ]
        decided = np.flatnonzero(rightness[0] != rightness[1])
        shorter = int(np.searchsorted(conditions.bits, branch.condition.bits))
        wanted = np.asarray(branch.condition.values)[decided]
        held = conditions.truth[:shorter, decided]
        alike = (held == wanted).all(axis=1)
        fitting = np.flatnonzero(alike | (held != wanted).all(axis=1))
        if len(decided) >= LEAST_DECIDED and len(fitting):
            other = conditions.expression(fitting[0])
            sides = (branch.yes, branch.no) if alike[fitting[0]] else (branch.no, branch.yes)
            program = put(Branch(other, *sides))
    return program


def _branches(node: Node, put: Put = lambda node: node) -> Iterator[tuple[Branch, Put]]:
    if isinstance(node, Branch):
        yield node, put
        yield from _branches(node.yes, lambda yes: put(replace(node, yes=yes)))
        yield from _branches(node.no, lambda no: put(replace(node, no=no)))


def _at(program: Node, place: int) -> Cut:
    return next(islice(cuts_of(program), place, None))


def _constants(cut: Cut, low: float, high: float) -> list[tuple[str, float]]:
    """Return the signs and constants that divide the rows of a gap, the roundest first."""
    kind = cut.number.kind
    first = boundary(low, high, kind) if cut.signs else (">=", reached(low, high, kind))
    found = [first]
    if first[0] == ">=" and first[1] < high:  # no row has the constant itself
        if cut.signs:
            found.append((">", first[1]))
        elif below(first[1])[0] == "<":
            found.append((">=", float(np.nextafter(first[1], np.inf))))
    found += [(">=", constant) for constant in round_numbers(low, high, kind)[:ROUND]]
    return list(dict.fromkeys(found))


def cuts_of(program: Node, put: Put = lambda node: node) -> Iterator[Cut]:
    """Yield the cuts in a program, in an order that moving one does not change."""
    if isinstance(program, Branch):
        for condition in _comparisons_in(program.condition):

            def asked(new: Expression, branch: Branch = program) -> Node:
                return put(replace(branch, condition=new))

            yield _cut_of(condition, program.condition, asked)
        yield from cuts_of(program.yes, lambda node: put(replace(program, yes=node)))
        yield from cuts_of(program.no, lambda node: put(replace(program, no=node)))
    elif isinstance(program, Bands):
        for condition in _comparisons_in(program.number):

            def counted(new: Expression, bands: Bands = program) -> Node:
                return put(replace(bands, number=new))

            yield _cut_of(condition, program.number, counted)
        ends = -np.inf, *program.cuts, np.inf
        for place, constant in enumerate(program.cuts):
            above, below = (put(Answer(program.codes[place + beyond])) for beyond in (1, 0))
            between = ends[place], ends[place + 2]

            def moved(_: str, new: float, place: int = place, bands: Bands = program) -> Node:
                return put(
                    replace(bands, cuts=(*bands.cuts[:place], new, *bands.cuts[place + 1 :]))
                )

            yield Cut(program.number, ">=", constant, above, below, moved, between, signs=False)


def _cut_of(condition: Expression, whole: Expression, put: Callable[[Expression], Node]) -> Cut:
    assert condition.cut is not None
    number, sign, constant = condition.cut

    def with_condition(new: Expression) -> Node:
        return put(exchanged(whole, condition, new))

    def moved(sign: str, new: float) -> Node:
        more = written_bits(new, number.kind) - written_bits(constant, number.kind)
        bits = condition.bits + more + prices.STRICT * (sign == ">")
        return with_condition(compared(number, sign, new, bits))

    always, never = (
        with_condition(replace(condition, values=np.full(len(condition.values), truth), cut=None))
        for truth in (True, False)
    )
    return Cut(number, sign, constant, always, never, moved)


def _comparisons_in(condition: Expression) -> Iterator[Expression]:
    if condition.cut is not None and condition.cut[1] in (">=", ">"):
        yield condition
    for part in condition.parts[1]:
        yield from _comparisons_in(part)


def gap_of(cut: Cut, problem: Problem) -> tuple[float, float] | None:
    """Return the neighbouring values between which a cut makes fewest mistakes.

    Only rows count that the cut decides. The present gap is kept where none is better; None where
    no row, or only one value, is decided, or the cut lies best where it is, beyond all values.
    """
    size = problem.size

    def rightness(program: Node) -> NDArray[np.float64]:
        answers = answers_of(program)  # of no dimension where all are the same
        return np.asarray(
            (answers if answers.ndim == 0 else answers[:size]) == problem.codes, float
        )

    # What a row gains by being above the cut: nothing where that does not change the answer.
    gains = problem.weights * (rightness(cut.above) - rightness(cut.below))
    values = np.asarray(cut.number.values[:size])
    decided = (gains != 0) & (values >= cut.between[0]) & (values < cut.between[1])
    known, place = np.unique(values[decided], return_inverse=True)
    if len(known) < 2:
        return None
    lost = np.cumsum(np.bincount(place, gains[decided]))  # with a cut after each value
    now = int((~SIGNS[cut.sign](known, cut.constant)).sum()) - 1
    best = int(lost[:-1].argmin())
    if (lost[now] if now >= 0 else 0.0) <= lost[best] + 1e-9:
        best = now
    if not 0 <= best < len(known) - 1:
        return None  # a cut beyond all values is no worse
    return float(known[best]), float(known[best + 1])
