"""Scores worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.erm.result import MajorityBaseline, exact_interval
from llm_pv.erm.scoring import Score, majority_label, score_predictions


def test_a_row_without_a_prediction_is_a_mistake() -> None:
    score = score_predictions([None, "a", "b", None], ["a", "a", "a", "b"])
    assert (score.rows, score.errors, score.failed) == (4, 3, 2)
    assert score.accuracy == 0.25
    assert score.balanced_accuracy == pytest.approx((1 / 3 + 0) / 2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_scores_agree_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    guesses, labels = (list(side) for side in zip(*pairs, strict=True))
    score = score_predictions(guesses, labels)
    assert score.accuracy == pytest.approx(accuracy_score(labels, guesses))
    if set(guesses) <= set(labels) and len(set(labels)) > 1:
        assert score.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, guesses))


def test_no_rows_score_nothing() -> None:
    assert score_predictions([], []) == Score(0, 0, 0, 0.0)
    assert Score(0, 0, 0, 0.0).accuracy == 0.0
    assert [Score(3, 2, 0, 0.5, *loss).loss for loss in ((), (0.0,), (0.5,))] == [2.0, 0.0, 0.5]
    assert exact_interval(Score(0, 0, 0, 0.0)) is None


@given(rows=st.integers(1, 2000), portion=st.floats(0, 1))
def test_the_interval_is_the_exact_binomial_one(rows: int, portion: float) -> None:
    errors = round(portion * rows)
    expected = binomtest(rows - errors, rows).proportion_ci(0.95, "exact")
    interval = exact_interval(Score(rows, errors, 0, 0.0))
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_majority_is_the_first_in_order_among_equals() -> None:
    assert majority_label(["b", "a", "a", "b"]) == "a"
    assert majority_label(["b", "a", "b"]) == "b"


@given(rows=st.integers(1, 500), portion=st.floats(0, 1))
def test_an_accuracy_is_the_plain_quotient(rows: int, portion: float) -> None:
    right = round(portion * rows)
    assert Score(rows, rows - right, 0, 0.0).accuracy == right / rows


def splits_of(train: str, validation: str, test: str) -> Splits:
    first, second, third = (
        Examples(list(texts), list(texts)) for texts in (train, validation, test)
    )
    return Splits(first, second, third, Classes(("0", "1"), (0, 1)))


def test_the_majority_baseline_is_the_constant_that_validation_would_select() -> None:
    # Training prefers 0, validation 1: no constant beats 3 of 5, and the same one is tested.
    found = MajorityBaseline.of(splits_of("0001", "11100", "1110000000"))
    assert (found.label, found.validation_accuracy, found.test_accuracy) == ("1", 0.6, 0.3)


def test_equal_classes_of_validation_are_told_apart_by_training_then_by_order() -> None:
    assert MajorityBaseline.of(splits_of("011", "01", "")) == MajorityBaseline("1", 0.5, None, 0.5)
    assert MajorityBaseline.of(splits_of("01", "10", "")).label == "0"
    assert MajorityBaseline.of(splits_of("110", "", "0")) == MajorityBaseline("1", None, 0.0)
    assert MajorityBaseline.of(splits_of("00", "1", "")).label == "1", "training need not hold it"
