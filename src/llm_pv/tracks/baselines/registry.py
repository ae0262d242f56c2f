"""The baselines of other libraries, and every baseline by name."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.baselines.base import (
    Baseline,
    Codes,
    Fitted,
    Setting,
    Settings,
    missing_package,
)
from llm_pv.tracks.baselines.features import Features
from llm_pv.tracks.baselines.genetic_programming import GeneticProgramming

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TABPFN_DISABLE_TELEMETRY": "1"}


class TabPFN(Baseline):
    """TabPFN as it comes, a transformer that was trained on synthetic tables: it has no grid.

    Its package and weights are got by hand: the weights, which are never downloaded, are under a
    licence that has to be accepted.
    """

    name = "tabpfn"
    modules = ("tabpfn",)

    def obstacle(self) -> str:
        """Return what is lacking: the package, or its weights on this machine."""
        if find_spec("tabpfn") is None:
            return "the package tabpfn is not installed: pip install tabpfn, and get its weights"
        try:
            weights = _weights()
        except Exception as error:  # noqa: BLE001 - whatever another version of the package says
            return f"this version of tabpfn cannot be used: {type(error).__name__}: {error}"
        if not weights.is_file():
            return (
                f"the weights of TabPFN are not at {weights}, and are not downloaded: accept "
                "their licence and put them there, or name their folder in TABPFN_MODEL_CACHE_DIR"
            )
        return ""

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:  # noqa: ARG002
        """Show it the training rows."""
        os.environ.update(_OFFLINE)
        from tabpfn import TabPFNClassifier

        model = TabPFNClassifier(model_path=_weights(), random_state=seed % 2**31)
        model.fit(features.matrix, codes)

        return Fitted.by(model)


def _weights() -> Path:
    """Return where TabPFN looks for the weights of its classifier."""
    os.environ.update(_OFFLINE)
    from tabpfn.model_loading import resolve_model_path
    from tabpfn.settings import settings

    version = settings.tabpfn.model_version.value
    paths, *_ = resolve_model_path(None, "classifier", version)
    return Path(paths[0])


class XGBoost(Baseline):
    """XGBoost's classifier, on one thread: the cores are shared out among fits instead."""

    name = "xgboost"
    modules = ("xgboost",)
    choices: Mapping[str, Sequence[Setting]] = {  # as published
        "n_estimators": (100, 128, 256),
        "max_depth": (5, 6, 7),
        "learning_rate": (0.1, 0.3),
        "subsample": (0.8, 1.0),
        "colsample_bytree": (0.8, 1.0),
    }
    shared = ("n_estimators",)

    def obstacle(self) -> str:
        """Return what to install."""
        return missing_package("xgboost", "fit XGBoost")

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        """Boost."""
        from xgboost import XGBClassifier

        values: Any = settings
        # The generator takes seeds of 31 bits.
        model = XGBClassifier(**values, random_state=seed % 2**31, n_jobs=1, verbosity=0)
        model.fit(features.matrix, codes)

        def predict(rows: Features, point: Settings) -> Codes:
            rounds: Any = point["n_estimators"]
            return np.asarray(
                model.predict(rows.matrix, iteration_range=(0, rounds)), dtype=np.intp
            )

        def covers(other: Settings) -> bool:
            fewer: Any = other["n_estimators"]
            return bool(fewer <= values["n_estimators"])

        return Fitted(predict, covers)


class SupportVectors(Baseline):
    """scikit-learn's SVC. Quantities are standardised, characters and flags stay as they are."""

    name = "svm"
    modules = ("sklearn.svm",)
    choices: Mapping[str, Sequence[Setting]] = {  # as published
        "C": (0.1, 1, 10, 100),
        "gamma": ("scale", "auto", 0.001, 0.01, 0.1),
        "kernel": ("rbf", "sigmoid"),
    }

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        """Fit it on standardised features."""
        from sklearn.svm import SVC

        centre, scale = _standard(features)
        values: Any = settings
        model = SVC(**values, random_state=seed).fit((features.matrix - centre) / scale, codes)

        def predict(rows: Features, _: Settings) -> Codes:
            return np.asarray(model.predict((rows.matrix - centre) / scale), dtype=np.intp)

        return Fitted(predict)


def _standard(
    features: Features,
) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
    """Return what to subtract from each feature, and what to divide it by."""
    is_number = np.array([kind == "number" for kind in features.kinds])
    centre = np.where(is_number, features.matrix.mean(axis=0), 0.0)
    deviation = features.matrix.std(axis=0)
    return centre, np.where(is_number & (deviation > 0), deviation, 1.0)


class DecisionTree(Baseline):
    """scikit-learn's decision tree."""

    name = "decision_tree"
    modules = ("sklearn.tree",)
    choices: Mapping[str, Sequence[Setting]] = {  # as published
        "max_depth": (5, 10, 15, None),
        "min_samples_split": (2, 5, 10),
        "min_samples_leaf": (1, 2, 4),
        "criterion": ("gini", "entropy"),
    }
    shared = ("max_depth",)

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        """Grow it."""
        from sklearn.tree import DecisionTreeClassifier

        values: Any = settings
        model = DecisionTreeClassifier(**values, random_state=seed).fit(features.matrix, codes)

        deepest = model.get_depth()
        return Fitted.by(model, lambda other: same_trees(deepest, settings, other))


def same_trees(deepest: int, fitted_with: Settings, other: Settings) -> bool:
    """Tell whether trees would be the same under another limit to their depth.

    They are if neither limit stopped them: strictly below it, because at the limit itself no split
    is looked for, which draws fewer random numbers and so may change the rest of the tree.

    Parameters
    ----------
    fitted_with, other
        Settings with the limit they had, and another one.

    Examples
    --------
    >>> [same_trees(9, {"max_depth": None}, {"max_depth": limit}) for limit in (9, 10, None)]
    [False, True, True]
    """
    limits: list[Any] = [fitted_with["max_depth"], other["max_depth"]]
    if limits[0] == limits[1]:
        return True
    return all(limit is None or deepest < limit for limit in limits)


class RandomForest(Baseline):
    """scikit-learn's random forest.

    The seeds of its trees are drawn one after another, so that a forest of 64 trees is the first
    64 of one of 256 with the same seed. Trees that end before they are 15 deep are the same whether
    they may be 15 deep or deeper.
    """

    name = "random_forest"
    modules = ("sklearn.ensemble",)
    choices: Mapping[str, Sequence[Setting]] = {  # as published
        "n_estimators": (64, 128, 256),
        "max_depth": (5, 10, 15, None),
        "min_samples_split": (2, 5, 10),
    }
    shared = ("n_estimators", "max_depth")

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        """Grow the trees."""
        from sklearn.ensemble import RandomForestClassifier

        values: Any = settings
        model = RandomForestClassifier(**values, random_state=seed, n_jobs=1)
        trees = model.fit(np.asarray(features.matrix, dtype=np.float32), codes).estimators_

        deepest = max(tree.get_depth() for tree in trees)

        def predict(rows: Features, point: Settings) -> Codes:
            # As the forest itself: the class whose probability, summed over trees, is largest.
            matrix = np.asarray(rows.matrix, dtype=np.float32)
            count: Any = point["n_estimators"]
            votes = sum(tree.predict_proba(matrix, check_input=False) for tree in trees[:count])
            return np.asarray(np.argmax(votes, axis=1), dtype=np.intp)

        def covers(other: Settings) -> bool:
            fewer: Any = other["n_estimators"]
            return fewer <= len(trees) and same_trees(deepest, settings, other)

        return Fitted(predict, covers)


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
