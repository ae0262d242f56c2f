"""Expressions: Python source beside its values on every row, made by one definition.

A leaf's values come from running the very source that is emitted; what combines leaves takes
operator and numpy function from the same line of one table, so that what the search believes of
a program and what the program does cannot drift apart.
"""

import ast
import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first.weights import CONJUNCTION, NEGATION

LARGEST_EXACT = 2**53
"""Integers beyond this are not exact as floats, and so are no numbers to the bulk evaluation."""


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


_OPERATORS: dict[type[ast.AST], Level] = {
    ast.IfExp: Level.CHOICE,
    ast.Or: Level.OR,
    ast.And: Level.AND,
    ast.Not: Level.NOT,
    ast.Compare: Level.COMPARISON,
    ast.Add: Level.SUM,
    ast.Sub: Level.SUM,
    ast.Mult: Level.PRODUCT,
    ast.Div: Level.PRODUCT,
    ast.FloorDiv: Level.PRODUCT,
    ast.Mod: Level.PRODUCT,
}


@cache
def level_of(template: str) -> Level:
    """Return how tightly the outermost operator of a template binds; parentheses are no operator.

    Examples
    --------
    >>> level_of("max({s}) - min({s})").name, level_of("len({s}) * 2").name
    ('SUM', 'PRODUCT')
    """
    node = ast.parse(template.format(s="s", c="c"), mode="eval").body
    operator = getattr(node, "op", node)
    return _OPERATORS.get(type(operator), Level.ATOM)


@dataclass(frozen=True)
class Definition:
    """Something an expression relies on: an import line, a helper function or a local name.

    Parameters
    ----------
    text
        Its source; for a local name the assignment.
    kind
        ``"import"``, ``"helper"`` or ``"local"``.
    needs
        What it relies on itself.
    """

    text: str
    kind: str
    needs: tuple["Definition", ...] = ()


def imports(lines: Sequence[str]) -> tuple[Definition, ...]:
    """Return the definitions of these import lines."""
    return tuple(Definition(line, "import") for line in lines)


@dataclass(frozen=True, eq=False)
class Expression:
    """A number or a truth value for each row, with the source that computes it.

    Parameters
    ----------
    code
        A Python expression over ``x`` and its local names.
    bits
        Its length.
    values
        Its value on every training row, then on every probe; float64 or bool, or codes.
    level
        The outermost operator of the code.
    needs
        What the code relies on.
    opposite
        For a truth value, source that is true where this is false; empty for the plain ``not``.
    """

    code: str
    bits: float
    values: NDArray[np.float64] | NDArray[np.bool_]
    level: Level = Level.ATOM
    needs: tuple[Definition, ...] = ()
    opposite: str = ""

    def at(self, level: Level) -> str:
        """Return the code, in parentheses if it binds looser than this level."""
        return self.code if self.level >= level else f"({self.code})"


def negation(condition: Expression) -> Expression:
    """Return the opposite of a condition."""
    if condition.opposite:
        code, level = condition.opposite, condition.level
    else:
        code, level = f"not {condition.at(Level.NOT)}", Level.NOT
    return Expression(
        code,
        condition.bits + NEGATION,
        np.logical_not(condition.values),
        level,
        condition.needs,
        condition.code,
    )


@dataclass(frozen=True)
class Junction:
    """A way to join two truth values: the word in the source and the function in bulk."""

    word: str
    function: Callable[..., NDArray[np.bool_]]
    level: Level


AND = Junction("and", np.logical_and, Level.AND)
OR = Junction("or", np.logical_or, Level.OR)
DIFFER = Junction("!=", np.logical_xor, Level.COMPARISON)


def joined(left: Expression, junction: Junction, right: Expression) -> Expression:
    """Join two conditions."""
    inner = Level.SUM if junction is DIFFER else junction.level
    return Expression(
        f"{left.at(inner)} {junction.word} {right.at(inner)}",
        left.bits + right.bits + CONJUNCTION,
        junction.function(left.values, right.values),
        junction.level,
        left.needs + right.needs,
        f"{left.at(inner)} == {right.at(inner)}" if junction is DIFFER else "",
    )


