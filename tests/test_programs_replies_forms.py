"""Replies whose program has another entry point, an odd fence, thoughts around it, or no end."""

import json

import pytest

from llm_pv.errors import ProgramError
from llm_pv.programs.entry_points import with_entry_point
from llm_pv.programs.repair import code_blocks, code_runs, repaired
from llm_pv.programs.replies import complete_part, find_program, read_program, read_several

RULE = "def f(x):\n    return x.count('1') % 2\n"
DECOY = "def f(x):\n    return 0\n"


def answer(reply: str, x: object = "0111") -> object:
    """Return what the program in a reply answers to an input; these programs are our own."""
    names: dict[str, object] = {}
    exec(read_program(reply).source, names)
    f = names["f"]
    assert callable(f)
    return f(x)


OTHER_ENTRY_POINTS = {
    "a sole function": "def classify(x):\n    return x.count('1') % 2",
    "a function with a type": "def parity(word: str) -> int:\n    return word.count('1') % 2",
    "the last of several": (
        "def ones(x):\n    return x.count('1')\n\ndef answer(x):\n    return ones(x) % 2"
    ),
    "the last that takes an input": (
        "def parity(x):\n    return x.count('1') % 2\n\ndef main():\n    print(parity('1'))"
    ),
    "a test behind it": (
        "def parity(x):\n    return x.count('1') % 2\n\ndef test_parity(x):\n    assert parity(x)"
    ),
    "a class": "class Solution:\n    def f(self, x):\n        return x.count('1') % 2",
    "a class with another method": (
        "class Solution:\n    def __init__(self):\n        self.k = 2\n\n"
        "    def solve(self, x):\n        return x.count('1') % self.k"
    ),
    "a static method": (
        "class Rule:\n    @staticmethod\n    def f(x):\n        return x.count('1') % 2\n\n"
        "    @classmethod\n    def name(cls):\n        return 'parity'"
    ),
    "an object that is called": (
        "class Rule:\n    def __call__(self, x):\n        return x.count('1') % 2"
    ),
    "an async function": "async def f(x):\n    return x.count('1') % 2",
    "async functions": (
        "async def ones(x):\n    return x.count('1')\n\n"
        "async def f(x):\n    return (await ones(x)) % 2"
    ),
    "a lambda with a name": "parity = lambda x: x.count('1') % 2",
    "a lambda without one": "lambda x: x.count('1') % 2",
    "a lambda over lines": "lambda x: (\n    x.count('1') % 2\n)",
    "a lambda with our name": "f = lambda x: x.count('1') % 2",
}


@pytest.mark.parametrize("form", OTHER_ENTRY_POINTS)
@pytest.mark.parametrize("wrapping", ["```python\n{}\n```", "The rule:\n\n{}\n", "{}"])
def test_the_entry_point_is_found_in(form: str, wrapping: str) -> None:
    assert answer(wrapping.format(OTHER_ENTRY_POINTS[form])) == 1


def test_a_block_before_that_defines_nothing_that_lacks_is_no_part_of_the_program() -> None:
    other = "def ones(x):\n    return 0\n"
    reply = f"```python\n{other}```\n```python\n{RULE}```\n"
    assert read_program(reply).source == RULE
    assert [each.source for each in read_several(reply, 5)] == [RULE]


def test_a_function_called_f_is_preferred_to_any_other() -> None:
    assert answer(f"```python\n{RULE}```\nTested with\n```python\ndef check(x): pass\n```") == 1


def test_a_draft_in_the_thoughts_is_no_better_than_an_answer_under_another_name() -> None:
    assert answer(f"<think>{DECOY}</think>```python\ndef rule(x):\n    return 1\n```") == 1


def test_no_name_is_given_to_what_takes_no_input_or_to_a_test() -> None:
    for source in ("def g():\n    return 1\n", "def test_it(x):\n    pass\n", "x = 1\n"):
        assert list(with_entry_point(source)) == []


FENCES = {
    "an inner fence flush left": (
        'def f(x):\n    """Tell.\n```\nf("1")\n```\n    """\n    return x.count("1") % 2\n'
    ),
    "an inner fence that would be a program": (
        'def f(x):\n    """Not\n```\nf = len\n```\n    """\n    return x.count("1") % 2\n'
    ),
    "two inner fences": (
        "def f(x):\n    '''Tell.\n```\na\n```\nor\n```\nb\n```\n    '''\n"
        "    return x.count('1') % 2\n"
    ),
}


