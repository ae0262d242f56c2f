"""From splits to a fitted baseline: features, the choice of settings, the fit, the scores."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from llm_pv.data.examples import Examples, Input, Splits
from llm_pv.erm.result import UNBALANCED, MajorityBaseline, exact_interval
from llm_pv.erm.scoring import Score, score_predictions
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tracks.baselines.base import Baseline, Codes, Fitted, SearchName, Settings
from llm_pv.tracks.baselines.features import Encoder, Features, fit_encoder
from llm_pv.tracks.baselines.registry import baseline_named
from llm_pv.tracks.baselines.search import Choice, MapJobs, choose_settings, fit_quietly, map_here


@dataclass(frozen=True, eq=False)
class EncodedSplits:
    """A data set as numbers."""

    train: Features
    validation: Features
    test: Features
    codes: Codes
    validation_codes: Codes
    "The classes of training and validation rows, as positions among the classes of the splits."
    encoder: Encoder

    @classmethod
    def of(cls, splits: Splits) -> "EncodedSplits":
        """Encode the splits, the encoding learned from the training inputs alone.

        Raise DataError if there are no training or no validation rows.
        """
        if not len(splits.train) or not len(splits.validation):
            raise DataError("baselines need training rows and validation rows; give more rows")
        encoder = fit_encoder(splits.train.inputs)
        position = {text: code for code, text in enumerate(splits.classes.texts)}
        return cls(
            train=encoder.encode(splits.train.inputs),
            validation=encoder.encode(splits.validation.inputs),
            test=encoder.encode(splits.test.inputs),
            codes=_codes(position, splits.train.labels),
            validation_codes=_codes(position, splits.validation.labels),
            encoder=encoder,
        )


def _codes(position: Mapping[str, int], labels: Sequence[str]) -> Codes:
    return np.array([position[label] for label in labels], dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a fitted model for each split, and their duration in seconds."""

    train: Codes
    validation: Codes
    test: Codes
    fit_seconds: float
    test_seconds: float


@dataclass(frozen=True)
class BaselineResult:
    """How a baseline did on a data set.

    Parameters
    ----------
    model
        The baseline's name.
    choice
        The settings, and how cross-validation chose them.
    train, validation, test
        Scores of the model fitted on all training rows; no test score without test rows.
    interval
        Exact 95% confidence limits of the test accuracy.
    majority
        The training rows' most frequent class, for comparison.
    unbalanced
        Whether the classes are so unequal that balanced accuracy is to be shown.
    predictions
        The predicted label of each test row.
    warnings
        What the user should know of the rows, one sentence each.
    learn_seconds, test_seconds
        Seconds for choosing settings and fitting, and for the test rows; in a run on several cores
        those of all fits together, without what they waited for a core.
    """

    model: str
    choice: Choice
    train: Score
    validation: Score
    test: Score | None
    interval: tuple[float, float] | None
    majority: MajorityBaseline
    unbalanced: bool
    predictions: tuple[str, ...]
    warnings: tuple[str, ...]
    learn_seconds: float
    test_seconds: float

    def record(self) -> dict[str, Any]:
        """Return everything but the predictions as plain JSON values."""
        return {
            "model": self.model,
            "settings": dict(self.choice.settings),
            "cross_validation_accuracy": self.choice.accuracy,
            "tried": [asdict(tried) for tried in self.choice.tried],
            "train": _score_record(self.train),
            "validation": _score_record(self.validation),
            "test": _score_record(self.test) if self.test else None,
            "test_interval": self.interval,
            "baseline": asdict(self.majority),
            "unbalanced": self.unbalanced,
            "warnings": list(self.warnings),
            "learn_seconds": self.learn_seconds,
            "test_seconds": self.test_seconds,
        }


@dataclass(frozen=True, eq=False)
class FittedBaseline:
    """A baseline fitted on the training rows of splits; `predict` takes inputs like them."""

    result: BaselineResult
    _model: Fitted
    _encoder: Encoder
    _texts: tuple[str, ...]

    def predict(self, inputs: Sequence[Input]) -> list[str]:
        """Return the label text of each input."""
        if not len(inputs):
            return []  # learners refuse a matrix without rows
        codes = self._model.predict(self._encoder.encode(inputs), self.result.choice.settings)
        return [self._texts[code] for code in codes]


