"""The figures of a report, from measured results."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import ceil

from llm_pv.report import curves
from llm_pv.report.charts import Bar, BarRow, Bars, Figure, Panel, Point, Series
from llm_pv.report.comparison import Comparison, Setting, estimate
from llm_pv.report.records import TrialRecord
from llm_pv.report.text import count, interval, percent
from llm_pv.tracks.published import LLM_PV_METHODS, OTHER_METHODS, published_lengths

_ROWS_IN_A_PANEL = 10
_PANELS_IN_A_FIGURE = 24


def figures(comparison: Comparison) -> list[Figure]:
    """Return every figure that is not empty."""
    makers = (
        accuracy,
        length_generalisation,
        curves.training_size,
        curves.validation_size,
        curves.attempts_needed,
        curves.dynamics,
        effort,
    )
    found = [part for make in makers for part in _parts(make(comparison))]
    return [figure for figure in found if figure.panels]


def accuracy(comparison: Comparison) -> Figure:
    """Show every setting's accuracies as bars, published ones beside them."""
    panels: list[Panel | Bars] = []
    for sampler in dict.fromkeys(setting.sampler for setting in comparison.settings):
        rows = [
            row
            for setting in comparison.settings
            if setting.sampler == sampler and (row := _bar_row(comparison, setting)).bars
        ]
        # Equally many rows in each panel as far as possible: panels have equal heights.
        size = ceil(len(rows) / max(1, ceil(len(rows) / _ROWS_IN_A_PANEL)))
        for start in range(0, len(rows), size or 1):
            title = f"Sampler: {sampler}" if sampler else "Test accuracy"
            panels.append(Bars(title, tuple(rows[start : start + size])))
    return Figure(
        "accuracy",
        "Test accuracy",
        "Filled bars were measured, with 95% limits; outlined ones are published figures, not "
        "measured here."
        + (" The dashed line is the majority baseline." if comparison.baselines else ""),
        tuple(panels),
    )


def length_generalisation(comparison: Comparison) -> Figure:
    """Show the accuracy of programs at other lengths than learned, and of methods by length."""
    panels: list[Panel | Bars] = []
    tasks = dict.fromkeys((s.function, s.title, s.sampler, s.labelled) for s in comparison.settings)
    for function, title, sampler, labelled in tasks:
        settings = [
            setting
            for setting in comparison.settings
            if (setting.function, setting.sampler, setting.labelled)
            == (function, sampler, labelled)
        ]
        series = [
            line
            for number, method in enumerate(comparison.methods)
            for line in _length_lines(comparison, settings, method, number)
        ]
        if series:
            series += _published_lines(settings)
            rest = ", ".join(text for text in (sampler, _rows(labelled)) if text)
            panels.append(
                Panel(
                    f"{title} ({rest})",
                    "length of the inputs",
                    tuple(series),
                    logarithmic=True,
                    baseline=_baseline(comparison, settings),
                )
            )
    return Figure(
        "lengths",
        "Accuracy at other lengths",
        "A line of several points from one length on: what a trial learned, scored at "
        "longer inputs than it was learned from. Otherwise each point is learned afresh. Dashed: "
        "published curves, not measured here.",
        tuple(panels),
    )


_EFFORTS: tuple[tuple[str, str, Callable[[TrialRecord], float | None]], ...] = (
    ("Attempts", "attempts verified in a trial", lambda trial: float(len(trial.attempts))),
    ("Cost", "cost of a trial in dollars", lambda trial: trial.cost_usd),
    ("Time", "seconds to learn in a trial", lambda trial: trial.learn_seconds),
)
"""A title, a label, and the cost of a trial, which is left out if unknown or zero."""


def effort(comparison: Comparison) -> Figure:
    """Show the cost of each trial against its test accuracy."""
    panels: list[Panel | Bars] = []
    for title, label, cost in _EFFORTS:
        series = []
        for number, method in enumerate(comparison.methods):
            trials = [
                trial
                for setting in comparison.settings
                if (cell := comparison.cells.get((setting, method))) is not None
                for trial in cell.trials
            ]
            points = tuple(
                Point(amount, trial.accuracy, note=_trial_note(trial, method))
                for trial in trials
                if trial.accuracy is not None and (amount := cost(trial))
            )
            if points:
                series.append(Series(method, _thinned(points), number, "points"))
        if series:
            panels.append(Panel(title, label, tuple(series), logarithmic=True))
    return Figure(
        "effort",
        "Attempts, cost and time against accuracy",
        "One mark for each trial. What cost nothing, or is not known, is left out.",
        tuple(panels),
    )


def attempts_of(trial: TrialRecord) -> Figure | None:
    """Show the validation accuracy of one trial's attempts, in order."""
    tried = [
        (attempt, attempt.validation_accuracy)
        for attempt in trial.attempts
        if attempt.validation_accuracy is not None
    ]
    if len(tried) < 3:
        return None  # the table says it
    best, steps, points = 0.0, [], []
    for attempt, validation in tried:
        best = max(best, validation)
        steps.append(Point(attempt.number, best))
        note = f"attempt {attempt.number}: {percent(validation)}% on validation"
        points.append(Point(attempt.number, validation, note=note))
    panel = Panel(
        "",
        "attempt",
        (
            Series("each program", tuple(points), 0, "points"),
            Series("best so far", tuple(steps), 1, "steps"),
        ),
    )
    return Figure(
        "attempts",
        "Validation accuracy, attempt by attempt",
        "Each dot is a program; the line is the best so far.",
        (panel,),
    )


