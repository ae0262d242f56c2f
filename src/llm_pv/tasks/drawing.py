"""Draw balanced splits: labels, distinct inputs, small spaces, nested sizes.

Every data set has two pools, each with its own random stream: up to 10,000 test rows, and
the labelled rows that training and validation share. A pool is a sequence of pairs, one row of
each class, so that every even size is a balanced prefix of every larger one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tasks.task import Candidates, SamplerName, Task
from llm_pv.tasks.words import Words

TEST_POOL = 10_000
"""The test pool's rows; no data set has more test rows."""

Row = TypeVar("Row")

_TEST, _LABELLED, _TEST_ORDER, _LABELLED_ORDER, _SHUFFLE = range(5)

_HOPELESS = 1 << 18
"""The number of candidates after which a class without any counts as empty."""


@dataclass(frozen=True)
class Sizes:
    """The number of rows of each split."""

    train: int
    validation: int
    test: int

    def check(self) -> None:
        """Raise an error for sizes that no balanced data set can have.

        Raise ConfigurationError if a size is negative or odd, the test split larger than its pool,
        or all are 0.
        """
        for name in ("train", "validation", "test"):
            size = getattr(self, name)
            if size < 0 or size % 2:
                raise ConfigurationError(
                    f"{name} size {size} cannot be half of each class: give an even number"
                )
        if self.test > TEST_POOL:
            raise ConfigurationError(
                f"test size {self.test:,} is more than the pool every track shares: "
                f"at most {TEST_POOL:,}"
            )
        if self.labelled + self.test == 0:
            raise ConfigurationError("every split is empty: give at least one size above 0")

    @property
    def labelled(self) -> int:
        """Rows of the labelled pool: training and validation together."""
        return self.train + self.validation

    @property
    def each(self) -> tuple[int, int, int]:
        """The three sizes in order."""
        return self.train, self.validation, self.test

    def __str__(self) -> str:
        return f"train {self.train:,}, validation {self.validation:,}, test {self.test:,}"


@dataclass(frozen=True)
class Source:
    """The arguments on which a data set's rows depend, except its sizes."""

    task: Task
    length: int
    sampler: SamplerName
    seed: int
    trial: int

    def words(self, purpose: int) -> Words:
        """Return the random stream for one purpose; trials use spawned, independent seeds."""
        key = f"{self.task.name}|{self.length}|{self.sampler}|{self.seed}"
        return Words(key, (self.trial, purpose))


@dataclass(frozen=True)
class Drawn(Generic[Row]):
    """The rows of three splits as (input, label) pairs."""

    train: list[tuple[Row, int]]
    validation: list[tuple[Row, int]]
    test: list[tuple[Row, int]]
    warnings: tuple[str, ...]

    def splits(self, read: Callable[[Row], Input]) -> Splits:
        """Return the splits, with rows converted to inputs."""
        train, validation, test = (
            Examples([read(row) for row, _ in rows], [str(label) for _, label in rows])
            for rows in (self.train, self.validation, self.test)
        )
        return Splits(train, validation, test, Classes(("0", "1"), (0, 1)), self.warnings)


class _Pool:
    """The distinct inputs of either class, in the order of one random stream."""

    def __init__(self, source: Source, purpose: int, seen: set[bytes]) -> None:
        self.rows: tuple[list[bytes], list[bytes]] = ([], [])
        self._source = source
        self._sampler = source.task.samplers[source.sampler]
        self._words = source.words(purpose)
        self._seen = seen
        self._hits = [0, 0]
        self._drawn = 0

    def fill(self, wanted: int) -> None:
        """Draw blocks until there are this many rows of each class, or no more exist."""
        while any(len(self.rows[label]) < wanted and not self.exhausted(label) for label in (0, 1)):
            self._add(self._sampler.draw(self._words, self._source.length))

    def exhausted(self, label: int) -> bool:
        """Return whether a class very likely has no further inputs."""
        if not self._hits[label]:
            return self._drawn >= _HOPELESS
        return self._hits[label] >= self._sampler.patience * max(32, len(self.rows[label]))

    def _add(self, candidates: Candidates) -> None:
        symbols = np.ascontiguousarray(candidates.symbols)
        self._drawn += len(symbols)
        target = self._source.task.target_function
        assert target is not None
        labels = target(symbols)
        if candidates.intended is not None:
            as_intended = labels == candidates.intended
            symbols, labels = symbols[as_intended], labels[as_intended]
        width = symbols.shape[1]
        for label in (0, 1):
            chosen = symbols[labels == label]
            self._hits[label] += len(chosen)
            texts = chosen.view(f"S{width}").ravel().tolist()
            fresh = [text for text in dict.fromkeys(texts) if text not in self._seen]
            self._seen.update(fresh)
            self.rows[label].extend(fresh)


