"""Python's expressions as SQL: the half of `llm_pv.programs.sql` that knows no statement."""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from llm_pv.programs import sql_dates, sql_texts
from llm_pv.programs import sql_numbers as numbers
from llm_pv.programs import sql_values as values
from llm_pv.programs.sql_values import SqlValue, Untranslatable, constant

_MOST_ITEMS = 200
_BINARY: Mapping[type, Callable[[SqlValue, SqlValue], SqlValue]] = {
    ast.Add: numbers.plus,
    ast.Sub: numbers.minus,
    ast.Mult: numbers.times,
    ast.Div: numbers.quotient,
    ast.FloorDiv: numbers.floor_quotient,
    ast.Mod: numbers.remainder,
    ast.Pow: numbers.power,
}
_ORDER = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
NO_VALUE = constant(None)

_CONVERSIONS = {
    "int": numbers.whole_number,
    "float": numbers.decimal,
    "str": values.written,
    "round": numbers.rounded,
}


@dataclass
class SqlScope:
    """The scope at one place: values of names, and what is known or evaluated there."""

    names: dict[str, SqlValue]
    present: frozenset[str] = frozenset()
    evaluated: list[SqlValue] = field(default_factory=list)
    depth: int = 0

    def branch(self, present: frozenset[str] = frozenset()) -> "SqlScope":
        """Return a copy for one side of a condition, which knows more to be present."""
        return SqlScope(dict(self.names), self.present | present, [], self.depth)


class TranslatedValue(ast.Constant):
    """A value already translated, in the place of an expression."""


