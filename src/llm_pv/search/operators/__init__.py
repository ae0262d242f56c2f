"""Operators: what values are made of, each one declaration.

An operator is a Python template with a signature and a price in bits; its function is the template
itself, run on the distinct values of its arguments. To add one, write a line in the file of its
domain::

    op("len({0})", "text -> number", 2)
    op("{0}.count({c})", "text -> number", 2, constants=mining.characters)
    op("{0} % {c}", "number -> number", 2, constants=mining.moduli)

``{0}`` and ``{1}`` are the arguments, ``{c}`` a constant that a miner supplies: a function from the
first argument's values to pairs of a constant and its bits. ``column`` is a faster
function on whole columns (numpy arrays, or lists of Python values); of numbers compared or
computed with it is made of the template. ``when`` restricts an operator
to columns it makes sense of: a function from the first argument's values to a bool. What the
template imports or calls is in `llm_pv.search.library`, and programs get what they use of it.

Types: text, number, truth, whole (an integer of any size), date, category, texts (a list of texts),
numbers (a list of numbers), edges. What is a list is walked too, whatever operator made it.

An *item operator* (`each`) applies to the items of a list, ``a``, or to several at a time: ``a``
and its neighbour ``b`` (``pairs``), ``a``, ``b`` and ``d`` in a row (``triples``), two apart
(``apart``), the item as far from the end (``mirrored``), any two (``combined``), or an item and its
position ``i`` (``indexed``). What it gives is
folded as soon as it is made: truth values by count, any, all, longest run, first and last place;
numbers by sum, largest and smallest::

    each("{a}.isdigit()", "text -> truth", 2)
    each("{a} > {c}", "number -> truth", 1.5, constants=mining.cuts)
    each("{a} < {b}", "numbers -> truth", 1.5, over="pairs")

One property test runs every template in Python against its column function on random inputs
(tests/test_search_operators.py); a new operator needs no other test.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from itertools import product
from typing import Any, TypeAlias

from llm_pv.search.library import column_of
from llm_pv.search.types import Type

Miner: TypeAlias = Callable[[Any], Iterable[tuple[Any, float]]]
"""From the values of the first argument to constants with their bits."""


@dataclass(frozen=True, eq=False)
class Operator:
    """What `op` and `each` declare; see the module's text."""

    template: str
    arguments: tuple[Type, ...]
    result: Type
    bits: float
    constants: Miner | None = None
    column: Callable[..., Any] | None = None
    when: Callable[[Any], bool] | None = None
    over: str = ""
    name: str = ""
    kind: str = ""

    @property
    def names(self) -> Sequence[str]:
        """Its arguments' names in a function."""
        return ITEM_NAMES.get(self.over) or [f"a{place}" for place in range(len(self.arguments))]

    def choices(self, values: Any) -> Iterable[tuple[Any, float]]:
        """Return the constants for a first argument with their bits: None where it takes none."""
        if self.when is not None and not self.when(values):
            return []
        return [(None, 0.0)] if self.constants is None else self.constants(values)


ITEM_NAMES = {
    "each": "a",
    "pairs": "ab",
    "apart": "ab",
    "mirrored": "ab",
    "combined": "ab",
    "triples": "abd",
    "indexed": "ia",
}
"""The variables of item operators."""
OPERATORS: list[Operator] = []
"""All operators, in order of declaration."""


def op(template: str, signature: str, bits: float, *, over: str = "", **options: Any) -> None:
    """Declare an operator.

    Parameters
    ----------
    template
        Its Python source.
    signature
        Such as ``"text -> number"`` or ``"number, number -> number"``; several first sides are
        several operators: ``"numbers | texts -> truth"``.
    bits
        Its price, a multiple of `prices.STEP`.
    over
        For item operators the walks, such as ``"pairs, apart"``.
    options
        ``constants``, ``column``, ``when``, ``name`` (a local name for its value, for lists and
        dates), ``kind``.
    """
    left, _, right = signature.partition(" -> ")
    for words, walk in product(left.split(" | "), over.split(", ")):
        arguments = tuple(map(Type, words.split(", ")))
        made = Operator(template, arguments, Type(right), bits, over=walk, **options)
        # Items of texts are positions in order: all that can be done with them is to compare.
        plain = re.fullmatch(r"\{\w\}( [<>=!]=? \{[abd]\})+", template) and walk
        if made.column is None and (plain or set(arguments) == {Type.NUMBER}):
            made = replace(made, column=column_of(template, made.names))
        OPERATORS.append(made)


def each(template: str, signature: str, bits: float, *, over: str = "each", **options: Any) -> None:
    """Declare an item operator; its arguments are items, ``over`` says which."""
    op(template, signature, bits, over=over, **options)


@cache
def load() -> tuple[Operator, ...]:
    """Return every operator, from every domain."""
    for domain in ("graphs", "text", "numbers", "lists", "bits", "dates"):
        import_module(f"llm_pv.search.operators.{domain}")

    return tuple(OPERATORS)
