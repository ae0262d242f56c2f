"""Tables of selected programs on other data: harder inputs, and other lengths."""

from llm_pv.report.comparison import Comparison, Estimate, MethodCell, Setting, method_name
from llm_pv.report.tables import (
    Column,
    Entry,
    ReportTable,
    setting_columns,
    setting_values,
    share,
)
from llm_pv.report.text import interval
from llm_pv.report.transfer import loses, transfer_estimate, verdict


def shortcuts_table(comparison: Comparison) -> ReportTable:
    """Return the table of programs learned on the paper's data and scored on harder data."""
    rows = []
    for (setting, method), cell in comparison.cells.items():
        if setting.sampler == "paper" and cell.test is not None:
            there = transfer_estimate(cell.trials, "hard", setting.length)
            learned = _learned_hard(comparison, setting, cell)
            if there is not None or learned is not None:
                rows.append(_shortcut_row(setting, method, cell.test, there, learned))
    columns = (
        *setting_columns(sampler=False),
        Column("method", numeric=False),
        Column("on paper data", "measured"),
        Column("same programs on hard data", "measured"),
        Column("drop in points", "measured"),
        Column("learned on hard data", "measured"),
        Column("verdict", numeric=False),
    )
    return ReportTable(
        "paper-against-hard",
        "Shortcuts: the paper's data against hard data",
        "Hard data has classes that agree on every cheap statistic. A program that is right on the "
        "paper's data and wrong on hard data learned a shortcut, not the rule: its hard limits lie "
        "wholly below its paper limits, or it lost 5 points or more.",
        columns,
        tuple(rows),
    )


def lengths_table(comparison: Comparison) -> ReportTable:
    """Return the table of selected programs at other lengths; empty without any."""
    rows = []
    for (setting, method), cell in comparison.cells.items():
        there = [one.length for trial in cell.trials for one in trial.transfer]
        lengths = {length for length in there if isinstance(length, int)} - {setting.length}
        for length in sorted(lengths) if cell.test is not None else ():
            found = transfer_estimate(cell.trials, setting.sampler, length)
            if cell.test is not None and found is not None:
                rows.append(
                    (
                        *setting_values(setting),
                        Entry(method),
                        share(cell.test.mean, detail=interval(cell.test)),
                        Entry(str(length), length),
                        share(found.mean, detail=interval(found)),
                        Entry(
                            verdict(cell.test, found, lost="lost"), alarm=loses(cell.test, found)
                        ),
                    )
                )
    columns = (
        *setting_columns(),
        Column("method", numeric=False),
        Column("at this length", "measured"),
        Column("other length"),
        Column("at the other length", "measured"),
        Column("verdict", numeric=False),
    )
    note = (
        "What was learned, on fresh rows of other lengths, without learning again. Lost: the "
        "limits there lie wholly below those at the length it was learned at, or 5 points or "
        "more are missing; it is right at one length alone."
    )
    return ReportTable("lengths", "Other lengths", note, columns, tuple(rows))


def _learned_hard(comparison: Comparison, setting: Setting, cell: MethodCell) -> Estimate | None:
    """Return the accuracy of the same method learned on hard data, in this run or another."""
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
    test: Estimate,
    there: Estimate | None,
    learned: Estimate | None,
) -> tuple[Entry, ...]:
    drop = None if there is None else test.mean - there.mean
    is_shortcut = loses(test, there)
    return (
        *setting_values(setting, sampler=False),
        Entry(method),
        share(test.mean, detail=interval(test)),
        share(there.mean if there else None, detail=interval(there)),
        Entry("" if drop is None else f"{100 * drop:.1f}", drop, alarm=is_shortcut),
        share(learned.mean if learned else None, detail=interval(learned)),
        Entry(verdict(test, there, lost="shortcut"), alarm=is_shortcut),
    )
