r"""Repair replies that were damaged by copying, and find programs that are not marked.

Chat windows copy code with typographic quotes, HTML entities, non-breaking spaces, or ``>``, ``+``
or a number before each line, and models omit the fence.
These repairs are tried only if the unchanged reply holds no program, so that they cannot damage a
correct one.
"""

import html
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from urllib.parse import unquote_plus

_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#[0-9]{1,6}|#x[0-9a-fA-F]{1,6});")
_TAG = re.compile(
    r"</?(?:pre|code|answer|program|python|output|final|invoke|function|parameter|p|div|br)"
    r"\b[^<>\n]*>|<!\[CDATA\[|\]\]>|\[/?(?:code|python|py)\]"
    r"|^[ \t]*+</?[a-z][^<>\n]*>|</[a-z][\w:-]*>[ \t]*+$",
    re.IGNORECASE | re.MULTILINE,
)
_SPAN = re.compile(r"</?(?:span|[bi]|em|strong|font|var)\b[^<>\n]*>")
_CONTROLS = re.compile(r"\x1b\[[\d;]*+m|[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MARKDOWN_ESCAPE = re.compile(r"\\([][_*`#<>~])")
_CONTROL_TOKEN = re.compile(
    r"<\|(?:start|im_start|start_header_id)\|>(?:assistant|model)?|<\|channel\|>(?:final)?"
    r"|<\|[a-z_]{1,20}\|>"
)
_LINE_PREFIX = re.compile(
    r"^(?:[ \t]*(?:>>>|\.\.\.:?|In \[\d++\]:)(?:[ \t]|$)|(?:> ?)+|#{2,6} (?=def\b|lambda\b|f =))",
    re.MULTILINE,
)
_LINE_NUMBER = re.compile(
    r"^(?:[\w/-]++\.py:\d{1,4}:"
    r"|[ \t]*+(?:L(?:ine )?+|[\[(#])?\d{1,4}(?:\]|\u2192|[ \t]*+[:|.)])?(?:[ \t]|$|(?<=\u2192)))",
    re.MULTILINE | re.IGNORECASE,
)
_BULLET = re.compile(r"^([ \t]*+)[-*\u2022][ \t]", re.MULTILINE)
_SPOKEN_URL = re.compile(r"\b(?:def|lambda)(?:%20|\+)\w+(?:%28|%3A|\()", re.IGNORECASE)
_TABS = re.compile(r"^ *+\t[ \t]*+", re.MULTILINE)
_ADDED = re.compile(r"^\+", re.MULTILINE)
_DIFF_HEADS = ("+++ ", "@@", "diff --git ", "index ")
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"')
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u00a0\u1680\u2007\u202f\u205f\u3000", " ")
    | dict.fromkeys(map(chr, range(0x2000, 0x200B)), " ")
    | dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad", "")
    | {
        "\x85": "\n",
        "\u2028": "\n",
        "\u2029": "\n",
        "\u2212": "-",
        "\u2013": "-",
        "\u2260": "!=",
        "\u00d7": "*",
    }
    | {"\u2264": "<=", "\u2265": ">="}
    | {0xFEE0 + code: chr(code) for code in range(0x21, 0x7F)}
)

_CODE_SPAN = re.compile(r"(?<!`)(`{1,2}+)([^`\n]++)\1(?!`)")
_YAML_BLOCK = re.compile(
    r"^([ \t]*+)[\w\"'-]++:[ \t]*+[|>][-+\d]*+[ \t]*+\n((?:\1[ \t]+[^\n]*+(?:\n|\Z)|[ \t]*+\n)++)",
    re.MULTILINE,
)
_BOX = re.compile(r"\\boxed\{")
_FORMULA = re.compile(r"\$\$?(f\(x\)[^$\n]{1,1000})\$")
_MOST_BOXES = 10
_LONGEST_BOX = 10_000
_TEX_STYLE = re.compile(r"^\s*\\(text\w*|math\w*|verb)\{(.*)\}\s*$", re.DOTALL)
_TEX_ESCAPE = re.compile(r"\\([%_{}&#$])")

_CODE_LINE = re.compile(
    r"[ \t]|\s*$|[#@)\]}\"']|"
    r"(?:def|class|async|lambda|import|from|if|elif|else|for|while|try|except|finally|with|return|global|assert)"
    r"\b|[A-Za-z_]\w*+(?:\[[^\]\n]*+\]|\.\w++)*+[ \t]*+(?:\*\*|//|>>|<<|[-+*/%|&^])?=(?!=)"
)
_FUNCTION = re.compile(
    r"(?:^|(?<=: )|(?<==))def f\b[^\n]*+(?:\n(?:[ \t][^\n]*+|[ \t]*+(?=\n)))*+", re.MULTILINE
)


def repaired(reply: str) -> Iterator[str]:
    """Yield possible originals of a reply that was damaged by copying; none if it shows no damage.

    Examples
    --------
    >>> list(repaired("{“code”: “def f(x): return x &lt; 1”}"))
    ['{"code": "def f(x): return x < 1"}']
    """
    text = _CONTROLS.sub("", reply)
    if _SPOKEN_URL.search(text):
        text = unquote_plus(text)
    for _ in range(2):  # entities may be escaped themselves
        text = html.unescape(text) if _ENTITY.search(text) else text
    text = _CONTROL_TOKEN.sub("\n", _TAG.sub("\n", _SPAN.sub("", text))).translate(_TYPOGRAPHY)
    if text != reply:
        yield text
    for strip in (
        partial(_LINE_PREFIX.sub, ""),
        _patched,
        partial(_LINE_NUMBER.sub, ""),
        partial(_BULLET.sub, r"\1"),
        partial(_MARKDOWN_ESCAPE.sub, r"\1"),
        partial(_TABS.sub, lambda tabs: tabs[0].expandtabs(4)),
    ):
        stripped = strip(text)
        if stripped != text:
            yield stripped


def _patched(text: str) -> str:
    """Return the new side of a diff, whose lines are recognised by their signs."""
    if not _ADDED.search(text):
        return text
    lines: list[str] = []
    in_diff = False
    for line in text.split("\n"):
        if line.startswith(("-", *_DIFF_HEADS)):
            in_diff = True
        elif line.startswith("+"):
            in_diff = True
            lines.append(line[1:])
        elif in_diff and line.startswith(" "):
            lines.append(line[1:])
        else:
            in_diff = in_diff and not line
            lines.append(line)
    return "\n".join(lines)


def code_blocks(text: str) -> Iterator[str]:
    r"""Yield consecutive lines that look like code, the last first, functions ``f``, code in lines.

    Examples
    --------
    >>> next(code_blocks("The rule:\n\ndef f(x):\n    return 1\n\nSo it goes."))
    '\ndef f(x):\n    return 1\n'
    """
    for run, _, _ in reversed(code_runs(text)):
        yield run
    yield from reversed(_FUNCTION.findall(text))
    yield from (span for _, span in reversed(_CODE_SPAN.findall(text)))
    yield from (block for _, block in reversed(_YAML_BLOCK.findall(text)))


def boxed(text: str) -> Iterator[str]:
    r"""Yield the contents of TeX boxes, then its formulas of ``f(x)``, each the last first.

    Examples
    --------
    >>> list(boxed(r"$\boxed{\texttt{len(x) \% 2}}$"))
    ['len(x) % 2']
    """
    for box in reversed(list(islice(_BOX.finditer(text), _MOST_BOXES))):
        depth, end = 1, box.end()
        for end in range(box.end(), min(len(text), box.end() + _LONGEST_BOX)):
            depth += (text[end] == "{") - (text[end] == "}")
            if not depth:
                break
        yield _TEX_ESCAPE.sub(r"\1", _TEX_STYLE.sub(r"\2", text[box.end() : end]))
    yield from (_TEX_ESCAPE.sub(r"\1", formula) for formula in reversed(_FORMULA.findall(text)))


def code_runs(text: str, start: int = 0) -> list[tuple[str, int, bool]]:
    """Return groups of lines that look like code, their ends, and whether the text ends there."""
    runs: list[tuple[str, int, bool]] = []
    lines: list[str] = []
    position = start
    for line in text[start:].split("\n"):
        if _CODE_LINE.match(line):
            lines.append(line)
        elif lines:
            runs.append(("\n".join(lines), position, False))
            lines = []
        position += len(line) + 1
    if lines:
        runs.append(("\n".join(lines), len(text), True))
    return runs
