"""Operators on text: its length, characters, parts, case and words."""

import re
from typing import Any

import numpy as np

from llm_pv.search import mining
from llm_pv.search.operators import each, op

CODE = re.compile(r"(?<![\d.,])0\d{2,}")
"""Three digits or more of which the first is a zero, as in telephone numbers."""
DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")
"""A number with a fraction, not a part of a version or an address."""
MARKED = re.compile(r"[a-z][.,!?;]( |$)")
SIGNED = re.compile(r"(^|[\[( ,])-\d")
"""A number below zero, not a range or a part of a date."""


def _mixed_case(values: Any) -> bool:
    text = "".join(values[:200])
    return any(c.isupper() for c in text) and any(c.islower() for c in text)


def _natural(values: Any) -> bool:
    """Tell whether texts are more than a few symbols: letters of many kinds."""
    return len({c for value in values[:200] for c in value if c.isalpha()}) > 6


def _has_letters(values: Any) -> bool:
    return any(c.isalpha() for value in values[:50] for c in value)


def _has_words(values: Any) -> bool:
    return sum(" " in value.strip() for value in values) > len(values) / 2


def _punctuated(values: Any) -> bool:
    """Tell whether words of many texts have a comma or full stop behind them."""
    return sum(bool(MARKED.search(value)) for value in values) > len(values) / 5


def _are_words(values: Any) -> bool:
    """Tell whether texts are single words, whose letters may be counted in the alphabet."""
    return sum(map(str.isalpha, values)) > len(values) / 2


def _are_codes(values: Any) -> bool:
    """Tell whether digits are no numbers, since many begin with a zero that is written."""
    return sum(bool(CODE.search(value)) for value in values) > len(values) / 5


def _overlapping(values: Any, token: str) -> Any:
    pattern = re.compile(f"(?={re.escape(token)})")
    return np.array([float(len(pattern.findall(value))) for value in values])


def _long(values: Any) -> bool:
    return min(map(len, values[:100]), default=0) >= 4


def _symbols(values: Any) -> bool:
    """Tell whether texts are rows of a few symbols, such as bits, whose halves may matter."""
    return len(set("".join(values[:100]))) <= 12 and _long(values)


# Parts.
op("{0}.lower()", "text -> text", 1.0, when=_mixed_case)
op("{0}.split({c})[0]", "text -> text", 1.5, constants=mining.separators)
op("{0}.split({c})[1]", "text -> text", 1.5, constants=mining.separators)
op("{0}.split({c})[2]", "text -> text", 2.0, constants=mining.separators)
op("{0}.split({c})[-1]", "text -> text", 1.5, constants=mining.separators)
op("{0}.split({c})[-2]", "text -> text", 2.5, constants=mining.separators)
op(
    '{0}.replace({c}, "")',
    "text -> text",
    1.5,
    constants=mining.separators,
    when=lambda v: not _natural(v),
)
op("{0}[:{c}]", "text -> text", 2.0, kind="slice", constants=mining.prefix_lengths)
op("{0}[-{c}:]", "text -> text", 2.0, kind="slice", constants=mining.prefix_lengths)
op("{0}[{c}:]", "text -> text", 3.0, kind="slice", constants=mining.prefix_lengths)
op("{0}[:-{c}]", "text -> text", 3.5, kind="slice", constants=mining.prefix_lengths)
op("{0}[: len({0}) // 2]", "text -> text", 3.0, kind="slice", when=_symbols)
op("{0}[len({0}) // 2 :]", "text -> text", 3.0, kind="slice", when=_symbols)
op("{0}[-(len({0}) // 2) :]", "text -> text", 3.5, kind="slice", when=_symbols)
op("{0}[::2]", "text -> text", 3.0, kind="slice", when=_symbols)
op("{0}[1::2]", "text -> text", 3.0, kind="slice", when=_symbols)
op("{0}[-(len({0}) // 3) :]", "text -> text", 5.0, kind="slice", when=_symbols)
op(
    "{0}[{c}]",
    "text -> category",
    1.0,
    constants=mining.places,
    when=lambda v: not _natural(v) or max(map(len, v)) <= 8,
)
op(
    "{0}[{c}]",
    "text -> category",
    3.0,
    constants=mining.places,
    when=lambda v: _natural(v) and max(map(len, v)) > 8,
)
op("max({0}.split(), key=len)", "text -> text", 3.0, when=_has_words)

