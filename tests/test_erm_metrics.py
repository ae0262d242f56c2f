"""What selects among programs: losses worked out by hand and held against scikit-learn's."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from llm_pv.data.examples import Classes, Examples, Splits, resampled
from llm_pv.erm.certificate import (
    Certificate,
    count_answers,
    count_classes,
    mean_of_groups,
    mean_upper_limit,
)
from llm_pv.erm.metrics import Metric, parse_costs
from llm_pv.erm.result import MajorityBaseline
from llm_pv.errors import ConfigurationError
from llm_pv.stats import binomial_upper_limit

ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.integers(1, 5)), min_size=1
)


@given(ROWS)
def test_losses_are_scikit_learns(rows: list[tuple[str, str, int]]) -> None:
    labels, guesses, weights = ([row[n] for row in rows] for n in range(3))
    answers: Sequence[str | None] = [str(guess) for guess in guesses]
    texts = [str(label) for label in labels]
    numbers = [float(weight) for weight in weights]
    right = accuracy_score(labels, guesses, sample_weight=weights)
    assert Metric().loss(answers, texts, numbers) == pytest.approx((1 - right) * sum(numbers))
    f1 = f1_score(labels, guesses, average="macro", sample_weight=weights, zero_division=0)
    assert Metric("f1").loss(answers, texts, numbers) == pytest.approx(1 - f1)
    if set(guesses) <= set(labels):  # else scikit-learn warns
        balanced = balanced_accuracy_score(labels, guesses, sample_weight=weights)
        loss = Metric("balanced-accuracy").loss(answers, texts, numbers)
        assert loss == pytest.approx(1 - balanced)


def test_costs_are_those_of_the_mistake_and_1_where_none_is_named() -> None:
    metric = Metric("cost", parse_costs(["ill as well=5", "well as ill=0.5"]))
    labels = ["ill", "ill", "well", "well", "odd"]
    guesses = ["well", "ill", "ill", None, "ill"]
    # 5 + 0 + 0.5 + the dearest mistake of well, at least 1, + 1 that is not named
    assert metric.loss(guesses, labels) == (5 + 0 + 0.5 + 1 + 1) / 5
    assert metric.row_weights(labels) == [5.0, 5.0, 1.0, 1.0, 1.0]


def test_a_class_whose_name_holds_the_word_between_classes_is_quoted() -> None:
    costs = parse_costs(['"sick as a dog" as well=5', 'a=b as "sick as a dog"=2'])
    assert costs == {("sick as a dog", "well"): 5.0, ("a=b", "sick as a dog"): 2.0}


def test_costs_are_recorded_by_mistake() -> None:
    assert Metric("cost", {("sick", "well"): 5.0}).record() == {
        "name": "cost",
        "costs": {"sick as well": 5.0},
    }
    assert Metric("f1").record() == {"name": "f1"}


def test_balanced_weights_make_classes_equal() -> None:
    weights = Metric("balanced-accuracy").row_weights(["a", "a", "a", "b"])
    assert weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    # The rows of a weigh 4 and those of b 1: 4 of 5 in one, so each class gets 2.5.
    weights = Metric("balanced-accuracy").row_weights(["a", "a", "b"], [3.0, 1.0, 1.0])
    assert weights == pytest.approx([2.5 / 4, 2.5 / 4, 2.5])
    assert Metric().row_weights(["a", "b"]) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Metric("auc"),  # type: ignore[arg-type]
            "give one of accuracy, balanced-accuracy, f1, cost",
        ),
        (lambda: Metric("f1", {("a", "b"): 1.0}), "costs are for the metric 'cost'"),
        (lambda: Metric("cost", {("a", "b"): -1.0}), "a number from 0 on"),
        (lambda: Metric("cost", {("a", "b"): math.nan}), "a number from 0 on"),
        (lambda: Metric("cost", {("a", "b"): math.inf}), "a number from 0 on"),
        (lambda: parse_costs(["a=5"]), "write 'A as B=NUMBER'"),
        (lambda: parse_costs(["sick as a dog as well=5"]), "' as ' in double quotes"),
        (lambda: Metric("cost", {("a", "x"): 1.0}).check(["a", "b"]), "names the class 'x'"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]


def test_the_constant_to_beat_is_the_best_by_the_metric() -> None:
    labels = ["0"] * 8 + ["1"] * 2
    rows = Examples(labels, labels)
    splits = Splits(rows, rows, rows, Classes(("0", "1"), (0, 1)))
    assert (MajorityBaseline.of(splits).label, MajorityBaseline.of(splits).validation_share) == (
        "0",
        0.8,
    )
    dear = Metric("cost", {("1", "0"): 10.0})
    # Always 0 costs 2 * 10 / 10 a row, always 1 costs 8 / 10.
    found = MajorityBaseline.of(splits, dear)
    assert found.label == "1"
    assert found.validation_share == pytest.approx(0.2)
    assert MajorityBaseline.of(splits, Metric("balanced-accuracy")).validation_share == 0.5


def test_rows_come_as_often_as_they_weigh() -> None:
    rows = Examples(list("abcd"), list("0001"), weights=[1.0, 1.0, 1.0, 3.0])
    assert resampled(rows).inputs == ["a", "b", "c", "d", "d", "d"]
    assert resampled(Examples(list("ab"), list("01"))).inputs == ["a", "b"]
    rare = Examples([str(n) for n in range(1000)], ["1"] + ["0"] * 999,
                    weights=[999.0] + [1.0] * 999)  # fmt: skip
    drawn = resampled(rare)
    assert sum(label == "1" for label in drawn.labels) == 999
    assert len(set(drawn.inputs)) == 1000


def test_the_limit_of_a_mean_is_exact_for_none_and_covers() -> None:
    assert mean_upper_limit(0.0, 50, 0.01) == pytest.approx(binomial_upper_limit(0, 50, 0.01))
    assert mean_upper_limit(1.0, 50, 0.01) == 1.0
    random = np.random.default_rng(7)
    groups, share = 30, 0.1
    # Rows of a group are all right or all wrong: as dependent as rows can be.
    means = random.binomial(groups, 0.2, size=4_000) / groups
    failures = np.mean([mean_upper_limit(float(m), groups, share) < 0.2 for m in means])
    assert failures <= share


def test_groups_count_as_one_each() -> None:
    wrong = [True, True, True, True, False, False, False]
    groups = ["a", "a", "a", "a", "b", "c", "c"]
    assert mean_of_groups(wrong, groups) == pytest.approx(1 / 3)
    by_rows = Certificate(4, 7, planned=1, verified=1, position=1)
    by_groups = Certificate(
        4, 7, planned=1, verified=1, position=1, groups=3, group_error=mean_of_groups(wrong, groups)
    )
    assert by_groups.error_bound == pytest.approx(mean_upper_limit(1 / 3, 3, 0.025))
    assert by_groups.error_bound > by_rows.error_bound
    assert "rows of new groups, each group counting as one" in by_groups.text()
    assert "7 validation rows of 3 groups" in by_groups.text()


def test_rows_of_groups_taken_for_independent_would_not_cover() -> None:
    """Groups of 20 rows, right or wrong as one: only the bound by groups holds."""
    random = np.random.default_rng(3)
    failed = {"rows": 0, "groups": 0}
    for _ in range(2_000):
        bad = int(random.binomial(15, 0.3))
        rows = Certificate(20 * bad, 300, planned=1, verified=1, position=1, delta=0.2)
        groups = Certificate(
            20 * bad, 300, planned=1, verified=1, position=1, delta=0.2,
            groups=15, group_error=bad / 15,
        )  # fmt: skip
        failed["rows"] += rows.error_bound < 0.3
        failed["groups"] += groups.error_bound < 0.3
    assert failed["rows"] / 2_000 > 0.2
    assert failed["groups"] / 2_000 <= 0.2


def test_class_bounds_share_delta_and_cover_together() -> None:
    labels = ["0"] * 90 + ["1"] * 10
    wrong = [True] * 2 + [False] * 88 + [True] + [False] * 9
    found = Certificate(
        3, 100, planned=1, verified=1, position=1, classes=count_classes(wrong, labels, None)
    )
    # delta / 2 for the program, half of that for each of two classes
    assert found.class_bounds == {
        "0": pytest.approx(binomial_upper_limit(2, 90, 0.0125)),
        "1": pytest.approx(binomial_upper_limit(1, 10, 0.0125)),
    }
    assert found.balanced_bound == pytest.approx(sum(found.class_bounds.values()) / 2)
    assert f"'1' {found.class_bounds['1']:.1%} (1 of 10)" in found.text()
    random = np.random.default_rng(5)
    failures = 0
    for _ in range(3_000):
        rare = random.random(12) < 0.3
        common = random.random(60) < 0.1
        certificate = Certificate(
            int(rare.sum() + common.sum()), 72, planned=1, verified=1, position=1, delta=0.4,
            classes=count_classes(
                [*map(bool, rare), *map(bool, common)], ["r"] * 12 + ["c"] * 60, None
            ),
        )  # fmt: skip
        bounds = certificate.class_bounds
        failures += bounds["r"] < 0.3 or bounds["c"] < 0.1
    # The program's share is half of delta, for all classes together.
    assert failures / 3_000 <= 0.2


def test_answers_are_counted_with_their_exact_limits() -> None:
    cells = count_answers(["1", "1", None, "0"], ["1", "0", "1", "0"])
    assert [(cell.answer, cell.label, cell.count, cell.rows) for cell in cells] == [
        ("0", "0", 1, 1), ("0", "1", 0, 1), ("1", "0", 1, 2), ("1", "1", 1, 2),
        (None, "0", 0, 1), (None, "1", 1, 1),
    ]  # fmt: skip
    sure = count_answers(["1"] * 20, ["1"] * 20)[0]
    low, high = sure.limits(0.05)
    assert (round(low, 4), high) == (round(0.025 ** (1 / 20), 4), 1.0)
