"""The store of data sets on disk, shared by every track.

A data set is stored in ``<root>/<name>/L<length>/seed<derived>/``: the files train.txt, val.txt
and test.txt with one ``<input> -> <label>`` a line, and meta.json, which describes them. It is
written completely or not at all, and read only if its metadata agree with the request; otherwise
an error is raised.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from llm_pv.data.examples import Classes, Examples, Input, Scalar, Splits
from llm_pv.errors import DataError, RunError

_FORMAT = 1
_FILES = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
_META = "meta.json"
_ARROW = " -> "


@dataclass(frozen=True)
class DataSetKey:
    """The key of a stored data set; data sets with equal keys have equal bytes."""

    name: str
    length: int
    sampler: str
    seed: int
    trial: int
    "The seed and the independent repetition."
    train_size: int
    validation_size: int
    test_size: int
    "The requested sizes; a small input space may have given fewer rows."
    variant: str = ""
    "Anything else the rows depend on, such as a table's file and how it was transformed."

    @property
    def derived(self) -> int:
        """A number from the SHA-256 of the key, which names the data set's folder."""
        text = json.dumps(asdict(self), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def directory(self, root: Path) -> Path:
        """Return the folder of this data set under a root."""
        return root / self.name / f"L{self.length}" / f"seed{self.derived}"


def load(root: Path, key: DataSetKey) -> Splits | None:
    """Return a stored data set.

    Raise DataError if the folder holds other data, or files changed since they were written. Raise
    RunError if the files cannot be read.

    Returns
    -------
    Splits or None
        The splits as saved; None if this data set is not stored yet.
    """
    directory = key.directory(root)
    with _naming(directory, "read"):
        if not directory.exists():
            return None
        meta_file = directory / _META
        if not meta_file.is_file():
            raise _refused(directory, f"it has no {_META}")
        meta = _parsed(directory, meta_file.read_bytes())
        _compare(directory, meta, key)
        texts = {}
        for split, file in _FILES.items():
            data = (directory / file).read_bytes()
            if hashlib.sha256(data).hexdigest() != meta["sha256"].get(file):
                raise _refused(directory, f"{file} was changed after it was written")
            texts[split] = data
    try:
        return _splits(texts, meta)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # The digests match, but `save` does not write such rows.
        raise _refused(directory, f"its rows do not go with its {_META}") from error


def save(root: Path, key: DataSetKey, splits: Splits) -> Path:
    """Write a data set, completely or not at all.

    Raise DataError if an input cannot be written as a line. Raise RunError if the folder cannot be
    written.

    Parameters
    ----------
    splits
        Its rows; inputs without line breaks, or table rows.

    Returns
    -------
    Path
        The data set's folder. If another process saved the same data set first, that one is kept.
    """
    directory = key.directory(root)
    columns = _columns(splits)
    try:
        texts = {
            file: "".join(_lines(getattr(splits, split), columns)).encode("utf-8")
            for split, file in _FILES.items()
        }
    except UnicodeEncodeError as error:
        raise DataError(f"half a surrogate pair cannot be stored as text: {error}") from error
    meta = {
        "format": _FORMAT,
        **asdict(key),
        "rows": {split: len(getattr(splits, split)) for split in _FILES},
        "classes": asdict(splits.classes),
        "columns": columns,
        "warnings": list(splits.warnings),
        "sha256": {file: hashlib.sha256(data).hexdigest() for file, data in texts.items()},
    }
    texts[_META] = (json.dumps(meta, indent=2) + "\n").encode("utf-8")
    with _naming(directory, "write"):
        directory.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=directory.parent))
        try:
            unfinished.chmod(0o755)
            for file, data in texts.items():
                _write_durably(unfinished / file, data)
            try:
                unfinished.rename(directory)
            except OSError:
                if not directory.exists():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return directory