# Numbers.
op("len({0})", "text -> number", 1.0, kind="length")
op("{0}.count({c})", "text -> number", 1.5, constants=mining.characters, kind="count")
op(
    "sum({0}.startswith({c}, i) for i in range(len({0})))",
    "text -> number",
    2.5,
    constants=mining.tokens,
    column=_overlapping,
    kind="count",
)
op("len(set({0}))", "text -> number", 2.0, kind="count")
op("{0}.find({c})", "text -> number", 3.0, constants=mining.symbols, kind="place")
op("{0}.rfind({c})", "text -> number", 4.0, constants=mining.symbols, kind="place")
op("{0}.find({c})", "text -> number", 3.0, constants=mining.tokens, kind="place")
op("{0}.rfind({c})", "text -> number", 3.5, constants=mining.tokens, kind="place")
op(
    "int(re.search({c}, {0})[1])",
    "text -> number",
    2.0,
    constants=mining.beside_numbers,
    kind="number",
)
op("int({0})", "text -> number", 1.0, kind="number", when=lambda v: not _are_codes(v))
op("int({0})", "text -> number", 4.0, kind="number", when=_are_codes)
op("float({0})", "text -> number", 2.0, kind="number", when=lambda v: not _are_codes(v))
op("int({0}, 2)", "text -> number", 2.5, when=lambda v: set("".join(v[:50])) <= set("01"))
op("int({0}, 16)", "text -> number", 4.0, when=lambda v: set("".join(v[:50])) & set("abcdefABCDEF"))
op("max(Counter({0}).values(), default=0)", "text -> number", 4.0, kind="count")
op("len({0}.split())", "text -> number", 1.5, when=_has_words, kind="count")


op(
    "ord({0}[{c}])",
    "text -> number",
    4.5,
    constants=mining.places,
    kind="letter",
    when=lambda v: max(map(len, v)) <= 8 and _has_letters(v),
)
op(
    '{0}[::-1].translate(str.maketrans("ACGT", "TGCA"))',
    "text -> text",
    3.0,
    kind="slice",
    when=lambda v: set("".join(v[:100])) <= set("ACGT"),
)

# Truth values.
op(
    "any({0}[i] == {0}[j] == {0}[k] == {c} for i, j, k in LINES)",
    "text -> truth",
    3.0,
    constants=mining.characters,
    when=lambda v: all(len(row) == 9 for row in v) and len(set("".join(v))) <= 4,
)
op("{0} == {0}[::-1]", "text -> truth", 3.0)
op("{0}[0] == {0}[-1]", "text -> truth", 3.0, when=lambda v: not _natural(v) or _are_words(v))
op("{0}[0] == {0}[-1]", "text -> truth", 6.0, when=lambda v: _natural(v) and not _are_words(v))
op("{0} == {1}", "text, text -> truth", 2.0)
op("{0} < {1}", "text, text -> truth", 2.5)
op("{0} == {1}", "category, category -> truth", 2.0)
op("list({0}) == sorted({0})", "text -> truth", 4.0)
op("{0}.isdigit()", "text -> truth", 2.0)
op("{0}.isalpha()", "text -> truth", 2.0)
op("{0}.isalnum()", "text -> truth", 3.0)
op("{0}.isupper()", "text -> truth", 2.5, when=_has_letters)
op("{0}.islower()", "text -> truth", 2.5, when=_has_letters)
op("{0}.istitle()", "text -> truth", 3.0, when=_has_letters)
op('{0}[0] in "aeiou"', "text -> truth", 2.5, when=_natural)
op('{0}[-1] in "aeiou"', "text -> truth", 2.5, when=_natural)
op("{0}[0].isupper()", "text -> truth", 2.5, when=_mixed_case)

# Lists.
for bits, other, is_punctuated in ((1.0, 2.5, False), (2.5, 1.5, True)):
    op(
        "{0}.split()",
        "text -> texts",
        bits,
        name="words",
        when=lambda v, marked=is_punctuated: _has_words(v) and _punctuated(v) == marked,
    )
    op(
        're.findall(r"[a-z]+", {0}.lower())',
        "text -> texts",
        other,
        name="words",
        when=lambda v, marked=is_punctuated: _natural(v) and _punctuated(v) == marked,
    )
op("{0}.split({c})", "text -> texts", 1.5, constants=mining.split_places, name="parts")
for bits, is_code in ((1.5, False), (4.0, True)):
    op(
        '[int(n) for n in re.findall(r"\\d+", {0})]',
        "text -> numbers",
        bits,
        name="numbers",
        when=lambda v, is_code=is_code: (
            any(not row.isdecimal() for row in v) and _are_codes(v) == is_code
        ),
    )
