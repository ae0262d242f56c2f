"""Remove annotations that have no effect.

An annotation of an argument, a result or a module-level name is evaluated when the program loads:
``def f(x: List[str])`` without the import of ``List`` fails. Only annotations that certainly
evaluate without error are removed. Those in class bodies are kept: dataclasses and named tuples
read them.
"""

import ast
import itertools

from llm_pv.programs.scopes import Scopes

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

    Parameters
    ----------
    tree
        The syntax tree of a module; `remove` changes it.

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
                if name in {"tuple", "Tuple"} and len(parts) == 2 and _is_dots(parts[1]):
                    parts = parts[:1]
                known = name in self._builtins and name in _GENERIC_BUILTINS
                if not known and name in self._typing:
                    known = _ARGUMENTS[name] in {None, len(parts)}
                return known and bool(parts) and all(self._is_part(p, depth - 1) for p in parts)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                sides = [side for side in (left, right) if not _is_none(side)]
                return bool(sides) and all(self._is_type(side, depth - 1) for side in sides)
            case _:
                return False

    def _is_part(self, node: ast.expr, depth: int) -> bool:
        return _is_none(node) or self._is_type(node, depth)

    def _remove_imports(self) -> None:
        unused = self._typing - {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)
        }
        future = set() if _has_annotation(self._tree) else {"annotations"}
        for statement in self._imports:
            removable = future if statement.module == "__future__" else unused
            statement.names = [alias for alias in statement.names if alias.name not in removable]
            if not statement.names:
                self._tree.body.remove(statement)


def _is_import_or_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _has_annotation(tree: ast.Module) -> bool:
    return any(
        getattr(node, "annotation", None) is not None or getattr(node, "returns", None) is not None
        for node in ast.walk(tree)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
