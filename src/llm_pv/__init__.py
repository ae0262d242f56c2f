"""LLM-PV learns a program from labelled examples.

A proposer suggests short Python functions from the training rows, each runs in a sandbox, its
error on held-out validation rows is measured, and the best is kept, certified with an error bound
and handed over as a readable file.

The names here are imported when they are first used, so that ``import llm_pv`` stays fast.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from llm_pv.api import Search, SplitSizes, learn
    from llm_pv.data.reading import Reading
    from llm_pv.erm.result import LearnedProgram
    from llm_pv.estimator import ProgramClassifier
    from llm_pv.sandbox import Limits, Sandbox
    from llm_pv.tasks.loading import load_task

_HOMES = {
    "LearnedProgram": "llm_pv.erm.result",
    "Limits": "llm_pv.sandbox",
    "ProgramClassifier": "llm_pv.estimator",
    "Reading": "llm_pv.data.reading",
    "Sandbox": "llm_pv.sandbox",
    "Search": "llm_pv.api",
    "SplitSizes": "llm_pv.api",
    "learn": "llm_pv.api",
    "load_task": "llm_pv.tasks.loading",
}

__all__ = [
    "LearnedProgram",
    "Limits",
    "ProgramClassifier",
    "Reading",
    "Sandbox",
    "Search",
    "SplitSizes",
    "__version__",
    "learn",
    "load_task",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
