"""Translate a program to one SQL expression in DuckDB's dialect, if its constructs allow.

A small abstract interpreter: every name has a `SqlValue`, conditions become CASE, local names and
functions of the program are put in place, loops over constants are written out. What this does not
cover raises `Untranslatable` with the construct and its line. This reads a syntax tree, so it runs
in the process that parses (see `operations`).
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_pv.programs import sql_values as values
from llm_pv.programs.sql_expressions import (
    NO_VALUE,
    Expressions,
    SqlScope,
    TranslatedValue,
    at,
    named,
)
from llm_pv.programs.sql_values import SqlValue, Untranslatable, constant
from llm_pv.programs.syntax import parse_source

_MOST_CONSTANTS = 200
_DEPTH = 20


def sql(
    source: str,
    columns: Sequence[str],
    types: Mapping[str, str],
    classes: Sequence[str],
    class_values: Sequence[object],
) -> dict[str, Any]:
    r"""Return a program as a SQL expression that gives the class value, NULL without one.

    Raise Untranslatable if a construct has no translation.

    Parameters
    ----------
    columns, types
        The columns of its rows and their types; without types its input is the text of the first.
    classes, class_values
        The texts a program answers with, and the value of each.

    Returns
    -------
    dict
        The expression (``sql``), the program's constants (``constants``), and whether it compares
        texts by their order (``orders_text``).

    Examples
    --------
    >>> sql("def f(x):\n    return x['a'] > 3", ["a"], {"a": "int"}, ["0", "1"], [0, 1])["sql"]
    'CASE WHEN ("a" > 3) THEN 1 WHEN NOT ("a" > 3) THEN 0 END'
    """
    tree = parse_source(source)
    translator = _Translator(columns, types, dict(zip(classes, class_values, strict=True)))
    return {
        "sql": translator.program(tree).sql,
        "constants": _constants(tree),
        "orders_text": translator.orders_text,
    }


def _constants(tree: ast.Module) -> list[Any]:
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
            found.setdefault(repr(node.value), node.value)
    return [value for value in found.values() if len(str(value)) <= 200][:_MOST_CONSTANTS]


class _Translator(Expressions):
    def __init__(
        self, columns: Sequence[str], types: Mapping[str, str], classes: Mapping[str, object]
    ) -> None:
        self.classes = classes
        self.module = SqlScope({})
        if types:
            quoted = {name: values.quoted(name, '"') for name in columns}
            super().__init__(
                {name: SqlValue(quoted[name], types[name], nullable=True) for name in columns}
            )
            self.input = SqlValue("NULL", "row")
        else:
            super().__init__({})
            name = values.quoted(columns[0] if columns else "text", '"')
            self.input = SqlValue(f"COALESCE({name}, '')", "str")

    def program(self, tree: ast.Module) -> SqlValue:
        """Return the label of the program's ``f``."""
        for statement in tree.body:
            try:
                self.statement(statement, self.module)
            except Untranslatable as error:
                # What f does not use does not matter; a name it uses says what is wrong with it.
                for name in ast.walk(statement):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        self.module.names[name.id] = SqlValue("NULL", "unknown", extra=error)
        if self.module.evaluated:
            raise Untranslatable("code outside functions that can fail")
        return self.call(self.module.names["f"], [self.input], self.module, self.label)

    # Statements

    def call(
        self,
        function: SqlValue,
        arguments: Sequence[SqlValue],
        scope: SqlScope,
        finish: Callable[[SqlValue], SqlValue],
    ) -> SqlValue:
        """Return the value of a call of one of the program's functions."""
        node = function.extra
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            raise Untranslatable("a call of what is no function of the program")
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        given = [replace(argument, fallible=False) for argument in arguments]
        missing = len(names) - len(given)
        special = node.args.vararg or node.args.kwarg or node.args.kwonlyargs
        decorated = isinstance(node, ast.FunctionDef) and node.decorator_list
        if special or decorated or not 0 <= missing <= len(node.args.defaults):
            raise Untranslatable("a function with such parameters")
        if missing:
            given += [self.value(part, self.module) for part in node.args.defaults[-missing:]]
        if scope.depth >= _DEPTH:
            raise Untranslatable("functions that call each other so deeply")
        names_known = self.module.names | dict(zip(names, given, strict=True))
        inner = SqlScope(names_known, scope.present, [], scope.depth + 1)
        if isinstance(node, ast.Lambda):
            return values.eager(finish(self.value(node.body, inner)), arguments)
        return values.eager(self.block(node.body, inner, finish), arguments)

    def block(
        self,
        statements: Sequence[ast.stmt],
        scope: SqlScope,
        finish: Callable[[SqlValue], SqlValue],
    ) -> SqlValue:
        """Return what a block of statements returns."""
        for place, statement in enumerate(statements):
            rest = list(statements[place + 1 :])
            with at(statement):
                match statement:
                    case ast.Return(value=None):
                        return values.eager(finish(NO_VALUE), scope.evaluated)
                    case ast.Return(value=ast.IfExp(test=asked, body=one, orelse=two) as node):
                        sides: list[ast.stmt] = [
                            ast.copy_location(ast.Return(side), node) for side in (one, two)
                        ]
                        branch = ast.copy_location(ast.If(asked, sides[:1], sides[1:]), node)
                        return self.block([branch], scope, finish)
                    case ast.Return(value=ast.expr() as node):
                        return values.eager(finish(self.value(node, scope)), scope.evaluated)
                    case ast.If() if _returns(statement):
                        test = self.test(statement.test, scope)
                        branches = (
                            (statement.body, self.present(statement.test, True, scope)),
                            (statement.orelse, self.present(statement.test, False, scope)),
                        )
                        if test.known:
                            branches = (branches[0],) * 2 if test.const else (branches[1],) * 2
                        then, other = (
                            self.block([*body, *rest], scope.branch(present), finish)
                            for body, present in branches
                        )
                        return values.eager(values.choice(test, then, other), scope.evaluated)
                    case ast.For() if _returns(statement):
                        return self.block([*self.unrolled(statement, scope), *rest], scope, finish)
                    case _:
                        self.statement(statement, scope)
        return values.eager(finish(NO_VALUE), scope.evaluated)

    def statement(  # noqa: C901, PLR0912 - one case a statement
        self, statement: ast.stmt, scope: SqlScope
    ) -> None:
        """Carry out a statement that returns nothing."""
        match statement:
            case ast.Assign(value=ast.IfExp(test=test, body=body, orelse=orelse) as node):
                sides: list[ast.stmt] = [
                    ast.copy_location(ast.Assign(statement.targets, one), node)
                    for one in (body, orelse)
                ]
                branch = ast.If(test, sides[:1], sides[1:])
                self.merge(ast.copy_location(branch, statement), scope)
            case ast.Assign(targets=targets, value=node):
                value = self.evaluated(node, scope)
                for target in targets:
                    self.assign(target, value, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as node):
                self.assign(target, self.evaluated(node, scope), scope)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=node):
                old = ast.copy_location(ast.Name(name, ast.Load()), target)
                new = ast.copy_location(ast.BinOp(old, operator, node), statement)
                self.assign(target, self.evaluated(new, scope), scope)
            case ast.FunctionDef(name=name):
                if scope is not self.module:
                    raise named(statement, "a function inside a function")
                scope.names[name] = SqlValue("NULL", "function", extra=statement)
            case ast.Import() | ast.ImportFrom():
                for alias in statement.names:
                    name = alias.asname or alias.name
                    scope.names[name] = SqlValue("NULL", "module", extra=alias.name)
            case ast.If():
                self.merge(statement, scope)
            case ast.For():
                for one in self.unrolled(statement, scope):
                    self.statement(one, scope)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case _:
                raise named(statement, f"`{type(statement).__name__.lower()}`")

    def evaluated(self, node: ast.expr, scope: SqlScope) -> SqlValue:
        """Return a value that is computed here, whether or not it is used.

        If it fails, all that follows does, so that what follows need not ask again.
        """
        value = self.value(node, scope)
        if value.fallible:
            with at(node):
                scope.evaluated.append(values.settled(value, "the assignment"))
        return replace(value, fallible=False)

    def merge(self, statement: ast.If, scope: SqlScope) -> None:
        """Carry out an ``if`` without a return: each name it assigns becomes a choice."""
        test = self.test(statement.test, scope)
        if test.known:
            for one in statement.body if test.const else statement.orelse:
                self.statement(one, scope)
            return
        if test.fallible:
            scope.evaluated.append(test)
            test = replace(test, fallible=False)
        sides = []
        for body, truth in ((statement.body, True), (statement.orelse, False)):
            side = scope.branch(self.present(statement.test, truth, scope))
            for one in body:
                self.statement(one, side)
            sides.append(side)
        then, other = sides
        fine = [values.eager(values.TRUE, side.evaluated) for side in sides]
        if any(one.fallible for one in fine):
            scope.evaluated.append(values.choice(test, *fine))
        for name in dict.fromkeys([*then.names, *other.names]):
            first, second = then.names.get(name), other.names.get(name)
            if first is None or second is None:
                error = Untranslatable(f"the name {name!r}, which may have no value")
                scope.names[name] = SqlValue("NULL", "unknown", extra=error)
            elif first != second:
                scope.names[name] = values.choice(test, first, second)

    def unrolled(self, loop: ast.For, scope: SqlScope) -> list[ast.stmt]:
        """Return the statements of a loop over known items, written out."""
        for node in ast.walk(loop):
            if isinstance(node, ast.Break | ast.Continue):
                raise named(node, f"`{type(node).__name__.lower()}`")
        if loop.orelse:
            raise named(loop, "`else` of a loop")
        statements: list[ast.stmt] = []
        for item in self.iterated(loop.iter, scope):
            given = ast.copy_location(TranslatedValue(item), loop.iter)  # type: ignore[arg-type]
            assignment = ast.Assign([loop.target], given)
            statements += [ast.copy_location(assignment, loop), *loop.body]
        return statements

    # The answer

    def label(self, value: SqlValue) -> SqlValue:
        """Return the class value that an answer means; NULL where it is no class."""
        if value.kind == "none":
            return replace(value, kind="label")
        if value.kind not in ("bool", "int", "float", "str"):
            raise Untranslatable(f"an answer that is a {value.kind}")
        arms = []
        for text, meant in self.classes.items():
            literal = constant(meant).sql
            known = _as_kind(text, value.kind)
            if known is None:
                continue
            if value.known:
                if known == value.const:
                    return SqlValue(literal, "label")
            elif value.kind == "bool":
                arms.append(f"WHEN {value if known else 'NOT ' + str(value)} THEN {literal}")
            else:
                arms.append(f"WHEN {value} = {constant(known)} THEN {literal}")
        if value.known or not arms:
            return SqlValue("NULL", "label", nullable=True)
        if value.kind == "bool" and len(arms) == 2:
            arms.sort(key=lambda arm: arm.startswith("WHEN NOT "))
        return SqlValue(f"CASE {' '.join(arms)} END", "label", nullable=True)


def _as_kind(text: str, kind: str) -> Any:
    """Return the value of a kind whose label has this text, None if there is none."""
    if kind == "str":
        return text
    if kind == "bool":
        return {"0": False, "1": True}.get(text)
    try:
        number: int | float = int(text)
    except ValueError:
        if kind == "int":
            return None
        try:
            number = float(text)
        except ValueError:
            return None
    return (float(number) if kind == "float" else number) if str(number) == text else None


def _returns(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Return) for node in ast.walk(statement))
