r"""Strings, objects and fenced blocks in a text, each reading worked out by hand."""

import json
from typing import Any

import pytest

from llm_pv.programs.entry_points import binds_entry_point, with_entry_point
from llm_pv.programs.fences import CodeBlock, block_readings, fenced_blocks, joined_source
from llm_pv.programs.literals import (
    ANY_STRING,
    CODE_KEY,
    likely_values,
    objects,
    strings,
    unescape,
    values,
)
from llm_pv.programs.repair import code_runs, repaired

OBJECTS: dict[str, list[Any]] = {
    '{"a": 1}': [{"a": 1}],
    "{} {}": [{}, {}],
    "x {'a': (1, 2), b: [True, none, Undefined, NULL, False]} y": [
        {"a": [1, 2], "b": [True, None, None, None, False]}
    ],
    '{// one\n"a": 1, # two\n "b": /* three * / */ 2,}': [{"a": 1, "b": 2}],
    '{"a": 1 "b": [1 2 {"c": 3} "d"] "e": 4}': [
        {"a": 1, "b": [1, 2, {"c": 3}, "d"], "e": 4}
    ],
    '{"a": 1,, "b": [1,,],}': [{"a": 1, "b": [1]}],
    '{"a": [1, {"b": (2': [{"a": [1, {"b": [2]}]}],
    '{"a": [1,': [{"a": [1]}],
    '{"a": {"b": 1, "c": 2}, "d": {}} {"e": 1}': [
        {"a": {"b": 1, "c": 2}, "d": {}}, {"e": 1},
    ],
    '{"a": [1}, "b": 2}': [{"a": [1], "b": 2}],
    '{"a": 1} {"b": "c': [{"a": 1}],
    '{"a": 1} {"b": @} {"c": 1}': [{"a": 1}],
    '{"a": [,1]} {"c": 1}': [],
    "{'a': b'x', u'k': Rb\"y\", \"q\": 'z'}": [{"a": "x", "k": "y", "q": "z"}],
    "{a: -1, b: 0.5, c: 1e5, d: 1E+2, e: 01, f: +1}": [
        {"a": -1, "b": 0.5, "c": 1e5, "d": 100.0, "e": "01", "f": "+1"}
    ],
    "{a: 123456789012345678, b: 1234567890123456789}": [
        {"a": 123456789012345678, "b": "1234567890123456789"}
    ],
    '{"a": "x\\n\\u00e9\\"\\d\ny", \'b\': \'it\\\'s "so"\'}': [
        {"a": 'x\n\xe9"\\d\ny', "b": 'it\'s "so"'}
    ],
    "{why: f.x-1, note: (None)}": [{"why": "f.x-1", "note": [None]}],
    '{"a":' * 5_000: [],
    "no object": [],
}  # fmt: skip


@pytest.mark.parametrize("text", OBJECTS, ids=lambda text: text[:20])
def test_the_objects_of_a_text_are(text: str) -> None:
    assert objects(text) == OBJECTS[text]


def test_escapes_that_json_and_python_share_are_resolved_and_others_kept() -> None:
    written = r"\n\t\r\b\f\"\'\/\\\d\x41\u00e9\ud83d\ude00\u00g1\q"
    assert unescape(written) == "\n\t\r\b\f\"'/\\\\d" + "A\xe9\U0001f600\\u00g1\\q"


def spans(text: str, pattern: Any) -> list[str]:
    return [text[opening.end() : end] for opening, end in strings(text, pattern)]


def test_strings_begin_at_the_pattern_and_none_is_within_another() -> None:
    text = '{"code": "a\\"b", "x": "\'code\': \'c\'", \'code\': \'d\\\'e\', "code": """f"g"""h'
    assert spans(text, CODE_KEY) == ['a\\"b', "c", "d\\'e", 'f"g']
    assert spans('"code": """a"b', CODE_KEY) == ['a"b']
    assert spans('"code": """a""" and """b"""', CODE_KEY) == ["a"]
    assert spans('"code": "a', CODE_KEY) == ["a"]
    assert spans("['a', \"'b'\", `c`, '''d'e''']", ANY_STRING) == ["a", "'b'", "c", "d'e"]


READINGS = {
    # In one line: resolved, with quotes alone resolved, and resolved twice.
    r'{"code": "a\\n\"b"}': ["a\\n\"b", 'a\\\\n"b', 'a\n"b'],
    # With real line ends a \n belongs to the program, unless backslashes are doubled.
    '{"code": "a\n\\n\\"b"}': ['a\n\\n"b', 'a\n\n"b'],
    '{"code": "a\n\\\\n\\"b"}': ['a\n\\n"b', 'a\n\\\\n"b', 'a\n\\n"b'],
    '{"code": "\na\\n"}': ["\na\n", "\na\\n", "\na\n"],
    # The last string first; later ends, the last and then four.
    '{"code": "a", "b"} {"code": "c"}': ["c"] * 3 + ["a"] * 3 + ['a", "b'] * 3,
    '{"code": "a" , "b"} "c"] "d") "e", "f"} "g"': (
        ["a"] * 3 + ['a" , "b"} "c"] "d") "e", "f'] * 3
        + ['a" , "b'] * 3 + ['a" , "b"} "c'] * 3 + ['a" , "b"} "c"] "d'] * 3
        + ['a" , "b"} "c"] "d") "e'] * 3
    ),
    '{"code": "a" "1"} "2"} "3"} "4"} "5"} "6"}': [
        each for cut in (6, 1, 2, 3, 4)
        for each in ['a" ' + " ".join(f'"{n}"}}' for n in range(1, cut + 1))[:-2]] * 3
    ],
}  # fmt: skip
READINGS['{"code": "a" "1"} "2"} "3"} "4"} "5"} "6"}'][:0] = ["a"] * 3


