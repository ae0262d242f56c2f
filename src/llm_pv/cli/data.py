"""``llm-pv data``: write a benchmark task's data set."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from llm_pv.cli.main import complain
from llm_pv.cli.options import Format
from llm_pv.cli.output import write_json

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits


def data(
    function: str,
    /,
    *,
    length: int | None = None,
    sampler: Literal["paper", "hard"] = "paper",
    out: Annotated[Path, Parameter(name=["--out", "--dataset-dir"])] = Path("datasets"),
    train_size: int = 100,
    validation_size: Annotated[int, Parameter(name=["--val-size", "--validation-size"])] = 100,
    test_size: int = 10_000,
    seed: int = 42,
    trial: int = 0,
    strict_sizes: bool = False,
    table: Path | None = None,
    raw_tables: bool = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Write the data set of a benchmark task, the same bytes for the same options anywhere.

    Parameters
    ----------
    function
        The task's id or name; `llm-pv tasks` lists them.
    length
        Length of the inputs; default the task's first.
    sampler
        As in the paper, or with classes that agree in every cheap statistic.
    out
        Folder of all data sets; this one goes into <name>/L<length>/seed<number>/ below it.
    train_size
        Training rows, half of each class.
    validation_size
        Validation rows, half of each class.
    test_size
        Test rows, half of each class.
    seed
        The seed.
    trial
        Number of the independent repetition under this seed, from 0.
    strict_sizes
        Fail if the task has too few inputs for these sizes, instead of reducing them.
    table
        CSV file with the rows of a table task, instead of fetching them.
    raw_tables
        Keep the original names and values of tables.
    format
        How the result is shown: table, or one JSON object.
    """
    from llm_pv.data.store import DataSetKey
    from llm_pv.tasks import task
    from llm_pv.tasks.loading import load_task, table_options

    drawn: dict[str, Any] = {
        "sampler": sampler,
        "train_size": train_size,
        "validation_size": validation_size,
        "test_size": test_size,
        "seed": seed,
        "trial": trial,
    }
    splits = load_task(
        function,
        length=length,
        **drawn,
        dataset_dir=out,
        strict_sizes=strict_sizes,
        table=table,
        raw_tables=raw_tables,
    )
    found = task(function)
    options = table_options(found, table, raw=raw_tables)
    key = DataSetKey(
        name=found.name,
        length=found.lengths.default[0] if length is None else length,
        **drawn,
        variant="" if options is None else options.variant(),
    )
    _tell(splits, key.directory(out), format)
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
