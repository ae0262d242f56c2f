r"""Read the strings and objects of JSON and Python in a text; nothing is evaluated.

Strings are found by their quotes, so braces need not balance. Unescaped or doubly escaped line
breaks and quotes, the quotes of either language, and a missing end are accepted. The work is
linear in the length of the text.
"""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from llm_pv.programs.entry_points import DEFINES

_QUOTE = r"""(?P<quote>\"{3}|'{3}|"|'|`)"""
_PREFIX = r"(?:[rbfu]{1,2}(?=[\"']))?+"
_NAMES = r"(?:python_?)?(?:code|program|solution|function|source|implementation|script)"

CODE_KEY = re.compile(rf"""(["'])code\1\s*+:\s*+{_QUOTE}""")
"""The key that prompts ask for, before its value."""

OTHER_KEY = re.compile(rf"""(["'`]?+)\b{_NAMES}\1\s*+[:=]\s*+{_PREFIX}{_QUOTE}""", re.IGNORECASE)
"""Another key that is named after a program."""

ANY_STRING = re.compile(
    # Of a blank line no more than itself: else every one would look through all that follow.
    rf"(?:^[^\S\n]*+|(?:[\[{{(:=,+]|\breturn\b)\s*+){_PREFIX}{_QUOTE}",
    re.IGNORECASE | re.MULTILINE,
)
"""Where a string may begin: as a value, an argument or an entry, or on a line of its own."""

_BETWEEN = re.compile(rf"[\s+()]*+(?P<comma>,?+)[\s+()]*+{_PREFIX}", re.IGNORECASE)
_COLON = re.compile(r"\s*+:")
_FIRST_LINE = re.compile(r"(?:def|class|async|import|from|lambda)\b|[@#\"']|\w++[ \t]*+=")
_MOST_STRINGS = 100
_MOST_LISTS = 5
_MOST_LATER_ENDS = 4

_ESCAPE = re.compile(
    r"""\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf\"'/\\])|([0-3][0-7]{2}))"""
)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BODY = {quote: re.compile(rf"(?:[^{quote}\\]++|\\.?)*+", re.DOTALL) for quote in "\"'`"}
_END = {quote: re.compile(rf"{quote}\s*+[,}}\])]") for quote in "\"'`"}

Found = tuple[re.Match[str], int]
"""A match that ends where the body of a string begins, and where that body ends."""


def strings(text: str, pattern: re.Pattern[str]) -> Iterator[Found]:
    """Yield the strings that a pattern with a group ``quote`` announces, none within another."""
    opening = pattern.search(text)
    while opening:
        quote, start = opening["quote"], opening.end()
        if len(quote) == 3:
            end = text.find(quote, start)
            end = end if end >= 0 else len(text)
        else:
            end = _end(text, quote, start)
        yield opening, end
        opening = pattern.search(text, end + len(quote))


def _end(text: str, quote: str, start: int) -> int:
    """Return where the body of a string ends that begins at a place."""
    body = _BODY[quote].match(text, start)
    return body.end() if body else start


