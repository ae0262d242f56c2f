"""``llm-pv synthesize``: learn programs for a grid of benchmark tasks."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.grid_options import (
    DEFAULT_DATA_SET_OPTIONS,
    DEFAULT_GRID_OPTIONS,
    DataSetOptions,
    GridOptions,
    grid_request,
)
from llm_pv.cli.main import INTERRUPTED, complain
from llm_pv.cli.model_options import (
    DEFAULT_ASKING_OPTIONS,
    DEFAULT_MODEL_CHOICES,
    AskingOptions,
    ModelChoices,
    open_proposers,
)
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, OUTPUT, Format, SandboxOptions, Track
from llm_pv.cli.output import free_folder, write_json
from llm_pv.cli.previews import disclose_tasks, preview_record, print_preview
from llm_pv.cli.report import leave_page
from llm_pv.cli.search_options import SEARCH, SearchOptions
from llm_pv.errors import DataError, LLMPVError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_pv.api import Search
    from llm_pv.proposers.llm import LLM
    from llm_pv.tracks.grid import GridRequest
    from llm_pv.tracks.synthesis.results import GridResult


@Parameter(name="*", group=SEARCH)
@dataclass(frozen=True)
class GridSearchOptions(SearchOptions):
    """The proposer, the number of attempts, and further data for scoring."""

    transfer: bool = True
    "Score selected programs on hard data and at other lengths too."


def synthesize(
    *,
    grid: GridOptions = DEFAULT_GRID_OPTIONS,
    data: DataSetOptions = DEFAULT_DATA_SET_OPTIONS,
    search: GridSearchOptions = GridSearchOptions(),
    model: ModelChoices = DEFAULT_MODEL_CHOICES,
    asking: AskingOptions = DEFAULT_ASKING_OPTIONS,
    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    format: Annotated[Format, Parameter(group=OUTPUT)] = "table",  # noqa: A002
    track: Annotated[Track | None, Parameter(group=OUTPUT)] = None,
    watch: Annotated[bool, Parameter(group=OUTPUT, negative="")] = False,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Learn programs for a grid of benchmark tasks: functions by lengths by trials.

    Every trial draws a data set, selects a program by its validation errors and scores it once on
    the test rows; then on hard data and at other lengths. An impossible trial is recorded with
    the reason. The same command with the same --out resumes a grid that was interrupted.

    Parameters
    ----------
    out
        Run directory; default a new folder under runs/.
    format
        How the results are shown: table, or one JSON object.
    track
        Send figures to this experiment tracker as they come.
    watch
        Serve a page on 127.0.0.1 that shows the run while it works, with a button to stop it.
    """
    choices = model.each()
    search_for = search.resolve(model, asking)
    request = grid_request(grid, data)
    request.plan()  # report an invalid request before a sandbox starts
    with ExitStack() as stack:
        if model.batch and out is None and not asking.dry_run:
            out = free_folder("synthesize")
        models = open_proposers(
            choices,
            asking,
            sandbox,
            attempts=search.attempts,
            budget_seconds=search.budget_seconds,
            noise=search.noise,
            out=out,
        )
        for one in models:
            stack.enter_context(one)
        if asking.dry_run:
            return preview_grid(models, request, format)
        disclose_tasks(*models)
        search_for = search.joined(search_for, models)
        if model.batch:  # only concurrent calls share a batch
            most = len(request.plan()) * models[0].attempts
            search_for = replace(search_for, concurrency=most)
        return run_and_report(
            request,
            search_for,
            dataset_dir=data.dataset_dir,
            sandbox=sandbox,
            cluster=cluster,
            transfer=search.transfer,
            out=out or free_folder("synthesize"),
            format=format,
            track=track,
            watch=watch,
        )


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


def run_and_report(
    request: "GridRequest",
    search: "Search",
    *,
    dataset_dir: Path,
    sandbox: SandboxOptions,
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
    transfer: bool,
    out: Path,
    format: Format,  # noqa: A002
    track: Track | None = None,
    watch: bool = False,
) -> int:
    """Run a grid, show its results, and return the exit status.

    Parameters
    ----------
    request
        The tasks, lengths and trials.
    search
        Where programs come from.
    dataset_dir
        Where data sets are kept.
    sandbox, cluster
        Where programs run.
    transfer
        Whether they are scored on other data too.
    out
        The run directory.
    format
        How the results are shown.
    track
        Where figures are sent.
    watch
        Whether a page shows the run while it works.
    """
    from llm_pv.cli.progress import AttemptDetails, cell_progress
    from llm_pv.cli.tracking import tracking
    from llm_pv.tracks.synthesis.run import run_grid

    try:
        with (
            cluster.candidates(sandbox) as (opened, connected),
            cell_progress(AttemptDetails(), watch=watch) as progress,
            tracking(track, out, progress) as observer,
        ):
            result = run_grid(
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
    except KeyboardInterrupt:
        complain(f"interrupted; the same command with --out {out} continues from here")
        return INTERRUPTED
    if progress.resumed_all:
        complain(f"{out} is a finished run; this is its result, give another --out to run anew")
    return report(result, format)


def report(result: "GridResult", format: Format) -> int:  # noqa: A002
    """Show the results of a grid, leave its page in its directory, and return the exit status.

    Raise LLMPVError if no trial succeeded.
    """
    leave_page(result.path)
    if not result.count("done") + result.count("nothing found"):
        reasons = dict.fromkeys(reason for cell in result.cells for reason in cell.reasons)
        raise LLMPVError(f"no trial could be done: {'; '.join(list(reasons)[:3])}")
    if format == "json":
        write_json(result.record())
    else:
        from rich.console import Console

        from llm_pv.cli.grid_tables import print_grid

        print_grid(result, Console())
    return 1 if result.count("failed") else 0