def _bar_row(comparison: Comparison, setting: Setting) -> BarRow:
    bars = [
        Bar(method, cell.test.mean, cell.test.low, cell.test.high, number)
        for number, method in enumerate(comparison.methods)
        if (cell := comparison.cells.get((setting, method))) is not None and cell.test is not None
    ]
    figures = comparison.published.get(setting, {})
    for kind, methods in (("LLM-PV", LLM_PV_METHODS), ("other", OTHER_METHODS)):
        known = [method for method in methods if method in figures]
        if known and bars:
            top = max(known, key=lambda method: figures[method])
            label = f"published, best {kind}: {top}"
            bars.append(Bar(label, figures[top], None, None, 6, published=True))
    return BarRow(setting_label(setting), tuple(bars), comparison.baselines.get(setting))


def setting_label(setting: Setting) -> str:
    """Return a setting in a few words, without its sampler."""
    length = f", length {setting.length}" if setting.length != "" else ""
    return f"{setting.title}{length}, {_rows(setting.labelled)}".removesuffix(", ")


def _rows(labelled: int | None) -> str:
    return count(labelled, "labelled row") if labelled else ""


def _length_lines(
    comparison: Comparison, settings: Sequence[Setting], method: str, colour: int
) -> list[Series]:
    """Return a method's lines: one for each learned length with other lengths, else one in all."""
    own = _points(comparison, settings, method)
    lines = []
    for setting in settings:
        cell = comparison.cells.get((setting, method))
        if cell is None or cell.test is None or not isinstance(setting.length, int):
            continue
        start = [point for point in own if point.x == setting.length]
        there = _transfer_points(cell.trials, setting.length)
        if there:
            points = sorted((*start, *there), key=lambda point: point.x)
            lines.append(Series(method, tuple(points), colour))
    if not lines and len({point.x for point in own}) > 1:
        lines.append(Series(method, own, colour))
    return lines


def _published_lines(settings: Sequence[Setting]) -> list[Series]:
    """Return published curves of what was learned at these lengths."""
    lines = [
        (name, figures)
        for setting in settings
        for name, figures in published_lengths(
            setting.function, setting.length, setting.sampler
        ).items()
    ]
    return [
        curves.reference(f"published: {name}", figures, number)
        for number, (name, figures) in enumerate(dict(lines).items())
    ]


def _transfer_points(trials: Iterable[TrialRecord], learned_at: int) -> list[Point]:
    scores: dict[int, list[tuple[float, int | None]]] = {}
    for trial in trials:
        for there in trial.transfer:
            if (
                isinstance(there.length, int)
                and there.length != learned_at
                and there.accuracy is not None
            ):
                scores.setdefault(there.length, []).append((there.accuracy, there.rows))
    points = []
    for length in sorted(scores):
        found = estimate(scores[length])
        assert found is not None
        note = (
            f"learned at length {learned_at}, scored at {length}: {percent(found.mean)}% "
            f"{interval(found)}, {count(found.trials, 'trial')}"
        )
        points.append(Point(length, found.mean, found.low, found.high, note))
    return points


def _points(comparison: Comparison, settings: Sequence[Setting], method: str) -> tuple[Point, ...]:
    points = []
    for setting in settings:
        cell = comparison.cells.get((setting, method))
        x = setting.length
        if cell is None or cell.test is None or not isinstance(x, int) or x <= 0:
            continue
        test = cell.test
        note = f"{method}, {setting_label(setting)}: {percent(test.mean)}% {interval(test)}"
        points.append(Point(x, test.mean, test.low, test.high, note))
    return tuple(sorted(points, key=lambda point: point.x))


def _baseline(comparison: Comparison, settings: Sequence[Setting]) -> float | None:
    known = [comparison.baselines[s] for s in settings if s in comparison.baselines]
    return sum(known) / len(known) if known else None


def _trial_note(trial: TrialRecord, method: str) -> str:
    length = f" L={trial.cell.length}" if trial.cell.length != "" else ""
    return (
        f"{method}, {trial.cell.function}{length}, trial {trial.cell.trial + 1}: "
        f"{percent(trial.accuracy)}%"
    )


def _thinned(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Keep one of several marks that would overlap."""
    different = {(f"{point.x:.3g}", f"{point.y:.2f}"): point for point in points}
    return tuple(sorted(different.values(), key=lambda point: (point.x, point.y)))


def _parts(figure: Figure) -> list[Figure]:
    """Split a figure of very many panels into several."""
    if len(figure.panels) <= _PANELS_IN_A_FIGURE:
        return [figure]
    starts = range(0, len(figure.panels), _PANELS_IN_A_FIGURE)
    return [
        replace(
            figure,
            name=f"{figure.name}-{number}",
            panels=figure.panels[start : start + _PANELS_IN_A_FIGURE],
        )
        for number, start in enumerate(starts, 1)
    ]
