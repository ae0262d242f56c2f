"""Expressions: typed Python source over ``x``, with its bits and its values on every row.

An expression knows how its values were computed, so that they can be computed again on other rows
(`Frame.values`): the search looks at a sample, and what it finds is fitted on all training rows.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_pv.data.examples import Input

Truths: TypeAlias = NDArray[np.bool_]
Column: TypeAlias = Any
"""The values of one expression: float64 or bool arrays for NUMBER and TRUTH, else a list."""


class Type(Enum):
    """What an expression's value is on each row."""

    TEXT = "text"
    NUMBER = "number"  # float64, NaN where missing
    TRUTH = "truth"
    CATEGORY = "category"  # one of a few values, compared for equality only
    WHOLE = "whole"  # an integer of any size
    DATE = "date"
    TEXTS = "texts"  # a list of texts
    NUMBERS = "numbers"
    EDGES = "edges"  # pairs of texts


class Level(IntEnum):
    """How tightly an expression's outermost operator binds, loosest first."""

    CHOICE = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARISON = 4
    SUM = 5
    PRODUCT = 6
    ATOM = 7


_LEVELS: dict[type[ast.AST], Level] = {
    ast.IfExp: Level.CHOICE,
    ast.GeneratorExp: Level.CHOICE,
    ast.Or: Level.OR,
    ast.And: Level.AND,
    ast.Not: Level.NOT,
    ast.Compare: Level.COMPARISON,
    **dict.fromkeys((ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift), Level.COMPARISON),
    **dict.fromkeys((ast.Add, ast.Sub), Level.SUM),
    **dict.fromkeys((ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub), Level.PRODUCT),
}


_OPPOSITES = {"==": "!=", "in": "not in", "is": "is not", "<": ">=", ">": "<="}
_OPPOSITES |= {other: sign for sign, other in _OPPOSITES.items()}


@lru_cache(maxsize=20_000)
def level_of(code: str) -> Level:
    """Return how tightly the outermost operator of a piece of source binds.

    Examples
    --------
    >>> level_of("max(s) - min(s)").name, level_of("len(s) * 2").name
    ('SUM', 'PRODUCT')
    """
    try:
        node = ast.parse(code, mode="eval").body
    except SyntaxError:  # a generator without its parentheses
        return Level.CHOICE
    operator: ast.AST = getattr(node, "op", node)
    return _LEVELS.get(type(operator), Level.ATOM)


@lru_cache(maxsize=20_000)
def opposite_of(code: str, *, ordered: bool = True) -> str:
    """Return source that is true where other source is false.

    Parameters
    ----------
    ordered
        Whether what is compared is always less, equal or more: not where a number may be missing.

    Examples
    --------
    >>> opposite_of("a >= 6"), opposite_of("a % 2 == 0"), opposite_of("a in b and c")
    ('a < 6', 'a % 2 == 1', 'not (a in b and c)')
    >>> opposite_of("not a"), opposite_of("a >= 6", ordered=False), opposite_of("a + b % 2 == 0")
    ('a', 'not a >= 6', 'a + b % 2 != 0')
    """
    node, encoded = ast.parse(code, mode="eval").body, code.encode()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return encoded[node.operand.col_offset : node.operand.end_col_offset].decode()
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        parity = ordered and isinstance(getattr(node.left, "op", None), ast.Mod)
        if parity and code.endswith((" % 2 == 0", " % 2 == 1")):  # what is odd is == 1, not != 0
            return f"{code[:-1]}{1 - int(code[-1])}"
        end, start = node.left.end_col_offset, node.comparators[0].col_offset
        between = encoded[end:start].decode()
        sign = between.strip("() ")
        if ordered or sign[0] not in "<>":
            between = between.replace(f" {sign} ", f" {_OPPOSITES[sign]} ")
            return f"{encoded[:end].decode()}{between}{encoded[start:].decode()}"
    return f"not {code}" if level_of(code) >= Level.NOT else f"not ({code})"


@dataclass(frozen=True)
class Local:
    """An assignment inside ``f`` that an expression relies on, with those it relies on itself."""

    text: str
    needs: tuple["Local", ...] = ()