@pytest.mark.parametrize("form", FENCES)
@pytest.mark.parametrize("fence", ["```", "````", "~~~"])
def test_a_docstring_may_hold(form: str, fence: str) -> None:
    assert answer(f"So:\n\n{fence}python\n{FENCES[form]}{fence}\n\nDone.") == 1


MARKED = {
    "four backticks around three": f"````markdown\n```python\n{RULE}```\n````",
    "a short name": f"```py\n{RULE}```",
    "a name with a number": f"```python3\n{RULE}```",
    "a name in capitals": f"```Python\n{RULE}```",
    "tildes": f"~~~\n{RULE}~~~",
    "no closing fence": f"The rule:\n```python\n{RULE}",
    "no opening fence": f"{RULE}```\nDone.",
    "an unclosed draft": f"```python\n{DECOY}\nNo:\n\n```python\n{RULE}```",
    "one line": "```python def f(x): return x.count('1') % 2```",
    "an indented block": "- The rule:\n\n      ```python\n      {}      ```".format(
        RULE.replace("\n", "\n      ", 1)
    ),
    "tabs": "```python\n" + RULE.replace("    ", "\t") + "```",
    "Windows line ends": f"So:\r\n```python\r\n{RULE}```\r\n".replace("\n", "\r\n"),
    "old line ends": f"So:\r```python\r{RULE}```\r".replace("\n", "\r"),
    "unbreakable blanks": f"```python\n{RULE}```".replace(" ", "\u00a0"),
    "smart quotes in the prose": f"It\u2019s \u201cparity\u201d of f:\n```python\n{RULE}```",
    "tabs beside blanks": (
        "```python\ndef f(x):\n    if x:\n\t\treturn x.count('1') % 2\n    return 0\n```"
    ),
    "dashes for minus signs": "```python\n{}```".format(RULE.replace("% 2", "% 2 \u2013 0")),
    "helpers in a block before": (
        "First\n```python\nimport math\n```\nand\n```python\ndef ones(x):\n"
        "    return math.trunc(x.count('1'))\n```\nso\n```python\ndef f(x):\n"
        "    return ones(x) % 2\n```\n"
    ),
    "lines of a diff": "```diff\n" + "".join(f"+{line}\n" for line in RULE.splitlines()) + "```",
    "a change of a draft": (
        "```diff\n--- a/f.py\n+++ b/f.py\n@@ -1,2 +1,2 @@\n def f(x):\n-    return 0\n"
        "+    return x.count('1') % 2\n```"
    ),
    "bare lines of a diff": "".join(f"+{line}\n" for line in RULE.splitlines()),
    "numbered lines": "```\n1  def f(x):\n2      return x.count('1') % 2\n```",
    "lines numbered with bars": "1 | def f(x):\n2 |     return x.count('1') % 2",
    "a channel": (
        f"<|channel|>analysis<|message|>{DECOY}<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{RULE}<|return|>"
    ),
    "a JSON answer in a channel": (
        '<|channel|>analysis<|message|>{"code": "f = len"}<|end|><|start|>assistant<|channel|>'
        f"final<|message|>```python\n{RULE}```<|return|>"
    ),
    "three quotes that are not closed": '{"code": """' + RULE.rstrip(),
    "JSON under any key": json.dumps({"why": "f = 0", "final answer": RULE, "sure": True}),
    "JSON under a key of a key": json.dumps({"code": {"language": "python", "content": RULE}}),
    "a fence in JSON": json.dumps({"response": f"So:\n```python\n{RULE}```"}),
    "lines in JSON under any key": json.dumps({"lines": RULE.splitlines(), "sure": ["yes", "0"]}),
    "a reply written as a string": json.dumps(f"So:\n```python\n{RULE}```\n"),
    "a session of IPython": "In [1]: {}   ...: ".format(RULE.replace("\n", "\n   ...: ", 1)),
    "parameters in tags": f'<invoke name="run"><parameter name="code">{RULE}</parameter></invoke>',
    "labels of a chat window": f"python\nCopy\nEdit\n{RULE}",
    "labels in the block": f"```\npython\nCopyEdit\n{RULE}```",
    "colours of a terminal": f"\x1b[1;32m{RULE}\x1b[0m",
    "control characters": f"```python\n{RULE}\x00\x0b```",
    "escapes of Markdown": "def f(x):\n    a\\_b = x.count('1')\n    return a\\_b \\* 1 % 2\n",
    "entities written as entities": RULE.replace("'", "&amp;#39;"),
    "next lines": f"```python\n{RULE}```".replace("\n", "\x85"),
    "a comma too many": f'{{"code": {json.dumps(RULE)},}}',
    "the printed form of Python": repr({"why": None, "rule": RULE}),
    "three quotes under any key": f"{{'rule': '''{RULE}''', 'sure': True}}",
    "a key in capitals": json.dumps({"Code": RULE}),
    "a key that is a file": json.dumps({"answer.py": RULE}),
    "an empty key": json.dumps({"": RULE}),
    "a key without quotes": f"{{answer: {json.dumps(RULE)}}}",
    "a template": f"{{answer: `{RULE}`}}",
    "a list of one program": json.dumps([RULE]),
    "a tuple": repr((RULE, 0.9)),
    "a string alone": json.dumps(RULE),
    "a string of Python alone": repr(RULE),
    "bytes": repr(RULE.encode()),
    "an argument": f"submit({RULE!r})",
    "a named argument": f"Answer(text={RULE!r}, confidence=0.9)",
    "a printed string": f'```python\nprint("""{RULE}""")\n```',
    "a sum of strings": '{"code": "def f(x):\\n" + "    return x.count(\'1\') % 2\\n"}',
    "strings beside each other": (
        "{'code': ('def f(x):\\n'\n    \"    return x.count('1') % 2\\n\")}"
    ),
    "a list of lines": json.dumps(RULE.splitlines()),
    "a list of lines in Python": repr({"code": RULE.splitlines(), "why": "it counts"}),
    "a list of lines with a comma too many": (
        '{"code": ["def f(x):", "    return x.count(\'1\') % 2",]}'
    ),
    "lines with their ends": json.dumps({"source": RULE.splitlines(keepends=True)}),
    "an explanation beside it": json.dumps({"rule": RULE, "why": "because def f(x): counts"}),
    "an example beside it": json.dumps({"example": DECOY, "solution": RULE}),
    "a character section": f'<program language="python"><![CDATA[{RULE}]]></program>',
    "colours of a page": (
        "<pre><span class=k>def</span> <b>f</b>(x):\n    <span>return</span> x.count('1') % 2</pre>"
    ),
    "tags in square brackets": f"[python]{RULE}[/python]",
    "a word before it": "Answer: def f(x): return x.count('1') % 2",
    "a word before its first line": f"Program: {RULE}\nSo it goes.",
    "code within a line": "Use `def f(x): return x.count('1') % 2`, as `f(x)` shows.",
    "code in a table": "| rule |\n|---|\n| `f = lambda x: x.count('1') % 2` |",
    "an output that looks like a program": f"```python\n{RULE}```\nOutput:\n```\nf = 0\n```",
    "TeX's listing": f"\\begin{{lstlisting}}[language=Python]\n{RULE}\\end{{lstlisting}}\n",
    "a wiki's marks": f"{{noformat}}\n{RULE}{{noformat}}\n",
    "a here document": f"```bash\ncat > f.py <<'EOF'\n{RULE}EOF\npython f.py\n```",
    "a session with its output": (
        "In [1]: def f(x):\n   ...:     return x.count('1') % 2\n   ...: \n\n"
        "In [2]: f('0111')\nOut[2]: 1\n"
    ),
    "a tag and entities": "<solution>def f(x):\n    return x.count(&#x27;1&#x27;) % 2\n</solution>",
    "keys of a keyboard": "<kbd>def f(x): return x.count('1') % 2</kbd>",
    "a heading": f"It counts.\n#### {RULE}",
    "lines with their places": "f.py:1:def f(x):\nf.py:2:    return x.count('1') % 2\n",
    "lines called L": "L1: def f(x):\nL2:     return x.count('1') % 2\n",
    "numbers in brackets": "[1] def f(x):\n[2]     return x.count('1') % 2\n",
    "numbers in round brackets": "(1) def f(x):\n(2)     return x.count('1') % 2\n",
    "numbers and arrows": "1\u2192def f(x):\n2\u2192    return x.count('1') % 2\n",
    "numbers as comments": "#1 def f(x):\n#2     return x.count('1') % 2\n",
    "a mark of direction": f"```python\n\u200f{RULE}```",
    "a sign of multiplication": "def f(x):\n    return x.count('1') % 2 \u00d7 1\n",
    "a session with tabs": ">>>\tdef f(x):\n...\t    return x.count('1') % 2\n",
    "a formula": "$$f(x) = x.count('1') \\% 2$$",
    "a definition with a colon": "f(x): return x.count('1') % 2",
    "a definition with a colon and a sign": "f(x) := x.count('1') % 2",
    "a body with two ends": "```python\nif x.count('1') % 2:\n    return 1\nreturn 0\n```",
    "a string that is returned": f'return """{RULE}"""',
    "bullets": "- def f(x):\n    - return x.count('1') % 2\n",
    "bullets before blanks": "* def f(x):\n*     return x.count('1') % 2\n",
    "wide signs": ("```python\ndef f\uff08x\uff09\uff1a\n    return x.count('1') \uff05 2\n```"),
    "a form of a page": "code=def%20f%28x%29%3A%0A%20%20return%20x.count%28%271%27%29%20%25%202",
    "an event": 'data: {"text": "```python\\ndef f(x):\\n    return x.count(\'1\') % 2\\n```"}\n\n',
    "a block of YAML": (
        "answer:\n  code: |-\n    def f(x):\n        return x.count('1') % 2\n  sure: true\n"
    ),
    "two backticks": "So: ``f = lambda x: x.count('1') % 2``",
    "octal escapes": '{"code": "def f(x):\\012    return x.count(\\0471\\047) % 2"}',
    "a box": "\\boxed{def f(x): return x.count('1') % 2}",
    "a value in a box": "So $\\boxed{\\texttt{x.count('1') \\% 2}}$.",
    "a value in a block": "The answer:\n```python\nx.count('1') % 2\n```",
    "an equation": "f(x) = x.count('1') % 2",
    "a body": "```python\nn = x.count('1')\nreturn n % 2\n```",
    "a lambda in a sentence": "I propose lambda x: x.count('1') % 2, which counts ones. So it is.",
    "a lambda in quotes": "The function is \"lambda x: x.count('1') % 2\".",
    "the option that is called final": (
        f"Option A:\n```python\n{RULE}```\nOption B:\n```python\n{DECOY}```\n"
        "Final answer: option A."
    ),
    "a final answer before a draft": (
        f"## Final answer\n```python\n{RULE}```\n## Draft\n```python\n{DECOY}```\n"
    ),
}


