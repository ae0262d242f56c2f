"""A program as a scikit-learn classifier in a file without pickles, by skops."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from llm_pv.data.examples import Classes, Input
from llm_pv.data.new_rows import new_rows
from llm_pv.data.readers import plain_frame
from llm_pv.errors import ConfigurationError
from llm_pv.export.checked_rows import CheckedRows, checked_rows, require_run
from llm_pv.runs.saved_program import SavedProgram
from llm_pv.sandbox import Sandbox


class ExportedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A learned program as a fitted classifier; it runs confined.

    Parameters
    ----------
    columns : list of str
        The columns it was learned from.
    types : dict
        The type of each; empty where an input is a plain string.
    class_texts, class_values : list
        What the program answers with, and the class each means.
    allow_unconfined : bool, default=False
        Whether to run it where it cannot be confined.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    """

    def __init__(  # noqa: PLR0917 - scikit-learn's way
        self,
        source: str = "",
        columns: Sequence[str] = (),
        types: Mapping[str, str] | None = None,
        class_texts: Sequence[str] = (),
        class_values: Sequence[object] = (),
        allow_unconfined: bool = False,
    ) -> None:
        self.source = source
        self.columns = columns
        self.types = types
        self.class_texts = class_texts
        self.class_values = class_values
        self.allow_unconfined = allow_unconfined

    @property
    def classes_(self) -> np.ndarray[Any, Any]:
        """The classes, sorted."""
        return np.unique(np.array(list(self.class_values)))

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Return the classifier as it is: the program has been learned already."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """Return the class of each row of a DataFrame, or of each string.

        Where the program gives no class the answer is None, with a warning.
        """
        with Sandbox(allow_unconfined=bool(self.allow_unconfined)) as sandbox:
            return self.predict_in(X, sandbox)

    def predict_in(self, X: Any, sandbox: Sandbox) -> np.ndarray[Any, Any]:  # noqa: N803
        """Return what `predict` does, in a sandbox that is open."""
        if not isinstance(X, pd.DataFrame):
            if self.types:
                raise ConfigurationError("give a DataFrame with the columns of the program")
            X = pd.DataFrame({(*self.columns, "text")[0]: list(X)}, dtype=object)  # noqa: N806
        columns = list(self.columns) or [str(name) for name in X.columns]
        types: Any = dict(self.types or {})
        frame = plain_frame(X.reset_index(drop=True), "X")
        inputs = new_rows(frame, columns, types, source=self.source, name="X").inputs()
        answers = inputs.spread(sandbox.predict(self.source, inputs.inputs).predictions)
        known: dict[str | None, object] = dict(
            zip(self.class_texts, self.class_values, strict=True)
        )
        values = [known.get(text) for text in answers]
        if lost := sum(value is None for value in values):
            warnings.warn(
                f"the program gives no class for {lost:,} of {len(values):,} rows",
                RuntimeWarning,
                stacklevel=3,
            )
            return np.array(values, dtype=object)
        return np.array(values) if values else self.classes_[:0]


def export_sklearn(
    saved: SavedProgram, inputs: Sequence[Input], sandbox: Sandbox, path: Path
) -> CheckedRows:
    """Write a program as an estimator file, load it, and compare its answers.

    Raise ConfigurationError if skops is not installed. Raise ProgramError if the estimator that was
    read back answers otherwise.
    """
    try:
        import skops.io
    except ImportError as error:
        raise ConfigurationError("skops is not installed: pip install 'llm-pv[skops]'") from error
    require_run(saved)
    classes = saved.classes or Classes((), ())
    model = ExportedClassifier(
        saved.program.source,
        list(saved.columns or ()),
        dict(saved.types or {}),
        list(classes.texts),
        list(classes.values),
    )
    data = skops.io.dumps(model)
    loaded = skops.io.loads(data, trusted=[f"{ExportedClassifier.__module__}.ExportedClassifier"])
    rows = checked_rows(saved, inputs, [], lambda _: True, sandbox)
    frame: Any = list(rows.inputs)
    if saved.types:
        cells = [row for row in rows.inputs if isinstance(row, dict)]
        frame = pd.DataFrame(
            {
                name: pd.Series([row.get(name) for row in cells], dtype=object)
                for name in saved.types
            }
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        answers = loaded.predict_in(frame, sandbox)
    rows.compare(answers.tolist(), "the estimator")
    path.write_bytes(data)
    return rows