def values(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the readings of the strings that a pattern announces, the last string first."""
    yield from _all_readings(text, strings(text, pattern))


def likely_values(text: str) -> Iterator[str]:
    r"""Yield the strings that may define a function, lists of lines and sums of strings as one.

    Examples
    --------
    >>> next(likely_values("{'lines': ['def f(x):', '    return 1']}"))
    'def f(x):\n    return 1'
    >>> next(likely_values("{'rule': 'f = lambda x: ' + \"'1' in x\", 'sure': True,}"))
    "f = lambda x: '1' in x"
    """
    singles: deque[Found] = deque(maxlen=_MOST_STRINGS)
    lists: deque[str] = deque(maxlen=_MOST_LISTS)
    parts: list[str] = []
    separator, last_end = "", 0
    for opening, end in chain(strings(text, ANY_STRING), [(None, 0)]):
        after = end + len(opening["quote"]) if opening else 0
        value = opening and not _COLON.match(text, after) and opening  # a key has a colon behind
        gap = value and _BETWEEN.fullmatch(text, last_end, value.start("quote"))
        if not gap:
            if len(parts) > 1 and any(map(DEFINES.search, parts)) and _FIRST_LINE.match(parts[0]):
                lists.append(separator.join(part.removesuffix(separator) for part in parts))
            parts, separator = [], ""
        elif gap["comma"] and parts:
            separator = "\n"
        if value:
            parts.append(unescape(text[value.end() : end]))
            if DEFINES.search(parts[-1]):
                singles.append((value, end))
        last_end = after
    yield from reversed(lists)
    yield from filter(DEFINES.search, _all_readings(text, singles))


def unescape(body: str) -> str:
    r"""Resolve the escapes that JSON and Python share; keep other backslashes, as in ``\d``."""

    def character(escape: re.Match[str]) -> str:
        code, letter, octal = escape[1] or escape[2], escape[3], escape[4]
        if octal:
            return chr(int(octal, 8))
        return chr(int(code, 16)) if code else _PLAIN.get(letter, letter)

    text = _ESCAPE.sub(character, body)
    # JSON writes a character beyond U+FFFF as a pair of surrogates.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _all_readings(text: str, found: Iterable[Found]) -> Iterator[str]:
    following = len(text)
    for opening, end in reversed(deque(found, maxlen=_MOST_STRINGS)):
        start = opening.end()
        yield from _readings(text[start:end])
        # An unescaped quote may have ended the string early: try later ends.
        closing = _END[opening["quote"][0]].finditer(text, end, following)
        ends = [match.start() for match in closing if match.start() > end]
        for later in ends[-1:] + ends[:-1][:_MOST_LATER_ENDS]:
            yield from _readings(text[start:later])
        following = opening.start()


def _readings(body: str) -> Iterator[str]:
    r"""Yield the possible values of the body of a string, likeliest first.

    If it contains real line breaks and no doubled backslash, a ``\n`` belongs to the program.
    """
    unescaped = unescape(body)
    unquoted = body.replace('\\"', '"')
    twice = unescape(unescaped) if "\n" not in unescaped else unescaped
    is_raw = "\n" in body.strip() and "\\\\" not in body
    yield from (unquoted, unescaped) if is_raw else (unescaped, unquoted, twice)


_TOKEN = re.compile(
    r"""(?P<blank>(?:\s++|//[^\n]*+|\#[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)++)"""
    r"""|[rbfu]{0,2}+(?P<quote>["'])|(?P<word>[-+.\w]++)|(?P<mark>[{}\[\](),:])""",
    re.IGNORECASE,
)
_CLOSING = {"{": "}", "[": "]"}
_NO_VALUE: tuple[list[str], ...] = ([], ["{"], ["["], [","], [":"])
_WORDS = {"true": "true", "false": "false", "none": "null", "null": "null", "undefined": "null"}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?(?:e[-+]?\d{1,3})?", re.IGNORECASE)


def objects(text: str) -> list[Any]:
    """Return the objects in a text that is almost JSON, or that prints Python values.

    Accepted are Python's quotes, names and tuples, names without quotes, comments, commas too many
    or too few, missing brackets at the end, and any text around. The list ends before an object
    with other errors, such as a string without an end.

    Examples
    --------
    >>> objects("{'id': None, 'choices': [{'text': 'f',},]} {done: True")
    [{'id': None, 'choices': [{'text': 'f'}]}, {'done': True}]
    """
    found: list[Any] = []
    start = text.find("{")
    while start >= 0:
        try:
            written, end = _strict(text, start)
            found.append(json.loads(written))
        except (ValueError, RecursionError):
            break
        start = text.find("{", end)
    return found


def _strict(text: str, position: int) -> tuple[str, int]:
    """Return the object at a position in strict JSON, and its end; raise ValueError if damaged."""
    parts: list[str] = []
    opened: list[str] = []
    while (opened or not parts) and position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"an unexpected character at {position}")
        part, position = _strict_part(text, token)
        if part in _CLOSING:
            opened.append(_CLOSING[part])
        if part == "," or part in _CLOSING.values():
            if parts[-1] == ",":
                parts.pop()
            parts.append("," if part == "," else opened.pop())
        elif part:
            parts += [part] if part == ":" or parts[-1:] in _NO_VALUE else [",", part]
    if opened and parts[-1] == ",":
        parts.pop()
    return "".join([*parts, *reversed(opened)]), position


def _strict_part(text: str, token: re.Match[str]) -> tuple[str, int]:
    """Return a token in strict JSON, and its end; ``""`` for blanks and comments."""
    start = token.end()
    if token["quote"]:
        end = _end(text, token["quote"], start)
        if end == len(text):
            raise ValueError("a string without an end")
        return json.dumps(unescape(text[start:end])), end + 1
    word = token["word"] or ""
    if word and not _NUMBER.fullmatch(word):
        return _WORDS.get(word.lower(), json.dumps(word)), start
    mark = token["mark"] or ""
    return word or {"(": "[", ")": "]"}.get(mark, mark), start
