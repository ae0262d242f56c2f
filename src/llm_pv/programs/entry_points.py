r"""Programs whose entry point has another name or form than ``def f(x)``.

Recognised from the text alone: an ``async`` function, a lambda expression, a class with a method,
and functions of other names, of which the last one that takes an input is used. The source is
kept; a line appended to it defines the entry point.
"""

import re
from collections.abc import Iterator

from llm_pv.programs.program import ENTRY_POINT

WORD_BEGINS = r"(?:\b|(?<=\\[nrt]))"
"""Where a word may begin, in a string whose line breaks are escaped too."""

DEFINES = re.compile(rf"{WORD_BEGINS}(?:def|lambda)\b")
"""The words without which no text defines a function."""

_ASYNC = re.compile(r"^([ \t]*+)async[ \t]++(?=def\b|for\b|with\b)", re.MULTILINE)
_AWAIT = re.compile(r"\bawait[ \t]++(?=[\w(\[{])")
_LAMBDA = re.compile(r"\(*+lambda\b")
_TOP = re.compile(
    r"^(?:def[ \t]++(?P<function>\w++)[ \t]*+\((?P<parameters>[^)]*+)"
    r"|class[ \t]++(?P<holder>\w++)"
    r"|(?P<name>\w++)(?:[ \t]*+:[^=\n]*+)?[ \t]*+=[ \t]*+lambda[ \t]++\w"
    r"|[ \t]++def[ \t]++(?P<method>\w++)[ \t]*+\()",
    re.MULTILINE,
)
_ASIDE = re.compile(r"_|main\b|test|check|assert|verify\b|evaluate\b|run\b")
_BINDS_F = re.compile(
    rf"^(?:async[ \t]++)?def[ \t]++{ENTRY_POINT}[ \t]*+\("
    rf"|^{ENTRY_POINT}[ \t]*+(?::[^=\n]*+)?=(?!=)",
    re.MULTILINE,
)


def binds_entry_point(text: str) -> bool:
    """Return whether a line of a text defines or assigns ``f`` at the outermost level."""
    return bool(_BINDS_F.search(text))


def with_entry_point(source: str) -> Iterator[str]:
    r"""Yield the possible readings of a source without ``def f(x)``, likeliest first.

    Examples
    --------
    >>> next(with_entry_point("def parity(x):\n    return x.count('1') % 2"))
    "def parity(x):\n    return x.count('1') % 2\n\nf = parity\n"
    >>> next(with_entry_point("lambda x: len(x) % 2"))
    'f = lambda x: len(x) % 2\n'
    """
    if _ASYNC.search(source):
        source = _AWAIT.sub("", _ASYNC.sub(r"\1", source))
        if binds_entry_point(source):
            yield source
            return
    text = source.strip()
    if _LAMBDA.match(text):
        yield f"{ENTRY_POINT} = {text}\n"
        return
    for entry in _entries(source):
        yield f"{source.rstrip()}\n\n{ENTRY_POINT} = {entry}\n"


def _entries(source: str) -> list[str]:
    """Return expressions for the entry point: a method called ``f``, then the last of any name."""
    holder = ""
    found: list[str] = []
    named: list[str] = []
    for top in _TOP.finditer(source):
        if top["holder"]:
            holder = top["holder"]
        elif top["method"]:
            if holder and top["method"] == "__call__":
                found.append(f"{holder}()")
            elif holder and not _ASIDE.match(top["method"]):
                method = f"{holder}().{top['method']}"
                (named if top["method"] == ENTRY_POINT else found).append(method)
        else:
            holder = ""
            name = top["function"] or top["name"]
            if not _ASIDE.match(name) and (top["name"] or top["parameters"].strip()):
                found.append(name)
    return [*named[-1:], *found[:-3:-1]]
