"""Find rivals of the selected program: programs that validation does not refute either."""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.erm.attempts import Attempt, programs_of
from llm_pv.erm.scoring import Score
from llm_pv.erm.selection import Selection
from llm_pv.erm.verification import verification_inputs, verify_programs
from llm_pv.errors import ProgramError
from llm_pv.proposers.base import Proposal, Rival
from llm_pv.sandbox import Batch, Sandbox
from llm_pv.sandbox.parser import ask_one
from llm_pv.search.probes import make_probes

LONGEST_EXAMPLE, LONGEST_SUMMARY = 160, 100
"""The most characters of an example, and of what a program does, in a warning."""
PROBES = 80
MOST_COMPARED, MOST_NAMED = 30, 2
"""Attempts that are run on probes, and rivals among them that the user gets to see."""
LEAST_DISAGREEMENT = 0.05
"""The share of the probes on which a rival answers otherwise."""


@dataclass(frozen=True)
class VerifiedRival:
    """A rival that makes no more validation errors than the selected program."""

    rival: Rival
    "The program, and an input for which it differs."
    validation: Score
    "Its score on the validation rows."
    selected: str
    "The source of the selected program."

    def record(self) -> dict[str, Any]:
        """Return the rival as plain JSON values."""
        return asdict(self.rival) | {"validation_accuracy": self.validation.accuracy}

    def sentence(self) -> str:
        """Return a warning for the user about it."""
        rival = self.rival
        columns, mine = _reading(self.selected)
        others, summary = _reading(rival.text)
        shown = repr(rival.example)
        if isinstance(rival.example, Mapping):
            read = {name: rival.example[name] for name in columns | others if name in rival.example}
            shown = ", ".join(f"{name} = {value!r}" for name, value in read.items())
        answers = f"this one answers {rival.answer}, the other {rival.rival_answer}"
        if _cut(summary, LONGEST_SUMMARY) == _cut(mine, LONGEST_SUMMARY):
            summary = "one like it"
        elif others and (
            len(summary) > LONGEST_SUMMARY or " of: " in summary
        ):  # a group without its end
            summary = f"one that reads {', '.join(others)}"
        does, example = _cut(summary, LONGEST_SUMMARY), _cut(shown, LONGEST_EXAMPLE)
        return (
            f"another program fits the rows as well ({does}): for {example} {answers}; "
            "label a row like this one to decide between them"
        )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _reading(source: str) -> tuple[dict[str, None], str]:
    """Return the columns that a program reads, and how it decides in a line."""
    try:
        found = ask_one("leaves", source)
    except ProgramError:
        names = re.findall(r"""\bx(?:\.get\(|\[)(?:"([^"]+)"|'([^']+)')""", source)
        summary = str(ask_one("body_summary", source)).removeprefix("return ")
        return dict.fromkeys(first or second for first, second in names), summary
    lines = [
        f"{text};" if leaf is not None else f"{text.removesuffix(':')}:"
        for _, text, leaf in found["lines"]
    ]
    steps = " ".join(re.sub(r"^(\w+ = .*):$", r"\1;", line) for line in lines)
    return dict.fromkeys(found["columns"]), steps.removesuffix(";")


def verified_rivals(
    selection: Selection, splits: Splits, sandbox: Sandbox
) -> tuple[VerifiedRival, ...]:
    """Return programs that the validation rows do not distinguish from the selected one.

    If it makes no validation error, these are the rivals that its proposer named and that make none
    either. Otherwise they are other attempts that make no more errors than chance explains. None is
    an attempt by being named here: the selection and the certificate do not change.
    """
    selected = selection.selected
    if selected is None or selected.validation is None or selected.program is None:
        return ()
    if selected.validation.errors:
        return tuple(_tried(selection.attempts, selected, selected.validation, splits, sandbox))
    if not selected.proposal.rivals:
        return ()
    rivals = selected.proposal.rivals
    programs = programs_of([Proposal(rival.text) for rival in rivals])
    read = [(rival, program) for rival, (program, _) in zip(rivals, programs, strict=True)]
    known = [(rival, program) for rival, program in read if program is not None]
    verified = verify_programs(
        [program for _, program in known], splits, verification_inputs(splits), sandbox
    )
    return tuple(
        VerifiedRival(rival, verification.validation, selected.program.source)
        for (rival, _), verification in zip(known, verified, strict=True)
        if verification.validation.errors == 0
    )


def _tried(
    attempts: Sequence[Attempt], selected: Attempt, score: Score, splits: Splits, sandbox: Sandbox
) -> Iterator[VerifiedRival]:
    """Yield attempts with about as few validation errors that answer otherwise on probes."""
    most = score.errors + math.sqrt(score.errors)
    near = [
        (other.program, other.validation)
        for other in sorted(attempts, key=lambda one: one.rank)
        if other.selectable and other.program and other.validation
        if other.number != selected.number and other.validation.errors <= most
    ][:MOST_COMPARED]
    if selected.program is None or not near:
        return
    probes = make_probes(splits.train.inputs, random.Random("rivals"), PROBES)  # noqa: S311
    sources = [selected.program.source, *(program.source for program, _ in near)]
    mine, *theirs = (one.predictions for one in sandbox.predict_many(sources, Batch(probes)))
    told: set[tuple[str | None, ...]] = set()
    for (program, validation), answers in zip(near, theirs, strict=True):
        apart = [i for i, (a, b) in enumerate(zip(mine, answers, strict=True)) if a != b]
        is_new = tuple(answers) not in told and len(told) < MOST_NAMED
        if len(apart) >= LEAST_DISAGREEMENT * len(probes) and is_new:
            told.add(tuple(answers))
            example = min(apart, key=lambda i: (len(str(probes[i])), i))
            rival = Rival(
                text=program.source,
                bits=round(program.bits, 1),
                disagreement=len(apart) / len(probes),
                example=probes[example],
                answer=mine[example] or "none",
                rival_answer=answers[example] or "none",
            )
            yield VerifiedRival(rival, validation, selected.program.source)
