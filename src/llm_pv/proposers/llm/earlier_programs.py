"""Show later attempts the programs of earlier ones, with their training accuracy."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm_pv.programs.program import Program
from llm_pv.proposers.base import Mistake

MOST_SHOWN = 4
MOST_TOKENS = 3_000
"""Tokens of what a later attempt is shown."""


@dataclass
class _Group:
    """Programs with the same answers on all training rows: the shortest, and their number."""

    source: str
    mistakes: int
    programs: int = 1


class EarlierPrograms:
    """The programs of one cell so far, grouped by what they answer on training rows."""

    def __init__(
        self, rows: int, count_tokens: Callable[[str], int], most_tokens: int = MOST_TOKENS
    ) -> None:
        self._rows = rows
        self._count_tokens = count_tokens
        self._most_tokens = most_tokens
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()

    def add(self, programs: Sequence[Program], mistakes: Sequence[Sequence[Mistake]]) -> list[bool]:
        """Add the programs of a reply; return whether each answers as one before that reply.

        Parameters
        ----------
        mistakes
            The training rows that each gets wrong.
        """
        behaviours = [_behaviour(each) for each in mistakes]
        with self._lock:
            known = [each in self._groups for each in behaviours]
            for program, behaviour, wrong in zip(programs, behaviours, mistakes, strict=True):
                group = self._groups.get(behaviour)
                if group is None:
                    self._groups[behaviour] = _Group(program.source, len(wrong))
                else:
                    group.programs += 1
                    group.source = min(group.source, program.source, key=len)
        return known

    def note(self) -> str:
        """Return what the next attempt is shown, empty if there is no program yet."""
        with self._lock:
            groups = sorted(self._groups.values(), key=lambda group: group.mistakes)
        programs = sum(group.programs for group in groups)
        if not programs:
            return ""
        shown: list[str] = []
        for group in groups:
            trial = [*shown, self._shown(group)]
            if len(trial) > MOST_SHOWN:
                break
            if self._count_tokens(_note(programs, len(groups), trial)) <= self._most_tokens:
                shown = trial
        return _note(programs, len(groups), shown, is_perfect=not groups[0].mistakes)

    def _shown(self, group: _Group) -> str:
        right = self._rows - group.mistakes
        times = f", given {group.programs} times" if group.programs > 1 else ""
        return (
            f"Right on {right:,} of {self._rows:,} training examples{times}:\n"
            f"```python\n{group.source.strip()}\n```"
        )


def _behaviour(mistakes: Sequence[Mistake]) -> str:
    """Return a digest of a program's answers: its mistakes; all errors count as equal."""
    answers = [(one.input, None if one.failed else one.got) for one in mistakes]
    return hashlib.sha256(repr(answers).encode("utf-8", "surrogatepass")).hexdigest()


def _note(programs: int, groups: int, shown: Sequence[str], *, is_perfect: bool = True) -> str:
    sentences = [f"Earlier attempts gave {programs} program{'s' if programs > 1 else ''}."]
    if programs > groups:
        sentences.append(
            f"{programs - groups} of them answered every training example as another one did: "
            "other words for the same rule are no new rule."
        )
    if shown:
        which = "The best of those that differ" if groups > len(shown) else "Those that differ"
        sentences.append(
            "Here it is, with its accuracy on the training examples:"
            if groups == 1
            else f"{which}, with their accuracy on the training examples:"
        )
    request = "Find something else: another kind of rule, not one of these with a small change."
    if is_perfect:
        request += " A program that is right on all of them can still be wrong on other inputs."
    return "\n\n".join([f"\n{' '.join(sentences)}", *shown, f"{request}\n"])
