"""Results of selected programs on other data, and detection of shortcuts."""

from collections.abc import Iterable

from llm_pv.report.comparison import Comparison, Estimate, Setting, estimate
from llm_pv.report.records import TrialRecord

SOLVED = 0.99
"""The mean test accuracy from which a setting counts as solved."""


def transfer_estimate(
    trials: Iterable[TrialRecord], sampler: str, length: int | str
) -> Estimate | None:
    """Return the mean accuracy of programs for a sampler and length; None if unknown."""
    return estimate(
        [
            (there.accuracy, there.rows)
            for trial in trials
            for there in trial.transfer
            if (there.sampler, there.length) == (sampler, length) and there.accuracy is not None
        ]
    )


def loses(test: Estimate, there: Estimate | None) -> bool:
    """Return whether programs lose more on other data than chance or 5 points explain.

    Examples
    --------
    >>> paper, hard = Estimate(1.0, None, 1, 0.99, 1.0), Estimate(0.51, None, 1, 0.48, 0.54)
    >>> loses(paper, hard), loses(paper, paper)
    (True, False)
    """
    if there is None:
        return False
    if test.low is not None and there.high is not None and there.high < test.low:
        return True
    return test.mean - there.mean >= 0.05 and test.mean >= SOLVED


def verdict(test: Estimate, there: Estimate | None, *, lost: str) -> str:
    """Return in a word or two whether programs keep their accuracy on other data."""
    if there is None:
        return ""
    if loses(test, there):
        return lost
    return "holds" if test.mean >= SOLVED else "not learned"


def shortcuts(comparison: Comparison) -> frozenset[tuple[Setting, str]]:
    """Return the settings and methods whose programs use a shortcut."""
    return frozenset(
        (setting, method)
        for (setting, method), cell in comparison.cells.items()
        if setting.sampler == "paper"
        and cell.test is not None
        and loses(cell.test, transfer_estimate(cell.trials, "hard", setting.length))
    )
