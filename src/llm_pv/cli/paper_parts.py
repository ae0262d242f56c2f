"""The run directories of the paper's table, one after another: their time, or a model's price."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_pv.cli.main import complain
from llm_pv.cli.model_options import AskingOptions, ConnectionOptions, ModelChoice, open_proposer
from llm_pv.cli.options import SandboxOptions, common_fields
from llm_pv.cli.progress import AttemptDetails, cell_progress
from llm_pv.errors import ConfigurationError
from llm_pv.report.text import count
from llm_pv.tasks import SamplerName
from llm_pv.tracks.baselines.registry import BASELINES
from llm_pv.tracks.baselines.run import chosen_baselines, run_baselines
from llm_pv.tracks.grid import GridRequest

if TYPE_CHECKING:
    from llm_pv.api import Search
    from llm_pv.models.language_model import LanguageModel
    from llm_pv.proposers.llm import LLM
    from llm_pv.proposers.llm.costs import CostEstimate
    from llm_pv.tracks.icl.planning import PlannedCell
    from llm_pv.tracks.icl.scores import AnsweredCell
    from llm_pv.tracks.icl.settings import Settings

PAPER_TASKS = (
    "fn_a", "fn_b", "fn_c", "fn_d", "fn_e", "fn_f", "fn_g", "fn_h", "fn_j", "fn_k", "fn_v",
    "fn_l", "fn_aa",
)  # fmt: skip

Track = Literal["synthesize", "baselines"]
SearchName = Literal["halving", "grid"]

_CPU_SECONDS = {"synthesize": 16.0, "halving": 14.0, "grid": 28.0}
"""A trial's CPU seconds, data set included: the mean over the 13 tasks at their longest lengths on
one of 2 shared x86-64 cores (benchmarks/RESULTS.md). For all baselines together."""


@dataclass(frozen=True)
class Part:
    """One run directory of the table: a track on some tasks with one sampler."""

    track: Track
    request: GridRequest
    models: tuple[str, ...]
    search: SearchName
    folder: Path

    @property
    def title(self) -> str:
        """The description.

        Examples
        --------
        >>> plan_parts(("fn_a", "fn_b"), trials=3, out=Path("runs"))[0].title
        'length-first, paper sampler, length 100: 2 tasks, 6 trials'
        """
        method = "length-first" if self.track == "synthesize" else f"baselines ({self.search})"
        request = self.request
        lengths = "published lengths"
        if request.lengths is not None:
            lengths = f"length {', '.join(map(str, request.lengths))}"
        tasks, trials = count(len(request.functions), "task"), count(self.trials, "trial")
        return f"{method}, {request.sampler} sampler, {lengths}: {tasks}, {trials}"

    @property
    def trials(self) -> int:
        """The number of trials of possible cells."""
        return sum(not trial.skipped for trial in self.request.plan())

    def cpu_seconds(self, done: int = 0) -> float:
        """Return the approximate CPU seconds it takes, less those of finished trials.

        Parameters
        ----------
        done
            Rows of its summary: trials, or of baselines a trial and baseline each.
        """
        if self.track == "synthesize":
            return _CPU_SECONDS["synthesize"] * max(0, self.trials - done)
        left = max(0.0, self.trials - done / len(self.models))
        return _CPU_SECONDS[self.search] * left * len(self.models) / len(BASELINES)

    def run(self, dataset_dir: Path, sandbox: SandboxOptions) -> int:
        """Run the part, or the rest of it, and return how many trials failed."""
        if self.track == "synthesize":
            return _run_search(self.request, None, self.folder, dataset_dir, sandbox)
        from llm_pv.cli.baselines import FitDetails

        with cell_progress(FitDetails()) as fits:
            return run_baselines(
                self.request,
                self.models,
                search=self.search,
                out=self.folder,
                dataset_dir=dataset_dir,
                observer=fits,
            ).count("failed")


def _run_search(
    request: GridRequest,
    search: "Search | None",
    folder: Path,
    dataset_dir: Path,
    sandbox: SandboxOptions,
) -> int:
    """Run a grid, or the rest of it, and return how many trials failed; None is the search here."""
    from llm_pv.tracks.synthesis.run import run_grid

    with sandbox.open() as opened, cell_progress(AttemptDetails()) as trials:
        return run_grid(
            request,
            search,
            sandbox=opened,
            out=folder,
            dataset_dir=dataset_dir,
            observer=trials,
        ).count("failed")


def plan_parts(
    tasks: Sequence[str] = (),
    *,
    samplers: Sequence[SamplerName] = ("paper", "hard"),
    trials: int | None = None,
    test_size: int = 10_000,
    models: Sequence[str] = (),
    full: bool = False,
    out: Path,
) -> list[Part]:
    """Return the parts of the table in the order in which they run.

    Raise ConfigurationError if nothing can be done so.

    Parameters
    ----------
    tasks
        Tasks by id or name; none for those of the published table.
    trials
        Repetitions; None for 3, or the published 10 of the full table.
    models
        Baselines; none for all.
    full
        Every published length and the published grids of the baselines, instead of the longest
        length of each task and successive halving.
    """
    if not samplers:
        raise ConfigurationError("no samplers: give paper, hard or both")
    base = GridRequest(
        functions=tuple(tasks or PAPER_TASKS),
        trials=trials if trials is not None else (10 if full else 3),
        test_size=test_size,
    )
    requests: list[tuple[str, GridRequest]] = []
    for sampler in dict.fromkeys(samplers):
        for name, request in _by_length(replace(base, sampler=sampler), full=full):
            request.plan()
            requests.append((name, request))
    chosen = tuple(baseline.name for baseline in chosen_baselines(models))
    search: SearchName = "grid" if full else "halving"
    tracks: tuple[Track, ...] = ("synthesize", "baselines")
    return [
        Part(track, request, chosen, search, out / f"{track}-{name}")
        for track in tracks
        for name, request in requests
    ]


def _by_length(request: GridRequest, *, full: bool) -> list[tuple[str, GridRequest]]:
    """Return a request as one for all published lengths, or one for each longest length."""
    ids = {known.id or known.name: known for known in request.tasks()}
    if full:
        return [(request.sampler, replace(request, functions=tuple(ids)))]
    longest: dict[int, list[str]] = {}
    for name, known in ids.items():
        longest.setdefault(max(known.lengths.default), []).append(name)
    return [
        (f"{request.sampler}-L{length}",
         replace(request, functions=tuple(names), lengths=(length,)))
        for length, names in longest.items()
    ]  # fmt: skip


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
    request: GridRequest
    folder: Path
    asked: ModelSpec

    @property
    def title(self) -> str:
        """The description."""
        trials = sum(not trial.skipped for trial in self.request.plan())
        return (
            f"{self.column} of {self.asked.model.model}, {self.request.sampler} sampler: "
            f"{count(trials, 'trial')}"
        )

    def price(self) -> "CostEstimate":
        """Return the cost estimate of all trials, without calling the model."""
        from llm_pv.proposers.llm.costs import CostEstimate, estimate_of

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

        asked = self.asked
        with self._proposer() as proposer:
            return _run_search(
                self.request, Search(proposer), self.folder, asked.dataset_dir, asked.sandbox
            )

    def _run_icl(self) -> int:
        from llm_pv.cli.icl_output import AnswerDetails
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
        self, request: GridRequest, model: "LanguageModel", settings: "Settings"
    ) -> "list[PlannedCell | AnsweredCell]":
        from llm_pv.tracks.icl.planning import plan_cells, task_problems

        problems = task_problems(self._icl_request(request), self.asked.dataset_dir)
        return plan_cells(problems, model, replace(settings, seed=request.seed))

    def _icl_request(self, request: GridRequest) -> GridRequest:
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
    from llm_pv.proposers.llm.costs import ASSUMED, CostEstimate

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


def _price_of_answers(work: "PlannedCell | AnsweredCell", model: "LanguageModel") -> "CostEstimate":
    from llm_pv.models.base import Usage
    from llm_pv.proposers.llm.costs import LIKELY_WRITTEN, CostEstimate
    from llm_pv.tracks.icl.planning import PlannedCell

    if not isinstance(work, PlannedCell):
        return CostEstimate.total([])
    sent = sum(model.count_prompts(work.prompts[0], work.query)) * len(work.prompts)
    longest = work.query.max_new_tokens
    most = model.price(Usage(sent, work.answers * longest))
    likely = model.price(Usage(sent, work.answers * min(LIKELY_WRITTEN, longest)))
    return CostEstimate(most, likely, most)
