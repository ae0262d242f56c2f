"""The normal form computes what the program does, on a corpus of diverse programs.

The normalised tree is compiled and run beside the source. Scopes are judged by the compiler's own
symbol table.
"""

import ast
import symtable
import sys
from collections import Counter
from typing import Any

import pytest

from llm_pv.programs.normalise import canonical_text, normalise, normalise_tree
from llm_pv.programs.scopes import Scopes, rename_locals

CORPUS = {
    "closures": """
def make(step):
    total = 0
    def bump(by=step):
        nonlocal total
        total += by
        return total
    return bump
def f(x):
    bump, other = make(2), make(3)
    return [bump(), bump(len(x)), other()]
""",
    "comprehension scopes": """
c = 'global'
def f(x):
    c = 'local'
    rows = [[c for c in d] for d in (x, c)]
    return rows, {c: d for c, d in zip(x, x[1:])}, {c for c in c}, list(c for c in x if c), c
""",
    "class body comprehension": """
def f(x):
    size = 2
    class Table:
        size = 3
        rows = [0] * size
        doubled = [row + size for row in rows]
        def get(self): return size
    return Table.rows, Table.doubled, Table().get()
""",
    "walrus": """
def f(x):
    if (n := len(x)) > 1 and any((last := c) == 'b' for c in x):
        return n, last
    return [y := n, y + 1, [z := i for i in range(3)], z]
g = [w := v for v in range(3)]
""",
    "match": """
class Point:
    __match_args__ = ('a', 'b')
    def __init__(self, a, b): self.a, self.b = a, b
def f(x):
    found = []
    for value in (x, [1, *x], {'k': 1, 'r': 2}, Point(3, 4), None, 5):
        match value:
            case str() as text if text: found.append(('text', text))
            case [first, *others]: found.append((first, others))
            case {'k': k, **more}: found.append((k, more))
            case Point(a, b=other): found.append((a, other))
            case None: found.append('none')
            case 5 | 6 as number: found.append(number)
            case _: found.append('rest')
    return found
""",
    "stars and defaults": """
limit = 2
def g(a, /, b=limit, *args, c=[], d, **kwargs):
    c.append(a)
    return a, b, args, list(c), d, sorted(kwargs)
def f(x):
    options = {'d': x, 'extra': 1}
    return g(1, 2, 3, **options), g(*[4], d=5), g(6, c=[7], d=8)
""",
    "exceptions": """
def f(x):
    seen = []
    for item in (x, 0, None):
        try:
            seen.append(1 / len(item))
        except ZeroDivisionError as error:
            seen.append(type(error) is ZeroDivisionError)
        except TypeError as error:
            try:
                raise ValueError('inner') from error
            except ValueError as inner:
                seen.append(inner.__cause__ is error)
        else:
            seen.append('fine')
        finally:
            seen.append('done')
    return seen
""",
    "imports inside": """
def f(x):
    import math
    import os.path
    import collections as c
    from itertools import accumulate, chain as link
    del math
    return os.path.join('a', x), c.Counter(x)['a'], list(accumulate([1, 2])), list(link(x))
""",
    "recursion": """
def f(x, depth=0):
    def down(s): return 0 if not s else 1 + down(s[1:])
    return down(x) if depth else f(x, 1)
""",
    "classes": """
class Base:
    count = 0
    def __init__(self, value): self.value = value
    @property
    def twice(self): return self.value * 2
    @classmethod
    def make(cls, value): cls.count += 1; return cls(value)
class Derived(Base):
    __slots__ = ()
    def __init__(self, value, __hidden=1): super().__init__(value); self.__private = __hidden
    def get(self): return self.__private, __class__.count, self.twice
def f(x):
    class Local(Derived):
        def get(this): return super().get(), x
    return Local.make(x).get(), Local.__mro__[1] is Derived
""",
    "dataclass": """
from dataclasses import dataclass, field
from typing import NamedTuple
@dataclass(order=True)
class Item:
    weight: int
    tags: list[str] = field(default_factory=list)
class Pair(NamedTuple):
    left: int
    right: int = 2
def f(x):
    return Item(1, [x]) < Item(weight=2), str(Item(3)), Pair(1)._asdict()
""",
    "decorators": """
import functools
def twice(g):
    @functools.wraps(g)
    def wrapped(*args, **kwargs): return g(g(*args, **kwargs))
    return wrapped
@twice
@functools.lru_cache(maxsize=None)
def f(x): return str(x) + '!'
""",
    "lambdas": """
compose = lambda g, h: lambda value: g(h(value))
f = compose(lambda s: s * 2, lambda s, n=3: s[:n] + (lambda: str(n))())
""",
    "global": """
state = 0
def bump():
    global state, fresh
    state += 1
    fresh = state
    def inner():
        return state, [state for _ in range(2)]
    return inner()
def f(x):
    state = 'shadow'
    def reader():
        global state
        return state
    return bump(), fresh - bump()[0], reader() > 0, state
""",
    "deletion": """
def f(x):
    y = z = list(x)
    del y
    try:
        return y
    except NameError:
        del z[:1], x
        return z
""",
    "f-strings": """
def f(x):
    width = 5
    return f'{x!r:>{width}}|{x=}|{width:{"0"}{width}d}{{}}' 'tail' f"{[c for c in x]}" f''
""",
    "annotations": """
import typing
def g(value: 'anything', *rest: int, flag: bool = True, **more: str) -> None:
    count: int
    count = 1
    later: str = 'a'
    box: list[int] = []
    box[0:1]: list = [count]
    return value, later, box, rest
TOTAL: int = 3
def f(x: str) -> typing.Any:
    return g(x, 1), TOTAL
""",
    "bare declaration": """
y = 1
def f(x):
    y: int
    try:
        return y
    except UnboundLocalError:
        return 'local'
""",
    "docstrings": """
'module'
def g():
    'only this'
class C:
    '''only this'''
def f(x):
    'text'
    if x:
        'just a string'
    else:
        ...
    try:
        'nothing'
    finally:
        1
    return g(), C.__name__
""",
    "reads its docstring": """
'header'
def f(x):
    'doc'
    return f.__doc__, __doc__
""",
    "looks at itself": """
def f(x):
    word = 'a'
    return sorted(locals()), f.__code__.co_varnames, eval('word'), f.__annotations__
""",
    "generators": """
def count(n):
    sent = yield n
    while n:
        n -= 1
        yield from (m * n for m in range(2))
    return sent
def f(x):
    return list(count(len(x)))
""",
    "loops": """
def f(x):
    for i, (a, *b) in enumerate(['q' + x, x[::-1] + 'r', 'zz']):
        if not b: continue
        if a == 'z': break
    else:
        i = -1
    while i > 0: i -= 1
    from contextlib import nullcontext as n
    with n(1) as a, n([2, 3]) as (b, c): i += a + b + c
    total = 0
    total += i
    return i, total
""",
    "class scope names": """
def f(x):
    item = 'outer'
    class A:
        item = 'inner'
        seen = item
        def method(self): return item
        def item_(self, item): return item
    class B:
        seen = item
    return A.seen, A().method(), A().item_(1), B.seen
""",
    "names like the new ones": """
v0 = 'global'
_0 = 1
def f(x):
    a = x
    def g(b): return v0, a, b, _0
    return g(1)
""",
    "keyword parameters": """
from functools import partial
def helper(value, key=lambda k: k): return key(value)
def f(x):
    return helper(x, key=len), partial(helper, value=x)(), sorted(x, key=lambda c: -ord(c))
""",
}


