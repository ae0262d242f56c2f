"""A candidate program: its source, its digest and its description length.

Sources come from models and files, so they are parsed in a confined process, never in the user's.
"""

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from llm_pv.errors import ProgramError
from llm_pv.programs.description_length import description_length
from llm_pv.programs.normalise import canonical_text, normalise_tree
from llm_pv.programs.scopes import Scopes
from llm_pv.programs.syntax import checked_length, clean_source, parse_source
from llm_pv.sandbox.parser import ask

ENTRY_POINT = "f"

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
        """Return the program of a source, parsed in the confined process without running it.

        Parameters
        ----------
        source
            The text of a Python module.

        Raises
        ------
        ProgramError
            With a one-line reason, if the text does not compile or binds no ``f``, or takes too
            long or too much memory to parse.
        """
        (answer,) = cls.parse_many([source])
        if isinstance(answer, ProgramError):
            raise answer
        return answer

    @classmethod
    def parse_many(cls, sources: Iterable[str]) -> "list[Program | ProgramError]":
        """Parse several sources at once, which is faster; an error is returned in its place.

        Examples
        --------
        >>> [type(one).__name__ for one in Program.parse_many(["f = len", "g = len"])]
        ['Program', 'ProgramError']
        """
        answers: list[Program | ProgramError] = []
        sound: list[str] = []
        for source in sources:
            try:
                sound.append(checked_length(clean_source(source)))
            except ProgramError as error:
                answers.append(error)
            else:
                answers.append(cls(sound[-1], "", 0))
        read = iter(zip(sound, ask("program", [[source] for source in sound]), strict=True))
        for place, answer in enumerate(answers):
            if isinstance(answer, Program):
                source, found = next(read)
                answers[place] = found if isinstance(found, ProgramError) else cls(source, *found)
        return answers


def parse_here(source: str) -> Program:
    """Return the program of a source, parsed in this process: for the confined parser only.

    Raise ProgramError as for `Program.parse`, except that time and memory are not limited.
    """
    source = clean_source(source)
    tree = parse_source(source)
    _require_entry_point(tree)
    normalise_tree(tree)
    digest = hashlib.sha256(canonical_text(tree).encode()).hexdigest()
    return Program(source, digest, description_length(tree))


def _require_entry_point(tree: ast.Module) -> None:
    scopes = Scopes(tree)
    if ENTRY_POINT not in scopes.module_names():
        raise ProgramError(NO_ENTRY_POINT)
    for occurrence in scopes.occurrences:
        is_async = isinstance(occurrence.node, ast.AsyncFunctionDef)
        if is_async and occurrence.scope is scopes.module and occurrence.name == ENTRY_POINT:
            raise ProgramError("f is an async function: write `def f(x): ...`")
