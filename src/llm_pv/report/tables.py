"""The tables of a report: the same for the page, for CSV and for LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import mean
from typing import Literal

from llm_pv.report.comparison import Comparison, MethodCell, Setting
from llm_pv.report.records import TrialRecord
from llm_pv.report.text import count, interval, money, percent, seconds
from llm_pv.report.transfer import SOLVED, shortcuts

Group = Literal["", "measured", "published"]

_PRICED = ("done", "nothing found")
"""The statuses of trials that have a cost, if it is known."""

_OF_A_SETTING = ("length", "sampler", "labelled rows")

SHORTCUT = "\u2020"
"""The dagger that marks a figure of programs that use a shortcut."""


@dataclass(frozen=True)
class Entry:
    """One entry of a table."""

    text: str
    number: float | None = None
    "The number for sorting and for CSV; None for words."
    detail: str = ""
    "A smaller text below it, such as limits."
    best: bool = False
    alarm: bool = False


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether its figures were measured here or published."""

    heading: str
    group: Group = ""
    numeric: bool = True


@dataclass(frozen=True)
class ReportTable:
    """A table."""

    name: str
    "The stem of its files' names."
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    "The headings and the entries, as many in every row."

    @property
    def groups(self) -> tuple[tuple[Group, int], ...]:
        """The groups of consecutive columns, with their sizes."""
        runs = groupby(self.columns, key=lambda column: column.group)
        return tuple((group, len(list(columns))) for group, columns in runs)

    def without_constants(self) -> "ReportTable":
        """Return the table without empty columns and setting columns equal in every row.

        The caption gives the values of the latter. CSV and LaTeX keep all columns.
        """
        said, kept = [], []
        for number, column in enumerate(self.columns):
            texts = {row[number].text for row in self.rows}
            if texts == {""}:
                continue
            if column.heading in _OF_A_SETTING and len(texts) == 1:
                text = texts.pop()
                said.append(f"{column.heading} {text}")
            else:
                kept.append(number)
        caption = f"{self.caption} Everywhere: {', '.join(said)}." if said else self.caption
        return replace(
            self,
            caption=caption,
            columns=tuple(self.columns[number] for number in kept),
            rows=tuple(tuple(row[number] for number in kept) for row in self.rows),
        )

    @property
    def has_published(self) -> bool:
        """Whether any column holds published figures."""
        return any(column.group == "published" for column in self.columns)


def comparison_table(comparison: Comparison) -> ReportTable:
    """Return the table of settings by methods, with separate groups of measured and published."""
    settings = comparison.settings
    has_baseline = bool(comparison.baselines)
    published = comparison.published_methods
    columns = [
        *setting_columns(),
        *(Column(method, "measured") for method in comparison.methods),
        *([Column("majority baseline", "measured")] if has_baseline else []),
        *(Column(method, "published") for method in published),
    ]
    resting = shortcuts(comparison)
    rows = []
    for setting in settings:
        doubted = {method for where, method in resting if where == setting}
        best = comparison.best(setting, but=doubted)
        figures = comparison.published.get(setting, {})
        row = list(setting_values(setting))
        for method in comparison.methods:
            cell = comparison.cells.get((setting, method))
            is_best = method in best and len(comparison.methods) > 1
            row.append(_cell_value(cell, best=is_best, doubted=method in doubted))
        if has_baseline:
            row.append(share(comparison.baselines.get(setting)))
        row += [share(figures.get(method)) for method in published]
        rows.append(tuple(row))
    note = _comparison_note(comparison)
    return ReportTable("comparison", "Tasks by methods", note, tuple(columns), tuple(rows))


