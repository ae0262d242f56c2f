"""Gradient boosting by XGBoost, whose first rounds are the shorter trainings of the grid."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm_pv.tracks.baselines.base import (
    Baseline,
    Codes,
    Fitted,
    Setting,
    Settings,
    missing_package,
)
from llm_pv.tracks.baselines.features import Features


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
