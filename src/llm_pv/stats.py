"""Confidence intervals, means and significance tests."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from statistics import mean, stdev
from typing import Any

CONFIDENCE = 0.95
"""The confidence of every interval that is shown."""


def binomial_interval(
    right: float, rows: int, confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Return the exact binomial limits of a share, None without rows.

    For whole counts they are those of ``scipy.stats.binomtest(right, rows).proportion_ci()``; a
    mean count over several orders of the same rows is taken as it is.

    Source: Clopper and Pearson, Biometrika 26, 1934.

    Parameters
    ----------
    right
        The number of rows with the property, 0 to ``rows``; it may be a mean.
    rows
        The number of rows.
    confidence
        The probability that the limits enclose the share.

    Examples
    --------
    >>> low, high = binomial_interval(10, 10)
    >>> round(low, 4), high  # 0.025 ** (1 / 10)
    (0.6915, 1.0)
    """
    if not rows:
        return None
    tail = (1 - confidence) / 2
    high = binomial_upper_limit(right, rows, tail)
    low = 1 - binomial_upper_limit(rows - right, rows, tail)
    # Clopper and Pearson's limits are quantiles of beta distributions. scipy's inverse of the
    # incomplete beta function fails for counts beyond some 10 ** 15.
    return (low, high) if math.isfinite(low + high) else None


def binomial_upper_limit(count: float, rows: int, share: float) -> float:
    """Return the exact upper confidence limit of a rate.

    The largest rate under which a count so low still has probability ``share`` (Clopper and
    Pearson, Biometrika 26, 1934): of a program whose true error rate is r, the limit lies below r
    with probability at most ``share``.

    Parameters
    ----------
    count
        Rows counted, 0 to ``rows``.
    rows
        The number of rows; with none the limit is 1.
    share
        The probability with which the limit may be too low.

    Examples
    --------
    >>> round(binomial_upper_limit(0, 100, 0.05), 4)
    0.0295
    """
    if count >= rows:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(count + 1, rows - count, 1 - share))


def mean_limits(values: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95% confidence limits of the mean of at least two values.

    Examples
    --------
    >>> low, high = mean_limits([0.5, 0.7])
    >>> round(low, 2), round(high, 2)  # 0.6 -+ 12.706 * 0.1414 / sqrt(2)
    (-0.67, 1.87)
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


@dataclass(frozen=True)
class MeanStd:
    """The mean and standard deviation of a figure over independent repetitions.

    Examples
    --------
    >>> MeanStd.of([0.5, 1.0])
    MeanStd(mean=0.75, deviation=0.3535533905932738, trials=2)
    """

    mean: float
    deviation: float | None
    trials: int
    "How many values there are."

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "MeanStd | None":
        """Return the mean and deviation of the values that are known, None of none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None, len(known))

    def record(self, number: str = "trials") -> dict[str, Any]:
        """Return both as plain JSON values, the number of values under a name."""
        return {"mean": self.mean, "standard_deviation": self.deviation, number: self.trials}


def record_of(value: Any) -> Any:
    """Return a value as plain JSON values: a dataclass as an object, a figure as its record.

    Examples
    --------
    >>> record_of((MeanStd(0.5, None, 1), None))
    [{'mean': 0.5, 'standard_deviation': None, 'trials': 1}, None]
    """
    if isinstance(value, MeanStd):
        return value.record()
    if is_dataclass(value):
        return {field.name: record_of(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): record_of(item) for key, item in value.items()}
    return list(map(record_of, value)) if isinstance(value, tuple | list) else value


def pass_at_k(attempts: int, successes: int, k: int) -> float:
    """Return the unbiased estimate of the chance that one of k attempts succeeds.

    Source: Chen et al., Evaluating Large Language Models Trained on Code, 2021, equation 1.

    Examples
    --------
    >>> pass_at_k(4, 1, 1), pass_at_k(4, 1, 2), pass_at_k(4, 3, 2)
    (0.25, 0.5, 1.0)
    """
    return 1 - math.comb(attempts - successes, k) / math.comb(attempts, k)


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the p-value of McNemar's exact test of whether two predictors err equally often.

    Parameters
    ----------
    only_a, only_b
        Rows that only one of the two predicted correctly.

    Examples
    --------
    >>> mcnemar(0, 5), mcnemar(3, 3), mcnemar(0, 0)
    (0.0625, 1.0, 1.0)
    """
    if only_a + only_b == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_b, only_a + only_b).pvalue)


def wilcoxon(differences: Sequence[float]) -> float | None:
    """Return the p-value of Wilcoxon's signed-rank test, None without differences."""
    if not differences:
        return None
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ties, which make it approximate: the table says so
        return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted
