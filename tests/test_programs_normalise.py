"""Which differences make a new program, and which do not."""

import ast
import keyword
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.programs.normalise import Annotations, canonical_text, normalise, normalise_tree

SAME = {
    "formatting": ("def f(x):\n  return (x+ 1)\n", "def f( x ) :\n\n      return x + 1"),
    "comments": ("f = 1", "# why\nf = 1  # because\n"),
    "quotes and escapes": ("f = 'a\\x41'", 'f = u"""aA"""'),
    "number notation": ("f = 1_000 + 0xff + 1e3", "f = 1000 + 255 + 1000.0"),
    "docstrings": ('"m"\ndef f(x):\n  "d"\n  return 1', "def f(x): return 1"),
    "a docstring that names eval": (
        'def f(x):\n  "no eval or dir"\n  return 1',
        "def f(x): return 1",
    ),
    "a body of a docstring": ("def f(x): 'doc'", "def f(x): pass"),
    "strings as statements": ("def f(x):\n  'a'; 1; ...; f''\n  return x", "def f(x): return x"),
    "arguments": ("def f(x): return x", "def f(word): return word"),
    "every kind of argument": (
        "def f(a, /, b, *c, d=1, **e): return a, b, c, d, e",
        "def f(e, /, d, *b, c=1, **a): return e, d, b, c, a",
    ),
    "locals": ("def f(x):\n  y = x\n  return y", "def f(x):\n  z = x\n  return z"),
    "swapped locals": (
        "def f(x):\n  a = 1; b = 2\n  return a - b",
        "def f(x):\n  b = 1; a = 2\n  return b - a",
    ),
    "comprehensions that share a name": (
        "def f(x): return [i for i in x], [i for i in x]",
        "def f(x): return [i for i in x], [j for j in x]",
    ),
    "comprehensions that reuse an argument's name": (
        "def f(x): return [c for c in x]",
        "def f(x): return [x for x in x]",
    ),
    "lambdas": ("f = lambda x: (lambda y: x + y)", "f = lambda a: (lambda b: a + b)"),
    "nested functions": (
        "def f(x):\n  def g(y):\n    nonlocal x\n    x = y\n  g(1)\n  return x",
        "def f(a):\n  def b(c):\n    nonlocal a\n    a = c\n  b(1)\n  return a",
    ),
    "methods": (
        "class A:\n  def m(self, v): return v\nf = A().m",
        "class A:\n  def m(me, it): return it\nf = A().m",
    ),
    "patterns": (
        "def f(x):\n  match x:\n    case [a, *b] | {'k': a, **b}: return a, b",
        "def f(x):\n  match x:\n    case [p, *q] | {'k': p, **q}: return p, q",
    ),
    "exceptions": (
        "def f(x):\n  try: return x\n  except E as e: return e",
        "def f(y):\n  try: return y\n  except E as z: return z",
    ),
    "imports inside": (
        "def f(x):\n  import numpy as np\n  return np.sum(x)",
        "def f(x):\n  import numpy\n  return numpy.sum(x)",
    ),
    "names the normal form might use": ("def f(x): return v0, x", "def f(v1): return v0, v1"),
    "annotations": (
        "from typing import List, Optional\n"
        "def f(x: str, *a: int, k: 'K' = 1, **o: Optional[List[int]]) -> dict[str, int | None]:\n"
        "  n: int = 1\n  m: Whatever\n  m = n\n  return m",
        "def f(x, *a, k=1, **o):\n  n = 1\n  m = n\n  return m",
    ),
    "deferred annotations": (
        "from __future__ import annotations\ndef f(x: anything.at_all()) -> 1/0: return x",
        "def f(x): return x",
    ),
    "module annotations": ("LIMIT: int = 3\ntotal: int\nf = len", "LIMIT = 3\nf = len"),
    "declarations alone": ("if a:\n  x: int\nf = 1", "if a: pass\nf = 1"),
    "f-string pieces": ("f = f'a{b}' 'c' f'd'", 'f = "a" f"{b}cd"'),
}
DIFFERENT = {
    "names of globals": ("g = 1\nf = lambda x: g", "h = 1\nf = lambda x: h"),
    "attributes": ("f = lambda x: x.a", "f = lambda x: x.b"),
    "keywords of calls": ("f = lambda x: g(a=x)", "f = lambda x: g(b=x)"),
    "parameters named in a call": (
        "def g(k): return k\nf = lambda x: g(k=x)",
        "def g(j): return j\nf = lambda x: g(k=x)",
    ),
    "parameters where a call unpacks": (
        "def g(k): return k\nf = lambda x: g(**x)",
        "def g(j): return j\nf = lambda x: g(**x)",
    ),
    "names of a function and of one inside it": (
        "def f(x):\n  def g(p, q, r, s): return (p, q, r, s)\n  return g",
        "def f(x):\n  def g(p, q, r, s): return (p, q, x, s)\n  return g",
    ),
    "deferred annotations of a class": (
        "from __future__ import annotations\nclass A:\n  x: int\nf = A",
        "class A:\n  x: int\nf = A",
    ),
    "class attributes": ("class A:\n  a = 1\nf = A", "class A:\n  b = 1\nf = A"),
    "names of local classes": (
        "def f(x):\n  class A: pass\n  return repr(A)",
        "def f(x):\n  class B: pass\n  return repr(B)",
    ),
    "local or global": (
        "def f(x):\n  g = x\n  return g",
        "def f(x):\n  global g\n  g = x\n  return g",
    ),
    "which variable": ("f = lambda x, y: x", "f = lambda x, y: y"),
    "shadowed or not": ("f = lambda x: lambda y: x", "f = lambda x: lambda x: x"),
    "types of constants": ("f = 1", "f = True"),
    "integers and floats": ("f = 1", "f = 1.0"),
    "text and bytes": ("f = 'a'", "f = b'a'"),
    "zero and minus zero": ("f = 0.0", "f = -0.0"),
    "surrogates": ("f = '\\ud800'", "f = '\\\\ud800'"),
    "conversions": ("f = lambda x: f'{x!r}'", "f = lambda x: f'{x!s}'"),
    "dict unpacking": ("f = lambda x: {**x}", "f = lambda x: {None: x}"),
    "annotations that may fail": ("def f(x: List[str]): return 1", "def f(x): return 1"),
    "annotations that are shadowed": ("int = []\ndef f(x: int): pass", "int = []\ndef f(x): pass"),
    "annotations of a star import": (
        "from os import *\ndef f(x: int): pass",
        "from os import *\ndef f(x): pass",
    ),
    "annotations before their import": (
        "def f(x: List): pass\nfrom typing import List",
        "def f(x): pass\nfrom typing import List",
    ),
    "annotations of a return that may fail": ("def f(x) -> g(): pass", "def f(x): pass"),
    "annotations of a value that may fail": ("x: g() = 1\nf = 1", "x = 1\nf = 1"),
    "annotations of an attribute": ("def f(x):\n  x.a: g() = 1", "def f(x):\n  x.a = 1"),
    "annotations after another import of that name": (
        "from m import annotations\ndef f(x: g()): pass",
        "from m import annotations\ndef f(x): pass",
    ),
    "annotations after another future": (
        "from __future__ import division\ndef f(x: g()): pass",
        "from __future__ import division\ndef f(x): pass",
    ),
    "annotations by a name bound twice": (
        "from typing import List\nList = 3\ndef f(x: List): pass",
        "from typing import List\nList = 3\ndef f(x): pass",
    ),
    "an import nobody checked": ("from typing import Lisst\nf = 1", "f = 1"),
    "fields of a dataclass": ("class A:\n  a: int = 1\nf = A", "class A:\n  a = 1\nf = A"),
    "a declaration that makes a local": (
        "def f(x):\n  y: int\n  return y",
        "def f(x):\n  return y",
    ),
    "names seen by locals": (
        "def f(x): return sorted(locals())",
        "def f(y): return sorted(locals())",
    ),
    "names seen by eval": ("def f(x): return eval('x')", "def f(y): return eval('x')"),
    "names reached by a string": (
        "def f(x): return getattr(f, '__code__').co_varnames",
        "def f(y): return getattr(f, '__code__').co_varnames",
    ),
    "names seen through inspect": (
        "from inspect import signature\ndef f(x): return str(signature(f))",
        "from inspect import signature\ndef f(y): return str(signature(f))",
    ),
    "names seen through a module of a package": (
        "import m.inspect as i\ndef f(x): return i",
        "import m.inspect as i\ndef f(y): return i",
    ),
    "names seen through what a module of a package holds": (
        "from m.inspect import i\ndef f(x): return i",
        "from m.inspect import i\ndef f(y): return i",
    ),
    "names seen through an attribute": (
        "def f(x): return x.__code__",
        "def f(y): return y.__code__",
    ),
    "names of functions that are read": (
        "def f(x):\n  def g(): pass\n  return g.__name__",
        "def f(x):\n  def h(): pass\n  return h.__name__",
    ),
    "a docstring that is read": (
        "def f(x):\n 'a'\n return f.__doc__",
        "def f(x):\n return f.__doc__",
    ),
    "private names": ("def f(__x): return __x", "def f(x): return x"),
}


