"""What is asked of the items of a loop: numbers made of them, and tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.sequences import literal
from llm_pv.proposers.length_first.views import View, vectorised
from llm_pv.proposers.length_first.weights import choice_bits

MOST_CONSTANTS = 10
MOST_LETTERS = 12
MOST_CUTS = 10
MODULI = (2, 3, 4, 5)
VOWELS = frozenset("aeiouAEIOU")

Column = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Term:
    """A number for every turn of a loop, as source over the loop's variables.

    ``variables`` names the one it speaks of; empty where it speaks of all of them.
    """

    code: str
    bits: float
    values: NDArray[np.int64]
    is_atom: bool = True
    variables: str = ""

    @property
    def atom(self) -> str:
        """The code, in parentheses where an operator follows."""
        return self.code if self.is_atom else f"({self.code})"


@dataclass(frozen=True, eq=False)
class Test:
    """A truth value for every turn of a loop; ``variables`` as for a term."""

    code: str
    bits: float
    truth: NDArray[np.bool_]
    variables: str = ""

    def speaks_of(self, names: tuple[str, ...]) -> bool:
        """Tell whether every variable of a loop matters, so that a shorter loop will not do."""
        return not self.variables or set(self.variables) >= set(names)


def terms_of(view: View) -> list[Term]:
    """Return the numbers made of a loop's variables, shortest first."""
    terms = list(_TERMS[view.kind](view))
    return sorted(terms, key=lambda term: term.bits)


def tests_of(view: View, terms: Sequence[Term]) -> list[Test]:
    """Return the tests of a loop's variables, shortest first, without repetitions."""
    tests = [*_TESTS[view.kind](view)]
    for term in terms:
        tests += _tests_of_number(term)
    return distinct_tests(tests)


def distinct_tests(tests: Sequence[Test]) -> list[Test]:
    """Return the tests that are neither always true nor always false, the shortest of equals."""
    kept: dict[bytes, Test] = {}
    for test in sorted(tests, key=lambda test: (test.bits, bool(test.variables))):
        if test.truth.any() and not test.truth.all():
            kept.setdefault(np.packbits(test.truth).tobytes(), test)
    return list(kept.values())


def both(first: Test, second: Test) -> Test:
    """Return the test that both hold."""
    bits = first.bits + second.bits + weights.TEST_JOINED
    every = not (first.variables and second.variables)
    variables = "" if every else "".join(sorted({*first.variables, *second.variables}))
    return Test(f"{first.code} and {second.code}", bits, first.truth & second.truth, variables)


