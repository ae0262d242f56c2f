"""The benchmark: target functions, and samplers of balanced labelled inputs for them."""

from llm_pv.tasks.loading import load_task
from llm_pv.tasks.registry import TASKS, task
from llm_pv.tasks.task import SamplerName, Task

__all__ = ["TASKS", "SamplerName", "Task", "load_task", "task"]
