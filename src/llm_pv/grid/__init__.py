"""The benchmark as a grid: tasks by lengths by trials, learned side by side and resumed."""

from llm_pv.grid.request import GridRequest
from llm_pv.grid.results import GridResult
from llm_pv.grid.run import Observer, run_grid

__all__ = ["GridRequest", "GridResult", "Observer", "run_grid"]
