"""The columns of the paper's table that need a model: estimate their cost and measure them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_pv.cli.main import complain
from llm_pv.cli.model_options import AskingOptions, ConnectionOptions, ModelChoice, open_proposer
from llm_pv.cli.options import SandboxOptions, common_fields
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.models.language_model import LanguageModel
    from llm_pv.proposers.llm import LLM
    from llm_pv.proposers.llm.estimates import CostEstimate
    from llm_pv.tracks.grid import GridRequest
    from llm_pv.tracks.icl.planning import PlannedCell
    from llm_pv.tracks.icl.scores import AnsweredCell
    from llm_pv.tracks.icl.settings import Settings

Column = Literal["program", "agent", "icl"]

_ICL_EXAMPLES, _ICL_PROMPTS = 200, 100  # as published


@dataclass(frozen=True)
class ModelSpec:
    """The model, and the columns to measure with it."""

    model: ModelChoice
    columns: tuple[Column, ...]
    budget_usd: float | None
    "The most that each run directory of programs or of the agent may cost."
    sandbox: SandboxOptions
    dataset_dir: Path


@dataclass(frozen=True)
class ModelPart:
    """One run directory that calls a model."""

    column: Column
    request: "GridRequest"
    folder: Path
    asked: ModelSpec

    @property
    def title(self) -> str:
        """The description."""
        from llm_pv.report.text import count

        trials = sum(not trial.skipped for trial in self.request.plan())
        return (
            f"{self.column} of {self.asked.model.model}, {self.request.sampler} sampler: "
            f"{count(trials, 'trial')}"
        )

    def price(self) -> "CostEstimate":
        """Return the cost estimate of all trials, without calling the model."""
        from llm_pv.proposers.llm.estimates import CostEstimate, estimate_of

        first = replace(self.request, trials=1)
        if self.column == "icl":
            with self._answering(offline=True) as (model, settings):
                works = self._works(first, model, settings)
                estimates = [_price_of_answers(work, model) for work in works]
        else:
            with self._proposer(offline=True) as proposer:
                estimates = []
                for trial in first.plan():
                    if not trial.skipped:
                        splits = first.splits(trial, self.asked.dataset_dir)
                        shown = proposer.preview(splits.train, splits.classes, seed=0)
                        estimates.append(estimate_of(proposer, *shown))
        return CostEstimate.total(estimates).times(self.request.trials)

    def run(self) -> int:
        """Run the unfinished trials, and return how many failed.

        Raise LLMPVError if the model cannot be called; its answers are kept.
        """
        if self.column == "icl":
            return self._run_icl()
        from llm_pv.api import Search
        from llm_pv.cli.progress import AttemptDetails, cell_progress
        from llm_pv.tracks.synthesis.run import run_grid

        with (
            self._proposer() as proposer,
            self.asked.sandbox.open() as sandbox,
            cell_progress(AttemptDetails()) as progress,
        ):
            return run_grid(
                self.request,
                Search(proposer),
                sandbox=sandbox,
                out=self.folder,
                dataset_dir=self.asked.dataset_dir,
                observer=progress,
            ).count("failed")

    def _run_icl(self) -> int:
        from llm_pv.cli.icl_output import AnswerDetails
        from llm_pv.cli.progress import cell_progress
        from llm_pv.tracks.icl.run import run_icl

        with (
            self._answering() as (model, settings),
            cell_progress(AnswerDetails()) as progress,
        ):
            results = run_icl(
                self._works(self.request, model, settings),
                model,
                replace(settings, seed=self.request.seed),
                out=self.folder,
                configuration={"request": self._icl_request(self.request).record()},
                observer=progress,
            )
        return sum(result.status == "failed" for result in results)

    @contextmanager
    def _proposer(self, *, offline: bool = False) -> "Iterator[LLM]":
        from llm_pv.cli.agent import AgentOptions, open_agent

        asked, budget = self.asked, self.asked.budget_usd
        if self.column == "agent":
            options = AgentOptions(budget_usd=budget, dry_run=offline)
            with open_agent(asked.model, options, asked.sandbox) as agent:
                yield agent
            return
        asking = AskingOptions(budget_usd=budget, dry_run=offline)
        with open_proposer(
            asked.model,
            asking,
            asked.sandbox,
            attempts=None,
            budget_seconds=None,
            published=True,
        ) as proposer:
            yield proposer

    @contextmanager
    def _answering(self, *, offline: bool = False) -> "Iterator[tuple[LanguageModel, Settings]]":
        from llm_pv.cli.icl_options import AnsweringOptions, open_model
        from llm_pv.tracks.icl.settings import Settings

        choice = self.asked.model
        assert choice.model is not None
        settings = Settings(max_new_tokens=choice.max_output_tokens).filled()
        options = AnsweringOptions(
            **common_fields(choice, ConnectionOptions),
            max_model_len=choice.context_tokens,
            reasoning_effort=choice.reasoning_effort,
        )
        model = open_model(choice.model, options, settings.token_limit, offline=offline)
        try:
            yield model, settings
        finally:
            model.close()

    def _works(
        self, request: "GridRequest", model: "LanguageModel", settings: "Settings"
    ) -> "list[PlannedCell | AnsweredCell]":
        from llm_pv.tracks.icl.planning import plan_cells, task_problems

        problems = task_problems(self._icl_request(request), self.asked.dataset_dir)
        return plan_cells(problems, model, replace(settings, seed=request.seed))

    def _icl_request(self, request: "GridRequest") -> "GridRequest":
        """Return a request for the rows in a prompt, as many as a program has with validation."""
        prompts = min(_ICL_PROMPTS, request.test_size)
        return replace(request, train_size=_ICL_EXAMPLES, test_size=prompts)


def model_parts(asked: ModelSpec, requests: "Sequence[GridRequest]", out: Path) -> list[ModelPart]:
    """Return the run directories that call a model, in the order in which they run."""
    from llm_pv.runs.cells import Cell

    assert asked.model.model is not None
    name = Cell("", method=asked.model.model).slug
    parts = []
    for column in dict.fromkeys(asked.columns):
        for request in requests:
            length = f"-L{request.lengths[0]}" if request.lengths else ""
            folder = out / f"{column}-{name}-{request.sampler}{length}"
            parts.append(ModelPart(column, request, folder, asked))
    return parts


def check_model(asked: ModelSpec) -> None:
    """Open and close the model, so that a missing key is reported before hours of work.

    Raise ConfigurationError, CredentialError or MissingExtraError if it cannot be asked so.
    """
    from llm_pv.models.registry import make_model

    assert asked.model.model is not None
    if asked.model.batch:
        raise ConfigurationError("--batch is not for the table: leave it out")
    make_model(asked.model.model, asked.model.options()).close()


def show_prices(parts: Sequence[ModelPart]) -> None:
    """Write to standard error the rows sent to the model and the cost.

    Raise ConfigurationError if a budget is asked for that in-context learning might exceed.
    """
    from llm_pv.proposers.llm.estimates import ASSUMED, CostEstimate

    asked = parts[0].asked
    complain(
        f"{asked.model.model} is sent the training rows of the tasks, and for in-context learning "
        "the inputs of test rows without their labels"
    )
    estimates = []
    for part in parts:
        estimate = part.price()
        estimates.append(estimate)
        complain(f"{part.title}: {estimate}")
        limit = asked.budget_usd if part.column == "icl" else None
        if limit is not None and (estimate.most is None or estimate.most > limit):
            raise ConfigurationError(
                f"--budget-usd {limit:g} cannot be kept by in-context learning, which has no "
                "budget: raise it, or leave icl out of --columns"
            )
    complain(f"in all, less what an earlier run has paid: {CostEstimate.total(estimates)}")
    complain(ASSUMED)
    if asked.budget_usd is not None:
        complain(f"and no run directory of programs or the agent over ${asked.budget_usd:g}")


def confirmed(*, yes: bool) -> bool:
    """Return whether the user wants to pay that.

    Raise ConfigurationError if standard input is not a terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError("no terminal to confirm the price: give --yes (YES=1)")
    sys.stderr.write("Ask the model for that price? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _price_of_answers(work: "PlannedCell | AnsweredCell", model: "LanguageModel") -> "CostEstimate":
    from llm_pv.models.base import Usage
    from llm_pv.proposers.llm.estimates import LIKELY_WRITTEN, CostEstimate
    from llm_pv.tracks.icl.planning import PlannedCell

    if not isinstance(work, PlannedCell):
        return CostEstimate.total([])
    sent = sum(model.count_prompts(work.prompts[0], work.query)) * len(work.prompts)
    longest = work.query.max_new_tokens
    most = model.price(Usage(sent, work.answers * longest))
    likely = model.price(Usage(sent, work.answers * min(LIKELY_WRITTEN, longest)))
    return CostEstimate(most, likely, most)
