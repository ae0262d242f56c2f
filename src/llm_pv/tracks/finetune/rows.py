"""The rows a model is trained and tested on, from a task or from a user's file."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.data.store import row_text
from llm_pv.errors import ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.tasks import Task, task
from llm_pv.tasks.drawing import Sizes, Source, draw
from llm_pv.tasks.loading import load_task
from llm_pv.tasks.task import CHARACTERS, Labels, Lengths, Symbols, binary_task
from llm_pv.tracks.finetune.memory import GIB, free_memory
from llm_pv.tracks.finetune.online_rows import OnlineRows
from llm_pv.tracks.finetune.request import TaskRequest

_ONE = np.uint8(ord("1"))


def _first_character(symbols: Symbols) -> Labels:
    return np.where(symbols[:, 0] == _ONE, np.uint8(1), np.uint8(0))


def _majority(symbols: Symbols) -> Labels:
    ones = (symbols == _ONE).sum(axis=1)
    return np.where(2 * ones > symbols.shape[1], np.uint8(1), np.uint8(0))


WARM_UP = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            binary_task(
                id="",
                name="first_character",
                description="the first character is 1",
                examples=("0110", "1001"),
                target_function=_first_character,
                lengths=Lengths(default=(20,)),
            ),
            binary_task(
                id="",
                name="majority",
                description="more than half of the characters are 1",
                examples=("00101", "10101"),
                target_function=_majority,
                lengths=Lengths(default=(9,)),
            ),
        )
    }
)
"""Two rules any sequence model can learn, to see that training works; no part of the benchmark."""


def known_task(name_or_id: str) -> Task:
    """Look up a benchmark task or a warm-up rule.

    Raise ConfigurationError if there is none of that name.

    Examples
    --------
    >>> known_task("majority").target(["00101", "10101"]).tolist(), known_task("fn_a").name
    ([0, 1], 'parity_all')
    """
    if name_or_id in WARM_UP:
        return WARM_UP[name_or_id]
    try:
        return task(name_or_id)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; or, to try things out, {' or '.join(WARM_UP)}"
        ) from None


_ROW_BYTES = 250
"""Bytes of a row besides its characters and tokens: Python's for text, label and set."""


@dataclass(frozen=True)
class Rows:
    """Rows ready to be tokenised."""

    train: Examples
    test: Examples
    "Texts with their labels; there are no training rows where each step draws fresh ones."
    classes: Classes
    alphabet: str = ""
    "Characters known to occur beyond those of the training rows."
    longer: tuple[Examples, ...] = ()
    "Test rows of other lengths, each apart."
    sampler: str = ""
    "How rows were drawn, empty for a user's."
    fresh: OnlineRows | None = None
    "Draws the rows of a step; None where the training rows are fixed."
    warnings: tuple[str, ...] = ()
    "Warnings about how the rows were made."

    @property
    def longest(self) -> int:
        """The most characters of any row."""
        parts = [self.train, self.test, *self.longer]
        return max((len(text) for part in parts for text in part.inputs), default=0)


@dataclass(frozen=True)
class TaskRows(TaskRequest):
    """Rows of a benchmark task."""

    def check(self, batch_size: int) -> None:
        """Refuse what cannot be drawn, before anything is.

        Raise ConfigurationError if the task does not allow the lengths, or sizes do not go
        together.
        """
        for length in (self._length, *self._test_lengths):
            self.task.check_length(length, self.sampler)
        for option, size in (
            ("--train-set-size", self.train_size),
            ("--test-set-size", self.test_size),
        ):
            if size < 1:
                raise ConfigurationError(
                    f"{option} is {size}; at least one row of each class is needed"
                )
        Sizes(self.train_size, 0, self.test_size).check()
        self._check_memory()
        for option, value in (("--seed", self.seed), ("--trial", self.trial)):
            if value < 0:
                raise ConfigurationError(f"{option} {value} is negative: give 0 or more")
        if self._test_lengths and self._is_table:
            raise ConfigurationError(f"--test-lengths: {self.name} is a table, of one length")
        if self._test_lengths and not self.task.length_generalising:
            raise ConfigurationError(
                f"--test-lengths: {self.name} is another function at each length; "
                "choose a task that means the same at all of them"
            )
        if self.online:
            self._check_online(batch_size)

    @cached_property
    def task(self) -> Task:
        """The task itself."""
        return known_task(self.function or "")

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def cell(self) -> Cell:
        """The cell of the summary."""
        return Cell(self.task.id or self.task.name, self._length, self.sampler, self.trial)

    @property
    def longest(self) -> int | None:
        """The most characters of any row; None for tables."""
        return None if self._is_table else max((self._length, *self._test_lengths))

    def load(self, batch_size: int) -> Rows:
        """Draw the rows, or read them back from ``dataset_dir``."""
        splits = self._splits(self._length, 0 if self.online else self.train_size)
        others = [length for length in self._test_lengths if length != self._length]
        longer = tuple(as_texts(self._splits(length, 0).test) for length in others)
        test = as_texts(splits.test)
        fresh = None
        if self.online:
            fresh = OnlineRows(
                self._source(self._length), batch_size, frozenset(map(str, test.inputs))
            )
        return Rows(
            train=as_texts(splits.train),
            test=test,
            classes=splits.classes,
            alphabet=CHARACTERS[self.task.alphabet].decode("ascii"),
            longer=longer,
            sampler=self.sampler,
            fresh=fresh,
            warnings=splits.warnings,
        )

    def record(self) -> dict[str, Any]:
        """Return everything the rows depend on, as plain JSON values."""
        names = {
            "function": "target_func",
            "length": "sequence_length",
            "train_size": "train_set_size",
            "test_size": "test_set_size",
        }
        values: dict[str, Any] = asdict(self) | {
            "function": self.task.id or self.task.name,
            "length": self._length,
            "table": None if self.table is None else sha256(self.table.read_bytes()).hexdigest(),
        }
        lengths = values.pop("test_lengths")
        # One length or none as jobs of earlier versions record it.
        values["test_sequence_length"] = lengths if len(lengths) > 1 else next(iter(lengths), None)
        del values["dataset_dir"]
        return {names.get(key, key): value for key, value in values.items()}

    @property
    def _length(self) -> int:
        return self.task.lengths.default[0] if self.length is None else self.length

    @property
    def _test_lengths(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.test_lengths))

    @property
    def _is_table(self) -> bool:
        return self.task.alphabet == "table"

    def _check_memory(self) -> None:
        needed = 0 if self.online else self.train_size * (_ROW_BYTES + 6 * self._length)
        if needed > (free := free_memory()):
            raise ConfigurationError(
                f"--train-set-size {self.train_size:,}: so many rows take about "
                f"{needed / GIB:,.1f} GiB, and {free / GIB:,.1f} GiB are free; give fewer, or "
                "--online, which keeps none"
            )

    def _check_online(self, batch_size: int) -> None:
        if self._is_table:
            raise ConfigurationError(f"--online: {self.name} is a table, there are no fresh rows")
        if batch_size % 2:
            raise ConfigurationError(
                f"--online draws half of each class: give an even --batch-size, not {batch_size}"
            )
        if self.train_size % batch_size:
            raise ConfigurationError(
                f"--online: an epoch of {self.train_size} fresh rows (--train-set-size) is no "
                f"multiple of --batch-size {batch_size}; change either"
            )

    def _source(self, length: int) -> Source:
        return Source(self.task, length, self.sampler, self.seed, self.trial)

    def _splits(self, length: int, train_size: int) -> Splits:
        if self.name in WARM_UP:
            sizes = Sizes(train_size, 0, self.test_size)
            return draw(self._source(length), sizes).splits(lambda row: row.decode("ascii"))
        return load_task(
            self.name,
            length=length,
            sampler=self.sampler,
            train_size=train_size,
            validation_size=0,
            test_size=self.test_size,
            seed=self.seed,
            trial=self.trial,
            dataset_dir=self.dataset_dir,
            table=self.table,
            raw_tables=self.raw_tables,
        )


