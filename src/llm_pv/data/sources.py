"""Read rows from any source, and split them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from llm_pv.data.examples import Splits
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.data.table import Table


@dataclass(frozen=True)
class SplitSizes:
    """The size of each split; None divides the remaining rows 40 to 40 to 20.

    Parameters
    ----------
    train, validation, test
        Numbers of rows. Without a size, a split has at most 10,000.
    """

    train: int | None = None
    validation: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        sizes: dict[str, object] = asdict(self)
        for name, size in sizes.items():
            if size is not None and not isinstance(size, Integral):
                raise ConfigurationError(f"{name} size {size!r}: give a whole number of rows")


DEFAULT_SIZES = SplitSizes()


def read_splits(
    data: object,
    labels: object = None,
    *,
    target: str | None = None,
    types: Mapping[str, str] | None = None,
    data_format: str | None = None,
    database: str | None = None,
    validation: object = None,
    test: object = None,
    added: Sequence[object] = (),
    sizes: SplitSizes = DEFAULT_SIZES,
    reading: Reading = DEFAULT_READING,
    seed: int = 0,
) -> Splits:
    """Read rows from any source, and split them.

    Parameters
    ----------
    data
        A path (``"-"`` for standard input), a DataFrame, an array, a list of strings or dicts, or
        `Splits`, which are returned unchanged.
    labels
        The labels, if they are not a column of the data.
    target
        The column that holds the label.
    types
        The type of columns by name (str, int, float, bool), if it is not to be inferred.
    data_format
        csv, tsv, parquet, jsonl or text; default by the file's name.
    database
        The database of which `data` is a query: as for `llm_pv.data.databases.read_query`.
    validation, test
        Ready-made validation and test rows, as `data`, but no queries.
    added
        Further training rows, as `data`; the splits of the others stay the same.
    sizes
        The size of each split.
    reading
        The roles of columns (groups, time, weights), how numbers are written, and whether inputs
        are made distinct.
    seed
        The seed of the split.

    Raises
    ------
    DataError
        If rows cannot be read, labelled or split.
    """
    if isinstance(data, Splits):
        return data
    from llm_pv.data.readers import read_table, table_from
    from llm_pv.data.splits import split_tables

    def table(rows: object, known: object = None, named: str | None = target) -> "Table":
        if isinstance(rows, str | Path):
            return read_table(
                rows,
                target=named,
                types=types,
                format=data_format,
                reading=reading,
                learning=True,
            )
        return table_from(rows, known, target=named, types=types, reading=reading, learning=True)

    if database is not None:
        from llm_pv.data.databases import read_query

        data = read_query(str(data), database)
    first = table(data, labels)
    label = target if target or first.labels is None else str(first.labels.name)
    return split_tables(
        first,
        None if validation is None else table(validation),
        None if test is None else table(test),
        added=[table(rows, named=label) for rows in added],
        sizes=asdict(sizes),
        seed=seed,
        reading=reading,
    )
