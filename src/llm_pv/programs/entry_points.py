r"""Programs whose entry point has another name or form than ``def f(x)``.

Recognised from the text alone: an ``async`` function, a lambda expression, a class with a method,
and functions of other names, of which the last one that takes an input is used. The source is
kept; a line appended to it defines the entry point.
"""

import ast
import builtins
import re
import textwrap
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
_SPOKEN_LAMBDA = re.compile(r"\blambda[ \t]++\w++[ \t]*+:[^\n]++")
_SENTENCE_ENDS = re.compile(r"(?:[,.;:!?][ \t]|[.!?\"'`*$]++$|\.$)")
_MOST_ENDS = 6
_MOST_SPOKEN = 10
_LONGEST_BODY = 10_000
_LONGEST_SENTENCE = 1_000
_DEFINITION = re.compile(r"^[ \t]*+(?:def|class|async)\b", re.MULTILINE)
_NAMED_RESULT = re.compile(rf"{ENTRY_POINT}\(x\)[ \t]*+(?::?=(?!=)|:)")
_NO_ANSWER = {"print", "input", "exec", "eval", "open", "help", "exit", "quit"}
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


def with_body(text: str) -> str | None:
    r"""Return the function of which a text is the body, or whose value for ``x`` it is.

    None if it is neither: it reads ``x`` and no other name that it does not define.

    Examples
    --------
    >>> with_body("f(x) = len(x) % 2")
    'def f(x):\n    return (\n        len(x) % 2\n    )\n'
    >>> with_body("The length of x") is None
    True
    """
    text = text.strip()
    named = _NAMED_RESULT.match(text)
    text = text[named.end() :].strip() if named else text
    if len(text) > _LONGEST_BODY or _DEFINITION.search(text):
        return None
    if not re.search(r"^[ \t]*return\b", text, re.MULTILINE):
        text = f"return (\n{textwrap.indent(text, '    ')}\n)"
    source = f"def {ENTRY_POINT}(x):\n{textwrap.indent(text, '    ')}\n"
    return source if _reads_only_x(source) else None


def lambdas_in_prose(text: str) -> Iterator[str]:
    """Yield programs of lambda expressions within sentences, each different one once."""
    found: dict[str, None] = {}
    for spoken in list(_SPOKEN_LAMBDA.finditer(text))[:_MOST_SPOKEN]:
        words = spoken[0][:_LONGEST_SENTENCE]
        ends = [len(words), *(e.start() for e in reversed([*_SENTENCE_ENDS.finditer(words)]))]
        for end in ends[:_MOST_ENDS]:
            source = f"{ENTRY_POINT} = {words[:end].strip()}\n"
            if _reads_only_x(source):
                found.setdefault(source)
                break
    yield from found


def _reads_only_x(source: str) -> bool:
    """Whether a source is a function of its input that reads no name it does not define."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    inputs = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    loaded = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    known = {name.id for name in names if isinstance(name.ctx, ast.Store)} | inputs
    returns = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    is_bare = len(returns) == 1 and isinstance(returns[0], ast.Name | ast.Constant | ast.Tuple)
    return (
        bool(loaded & inputs)
        and loaded <= (known | set(dir(builtins))) - _NO_ANSWER
        and not (is_bare and len(loaded | known) < 2)
    )
