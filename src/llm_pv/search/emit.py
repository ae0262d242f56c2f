"""The source of a program: imports, helpers, local names, then a body written to be read."""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from keyword import iskeyword
from string import Formatter
from tokenize import NAME, STRING, generate_tokens
from typing import Protocol

import numpy as np

from llm_pv.search.library import relied_on
from llm_pv.search.mining import below
from llm_pv.search.names import RESERVED, plain
from llm_pv.search.program import (
    Answer,
    Bands,
    Branch,
    Lookup,
    Node,
    Points,
    Ranking,
    Scorecard,
    expressions_of,
)
from llm_pv.search.types import Expression, Level, Local, Type, level_of, negation

WIDEST = 88


class Part(Protocol):
    """What can be an argument of a template."""

    def at(self, level: Level, /) -> str:
        """Return its source, in parentheses if it binds looser than a level."""


def literal(value: object) -> str:
    r"""Return the source of a constant, strings in double quotes where that needs no escape.

    Examples
    --------
    >>> literal("a"), literal(2.0), literal('say "a"')
    ('"a"', '2', '\'say "a"\'')
    """
    if isinstance(value, str):
        plain = repr(value)
        return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return repr(int(value))
    if isinstance(value, (np.floating, np.integer, np.bool_)):
        return literal(value.item())
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


@lru_cache(maxsize=10_000)
def _pieces(template: str) -> tuple[tuple[str, str, Level], ...]:
    """Return a template's texts, the argument after each, and how tightly that has to bind."""
    pieces = [(text, field or "") for text, field, *_ in Formatter().parse(template)]
    source = "".join(
        text + (f"_{place}_" if field else "") for place, (text, field) in enumerate(pieces)
    )
    levels: dict[str, Level] = {}
    for node in ast.walk(ast.parse(source, mode="eval")):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Name):
                levels[child.id] = _room(node, child)
    return tuple(
        (text, field, levels.get(f"_{place}_", Level.ATOM))
        for place, (text, field) in enumerate(pieces)
    )


def _room(node: ast.AST, child: ast.AST) -> Level:
    """Return how tightly a part of an expression has to bind to need no parentheses."""
    match node:
        case ast.BinOp(op=ast.Pow()):
            return Level.ATOM
        case ast.BinOp(right=right):
            return Level(min(Level.ATOM, level_of(ast.unparse(node)) + (child is right)))
        case ast.Compare():
            return Level.SUM
        case ast.BoolOp():
            return Level(level_of(ast.unparse(node)) + 1)
        case ast.Call(args=arguments) if child in arguments:
            return Level.CHOICE
        case ast.Subscript(slice=inner) if child is inner:
            return Level.CHOICE
    return Level.ATOM


def filled(template: str, parts: Mapping[str, Part], constant: object = None) -> str:
    """Return a template with arguments in their places, in parentheses where they bind looser.

    Parameters
    ----------
    parts
        By the names in the template; ``{c}`` is the constant.
    """
    return "".join(
        text + (literal(constant) if field == "c" else parts[field].at(level) if field else "")
        for text, field, level in _pieces(template)
    )


def label_literal(text: str) -> str:
    """Return the source of a class: a number where the text is exactly that number's.

    Examples
    --------
    >>> label_literal("3"), label_literal("03"), label_literal("spam")
    ('3', '"03"', '"spam"')
    """
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and len(digits) < 19 and str(int(text)) == text:
        return text
    return literal(text)


def source_of(program: Node, classes: Sequence[str]) -> str:
    """Return the source of ``f`` with what it needs."""
    needs = [need for expression in expressions_of(program) for need in expression.needs]
    body = [*assignments(needs), *_lines(program, [label_literal(text) for text in classes])]
    function = _renamed("\n".join(["def f(x):", *(f"    {line}" for line in body)]))
    imports, helpers = relied_on(function)
    blocks = ["\n".join(imports)] if imports else []
    return "\n\n\n".join([*blocks, *helpers, function]) + "\n"


def _renamed(function: str) -> str:
    """Return a function whose local names have no number that nothing needs: ``words_2``.

    Strings are left as they are, and so is a name that one of them holds, as that of a column.
    """
    numbered = re.findall(r"^    (\w+_\d+) = ", function, re.MULTILINE)
    if not numbered:
        return function
    tokens = list(generate_tokens(StringIO(function).readline))
    names = {token.string for token in tokens if token.type == NAME}
    strings = {plain(token.string[1:-1]) for token in tokens if token.type == STRING}
    new: dict[str, str] = {}
    for name in numbered:
        base = name.rpartition("_")[0]
        if not (name in strings or base in names or base in RESERVED or iskeyword(base)):
            new[name] = base
            names.add(base)
    lines = function.split("\n")
    for token in reversed(tokens):
        if token.type == NAME and token.string in new:
            (row, start), (_, end) = token.start, token.end
            line = lines[row - 1]
            lines[row - 1] = f"{line[:start]}{new[token.string]}{line[end:]}"
    return "\n".join(lines)


def assignments(needs: Iterable[Local]) -> Iterable[str]:
    """Return each assignment once, after those it relies on."""
    known: dict[str, None] = {}
    for one in needs:
        known |= dict.fromkeys([*assignments(one.needs), one.text])
    return known


