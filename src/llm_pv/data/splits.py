"""Split a user's rows into training, validation and test examples.

Rows are split, not distinct inputs, so that validation rows are distributed like new rows, also if
inputs repeat. Rows of one group are in the same split, and rows with a time are split in its order.
`Reading.distinct_inputs` keeps one row of each input instead; if the labels of such rows differ,
the seed draws the row to keep.

Random draws use the raw integers of numpy's PCG64, whose stream numpy guarantees, and not its
shuffles, whose stream may change; scikit-learn's splitters use those, have no limit on the number
of rows and fail for a class with one row.
"""

from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from reprlib import repr as short
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from llm_pv.data.allocation import allocate, split_sizes
from llm_pv.data.examples import Examples, Splits
from llm_pv.data.pooling import ADDED, PARTS, PooledRows, pooled
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.data.table import Table
from llm_pv.data.targets import check_class_count
from llm_pv.errors import ConfigurationError, DataError


def split_tables(
    train: Table,
    validation: Table | None = None,
    test: Table | None = None,
    *,
    added: Sequence[Table] = (),
    sizes: Mapping[str, int | None] = MappingProxyType({}),
    seed: int,
    reading: Reading = DEFAULT_READING,
) -> Splits:
    """Split the rows of a table, or of tables that are split already, stratified by class.

    Types and classes are inferred from all tables together. Splits without a table are taken from
    the training table: validation rows always, test rows if there is no validation table either
    or their size is given.

    Raise DataError if there are no labels, one class only, fewer rows or groups than asked for, or
    a table lacks a column of the training table. Raise ConfigurationError if a size or the seed is
    invalid.

    Parameters
    ----------
    added
        Further training rows. The splits of the other tables are the same as without them.
    sizes
        The size of each split, by ``"train"``, ``"validation"`` and ``"test"``. Sizes not given
        divide the remaining rows 40 to 40 to 20, up to 10,000 rows each; separate tables are used
        up to the same limits.
    seed
        Decides the split of each row, equally on every machine. Not negative.
    reading
        Options on groups, time and distinct inputs. If inputs must be distinct, one that occurs in
        two tables is kept in the test table, or else in the validation table.

    Returns
    -------
    Splits
        Examples, each split in random order, with warnings for the user.

    Examples
    --------
    >>> from llm_pv.data.readers import table_from
    >>> table = table_from([f"{n:04b}" for n in range(10)], [n % 2 for n in range(10)])
    >>> splits = split_tables(table, seed=0)
    >>> len(splits.train), len(splits.validation), len(splits.test), splits.classes.texts
    (4, 4, 2, ('0', '1'))
    """
    tables = {"train": train, "validation": validation, "test": test}
    given = {part: table for part, table in tables.items() if table is not None}
    if seed < 0:
        raise ConfigurationError(f"seed {seed}: give a whole number from 0 on")
    sources = [*map(PARTS.index, given), *[ADDED] * len(added)]
    pool = pooled([*given.values(), *added], sources, reading)
    deal = _one_row_an_input if reading.distinct_inputs else _every_row
    kept, warnings = deal(pool, seed)
    asked = {part: sizes.get(part) for part in PARTS}
    if "validation" in given and "test" not in given and asked["test"] is None:
        asked["test"] = 0
    if not pool.edges:
        warnings += check_class_count(pool.classes, len(kept))
    names = {part: table.name for part, table in given.items()}
    chosen = _chosen(pool, kept, asked, names, warnings, seed=seed)
    if added:
        chosen["train"] += kept[pool.source[kept] == ADDED].tolist()
        warnings.append(
            f"training rows added: {sum(map(len, added)):,} of "
            f"{', '.join(table.name for table in added)}; they are not drawn like the other rows"
        )
    warnings += [*_missing_classes(pool, kept, chosen), *_shared_groups(pool, chosen)]
    by_time = pool.times is not None and _in_order(pool.times, chosen)
    if pool.times is not None and not by_time:
        warnings.append("--time: validation rows are not all later than the training rows")
    texts = pool.classes.texts
    # All at once: converting a column has a price of its own, however few its rows are.
    inputs = iter(pool.table.inputs([row for rows in chosen.values() for row in rows]))
    examples = {
        part: Examples(
            list(islice(inputs, len(rows))),
            [texts[pool.codes[row]] for row in rows],
            None if pool.weights is None else [float(pool.weights[row]) for row in rows],
            None if pool.units is None else [str(pool.unit_names[pool.units[row]]) for row in rows],
        )
        for part, rows in chosen.items()
    }
    from_tables = [warning for table in (*given.values(), *added) for warning in table.warnings]
    return Splits(
        train=examples["train"],
        validation=examples["validation"],
        test=examples["test"],
        classes=pool.classes,
        warnings=(*from_tables, *warnings),
        repeated=len(pool.groups) - len(kept) if reading.distinct_inputs else 0,
        columns=tuple(pool.table.frame.columns),
        types=pool.table.types,
        edges=pool.edges,
        by_time=by_time,
        odd=pool.table.odd,
    )


