"""What the code of programs may rely on: imports, and helper functions as text.

A program gets what the names in it ask for, so no operator need say what it uses.
"""

import ast
import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, reduce
from itertools import pairwise
from typing import Any

import numpy as np

SOURCE = '''import calendar
import math
import re
import statistics
from collections import Counter
from datetime import date, datetime
from itertools import accumulate, combinations, groupby, pairwise

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def component_sizes(edges):
    """Return how many vertices each connected component has."""
    group = {vertex: {vertex} for edge in edges for vertex in edge}
    for a, b in edges:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for vertex in group[b]:
                group[vertex] = group[a]
    return sorted(len(one) for one in {id(one): one for one in group.values()}.values())


def triangles(edges):
    """Return how many three vertices are all joined."""
    links = {frozenset(edge) for edge in edges if edge[0] != edge[1]}
    vertices = sorted({vertex for edge in links for vertex in edge})
    joined = {v: {w for w in vertices if frozenset((v, w)) in links} for v in vertices}
    return sum(len(joined[a] & joined[b]) for a, b in map(tuple, links)) // 3


def is_bipartite(edges):
    """Tell whether the vertices can be coloured in two colours, no edge joining equal ones."""
    joined = {}
    for a, b in edges:
        joined.setdefault(a, set()).add(b)
        joined.setdefault(b, set()).add(a)
    colour = {}
    for start in joined:
        if start in colour:
            continue
        colour[start], waiting = 0, [start]
        while waiting:
            vertex = waiting.pop()
            for other in joined[vertex]:
                if other not in colour:
                    colour[other] = 1 - colour[vertex]
                    waiting.append(other)
                elif colour[other] == colour[vertex]:
                    return False
    return True


def has_directed_cycle(edges):
    """Tell whether following edges from first to second end can lead back to a vertex."""
    left = set(edges)
    while left:
        targets = {b for _, b in left}
        kept = {(a, b) for a, b in left if a in targets}
        if kept == left:
            return True
        left = kept
    return False


def longest_distance(edges):
    """Return the largest number of edges on a shortest path between two joined vertices."""
    joined = {}
    for a, b in edges:
        joined.setdefault(a, set()).add(b)
        joined.setdefault(b, set()).add(a)
    longest = 0
    for start in joined:
        reached, border, distance = {start}, {start}, 0
        while border:
            longest = max(longest, distance)
            border = {other for vertex in border for other in joined[vertex]} - reached
            reached |= border
            distance += 1
    return longest


def distance(edges, start, end):
    """Return how many edges lead from one vertex to another, -1 if none do."""
    reached, border, steps = {start}, {start}, 0
    while border:
        if end in reached:
            return steps
        border = {b for edge in edges for a, b in (edge, edge[::-1]) if a in border} - reached
        reached |= border
        steps += 1
    return -1


def balanced(symbols, partner):
    """Tell whether every opening symbol is closed by its own partner, in order."""
    waiting = []
    for symbol in symbols:
        if symbol in partner.values():
            waiting.append(symbol)
        elif symbol in partner and (not waiting or waiting.pop() != partner[symbol]):
            return False
    return not waiting


def between_depths(text, low, high=1000):
    """Return the text with blanks for what is less than low or more than high brackets deep."""
    kept, depth = [], 0
    for c in text:
        depth += c in "([{"
        kept.append(c if low <= depth <= high else " ")
        depth -= c in ")]}"
    return "".join(kept)


def pairs_within(text):
    """Return, for each pair of brackets, how many pairs lie directly inside it."""
    counts, open_pairs = [], []
    for c in text:
        if c in "([{":
            if open_pairs:
                counts[open_pairs[-1]] += 1
            open_pairs.append(len(counts))
            counts.append(0)
        elif c in ")]}" and open_pairs:
            open_pairs.pop()
    return counts


def deepest(text):
    """Return the bracket that opens the deepest pair, the first one of several."""
    depth, best, found = 0, 0, ""
    for c in text:
        depth += c in "([{"
        if c in "([{" and depth > best:
            best, found = depth, c
        depth -= c in ")]}"
    return found


def is_prime(n):
    """Tell whether n is prime (Miller and Rabin, with the first twelve primes as bases)."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if n < 2 or any(n % p == 0 for p in bases):
        return n in bases
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        power = pow(base, odd, n)
        if power in (1, n - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % n
            if power == n - 1:
                break
        else:
            return False
    return True


def divisors(n):
    """Return the positive divisors of n."""
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def prime_factors(n):
    """Return the prime factors of n, smallest first, each as often as it divides n."""
    factors, divisor = [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors + [n] * (n > 1)


def switched(values, on, off):
    """Return the states of a switch that values above one level turn on, below another off."""
    states, state = [], False
    for value in values:
        state = value > on or (state and value >= off)
        states.append(state)
    return states


def longest_run(truths):
    """Return how many in succession are true, at most."""
    longest = run = 0
    for truth in truths:
        run = run + 1 if truth else 0
        longest = max(longest, run)
    return longest


def last_state(symbols, moves):
    """Return the state that symbols lead to from state 0; a symbol without a move changes none."""
    state = 0
    for symbol in symbols:
        if symbol in moves:
            state = moves[symbol][state]
    return state
'''
NAMES: dict[str, Any] = {}
"""The imports and helpers by name."""
exec(SOURCE, NAMES)  # noqa: S102 - the text above