@dataclass(frozen=True)
class FileRows:
    """A user's rows, read as ``llm-pv learn`` reads them."""

    path: str
    read: Callable[[], Splits] = field(compare=False)
    """Reads and splits it. The model trains on training and validation rows together, as the
    published comparison does, because nothing is selected on validation rows here; the test rows
    are those of ``learn`` with the same options and seed."""
    seed: int = 42
    train_size: int | None = None
    longest: int | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return "standard input" if self.path == "-" else Path(self.path).name

    @property
    def cell(self) -> Cell:
        """The cell of the summary."""
        return Cell(Path(self.name).stem)

    def load(self, _: int) -> Rows:
        """Read the rows."""
        return self._rows

    def record(self) -> dict[str, Any]:
        """Return everything the rows depend on, as plain JSON values."""
        rows = self._rows
        return {
            "data": self.name,
            "classes": list(rows.classes.texts),
            "train_set_size": len(rows.train),
            "test_set_size": len(rows.test),
            "rows_digest": [rows.train.digest(), rows.test.digest()],
        }

    @cached_property
    def _rows(self) -> Rows:
        splits = self.read()
        parts = [as_texts(splits.train)]
        if self.train_size is None:
            parts.append(as_texts(splits.validation))
        if not len(splits.test):
            raise ConfigurationError(
                f"{self.name} leaves no test rows: give --test-set-size or --test"
            )
        return Rows(
            train=Examples(
                [text for part in parts for text in part.inputs],
                [label for part in parts for label in part.labels],
            ),
            test=as_texts(splits.test),
            classes=splits.classes,
            warnings=splits.warnings,
        )


@dataclass(frozen=True)
class CarriedRows:
    """Rows read here, for machines that do not have the file."""

    name: str
    cell: Cell
    seed: int
    train_size: int | None
    recorded: Mapping[str, Any]
    "Those of the rows' source."
    rows: Rows
    longest: int | None = None

    @classmethod
    def of(cls, source: "RowSource", batch_size: int) -> "CarriedRows":
        """Read the rows."""
        return cls(
            source.name,
            source.cell,
            source.seed,
            source.train_size,
            source.record(),
            source.load(batch_size),
        )

    def load(self, _: int) -> Rows:
        """Return the rows."""
        return self.rows

    def record(self) -> dict[str, Any]:
        """Return everything the rows depend on."""
        return dict(self.recorded)


RowSource: TypeAlias = TaskRows | FileRows | CarriedRows
"""Where rows come from: a benchmark task, a user's file, or another machine.

`train_size` are the training rows asked for, which are an epoch, None for as many as there are;
`longest` the most characters of any row, None if that shows only once they are read.
"""


def as_texts(examples: Examples) -> Examples:
    """Return the same examples with every input as one text.

    Examples
    --------
    >>> as_texts(Examples([{"age": 39.0, "job": "clerk"}], ["1"])).inputs
    ['age:39,job:clerk']
    """
    inputs = [item if isinstance(item, str) else row_text(item) for item in examples.inputs]
    return Examples(inputs, examples.labels)
