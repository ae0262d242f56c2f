"""Proposers by the names users give them."""

from collections.abc import Callable
from pathlib import Path

from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposer

DEFAULT_BUDGET_SECONDS = 30.0


def make_proposer(
    name: str,
    *,
    attempts: int | None = None,
    budget_seconds: float | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Proposer:
    """Return the proposer of a name.

    Parameters
    ----------
    name
        ``"length-first"``, the built-in search; ``"replay:PATH"``, saved replies; or a model such
        as ``"openai:gpt-5"``, asked with the defaults of `LLMSettings`.
    attempts
        How many attempts a model gets in each cell; None for its default.
    budget_seconds
        Cap on the time the built-in search takes, or a model is asked; None for the default.
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
    if budget_seconds is not None and not budget_seconds > 0:
        raise ConfigurationError(f"budget-seconds is {budget_seconds}; give a positive number")
    kind, _, rest = name.partition(":")
    if name == "length-first":
        from llm_pv.proposers.length_first import LengthFirst

        seconds = DEFAULT_BUDGET_SECONDS if budget_seconds is None else budget_seconds
        return LengthFirst(budget_seconds=seconds, progress=progress)
    if kind == "replay":
        if not rest:
            raise ConfigurationError("replay needs saved replies: replay:FILE or replay:FOLDER")
        from llm_pv.proposers.replay import Replay

        return Replay(Path(rest))
    if rest:
        from llm_pv.models.registry import make_model
        from llm_pv.proposers.llm import DEFAULT_ATTEMPTS, LLM
        from llm_pv.proposers.spending import Budget

        count = DEFAULT_ATTEMPTS if attempts is None else attempts
        return LLM(make_model(name), attempts=count, budget=Budget(seconds=budget_seconds))
    raise ConfigurationError(
        f"no proposer is called {name!r}; give length-first, replay:FILE, replay:FOLDER, or a "
        "model such as openai:gpt-5"
    )
