"""Running program synthesis over a grid: its trials are cells of the runner."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from llm_pv.api import Search
from llm_pv.child_process import usable_cores
from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError
from llm_pv.proposers.base import Proposer
from llm_pv.proposers.round_robin import RoundRobin
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors import executor_for
from llm_pv.runs.executors.base import CellTask
from llm_pv.runs.executors.local import WorkerProcesses
from llm_pv.runs.runner import Observer, require_writable, run_cells
from llm_pv.sandbox import Sandbox
from llm_pv.tracks.grid import GridRequest, Trial
from llm_pv.tracks.synthesis.results import GridResult, collect
from llm_pv.tracks.synthesis.trials import GridWork, compute_trial, missing_transfer

if TYPE_CHECKING:
    from llm_pv.runs.executors.ray import Cluster


def run_grid(
    request: GridRequest,
    search: Search | None = None,
    *,
    sandbox: Sandbox,
    out: Path,
    dataset_dir: Path | None = None,
    concurrency: int = 5,
    transfer: bool = True,
    observer: Observer | None = None,
    cluster: "Cluster | None" = None,
) -> GridResult:
    """Learn every trial of a grid, and gather the results.

    A trial that cannot be is recorded as skipped, one that ends in an error as failed, each with
    its reason, and the grid continues. A grid that was interrupted or killed is resumed by the same
    call; failed trials are tried again.

    Raise ConfigurationError if the request is invalid as a whole; nothing was written then. Raise
    RunError if a directory cannot be used. Raise KeyboardInterrupt if it is interrupted; everything
    done so far is kept.

    Parameters
    ----------
    request
        The tasks, lengths and trials. The seed of ``search`` is not used.
    search
        Where programs come from, and how many are tried; None for the defaults. The built-in
        search runs in processes of its own, as many as there are cores; attempts at a model are
        made in rounds.
    sandbox
        An open sandbox; it is left open, but closed when the grid is interrupted.
    out
        The run directory.
    dataset_dir
        Where data sets are stored and found again; None stores none.
    concurrency
        How many trials, or attempts at a model, are under way at once.
    transfer
        Whether selected programs are scored on hard data and at other lengths.
    observer
        Watches the run; its events are the verified attempts.
    cluster
        Machines that compute whole trials, as many as they can at once, in place of this one;
        trials that ask a model stay here, with the key. Released when the grid is interrupted.
    """
    trials = request.plan()
    search = search or Search()
    proposer, plan = search.resolve()
    if concurrency < 1:
        raise ConfigurationError(f"is {concurrency}; give 1 or more", "concurrency")
    for place, option in ((out, "--out"), (dataset_dir, "--dataset-dir")):
        require_writable(place, option)
    configuration = {
        "command": "synthesize",
        "proposer": proposer.identity,
        "planned_attempts": plan.attempts,
        "delta": plan.delta,
        "early_stop": plan.early_stop,
        "limits": asdict(sandbox.limits),
        "transfer": transfer,
        "request": request.record(),
    }
    tasks = [_task(trial, request, proposer) for trial in trials]
    confinement = sandbox.confinement.record()
    with (
        RunDirectory(out, configuration, confinement, proposer.columns) as run,
        WorkerProcesses(min(concurrency, usable_cores())) as processes,
    ):

        def is_done(task: CellTask) -> bool:
            lengths = request.test_lengths
            return run.finished(task.cell) and not (
                transfer and missing_transfer(task.inputs[0], run, lengths)
            )

        at_once, rounds = concurrency, None
        on_close = [proposer.close]
        if proposer.interleaved:
            # All cells are open at once; what is bounded is the number of attempts under way.
            waiting = [task.cell for task in tasks if not (task.skipped or is_done(task))]
            rounds = RoundRobin(dict.fromkeys(waiting, 0), concurrency)
            on_close.insert(0, rounds.stop)
            at_once = max(1, len(waiting))
        work = GridWork(request, plan, proposer, transfer, dataset_dir, rounds)
        proposer.open(run.turns())

        def with_table(inputs: tuple[Trial, None]) -> tuple[Trial, Splits | None]:
            trial, _ = inputs
            if trial.task.alphabet != "table":
                return inputs
            # The rows of a table may lie in a file here, or beyond a network.
            return trial, processes.call(request.splits, trial, dataset_dir)

        executor = executor_for(
            None if proposer.interleaved else cluster,
            cells_at_once=at_once,
            shared=work,
            portable=work.portable,
            prepare=with_table,
            processes=processes,
            sandbox=sandbox,
            on_close=on_close,
        )
        run_cells(tasks, compute_trial, executor, run, done=is_done, observer=observer)
        return collect(run, trials, request.test_lengths)


def _task(trial: Trial, request: GridRequest, proposer: Proposer) -> CellTask:
    """Return a trial as a cell of the runner."""
    columns = {
        **proposer.columns,
        "name": trial.task.name,
        "seed": request.seed,
        "train_size": request.train_size,
        "validation_size": request.validation_size,
        "test_size": request.test_size,
    }
    return CellTask(trial.cell, (trial, None), columns, trial.skipped)
