r"""Read of a source besides its program: imports, summaries, escapes, and its printable form."""

import json

import pytest

from llm_pv.errors import ProgramError
from llm_pv.programs import replies, saved, syntax
from llm_pv.programs.operations import body_summary, escaped, imports, reply, several
from llm_pv.programs.program import Program
from llm_pv.programs.replies import complete_part, find_program, read_program, read_several
from llm_pv.programs.saved import write_program
from llm_pv.programs.shown import highlight_python, shorten, visible, visible_code


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import d, a.b as c\nfrom e.f.g import g\nfrom . import h\nfrom .i import j\nx = 'k l'",
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
    assert body_summary(source) == said


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
        ("f = '\x1b' \f\n", "f = '\\x1b' \f\n"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*invalid escape sequence")
def test_what_does_not_print_is_escaped_where_it_may_be(source: str, written: str) -> None:
    assert escaped(source) == (written, False)
    assert escaped(f"'doc'\n{source}") == (f"'doc'\n{written}", True)


def test_replies_are_read_with_what_a_candidate_mentions_and_how_it_ends() -> None:
    learn = "import re\n\ndef learn(rows):\n    return 1\n"
    text = f"```\n{learn}```\n```\ndef f(x):\n    return 2\n```"
    ending = "\nf = learn(1)\n"
    found = Program.parse(learn.strip() + ending)
    assert reply(text, r"^def learn\b", ending) == (found.source, found.digest, found.bits)
    assert read_program(text, mention=r"^def learn\b", ending=ending) == found
    with pytest.raises(ProgramError, match="nothing in it defines a function f"):
        reply(f"```\n{learn}```", any_name=False)
    assert reply(f"```\n{learn}```")[0] == f"{learn}\nf = learn\n"
    one, two = (Program.parse(f"f = {name}\n") for name in ("min", "max"))
    blocks = "".join(f"```\n{each.source}```\n" for each in (one, two))
    assert several(blocks, 2) == [(each.source, each.digest, each.bits) for each in (two, one)]


def fenced(*blocks: str) -> str:
    return "\n".join(f"```\n{block}\n```" for block in blocks)


FITS, BROKEN = f"f = [{'1' * 44}]", [f"f = ({digit * 45}" for digit in "234"]  # 50 characters each
SHORT = [f"f = ({digit * 25}" for digit in "78"]  # 30
LONG = [f"f = ({digit * 46}" for digit in "56"]


@pytest.mark.parametrize(
    ("blocks", "found"),
    [
        ([FITS, BROKEN[0]], FITS),  # 100 in all
        ([FITS + " ", BROKEN[0]], FITS + " "),  # longer ones are refused at once and count nothing
        ([FITS, *BROKEN[:2]], None),  # 150
        ([FITS, *LONG], FITS),
        ([FITS, BROKEN[0], LONG[0]], FITS),
        # One that no longer fits is passed over: 50, 80, 110, and 100.
        (["f = [" + "1" * 15 + "]", *SHORT, BROKEN[0]], None),  # 21
        (["f = [" + "1" * 14 + "]", *SHORT, BROKEN[0]], "f = [" + "1" * 14 + "]"),
        (["h=lambda x:1", "def g(x): return 1", SHORT[0], BROKEN[0]], "h=lambda x:1\n\nf = h"),
    ],
)  # fmt: skip
def test_so_many_characters_of_candidates_are_tried(
    blocks: list[str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "_MAX_CHARACTERS_TRIED", 100)
    monkeypatch.setattr(replies, "MAX_SOURCE_CHARACTERS", 50)
    if found is None:
        with pytest.raises(ProgramError, match="the reply holds no program: syntax error"):
            find_program(fenced(*blocks))
    else:
        assert find_program(fenced(*blocks)).source == found + "\n"


def test_what_was_tried_counts_once_and_forty_tries_are_made() -> None:
    broken = [f"f = ({number}" for number in range(40)]
    assert find_program(fenced("f = len", *broken[:1] * 45)).source == "f = len\n"
    named = "def g(x): return 1"
    assert find_program(fenced(named, *broken[:39])).source == f"{named}\n\nf = g\n"
    with pytest.raises(ProgramError, match="holds no program: syntax error on line 1"):
        find_program(fenced(named, *broken))
    without_input = [f"def g{number}(): pass" for number in range(40)]
    assert find_program(fenced(named, *without_input[:39])).source == f"{named}\n\nf = g\n"
    with pytest.raises(ProgramError, match="nothing in it defines a function f"):
        find_program("\n".join(f'{{"code": "{one}"}}' for one in [named, *without_input]))


def test_helpers_come_from_the_blocks_before_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    text = fenced("g = 1", "f = g")
    assert find_program(text).source == "g = 1\n\nf = g\n"
    # A program beside the blocks has none before it; nor has one of a reply that is too long.
    assert find_program('{"code": "f = g"}\n' + fenced("g = 1", "x = 2")).source == "f = g\n"
    many = [f"g{number} = 1" for number in range(11)]
    for used, joined in (("g0", ""), ("g1", "g1 = 1\n\n")):
        found = find_program(fenced(*many, f"f = {used}"))
        assert found.source == f"{joined}f = {used}\n"
    monkeypatch.setattr(replies, "_MAX_CHARACTERS_TRIED", len(text))
    assert find_program(text).source == "g = 1\n\nf = g\n"
    assert find_program(f"{text} ").source == "f = g\n"


def test_damaged_code_in_thoughts_is_read_if_there_is_nothing_else() -> None:
    text = "<think>\n> def f(x):\n>     return 1\n</think>I do not know."
    assert find_program(text).source == "def f(x):\n    return 1\n"


@pytest.mark.parametrize("key", ["code", "rule", "final answer"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_program_in_json_may_begin_with_imports(key: str, indent: int | None) -> None:
    source = "import math\n\ndef f(x):\n    return math.floor(x)\n"
    assert find_program(json.dumps({"why": "a", key: source}, indent=indent)).source == source


def test_a_program_in_a_fence_is_kept_to_the_blank() -> None:
    source = "f = '''a\n   \n  b'''\n"
    assert find_program(f"```\n{source}```").source == source
    assert find_program(f"```\n  {source}```").source == "f = '''a\n\nb'''\n"


def test_several_programs_are_read_from_keys_too_and_so_many_candidates_are_tried() -> None:
    def sources(text: str, most: int) -> list[str]:
        return [source for source, _, _ in several(text, most)]

    keys = '{"code": "f = min"} {"code": "def f(x) return"} {"code": "f = max"}'
    assert sources(keys, 3) == ["f = max\n", "f = min\n"]
    programs = [f"f = lambda x: {number}\n" for number in range(5)]
    assert sources(json.dumps([{"code": one} for one in programs]), 5) == programs[::-1]
    comments = [f"f = max  # {number}" for number in range(4)]
    assert sources(fenced("f = min", *comments[1:]), 2) == ["f = max  # 3\n", "f = min\n"]
    assert sources(fenced("f = min", *comments), 2) == ["f = max  # 3\n"]


def test_a_reply_is_read_up_to_the_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    text = fenced("f = len")
    monkeypatch.setattr(replies, "MAX_REPLY_CHARACTERS", len(text))
    assert read_program(text).source == "f = len\n"
    assert [each.source for each in read_several(text, 2)] == ["f = len\n"]
    for read in (lambda: read_program(f"{text} "), lambda: read_several(f"{text} ", 2)):
        with pytest.raises(ProgramError) as caught:
            read()
        assert str(caught.value) == "the reply has 16 characters, at most 15 are read"


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("```\nf = lambda x: 1\n```", "```\nf = lambda x: 1\n```"),
        ("```\n0 1\n```\nA lambda", ""),
        ('{"code": "def g(x): return 1", "why": "', '{"code": "def g(x): return 1"'),
        (r'{"code": "import a\ndef f(x): 1", "', r'{"code": "import a\ndef f(x): 1"'),
        ('{"rule": "def g(x): return 1", "why": "', ""),
    ],
)
def test_of_a_reply_that_was_cut_off_the_complete_part_is(text: str, complete: str) -> None:
    assert complete_part(text) == complete


@pytest.mark.parametrize("repeated", ["\n", "Out[1]: x\n", " \n", ",\n", "return\n", "```\n"])
def test_a_reply_that_repeats_a_line_until_it_is_cut_off_is_read_in_linear_time(
    repeated: str,
) -> None:
    # Work that grows with the square of the lines would take many times the limit of a test.
    assert complete_part(repeated * (1_000_000 // len(repeated))) == ""
    program = "```\ndef f(x):\n    return 1\n```\n"
    assert complete_part(program + "\n" * 400_000) == program.rstrip("\n")


def test_a_source_is_read_with_one_kind_of_line_ends_and_up_to_its_longest() -> None:
    assert syntax.clean_source("\ufeffa\r\nb\rc\ufeff") == "a\nb\nc\ufeff\n"
    # The line of the training rows counts as its end alone.
    rows = f'_training_rows = "{"A" * 60_000}"\n'
    for comment, fits in ((49_998, True), (49_999, True), (50_000, False)):
        source = f"{rows}#{'x' * (comment - 1)}"
        if fits:
            assert syntax.checked_length(source) is source
        else:
            with pytest.raises(ProgramError) as caught:
                syntax.checked_length(source)
            assert str(caught.value) == "the source has 50,001 characters, at most 50,000 are read"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecursionError("deep"), "the source is nested too deeply to compile"),
        (MemoryError(), "the source is nested too deeply to compile"),
        (ValueError("too\n  long"), "the source does not compile: too long"),
        (OverflowError("big"), "the source does not compile: big"),
        (SyntaxError("odd"), "syntax error on line 1: odd"),
        (SyntaxError("odd\n one", ("", 7, 1, "")), "syntax error on line 7: odd one"),
    ],
)
def test_what_the_compiler_says_is_one_line(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(syntax, "compile", compiled, raising=False)
    with pytest.raises(ProgramError) as caught:
        syntax.parse_source("f = 1")
    assert str(caught.value) == reason


HEAD = "A program learned by LLM-PV; call f(x)."
WARNING = (
    "Importing or running this file runs the program unconfined, with all your rights.",
    "`llm-pv predict` and `llm-pv verify` run it confined.",
)
MARK = "#--- the program, exactly as proposed ---"


def test_a_saved_program_is_written_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    header = '\n# said """ \\ \x1b\n \nmore \n'
    lines = [HEAD, "", '\\x23 said \\"\\"\\" \\\\ \\x1b', " ", "more ", "", *WARNING]
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
