"""Programs that a reply gives in several blocks: helpers and imports first, then ``f``."""

import ast
import builtins
from collections.abc import Sequence

from llm_pv.programs.scopes import Scopes


def joined_source(source: str, earlier: Sequence[str]) -> str:
    r"""Return a source with those earlier blocks before it that define names it lacks.

    Parse only in the confined parser.

    Parameters
    ----------
    earlier
        The blocks before it, in their order; those that do not parse are left out.

    Examples
    --------
    >>> joined_source("f = ones\n", ["x = 1\n", "def ones(x):\n    return x.count('1')\n"])
    "def ones(x):\n    return x.count('1')\n\nf = ones\n"
    """
    used, bound = _names(source)
    lacking = used - bound
    parts = [source]
    for block in reversed(earlier):
        try:
            used, defined = _names(block)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if lacking & defined:
            parts.insert(0, block if block.endswith("\n") else block + "\n")
            lacking = (lacking | used) - defined
    return "\n".join(parts)


def _names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a source uses, builtins left out, and those that it binds anywhere."""
    scopes = Scopes(ast.parse(source))
    used = {
        one.name
        for one in scopes.occurrences
        if isinstance(one.node, ast.Name) and isinstance(one.node.ctx, ast.Load)
    }
    return used - set(dir(builtins)), set(scopes.bindings)
