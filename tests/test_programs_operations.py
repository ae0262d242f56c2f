r"""What is read of a source besides its program: imports, gist, escapes, and how it is shown."""

import pytest

from llm_pv.errors import ProgramError
from llm_pv.programs import saved
from llm_pv.programs.operations import escaped, gist, imports, reply, several
from llm_pv.programs.program import Program
from llm_pv.programs.saved import write_program
from llm_pv.programs.shown import highlight_python, shorten, visible, visible_code


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import d, a.b as c\nfrom e.f import g\nfrom . import h\nfrom .i import j\nx = 'k l'",
         ["a", "d", "e"]),
        ("import a\n__import__('k')\nx = 'm n'", ["a", "k", "m", "n"]),
        ("import importlib\nimportlib.import_module('k.m')", ["importlib", "k", "m"]),
        ("def f(x):\n    import a\n    exec\n    return 'b', b'c', 1", ["a", "b"]),
        ("x.y = 'a'", []),
    ],
)  # fmt: skip
def test_the_modules_of_a_source_are(source: str, modules: list[str]) -> None:
    assert imports(source) == modules


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def g(x):\n    return 2\ndef f(x):\n    '''doc'''\n    import a\n    from b import c\n"
         "    y = 1\n    y += 1\n    if x:\n        return 1\n    return (2 +\n        3)\nz = 1",
         "y += 1 if x: return 1 return (2 + 3)"),
        ("def f(x):\n    g(x)\n    return 1", "g(x) return 1"),
        ("  \nf = len", ""),
        (" # a\nf = len", "# a"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_gist_of_a_source_is(source: str, said: str) -> None:
    assert gist(source) == said


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("x = 1; s = '''a\x1b\n\x1bb\x1b''' # \x1b\t\nf = 1\n",
         "x = 1; s = '''a\\x1b\n\\x1bb\\x1b''' # \\x1b\t\nf = 1\n"),
        ("f = u'\x1b', U\"\x1b\", '\x1b'\n", "f = u'\\x1b', U\"\\x1b\", '\\x1b'\n"),
        # An escape in a raw string would be another program: then comments alone are changed.
        ("f = r'\x1b', '\x1b'  # \x1b\n", "f = r'\x1b', '\\x1b'  # \\x1b\n"),
        ("f = '\\\x1b', '\x1b'  # \x1b\n", "f = '\\\x1b', '\x1b'  # \\x1b\n"),
        ("f = 'a\t'\n", "f = 'a\t'\n"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*invalid escape sequence")
def test_what_does_not_print_is_escaped_where_it_may_be(source: str, written: str) -> None:
    assert escaped(source) == (written, False)
    assert escaped(f"'doc'\n{source}") == (f"'doc'\n{written}", True)


def test_replies_are_read_with_what_a_candidate_mentions_and_how_it_ends() -> None:
    learn = "def learn(rows):\n    return 1\n"
    text = f"```\n{learn}```\n```\ndef f(x):\n    return 2\n```"
    ending = "\nf = learn(1)\n"
    found = Program.parse(learn.strip() + ending)
    assert reply(text, r"^def learn\b", ending) == (found.source, found.digest, found.bits)
    with pytest.raises(ProgramError, match="nothing in it defines a function f"):
        reply(f"```\n{learn}```", any_name=False)
    assert reply(f"```\n{learn}```")[0] == f"{learn}\nf = learn\n"
    one, two = (Program.parse(f"f = {name}\n") for name in ("min", "max"))
    blocks = "".join(f"```\n{each.source}```\n" for each in (one, two))
    assert several(blocks, 2) == [(each.source, each.digest, each.bits) for each in (two, one)]


HEAD = "A program learned by LLM-PV; call f(x)."
WARNING = (
    "Importing or running this file runs the program unconfined, with all your rights.",
    "`llm-pv predict` and `llm-pv verify` run it confined.",
)
MARK = "#--- the program, exactly as proposed ---"


def test_a_saved_program_is_written_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    header = '\n# said """ \\ \x1b\n \nmore\n'
    lines = [HEAD, "", '\\x23 said \\"\\"\\" \\\\ \\x1b', " ", "more", "", *WARNING]
    plain = write_program(Program.parse("f = len"), header)
    assert plain == "\n".join(['"""' + lines[0], *lines[1:], '"""', "", MARK, "f = len\n"])
    lines[2] = '# said """ \\\\ \\x1b'
    comments = [f"# {line}".rstrip() for line in lines]
    for source in ("'mine'\nf = len\n", "f = lambda x: __doc__\n"):
        text = write_program(Program.parse(source), header)
        assert text == "\n".join([*comments, "", MARK, source])

    def slow(operation: str, source: str) -> None:
        raise ProgramError("it takes more than 8 s to parse")

    monkeypatch.setattr(saved, "ask_one", slow)
    text = write_program(Program("f = '\x1b'\n", "", 0), header)
    assert text == "\n".join([*comments, "", MARK, "f = '\x1b'\n"])


def test_what_is_shown_is_in_one_line_escaped_and_cut() -> None:
    assert visible(None) == "None"
    assert visible(" a\t\n b\x1b ") == "a b\\x1b"
    assert visible("a" * 200) == "a" * 200
    assert visible("a" * 201) == "a" * 199 + "…"
    assert [shorten("abc", 3), shorten("abcd", 3)] == ["abc", "ab…"]
    assert visible_code("\ta\x1b \u202e\n") == "\ta\\x1b \\u202e\n"
    assert visible_code("a" * 20_000) == "a" * 20_000
    assert visible_code("a" * 20_001) == "a" * 19_999 + "…"


def test_code_as_html_keeps_its_lines_and_has_classes_or_colours() -> None:
    assert highlight_python("\nx\n") == '\n<span class="n">x</span>\n'
    assert "\x1b" not in highlight_python("'\x1b'")
    inline = highlight_python("return", inline=True)
    assert inline.startswith('<span style="')
    assert "class" not in inline
