"""Number the leaves of a program to count rows by leaf; leave its conditions out one by one."""

import ast
import re
from itertools import pairwise
from typing import Any

from llm_pv.errors import ProgramError
from llm_pv.programs.syntax import parse_source

_MOST_LEAVES = 40
_MOST_CONDITIONS = 24
_LONG = 60
"""Characters of a condition or a sum from which its parts have lines of their own."""


def leaves(source: str, fewest: int = 2) -> dict[str, Any]:
    r"""Return a variant of a program that answers with the number of its leaf, and its lines.

    A leaf is a returned value, or an arm of a returned conditional expression. Raise ProgramError
    if ``f`` returns inside a loop or a similar block, or has fewer leaves than ``fewest`` or very
    many.

    Returns
    -------
    dict
        ``source`` of the variant; ``lines`` of depth, text and the leaf's number or None; whether
        they are the ``whole`` program, imports apart; ``columns`` with the numbers that each is
        compared with.

    Examples
    --------
    >>> found = leaves("def f(x):\n    return 'a' if x['n'] > 3 else 'b'\n")
    >>> found["source"]
    "def f(x):\n    return 0 if x['n'] > 3 else 1\n"
    >>> found["lines"]
    [(0, 'if n > 3', None), (1, 'a', 0), (0, 'otherwise', None), (1, 'b', 1)]
    >>> found["columns"]
    {'n': [3]}
    """
    tree = parse_source(source)
    function, argument = entry(tree)
    columns = _columns(function, argument)
    numbered = _Numbered(argument)
    function.body = numbered.block(function.body, 0)
    if not _returns(function.body):
        function.body.append(ast.Return(numbered.leaf("no answer", 0)))
    if not fewest <= numbered.number <= _MOST_LEAVES:
        raise ProgramError(f"the program has {numbered.number} leaves")
    variant = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    others = [part for part in tree.body if part is not function and not _is_text(part)]
    whole = all(isinstance(part, ast.Import | ast.ImportFrom) for part in others)
    return {"source": variant, "lines": numbered.lines, "whole": whole, "columns": columns}


def conditions(source: str) -> list[tuple[str, str]]:
    r"""Return each condition of a program, and the program without it, in their order.

    Conditions are what ``and`` and ``or`` join, what an ``if`` tests, and comparisons that count in
    a calculation. One is left out as the others then decide: as true within ``and`` and in the
    filter of a comprehension, otherwise as false. Of many, the first are taken. Raise ProgramError
    if there is no function ``f``.

    Examples
    --------
    >>> for text, rest in conditions("def f(x): return 2 * (x > 1) if x > 0 and x < 9 else 0"):
    ...     print(text, "|", rest.splitlines()[1].strip())
    x > 1 | return 2 * False if x > 0 and x < 9 else 0
    x > 0 | return 2 * (x > 1) if True and x < 9 else 0
    x < 9 | return 2 * (x > 1) if x > 0 and True else 0
    """
    tree = parse_source(source)
    _, argument = entry(tree)
    found = [place for node in ast.walk(tree) for place in _places(node)]
    found.sort(key=lambda condition: _place(condition[0]))
    variants = []
    for condition, holder, place, value in found[:_MOST_CONDITIONS]:
        without = ast.copy_location(ast.Constant(value), condition)
        _put(holder, place, without)
        variants.append((shown(condition, argument), ast.unparse(tree) + "\n"))
        _put(holder, place, condition)
    return variants


def entry(tree: ast.Module) -> tuple[ast.FunctionDef, str]:
    """Return the function f of a program and the name of its input.

    Raise ProgramError if there is none.
    """
    for part in reversed(tree.body):
        match part:
            case ast.FunctionDef(name="f", args=ast.arguments(args=[argument, *_])):
                return part, argument.arg
    raise ProgramError("the program is no function f of one input")


def shown(node: ast.AST, argument: str) -> str:
    """Return code with the input's columns by their names alone."""
    return re.sub(rf"\b{re.escape(argument)}\['(\w+)'\]", r"\1", ast.unparse(node))


