"""Options for reading and splitting rows: the roles of columns, and how numbers are written."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llm_pv.errors import ConfigurationError, DataError

if TYPE_CHECKING:  # the help of a command needs neither
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Reading:
    """The options for reading and splitting a user's rows, which the command line shows too.

    Examples
    --------
    >>> Reading(threshold=140).record()
    {'threshold': 140}
    """

    groups: str | None = None
    "Column that groups rows, such as a patient: a group is in one split. No input unless kept."
    time: str | None = None
    "Column to split by: train on the earlier rows, test on the latest. No input unless kept."
    weights: str | None = None
    "Column with each row's weight. No input."
    keep: tuple[str, ...] = ()
    "Column to take as an input although it looks like an identifier, or has another use."
    distinct_inputs: bool = False
    "Count every input once instead of every row."
    bins: int | None = None
    "Divide a numeric target into this many classes of about equal size."
    threshold: float | None = None
    "Divide a numeric target in two: below this number, and from it on."
    missing: tuple[str, ...] = ()
    "Further spelling of a missing cell."
    decimal: str = "."
    "Decimal separator: . or ,"
    thousands: str | None = None
    "Thousands separator, such as ,"
    delimiter: str | None = None
    "Separator of cells; default inferred from the header."
    encoding: str = "utf-8"
    "Encoding of a text file, such as latin-1."

    def __post_init__(self) -> None:
        if self.groups is not None and self.time is not None:
            raise ConfigurationError("rows are split by groups or by time: give one of the two")
        if self.bins is not None and self.threshold is not None:
            raise ConfigurationError("a target is cut by bins or a threshold: give one of the two")
        if self.bins is not None and not 2 <= self.bins <= 20:
            raise ConfigurationError(f"is {self.bins}; give a number from 2 to 20", "bins")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ConfigurationError(f"is {self.threshold}; give a number", "threshold")
        if self.decimal not in (".", ","):
            raise ConfigurationError(f"is {self.decimal!r}; give . or ,", "decimal")
        if self.thousands not in {None, ".", ",", "'", " ", ""} - {self.decimal}:
            raise ConfigurationError(
                f"is {self.thousands!r}; give another of . , ' or a blank than for decimals",
                "thousands",
            )
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ConfigurationError(f"is {self.delimiter!r}; give one character", "delimiter")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ConfigurationError(
                f"is {self.encoding!r}; give a known one: utf-8, latin-1, cp1252, ...", "encoding"
            ) from None

    @property
    def apart(self) -> dict[str, str]:
        """The columns with a special role, by role."""
        uses = {"groups": self.groups, "time": self.time, "weights": self.weights}
        return {use: column for use, column in uses.items() if column is not None}

    def record(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as plain JSON values."""
        usual = asdict(Reading())
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value != usual[name]
        }

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Reading":
        """Return the options of a `record`."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
        }
        return cls(**values)

    @property
    def rewrites(self) -> bool:
        """Whether `cells` changes any."""
        return bool(self.missing or self.decimal != "." or self.thousands)

    def cells(self, cells: "pd.Series[Any]") -> "pd.Series[Any]":
        """Return a text file's cells with missing ones null and numbers written as Python does."""
        if self.missing:
            cells = cells.mask(cells.str.strip().isin(self.missing))
        if self.decimal == "." and not self.thousands:
            return cells
        sign, point = re.escape(self.thousands or ""), re.escape(self.decimal)
        whole = rf"[0-9]{{1,3}}(?:{sign}[0-9]{{3}})+|[0-9]+" if sign else "[0-9]+"
        number = re.compile(rf"\s*[+-]?(?:{whole})?(?:{point}[0-9]*)?(?:[eE][+-]?[0-9]+)?\s*")

        def canonical(text: Any) -> Any:
            if not isinstance(text, str) or not number.fullmatch(text):
                return text
            bare = text.replace(self.thousands, "") if self.thousands else text
            return bare.replace(self.decimal, ".")

        return cells.map(canonical)


DEFAULT_READING = Reading()


def target_edges(numbers: Sequence["np.ndarray[Any, Any]"], reading: Reading) -> tuple[float, ...]:
    """Return the class boundaries of a numeric target: the threshold, or quantiles of its values.

    Raise DataError if there are fewer different values than bins.
    """
    import numpy as np

    if reading.threshold is not None:
        return (float(reading.threshold),)
    assert reading.bins is not None
    values = np.concatenate(list(numbers))
    shares = np.arange(1, reading.bins) / reading.bins
    # The least value cannot begin a second class: where it is that frequent, the next one does.
    above = values[values > values.min()]
    edges = np.quantile(values, shares, method="inverted_cdf")
    edges = np.unique(np.maximum(edges, above.min())) if len(above) else above
    if len(edges) + 1 < reading.bins:
        raise DataError(
            f"--bins {reading.bins}: the target has too few different values for so many classes; "
            f"only {len(edges) + 1} are possible"
        )
    return tuple(map(float, edges))


def binned(numbers: "np.ndarray[Any, Any]", edges: Sequence[float]) -> list[str]:
    """Return the class of each number.

    Examples
    --------
    >>> import numpy as np
    >>> binned(np.array([1.0, 2.0, 7.5]), (2.0, 5.0))
    ['< 2', '>= 2 and < 5', '>= 5']
    >>> binned(np.array([1.0, 2.0]), (1.0, 1.00000000001))
    ['>= 1.0 and < 1.00000000001', '>= 1.00000000001']
    """
    import numpy as np

    written = [f"{edge:.10g}" for edge in edges]
    if len(set(written)) < len(written):
        written = [repr(float(edge)) for edge in edges]
    middle = [f">= {low} and < {high}" for low, high in pairwise(written)]
    names = [f"< {written[0]}", *middle, f">= {written[-1]}"]
    return [names[place] for place in np.searchsorted(edges, numbers, side="right").tolist()]


def target_numbers(cells: "pd.Series[Any]", reading: Reading) -> "np.ndarray[Any, Any]":
    """Return a target's cells as numbers.

    Raise DataError if a cell is not a number.
    """
    import numpy as np
    import pandas as pd

    if cells.dtype == object or pd.api.types.is_string_dtype(cells.dtype):
        cells = reading.cells(cells)
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isnan(numbers).any():
        place = int(np.flatnonzero(np.isnan(numbers))[0])
        option = "--bins" if reading.bins is not None else "--threshold"
        raise DataError(
            f"{option} cuts a numeric target, and row {int(cells.index[place]) + 1:,} has "
            f"{cells.iloc[place]!r}: correct the cell, or leave {option} out"
        )
    return numbers
