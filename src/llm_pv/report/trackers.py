"""The figures of a run, as they come, to MLflow or Weights & Biases."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from llm_pv.erm.attempts import Attempt
from llm_pv.errors import ConfigurationError, LLMPVError
from llm_pv.runs.cells import Cell
from llm_pv.runs.reading import read_run, read_summary
from llm_pv.runs.runner import Observer

Track: TypeAlias = Literal["mlflow", "wandb"]

_FIGURES = (
    "accuracy",
    "low",
    "high",
    "validation_accuracy",
    "majority_accuracy",
    "learn_seconds",
    "cost_usd",
)
_PLACE = ("function", "length", "sampler", "trial", "method", "model")
_LONGEST_VALUE = 500


class Tracker(Protocol):
    """One run of an experiment tracker; its methods may be called from several threads."""

    def parameters(self, values: Mapping[str, str]) -> None:
        """Record the configuration."""
        ...

    def figures(self, values: Mapping[str, float], step: int) -> None:
        """Record figures of a step."""
        ...

    def file(self, path: Path) -> None:
        """Store a file."""
        ...

    def close(self) -> None:
        """End the run."""
        ...


class _MLflow:
    def __init__(self, name: str) -> None:
        import mlflow

        self._mlflow = mlflow
        self._run = mlflow.start_run(run_name=name).info.run_id

    def parameters(self, values: Mapping[str, str]) -> None:
        self._mlflow.log_params(dict(values), run_id=self._run)

    def figures(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step, run_id=self._run)

    def file(self, path: Path) -> None:
        self._mlflow.log_artifact(str(path), run_id=self._run)

    def close(self) -> None:
        self._mlflow.end_run()


class _WandB:
    def __init__(self, name: str) -> None:
        import wandb

        self._wandb = wandb
        self._run: Any = wandb.init(project=os.environ.get("WANDB_PROJECT", "llm-pv"), name=name)

    def parameters(self, values: Mapping[str, str]) -> None:
        self._run.config.update(dict(values))

    def figures(self, values: Mapping[str, float], step: int) -> None:
        self._run.log({**values, "step": step})  # its own steps may only increase

    def file(self, path: Path) -> None:
        artifact = self._wandb.Artifact(path.stem, type="program")
        artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def close(self) -> None:
        self._run.finish()


class TrackingObserver(Observer):
    """Passes the events of a run to another observer, and its figures to a tracker.

    A tracker that fails is left out from then on, with one line; the run continues.
    """

    def __init__(self, tracker: Tracker, shown: Observer, say: Callable[[str], None]) -> None:
        self._tracker: Tracker | None = tracker
        self._shown, self._say = shown, say
        self._lock = threading.Lock()
        self._logged: set[tuple[str, ...]] = set()

    def on_plan(self, cells: int, done: int) -> None:
        """Pass it on."""
        self._shown.on_plan(cells, done)

    def on_start(self, cell: Cell) -> None:
        """Pass it on."""
        self._shown.on_start(cell)

    def on_event(self, cell: Cell, event: object) -> None:
        """Pass it on, and track a verified attempt."""
        self._shown.on_event(cell, event)
        if isinstance(event, Attempt) and event.train and event.validation:
            figures = {
                "attempt_train_accuracy": event.train.accuracy,
                "attempt_validation_accuracy": event.validation.accuracy,
            }
            self._track(lambda tracker: tracker.figures(_of(cell, figures), event.number))

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        """Pass it on, and track the cell's figures."""
        self._shown.on_end(cell, row)
        self._cell(cell, row)

    def finish(self, run: Path) -> None:
        """Track the configuration, the cells not tracked yet and the programs of a run."""
        try:
            configuration = read_run(run)["configuration"]
            rows = read_summary(run)
        except LLMPVError:
            return  # it was refused before it began
        self._track(lambda tracker: tracker.parameters(dict(_flat(configuration))))
        several = len({(row["method"], row["model"]) for row in rows}) > 1
        named = ("function", "length", "sampler", *(("method", "model") if several else ()))
        for row in rows:
            cell = Cell(**{name: row[name] for name in named}, trial=int(row["trial"]))
            self._cell(cell, row)
        programs = sorted((run / "programs").glob("*.py"))
        for path in programs:
            self._track(partial(_store, path))

    def _cell(self, cell: Cell, row: Mapping[str, str]) -> None:
        place = tuple(row[name] for name in _PLACE)
        with self._lock:
            if place in self._logged:
                return
            self._logged.add(place)
        figures = {name: float(row[name]) for name in _FIGURES if row.get(name)}
        self._track(lambda tracker: tracker.figures(_of(cell, figures), cell.trial))

    def _track(self, log: Callable[[Tracker], None]) -> None:
        with self._lock:
            if self._tracker is None:
                return
            try:
                log(self._tracker)
            except Exception as error:  # noqa: BLE001 - a tracker's server must not end a run
                self._tracker = None
                reason = " ".join(str(error).split())[:300]
                self._say(f"--track: no more figures are sent ({type(error).__name__}: {reason})")


@contextmanager
def tracking(
    track: Track | None, run: Path, say: Callable[[str], None], shown: Observer | None = None
) -> Iterator[Observer]:
    """Yield an observer that also tracks a run; without ``track`` the one that is given.

    Raise ConfigurationError if the tracker is not installed or cannot be reached.

    Parameters
    ----------
    track
        The tracker.
    run
        The run directory, whose name the tracker's run gets.
    say
        Called with a line for the user if the tracker fails.
    shown
        Another observer; None for none.
    """
    shown = shown or Observer()
    if track is None:
        yield shown
        return
    if find_spec(track) is None:
        raise ConfigurationError(f"--track {track}: it is not installed: pip install {track}")
    try:
        tracker: Tracker = _MLflow(run.name) if track == "mlflow" else _WandB(run.name)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"--track {track} cannot begin a run: {reason}") from error
    observer = TrackingObserver(tracker, shown, say)
    try:
        yield observer
    finally:
        observer.finish(run)
        tracker.close()


def _store(path: Path, tracker: Tracker) -> None:
    tracker.file(path)


def _of(cell: Cell, figures: Mapping[str, float]) -> dict[str, float]:
    """Return figures by the names that the tracker shows: with their cell, if it is a task's."""
    prefix = f"{cell.slug}/" if cell.sampler or cell.method else ""
    return {f"{prefix}{name}": value for name, value in figures.items()}


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)[:_LONGEST_VALUE]
