"""The request for a grid of tasks, and its trials."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from llm_pv.data.examples import Examples, Splits
from llm_pv.errors import ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.tasks import TASKS, SamplerName, Task, task
from llm_pv.tasks.drawing import Sizes
from llm_pv.tasks.loading import load_task
from llm_pv.tracks.grid_settings import GridSettings


@dataclass(frozen=True)
class Trial:
    """One cell and repetition to be done."""

    task: Task
    cell: Cell
    "The cell and the number of the trial."
    length: int
    "The length of the inputs."
    data_trial: int
    "The trial whose data set is used."
    skipped: str = ""
    "Why it cannot be done; empty if it can."

    def other_lengths(self, lengths: Sequence[int]) -> list[int]:
        """Return those of the lengths that what is learned in this trial can be tested at."""
        others = (length for length in dict.fromkeys(lengths) if length != self.length)
        return [length for length in others if self.task.tested_at(length)]


@dataclass(frozen=True)
class DataSet:
    """The data set of a trial, or a split of a user's rows."""

    cell: Cell
    name: str
    load: Callable[[], Splits]
    "Returns the rows; may be called in another process."
    seed: int = 0
    "Seeds what is random in learning from it."
    columns: dict[str, Any] = field(default_factory=dict)
    "Columns of its row in the summary if it has no results."
    alphabet: str = ""
    "The alphabet of its inputs, if known."
    skipped: str = ""
    "Why it cannot be drawn; empty if it can."
    others: Callable[[], dict[int, Examples]] = dict
    "Returns test rows of other lengths, by length."


