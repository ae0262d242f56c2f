"""Every baseline by name. A new one is a file of this room and a line here."""

from difflib import get_close_matches

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.baselines.base import Baseline
from llm_pv.tracks.baselines.decision_tree import DecisionTree
from llm_pv.tracks.baselines.genetic_programming import GeneticProgramming
from llm_pv.tracks.baselines.random_forest import RandomForest
from llm_pv.tracks.baselines.svm import SupportVectors
from llm_pv.tracks.baselines.tabpfn import TabPFN
from llm_pv.tracks.baselines.xgboost import XGBoost

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        SupportVectors(),
        RandomForest(),
        DecisionTree(),
        XGBoost(),
        TabPFN(),
        GeneticProgramming(),
    )
}


def baseline_named(name: str) -> Baseline:
    """Return the baseline of a name.

    Raise ConfigurationError if there is none.
    """
    if name in BASELINES:
        return BASELINES[name]
    close = get_close_matches(name, BASELINES, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ConfigurationError(f"no baseline {name!r}{hint}: choose among {', '.join(BASELINES)}")
