"""Choosing settings by cross-validation on the training rows.

``grid`` tries every point on every fold. ``halving`` tries every point on the first fold, the
better half of them on the second as well, and so on: successive halving whose resource is folds.
Halving the number of rows instead, as scikit-learn does by default, saves nothing at the size of
these problems, where a fit of 20 rows takes as long as one of 80.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import inf
from typing import Any, Protocol, TypeVar

import numpy as np

from llm_pv.tracks.baselines.base import Baseline, Codes, Fitted, SearchName, Settings
from llm_pv.tracks.baselines.features import Features

FOLDS = 5
"""Folds of the training rows, where every class has that many rows."""

_JOBS_A_FOLD = 8  # so that many cores are busy on one fold, and rows are not sent too often

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


class MapJobs(Protocol):
    """Runs a function of a module on some values, maybe side by side."""

    def __call__(
        self, function: Callable[[_Job], _Result], jobs: Sequence[_Job], /
    ) -> list[_Result]:
        """Return the results in order."""
        ...


def map_here(function: Callable[[_Job], _Result], jobs: Sequence[_Job], /) -> list[_Result]:
    """Run a function on some values, one after another in this process."""
    return [function(job) for job in jobs]


@dataclass(frozen=True)
class Tried:
    """How one point of the grid did."""

    settings: Settings
    accuracy: float
    "The share of held-out training rows it was right on."
    folds: int


@dataclass(frozen=True)
class Choice:
    """The settings that cross-validation chose."""

    settings: Settings
    accuracy: float | None = None
    "Its cross-validated accuracy; None if there was nothing to choose, or no rows to hold out."
    tried: tuple[Tried, ...] = ()
    "How every point did, in the order of the grid."


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to fit on and rows held out, by position."""

    train: Codes
    held_out: Codes


@dataclass(frozen=True, eq=False)
class FoldTask:
    """Some points to be tried on one fold."""

    baseline: Baseline
    features: Features
    codes: Codes
    fold: Fold
    points: Sequence[Settings]
    seed: int


def choose_settings(
    baseline: Baseline,
    features: Features,
    codes: Codes,
    *,
    search: SearchName,
    seed: int,
    map_jobs: MapJobs = map_here,
    validation: tuple[Features, Codes] | None = None,
) -> Choice:
    """Choose settings by cross-validation; of equals, the first in the grid.

    A baseline whose published grid is chosen by validation rows is fitted on the training rows once
    for each point, and tried on those.

    Parameters
    ----------
    search
        ``"halving"`` or ``"grid"``.
    seed
        Draws the folds, and whatever is random in a fit.
    """
    grid = baseline.grid(search)
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    folds: list[Fold] = []
    if len(points) > 1 and search == "grid" and baseline.grid_by_validation and validation:
        train = len(codes)
        features = features.followed_by(validation[0])
        codes = np.concatenate([codes, validation[1]])
        folds = [Fold(np.arange(train), np.arange(train, len(codes)))]
    elif len(points) > 1:
        # Where the fits are: this process then need not import scikit-learn.
        folds = map_jobs(partial(make_folds, seed=seed), [codes])[0]
    if not folds:
        return Choice(points[0])
    right = np.zeros(len(points), dtype=int)
    rows = np.zeros(len(points), dtype=int)
    used = np.zeros(len(points), dtype=int)

    def try_on(numbers: Sequence[int], some_folds: Sequence[Fold]) -> None:
        parts = _parts([(number, points[number]) for number in numbers], baseline.shared)
        pairs = [(fold, part) for fold in some_folds for part in parts]
        jobs = [
            FoldTask(baseline, features, codes, fold, [points[number] for number in part], seed)
            for fold, part in pairs
        ]
        for (fold, part), counts in zip(pairs, map_jobs(try_points, jobs), strict=True):
            right[part] += counts
            rows[part] += len(fold.held_out)
            used[part] += 1

    order = list(range(len(points)))
    if search == "grid":
        try_on(order, folds)
    for fold in folds if search == "halving" else []:
        try_on(order, [fold])
        order = sorted(order, key=lambda number: (-right[number] / rows[number], number))
        order = order[: (len(order) + 1) // 2]
        if len(order) == 1:
            break
    best = min(order, key=lambda number: (-right[number] / rows[number], number))
    tried = [
        Tried(point, float(right[number] / rows[number]), int(used[number]))
        for number, point in enumerate(points)
    ]
    return Choice(points[best], tried[best].accuracy, tuple(tried))


def make_folds(codes: Codes, seed: int) -> list[Fold]:
    """Deal rows out to folds, every class in proportion.

    There are five folds, fewer where the smallest class has fewer rows, at least two; none if no
    class has two rows.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(codes)
    if counts.max() < 2:
        return []
    number = min(FOLDS, max(2, int(counts[counts > 0].min())))
    splitter = StratifiedKFold(number, shuffle=True, random_state=seed % 2**32)
    with _quiet():  # it warns of a class with a single row, which is in one fold alone
        return [Fold(train, held) for train, held in splitter.split(codes, codes)]


def try_points(job: FoldTask) -> list[int]:
    """Return, for each point, on how many of the held-out rows it is right."""
    train = job.features.take(job.fold.train)
    held_out = job.features.take(job.fold.held_out)
    answers = job.codes[job.fold.held_out]
    fitted: list[tuple[Settings, Fitted]] = []
    counts = [0] * len(job.points)
    shared = job.baseline.shared
    for number in sorted(range(len(counts)), key=lambda n: _largest_first(job.points[n], shared)):
        point = job.points[number]
        known = (model for settings, model in fitted if _covered(settings, model, point, shared))
        model = next(known, None)
        if model is None:
            model = fit_quietly(job.baseline, train, job.codes[job.fold.train], point, job.seed)
            fitted.append((point, model))
        counts[number] = int((model.predict(held_out, point) == answers).sum())
    return counts


def fit_quietly(
    baseline: Baseline, features: Features, codes: Codes, settings: Settings, seed: int
) -> Fitted:
    """Fit a baseline on whatever classes there are, without the warnings of libraries."""
    present, compact = np.unique(codes, return_inverse=True)
    if len(present) == 1:
        return Fitted(lambda rows, _: np.full(len(rows), present[0]), lambda _: True)
    with _quiet():
        # Libraries take seeds of 32 bits.
        model = baseline.fit(features, compact, settings, seed % 2**32)

    def predict(rows: Features, point: Settings) -> Codes:
        with _quiet():
            return np.asarray(present[model.predict(rows, point)], dtype=np.intp)

    return Fitted(predict, model.covers)


def _covered(fitted_with: Settings, model: Fitted, point: Settings, shared: Sequence[str]) -> bool:
    alike = all(value == fitted_with[name] for name, value in point.items() if name not in shared)
    return alike and model.covers(point)


def _largest_first(point: Settings, shared: Sequence[str]) -> list[float]:
    values: list[Any] = [point[name] for name in shared]
    return [-inf if value is None else -value for value in values]


def _parts(points: Sequence[tuple[int, Settings]], shared: Sequence[str]) -> list[list[int]]:
    """Deal points out to a few parts, those that may share a model to the same one."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, point in points:
        key = tuple(value for name, value in point.items() if name not in shared)
        groups.setdefault(key, []).append(number)
    dealt = [list(groups.values())[start::_JOBS_A_FOLD] for start in range(_JOBS_A_FOLD)]
    return [sorted(number for group in part for number in group) for part in dealt if part]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