def _every_row(pool: PooledRows, seed: int) -> tuple["np.ndarray[Any, Any]", list[str]]:
    """Return all rows in random order; warn of repeated inputs with different labels."""
    keys, in_tables, conflicts = _repeats(pool, seed)
    warnings: list[str] = []
    if shared := in_tables - len(np.unique(pool.groups)):
        warnings.append(
            f"inputs found in two files: {shared:,}; they stay in both, and scores on inputs that "
            "training lacks are shown apart"
        )
    if conflicts:
        warnings.append(f"{conflicts}; no program can be right on all of these")
    return np.argsort(keys, kind="stable"), warnings


def _repeats(pool: PooledRows, seed: int) -> tuple["np.ndarray[Any, Any]", int, str]:
    """Return random keys of rows, how many inputs the tables hold, and conflicts of labels."""
    keys = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(len(pool.groups))
    in_tables = len(pd.unique(pool.groups * (len(PARTS) + 1) + pool.source))
    labelled = pd.unique(pool.groups * len(pool.classes) + pool.codes)
    conflicting = np.bincount(labelled // len(pool.classes)) > 1
    said = (
        f"inputs with conflicting labels: {int(conflicting.sum()):,} "
        f"({int(conflicting[pool.groups].sum()):,} rows)"
    )
    return keys, in_tables, said if conflicting.any() else ""


def _one_row_an_input(pool: PooledRows, seed: int) -> tuple["np.ndarray[Any, Any]", list[str]]:
    """Return one row for each input, in random order; warn of rows left out."""
    keys, in_tables, conflicts = _repeats(pool, seed)
    # The test table first, so that it keeps all its rows; added rows take none from any split.
    rank = np.where(pool.source == ADDED, 1, -pool.source)
    order = np.lexsort((keys, rank))
    kept = order[~pd.Series(pool.groups[order]).duplicated().to_numpy()]
    kept = kept[np.argsort(keys[kept], kind="stable")]

    warnings: list[str] = []
    if repeated := len(pool.groups) - in_tables:
        warnings.append(
            f"rows that repeat the input of another row: {repeated:,} left out, so that every "
            "input counts once"
        )
    if shared := in_tables - len(kept):
        warnings.append(
            f"inputs found in two files: {shared:,}, kept in the test or else the validation file"
        )
    if conflicts:
        warnings.append(
            f"{conflicts}; the label that counts is drawn by the seed, and no program can know it"
        )
    return kept, warnings


def _chosen(
    pool: PooledRows,
    kept: "np.ndarray[Any, Any]",
    asked: dict[str, int | None],
    names: dict[str, str],
    warnings: list[str],
    *,
    seed: int,
) -> dict[str, list[int]]:
    """Draw the rows of each split from its table."""
    chosen: dict[str, list[int]] = {}
    for origin, name in names.items():
        rows = kept[pool.source[kept] == PARTS.index(origin)]
        parts = [p for p in PARTS if p == origin or (origin == "train" and p not in names)]
        sizes = split_sizes(len(rows), {part: asked[part] for part in parts}, name)
        if pool.units is not None:
            dealt = _drawn_by_group(pool, pool.units, rows, sizes, name=name, seed=seed)
        elif pool.times is not None:
            dealt = _drawn_by_time(pool.times, rows, sizes)
        else:
            dealt = _drawn(pool, rows, sizes)
        for part, drawn in zip(parts, dealt, strict=True):
            chosen[part] = drawn.tolist()
        left_out = len(rows) - sum(map(len, dealt))
        if left_out and any(asked[part] is None for part in parts):
            listed = ", ".join(f"{len(chosen[part]):,} {part}" for part in parts)
            warnings.append(
                f"{name}: {listed} rows drawn of {len(rows):,}; ask for larger splits to use more"
            )
    return {part: chosen[part] for part in PARTS}


def _drawn(
    pool: PooledRows, rows: "np.ndarray[Any, Any]", sizes: dict[str, int]
) -> "list[np.ndarray[Any, Any]]":
    """Assign rows in random order to splits, by the allocation of each class."""
    codes = pool.codes[rows]
    counts = np.bincount(codes, minlength=len(pool.classes))
    shares = allocate(counts, list(sizes.values()), [part != "test" for part in sizes])
    rank = np.empty(len(rows), dtype=np.int64)  # the rank of a row within its class
    starts = np.cumsum(counts) - counts
    rank[np.argsort(codes, kind="stable")] = np.arange(len(rows)) - np.repeat(starts, counts)
    ends = np.cumsum(shares, axis=1)
    split = (rank[:, None] >= ends[codes]).sum(axis=1)
    return [rows[split == number] for number in range(len(sizes))]


def _drawn_by_group(
    pool: PooledRows,
    units: "np.ndarray[Any, Any]",
    rows: "np.ndarray[Any, Any]",
    sizes: dict[str, int],
    *,
    name: str,
    seed: int,
) -> "list[np.ndarray[Any, Any]]":
    """Assign whole groups in random order, each to the split that lacks the most rows."""
    there = np.unique(units[rows])
    wanted = [number for number, size in enumerate(sizes.values()) if size]
    if len(there) < len(wanted):
        raise DataError(
            f"{name} has {len(there):,} groups, fewer than the {len(wanted)} splits: give more "
            "groups, or --test-size 0"
        )
    keys = np.random.PCG64(np.random.SeedSequence((seed, 1))).random_raw(len(pool.unit_names))
    counts = np.bincount(units[rows], minlength=len(pool.unit_names))
    targets = np.array(list(sizes.values()), dtype=np.float64)
    dealt = np.zeros(len(targets))
    home = np.full(len(pool.unit_names), -1)
    order = there[np.argsort(keys[there], kind="stable")]
    for place, unit in enumerate(order.tolist()):
        empty = [number for number in wanted if not dealt[number]]
        lack = (targets - dealt) / np.maximum(targets, 1)
        split = int(np.argmax(lack))
        if empty and len(order) - place <= len(empty):
            split = empty[0]
        if dealt[split] >= targets[split]:
            break
        home[unit] = split
        dealt[split] += counts[unit]
    return [rows[home[units[rows]] == number] for number in range(len(sizes))]


def _drawn_by_time(
    times: "np.ndarray[Any, Any]", rows: "np.ndarray[Any, Any]", sizes: dict[str, int]
) -> "list[np.ndarray[Any, Any]]":
    """Assign the latest rows to the last split, those before them to the previous one, and so on.

    Rows of equal time are in the same split, the one that keeps sizes nearer to those requested.
    """
    order = rows[np.argsort(times[rows], kind="stable")]
    _, starts = np.unique(times[order], return_index=True)
    end = len(order)
    dealt: list[np.ndarray[Any, Any]] = []
    for number, size in reversed(list(enumerate(sizes.values()))):
        start = max(0, end - size) if number or sum(sizes.values()) < len(rows) else 0
        if number and size:
            between = starts[(starts > 0) & (starts < end)]
            if not len(between):
                raise DataError(
                    "too many rows have the same time to split by it: give finer times, or other "
                    "sizes"
                )
            start = int(between[np.argmin(np.abs(between - start))])
        dealt.append(order[start:end])
        end = start
    return dealt[::-1]


def _shared_groups(pool: PooledRows, chosen: dict[str, list[int]]) -> list[str]:
    """Return a warning about groups with rows in two splits, which ready-made files can have."""
    if pool.units is None:
        return []
    found = [pd.Series(pool.units[rows]).drop_duplicates() for rows in chosen.values() if rows]
    if not (shared := pd.concat(found).duplicated().sum()):
        return []
    return [
        f"groups found in two files: {shared:,}; the certificate is about new groups, and holds "
        "only if validation has none of training"
    ]


def _in_order(times: "np.ndarray[Any, Any]", chosen: dict[str, list[int]]) -> bool:
    """Whether no row is earlier than one of the split before."""
    parts = [times[rows] for rows in chosen.values() if rows]
    return all(before.max() <= after.min() for before, after in pairwise(parts))


def _missing_classes(
    pool: PooledRows, kept: "np.ndarray[Any, Any]", chosen: dict[str, list[int]]
) -> list[str]:
    """Return warnings about classes missing in training or validation."""
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