@dataclass(frozen=True)
class GridRequest(GridSettings):
    """Tasks by lengths by trials, and how their data sets are drawn.

    Examples
    --------
    >>> request = GridRequest(functions=("fn_a", "dyck2"), lengths=(20, 50), trials=2)
    >>> [(trial.cell.slug, trial.skipped[:30]) for trial in request.plan()][::2]
    [('fn_a-L20-paper', ''), ('fn_a-L50-paper', ''), ('fn_h-L20-paper', ''), \
('fn_h-L50-paper', 'dyck2 has no inputs of length ')]
    """

    def plan(self) -> list[Trial]:
        """Return every trial, those that cannot be with the reason.

        Raise ConfigurationError if the request is invalid as a whole, or no cell of it can be.
        """
        self._check()
        trials = [
            Trial(task_, cell, length, 0 if self.same_data else number, reason)
            for task_ in self.tasks()
            for length in self._lengths(task_)
            for reason in (self._obstacle(task_, length),)
            for number in range(self.trials)
            for cell in (Cell(task_.id or task_.name, length, self.sampler, number),)
        ]
        if all(trial.skipped for trial in trials):
            reasons = list(dict.fromkeys(trial.skipped for trial in trials))
            raise ConfigurationError(f"no cell of this grid can be: {'; '.join(reasons[:3])}")
        return trials

    def tasks(self) -> list[Task]:
        """Return the tasks asked for, each once, in order."""
        if not self.functions:
            return [known for known in TASKS.values() if known.id]
        return list({known.name: known for known in map(task, self.functions)}.values())

    def splits(self, trial: Trial, dataset_dir: Path | None) -> Splits:
        """Draw a trial's data set, or read it back from ``dataset_dir``."""
        return self._load(
            trial,
            trial.length,
            self.sampler,
            Sizes(self.train_size, self.validation_size, self.test_size),
            dataset_dir,
        )

    def other_splits(self, trial: Trial, length: int, sampler: SamplerName, rows: int) -> Splits:
        """Draw test rows of a trial's task at another length, or by another sampler."""
        return self._load(trial, length, sampler, Sizes(0, 0, rows), None)

    def untested(self) -> list[str]:
        """Return for each task why what is learned is not tested at some of the `test_lengths`."""
        reasons = []
        for task_ in self.tasks() if self.test_lengths else ():
            why = f"which has {task_.lengths.describe()}"
            if not task_.length_generalising:
                why = "which is another task at each length"
            left = [length for length in self.test_lengths or () if not task_.tested_at(length)]
            if left:
                lengths = " ".join(map(str, left))
                reasons.append(f"--test-lengths {lengths}: left out of {task_.name}, {why}")
        return reasons

    def data_sets(
        self, dataset_dir: Path | None, *, validation: bool = True, remote: bool = False
    ) -> list[DataSet]:
        """Return the data sets of all trials, the same ones that `run_grid` learns from.

        Raise ConfigurationError as `plan` does.

        Parameters
        ----------
        validation
            Whether validation rows are drawn.
        remote
            Whether they are loaded on other machines, which have no such folder: tables, whose
            rows may be in a file, are loaded here then.
        """
        drawn = self if validation else replace(self, validation_size=0)

        def load(trial: Trial) -> Callable[[], Splits]:
            if remote and trial.task.alphabet == "table" and not trial.skipped:
                return partial(given, drawn.splits(trial, dataset_dir))
            return partial(drawn.splits, trial, None if remote else dataset_dir)

        columns = {
            "seed": self.seed,
            "train_size": drawn.train_size,
            "validation_size": drawn.validation_size,
            "test_size": drawn.test_size,
        }
        return [
            DataSet(
                trial.cell,
                trial.task.name,
                load(trial),
                self.spawned_seed(trial),
                columns | {"name": trial.task.name},
                trial.task.alphabet,
                trial.skipped,
                partial(drawn._others, trial) if self.test_lengths else dict,
            )
            for trial in self.plan()
        ]

    def spawned_seed(self, trial: Trial) -> int:
        """Return the seed of a trial's proposer."""
        return spawned_seed(self.seed, trial.cell.trial)

    def record(self) -> dict[str, Any]:
        """Return the request as plain JSON values, tasks resolved, a table by what is in it."""
        lengths = None if self.lengths is None else list(self.lengths)
        values = asdict(self)
        if self.test_lengths is None:  # so that runs of earlier versions are found again
            del values["test_lengths"]
        return values | {
            "functions": [known.id or known.name for known in self.tasks()],
            "lengths": lengths,
            "table": None if self.table is None else sha256(self.table.read_bytes()).hexdigest(),
        }

    def _others(self, trial: Trial) -> dict[int, Examples]:
        return {
            length: self.other_splits(trial, length, self.sampler, self.test_size).test
            for length in trial.other_lengths(self.test_lengths or ())
        }

    def _load(
        self,
        trial: Trial,
        length: int,
        sampler: SamplerName,
        sizes: Sizes,
        dataset_dir: Path | None,
    ) -> Splits:
        is_table = trial.task.alphabet == "table"
        return load_task(
            trial.task.name,
            length=length,
            sampler=sampler,
            train_size=sizes.train,
            validation_size=sizes.validation,
            test_size=sizes.test,
            seed=self.seed,
            trial=trial.data_trial,
            dataset_dir=dataset_dir,
            strict_sizes=self.strict_sizes,
            table=self.table if is_table else None,
            raw_tables=self.raw_tables and is_table,
        )

    def _check(self) -> None:
        Sizes(self.train_size, self.validation_size, self.test_size).check()
        for name, size in (("train", self.train_size), ("validation", self.validation_size)):
            if not size:
                raise ConfigurationError(
                    f"--{name}-size 0: learning needs {name} rows; give at least 1"
                )
        if self.trials < 1:
            raise ConfigurationError(f"is {self.trials}; at least 1 is needed", "trials")
        if self.seed < 0:
            raise ConfigurationError(f"seed {self.seed} is negative: give 0 or more")
        if self.sampler not in ("paper", "hard"):
            raise ConfigurationError(f"no sampler {self.sampler!r}: choose paper or hard")
        if self.lengths is not None and not self.lengths:
            raise ConfigurationError("no lengths: give at least one, or leave the option out")
        tables = [known.name for known in self.tasks() if known.alphabet == "table"]
        if self.table is not None and len(tables) != 1:
            raise ConfigurationError(
                f"--table gives the rows of one table task, this grid has {len(tables)}: "
                "name one in --functions"
            )
        if self.table is not None and not self.table.is_file():
            raise ConfigurationError(f"--table {self.table}: there is no such file")

    def _lengths(self, task_: Task) -> Sequence[int]:
        if self.lengths is None or task_.alphabet == "table":
            return task_.lengths.default
        return tuple(dict.fromkeys(self.lengths))

    def _obstacle(self, task_: Task, length: int) -> str:
        try:
            task_.check_length(length, self.sampler)
        except ConfigurationError as error:
            return str(error)
        return ""


def spawned_seed(seed: int, *key: int) -> int:
    """Return a seed that is independent of those of other keys."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])


def transfer_record(sampler: str, length: int, rows: int, accuracy: float) -> dict[str, Any]:
    """Return how answers to so many rows of another length did, as runs record it."""
    return {
        "sampler_there": sampler,
        "length_there": length,
        "rows": rows,
        "errors": round(rows * (1 - accuracy)),
        "accuracy": accuracy,
        "status": "done",
        "reason": "",
    }


def given(splits: Splits) -> Splits:
    """Return splits that were loaded already, as the ``load`` of a `DataSet` that is pickled."""
    return splits
