"""A candidate program: what was proposed, what identifies it, and how long it is."""

import ast
import hashlib
from dataclasses import dataclass

from llm_pv.errors import ProgramError
from llm_pv.programs.description_length import description_length
from llm_pv.programs.normalise import canonical_text, normalise_tree
from llm_pv.programs.scopes import Scopes
from llm_pv.programs.syntax import clean_source, parse_source

ENTRY_POINT = "f"
"""The name of the function every program defines."""

NO_ENTRY_POINT = f"the program defines no function {ENTRY_POINT}: write `def {ENTRY_POINT}(x): ...`"


@dataclass(frozen=True)
class Program:
    r"""A Python module with an entry point ``f``; make one with `Program.parse`.

    Parameters
    ----------
    source
        The module as proposed, with ``\n`` line ends and a final newline.
    digest
        The SHA-256 of its normalised text: the same for programs that differ in formatting,
        comments, docstrings, annotations and names of locals alone.
    bits
        Its description length (see `llm_pv.programs.description_length`).

    Examples
    --------
    >>> program = Program.parse("def f(x):\n    return x.count('1') % 2")
    >>> program.digest == Program.parse("def f(word): return word.count('1')%2 # parity").digest
    True
    """

    source: str
    digest: str
    bits: int

    @classmethod
    def parse(cls, source: str) -> "Program":
        """Read a program out of its source, running nothing.

        Parameters
        ----------
        source
            The text of a Python module.

        Raises
        ------
        ProgramError
            With a one-line reason, if the text does not compile or binds no ``f``.
        """
        source = clean_source(source)
        tree = parse_source(source)
        _require_entry_point(tree)
        normalise_tree(tree)
        digest = hashlib.sha256(canonical_text(tree).encode()).hexdigest()
        return cls(source, digest, description_length(tree))


def _require_entry_point(tree: ast.Module) -> None:
    scopes = Scopes(tree)
    if ENTRY_POINT not in scopes.module_names():
        raise ProgramError(NO_ENTRY_POINT)
    for occurrence in scopes.occurrences:
        is_async = isinstance(occurrence.node, ast.AsyncFunctionDef)
        if is_async and occurrence.scope is scopes.module and occurrence.name == ENTRY_POINT:
            raise ProgramError("f is an async function: write `def f(x): ...`")
