"""Loops over lists: items, what is asked of them, and what the answers are folded to.

Lists of answers are folded as soon as they are made and never kept: they would fill the memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.search.bank import Bank, is_exact
from llm_pv.search.emit import filled
from llm_pv.search.operators import ITEM_NAMES, Operator, load
from llm_pv.search.prices import NATURAL, WRITTEN
from llm_pv.search.ragged import Ragged
from llm_pv.search.types import Expression, Frame, Level, Type, level_of
from llm_pv.search.walks import WALKS, Flat, View, Walk, applied, view_of

ARGUMENT_BITS = 5.5
"""Folds up to this length are arguments of other operators."""
LONGEST_COMBINED = 16
"""Items up to which every two of a list are compared."""
STATISTICS = (
    ("sum({s}) / len({s})", lambda flat, at: at.fold(np.add, flat, 0.0) / at.lengths),
    ("max({s})", lambda flat, at: at.fold(np.maximum, flat, 0.0)),
    ("{s}[0]", lambda flat, at: flat[np.minimum(at.starts, len(flat) - 1)]),
    ("{s}[-1]", lambda flat, at: flat[at.starts + at.lengths - 1]),
)
"""Numbers of a whole list that its items are compared with, for 3.5 bits."""


@dataclass(frozen=True)
class Fold:
    """What the answers at all turns are reduced to."""

    result: Type
    # its source: ``{t}`` an answer, ``{clause}`` the loop, ``{all}`` both or the list itself,
    # ``{extreme}`` the same for what fails on nothing, ``{set}`` the same as a set, ``{s}`` the
    # list, ``{v}`` an item, ``{first}`` a loop that counts
    template: str
    bits: float
    # from the view, the answers, and how many hold in each row, to a column
    function: Callable[[View, Flat, Flat], Flat]

    def of(self, view: View, flat: Flat) -> Flat:
        """Return the column."""
        counts = view.layout.counts(flat) if flat.dtype == np.bool_ else flat
        return np.asarray(self.function(view, flat, counts))


def _reduced(function: np.ufunc) -> Callable[[View, Flat, Flat], Flat]:
    """Return what reduces numbers, rows without any to 0."""
    return lambda view, flat, _: view.layout.fold(function, flat.astype(np.float64), 0.0)


def _extreme(function: np.ufunc, far: float) -> Callable[[View, Flat, Flat], Flat]:
    """Return what reduces the items of which a test holds, rows without any to 0."""

    def fold(view: View, held: Flat, _: Flat) -> Flat:
        folded = view.layout.fold(function, np.where(held, view.variables[-1], far), far)
        return np.where(np.isfinite(folded), folded, 0.0)

    return fold


def _distinct_count(view: View, flat: Flat, _: Flat) -> Flat:
    """Return how many different values each row's turns have."""
    rows = np.repeat(np.arange(len(view.layout.lengths)), view.layout.lengths)
    order = np.lexsort((flat, rows))
    values, owners = flat[order], rows[order]
    fresh = np.ones(len(flat), dtype=bool)
    fresh[1:] = (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])
    return np.bincount(owners[fresh], minlength=len(view.layout.lengths)).astype(np.float64)


NUMBER, TRUTH = Type.NUMBER, Type.TRUTH
COUNT = Fold(NUMBER, "sum({t} {clause})", 1.0, lambda _, __, counts: counts)
ANY = Fold(TRUTH, "any({t} {clause})", 1.0, lambda _, __, counts: counts > 0)
ALL = Fold(TRUTH, "all({t} {clause})", 1.0, lambda v, _, counts: counts == v.layout.lengths)
RUN = Fold(NUMBER, "longest_run({t} {clause})", 2.5, lambda v, held, _: v.layout.longest_run(held))
SHARE = Fold(
    NUMBER, "sum({t} {clause}) / len({s})", 2.5, lambda v, _, n: n / np.maximum(v.layout.lengths, 1)
)
FIRST = Fold(
    NUMBER, "next((i {first} if {t}), -1)", 3.0, lambda v, held, _: v.layout.first_place(held)
)
LAST = Fold(
    NUMBER, "max((i {first} if {t}), default=-1)", 3.5, lambda v, held, _: v.layout.last_place(held)
)
OF_TESTS = {"each": (COUNT, ANY, ALL, RUN, SHARE, FIRST, LAST), "pairs": (COUNT, ANY, ALL, RUN)}
"""What truth values are folded to; over other walks as the first three."""
OF_TERMS = (
    Fold(NUMBER, "sum({all})", 1.0, _reduced(np.add)),
    Fold(NUMBER, "max({extreme})", 1.5, _reduced(np.maximum)),
    Fold(NUMBER, "min({extreme})", 1.5, _reduced(np.minimum)),
    Fold(NUMBER, "len({set})", 2.5, _distinct_count),
)
"""What numbers are folded to."""
OF_FILTERED = (
    Fold(NUMBER, "sum({v} {clause} if {t})", 2.0, _extreme(np.add, 0.0)),
    Fold(NUMBER, "max(({v} {clause} if {t}), default=0)", 2.0, _extreme(np.maximum, -np.inf)),
    Fold(NUMBER, "min(({v} {clause} if {t}), default=0)", 2.0, _extreme(np.minimum, np.inf)),
)
"""What the numbers are folded to of which a test holds."""


