"""Replies as models write them, well and badly."""

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_program

SOURCE = "def f(x):\n    return x.count(\"1\") + len('a\\n')\n"
OBJECT = json.dumps({"code": SOURCE})
INDENTED = SOURCE.replace("\n", "\n      ").rstrip(" ")

WELL_WRAPPED = {
    "an object": OBJECT,
    "an indented object": json.dumps({"reason": 'a "rule"', "code": SOURCE, "n": 1}, indent=2),
    "an object in prose": f"The rule {{n}} is:\n{OBJECT}\nwhere f(x) counts.",
    "a fenced object": f"```json\n{OBJECT}\n```",
    "an unclosed fence": f"Sure.\n```json\n{OBJECT}",
    "a nested object": json.dumps({"answer": {"code": SOURCE}}),
    "a list of objects": json.dumps([{"code": "def f(x): return 0"}, {"code": SOURCE}]),
    "objects that do not compile, later": OBJECT + '{"code": "def f(x): return ("}',
    "objects without f, later": OBJECT + '{"code": "print(f(1))"}',
    "escaped characters beyond ASCII": json.dumps({"code": SOURCE, "note": "é😀"}),
    "a python dict": str({"code": SOURCE}),
    "a python dict with double quotes": str({"code": SOURCE, "it's": 1}),
    "raw line breaks": '{"code": "' + SOURCE.replace("\\", "\\\\").replace('"', '\\"') + '"}',
    "raw line breaks and the program's own escapes": '{"code": "' + SOURCE + '"}',
    "quotes nobody escaped": '{"code": "' + SOURCE.replace("\n    ", " ").strip() + '"}',
    "quotes nobody escaped, other keys": (
        '{"code": "' + SOURCE.replace("\n    ", " ").strip() + '", "note": "so it is"}'
    ),
    "triple quotes": '{"code": """' + SOURCE + '"""}',
    "a missing end": OBJECT[:-2],
    "a fence in the value": json.dumps({"code": f"```python\n{SOURCE}```"}),
    "an object written as a string": json.dumps(OBJECT),
    "thoughts before": f"<think>Perhaps {{'code': 'def f(x): return 0'}}?</think>{OBJECT}",
    "thoughts opened in the prompt": f'{{"code": "def f(x): return 0"}} no.\n</think>\n{OBJECT}',
    "thoughts that name the tag": f"<think> a <think> b </think>{OBJECT}",
    "thoughts alone": f"<think>\nSo it is {OBJECT}",
    "a tag in the program": json.dumps({"code": SOURCE + "# <think>\n"}).replace(
        "# <think>\\n", ""
    ),
    "bare code": SOURCE,
    "bare indented code": "\n    " + SOURCE.replace("\n", "\n    "),
    "a python fence": f"Here:\n```python\n{SOURCE}```\nDone, f(x) works.",
    "a fence with attributes": f'```{{.python title="f"}}\n{SOURCE}```',
    "a tilde fence": f"~~~ py\n{SOURCE}~~~",
    "a fence that is indented": f"1. Try\n      ```python\n      {INDENTED}\n      ```",
    "a fence in one line": f"Use ```python\n{SOURCE}```.",
    "a python fence cut off": f"```python\n{SOURCE}",
    "an example after": f"```python\n{SOURCE}```\nso\n```python\nprint(f('1'))\n```",
    "several fences": f"```python\ndef f(x): return 0\n```\nNo:\n```python\n{SOURCE}```",
    "a fence and an object": f"```python\ndef f(x): return 0\n```\n{OBJECT}\n```\nf = 1\n```",
    "carriage returns": f"```python\n{SOURCE}```".replace("\n", "\r\n"),
    "a key with a capital": json.dumps({"Code": SOURCE}),
    "a key of another name": json.dumps({"rule": "f(x) counts", "python_code": SOURCE}),
    "a nested key of another name": json.dumps({"answer": {"function": SOURCE}}),
    "an object with a bare key": "{code: " + json.dumps(SOURCE) + "}",
    "an object with backticks": '{"code": `' + SOURCE.replace("\\", "\\\\") + "`}",
    "a list of lines": json.dumps({"code": SOURCE.splitlines()}),
    "a list of lines with their ends": json.dumps({"code": SOURCE.splitlines(keepends=True)}),
    "a block of YAML": "code: |\n  " + SOURCE.replace("\n", "\n  "),
    "line breaks escaped twice": json.dumps({"code": json.dumps(SOURCE)[1:-1]}),
    "typographic quotes around": "{“code”: “" + json.dumps(SOURCE)[1:-1] + "”}",
    "typographic quotes throughout": (
        f"```python\n{SOURCE}```".replace('"', "”").replace("'", "\u2019")
    ),
    "unbreakable blanks": f"```python\n{SOURCE}```".replace("    ", "\u00a0" * 4),
    "blanks of no width": f"```python\n{SOURCE}```".replace("return", "\u200breturn\u2060"),
    "an object in HTML": html.escape(OBJECT),
    "code in HTML": f"<pre><code class='language-python'>{html.escape(SOURCE)}</code></pre>",
    "blanks in HTML": f"```\n{SOURCE}```".replace("    ", "&nbsp;" * 4),
    "tags around an object": f"<answer>{OBJECT}</answer>",
    "tags around code": f"So: <code>\n{SOURCE}</code>",
    "tokens of a template": f"<|start|>assistant<|channel|>final<|message|>{OBJECT}<|return|>",
    "tokens of a template around code": f"<|message|>{SOURCE}<|end|>",
    "quoted lines": "> ```python\n> " + SOURCE.replace("\n", "\n> ") + "```",
    "the prompts of an interpreter": ">>> " + SOURCE.replace("\n", "\n... ", 1),
    "the button of a chat window": f"python\nCopy code\n{SOURCE}",
    "prose before, no fence": f"The rule, as a function f:\n\n{SOURCE}",
    "prose around, no fence": f"The rule:\n\n{SOURCE}\nIt counts. Then f(x) is that.",
    "prose that looks like code": f"if you ask me:\n{SOURCE}\nfrom this f(x) follows",
}