class Expressions:
    """Translates expressions in a scope."""

    def __init__(self, columns: Mapping[str, SqlValue]) -> None:
        self.columns = columns
        self.orders_text = False

    def call(
        self,
        function: SqlValue,
        arguments: Sequence[SqlValue],
        scope: SqlScope,
        finish: Callable[[SqlValue], SqlValue],
    ) -> SqlValue:
        """Return the value of a call of one of the program's functions."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: SqlValue, scope: SqlScope) -> None:
        """Give a name, or each of several, its value."""
        match target:
            case ast.Name(id=name):
                scope.names[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts) if value.kind == "list":
                if len(parts) != len(value.items):
                    raise named(target, "an assignment of a list of another length")
                for part, item in zip(parts, value.items, strict=True):
                    self.assign(part, item, scope)
            case _:
                raise named(target, "an assignment to other than a name")

    def iterated(self, node: ast.expr, scope: SqlScope) -> list[SqlValue]:
        """Return the items of what is iterated over."""
        value = self.value(node, scope)
        if value.kind == "dict":
            items = list(value.items[::2])
        elif value.kind == "list":
            items = list(value.items)
        elif isinstance(value.const, str):
            items = [constant(character) for character in value.const]
        else:
            raise named(node, "a loop over other than constants")
        if len(items) > _MOST_ITEMS:
            raise named(node, f"a loop over more than {_MOST_ITEMS} items")
        return items

    # Conditions

    def test(self, node: ast.expr, scope: SqlScope) -> SqlValue:
        """Return a condition."""
        match node:
            case ast.BoolOp(op=operator, values=parts):
                return self.joined(parts, scope, isinstance(operator, ast.And))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return values.negation(self.test(operand, scope))
        with at(node):
            return values.truth(self.value(node, scope))

    def joined(self, parts: Sequence[ast.expr], scope: SqlScope, truth: bool) -> SqlValue:
        """Return conditions joined by ``and`` or ``or``, each asked where those before let it."""
        first, *others = parts
        if not others:
            return self.test(first, scope)
        known = scope.branch(self.present(first, truth, scope))
        join = values.both if truth else values.either
        return join(self.test(first, scope), lambda: self.joined(others, known, truth))

    def present(self, node: ast.expr, truth: bool, scope: SqlScope) -> frozenset[str]:
        """Return what is not None where a condition has this truth."""
        match node:
            case ast.Compare(
                left=left,
                ops=[ast.Is() | ast.IsNot() as operator],
                comparators=[ast.Constant(value=None)],
            ):
                if isinstance(operator, ast.IsNot) is truth:
                    return frozenset({self.value(left, scope).sql})
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.present(operand, not truth, scope)
            case ast.BoolOp(op=operator, values=parts):
                if isinstance(operator, ast.And) is truth:
                    return frozenset().union(*(self.present(p, truth, scope) for p in parts))
            case ast.Name() | ast.Subscript() | ast.Call() if truth:
                value = self.value(node, scope)
                return frozenset({value.sql} if value.nullable else ())
        return frozenset()

    def comparison(self, node: ast.Compare, scope: SqlScope) -> SqlValue:
        """Return a comparison, chained or not."""
        operands = [self.value(part, scope) for part in (node.left, *node.comparators)]

        def link(place: int) -> SqlValue:
            one = self.compared(operands[place], node.ops[place], operands[place + 1])
            if place + 1 == len(node.ops):
                return one
            return values.both(one, lambda: link(place + 1))

        return link(0)

    def compared(self, a: SqlValue, operator: ast.cmpop, b: SqlValue) -> SqlValue:
        """Return one link of a comparison."""
        match operator:
            case ast.Eq():
                return values.equal(a, b)
            case ast.NotEq():
                return values.negation(values.equal(a, b))
            case ast.In():
                return values.member(a, b)
            case ast.NotIn():
                return values.negation(values.member(a, b))
            case ast.Is() if b.kind == "none":
                return values.is_none(a)
            case ast.IsNot() if b.kind == "none":
                return values.negation(values.is_none(a))
        if type(operator) not in _ORDER:
            raise Untranslatable("`is` with other than None")
        self.orders_text = self.orders_text or a.kind == "str"
        return values.ordered(a, _ORDER[type(operator)], b)

    # Expressions

    def value(self, node: ast.expr, scope: SqlScope) -> SqlValue:
        """Return the value of an expression."""
        with at(node):
            value = self._value(node, scope)
        return replace(value, nullable=False) if value.sql in scope.present else value

    def _value(self, node: ast.expr, scope: SqlScope) -> SqlValue:  # noqa: C901, PLR0912 - one case a form
        match node:
            case TranslatedValue(value=SqlValue() as given):
                return given
            case ast.Constant(value=literal):
                return constant(literal)
            case ast.Name(id=name):
                return _known(scope.names, name)
            case ast.BoolOp(op=operator, values=[first, *others]):
                test = self.test(first, scope)
                a = self.value(first, scope)
                stops = isinstance(operator, ast.Or)
                known = scope.branch(self.present(first, not stops, scope))
                after = others[0] if len(others) == 1 else ast.BoolOp(operator, others)
                b = self.value(ast.copy_location(after, node), known)
                if a.kind == b.kind == "bool" and not a.nullable and not b.nullable:
                    return (values.either if stops else values.both)(test, lambda: b)
                if stops and a.nullable and b.kind != "none":
                    a = replace(a, nullable=False)  # where it is taken it is not None
                return values.choice(test, *((a, b) if stops else (b, a)))
            case ast.UnaryOp(op=ast.Not()):
                return self.test(node, scope)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return numbers.opposite(self.value(operand, scope))
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                a, b = self.value(left, scope), self.value(right, scope)
                if a.kind == b.kind == "date" and isinstance(operator, ast.Sub):
                    return sql_dates.difference(a, b)
                return _BINARY[type(operator)](a, b)
            case ast.Compare():
                return self.comparison(node, scope)
            case ast.IfExp(test=test_node, body=body, orelse=orelse):
                test = self.test(test_node, scope)
                then = self.value(body, scope.branch(self.present(test_node, True, scope)))
                other = self.value(orelse, scope.branch(self.present(test_node, False, scope)))
                return values.choice(test, then, other)
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                items = tuple(self.value(element, scope) for element in elements)
                if any(item.fallible for item in items):
                    raise Untranslatable("a list of what can fail")
                return SqlValue("NULL", "list", items=items)
            case ast.Dict(keys=keys, values=parts) if None not in keys:
                nodes = [one for pair in zip(keys, parts, strict=True) for one in pair if one]
                items = tuple(self.value(node, scope) for node in nodes)
                return SqlValue("NULL", "dict", items=items)
            case ast.Lambda():
                return SqlValue("NULL", "function", extra=node)
            case ast.Subscript(value=holder, slice=index):
                return self.subscript(self.value(holder, scope), index, scope)
            case ast.Attribute(value=holder, attr=name):
                return sql_dates.attribute(self.value(holder, scope), name)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self.called(function, arguments, scope)
        raise Untranslatable(f"`{ast.unparse(node)[:40]}`")

    def subscript(self, holder: SqlValue, index: ast.expr, scope: SqlScope) -> SqlValue:
        """Return a column, an item, a character or a slice."""
        if holder.kind == "str":
            if isinstance(index, ast.Slice):
                if index.step is not None:
                    raise Untranslatable("a slice with a step")
                start, stop = (
                    NO_VALUE if end is None else self.value(end, scope)
                    for end in (index.lower, index.upper)
                )
                return sql_texts.part(holder, start, stop)
            return sql_texts.character(holder, self.value(index, scope))
        key = self.value(index, scope)
        if holder.kind == "row" and isinstance(key.const, str):
            if key.const not in self.columns:
                raise Untranslatable(f"the column {key.const!r}, which the rows lack,")
            return self.columns[key.const]
        if holder.kind == "list" and isinstance(key.const, int):
            if not -len(holder.items) <= key.const < len(holder.items):
                raise Untranslatable("an index beyond a list")
            return holder.items[key.const]
        if holder.kind == "dict":
            return self.looked_up(holder, key, values.FAILURE)
        raise Untranslatable(f"an index into a {holder.kind}")

    def looked_up(self, table: SqlValue, key: SqlValue, default: SqlValue) -> SqlValue:
        """Return the value of a key in a dict, or the default."""
        found = default
        for known, value in zip(table.items[::2], table.items[1::2], strict=True):
            if found is values.FAILURE:
                found = replace(found, kind=value.kind)
            found = values.choice(values.equal(key, known), value, found)
        return found

    def called(self, function: ast.expr, nodes: Sequence[ast.expr], scope: SqlScope) -> SqlValue:
        """Return the value of a call."""
        match function:
            case ast.Attribute(value=holder, attr=name):
                arguments = [self.value(node, scope) for node in nodes]
                owner = self.value(holder, scope)
                if owner.kind == "str":
                    return sql_texts.method(owner, name, arguments)
                if owner.kind in ("module", "date"):
                    return sql_dates.called(owner, name, arguments)
                if name == "get" and owner.kind == "row":
                    default = arguments[1] if len(arguments) > 1 else NO_VALUE
                    key = arguments[0].const if arguments else None
                    if isinstance(key, str):
                        return self.columns.get(key, default)
                if name == "get" and owner.kind == "dict" and 1 <= len(arguments) <= 2:
                    default = arguments[1] if len(arguments) > 1 else NO_VALUE
                    return values.eager(self.looked_up(owner, arguments[0], default), arguments)
                raise Untranslatable(f"the method {name}() of a {owner.kind}")
            case ast.Name(id=name) if name not in scope.names:
                return self.builtin(name, nodes, scope)
        arguments = [self.value(node, scope) for node in nodes]
        return self.call(self.value(function, scope), arguments, scope, lambda value: value)

    def builtin(self, name: str, nodes: Sequence[ast.expr], scope: SqlScope) -> SqlValue:
        """Return the value of a call of one of Python's own functions."""
        if name in ("any", "all", "sum", "min", "max") and len(nodes) == 1:
            return self.folded(name, nodes[0], scope)
        arguments = [self.value(node, scope) for node in nodes]
        if name in ("min", "max") and arguments:
            return numbers.extreme(arguments, "<" if name == "min" else ">")
        if name == "range" and all(isinstance(a.const, int) for a in arguments):
            span = range(*(int(str(a.const)) for a in arguments))[: _MOST_ITEMS + 1]
            return SqlValue("NULL", "list", items=tuple(map(constant, span)))
        match name, arguments:
            case "len", [SqlValue(kind="str") as text]:
                return sql_texts.length(text)
            case "len", [SqlValue(kind="list") as items]:
                return constant(len(items.items))
            case "bool", [argument]:
                return values.truth(argument)
            case "abs", [SqlValue(kind="int" | "float" | "bool") as argument]:
                return numbers.absolute(argument)
            case (("int" | "float" | "str" | "round"), [argument]):
                return _CONVERSIONS[name](argument)
            case (("set" | "frozenset" | "tuple" | "list"), [SqlValue(kind="list") as items]):
                return items
        raise Untranslatable(f"the call {name}(), with these arguments")

    def folded(self, name: str, node: ast.expr, scope: SqlScope) -> SqlValue:
        """Return any, all, sum, min or max over items that are written out."""
        items, tests = self.comprehended(node, scope)
        if name in ("any", "all"):
            found = constant(name == "all")
            for item, test in zip(reversed(items), reversed(tests), strict=True):
                one, after = values.truth(item), found
                if name == "any":
                    found = values.either(_given(test, one), lambda after=after: after)  # type: ignore[misc]
                else:
                    one = values.either(values.negation(test), lambda one=one: one)  # type: ignore[misc]
                    found = values.both(one, lambda after=after: after)  # type: ignore[misc]
            # A list is made whole before it is looked at.
            return found if isinstance(node, ast.GeneratorExp) else values.eager(found, items)
        if name == "sum":
            total = constant(0)
            for item, test in zip(items, tests, strict=True):
                if item.kind == "float":
                    raise Untranslatable("sum() of decimals, which depends on Python's version,")
                total = numbers.plus(total, values.choice(test, values.number(item), constant(0)))
            return total
        if not items or any(not test.known for test in tests):
            raise Untranslatable(f"{name}() of what may be empty")
        kept = [item for item, test in zip(items, tests, strict=True) if test.const]
        return numbers.extreme(kept, "<" if name == "min" else ">")

    def comprehended(
        self, node: ast.expr, scope: SqlScope
    ) -> tuple[list[SqlValue], list[SqlValue]]:
        """Return the items of a list or comprehension, and for each whether it is one."""
        if not isinstance(node, ast.GeneratorExp | ast.ListComp):
            items = self.iterated(node, scope)
            return items, [values.TRUE] * len(items)
        if len(node.generators) != 1 or node.generators[0].is_async:
            raise Untranslatable("a comprehension with several loops")
        loop = node.generators[0]
        items = []
        tests = []
        for item in self.iterated(loop.iter, scope):
            inner = scope.branch()
            self.assign(loop.target, item, inner)
            test = values.TRUE
            for condition in loop.ifs:
                test = values.both(test, lambda c=condition, s=inner: self.test(c, s))  # type: ignore[misc]
            items.append(self.value(node.elt, inner))
            tests.append(test)
        return items, tests


def _given(test: SqlValue, one: SqlValue) -> SqlValue:
    return values.both(test, lambda: one)


def _known(names: Mapping[str, SqlValue], name: str) -> SqlValue:
    if name not in names:
        raise Untranslatable(f"the name {name!r}")
    value = names[name]
    if isinstance(value.extra, Untranslatable):
        raise value.extra
    return value


def named(node: ast.stmt | ast.expr, what: str) -> Untranslatable:
    """Return the error that says what on which line has no translation."""
    return _Located(f"line {node.lineno}: {what} has no translation into SQL")


class _Located(Untranslatable):
    """One whose message names the line already."""


@contextmanager
def at(node: ast.expr | ast.stmt) -> Iterator[None]:
    """Name the line of a node in what is raised inside."""
    try:
        yield
    except _Located:
        raise
    except Untranslatable as error:
        raise named(node, str(error)) from None
