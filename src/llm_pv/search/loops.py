"""Loops over lists: items, what is asked of them, and what the answers are folded to.

Lists of answers are folded as soon as they are made and never kept: they would fill the memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.bank import ITEM_NAMES, Bank, is_exact
from llm_pv.search.emit import literal
from llm_pv.search.operators import Operator
from llm_pv.search.prices import WRITTEN
from llm_pv.search.ragged import Layout, Ragged
from llm_pv.search.types import Definition, Expression, Frame, Level, Type, level_of
from llm_pv.search.walks import WALKS, Flat, View, Walk, applied, characters, view_of

ARGUMENT_BITS = 5.5
"""Folds up to this length are arguments of other operators."""
LONGEST_COMBINED = 16
"""Items up to which every two of a list are compared."""
COMPARISONS = ("{a} > {c}", "{a} < {c}", "{a} == {c}")
STATISTICS = (
    ("sum({s}) / len({s})", 2.5, lambda flat, at: at.fold(np.add, flat, 0.0) / at.lengths),
    ("max({s})", 2.5, lambda flat, at: at.fold(np.maximum, flat, 0.0)),
    ("{s}[0]", 2.5, lambda flat, at: flat[np.minimum(at.starts, len(flat) - 1)]),
    ("{s}[-1]", 2.5, lambda flat, at: flat[at.starts + at.lengths - 1]),
)
"""Numbers of a whole list that its items are compared with."""


@dataclass(frozen=True, eq=False)
class Item:
    """A number, a text or a truth value for every turn of a walk.

    Parameters
    ----------
    code
        Its source, over the variables of the walk.
    flat
        Its value at each turn.
    make
        Computes it on another view.
    """

    code: str
    type: Type
    bits: float
    flat: Flat
    make: Callable[[View], Flat]
    needs: tuple[Definition, ...] = ()

    def at(self, level: Level) -> str:
        """Return the code, in brackets if it binds looser than this level."""
        return self.code if level_of(self.code) >= level else f"({self.code})"


def walk(bank: Bank, whole: Expression, operators: Sequence[Operator], cells: float) -> None:
    """Walk over a list in every way and put what its loops end with into the bank.

    Parameters
    ----------
    whole
        A text, or a list of texts or numbers.
    operators
        The item operators.
    cells
        Questions times items that may be answered.
    """
    ragged = characters(whole.values) if whole.type is Type.TEXT else whole.values
    assert isinstance(ragged, Ragged)
    if not len(ragged.flat) or ragged.layout.lengths.max() < 2:
        return
    for way in WALKS:
        if way.over == "combined" and ragged.layout.lengths.max() > LONGEST_COMBINED:
            continue
        if way.over == "indexed" and ragged.items is not None and len(ragged.items) > 40:
            continue
        some = [one for one in operators if one.over == way.over]
        if some:
            _Loop(bank, whole, ragged, way).run(some, cells * (0.5 if way.over == "each" else 0.1))


class _Loop:
    """One walk over one list."""

    def __init__(self, bank: Bank, whole: Expression, ragged: Ragged, way: Walk) -> None:
        self.bank, self.whole, self.way = bank, whole, way
        self.view = view_of(ragged, way.over)
        self.letter = "a"
        if ragged.items is not None and way.over in ("each", "indexed"):
            self.letter = "k" if whole.type is Type.TEXT else "w"
        self.clause = way.clause.format(s=whole.at(Level.ATOM), a=self.letter)
        characters_of = whole.type is Type.TEXT and whole.kind not in ("", "slice")
        written = WRITTEN if characters_of else 0.0
        self.bits = whole.bits + way.bits + written
        self.needs = (*whole.needs, *way.needs)

    def run(self, operators: Sequence[Operator], cells: float) -> None:
        """Ask, and fold the answers."""
        view = self.view
        if not len(view.variables[0]):
            return
        turns = len(view.variables[0])
        kind = Type.NUMBER if view.items is None else Type.TEXT
        names = tuple(self.letter if n == "a" else n for n in ITEM_NAMES[self.way.over])
        base = [self._variable(index, name, kind) for index, name in enumerate(names)]
        if self.way.over == "indexed":
            base[0] = self._variable(0, "i", Type.NUMBER)
        terms, tests = self._asked(operators, base)
        if self.way.over == "each" and kind is Type.NUMBER:
            tests += self._against_statistics(base[0])
        tests = _distinct(tests)[: max(8, int(cells * 0.7 / turns))]
        if self.way.over in ("each", "pairs"):
            tests = _distinct([*tests, *_both(tests[:14])])
        plain = base[:1] if kind is Type.NUMBER and self.way.over == "each" else []
        terms = _distinct([*plain, *terms])
        self._fold_tests(tests)
        self._fold_terms(terms[: max(2, int(cells * 0.1 / turns))])
        if self.way.over in ("each", "indexed") and kind is Type.NUMBER:
            self._fold_filtered(base[-1], tests[: max(2, min(20, int(cells * 0.2 / turns)))])

    def _variable(self, index: int, name: str, kind: Type) -> Item:
        return Item(name, kind, 0.0, self.view.variables[index], lambda v: v.variables[index])

    def _asked(
        self, operators: Sequence[Operator], base: list[Item]
    ) -> tuple[list[Item], list[Item]]:
        """Return the numbers and the truth values that operators give, two deep for numbers."""
        terms: list[Item] = []
        tests: list[Item] = []
        for depth in (0, 1):
            sources = base if depth == 0 else [term for term in terms if term.bits <= 2.5]
            single = [one for one in operators if len(one.arguments) == 1]
            many = [one for one in operators if len(one.arguments) > 1] if depth == 0 else []
            if depth == 1 and self.way.over != "each":
                single = [one for one in _tests_of_numbers() if one not in single]
            made: list[Item] = []
            for source in sources:
                for one in single:
                    if one.arguments[0] is source.type:
                        made += self._applied(one, [source])
            for one in many:
                if [argument.type for argument in base] == list(one.arguments):
                    made += self._applied(one, base)
            terms += [one for one in made if one.type is Type.NUMBER]
            tests += [one for one in made if one.type is Type.TRUTH]
        return terms, tests

    def _applied(self, operator: Operator, arguments: list[Item]) -> Iterator[Item]:
        flat = arguments[0].flat
        if operator.when is not None and not operator.when(self._python_values(arguments[0])):
            return
        constants: Any = [(None, 0.0)]
        if operator.constants is not None:
            constants = operator.constants(self._python_values(arguments[0]))
        tried = new = 0
        for constant, extra in constants:
            tried += 1
            self.bank.problem.guard.check()

            def make(view: View, constant: Any = constant) -> Flat:
                return applied(operator, view, [one.make(view) for one in arguments], constant)

            flat = make(self.view)
            if operator.result is Type.NUMBER and not np.isfinite(flat).all():
                continue
            new += 1
            # What is compared as a whole needs no brackets.
            plain = operator.template in COMPARISONS
            codes = [one.at(Level.SUM if plain else Level.ATOM) for one in arguments]
            pieces = dict(zip(ITEM_NAMES[operator.over], codes, strict=True))
            code = operator.template.format(**pieces, c=literal(constant))
            bits = operator.bits + extra + sum(one.bits for one in arguments)
            needs = tuple(need for one in arguments for need in one.needs) + operator.needs
            yield Item(code, operator.result, bits, flat, make, needs)
        self.bank.count(operator, tried, new)

    def _python_values(self, item: Item) -> Any:
        """Return what a miner looks at: an array of numbers, or texts, most frequent first."""
        if item.type is Type.NUMBER:
            return item.flat
        assert self.view.items is not None
        counts = np.bincount(item.flat, minlength=len(self.view.items))
        return [self.view.items[i] for i in np.argsort(-counts, kind="stable")]

    def _against_statistics(self, item: Item) -> Iterator[Item]:
        if self.view.layout.empty.any():
            return
        for template, bits, function in STATISTICS:
            code = template.format(s=self.whole.at(Level.ATOM))
            for sign, compare in ((">", np.greater), ("<", np.less), ("==", np.equal)):

                def make(view: View, function: Any = function, compare: Any = compare) -> Flat:
                    whole = function(view.source.flat, view.source.layout)
                    return np.asarray(
                        compare(view.variables[-1], np.repeat(whole, view.layout.lengths))
                    )

                text = f"{item.code} {sign} {code}"
                yield Item(text, Type.TRUTH, bits + 1.0, make(self.view), make)

    def _put(  # noqa: PLR0917
        self,
        kind: Type,
        values: NDArray[Any],
        items: Sequence[Item],
        template: str,
        bits: float,
        fold: Callable[[View, Flat], Flat],
    ) -> None:
        """Add one fold of several items to the bank."""
        store = self.bank.truths if kind is Type.TRUTH else self.bank.numbers
        if kind is Type.NUMBER and not is_exact(values):
            kept = [index for index, row in enumerate(values) if is_exact(row)]
            values, items = values[kept], [items[index] for index in kept]
        over, whole, clause = self.way.over, self.whole, self.clause
        letter = self.letter
        first = clause.replace(f"for {letter} in ", f"for i, {letter} in enumerate(") + ")"
        count = self.whole.kind or "count"

        def writer(index: int) -> Callable[[], Expression]:
            def write() -> Expression:
                item = items[index]

                def recipe(frame: Frame) -> Any:
                    listed = frame.values(whole)
                    ragged = characters(listed) if whole.type is Type.TEXT else listed
                    view = view_of(ragged, over)
                    return fold(view, item.make(view))

                source = whole.at(Level.ATOM)
                code = template.format(t=item.code, clause=clause, s=source, first=first)
                total = self.bits + item.bits + bits
                needs = (*self.needs, *item.needs)
                return Expression(code, kind, total, None, level_of(code), needs, "", recipe, count)

            return write

        totals = [self.bits + item.bits + bits for item in items]
        for place in store.add(values, totals, writer):
            if store.shortness(place) <= ARGUMENT_BITS:
                self.bank.keep(store.expression(place))

    def _fold_tests(self, tests: Sequence[Item]) -> None:
        layout, over = self.view.layout, self.way.over
        folds = OF_TESTS if over == "each" else OF_TESTS[:4] if over == "pairs" else OF_TESTS[:3]
        if over == "each" and layout.empty.any():
            folds = tuple(fold for fold in folds if "/" not in fold[1])
        block = max(1, 2_000_000 // max(1, len(self.view.variables[0])))
        for start in range(0, len(tests), block):
            self.bank.problem.guard.check()
            some = tests[start : start + block]
            truths = np.array([test.flat for test in some])
            counts = layout.counts(truths)
            self.bank.problem.count(6 * len(some))
            for kind, template, bits, fold in folds:

                def of_view(view: View, flat: Flat, fold: Any = fold) -> Flat:
                    return np.asarray(fold(view.layout, flat, view.layout.counts(flat)))

                items = some
                if "longest_run" in template:
                    items = [replace(one, needs=(*one.needs, LONGEST_RUN)) for one in some]
                self._put(kind, fold(layout, truths, counts), items, template, bits, of_view)

    def _fold_terms(self, terms: Sequence[Item]) -> None:
        layout, plain = self.view.layout, self.way.over == "each"
        for one in terms:
            self.bank.problem.guard.check()
            is_plain = plain and one.code == self.letter
            inner = "{s}" if is_plain else "{t} {clause}"
            flat = one.flat.astype(np.float64)[None, :]
            self._put(
                Type.NUMBER,
                layout.fold(np.add, flat, 0.0),
                [one],
                f"sum({inner})",
                1.0,
                _folded(np.add),
            )
            default = ", default=0" if layout.empty.any() else ""
            bracketed = inner if is_plain or not default else f"({inner})"
            for word, function in (("max", np.maximum), ("min", np.minimum)):
                values, code = layout.fold(function, flat, 0.0), f"{word}({bracketed}{default})"
                self._put(Type.NUMBER, values, [one], code, 1.5, _folded(function))
            values = _distinct_count(self.view, one.flat)[None, :]
            code = "len(set({s}))" if is_plain else "len({{{t} {clause}}})"
            self._put(Type.NUMBER, values, [one], code, 2.5, _distinct_count)

    def _fold_filtered(self, item: Item, tests: Sequence[Item]) -> None:
        for word, function in (("sum", np.add), ("max", np.maximum), ("min", np.minimum)):
            if word != "sum" and self.way.over == "indexed":
                continue
            code = f"({item.code} {{clause}} if {{t}})"
            template = f"sum{code}" if word == "sum" else f"{word}({code}, default=0)"

            def fold(
                view: View, flat: Flat, function: np.ufunc = function, word: str = word
            ) -> Flat:
                values = view.variables[-1].astype(np.float64)
                if word == "sum":
                    return view.layout.fold(function, np.where(flat, values, 0.0), 0.0)
                far = -np.inf if word == "max" else np.inf
                folded = view.layout.fold(function, np.where(flat, values, far), far)
                return np.where(np.isfinite(folded), folded, 0.0)

            for start in range(0, len(tests), 8):
                self.bank.problem.guard.check()
                some = tests[start : start + 8]
                values = np.array([fold(self.view, test.flat) for test in some])
                self._put(Type.NUMBER, values, some, template, 2.0, fold)


@cache
def _tests_of_numbers() -> tuple[Operator, ...]:
    from llm_pv.search.operators import load

    return tuple(
        one
        for one in load()
        if one.over == "each" and one.arguments == (Type.NUMBER,) and one.result is Type.TRUTH
    )


def _distinct(items: Sequence[Item]) -> list[Item]:
    """Return the items that differ, cheapest first; truth values that never or always hold go."""
    known: dict[bytes, Item] = {}
    for item in sorted(items, key=lambda one: one.bits):
        if len(item.flat) and not (item.flat == item.flat[0]).all():
            known.setdefault(item.flat.tobytes(), item)
    return list(known.values())


def _both(tests: Sequence[Item]) -> Iterator[Item]:
    """Yield two tests at once, joined by ``and``."""
    for index, one in enumerate(tests):
        for two in tests[:index]:
            if one.bits + two.bits > 7.0:
                continue

            def make(view: View, one: Item = one, two: Item = two) -> Flat:
                return one.make(view) & two.make(view)

            code = f"{two.at(Level.AND)} and {one.at(Level.AND)}"
            bits = one.bits + two.bits + 1.5
            yield Item(code, Type.TRUTH, bits, one.flat & two.flat, make, one.needs + two.needs)


LONGEST_RUN = Definition(
    '''def longest_run(truths):
    """Return how many in succession are true, at most."""
    longest = run = 0
    for truth in truths:
        run = run + 1 if truth else 0
        longest = max(longest, run)
    return longest''',
    "helper",
)
NUMBER, TRUTH = Type.NUMBER, Type.TRUTH
OF_TESTS: tuple[tuple[Type, str, float, Callable[[Layout, Flat, Flat], Flat]], ...] = (
    (NUMBER, "sum({t} {clause})", 1.0, lambda _at, _, counts: counts),
    (TRUTH, "any({t} {clause})", 1.0, lambda _at, _, counts: counts > 0),
    (TRUTH, "all({t} {clause})", 1.0, lambda at, _, counts: counts == at.lengths),
    (NUMBER, "longest_run({t} {clause})", 2.5, lambda at, held, _: at.longest_run(held)),
    (NUMBER, "sum({t} {clause}) / len({s})", 2.5, lambda at, _, n: n / np.maximum(at.lengths, 1)),
    (NUMBER, "next((i {first} if {t}), -1)", 3.0, lambda at, held, _: at.first_place(held)),
    (NUMBER, "max((i {first} if {t}), default=-1)", 3.5, lambda at, held, _: at.last_place(held)),
)
"""What truth values are folded to, by where they hold and how often: the first three of every walk,
the fourth of neighbours too, all of single items."""


def _folded(function: np.ufunc) -> Callable[[View, Flat], Flat]:
    """Return what reduces numbers, rows without any to 0."""
    return lambda view, flat: view.layout.fold(function, flat.astype(np.float64), 0.0)


def _distinct_count(view: View, flat: Flat) -> Flat:
    """Return how many different values each row's turns have."""
    rows = np.repeat(np.arange(len(view.layout.lengths)), view.layout.lengths)
    order = np.lexsort((flat, rows))
    values, owners = flat[order], rows[order]
    fresh = np.ones(len(flat), dtype=bool)
    fresh[1:] = (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])
    return np.bincount(owners[fresh], minlength=len(view.layout.lengths)).astype(np.float64)
