"""From candidates to balanced splits: labels, no input twice, small spaces, sizes that nest.

For every data set there are two pools, each with a stream of its own: up to 10,000 test rows, and
the labelled rows that training and validation share. A pool is a sequence of pairs, one row of
each class, so that every even size is a balanced prefix of every larger one.
"""

from dataclasses import dataclass

import numpy as np

from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tasks.task import Candidates, SamplerName, Task
from llm_pv.tasks.words import Words

TEST_POOL = 10_000
"""The test pool's rows; no data set has more test rows."""

_TEST, _LABELLED, _TEST_ORDER, _LABELLED_ORDER, _SHUFFLE = range(5)

_HOPELESS = 1 << 18
"""Candidates after which a class that was never hit counts as empty."""


@dataclass(frozen=True)
class Sizes:
    """How many rows each split has."""

    train: int
    validation: int
    test: int

    def check(self) -> None:
        """Refuse sizes no balanced data set can have.

        Raises
        ------
        ConfigurationError
            If a size is negative or odd, the test split larger than its pool, or all are 0.
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
    """What a data set's rows depend on, its sizes aside."""

    task: Task
    length: int
    sampler: SamplerName
    seed: int
    trial: int

    def words(self, purpose: int) -> Words:
        """Return the stream for one purpose; trials are spawned, so that none repeats another."""
        key = f"{self.task.name}|{self.length}|{self.sampler}|{self.seed}"
        return Words(key, (self.trial, purpose))


@dataclass(frozen=True)
class Drawn:
    """The rows of three splits as (input, label) pairs."""

    train: list[tuple[str, int]]
    validation: list[tuple[str, int]]
    test: list[tuple[str, int]]
    warnings: tuple[str, ...]


class _Pool:
    """Different inputs of either class, in the order in which one stream brings them."""

    def __init__(self, source: Source, purpose: int, seen: set[bytes]) -> None:
        self.rows: tuple[list[bytes], list[bytes]] = ([], [])
        self._source = source
        self._sampler = source.task.samplers[source.sampler]
        self._words = source.words(purpose)
        self._seen = seen
        self._hits = [0, 0]
        self._drawn = 0

    def fill(self, wanted: int) -> None:
        """Draw blocks until there are this many rows of each class, or no more to find."""
        while any(
            len(self.rows[label]) < wanted and not self.exhausted(label) for label in (0, 1)
        ):
            self._add(self._sampler.draw(self._words, self._source.length))

    def exhausted(self, label: int) -> bool:
        """Tell whether a class has, in all likelihood, no input left to find."""
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


def draw(source: Source, sizes: Sizes) -> Drawn:
    """Draw the three splits of a data set.

    Parameters
    ----------
    source
        The task, length, sampler, seed and trial.
    sizes
        The rows wanted.

    Returns
    -------
    Drawn
        Balanced splits with no input in two of them, nor twice in one.

    Raises
    ------
    ConfigurationError
        If the sizes cannot be balanced.
    DataError
        If there are too few inputs for any data set of this shape.
    """
    sizes.check()
    seen: set[bytes] = set()
    apart = 0 < source.task.apart_from <= source.length
    test = _Pool(source, _TEST, seen)
    test.fill((sizes.test if apart else TEST_POOL) // 2)
    labelled = _Pool(source, _LABELLED, seen)
    labelled.fill(sizes.labelled // 2)
    classes = [_divide(source, sizes, label, test, labelled) for label in (0, 1)]
    fitted = _fitted(sizes, *(min(len(rows[i]) for rows in classes) for i in (0, 1)))
    warnings: tuple[str, ...] = ()
    if fitted != sizes:
        available, label = min((len(a) + len(b), label) for label, (a, b) in enumerate(classes))
        message = (
            f"{source.task.name} at length {source.length} has only {available:,} different "
            f"inputs of class {label} ({source.sampler} sampler): the sizes {sizes} "
            f"become {fitted}"
        )
        if any(had and not has for had, has in zip(sizes.each, fitted.each, strict=True)):
            raise DataError(f"{message}: too few for a data set of this shape")
        warnings = (message,)
    test_rows = _paired(source.words(_TEST_ORDER), classes[0][0], classes[1][0], fitted.test)
    labelled_rows = _paired(
        source.words(_LABELLED_ORDER), classes[0][1], classes[1][1], fitted.labelled
    )
    return Drawn(labelled_rows[: fitted.train], labelled_rows[fitted.train :], test_rows, warnings)


def _divide(
    source: Source, sizes: Sizes, label: int, test: _Pool, labelled: _Pool
) -> tuple[list[bytes], list[bytes]]:
    """Return a class's rows for the test split and for the labelled pool.

    Where the pools found all there is, they are shuffled together (the rarest inputs come last)
    and dealt from both ends: the test split takes what the labelled rows leave.
    """
    if len(test.rows[label]) + len(labelled.rows[label]) == 0:
        raise DataError(
            f"{source.task.name} at length {source.length} has no inputs of class {label}: "
            "choose another length"
        )
    enough = len(labelled.rows[label]) >= sizes.labelled // 2 and not test.exhausted(label)
    if enough:
        return test.rows[label], labelled.rows[label][: sizes.labelled // 2]
    members = test.rows[label] + labelled.rows[label]
    order = source.words(_SHUFFLE + label).permutation(len(members))
    shuffled = [members[i] for i in order]
    kept = min(sizes.labelled // 2, len(members) // 2)
    cut = len(shuffled) - kept
    return shuffled[:cut], shuffled[cut:][::-1]


def _fitted(sizes: Sizes, test: int, labelled: int) -> Sizes:
    """Shrink sizes to the rows there are of the rarer class; train and validation in proportion."""
    test_size = min(sizes.test, 2 * test)
    if sizes.labelled <= 2 * labelled:
        return Sizes(sizes.train, sizes.validation, test_size)
    train = 2 * (labelled * sizes.train // sizes.labelled)
    return Sizes(train, 2 * labelled - train, test_size)


def _paired(
    words: Words, zeros: list[bytes], ones: list[bytes], size: int
) -> list[tuple[str, int]]:
    """Interleave the classes in pairs, each pair in random order."""
    rows: list[tuple[str, int]] = []
    first = words.bits(1, size // 2)[0].tolist()
    for zero, one, swapped in zip(zeros, ones, first, strict=False):
        pair = [(zero.decode("ascii"), 0), (one.decode("ascii"), 1)]
        rows.extend(reversed(pair) if swapped else pair)
    return rows
