"""Which training rows a prompt shows, where it cannot show all of them."""

from collections.abc import Callable

from llm_pv.data.examples import Examples
from llm_pv.errors import ConfigurationError

MOST_ROWS = 100
"""A prompt shows so many rows at most, unless more are asked for."""


def subsample(train: Examples, rows: int, seed: int) -> Examples:
    """Draw rows in proportion to their classes, and keep their order.

    Every class keeps a row as far as the number allows. The draw depends on the seed and the
    number of rows of each class alone: the same on every machine.

    Parameters
    ----------
    train
        The rows to draw from.
    rows
        How many to keep; with as many or more than there are, all are.
    seed
        Draws them.

    Raises
    ------
    ConfigurationError
        If no row would be left.

    Examples
    --------
    >>> rows = Examples([str(n) for n in range(1000)], ["0"] * 900 + ["1"] * 100)
    >>> few = subsample(rows, 10, seed=0)
    >>> len(few), few.labels.count("1")
    (10, 1)
    """
    if rows < 1:
        raise ConfigurationError(f"{rows} rows in a prompt: give 1 or more")
    if rows >= len(train):
        return train
    import numpy as np

    from llm_pv.data.allocation import allocate

    _, codes = np.unique(np.array(train.labels, dtype=object), return_inverse=True)
    counts = np.bincount(codes)
    shares = allocate(counts, [rows], [True])[:, 0]
    keys = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(len(train))
    order = np.lexsort((keys, codes))
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    chosen = [order[start : start + share] for start, share in zip(starts, shares, strict=True)]
    return train.take(np.sort(np.concatenate(chosen)))


def fit_to_tokens(
    train: Examples,
    write: Callable[[Examples], str],
    count_tokens: Callable[[str], int],
    limit_tokens: int,
    *,
    seed: int,
) -> tuple[Examples, str]:
    """Return as many rows as a prompt of so many tokens can hold, and a warning.

    Parameters
    ----------
    train
        The rows to show if they fit.
    write
        Writes the prompt that shows some of them, such as a partial `problem_statement`.
    count_tokens
        Counts the tokens of a text; called about a dozen times at most.
    limit_tokens
        What the prompt may take.
    seed
        Draws the rows that stay.

    Returns
    -------
    rows, warning
        The rows to show; the warning is empty if all of them fit.

    Raises
    ------
    ConfigurationError
        If not even one row fits.

    Examples
    --------
    >>> rows = Examples(["01" * 50, "10" * 50] * 40, ["0", "1"] * 40)
    >>> shown, warning = fit_to_tokens(rows, lambda some: " ".join(some.inputs), len, 999, seed=0)
    >>> len(shown), warning
    (9, 'only 9 of 80 training rows fit into the prompt, which may take 999 tokens (seed 0)')
    """

    def tokens(rows: int) -> int:
        return count_tokens(write(subsample(train, rows, seed)))

    if tokens(len(train)) <= limit_tokens:
        return train, ""
    fits, exceeds = 0, len(train)
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if tokens(middle) <= limit_tokens:
            fits = middle
        else:
            exceeds = middle
    if not fits:
        raise ConfigurationError(
            f"not one training row fits into the prompt, which may take {limit_tokens:,} tokens: "
            "take a model with a larger context, or shorter inputs"
        )
    return subsample(train, fits, seed), (
        f"only {fits:,} of {len(train):,} training rows fit into the prompt, which may take "
        f"{limit_tokens:,} tokens (seed {seed})"
    )
