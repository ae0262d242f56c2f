"""Labelled examples and their splits, the types that all other packages use."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_pv.data.labels import label_text
from llm_pv.errors import DataError

if TYPE_CHECKING:
    import numpy as np

Scalar: TypeAlias = str | int | float | bool | None
"""The type of a column's value in a table row; None for a missing value."""

Input: TypeAlias = str | dict[str, Scalar]
"""The input of a program: a string, or a table row as a dict from column name to value."""


@dataclass(frozen=True)
class Examples:
    """Inputs with their labels, in order.

    Parameters
    ----------
    inputs
        Strings, or dicts from column name to value; n of them.
    labels
        The n labels as texts (see `label_text`).
    weights
        The n weights, if rows have different weights; not negative.
    groups
        The n groups as texts, if rows are grouped.

    Examples
    --------
    >>> rows = Examples(["0110", "0111"], ["0", "1"])
    >>> len(rows), rows.take([1]).inputs
    (2, ['0111'])
    """

    inputs: Sequence[Input]
    labels: Sequence[str]
    weights: Sequence[float] | None = None
    groups: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise DataError(
                f"{len(self.inputs)} inputs and {len(self.labels)} labels: give one label an input"
            )
        for name, values in (("weights", self.weights), ("groups", self.groups)):
            if values is not None and len(values) != len(self.labels):
                raise DataError(f"{len(self.inputs)} inputs and {len(values)} {name}: give as many")

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: "Sequence[int] | np.ndarray[Any, Any]") -> "Examples":
        """Return the examples at these positions, in this order."""
        return Examples(
            [self.inputs[i] for i in indices],
            [self.labels[i] for i in indices],
            None if self.weights is None else [self.weights[i] for i in indices],
            None if self.groups is None else [self.groups[i] for i in indices],
        )

    def weighted(self, factors: Sequence[float]) -> "Examples":
        """Return the examples with their weights, 1 if they have none, times these."""
        own = self.weights or [1.0] * len(self)
        weights = [weight * factor for weight, factor in zip(own, factors, strict=True)]
        return replace(self, weights=weights)

    def digest(self) -> str:
        """Return a SHA-256 of inputs and labels, the same on every machine."""
        parts: list[object] = [list(self.inputs), list(self.labels)]
        parts += [list(more) for more in (self.weights, self.groups) if more is not None]
        text = json.dumps(parts, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def resampled(examples: Examples) -> Examples:
    """Return rows repeated in proportion to their weights, for learners without weights.

    At most four times as many rows result; rows of little weight are then left out in turn.

    Examples
    --------
    >>> rows = Examples(["a", "b", "c", "d"], ["0", "0", "0", "1"], weights=[1, 1, 1, 3])
    >>> resampled(rows).inputs
    ['a', 'b', 'c', 'd', 'd', 'd']
    """
    if examples.weights is None or not sum(examples.weights):
        return examples
    least = min(weight for weight in examples.weights if weight > 0)
    total = sum(examples.weights)
    scale = min(1 / least, 4 * len(examples) / total)
    rows: list[int] = []
    reached = 0.0
    for row, weight in enumerate(examples.weights):
        reached += weight * scale
        # The rounding remainder of one row is carried to the next, so that the total is right.
        rows += [row] * (math.floor(reached + 1e-9) - len(rows))
    return Examples([examples.inputs[row] for row in rows], [examples.labels[row] for row in rows])


@dataclass(frozen=True)
class Classes:
    """The classes of a problem: their texts, which programs return, and the user's values.

    Parameters
    ----------
    texts
        The distinct label texts, sorted.
    values
        The user's own value for each text, in the same order: ``True`` for ``"1"``, say.

    Examples
    --------
    >>> Classes.of([True, False, True])
    Classes(texts=('0', '1'), values=(False, True))
    """

    texts: tuple[str, ...]
    values: tuple[object, ...]

    @classmethod
    def of(cls, labels: Sequence[object]) -> "Classes":
        """Collect the distinct classes of a sequence of labels.

        Raises
        ------
        DataError
            If a label is none, or two different values share one text (1 and "1").
        """
        known: dict[str, object] = {}
        for label in set(labels):
            try:
                text = label_text(label)
            except (TypeError, ValueError) as error:
                raise DataError(f"label {label!r}: {error}; drop or correct these rows") from error
            if known.setdefault(text, label) != label:
                raise DataError(f"labels {known[text]!r} and {label!r} both read {text!r}")
        texts = tuple(sorted(known))
        return cls(texts, tuple(known[text] for text in texts))

    def __len__(self) -> int:
        return len(self.texts)

    def value(self, text: str) -> object:
        """Return the user's value for a label's text."""
        return self.values[self.texts.index(text)]


@dataclass(frozen=True)
class Splits:
    """Training, validation and test examples.

    Parameters
    ----------
    train
        Examples for proposers.
    validation
        Examples for selection; never passed to a proposer.
    test
        Examples scored once, for the selected program; may be empty.
    classes
        The classes over all three.
    warnings
        Warnings for the user about these rows, one sentence each.
    repeated
        Rows left out because their input occurs in another row, if every input counts once.
    columns
        The names of the input columns, if the inputs come from columns.
    types
        The type of each column; empty if an input is a plain string.
    edges
        The boundaries between the classes of a numeric target; empty for other targets.
    by_time
        Whether training rows are earlier than validation rows, and these than test rows.
    odd
        The odd cells that columns of numbers read as missing.
    """

    train: Examples
    validation: Examples
    test: Examples
    classes: Classes
    warnings: tuple[str, ...] = ()
    repeated: int = 0
    columns: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    by_time: bool = False
    odd: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def digest(self) -> str:
        """Return a SHA-256 of all rows, the same on every machine."""
        parts = (part.digest() for part in (self.train, self.validation, self.test))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()
