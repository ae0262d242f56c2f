"""Curves over what a grid varies: rows, attempts at a program, steps of training."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from statistics import mean

from llm_pv.report.charts import Figure, Panel, Point, Series
from llm_pv.report.comparison import Comparison, Setting, estimate
from llm_pv.report.records import Evaluation, TrialRecord
from llm_pv.report.text import count, interval, percent
from llm_pv.report.transfer import SOLVED
from llm_pv.stats import mean_limits, pass_at_k
from llm_pv.tracks.published import published_scaling

_REFERENCE = 6
"""The first colour of bounds and of published curves."""

_ALPHABET = 128  # ASCII, in which the published bound counts programs
_DELTA = 0.05


def erm_guarantee(characters: int, rows: int) -> float:
    """Return the accuracy that empirical risk minimisation over short programs is sure to have.

    Of all programs of a number of ASCII characters, whichever is right on so many rows errs, with
    probability ``1 - delta = 0.95``, on a share of at most ``(L ln 128 + ln(2 L^2 / delta)) / m``
    of new ones. It bounds a search through all programs, not one through the few proposed.

    Parameters
    ----------
    characters
        The length L of the programs.
    rows
        The training rows m.

    Examples
    --------
    >>> round(erm_guarantee(107, 1000), 3), erm_guarantee(107, 100)
    (0.468, 0.0)
    """
    error = characters * math.log(_ALPHABET) + math.log(2 * characters**2 / _DELTA)
    return max(0.0, 1 - error / rows)


def training_size(comparison: Comparison) -> Figure:
    """Show accuracy against training rows, where several numbers were tried."""
    return Figure(
        "training-size",
        "Accuracy against the number of training rows",
        "On a logarithmic scale; bars are 95% limits. Dashed: published curves, by labelled rows, "
        "not measured here; and what is guaranteed, with probability 95%, to a search through all "
        "programs of so many ASCII characters that finds one without a training error. That is "
        "the classical bound (L ln 128 + ln(2 L\N{SUPERSCRIPT TWO} / 0.05)) / m, with L of the "
        "shortest program here that is right on 99% of the test rows.",
        _size_panels(comparison, "training rows", lambda t: (t.train_size, t.validation_size)),
    )


def validation_size(comparison: Comparison) -> Figure:
    """Show accuracy against validation rows, where several numbers were tried."""
    return Figure(
        "validation-size",
        "Accuracy against the number of validation rows",
        "Validation rows select the program. On a logarithmic scale; bars are 95% limits.",
        _size_panels(comparison, "validation rows", lambda t: (t.validation_size, t.train_size)),
    )


def attempts_needed(comparison: Comparison) -> Figure:
    """Show the chance of success against the number of attempts, where none was cut short."""
    panels = []
    for setting, found in groupby(complete_attempts(comparison), lambda one: one[0]):
        series: list[Series] = []
        for _, method, number, tries in found:
            series += _success_series(method, number, tries)
        panels.append(Panel(_title(setting), "attempts k", tuple(series), logarithmic=True))
    return Figure(
        "attempts-needed",
        "Success against the number of attempts",
        "Unbiased estimates over all choices of k of a trial's attempts, the mean over trials. "
        "Marks: the chance that one of them has no validation error (pass@k). Steps: the "
        "validation accuracy of the best, which is the one selected. Test rows are looked at for "
        "the program selected after all attempts alone. Runs with --no-early-stop.",
        tuple(panels),
    )


def _success_series(
    method: str, number: int, tries: Sequence[Sequence[float]]
) -> tuple[Series, Series]:
    """Return one method's chance of success, and the accuracy of its best, by attempts."""
    longest = min(len(validations) for validations in tries)
    success, best = [], []
    for k in sorted({*range(1, min(longest, 10) + 1), longest, *_doubling(longest)}):
        chance = mean(pass_at_k(len(v), sum(x == 1.0 for x in v), k) for v in tries)
        success.append(Point(k, chance, note=f"{method}, pass@{k}: {percent(chance)}%"))
        expected = mean(_best_of(v, k) for v in tries)
        best.append(Point(k, expected, note=f"{method}, best of {k}: {percent(expected)}%"))
    return Series(method, tuple(success), number), Series(method, tuple(best), number, "steps")


def dynamics(comparison: Comparison) -> Figure:
    """Show accuracy and loss by step of training, over all seeds."""
    panels = []
    for (setting, method), cell in comparison.cells.items():
        found = [trial.evaluations for trial in cell.trials if len(trial.evaluations) > 1]
        for unit in ("accuracy", "loss") if found else ():
            series = tuple(
                Series(f"{part} rows", _by_step(found, f"{part}_{unit}"), colour)
                for colour, part in enumerate(("train", "test"))
            )
            if all(line.points for line in series):
                title = f"{method}, {_title(setting)}, {count(len(found), 'seed')}: {unit}"
                panels.append(Panel(title, "step", series, unit=unit))
    return Figure(
        "dynamics",
        "Training by step",
        "Means over seeds; bars are 95% limits by Student's t, where there are several seeds.",
        tuple(panels),
    )


def complete_attempts(
    comparison: Comparison,
) -> Iterator[tuple[Setting, str, int, list[list[float]]]]:
    """Yield settings with methods whose trials made every attempt, and their validation results.

    That is the validation accuracy of every attempt of every trial, 0 where there was no program.
    """
    complete = {
        run.label
        for run in comparison.runs
        if run.header["configuration"].get("early_stop") is False
    }
    for setting in comparison.settings:
        for number, method in enumerate(comparison.methods):
            cell = comparison.cells.get((setting, method))
            trials = [] if cell is None else [t for t in cell.trials if t.run in complete]
            tries = [
                [attempt.validation_accuracy or 0.0 for attempt in trial.attempts]
                for trial in trials
                if len(trial.attempts) > 1
            ]
            if tries:
                yield setting, method, number, tries


