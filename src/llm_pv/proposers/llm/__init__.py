"""Proposals from a language model: conversations, their scheduling, their cost."""

from llm_pv.proposers.llm.local_tool import labelled_rows
from llm_pv.proposers.llm.prompt.notation import alphabet_of
from llm_pv.proposers.llm.proposer import DEFAULT_SETTINGS, LEARN_SETTINGS, LLM
from llm_pv.proposers.llm_settings import DEFAULT_ATTEMPTS, LLMSettings

__all__ = [
    "DEFAULT_ATTEMPTS",
    "DEFAULT_SETTINGS",
    "LEARN_SETTINGS",
    "LLM",
    "LLMSettings",
    "alphabet_of",
    "labelled_rows",
]
