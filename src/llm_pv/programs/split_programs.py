"""Programs that a reply gives in several blocks: helpers and imports first, then ``f``."""

import ast
import builtins
from collections.abc import Sequence


def joined_source(source: str, earlier: Sequence[str]) -> str:
    r"""Return a source with those earlier blocks before it that define names it lacks.

    Parse only in the confined parser.

    Parameters
    ----------
    source
        A module that compiles.
    earlier
        The blocks before it, in their order; those that do not parse are left out.

    Examples
    --------
    >>> joined_source("f = ones\n", ["x = 1\n", "def ones(x):\n    return x.count('1')\n"])
    "def ones(x):\n    return x.count('1')\n\nf = ones\n"
    """
    lacking = _names(source, loaded=True) - _names(source, loaded=False)
    parts = [source]
    for block in reversed(earlier):
        try:
            defined = _names(block, loaded=False)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if lacking & defined:
            parts.insert(0, block if block.endswith("\n") else block + "\n")
            lacking = (lacking | _names(block, loaded=True)) - defined
    return "\n".join(parts)


def _names(source: str, *, loaded: bool) -> set[str]:
    """Return the names that a source uses, builtins left out, or those that it binds anywhere."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=alias):
                bound.add(alias or name.partition(".")[0])
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case _:
                pass
    return used - set(dir(builtins)) if loaded else bound