class _Numbered:
    """The lines of a function while its leaves are replaced by their numbers."""

    def __init__(self, argument: str) -> None:
        self.lines: list[tuple[int, str, int | None]] = []
        self.number = 0
        self._argument = argument

    def block(self, statements: list[ast.stmt], depth: int) -> list[ast.stmt]:
        """Return statements with numbered leaves; those after a return are dropped."""
        done: list[ast.stmt] = []
        for place, statement in enumerate(statements):
            if isinstance(statement, ast.Return):
                value = statement.value or ast.Constant(None)
                if not isinstance(value, ast.IfExp) and _is_left_only_by_returning(done[-1:]):
                    self.line(depth, "otherwise")
                    depth += 1
                return [*done, ast.Return(self.expression(value, depth))]
            if isinstance(statement, ast.If) and _has_return(statement):
                done.append(self.condition(statement, depth))
            elif _has_return(statement):
                raise ProgramError("the program returns inside a loop or a similar block")
            else:
                match statement:
                    case ast.Assign(targets=[target], value=value):
                        self.part(f"{shown(target, self._argument)} =", value, depth)
                    case _ if place or not _is_text(statement):  # else it is the docstring
                        self.line(depth, shown(statement, self._argument))
                done.append(statement)
        return done

    def condition(self, statement: ast.If, depth: int, word: str = "if") -> ast.If:
        self.part(word, statement.test, depth)
        body = self.block(statement.body, depth + 1)
        match statement.orelse:
            case []:
                rest: list[ast.stmt] = []
            case [ast.If() as other]:
                rest = [self.condition(other, depth, "otherwise, if")]
            case other_statements:
                self.line(depth, "otherwise")
                rest = self.block(other_statements, depth + 1)
        return ast.If(statement.test, body, rest)

    def expression(self, value: ast.expr, depth: int, word: str = "if") -> ast.expr:
        if not isinstance(value, ast.IfExp):
            match value:
                case ast.Constant(value=str(text)):
                    return self.leaf(text, depth)
            self.part("", value, depth, self.number)
            self.number += 1
            return ast.Constant(self.number - 1)
        self.part(word, value.test, depth)
        body = self.expression(value.body, depth + 1)
        if isinstance(value.orelse, ast.IfExp):
            rest = self.expression(value.orelse, depth, "otherwise, if")
        else:
            self.line(depth, "otherwise")
            rest = self.expression(value.orelse, depth + 1)
        return ast.IfExp(value.test, body, rest)

    def leaf(self, text: str, depth: int) -> ast.Constant:
        """Add a leaf and return its number."""
        self.line(depth, text, self.number)
        self.number += 1
        return ast.Constant(self.number - 1)

    def part(self, word: str, value: ast.expr, depth: int, leaf: int | None = None) -> None:
        """Add a condition or a value in one line, or the parts of a long one below each other."""
        text = shown(value, self._argument)
        joined, parts = _parts(value) if len(text) > _LONG else ("", [])
        self.line(depth, f"{word} {joined or text}".strip(), leaf)
        for sign, part in parts:
            self.part(sign, part, depth + 1)

    def line(self, depth: int, text: str, leaf: int | None = None) -> None:
        self.lines.append((depth, text, leaf))


def _parts(value: ast.expr) -> tuple[str, list[tuple[str, ast.expr]]]:
    """Return how an expression joins its parts, and these; no parts if it joins none."""
    match value:
        case ast.BoolOp(op=op, values=values):
            return "all of:" if isinstance(op, ast.And) else "any of:", [("", v) for v in values]
        case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=op, values=values)):
            return "not all of:" if isinstance(op, ast.And) else "none of:", [
                ("", v) for v in values
            ]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            summands = _parts(left)[1] if isinstance(left, ast.BinOp) else []
            sign = "minus" if isinstance(op, ast.Sub) else ""
            return "the sum of:", [*(summands or [("", left)]), (sign, right)]
    return "", []


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _has_return(statement: ast.stmt) -> bool:
    """Return whether a statement returns from its function; nested functions do not count."""
    parts: list[ast.AST] = [statement]
    while parts:
        part = parts.pop()
        if isinstance(part, ast.Return):
            return True
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            parts += ast.iter_child_nodes(part)
    return False


def _returns(statements: list[ast.stmt]) -> bool:
    """Return whether every way through statements ends in a return or an error."""
    match statements[-1:]:
        case [ast.Return() | ast.Raise()]:
            return True
        case [ast.If(body=body, orelse=[_, *_] as rest)]:
            return _returns(body) and _returns(rest)
    return False


def _is_left_only_by_returning(last: list[ast.stmt]) -> bool:
    """Return whether what follows a statement is reached only if its condition is false."""
    match last:
        case [ast.If(body=body, orelse=[])]:
            return _returns(body)
    return False


def _columns(function: ast.FunctionDef, argument: str) -> dict[str, list[float]]:
    """Return the columns that a function reads, with the numbers they are compared with."""
    columns: dict[str, list[float]] = {}
    nodes = sorted((n for n in ast.walk(function) if isinstance(n, ast.expr)), key=_place)
    for node in nodes:
        if (name := _column(node, argument)) is not None:
            columns.setdefault(name, [])
    for node in nodes:
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for left, right in pairwise(sides):
            for side, other in ((left, right), (right, left)):
                name, number = _column(side, argument), _number(other)
                if name is not None and number is not None and number not in columns[name]:
                    columns[name].append(number)
    return columns


def _place(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _column(node: ast.expr, argument: str) -> str | None:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(column))):
            return column if name == argument else None
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name), attr="get"),
            args=[ast.Constant(value=str(column)), *_],
        ):
            return column if name == argument else None
    return None


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _places(node: ast.AST) -> list[tuple[ast.expr, Any, Any, bool]]:
    """Return the conditions directly in a node, the place of each, and the code without it."""
    found: list[tuple[ast.expr, Any, Any, bool]] = []
    match node:
        case ast.BoolOp(op=op, values=values):
            found = [(v, values, place, isinstance(op, ast.And)) for place, v in enumerate(values)]
        case ast.comprehension(ifs=ifs):
            found = [(v, ifs, place, True) for place, v in enumerate(ifs)]
        case ast.If(test=test) | ast.IfExp(test=test):
            found = [(test, node, "test", False)]
        case ast.BinOp(left=left, right=right):
            sides = ((left, "left"), (right, "right"))
            found = [(v, node, name, False) for v, name in sides if isinstance(v, ast.Compare)]
    # What joins conditions is none itself.
    return [place for place in found if not isinstance(place[0], ast.BoolOp)]


def _put(holder: Any, place: Any, value: ast.expr) -> None:
    if isinstance(holder, list):
        holder[place] = value
    else:
        setattr(holder, place, value)
