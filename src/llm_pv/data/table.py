"""A table: the rows of one file or frame before they are split, stored by column."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, cast

import pandas as pd

from llm_pv.data.columns import (
    ColumnType,
    check_types,
    dict_rows,
    inferred_type,
    is_identifier,
    python_values,
    read_cells,
    value_type,
    written_type,
)
from llm_pv.data.examples import Input
from llm_pv.data.formats import Content
from llm_pv.data.new_rows import matching_columns
from llm_pv.data.reading import DEFAULT_READING, Reading
from llm_pv.errors import ConfigurationError, DataError


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as read, and the conversion of their cells to inputs.

    Examples
    --------
    >>> table = make_table(pd.DataFrame({"zip": ["007", ""], "age": ["41", "?"]}), written=True)
    >>> table.inputs()
    [{'zip': '007', 'age': 41}, {'zip': None, 'age': None}]
    """

    frame: pd.DataFrame
    """The input columns as in the file or frame, without the target. Missing cells are null. The
    index numbers the rows as read, from 0."""
    labels: "pd.Series[Any] | None"
    "The target's cells, with the same index; None without a target."
    single: bool
    "Whether an input is a plain string (one column of strings) rather than a dict."
    warnings: tuple[str, ...] = ()
    "Warnings for the user, one sentence each."
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    """The type of every column; empty when `single`. Passed as ``types`` when reading other rows,
    it gives programs the same types there."""
    name: str = "the rows"
    written: bool = False
    "Whether the cells are text whose types are inferred."
    apart: Mapping[str, "pd.Series[Any]"] = field(default_factory=dict)
    "Columns with a special role (groups, time, weights), with the same index."
    odd: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    "The odd cells that columns of numbers read as missing; new rows are read alike."

    def __len__(self) -> int:
        return len(self.frame)

    def inputs(self, rows: Sequence[int] | None = None) -> list[Input]:
        """Return the inputs at these positions, or all; only these are converted."""
        frame = self.frame if rows is None else self.frame.iloc[list(rows)]
        if self.single:
            return [str(text) for text in frame.iloc[:, 0].tolist()]
        return dict_rows(
            {
                str(name): python_values(read_cells(cells, self.types[str(name)]))
                for name, cells in frame.items()
            }
        )


def make_table(
    frame: pd.DataFrame,
    *,
    target: str | None = None,
    labels: "pd.Series[Any] | None" = None,
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    written: bool = False,
    name: str = "the rows",
    warnings: Sequence[str] = (),
    reading: Reading = DEFAULT_READING,
    learning: bool = False,
    odd_as_missing: bool = True,
) -> Table:
    """Return a table of a frame: separate the target, drop rows without one, infer types.

    Raise DataError if a column is missing, or a cell is not of its column's type. Raise
    ConfigurationError if a type is not known.

    Parameters
    ----------
    frame
        All columns, named by strings, with an index that counts from 0.
    written
        Whether the cells are text from a file, an empty cell being missing.
    learning
        Whether these are training rows: then columns with a special role and identifiers are no
        inputs, and numbers are read according to `reading`.
    odd_as_missing
        Whether the odd cells of a column that is mostly numbers are missing; else it is text, with
        every cell as written.
    """
    declared = dict(types or {})
    check_types(declared)
    asked = (target, *declared, *(columns or ()), *reading.keep, *reading.apart.values())
    frame = _spelled_as(frame, [column for column in asked if column is not None])
    if target is not None:
        _check_columns([target], list(frame.columns), name, "target")
        labels = frame[target]
    notes = list(warnings)
    apart = _set_apart(frame, reading, target, name) if learning else {}
    if columns is None:
        rest = frame[[column for column in frame.columns if column != target]]
        kept = set(rest.columns) if not learning else {*reading.keep, *declared}
        columns = _inputs_among(rest, reading, kept, written=written, name=name, notes=notes)
    if target in columns or len(set(columns)) < len(columns):
        raise ConfigurationError(
            f"columns {', '.join(columns)}: name each once, and not the target {target!r}"
        )
    _check_columns(columns, list(frame.columns), name, "column")
    _check_columns(declared, list(columns), name, "input column")
    frame = frame[list(columns)]
    if not columns:
        besides = "" if target is None else f" besides the target {target!r}"
        raise DataError(f"{name} has no column{besides}: nothing to learn from")
    if labels is not None:
        labels = _present_labels(labels, written, name, notes)
        if len(labels) < len(frame):
            frame = frame.loc[labels.index]
            apart = {use: cells.loc[labels.index] for use, cells in apart.items()}
    text = all(kind == "str" for kind in declared.values())
    if len(columns) == 1 and text and _all_strings(frame.iloc[:, 0], written):
        cells = frame.iloc[:, 0]
        if empty := int(cells.isna().sum()):
            notes.append(f"{name}: {_rows(empty)} without an input read as the empty string")
        texts = cells.fillna("").to_frame()
        return Table(texts, labels, True, tuple(notes), {}, name, written, apart)
    if written and learning and reading.rewrites:
        frame = pd.DataFrame({key: _canonical(cells, reading) for key, cells in frame.items()})
    read, resolved, odd = _resolved_types(frame, declared, written, odd_as_missing, name, notes)
    return Table(read, labels, False, tuple(notes), resolved, name, written, apart, odd)