def function_of(template: str, names: Sequence[str], *, columns: bool) -> Callable[..., Any]:
    """Return a template as a function of these arguments, in order, and of the constant ``c``.

    With ``columns`` it takes the constant, then a list for each argument, and returns a list.
    """
    source, listed = template.format(*names, **{n: n for n in names}, c="c"), ", ".join(names)
    source = f"[{source} for {listed}, in zip(*columns)]" if columns else source
    head = "c, *columns" if columns else f"{listed}, c=None"
    function: Callable[..., Any] = eval(f"lambda {head}: {source}", NAMES)  # noqa: S307
    return function


def column_of(template: str, names: Sequence[str]) -> Callable[..., Any] | None:
    """Return a template as a function of whole columns of numbers; None where it is no arithmetic.

    What overflows or is divided by zero is no number.

    Examples
    --------
    >>> column_of("{a} < {b} < {d}", "abd")(np.array([1, 2]), np.array([2, 3]), np.array([3, 3]))
    array([ True, False])
    >>> column_of("len({0})", "a")
    """
    source = template.format(*names, **{name: name for name in names}, c="c")
    tree = ast.parse(f"lambda {', '.join(names)}, c=None: {source}", mode="eval")
    nodes = list(ast.walk(tree))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    if called - set(_COLUMNS) or not all(isinstance(node, _ARITHMETIC) for node in nodes):
        return None
    if any(isinstance(node, ast.Compare) and len(node.ops) > 1 for node in nodes):
        tree = ast.fix_missing_locations(_Chains().visit(tree))
    code = compile(tree, template, "eval")
    function: Callable[..., Any] = eval(code, dict(_COLUMNS))  # noqa: S307
    return np.errstate(all="ignore")(function)


@lru_cache(maxsize=1000)
def arithmetic(template: str, places: int) -> Callable[..., Any]:
    """Return a template of so many numbers as a function of whole columns."""
    function = column_of(template, [f"a{place}" for place in range(places)])
    assert function is not None, template
    return function


_COLUMNS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    # As Python compares them: of a number and a missing one (NaN), the first.
    "max": lambda a, b: np.where(b > a, b, a),
    "min": lambda a, b: np.where(b < a, b, a),
}
_ARITHMETIC = (
    *(ast.Expression, ast.Lambda, ast.arguments, ast.arg, ast.Name, ast.expr_context, ast.Constant),
    *(ast.BinOp, ast.operator, ast.UnaryOp, ast.USub, ast.Compare, ast.Call),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


class _Chains(ast.NodeTransformer):
    """Writes ``a < b < d`` as ``(a < b) & (b < d)``, as arrays need."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        sides = pairwise([node.left, *node.comparators])
        parts: list[ast.expr] = [
            ast.Compare(left, [sign], [right])
            for (left, right), sign in zip(sides, node.ops, strict=True)
        ]
        return reduce(lambda one, two: ast.BinOp(one, ast.BitAnd(), two), parts)


@cache
def _texts() -> dict[str, str]:
    """Return the line or function that makes each name known."""
    texts = {}
    for node in ast.parse(SOURCE).body:
        text = ast.get_source_segment(SOURCE, node) or ""
        match node:
            case ast.FunctionDef(name):
                texts[name] = text
            case ast.Assign([ast.Name(name)]):
                texts[name] = text
            case ast.Import(names):
                texts |= {one.name: f"import {one.name}" for one in names}
            case ast.ImportFrom(module, names):
                texts |= {one.name: f"from {module} import {one.name}" for one in names}
    return texts


def relied_on(source: str) -> tuple[list[str], list[str]]:
    r"""Return the imports and the helpers that source asks for, those that helpers ask for first.

    Examples
    --------
    >>> relied_on("def f(x):\n    return math.sqrt(len(re.findall('a', x)))")
    (['import math', 'import re'], [])
    """
    found = dict.fromkeys(_asked(source))
    imports = sorted(text for text in found if text.startswith(("import ", "from ")))
    return imports, [text for text in found if text not in imports]


@lru_cache(maxsize=1000)
def _asked(source: str) -> list[str]:
    if not re.search(rf"\b({'|'.join(_texts())})\b", source):
        return []  # many programs: they need not be parsed
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    order = sorted(names, key=lambda node: (node.lineno, node.col_offset))
    texts = [
        _texts()[n] for n in dict.fromkeys(o.id for o in order) if n in _texts() and n not in own
    ]
    return [one for text in texts for one in (*(_asked(text) if text[:4] == "def " else ()), text)]