def behaviour(code: Any) -> list[str]:
    """Run a module and its f on a few words; return what came out, as text."""
    namespace: dict[str, Any] = {"__name__": "candidate"}
    exec(code, namespace)
    return [repr(namespace["f"](word)) for word in ("", "a", "abca", "zz9")]


def normalised_code(source: str) -> Any:
    tree = ast.parse(source)
    normalise_tree(tree)
    return compile(tree, "<normalised>", "exec", dont_inherit=True)


@pytest.mark.parametrize("name", CORPUS)
def test_a_normalised_program_computes_the_same(name: str) -> None:
    source = CORPUS[name]
    expected = behaviour(compile(source, "<source>", "exec", dont_inherit=True))
    assert behaviour(normalised_code(source)) == expected


@pytest.mark.parametrize("name", CORPUS)
def test_normalising_twice_changes_nothing_more(name: str) -> None:
    tree = ast.parse(CORPUS[name])
    normalise_tree(tree)
    once = canonical_text(tree)
    normalise_tree(tree)
    assert canonical_text(tree) == once


@pytest.mark.parametrize("name", CORPUS)
def test_reformatting_does_not_make_a_new_program(name: str) -> None:
    assert normalise(ast.unparse(ast.parse(CORPUS[name]))) == normalise(CORPUS[name])


def test_no_two_programs_of_the_corpus_are_one() -> None:
    assert len({normalise(source) for source in CORPUS.values()}) == len(CORPUS)


def compiler_scopes(source: str) -> Counter[tuple[str, frozenset[str]]]:
    """Return kind and locals of every scope but the module, as the compiler has them."""
    found: Counter[tuple[str, frozenset[str]]] = Counter()
    pending = symtable.symtable(source, "<test>", "exec").get_children()
    while pending:
        table = pending.pop()
        pending += table.get_children()
        names = (symbol.get_name() for symbol in table.get_symbols() if symbol.is_local())
        own = frozenset(name for name in names if not name.startswith((".", "__class__")))
        found[str(table.get_type()), own] += 1
    return found


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="symtable shows inlined comprehensions since Python 3.12"
)
@pytest.mark.parametrize("name", [name for name in CORPUS if name != "classes"])
def test_scopes_and_their_locals_are_those_of_the_compiler(name: str) -> None:
    ours: Counter[tuple[str, frozenset[str]]] = Counter()
    for scope in Scopes(ast.parse(CORPUS[name])).scopes[1:]:
        kind = "function" if scope.kind == "comprehension" else scope.kind
        names = (scope.bound | scope.declared) - scope.outer - scope.module_wide
        ours[kind, frozenset(names)] += 1
    assert ours == compiler_scopes(CORPUS[name])


