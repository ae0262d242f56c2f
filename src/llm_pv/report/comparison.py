"""Compare the trials of all runs: settings by methods, with confidence limits."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean

from llm_pv.report.records import RunRecord, TrialRecord
from llm_pv.stats import MeanStd, binomial_interval, mean_limits
from llm_pv.tracks.published import published

_PREFIXES = {
    "llm-pv": "LLM-PV ",
    "icl": "ICL ",
    "finetune": "Fine-tune ",
    "agent": "Agent ",
    "baselines": "",
}

_PUBLISHED_ROWS = 200
"""Labelled rows of the published figures."""

_REPEATED = {"seed", "trial"}
"""Settings in which repetitions of one job of a sweep differ."""


@dataclass(frozen=True)
class Setting:
    """The conditions that compared accuracies share: one line of the comparison."""

    function: str
    name: str
    length: int | str
    sampler: str
    labelled: int | None
    """Rows a method may learn from, training and validation together: 100 and 100 for LLM-PV are
    compared with 200 examples in a prompt."""
    split: str = ""
    """Training and validation rows apart, as in ``20 + 50``, where one method was measured with
    several splits of as many rows."""
    data: str = ""
    """The beginning of the digest of a user's rows, in the first split of a run: two files of one
    name are two settings. Empty where none is known."""

    @property
    def title(self) -> str:
        """The task, by its id and by its name."""
        same = self.name in (self.function, "") or self.name.rpartition(".")[0] == self.function
        title = self.name or self.function if same else f"{self.function} {self.name}"
        return f"{title} ({self.data})" if self.data else title

    @property
    def order(self) -> tuple[object, ...]:
        """Sort key: published ids first, in their order, then lengths and sizes."""
        return (
            not self.function.startswith("fn_"),
            len(self.function),
            self.function,
            self.name,
            self.sampler != "paper",
            self.sampler,
            (isinstance(self.length, str), self.length),
            self.labelled or 0,
            self.split,
            self.data,
        )


@dataclass(frozen=True)
class Estimate(MeanStd):
    """A mean accuracy over trials with confidence limits."""

    low: float | None
    high: float | None
    "95% limits, see `estimate`; None where the number of test rows is unknown."


def estimate(
    measured: Sequence[tuple[float, int | None]], *, shared_rows: bool = False
) -> Estimate | None:
    """Return the mean accuracy of some trials with 95% limits, None of none.

    The limits are the wider of two intervals: the exact binomial one over all distinct test rows
    together, which ignores the variation between trials, and, with two trials or more, Student's t
    over the trials, which has width zero if they happen to agree.

    Parameters
    ----------
    measured
        For each trial its accuracy and its number of test rows.
    shared_rows
        Whether the trials may have been scored on some of the same rows: then only so many rows are
        counted as one trial has.

    Examples
    --------
    >>> one = estimate([(1.0, 100)])
    >>> one.mean, round(one.low, 4), one.high
    (1.0, 0.9638, 1.0)
    """
    if not measured:
        return None
    values = [value for value, _ in measured]
    over_trials = MeanStd.of(values)
    assert over_trials is not None
    middle, deviation, count = over_trials.mean, over_trials.deviation, over_trials.trials
    limits: list[tuple[float, float]] = []
    sizes = [number for _, number in measured if number]
    if len(sizes) == count:
        rows = sum(sizes)
        wrong = round(sum((1 - value) * size for value, size in zip(values, sizes, strict=True)))
        if shared_rows:
            rows = min(sizes)
            wrong = round((1 - middle) * rows)
        exact = binomial_interval(rows - wrong, rows)
        if exact is not None:
            limits.append(exact)
    if deviation is not None:
        below, above = mean_limits(values)
        limits.append((max(0.0, below), min(1.0, above)))
    low = min((low for low, _ in limits), default=None)
    high = max((high for _, high in limits), default=None)
    return Estimate(middle, deviation, count, low, high)


@dataclass(frozen=True)
class MethodCell:
    """One method in one setting: all its trials."""

    trials: tuple[TrialRecord, ...]
    test: Estimate | None

    @property
    def complete(self) -> bool:
        """Whether every trial has a figure; a mean over the successful ones would be biased."""
        return not self.open

    @property
    def open(self) -> dict[str, int]:
        """The number of trials without a figure, by status."""
        return Counter(trial.status for trial in self.trials if trial.accuracy is None)


@dataclass(frozen=True)
class Comparison:
    """Settings by methods."""

    settings: tuple[Setting, ...]
    methods: tuple[str, ...]
    """The lines and columns, in order. A method is named by its track, its name and its model;
    where two runs measured the same setting with it, by its run as well."""
    cells: dict[tuple[Setting, str], MethodCell]
    baselines: dict[Setting, float]
    "The majority baseline's accuracy on the same test rows, where it is known."
    published: dict[Setting, dict[str, float]]
    "Published accuracies by method; never measured here."
    runs: tuple[RunRecord, ...] = field(repr=False, default=())

    @property
    def published_methods(self) -> tuple[str, ...]:
        """Every method with a published figure for these settings."""
        return tuple(dict.fromkeys(m for figures in self.published.values() for m in figures))

    def tested(self, setting: Setting, method: str) -> float | None:
        """Return a method's mean test accuracy in a setting; None if it has none."""
        cell = self.cells.get((setting, method))
        return None if cell is None or cell.test is None else cell.test.mean

    @property
    def measured(self) -> tuple[str, ...]:
        """The methods with a test accuracy in any setting."""
        known = {method for (_, method), cell in self.cells.items() if cell.test is not None}
        return tuple(method for method in self.methods if method in known)

    @property
    def shared(self) -> tuple[Setting, ...]:
        """The settings in which every measured method was measured."""
        return tuple(
            setting
            for setting in self.settings
            if all(self.tested(setting, method) is not None for method in self.measured)
        )

    def best(self, setting: Setting, *, but: Collection[str] = ()) -> frozenset[str]:
        """Return the methods with the highest measured mean; several if they are equal.

        A mean that lacks trials is never the best.

        Parameters
        ----------
        but
            Methods that do not count there.
        """
        means = {
            method: round(value, 12)
            for method in self.methods
            if (value := self.tested(setting, method)) is not None
            and self.cells[setting, method].complete
            and method not in but
        }
        top = max(means.values(), default=None)
        return frozenset(method for method, value in means.items() if value == top)

    def trials(self) -> list[TrialRecord]:
        """Return every trial, in the order of the settings."""
        return [trial for cell in self.cells.values() for trial in cell.trials]


