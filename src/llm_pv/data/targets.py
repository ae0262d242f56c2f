"""Convert raw target cells to classes, by one rule for all rows and files of a problem.

The cells of a text file are read like inputs: a target whose cells all spell true or false is
``bool``, one of numbers only is numeric, so that ``1`` and ``1.0`` are one class, and any other
is text. Labels from other sources (JSON lines, Parquet, frames, lists) keep their values.
"""

from collections.abc import Sequence
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd

from llm_pv.data.columns import python_values, read_cells, written_type
from llm_pv.data.examples import Classes
from llm_pv.data.labels import label_text
from llm_pv.errors import DataError

_MANY = 20  # up to this many classes are plausible with any number of rows


def read_classes(
    columns: Sequence["pd.Series[Any]"], written: Sequence[bool]
) -> tuple["np.ndarray[Any, Any]", Classes]:
    """Convert the target columns of one problem together.

    Raise DataError if a label is no scalar, or there are fewer than two classes.

    Parameters
    ----------
    written
        For each table, whether its cells are text from a file.

    Returns
    -------
    tuple
        The class of every row, one table after another, as an index into the classes; and the
        classes.

    Examples
    --------
    >>> read_classes([pd.Series(["1", "0"]), pd.Series(["1.0"])], [True, True])
    (array([1, 0, 1]), Classes(texts=('0', '1'), values=(0, 1)))
    """
    rows: list[np.ndarray[Any, Any]] = []
    distinct: list[list[Any]] = []
    for column in columns:
        try:
            numbers, values = pd.factorize(column.astype(object))
        except TypeError:
            raise DataError("a label is a list or the like: labels must be single values") from None
        rows.append(numbers)
        distinct.append(list(values))
    pairs = list(zip(distinct, written, strict=True))
    meaning = _written_values([text for part, is_text in pairs if is_text for text in part])
    values_of = [
        [meaning[cell] for cell in part] if is_text else [_plain(cell) for cell in part]
        for part, is_text in pairs
    ]
    classes = Classes.of([value for part in values_of for value in part])
    if len(classes) < 2:
        only = ", ".join(map(short, classes.values))
        raise DataError(f"every label is {only}: learning needs rows of two classes or more")
    index = {text: number for number, text in enumerate(classes.texts)}
    codes = [
        np.array([index[label_text(value)] for value in part], dtype=np.int64)[numbers]
        for part, numbers in zip(values_of, rows, strict=True)
    ]
    return np.concatenate(codes), classes


def check_class_count(classes: Classes, rows: int) -> list[str]:
    """Return a warning about a target that looks like a measurement or an identifier, if any.

    Raise DataError if there are more than 20 classes and fewer than two rows for each, or decimals.
    """
    count = len(classes)
    if count <= _MANY:
        return []
    numeric = all(isinstance(v, int | float | np.number) for v in classes.values)
    decimals = any(isinstance(v, float) and not v.is_integer() for v in classes.values)
    way_out = "name another target, or make it a few classes first, such as low and high"
    if numeric:
        middle = sorted(map(float, classes.texts))[count // 2]
        way_out = f"cut it with --bins 3 or --threshold {middle:.6g}, or name another target"
    if count * 2 > rows or decimals:
        kind = "a number to predict" if numeric else "a number to predict or an identifier"
        raise DataError(
            f"{rows:,} rows have {count:,} different labels, such as {short(classes.values[0])}: "
            f"they look like {kind}, and LLM-PV learns classes; {way_out}"
        )
    if count * 10 > rows:
        return [f"{rows:,} rows have {count:,} different labels; unless that is meant, {way_out}"]
    return []


def _written_values(texts: Sequence[str]) -> dict[str, Any]:
    """Return the value of each text of a target, given all of them."""
    kind, _ = written_type(texts)
    values = python_values(read_cells(pd.Series(texts, dtype=object, name="label"), kind))
    if kind == "float" and all(isinstance(v, float) and v.is_integer() for v in values):
        values = [int(v) for v in values if isinstance(v, float)]
    return dict(zip(texts, values, strict=True))


def _plain(label: Any) -> Any:
    """Return a Python value for a numpy scalar, a text for a date; other labels unchanged."""
    if hasattr(label, "isoformat"):
        return label.isoformat()
    return label.item() if isinstance(label, np.generic) else label


def label_texts(cells: "pd.Series[Any]", *, written: bool, known: Sequence[str] = ()) -> list[str]:
    """Convert target cells to label texts, for scoring a program with known classes.

    Raise DataError if a label is no scalar.

    Parameters
    ----------
    written
        Whether they are text from a file.
    known
        The texts of the classes. A cell that spells one of them is that class.

    Examples
    --------
    >>> label_texts(pd.Series(["1.0", "0"]), written=True)
    ['1', '0']
    """
    distinct = list(dict.fromkeys(cells.tolist()))
    meaning = _written_values(distinct) if written else {cell: _plain(cell) for cell in distinct}
    try:
        texts = {
            cell: cell if cell in known else label_text(value) for cell, value in meaning.items()
        }
    except (TypeError, ValueError) as error:
        raise DataError(f"column {cells.name!r}: {error}") from error
    return [texts[cell] for cell in cells.tolist()]