def _comparison_note(comparison: Comparison) -> str:
    shown = [
        cell
        for (setting, method), cell in comparison.cells.items()
        if setting in comparison.settings and method in comparison.methods and cell.test is not None
    ]
    note = (
        "Test accuracy in percent, the mean over trials with 95% limits; the best of the measured "
        "figures of a line is bold. Limits are the wider of the exact binomial interval over all "
        "test rows and Student's t over trials. "
    )
    if any(not cell.complete for cell in shown):
        note += (
            "A mean that lacks trials, because they failed or nothing was handed in, is over those "
            "with a figure, says how many they are, and is never bold. "
        )
    if any(setting in comparison.settings for setting, _ in shortcuts(comparison)):
        note += (
            f"{SHORTCUT}: the programs rest on a shortcut, see the table of shortcuts; never bold. "
        )
    if comparison.published_methods:
        note += "Published figures (arXiv 2510.14331 and its repository) were not measured here. "
    numbers = {cell.test.trials for cell in shown if cell.test is not None}
    if numbers:
        most, least = max(numbers), min(numbers)
        trials = count(most, "trial") if most == least else f"{least} to {most} trials"
        note += f"Each mean is over {trials}. "
    return note + "Means whose limits overlap may not differ: llm-pv compare tests it."


def measurements_table(comparison: Comparison) -> ReportTable:
    """Return the table with one line for every measured and every published figure."""
    columns = (
        *setting_columns(),
        Column("source", numeric=False),
        Column("method", numeric=False),
        *map(Column, ("mean", "standard deviation", "low", "high", "trials")),
        Column("trials without a figure", numeric=False),
    )
    rows = []
    for setting in comparison.settings:
        start = setting_values(setting)
        for method in comparison.methods:
            cell = comparison.cells.get((setting, method))
            if cell is None:
                continue
            test = cell.test
            figures = (test.mean, test.deviation, test.low, test.high) if test else (None,) * 4
            trials = test.trials if test else 0
            rows.append(
                (
                    *start,
                    Entry("measured"),
                    Entry(method),
                    *map(share, figures),
                    Entry(str(trials), trials),
                    Entry(_statuses(cell.open)),
                )
            )
        for method, figure in comparison.published.get(setting, {}).items():
            empty = (Entry(""),) * 5
            rows.append((*start, Entry("published"), Entry(method), share(figure), *empty))
    return ReportTable("measurements", "Every figure", "One line a figure.", columns, tuple(rows))


def _spent(trials: Sequence[TrialRecord]) -> float | None:
    """Return the total cost of trials; None if that of a finished one is unknown."""
    if any(trial.cost_usd is None and trial.status in _PRICED for trial in trials):
        return None
    return sum(trial.cost_usd or 0.0 for trial in trials)


def methods_table(comparison: Comparison) -> ReportTable:
    """Return the table of methods over the settings that all methods share."""
    shared, resting = comparison.shared, shortcuts(comparison)
    rows: list[tuple[Entry, ...]] = []
    for method in comparison.methods:
        cells = [cell for (_, name), cell in comparison.cells.items() if name == method]
        means = [cell.test.mean for cell in cells if cell.test is not None]
        trials = [trial for cell in cells for trial in cell.trials]
        known = [comparison.tested(setting, method) for setting in shared]
        common = [value for value in known if value is not None]
        measured = sum(trial.accuracy is not None for trial in trials)
        solved = {
            setting
            for (setting, name), cell in comparison.cells.items()
            if name == method and cell.test is not None and cell.test.mean >= SOLVED
        }
        sound = sum((setting, method) not in resting for setting in solved)
        spent = _spent(trials)
        took = sum(trial.learn_seconds or 0.0 for trial in trials)
        rows.append(
            (
                Entry(method),
                share(mean(means) if means else None),
                share(mean(common) if common else None),
                Entry(f"{len(solved)} of {len(means)}", len(solved)),
                Entry(f"{sound} of {len(means)}", sound),
                Entry(f"{measured} of {len(trials)}", measured, alarm=measured < len(trials)),
                Entry(money(spent), spent),
                Entry(seconds(took) if measured else "", took),
            )
        )
    columns: tuple[Column, ...] = (
        Column("method", numeric=False),
        Column("mean test accuracy"),
        Column(f"mean over {count(len(shared), 'shared setting')}"),
        Column(f"settings at {SOLVED:.0%} or more"),
        Column("the same without shortcuts"),
        Column("trials with a figure"),
        Column("cost of all trials"),
        Column("learning time of all trials"),
    )
    if len(comparison.methods) == 1:
        columns = (*columns[:2], *columns[3:])
        rows = [(*row[:2], *row[3:]) for row in rows]
    note = (
        "Means are in percent, over settings (a task at a length, a sampler and a size), and over "
        "the trials with a figure. Cost and time are sums over all trials of a method."
    )
    return ReportTable("methods", "Methods", note, columns, tuple(rows))


