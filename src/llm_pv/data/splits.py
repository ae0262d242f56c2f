"""Splitting a user's rows into training, validation and test examples.

Every input occurs once: of rows with equal inputs one is kept, so that no input is in two splits
and the rows a program is scored on are as independent as the certificate assumes. Where the labels
of such rows differ, the row kept is drawn by the seed.

The draws read the raw integers of numpy's PCG64, whose stream numpy promises to keep, and not the
shuffles above it, which it does not; scikit-learn's splitters stand on those, put no bound on the
number of rows and fail on a class with one row.
"""

from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd

from llm_pv.data.allocation import allocate, split_sizes
from llm_pv.data.columns import joint_type, read_cells
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.data.table import Table
from llm_pv.data.targets import check_class_count, read_classes
from llm_pv.errors import ConfigurationError, DataError

_PARTS = ("train", "validation", "test")


def split_table(
    table: Table,
    *,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    seed: int,
) -> Splits:
    """Split one table's rows, every class in proportion.

    Parameters
    ----------
    table
        The rows, with labels.
    train, validation, test
        Rows wanted in each split. Those not given share what the others leave 40 to 40 to 20, up
        to 1,000 training rows and 10,000 validation and test rows.
    seed
        Decides which rows go where; the same on every machine. Not negative.

    Returns
    -------
    Splits
        Examples, each split in random order, with everything the user should know as warnings.

    Raises
    ------
    DataError
        If there are no labels, one class only, or fewer different rows than asked for.
    ConfigurationError
        If a size or the seed cannot be.

    Examples
    --------
    >>> from llm_pv.data.readers import table_from
    >>> table = table_from([f"{n:04b}" for n in range(10)], [n % 2 for n in range(10)])
    >>> splits = split_table(table, seed=0)
    >>> len(splits.train), len(splits.validation), len(splits.test), splits.classes.texts
    (4, 4, 2, ('0', '1'))
    """
    return splits_from_tables(
        table, train_size=train, validation_size=validation, test_size=test, seed=seed
    )


def splits_from_tables(
    train: Table,
    validation: Table | None = None,
    test: Table | None = None,
    *,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    seed: int,
) -> Splits:
    """Make splits of tables that are split already, wholly or in part.

    Types and classes are told from all tables together. An input that occurs in two of them stays
    in the test table, or else in the validation table. What has no table of its own is split off
    the training table: validation rows always, test rows if there is no validation table either
    or `test_size` asks for them.

    Parameters
    ----------
    train, validation, test
        The rows, with labels.
    train_size, validation_size, test_size
        Rows wanted in each split; as in `split_table`, a table of its own being used up to the
        same default limits.
    seed
        As in `split_table`.

    Returns
    -------
    Splits
        As from `split_table`.

    Raises
    ------
    DataError
        As in `split_table`, or if a table lacks a column of the training table.
    ConfigurationError
        As in `split_table`.
    """
    tables = {"train": train, "validation": validation, "test": test}
    given = {part: table for part, table in tables.items() if table is not None}
    pool = _pooled(given)
    kept, warnings = _one_row_an_input(pool, seed)
    asked: dict[str, int | None] = dict(
        zip(_PARTS, (train_size, validation_size, test_size), strict=True)
    )
    if "validation" in given and "test" not in given and test_size is None:
        asked["test"] = 0
    warnings += check_class_count(pool.classes, len(kept))
    names = {part: table.name for part, table in given.items()}
    chosen = _chosen(pool, kept, asked, names, warnings)
    warnings += _missing_classes(pool, kept, chosen)
    texts = pool.classes.texts
    examples = {
        part: Examples(pool.table.inputs(rows), [texts[pool.codes[row]] for row in rows])
        for part, rows in chosen.items()
    }
    told = [warning for table in given.values() for warning in table.warnings]
    return Splits(
        train=examples["train"],
        validation=examples["validation"],
        test=examples["test"],
        classes=pool.classes,
        warnings=(*told, *warnings),
        repeated=len(pool.groups) - len(kept),
        columns=tuple(pool.table.frame.columns),
        types=pool.table.types,
    )


@dataclass(frozen=True, eq=False)
class _Pool:
    """All rows together: where each came from, which input and which class it has."""

    table: Table
    source: "np.ndarray[Any, Any]"
    groups: "np.ndarray[Any, Any]"
    codes: "np.ndarray[Any, Any]"
    classes: Classes


def _pooled(given: dict[str, Table]) -> _Pool:
    first = given["train"]
    tables = [_like(table, first) for table in given.values()]
    labels = [_labels(table) for table in tables]
    types = {
        name: joint_type(
            table.types[name] for table in tables if bool(table.frame[name].notna().any())
        )
        for name in first.types
    }
    if len(tables) == 1:
        joined = tables[0]
    else:
        frame = pd.concat([table.frame.astype(object) for table in tables], ignore_index=True)
        joined = replace(first, frame=frame, labels=None, types=types)
    codes, classes = read_classes(labels, [table.written for table in tables])
    source = np.repeat([_PARTS.index(part) for part in given], [len(table) for table in tables])
    return _Pool(joined, source, _input_groups(joined), codes, classes)