@pytest.mark.parametrize("difference", SAME)
def test_writing_it_differently_makes_no_new_program(difference: str) -> None:
    one, other = SAME[difference]
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize("difference", DIFFERENT)
def test_what_can_be_seen_makes_a_new_program(difference: str) -> None:
    one, other = DIFFERENT[difference]
    assert normalise(one) != normalise(other)


def test_type_parameters_keep_their_names() -> None:
    try:
        one = normalise("def f[T](x: T) -> T: return x")
    except ValueError:
        pytest.skip("type parameters came with Python 3.12")
    assert one != normalise("def f[S](x: S) -> S: return x")
    assert one != normalise("def f(x: T) -> T: return x")


SEEING = {"dir", "eval", "exec", "help", "vars", "locals", "globals"}
TAKEN = {"f", "g", "len", "sum", "functools"} | SEEING


def is_free(name: str) -> bool:
    return not (name.startswith("__") or keyword.iskeyword(name) or name in TAKEN)


IDENTIFIERS = st.text(string.ascii_letters + "_", min_size=1, max_size=6).filter(is_free)
TEMPLATE = """
import functools
def g({0}, {1}=2):
    return lambda {2}, *{3}: ({0}, {1}, {2}, {3})
def f({0}):
    {1} = len({0})
    def {2}({3}):
        nonlocal {1}
        {1} += {3}
        return [{4} for {4} in {0} if {4}] or {3}
    try:
        {5} = sum({2}({3}) for {3} in (1, 2))
    except TypeError as {4}:
        del {1}
    for {3}, *{4} in {0}:
        if ({5} := {3}):
            return functools.reduce(lambda {0}, {1}: {0} + {1}, {4})
    return {2}, {5}
"""