def method_name(trial: TrialRecord) -> str:
    """Return the name of a trial's method in a comparison.

    Examples
    --------
    >>> from llm_pv.runs.cells import Cell
    >>> trial = TrialRecord("r", "icl", "icl", "Qwen3-30B", Cell("fn_a"), "", "", "done", "")
    >>> method_name(trial)
    'ICL Qwen3-30B'
    """
    prefix = _PREFIXES.get(trial.track, f"{trial.track} ")
    if trial.model and (trial.track, trial.method) == ("llm-pv", "llm"):
        return f"{prefix}{trial.model}"
    if trial.method.lower() in (trial.track, prefix.strip().lower()):
        return f"{prefix}{trial.model}".strip() or trial.method
    model = trial.model if trial.model != trial.method else ""
    return f"{prefix}{trial.method} {model}".strip() or "unknown"


def compare_methods(runs: Sequence[RunRecord]) -> Comparison:
    """Return the comparison of the trials of some runs."""
    trials = [
        (_setting(trial, _usual_size(run), _first_digest(run)), trial)
        for run in runs
        for trial in run.trials
    ]
    trials = _split_apart(_named_apart(trials))
    labels = _labels(trials, runs)
    groups: dict[tuple[Setting, str], list[TrialRecord]] = {}
    for setting, trial in trials:
        method = method_name(trial)
        label = labels.get((method, trial.run), method)
        groups.setdefault((setting, label), []).append(trial)
    settings = sorted({setting for setting, _ in trials}, key=lambda setting: setting.order)
    measured = {
        method
        for (_, method), group in groups.items()
        if any(t.accuracy is not None for t in group)
    }
    methods = sorted(
        dict.fromkeys(method for _, method in groups), key=lambda method: method not in measured
    )
    return Comparison(
        settings=tuple(settings),
        methods=tuple(methods),
        cells={
            key: MethodCell(
                tuple(sorted(group, key=lambda trial: trial.cell.trial)),
                estimate(
                    [(t.accuracy, t.test_size) for t in group if t.accuracy is not None],
                    shared_rows=any(trial.shared_rows for trial in group),
                ),
            )
            for setting in settings
            for method in methods
            if (group := groups.get(key := (setting, method))) is not None
        },
        baselines=_baselines(trials),
        published={setting: figures for setting in settings if (figures := _published(setting))},
        runs=tuple(runs),
    )


def _setting(trial: TrialRecord, usual: int | None, data: str) -> Setting:
    cell = trial.cell
    labelled = _labelled(trial) or (usual if trial.accuracy is None else None)
    return Setting(cell.function, trial.name, cell.length, cell.sampler, labelled, data=data)


