"""``llm-pv paper``: the paper's table, measured here, as far as it goes without a key."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from llm_pv.cli.main import INTERRUPTED, complain
from llm_pv.cli.options import SandboxOptions

if TYPE_CHECKING:
    from llm_pv.cli.paper_plan import Part

_TABLE = Group("Table", sort_key=1)
_OUTPUT = Group("Output", sort_key=2)


@Parameter(name="*", group=_TABLE)
@dataclass(frozen=True)
class TableOptions:
    """How much of the table is measured."""

    tasks: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    "Tasks by id or name; default the 13 of the published table."
    samplers: Annotated[
        tuple[Literal["paper", "hard"], ...], Parameter(consume_multiple=True, negative="")
    ] = ("paper", "hard")
    "How inputs are drawn."
    trials: int | None = None
    "Independent repetitions; default 3, with --full 10."
    test_size: int = 10_000
    "Test rows; training and validation have 100 each."
    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    "Baselines; default all."
    full: Annotated[bool, Parameter(negative="")] = False
    "Every published length, and every setting of the baselines on every fold: many hours."


def paper(
    *,
    table: TableOptions = TableOptions(),
    out: Annotated[Path | None, Parameter(group=_OUTPUT)] = None,
    results: Annotated[Path | None, Parameter(group=_OUTPUT)] = None,
    dataset_dir: Annotated[Path, Parameter(group=_OUTPUT)] = Path("datasets"),
    plan: Annotated[bool, Parameter(group=_OUTPUT, negative="")] = False,
    sandbox: SandboxOptions = SandboxOptions(),
) -> int:
    """Measure the paper's table: the built-in search and every baseline on the same data sets.

    Each task at the longest of its published lengths, 3 trials, both samplers, settings by
    successive halving; published figures stand beside, marked as published. The same command with
    the same --out goes on with what was interrupted.

    Parameters
    ----------
    out
        Folder for the run directories; default runs/paper, with --full runs/paper-full.
    results
        Folder for the page, its figures and tables; default the folder results beside the runs.
    dataset_dir
        Where data sets are stored and found again.
    plan
        Show what would be done and how long it takes, and do nothing.
    """
    from llm_pv.cli.paper_plan import plan_parts
    from llm_pv.grid.run import require_writable

    folder = out or Path("runs", "paper-full" if table.full else "paper")
    for place, option in (
        (folder, "--out"),
        (results, "--results"),
        (dataset_dir, "--dataset-dir"),
    ):
        require_writable(place, option)
    parts = plan_parts(
        table.tasks,
        samplers=table.samplers,
        trials=table.trials,
        test_size=table.test_size,
        models=table.models,
        full=table.full,
        out=folder,
    )
    _show(parts)
    if plan:
        return 0
    failed = 0
    try:
        for number, part in enumerate(parts, start=1):
            complain(f"{number} of {len(parts)}: {part.title}")
            failed += _run(part, dataset_dir, sandbox)
    except KeyboardInterrupt:
        complain("interrupted; the same command goes on from here")
        return INTERRUPTED
    remake = {
        TableOptions(): "make paper-offline",
        TableOptions(full=True): "make paper-offline FULL=1",
    }.get(table, "")
    page = _write(parts, results or folder / "results", remake)
    sys.stdout.write(f"{page}\n")
    if failed:
        complain(
            f"{failed} trials failed; the page says why, and the same command tries them again"
        )
    return 1 if failed else 0


def _show(parts: "list[Part]") -> None:
    """Say on standard error what is to be done, and about how long it takes here."""
    from llm_pv.grid.run import usable_cores
    from llm_pv.report.text import count, seconds
    from llm_pv.runs.directory import read_summary

    cores = usable_cores()
    total = 0.0
    for part in parts:
        expected = part.cpu_seconds(len(read_summary(part.folder))) / cores
        total += expected
        complain(f"{part.title}: {f'about {seconds(expected)}' if expected else 'done'}")
    complain(
        f"about {seconds(total)} in all on {count(cores, 'core')} "
        "(estimated from seconds measured on one machine; another may differ by a factor of two)"
    )


def _run(part: "Part", dataset_dir: Path, sandbox: SandboxOptions) -> int:
    """Do one part, or what is left of it, and return how many trials failed."""
    if part.track == "baselines":
        from llm_pv.baselines.run import run_baselines
        from llm_pv.cli.baselines_progress import baseline_progress

        with baseline_progress() as fits:
            return run_baselines(
                part.request,
                part.models,
                search=part.search,
                out=part.folder,
                dataset_dir=dataset_dir,
                observer=fits,
            ).count("failed")
    from llm_pv.cli.grid_progress import grid_progress
    from llm_pv.grid.run import run_grid

    with sandbox.open() as opened, grid_progress() as trials:
        return run_grid(
            part.request,
            sandbox=opened,
            out=part.folder,
            dataset_dir=dataset_dir,
            observer=trials,
        ).count("failed")


def _write(parts: "list[Part]", folder: Path, remake: str) -> Path:
    from llm_pv.cli.report import leave_page
    from llm_pv.grid.run import usable_cores
    from llm_pv.report.results_page import Occasion, write_results

    runs = [part.folder for part in parts]
    for run in runs:
        leave_page(run)
    return write_results(runs, folder, Occasion(usable_cores(), remake))