COMPARISONS: dict[str, Callable[..., NDArray[np.bool_]]] = {
    ">=": np.greater_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
"""Comparisons by their sign."""
_OPPOSITES = {"==": "!=", "!=": "==", ">=": "<", "<": ">=", ">": "<=", "<=": ">"}


def compared(left: Expression, sign: str, right: Expression, bits: float) -> Expression:
    """Compare two numbers; ``bits`` is the length of the whole.

    A comparison with a missing number is false, so its opposite is not the mirrored sign unless
    no value is missing.
    """
    if sign == "==" and right.code == "1" and left.code.endswith(" % 2"):
        odd = COMPARISONS[sign](left.values, right.values)
        code = left.at(Level.SUM)
        needs = left.needs + right.needs
        return Expression(f"{code} == 1", bits, odd, Level.COMPARISON, needs, f"{code} == 0")
    missing = np.isnan(left.values).any() or np.isnan(right.values).any()
    mirrored = _OPPOSITES[sign]
    can_mirror = sign in ("==", "!=") or not missing
    return Expression(
        f"{left.at(Level.SUM)} {sign} {right.at(Level.SUM)}",
        bits,
        COMPARISONS[sign](left.values, right.values),
        Level.COMPARISON,
        left.needs + right.needs,
        f"{left.at(Level.SUM)} {mirrored} {right.at(Level.SUM)}" if can_mirror else "",
    )


def constant(value: float, rows: int) -> Expression:
    """Return a number written into the program."""
    is_whole = float(value).is_integer() and abs(value) < LARGEST_EXACT
    number = int(value) if is_whole else float(value)
    return Expression(repr(number), 0.0, np.full(rows, float(value)))


ARITHMETIC: dict[str, tuple[Callable[..., NDArray[np.float64]], Level]] = {
    "+": (np.add, Level.SUM),
    "-": (np.subtract, Level.SUM),
    "*": (np.multiply, Level.PRODUCT),
    "/": (np.divide, Level.PRODUCT),
    "%": (np.mod, Level.PRODUCT),
}
"""Arithmetic by its sign, with how tightly it binds."""


def calculated(left: Expression, sign: str, right: Expression, bits: float) -> Expression:
    """Combine two numbers; ``bits`` is the length of the whole."""
    function, level = ARITHMETIC[sign]
    with np.errstate(all="ignore"):
        values = function(left.values, right.values)
    # a - (b - c) is not a - b - c: the right operand must bind tighter than the operator.
    code = f"{left.at(level)} {sign} {right.at(Level(level + 1))}"
    return Expression(code, bits, values, level, left.needs + right.needs)


class Evaluator:
    """Runs leaf expressions on rows: on the training rows they must not fail.

    Parameters
    ----------
    size
        How many of the rows are training rows; the others are probes, on which a failure is
        replaced by the value on the first training row.

    Examples
    --------
    >>> Evaluator(2).run("len({s})", {}, ["ab", ""], ())
    [2, 0]
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._namespace: dict[str, object] = {"__builtins__": builtins}
        self._known: set[Definition] = set()

    def run(
        self,
        template: str,
        constants: dict[str, str],
        rows: Sequence[object],
        needs: tuple[Definition, ...],
    ) -> list[object] | None:
        """Return the template's value on each row, None if it fails on a training row."""
        for definition in needs:
            self._define(definition)
        code = template.format(s="s", **constants)
        # The code is a template of this package; what comes from data entered it through repr.
        function = eval(f"lambda s: {code}", self._namespace)  # noqa: S307
        values: list[object] = []
        for index, row in enumerate(rows):
            try:
                values.append(function(row))
            except (ValueError, LookupError, TypeError, ArithmeticError):
                if index < self._size:
                    return None
                values.append(values[0])
        return values

    def _define(self, definition: Definition) -> None:
        for inner in definition.needs:
            self._define(inner)
        if definition not in self._known and definition.kind != "local":
            self._known.add(definition)
            exec(definition.text, self._namespace)  # noqa: S102


def is_whole(values: NDArray[np.float64] | NDArray[np.bool_]) -> bool:
    """Tell whether all values are whole numbers, small enough to be exact."""
    with np.errstate(invalid="ignore"):
        return bool(((np.floor(values) == values) & (np.abs(values) < LARGEST_EXACT)).all())


def as_numbers(values: Sequence[object]) -> NDArray[np.float64] | None:
    """Return whole numbers as an array, None if one of them is too large to be exact."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    return numbers if bool((np.abs(numbers) < LARGEST_EXACT).all()) else None