def fit_baseline(
    baseline: str | Baseline,
    splits: Splits,
    *,
    search: SearchName = "halving",
    seed: int = 0,
    map_jobs: MapJobs = map_here,
) -> FittedBaseline:
    """Fit a baseline: settings chosen by cross-validation on the training rows alone.

    Parameters
    ----------
    baseline
        A name such as ``"random_forest"``, or a `Baseline` of your own.
    splits
        The rows: fitted on the training rows, scored on the others.
    search
        ``"halving"``, or ``"grid"`` to try every setting on every fold.
    seed
        Draws the folds, and whatever is random in a fit.
    map_jobs
        Runs the fits of cross-validation; by default one after another.

    Raises
    ------
    ConfigurationError
        If there is no such baseline or search, or it cannot be used here.
    DataError
        If there are no training or no validation rows.

    Examples
    --------
    >>> from llm_pv import load_task
    >>> splits = load_task("fn_c", length=20, test_size=100)
    >>> fitted = fit_baseline("decision_tree", splits)
    >>> fitted.result.test.rows, len(fitted.predict(["01" * 10]))
    (100, 1)
    """
    chosen = baseline_named(baseline) if isinstance(baseline, str) else baseline
    check_search(search)
    if obstacle := chosen.obstacle():
        raise ConfigurationError(f"{chosen.name} cannot be used here: {obstacle}")
    problem = EncodedSplits.of(splits)
    chosen.load()
    start = time.perf_counter()
    choice = choose_settings(
        chosen,
        problem.train,
        problem.codes,
        search=search,
        seed=seed,
        map_jobs=map_jobs,
        validation=(problem.validation, problem.validation_codes),
    )
    seconds = time.perf_counter() - start
    model = fit_quietly(chosen, problem.train, problem.codes, choice.settings, seed)
    predictions = _predict(model, problem, choice.settings, start + seconds)
    result = result_of(chosen.name, splits, problem, choice, predictions, search_seconds=seconds)
    return FittedBaseline(result, model, problem.encoder, splits.classes.texts)


def check_search(search: str) -> None:
    """Raise ConfigurationError if there is no such search."""
    if search not in ("halving", "grid"):
        raise ConfigurationError(f"no search {search!r}: choose halving or grid")


def fit_and_predict(
    baseline: Baseline, problem: EncodedSplits, settings: Settings, seed: int
) -> Predictions:
    """Fit on all training rows and predict every split."""
    baseline.load()
    start = time.perf_counter()
    model = fit_quietly(baseline, problem.train, problem.codes, settings, seed)
    return _predict(model, problem, settings, start)


def _predict(
    model: Fitted, problem: EncodedSplits, settings: Settings, start: float
) -> Predictions:
    fitted = time.perf_counter()
    train, validation = (
        model.predict(rows, settings) for rows in (problem.train, problem.validation)
    )
    before = time.perf_counter()
    test = model.predict(problem.test, settings) if len(problem.test) else train[:0]
    return Predictions(train, validation, test, fitted - start, time.perf_counter() - before)


def result_of(
    model: str,
    splits: Splits,
    problem: EncodedSplits,
    choice: Choice,
    predictions: Predictions,
    *,
    search_seconds: float,
) -> BaselineResult:
    """Score predictions; the one look at the test labels."""
    texts = splits.classes.texts

    def score(codes: Codes, rows: Examples) -> Score:
        return score_predictions([texts[code] for code in codes], rows.labels)

    test = score(predictions.test, splits.test) if len(splits.test) else None
    counts = Counter(splits.train.labels).values()
    return BaselineResult(
        model=model,
        choice=choice,
        train=score(predictions.train, splits.train),
        validation=score(predictions.validation, splits.validation),
        test=test,
        interval=exact_interval(test) if test else None,
        majority=MajorityBaseline.of(splits),
        unbalanced=max(counts) >= UNBALANCED * min(counts),
        predictions=tuple(texts[code] for code in predictions.test),
        warnings=(*splits.warnings, *problem.encoder.warnings),
        learn_seconds=search_seconds + predictions.fit_seconds,
        test_seconds=predictions.test_seconds,
    )


def _score_record(score: Score) -> dict[str, Any]:
    return asdict(score) | {"accuracy": score.accuracy}