RENAMED = {
    "def f(x):\n y = x\n return lambda z, x=y: [x for x in z if y]": """\
def f(%0):
    %1 = %0
    return lambda %2, %3=%1: [%4 for %4 in %2 if %1]""",
    "def f(x):\n global g, h\n g = x\n k = 1\n def i(j):\n  nonlocal k, x\n  k = j\n return i": """\
def f(%0):
    global g, h
    g = %0
    %1 = 1

    def %2(%3):
        nonlocal %1, %0
        %1 = %3
    return %2""",
    "def f(x):\n import a.b, c.d as e, g\n from h import i as j, k\n try:\n  with x as l: pass\n"
    " except E as m: del m\n match x:\n  case {'n': o, **p}: pass\n  case [q, *r] as s: pass\n"
    "  case Point(t=u): pass\n  case _: pass": """\
def f(%0):
    import a.b, c.d as %1, g as %2
    from h import i as %3, k as %4
    try:
        with %0 as %5:
            pass
    except E as %6:
        del %6
    match %0:
        case {'n': %8, **%7}:
            pass
        case [%10, *%11] as %9:
            pass
        case Point(t=%12):
            pass
        case _:
            pass""",
    "def f(x):\n class A(x):\n  y = x\n  def m(self, __p): return y, __p\n return A": """\
def f(%0):

    class A(%0):
        y = %0

        def m(%1, __p):
            return (y, __p)
    return A""",
    "def g(k, v, w): return k, v, w\nf = lambda x: g(x, v=x, w=1)": """\
def g(%0, v, w):
    return (%0, v, w)
f = lambda %0: g(%0, v=%0, w=1)""",
    "def g(k):\n y = k\n return y\nf = lambda x: g(**x)": """\
def g(k):
    %0 = k
    return %0
f = lambda x: g(**x)""",
    "f = lambda x: g(kwargs=x)": "f = lambda x: g(kwargs=x)",
    "def f(x):\n y: int\n (z): int\n w: int = x\n return y, z": """\
def f(%0):
    %1: int
    (z): int
    %2: int = %0
    return (%1, z)""",
    "def f(x):\n return [(y := i) for i in x if y], {k: v for k, v in x for v in k}": """\
def f(%0):
    return ([(%1 := %2) for %2 in %0 if %1], {%2: %3 for %2, %3 in %0 for %3 in %2})""",
    "def f(x):\n return [[(y := i) for i in j] for j in x], y": """\
def f(%0):
    return ([[(%1 := %3) for %3 in %2] for %2 in %0], %1)""",
    "def f(x, y=1, *a, z=2, **b):\n @x\n def g(p: y, /, q=z, *r: x, s=a, **t: b) -> y:\n"
    "  return p, q, r, s, t\n return g": """\
def f(%0, %1=1, *%3, %2=2, **%4):

    @%0
    def %5(%6: %1, /, %7=%2, *%9: %0, %8=%3, **%10: %4) -> %1:
        return (%6, %7, %9, %8, %10)
    return %5""",
    "async def f(x):\n async for y in x: y += x": """\
async def f(%0):
    async for %1 in %0:
        %1 += %0""",
}


@pytest.mark.parametrize("source", RENAMED)
def test_locals_are_numbered_as_they_appear(source: str) -> None:
    tree = ast.parse(source)
    rename_locals(tree)
    assert ast.unparse(tree) == RENAMED[source]


def test_names_are_counted_by_their_scopes() -> None:
    source = "def g():\n global a\n a = 1\n b: int\n (c): int\n"
    source += "class A:\n b = d = 1\nimport e.f, h.i as j"
    scopes = Scopes(ast.parse(source))
    assert scopes.module_names() == {"g", "A", "e", "j", "a"}
    assert dict(scopes.bindings) == {"g": 1, "a": 1, "b": 2, "A": 1, "d": 1, "e": 1, "j": 1}
    assert [(name, scope.kind) for _, name, scope in scopes.declarations] == [("b", "function")]
    module, function, body = scopes.scopes
    assert (module.fixed, body.fixed) == ({"A", "e"}, set())
    assert (function.bound, function.declared, function.module_wide) == ({"a"}, {"b"}, {"a"})
    assert (function.parent, body.parent, module.parent) == (module, module, None)
    assert [scope.home() for scope in scopes.scopes] == scopes.scopes