op(
    '[int(n) for n in re.findall(r"-?\\d+", {0})]',
    "text -> numbers",
    1.5,
    name="numbers",
    when=lambda v: any(map(SIGNED.search, v)),
)
for sign, signed in (("", False), ("-?", True)):
    op(
        f'[float(n) for n in re.findall(r"{sign}\\d+(?:\\.\\d+)?", {{0}})]',
        "text -> numbers",
        1.5,
        name="numbers",
        when=lambda v, signed=signed: (
            sum(bool(DECIMAL.search(row)) for row in v) > len(v) / 2
            and any(map(SIGNED.search, v)) == signed
        ),
    )
op(
    '[int(k, 16) for k in re.findall("[0-9A-Fa-f]{{2}}", {0})]',
    "text -> numbers",
    2.5,
    name="bytes",
    when=lambda v: (
        all(re.fullmatch(r"\W*([0-9A-Fa-f]{2}\W*)+", row) for row in v)
        and set("".join(v[:50])) & set("abcdefABCDEF")
    ),
)
op(
    "[int(k) for k in {0}]",
    "text -> numbers",
    1.0,
    name="digits",
    when=lambda v: v[0].isdecimal() and not set("".join(v[:50])) <= set("01"),
)
op(
    "[int(k) for k in {0} if k.isdecimal()]",
    "text -> numbers",
    3.0,
    name="digits",
    when=lambda v: not v[0].isdecimal() and any(c.isdecimal() for c in v[0]),
)
op(
    "[len(list(run)) for _, run in groupby({0})]",
    "text -> numbers",
    2.5,
    name="runs",
    when=lambda v: len(set("".join(v[:100]))) <= 6,
)
op(
    "list(Counter({0}).values())",
    "text -> numbers",
    3.0,
    name="counts",
    when=lambda v: len(set("".join(v[:100]))) > 2,
)
op('"".join(k for k in {0} if k.lower() in "aeiou")', "text -> text", 4.0, when=_natural)
for bits, is_word in ((4.0, True), (7.5, False)):
    op(
        "[ord(k) - 96 for k in {0}.lower() if k.isalpha()]",
        "text -> numbers",
        bits,
        name="letters",
        when=lambda v, is_word=is_word: _natural(v) and _are_words(v) == is_word,
    )

# Characters and words, one at a time.
each("{a} == {c}", "text -> truth", 1.0, constants=mining.item_values)
each("{a} in {c}", "text -> truth", 1.0, constants=mining.pairs_of_symbols)
each("{a}.count({c})", "text -> number", 1.5, constants=mining.symbols_of_pieces)
each("{a}.isdigit()", "text -> truth", 1.0)
each("{a}.isalpha()", "text -> truth", 1.0)
each("{a}.isupper()", "text -> truth", 1.0)
each("{a}.islower()", "text -> truth", 1.0)
each("{a}.isalnum()", "text -> truth", 1.5)
each('{a} in "aeiouAEIOU"', "text -> truth", 1.0, when=_natural)
each('{a} in "02468"', "text -> truth", 2.0, when=lambda v: set("".join(v)) <= set("0123456789"))
each("len({a})", "text -> number", 1.0, when=lambda v: any(len(item) != 1 for item in v))
each('{a}[0] in "aeiou"', "text -> truth", 2.0, when=lambda v: all(v) and max(map(len, v)) > 1)
each('{a}[-1] in "aeiou"', "text -> truth", 2.0, when=lambda v: all(v) and max(map(len, v)) > 1)
each("{a}[0].isupper()", "text -> truth", 1.5, when=lambda v: all(v) and max(map(len, v)) > 1)
each("{a} == {a}[::-1]", "text -> truth", 2.5, when=lambda v: max(map(len, v)) > 1)
each("len(set({a})) == len({a})", "text -> truth", 3.0, when=lambda v: max(map(len, v)) > 1)
each(
    "int({a})",
    "text -> number",
    1.0,
    when=lambda v: all(item.isdecimal() for item in v) and max(map(len, v)) > 1,
)

each("{a} == {b}", "text, text -> truth", 1.0, over="pairs, apart, combined")
for sign in ("<", "<=", ">"):
    each(f"{{a}} {sign} {{b}}", "text, text -> truth", 1.5, over="pairs")
each("{a}[-1:] == {b}[:1]", "text, text -> truth", 2.5, over="pairs")
each("{a}[:1] == {b}[:1]", "text, text -> truth", 2.0, over="pairs, combined")
each("{a}.lower() == {b}.lower()", "text, text -> truth", 2.0, over="pairs")
each('{a} in "aeiou" and {b} in "aeiou"', "text, text -> truth", 3.0, over="pairs")
each("len({a}) < len({b})", "text, text -> truth", 2.0, over="pairs")
each("{a} != {b}", "text, text -> truth", 1.0, over="mirrored")
each("{a} == {b} == {d}", "text, text, text -> truth", 1.0, over="triples")
