"""Find the scope of every name in a program, and rename the local ones.

By Python's rules, on the syntax tree, the same on every version: functions, lambdas and
comprehensions have locals; the names of a module or a class body are visible attributes and are
never renamed. The traversals use their own stack, so depth is not limited by recursion.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(eq=False)
class Scope:
    """One module, class body, function or comprehension, and the names it uses."""

    kind: str
    """``"module"``, ``"class"``, ``"function"`` (lambdas too) or ``"comprehension"``."""
    parent: "Scope | None"
    "The scope around it; None for the module."
    bound: set[str] = field(default_factory=set)
    "The names it binds, except by a declaration without a value, such as ``x: int``."
    declared: set[str] = field(default_factory=set)
    "The names that such declarations make local."
    parameters: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)
    module_wide: set[str] = field(default_factory=set)
    "The names that are parameters, ``nonlocal`` and ``global`` here."
    fixed: set[str] = field(default_factory=set)
    "The names whose binding is visible: that of a class, or of ``import a.b``."

    def home(self) -> "Scope":
        """Return the scope that ``:=`` binds in: this one, or the one around comprehensions."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def owner(self, name: str) -> "Scope | None":
        """Return the scope whose local a name read here is; None for globals and attributes."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "module":
            if name in scope.module_wide:
                return None
            is_local = name in scope.bound or name in scope.declared
            if is_local and name not in scope.outer:
                if scope.kind != "class":
                    return scope
                if scope is self:  # functions inside a class do not see its names
                    return None
            scope = scope.parent
        return None


@dataclass(frozen=True)
class Occurrence:
    """One occurrence of a name: ``names[index]`` of a field, or the whole field."""

    node: ast.AST
    field: str
    name: str
    scope: Scope
    index: int | None = None

    def rename(self, name: str) -> None:
        """Replace the name at this place."""
        if self.index is None:
            setattr(self.node, self.field, name)
        else:
            getattr(self.node, self.field)[self.index] = name


class Scopes:
    r"""The scopes of a module and every occurrence of a variable's name.

    Parameters
    ----------
    tree
        The syntax tree; only `rename_locals` changes it.

    Attributes
    ----------
    module
        The scope of the module itself.
    scopes
        All scopes, each after the one around it.
    occurrences
        Every occurrence of a variable's name, in the order of the text.
    declarations
        Every declaration without a value, with the name it makes local and the scope.
    bindings
        How often each name is bound, in any scope.

    Examples
    --------
    >>> scopes = Scopes(ast.parse("def f(x):\n    return [c for c in x]\n"))
    >>> [(scope.kind, sorted(scope.bound)) for scope in scopes.scopes]
    [('module', ['f']), ('function', ['x']), ('comprehension', ['c'])]
    """

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope("module", None)
        self.scopes = [self.module]
        self.occurrences: list[Occurrence] = []
        self.declarations: list[tuple[ast.AnnAssign, str, Scope]] = []
        self.bindings: Counter[str] = Counter()
        pending: list[tuple[ast.AST, Scope]] = [(tree, self.module)]
        while pending:
            node, scope = pending.pop()
            pending += reversed(list(self._visit(node, scope)))

    def module_names(self) -> set[str]:
        """Return the names bound at module level, from within functions by ``global`` too."""
        names = set(self.module.bound)
        for scope in self.scopes:
            names |= scope.bound & scope.module_wide
        return names

    def _open(self, kind: str, parent: Scope) -> Scope:
        self.scopes.append(Scope(kind, parent))
        return self.scopes[-1]

    def _bind(
        self, node: ast.AST, field_name: str, name: str, scope: Scope, *, fixed: bool = False
    ) -> None:
        self.bindings[name] += 1
        scope.bound.add(name)
        if fixed:
            scope.fixed.add(name)
        self.occurrences.append(Occurrence(node, field_name, name, scope))

    def _declare(self, node: ast.AnnAssign, name: str, scope: Scope) -> None:
        if node.simple:  # `(x): int` declares nothing
            scope.declared.add(name)
            self.declarations.append((node, name, scope))
            self.bindings[name] += 1
        self.occurrences.append(Occurrence(node.target, "id", name, scope))

    def _visit(self, node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        """Record the names in this node; yield its children with their scopes."""
        match node:
            case ast.Name():
                if isinstance(node.ctx, ast.Load):
                    self.occurrences.append(Occurrence(node, "id", node.id, scope))
                else:
                    self._bind(node, "id", node.id, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from self._function(node, scope)
            case ast.ClassDef():
                self._bind(node, "name", node.name, scope, fixed=True)
                body = self._open("class", scope)
                for child in ast.iter_child_nodes(node):
                    yield child, body if isinstance(child, ast.stmt) else scope
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                yield from self._comprehension(node, scope)
            case ast.NamedExpr():
                yield node.target, scope.home()
                yield node.value, scope
            case ast.AnnAssign(target=ast.Name(id=name), value=None):
                self._declare(node, name, scope)
                yield node.annotation, scope
            case _:
                self._other_names(node, scope)
                yield from ((child, scope) for child in ast.iter_child_nodes(node))

    def _other_names(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.arg():
                scope.parameters.add(node.arg)
                self._bind(node, "arg", node.arg, scope)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    dotted = alias.asname is None and "." in alias.name
                    name = alias.asname or alias.name.partition(".")[0]
                    self._bind(alias, "asname", name, scope, fixed=dotted)
            case ast.Global() | ast.Nonlocal():
                names = scope.module_wide if isinstance(node, ast.Global) else scope.outer
                names.update(node.names)
                self.occurrences += [
                    Occurrence(node, "names", name, scope, index)
                    for index, name in enumerate(node.names)
                ]
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                self._bind(node, "name", node.name, scope)
            case ast.MatchMapping(rest=str(name)):
                self._bind(node, "rest", name, scope)

    def _function(
        self, node: FunctionNode | ast.Lambda, scope: Scope
    ) -> Iterator[tuple[ast.AST, Scope]]:
        if not isinstance(node, ast.Lambda):
            self._bind(node, "name", node.name, scope)
        inner = self._open("function", scope)
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None]
        outside: list[ast.expr | None] = [*arguments.defaults, *arguments.kw_defaults]
        outside += [arg.annotation for arg in every]
        if not isinstance(node, ast.Lambda):
            outside += [*node.decorator_list, node.returns]
        yield from ((child, scope) for child in outside if child is not None)
        for arg in every:
            self._other_names(arg, inner)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        yield from ((child, inner) for child in body)

    def _comprehension(self, node: Comprehension, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        inner = self._open("comprehension", scope)
        yield node.generators[0].iter, scope  # the first iterable is read outside
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        yield from ((element, inner) for element in elements)
        for position, generator in enumerate(node.generators):
            yield generator.target, inner
            if position:
                yield generator.iter, inner
            yield from ((condition, inner) for condition in generator.ifs)


def rename_locals(tree: ast.Module) -> None:
    r"""Give locals the names ``%0``, ``%1``, ... by first appearance, in place.

    No source can contain such a name, so it cannot conflict with another, and the compiler accepts
    it in a tree. A scope continues the numbering of its enclosing scope; sibling functions start
    from the same number. Names that are visible outside are kept: parameters that a call may name,
    local classes, ``import a.b``, and names starting with two underscores.

    Examples
    --------
    >>> tree = ast.parse("def f(text):\n    return len(text)\n")
    >>> rename_locals(tree)
    >>> tree.body[0].args.args[0].arg
    '%0'
    """
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    named = {node.arg for node in keywords}
    any_parameter = None in named or "kwargs" in named  # g(**options) may pass any of them by name
    scopes = Scopes(tree)
    renamed: list[tuple[Occurrence, Scope]] = []
    names: dict[Scope, dict[str, int]] = {scope: {} for scope in scopes.scopes}
    for occurrence in scopes.occurrences:
        name = occurrence.name
        owner = occurrence.scope.owner(name)
        if owner is None or name in owner.fixed or name.startswith("__"):
            continue
        if name in owner.parameters and (any_parameter or name in named):
            continue
        names[owner].setdefault(name, len(names[owner]))
        renamed.append((occurrence, owner))
    first: dict[Scope, int] = {}
    for scope in scopes.scopes:  # a scope comes after the one around it
        parent = scope.parent
        first[scope] = 0 if parent is None else first[parent] + len(names[parent])
    for occurrence, owner in renamed:
        occurrence.rename(f"%{first[owner] + names[owner][occurrence.name]}")
