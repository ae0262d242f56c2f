"""The scikit-learn face: a classifier that learns a program."""

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from llm_pv.data.labels import label_text
from llm_pv.data.readers import table_from
from llm_pv.data.splits import split_table
from llm_pv.errors import DataError
from llm_pv.learning import Search, learn
from llm_pv.sandbox import Limits, Sandbox

if TYPE_CHECKING:
    from llm_pv.data.table import Table

_LARGEST_SEED = 2**31 - 1


class ProgramClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that is a short Python program, selected by validation error.

    `fit` splits the rows into training and validation rows, lets a proposer suggest programs from
    the training rows, runs each in a sandbox, keeps the one with the fewest validation errors and
    bounds its error on new inputs. There are no gradients, and validation never steers what is
    proposed. Source: LLM Priors for ERM over Programs, arXiv 2510.14331.

    Parameters
    ----------
    proposer : str or Proposer, default="length-first"
        Where programs come from: ``"length-first"`` is the built-in search, ``"replay:PATH"``
        reads saved replies.
    attempts : int or None, default=None
        Programs to verify at most; None for the proposer's default.
    validation_fraction : float, default=0.5
        The share of rows that select the program and certify it.
    budget_seconds : float, default=30.0
        Cap on the built-in search's time. A search that hits it may end differently elsewhere.
    delta : float, default=0.05
        The probability with which the certificate may fail.
    limits : Limits or None, default=None
        What one candidate may use; None for the defaults.
    allow_unconfined : bool, default=False
        Whether to run candidates where they cannot be confined.
    random_state : int, RandomState instance or None, default=None
        Draws the split. Pass an int for the same program each time.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    program_ : Program
        The selected program; ``program_.source`` is its text.
    programs_ : DataFrame
        Every candidate, best first, the selected one marked ``>>>>``.
    certificate_ : Certificate
        The bound on the program's error on new inputs.
    learned_ : LearnedProgram
        Everything else that is known of the fit.
    n_features_in_ : int
        The number of columns seen in `fit`; 1 for strings.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The columns' names, if all were strings.

    Examples
    --------
    >>> from llm_pv import ProgramClassifier
    >>> texts = [f"{n:08b}" for n in range(200)]
    >>> model = ProgramClassifier(random_state=0).fit(texts, [t.count("1") % 2 for t in texts])
    >>> model.predict(["00000001", "00000011"])
    array([1, 0])
    """

    def __init__(
        self,
        *,
        proposer: Any = "length-first",
        attempts: int | None = None,
        validation_fraction: float = 0.5,
        budget_seconds: float = 30.0,
        delta: float = 0.05,
        limits: Limits | None = None,
        allow_unconfined: bool = False,
        random_state: Any = None,
    ) -> None:
        self.proposer = proposer
        self.attempts = attempts
        self.validation_fraction = validation_fraction
        self.budget_seconds = budget_seconds
        self.delta = delta
        self.limits = limits
        self.allow_unconfined = allow_unconfined
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn a program.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            The rows. A program receives a row as a dict from column name to value (``x0``,
            ``x1``, ... for arrays), and a string as it is. Missing values reach it as None.
        y : array-like of shape (n_samples,)
            The labels, of two classes or more.

        Returns
        -------
        ProgramClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If the rows cannot be learned from.
        ConfinementError
            If candidates cannot be confined on this machine.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction is {self.validation_fraction}; give a share between 0 and 1"
            )
        labels = _labels(y)
        table = self._table(X, labels, reset=True)
        seed = _seed_of(self.random_state)
        splits = split_table(table, **self._sizes(table, seed), test=0, seed=seed)
        self.classes_ = np.unique(labels)
        search = Search(
            self.proposer,
            attempts=self.attempts,
            budget_seconds=self.budget_seconds,
            delta=self.delta,
            seed=seed,
        )
        with self._sandbox() as sandbox:
            self.learned_ = learn(splits, search=search, sandbox=sandbox)
        if self.learned_.program is None or self.learned_.certificate is None:
            raise DataError(f"{self.learned_.verdict}; give more attempts or another proposer")
        self.program_ = self.learned_.program
        self.certificate_ = self.learned_.certificate
        self.programs_ = self.learned_.to_frame()
        self._types = dict(splits.types)
        return self

    def predict(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """Run the program, confined.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            Rows of the kind seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            The classes. Rows for which the program gives none get the most frequent class of the
            training rows, with a warning that counts them.
        """
        check_is_fitted(self)
        table = self._table(X, None, reset=False)
        with self._sandbox() as sandbox:
            execution = sandbox.predict(self.program_.source, table.inputs())
        known = {label_text(value): value for value in self.classes_.tolist()}
        fallback = known[self.learned_.baseline.label]
        lost = sum(text not in known for text in execution.predictions)
        if lost:
            warnings.warn(
                f"the program gave no class for {lost} of {len(table)} rows; they are predicted "
                f"as {fallback!r}, the most frequent class of the training rows",
                stacklevel=2,
            )
        values = [known.get(text or "", fallback) for text in execution.predictions]
        return np.array(values, dtype=self.classes_.dtype)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        # A few dozen numeric rows with a linear rule are no task for a short program.
        tags.classifier_tags.poor_score = True
        return tags

    def _table(self, rows: Any, labels: Any, *, reset: bool) -> "Table":
        if _are_strings(rows):
            if not len(rows):
                raise DataError("Found array with 0 sample(s) while a minimum of 1 is required.")
            if labels is not None:
                check_consistent_length(rows, labels)
            if reset:
                self.n_features_in_ = 1
            return table_from(list(rows), labels, types=None if reset else self._types)
        if isinstance(rows, pd.DataFrame):
            validate_data(self, rows, reset=reset, skip_check_array=True)
            if not rows.shape[1] or not rows.shape[0]:
                check_array(rows, dtype=None)
        else:
            rows = validate_data(self, rows, reset=reset, dtype=None, ensure_all_finite="allow-nan")
        if labels is not None:
            check_consistent_length(rows, labels)
        return table_from(rows, labels, types=None if reset else self._types)

    def _sizes(self, table: "Table", seed: int) -> dict[str, int]:
        """Return how many rows to train and to validate on, of those that differ."""
        if self.validation_fraction == 0.5:
            return {}
        whole = split_table(table, test=0, seed=seed)
        rows = len(whole.train) + len(whole.validation)
        validation = min(max(1, round(self.validation_fraction * rows)), rows - 1)
        return {"train": rows - validation, "validation": validation}

    def _sandbox(self) -> Sandbox:
        return Sandbox(self.limits or Limits(), allow_unconfined=self.allow_unconfined)


def _are_strings(rows: Any) -> bool:
    """Whether the rows are a one-dimensional sequence of strings."""
    if isinstance(rows, np.ndarray | pd.Series):
        return rows.ndim == 1 and all(isinstance(row, str) for row in rows)
    return (
        isinstance(rows, Sequence)
        and not isinstance(rows, str)
        and all(isinstance(row, str) for row in rows)
    )


def _labels(y: Any) -> np.ndarray[Any, Any]:
    labels = column_or_1d(y, warn=True)
    labels = check_array(labels, ensure_2d=False, dtype=None, input_name="y")
    check_classification_targets(labels)
    return np.asarray(labels)


def _seed_of(random_state: Any) -> int:
    if isinstance(random_state, Integral) and int(random_state) >= 0:
        return int(random_state)
    return int(check_random_state(random_state).randint(_LARGEST_SEED))
