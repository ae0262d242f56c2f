"""The messages to a model: the problem statement and its follow-ups, from training rows only.

Every text is a pure function of the given rows; nothing here reads or sends anything except a
template the user names.
"""

from llm_pv.proposers.llm.prompt.facts import facts
from llm_pv.proposers.llm.prompt.messages import (
    disclosure,
    no_program_message,
    refinement_message,
)
from llm_pv.proposers.llm.prompt.notation import alphabet_of
from llm_pv.proposers.llm.prompt.row_choice import (
    MOST_PROMPT_TOKENS,
    MOST_ROWS,
    TELLING_ROWS,
    fit_to_tokens,
    subsample,
    telling_rows,
)
from llm_pv.proposers.llm.prompt.statement import (
    AnswerFormat,
    Variant,
    problem_statement,
    prompt_digest,
)
from llm_pv.proposers.llm.prompt.variants import parse_variant

__all__ = [
    "MOST_PROMPT_TOKENS",
    "MOST_ROWS",
    "TELLING_ROWS",
    "AnswerFormat",
    "Variant",
    "alphabet_of",
    "disclosure",
    "facts",
    "fit_to_tokens",
    "no_program_message",
    "parse_variant",
    "problem_statement",
    "prompt_digest",
    "refinement_message",
    "subsample",
    "telling_rows",
]
