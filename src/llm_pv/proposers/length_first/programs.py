"""Whole programs: from conditions and values to the source of ``f``, written to be read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_pv.proposers.length_first.expressions import Definition, Expression
from llm_pv.proposers.length_first.sequences import literal


@dataclass(frozen=True, eq=False)
class Candidate:
    """A program, with what the search knows of it.

    Parameters
    ----------
    body
        The lines of the function, indented from 0, that follow the local names.
    needs
        What they rely on.
    bits
        The program's length.
    answers
        Its class on every training row and probe, as a position in the classes.
    mistakes
        How many training rows it gets wrong.
    cost
        Its length and the bits of its mistakes.
    kind
        ``"rule"``, or ``"fallback"`` for what is offered when no rule is found.
    """

    body: tuple[str, ...]
    needs: tuple[Definition, ...]
    bits: float
    answers: NDArray[np.int64]
    mistakes: int
    cost: float
    kind: str = "rule"

    @property
    def is_fallback(self) -> bool:
        """Whether it is offered for want of a rule."""
        return self.kind != "rule"

    @property
    def note(self) -> str:
        """What is recorded with the proposal."""
        found = f"{self.kind}: " if self.is_fallback else ""
        return f"{found}{self.bits:.1f} bits, {self.mistakes} training mistakes"

    @property
    def docstring(self) -> str:
        """What the program says of itself."""
        wrong = f"; {self.mistakes} training rows answered wrongly" if self.mistakes else ""
        what = "A fallback, not a rule: " if self.is_fallback else "A rule of "
        return f'"""{what}{self.bits:.1f} bits{wrong}."""'


def label_literal(text: str) -> str:
    """Return the source of a class: a number where the text is exactly that number's.

    Examples
    --------
    >>> label_literal("3"), label_literal("03"), label_literal("spam")
    ('3', '"03"', '"spam"')
    """
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and len(digits) < 19 and str(int(text)) == text:
        return text
    return literal(text)


def condition_body(condition: Expression, classes: Sequence[str], positive: int) -> tuple[str, ...]:
    """Return the body that answers one class where a condition holds, and the other elsewhere."""
    if tuple(classes) == ("0", "1") and positive == 1:
        return (f"return int({condition.code})",)
    yes, no = label_literal(classes[positive]), label_literal(classes[1 - positive])
    return (f"return {yes} if {condition.code} else {no}",)


def source_of(candidate: Candidate) -> str:
    """Return a program's source: imports, helpers, then ``f``."""
    definitions = list(_ordered(candidate.needs))
    lines = sorted({d.text for d in definitions if d.kind == "import"})
    blocks = ["\n".join(lines)] if lines else []
    blocks += [d.text for d in definitions if d.kind == "helper"]
    body = [candidate.docstring, *(d.text for d in definitions if d.kind == "local")]
    body += candidate.body
    blocks.append("\n".join(["def f(x):", *(f"    {line}" for line in body)]))
    return "\n\n\n".join(blocks) + "\n"


def _ordered(needs: Iterable[Definition]) -> Iterable[Definition]:
    """Yield each definition once, after those it relies on."""
    known: dict[Definition, None] = {}

    def visit(definition: Definition) -> None:
        for inner in definition.needs:
            visit(inner)
        known.setdefault(definition)

    for definition in needs:
        visit(definition)
    return known