@dataclass(frozen=True, eq=False)
class Item:
    """A number, a text or a truth value for every turn of a walk."""

    code: str  # its source, over the variables of the walk
    type: Type
    bits: float
    flat: Flat  # its value at each turn
    make: Callable[[View], Flat]  # computes it on another view

    def at(self, level: Level, /) -> str:
        """Return the code, in brackets if it binds looser than this level."""
        return self.code if level_of(self.code) >= level else f"({self.code})"


def walk(bank: Bank, whole: Expression, operators: Sequence[Operator], cells: float) -> None:
    """Walk over a list in every way and put what its loops end with into the bank.

    The list is a text, or of texts or numbers; ``cells`` are the questions times items that may be
    answered, by operators on items.
    """
    items = sum(map(len, whole.values)) if whole.type is Type.TEXT else len(whole.values.flat)
    if items > bank.problem.guard.most(100):
        return
    ragged = _listed(whole, whole.values)
    if not len(ragged.flat) or ragged.layout.lengths.max() < 2:
        return
    for way in WALKS:
        if whole.kind == "columns" and way.over not in {"each", "combined"}:
            continue  # their order means nothing
        if way.over == "combined" and ragged.layout.lengths.max() > LONGEST_COMBINED:
            continue
        if way.over == "indexed" and ragged.items is not None and len(ragged.items) > 40:
            continue
        some = [one for one in operators if one.over == way.over]
        view = view_of(ragged, way.over)
        if some and len(view.variables[0]):
            _Loop(bank, whole, view, way).run(some, cells * (0.5 if way.over == "each" else 0.1))


def _variable(place: int) -> Callable[[View], Flat]:
    return lambda view: view.variables[place]


def _listed(whole: Expression, values: Any) -> Any:
    """Return a list for every row, of its characters where it is a text."""
    return Ragged.of(values) if whole.type is Type.TEXT else values


