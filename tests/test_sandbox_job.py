"""How a program is loaded and called, tried in this process on programs that do no harm."""

import io
import sys
from collections.abc import Sequence
from textwrap import dedent

import pytest

from llm_pv.sandbox.job import PROGRAM_NAME, describe, run_program
from llm_pv.sandbox.result_page import PageContent, page_bytes, read_page

ALLOWED = frozenset({"math", "collections", "dataclasses", "random", "sys", "__future__"})
OUTPUT = 100


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setitem(sys.modules, PROGRAM_NAME, sys)


def run(source: str, inputs: Sequence[object] = ("a",), room: int | None = None) -> PageContent:
    page = bytearray(page_bytes(len(inputs), OUTPUT) if room is None else 8 + OUTPUT + room)
    run_program(dedent(source), inputs, page, OUTPUT, ALLOWED)
    return read_page(io.BytesIO(page), len(inputs), OUTPUT)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return x.count('1') % 2",
        "f = lambda x: x.count('1') % 2",
        "import math\ndef f(x): return math.gcd(x.count('1'), 2) == 1",
        "from collections import Counter\ndef f(x): return Counter(x)['1'] % 2",
        "def ones(x):\n    return x.count('1')\ndef f(x): return ones(x) % 2",
        "BASE = 2\ndef f(x): return x.count('1') % BASE",
        "class Parity:\n    def __call__(self, x): return x.count('1') % 2\nf = Parity()",
        "def f(x): return 0 if not x else (f(x[1:]) + (x[0] == '1')) % 2",
        "from __future__ import annotations\ndef f(x: Row) -> int: return x.count('1') % 2",
        """
        from dataclasses import dataclass
        @dataclass
        class Bits:
            text: str
        def f(x): return Bits(x).text.count("1") % 2
        """,
        "def f(x): return float(x.count('1') % 2)",
        "def f(x): return str(x.count('1') % 2)",
        "if __name__ == '__main__':\n    raise SystemExit\ndef f(x): return x.count('1') % 2",
    ],
)
def test_a_program_is_a_module_in_one_namespace(source: str) -> None:
    content = run(source, ["0110", "0111", ""])
    assert content.answers == ["0", "1", "0"]
    assert content.end == "finished"


def test_an_error_is_a_mistake_of_its_row_alone_whatever_it_is() -> None:
    source = """
        import sys
        def f(x):
            if x == 0: return 1 // 0
            if x == 1: sys.exit(3)
            if x == 2: raise KeyboardInterrupt
            if x == 3: return f(x)
            if x == 4: return None
            if x == 5: return float("nan")
            if x == 6: return "y" * 1001
            return x
    """
    content = run(source, range(8))
    assert content.answers == [None] * 7 + ["7"]
    assert content.errors[0] == "ZeroDivisionError: integer division or modulo by zero"
    assert content.errors[1] == "SystemExit: 3"
    assert content.errors[2] == "KeyboardInterrupt"
    assert content.errors[3].startswith("RecursionError: ")
    assert content.errors[4] == "TypeError: a NoneType is no label"
    assert content.errors[6] == "ValueError: a label of 1,001 characters"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def g(x): return 1", "the program defines no function f"),
        ("f = 3", "the program defines no function f"),
        (
            "x = 1\nx += 'a'\ndef f(x): pass",
            "TypeError: unsupported operand type(s) for +=: 'int' and 'str' (line 2)",
        ),
        ("import sys\nsys.exit()", "SystemExit (line 2)"),
        ("def f(x): return (", "SyntaxError: '(' was never closed (line 1)"),
        ("def f(x): return '\0'", "null bytes"),
        ("x = '\ud800'\ndef f(x): return 1", "UnicodeEncodeError"),
        ("import os", "a program may not import 'os'; it may import __future__, collections, "),
        ("from os.path import join", "a program may not import 'os.path'"),
        ("from . import x", "a program may not import '.'"),
        ("y = 1 " * 200_000, "the program has 1,200,000 characters; at most 1,000,000 are allowed"),
    ],
)
def test_a_program_that_does_not_load_says_why(source: str, reason: str) -> None:
    content = run(source)
    assert content.end == "load"
    assert reason in content.reason
    assert content.answers == []


def test_a_program_may_do_without_a_module_it_may_not_import() -> None:
    source = """
        try:
            import gmpy2
        except ImportError:
            gmpy2 = None
        def f(x): return gmpy2 is None
    """
    assert run(source).answers == ["1"]


def test_running_out_of_memory_ends_the_run_there() -> None:
    source = """
        def f(x):
            if x == 1: raise MemoryError
            return x
    """
    content = run(source, [0, 1, 2])
    assert content.answers == ["0"]
    assert content.end == "memory"
    assert run("raise MemoryError").end == "memory"


def test_answers_too_long_in_all_end_the_run() -> None:
    content = run("def f(x): return 'y' * 500", range(10), room=1200)
    assert content.answers == ["y" * 500, "y" * 500]
    assert content.end == "full"


def test_what_a_program_prints_is_kept_to_a_limit() -> None:
    source = """
        import sys
        print("loading", "\\ud800")
        def f(x):
            print(x, file=sys.stderr)
            sys.stdout.buffer.write(b"raw ")
            return 1
    """
    content = run(source, ["first", "x" * 1000])
    assert content.output.startswith("loading \\ud800\nfirst\nraw xxx")
    assert len(content.output) == OUTPUT
    assert content.answers == ["1", "1"]


def test_an_exception_that_cannot_be_described_is_still_an_error() -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise SystemExit

    class ExhaustingError(Exception):
        def __str__(self) -> str:
            raise MemoryError

    assert describe(UnspeakableError()) == "an exception that cannot be described"
    with pytest.raises(MemoryError):
        describe(ExhaustingError())
