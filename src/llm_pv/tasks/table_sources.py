"""Where the benchmark's tables come from: UCI with a disk cache, scikit-learn, or a CSV file."""

import contextlib
import csv
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_pv.errors import DataError, MissingExtraError

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