@pytest.mark.parametrize("wrapping", WELL_WRAPPED)
def test_the_program_is_found_in(wrapping: str) -> None:
    assert read_program(WELL_WRAPPED[wrapping]).digest == Program.parse(SOURCE).digest


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "nothing in it defines a function f"),
        ("I cannot find a rule.", "nothing in it defines a function f"),
        ('{"code": ""}', "nothing in it defines a function f"),
        ('{"code": 7}', "nothing in it defines a function f"),
        ('{"code": "def g(): return f"}', "the program defines no function f"),
        ('{"code": "def f(x) return 1"}', "syntax error on line 1"),
        ("```python\nasync def f(x) pass\n```", "syntax error on line 1"),
        ("f is the function that counts", "syntax error on line 1"),
    ],
)
def test_a_reply_without_a_program_says_why_in_one_line(reply: str, reason: str) -> None:
    with pytest.raises(ProgramError, match="the reply holds no program: ") as caught:
        read_program(reply)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_endless_reply_is_refused() -> None:
    with pytest.raises(ProgramError, match="has 1,000,001 characters"):
        read_program("f" * 1_000_001)


UNITS = [
    *("{", "`", "```", "```\n", "~~~\n", '"code":', '"code":"', "'code':'f(", '"code":"f(",'),
    *('{"code": "f"},', "<think>", "</think>", '"code": """', "\\", '\\"', '"code":"\\', '"'),
    *('\\"code\\":"f" ', '"code"   ', "f(", "[f,", "f\n", "    f\n", " ", "\n", "'''", "\\u00"),
    *('{"code": "def f(x):\\n return ("}\n', "'code':\"f\\\"", '"}', '"code":"f" ,'),
    *('"code":["f",', '"code":[', "[", "&lt;f", "> f ", ">>> f\n", "<p f", "“f”\n", "def f(\n "),
    *("code=`f ", "f=f", "a[f", "f.f", "def f\n", "python\n", "\u00a0f", "<|f|>", "code:  f"),
]


@pytest.mark.parametrize("unit", UNITS[::4])
def test_a_megabyte_of_anything_comes_to_an_end(unit: str) -> None:
    # The suite's time limit would end what takes quadratic time in a million characters.
    with pytest.raises(ProgramError):
        read_program(unit * (1_000_000 // len(unit)))


SOURCES = st.builds(
    "def f(x):\n    return {!r}, {!a}  # {}\n".format,
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
)


@given(SOURCES, st.booleans(), st.sampled_from([None, 2]))
def test_any_program_survives_json(source: str, ascii_only: bool, indent: int | None) -> None:
    reply = json.dumps({"why": "a", "code": source}, ensure_ascii=ascii_only, indent=indent)
    assert read_program(reply) == Program.parse(source)


@given(SOURCES)
def test_any_program_survives_a_python_dict(source: str) -> None:
    assert read_program(repr({"code": source, "n": 1})) == Program.parse(source)


@given(SOURCES.filter(lambda source: "```" not in source))
def test_any_program_survives_a_fence(source: str) -> None:
    assert read_program(f"So:\n```python\n{source}```\n") == Program.parse(source)


@given(st.text() | st.lists(st.sampled_from([*UNITS, SOURCE, OBJECT])).map("".join))
def test_a_reply_is_read_or_refused_and_nothing_else(reply: str) -> None:
    try:
        program = read_program(reply)
    except ProgramError:
        return
    assert Program.parse(program.source) == program
