"""What is said to a model: the problem statement and what may follow it, from training rows alone.

Every text is a pure function of the rows it is given; nothing here reads or sends anything but a
template the user names.
"""

from llm_pv.proposers.prompt.fitting import MOST_ROWS, fit_to_tokens, subsample
from llm_pv.proposers.prompt.messages import (
    disclosure,
    no_program_message,
    refinement_message,
)
from llm_pv.proposers.prompt.statement import (
    ToolKind,
    Variant,
    problem_statement,
    prompt_digest,
)
from llm_pv.proposers.prompt.variants import parse_variant

__all__ = [
    "MOST_ROWS",
    "ToolKind",
    "Variant",
    "disclosure",
    "fit_to_tokens",
    "no_program_message",
    "parse_variant",
    "problem_statement",
    "prompt_digest",
    "refinement_message",
    "subsample",
]
