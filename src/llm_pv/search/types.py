"""Expressions: typed Python source over ``x``, with its bits and its values on every row.

An expression knows how its values were computed, so that they can be computed again on other rows
(`Frame.values`): the search looks at a sample, and what it finds is fitted on all training rows.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from functools import cache
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
    WHOLE = "whole number of any size"
    DATE = "date"
    TEXTS = "list of texts"
    NUMBERS = "list of numbers"
    EDGES = "list of pairs"


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


@cache
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


@dataclass(frozen=True)
class Definition:
    """Something an expression relies on.

    Parameters
    ----------
    text
        Its source; for a local name the assignment.
    kind
        ``"import"``, ``"helper"`` (a function) or ``"local"`` (an assignment inside ``f``).
    needs
        What it relies on itself.
    """

    text: str
    kind: str
    needs: tuple["Definition", ...] = ()


@dataclass(frozen=True, eq=False)
class Expression:
    """A value for each row, with the source that computes it.

    Parameters
    ----------
    code
        A Python expression over ``x`` and local names.
    type
        What the values are.
    bits
        Its length: what the program pays for it.
    values
        Its values on the rows of the problem, training rows first, then probes.
    level
        The outermost operator of the code.
    needs
        Imports, helpers and local names that the code relies on.
    opposite
        For a truth value, source that is true where this is false; empty for the plain ``not``.
    recipe
        A function from a frame to the values on that frame's rows.
    kind
        A word for the unit or kind of a number ("count", "price"); like with like is cheaper.
    parts
        For conditions joined by a word, that word and the conditions.
    """

    code: str
    type: Type
    bits: float
    values: Column
    level: Level = Level.ATOM
    needs: tuple[Definition, ...] = ()
    opposite: str = ""
    recipe: Callable[["Frame"], Column] | None = None
    kind: str = ""
    parts: tuple[str, tuple["Expression", ...]] = ("", ())

    def at(self, level: Level) -> str:
        """Return the code, in parentheses if it binds looser than this level."""
        return self.code if self.level >= level else f"({self.code})"

    def priced(self, bits: float) -> "Expression":
        """Return it at another length."""
        return replace(self, bits=bits)


@dataclass
class Frame:
    """Rows to compute expressions on, and what has been computed.

    Parameters
    ----------
    rows
        The inputs.
    """

    rows: Sequence[Input]
    _known: dict[int, tuple[Expression, Column]] = field(default_factory=dict)

    def values(self, expression: Expression) -> Column:
        """Return an expression's values on these rows."""
        known = self._known.get(id(expression))
        if known is None:
            assert expression.recipe is not None, expression.code
            known = expression, expression.recipe(self)
            self._known[id(expression)] = known
        return known[1]

    def forget(self) -> None:
        """Free the memory of computed values."""
        self._known.clear()


def negation(condition: Expression) -> Expression:
    """Return the opposite of a condition, at the same price."""
    code, level = condition.opposite, condition.level
    if not code:
        code, level = f"not {condition.at(Level.NOT)}", Level.NOT
    return Expression(
        code,
        Type.TRUTH,
        condition.bits,
        np.logical_not(condition.values),
        level,
        condition.needs,
        condition.code,
        lambda frame: np.logical_not(frame.values(condition)),
    )


def joined(word: str, conditions: Sequence[Expression], bits: float) -> Expression:
    """Join conditions by ``and``, ``or``, or two of them by ``!=``.

    Parameters
    ----------
    bits
        The length of the whole.
    """
    if len(conditions) == 1:
        return conditions[0].priced(bits)
    function: Any
    function, level = {
        "and": (np.logical_and, Level.AND),
        "or": (np.logical_or, Level.OR),
        "!=": (np.logical_xor, Level.COMPARISON),
    }[word]
    inner = Level.SUM if word == "!=" else level
    parts = [condition.at(inner) for condition in conditions]
    return Expression(
        f" {word} ".join(parts),
        Type.TRUTH,
        bits,
        function.reduce([condition.values for condition in conditions]),
        level,
        tuple(need for condition in conditions for need in condition.needs),
        " == ".join(parts) if word == "!=" else "",
        lambda frame: function.reduce([frame.values(condition) for condition in conditions]),
        parts=(word, tuple(conditions)),
    )
