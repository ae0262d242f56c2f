"""Every task of the benchmark by id and by name."""

from difflib import get_close_matches
from types import MappingProxyType

from llm_pv.errors import ConfigurationError
from llm_pv.tasks import (
    decimals,
    dyck,
    graphs,
    palindrome,
    parity,
    patterns,
    polynomial,
    primes,
    tables,
)
from llm_pv.tasks.task import Task

_ALL: tuple[Task, ...] = (
    *parity.TASKS,
    *patterns.TASKS,
    *palindrome.TASKS,
    *dyck.TASKS,
    *primes.TASKS,
    *decimals.TASKS,
    *graphs.TASKS,
    *tables.TASKS,
    *polynomial.TASKS,
)


_ORDERED = sorted(_ALL, key=lambda task: (not task.id, len(task.id), task.id, task.name))

TASKS = MappingProxyType({task.name: task for task in _ORDERED})
"""All tasks by name, those with a published id first, in the order of their ids."""

_BY_ID = {task.id: task for task in _ALL if task.id}


def task(name_or_id: str) -> Task:
    """Look a task up by its published id or its name.

    Parameters
    ----------
    name_or_id
        Such as ``"fn_g"`` or ``"palindrome"``.

    Returns
    -------
    Task
        The task.

    Raises
    ------
    ConfigurationError
        If there is none; the message names the nearest.

    Examples
    --------
    >>> task("fn_g").name, task("palindrome").id
    ('palindrome', 'fn_g')
    """
    found = _BY_ID.get(name_or_id) or TASKS.get(name_or_id)
    if found is not None:
        return found
    near = get_close_matches(str(name_or_id), [*TASKS, *_BY_ID], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ConfigurationError(f"no task {name_or_id!r}: {hint}`llm-pv tasks` lists them all")