@dataclass(frozen=True, eq=False)
class Expression:
    """A value for each row, with the source that computes it."""

    code: str  # a Python expression over ``x`` and local names
    type: Type  # what the values are
    bits: float  # its length: what the program pays for it
    values: Column  # its values on the rows of the problem, training rows first, then probes
    needs: tuple[Local, ...] = ()  # local names that the code relies on
    # a function from a frame to the values on that frame's rows
    recipe: Callable[["Frame"], Column] | None = None
    # a word for the unit or kind of a number ("count", "price"); like with like is cheaper
    kind: str = ""
    # for conditions joined by a word, the opposite of one ("not") and an interval ("between"), that
    # word and the conditions
    parts: tuple[str, tuple["Expression", ...]] = ("", ())
    # for a number compared with a constant, the number, the sign and the constant
    cut: tuple["Expression", str, float] | None = None
    # for a comparison, whether one value is always less, equal or more than the other
    ordered: bool = True

    @property
    def level(self) -> Level:
        """How tightly the code binds."""
        return level_of(self.code)

    @property
    def opposite(self) -> str:
        """Source that is true where this is false."""
        return opposite_of(self.code, ordered=self.ordered)

    def at(self, level: Level) -> str:
        """Return the code, in parentheses if it binds looser than this level."""
        return self.code if self.level >= level else f"({self.code})"

    def priced(self, bits: float) -> "Expression":
        """Return it at another length."""
        return replace(self, bits=bits)


def derived(
    code: str,
    type: Type,  # noqa: A002
    bits: float,
    function: Callable[..., Column],
    sources: Sequence[Expression],
    **options: Any,
) -> Expression:
    """Return what a function makes of the values of other expressions.

    The function takes the others' columns, on whatever rows. Options are further fields of the
    expression, ``values`` among them where they are known already.
    """
    values = options.pop("values", None)
    return Expression(
        code,
        type,
        bits,
        function(*(one.values for one in sources)) if values is None else values,
        tuple(need for one in sources for need in one.needs),
        lambda frame: function(*(frame.values(one) for one in sources)),
        **options,
    )


def condition(
    code: str, bits: float, function: Callable[..., Column], *parts: Expression, **options: Any
) -> Expression:
    """Return a truth value that a function makes of other values: see `derived`."""
    return derived(code, Type.TRUTH, bits, function, parts, **options)


@dataclass
class Frame:
    """Rows to compute expressions on, and what has been computed."""

    rows: Sequence[Input]  # the inputs
    _known: dict[int, tuple[Expression, Column]] = field(default_factory=dict)

    def values(self, expression: Expression) -> Column:
        """Return an expression's values on these rows."""
        known = self._known.get(id(expression))
        if known is None:
            assert expression.recipe is not None, expression.code
            known = expression, expression.recipe(self)
            self._known[id(expression)] = known
        return known[1]

    def forget(self, most: int) -> None:
        """Free the memory of computed values if they are more than so many."""
        if len(self._known) > most:
            self._known.clear()


def negation(one: Expression) -> Expression:
    """Return the opposite of a condition, at the same price."""
    options = {"ordered": one.ordered, "parts": ("not", (one,))}
    return condition(one.opposite, one.bits, np.logical_not, one, **options)


_JOINED: dict[str, tuple[np.ufunc, Level]] = {
    "and": (np.logical_and, Level.AND),
    "or": (np.logical_or, Level.OR),
    "!=": (np.logical_xor, Level.SUM),
    "+": (np.add, Level.PRODUCT),
}


def joined(word: str, conditions: Sequence[Expression], bits: float) -> Expression:
    """Join by ``and``, ``or``, or two by ``!=``, or count by ``+``, at the bits of the whole."""
    if len(conditions) == 1:
        return conditions[0].priced(bits)
    function, level = _JOINED[word]
    code = f" {word} ".join(one.at(level) for one in conditions)
    parts = word, tuple(conditions)
    kind = Type.NUMBER if word == "+" else Type.TRUTH
    return derived(code, kind, bits, lambda *all: function.reduce(all), conditions, parts=parts)
