"""``llm-pv data``: write a benchmark task's data set."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from llm_pv.cli.grid_options import DrawingOptions, Grid
from llm_pv.cli.main import complain
from llm_pv.cli.options import Format, option_group
from llm_pv.cli.output import write_json
from llm_pv.tracks.grid_settings import GridSettings, Sampler

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits


@option_group(
    None,
    like=Grid,
    out=Parameter(name=["--out", "--dataset-dir"]),
)
@dataclass(frozen=True)
class DataOptions:
    """The data set, and where it goes."""

    length: int | None = None
    "Length of the inputs; default the task's first."
    sampler: Sampler = GridSettings.sampler
    out: Path = DrawingOptions.dataset_dir
    "Folder of all data sets; this one is written into <name>/L<length>/seed<number>/ below it."
    train_size: int = GridSettings.train_size
    validation_size: int = GridSettings.validation_size
    test_size: int = GridSettings.test_size
    seed: int = GridSettings.seed
    "The seed."
    trial: int = 0
    "Number of the independent repetition under this seed, from 0."
    strict_sizes: bool = GridSettings.strict_sizes
    table: Path | None = GridSettings.table
    raw_tables: bool = GridSettings.raw_tables


def data(
    function: str,
    /,
    *,
    drawn: DataOptions = DataOptions(),
    format: Format = "table",  # noqa: A002
) -> int:
    """Write the data set of a benchmark task, the same bytes for the same options anywhere.

    Parameters
    ----------
    function
        The task's id or name; `llm-pv tasks` lists them.
    format
        How the result is shown: table, or one JSON object.
    """
    from llm_pv.tasks.loading import data_set_key, load_task

    options = {name: value for name, value in vars(drawn).items() if name != "out"}
    splits = load_task(function, **options, dataset_dir=drawn.out)
    del options["strict_sizes"]
    _tell(splits, data_set_key(function, **options).directory(drawn.out), format)
    return 0


def _tell(splits: "Splits", folder: Path, format: Format) -> None:  # noqa: A002
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    if format == "json":
        record = {"folder": str(folder), **sizes, "warnings": list(splits.warnings)}
        write_json(record)
        return
    for warning in splits.warnings:
        complain(warning)
    counts = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    sys.stdout.write(f"{folder}: {counts} rows\n")
