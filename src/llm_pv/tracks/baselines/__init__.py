"""Classical learners on the same data sets: what LLM-PV is compared with.

The names here are imported when they are first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_pv.tracks.baselines.base import Baseline
    from llm_pv.tracks.baselines.fitting import BaselineResult, FittedBaseline, fit_baseline
    from llm_pv.tracks.baselines.run import run_baselines

_HOMES = {
    "Baseline": "llm_pv.tracks.baselines.base",
    "BaselineResult": "llm_pv.tracks.baselines.fitting",
    "FittedBaseline": "llm_pv.tracks.baselines.fitting",
    "fit_baseline": "llm_pv.tracks.baselines.fitting",
    "run_baselines": "llm_pv.tracks.baselines.run",
}

__all__ = ["Baseline", "BaselineResult", "FittedBaseline", "fit_baseline", "run_baselines"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