@pytest.mark.parametrize("form", MARKED)
def test_a_program_is_read_from(form: str) -> None:
    assert answer(MARKED[form]) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "```python\nlen(x) % 2\n```\nor\n```python\nlen(x) % 3\n```",
        "Either lambda x: x[0] or lambda x: x[1].",
        "```\nx is even\n```",
        "```python\nprint(x)\n```",
        "```\nx\n```",
        "The value of x.",
    ],
)
def test_no_program_is_made_of_what_may_mean_several_or_none(reply: str) -> None:
    with pytest.raises(ProgramError, match="holds no program"):
        read_program(reply)


THOUGHTS = {
    "an answer before them": f"```python\n{RULE}```\n<think>```python\n{DECOY}```</think>",
    "an answer before thoughts that do not end": f"{RULE}\n<think>\n{DECOY}",
    "a JSON decoy in them": (
        f'<think>{{"code": "def f(x): return 0"}}</think>\n```python\n{RULE}```'
    ),
    "a JSON decoy in thoughts without a beginning": (
        f'{{"code": "def f(x): return 0"}}</think>\n```python\n{RULE}```'
    ),
    "thoughts twice": f"<think>{DECOY}</think>{RULE}<think>{DECOY}</think>",
    "thoughts of another name": f"<thought>```\n{DECOY}```</thought>\n{RULE}",
    "a draft on paper after it": f"{RULE}<scratchpad>\n```\n{DECOY}```\n</scratchpad>",
    "an analysis before it": f"<analysis>```\n{DECOY}```</analysis>\n{RULE}",
    "thoughts in square brackets": f"[THINK]```\n{DECOY}```[/THINK]\n{RULE}",
}


