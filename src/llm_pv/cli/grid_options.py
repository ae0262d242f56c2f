"""Options common to every track over the benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Group, Parameter

from llm_pv.cli.options import SEVERAL, common_fields, option_group
from llm_pv.errors import ConfigurationError
from llm_pv.tracks.grid_settings import GridSettings, Sampler

if TYPE_CHECKING:
    from llm_pv.api import SplitSizes
    from llm_pv.tracks.grid import GridRequest

TASKS = Group("Tasks", sort_key=1)
DATA = Group("Data sets", sort_key=2)
SPLITS = Group("Splits", sort_key=3)


@option_group(
    TASKS,
    functions=SEVERAL,
    lengths=SEVERAL,
    trials=Parameter(name=["--trials", "--num-trials"]),
    validation_size=Parameter(name=["--val-size", "--validation-size"]),
    test_lengths=SEVERAL,
)
@dataclass(frozen=True)
class Grid(GridSettings):
    """Tasks by lengths by trials, and how their data sets are drawn."""


DEFAULT_GRID = Grid()


@option_group(TASKS, like=Grid)
@dataclass(frozen=True)
class TaskOptions:
    """Tasks by lengths."""

    functions: tuple[str, ...] = GridSettings.functions
    lengths: tuple[int, ...] | None = GridSettings.lengths


@option_group(DATA, like=Grid)
@dataclass(frozen=True)
class DrawingOptions:
    """How data sets are drawn, and where they are kept."""

    sampler: Sampler = GridSettings.sampler
    dataset_dir: Path = Path("datasets")
    "Folder of stored data sets."
    table: Path | None = GridSettings.table
    raw_tables: bool = GridSettings.raw_tables


DEFAULT_DRAWING_OPTIONS = DrawingOptions()


@option_group(DATA, like=Grid)
@dataclass(frozen=True)
class StrictDrawingOptions(DrawingOptions):
    """How data sets are drawn, if their sizes may have to be reduced."""

    strict_sizes: bool = GridSettings.strict_sizes


DEFAULT_STRICT_DRAWING_OPTIONS = StrictDrawingOptions()


@option_group(SPLITS, like=Grid)
@dataclass(frozen=True)
class SizeOptions:
    """How many rows each split gets."""

    train_size: int | None = None
    "Training rows; default 100 on the benchmark, 40 percent of a user's rows (at most 10,000)."
    validation_size: int | None = None
    "Validation rows, never used to fit or choose; default as for training rows (at most 10,000)."
    test_size: int | None = None
    "Test rows; default 10,000 on the benchmark, 20 percent of a user's rows (at most 10,000)."

    @property
    def split(self) -> "SplitSizes":
        """The sizes, as splits are drawn by them."""
        from llm_pv.api import SplitSizes

        return SplitSizes(self.train_size, self.validation_size, self.test_size)


DEFAULT_SIZE_OPTIONS = SizeOptions()


@option_group(TASKS, like=Grid)
@dataclass(frozen=True)
class BenchmarkOptions(TaskOptions):
    """Tasks by lengths, as for `synthesize`."""

    same_data: bool = GridSettings.same_data


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

    values: dict[str, Any] = {}
    for group in options:
        values |= common_fields(group, GridRequest)
    wanted = {name: value for name, value in (values | given).items() if value is not None}
    return GridRequest(**wanted)


def refuse_options(options: Sequence[str], why: str) -> None:
    """Raise if there are options that exclude others.

    Raise ConfigurationError if so.
    """
    if options:
        raise ConfigurationError(f"{', '.join(options)} goes {why}")
