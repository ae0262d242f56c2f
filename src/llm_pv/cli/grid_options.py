"""Options that every track over the benchmark shares."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from llm_pv.tracks.grid import GridRequest

TASKS = Group("Tasks", sort_key=1)
_DATA = Group("Data sets", sort_key=2)


@Parameter(name="*", group=TASKS)
@dataclass(frozen=True)
class TaskOptions:
    """Tasks by lengths."""

    functions: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    "Tasks by id or name; default every published id."
    lengths: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=True, negative="")] = None
    "Lengths of the inputs; default each task's own. Tables have one length each."


@Parameter(name="*", group=TASKS)
@dataclass(frozen=True)
class GridOptions(TaskOptions):
    """Tasks by lengths by trials."""

    trials: int = 5
    "Independent repetitions of each cell, each on a data set of its own."
    same_data: Annotated[bool, Parameter(negative="")] = False
    "Repeat all trials on one data set."
    seed: int = 42
    "What data sets and searches are spawned from."


DEFAULT_GRID_OPTIONS = GridOptions()


@Parameter(name="*", group=_DATA)
@dataclass(frozen=True)
class DrawingOptions:
    """How data sets are drawn, and where they are kept."""

    sampler: Literal["paper", "hard"] = "paper"
    "As in the paper, or with the classes alike in every cheap statistic."
    dataset_dir: Path = Path("datasets")
    "Where data sets are stored and found again."
    table: Path | None = None
    "CSV file with the rows of the one table task asked for, instead of fetching them."
    raw_tables: Annotated[bool, Parameter(negative="")] = False
    "Keep the original names and values of tables."


DEFAULT_DRAWING_OPTIONS = DrawingOptions()


@Parameter(name="*", group=_DATA)
@dataclass(frozen=True)
class StrictDrawingOptions(DrawingOptions):
    """How data sets are drawn, where their sizes may have to shrink."""

    strict_sizes: Annotated[bool, Parameter(negative="")] = False
    "Fail where a task has too few inputs for these sizes, instead of shrinking them."


DEFAULT_STRICT_DRAWING_OPTIONS = StrictDrawingOptions()


@Parameter(name="*", group=_DATA)
@dataclass(frozen=True)
class DataSetOptions(StrictDrawingOptions):
    """How data sets are drawn, and of which sizes."""

    train_size: int = 100
    "Training rows, half of each class."
    validation_size: Annotated[int, Parameter(name=["--val-size", "--validation-size"])] = 100
    "Validation rows, half of each class."
    test_size: int = 10_000
    "Test rows, half of each class."


DEFAULT_DATA_SET_OPTIONS = DataSetOptions()


def grid_request(grid: GridOptions, data: DataSetOptions) -> "GridRequest":
    """Return the request that these options make."""
    from llm_pv.tracks.grid import GridRequest

    return GridRequest(
        functions=grid.functions,
        lengths=grid.lengths,
        trials=grid.trials,
        same_data=grid.same_data,
        sampler=data.sampler,
        train_size=data.train_size,
        validation_size=data.validation_size,
        test_size=data.test_size,
        seed=grid.seed,
        strict_sizes=data.strict_sizes,
        table=data.table,
        raw_tables=data.raw_tables,
    )
