"""Check rows and labels in the forms that scikit-learn's tools pass to an estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from llm_pv.data.readers import pandas_frame
from llm_pv.errors import DataError

_MOST_CELLS = 20_000_000
"""The most cells of a sparse matrix that is converted to a dense one."""


def checked_labels(y: Any, *, numbers: bool) -> np.ndarray[Any, Any]:
    """Return labels as an array; raise unless they are classes, or `numbers` to be divided.

    Raise DataError if one is missing, or they are of no or several kinds.
    """
    y = pandas_frame(y)
    bare: Any = getattr(getattr(y, "dtype", None), "numpy_dtype", None)  # of Int64, boolean
    if bare is not None:
        if y.isna().any():
            raise DataError(
                f"Input y contains NaN: {int(y.isna().sum())} rows have no label; drop them"
            )
        y = y.to_numpy(dtype=bare)
    elif isinstance(y, pd.Series) and y.dtype == object:
        y = y.infer_objects()
    labels = column_or_1d(y, warn=True)
    if labels.dtype == object:
        _check_texts(labels)
    if labels.dtype.kind not in "biufOU":
        raise DataError(
            f"Unknown label type: y has dtype {labels.dtype}; give numbers, booleans or "
            "strings, such as y.astype(str)"
        )
    labels = check_array(labels, ensure_2d=False, dtype=None, input_name="y")
    if numbers:
        return np.asarray(labels)  # numbers, which are cut into classes
    try:
        check_classification_targets(labels)
    except ValueError as error:
        raise DataError(
            f"{error} To divide numbers into classes, give bins=3 or a threshold."
        ) from None
    classes = np.unique(labels)
    if len(classes) < 2:
        raise DataError(
            f"y has only one class, {classes.tolist()[0]!r}: give rows of two classes or more"
        )
    return np.asarray(labels)


def dense(rows: Any) -> Any:
    """Return a sparse matrix as an array, anything else as it is."""
    if not issparse(rows):
        return rows
    matrix: Any = rows
    cells = matrix.shape[0] * matrix.shape[1]
    if cells > _MOST_CELLS:
        raise DataError(
            f"X is sparse and would have {cells:,} cells as a dense array, more than "
            f"{_MOST_CELLS:,}: give fewer columns"
        )
    return matrix.toarray()


def are_strings(rows: Any) -> bool:
    """Whether the rows are one-dimensional and strings.

    Raise ValueError if only some of them are.
    """
    one_dimensional = getattr(rows, "ndim", 1) == 1
    known = isinstance(rows, Sequence | np.ndarray | pd.Series | pd.Index)
    if not known or not one_dimensional or isinstance(rows, str):
        return False
    others = {number: row for number, row in enumerate(rows) if not isinstance(row, str)}
    if 0 < len(others) < len(rows):
        number, row = next(iter(others.items()))
        raise DataError(
            f"X holds strings and other values, such as {row!r} in row {number}: give a string "
            "for every row, '' where it is missing"
        )
    return not others


def _check_texts(labels: np.ndarray[Any, Any]) -> None:
    """Raise unless labels of dtype object are all strings."""
    if pd.isna(labels).any():
        raise DataError(
            f"Input y contains NaN: {int(pd.isna(labels).sum())} rows have no label; drop them"
        )
    kinds = sorted({type(label).__name__ for label in labels if not isinstance(label, str)})
    if kinds:
        raise DataError(
            f"Unknown label type: y has dtype object and holds {', '.join(kinds)}; give labels of "
            "one kind, such as y.astype(int) or y.astype(str)"
        )


def check_strings(cells: "pd.Series[Any]") -> None:
    """Raise unless a column holds strings, as in `fit`."""
    for cell in cells[cells.notna()]:
        if not isinstance(cell, str):
            raise DataError(
                f"X holds {cell!r} ({type(cell).__name__}), but fit saw strings: give strings"
            )


def check_text_column(cells: "pd.Series[Any]", kind: str) -> None:
    """Raise if numbers come where `fit` saw text: 7 may have been '007'."""
    if kind == "str" and pd.api.types.is_numeric_dtype(cells.dtype) and cells.notna().any():
        raise DataError(
            f"column {cells.name!r} holds {cells.dtype} values but was text in fit: give text"
        )
