"""``llm-pv paper``: measure the paper's table; without a key, the parts that need none."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from llm_pv.child_process import usable_cores
from llm_pv.cli.main import complain, resumable
from llm_pv.cli.model_options import DEFAULT_MODEL_CHOICE, ModelChoice
from llm_pv.cli.options import DEFAULT_SANDBOX_OPTIONS, OUTPUT, SandboxOptions, option_group
from llm_pv.cli.paper_experiments import Name, Step, plan_steps, run_steps, show_steps
from llm_pv.cli.paper_parts import (
    ModelPart,
    ModelSpec,
    Part,
    check_model,
    model_parts,
    plan_parts,
    show_prices,
)
from llm_pv.errors import ConfigurationError
from llm_pv.report.text import count, seconds
from llm_pv.runs.reading import FAILED, read_summary
from llm_pv.runs.runner import require_writable

_DECLINED = "no model was called and nothing was done; without --model there is no price"

_TABLE = Group("Table", sort_key=1)
_MODEL = Group("Columns of a model", sort_key=4)


@option_group(_TABLE)
@dataclass(frozen=True)
class PaperTableOptions:
    """How much of the table is measured."""

    experiments: Annotated[tuple[Name, ...], Parameter(consume_multiple=True)] = ("table",)
    "The table, and curves: scaling, lengths, k, wordings, validation, dynamics, wallclock."
    tasks: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ()
    "Tasks by id or name; default the 13 of the published table."
    samplers: Annotated[tuple[Literal["paper", "hard"], ...], Parameter(consume_multiple=True)] = (
        "paper",
        "hard",
    )
    "How inputs are drawn."
    trials: int | None = None
    "Independent repetitions; default 3, with --full 10."
    test_size: int = 10_000
    "Test rows; training and validation have 100 each."
    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ()
    "Baselines; default all."
    full: bool = False
    "Every published length, and every setting of the baselines on every fold: many hours."


@option_group(_MODEL)
@dataclass(frozen=True)
class ColumnOptions:
    """Options of the models' columns, on the first of the samplers, and their budget."""

    columns: Annotated[
        tuple[Literal["program", "agent", "icl"], ...],
        Parameter(consume_multiple=True),
    ] = ("program", "agent", "icl")
    "LLM-PV's programs, the agent, in-context learning."
    budget_usd: float | None = None
    "Stop before a run directory of programs or of the agent costs more than this in US dollars."
    yes: bool = False
    "Call the model without asking first whether to pay the price shown."


