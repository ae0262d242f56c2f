"""TabPFN, a transformer that was trained on synthetic tables; its weights are never downloaded.

Its package and weights are got by hand: the weights are under a licence that has to be accepted.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from llm_pv.tracks.baselines.base import Baseline, Codes, Fitted, Settings
from llm_pv.tracks.baselines.features import Features

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TABPFN_DISABLE_TELEMETRY": "1"}


class TabPFN(Baseline):
    """TabPFN as it comes: it has no grid."""

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
