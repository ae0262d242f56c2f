"""The operations on untrusted source, by name, that the parsing process runs.

`llm_pv.sandbox.parser` calls these in that process. Never call them in the user's process: use
`Program.parse`, `read_program` and similar functions, which send the text there.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from llm_pv.programs import shown
from llm_pv.programs.leaves import conditions, leaves
from llm_pv.programs.literals import objects
from llm_pv.programs.normalise import canonical_text
from llm_pv.programs.program import parse_here
from llm_pv.programs.replies import find_program, find_programs
from llm_pv.programs.sql import sql
from llm_pv.programs.syntax import parse_source

_IMPORTERS = frozenset({"__import__", "import_module", "exec", "eval", "compile"})
_PREFIX_AND_QUOTE = re.compile(r"(?i)u?(['\"])")


def program(source: str) -> tuple[str, int]:
    """Return the digest and the description length of a program."""
    parsed = parse_here(source)
    return parsed.digest, parsed.bits


def reply(
    text: str, mention: str | None = None, ending: str = "", any_name: bool = True
) -> tuple[str, str, int]:
    """Return the source of the program in a reply, its digest and its description length."""
    wanted = re.compile(mention, re.MULTILINE) if mention else None
    found = find_program(text, mention=wanted, ending=ending, any_name=any_name)
    return found.source, found.digest, found.bits


def several(text: str, most: int) -> list[tuple[str, str, int]]:
    """Return the source, digest and description length of each program in a reply."""
    return [(found.source, found.digest, found.bits) for found in find_programs(text, most)]


def imports(source: str) -> list[str]:
    """Return the top-level modules a source imports, sorted.

    If it executes or imports strings, the words in its strings count too.
    """
    tree = ast.parse(source)
    modules: set[str] = set()
    words: set[str] = set()
    dynamic = False
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules.update(alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(name), level=0):
                modules.add(name.partition(".")[0])
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _IMPORTERS:
                dynamic = True
            case ast.Constant(value=str(text)):
                words.update(re.findall(r"\w+", text))
    return sorted(modules | words if dynamic else modules)


def escaped(source: str) -> tuple[str, bool]:
    r"""Return a program in the form that is saved, and whether it has a docstring.

    Non-printing characters, such as those that change the direction of text, are written as
    escapes in comments, and in strings where that does not change the program.

    Examples
    --------
    >>> escaped("f = '\u202e' # \x1b[31m")
    ("f = '\\u202e' # \\x1b[31m", False)
    """
    documented = ast.get_docstring(parse_source(source)) is not None
    if all(line.isprintable() for line in source.replace("\t", " ").split("\n")):
        return source, documented
    meaning = canonical_text(parse_source(source))
    for strings in (True, False):
        text = _escaped(source, strings=strings)
        if canonical_text(parse_source(text)) == meaning:
            return text, documented
    return source, documented


def _escaped(source: str, *, strings: bool) -> str:
    lines = source.split("\n")
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        (row, start), (last, end) = token.start, token.end
        is_string = token.type == tokenize.STRING and _PREFIX_AND_QUOTE.match(token.string)
        if token.type == tokenize.COMMENT or (strings and is_string):
            for number in range(row - 1, last):
                line = lines[number]
                left = start if number == row - 1 else 0
                right = end if number == last - 1 else len(line)
                lines[number] = line[:left] + shown.escaped(line[left:right], "\t") + line[right:]
    return "\n".join(lines)


def body_summary(source: str) -> str:
    r"""Return the lines of a program's last function other than assignments and imports.

    Examples
    --------
    >>> body_summary("def f(x):\n    n = len(x)\n    if n > 3:\n        return 1\n    return 0")
    'if n > 3: return 1 return 0'
    """
    functions = [part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef)]
    lines = source.splitlines()
    if not functions:
        return next((line.strip() for line in lines), "")
    kept = [
        statement
        for statement in functions[-1].body
        if not isinstance(statement, ast.Assign | ast.Import | ast.ImportFrom)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]
    return " ".join(
        line.strip()
        for statement in kept
        for line in lines[statement.lineno - 1 : statement.end_lineno]
    )


_ALL = (
    *(program, reply, several, objects, imports, escaped, body_summary),
    *(leaves, conditions, sql),
)
OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {function.__name__: function for function in _ALL}
)
"""Every operation by its name; arguments and values are JSON."""
