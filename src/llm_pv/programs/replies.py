r"""Reading a program out of a model's reply, whatever the model wrapped it in.

In this order, the first that is a program: the values of ``"code"`` keys, fenced blocks, the bare
text; of several, the last. What stands in ``<think>`` tags counts only when nothing outside of them
does: the answer is what a model says in the end, but a reply cut off in its thoughts may still hold
a program, and every program is verified anyway.

JSON is read the way models write it: keys and values are found by their quotes, so that braces
need not balance, and line breaks or quotes a model forgot to escape or escaped twice, Python's own
quotes, and a missing end are read as meant. What a chat window spoiled, keys of other names, lists
of lines and code without a fence are tried last (see `mending`). Nothing is evaluated. Work is
linear in the reply, and what is tried is capped.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence

from llm_pv.errors import ProgramError
from llm_pv.programs.mending import OTHER_KEY, code_blocks, line_lists, mended
from llm_pv.programs.program import ENTRY_POINT, Program, parse_here
from llm_pv.programs.syntax import MAX_SOURCE_CHARACTERS
from llm_pv.sandbox.parser import ask

MAX_REPLY_CHARACTERS = 1_000_000
"""The longest reply that is read."""

NOTHING_DEFINED = f"nothing in it defines a function {ENTRY_POINT}"

_MAX_TRIES = 40
_MAX_CHARACTERS_TRIED = 300_000
_MAX_LATER_ENDS = 4

_THINKING = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_CODE_KEY = re.compile(r"""(["'])code\1\s*+:\s*+(?P<quote>\"{3}|'{3}|"|')""")
_ESCAPED_KEY = re.compile(r"""\\["']code\\["']""")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf\"'/\\]))")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_STRING_BODY = {quote: re.compile(rf"(?:[^{quote}\\]++|\\.?)*+", re.DOTALL) for quote in "\"'`"}
_STRING_END = {quote: re.compile(rf"{quote}\s*+[,}}]") for quote in "\"'`"}
_HEADER = re.compile(r"\s*+(?:(?:python3?|py|code|copy(?: code)?)[ \t]*+\n\s*?)++", re.IGNORECASE)
_FENCE_LINE = re.compile(r"^[ \t]*+(?:`{3,}|~{3,})[^\n]*+$", re.MULTILINE)
_FENCE = re.compile(r"`{3,}(?:[\w+-]++[ \t]*+(?=\n))?")
_MENTIONS_ENTRY_POINT = re.compile(rf"\b{ENTRY_POINT}\b")


def read_program(reply: str, *, mention: str | None = None, ending: str = "") -> Program:
    r"""Return the program a reply proposes; the confined parser reads the reply.

    Parameters
    ----------
    reply
        The reply as it came.
    mention
        A regular expression for what a candidate holds, lest prose be tried, with ``^`` and ``$``
        for lines; None for the name ``f``.
    ending
        What is written below each candidate, for replies that leave ``f`` itself to that.

    Returns
    -------
    Program
        The last candidate of the best kind that compiles and defines ``f``.

    Raises
    ------
    ProgramError
        With a one-line reason, if the reply holds no program.

    Examples
    --------
    >>> read_program('Sure! {"code": "def f(x):\\n    return len(x) % 2"} Hope it helps.').source
    'def f(x):\n    return len(x) % 2\n'
    >>> read_program("```python\nf = len\n```").source
    'f = len\n'
    """
    (answer,) = read_programs([reply], mention=mention, ending=ending)
    if isinstance(answer, ProgramError):
        raise answer
    return answer


def read_programs(
    replies: Sequence[str], *, mention: str | None = None, ending: str = ""
) -> list[Program | ProgramError]:
    """Read several replies at once, which costs less; an error is returned in its place."""
    answers: list[Program | ProgramError] = [_too_long(reply) for reply in replies]
    places = [place for place, reply in enumerate(replies) if len(reply) <= MAX_REPLY_CHARACTERS]
    found = ask("reply", [[replies[place], mention, ending] for place in places])
    for place, answer in zip(places, found, strict=True):
        answers[place] = answer if isinstance(answer, ProgramError) else Program(*answer)
    return answers


def _too_long(reply: str) -> ProgramError:
    return ProgramError(
        f"the reply has {len(reply):,} characters, at most {MAX_REPLY_CHARACTERS:,} are read"
    )


def find_program(
    reply: str, *, mention: re.Pattern[str] | None = None, ending: str = ""
) -> Program:
    """Do what `read_program` does in this process: only the confined parser may do so."""
    mention = mention or _MENTIONS_ENTRY_POINT
    reason = NOTHING_DEFINED
    tried: set[str] = set()
    characters = 0
    for text in _candidates(reply, mended(reply)):
        if text in tried or not mention.search(text):
            continue
        characters += len(text) if len(text) <= MAX_SOURCE_CHARACTERS else 0
        if len(tried) == _MAX_TRIES or (tried and characters > _MAX_CHARACTERS_TRIED):
            break
        try:
            return parse_here(text + ending)
        except ProgramError as error:
            reason = reason if tried else str(error)  # the first is the likeliest to be meant
        tried.add(text)
    raise ProgramError(f"the reply holds no program: {reason}")


def _candidates(reply: str, spoiled: Iterator[str]) -> Iterator[str]:
    """Yield what may be a program, likeliest first."""
    yield from _marked(reply)
    readings = [reply, *spoiled]
    for text in readings[1:]:
        yield from _marked(text)
    for text in map(_without_thoughts, readings):
        yield from _code_values(text, OTHER_KEY)
        yield from line_lists(text)
        for block in code_blocks(text):
            yield _dedented(block)


def _marked(reply: str) -> Iterator[str]:
    """Yield what is marked as a program, by a key or a fence, and the text as a whole."""
    said = _without_thoughts(reply)
    for text in (said, reply) if said != reply else (reply,):
        readings = [text]
        if _ESCAPED_KEY.search(text):  # a JSON object written as a string
            readings.append(_unescape(text))
        for reading in readings:
            yield from _code_values(reading, _CODE_KEY)
        yield from _fenced(text)


def _without_thoughts(reply: str) -> str:
    said: list[str] = []
    thinking = False
    position = 0
    for tag in _THINKING.finditer(reply):
        if tag[1]:
            if not thinking:  # the opening tag stood in the prompt
                said.clear()
        elif not thinking:
            said.append(reply[position : tag.start()])
        thinking = not tag[1]
        position = tag.end()
    if not thinking:
        said.append(reply[position:])
    return "\n".join(said)


def _code_values(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the readings of every value of a key, ``"code"`` as a rule, the last value first."""
    values: list[tuple[re.Match[str], int]] = []
    key = pattern.search(text)
    while key:
        end = _string_end(text, key.end(), key["quote"])
        values.append((key, end))
        key = pattern.search(text, end)
    following = len(text)
    for key, end in reversed(values):
        yield from _readings(text[key.end() : end])
        # A quote the model forgot to escape ended the string early: read on to a likelier end.
        closing = _STRING_END[key["quote"][0]].finditer(text, end, following)
        ends = [match.start() for match in closing if match.start() > end]
        for later in ends[-1:] + ends[:-1][:_MAX_LATER_ENDS]:
            yield from _readings(text[key.end() : later])
        following = key.start()


def _string_end(text: str, start: int, quote: str) -> int:
    if len(quote) == 3:
        end = text.find(quote, start)
        return end if end >= 0 else len(text)
    body = _STRING_BODY[quote].match(text, start)
    return body.end() if body else start


def _readings(body: str) -> Iterator[str]:
    r"""Yield the texts the body of a string may stand for, likeliest first.

    Where lines are broken by real line breaks, and no backslash is doubled, a ``\n`` is the
    program's own.
    """
    unescaped = _unescape(body)
    unquoted = body.replace('\\"', '"')
    twice = _unescape(unescaped) if "\n" not in unescaped else unescaped
    is_raw = "\n" in body.strip() and "\\\\" not in body
    for text in (unquoted, unescaped) if is_raw else (unescaped, unquoted, twice):
        yield _dedented(text)
        if "```" in text:
            yield from _fenced(text)


def _unescape(body: str) -> str:
    r"""Undo the escapes JSON and Python share; leave any other backslash, as in ``\d``, alone."""

    def character(escape: re.Match[str]) -> str:
        code, letter = escape[1] or escape[2], escape[3]
        return chr(int(code, 16)) if code else _PLAIN.get(letter, letter)

    text = _ESCAPE.sub(character, body)
    # JSON writes a character beyond U+FFFF as a pair of surrogates.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _fenced(text: str) -> Iterator[str]:
    """Yield what stands between fences, the last block first; all of it where there are none.

    Blocks and what stands between them are not told apart: prose does not compile.
    """
    for fence in (_FENCE_LINE, _FENCE):
        for part in reversed(fence.split(text)):
            yield _dedented(part)


def _dedented(text: str) -> str:
    header = _HEADER.match(text)  # what a chat window shows above a block
    text = text[header.end() if header else 0 :].strip("\n")
    return textwrap.dedent(text) if text[:1] in {" ", "\t"} else text
