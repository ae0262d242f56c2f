"""Normalise a program: give programs that differ only in notation the same form.

Formatting, comments, docstrings, annotations and the names of locals and arguments are removed;
everything a program computes is kept, as is anything whose removal might be observable. Programs
with equal normal forms behave alike; programs with different forms may still do so.

Intended limits: a program that inspects itself (`eval`, `locals`, `inspect`, ``__doc__``, ...)
loses formatting and comments only. The text of an exception, such as "missing argument 'x'", does
not count as behaviour. An annotation that would fail or have an effect when evaluated is kept:
``def f(x: List[str])`` without the import of ``List`` fails when the program loads. So are those in
class bodies, which dataclasses and named tuples read.
"""

import ast
import itertools
import re

from llm_pv.programs.canonical import Construct, symbols, text_of
from llm_pv.programs.scopes import Scopes, rename_locals
from llm_pv.programs.syntax import parse_source

_GENERIC_BUILTINS = frozenset({"dict", "frozenset", "list", "set", "tuple", "type"})
_BUILTIN_TYPES = _GENERIC_BUILTINS | {"bool", "bytes", "complex", "float", "int", "object", "str"}
_BARE = "Any Callable Hashable Sized Text"
_OF_ONE = """Collection Container Deque FrozenSet Iterable Iterator List MutableSequence MutableSet
    Optional Sequence Set Type"""
_OF_TWO = "DefaultDict Dict Mapping MutableMapping OrderedDict"
_ARGUMENTS: dict[str, int | None] = {
    **dict.fromkeys(_BARE.split(), 0),
    **dict.fromkeys(_OF_ONE.split(), 1),
    **dict.fromkeys(_OF_TWO.split(), 2),
    **dict.fromkeys(("Tuple", "Union"), None),
}
"""Names of `typing` and how many arguments each takes in brackets; None for any number."""
_ABSTRACT = """Callable Collection Container Hashable Iterable Iterator Mapping MutableMapping
    MutableSequence MutableSet Sequence Set Sized"""
_TYPES = {"typing": frozenset(_ARGUMENTS), "collections.abc": frozenset(_ABSTRACT.split())}
_MAX_DEPTH = 20