def row_text(row: Mapping[str, Scalar]) -> str:
    """Return a table row as one line, ``x0:39,x1:c7``.

    Whole numbers lose their ".0", missing values are empty, and whatever would be mistaken for
    punctuation is percent-encoded.

    Examples
    --------
    >>> row_text({"x0": 39.0, "x1": "c7", "x2": -0.25, "x3": None})
    'x0:39,x1:c7,x2:-0.25,x3:'
    """
    return ",".join(f"{_escaped(name)}:{_value_text(value)}" for name, value in row.items())


def row_of(text: str, numeric: Mapping[str, bool]) -> dict[str, Scalar]:
    """Return the table row of a line written by `row_text`.

    Parameters
    ----------
    numeric
        Which columns hold numbers.

    Examples
    --------
    >>> row_of("x0:39,x1:c7", {"x0": True, "x1": False})
    {'x0': 39.0, 'x1': 'c7'}
    """
    row: dict[str, Scalar] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        name = unquote(name)
        if value == "":
            row[name] = None
        else:
            row[name] = float(value) if numeric[name] else unquote(value).removeprefix("\x00")
    return row


def _value_text(value: Scalar) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # A NUL in front distinguishes an empty category from a missing one; reading removes it.
        return _escaped("\x00" + value if value.startswith("\x00") or not value else value)
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def _escaped(text: str) -> str:
    return "".join(quote(c, safe="") if c in "%,:" or not c.isprintable() else c for c in text)


def _columns(splits: Splits) -> dict[str, bool] | None:
    """Return which columns of a table hold numbers; None for strings."""
    inputs = [*splits.train.inputs, *splits.validation.inputs, *splits.test.inputs]
    if not inputs or isinstance(inputs[0], str):
        return None
    numeric: dict[str, bool] = {}
    for row in inputs:
        if isinstance(row, dict):
            for name, value in row.items():
                number = value is not None and not isinstance(value, str)
                numeric[name] = numeric.get(name, False) or number
    return numeric


def _lines(examples: Examples, columns: dict[str, bool] | None) -> Iterator[str]:
    for item, label in zip(examples.inputs, examples.labels, strict=True):
        text = item if isinstance(item, str) else row_text(item)
        if "\n" in text or "\r" in text or (columns is not None) == isinstance(item, str):
            raise DataError(f"input {text[:40]!r} cannot be stored as a line of text")
        yield f"{text}{_ARROW}{label}\n"


def _splits(texts: Mapping[str, bytes], meta: Mapping[str, Any]) -> Splits:
    classes = Classes(*(tuple(meta["classes"][part]) for part in ("texts", "values")))
    rows = {split: _examples(texts[split].decode("utf-8"), meta["columns"]) for split in _FILES}
    return Splits(
        rows["train"],
        rows["validation"],
        rows["test"],
        classes,
        warnings=tuple(meta["warnings"]),
    )


def _examples(text: str, columns: dict[str, bool] | None) -> Examples:
    inputs: list[Input] = []
    labels: list[str] = []
    for line in text.split("\n")[:-1]:
        item, _, label = line.rpartition(_ARROW)
        inputs.append(item if columns is None else row_of(item, columns))
        labels.append(label)
    return Examples(inputs, labels)


def _parsed(directory: Path, data: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        meta = json.loads(data)
        if isinstance(meta, dict) and isinstance(meta.get("sha256"), dict):
            return meta
    raise _refused(directory, f"its {_META} cannot be read")


def _compare(directory: Path, meta: Mapping[str, Any], key: DataSetKey) -> None:
    for field, wanted in {"format": _FORMAT, **asdict(key)}.items():
        if meta.get(field) != wanted:
            raise _refused(directory, f"its {field} is {meta.get(field)!r}, not {wanted!r}")


def _refused(directory: Path, reason: str) -> DataError:
    return DataError(
        f"{directory} holds other data ({reason}): remove it or choose another dataset directory"
    )


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _naming(directory: Path, verb: str) -> Iterator[None]:
    """Turn an error of the file system into a RunError with the folder and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"cannot {verb} the data set in {directory} ({reason}): "
            "choose another dataset directory"
        ) from error