@pytest.mark.parametrize("text", READINGS)
def test_the_readings_of_a_string_come_likeliest_first(text: str) -> None:
    assert list(values(text, CODE_KEY)) == READINGS[text]


LIKELY = {
    # A list of lines, then its lines that may define a function.
    '["def f(x):", "    return 1"]': (
        ["def f(x):\n    return 1"] + ["def f(x):"] * 3 + ['def f(x):", "    return 1'] * 3
    ),
    '["def f(x):\\n", "    return 1\\n"]': [
        "def f(x):\n    return 1", "def f(x):\n", "def f(x):\\n", "def f(x):\n",
        *['def f(x):\n", "    return 1\n', 'def f(x):\\n", "    return 1\\n',
          'def f(x):\n", "    return 1\n'],
    ],
    '("f = lambda x: " + ("1 +"\n" x"))': (
        ["f = lambda x: 1 + x"] + ["f = lambda x: "] * 3 + ['f = lambda x: " + ("1 +"\n" x'] * 2
    ),
    # A function may follow an escaped line break at once.
    r'{"rule": "import a\ndef f"}': ["import a\ndef f", r"import a\ndef f", "import a\ndef f"],
    # Neither without a function, nor after prose, nor of one string; a key is no value.
    '["import a", "b = 1"]': [],
    '["so", "def f(x): 1"]': ["def f(x): 1"] * 3,
    '["def f(x): 1"]': ["def f(x): 1"] * 3,
    '{"def a": "def b", "x": "1"}': ["def b"] * 3 + ['def b", "x": "1'] * 3,
    # The last list first.
    '["import a", "def f(x): 1"] ["import b", "def g(x): 2"]': [
        "import b\ndef g(x): 2", "import a\ndef f(x): 1", *["def g(x): 2"] * 3,
        *["def f(x): 1"] * 3,
    ],
    '["import a", "def f"], ["import b", "c"]': [
        "import a\ndef f", *["def f"] * 3, *['def f"], ["import b", "c'] * 3,
        *['def f"], ["import b'] * 3,
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", LIKELY)
def test_strings_that_may_be_a_program_are(text: str) -> None:
    assert list(likely_values(text)) == LIKELY[text]


def test_at_most_so_many_strings_and_lists_are_read_the_last_ones() -> None:
    many = "\n".join(f'["def f{n}(x):", "    return {n}"] so' for n in range(120))
    found = list(likely_values(many))
    assert found[:6] == [*(f"def f{n}(x):\n    return {n}" for n in range(119, 114, -1)),
                         "def f119(x):"]  # fmt: skip
    assert [found[-1], found[-2][:9]] == ['def f20(x):", "    return 20', "def f20(x"]
    keys = "".join(json.dumps({"code": f"a{n}"}) for n in range(120))
    assert len(list(values(keys, CODE_KEY))) == 3 * 100


BLOCKS = {
    "```\na\n```\nb\n~~~ py\nc\n~~~": [(4, 6, True), (19, 21, True)],
    "```": [(3, 3, False)],
    "```\n": [(4, 4, False)],
    "```\n```": [(4, 4, True)],
    "```\na": [(4, 5, False)],
    "````\na\n```\n~~~~\n`````": [(5, 16, True)],
    "```\na\n``` b\nc\n``` \t": [(4, 14, True)],
    "a ```\nb": [],
}


@pytest.mark.parametrize("text", BLOCKS)
def test_fenced_blocks_are(text: str) -> None:
    assert fenced_blocks(text) == [
        CodeBlock(start, end, closed=closed) for start, end, closed in BLOCKS[text]
    ]


def test_a_block_is_read_to_a_later_fence_where_it_ends_within_a_string() -> None:
    parts = ['s = """\n', "x\n", '"""\n', "b"]
    text = f"a\n```py\n{parts[0]}```\n{parts[1]}```\n{parts[2]}```\n{parts[3]}"
    whole = f"{parts[0]}```\n{parts[1]}```\n{parts[2]}"
    between = ["\nb", '\n"""\n', "\nx\n", '\ns = """\n', "a\n"]
    assert list(block_readings(text)) == ['"""\n', parts[0], whole, *between * 2]
    assert list(block_readings("```\na\n```\nb")) == ["a\n", *["\nb", "\na\n", ""] * 2]
    both = ["", "\nb\n", "\n", "\na\n", ""]
    assert list(block_readings("```\na\n```\n```\nb\n```")) == ["b\n", "a\n", *both * 2]
    assert list(block_readings("So `a` ```py b``` c")) == [
        "So `a` ```py b``` c", " c", "py b", "So `a` ",
    ]  # fmt: skip
    single = "```\nr = '''\n```\n'''\n```"
    assert list(block_readings(single))[:3] == ["", "r = '''\n", "r = '''\n```\n'''\n"]
    # Twenty later fences are tried, a twenty-first is not.
    inner = "".join("```\na\n" for _ in range(19))
    for more, found in (("", True), ("```\na\n", False)):
        long = f'```\ns = """\n{inner}{more}```\n"""\n```'
        assert ((f's = """\n{inner}{more}```\n"""\n') in list(block_readings(long))) is found


ENTRIES = {
    "def g(x):\n    pass\ndef h(x):\n    pass\ndef k(x):\n    pass": ["k", "h"],
    "def g():\n    pass\ndef h( ):\n    pass": [],
    "def _g(x): 1\ndef main(x): 1\ndef test_g(x): 1\ndef check(x): 1\nh = lambda a: 1": ["h"],
    "class A:\n    def g(self): pass\n    def f(self): pass\n    def h(self): pass": [
        "A().f", "A().h", "A().g",
    ],
    "class A:\n    def _g(self): 1\n    def __call__(self): 1\ndef h(x):\n    def k(y): 1": [
        "h", "A()",
    ],
    "def g(x):\n    def f(y): pass": ["g"],
    "class A:\n    def f(self): pass\nclass B:\n    def f(self): pass": ["B().f"],
    "g: int = lambda x: 1": ["g"],
    "g = lambda: 1": [],
}  # fmt: skip


@pytest.mark.parametrize("source", ENTRIES)
def test_the_entry_points_of_a_source_are(source: str) -> None:
    assert list(with_entry_point(f"{source}\n\n")) == [
        f"{source}\n\nf = {entry}\n" for entry in ENTRIES[source]
    ]


def test_async_functions_and_a_lambda_expression_are_made_plain() -> None:
    source = "async def f(x):\n    async with x: return await g(x)"
    assert list(with_entry_point(source)) == ["def f(x):\n    with x: return g(x)"]
    source = "async def g(x):\n    return await x"
    assert list(with_entry_point(source)) == ["def g(x):\n    return x\n\nf = g\n"]
    assert list(with_entry_point("\n ((lambda x: 1)) \n")) == ["f = ((lambda x: 1))\n"]
    assert list(with_entry_point("g(lambda x: 1)")) == []


@pytest.mark.parametrize(
    ("text", "binds"),
    [("f = 1", True), ("async def f (x)", True), ("f: int = 1", True), ("f == 1", False),
     (" f = 1", False), ("def fg(x)", False), ("a\ndef f(", True)],
)  # fmt: skip
def test_a_line_binds_the_entry_point(text: str, binds: bool) -> None:
    assert binds_entry_point(text) is binds


@pytest.mark.parametrize(
    ("source", "earlier", "joined"),
    [
        ("f = g\n", ["g = h", "h = 1"], "g = h\n\nf = g\n"),
        ("f = g\n", ["h = 1", "g = h\n"], "h = 1\n\ng = h\n\nf = g\n"),
        ("f = g\n", ["g = 1\n", "g = 2\n"], "g = 2\n\nf = g\n"),
        ("f = len\n", ["len = 1\n"], "f = len\n"),
        ("g = 1\nf = g\n", ["g = 2\n"], "g = 1\nf = g\n"),
        ("f = lambda x: x\n", ["x = 2\n"], "f = lambda x: x\n"),
        ("f = g\n", ["g = (", "g = '\\0\0'", "g = 1"], "g = 1\n\nf = g\n"),
        ("f = g.a + k\n", ["k = 1\n", "a = 2\n", "import g\n"],
         "k = 1\n\nimport g\n\nf = g.a + k\n"),
    ],
)  # fmt: skip
def test_a_source_gets_the_blocks_before_it_that_define_what_it_lacks(
    source: str, earlier: list[str], joined: str
) -> None:
    assert joined_source(source, earlier) == joined


@pytest.mark.parametrize(
    ("text", "originals"),
    [
        ("a &amp;amp;lt; b", ["a &lt; b"]),
        ("a &not b", []),
        ("if a:\n \tb\t\n\t\tc", ["if a:\n    b\t\n        c"]),
        ("\x1b[1ma", ["a"]),
        ("\u201ca\u201d", ['"a"']),
        ("> 1 a\n> 2 b", ["1 a\n2 b"]),
        ("1 a\n2 b", ["a\nb"]),
        ("a\\_b", ["a_b"]),
    ],
)
def test_a_damaged_text_has_these_originals(text: str, originals: list[str]) -> None:
    assert list(repaired(text)) == originals


def test_lines_that_look_like_code_are_grouped_from_a_place_on() -> None:
    assert code_runs("x = 1") == [("x = 1", 5, True)]
    assert code_runs("ab\nx = 1", 3) == [("x = 1", 8, True)]
