"""Normalise a program: give programs that differ only in notation the same form.

Formatting, comments, docstrings, annotations and the names of locals and arguments are removed;
everything a program computes is kept, as is anything whose removal might be observable. Programs
with equal normal forms behave alike; programs with different forms may still do so.

Intended limits: a program that inspects itself (`eval`, `locals`, `inspect`, ``__doc__``, ...)
loses formatting and comments only. The text of an exception, such as "missing argument 'x'", does
not count as behaviour. An annotation that would fail or have an effect when evaluated is kept.
"""

import ast
import re

from llm_pv.programs.annotations import Annotations
from llm_pv.programs.canonical import Construct, symbols, text_of
from llm_pv.programs.scopes import rename_locals
from llm_pv.programs.syntax import parse_source

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
            case _:
                pass
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
                node.values = [piece for piece in node.values if not _is_empty(piece)]
            case ast.FormattedValue(format_spec=ast.JoinedStr(values=[])):
                node.format_spec = None
            case _:
                pass


def _is_empty(piece: ast.expr) -> bool:
    return isinstance(piece, ast.Constant) and not piece.value
