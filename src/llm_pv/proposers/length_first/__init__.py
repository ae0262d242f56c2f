"""The built-in search: a proposer that needs no model."""

from llm_pv.proposers.length_first.budget import Budget
from llm_pv.proposers.length_first.search import LengthFirst

__all__ = ["Budget", "LengthFirst"]