def _integer_terms(view: View) -> Iterator[Term]:
    columns = dict(zip(view.names, view.items, strict=True))
    yield from (Term(n, 0.0, v, variables=n) for n, v in columns.items() if n != "i")
    if "i" in columns:
        i, a = columns["i"], columns["a"]
        yield Term("i", 0.5, i, variables="i")
        yield Term("i * a", 1.5, i * a, is_atom=False)
        yield Term("(i + 1) * a", 2.0, (i + 1) * a, is_atom=False)
        yield Term("(-1) ** i * a", 2.0, np.where(i % 2 == 1, -a, a), is_atom=False)
        yield Term("a - i", 2.0, a - i, is_atom=False)
        for weights_of, price in (((1, 2), 2.5), ((2, 1), 2.5), ((1, 3), 2.5), ((3, 1), 2.5)):
            weighted = np.where(i % 2 == 0, weights_of[0], weights_of[1]) * a
            code = f"{weights_of}[i % 2] * a"
            yield Term(code, price, weighted, is_atom=False)
            if max(weights_of) == 2 and (a >= 0).all() and (a < 10).all():
                yield Term(f"sum(divmod({code}, 10))", price + 2, weighted // 10 + weighted % 10)
        return
    if len(columns) == 1:
        a = columns["a"]
        if (a < 0).any():
            yield Term("abs(a)", 1.0, np.abs(a))
        yield Term("a * a", 2.0, a * a, is_atom=False)
        yield Term("a % 3", 2.5, a % 3, is_atom=False)
        if (a >= 10).any() and (a >= 0).all():
            yield Term("a % 10", 2.0, a % 10, is_atom=False)
            yield Term("a // 10", 2.5, a // 10, is_atom=False)
            digits = vectorised(lambda n: sum(map(int, str(n))), a.tolist())
            yield Term("sum(map(int, str(a)))", 4.0, digits)
            yield Term("len(str(a))", 3.0, vectorised(lambda n: len(str(n)), a.tolist()))
        if (a >= 0).all():
            yield Term("a.bit_count()", 4.0, vectorised(int.bit_count, a.tolist()))
        return
    a, b = columns["a"], columns["b"]
    yield Term("abs(a - b)", 1.0, np.abs(a - b))
    yield Term("a * b", 1.5, a * b, is_atom=False)
    yield Term("a + b", 1.0, a + b, is_atom=False)
    yield Term("a - b", 1.5, a - b, is_atom=False)
    yield Term("max(a, b)", 1.5, np.maximum(a, b))
    yield Term("min(a, b)", 1.5, np.minimum(a, b))
    if len(columns) == 3:
        c = columns["c"]
        yield Term("a + b + c", 1.5, a + b + c, is_atom=False)
        yield Term("a + b - c", 2.5, a + b - c, is_atom=False)
        yield Term("a - 2 * b + c", 3.0, a - 2 * b + c, is_atom=False)


def _integer_tests(view: View) -> Iterator[Test]:
    columns = dict(zip(view.names, view.items, strict=True))
    a = columns["a"]
    if "i" in columns:
        yield Test("a == i", 2.0, a == columns["i"])
        yield Test("a > i", 2.0, a > columns["i"])
        return
    if "c" not in columns:
        yield from _memberships(view, columns)
    if "b" not in columns:
        return
    b = columns["b"]
    yield Test("a < b", 1.0, a < b)
    yield Test("a > b", 1.0, a > b)
    yield Test("a == b", 1.0, a == b)
    yield Test("a != b", 1.0, a != b)
    yield Test("b == a + 1", 2.0, b == a + 1)
    yield Test("a % 2 == b % 2", 2.0, a % 2 == b % 2)
    yield Test("b == 2 * a", 3.0, b == 2 * a)
    if (a > 0).all() and (b > 0).all():
        yield Test("b % a == 0", 2.5, b % a == 0)
        yield Test("a % b == 0", 2.5, a % b == 0)
        gcd = np.gcd(a, b)
        yield Test("math.gcd(a, b) == 1", 3.0, gcd == 1)
    if "c" in columns:
        c = columns["c"]
        yield Test("a < b > c", 1.5, (a < b) & (b > c))
        yield Test("a > b < c", 1.5, (a > b) & (b < c))
        yield Test("a < b < c", 1.5, (a < b) & (b < c))
        yield Test("a > b > c", 1.5, (a > b) & (b > c))
        yield Test("a == b == c", 1.5, (a == b) & (b == c))
        yield Test("a + b == c", 2.5, a + b == c)


def _memberships(view: View, columns: dict[str, Column]) -> Iterator[Test]:
    """Yield whether a number made of items is an item too, of the same named sequence."""
    code = view.loop.removeprefix("for a in ")
    code = code.removeprefix("for a, b in combinations(").removesuffix(", 2)")
    if not code.isidentifier():
        return
    a, b = columns["a"], columns.get("b")
    owners = np.repeat(np.arange(len(view.counts)), view.counts) * (1 << 34)
    present = np.unique(np.concatenate([owners + column for column in columns.values()]))
    sought = [("a + 1", 1.5, a + 1), ("2 * a", 1.5, 2 * a)]
    if b is not None:
        sought = [("a + b", 1.0, a + b), ("abs(a - b)", 1.0, np.abs(a - b))]
    elif (a < 0).any():
        sought.append(("-a", 1.0, -a))
    for text, bits, values in sought:
        truth = np.isin(owners + values, present)
        yield Test(f"{text} in {code}", bits + weights.ITEM_MEMBERSHIP, truth)


def _tests_of_number(term: Term) -> Iterator[Test]:
    """Yield a number's remainders, its frequent values and cuts between its values."""
    values, atom, bits = term.values, term.atom, term.bits
    present, counts = np.unique(values, return_counts=True)
    if len(present) < 2:
        return
    spread = int(present[-1] - present[0])
    for modulus in MODULI if spread > 1 else ():
        remainders = values % modulus
        for value in range(modulus):
            price = bits + weights.TEST_REMAINDER + 2 * choice_bits(modulus) - 2
            price += 0.0 if value in (0, 1) else 0.5
            yield Test(f"{atom} % {modulus} == {value}", price, remainders == value, term.variables)
    common = present[np.argsort(-counts, kind="stable")][:MOST_CONSTANTS].tolist()
    named = dict.fromkeys([*common, *(v for v in (0, 1, 2, 3) if v in present)])
    for value in named:
        price = bits + weights.TEST_EQUAL + min(choice_bits(len(present)), 4.0)
        yield Test(f"{term.code} == {value}", price, values == value, term.variables)
    for cut in _cuts(present, values):
        price = bits + weights.TEST_CUT + (0.0 if cut == 0 else min(choice_bits(len(present)), 4.0))
        yield Test(f"{term.code} > {cut}", price, values > cut, term.variables)
        if cut == 0 and present[0] < 0:
            yield Test(f"{term.code} < 0", price, values < 0, term.variables)


def _cuts(present: NDArray[np.int64], values: NDArray[np.int64]) -> list[int]:
    """Return cuts: every value where there are few, else round ones spread over the quantiles."""
    if len(present) <= MOST_CUTS:
        return [int(value) for value in present[:-1]]
    quantiles = np.quantile(values, np.linspace(0.05, 0.95, MOST_CUTS)).astype(np.int64)
    step = 10 ** max(0, int(np.log10(max(1, present[-1] - present[0]))) - 1)
    cuts = {int(round(int(q) / step) * step) for q in quantiles}
    if present[0] < 0 < present[-1]:
        cuts.add(0)
    return sorted(cuts)


def _number_of(characters: Column) -> NDArray[np.int64]:
    return characters.view(np.uint32).astype(np.int64)


def _character_terms(view: View) -> Iterator[Term]:
    columns = dict(zip(view.names, view.items, strict=True))
    if len(columns) == 1:
        yield Term("ord(a)", 2.0, _number_of(columns["a"]))
    elif "i" not in columns and len(columns) == 2:
        a, b = (_number_of(np.ascontiguousarray(columns[name])) for name in "ab")
        yield Term("abs(ord(a) - ord(b))", 4.0, np.abs(a - b))
    elif "i" in columns:
        yield Term("i", 0.5, columns["i"], variables="i")


_CLASSES: tuple[tuple[str, float, Callable[[str], bool]], ...] = (
    ("{v}.isdigit()", 1.0, str.isdigit),
    ("{v}.isalpha()", 1.0, str.isalpha),
    ("{v}.isupper()", 1.0, str.isupper),
    ("{v}.islower()", 1.0, str.islower),
    ('{v} in "aeiouAEIOU"', 1.5, lambda c: c in VOWELS),
    ('{v}.isalpha() and {v} not in "aeiouAEIOU"', 3.0, lambda c: c.isalpha() and c not in VOWELS),
    ('{v} in "02468"', 2.0, lambda c: c in "02468"),
    ('{v} in "13579"', 2.0, lambda c: c in "13579"),
    ("not {v}.isalnum()", 2.0, lambda c: not c.isalnum()),
)


def _character_tests(view: View) -> Iterator[Test]:
    columns = {n: c for n, c in zip(view.names, view.items, strict=True) if n != "i"}
    alphabet, inverse = np.unique(np.concatenate(list(columns.values())), return_inverse=True)
    codes = dict(zip(columns, np.split(inverse, len(columns)), strict=True))
    counts = np.bincount(inverse)
    letters = np.argsort(-counts, kind="stable")[:MOST_LETTERS]
    each = choice_bits(len(alphabet))
    for name, code in codes.items():
        for template, bits, test in _CLASSES:
            table = np.array([test(str(c)) for c in alphabet])
            yield Test(template.format(v=name), bits, table[code], name)
        if len(alphabet) > 2 or len(codes) > 1 or "i" in view.names:
            for letter in letters.tolist():
                text = f"{name} == {literal(str(alphabet[letter]))}"
                yield Test(text, 1.0 + each, code == letter, name)
        if len(alphabet) > 3:
            for letter in letters.tolist():
                text = f"{name} > {literal(str(alphabet[letter]))}"
                yield Test(text, 1.5 + each, code > letter, name)
    if "b" in codes:
        a, b = codes["a"], codes["b"]
        for sign, bits, truth in (("==", 1.0, a == b), ("!=", 1.0, a != b), ("<", 1.5, a < b)):
            yield Test(f"a {sign} b", bits, truth)
        yield Test("a > b", 1.5, a > b)
        vowel = np.array([str(c) in VOWELS for c in alphabet])
        different = '(a in "aeiouAEIOU") != (b in "aeiouAEIOU")'
        yield Test(different, 2.5, vowel[a] != vowel[b])
        lower = np.array([str(c).lower() for c in alphabet])
        yield Test("a.lower() == b.lower()", 2.5, lower[a] == lower[b])
        values = _number_of(np.ascontiguousarray(alphabet))
        yield Test("ord(b) == ord(a) + 1", 3.0, values[b] == values[a] + 1)
    if "c" in codes:
        a, b, c = codes["a"], codes["b"], codes["c"]
        yield Test("a == b == c", 1.5, (a == b) & (b == c))
        yield Test("a == c != b", 2.5, (a == c) & (b != c))
        yield Test("a == c", 1.5, a == c)
        yield Test("a != b != c != a", 2.5, (a != b) & (b != c) & (a != c))
        yield Test("a < b < c", 2.0, (a < b) & (b < c))
        yield Test("a < b > c", 2.0, (a < b) & (b > c))


_WORD_NUMBERS: tuple[tuple[str, float, Callable[[str], int]], ...] = (
    ("len({v})", 1.0, len),
    ("len(set({v}))", 2.5, lambda w: len(set(w))),
    ('sum(c in "aeiouAEIOU" for c in {v})', 3.0, lambda w: sum(c in VOWELS for c in w)),
    ("sum(c.isdigit() for c in {v})", 3.0, lambda w: sum(c.isdigit() for c in w)),
)
_WORD_TESTS: tuple[tuple[str, float, Callable[[str], bool]], ...] = (
    ("{v}[:1].isupper()", 2.0, lambda w: w[:1].isupper()),
    ("{v}.isupper()", 2.0, str.isupper),
    ("{v}.islower()", 2.0, str.islower),
    ("{v}.isdigit()", 1.5, str.isdigit),
    ("{v}.isalpha()", 1.5, str.isalpha),
    ("{v} == {v}[::-1]", 2.0, lambda w: w == w[::-1]),
    ("{v}[:1] == {v}[-1:]", 2.0, lambda w: w[:1] == w[-1:]),
    ("len(set({v})) == len({v})", 2.5, lambda w: len(set(w)) == len(w)),
    ('{v}[:1] in set("aeiouAEIOU")', 2.0, lambda w: w[:1] in VOWELS),
    ('{v}[-1:] in set("aeiouAEIOU")', 2.5, lambda w: w[-1:] in VOWELS),
)


def _word_terms(view: View) -> Iterator[Term]:
    if view.size > 60_000:
        return
    columns = {n: c for n, c in zip(view.names, view.items, strict=True) if n != "i"}
    if "i" in view.names:
        yield Term("i", 0.5, view.items[0], variables="i")
    for name, column in columns.items():
        for template, bits, function in _WORD_NUMBERS:
            if bits <= 1 or len(columns) == 1:
                values = vectorised(function, column.tolist()).astype(np.int64)
                yield Term(template.format(v=name), bits, values, variables=name)


def _word_tests(view: View) -> Iterator[Test]:
    if view.size > 60_000:
        return
    columns = {n: c for n, c in zip(view.names, view.items, strict=True) if n != "i"}
    for name, column in columns.items():
        words = column.tolist()
        for template, bits, function in _WORD_TESTS:
            truth = vectorised(function, words).astype(bool)
            yield Test(template.format(v=name), bits, truth, name)
        if len(columns) == 1:
            yield from _letters_of_words(name, words)
    if "b" in columns:
        a, b = columns["a"].tolist(), columns["b"].tolist()
        for code, bits, test in (
            ("a == b", 1.0, lambda a, b: a == b),
            ("a < b", 1.0, lambda a, b: a < b),
            ("a > b", 1.0, lambda a, b: a > b),
            ("len(a) < len(b)", 2.0, lambda a, b: len(a) < len(b)),
            ("len(a) == len(b)", 2.0, lambda a, b: len(a) == len(b)),
            ("a[:1] == b[:1]", 2.0, lambda a, b: a[:1] == b[:1]),
            ("a[-1:] == b[:1]", 2.0, lambda a, b: a[-1:] == b[:1]),
            ("a[-1:] == b[-1:]", 2.0, lambda a, b: a[-1:] == b[-1:]),
            ("a in b", 2.0, lambda a, b: a in b),
            ("sorted(a) == sorted(b)", 2.5, lambda a, b: sorted(a) == sorted(b)),
        ):
            yield Test(code, bits, vectorised(test, a, b).astype(bool))


def _letters_of_words(name: str, words: Sequence[str]) -> Iterator[Test]:
    for template, place in (("{v}[:1] == {c}", 0), ("{v}[-1:] == {c}", -1)):
        ends = np.array([word[place] if word else "" for word in words])
        letters, counts = np.unique(ends, return_counts=True)
        for index in np.argsort(-counts, kind="stable")[:MOST_LETTERS].tolist():
            letter = str(letters[index])
            code = template.format(v=name, c=literal(letter))
            yield Test(code, 1.5 + choice_bits(len(letters)), ends == letters[index], name)
    letters_of = [frozenset(word) for word in words]
    alphabet = sorted(set().union(*letters_of))
    common = sorted(alphabet, key=lambda c: (-sum(c in word for word in letters_of), c))
    for letter in common[:26]:
        truth = np.array([letter in word for word in letters_of])
        yield Test(f"{literal(letter)} in {name}", 1.5 + choice_bits(len(alphabet)), truth, name)


_TERMS: dict[str, Callable[[View], Iterator[Term]]] = {
    "int": _integer_terms,
    "char": _character_terms,
    "word": _word_terms,
}
_TESTS: dict[str, Callable[[View], Iterator[Test]]] = {
    "int": _integer_tests,
    "char": _character_tests,
    "word": _word_tests,
}
