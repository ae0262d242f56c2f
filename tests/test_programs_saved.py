"""The file handed over: the header stays text, the program stays the program."""

import ast
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.saved import read_saved, write_program

SOURCES = {
    "plain": "def f(x):\n    return 'plain', __name__\n",
    "future": "from __future__ import annotations\ndef f(x: missing):\n    return 'future'\n",
    "docstring": "'mine'\ndef f(x):\n    return 'docstring'\n",
    "docstring and future": "'mine'\nfrom __future__ import annotations\ndef f(x: y): return 1\n",
    "reads its docstring": "def f(x):\n    return __doc__\n",
    "has one and reads it": "'''mi\\ne'''\ndef f(x):\n    return __doc__, f.__doc__\n",
    "an odd escape in its docstring": "'\\d'\nf = lambda x: 1\n",
    "coding line": "# -*- coding: latin-1 -*-\nf = lambda x: 'é'\n",
    "the mark itself": "f = lambda x: '''\n#--- the program, exactly as proposed ---\n'''\n",
    "form feeds and separators": "\f\nf = lambda x: '\x1c\x85\u2028'\n",
    "blank lines": "\n\n\nf = lambda x: 1\n\n\n",
    "no docstring": "b'bytes'\nf = lambda x: __name__\n",
}
HOSTILE = [
    '"""\nimport os; os.abort()\n"""',
    '\\"""\nraise SystemExit\n',
    '"' * 7,
    'ends with a quote"',
    "ends with a backslash\\",
    "\\N{DOES NOT EXIST} \\x \\u12 \\",
    "\0 \ud800 \udfff \r\n \r \f \x1c \x85 \u2028 \u202e",
    "# -*- coding: rot13 -*-\n# -*- coding: utf-7 -*-",
    "#--- the program, exactly as proposed ---\nf = lambda x: 'forged'\n",
    "\n#--- the program, exactly as proposed ---\nf = 'forged'",
    "'''",
    "{braces} %s é 😀\tand tabs",
]
HEADERS = st.text() | st.text('"\\#\n\r\0N{} x') | st.lists(st.sampled_from(HOSTILE)).map("".join)


def answer(code: str | bytes) -> object:
    namespace: dict[str, object] = {"__name__": "candidate"}
    exec(compile(code, "<file>", "exec", dont_inherit=True), namespace)
    function = namespace["f"]
    assert callable(function)
    return function("")


def as_saved(source: str) -> str:
    """The one of the sources above that holds what does not print, spelled out."""
    return source.replace("\x1c\x85\u2028", r"\x1c\x85\u2028")


@pytest.mark.filterwarnings("ignore:invalid escape")
@pytest.mark.filterwarnings("ignore:.*invalid escape sequence")
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("header", HOSTILE)
def test_a_saved_program_behaves_as_proposed_whatever_its_header(name: str, header: str) -> None:
    program = Program.parse(SOURCES[name])
    text = write_program(program, header)
    assert read_saved(text).digest == program.digest
    assert text.endswith(as_saved(program.source))
    # A string, as a program is proposed, has no encoding; a file has, and must not take another.
    assert answer(text.encode("utf-8")) == answer(program.source)


@given(HEADERS, st.sampled_from(sorted(SOURCES)))
@example('"""', "plain")
@example("\\", "plain")
def test_any_header_stays_text(header: str, name: str) -> None:
    program = Program.parse(SOURCES[name])
    text = write_program(program, header)
    assert read_saved(text).digest == program.digest
    assert text.endswith(as_saved(program.source))
    head = text.removesuffix(as_saved(program.source))
    if head.startswith('"""'):
        (statement,) = ast.parse(head.encode()).body
        docstring = ast.get_docstring(ast.Module([statement], []), clean=False)
        assert docstring is not None
        spelled = header.encode("utf-8", "backslashreplace").decode("utf-8")
        assert spelled.strip("\n") in docstring
    else:
        assert ast.parse(head.encode()).body == []


def test_the_header_of_a_plain_program_is_its_docstring() -> None:
    text = write_program(Program.parse("f = len"), "Right on 98 of 100 rows.\nÉtude.")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None
    assert "Right on 98 of 100 rows.\nÉtude." in docstring
    assert "runs the program unconfined" in docstring
    assert "`llm-pv predict` and `llm-pv verify` run it confined" in docstring


def test_the_header_of_a_program_with_a_docstring_stands_in_comments() -> None:
    text = write_program(Program.parse("'mine'\nf = len"), "Right on\n98 rows.")
    assert ast.get_docstring(ast.parse(text)) == "mine"
    assert "\n# Right on\n# 98 rows.\n" in text
    assert "unconfined" in text


def test_a_file_written_on_windows_reads_the_same(tmp_path: Path) -> None:
    program = Program.parse(SOURCES["plain"])
    path = tmp_path / "program.py"
    path.write_text(write_program(program, "a\nb"), encoding="utf-8", newline="\r\n")
    assert read_saved(path.read_bytes().decode("utf-8")) == program


def test_a_module_written_by_hand_is_read_too() -> None:
    assert read_saved("'''doc'''\ndef f(x): return 1\n").source.startswith("'''doc'''")


def test_a_saved_program_that_lost_its_mark_is_still_a_program() -> None:
    program = Program.parse(SOURCES["plain"])
    lines = write_program(program, "header").splitlines(keepends=True)
    edited = "".join(line for line in lines if not line.startswith("#---"))
    assert read_saved(edited).digest == program.digest


def test_a_saved_program_can_be_proposed_and_saved_again() -> None:
    program = Program.parse(write_program(Program.parse("f = len"), "first"))
    assert read_saved(write_program(program, "second")) == program


def test_a_file_without_a_program_is_refused() -> None:
    with pytest.raises(ProgramError, match="defines no function f"):
        read_saved("print('hello')")


@pytest.mark.parametrize(
    ("source", "saved"),
    [
        ("f = 1  # \x1b[2Jred\n", "f = 1  # \\x1b[2Jred\n"),
        ("# \u202e\u2066 \u200b\nf = len\n", "# \\u202e\\u2066 \\u200b\nf = len\n"),
        ("f = '\u202eadmin\u2066'  # \x9b\n", "f = '\\u202eadmin\\u2066'  # \\x9b\n"),
        # A raw string would mean something else with an escape in it: only the comment is changed.
        ("f = r'\u202e'  # \x07\n", "f = r'\u202e'  # \\x07\n"),
        ("f = '\\\x1b', b'x'  # \x07\n", "f = '\\\x1b', b'x'  # \\x07\n"),
        ("\f\nf = 'é 😀\t'  # é\t😀\n", "\f\nf = 'é 😀\t'  # é\t😀\n"),
        ("def f(x):\n  '''a\n\x1b b'''\n", "def f(x):\n  '''a\n\\x1b b'''\n"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*invalid escape sequence")
def test_what_does_not_print_is_saved_as_escapes(source: str, saved: str) -> None:
    program = Program.parse(source)
    text = write_program(program, "header")
    assert text.endswith(f"\n{saved}")
    assert read_saved(text).digest == program.digest