def _like(table: Table, first: Table) -> Table:
    """Return the table with the columns of the first one, or raise."""
    if table is first:
        return table
    if first.single and table.single:
        frame = table.frame.set_axis(list(first.frame.columns), axis=1)
        return replace(table, frame=frame)
    missing = [name for name in first.frame.columns if name not in table.frame.columns]
    if missing or table.single:
        raise DataError(
            f"{table.name} has not the columns of {first.name}: "
            f"{', '.join(map(repr, missing or first.frame.columns))} lacking; give both alike"
        )
    frame = table.frame[list(first.frame.columns)]
    return replace(table, frame=frame.fillna("") if first.single else frame)


def _labels(table: Table) -> "pd.Series[Any]":
    if table.labels is None:
        columns = ", ".join(repr(name) for name in table.frame.columns[:12])
        raise DataError(
            f"{table.name} has no labels: name the target, one of its columns {columns}, or write "
            "lines 'input -> label'"
        )
    if not len(table.labels):
        raise DataError(f"{table.name} has no row with a label: fill in the target column")
    return table.labels


def _input_groups(table: Table) -> "np.ndarray[Any, Any]":
    """Return a number for each row; equal inputs, and only they, share theirs."""
    groups = np.zeros(len(table), dtype=np.int64)
    for name in table.frame.columns:
        cells = table.frame[name]
        values = cells.to_numpy() if table.single else read_cells(cells, table.types[name])
        codes, distinct = pd.factorize(values)  # a missing value has the code -1
        groups, _ = pd.factorize(groups * (len(distinct) + 1) + codes + 1)
    return groups


def _one_row_an_input(pool: _Pool, seed: int) -> tuple["np.ndarray[Any, Any]", list[str]]:
    """Return one row for each input, in random order, and say what was left out."""
    if seed < 0:
        raise ConfigurationError(f"seed {seed}: give a whole number from 0 on")
    keys = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(len(pool.groups))
    order = np.lexsort((keys, -pool.source))  # the test table first: it loses no row to the others
    kept = order[~pd.Series(pool.groups[order]).duplicated().to_numpy()]
    kept = kept[np.argsort(keys[kept], kind="stable")]

    in_tables = pd.unique(pool.groups * len(_PARTS) + pool.source)
    labelled = pd.unique(pool.groups * len(pool.classes) + pool.codes)
    conflicting = np.bincount(labelled // len(pool.classes)) > 1
    warnings: list[str] = []
    if repeated := len(pool.groups) - len(in_tables):
        warnings.append(
            f"rows that repeat the input of another row: {repeated:,} left out, so that every "
            "input counts once"
        )
    if shared := len(in_tables) - len(kept):
        warnings.append(
            f"inputs found in two files: {shared:,}, kept in the test or else the validation file"
        )
    if conflicts := int(conflicting.sum()):
        rows = int(conflicting[pool.groups].sum())
        warnings.append(
            f"inputs with conflicting labels: {conflicts:,} ({rows:,} rows); the label that "
            "counts is drawn by the seed, and no program can know it"
        )
    return kept, warnings


def _chosen(
    pool: _Pool,
    kept: "np.ndarray[Any, Any]",
    asked: dict[str, int | None],
    names: dict[str, str],
    warnings: list[str],
) -> dict[str, list[int]]:
    """Draw the rows of each split from the table it comes from."""
    chosen: dict[str, list[int]] = {}
    for origin, name in names.items():
        rows = kept[pool.source[kept] == _PARTS.index(origin)]
        parts = [p for p in _PARTS if p == origin or (origin == "train" and p not in names)]
        sizes = split_sizes(len(rows), {part: asked[part] for part in parts}, name)
        for part, drawn in zip(parts, _drawn(pool, rows, sizes), strict=True):
            chosen[part] = drawn.tolist()
        left_out = len(rows) - sum(sizes.values())
        if left_out and any(asked[part] is None for part in parts):
            listed = ", ".join(f"{size:,} {part}" for part, size in sizes.items())
            warnings.append(
                f"{name}: {listed} rows drawn of {len(rows):,}; ask for larger splits to use more"
            )
    return {part: chosen[part] for part in _PARTS}


def _drawn(
    pool: _Pool, rows: "np.ndarray[Any, Any]", sizes: dict[str, int]
) -> "list[np.ndarray[Any, Any]]":
    """Deal rows in random order out to splits, each class by its allotted numbers."""
    codes = pool.codes[rows]
    counts = np.bincount(codes, minlength=len(pool.classes))
    shares = allocate(counts, list(sizes.values()), [part != "test" for part in sizes])
    rank = np.empty(len(rows), dtype=np.int64)  # the how-manieth of its class a row is
    starts = np.cumsum(counts) - counts
    rank[np.argsort(codes, kind="stable")] = np.arange(len(rows)) - np.repeat(starts, counts)
    ends = np.cumsum(shares, axis=1)
    split = (rank[:, None] >= ends[codes]).sum(axis=1)
    return [rows[split == number] for number in range(len(sizes))]


def _missing_classes(
    pool: _Pool, kept: "np.ndarray[Any, Any]", chosen: dict[str, list[int]]
) -> list[str]:
    """Say which classes training or validation lacks."""
    counts = np.bincount(pool.codes[kept], minlength=len(pool.classes))
    warnings = []
    for part in ("train", "validation"):
        lacking = sorted(set(range(len(pool.classes))) - set(pool.codes[chosen[part]].tolist()))
        if lacking:
            listed = ", ".join(
                f"{short(pool.classes.texts[code])} ({counts[code]:,} in all)"
                for code in lacking[:5]
            )
            more = f" and {len(lacking) - 5:,} more" if len(lacking) > 5 else ""
            warnings.append(f"classes without a {part} row: {listed}{more}")
    return warnings
