"""One trial of a cell: its data set, the program learned from it, and that on other data."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.erm.pipeline import Destination, learn_splits
from llm_pv.erm.scoring import Score, score_predictions
from llm_pv.erm.selection import Plan
from llm_pv.erm.verification import first_error, read_predictions
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.proposers.base import Proposer
from llm_pv.proposers.round_robin import RoundRobin, at_once
from llm_pv.runs.executors.base import CellContext
from llm_pv.runs.remote_records import Results
from llm_pv.sandbox import Sandbox
from llm_pv.tasks import SamplerName
from llm_pv.tracks.grid import GridRequest, Trial

TRANSFER_ROWS = 1_000
"""Rows of other data that a selected program is scored on."""


@dataclass(frozen=True)
class GridWork:
    """The settings and services shared by all trials of a grid."""

    request: GridRequest
    plan: Plan
    proposer: Proposer
    transfer: bool = True
    dataset_dir: Path | None = None
    "Where data sets are stored and found again; None stores none."
    rounds: RoundRobin | None = None
    "The order of attempts that cost something; None starts each immediately."

    def portable(self) -> "GridWork":
        """Return it as it is sent to other machines, which have none of these files."""
        return replace(self, proposer=self.proposer.portable(), dataset_dir=None)


def compute_trial(
    inputs: tuple[GridWork, tuple[Trial, Splits | None]],
    context: CellContext,
) -> None:
    """Do what is not done yet of a trial: learn, then score the program on other data.

    Parameters
    ----------
    inputs
        What all trials share, the trial, and its rows; None to draw them.
    context
        Where it is computed; its events are the verified attempts.
    """
    work, (trial, splits) = inputs
    results, request = context.results, work.request
    assert context.sandbox is not None, "programs are run"
    with closing(work.rounds.cell(trial.cell) if work.rounds else at_once()) as admission:
        if not results.finished(trial.cell):
            learn_splits(
                splits or context.processes.call(request.splits, trial, work.dataset_dir),
                work.proposer,
                context.sandbox,
                work.plan,
                name=trial.task.name,
                seed=request.spawned_seed(trial),
                destination=Destination(
                    results, trial.cell, work.proposer.columns | {"seed": request.seed}
                ),
                on_attempt=context.emit,
                admission=admission,
            )
        if work.transfer:
            transfer_trial(trial, request, context)


def transfer_trial(trial: Trial, request: GridRequest, context: CellContext) -> None:
    """Score a trial's selected program on hard data and at other lengths, unless that is done."""
    assert context.sandbox is not None, "programs are run"
    source = selected_source(trial, context.results)
    for sampler, length in missing_transfer(trial, context.results, request.test_lengths):
        assert source is not None
        record: dict[str, Any] = {"sampler_there": sampler, "length_there": length}
        try:
            splits = context.processes.call(
                request.other_splits, trial, length, sampler, TRANSFER_ROWS
            )
        except (ConfigurationError, DataError) as error:
            record |= _transfer_columns(None, "failed", str(error))
        else:
            score, error_text = _score(source, splits, context.sandbox)
            record |= _transfer_columns(score, "done", error_text)
        context.results.add_transfer(trial.cell, record)


def transfer_targets(
    trial: Trial, lengths: tuple[int, ...] | None = None
) -> list[tuple[SamplerName, int]]:
    """Return the samplers and lengths a trial's selected program is also scored on.

    Lengths that are asked for and that the task does not have, or has another rule for, are left
    out.
    """
    sampler: SamplerName = "hard" if trial.cell.sampler == "hard" else "paper"
    if lengths is None:
        lengths = trial.task.other_lengths(trial.length)
    targets: list[tuple[SamplerName, int]] = [
        (sampler, length) for length in trial.other_lengths(lengths)
    ]
    if sampler == "paper" and "hard" in trial.task.samplers:
        targets.insert(0, ("hard", trial.length))
    return targets


def missing_transfer(
    trial: Trial, run: Results, lengths: tuple[int, ...] | None = None
) -> list[tuple[SamplerName, int]]:
    """Return what a trial's selected program, if there is one, has not been scored on yet."""
    if selected_source(trial, run) is None:
        return []
    known = {(there["sampler_there"], there["length_there"]) for there in run.transfer(trial.cell)}
    return [target for target in transfer_targets(trial, lengths) if target not in known]


def selected_source(trial: Trial, run: Results) -> str | None:
    """Return the source of the program a trial selected, None if it selected none (yet)."""
    selected = run.cell_log(trial.cell).selected
    return (selected.get("program") or None) if selected else None


def _score(source: str, splits: Splits, sandbox: Sandbox) -> tuple[Score, str]:
    execution = sandbox.predict(source, splits.test.inputs)
    predictions = read_predictions(execution, splits.classes)
    return score_predictions(predictions, splits.test.labels), first_error(
        execution, splits.classes
    )


def _transfer_columns(score: Score | None, status: str, reason: str) -> dict[str, Any]:
    return {
        "rows": score.rows if score else 0,
        "errors": score.errors if score else None,
        "accuracy": score.accuracy if score else None,
        "status": status,
        "reason": reason,
    }
