"""The benchmark as a grid: tasks by lengths by trials, learned side by side and resumed."""

from llm_pv.runs.runner import Observer
from llm_pv.tracks.grid import GridRequest
from llm_pv.tracks.synthesis.results import GridResult
from llm_pv.tracks.synthesis.run import run_grid

__all__ = ["GridRequest", "GridResult", "Observer", "run_grid"]
