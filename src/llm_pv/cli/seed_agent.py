"""The published command ``agent_baseline_runner.py``, on top of `agent`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Group, Parameter

from llm_pv.cli.agent import AgentOptions, open_agent
from llm_pv.cli.compat import AGENT, translated, with_variables
from llm_pv.cli.grid_options import DEFAULT_GRID, Grid, grid_request
from llm_pv.cli.main import published_app, run_app
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, SandboxOptions, option_group
from llm_pv.cli.previews import disclose_tasks
from llm_pv.cli.seed_synthesis import DEFAULT_SEED_MODEL, SeedModel, SeedRun, run_searches
from llm_pv.cli.synthesize import preview_grid


@option_group(
    Group("Agent", sort_key=2.5),
    like=AgentOptions,
    steps=Parameter(name=["--max-steps", "--steps"]),
    seconds=Parameter(name=["--max-seconds", "--seconds"]),
)
@dataclass(frozen=True)
class SeedAgent:
    """Limits of the agent in each trial."""

    steps: int = AgentOptions.steps
    seconds: float = AgentOptions.seconds
    prompt_rows: int = AgentOptions.prompt_rows


@option_group(Group("Run", sort_key=4))
@dataclass(frozen=True)
class SeedAgentRun(SeedRun):
    """Options of the run, and where results are written: not over those of ``runner.py``."""

    out_jsonl: Path = Path("agent_attempts.jsonl")
    "Rows of all trials as JSON lines."
    out_csv: Path = Path("agent_attempts.csv")
    "The same as CSV."


app = published_app(
    "agent_baseline_runner.py",
    "Let a model explore the training rows with a Python tool and submit a program.",
)


@app.default
def explore(
    *,
    grid: Grid = DEFAULT_GRID,
    model: SeedModel = DEFAULT_SEED_MODEL,
    agent: SeedAgent = SeedAgent(),
    run: SeedAgentRun = SeedAgentRun(),
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Run the grid of the published agent baseline; each trial is one conversation."""
    from llm_pv.api import Search

    request = grid_request(grid)
    request.plan()  # report an invalid request before a sandbox starts
    options = AgentOptions(**vars(agent), budget_usd=run.budget_usd, dry_run=run.dry_run)
    with open_agent(model.choice(), options, sandbox) as opened:
        if run.dry_run:
            return preview_grid([opened], request, "table")
        disclose_tasks(opened)
        search = Search(opened, concurrency=run.concurrency)
        return run_searches(request, {"": search}, run, sandbox)


def run_seed(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run one command line of the published command and return its exit status."""
    return run_app(app, translated(with_variables(arguments, environment), AGENT))
