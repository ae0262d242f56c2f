"""Proposers by the names users give them."""

from collections.abc import Callable
from pathlib import Path

from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposer

DEFAULT_BUDGET_SECONDS = 30.0


def make_proposer(
    name: str,
    *,
    budget_seconds: float = DEFAULT_BUDGET_SECONDS,
    progress: Callable[[str, int], None] | None = None,
) -> Proposer:
    """Return the proposer of a name.

    Parameters
    ----------
    name
        ``"length-first"``, the built-in search, or ``"replay:PATH"``, saved replies.
    budget_seconds
        Cap on the time the built-in search takes.
    progress
        Called by the built-in search with its stage and the number of programs tried.

    Raises
    ------
    ConfigurationError
        If there is no such proposer, or the budget is not positive.

    Examples
    --------
    >>> make_proposer("length-first").name
    'length-first'
    """
    if not budget_seconds > 0:
        raise ConfigurationError(f"budget-seconds is {budget_seconds}; give a positive number")
    kind, _, rest = name.partition(":")
    if name == "length-first":
        from llm_pv.proposers.length_first import LengthFirst

        return LengthFirst(budget_seconds=budget_seconds, progress=progress)
    if kind == "replay":
        if not rest:
            raise ConfigurationError("replay needs saved replies: replay:FILE or replay:FOLDER")
        from llm_pv.proposers.replay import Replay

        return Replay(Path(rest))
    raise ConfigurationError(
        f"no proposer is called {name!r}; give length-first, replay:FILE or replay:FOLDER"
    )
