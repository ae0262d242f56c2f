"""Numbers and truth values that a loop over a sequence ends with: counts, sums, extremes, runs."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import (
    LARGEST_EXACT,
    Definition,
    Expression,
    compared,
    imports,
)
from llm_pv.proposers.length_first.sequences import Part
from llm_pv.proposers.length_first.terms import (
    Term,
    Test,
    both,
    distinct_tests,
    terms_of,
    tests_of,
)
from llm_pv.proposers.length_first.views import View, views_of

JOINED_TESTS = 36
"""The shortest tests of a loop that are joined in pairs."""
CHUNK = 4_000_000
"""Answers held at once while they are folded."""
SUMMED_TERMS = 12
FILTERS = 24
RUN_TESTS = 40
FIRST_ITEM_TESTS = 80
COMPARED_TESTS = 30
"""The shortest tests of a loop whose counts are compared with each other."""


@dataclass
class Steps:
    """What reading may still cost, in answers to single questions about single items."""

    left: float

    def take(self, wanted: float) -> bool:
        """Spend steps if there are enough."""
        if wanted > self.left:
            return False
        self.left -= wanted
        return True


def folds_of(
    parts: Sequence[Part],
    longest: float,
    most_steps: float,
    most_items: int,
    expired: Callable[[], bool],
) -> Iterator[Expression]:
    """Yield what loops over the parts end with, the shortest loops first.

    Parameters
    ----------
    parts
        Strings, lists of integers and lists of words.
    longest
        Bits from which on a fold is left out.
    most_steps
        Questions times items, over all folds.
    most_items
        Items that may be held at once; parts that would exceed it, or take over a quarter of it
        alone, are left out, the longest to tell first.
    expired
        Whether to stop.
    """
    steps = Steps(most_steps)
    views = [view for part in _within(parts, most_items) for view in views_of(part)]
    for view in sorted(views, key=lambda view: (view.bits, view.size)):
        if expired() or steps.left <= 0:
            return
        yield from _folds_of_view(view, longest, steps)


def _within(parts: Sequence[Part], most_items: int) -> list[Part]:
    """Return the parts that may be held, in their order."""
    left, chosen = most_items, set()
    for place in sorted(range(len(parts)), key=lambda place: parts[place].bits):
        items = sum(map(len, parts[place].rows))
        if items <= min(left, most_items // 4):
            left -= items
            chosen.add(place)
    return [part for place, part in enumerate(parts) if place in chosen]


def _folds_of_view(view: View, longest: float, steps: Steps) -> Iterator[Expression]:
    allowance = longest - view.bits
    if allowance < weights.COUNT + 1:
        return
    terms = [term for term in terms_of(view) if term.bits <= allowance]
    tests = [test for test in tests_of(view, terms) if test.bits <= allowance]
    joined = [
        both(first, second)
        for index, first in enumerate(tests[:JOINED_TESTS])
        for second in tests[:index]
        if first.bits + second.bits + weights.TEST_JOINED <= allowance - weights.COUNT - 1
    ]
    if not steps.take(len(joined) * view.size):
        joined = []
    every = distinct_tests([*tests, *joined]) if joined else tests
    every = [test for test in every if test.speaks_of(view.names)]
    terms = [term for term in terms if len(term.variables) in (0, len(view.names))]
    if not steps.take((len(every) + 8 * len(terms)) * view.size):
        every = every[: int(steps.left / max(1, view.size))]
        if not steps.take((len(every) + 8 * len(terms)) * view.size):
            return
    yield from _counts(view, every, allowance)
    yield from _of_terms(view, terms, allowance)
    if steps.take(4 * RUN_TESTS * view.size):
        yield from _places_and_runs(view, every[:RUN_TESTS], allowance)
    yield from _counts_compared(view, tests, longest)
    if view.kind != "int":
        return
    if view.names == ("a",) and steps.take(4 * FIRST_ITEM_TESTS * view.size):
        yield from _first_items(view, tests[:FIRST_ITEM_TESTS])
    for term in terms[:3] if "i" in view.names or len(view.names) == 1 else ():
        if steps.take(3 * FILTERS * view.size):
            yield from _filtered(view, term, tests, allowance)


def _counts(view: View, tests: Sequence[Test], allowance: float) -> Iterator[Expression]:
    """Yield how often each test holds, and whether it holds at all or always."""
    block = max(1, CHUNK // max(1, view.size))
    for start in range(0, len(tests), block):
        chosen = tests[start : start + block]
        totals = view.totals(np.array([test.truth for test in chosen], dtype=np.uint8))
        for test, total in zip(chosen, totals, strict=True):
            bits = view.bits + test.bits
            if test.bits + weights.COUNT <= allowance:
                code = f"sum({test.code} {view.loop})"
                yield Expression(code, bits + weights.COUNT, total, needs=_needs(view, test.code))
            for word, truth in (("any", total > 0), ("all", total == view.counts)):
                code = f"{word}({test.code} {view.loop})"
                needs = _needs(view, test.code)
                yield Expression(code, bits + weights.ANY_OR_ALL, truth, needs=needs)


def _counts_compared(view: View, tests: Sequence[Test], longest: float) -> Iterator[Expression]:
    """Yield whether one test holds more often than another, over a whole sequence."""
    if view.names != ("a",) or not view.loop.removeprefix("for a in ").isidentifier():
        return
    if view.kind == "char" and len(np.unique(view.items[0])) <= 2:
        return  # the length and one count say it all
    some = [test for test in tests if " % " not in test.code][:COMPARED_TESTS]
    totals = view.totals(np.array([test.truth for test in some], dtype=np.uint8)) if some else ()
    for (index, left), (other, right) in itertools.combinations(enumerate(some), 2):
        bits = view.bits + left.bits + right.bits + weights.COUNTS_COMPARED
        if bits > longest + weights.COUNTS_COMPARED:
            continue
        first, second = (
            Expression(f"sum({test.code} {view.loop})", 0.0, total, needs=_needs(view, test.code))
            for test, total in ((left, totals[index]), (right, totals[other]))
        )
        yield from (compared(first, sign, second, bits) for sign in (">", "==", "<"))


def _first_items(view: View, tests: Sequence[Test]) -> Iterator[Expression]:
    """Yield the first item that passes a test, 0 if none does."""
    never = 2**40
    ends = np.cumsum(view.counts)
    for test in tests:
        where = np.where(test.truth, view.places, never)[None, :]
        first = view.folded(np.minimum, where, never)[0]
        found = first != never
        places = (ends - view.counts + np.where(found, first, 0)).astype(np.int64)
        items = view.items[0][np.minimum(places, view.size - 1)]
        bits = view.bits + test.bits + weights.FIRST_ITEM
        code = f"next((a {view.loop} if {test.code}), 0)"
        values = np.where(found, items, 0).astype(np.float64)
        yield Expression(code, bits, values, needs=_needs(view, test.code))


def _of_terms(view: View, terms: Sequence[Term], allowance: float) -> Iterator[Expression]:
    """Yield sums, extremes and the number of distinct values."""
    chosen = [term for term in terms if term.bits + weights.SUM <= allowance][:SUMMED_TERMS]
    default = "" if view.filled.all() else ", default=0"
    for term in chosen:
        values = term.values[None, :].astype(np.int64)
        bits, needs = view.bits + term.bits, _needs(view, term.code)
        code = f"{term.code} {view.loop}"
        total = view.totals(values)[0]
        if (np.abs(total) < LARGEST_EXACT).all():
            yield Expression(f"sum({code})", bits + weights.SUM, total, needs=needs)
        for word, function in (("max", np.maximum), ("min", np.minimum)):
            if default:
                code = f"({term.code} {view.loop}){default}"
            extreme = view.folded(function, values, 0.0)[0]
            yield Expression(f"{word}({code})", bits + weights.EXTREME, extreme, needs=needs)
        yield Expression(
            f"len({{{term.code} {view.loop}}})",
            bits + weights.DISTINCT,
            _distinct_values(view, term.values),
            needs=needs,
        )


def _distinct_values(view: View, values: NDArray[np.int64]) -> NDArray[np.float64]:
    rows = np.repeat(np.arange(len(view.counts)), view.counts)
    order = np.lexsort((values, rows))
    ordered, owners = values[order], rows[order]
    first = np.ones(len(order), dtype=np.int64)
    first[1:] = (ordered[1:] != ordered[:-1]) | (owners[1:] != owners[:-1])
    return np.bincount(owners, weights=first, minlength=len(view.counts)).astype(np.float64)


def _places_and_runs(view: View, tests: Sequence[Test], allowance: float) -> Iterator[Expression]:
    """Yield where a test first and last holds, and for how many turns in a row at most."""
    if "i" in view.names:
        return
    never = 2**40
    for test in tests:
        bits, needs = view.bits + test.bits, _needs(view, test.code)
        variables = ", ".join(view.names)
        inner = f"({variables})" if len(view.names) > 1 else variables
        loop = view.loop.replace(f"for {variables} in ", f"for i, {inner} in enumerate(", 1) + ")"
        if test.bits + weights.FIRST_PLACE <= allowance:
            where = np.where(test.truth, view.places, never)[None, :]
            first = view.folded(np.minimum, where, never)[0]
            code = f"next((i {loop} if {test.code}), -1)"
            values = np.where(first == never, -1.0, first)
            yield Expression(code, bits + weights.FIRST_PLACE, values, needs=needs)
        if test.bits + weights.LONGEST_RUN <= allowance:
            code = (
                f"max((len(list(run)) for holds, run in groupby({test.code} {view.loop}) if holds)"
                ", default=0)"
            )
            values = _longest_runs(view, test.truth)
            yield Expression(
                code,
                bits + weights.LONGEST_RUN,
                values,
                needs=(*needs, *imports(weights.GROUPBY)),
            )


def _longest_runs(view: View, truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    turns = np.arange(view.size)
    row_start = turns - view.places
    last_false = np.maximum.accumulate(np.where(truth, -1, turns))
    run = turns - np.maximum(last_false, row_start - 1)
    return np.asarray(view.folded(np.maximum, run[None, :], 0.0)[0])


def _filtered(
    view: View, term: Term, tests: Sequence[Test], allowance: float
) -> Iterator[Expression]:
    """Yield the sum and the extremes of a term where a test holds."""
    lowest, highest = int(term.values.min()), int(term.values.max())
    for test in tests[:FILTERS]:
        if term.bits + test.bits + weights.FILTERED > allowance:
            continue
        bits = view.bits + term.bits + test.bits + weights.FILTERED
        needs = _needs(view, test.code + term.code)
        code = f"{term.code} {view.loop} if {test.code}"
        total = view.totals(np.where(test.truth, term.values, 0)[None, :])[0]
        yield Expression(f"sum({code})", bits, total, needs=needs)
        largest = view.folded(
            np.maximum, np.where(test.truth, term.values, lowest - 1)[None, :], lowest - 1.0
        )[0]
        smallest = view.folded(
            np.minimum, np.where(test.truth, term.values, highest + 1)[None, :], highest + 1.0
        )[0]
        for word, values, empty in (
            ("max", largest, lowest - 1),
            ("min", smallest, highest + 1),
        ):
            yield Expression(
                f"{word}(({code}), default=0)",
                bits + 1.0,
                np.where(values == empty, 0.0, values),
                needs=needs,
            )


def _needs(view: View, code: str) -> tuple[Definition, ...]:
    return (*view.needs, *imports(weights.MATH)) if "math." in code else view.needs
