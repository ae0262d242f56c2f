"""``llm-pv synthesize``: learn programs for a grid of benchmark tasks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.grid_options import DATA, DEFAULT_GRID, Grid, grid_request
from llm_pv.cli.main import complain
from llm_pv.cli.model_options import (
    DEFAULT_ASKING_OPTIONS,
    DEFAULT_MODEL_CHOICES,
    AskingOptions,
    ModelChoices,
)
from llm_pv.cli.options import (
    DEFAULT_OUTPUT_OPTIONS,
    DEFAULT_SANDBOX_OPTIONS,
    Format,
    OutputOptions,
    SandboxOptions,
    option_group,
)
from llm_pv.cli.output import free_folder, make_table, places
from llm_pv.cli.previews import disclose_tasks, preview_record, print_preview
from llm_pv.cli.report import show_results
from llm_pv.cli.search_options import SEARCH, SearchOptions
from llm_pv.errors import DataError
from llm_pv.report.text import count, percent, spread
from llm_pv.stats import MeanStd
from llm_pv.tracks.published import LLM_PV_METHODS, OTHER_METHODS, SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from llm_pv.api import Search
    from llm_pv.proposers.llm import LLM
    from llm_pv.tracks.grid import GridRequest
    from llm_pv.tracks.synthesis.results import CellResult, GridResult


_MOST_WARNINGS = 2
"""The notes of a cell that are printed; the trials of a cell mostly say the same."""


@option_group(SEARCH)
@dataclass(frozen=True)
class GridSearchOptions(SearchOptions):
    """The proposer, the number of attempts, and further data for scoring."""

    transfer: Annotated[bool, Parameter(negative="--no-transfer")] = True
    "Score selected programs on hard data and at other lengths too."


def synthesize(
    *,
    grid: Grid = DEFAULT_GRID,
    dataset_dir: Annotated[Path, Parameter(group=DATA)] = Path("datasets"),
    search: GridSearchOptions = GridSearchOptions(),
    model: ModelChoices = DEFAULT_MODEL_CHOICES,
    asking: AskingOptions = DEFAULT_ASKING_OPTIONS,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
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
    from llm_pv.proposers.llm.costs import ASSUMED, CostEstimate

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
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
    transfer: bool = True,
    out: Path,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
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


def report(result: "GridResult", output: OutputOptions = DEFAULT_OUTPUT_OPTIONS) -> int:
    """Show the results of a grid, leave its page in its directory, and return the exit status.

    Raise LLMPVError if no trial succeeded.
    """
    return show_results(
        result, output, lambda: (grid_table(result), _footnotes(result)), "no trial could be done"
    )


def grid_table(result: "GridResult") -> "Table":
    """Return a table with a line for each cell, in percent, within 80 columns if names allow."""
    columns = ["task", "test", "attempts", "hard", "other\nlengths"]
    has_published = any(cell.published_test_accuracy for cell in result.cells)
    published = ["published: LLM-PV,\nand best other"] if has_published else []
    title = f"Test accuracy in percent, {result.sampler} sampler"
    table = make_table([*columns, *published], title=title, left=published, italic=published)
    for cell in result.cells:
        done = cell.test_accuracy.trials if cell.test_accuracy else 0
        row = [
            f"{cell.function} L={cell.length}\n{cell.name if cell.name != cell.function else ''}",
            f"{spread(cell.test_accuracy)}\n{done}/{sum(cell.statuses.values())} trials",
            _attempts(cell),
            spread(cell.hard_accuracy and MeanStd(cell.hard_accuracy.mean, None, 0)),
            "\n".join(
                f"{length}: {spread(MeanStd(figure.mean, None, 0))}"
                for length, figure in cell.other_lengths.items()
            ),
        ]
        if has_published:
            row.append(_published(cell.published_test_accuracy))
        table.add_row(*row, style="" if cell.test_accuracy else "dim")
    return table


def _attempts(cell: "CellResult") -> str:
    if not cell.attempts:
        return ""
    low, high = min(cell.attempts), max(cell.attempts)
    return str(low) if low == high else f"{low} to {high}"


def _published(figures: dict[str, float]) -> str:
    """Name the best published LLM-PV figure and the best of the other methods."""
    lines = []
    for methods in (LLM_PV_METHODS, OTHER_METHODS):
        known = [method for method in methods if method in figures]
        if known:
            best = max(known, key=lambda method: figures[method])
            lines.append(f"{percent(figures[best])} {best.removeprefix('LLM-PV-')}")
    return "\n".join(lines)


def _footnotes(result: "GridResult") -> Text:
    text = Text()
    text.append(
        "± is the standard deviation over trials (ddof=1). Hard and other lengths: the selected "
        "programs on 1,000 rows of the hard sampler, and at twice the length and so on.\n",
        style="dim",
    )
    if any(cell.published_test_accuracy for cell in result.cells):
        text.append(
            f"Published: the best LLM-PV figure and the best other one of {SOURCE}.\n", style="dim"
        )
    for cell in result.cells:
        for status, number in cell.statuses.items():
            if status != "done":
                label = f"{status} ({number}): {cell.function} at length {cell.length}: "
                text.append("\n" + label, style="yellow").append("; ".join(cell.reasons))
    notes: dict[str, list[str]] = {}
    for cell in result.cells:
        for warning in cell.warnings[:_MOST_WARNINGS]:
            notes.setdefault(warning, []).append(f"{cell.function} at length {cell.length}")
    for warning, settings in notes.items():
        where = settings[0] if len(settings) == 1 else f"{len(settings)} settings"
        text.append(f"\n{where}: ", style="yellow").append(warning)
    more = sum(max(0, len(cell.warnings) - _MOST_WARNINGS) for cell in result.cells)
    text.append(f"\n{count(more, 'more note')}, in results_attempts.jsonl" if more else "", "dim")
    return text.append(f"\n{places(result.path)}")
