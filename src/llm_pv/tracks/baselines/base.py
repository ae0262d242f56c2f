"""The interface of baselines: a name, a grid of settings, and a way to fit.

A baseline sees a matrix of features and the classes as whole numbers. Everything else (reading
strings and tables, cross-validation, several cores, files) is done around it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from llm_pv.errors import MissingExtraError
from llm_pv.tracks.baselines.features import Features

Codes: TypeAlias = npt.NDArray[np.intp]

Setting: TypeAlias = str | int | float | bool | None
Settings: TypeAlias = Mapping[str, Setting]
"""One point of a grid: a value for each setting."""

SearchName = Literal["halving", "grid"]
"""How settings are chosen: by successive halving, or by trying every point of the grid."""


@dataclass(frozen=True)
class Fitted:
    """A fitted model.

    Parameters
    ----------
    predict
        Takes rows and settings, those it was fitted with or ones it covers, and returns classes.
    covers
        Tells whether other settings, which differ in the shared ones alone, would give this very
        model or a part of it, so that it need not be fitted again.
    """

    predict: Callable[[Features, Settings], Codes]
    covers: Callable[[Settings], bool] = lambda _: False

    @classmethod
    def by(cls, model: Any, covers: Callable[[Settings], bool] = lambda _: False) -> "Fitted":
        """Return a model with scikit-learn's ``predict``, which takes the matrix of features."""
        return cls(lambda rows, _: np.asarray(model.predict(rows.matrix), dtype=np.intp), covers)


class Baseline(ABC):
    """One way to learn; a file of this room each, and a line in the registry.

    Attributes
    ----------
    name
        What it is called in commands and files.
    choices
        The values of each setting; the first point is kept where none does better.
    shared
        Settings that one model may serve several values of: the smaller forest is part of the
        larger one. Such models are fitted with the largest value first.
    grid_by_validation
        Whether the published search of the whole grid chooses by the validation rows, in place of
        cross-validation.
    modules
        What fitting imports, so that loading it is no part of the time of a fit.
    """

    name: str
    choices: Mapping[str, Sequence[Setting]] = MappingProxyType({})
    shared: tuple[str, ...] = ()
    grid_by_validation: bool = False
    modules: tuple[str, ...] = ()

    def load(self) -> None:
        """Import the modules of fitting and of cross-validation."""
        for module in ("sklearn.model_selection", *self.modules):
            import_module(module)

    def grid(self, search: SearchName) -> Mapping[str, Sequence[Setting]]:  # noqa: ARG002
        """Return the values of each setting: its choices, unless they depend on the search."""
        return self.choices

    @abstractmethod
    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        """Fit a model on one thread.

        Parameters
        ----------
        features
            The training rows.
        codes
            Their classes: every number from 0 to the largest occurs, and there are at least two.
        settings
            One point of the grid.
        seed
            Decides everything random; the same seed gives the same model.
        """

    def obstacle(self) -> str:
        """Return why it cannot be used here, as one sentence; empty if it can."""
        return ""


def missing_package(package: str, purpose: str) -> str:
    """Return what to say if a package of the extra for baselines is not installed, else nothing."""
    return "" if find_spec(package) else str(MissingExtraError(package, "baselines", purpose))