def draw(source: Source, sizes: Sizes) -> Drawn[bytes]:
    """Draw the three splits of a data set.

    Raise DataError if there are too few inputs for any data set of this shape.

    Returns
    -------
    Drawn
        Balanced splits with no input in two of them, nor twice in one; inputs as ASCII bytes.
    """
    seen: set[bytes] = set()
    apart = 0 < source.task.apart_from <= source.length
    test = _Pool(source, _TEST, seen)
    test.fill((sizes.test if apart else TEST_POOL) // 2)
    labelled = _Pool(source, _LABELLED, seen)
    labelled.fill(sizes.labelled // 2)
    classes = []
    for label in (0, 1):
        if len(labelled.rows[label]) >= sizes.labelled // 2 and not test.exhausted(label):
            classes.append((test.rows[label], labelled.rows[label][: sizes.labelled // 2]))
        else:
            classes.append(_dealt(source, sizes, label, test.rows[label] + labelled.rows[label]))
    return _assembled(source, sizes, classes)


def deal(source: Source, sizes: Sizes, members: Sequence[Sequence[Row]]) -> Drawn[Row]:
    """Draw the three splits of a data set from all members of either class."""
    return _assembled(
        source, sizes, [_dealt(source, sizes, label, members[label]) for label in (0, 1)]
    )


def _dealt(
    source: Source, sizes: Sizes, label: int, members: Sequence[Row]
) -> tuple[list[Row], list[Row]]:
    """Return a class's rows for the test split and for the labelled pool.

    All rows are shuffled, because the rarest inputs were found last, and taken from both ends: the
    test split gets those that the labelled rows leave.
    """
    order = source.words(_SHUFFLE + label).permutation(len(members))
    shuffled = [members[i] for i in order]
    cut = len(shuffled) - min(sizes.labelled // 2, len(members) // 2)
    return shuffled[:cut], shuffled[cut:][::-1]


def _assembled(
    source: Source, sizes: Sizes, classes: Sequence[tuple[list[Row], list[Row]]]
) -> Drawn[Row]:
    """Return splits of each class's test and labelled rows, reduced to the rarer class's size."""
    fitted = _fitted(sizes, *(min(len(rows[i]) for rows in classes) for i in (0, 1)))
    warnings: tuple[str, ...] = ()
    if fitted != sizes:
        available, label = min((len(a) + len(b), label) for label, (a, b) in enumerate(classes))
        message = (
            f"{source.task.name} at length {source.length}: only {available:,} different inputs "
            f"of class {label} were found ({source.sampler} sampler), so that {sizes} "
            f"become {fitted}"
        )
        if any(had and not has for had, has in zip(sizes.each, fitted.each, strict=True)):
            raise DataError(f"{message}, too few for a data set of this shape")
        warnings = (message,)
    tests, labelled = ([rows[i] for rows in classes] for i in (0, 1))
    test_rows = _paired(source.words(_TEST_ORDER), tests, fitted.test)
    labelled_rows = _paired(source.words(_LABELLED_ORDER), labelled, fitted.labelled)
    return Drawn(labelled_rows[: fitted.train], labelled_rows[fitted.train :], test_rows, warnings)


def _fitted(sizes: Sizes, test: int, labelled: int) -> Sizes:
    """Reduce sizes to the rows of the rarer class; train and validation in proportion."""
    test_size = min(sizes.test, 2 * test)
    if sizes.labelled <= 2 * labelled:
        return Sizes(sizes.train, sizes.validation, test_size)
    train = 2 * (labelled * sizes.train // sizes.labelled)
    return Sizes(train, 2 * labelled - train, test_size)


def _paired(words: Words, classes: Sequence[Sequence[Row]], size: int) -> list[tuple[Row, int]]:
    """Interleave the classes in pairs, each pair in random order."""
    rows: list[tuple[Row, int]] = []
    swapped = words.bits(1, size // 2)[0].tolist()
    for zero, one, swap in zip(*classes, swapped, strict=False):
        pair = [(zero, 0), (one, 1)]
        rows.extend(reversed(pair) if swap else pair)
    return rows