def paper(
    *,
    table: PaperTableOptions = PaperTableOptions(),
    model: ModelChoice = DEFAULT_MODEL_CHOICE,
    columns: ColumnOptions = ColumnOptions(),
    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    results: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    dataset_dir: Annotated[Path, Parameter(group=OUTPUT)] = Path("datasets"),
    plan: Annotated[bool, Parameter(group=OUTPUT)] = False,
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Measure the paper's table: the built-in search and every baseline on the same data sets.

    Each task at the longest of its published lengths, 3 trials, both samplers, settings by
    successive halving; published figures are shown beside, marked as published. With --model there
    are columns of that model too, their price first. The same command with the same --out goes on
    with what was interrupted.

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
    folder = out or Path("runs", "paper-full" if table.full else "paper")
    places = ((folder, "--out"), (results, "--results"), (dataset_dir, "--dataset-dir"))
    for place, option in places:
        require_writable(place, option)
    results = results or folder / "results"
    if model.model is None and columns != ColumnOptions():
        raise ConfigurationError("these options are for a model: name it with --model")
    others = tuple(name for name in dict.fromkeys(table.experiments) if name != "table")
    if others:
        steps = plan_steps(
            others,
            tasks=table.tasks,
            trials=table.trials if table.trials is not None else (10 if table.full else 3),
            test_size=table.test_size,
            model=model,
            budget_usd=columns.budget_usd,
            dataset_dir=dataset_dir,
            out=folder,
        )
        status = _run_experiments(steps, results, plan=plan, yes=columns.yes)
        if status or others == table.experiments:
            return status
    parts = plan_parts(
        table.tasks,
        samplers=table.samplers,
        trials=table.trials,
        test_size=table.test_size,
        models=table.models,
        full=table.full,
        out=folder,
    )
    asking: list[ModelPart] = []
    if model.model is not None:
        asked = ModelSpec(model, columns.columns, columns.budget_usd, sandbox, dataset_dir)
        asking = _asking(asked, parts, folder, offline=plan)
    _show(parts)
    if asking:
        show_prices(asking)
    if plan:
        return 0
    if asking and not _confirmed(yes=columns.yes):
        complain(_DECLINED)
        return 1
    with resumable("the same command continues from here"):
        failed = _measure(parts, asking, dataset_dir, sandbox)
    runs = [*(part.folder for part in parts), *(part.folder for part in asking)]
    page = _write(runs, results, _remake(table, asks=bool(asking)))
    sys.stdout.write(f"{page}\n")
    if failed:
        complain(
            f"{count(failed, 'trial')} failed: the page says why, the same command tries again"
        )
    return 1 if failed else 0


def _confirmed(*, yes: bool) -> bool:
    """Return whether the user agrees to the price.

    Raise ConfigurationError if standard input is not a terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError("no terminal to confirm the price: give --yes (YES=1)")
    sys.stderr.write("Ask the model for that price? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _run_experiments(steps: list[Step], results: Path, *, plan: bool, yes: bool) -> int:
    """Run the experiments besides the table; a model is asked once its price is agreed to."""
    show_steps(steps)
    if plan or not steps:
        return 0
    if any(step.asks for step in steps) and not _confirmed(yes=yes):
        complain(_DECLINED)
        return 1
    return run_steps(steps, results)


def _asking(asked: ModelSpec, parts: list[Part], folder: Path, *, offline: bool) -> list[ModelPart]:
    """Return what a model is asked, on the first of the samplers; look for its key before."""
    if not offline:
        check_model(asked)
    requests = [part.request for part in parts if part.track == "synthesize"]
    chosen = [request for request in requests if request.sampler == requests[0].sampler]
    return model_parts(asked, chosen, folder)


def _measure(
    parts: list[Part], asking: list[ModelPart], dataset_dir: Path, sandbox: SandboxOptions
) -> int:
    """Run the unfinished parts, the model's last, and return how many trials failed."""
    steps = [(part.title, partial(part.run, dataset_dir, sandbox)) for part in parts]
    steps += [(part.title, partial(part.run)) for part in asking]
    failed = 0
    for number, (title, run) in enumerate(steps, start=1):
        complain(f"{number} of {len(steps)}: {title}")
        failed += run()
    return failed


def _remake(table: PaperTableOptions, *, asks: bool) -> str:
    """Return the target of the Makefile that makes this table, if one does."""
    known = {PaperTableOptions(): "", PaperTableOptions(full=True): " FULL=1"}
    if table not in known:
        return ""
    return f"make {'paper' if asks else 'paper-offline'}{known[table]}"


def _show(parts: list[Part]) -> None:
    """Write to standard error the parts to be done, and about how long they take here."""
    cores = usable_cores()
    total = 0.0
    for part in parts:
        done = sum(row["status"] != FAILED for row in read_summary(part.folder))
        expected = part.cpu_seconds(done) / cores
        total += expected
        complain(f"{part.title}: {f'about {seconds(expected)}' if expected else 'done'}")
    complain(
        f"about {seconds(total)} in all on {count(cores, 'core')} "
        "(estimated from seconds measured on one machine; another may differ by a factor of two)"
    )


def _write(runs: list[Path], folder: Path, remake: str) -> Path:
    from llm_pv.cli.report import leave_page
    from llm_pv.report.results_page import Provenance, write_results

    for run in runs:
        leave_page(run)
    return write_results(runs, folder, Provenance(usable_cores(), remake))
