"""TabPFN against a stand-in for its package: its weights cannot be had without an account."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm_pv.tracks.baselines.features import Features
from llm_pv.tracks.baselines.registry import TabPFN


class Remembering:
    """Answers the class of the nearest training row."""

    def __init__(self, *, model_path: Path, random_state: int) -> None:
        assert model_path.is_file()
        self.seed = random_state

    def fit(self, matrix: Any, codes: Any) -> None:
        self.matrix, self.codes = matrix, codes

    def predict(self, matrix: Any) -> Any:
        distances = ((matrix[:, None] - self.matrix[None]) ** 2).sum(axis=2)
        return self.codes[distances.argmin(axis=1)]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path where the stand-in looks for weights; there are none yet."""
    path = tmp_path / "weights.ckpt"
    package, loading, settings = (
        ModuleType(name) for name in ("tabpfn", "tabpfn.model_loading", "tabpfn.settings")
    )
    vars(package).update(TabPFNClassifier=Remembering)
    vars(loading).update(resolve_model_path=lambda model, which, version: ([path], [], [], which))
    version = SimpleNamespace(value="v3")
    vars(settings).update(settings=SimpleNamespace(tabpfn=SimpleNamespace(model_version=version)))
    for module in (package, loading, settings):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("llm_pv.tracks.baselines.registry.find_spec", lambda name: object())
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return path


def test_without_weights_it_is_skipped_and_nothing_is_downloaded(weights: Path) -> None:
    assert str(weights) in TabPFN().obstacle()
    assert "not downloaded" in TabPFN().obstacle()


def test_with_weights_it_is_fitted_offline(weights: Path) -> None:
    weights.touch()
    assert TabPFN().obstacle() == ""
    rows = Features(np.array([[0.0], [1.0], [5.0]]), ("number",))
    model = TabPFN().fit(rows, np.array([0, 1, 1]), {}, seed=2**31)
    near = Features(np.array([[0.2], [4.0]]), ("number",))
    assert model.predict(near, {}).tolist() == [0, 1]
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_version_that_is_made_otherwise_is_an_obstacle_not_an_error(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys.modules["tabpfn.model_loading"], "resolve_model_path")
    assert TabPFN().obstacle().startswith("this version of tabpfn cannot be used: ImportError")
