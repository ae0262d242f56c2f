"""Tables: rows of features, anonymous by default, with the label of their source.

``x0:0.41,x1:c3`` is a row of one number and one category; a program receives it as the dict
``{"x0": 0.41, "x1": "c3"}``. Missing values are None. There is one sampler: the rows are what
they are, and either name draws the same.
"""

import contextlib
import csv
import hashlib
import io
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from llm_pv.data.examples import Scalar, Splits
from llm_pv.data.store import row_of, row_text
from llm_pv.errors import DataError, MissingExtraError
from llm_pv.tasks import drawing
from llm_pv.tasks.task import Lengths, Task
from llm_pv.tasks.words import Words

_MISSING = frozenset({"", "?", "nan"})


@dataclass(frozen=True)
class TableSource:
    """One published table."""

    name: str
    uci_id: int
    "Its number in the UCI repository; 0 for scikit-learn's copy of breast_cancer."
    target: str
    positive: str
    "The target's value for class 1; a full stop at its end does not count."
    features: int
    revision: int = 1
    """Counts changes of what the labels mean, so that stored rows of an earlier one are not taken
    for these."""


@dataclass(frozen=True)
class RawTable:
    """A table as text: what its columns are called, its rows, and their labels."""

    columns: list[str]
    rows: list[list[str | None]]
    "Values as text, None where one is missing; one list a row."
    labels: list[int]
    "0 or 1 a row."


def cache_directory() -> Path:
    """Return the folder that fetched tables are kept in."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("llm-pv")) / "tables"


def read_table(source: TableSource, path: Path | None) -> RawTable:
    """Read a table from a file, from the cache, from scikit-learn or from UCI.

    Parameters
    ----------
    source
        Which table.
    path
        A CSV file with a header, the features and the target column; None to fetch the table.

    Raises
    ------
    DataError
        If the file is not such a table, or the table cannot be fetched.
    MissingExtraError
        If it has to be fetched and ucimlrepo is not installed.
    """
    if path is not None:
        return _parse(source, _text(path), str(path))
    if not source.uci_id:
        return _parse(source, _scikit_learn_copy(source), source.name)
    cached = cache_directory() / f"{source.name}.csv"
    if not cached.is_file():
        _keep(cached, _fetch(source))
    return _parse(source, _text(cached), str(cached))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: save it as a UTF-8 CSV file") from error


def _parse(source: TableSource, text: str, origin: str) -> RawTable:
    lines = csv.reader(io.StringIO(text), skipinitialspace=True)
    header = next(lines, [])
    if source.target not in header:
        raise DataError(
            f"{origin} has no column {source.target!r}, which holds the label of {source.name}: "
            f"its columns are {', '.join(header[:8]) or 'none'}"
        )
    at = header.index(source.target)
    columns = header[:at] + header[at + 1 :]
    if len(columns) < source.features:
        raise DataError(f"{origin} has {len(columns)} features, {source.name} {source.features}")
    # The published chess task has one feature less than UCI's table.
    used = source.features
    rows: list[list[str | None]] = []
    labels: list[int] = []
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise DataError(f"{origin}, line {number}: {len(cells)} values, not {len(header)}")
        label = cells.pop(at).strip().rstrip(".")
        rows.append([_value(cell) for cell in cells[:used]])
        labels.append(int(label in (source.positive, f"{source.positive}.0")))
    if len(set(labels)) < 2:
        raise DataError(
            f"{origin} has rows of one class only: {source.target!r} should be "
            f"{source.positive!r} for some rows and not for others"
        )
    return RawTable(columns[:used], rows, labels)


def _value(cell: str) -> str | None:
    stripped = cell.strip()
    return None if stripped.lower() in _MISSING else stripped


def _scikit_learn_copy(source: TableSource) -> str:
    from sklearn.datasets import load_breast_cancer

    data: Any = load_breast_cancer()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*data.feature_names.tolist(), source.target])
    for row, label in zip(data.data.tolist(), data.target.tolist(), strict=True):
        writer.writerow([*map(repr, row), label])
    return out.getvalue()


def _fetch(source: TableSource) -> str:
    try:
        from ucimlrepo import fetch_ucirepo
    except ImportError:
        raise MissingExtraError("ucimlrepo", "tasks", f"fetch {source.name} from UCI") from None
    try:
        data = fetch_ucirepo(id=source.uci_id).data
        frame = data.features.assign(**{source.target: data.targets.iloc[:, 0]})
    except Exception as error:
        # ucimlrepo lets any error of urllib and pandas out.
        raise DataError(
            f"cannot fetch {source.name} (UCI id {source.uci_id}: "
            f"{str(error) or type(error).__name__}): save it as CSV and give it with --table FILE"
        ) from error
    return str(frame.to_csv(index=False))


def _keep(path: Path, text: str) -> None:
    """Write the cache's file atomically; without a cache the table is fetched every time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(unfinished).replace(path)


_SMALLEST_SLOPE = 0.1

_SOURCES = {
    source.name: source
    for source in (
        TableSource("adult_income", 2, "income", ">50K", 14),
        TableSource("mushroom", 848, "class", "e", 20, revision=2),
        TableSource("cdc_diabetes", 891, "Diabetes_binary", "1", 21),
        TableSource("htru2", 372, "class", "1", 8),
        TableSource("chess", 22, "wtoeg", "won", 35),
        TableSource("breast_cancer", 0, "target", "1", 30),
    )
}


