"""Intervals, means and tests, beside scipy's own."""

import pytest
from scipy.stats import binomtest, t

from llm_pv.stats import MeanStd, binomial_interval, binomial_upper_limit, mean_limits


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (0, 40), (7, 40), (39, 40), (40, 40)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_limits_of_a_share_are_those_of_scipy(right: int, rows: int, confidence: float) -> None:
    exact = binomtest(right, rows).proportion_ci(confidence, method="exact")
    assert binomial_interval(right, rows, confidence) == pytest.approx((exact.low, exact.high))


def test_a_mean_count_lies_between_its_neighbours_and_no_rows_have_no_limits() -> None:
    below, between, above = (binomial_interval(right, 20) for right in (9, 9.5, 10))
    assert below is not None
    assert between is not None
    assert above is not None
    assert below[0] < between[0] < above[0]
    assert below[1] < between[1] < above[1]
    assert binomial_interval(0, 0) is None


def test_one_sided_limits_are_those_of_scipy() -> None:
    for errors, rows, share in ((0, 100, 0.005), (3, 100, 0.05), (0, 1, 0.5)):
        known = binomtest(errors, rows, alternative="less").proportion_ci(1 - share, "exact").high
        assert binomial_upper_limit(errors, rows, share) == pytest.approx(known)
    assert binomial_upper_limit(5, 5, 0.05) == binomial_upper_limit(0, 0, 0.05) == 1.0


def test_means_have_the_sample_deviation_and_student_limits() -> None:
    figure = MeanStd.of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert figure is not None
    assert (figure.mean, figure.trials) == (5.0, 8)
    assert figure.deviation == pytest.approx((32 / 7) ** 0.5)
    assert MeanStd.of([]) is None
    assert MeanStd.of([0.5]) == MeanStd(0.5, None, 1)
    values = [0.4, 0.5, 0.9]
    scale = (0.07 / 3) ** 0.5  # the variance is (0.04 + 0.01 + 0.09) / 2
    assert mean_limits(values) == pytest.approx(t.interval(0.95, 2, 0.6, scale))