class _Loop:
    """One walk over one list."""

    def __init__(self, bank: Bank, whole: Expression, view: View, way: Walk) -> None:
        self.bank, self.whole, self.view, self.way = bank, whole, view, way
        self.letter = "a"
        if view.items is not None and way.over in ("each", "indexed"):
            self.letter = "k" if whole.type is Type.TEXT else "w"
        characters_of = whole.type is Type.TEXT and whole.kind not in ("", "slice")
        self.bits = whole.bits + way.bits + (WRITTEN if characters_of else 0.0)
        self.gaps = bool(view.layout.empty.any())

    def run(self, operators: Sequence[Operator], cells: float) -> None:
        """Ask, and fold the answers."""
        over, turns = self.way.over, len(self.view.variables[0])
        kind = NUMBER if self.view.items is None else Type.TEXT
        names = [self.letter if name == "a" else name for name in ITEM_NAMES[over]]
        base = [
            Item(name, NUMBER if name == "i" else kind, 0.0, self.view.variables[n], _variable(n))
            for n, name in enumerate(names)
        ]
        terms, tests = self._asked(operators, base)
        if over == "each" and kind is NUMBER and not self.gaps:
            tests += self._against_statistics(base[0])
        tests = _distinct(tests)[: max(8, int(cells * 0.7 / turns))]
        if over in ("each", "pairs"):
            tests = _distinct([*tests, *_both(tests[:14])])
        plain = base[:1] if kind is NUMBER and over == "each" else []
        terms = _distinct([*plain, *terms])
        folds = OF_TESTS.get(over, OF_TESTS["each"][:3])
        folds = tuple(one for one in folds if one is not SHARE or not self.gaps)
        self.bank.problem.count(6 * len(tests))
        block = max(1, min(2_000_000, self.bank.problem.guard.most(40, 0.08)) // turns)
        self._fold(folds, tests, block)
        self._fold(OF_TERMS, terms[: max(2, int(cells * 0.1 / turns))], 1)
        if over in ("each", "indexed") and kind is NUMBER and self.whole.kind != "columns":
            filtered = OF_FILTERED if over == "each" else OF_FILTERED[:1]
            self._fold(filtered, tests[: max(2, min(20, int(cells * 0.2 / turns)))], block)

    def _asked(
        self, operators: Sequence[Operator], base: list[Item]
    ) -> tuple[list[Item], list[Item]]:
        """Return the numbers and the truth values that operators give, two deep for numbers."""
        single = [one for one in operators if len(one.arguments) == 1]
        made = [item for source in base for one in single for item in self._applied(one, [source])]
        many = [one for one in operators if len(one.arguments) > 1]
        made += [item for one in many for item in self._applied(one, base)]
        if self.way.over != "each":
            single = [
                one
                for one in load()
                if (one.over, one.arguments, one.result) == ("each", (NUMBER,), TRUTH)
            ]
        for source in [one for one in made if one.type is NUMBER and one.bits <= 2.5]:
            made += [item for one in single for item in self._applied(one, [source])]
        tests = [one for one in made if one.type is TRUTH]
        return [one for one in made if one.type is NUMBER], tests

    def _applied(self, operator: Operator, arguments: list[Item]) -> Iterator[Item]:
        if [one.type for one in arguments] != list(operator.arguments):
            return
        pieces = dict(zip(operator.names, arguments, strict=True))
        tried = new = 0
        for constant, extra in operator.choices(self._looked_at(arguments[0])):
            tried += 1
            self.bank.problem.guard.check()

            def make(view: View, constant: Any = constant) -> Flat:
                return applied(operator, view, [one.make(view) for one in arguments], constant)

            flat = make(self.view)
            if operator.result is NUMBER and not np.isfinite(flat).all():
                continue
            new += 1
            code = filled(operator.template, pieces, constant)
            bits = operator.bits + extra + sum(one.bits for one in arguments)
            is_odd = "%" in operator.template or (
                "==" in operator.template and self.whole.kind == "prose"
            )
            if self.view.items and is_odd and arguments[0].flat is not self.view.variables[0]:
                bits += NATURAL  # such as of the lengths of words
            yield Item(code, operator.result, bits, flat, make)
        self.bank.count(operator, tried, new)

    def _looked_at(self, item: Item) -> Any:
        """Return what a miner looks at: an array of numbers, or texts, most frequent first."""
        if item.type is NUMBER:
            return item.flat
        assert self.view.items is not None
        counts = np.bincount(item.flat, minlength=len(self.view.items))
        return [self.view.items[i] for i in np.argsort(-counts, kind="stable")]

    def _against_statistics(self, item: Item) -> Iterator[Item]:
        for template, function in STATISTICS:
            code = template.format(s=self.whole.at(Level.ATOM))
            for sign, compare in ((">", np.greater), ("<", np.less), ("==", np.equal)):

                def make(view: View, function: Any = function, compare: Any = compare) -> Flat:
                    whole = function(view.source.flat, view.source.layout)
                    return np.asarray(
                        compare(view.variables[-1], np.repeat(whole, view.layout.lengths))
                    )

                yield Item(f"{item.code} {sign} {code}", TRUTH, 3.5, make(self.view), make)

    def _fold(self, folds: Sequence[Fold], items: Sequence[Item], block: int) -> None:
        """Put every fold of items into the bank."""
        for start in range(0, len(items), block):
            self.bank.problem.guard.check()
            some = items[start : start + block]
            flat = some[0].flat if block == 1 else np.array([one.flat for one in some])
            for fold in folds:
                self._put(fold, np.atleast_2d(fold.of(self.view, flat)), some)

    def _put(self, fold: Fold, values: NDArray[Any], items: Sequence[Item]) -> None:
        store = self.bank.truths if fold.result is TRUTH else self.bank.numbers
        if fold.result is NUMBER and not is_exact(values):
            kept = [index for index, row in enumerate(values) if is_exact(row)]
            values, items = values[kept], [items[index] for index in kept]
        totals = [self.bits + item.bits + fold.bits for item in items]
        writers = [lambda item=item: self._written(fold, item) for item in items]
        for place in store.add(values, totals, writers.__getitem__):
            if store.shortness(place) <= ARGUMENT_BITS:
                self.bank.keep(store.expression(place))

    def _written(self, fold: Fold, item: Item) -> Expression:
        whole, over, letter = self.whole, self.way.over, self.letter
        source = whole.at(Level.ATOM)
        clause = self.way.clause.format(s=source, a=letter)
        plain = over == "each" and item.code == letter
        every = source if plain else f"{item.code} {clause}"
        default = f"{every if plain else f'({every})'}, default=0" if self.gaps else every
        code = fold.template.format(
            t=item.code,
            clause=clause,
            s=source,
            all=every,
            extreme=default,
            set=f"set({source})" if plain else f"{{{every}}}",
            v=letter,
            first=f"for i, {letter} in enumerate({source})",
        )

        def recipe(frame: Frame) -> Any:
            view = view_of(_listed(whole, frame.values(whole)), over)
            return fold.of(view, item.make(view))

        bits = self.bits + item.bits + fold.bits
        kind = whole.kind if whole.type is Type.NUMBERS and whole.kind else "count"
        if whole.kind == "prose":
            kind = "letters" if whole.type is Type.TEXT else "words"
        return Expression(code, fold.result, bits, None, whole.needs, recipe, kind)


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
            yield Item(code, TRUTH, bits, one.flat & two.flat, make)
