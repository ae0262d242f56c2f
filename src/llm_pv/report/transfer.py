"""Selected programs on other data: harder inputs, where shortcuts fail, and other lengths."""

from collections.abc import Iterable, Sequence

from llm_pv.report.comparison import Cell, Comparison, Estimate, Setting, estimate, method_name
from llm_pv.report.records import TrialRecord
from llm_pv.report.tables import (
    SOLVED,
    Column,
    Table,
    Value,
    setting_columns,
    setting_values,
    share,
)
from llm_pv.report.text import interval


def shortcuts_table(comparison: Comparison) -> Table:
    """Set programs learned on the paper's data against harder data; empty without any."""
    rows = []
    for setting in comparison.settings:
        for method in comparison.methods:
            cell = comparison.cells.get((setting, method))
            if setting.sampler == "paper" and cell is not None and cell.test is not None:
                there = _elsewhere(cell.trials, "hard", setting.length)
                learned = _learned_hard(comparison, setting, cell)
                if there is not None or learned is not None:
                    rows.append(_shortcut_row(setting, method, cell, there, learned))
    columns = (
        *setting_columns(sampler=False),
        Column("method", numeric=False),
        Column("on paper data", "measured"),
        Column("same programs on hard data", "measured"),
        Column("drop in points", "measured"),
        Column("learned on hard data", "measured"),
        Column("verdict", numeric=False),
    )
    return Table(
        "paper-against-hard",
        "Shortcuts: the paper's data against hard data",
        "Hard data has classes that agree on every cheap statistic. A program that is right on the "
        "paper's data and wrong on hard data learned a shortcut, not the rule: its hard limits lie "
        "wholly below its paper limits, or it lost 5 points or more.",
        columns,
        tuple(rows),
    )


def lengths_table(comparison: Comparison) -> Table:
    """List how selected programs do at other lengths; empty without any."""
    rows = []
    for setting in comparison.settings:
        for method in comparison.methods:
            cell = comparison.cells.get((setting, method))
            if cell is None or cell.test is None:
                continue
            lengths = sorted(
                {
                    there.length
                    for trial in cell.trials
                    for there in trial.transfer
                    if isinstance(there.length, int) and there.length != setting.length
                }
            )
            for length in lengths:
                found = _elsewhere(cell.trials, setting.sampler, length)
                if found is not None:
                    rows.append(
                        (
                            *setting_values(setting),
                            Value(method),
                            share(cell.test.mean, detail=interval(cell.test)),
                            Value(str(length), length),
                            share(found.mean, detail=interval(found)),
                        )
                    )
    columns = (
        *setting_columns(),
        Column("method", numeric=False),
        Column("at this length", "measured"),
        Column("other length"),
        Column("at the other length", "measured"),
    )
    note = "The selected programs on 1,000 fresh rows a trial, without learning again."
    return Table("lengths", "Other lengths", note, columns, tuple(rows))


def _elsewhere(trials: Iterable[TrialRecord], sampler: str, length: int | str) -> Estimate | None:
    return estimate(
        [
            (there.accuracy, there.rows)
            for trial in trials
            for there in trial.transfer
            if (there.sampler, there.length) == (sampler, length) and there.accuracy is not None
        ]
    )


def _learned_hard(comparison: Comparison, setting: Setting, cell: Cell) -> Estimate | None:
    """Return what the same method reached when it learned on hard data, in this run or another."""
    name = method_name(cell.trials[0])
    for (other, _), candidate in comparison.cells.items():
        alike = (other.function, other.length, other.labelled) == (
            setting.function,
            setting.length,
            setting.labelled,
        )
        if alike and other.sampler == "hard" and method_name(candidate.trials[0]) == name:
            return candidate.test
    return None


def _shortcut_row(
    setting: Setting,
    method: str,
    cell: Cell,
    there: Estimate | None,
    learned: Estimate | None,
) -> tuple[Value, ...]:
    test = cell.test
    assert test is not None
    drop = None if there is None else test.mean - there.mean
    is_shortcut = is_shortcut_drop(test, there)
    verdict = ""
    if there is not None:
        verdict = "shortcut" if is_shortcut else "holds"
        if not is_shortcut and test.mean < SOLVED:
            verdict = "not learned"
    return (
        *setting_values(setting, sampler=False),
        Value(method),
        share(test.mean, detail=interval(test)),
        share(there.mean if there else None, detail=interval(there)),
        Value("" if drop is None else f"{100 * drop:.1f}", drop, alarm=is_shortcut),
        share(learned.mean if learned else None, detail=interval(learned)),
        Value(verdict, alarm=is_shortcut),
    )


def is_shortcut_drop(test: Estimate, there: Estimate | None) -> bool:
    """Tell whether programs lose on hard data more than chance or 5 points explain.

    Examples
    --------
    >>> paper, hard = Estimate(1.0, None, 0.99, 1.0, 1), Estimate(0.51, None, 0.48, 0.54, 1)
    >>> is_shortcut_drop(paper, hard), is_shortcut_drop(paper, paper)
    (True, False)
    """
    if there is None:
        return False
    if test.low is not None and there.high is not None and there.high < test.low:
        return True
    return test.mean - there.mean >= 0.05 and test.mean >= SOLVED


def shortcuts(comparison: Comparison) -> Sequence[tuple[Setting, str]]:
    """Return the settings and methods whose programs rest on a shortcut."""
    return [
        (setting, method)
        for (setting, method), cell in comparison.cells.items()
        if setting.sampler == "paper"
        and cell.test is not None
        and is_shortcut_drop(cell.test, _elsewhere(cell.trials, "hard", setting.length))
    ]
