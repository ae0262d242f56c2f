"""A scikit-learn classifier that learns a program."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from llm_pv.api import Search, SplitSizes, learn
from llm_pv.data.arrays import (
    are_strings,
    check_strings,
    check_text_column,
    checked_labels,
    dense,
)
from llm_pv.data.formats import check_distinct
from llm_pv.data.labels import label_text
from llm_pv.data.new_rows import Inputs, columns_read, matching_columns, new_rows
from llm_pv.data.readers import pandas_frame, plain_frame, table_from
from llm_pv.data.reading import Reading, binned
from llm_pv.data.splits import split_tables
from llm_pv.erm.metrics import Metric, MetricName
from llm_pv.erm.queries import choose_queries, hypotheses_of, possible
from llm_pv.erm.verification import first_error, read_predictions
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
        The source of programs: ``"length-first"`` is the built-in search, ``"replay:PATH"``
        reads saved replies.
    attempts : int or None, default=None
        Programs to verify at most; None for the proposer's default.
    train_size, validation_size : int or None, default=None
        Rows that programs are proposed from, and rows that select the program and certify it.
        None shares the rows equally, or takes what the other leaves, up to 10,000 each.
    budget_seconds : float, default=30.0
        Cap on the built-in search's time, and on that of verifying its programs. A search that
        hits it may end differently on other machines, and `fit` warns.
    budget_candidates, budget_mb : int or None, default=None
        Limits of the built-in search; None for its defaults.
    noise : float, default=0.0
        The share of labels that may be wrong, for the built-in search.
    early_stop : bool, default=True
        Whether to stop at the first program without a validation error; False gives `query` more
        programs to compare.
    delta : float, default=0.05
        The probability with which the certificate may fail.
    metric : {"accuracy", "balanced-accuracy", "f1", "cost"}, default="accuracy"
        The metric of selection; F1 is the mean over classes.
    costs : dict or None, default=None
        For ``"cost"``: ``{("ill", "well"): 5}`` is what it costs to take an ill for a well; 1 where
        a pair is not named.
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of rows by class, in the search and in selection.
    bins : int or None, default=None
        Divide a numeric target into this many classes of about equal size.
    threshold : float or None, default=None
        Divide a numeric target into two classes, below this number and from it on.
    distinct_inputs : bool, default=False
        Whether only one of several rows with equal inputs is kept.
    keep : sequence of str, default=()
        Columns of a DataFrame that are used although they look like identifiers.
    limits : Limits or None, default=None
        The limits of one candidate; None for the defaults.
    allow_unconfined : bool, default=False
        Whether to run candidates where they cannot be confined.
    random_state : int, RandomState instance or None, default=None
        The seed of the split. Pass an int for reproducible results.

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
        The whole result of the fit: the verdict in one sentence, the majority
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
        early_stop: bool = True,
        delta: float = 0.05,
        metric: MetricName = "accuracy",
        costs: Mapping[tuple[Any, Any], float] | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        bins: int | None = None,
        threshold: float | None = None,
        distinct_inputs: bool = False,
        keep: Sequence[str] = (),
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
        self.early_stop = early_stop
        self.delta = delta
        self.metric = metric
        self.costs = costs
        self.class_weight = class_weight
        self.bins = bins
        self.threshold = threshold
        self.distinct_inputs = distinct_inputs
        self.keep = keep
        self.limits = limits
        self.allow_unconfined = allow_unconfined
        self.random_state = random_state

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> Self:
        """Learn a program.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            The rows. A program receives a string as it is, and a row as a dict from column name
            (``x0``, ``x1``, ... for arrays) to value. Missing values reach it as None.
        y : array-like of shape (n_samples,)
            The labels, of two classes or more.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts in the search and in selection.
        groups : array-like of shape (n_samples,) or None, default=None
            Rows of one group go to training or to validation together, and the certificate
            counts each group as one.

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
            early_stop=bool(self.early_stop),
            delta=self.delta,
            metric=Metric(self.metric, _costs(self.costs)),
            class_weight=self.class_weight,
            seed=seed,
        )
        search.resolve()  # raises for an invalid parameter before any work
        sizes = SplitSizes(self.train_size, self.validation_size, test=0)
        reading = Reading(
            groups=None if groups is None else "groups",
            weights=None if sample_weight is None else "sample_weight",
            distinct_inputs=self.distinct_inputs,
            keep=tuple(self.keep),
            bins=self.bins,
            threshold=self.threshold,
        )
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        cut = reading.bins is not None or reading.threshold is not None
        labels = checked_labels(y, numbers=cut)
        rows = self._rows(X, reset=True)
        check_consistent_length(rows, labels)
        # Identifiers are recognised by name, so all columns of an array are used.
        named = isinstance(rows, pd.DataFrame)
        known = Reading(keep=reading.keep)
        table = table_from(rows, labels, name="X", reading=known, learning=named)
        apart: dict[str, pd.Series[Any]] = {}
        if groups is not None:
            check_consistent_length(rows, groups)
            apart["groups"] = pd.Series(column_or_1d(groups), name="groups")
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, rows, ensure_non_negative=True)
            apart["weights"] = pd.Series(weights, name="sample_weight")
        table = replace(table, apart=apart)
        splits = split_tables(table, sizes=asdict(sizes), seed=seed, reading=reading)
        learned = learn(splits, search=search, sandbox=self._sandbox())
        if learned.program is None or learned.certificate is None:
            raise ProgramError(f"{learned.verdict}; give more attempts or another proposer")
        if learned.selection.cut_short:
            warnings.warn(
                f"the search was cut short after budget_seconds={self.budget_seconds}: with the "
                "same random_state it may end differently on other machines; give it more seconds",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._columns = splits.columns
        self._all = [str(name) for name in rows] if named else list(splits.columns)
        self._types = cast("dict[str, ColumnType]", dict(splits.types))
        self._edges = splits.edges
        self.classes_ = np.array(splits.classes.texts) if splits.edges else np.unique(labels)
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
            Rows of the kind seen in `fit`. Columns of a DataFrame are identified by name, in any
            order; further ones are ignored, and one that the program does not read may be missing.

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
        answers, why = self._answers(X)
        known: dict[str | None, Any] = {
            label_text(value): value for value in self.classes_.tolist()
        }
        fallback = known[self.learned_.baseline.label]
        lost = sum(text not in known for text in answers)
        if lost:
            warnings.warn(
                f"the program gave no class for {lost:,} of {len(answers):,} rows ({why}); they "
                f"are predicted as {fallback!r}, the most frequent class",
                RuntimeWarning,
                stacklevel=2,
            )
        values = [known.get(text, fallback) for text in answers]
        return np.array(values, dtype=self.classes_.dtype)

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """Return how likely each class is, from the validation rows with the program's answer.

        A row's probabilities are the shares of the classes among the validation rows that got the
        same answer, with one row shared out as the classes of all validation rows are; so they are
        as coarse as the program, one line for each answer. ``certificate_.answer_limits`` has
        exact limits of the shares.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            Rows, as for `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of ``classes_``.
        """
        answers, _ = self._answers(X)
        columns = [label_text(value) for value in self.classes_.tolist()]
        cells = self.certificate_.answers
        total = sum(cell.count for cell in cells)
        prior = {
            text: sum(cell.count for cell in cells if cell.label == text) / total
            for text in columns
        }
        counts = {(cell.answer, cell.label): cell.count for cell in cells}
        rows = {cell.answer: cell.rows for cell in cells}
        lines = {
            answer: [
                (counts.get((answer, text), 0) + prior[text]) / (rows.get(answer, 0) + 1)
                for text in columns
            ]
            for answer in {*rows, None}
        }
        unknown = [prior[text] for text in columns]
        return np.array([lines.get(answer, unknown) for answer in answers], dtype=np.float64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Return the accuracy, of a numeric target after it is divided into classes as in `fit`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            Rows, as for `predict`.
        y : array-like of shape (n_samples,)
            Their labels; with ``bins`` or ``threshold``, the numbers.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        float
            The share of rows, or of their weight, that is predicted right.
        """
        check_is_fitted(self)
        if self._edges:
            y = binned(np.asarray(y, dtype=np.float64), self._edges)
        return float(super().score(X, y, sample_weight))

    def query(self, X: Any, n: int = 5) -> np.ndarray[Any, Any]:  # noqa: N803
        """Choose the unlabelled rows whose labels are the most informative.

        The committee are the programs of `fit` whose training mistakes are not significantly more
        than the best one's, and their rivals. The first row separates most of them, weighted by
        their likelihood, the next most of those it leaves together, and so on.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or n_samples strings
            Rows without labels, as for `predict`.
        n : int, default=5
            The most rows.

        Returns
        -------
        ndarray of shape (n_queries,)
            Numbers of rows, the most informative first; fewer than ``n`` if the programs agree on
            all others.
        """
        check_is_fitted(self)
        inputs = self._inputs(self._rows(X, reset=False))
        selected = self.learned_.selection.selected
        assert selected is not None
        assert selected.train is not None
        likely = possible(hypotheses_of(self.learned_), selected.train.rows)
        classes = self.learned_.classes
        queries = choose_queries(likely, inputs.inputs, classes, self._sandbox(), n=n)
        return np.array([inputs.rows[query.row] for query in queries], dtype=np.int64)

    def _answers(self, rows: Any) -> tuple[list[str | None], str]:
        """Run the program; return its answers, None for none, and why the first has none."""
        check_is_fitted(self)
        inputs = self._inputs(self._rows(rows, reset=False))
        execution = self._sandbox().predict(self.program_.source, inputs.inputs)
        classes = self.learned_.classes
        answers = inputs.spread(read_predictions(execution, classes))
        return answers, inputs.fault or first_error(execution, classes)

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and, when fitted, the result below it."""
        from llm_pv.erm.notebook import result_html

        diagram = str(super()._html_repr())
        return diagram + result_html(self.learned_) if hasattr(self, "program_") else diagram

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "program_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Two more hold but stay undeclared, as scikit-learn's checks take them for all there is and
        # would cut or round their rows: one_d_array (for strings alone; its text vectorizers leave
        # it out) and categorical (its own trees with native categories leave it out).
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True  # made dense
        return tags

    def _rows(self, rows: Any, *, reset: bool) -> Any:
        """Return the rows as a DataFrame or two-dimensional array, strings as its one column."""
        rows = dense(pandas_frame(rows))
        if are_strings(rows):
            rows = np.array(list(rows), dtype=object).reshape(-1, 1)
        if not isinstance(rows, pd.DataFrame):
            # Without an explicit dtype, numpy would convert numbers beside text to text.
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
        if not reset and all(isinstance(name, str) for name in rows):
            rows = self._known_columns(rows)
        validate_data(self, rows, reset=reset, skip_check_array=True)
        return rows

    def _known_columns(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the columns seen in `fit`; unchanged if one is missing that the program reads."""
        names = list(getattr(self, "feature_names_in_", ()))
        needed = columns_read(self.program_.source, names) if self._types else set(self._columns)
        there = matching_columns(rows, names)
        if not there or not needed <= there.keys():
            return rows
        return rows[list(there.values())].set_axis(list(there), axis=1).reindex(columns=names)

    def _inputs(self, rows: Any) -> Inputs:
        """Return rows as the program was given them in `fit`, as far as they can be read."""
        frame = pd.DataFrame(rows).set_axis(self._all, axis=1)
        frame = plain_frame(frame.reset_index(drop=True), "X")
        for name in self._columns:
            if not self._types:
                check_strings(frame[name])
            else:
                check_text_column(frame[name], self._types[name])
        return new_rows(
            frame, self._columns, self._types, source=self.program_.source, name="X"
        ).inputs()

    def _sandbox(self) -> Sandbox:
        limits = Limits() if self.limits is None else self.limits
        if not isinstance(limits, Limits):
            raise ConfigurationError(f"is {limits!r}: give llm_pv.Limits(...) or None", "limits")
        return _warm_sandbox(limits, bool(self.allow_unconfined))


@lru_cache(maxsize=1)
def _warm_sandbox(limits: Limits, allow_unconfined: bool) -> Sandbox:
    """Return the sandbox last used, or a new one: starting one takes longer than most programs.

    A forked process gets a new one. It ends when the last reference to it is dropped.
    """
    return Sandbox(limits, allow_unconfined=allow_unconfined)


def _costs(costs: Any) -> dict[tuple[str, str], float]:
    """Return the costs of mistakes, with labels as texts."""
    try:
        return {
            (label_text(label), label_text(guess)): float(cost)
            for (label, guess), cost in dict(costs or {}).items()
        }
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"is {costs!r}; give a dict such as {{('ill', 'well'): 5}}", "costs"
        ) from None


def _seed_of(random_state: Any) -> int:
    """Return an int unchanged, so that it is the seed of `learn`; else draw one."""
    generator = check_random_state(random_state)
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(generator.randint(_LARGEST_SEED))