@given(st.lists(IDENTIFIERS, min_size=6, max_size=6, unique=True))
def test_any_consistent_choice_of_local_names_gives_one_program(names: list[str]) -> None:
    assert normalise(TEMPLATE.format(*names)) == normalise(TEMPLATE.format(*"abcdeh"))


REMOVABLE = """
bool; bytes; complex; dict; float; frozenset; int; list; object; set; str; tuple; type; None
Any; Callable; Hashable; Sized; Text; Tuple; List; Deque; OrderedDict; 3; 'anything at all'
list[int]; dict[str, int]; dict[int]; tuple[int, ...]; Tuple[int, ...]; tuple[None]; List[str]
Optional[int]; Dict[str, List[int]]; Union[int, str, None]; Type[int]; Iterator[int]
Collection[str]; Container[int]; DefaultDict[str, int]; FrozenSet[int]; int | None; Any | None
None | List[int] | Callable; Hashable | int; Deque[int] | Text; Mapping[str, Set[int]]
MutableSet[int] | OrderedDict
"""
KEPT = """
List[int, int]; Optional[int, str]; Dict[int]; Union[()]; int[str]; Optional; Missing; List['a b']
x.y; f(); 'a' | int; None | None; List[3]; Tuple[...]; Callable[int]; [int]; (int,); lambda: 0
Any[int]; Hashable[int]; int + str; int | 3; list[list[missing]]; tuple[int, missing]; tuple[int, 3]
dict[str, ...]; List[int, ...]
"""


def listed(text: str) -> list[str]:
    return [
        annotation.strip()
        for annotation in text.replace("\n", ";").split(";")
        if annotation.strip()
    ]


def nested(depth: int) -> str:
    return "list[" * depth + "int" + "]" * depth


def removable(annotation: str) -> bool:
    names = "Any Callable Collection Container DefaultDict Deque Dict FrozenSet Hashable Iterator"
    names += " List Mapping MutableSet Optional OrderedDict Set Sized Text Tuple Type Union"
    source = f"from typing import {', '.join(names.split())}\ndef f(x: {annotation}): pass"
    tree = ast.parse(source)
    Annotations(tree).remove()
    gone = "x:" not in ast.unparse(tree)
    if gone:
        exec(source, {})  # an annotation that goes must have evaluated
    return gone


@pytest.mark.parametrize("annotation", [*listed(REMOVABLE), nested(19), " | ".join(["int"] * 20)])
def test_an_annotation_that_is_sure_to_evaluate_goes(annotation: str) -> None:
    assert removable(annotation)


@pytest.mark.parametrize("annotation", [*listed(KEPT), nested(20), " | ".join(["int"] * 21)])
def test_an_annotation_that_may_fail_stays(annotation: str) -> None:
    assert not removable(annotation)


def test_empty_pieces_of_f_strings_are_none_on_any_python() -> None:
    tree = ast.parse("f = lambda x: f'a{x}'")
    [pieces] = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    [value] = [node for node in ast.walk(tree) if isinstance(node, ast.FormattedValue)]
    value.format_spec = ast.JoinedStr([])
    pieces.values = [ast.Constant(""), *pieces.values, ast.Constant("")]
    normalise_tree(tree)
    assert canonical_text(tree) == normalise("f = lambda x: f'a{x}'")
