"""What is asked about: benchmark tasks or a user's rows, each with its examples and queries."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from llm_pv.data.examples import Examples, Splits
from llm_pv.errors import ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.tracks.grid import DataSet, GridRequest


def task_problems(request: GridRequest, dataset_dir: Path | None) -> list[DataSet]:
    """Return the data sets of a grid of tasks; the validation size of the request is not used.

    Raise ConfigurationError if the request is invalid as a whole, or no cell of it can be.
    """
    if request.test_size < 1:
        raise ConfigurationError("test size 0: there is nothing to ask about")
    return request.data_sets(dataset_dir, validation=False)


def rows_problem(
    splits: Splits, name: str, *, train_size: int, test_size: int, seed: int
) -> DataSet:
    """Return a user's rows as a problem, at most so many of them drawn by the seed.

    Raise ConfigurationError if there are no test rows.
    """
    if not len(splits.test):
        raise ConfigurationError(f"{name} has no test rows: there is nothing to ask about")
    if min(train_size, test_size) < 1:
        raise ConfigurationError("train and test size: give 1 or more")
    drawn = replace(
        splits,
        train=_at_most(splits.train, train_size, seed),
        validation=splits.validation.take([]),
        test=_at_most(splits.test, test_size, seed),
    )
    alphabet = "table" if splits.columns and splits.types else ""
    return DataSet(Cell(Path(name).stem), name, lambda: drawn, alphabet=alphabet)


def example_order(examples: Examples, order: int, seed: int) -> Examples:
    """Return examples in one of their orders; the first is as they were drawn.

    Examples
    --------
    >>> rows = Examples(["a", "b", "c"], ["0", "1", "1"])
    >>> example_order(rows, 0, 7).inputs, sorted(example_order(rows, 1, 7).inputs)
    (['a', 'b', 'c'], ['a', 'b', 'c'])
    """
    if order == 0:
        return examples
    return examples.take(_permutation(len(examples), (seed, order)))


def _at_most(examples: Examples, most: int, seed: int) -> Examples:
    if len(examples) <= most:
        return examples
    return examples.take(np.sort(_permutation(len(examples), (seed,))[:most]))


def _permutation(count: int, entropy: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    # Sorting PCG64's raw integers, whose stream numpy promises to keep; its shuffles may change.
    keys = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(count)
    return np.argsort(keys, kind="stable")