@pytest.mark.parametrize("form", THOUGHTS)
def test_what_is_said_counts_and_not_what_is_thought(form: str) -> None:
    assert answer(THOUGHTS[form]) == 1


def broken(number: int) -> str:
    return f"```python\ndef f(x):\n    return ({number}\n```\n"


def test_so_many_candidates_are_tried_and_no_more() -> None:
    # Each block is one candidate, the last first; 40 are tried.
    assert answer(f"```python\n{RULE}```\n" + "".join(map(broken, range(39)))) == 1
    with pytest.raises(ProgramError, match="the reply holds no program"):
        find_program(f"```python\n{RULE}```\n" + "".join(map(broken, range(40))))


def long_block(number: int) -> str:
    head = f"def f(x):\n    return ({number}"
    return f"```python\n{head}{'1' * (49_000 - len(head) - 1)}\n```\n"


def test_so_many_characters_are_tried_and_no_more() -> None:
    # Five blocks of 49,000 and a rule of as many are 294,000, within 300,000; six are 343,000.
    head, end = RULE.split("\n", 1)
    padding = "x" * (49_000 - len(RULE) - len("    #\n"))
    rule = f"```python\n{head}\n    #{padding}\n{end}```\n"
    assert answer(rule + "".join(map(long_block, range(2, 7)))) == 1
    with pytest.raises(ProgramError, match="the reply holds no program"):
        find_program(rule + "".join(map(long_block, range(2, 8))))


