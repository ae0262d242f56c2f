"""Balanced brackets: the usual ones, or a pairing of symbols or tokens learned from the rows."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import Definition, Evaluator, Expression
from llm_pv.proposers.length_first.sequences import Part, literal
from llm_pv.proposers.length_first.weights import choice_bits

USUAL = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
MOST_SYMBOLS = 4
MOST_EFFORT = 10_000_000
"""Symbols read for all pairings together."""

BALANCED = Definition(
    '''def balanced(symbols, closing):
    """Tell whether every opening symbol is closed by its own partner, in order."""
    waiting = []
    for symbol in symbols:
        if symbol in closing:
            waiting.append(closing[symbol])
        elif symbol in closing.values() and (not waiting or waiting.pop() != symbol):
            return False
    return not waiting''',
    "helper",
)


def bracket_flags(whole: Part, evaluator: Evaluator, size: int) -> Iterator[Expression]:
    """Yield whether a string or list is balanced, for each pairing its symbols allow."""
    symbols = sorted({symbol for row in whole.rows[:size] for symbol in row}, key=str)
    usual: dict[object, object] = {a: b for a, b in USUAL if a in symbols or b in symbols}
    pairings: list[dict[object, object]] = []
    if usual:
        pairings.append(usual)
    if len(symbols) <= MOST_SYMBOLS and len(symbols) % 2 == 0:
        pairings += list(_pairings(symbols))
    if len(pairings) * sum(map(len, whole.rows)) > MOST_EFFORT:
        return
    template = "balanced({s}, {c})"
    for pairing in pairings:
        entries = ", ".join(f"{literal(a)}: {literal(b)}" for a, b in pairing.items())
        constants = {"c": f"{{{entries}}}"}
        values = evaluator.run(template, constants, whole.rows, (BALANCED,))
        if values is not None:
            bits = whole.bits + weights.BRACKETS + choice_bits(len(pairings))
            truth = np.array(values, dtype=bool)
            needs = (*whole.needs, BALANCED)
            code = template.format(s=whole.code, **constants)
            yield Expression(code, bits, truth, needs=needs)


def _pairings(symbols: Sequence[object]) -> Iterator[dict[object, object]]:
    """Yield every way to make all symbols partners, with who opens."""
    if not symbols:
        yield {}
        return
    first, *others = symbols
    for partner, opens in itertools.product(others, (True, False)):
        rest = [symbol for symbol in others if symbol != partner]
        for pairing in _pairings(rest):
            yield {first: partner, **pairing} if opens else {partner: first, **pairing}