def _split_apart(
    trials: Sequence[tuple[Setting, TrialRecord]],
) -> list[tuple[Setting, TrialRecord]]:
    """Give settings the sizes of their splits where one method has several of one total."""
    splits: dict[tuple[Setting, str], set[str]] = {}
    for setting, trial in trials:
        splits.setdefault((setting, method_name(trial)), set()).add(_split(trial))
    several = {setting for (setting, _), found in splits.items() if len(found - {""}) > 1}
    return [
        (replace(setting, split=_split(trial)) if setting in several else setting, trial)
        for setting, trial in trials
    ]


def _split(trial: TrialRecord) -> str:
    if not trial.train_size or not trial.validation_size:
        return ""
    return f"{trial.train_size} + {trial.validation_size}"


def _first_digest(run: RunRecord) -> str:
    """Return the identity of a run's rows, independent of the splits of its trials."""
    return next((trial.rows_digest for trial in run.trials if trial.cell.trial == 0), "")


def _named_apart(
    trials: Sequence[tuple[Setting, TrialRecord]],
) -> list[tuple[Setting, TrialRecord]]:
    """Shorten the digests, and drop them where the name of the rows is unique."""
    digests: dict[Setting, set[str]] = {}
    for setting, _ in trials:
        digests.setdefault(replace(setting, labelled=None, data=""), set()).add(setting.data)
    return [
        (
            replace(setting, data="")
            if len(digests[replace(setting, labelled=None, data="")]) == 1
            else replace(setting, data=f"rows {setting.data[:8] or 'unknown'}"),
            trial,
        )
        for setting, trial in trials
    ]


def _usual_size(run: RunRecord) -> int | None:
    """Return the labelled rows of every trial of a run; None if they differ or none are known."""
    sizes = {_labelled(trial) for trial in run.trials} - {None}
    return sizes.pop() if len(sizes) == 1 else None


def _labelled(trial: TrialRecord) -> int | None:
    return (trial.train_size or 0) + (trial.validation_size or 0) or None


def _labels(
    trials: Sequence[tuple[Setting, TrialRecord]], runs: Sequence[RunRecord]
) -> dict[tuple[str, str], str]:
    """Return the names of methods that two runs measured in the same setting, by method and run.

    Runs are named by the ways a model was asked, if these differ; else by their own names.
    """
    parts = _parts_of_sweeps(runs)
    measured: dict[str, dict[Setting, set[str]]] = {}
    for setting, trial in trials:
        if trial.accuracy is not None:  # skipped or failed trials need no column of their own
            of_method = measured.setdefault(method_name(trial), {})
            of_method.setdefault(setting, set()).add(parts[trial.run])
    ways = {run.label: run.ways for run in runs}
    labels = {}
    for method, found in measured.items():
        if all(len(names) < 2 for names in found.values()):
            continue
        texts = _differences({name: ways[name] for names in found.values() for name in names})
        told_apart = all(
            len({texts[name] for name in names}) == len(names) for names in found.values()
        )
        for run, part in parts.items():
            text = texts.get(part, part) if told_apart else part
            labels[method, run] = f"{method} ({text})" if text else method
    return labels


def _differences(ways: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return for each run what differs among them, as words."""
    names = sorted({name for way in ways.values() for name in way})
    differing = [name for name in names if len({way.get(name) for way in ways.values()}) > 1]
    return {
        run: ", ".join(f"{name} {way[name]}" for name in differing if name in way)
        for run, way in ways.items()
    }


def _parts_of_sweeps(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return the name of each run, and of jobs that differ in seed and trial alone the first's."""
    first: dict[str, str] = {}
    parts = {}
    for run in runs:
        options = run.header["configuration"]
        key = run.label
        if options.get("command") == "finetune":
            key = repr(sorted((k, repr(v)) for k, v in options.items() if k not in _REPEATED))
        parts[run.label] = first.setdefault(key, run.label)
    return parts


def _baselines(trials: Iterable[tuple[Setting, TrialRecord]]) -> dict[Setting, float]:
    known: dict[Setting, list[float]] = {}
    for setting, trial in trials:
        if trial.baseline_accuracy is not None:
            known.setdefault(setting, []).append(trial.baseline_accuracy)
    return {setting: mean(values) for setting, values in known.items()}


def _published(setting: Setting) -> dict[str, float]:
    """Return published figures of the same task and number of rows."""
    if setting.labelled != _PUBLISHED_ROWS or not isinstance(setting.length, int):
        return {}
    return published(setting.function, setting.length, setting.sampler)
