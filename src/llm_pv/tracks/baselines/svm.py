"""A support vector classifier, one against one where there are several classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_pv.tracks.baselines.base import Baseline, Codes, Fitted, Setting, Settings
from llm_pv.tracks.baselines.features import Features


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
