"""``llm-pv agent``: an autonomous agent on the benchmark's data sets, or on a user's rows."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from llm_pv.cli.grid_options import (
    DEFAULT_BENCHMARK_OPTIONS,
    DEFAULT_SIZE_OPTIONS,
    DEFAULT_STRICT_DRAWING_OPTIONS,
    BenchmarkOptions,
    SizeOptions,
    StrictDrawingOptions,
    grid_request,
    refuse_options,
)
from llm_pv.cli.model_options import DEFAULT_MODEL_CHOICE, LimitOptions, ModelChoice
from llm_pv.cli.options import (
    DEFAULT_OUTPUT_OPTIONS,
    DEFAULT_SANDBOX_OPTIONS,
    DEFAULT_VALIDATED_READING_OPTIONS,
    OutputOptions,
    Rows,
    SandboxOptions,
    ValidatedReadingOptions,
    given,
    option_group,
)
from llm_pv.cli.output import free_folder, new_folder
from llm_pv.cli.previews import disclose, disclose_tasks, preview_record, print_preview
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.proposers.agent import Agent
    from llm_pv.tracks.grid import GridRequest

_AGENT = Group("Agent", sort_key=1)


@option_group(_AGENT)
@dataclass(frozen=True)
class AgentOptions(LimitOptions):
    """Limits of the agent in each trial, and of the cost of all trials."""

    steps: int = 30
    "Calls of the Python tool in each trial."
    seconds: float = 1_800.0
    "Seconds of the model and its tool in each trial; then it has to submit."
    prompt_rows: int = 10
    "Training rows in the prompt; the tool holds all."
    trials: int | None = None
    "Independent repetitions on the benchmark; default 5."
    seed: int | None = None
    "Seed of all random choices; default 42 on the benchmark, 0 on rows."
    transfer: Annotated[bool, Parameter(negative="--no-transfer")] = True
    "Score the submission on hard data and at other lengths too."


def agent(
    data: Rows | None = None,
    /,
    *,
    model: ModelChoice = DEFAULT_MODEL_CHOICE,
    agent: AgentOptions = AgentOptions(),
    sizes: SizeOptions = DEFAULT_SIZE_OPTIONS,
    benchmark: BenchmarkOptions = DEFAULT_BENCHMARK_OPTIONS,
    drawing: StrictDrawingOptions = DEFAULT_STRICT_DRAWING_OPTIONS,
    rows: ValidatedReadingOptions = DEFAULT_VALIDATED_READING_OPTIONS,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Let a model explore training rows with a Python tool and submit a program or a model.

    One conversation a trial; the submission runs confined and is scored like any program, on
    the same rows as the other methods. The same command with the same --out resumes a run
    that was interrupted, without repeating any call.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, JSONL, or text lines `input -> label`; - for standard input. Without it
        the benchmark's tasks are explored.
    """
    if model.model is None:
        raise ConfigurationError("an agent is a model: name it with --model PROVIDER:NAME")
    if model.batch:
        raise ConfigurationError("--batch waits up to a day for each step: leave it out")
    request = None
    if data is None:
        refuse_options(
            given(rows), "with a file of rows alone: name the file, or leave the option out"
        )
        request = grid_request(benchmark, drawing, sizes, trials=agent.trials, seed=agent.seed)
        request.plan()  # what is wrong with the request shows before a sandbox starts
    else:
        # --trials and --seed have words of their own on rows.
        benchmark_only = {"--concurrency": "--concurrency", "--transfer": "--no-transfer"}
        alone = given(benchmark) + given(drawing)
        alone += [benchmark_only[name] for name in given(agent) if name in benchmark_only]
        refuse_options(alone, "with the benchmark alone: leave the option out, or the file")
        if agent.trials not in (None, 1):
            raise ConfigurationError("--trials is for the benchmark: rows of yours have one trial")
    with open_agent(model, agent, sandbox) as opened:
        if request is not None:
            return _explore_tasks(opened, request, agent, drawing, sandbox=sandbox, output=output)
        assert data is not None
        return _explore_rows(opened, data, agent, sizes, rows, sandbox=sandbox, output=output)


def open_agent(model: ModelChoice, options: AgentOptions, sandbox: SandboxOptions) -> "Agent":
    """Return the agent; close it, or use it as a context manager.

    Raise ConfigurationError, CredentialError or MissingExtraError if the model cannot be asked so.
    """
    from llm_pv.models.registry import make_model
    from llm_pv.proposers.agent import Agent

    assert model.model is not None
    opened = make_model(model.model, model.options(offline=options.dry_run))
    try:
        return Agent(
            opened,
            steps=options.steps,
            seconds=options.seconds,
            prompt_rows=options.prompt_rows,
            tool_limits=options.tool_limits,
            allow_unconfined=sandbox.allow_unconfined,
            backend=sandbox.sandbox,
            budget=options.budget(),
        )
    except BaseException:
        opened.close()
        raise


def _explore_tasks(
    agent: "Agent",
    request: "GridRequest",
    options: AgentOptions,
    drawing: StrictDrawingOptions,
    *,
    sandbox: SandboxOptions,
    output: OutputOptions,
) -> int:
    from llm_pv.api import Search
    from llm_pv.cli.synthesize import preview_grid, report, run_shown

    if options.dry_run:
        return preview_grid([agent], request, output.format)
    disclose_tasks(agent)
    result = run_shown(
        request,
        Search(agent, concurrency=options.concurrency or 5),
        dataset_dir=drawing.dataset_dir,
        sandbox=sandbox,
        transfer=options.transfer,
        out=output.out or free_folder("agent"),
        output=output,
    )
    return report(result, output)


def _explore_rows(
    agent: "Agent",
    data: str,
    options: AgentOptions,
    sizes: SizeOptions,
    rows: ValidatedReadingOptions,
    *,
    sandbox: SandboxOptions,
    output: OutputOptions,
) -> int:
    from llm_pv import api
    from llm_pv.cli.learn import learn_and_show

    seed = options.seed or 0
    splits = rows.splits(data, sizes.split, seed, rows.validation)
    name = rows.name_of(data)
    if options.dry_run:
        print_preview(preview_record(agent, splits, seed)[0], name, output.format)
        return 0
    with sandbox.open() as opened:
        return learn_and_show(
            splits,
            api.Search(agent, seed=seed),
            target=rows.target,
            reading=rows.reading(),
            sandbox=opened,
            name=name,
            out=output.out or new_folder("agent"),
            output=output,
            on_start=partial(disclose, [agent], splits, seed),
        )
