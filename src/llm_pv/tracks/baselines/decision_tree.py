"""A single decision tree."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_pv.tracks.baselines.base import Baseline, Codes, Fitted, Setting, Settings
from llm_pv.tracks.baselines.features import Features


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