def trials_table(comparison: Comparison) -> ReportTable:
    """Return the table of every trial."""
    columns = (
        *setting_columns(),
        Column("run", numeric=False),
        Column("method", numeric=False),
        *map(Column, ("trial", "seed")),
        Column("status", numeric=False),
        *(Column(name, "measured") for name in ("test", "validation", "train")),
        *map(Column, ("certified error", "attempts", "cost in dollars", "seconds to learn")),
        Column("reason", numeric=False),
    )
    rows = []
    for (setting, method), cell in comparison.cells.items():
        for trial in cell.trials:
            selection = trial.selection
            limits = "" if trial.low is None else f"[{percent(trial.low)}, {percent(trial.high)}]"
            rows.append(
                (
                    *setting_values(setting),
                    Entry(trial.run),
                    Entry(method),
                    Entry(str(trial.cell.trial + 1), trial.cell.trial + 1),
                    Entry(trial.seed),
                    Entry(trial.status, alarm=trial.status != "done"),
                    share(trial.accuracy, detail=limits),
                    share(trial.validation_accuracy),
                    share(selection.train_accuracy if selection else None),
                    share(selection.error_bound if selection else None),
                    Entry(str(len(trial.attempts)), len(trial.attempts)),
                    Entry(money(trial.cost_usd), trial.cost_usd),
                    Entry(seconds(trial.learn_seconds), trial.learn_seconds),
                    Entry(trial.reason),
                )
            )
    return ReportTable("trials", "Every trial", "Accuracies in percent.", columns, tuple(rows))


def setting_columns(*, sampler: bool = True) -> tuple[Column, ...]:
    """Return the columns of a setting."""
    return (
        Column("task", numeric=False),
        Column("length"),
        *([Column("sampler", numeric=False)] if sampler else []),
        Column("labelled rows"),
    )


def setting_values(setting: Setting, *, sampler: bool = True) -> tuple[Entry, ...]:
    """Return the entries of the columns of a setting."""
    length = setting.length if isinstance(setting.length, int) else None
    return (
        Entry(setting.title),
        Entry(str(setting.length), length),
        *([Entry(setting.sampler)] if sampler else []),
        Entry(
            f"{setting.labelled:,}" if setting.labelled else "",
            setting.labelled,
            detail=setting.split,
        ),
    )


def _cell_value(cell: MethodCell | None, *, best: bool, doubted: bool) -> Entry:
    if cell is None:
        return Entry("")
    if cell.test is None:
        return Entry("-", detail=_statuses(cell.open), alarm=True)
    some = "" if cell.complete else f"{cell.test.trials} of {len(cell.trials)} trials"
    limits = f"{interval(cell.test)} {SHORTCUT if doubted else ''}".strip()
    details = [limits, some, _statuses(cell.open)]
    return Entry(
        percent(cell.test.mean),
        cell.test.mean,
        "; ".join(text for text in details if text),
        best=best,
    )


def share(value: float | None, *, detail: str = "") -> Entry:
    """Return a share as an entry in percent."""
    return Entry(percent(value), value, detail)


def _statuses(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.items())
