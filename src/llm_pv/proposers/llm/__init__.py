"""Proposals from a language model: conversations, their scheduling, their cost."""

from llm_pv.proposers.llm.proposer import (
    DEFAULT_ATTEMPTS,
    LLM,
    MOST_PROGRAMS,
    LLMSettings,
    alphabet_of,
    labelled_rows,
)

__all__ = [
    "DEFAULT_ATTEMPTS",
    "LLM",
    "MOST_PROGRAMS",
    "LLMSettings",
    "alphabet_of",
    "labelled_rows",
]
