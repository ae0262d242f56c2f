"""Number the leaves of a program that is a chain of conditions, to count rows by leaf."""

import ast
import re
from itertools import pairwise
from typing import Any

from llm_pv.errors import ProgramError
from llm_pv.programs.syntax import parse_source

_MOST_LEAVES = 40
_MOST_CHARACTERS = 300
"""Of a condition or an answer in a line."""


def leaves(source: str) -> dict[str, Any]:
    r"""Return a variant of a program that answers with the number of its leaf, and its lines.

    A leaf is a returned value, or an arm of a returned conditional expression. Raise ProgramError
    if ``f`` returns inside a loop or a similar block, or has fewer than 2 leaves or very many.

    Returns
    -------
    dict
        ``source`` of the variant; ``lines`` of depth, text and the leaf's number or None;
        ``columns`` with the numbers that each is compared with.

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
    functions = [
        part for part in tree.body if isinstance(part, ast.FunctionDef) and part.name == "f"
    ]
    if not functions or not functions[-1].args.args:
        raise ProgramError("the program is no function f of one input")
    function = functions[-1]
    argument = function.args.args[0].arg
    columns = _columns(function, argument)
    numbered = _Numbered(argument)
    function.body = numbered.block(function.body, 0)
    if not _returns(function.body):
        function.body.append(ast.Return(numbered.leaf("no answer", 0)))
    if not 2 <= numbered.number <= _MOST_LEAVES:
        raise ProgramError(f"the program has {numbered.number} leaves")
    variant = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return {"source": variant, "lines": numbered.lines, "columns": columns}


class _Numbered:
    """The lines of a function while its leaves are replaced by their numbers."""

    def __init__(self, argument: str) -> None:
        self.lines: list[tuple[int, str, int | None]] = []
        self.number = 0
        self._cell = re.compile(rf"\b{re.escape(argument)}\['(\w+)'\]")

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
                documents = place == 0 and _is_text(statement)
                if not documents:
                    self.line(depth, ast.unparse(statement))
                done.append(statement)
        return done

    def condition(self, statement: ast.If, depth: int, word: str = "if") -> ast.If:
        """Return an if statement with numbered leaves."""
        self.line(depth, f"{word} {ast.unparse(statement.test)}")
        body = self.block(statement.body, depth + 1)
        match statement.orelse:
            case []:
                rest: list[ast.stmt] = []
            case [ast.If() as other]:
                rest = [self.condition(other, depth, "otherwise, if")]
            case other_statements:
                self.line(depth, "otherwise")
                rest = self.block(other_statements, depth + 1)
        return ast.If(statement.test, body or [ast.Pass()], rest)

    def expression(self, value: ast.expr, depth: int, word: str = "if") -> ast.expr:
        """Return a returned expression with numbered leaves."""
        if not isinstance(value, ast.IfExp):
            match value:
                case ast.Constant(value=str(text)):
                    return self.leaf(text, depth)
            return self.leaf(ast.unparse(value), depth)
        self.line(depth, f"{word} {ast.unparse(value.test)}")
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

    def line(self, depth: int, text: str, leaf: int | None = None) -> None:
        """Add a line with the columns by their names alone."""
        self.lines.append((depth, self._cell.sub(r"\1", text)[:_MOST_CHARACTERS], leaf))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _has_return(statement: ast.stmt) -> bool:
    """Return whether a statement returns from its function; nested functions do not count."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    if isinstance(statement, ast.Return):
        return True
    parts: list[ast.AST] = [statement]
    while parts:
        for child in ast.iter_child_nodes(parts.pop()):
            if isinstance(child, ast.Return):
                return True
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                parts.append(child)
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
    nodes = list(ast.walk(function))
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


def _column(node: ast.AST, argument: str) -> str | None:
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
