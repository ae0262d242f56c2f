r"""Extract the program from a model's reply.

Candidates, in this order: the values of ``"code"`` keys, fenced blocks, the whole text; of several
of one kind, the last comes first. Text in ``<think>`` tags is used only if the text outside holds
no program: the final answer counts, but a reply cut off in its reasoning may still hold a program,
and every program is verified anyway.

Strings are read leniently (see `literals`). Damaged text, other keys and strings, lists of lines
and code without a fence are tried next (see `repair`), and last programs whose entry point has
another name (see `entry_points`). Nothing is evaluated.
The work is linear in the length of the reply, and the number of candidates is capped.
"""

import contextlib
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from llm_pv.errors import ProgramError
from llm_pv.programs.entry_points import (
    DEFINES,
    binds_entry_point,
    lambdas_in_prose,
    with_body,
    with_entry_point,
)
from llm_pv.programs.fences import block_readings, fenced_blocks, joined_source
from llm_pv.programs.literals import (
    ANY_STRING,
    CODE_KEY,
    OTHER_KEY,
    likely_values,
    strings,
    unescape,
    values,
)
from llm_pv.programs.program import ENTRY_POINT, Program, parse_here
from llm_pv.programs.repair import boxed, code_blocks, code_runs, repaired
from llm_pv.programs.syntax import MAX_SOURCE_CHARACTERS, clean_source
from llm_pv.sandbox.parser import ask

MAX_REPLY_CHARACTERS = 1_000_000
"""The longest reply that is read."""

NOTHING_DEFINED = f"nothing in it defines a function {ENTRY_POINT}"

_MAX_TRIES = 40
_MAX_CHARACTERS_TRIED = 300_000
_MAX_CANDIDATES = 2_000
_MAX_HELPERS = 10
_MOST_LATER = 10
_MOST_DOCUMENTS = 10

_THINKING = re.compile(
    r"<(/?)(?:think(?:ing)?|thoughts?|reasoning|analysis|reflection|scratchpad)>"
    r"|\[(/?)THINK\]|\u25c1(/?)think\u25b7",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"<\|channel\|>analysis<\|message\|>(?P<thoughts>.*?)"
    r"(?:<\|end\|>|<\|start\|>|(?=<\|channel\|>)|\Z)",
    re.DOTALL,
)
_ESCAPED_KEY = re.compile(r"""\\["']code\\["']""")
_HEADER = re.compile(
    r"\s*+(?:(?:python3?|py|copy|(?:copy ?)?(?:code|edit))[ \t]*+\n\s*?)++", re.IGNORECASE
)
_LANGUAGE = re.compile(r"\s*+(?:python3?|py)[ \t]++(?=(?:def|import|from|lambda|f)\b)")
_CONSTANT = re.compile(rf"""\s*+{ENTRY_POINT} = (?:[-+\d.]++|"[^"\n]*+"|'[^'\n]*+')\s*+\Z""")
_HERE_DOCUMENT = re.compile(
    r"<<-?[ \t]*+(['\"]?)(?P<end>\w++)\1[^\n]*+\n(?P<text>.*?\n)[ \t]*+(?P=end)\b", re.DOTALL
)
_WIKI_FENCE = re.compile(r"^[ \t]*+\{(?:noformat|code)(?::[\w=|.-]*+)?\}[ \t]*+$", re.MULTILINE)
_SESSION_OUTPUT = re.compile(r"^Out\[\d++\]:[^\n]*+$", re.MULTILINE)
_MENTIONS_ENTRY_POINT = re.compile(rf"\b{ENTRY_POINT}\b")