@dataclass(frozen=True)
class TableOptions:
    """Which table to draw from, and how it is shown."""

    name: str
    path: Path | None = None
    "A CSV file to read it from, None to fetch it."
    raw: bool = False

    def variant(self) -> str:
        """Return the options that differ from the default data set; empty for the default."""
        parts = ["raw"] if self.raw else []
        revision = _SOURCES[self.name].revision
        if revision > 1:
            parts.append(f"revision={revision}")
        if self.path is not None and self.path.is_file():
            parts.append(f"file={hashlib.sha256(self.path.read_bytes()).hexdigest()}")
        return ",".join(parts)

    def draw(self, source: drawing.Source, sizes: drawing.Sizes) -> Splits:
        """Draw balanced splits of the table's different rows.

        Rows that occur in both classes are left out.

        Raise DataError if the table is not available, or has too few rows.
        """
        table = read_table(_SOURCES[self.name], self.path)
        numeric = [_is_numeric([row[i] for row in table.rows]) for i in range(len(table.columns))]
        rows = (
            _raw(table, numeric) if self.raw else anonymous(self.name, table, numeric, source.seed)
        )
        classes: tuple[dict[str, None], dict[str, None]] = ({}, {})
        for row, label in zip(rows, table.labels, strict=True):
            classes[label][row_text(row)] = None
        members = [[text for text in classes[i] if text not in classes[1 - i]] for i in (0, 1)]
        names = dict(zip(rows[0], numeric, strict=True))
        same_for_both = drawing.Source(
            source.task, source.length, "paper", source.seed, source.trial
        )
        drawn = drawing.deal(same_for_both, sizes, members)
        return drawn.splits(lambda text: row_of(text, names))


def anonymous(
    name: str, table: RawTable, numeric: list[bool], seed: int
) -> list[dict[str, Scalar]]:
    """Hide what would let a model recognise a famous table.

    Columns become x0, x1, ...; the categories of a column c0, c1, ... in the order of their
    names; a number is standardised, mapped by ``slope * z + offset`` and rounded to two decimals,
    slope and offset being standard normal, drawn a column from the table's name and the seed, the
    slope again until it is 0.1 or more in size.

    Parameters
    ----------
    name
        The task's name, on which the maps depend.
    """
    columns: list[list[Scalar]] = []
    for i in range(len(table.columns)):
        values = [row[i] for row in table.rows]
        columns.append(
            _mapped(values, Words(f"table|{name}|{i}|{seed}"))
            if numeric[i]
            else _renumbered(values)
        )
    names = [f"x{i}" for i in range(len(columns))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _is_numeric(values: list[str | None]) -> bool:
    """Tell whether a column holds numbers, more than two different ones."""
    different = {value for value in values if value is not None}
    try:
        return len({float(value) for value in different if math.isfinite(float(value))}) > 2
    except ValueError:
        return False


def _raw(table: RawTable, numeric: list[bool]) -> list[dict[str, Scalar]]:
    rows: list[dict[str, Scalar]] = []
    for values in table.rows:
        cells = zip(table.columns, values, numeric, strict=True)
        rows.append(
            {
                name: float(value) if number and value is not None else value
                for name, value, number in cells
            }
        )
    return rows


def _renumbered(values: list[str | None]) -> list[Scalar]:
    known = sorted({value for value in values if value is not None})
    names = {value: f"c{i}" for i, value in enumerate(known)}
    return [None if value is None else names[value] for value in values]


def _mapped(values: list[str | None], words: Words) -> list[Scalar]:
    numbers = [float(value) for value in values if value is not None]
    # fsum gives the same sums on every machine, whatever the order of its additions.
    mean = math.fsum(numbers) / len(numbers)
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in numbers) / len(numbers)) or 1.0
    slope = _normal(words)
    while abs(slope) < _SMALLEST_SLOPE:
        slope = _normal(words)
    offset = _normal(words)
    return [
        None
        if value is None
        else round(slope * ((float(value) - mean) / deviation) + offset, 2) + 0.0
        for value in values
    ]


def _normal(words: Words) -> float:
    """Draw a standard-normal number, rounded so that no libm's last bit shows."""
    share = (int(words.below(1 << 31, 1)[0]) + 0.5) / (1 << 31)
    return round(NormalDist().inv_cdf(share), 6)


def _task(task_id: str, name: str, description: str) -> Task:
    features = _SOURCES[name].features
    return Task(
        id=task_id,
        name=name,
        description=description,
        alphabet="table",
        examples=("x0:-0.25,x1:c1,...", "x0:0.41,x1:c3,..."),
        lengths=Lengths((features,), features, features, reason="the number of its features"),
        length_generalising=False,
    )


TASKS = (
    _task("fn_m", "adult_income", "the income is above 50K (UCI 2, 14 features)"),
    _task("fn_n", "mushroom", "the mushroom is edible (UCI 848, 20 features)"),
    _task("fn_o", "cdc_diabetes", "the person has diabetes (UCI 891, 21 features)"),
    _task("fn_p", "htru2", "the candidate is a pulsar (UCI 372, 8 features)"),
    _task("fn_q", "chess", "white can win (UCI 22, 35 features)"),
    _task("", "breast_cancer", "the tumour is benign (scikit-learn's copy, 30 features)"),
)
