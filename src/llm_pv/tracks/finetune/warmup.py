"""Two rules any sequence model can learn, to see that training works before a long run.

They are known to this track alone and are no part of the benchmark: ``first_character`` and
``majority``.
"""

from types import MappingProxyType

import numpy as np

from llm_pv.errors import ConfigurationError
from llm_pv.tasks import Task, task
from llm_pv.tasks.task import Labels, Lengths, Symbols, binary_task

_ONE = np.uint8(ord("1"))


def _first_character(symbols: Symbols) -> Labels:
    return np.where(symbols[:, 0] == _ONE, np.uint8(1), np.uint8(0))


def _majority(symbols: Symbols) -> Labels:
    ones = (symbols == _ONE).sum(axis=1)
    return np.where(2 * ones > symbols.shape[1], np.uint8(1), np.uint8(0))


WARM_UP = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            binary_task(
                id="",
                name="first_character",
                description="the first character is 1",
                examples=("0110", "1001"),
                target_function=_first_character,
                lengths=Lengths(default=(20,)),
            ),
            binary_task(
                id="",
                name="majority",
                description="more than half of the characters are 1",
                examples=("00101", "10101"),
                target_function=_majority,
                lengths=Lengths(default=(9,)),
            ),
        )
    }
)


def known_task(name_or_id: str) -> Task:
    """Look up a benchmark task or a warm-up rule.

    Raise ConfigurationError if there is none of that name.

    Examples
    --------
    >>> known_task("majority").target(["00101", "10101"]).tolist(), known_task("fn_a").name
    ([0, 1], 'parity_all')
    """
    if name_or_id in WARM_UP:
        return WARM_UP[name_or_id]
    try:
        return task(name_or_id)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; or, to try things out, {' or '.join(WARM_UP)}"
        ) from None