def _size_panels(
    comparison: Comparison,
    x_label: str,
    sizes: Callable[[TrialRecord], tuple[int | None, int | None]],
) -> tuple[Panel, ...]:
    """Return a panel for each task in which several sizes were tried."""
    panels = []
    cells = dict.fromkeys((s.function, s.title, s.length, s.sampler) for s in comparison.settings)
    for function, title, length, sampler in cells:
        series: list[Series] = []
        trials: list[TrialRecord] = []
        for number, method in enumerate(comparison.methods):
            mine = [
                trial
                for (setting, name), cell in comparison.cells.items()
                if name == method
                and (setting.function, setting.title, setting.length, setting.sampler)
                == (function, title, length, sampler)
                for trial in cell.trials
                if trial.accuracy is not None
            ]
            trials += mine
            series += _size_series(mine, method, number, sizes)
        if series:
            baselines = [t.baseline_accuracy for t in trials if t.baseline_accuracy is not None]
            if x_label == "training rows":
                series += _references(function, sampler, length, trials, series)
            panels.append(
                Panel(
                    f"{title} L={length}, {sampler}" if sampler else title,
                    x_label,
                    tuple(series),
                    logarithmic=True,
                    baseline=mean(baselines) if baselines else None,
                )
            )
    return tuple(panels)


def _size_series(
    trials: Sequence[TrialRecord],
    method: str,
    number: int,
    sizes: Callable[[TrialRecord], tuple[int | None, int | None]],
) -> list[Series]:
    """Return a line over one size for each value of the other."""
    groups: dict[int, dict[int, list[TrialRecord]]] = {}
    for trial in trials:
        size, other = sizes(trial)
        if size:
            groups.setdefault(other or 0, {}).setdefault(size, []).append(trial)
    lines = {other: by_size for other, by_size in groups.items() if len(by_size) > 1}
    series = []
    for other, by_size in sorted(lines.items()):
        label = method if len(lines) == 1 else f"{method}, {other} other rows"
        points = []
        for size, group in sorted(by_size.items()):
            found = estimate([(t.accuracy or 0.0, t.test_size) for t in group],
                             shared_rows=any(t.shared_rows for t in group))  # fmt: skip
            assert found is not None
            note = f"{label}, {size} rows: {percent(found.mean)}% {interval(found)}"
            points.append(Point(size, found.mean, found.low, found.high, note))
        series.append(Series(label, tuple(points), number))
    return series


def _references(
    function: str,
    sampler: str,
    length: int | str,
    trials: Sequence[TrialRecord],
    series: Sequence[Series],
) -> list[Series]:
    """Return the classical guarantee, and published curves of the task."""
    lines = []
    sizes = sorted({point.x for line in series for point in line.points})
    programs = [
        len(trial.selection.program)
        for trial in trials
        if trial.selection is not None and trial.selection.program
        and (trial.accuracy or 0.0) >= SOLVED
    ]  # fmt: skip
    if programs:
        shortest = min(programs)
        points = [(x, erm_guarantee(shortest, round(x))) for x in sizes]
        label = f"guaranteed to a search of all programs of {shortest} characters"
        lines.append(reference(label, points, 0))
    for number, (name, figures) in enumerate(
        published_scaling(function, length, sampler).items(), start=1
    ):
        points = [(rows, share) for rows, share in figures if sizes[0] <= rows <= sizes[-1]]
        if len(points) > 1:
            lines.append(reference(f"published: {name}", points, number))
    return lines


def reference(label: str, points: Sequence[tuple[float, float]], number: int) -> Series:
    """Return a line that was not measured here, each of a panel in a colour of its own."""
    marks = tuple(Point(x, y, note=f"{label}: {percent(y)}% at {x:,g}") for x, y in points)
    return Series(label, marks, _REFERENCE + number, reference=True)


def _by_step(found: Sequence[Sequence[Evaluation]], name: str) -> tuple[Point, ...]:
    """Return the mean over seeds at each step that all of them evaluated."""
    by_step: dict[int, list[float]] = {}
    for evaluations in found:
        for evaluation in evaluations:
            value = getattr(evaluation, name)
            if value is not None:
                by_step.setdefault(evaluation.step, []).append(value)
    points = []
    for step, values in sorted(by_step.items()):
        if len(values) == len(found):
            low, high = mean_limits(values) if len(values) > 1 else (None, None)
            if low is not None and high is not None:
                low, high = max(0.0, low), min(1.0, high) if name.endswith("accuracy") else high
            points.append(Point(step, mean(values), low, high, f"step {step}: {mean(values):.4g}"))
    return tuple(points)


def _best_of(values: Sequence[float], k: int) -> float:
    """Return the expected largest of k of the values, drawn without replacement."""
    ordered, total = sorted(values), math.comb(len(values), k)
    return sum(
        value * math.comb(place, k - 1) / total
        for place, value in enumerate(ordered)
        if place >= k - 1
    )


def _doubling(longest: int) -> Iterator[int]:
    k = 10
    while k < longest:
        yield k
        k *= 2


def _title(setting: Setting) -> str:
    length = f" L={setting.length}" if setting.length != "" else ""
    rows = f", {count(setting.labelled, 'labelled row')}" if setting.labelled else ""
    sampler = f", {setting.sampler}" if setting.sampler else ""
    return f"{setting.title}{length}{sampler}{rows}"
