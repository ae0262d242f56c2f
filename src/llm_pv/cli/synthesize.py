"""``llm-pv synthesize``: learn programs for a grid of benchmark tasks."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from llm_pv.cli.cluster_options import ClusterOptions
from llm_pv.cli.grid_options import DATA, Grid, grid_request
from llm_pv.cli.main import complain
from llm_pv.cli.model_options import AskingOptions, ModelChoices
from llm_pv.cli.options import Format, OutputOptions, SandboxOptions, option_group
from llm_pv.cli.output import free_folder
from llm_pv.cli.previews import disclose_tasks, preview_record, print_preview
from llm_pv.cli.report import show_results
from llm_pv.cli.search_options import SEARCH, SearchOptions
from llm_pv.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_pv.api import Search
    from llm_pv.proposers.llm import LLM
    from llm_pv.tracks.grid import GridRequest
    from llm_pv.tracks.synthesis.results import GridResult


@option_group(SEARCH)
@dataclass(frozen=True)
class GridSearchOptions(SearchOptions):
    """The proposer, the number of attempts, and further data for scoring."""

    transfer: Annotated[bool, Parameter(negative="--no-transfer")] = True
    "Score selected programs on hard data and at other lengths too."


def synthesize(
    *,
    grid: Grid = Grid(),
    dataset_dir: Annotated[Path, Parameter(group=DATA)] = Path("datasets"),
    search: GridSearchOptions = GridSearchOptions(),
    model: ModelChoices = ModelChoices(),
    asking: AskingOptions = AskingOptions(),
    output: OutputOptions = OutputOptions(),
    sandbox: SandboxOptions = SandboxOptions(),
    cluster: ClusterOptions = ClusterOptions(),
) -> int:
    """Learn programs for a grid of benchmark tasks: functions by lengths by trials.

    Every trial draws a data set, selects a program by its validation errors and scores it once on
    the test rows; then on hard data and at other lengths. An impossible trial is recorded with
    the reason. The same command with the same --out resumes a grid that was interrupted.

    Parameters
    ----------
    dataset_dir
        Folder of stored data sets.
    """
    search_for = search.resolve(model, asking)
    request = grid_request(grid)
    request.plan()  # report an invalid request before a sandbox starts
    out = output.out or free_folder("synthesize")
    with search.models(model, asking, sandbox, out=out) as models:
        if asking.dry_run:
            return preview_grid(models, request, output.format)
        disclose_tasks(*models)
        search_for = search.joined(search_for, models)
        if model.batch:  # only concurrent calls share a batch
            most = len(request.plan()) * models[0].attempts
            search_for = replace(search_for, concurrency=most)
        result = run_shown(
            request,
            search_for,
            dataset_dir=dataset_dir,
            sandbox=sandbox,
            cluster=cluster,
            transfer=search.transfer,
            out=out,
            output=output,
        )
        return report(result, output)


def preview_grid(
    proposers: "Sequence[LLM]",
    request: "GridRequest",
    format: Format,  # noqa: A002
) -> int:
    """Show the exact first request of every cell and what all may cost, without sending it."""
    from llm_pv.proposers.llm.estimates import ASSUMED, CostEstimate
    from llm_pv.report.text import count

    estimates = []
    for trial in replace(request, trials=1).plan():
        head = f"{trial.cell.function} ({trial.task.name}), length {trial.length}"
        try:
            if trial.skipped:
                raise DataError(trial.skipped)
            splits = request.splits(trial, None)
        except DataError as error:
            complain(f"{head}: {error}")
            continue
        seed = request.spawned_seed(trial)
        previews = [preview_record(proposer, splits, seed) for proposer in proposers]
        for record, _ in previews:
            print_preview(record, head, format)
        estimates.append(CostEstimate.total(estimate for _, estimate in previews))
    total = CostEstimate.total(estimates).times(request.trials)
    complain(f"{count(len(estimates), 'cell')}, {count(request.trials, 'trial')} each: {total}")
    complain(ASSUMED)
    return 0


def run_shown(
    request: "GridRequest",
    search: "Search",
    *,
    dataset_dir: Path,
    sandbox: SandboxOptions,
    cluster: ClusterOptions = ClusterOptions(),
    transfer: bool = True,
    out: Path,
    output: OutputOptions = OutputOptions(),
    again: str = "",
    quiet: bool = False,
) -> "GridResult":
    """Run a grid while its progress is shown, and return its results."""
    from llm_pv.cli.progress import AttemptDetails, run_progress
    from llm_pv.tracks.synthesis.run import run_grid

    with (
        cluster.candidates(sandbox) as (opened, connected),
        run_progress(AttemptDetails(), out, output, again=again, quiet=quiet) as (_, observer),
    ):
        return run_grid(
            request,
            search,
            sandbox=opened,
            out=out,
            dataset_dir=dataset_dir,
            concurrency=search.concurrency,
            transfer=transfer,
            observer=observer,
            cluster=connected,
        )


def report(result: "GridResult", output: OutputOptions = OutputOptions()) -> int:
    """Show the results of a grid, leave its page in its directory, and return the exit status.

    Raise LLMPVError if no trial succeeded.
    """
    from rich.console import Console

    from llm_pv.cli.grid_tables import print_grid

    show = partial(print_grid, result, Console())
    return show_results(result, output, show, "no trial could be done")