def test_several_programs_of_a_reply_are_read_each_once_and_the_last_first() -> None:
    shift = "def f(x):\n    return len(x) % 2\n"
    reply = (
        f"<think>```\nf = max\n```</think>```python\n{DECOY}```\n```python\n{RULE}```\n```python\n"
        f"print(f(1))\n```\n```python\n{shift}```\n```python\n{shift}# again\n```"
    )
    assert [found.source for found in read_several(reply, 5)] == [f"{shift}# again\n", RULE, DECOY]
    assert [found.source for found in read_several(reply, 2)] == [f"{shift}# again\n", RULE]
    assert [found.source for found in read_several(RULE, 5)] == [RULE]
    with pytest.raises(ProgramError, match="the reply holds no program"):
        read_several("None.", 5)


CODE = '"code": "def f(x): return 1"'
CUT = {
    "a closed block": (f"```python\n{RULE}```", "\nand so", f"```python\n{RULE}```"),
    "a closed block and a piece of another": (
        f"A\n```python\n{RULE}```\n",
        "```python\ndef f(x):\n    return",
        f"A\n```python\n{RULE}```",
    ),
    "a closed string": (f"{{{CODE}", ', "why": "', f"{{{CODE}"),
    "a closed string of any key": (
        f"{{'rule': {RULE!r}",
        ", 'why': 'def",
        f"{{'rule': {RULE!r}",
    ),
    "bare code and words": (f"{RULE}\n", "That is", f"{RULE}\n"),
    "an open block": (f"```python\n{RULE}", "", ""),
    "an open string": (f"{{{CODE[:-1]}", "", ""),
    "a string in bare code": ("def f(x):\n    y = ('def g', 'lambda')\n    return (", "", ""),
    "bare code": (RULE, "", ""),
    "a closed block without a program": ("```\n0 1 0\n```\n", "So", ""),
}  # fmt: skip


@pytest.mark.parametrize("form", CUT)
def test_of_a_reply_that_was_cut_off_what_is_complete_is_kept(form: str) -> None:
    kept, lost, expected = CUT[form]
    assert complete_part(kept + lost) == expected


@pytest.mark.parametrize(
    ("text", "original"),
    [
        ("@@ -1,2 +1,2 @@\n def f(x):\n-    return 1\n+    return 2", "def f(x):\n    return 2"),
        ("-import os\n def f(x):\n+    return 1", "def f(x):\n    return 1"),
        ("+import os\n def f(x):\n     return 1", "import os\ndef f(x):\n    return 1"),
        ("diff --git a b\nindex 1\n--- a\n+++ b\n def f(x):\n+    return 1",
         "def f(x):\n    return 1"),
        ("+a = 1\n\n b = 2", "a = 1\n\nb = 2"),
        ("+a = 1\nSo it goes.\n b = 2", "a = 1\nSo it goes.\n b = 2"),
        (" a = 1\n+b = 2", " a = 1\nb = 2"),
    ],
)  # fmt: skip
def test_of_a_diff_the_new_side_is_read_with_the_lines_around_it(text: str, original: str) -> None:
    assert original in list(repaired(text))


def test_undamaged_text_has_no_other_original() -> None:
    assert list(repaired("def f(x):\n    return 1")) == []
    assert list(repaired("a &amp;lt; b")) == ["a < b"]
    assert list(repaired("def f(x):\n\treturn 1")) == ["def f(x):\n    return 1"]
    assert list(repaired("a = b\tc")) == []


def test_lines_that_look_like_code_are_read_with_where_they_end() -> None:
    text = "So:\nx = 1\n\ny += 2\nand\nprint(x)\nz: so\n[a] = b\nw.v[0] //= 3"
    assert code_runs(text) == [("x = 1\n\ny += 2", 18, False), ("w.v[0] //= 3", len(text), True)]
    assert code_runs(text, 19) == [("w.v[0] //= 3", len(text), True)]
    assert code_runs("words") == []
    assert list(code_blocks("See `a` and\nx = 1\nso:\ndef f(x):\n    return 1\nno `b`.")) == [
        "def f(x):\n    return 1", "x = 1", "def f(x):\n    return 1", "b", "a",
    ]  # fmt: skip
