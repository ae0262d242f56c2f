"""What counts as a program, and what it is told when it is none."""

import hashlib

import pytest

from llm_pv.errors import ProgramError
from llm_pv.programs.normalise import normalise
from llm_pv.programs.program import Program


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return 1",
        "f = lambda x: 1",
        "def g(x): return 1\nf = g",
        "class G:\n    def __call__(self, x): return 1\nf = G()",
        "class f:\n    def __new__(cls, x): return 1",
        "from math import sqrt as f",
        "import math as f",
        "from operator import f",
        "g = f = len",
        "(f, g) = (len, len)",
        "[*f] = [1]",
        "f: object = len",
        "f, *rest = len, 1",
        "if (f := len): pass",
        "values = [f := len for _ in range(1)]",
        "if True:\n    def f(x): return 1",
        "try:\n    f = missing\nexcept NameError:\n    f = len",
        "for f in [len]: pass",
        "with open('a') as f: pass",
        "match len:\n    case f: pass",
        "def g():\n    global f\n    f = len\ng()",
        "import functools\n@functools.cache\ndef f(x): return 1",
        "\N{FULLWIDTH LATIN SMALL LETTER F} = len",
    ],
)
def test_whatever_binds_f_at_module_level_is_an_entry_point(source: str) -> None:
    assert Program.parse(source).source == source + "\n"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def g(x): return 1",
        "def g():\n    def f(x): return 1",
        "def g(f): return f",
        "class A:\n    def f(self): pass",
        "g = lambda f: f",
        "g = [f for f in 'ab']",
        "f.x = 1",
        "f[0] = 1",
        "f: int",
        "f",
        "def g():\n    f = 1\n    def h():\n        nonlocal f\n        f = 2",
        "import f.g as h",
        "f(x=1)",
    ],
)
def test_a_module_that_does_not_bind_f_is_refused_with_the_way_out(source: str) -> None:
    with pytest.raises(ProgramError, match=r"defines no function f: write `def f\(x\)"):
        Program.parse(source)


def test_an_async_entry_point_is_refused() -> None:
    with pytest.raises(ProgramError, match="f is an async function"):
        Program.parse("async def f(x): return 1")


def test_an_async_method_called_f_is_no_entry_point() -> None:
    program = Program.parse("class A:\n    async def f(self): pass\ndef f(x): return 1")
    assert program.source.startswith("class A")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(x) return 1", "syntax error on line 1: expected ':'"),
        ("f = 1\nreturn f", "syntax error on line 2: 'return' outside function"),
        ("f = '\0'", "the source holds a NUL character"),
        ("f = '\ud800'", "the source holds half of a surrogate pair"),
        ("f = " + "-" * 20_000 + "1", "the source is nested too deeply to compile"),
        ("f = a" + ".b" * 20_000, "the source is nested too deeply to compile"),
        ("f = " + "(" * 500 + ")" * 500, "syntax error on line 1: too many nested parentheses"),
        ("f = 1\n" + "#" * 49_994, "the source has 50,001 characters, at most 50,000 are read"),
        ("def f(a, a): pass", "duplicate argument 'a' in function definition"),
        ("def f(x):\n  a\n b", "unindent does not match any outer indentation level"),
    ],
)
def test_what_does_not_compile_is_refused_in_one_line(source: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        Program.parse(source)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_source_of_just_the_longest_length_is_read() -> None:
    assert Program.parse("f = 1\n" + "#" * 49_993).source.endswith("#\n")


def test_an_invalid_escape_in_a_candidate_warns_nobody() -> None:
    assert Program.parse(r"f = '\d'; g = 1 is 1").source == "f = '\\d'; g = 1 is 1\n"


def test_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    plain = Program.parse("def f(x):\n    return '''a\nb'''\n")
    assert Program.parse("\ufeffdef f(x):\r\n    return '''a\r\nb'''\r\n") == plain
    assert Program.parse("def f(x):\r    return '''a\rb'''\r") == plain


def test_a_long_chain_of_branches_is_a_program() -> None:
    branches = "".join(f"    elif x == {i}: return {i}\n" for i in range(300))
    Program.parse(f"def f(x):\n    if x == -1: return -1\n{branches}")


COMMITTED = {
    "def f(x):\n    return x.count('1') % 2\n": (
        "Module #1\nFunctionDef 'f arguments #0 #1 arg '%0 - - #0 #0 - #0 #1\n"
        "Return + BinOp Call Attribute Name '%0 'count #1 Constant ='1' #0 Mod Constant =0x2 #0 -"
    ),
    "f = lambda x: f'{x!r:>{x}}' 'a' f''\n": (
        "Module #1\nAssign #1 Name 'f Lambda arguments #0 #1 arg '%0 - - #0 #0 - #0 "
        "JoinedStr #2 FormattedValue Name '%0 #115 + JoinedStr #2 Constant ='>' "
        "FormattedValue Name '%0 #0 - Constant ='a'"
    ),
    "f = f'{x:}{x=:{y}{z}}'\n": (
        "Module #1\nAssign #1 Name 'f JoinedStr #3 FormattedValue Name 'x #0 - Constant ='x=' "
        "FormattedValue Name 'x #0 + JoinedStr #2 FormattedValue Name 'y #0 - "
        "FormattedValue Name 'z #0 -"
    ),
    "f = [None, True, ..., 1.5, 2j, b'\\xff', '\\ud800\\u1234', {**{}}][0:]\n": (
        "Module #1\nAssign #1 Name 'f Subscript List #8 Constant =None Constant =True "
        "Constant =Ellipsis Constant =1.5 Constant =2j Constant =b'\\xff' "
        "Constant ='\\ud800\\u1234' Dict #1 - #1 Dict #0 #0 Slice + Constant =0x0 - -"
    ),
    "try:\n    f = 1\nexcept E as e:\n    pass\n": (
        "Module #1\nTry #1\nAssign #1 Name 'f Constant =0x1 "
        "#1 ExceptHandler + Name 'E + 'e #1\nPass #0 #0"
    ),
}
"""Written out by hand from the grammar: they hold on every version, or digests would not."""


@pytest.mark.parametrize("source", COMMITTED)
def test_the_normal_form_is_the_committed_one_on_every_python(source: str) -> None:
    assert normalise(source) == COMMITTED[source]
    digest = hashlib.sha256(COMMITTED[source].encode()).hexdigest()
    assert Program.parse(source).digest == digest


def test_the_digest_of_parity_never_changes() -> None:
    program = Program.parse("def f(word: str) -> int:\n    return word.count('1') % 2")
    # From `sha256sum` of the first normal form above.
    assert program.digest == "e2313a74e93ccb03a4a47d1e86956fa53baca412b16c5da102068f15993845d0"