def _lines(node: Node, labels: Sequence[str]) -> list[str]:
    match node:
        case Answer(code):
            return [f"return {labels[code]}"]
        case Branch():
            return _branch(node, labels)
        case Scorecard(card, cut, yes, no):
            test = f"points >= {literal(cut)}"
            return [*_points("points", card), f"return {labels[yes]} if {test} else {labels[no]}"]
        case Ranking(codes, cards):
            lines = ["points = {}"]
            for code, card in zip(codes, cards, strict=True):
                lines += _points(f"points[{labels[code]}]", card)
            return [*lines, "return max(points, key=points.get)"]
        case Bands():
            return _bands(node, labels)
        case Lookup(key, table, default):
            entries = [f"{literal(value)}: {labels[code]}" for value, code in table]
            get = f".get({key.code}, {labels[default]})"
            line = f"return {{{', '.join(entries)}}}{get}"
            if len(line) <= WIDEST:
                return [line]
            return ["table = {", *(f"    {entry}," for entry in entries), "}", f"return table{get}"]


def _bands(node: Bands, labels: Sequence[str]) -> list[str]:
    lines, name = [], node.number.at(Level.SUM)
    is_count = node.number.parts[0] == "+"
    if len(name) > 20 and (len(node.cuts) > 1 or is_count):
        called = "points" if is_count else "value"
        lines, name = _assigned(called, _summands(node.number.code)), called
    if is_count and len(node.cuts) == 1:
        no, yes = (labels[code] for code in node.codes)
        return [*lines, f"return {yes} if {name} >= {literal(node.cuts[0])} else {no}"]
    values = np.asarray(node.number.values)
    is_rest = node.number.kind == "remainder" and bool((values == np.floor(values)).all())
    for cut, code in zip(node.cuts, node.codes, strict=False):
        sign, constant = below(cut)
        test = f"{sign} {literal(constant)}"
        if is_rest and test == "< 1" and values.min() >= 0:
            test = "== 0"
        lines += [f"if {name} {test}:", f"    return {labels[code]}"]
    return [*lines, f"return {labels[node.codes[-1]]}"]


def _summands(code: str) -> list[str]:
    """Return the parts of a sum, each with its sign.

    Examples
    --------
    >>> _summands("(a > 1) + b")
    ['+ (a > 1)', '+ b']
    """
    node, parts = ast.parse(code, mode="eval").body, []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        part = ast.get_source_segment(code, node.right) or ""
        parts.append(f"+ {part}" if level_of(part) > Level.SUM else f"+ ({part})")
        node = node.left
    first = ast.get_source_segment(code, node) or ""
    parts.append(f"+ {first}" if level_of(first) >= Level.SUM else f"+ ({first})")
    return parts[::-1]


def _assigned(name: str, summands: list[str]) -> list[str]:
    """Write a sum into a local name, on a line for each summand where one is too short."""
    summands[0] = re.sub("^- ", "-", summands[0].removeprefix("+ "))
    line = f"{name} = {' '.join(summands)}"
    if len(line) <= WIDEST:
        return [line]
    return [f"{name} = (", *(f"    {text}" for text in summands), ")"]


def _branch(node: Branch, labels: Sequence[str]) -> list[str]:
    """Write a branch: the side that ends at once comes first, so that the rest needs no else."""
    condition, first, second = node.condition, node.yes, node.no
    if isinstance(first, Answer) and isinstance(second, Answer):
        yes, no = labels[first.code], labels[second.code]
        if (yes, no) == ("1", "0"):
            return [f"return int({condition.code})"]
        if (yes, no) == ("0", "1") and not condition.opposite.startswith("not "):
            return [f"return int({condition.opposite})"]
        line = f"return {yes} if {condition.code} else {no}"
        if len(line) <= WIDEST:
            return [line]
    elif isinstance(second, Answer):
        condition, first, second = negation(condition), second, first
    inner = [f"    {line}" for line in _lines(first, labels)]
    return [f"if {condition.code}:", *inner, *_lines(second, labels)]


def _points(name: str, card: Points) -> list[str]:
    parts = [_term(weight, term) for weight, term in card.terms]
    if card.constant or not parts:
        parts.append((card.constant < 0, literal(abs(card.constant))))
    texts = [f"{'- ' if minus else '+ '}{text}" for minus, text in parts]
    return _assigned(name, texts)


def _term(weight: float, term: Expression) -> tuple[bool, str]:
    """Return whether a term is subtracted, and its source without the sign."""
    # -a % b is (-a) % b, and 2 * a % b is (2 * a) % b.
    code = term.at(Level.PRODUCT if weight == 1 else Level.ATOM)
    if term.type is Type.TRUTH and term.level is Level.ATOM and abs(weight) == 1:
        code = f"bool({term.code})"
    if term.type is Type.NUMBER and np.isnan(np.asarray(term.values, dtype=np.float64)).any():
        # A number that may be missing (NaN) adds nothing.
        code = f"({term.code} if {term.at(Level.SUM)} == {term.at(Level.SUM)} else 0)"
    size = abs(weight)
    return weight < 0, code if size == 1 else f"{literal(float(size))} * {code}"
