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

_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#[0-9]{1,6}|#x[0-9a-fA-F]{1,6});")
_TAG = re.compile(
    r"</?(?:pre|code|answer|program|python|output|final|invoke|function|parameter|p|div|br)"
    r"\b[^<>\n]*>|<!\[CDATA\[|\]\]>|\[/?(?:code|python|py)\]|\{code(?::\w+)?\}",
    re.IGNORECASE,
)
_SPAN = re.compile(r"</?(?:span|[bi]|em|strong|font|var)\b[^<>\n]*>")
_CONTROLS = re.compile(r"\x1b\[[\d;]*+m|[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MARKDOWN_ESCAPE = re.compile(r"\\([][_*`#<>~])")
_CONTROL_TOKEN = re.compile(
    r"<\|(?:start|im_start|start_header_id)\|>(?:assistant|model)?|<\|channel\|>(?:final)?"
    r"|<\|[a-z_]{1,20}\|>"
)
_LINE_PREFIX = re.compile(r"^(?:[ \t]*(?:>>>|\.\.\.:?|In \[\d++\]:)(?: |$)|(?:> ?)+)", re.MULTILINE)
_LINE_NUMBER = re.compile(r"^[ \t]*+\d{1,4}(?:[ \t]*+[:|.)])?(?:[ \t]|$)", re.MULTILINE)
_TABS = re.compile(r"^ *+\t[ \t]*+", re.MULTILINE)
_ADDED = re.compile(r"^\+", re.MULTILINE)
_DIFF_HEADS = ("+++ ", "@@", "diff --git ", "index ")
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"')
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\uff07", "'")
    | dict.fromkeys("\u00a0\u1680\u2007\u202f\u205f\u3000", " ")
    | dict.fromkeys(map(chr, range(0x2000, 0x200B)), " ")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", "")
    | {
        "\x85": "\n",
        "\u2028": "\n",
        "\u2029": "\n",
        "\uff1a": ":",
        "\uff0c": ",",
        "\u2212": "-",
        "\u2013": "-",
        "\u2260": "!=",
    }
    | {"\uff08": "(", "\uff09": ")", "\u2264": "<=", "\u2265": ">="}
)

_CODE_SPAN = re.compile(r"(?<!`)`([^`\n]++)`(?!`)")

_CODE_LINE = re.compile(
    r"[ \t]|\s*$|[#@)\]}\"']|"
    r"(?:def|class|async|lambda|import|from|if|elif|else|for|while|try|except|finally|with|return|global|assert)"
    r"\b|[A-Za-z_]\w*+(?:\[[^\]\n]*+\]|\.\w++)*+[ \t]*+(?:\*\*|//|>>|<<|[-+*/%|&^])?=(?!=)"
)
_FUNCTION = re.compile(
    r"(?:^|(?<=: ))def f\b[^\n]*+(?:\n(?:[ \t][^\n]*+|[ \t]*+(?=\n)))*+", re.MULTILINE
)


def repaired(reply: str) -> Iterator[str]:
    """Yield possible originals of a reply that was damaged by copying; none if it shows no damage.

    Examples
    --------
    >>> list(repaired("{“code”: “def f(x): return x &lt; 1”}"))
    ['{"code": "def f(x): return x < 1"}']
    """
    text = _CONTROLS.sub("", reply)
    for _ in range(2):  # entities may be escaped themselves
        text = html.unescape(text) if _ENTITY.search(text) else text
    text = _CONTROL_TOKEN.sub("\n", _TAG.sub("\n", _SPAN.sub("", text))).translate(_TYPOGRAPHY)
    if text != reply:
        yield text
    for strip in (
        partial(_LINE_PREFIX.sub, ""),
        _patched,
        partial(_LINE_NUMBER.sub, ""),
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
    yield from reversed(_CODE_SPAN.findall(text))


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
