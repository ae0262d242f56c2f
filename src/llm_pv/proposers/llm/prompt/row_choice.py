"""Which training rows a prompt shows, where it cannot show all of them."""

import random
from collections.abc import Callable

from llm_pv.data.examples import Examples, Input
from llm_pv.errors import ConfigurationError

INFORMATIVE_ROWS = 24
"""The number of rows shown if a tool holds all of them."""

MOST_PROMPT_TOKENS = 16_000
"""The tokens of a prompt if the number of rows is not given."""

_MOST_COMPARED = 150


def subsample(train: Examples, rows: int, seed: int) -> Examples:
    """Draw rows in proportion to their classes, and keep their order.

    Every class keeps a row as far as the number allows. The draw depends on the seed and the
    number of rows of each class alone: the same on every machine.

    Raise ConfigurationError if no row would be left.

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


def informative_rows(train: Examples, rows: int, seed: int) -> Examples:
    """Choose informative rows: balanced classes, similar rows of different classes, extremes.

    A third of the rows are pairs of rows that are much alike and have different labels; each class
    has its shortest and its longest string, or rows as far as can be; the rest is drawn by the
    seed from the class that has the fewest so far. The order of the rows is kept.

    Examples
    --------
    >>> rows = Examples(["00000000", "00000001", "1100", "111111111111"] * 5, ["0", "1"] * 10)
    >>> few = informative_rows(rows, 4, seed=0)
    >>> sorted(few.labels)
    ['0', '0', '1', '1']
    """
    if rows >= len(train):
        return train
    drawn = random.Random(seed)  # noqa: S311 - no secret depends on it
    by_class: dict[str, list[int]] = {}
    for place, label in enumerate(train.labels):
        by_class.setdefault(label, []).append(place)
    queues: dict[str, list[int]] = {}
    for label, places in by_class.items():
        by_size = sorted(places, key=lambda place: len(str(train.inputs[place])))
        others = drawn.sample(places, len(places))
        queues[label] = list(dict.fromkeys([by_size[0], by_size[-1], *others]))
    chosen: dict[int, None] = {}
    share = max(1, rows // len(by_class))
    taken = dict.fromkeys(by_class, 0)
    for pair in _contrasts(train, drawn):
        labels = [train.labels[place] for place in pair]
        if len(chosen) + 2 > rows // 3 or any(taken[label] >= share for label in labels):
            continue
        for place, label in zip(pair, labels, strict=True):
            if place not in chosen:
                chosen[place] = None
                taken[label] += 1
    while len(chosen) < rows:
        label = min((each for each in queues if queues[each]), key=lambda each: taken[each])
        place = queues[label].pop(0)
        if place not in chosen:
            chosen[place] = None
            taken[label] += 1
    return train.take(sorted(chosen))


def _contrasts(train: Examples, drawn: random.Random) -> list[tuple[int, int]]:
    """Return pairs of rows with different labels, those that are most alike first."""
    places = drawn.sample(range(len(train)), min(len(train), _MOST_COMPARED))
    pairs = [
        (_difference(train.inputs[one], train.inputs[other]), one, other)
        for number, one in enumerate(places)
        for other in places[:number]
        if train.labels[one] != train.labels[other]
    ]
    return [(one, other) for _, one, other in sorted(pairs)[:_MOST_COMPARED]]


def _difference(one: Input, other: Input) -> int:
    """Return in how many places or columns two inputs differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())
    first, second = str(one), str(other)
    unlike = sum(a != b for a, b in zip(first, second, strict=False))
    return unlike + abs(len(first) - len(second))


def fit_to_tokens(
    train: Examples,
    write: Callable[[Examples], str],
    count_tokens: Callable[[str], int],
    limit_tokens: int,
    *,
    seed: int,
) -> tuple[Examples, str]:
    """Return as many rows as fit into a prompt of limited tokens, and a warning.

    Raise ConfigurationError if not even one row fits.

    Parameters
    ----------
    write
        Writes the prompt that shows some of them, such as a partial `problem_statement`.
    count_tokens
        Counts the tokens of a text; called about a dozen times at most.

    Returns
    -------
    rows, warning
        The rows to show; the warning is empty if all of them fit.

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