class Annotations:
    """The annotations of one module, and which of them can be removed.

    Examples
    --------
    >>> tree = ast.parse("def f(x: str) -> int: return len(x)")
    >>> Annotations(tree).remove()
    >>> ast.unparse(tree.body[0].args)
    'x'
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        scopes = Scopes(tree)
        self._redundant = {
            id(node) for node, name, scope in scopes.declarations if name in scope.bound
        }
        leading = itertools.takewhile(_is_import_or_docstring, tree.body)
        self._imports = [node for node in leading if isinstance(node, ast.ImportFrom)]
        self._deferred = any(
            statement.module == "__future__" and alias.name == "annotations"
            for statement in self._imports
            for alias in statement.names
        )
        unknown = bool(scopes.bindings["*"])  # a star import may bind anything
        self._builtins = set() if unknown else _BUILTIN_TYPES.difference(scopes.bindings)
        self._typing = {
            alias.name
            for statement in self._imports
            for alias in statement.names
            if alias.name in _TYPES.get(statement.module or "", ()) and alias.asname is None
            if scopes.bindings[alias.name] == 1 and not unknown
        }

    def remove(self) -> None:
        """Remove the redundant annotations in place, and imports that only they used."""
        pending: list[tuple[ast.AST, str]] = [(self._tree, "module")]
        while pending:
            node, place = pending.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = "function"
                if node.returns is not None and self._can_go(node.returns):
                    node.returns = None
            elif isinstance(node, ast.ClassDef):
                place = "class"
            elif isinstance(node, ast.arg) and node.annotation and self._can_go(node.annotation):
                node.annotation = None
            for name, body in ast.iter_fields(node):
                if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                    kept = [new for old in body for new in self._statement(old, place)]
                    setattr(node, name, kept or [ast.copy_location(ast.Pass(), body[0])])
            pending += [(child, place) for child in ast.iter_child_nodes(node)]
        self._remove_imports()

    def _statement(self, statement: ast.stmt, place: str) -> list[ast.stmt]:
        """Return the replacement of a statement: itself, an assignment, or nothing."""
        if not isinstance(statement, ast.AnnAssign) or place == "class":
            return [statement]
        evaluated = place == "module" or not isinstance(statement.target, ast.Name)
        if evaluated and not self._can_go(statement.annotation):
            return [statement]
        if statement.value is not None:
            plain = ast.Assign([statement.target], statement.value)
            return [ast.copy_location(plain, statement)]
        is_name = isinstance(statement.target, ast.Name)
        if is_name and (place == "module" or id(statement) in self._redundant):
            return []
        # In a function `x: int` alone makes x local, so the statement stays.
        statement.annotation = ast.copy_location(ast.Constant(None), statement.annotation)
        return [statement]

    def _can_go(self, annotation: ast.expr) -> bool:
        return (
            self._deferred
            or isinstance(annotation, ast.Constant)
            or self._is_type(annotation, _MAX_DEPTH)
        )

    def _is_type(self, node: ast.expr, depth: int) -> bool:
        """Return whether an expression certainly evaluates to a type."""
        if depth == 0:
            return False
        match node:
            case ast.Name(id=name):
                plain = name in self._typing and name not in {"Optional", "Union"}
                return name in self._builtins or plain
            case ast.Subscript(value=ast.Name(id=name), slice=arguments):
                parts = arguments.elts if isinstance(arguments, ast.Tuple) else [arguments]
                match name, parts:
                    case (("tuple" | "Tuple"), [_, ast.Constant(value=last)]) if last is ...:
                        parts = parts[:1]
                known = name in self._builtins and name in _GENERIC_BUILTINS
                if not known and name in self._typing:
                    known = _ARGUMENTS[name] in {None, len(parts)}
                return known and bool(parts) and all(self._is_part(p, depth - 1) for p in parts)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                sides = [side for side in (left, right) if not _is_none(side)]
                return bool(sides) and all(self._is_type(side, depth - 1) for side in sides)
        return False

    def _is_part(self, node: ast.expr, depth: int) -> bool:
        return _is_none(node) or self._is_type(node, depth)

    def _remove_imports(self) -> None:
        unused = self._typing - {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)
        }
        # Of annotations those of a class are left, which a program may look at.
        annotated = any(isinstance(node, ast.AnnAssign) for node in ast.walk(self._tree))
        future = set() if annotated else {"annotations"}
        for statement in self._imports:
            removable = future if statement.module == "__future__" else unused
            statement.names = [alias for alias in statement.names if alias.name not in removable]
            if not statement.names:
                self._tree.body.remove(statement)


def _is_import_or_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


_OBSERVERS = """eval exec locals vars dir globals help inspect traceback f_locals _getframe
    __code__ __doc__ __annotations__ __kwdefaults__ __qualname__ __closure__ __type_params__
    gi_frame tb_frame f_back currentframe get_type_hints singledispatch
    singledispatchmethod"""
"""Names by which a program can see its own names, docstrings or annotations."""


def normalise(source: str) -> str:
    r"""Return the canonical text of a program: equal for programs that differ only in notation.

    The text is the symbols of the syntax tree, one line for each statement. It is for comparing
    and hashing, and the same on every supported Python version.

    Raise ProgramError if the source does not compile.

    Examples
    --------
    >>> normalise("f = lambda x: 1") == normalise("f=lambda  row :1 # always\n")
    True
    """
    tree = parse_source(source)
    normalise_tree(tree)
    return canonical_text(tree)


def canonical_text(tree: ast.AST) -> str:
    """Return the text of a syntax tree; different trees have different texts."""
    parts: list[str] = []
    for symbol in symbols(tree):
        if parts:
            starts_line = isinstance(symbol, Construct) and symbol.category == "stmt"
            parts.append("\n" if starts_line else " ")
        parts.append(text_of(symbol))
    return "".join(parts)


def normalise_tree(tree: ast.Module) -> None:
    """Normalise a syntax tree in place; it still compiles and computes the same.

    Examples
    --------
    >>> tree = ast.parse("def f(x: str): return len(x)")
    >>> normalise_tree(tree)
    >>> ast.unparse(tree.body[0].body)
    'return len(%0)'
    """
    nodes = list(ast.walk(tree))
    if _inspects_itself(nodes):
        _unify_f_strings(nodes)
        return
    Annotations(tree).remove()
    _remove_constant_statements(nodes)
    _unify_f_strings(nodes)
    rename_locals(tree)


def _inspects_itself(nodes: list[ast.AST]) -> bool:
    words: set[str] = set()
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        match node:
            case ast.Name(id=name):
                words.add(name)
            case ast.Attribute(attr="__name__"):
                return True  # of a function or class; the module's own is a plain name
            case ast.Attribute(attr=name) | ast.alias(name=name) | ast.arg(arg=name):
                words.update(name.split("."))
            case ast.ImportFrom(module=str(name)):
                words.update(name.split("."))
            case ast.Constant(value=str(text)) if id(node) not in documentation:
                words.update(re.findall(r"\w+", text))
            case _ if getattr(node, "type_params", None) or type(node).__name__ == "TypeAlias":
                return True  # scopes of their own, on Python 3.12 and later
    return not words.isdisjoint(_OBSERVERS.split())


def _remove_constant_statements(nodes: list[ast.AST]) -> None:
    """Remove docstrings and other constant expression statements, in place."""
    for node in nodes:
        for name, body in ast.iter_fields(node):
            if not (isinstance(body, list) and body and isinstance(body[0], ast.stmt)):
                continue
            kept = [statement for statement in body if not _is_constant(statement)]
            setattr(node, name, kept or [ast.copy_location(ast.Pass(), body[0])])


def _is_constant(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    return isinstance(value, ast.Constant) or (
        isinstance(value, ast.JoinedStr)
        and all(isinstance(part, ast.Constant) for part in value.values)
    )


def _unify_f_strings(nodes: list[ast.AST]) -> None:
    """Remove the empty pieces of f-strings, which only Python 3.12 inserts."""
    for node in nodes:
        match node:
            case ast.JoinedStr():
                node.values = [part for part in node.values if getattr(part, "value", None) != ""]
            case ast.FormattedValue(format_spec=ast.JoinedStr(values=[])):
                node.format_spec = None