def read_program(
    reply: str, *, mention: str | None = None, ending: str = "", any_name: bool = True
) -> Program:
    r"""Return the program that a reply proposes, extracted in the confined process.

    Parameters
    ----------
    reply
        The text of the reply.
    mention
        A regular expression that a candidate must match, to exclude prose; ``^`` and ``$`` match
        at lines. None for the name ``f``.
    ending
        Code appended to each candidate, for replies that do not define ``f`` themselves.
    any_name
        Whether a function of another name is accepted if none is called ``f``.

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
    (answer,) = read_programs([reply], mention=mention, ending=ending, any_name=any_name)
    if isinstance(answer, ProgramError):
        raise answer
    return answer


def read_programs(
    replies: Sequence[str],
    *,
    mention: str | None = None,
    ending: str = "",
    any_name: bool = True,
    deadline: float = math.inf,
) -> list[Program | ProgramError]:
    """Extract from several replies at once, which is faster; an error is returned in its place.

    The list ends before the first reply that is not read by the deadline of `time.monotonic`.
    """
    answers: list[Program | ProgramError] = [_too_long(reply) for reply in replies]
    places = [place for place, reply in enumerate(replies) if len(reply) <= MAX_REPLY_CHARACTERS]
    requests = [[replies[place], mention, ending, any_name] for place in places]
    found = ask("reply", requests, deadline=deadline)
    for place, answer in zip(places, found, strict=False):
        answers[place] = answer if isinstance(answer, ProgramError) else Program(*answer)
    return answers if len(found) == len(places) else answers[: places[len(found)]]


def read_several(reply: str, most: int) -> list[Program]:
    """Return the distinct programs that a reply proposes, the likeliest first.

    Raise ProgramError as for `read_program`.

    Parameters
    ----------
    most
        So many are returned at most; those said last go before those said first.
    """
    if len(reply) > MAX_REPLY_CHARACTERS:
        raise _too_long(reply)
    (found,) = ask("several", [[reply, most]])
    if isinstance(found, ProgramError):
        raise found
    return [Program(*each) for each in found]


def _too_long(reply: str) -> ProgramError:
    return ProgramError(
        f"the reply has {len(reply):,} characters, at most {MAX_REPLY_CHARACTERS:,} are read"
    )


def find_program(
    reply: str,
    *,
    mention: re.Pattern[str] | None = None,
    ending: str = "",
    any_name: bool = True,
) -> Program:
    """Do the work of `read_program` in this process: for the confined parser only."""
    search = _Search(mention or _MENTIONS_ENTRY_POINT, ending)
    reply = _plain_text(reply)
    said = _without_thoughts(reply)
    # A function of another name in the answer is preferred to a draft in the reasoning.
    renames = any_name and not binds_entry_point(said)
    stages = [_marked(said), _spoiled(said)]
    if said != reply:
        stages += [_marked(reply), _spoiled(reply)]
    for number, candidates in enumerate(stages):
        program = search.first(islice(candidates, _MAX_CANDIDATES))
        if program is None and renames and number % 2:
            program = search.renamed()
        if program is not None:
            return program if ending else _with_helpers(program, said)
    program = search.renamed() if any_name else None
    if program is not None:
        return _with_helpers(program, said)
    if any_name and (program := _implied(said)):
        return program
    raise ProgramError(f"the reply holds no program: {search.reason}")


def _implied(said: str) -> Program | None:
    """Return the program of which a reply has only the body, or which is a lambda in a sentence.

    None if several differ: which one is meant cannot be known.
    """
    blocks = [said[block.start : block.end] for block in fenced_blocks(said)]
    marked = [*blocks, *islice(_code_values(said, CODE_KEY), _MOST_LATER), *boxed(said)]
    sources = [with_body(_dedented(text)) for text in (marked or [said])[:_MAX_HELPERS]]
    found = list(dict.fromkeys(filter(None, sources))) or list(lambdas_in_prose(said))
    return parse_here(found[0]) if len(found) == 1 else None


def find_programs(reply: str, most: int) -> list[Program]:
    """Do what `read_several` does in this process: only the confined parser may do so."""
    first = find_program(reply)
    found = {first.digest: first}
    said = _without_thoughts(_plain_text(reply))
    blocks = (said[block.start : block.end] for block in reversed(fenced_blocks(said)))
    marked = chain(_code_values(said, CODE_KEY), map(_dedented, blocks))
    bound = (text for text in islice(marked, _MAX_CANDIDATES) if binds_entry_point(text))
    for text in islice(dict.fromkeys(bound), 2 * most):  # several readings can be one text
        if len(found) == most:
            break
        with contextlib.suppress(ProgramError):
            program = _with_helpers(parse_here(text), said)
            found.setdefault(program.digest, program)
    return list(found.values())


def _with_helpers(program: Program, said: str) -> Program:
    """Return a program with the blocks before it that define names it lacks."""
    blocks = [_dedented(said[block.start : block.end]) for block in fenced_blocks(said)]
    if len(blocks) < 2 or len(said) > _MAX_CHARACTERS_TRIED:
        return program
    sources = [clean_source(block) for block in blocks]
    place = sources.index(program.source) if program.source in sources else 0
    source = joined_source(program.source, sources[max(place - _MAX_HELPERS, 0) : place])
    if source == program.source:
        return program
    try:
        return parse_here(source)
    except ProgramError:
        return program


class _Search:
    """The candidates tried for one reply, within its caps."""

    def __init__(self, mention: re.Pattern[str], ending: str) -> None:
        self.reason = NOTHING_DEFINED
        self._mention = mention
        self._ending = ending
        self._seen: set[str] = set()
        self._others: list[str] = []
        self._tries = 0
        self._characters = 0

    def first(self, candidates: Iterable[str]) -> Program | None:
        """Return the first program among candidates; None if there is none or a cap is reached."""
        for text in candidates:
            if text in self._seen:
                continue
            self._seen.add(text)
            if not self._mention.search(text) or _CONSTANT.match(text):
                self._remember(text)
                continue
            if self._tries == _MAX_TRIES:
                break
            if not self._fits(text):
                continue
            try:
                return parse_here(text + self._ending)
            except ProgramError as error:
                # Report the error of the first candidate, the likeliest.
                self.reason = self.reason if self._tries > 1 else str(error)
                self._remember(text)
        return None

    def renamed(self) -> Program | None:
        """Return the first program, under another name than ``f``, among the rejected texts."""
        others, self._others = self._others, []
        for text in (adapted for other in others for adapted in with_entry_point(other)):
            if text in self._seen or self._tries == _MAX_TRIES or not self._fits(text):
                continue
            self._seen.add(text)
            try:
                return parse_here(text)
            except ProgramError:
                continue
        return None

    def _remember(self, text: str) -> None:
        if len(self._others) < _MAX_TRIES and DEFINES.search(text):
            self._others.append(text)

    def _fits(self, text: str) -> bool:
        """Count a try and return True, unless the characters of all tries would exceed the cap."""
        counted = len(text) if len(text) <= MAX_SOURCE_CHARACTERS else 0
        if self._tries and self._characters + counted > _MAX_CHARACTERS_TRIED:
            return False
        self._tries += 1
        self._characters += counted
        return True


def complete_part(reply: str) -> str:
    r"""Return a truncated reply up to its last complete program, ``""`` if it has none.

    A program is complete if its fence or its string is closed, or if other text follows.

    Examples
    --------
    >>> complete_part("```python\ndef f(x):\n    return 1\n```\nThat is because the")
    '```python\ndef f(x):\n    return 1\n```'
    >>> complete_part("```python\ndef f(x):\n    return x.count(")
    ''
    """
    text = _plain_text(reply[:MAX_REPLY_CHARACTERS])
    end = 0
    for block in fenced_blocks(text):
        if block.closed and DEFINES.search(text, block.start, block.end):
            line_end = text.find("\n", block.end)
            end = line_end if line_end >= 0 else len(text)
    for opening, value_end in chain(strings(text, CODE_KEY), strings(text, ANY_STRING)):
        value = text[opening.end() : value_end]
        is_program = DEFINES.search(value) and (
            opening.re is CODE_KEY or binds_entry_point(unescape(value))
        )
        if is_program and text.startswith(opening["quote"], value_end):
            end = max(end, value_end + len(opening["quote"]))
    unfenced = [run for run in code_runs(text, end) if binds_entry_point(run[0]) and not run[2]]
    return text[: unfenced[-1][1] if unfenced else end]


def _plain_text(reply: str) -> str:
    """Return a reply with uniform line ends, and its reasoning in tags."""
    text = reply.replace("\r\n", "\n").replace("\r", "\n")
    text = _SESSION_OUTPUT.sub("", _WIKI_FENCE.sub("```", text))
    return _CHANNEL.sub(r"<think>\g<thoughts></think>", text) if "<|channel|>" in text else text


def _spoiled(text: str) -> Iterator[str]:
    """Yield possible programs in a text that was damaged, or in which none is marked."""
    readings = [text, *repaired(text)]
    if "\\n" in text and "\n" not in text.strip():  # a text written as a string
        readings.append(unescape(text))
    for reading in readings[1:]:
        yield from _marked(reading)
    for reading in readings:
        yield from _code_values(reading, OTHER_KEY)
        yield from _unwrapped(likely_values(reading))
        yield from boxed(reading)
        for block in code_blocks(reading):
            yield _dedented(block)


def _marked(text: str) -> Iterator[str]:
    """Yield the texts marked as programs by a key or a fence, and the whole text."""
    readings = [text]
    if _ESCAPED_KEY.search(text):  # a JSON object written as a string
        readings.append(unescape(text))
    for reading in readings:
        yield from _code_values(reading, CODE_KEY)
    if text.count("<<") <= _MOST_DOCUMENTS:  # each is looked for to the end of the text
        yield from (written["text"] for written in _HERE_DOCUMENT.finditer(text))
    yield from map(_dedented, block_readings(text))


def _without_thoughts(reply: str) -> str:
    said: list[str] = []
    thinking = False
    position = 0
    for tag in _THINKING.finditer(reply):
        closes = any(tag.groups())
        if closes and not thinking:  # the opening tag was in the prompt
            said.clear()
        elif not thinking:
            said.append(reply[position : tag.start()])
        thinking = not closes
        position = tag.end()
    if not thinking:
        said.append(reply[position:])
    return "\n".join(said)


def _code_values(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the values of a key, ``"code"`` as a rule, the last value first."""
    return _unwrapped(values(text, pattern))


def _unwrapped(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts, each followed by the contents of the fences in it."""
    for text in texts:
        yield _dedented(text)
        if "```" in text:
            yield from map(_dedented, block_readings(text))


def _dedented(text: str) -> str:
    # The label of a chat window above a block, or a language name before code in one line.
    header = _HEADER.match(text) or _LANGUAGE.match(text)
    text = text[header.end() if header else 0 :].strip("\n")
    return textwrap.dedent(text) if text[:1] in {" ", "\t"} else text
