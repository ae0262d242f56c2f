"""A random forest, whose first trees are the smaller forests of the grid."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm_pv.tracks.baselines.base import Baseline, Codes, Fitted, Setting, Settings
from llm_pv.tracks.baselines.decision_tree import same_trees
from llm_pv.tracks.baselines.features import Features


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
