"""Leave out the conditions of a program one by one, to see what each contributes."""

import ast
from typing import Any

from llm_pv.programs.leaves import entry, shown
from llm_pv.programs.syntax import parse_source

_MOST_CONDITIONS = 24


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
    found.sort(key=lambda place: (place[0].lineno, place[0].col_offset))
    variants = []
    for condition, holder, place, value in found[:_MOST_CONDITIONS]:
        without = ast.copy_location(ast.Constant(value), condition)
        _put(holder, place, without)
        variants.append((shown(condition, argument), ast.unparse(tree) + "\n"))
        _put(holder, place, condition)
    return variants


def _places(node: ast.AST) -> list[tuple[ast.expr, Any, Any, bool]]:
    """Return the conditions directly in a node, where each stands, and what leaves it out."""
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