def labelled(content: Content, target: str | None) -> tuple[Content, "pd.Series[Any]"]:
    """Return the rows of a file that have a label, with all their columns, and the labels.

    Raise ConfigurationError if no column holds labels, DataError if there is no such column.
    """
    target = content.target or target
    if target is None:
        raise ConfigurationError("name the column that holds the label with --target")
    frame = _spelled_as(content.frame, [target])
    _check_columns([target], list(frame.columns), content.name, "target")
    notes = list(content.warnings)
    labels = _present_labels(frame[target], content.written, content.name, notes)
    frame = frame.loc[labels.index]
    return replace(content, frame=frame, target=target, warnings=tuple(notes)), labels


def _spelled_as(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return a frame whose columns have the Unicode form of these names."""
    there = matching_columns(frame, names)
    return frame.rename(columns={found: name for name, found in there.items() if found != name})


def _set_apart(
    frame: pd.DataFrame, reading: Reading, target: str | None, name: str
) -> dict[str, "pd.Series[Any]"]:
    """Return the columns with a special role."""
    _check_columns(reading.keep, list(frame.columns), name, "column")
    for use, column in reading.apart.items():
        _check_columns([column], list(frame.columns), name, f"{use} column")
        if column == target:
            raise ConfigurationError(f"column {column!r} is the target, it cannot be --{use} too")
    return {use: frame[column] for use, column in reading.apart.items()}


def _inputs_among(
    frame: pd.DataFrame,
    reading: Reading,
    kept: Collection[str],
    *,
    written: bool,
    name: str,
    notes: list[str],
) -> list[str]:
    """Return the columns that are inputs; add notes on those left out."""
    columns = list(frame.columns)
    special = {*reading.apart.values()} - {*kept}
    left = [column for column in columns if column in special]
    if left:
        notes.append(f"{name}: columns {_listed(left)} are no inputs; --keep takes them in")
    rest = [column for column in columns if column not in special]
    identifiers = {
        column: None
        for column in rest
        if column not in kept and is_identifier(frame[column], written)
    }
    if not identifiers or len(identifiers) == len(rest):
        return rest
    notes.append(
        f"{name}: columns {_listed(identifiers)} look like identifiers (every row has another "
        "value, which new rows will not have) and are left out; --keep NAME takes one in"
    )
    return [column for column in rest if column not in identifiers]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _canonical(cells: "pd.Series[Any]", reading: Reading) -> "pd.Series[Any]":
    """Return a file's cells with what `reading` says of them, numbers only if all are some."""
    read = reading.cells(cells)
    if read is cells or read.dropna().equals(cells[read.notna()]):
        return read
    kind, _, _ = inferred_type(read.dropna().tolist())
    return cells.where(read.notna()) if kind == "str" else read


def _resolved_types(  # noqa: PLR0917
    frame: pd.DataFrame,
    declared: Mapping[str, str],
    written: bool,
    odd_as_missing: bool,
    name: str,
    notes: list[str],
) -> tuple[pd.DataFrame, dict[str, ColumnType], dict[str, tuple[str, ...]]]:
    """Return the frame, its odd cells missing; the type of every column; the odd cells by column.

    Add spellings read as missing to `notes`.
    """
    resolved: dict[str, ColumnType] = {}
    odd: dict[str, tuple[str, ...]] = {}
    masked: dict[str, pd.Series[Any]] = {}
    for column, given in frame.items():
        key, cells = str(column), given
        if written and "" in given.tolist():
            cells = masked[key] = given.mask(given == "")
        if key in declared:
            resolved[key] = cast("ColumnType", declared[key])
            read_cells(cells, resolved[key])  # raises if a cell is not of that type
            continue
        resolved[key], others = _inferred_type(cells, written, odd_as_missing, name, notes)
        if others:
            odd[key] = tuple(sorted(others))
            masked[key] = cells.mask(cells.isin(odd[key]))
    return frame.assign(**masked), resolved, odd


def _check_columns(
    wanted: Sequence[str] | Mapping[str, str], there: list[str], name: str, role: str
) -> None:
    known = set(there)
    for column in wanted:
        if column not in known:
            folded = {other.casefold(): other for other in there}
            close = get_close_matches(column.casefold(), folded, n=1)
            hint = f" (did you mean {folded[close[0]]!r}?)" if close else ""
            listed = ", ".join(map(repr, there[:12]))
            more = f", ... ({len(there)} in all)" if len(there) > 12 else ""
            raise DataError(
                f"{name} has no {role} {column!r}{hint}; its columns are {listed}{more}"
            )


def _present_labels(
    labels: "pd.Series[Any]", written: bool, name: str, notes: list[str]
) -> "pd.Series[Any]":
    """Return the labels that are not missing, those from a file without surrounding spaces.

    Add a note on rows without one.
    """
    present = labels.dropna()
    if written:
        present = present.str.strip()
        _, spelled = written_type(present.tolist())
        present = present[~present.isin(["", *spelled])]
    if lost := len(labels) - len(present):
        notes.append(f"{name}: {_rows(lost)} without a label left out")
    return present


def _all_strings(cells: "pd.Series[Any]", written: bool) -> bool:
    kinds = set(map(type, cells.dropna().tolist()))
    return written or (bool(kinds) and all(issubclass(kind, str) for kind in kinds))


def _inferred_type(
    cells: "pd.Series[Any]", written: bool, odd_as_missing: bool, name: str, notes: list[str]
) -> tuple[ColumnType, frozenset[str]]:
    """Return a column's type, and the odd cells that a column of numbers reads as missing."""
    if not written:
        if (kind := value_type(cells)) == "str":
            notes.extend(_note_on_numbers(cells, name))
        return kind, frozenset()
    kind, spelled, odd = inferred_type([text for text in cells.tolist() if isinstance(text, str)])
    if odd and not odd_as_missing:
        return "str", frozenset()
    if read_as_missing := [*spelled, *odd]:
        count = int(cells.isin(read_as_missing).sum())
        listed = ", ".join(sorted(map(repr, read_as_missing))[:8])
        more = ", ..." if len(read_as_missing) > 8 else ""
        notes.append(
            f"{name}: cells read as missing in column {cells.name!r}: {count:,} ({listed}{more})"
        )
    return kind, odd


def _note_on_numbers(cells: "pd.Series[Any]", name: str) -> list[str]:
    """Return a note if a column of strings, which stay strings, would be numbers in a file."""
    texts = cells.dropna().tolist()
    if not all(isinstance(text, str) for text in texts):
        return []
    kind, spelled, odd = inferred_type(texts)
    if kind not in ("int", "float") or not (others := sorted(map(repr, spelled | odd))):
        return []
    return [
        f"{name}: column {cells.name!r} is text, but all cells except {', '.join(others[:8])} are "
        "numbers; convert it to use them as numbers, as pandas.to_numeric(errors='coerce') does"
    ]


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
