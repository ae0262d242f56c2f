"""Open proposers by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path

from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposer
from llm_pv.proposers.spending import Budget, BudgetTracker

DEFAULT_BUDGET_SECONDS = 30.0

USUAL_CANDIDATES = 50_000_000
USUAL_MEGABYTES = 1000


@dataclass(frozen=True)
class BuiltIn:
    """Options of the built-in search only; None for the defaults.

    Examples
    --------
    >>> BuiltIn(candidates=500_000_000).scale
    10.0
    """

    candidates: int | None = None
    "The approximate number of conditions compared with the training rows; decides the result."
    megabytes: int | None = None
    "Memory for its tables, beyond some 150 MB for Python and numpy."
    noise: float = 0.0
    "The share of labels that may be wrong, below 0.5; models take it too."

    def __post_init__(self) -> None:
        for name, value, least in (
            ("candidates", self.candidates, 1000),
            ("megabytes", self.megabytes, 50),
        ):
            if value is not None and not (isinstance(value, Integral) and value >= least):
                raise ConfigurationError(f"is {value!r}; give {least:,} or more", name)
        if not (isinstance(self.noise, Real) and 0 <= self.noise < 0.5):
            raise ConfigurationError(
                f"is {self.noise!r}; give a share from 0 to below 0.5", "noise"
            )

    @property
    def memory(self) -> int:
        """The megabytes for its tables."""
        return USUAL_MEGABYTES if self.megabytes is None else int(self.megabytes)

    @property
    def scale(self) -> float:
        """The budget of candidates beside the usual one."""
        return 1.0 if self.candidates is None else self.candidates / USUAL_CANDIDATES

    @property
    def identity(self) -> str:
        """Its budgets as runs record them."""
        candidates = USUAL_CANDIDATES if self.candidates is None else int(self.candidates)
        return f"Budget(candidates={candidates}, megabytes={self.memory})"


USUAL = BuiltIn()


def _taken(name: str, built_in: BuiltIn) -> BuiltIn:
    """Return those of the options that the proposer of a name takes."""
    if name == "length-first":
        return built_in
    return USUAL if name.startswith("replay:") else BuiltIn(noise=built_in.noise)


def make_proposer(
    chosen: str | Sequence[str | Proposer],
    *,
    attempts: int | None = None,
    budget_seconds: float | None = None,
    built_in: BuiltIn = USUAL,
    progress: Callable[[str, int], None] | None = None,
    tracker: BudgetTracker | None = None,
) -> Proposer:
    """Return the proposer of a name, or the pool of several, whose models share one budget.

    Raise ConfigurationError if there is no such proposer, one is given twice, or the budget is not
    positive.

    Parameters
    ----------
    chosen
        ``"length-first"``, the built-in search; ``"replay:PATH"``, saved replies; a model such as
        ``"openai:gpt-5.4"``, prompted as `LEARN_SETTINGS` says; or several of these and of open
        proposers, which the pool leaves open. Each takes what it can of ``built_in``.

    Examples
    --------
    >>> make_proposer("length-first").name
    'length-first'
    """
    if budget_seconds is not None and not budget_seconds > 0:
        raise ConfigurationError(f"is {budget_seconds}; give a positive number", "budget_seconds")
    if not isinstance(chosen, str):
        make = partial(
            make_proposer, attempts=attempts, budget_seconds=budget_seconds, progress=progress
        )
        shared = tracker or BudgetTracker(Budget(seconds=budget_seconds))
        return _joined(chosen, partial(make, tracker=shared), built_in)
    name = chosen
    kind, _, rest = name.partition(":")
    if name == "length-first":
        from llm_pv.proposers.length_first import LengthFirst
        from llm_pv.proposers.own_process import OwnProcess

        seconds = DEFAULT_BUDGET_SECONDS if budget_seconds is None else budget_seconds
        search = LengthFirst(seconds, built_in=built_in)
        return OwnProcess(search, seconds=seconds, megabytes=built_in.memory, progress=progress)
    if _taken(name, built_in) != built_in:
        both = "--budget-candidates, --budget-mb and --noise"
        named = both if kind == "replay" else "--budget-candidates and --budget-mb"
        raise ConfigurationError(f"{named} are for the built-in search, not for {name}")
    if kind == "replay":
        if not rest:
            raise ConfigurationError("replay needs saved replies: replay:FILE or replay:FOLDER")
        from llm_pv.proposers.replay import Replay

        return Replay(Path(rest))
    if rest:
        from llm_pv.models.registry import make_model
        from llm_pv.proposers.llm import DEFAULT_ATTEMPTS, LEARN_SETTINGS, LLM

        count = DEFAULT_ATTEMPTS if attempts is None else attempts
        budget_of_calls = tracker or Budget(seconds=budget_seconds)
        settings = replace(LEARN_SETTINGS, noise=float(built_in.noise))
        return LLM(make_model(name), attempts=count, settings=settings, budget=budget_of_calls)
    raise ConfigurationError(
        f"no proposer is called {name!r}; give length-first, replay:FILE, replay:FOLDER, or a "
        "model such as openai:gpt-5.4"
    )


def _joined(
    chosen: Sequence[str | Proposer], make: Callable[..., Proposer], built_in: BuiltIn
) -> Proposer:
    from llm_pv.proposers.proposer_pool import ProposerPool

    members: dict[str, Proposer] = {}
    taken = {one: _taken(one, built_in) for one in chosen if isinstance(one, str)}
    if not chosen or built_in not in {USUAL, *taken.values()}:
        named = ", ".join(map(str, chosen)) or "none"
        raise ConfigurationError(
            f"proposers: {named}; give one or more, length-first among them for its options"
        )
    try:
        for one in chosen:
            name = one if isinstance(one, str) else one.name.removeprefix("llm:")
            if name in members:
                raise ConfigurationError(f"the proposer {name} is given twice; give each once")
            members[name] = one if isinstance(one, Proposer) else make(one, built_in=taken[one])
    except BaseException:
        for name in members.keys() & {one for one in chosen if isinstance(one, str)}:
            members[name].close()
        raise
    given = {name for name, one in members.items() if any(one is other for other in chosen)}
    return ProposerPool(members, left_open=given)
