"""Load a task's data set: draw it or read it from the store, and return its splits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.data import store
from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError
from llm_pv.tasks import drawing
from llm_pv.tasks.registry import task
from llm_pv.tasks.task import SamplerName, Task

if TYPE_CHECKING:
    from llm_pv.tasks.tables import TableOptions


def load_task(
    name_or_id: str,
    *,
    length: int | None = None,
    sampler: SamplerName = "paper",
    train_size: int = 100,
    validation_size: int = 100,
    test_size: int = 10_000,
    seed: int = 42,
    trial: int = 0,
    dataset_dir: str | Path | None = None,
    strict_sizes: bool = False,
    table: str | Path | None = None,
    raw_tables: bool = False,
) -> Splits:
    """Draw the data set of a benchmark task, the same bytes for the same arguments anywhere.

    The rows depend on the name, length, sampler, seed and trial alone; sizes only say how many of
    them each split takes. Training and validation rows follow one another in the labelled pool,
    so that 200 training rows are the default's 100 training and 100 validation rows.

    Parameters
    ----------
    name_or_id
        A task's name or published id, such as ``"palindrome"`` or ``"fn_g"``.
    length
        The length of the inputs; by default the task's first standard length. Tables have one
        length, their number of features.
    sampler
        ``"paper"``, as in the published experiments, or ``"hard"``, with classes that agree in
        every cheap statistic.
    train_size, validation_size, test_size
        Even numbers of rows, half of each class; at most 10,000 for the test split.
    seed
        The seed.
    trial
        The number of the independent repetition under this seed.
    dataset_dir
        The folder of stored data sets; by default they are not stored.
    strict_sizes
        Whether to raise an error if the task has too few inputs for the sizes, instead of reducing
        them with a warning in ``Splits.warnings``.
    table
        For table tasks, a CSV file with the data, instead of fetching it.
    raw_tables
        Whether table tasks keep their original column names and values.

    Returns
    -------
    Splits
        ``.train``, ``.validation`` and ``.test``, each with ``.inputs`` and ``.labels``.

    Raises
    ------
    ConfigurationError
        If there is no such task, or it allows no such length, sampler or sizes.
    DataError
        If there are too few inputs, a table cannot be fetched, or ``dataset_dir`` holds other
        data.
    RunError
        If ``dataset_dir`` cannot be read or written.

    Examples
    --------
    >>> splits = load_task("fn_h", length=80, test_size=100)
    >>> len(splits.train), len(splits.test.inputs[0])
    (100, 80)
    """
    chosen = task(name_or_id)
    length = chosen.lengths.default[0] if length is None else length
    chosen.check_length(length, sampler)
    sizes = drawing.Sizes(train_size, validation_size, test_size)
    sizes.check()
    _check_seed(seed, trial)
    options = table_options(chosen, table, raw=raw_tables)
    key = data_set_key(
        name_or_id,
        length=length,
        table=table,
        raw_tables=raw_tables,
        sampler=sampler,
        seed=seed,
        trial=trial,
        train_size=train_size,
        validation_size=validation_size,
        test_size=test_size,
    )
    root = None if dataset_dir is None else Path(dataset_dir)
    splits = None if root is None else store.load(root, key)
    if splits is None:
        source = drawing.Source(chosen, length, sampler, seed, trial)
        if options is None:
            splits = drawing.draw(source, sizes).splits(lambda row: row.decode("ascii"))
        else:
            splits = options.draw(source, sizes)
        if root is not None:
            store.save(root, key, splits)
    if strict_sizes and splits.warnings:
        raise ConfigurationError(f"{splits.warnings[0]}, which strict sizes forbid")
    return splits


def data_set_key(
    name_or_id: str,
    *,
    length: int | None,
    table: str | Path | None,
    raw_tables: bool,
    **drawn: Any,
) -> store.DataSetKey:
    """Return what a data set of `load_task`, with the same arguments, is stored under."""
    chosen = task(name_or_id)
    length = chosen.lengths.default[0] if length is None else length
    options = table_options(chosen, table, raw=raw_tables)
    variant = "" if options is None else options.variant()
    return store.DataSetKey(chosen.name, length, variant=variant, **drawn)


def _check_seed(seed: int, trial: int) -> None:
    for name, value in (("seed", seed), ("trial", trial)):
        if value < 0:
            raise ConfigurationError(f"{name} {value} is negative: give 0 or more")


def table_options(chosen: Task, table: str | Path | None, *, raw: bool) -> "TableOptions | None":
    """Return which table a task draws from, None for a task that draws from none.

    Raise ConfigurationError if a file or raw values are asked of a task that is no table.
    """
    if chosen.alphabet == "table":
        from llm_pv.tasks.tables import TableOptions

        return TableOptions(chosen.name, None if table is None else Path(table), raw=raw)
    if table is not None or raw:
        raise ConfigurationError(f"{chosen.name} is no table: leave out the table options")
    return None
