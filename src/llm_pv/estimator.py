"""The scikit-learn face: a classifier that learns a program."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from llm_pv.api import Search, SplitSizes, learn
from llm_pv.data.formats import check_distinct
from llm_pv.data.labels import label_text
from llm_pv.data.new_rows import Inputs, new_rows
from llm_pv.data.readers import plain_frame, table_from
from llm_pv.data.splits import split_table
from llm_pv.erm.verification import first_error
from llm_pv.errors import ConfigurationError, DataError, ProgramError
from llm_pv.proposers.registry import BuiltIn
from llm_pv.sandbox import Limits, Sandbox

if TYPE_CHECKING:
    from llm_pv.data.columns import ColumnType

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
    train_size, validation_size : int or None, default=None
        Rows that programs are proposed from, and rows that select the program and certify it.
        None shares the rows equally, or takes what the other leaves, up to 10,000 each.
    budget_seconds : float, default=30.0
        Cap on the built-in search's time. A search that hits it may end differently elsewhere,
        and `fit` warns.
    budget_candidates, budget_mb : int or None, default=None
        What the built-in search may try and keep; None for its defaults.
    noise : float, default=0.0
        The share of labels that may be wrong, for the built-in search.
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
        Everything else that is known of the fit: the verdict in one sentence, the majority
        baseline, warnings about the rows.
    n_features_in_ : int
        The number of columns seen in `fit`; 1 for strings.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The columns' names, if `fit` saw a DataFrame and all were strings.

    Notes
    -----
    Candidates run in a warm sandbox that this process shares among classifiers; its processes end
    with this one.

    Examples
    --------
    >>> from llm_pv import ProgramClassifier
    >>> texts = [f"{n:05b}" for n in range(32)]
    >>> model = ProgramClassifier(random_state=0).fit(texts, [t.count("1") % 2 for t in texts])
    >>> model.predict(["00001", "00011"])
    array([1, 0])
    """

    def __init__(
        self,
        *,
        proposer: Any = "length-first",
        attempts: int | None = None,
        train_size: int | None = None,
        validation_size: int | None = None,
        budget_seconds: float = 30.0,
        budget_candidates: int | None = None,
        budget_mb: int | None = None,
        noise: float = 0.0,
        delta: float = 0.05,
        limits: Limits | None = None,
        allow_unconfined: bool = False,
        random_state: Any = None,
    ) -> None:
        self.proposer = proposer
        self.attempts = attempts
        self.train_size = train_size
        self.validation_size = validation_size
        self.budget_seconds = budget_seconds
        self.budget_candidates = budget_candidates
        self.budget_mb = budget_mb
        self.noise = noise
        self.delta = delta
        self.limits = limits
        self.allow_unconfined = allow_unconfined
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn a program.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            The rows. A program receives a string as it is, and a row as a dict from column name
            (``x0``, ``x1``, ... for arrays) to value. Missing values reach it as None.
        y : array-like of shape (n_samples,)
            The labels, of two classes or more.

        Returns
        -------
        ProgramClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If the rows cannot be learned from, a parameter cannot be, or no proposal holds a
            program.
        ConfinementError
            If candidates cannot be confined on this machine.

        Warns
        -----
        ConvergenceWarning
            If the search hit ``budget_seconds``.
        """
        seed = _seed_of(self.random_state)
        search = Search(
            self.proposer,
            attempts=self.attempts,
            budget_seconds=self.budget_seconds,
            built_in=BuiltIn(self.budget_candidates, self.budget_mb, self.noise),
            delta=self.delta,
            seed=seed,
        )
        search.resolve()  # a parameter that cannot be is told before any work
        sizes = SplitSizes(self.train_size, self.validation_size, test=0)
        labels = self._labels(y)
        rows = self._rows(X, reset=True)
        check_consistent_length(rows, labels)
        splits = split_table(
            table_from(rows, labels, name="X"),
            **asdict(sizes),
            seed=seed,
        )
        learned = learn(splits, search=search, sandbox=self._sandbox())
        if learned.program is None or learned.certificate is None:
            raise ProgramError(f"{learned.verdict}; give more attempts or another proposer")
        if any(attempt.proposal.capped for attempt in learned.selection.attempts):
            warnings.warn(
                f"the search was cut short after budget_seconds={self.budget_seconds}: with the "
                "same random_state it may end differently elsewhere; give it more seconds",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._columns = splits.columns
        self._types = cast("dict[str, ColumnType]", dict(splits.types))
        self.classes_ = np.unique(labels)
        self.learned_ = learned
        self.program_ = learned.program
        self.certificate_ = learned.certificate
        self.programs_ = learned.to_frame()
        return self

    def predict(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """Run the program, confined.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            Rows of the kind seen in `fit`. The columns of a DataFrame are told by their names, in
            any order.

        Returns
        -------
        ndarray of shape (n_samples,)
            The classes.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If the rows are not like those seen in `fit`.

        Warns
        -----
        RuntimeWarning
            If the program gives no class for some rows, with their number; they get the most
            frequent class.
        """
        check_is_fitted(self)
        inputs = self._inputs(self._rows(X, reset=False))
        execution = self._sandbox().predict(self.program_.source, inputs.inputs)
        answers = inputs.spread(execution.predictions)
        known: dict[str | None, Any] = {
            label_text(value): value for value in self.classes_.tolist()
        }
        fallback = known[self.learned_.baseline.label]
        lost = sum(text not in known for text in answers)
        if lost:
            reason = inputs.fault or first_error(execution, self.learned_.classes)
            warnings.warn(
                f"the program gave no class for {lost:,} of {len(answers):,} rows ({reason}); they "
                f"are predicted as {fallback!r}, the most frequent class",
                RuntimeWarning,
                stacklevel=2,
            )
        values = [known.get(text, fallback) for text in answers]
        return np.array(values, dtype=self.classes_.dtype)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "program_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Two more hold but stay undeclared, as scikit-learn's checks take them for all there is and
        # would cut or round their rows: one_d_array (for strings alone; its text vectorizers leave
        # it out) and categorical (its own trees with native categories leave it out).
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags

    def _labels(self, y: Any) -> np.ndarray[Any, Any]:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        labels = column_or_1d(y, warn=True)
        if labels.dtype == object:
            _check_texts(labels)
        if labels.dtype.kind not in "biufOU":
            raise DataError(
                f"Unknown label type: y has dtype {labels.dtype}; give numbers, booleans or "
                "strings, such as y.astype(str)"
            )
        labels = check_array(labels, ensure_2d=False, dtype=None, input_name="y")
        check_classification_targets(labels)
        classes = np.unique(labels)
        if len(classes) < 2:
            raise DataError(
                f"y has only one class, {classes.tolist()[0]!r}: give rows of two classes or more"
            )
        return np.asarray(labels)

    def _rows(self, rows: Any, *, reset: bool) -> Any:
        """Return the rows as a DataFrame or two-dimensional array, strings as its one column."""
        if _are_strings(rows):
            rows = np.array(list(rows), dtype=object).reshape(-1, 1)
        if not isinstance(rows, pd.DataFrame):
            # Without a dtype of its own, numpy would make text of numbers that stand beside text.
            dtype = None if hasattr(rows, "dtype") else object
            return validate_data(
                self, rows, reset=reset, dtype=dtype, ensure_all_finite="allow-nan"
            )
        if not all(rows.shape):
            check_array(np.empty(rows.shape), estimator=self)  # says so
        check_distinct([str(name) for name in rows], "X")
        for name, kind in rows.dtypes.items():
            if pd.api.types.is_float_dtype(kind) and np.isinf(rows[name]).any():
                raise DataError(f"Input X contains infinity in column {name!r}")
        names = getattr(self, "feature_names_in_", None)
        if not reset and names is not None and sorted(map(repr, rows)) == sorted(map(repr, names)):
            rows = rows[list(names)]
        validate_data(self, rows, reset=reset, skip_check_array=True)
        return rows

    def _inputs(self, rows: Any) -> Inputs:
        """Return rows as the program was given them in `fit`, as far as they can be read."""
        frame = pd.DataFrame(rows).set_axis(list(self._columns), axis=1)
        frame = plain_frame(frame.reset_index(drop=True), "X")
        for name in self._columns:
            if not self._types:
                _check_texts_of(frame[name])
            else:
                _check_text_column(frame[name], self._types[name])
        return new_rows(
            frame, self._columns, self._types, source=self.program_.source, name="X"
        ).inputs()

    def _sandbox(self) -> Sandbox:
        limits = Limits() if self.limits is None else self.limits
        if not isinstance(limits, Limits):
            raise ConfigurationError(f"limits is {limits!r}: give llm_pv.Limits(...) or None")
        return _warm_sandbox(limits, bool(self.allow_unconfined))


@lru_cache(maxsize=1)
def _warm_sandbox(limits: Limits, allow_unconfined: bool) -> Sandbox:
    """Return the sandbox last used, or a new one: starting one takes longer than most programs.

    It begins anew in a forked process, and ends when nobody holds it any more.
    """
    return Sandbox(limits, allow_unconfined=allow_unconfined)


def _are_strings(rows: Any) -> bool:
    """Whether the rows are one-dimensional and strings.

    Raises
    ------
    ValueError
        If only some of them are.
    """
    one_dimensional = getattr(rows, "ndim", 1) == 1
    known = isinstance(rows, Sequence | np.ndarray | pd.Series | pd.Index)
    if not known or not one_dimensional or isinstance(rows, str):
        return False
    others = {number: row for number, row in enumerate(rows) if not isinstance(row, str)}
    if 0 < len(others) < len(rows):
        number, row = next(iter(others.items()))
        raise DataError(
            f"X holds strings and other values, such as {row!r} in row {number}: give a string "
            "for every row, '' where it is missing"
        )
    return not others


def _check_texts(labels: np.ndarray[Any, Any]) -> None:
    """Raise unless labels of dtype object are all strings."""
    if pd.isna(labels).any():
        raise DataError(
            f"Input y contains NaN: {int(pd.isna(labels).sum())} rows have no label; drop them"
        )
    kinds = sorted({type(label).__name__ for label in labels if not isinstance(label, str)})
    if kinds:
        raise DataError(
            f"Unknown label type: y has dtype object and holds {', '.join(kinds)}; give labels of "
            "one kind, such as y.astype(int) or y.astype(str)"
        )


def _check_texts_of(cells: "pd.Series[Any]") -> None:
    """Raise unless a column holds strings, as in `fit`."""
    for cell in cells[cells.notna()]:
        if not isinstance(cell, str):
            raise DataError(
                f"X holds {cell!r} ({type(cell).__name__}), but fit saw strings: give strings"
            )


def _check_text_column(cells: "pd.Series[Any]", kind: str) -> None:
    """Raise if numbers come where `fit` saw text: 7 may have been '007'."""
    if kind == "str" and pd.api.types.is_numeric_dtype(cells.dtype) and cells.notna().any():
        raise DataError(
            f"column {cells.name!r} holds {cells.dtype} values but was text in fit: give text"
        )


def _seed_of(random_state: Any) -> int:
    """Return an int as it is, so that it means what it means to `learn`; else draw one."""
    generator = check_random_state(random_state)
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(generator.randint(_LARGEST_SEED))
