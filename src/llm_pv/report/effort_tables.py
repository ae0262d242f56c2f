"""Tables of what success takes: attempts at a program, time a row, tokens and dollars."""

from collections.abc import Sequence
from itertools import product

from llm_pv.report.comparison import Comparison
from llm_pv.report.curves import complete_attempts
from llm_pv.report.records import TrialRecord
from llm_pv.report.tables import Column, Entry, ReportTable, setting_columns, setting_values, share
from llm_pv.report.text import money, percent
from llm_pv.report.transfer import SOLVED
from llm_pv.stats import binomial_interval

_ERRORS = (0.0, 0.05)
"""The validation errors up to which an attempt is good."""


def attempts_table(comparison: Comparison) -> ReportTable:
    """Return the table of the chance that one attempt succeeds, where none was cut short."""
    rows = []
    for (setting, method, _, tries), error in product(complete_attempts(comparison), _ERRORS):
        made = sum(map(len, tries))
        right = sum(value >= 1 - error for values in tries for value in values)
        low, high = binomial_interval(right, made) or (0.0, 1.0)
        size = f"{made / right:.1f}" if right else ""
        above = f"{1 / low:.1f}" if low else "no limit"
        rows.append(
            (
                *setting_values(setting),
                Entry(method),
                Entry(percent(error), error),
                Entry(str(len(tries)), len(tries)),
                Entry(str(made), made),
                Entry(str(right), right),
                *map(share, (right / made, low, high)),
                Entry(size, made / right if right else None, f"[{1 / high:.1f}, {above}]"),
            )
        )
    columns = (
        *setting_columns(),
        Column("method", numeric=False),
        *map(Column, ("error at most", "trials", "attempts", "good attempts")),
        *(Column(name, "measured") for name in ("chance p", "p from", "p to", "1 / p")),
    )
    return ReportTable(
        "attempts-needed",
        "The chance that one attempt succeeds",
        "An attempt is good if its program errs on at most so many percent of the validation rows; "
        "the chance p of a good one, in percent, is estimated "
        "from all attempts of all trials together, with exact binomial 95% limits that take them "
        "as independent, which those of the built-in search are not: there p is the share of its "
        "programs. 1 / p is about how many attempts are needed: the effective size of the search.",
        columns,
        tuple(rows),
    )


def effort_table(comparison: Comparison) -> ReportTable:
    """Return the table of time a row, and of tokens and dollars a solved trial."""
    rows = []
    for method in comparison.measured:
        trials = [
            trial
            for (_, name), cell in comparison.cells.items()
            if name == method
            for trial in cell.trials
            if trial.accuracy is not None
        ]
        solved = sum((trial.accuracy or 0.0) >= SOLVED for trial in trials)
        tokens = sum(
            trial.answer_tokens + sum(attempt.tokens for attempt in trial.attempts)
            for trial in trials
        )
        costs = [trial.cost_usd for trial in trials if trial.cost_usd is not None]
        cost = sum(costs) if len(costs) == len(trials) else None
        learned = _seconds_a_row(trials, learning=True)
        tested = _seconds_a_row(trials, learning=False)
        rows.append(
            (
                Entry(method),
                Entry(_few_digits(learned), learned),
                Entry(_few_digits(tested), tested),
                Entry(f"{solved} of {len(trials)}", solved),
                Entry(f"{tokens / solved:,.0f}" if tokens and solved else "",
                      tokens / solved if tokens and solved else None),
                Entry(money(cost / solved) if cost and solved else "",
                      cost / solved if cost and solved else None),
            )
        )  # fmt: skip
    columns = (
        Column("method", numeric=False),
        *(Column(name, "measured") for name in (
            "seconds to learn, a labelled row", "seconds to test, a row",
            f"trials at {SOLVED:.0%} or more", "tokens a solved trial", "dollars a solved trial",
        )),
    )  # fmt: skip
    return ReportTable(
        "effort",
        "Time, tokens and dollars",
        "Wall-clock seconds of learning over training and validation rows, and of testing over "
        "test rows, over all trials with a figure. Tokens and dollars of all trials, those that "
        "were not solved too, over the solved ones.",
        columns,
        tuple(rows),
    )


def _few_digits(seconds: float | None) -> str:
    """Write seconds with two digits and without an exponent."""
    return "" if seconds is None else f"{float(f'{seconds:.2g}'):.9f}".rstrip("0").rstrip(".")


def _seconds_a_row(trials: Sequence[TrialRecord], *, learning: bool) -> float | None:
    """Return the seconds of learning or testing over the rows, of trials that have both."""
    pairs = [
        (trial.learn_seconds, (trial.train_size or 0) + (trial.validation_size or 0))
        if learning
        else (trial.test_seconds, trial.test_size or 0)
        for trial in trials
    ]
    known = [(seconds, rows) for seconds, rows in pairs if seconds is not None and rows]
    if not known:
        return None
    return sum(seconds for seconds, _ in known) / sum(rows for _, rows in known)
