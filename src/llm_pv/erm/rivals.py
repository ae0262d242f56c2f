"""Find rivals of the selected program: programs that validation does not refute either."""

from dataclasses import asdict, dataclass
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.erm.attempts import programs_of
from llm_pv.erm.scoring import Score
from llm_pv.erm.selection import Selection
from llm_pv.erm.verification import verification_inputs, verify_programs
from llm_pv.proposers.base import Proposal, Rival
from llm_pv.sandbox import Sandbox

LONGEST_EXAMPLE = 120
"""The most characters of an example row in a warning."""


@dataclass(frozen=True)
class StandingRival:
    """A rival that makes no more validation errors than the selected program."""

    rival: Rival
    "The program, and an input for which it differs."
    validation: Score
    "Its score on the validation rows."

    def record(self) -> dict[str, Any]:
        """Return the rival as plain JSON values."""
        return asdict(self.rival) | {"validation_accuracy": self.validation.accuracy}

    def sentence(self) -> str:
        """Return a warning for the user about it."""
        rival = self.rival
        shown = repr(rival.example)
        if len(shown) > LONGEST_EXAMPLE:
            shown = shown[:LONGEST_EXAMPLE] + "..."
        gist = rival.text.rstrip().splitlines()[-1].strip()
        return (
            f"the rows do not tell this program from another, `{gist}`: for {shown} this one "
            f"answers {rival.answer}, the other {rival.rival_answer}; label such a row to decide"
        )


def standing_rivals(
    selection: Selection, splits: Splits, sandbox: Sandbox
) -> tuple[StandingRival, ...]:
    """Return the selected program's rivals with no more validation errors than it.

    They are not attempts: nothing is selected among them, and the certificate does not change.
    """
    selected = selection.selected
    if selected is None or selected.validation is None or not selected.proposal.rivals:
        return ()
    rivals = selected.proposal.rivals
    programs = programs_of([Proposal(rival.text) for rival in rivals])
    read = [(rival, program) for rival, (program, _) in zip(rivals, programs, strict=True)]
    known = [(rival, program) for rival, program in read if program is not None]
    verified = verify_programs(
        [program for _, program in known], splits, verification_inputs(splits), sandbox
    )
    return tuple(
        StandingRival(rival, verification.validation)
        for (rival, _), verification in zip(known, verified, strict=True)
        if verification.validation.errors <= selected.validation.errors
    )
