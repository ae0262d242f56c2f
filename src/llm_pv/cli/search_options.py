"""Options of every command that searches for programs, and the search they define."""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from llm_pv.cli.model_options import (
    AskingOptions,
    ModelChoices,
    open_proposer,
    refuse_without_model,
)
from llm_pv.cli.options import FIRST, SandboxOptions, option_group, settings_of
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_pv.api import Search
    from llm_pv.proposers.llm import LLM

SEARCH = Group("Search", sort_key=2.5)


@option_group(
    SEARCH,
    candidates=Parameter(name="--budget-candidates"),
    megabytes=Parameter(name="--budget-mb"),
    noise=Parameter(group=FIRST),
)
@dataclass(frozen=True)
class SearchOptions:
    """The proposer, and the number of attempts."""

    proposer: str | None = None
    "length-first (the built-in search, the default), replay:FILE or replay:FOLDER (saved replies);\
 with --model it proposes first."
    attempts: Annotated[int | None, Parameter(group=FIRST)] = None
    "Attempts for each data set; default 5 for a model, 200 for the built-in search. With several \
proposers, attempts of each model."
    budget_seconds: Annotated[float | None, Parameter(group=FIRST)] = None
    "Cap on the built-in search of a data set (default 30), on verification, and on model calls."
    candidates: int | None = None
    "About how many conditions the built-in search compares with the rows (default 50,000,000)."
    megabytes: int | None = None
    "Memory of the built-in search's tables, in MB (default 1,000)."
    noise: float = 0.0
    "Share of labels that may be wrong, such as 0.05."
    early_stop: Annotated[bool, Parameter(negative="--no-early-stop")] = True
    "Stop at the first program without a validation error."
    delta: float = 0.05
    "Probability with which a certificate may fail."

    def resolve(self, model: ModelChoices, asking: AskingOptions, *, seed: int = 0) -> "Search":
        """Return the requested search, without the models.

        Raise ConfigurationError if options cannot work, or do not go together.
        """
        from llm_pv.api import Search
        from llm_pv.proposers.registry import USUAL, BuiltIn

        if not model.model:
            refuse_without_model(model, asking)
        model.each()  # refuses what cannot be for several, before anything is written
        built_in = settings_of(self, BuiltIn)
        searches = self.proposer == "length-first" or not model.model
        if not searches and replace(built_in, noise=USUAL.noise) != USUAL:
            raise ConfigurationError(
                "--budget-candidates and --budget-mb are for the built-in search, not for --model; "
                "give --proposer length-first too"
            )
        search = Search(
            self.proposer or "length-first",
            attempts=self.attempts,
            budget_seconds=self.budget_seconds,
            delta=self.delta,
            built_in=built_in if searches else USUAL,
            early_stop=self.early_stop,
            seed=seed,
            concurrency=asking.slots,
        )
        if not model.model:
            search.resolve()
        return search

    @contextmanager
    def models(
        self,
        model: ModelChoices,
        asking: AskingOptions,
        sandbox: SandboxOptions,
        *,
        thorough: bool = False,
        out: Path | None = None,
    ) -> "Iterator[list[LLM]]":
        """Open a proposer for each model while the block runs; they share one budget."""
        from llm_pv.proposers.spending import BudgetTracker

        tracker = BudgetTracker(asking.budget(self.budget_seconds))
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    open_proposer(
                        choice,
                        asking,
                        sandbox,
                        attempts=self.attempts,
                        budget_seconds=self.budget_seconds,
                        thorough=thorough,
                        noise=self.noise,
                        out=out,
                        tracker=tracker,
                    )
                )
                for choice in model.each()
            ]

    @property
    def stops_before(self) -> str:
        """The proposer whose rule saves the calls of models, empty for none."""
        return self.proposer if self.proposer and self.early_stop else ""

    def joined(self, search: "Search", models: "Sequence[LLM]") -> "Search":
        """Return the search with models, and with the proposer if one was given too."""
        if not models:
            return search
        if self.proposer is None and len(models) == 1:
            return replace(search, proposer=models[0])
        first = () if self.proposer is None else (self.proposer,)
        return replace(search, proposer=(*first, *models))
