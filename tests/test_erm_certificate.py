"""The certificate against scipy's exact binomial test, and its coverage in simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from llm_pv.erm.certificate import Certificate, error_share
from llm_pv.errors import ConfigurationError
from llm_pv.stats import binomial_upper_limit


@given(
    rows=st.integers(1, 500),
    portion=st.floats(0, 1),
    share=st.sampled_from([0.05, 0.005, 0.000125, 1e-7]),
)
def test_the_limit_is_the_exact_binomial_one(rows: int, portion: float, share: float) -> None:
    errors = round(portion * rows)
    exact = binomtest(errors, rows, alternative="less").proportion_ci(1 - share, "exact").high
    assert binomial_upper_limit(errors, rows, share) == pytest.approx(exact, rel=1e-6)


def test_no_rows_bound_nothing() -> None:
    assert binomial_upper_limit(0, 0, 0.05) == 1.0
    # 2 sqrt(log(4 k / delta) / (2 m)) with k the larger of planned and verified: here log(400)
    # and log(800) over 200 rows.
    planned = Certificate(0, 100, planned=5, verified=2, position=1).gap_term
    assert planned == pytest.approx(0.346164, abs=1e-6)
    verified = Certificate(0, 100, planned=5, verified=10, position=1).gap_term
    assert verified == pytest.approx(0.365639, abs=1e-6)
    assert math.isinf(Certificate(0, 0, planned=5, verified=1, position=1).gap_term)


@pytest.mark.parametrize("planned", [1, 5, 200])
def test_the_shares_of_any_number_of_programs_stay_within_delta(planned: int) -> None:
    total = sum(error_share(0.05, planned, position) for position in range(1, 20_000))
    assert 0.0499 < total <= 0.05


@pytest.mark.parametrize(
    ("delta", "planned", "position", "message"),
    [
        (0, 5, 1, "delta is 0; it is a probability"),
        (1, 5, 1, "delta is 1; it is a probability"),
        (0.1, 0, 1, "0 planned attempts, position 1: both start at 1"),
    ],
)
def test_shares_refuse_what_is_no_probability_or_no_plan(
    delta: float, planned: int, position: int, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        error_share(delta, planned, position)


@pytest.mark.parametrize("stop_early", [True, False])
def test_the_certificate_covers_in_simulation(stop_early: bool) -> None:
    """Worthless programs of true error 0.5, the best of each run kept: at most delta fail."""
    random = np.random.default_rng(12345)
    delta, planned, rows, runs = 0.2, 10, 12, 4000
    failures = 0
    for _ in range(runs):
        errors = random.binomial(rows, 0.5, size=2 * planned)
        perfect = np.flatnonzero(errors == 0)
        verified = int(perfect[0]) + 1 if stop_early and perfect.size else 2 * planned
        best = int(np.argmin(errors[:verified]))
        certificate = Certificate(
            int(errors[best]), rows, planned, verified, position=best + 1, delta=delta
        )
        failures += certificate.error_bound < 0.5
    assert failures / runs <= delta
    assert failures > 0, "a bound that never fails at delta = 0.2 is no test of coverage"


def test_picking_the_best_without_shares_would_not_cover() -> None:
    """The same simulation with a bound that ignores the choice fails: the test can fail."""
    random = np.random.default_rng(12345)
    errors = random.binomial(12, 0.5, size=(4000, 20)).min(axis=1)
    failures = np.mean([binomial_upper_limit(int(e), 12, 0.2) < 0.5 for e in errors])
    assert failures > 0.2


def test_the_text_states_bound_and_assumptions() -> None:
    text = Certificate(errors=1, rows=100, planned=5, verified=3, position=2).text()
    limit = binomtest(1, 100, alternative="less").proportion_ci(1 - 0.005, "exact").high
    assert f"at most {limit:.1%}" in text
    assert "1 mistake on 100 validation rows" in text
    for assumption in ("drawn like the validation rows", "voids it", "shortcut", "gap term"):
        assert assumption in text
    assert "counts once" not in text
    repeated = Certificate(0, 100, planned=5, verified=3, position=2, repeated=1800).text()
    assert "counts once, however common it is (1,800 rows" in repeated
