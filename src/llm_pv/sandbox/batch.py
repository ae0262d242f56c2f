"""The inputs of a run, encoded once in the form that a sandboxed process reads."""

import marshal
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, overload

from llm_pv.errors import DataError

if TYPE_CHECKING:  # that file imports numpy
    from llm_pv.data.examples import Input, Scalar

_TEXT = frozenset({str})
_PLAIN = frozenset({str, int, float, bool, type(None)})


class Batch(Sequence["Input"]):
    """Inputs that were checked and copied once, for running many programs on them.

    A sandbox converts its inputs to a batch. Callers that run many programs on the same rows can
    convert them once.

    Raise DataError if an input is anything else.

    Parameters
    ----------
    inputs
        Strings, or dicts from column name to str, int, float, bool or None (see
        `llm_pv.data.examples.Input`); numpy scalars and subclasses become plain values.

    Examples
    --------
    >>> rows = Batch(["0110", "0111"])
    >>> len(rows), rows[1], [list(part) for part in rows.split(2)]
    (2, '0111', [['0110'], ['0111']])
    """

    def __init__(self, inputs: "Sequence[Input]") -> None:
        self._rows = [_plain_row(position, row) for position, row in enumerate(inputs)]
        self._parts: dict[int, list[Batch]] = {}
        self._encoded: bytes | None = None

    @classmethod
    def of(cls, inputs: "Sequence[Input]") -> "Batch":
        """Return the inputs as a batch, unchanged if they are one already."""
        return inputs if isinstance(inputs, Batch) else cls(inputs)

    @overload
    def __getitem__(self, index: int) -> "Input": ...

    @overload
    def __getitem__(self, index: slice) -> "list[Input]": ...

    def __getitem__(self, index: int | slice) -> "Input | list[Input]":
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> "Iterator[Input]":
        return iter(self._rows)

    def split(self, parts: int) -> list["Batch"]:
        """Return at most this many batches of consecutive rows, of nearly equal size."""
        if parts not in self._parts:
            size = max(math.ceil(len(self) / parts), 1)
            self._parts[parts] = [
                self._of_plain(self._rows[start : start + size])
                for start in range(0, len(self), size)
            ]
        return self._parts[parts]

    def take(self, rows: Iterable[int]) -> "Batch":
        """Return the inputs at these positions, in this order."""
        return self._of_plain([self._rows[row] for row in rows])

    def encoded(self) -> bytes:
        """Return the rows in the form that `decode_rows` reads."""
        if self._encoded is None:
            self._encoded = _encode(self._rows)
        return self._encoded

    @classmethod
    def _of_plain(cls, rows: "list[Input]") -> "Batch":
        batch = cls([])
        batch._rows = rows
        return batch


def _encode(rows: "list[Input]") -> bytes:
    # Column by column, each name once: repeated names would take most of the time to decode.
    names = list(rows[0]) if rows and isinstance(rows[0], dict) else []
    if names and all(isinstance(row, dict) and list(row) == names for row in rows):
        values = [row.values() for row in rows if isinstance(row, dict)]
        return marshal.dumps((names, list(zip(*values, strict=True))))
    return marshal.dumps((None, rows))


def decode_rows(data: bytes) -> "Iterable[Input]":
    """Return the rows that `Batch.encoded` wrote; each dict is a new one.

    Only for bytes from the owner: `marshal` is not safe for untrusted data.
    """
    names, content = marshal.loads(data)  # noqa: S302
    if names is None:
        return content  # type: ignore[no-any-return]
    return (dict(zip(names, values, strict=True)) for values in zip(*content, strict=True))


class LabelledRows:
    """Training rows with their labels, checked and copied once, for code that explores them.

    Candidates never get these: they get a `Batch`, which holds no label.

    Raise DataError if an input or a label is anything else.

    Parameters
    ----------
    rows
        Pairs of an input (see `Batch`) and its label: a str, int, float or bool, or a numpy scalar
        of these.

    Examples
    --------
    >>> decode_labelled(LabelledRows([("0110", False), ("0111", True)]).encoded())
    [('0110', False), ('0111', True)]
    """

    def __init__(self, rows: "Sequence[tuple[Input, object]]") -> None:
        self.inputs = Batch([row for row, _ in rows])
        self.labels = [_plain_label(position, label) for position, (_, label) in enumerate(rows)]
        self._encoded = marshal.dumps((self.inputs.encoded(), self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def encoded(self) -> bytes:
        """Return the rows in the form that `decode_labelled` reads."""
        return self._encoded


def decode_labelled(data: bytes) -> list[tuple[object, object]]:
    """Return the pairs that `LabelledRows.encoded` wrote; only for bytes from the owner."""
    inputs, labels = marshal.loads(data)  # noqa: S302
    return list(zip(decode_rows(inputs), labels, strict=True))


def _plain_row(position: int, row: object) -> "Input":
    if type(row) is str:
        return row
    if isinstance(row, dict):
        if _PLAIN.issuperset(map(type, row.values())) and _TEXT.issuperset(map(type, row)):
            return dict(row)
        return {_plain_name(position, name): _plain(position, row[name]) for name in row}
    if isinstance(row, str):
        return str.__str__(row)
    raise DataError(
        f"input {position} is a {type(row).__name__}: a program gets a string, or a dict from "
        "column name to value"
    )


def _plain_name(position: int, name: object) -> str:
    if isinstance(name, str):
        return str.__str__(name)
    raise DataError(f"input {position} has a column called {name!r}: name columns by strings")


def _plain_label(position: int, label: object) -> "Scalar":
    if label is not None:
        with suppress(DataError):
            return _plain(position, label)
    raise DataError(
        f"the label of row {position} is a {type(label).__name__}: labels are str, int, float or "
        "bool"
    )


def _plain(position: int, value: object) -> "Scalar":
    kind = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[return-value]
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()  # type: ignore[attr-defined]
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    raise DataError(
        f"input {position} holds a {kind.__name__}: columns hold str, int, float, bool or None"
    )
