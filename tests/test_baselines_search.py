"""Choosing settings: by which rows, over which folds, and what halving leaves out."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llm_pv
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tracks.baselines import Baseline, fit_baseline
from llm_pv.tracks.baselines.base import Codes, Fitted, SearchName, Setting, Settings
from llm_pv.tracks.baselines.features import Features
from llm_pv.tracks.baselines.registry import RandomForest
from llm_pv.tracks.baselines.search import choose_settings, make_folds
from rows import parity_splits


class Dial(Baseline):
    """Right on a share of rows that its setting decides; counts fits and remembers rows seen."""

    name = "dial"

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = shares
        self.fits: Counter[Any] = Counter()
        self.seen: set[float] = set()

    def grid(self, search: SearchName) -> Mapping[str, Sequence[Setting]]:
        return {"point": tuple(range(len(self.shares)))}

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        warnings.warn("a library complains", UserWarning, stacklevel=1)
        point = settings["point"]
        assert isinstance(point, int)
        self.fits[point] += 1
        self.seen |= set(features.matrix[:, 0].tolist())

        def predict(rows: Features, _: Settings) -> Codes:
            # The first column counts rows, and an odd one is of class 1.
            number = rows.matrix[:, 0].astype(int)
            is_right = (number // 2) % 10 < 10 * self.shares[point]
            return np.where(is_right, number % 2, 1 - number % 2)

        return Fitted(predict)


def counted(rows: int) -> tuple[Features, Codes]:
    return Features(np.arange(rows, dtype=float)[:, None], ("number",)), np.arange(rows) % 2


def test_halving_drops_the_worse_half_at_each_fold_and_the_grid_tries_everything() -> None:
    features, codes = counted(100)
    shares = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]
    dial = Dial(shares)
    choice = choose_settings(dial, features, codes, search="halving", seed=0)
    assert choice.settings == {"point": 7}
    assert choice.accuracy == 1.0
    assert sum(dial.fits.values()) == 8 + 4 + 2
    assert dial.fits[7] == 3
    assert [tried.folds for tried in choice.tried][:3] == [1, 1, 1]
    dial = Dial(shares)
    choice = choose_settings(dial, features, codes, search="grid", seed=0)
    assert choice.settings == {"point": 7}
    assert set(dial.fits.values()) == {5}
    assert [tried.accuracy for tried in choice.tried] == pytest.approx(shares)


@pytest.mark.parametrize("search", ["halving", "grid"])
def test_of_equals_the_first_is_taken(search: SearchName) -> None:
    features, codes = counted(100)
    choice = choose_settings(Dial([0.5, 1.0, 1.0, 1.0]), features, codes, search=search, seed=0)
    assert choice.settings == {"point": 1}


def test_folds_share_out_rows_and_classes() -> None:
    codes = np.array([0] * 60 + [1] * 40)
    folds = make_folds(codes, seed=1)
    assert sorted(np.concatenate([fold.held_out for fold in folds])) == list(range(100))
    for fold in folds:
        assert set(fold.train) | set(fold.held_out) == set(range(100))
        assert not set(fold.train) & set(fold.held_out)
        assert np.bincount(codes[fold.held_out]).tolist() == [12, 8]
    assert all(
        (one.held_out == other.held_out).all()
        for one, other in zip(folds, make_folds(codes, seed=1), strict=True)
    )


@pytest.mark.parametrize(
    ("sizes", "folds"), [((50, 5), 5), ((50, 3), 3), ((50, 1), 2), ((1, 1), 0), ((50, 0, 4), 4)]
)
def test_small_classes_mean_fewer_folds(sizes: tuple[int, ...], folds: int) -> None:
    codes = np.repeat(np.arange(len(sizes)), sizes)
    assert len(make_folds(codes, seed=0)) == folds


class SmallForest(RandomForest):
    """The published grid, with fewer trees."""

    def grid(self, search: SearchName) -> Mapping[str, Sequence[Setting]]:
        return {**super().grid(search), "n_estimators": (3, 6, 12)}


def test_sharing_fits_changes_no_accuracy_of_the_grid() -> None:
    """Every point fitted by itself, by scikit-learn and by hand, gives what the search says."""
    from sklearn.ensemble import RandomForestClassifier

    generator = np.random.default_rng(2)
    matrix = generator.integers(0, 2, (40, 8)).astype(np.float32)
    codes = np.where(generator.random(40) < 0.8, matrix[:, 0] == matrix[:, 1], matrix[:, 2] > 0)
    codes = codes.astype(int)
    features = Features(matrix, ("symbol",) * 8)
    choice = choose_settings(SmallForest(), features, codes, search="grid", seed=9)
    folds = make_folds(codes, seed=9)
    assert len(choice.tried) == 36
    for tried in [choice.tried[n] for n in (0, 11, 20, 35)]:
        settings: Any = tried.settings
        right = 0
        for fold in folds:
            model = RandomForestClassifier(**settings, random_state=9)
            model.fit(matrix[fold.train], codes[fold.train])
            right += (model.predict(matrix[fold.held_out]) == codes[fold.held_out]).sum()
        assert tried.accuracy == pytest.approx(right / 40)


def numbered_splits() -> Splits:
    def part(start: int, end: int) -> Examples:
        return Examples(
            [{"n": n} for n in range(start, end)], [str(n % 2) for n in range(start, end)]
        )

    return Splits(part(0, 100), part(100, 150), part(150, 200), Classes(("0", "1"), (0, 1)))


def test_no_validation_or_test_row_is_ever_fitted_on() -> None:
    dial = Dial([0.2, 1.0])
    fitted = fit_baseline(dial, numbered_splits())
    assert dial.seen == set(range(100))
    assert fitted.result.test is not None
    assert (fitted.result.validation.accuracy, fitted.result.test.accuracy) == (1.0, 1.0)


def test_validation_and_test_labels_do_not_steer_the_choice() -> None:
    splits = numbered_splits()
    turned = Splits(
        splits.train,
        Examples(splits.validation.inputs, [str(1 - int(x)) for x in splits.validation.labels]),
        Examples(splits.test.inputs, [str(1 - int(x)) for x in splits.test.labels]),
        splits.classes,
    )
    results = [fit_baseline(Dial([0.3, 1.0, 0.6]), rows).result for rows in (splits, turned)]
    assert results[0].choice == results[1].choice
    assert results[0].predictions == results[1].predictions
    assert results[1].validation.accuracy == 0.0


def test_the_result_holds_scores_interval_and_majority() -> None:
    splits = llm_pv.load_task("fn_a", length=20, test_size=100)
    fitted = fit_baseline("decision_tree", splits, seed=4)
    result = fitted.result
    assert result.test is not None
    assert result.interval is not None
    right = sum(a == b for a, b in zip(result.predictions, splits.test.labels, strict=True))
    assert result.test.accuracy == right / 100
    assert result.interval[0] < result.test.accuracy < result.interval[1]
    assert result.majority.test_accuracy == 0.5
    assert fitted.predict(splits.test.inputs) == list(result.predictions)
    assert (
        fit_baseline("decision_tree", splits, seed=4).result.record()["tried"]
        == (result.record()["tried"])
    )


def test_a_class_that_training_lacks_and_a_training_set_of_one_class_are_no_error() -> None:
    classes = Classes(("a", "b", "c"), ("a", "b", "c"))
    some = Examples(["0", "1", "00", "11", "000", "111"], ["c", "a", "c", "a", "c", "a"])
    other = Examples(["01", "10"], ["b", "a"])
    for name in ("svm", "xgboost", "genetic_programming"):
        result = fit_baseline(name, Splits(some, other, other, classes)).result
        assert set(result.predictions) <= {"a", "c"}
    constant = Splits(Examples(["0", "1"], ["b", "b"]), other, Examples([], []), classes)
    lonely = fit_baseline("svm", constant)
    assert lonely.predict(["0", "1", "111"]) == ["b"] * 3
    assert lonely.result.test is None
    assert lonely.result.record()["test"] is None


def test_a_class_of_one_row_is_no_error_for_any_baseline() -> None:
    inputs = [f"{number:06b}" for number in range(21)]
    labels = [str(number % 3) for number in range(20)] + ["alone"]
    rows = Examples(inputs, labels)
    splits = Splits(rows, rows, rows, Classes.of(labels))
    for name in ("svm", "decision_tree"):
        assert fit_baseline(name, splits).result.train.rows == 21


def test_importing_a_library_is_no_part_of_the_time_of_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_library.py").write_text("import time\ntime.sleep(3)\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Slow(Dial):
        modules = ("slow_library",)

        def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
            import_module("slow_library")
            return super().fit(features, codes, settings, seed)

    assert 0 < fit_baseline(Slow([1.0]), numbered_splits()).result.learn_seconds < 3


class ByValidation(Baseline):
    """Answers with its setting, so that the rows it is tried on decide which is chosen."""

    name = "constant"
    grid_by_validation = True

    def grid(self, search: SearchName) -> dict[str, tuple[int, ...]]:
        return {"answer": (0, 1)}

    def fit(self, features: Features, codes: Codes, settings: Settings, seed: int) -> Fitted:
        assert len(features) == 6, "it is fitted on the training rows alone"
        return Fitted(lambda rows, point: np.full(len(rows), point["answer"]))


def test_a_published_grid_chosen_by_validation_is_fitted_on_training_rows_and_tried_on_those() -> (
    None
):
    train = Examples([f"{n:03b}" for n in range(6)], ["0", "0", "0", "0", "1", "1"])
    validation = Examples(["110", "111", "000"], ["1", "1", "0"])
    splits = Splits(train, validation, train, Classes.of(["0", "1"]))
    result = fit_baseline(ByValidation(), splits, search="grid").result
    assert result.choice.settings == {"answer": 1}
    assert result.choice.accuracy == pytest.approx(2 / 3)
    assert [tried.folds for tried in result.choice.tried] == [1, 1]


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no search 'random'"):
        fit_baseline("svm", parity_splits(), search="random")  # type: ignore[arg-type]
    empty = parity_splits(validation=0)
    with pytest.raises(DataError, match="validation rows"):
        fit_baseline("svm", empty)


def test_a_baseline_that_cannot_be_used_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_pv.tracks.baselines.base.find_spec", lambda package: None)
    with pytest.raises(ConfigurationError, match=r"xgboost cannot be used here: .*pip install"):
        fit_baseline("xgboost", parity_splits())
