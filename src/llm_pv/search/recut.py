"""Programs whose comparisons are cut anew, where that suits the rows that each of them decides.

A condition of a pool is cut for all rows, between two neighbouring values of a number. In a program
other conditions decide some of these rows. Among the rest another cut may make fewer mistakes; and
where the nearest rows are farther apart, the roundest number between them is likelier what was
meant.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.cuts import SIGNS, compared
from llm_pv.search.mining import boundary, written_bits
from llm_pv.search.problem import Problem
from llm_pv.search.program import Branch, Node, answers_of
from llm_pv.search.types import Expression, exchanged

MOST_COMPARISONS = 30
STRICT = 0.5
"""What a cut costs more that leaves out the constant itself."""


def recut(program: Node, problem: Problem) -> Iterator[Node]:
    """Yield a program with its comparisons cut anew, and this with a constant on its other side.

    Whether a number that equals the constant is above the cut, no training row tells there.
    """
    made, comparisons = program, list(dict.fromkeys(comparisons_of(program)))
    if len(comparisons) > MOST_COMPARISONS:
        return
    for condition in comparisons:
        problem.guard.check()
        number, sign, constant = _parts(condition)
        gap = gap_of(made, condition, problem)
        new = boundary(*gap, number.kind) if gap else (sign, constant)
        if new != (sign, constant):
            saved = written_bits(constant, number.kind) - written_bits(new[1], number.kind)
            made = with_condition(made, condition, compared(number, *new, condition.bits - saved))
    if made is not program:
        yield made
    for condition in dict.fromkeys(comparisons_of(made)):
        problem.guard.check()
        number, sign, constant = _parts(condition)
        gap = gap_of(made, condition, problem)
        if sign == ">=" and gap and gap[0] < constant < gap[1]:
            other = compared(number, ">", constant, condition.bits + STRICT)
            yield with_condition(made, condition, replace(other, kind="edge"))


def _parts(condition: Expression) -> tuple[Expression, str, float]:
    assert condition.cut is not None
    return condition.cut


def comparisons_of(program: Node) -> Iterator[Expression]:
    """Yield the comparisons of numbers with constants in a program's conditions."""
    if isinstance(program, Branch):
        yield from _comparisons_in(program.condition)
        yield from comparisons_of(program.yes)
        yield from comparisons_of(program.no)


def _comparisons_in(condition: Expression) -> Iterator[Expression]:
    if condition.cut is not None and condition.cut[1] in (">=", ">"):
        yield condition
    for part in condition.parts[1]:
        yield from _comparisons_in(part)


def gap_of(program: Node, condition: Expression, problem: Problem) -> tuple[float, float] | None:
    """Return the neighbouring values between which a comparison makes fewest mistakes.

    Only rows count that the comparison decides. The present gap is kept where none is better; None
    where no row, or only one value, is decided.
    """
    number, sign, constant = _parts(condition)
    size, rows = problem.size, len(problem.frame.rows)

    def rightness(*, truth: bool) -> NDArray[np.float64]:
        fixed = replace(condition, values=np.full(rows, truth))
        answers = answers_of(with_condition(program, condition, fixed))
        right: NDArray[np.bool_] = np.broadcast_to(answers, (rows,))[:size] == problem.codes
        return right.astype(np.float64)

    # What a row gains by being above the cut: nothing where that does not change the answer.
    gains = problem.weights * (rightness(truth=True) - rightness(truth=False))
    values = np.asarray(number.values[:size])
    decided = (gains != 0) & ~np.isnan(values)
    known, place = np.unique(values[decided], return_inverse=True)
    if len(known) < 2:
        return None
    lost = np.cumsum(np.bincount(place, gains[decided]))[:-1]  # with a cut after each value
    now, best = int((~SIGNS[sign](known, constant)).sum()) - 1, int(lost.argmin())
    if 0 <= now < len(lost) and lost[now] <= lost[best] + 1e-9:
        best = now
    return float(known[best]), float(known[best + 1])


def with_condition(program: Node, old: Expression, new: Expression) -> Node:
    """Return a program with one condition exchanged for another."""
    if not isinstance(program, Branch):
        return program
    return Branch(
        exchanged(program.condition, old, new),
        with_condition(program.yes, old, new),
        with_condition(program.no, old, new),
    )
