"""Options common to every track over the benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.api import SplitSizes
    from llm_pv.tracks.grid import GridRequest

TASKS = Group("Tasks", sort_key=1)
DATA = Group("Data sets", sort_key=2)
SPLITS = Group("Splits", sort_key=3)


@Parameter(name="*", group=TASKS)
@dataclass(frozen=True)
class TaskOptions:
    """Tasks by lengths."""

    functions: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ()
    "Tasks by id or name; default every published id."
    lengths: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=True)] = None
    "Lengths of the inputs; default each task's own. Tables have one length each."


@Parameter(name="*", group=DATA)
@dataclass(frozen=True)
class DrawingOptions:
    """How data sets are drawn, and where they are kept."""

    sampler: Literal["paper", "hard"] = "paper"
    "As in the paper, or with classes that agree in every cheap statistic."
    dataset_dir: Path = Path("datasets")
    "Folder of stored data sets."
    table: Path | None = None
    "CSV file with the rows of the one requested table task, instead of fetching them."
    raw_tables: bool = False
    "Keep the original names and values of tables."


DEFAULT_DRAWING_OPTIONS = DrawingOptions()


@Parameter(name="*", group=DATA)
@dataclass(frozen=True)
class StrictDrawingOptions(DrawingOptions):
    """How data sets are drawn, if their sizes may have to be reduced."""

    strict_sizes: bool = False
    "Fail if a task has too few inputs for these sizes, instead of reducing them."


DEFAULT_STRICT_DRAWING_OPTIONS = StrictDrawingOptions()


@Parameter(name="*", group=SPLITS)
@dataclass(frozen=True)
class SizeOptions:
    """How many rows each split gets."""

    train_size: int | None = None
    "Training rows; default 100 on the benchmark, 40 percent of a user's rows (at most 10,000)."
    validation_size: Annotated[int | None, Parameter(name=["--val-size", "--validation-size"])] = (
        None
    )
    "Validation rows, never used to fit or choose; default as for training rows (at most 10,000)."
    test_size: int | None = None
    "Test rows; default 10,000 on the benchmark, 20 percent of a user's rows (at most 10,000)."

    @property
    def split(self) -> "SplitSizes":
        """The sizes, as splits are drawn by them."""
        from llm_pv.api import SplitSizes

        return SplitSizes(self.train_size, self.validation_size, self.test_size)


DEFAULT_SIZE_OPTIONS = SizeOptions()


@Parameter(name="*", group=TASKS)
@dataclass(frozen=True)
class BenchmarkOptions(TaskOptions):
    """Tasks by lengths, as for `synthesize`."""

    same_data: bool = False
    "Repeat all trials on one data set."


DEFAULT_BENCHMARK_OPTIONS = BenchmarkOptions()


def grid_request(*options: Any, **given: Any) -> "GridRequest":
    """Return the request of some groups of options; what is None keeps the request's default.

    Parameters
    ----------
    *options
        Groups of options: of their fields, those that a request has under the same name.
    **given
        Fields of the request that take precedence.
    """
    from llm_pv.tracks.grid import GridRequest

    names = {field.name for field in fields(GridRequest)}
    values = {
        field.name: getattr(group, field.name)
        for group in options
        for field in fields(group)
        if field.name in names
    }
    wanted = {name: value for name, value in (values | given).items() if value is not None}
    return GridRequest(**wanted)


def refuse_options(options: Sequence[str], why: str) -> None:
    """Raise if there are options that do not go with the others.

    Raise ConfigurationError if so.
    """
    if options:
        raise ConfigurationError(f"{', '.join(options)} goes {why}")
