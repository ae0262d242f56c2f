"""Sequences made of sequences: runs, differences, words, depths, factors, ends of edges.

Each becomes a local name of the program, such as ``runs = [len(list(run)) for _, run in
groupby(x)]``, and is then looked at like any other string or list.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import Definition, Evaluator, imports
from llm_pv.proposers.length_first.sequences import Part, literal
from llm_pv.proposers.length_first.weights import integer_bits

LONGEST_TOKEN = 4
MOST_SYMBOLS_AS_RUNS = 6
MOST_NUMBERS_WITH_DIGITS = 3
"""Numbers in a row up to which their digits are looked at one by one."""


@dataclass(frozen=True)
class Source:
    """How to make one sequence of another: a name, a template, a price, what it needs."""

    name: str
    template: str
    bits: float
    needs: tuple[Definition, ...] = ()


PRIME_FACTORS = Definition(
    '''def prime_factors(n):
    """Return the prime factors of n, smallest first, each as often as it divides n."""
    factors, divisor = [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors + [n] * (n > 1)''',
    "helper",
)
DIVISORS = Definition(
    '''def divisors(n):
    """Return the positive divisors of n."""
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]''',
    "helper",
    imports(weights.MATH),
)


def integer_lists_of_text(train: Sequence[str]) -> Iterator[Source]:
    """Yield the lists of integers that rows of text can be read as."""
    is_decimal = all(row.isdecimal() for row in train)
    if not is_decimal and all(any(c.isdecimal() for c in row) for row in train):
        signed = any(re.search(r"(?<!\w)-\d", row) for row in train)
        pattern = r"-?\d+" if signed else r"\d+"
        template = f'[int(number) for number in re.findall(r"{pattern}", {{s}})]'
        yield Source("numbers", template, 2, imports(weights.REGEX))
        yield from _clocks_and_amounts(train)
    if any(len(row.split()) > 1 for row in train):
        yield Source("lengths", "[len(word) for word in {s}.split()]", 5)
    alphabet = set().union(*train)
    yield from _digits_and_parts(train, is_decimal=is_decimal)
    yield from _values_of_characters(alphabet, min(map(len, train)), is_decimal=is_decimal)
    yield from _shapes(alphabet, min(map(len, train)))


def _clocks_and_amounts(train: Sequence[str]) -> Iterator[Source]:
    """Yield the times of day that every row names, in minutes, and its decimals, in hundredths."""
    if all(re.search(r"\d:\d\d", row) for row in train):
        clocks = r're.findall(r"(\d?\d):(\d\d)", {s})'
        template = f"[60 * int(hour) + int(minute) for hour, minute in {clocks}]"
        yield Source("minutes", template, 3, imports(weights.REGEX))
    elif all(re.search(r"(?<![\d.])\d+\.\d\d?(?![\d.])", row) for row in train):
        numbers = r're.findall(r"\d+(?:\.\d+)?", {s})'
        template = f"[round(100 * float(number)) for number in {numbers}]"
        yield Source("hundredths", template, 3, imports(weights.REGEX))


def _digits_and_parts(train: Sequence[str], *, is_decimal: bool) -> Iterator[Source]:
    """Yield the digits among other characters, and hexadecimal numbers of two digits."""
    few = all(len(re.findall(r"\d+", row)) <= MOST_NUMBERS_WITH_DIGITS for row in train)
    if not is_decimal and few and all(sum(map(str.isdecimal, row)) > 1 for row in train):
        yield Source("digits", "[int(c) for c in {s} if c.isdecimal()]", 4)
    hexadecimal = re.compile(r"#?([0-9A-Fa-f]{2}[:-]?)+")
    if all(map(hexadecimal.fullmatch, train)) and re.search("[A-Fa-f]", "".join(train)):
        template = '[int(part, 16) for part in re.findall(r"[0-9A-Fa-f]{{2}}", {s})]'
        yield Source("parts", template, 3, imports(weights.REGEX))


def _values_of_characters(
    alphabet: set[str], shortest: int, *, is_decimal: bool
) -> Iterator[Source]:
    """Yield lists of what characters, or a few of them, stand for as numbers."""
    if is_decimal and shortest > 1 and not alphabet <= set("01"):
        yield Source("digits", "[int(c) for c in {s}]", 2)
    if alphabet <= set("01"):
        for width in range(2, LONGEST_TOKEN + 1):
            if shortest >= 2 * width:
                step = f"range(0, len({{s}}), {width})"
                template = f"[int({{s}}[i : i + {width}], 2) for i in {step}]"
                yield Source(f"tokens{width}", template, 4 + integer_bits(width))
    if not is_decimal and any(c.isalpha() for c in alphabet):
        yield Source("codes", "[ord(c) for c in {s}]", 5)
        if any(c.islower() for c in alphabet) != any(c.isupper() for c in alphabet):
            base = 96 if any(c.islower() for c in alphabet) else 64
            template = f"[ord(c) - {base} for c in {{s}} if c.isalpha()]"
            yield Source("letters", template, 5)


def _shapes(alphabet: set[str], shortest: int) -> Iterator[Source]:
    """Yield lists that follow how a string goes up and down, repeats itself and is made up."""
    accumulate = imports(("from itertools import accumulate",))
    if len(alphabet) == 2 or (alphabet and alphabet <= set("()")):
        up = literal(max(alphabet, key=lambda c: (c == "(", c)))
        up = up.replace("{", "{{").replace("}", "}}")
        template = f"list(accumulate(1 if c == {up} else -1 for c in {{s}}))"
        yield Source("heights", template, 5, accumulate)
    elif alphabet & set("([{") and alphabet & set(")]}"):
        template = 'list(accumulate((c in "([{{") - (c in ")]}}") for c in {s}))'
        yield Source("depths", template, 4, accumulate)
    if shortest and len(alphabet) <= MOST_SYMBOLS_AS_RUNS:
        template = "[len(list(run)) for _, run in groupby({s})]"
        yield Source("runs", template, 3, imports(weights.GROUPBY))
    if len(alphabet) > 2:
        yield Source("counts", "list(Counter({s}).values())", 4, imports(weights.COUNTER))
    if len(alphabet) == 2:
        one = literal(max(alphabet)).replace("{", "{{").replace("}", "}}")
        yield Source("places", f"[i for i, c in enumerate({{s}}) if c == {one}]", 5)


def word_lists_of_text(train: Sequence[str]) -> Iterator[Source]:
    """Yield the lists of words that rows of text can be read as."""
    if any(len(row.split()) > 1 for row in train):
        yield Source("words", "{s}.split()", 1)
        if any(re.search(r"\w[.,;:!?](\s|$)", row) for row in train):
            template = r're.findall(r"\w+", {s}.lower())'
            yield Source("lowered", template, 2.5, imports(weights.REGEX))
        elif any(row != row.lower() for row in train):
            yield Source("lowered", "{s}.lower().split()", 2)
    for separator in ",;|/-_:.":
        if sum(separator in row for row in train) > len(train) / 2:
            yield Source("fields", f"{{s}}.split({literal(separator)})", 2)
    if any(c.isalpha() for row in train for c in row) and any(" " not in row for row in train):
        crossing = any(re.search(r"[A-Za-z]\W+[A-Za-z]|\d[A-Za-z]|[A-Za-z]\d", r) for r in train)
        if crossing:
            needs = imports(weights.REGEX)
            yield Source("tokens", 're.findall(r"[A-Za-z]+", {s})', 4, needs)


def lists_of_lists() -> Iterator[Source]:
    """Yield what is made of any list of integers."""
    pairwise = imports(weights.PAIRWISE)
    yield Source("steps", "[b - a for a, b in pairwise({s})]", 3, pairwise)
    yield Source("ordered", "sorted({s})", 4)
    yield Source("backwards", "{s}[::-1]", 3)
    needs = imports(("from itertools import accumulate",))
    yield Source("sums", "list(accumulate({s}))", 4, needs)
    yield Source("counts", "list(Counter({s}).values())", 4, imports(weights.COUNTER))
    yield Source("runs", "[len(list(run)) for _, run in groupby({s})]", 5, imports(weights.GROUPBY))


def lists_of_integers(rows: Sequence[int]) -> Iterator[Source]:
    """Yield what is made of one whole number: its factors and its divisors."""
    if min(rows) >= 1 and max(rows) < 10**7:
        yield Source("factors", "prime_factors({s})", 3, (PRIME_FACTORS,))
        yield Source("divisors", "divisors({s})", 3, (DIVISORS,))


def made(
    source: Source, whole: Part, local: str, evaluator: Evaluator, size: int, *, words: bool = False
) -> Part | None:
    """Return the sequence under a local name; None where it fails, is empty or never varies."""
    needs = (*whole.needs, *source.needs)
    rows = evaluator.run(source.template, {}, whole.rows, source.needs)
    if rows is None or not any(rows[:size]):
        return None
    lists = [row for row in rows if isinstance(row, list)]
    texts = [row for row in rows if isinstance(row, str)]
    if len(texts) == len(rows):
        lists = texts  # type: ignore[assignment]
    if len(lists) != len(rows) or all(row == lists[0] for row in lists[:size]):
        return None
    if words and max(map(len, lists[:size])) < 2:
        return None
    assignment = f"{local} = {source.template.format(s=whole.code)}"
    definition = Definition(assignment, "local", needs)
    return Part(local, whole.bits + source.bits, lists, (definition,))
