"""A syntax tree as one sequence of symbols, the same on Python 3.11, 3.12 and 3.13.

`ast.unparse` and `ast.dump` give different text for one program on different versions, so neither
is used. The normalised text and the description length are computed from these symbols.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_IGNORED_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}
_OPTIONAL_FIELDS = """
    FunctionDef.returns AsyncFunctionDef.returns Return.value AnnAssign.value
    arg.annotation arguments.vararg arguments.kwarg Raise.exc Raise.cause Assert.msg
    ImportFrom.module Yield.value FormattedValue.format_spec Slice.lower Slice.upper Slice.step
    ExceptHandler.type ExceptHandler.name alias.asname keyword.arg withitem.optional_vars
    match_case.guard MatchAs.pattern MatchAs.name MatchStar.name MatchMapping.rest
    Dict.keys arguments.kw_defaults TypeVar.bound TypeVar.default_value
    ParamSpec.default_value TypeVarTuple.default_value
"""
_OPTIONAL = frozenset(_OPTIONAL_FIELDS.split())
_CATEGORIES = (
    ast.stmt,
    ast.expr,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.boolop,
    ast.pattern,
)


@dataclass(frozen=True)
class Construct:
    """A node of the grammar, such as ``BinOp``, and the grammar's category it was chosen from."""

    name: str
    category: str


@dataclass(frozen=True)
class Length:
    """The length of a list, or a small number of the grammar such as an import's level."""

    number: int


@dataclass(frozen=True)
class Presence:
    """Whether an optional field is present."""

    present: bool


@dataclass(frozen=True)
class Word:
    """An identifier; a renamed local starts with ``%``."""

    name: str


@dataclass(frozen=True)
class Literal:
    """A constant."""

    value: object


Symbol = Construct | Length | Presence | Word | Literal


def symbols(tree: ast.AST) -> Iterator[Symbol]:
    """Yield the symbols of a tree, each node before its fields; equal trees give equal symbols.

    Examples
    --------
    >>> [text_of(symbol) for symbol in symbols(ast.parse("-x", mode="eval").body)]
    ['UnaryOp', 'USub', 'Name', "'x"]
    """
    pending: list[ast.AST | Symbol] = [tree]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.AST):
            yield Construct(type(item).__name__, _category(item))
            pending += reversed(list(_fields(item)))
        else:
            yield item


def text_of(symbol: Symbol) -> str:
    """Return the text of one symbol; different symbols have different texts."""
    match symbol:
        case Construct(name=name):
            return name
        case Length(number=number):
            return f"#{number}"
        case Presence(present=present):
            return "+" if present else "-"
        case Word(name=name):
            return f"'{name}"
        case Literal(value=bool() | None as value):
            return f"={value}"
        case Literal(value=int(value)):
            return f"={value:#x}"  # decimals of more than 4,300 digits cannot be printed
        case Literal(value=value):
            return f"={value!a}"  # repr depends on the version's idea of printable


def _category(node: ast.AST) -> str:
    for category in _CATEGORIES:
        if isinstance(node, category):
            return category.__name__
    return ""


def _fields(node: ast.AST) -> Iterator[ast.AST | Symbol]:
    for name in node._fields:
        if name in _IGNORED_FIELDS:
            continue
        value: Any = getattr(node, name, None)
        if name == "type_params":  # a field since Python 3.12 only: absent and empty are the same
            if value:
                yield Construct("type_params", "")
                yield from _items(value, optional=False)
            continue
        optional = f"{type(node).__name__}.{name}" in _OPTIONAL
        if isinstance(value, list):
            yield from _items(value, optional=optional)
        elif isinstance(node, ast.Constant | ast.MatchSingleton):
            yield Literal(value)
        elif name == "conversion":
            yield Length(value + 1)  # -1 means none
        else:
            yield from _item(value, optional=optional)


def _items(values: list[object], *, optional: bool) -> Iterator[ast.AST | Symbol]:
    yield Length(len(values))
    for value in values:
        yield from _item(value, optional=optional)


def _item(value: object, *, optional: bool) -> Iterator[ast.AST | Symbol]:
    if optional:
        yield Presence(value is not None)
        if value is None:
            return
    if isinstance(value, ast.AST):
        yield value
    elif isinstance(value, str):
        yield Word(value)
    else:
        assert isinstance(value, int), f"{value!r} in a syntax tree"
        yield Length(value)
