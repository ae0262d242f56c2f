"""Run in-context learning: every answer is on disk before it counts, and a run can be resumed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.errors import ClusterError, CredentialError, ModelError
from llm_pv.models.base import total_cost
from llm_pv.models.label_queries import LabelAnswer, LabelQuery
from llm_pv.models.language_model import LanguageModel
from llm_pv.runs.cells import Cell, by_cell, key_of, place_of, way_of
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors import executor_for
from llm_pv.runs.executors.base import CellContext, CellTask
from llm_pv.runs.files import csv_text
from llm_pv.runs.journal import Record
from llm_pv.runs.reading import FAILED, UNFINISHED, read_replies, read_summary
from llm_pv.runs.runner import Observer, run_cells
from llm_pv.tracks.grid import spawned_seed, transfer_record
from llm_pv.tracks.icl.planning import PlannedCell
from llm_pv.tracks.icl.scores import AnsweredCell, CellScore, score_cell
from llm_pv.tracks.icl.settings import Settings
from llm_pv.tracks.icl.texts import read_label

if TYPE_CHECKING:
    from llm_pv.runs.executors.ray import Cluster

TRACK = "icl"


@dataclass(frozen=True)
class Answered:
    """The event that answers have come."""

    count: int
    right: int
    cost_usd: float | None = 0.0
    "Their price; None if it is unknown."


def open_same(make: Callable[[], LanguageModel], identity: str, folder: Path) -> LanguageModel:
    """Open the model on a machine of a cluster.

    Raise ClusterError if it is another one there.

    Parameters
    ----------
    make
        Opens it; it can be pickled.
    folder
        Where the driver runs; relative folders of models are relative to it.
    """
    from llm_pv.runs.executors.ray.remote import enter_folder

    enter_folder(folder)
    model = make()
    if model.identity != identity:
        raise ClusterError(
            f"{model.name} has other files on a machine of the cluster than here; "
            "give all machines the same"
        )
    return model


def run_icl(
    planned: Sequence[PlannedCell | AnsweredCell],
    model: LanguageModel,
    settings: Settings,
    *,
    out: Path,
    configuration: Mapping[str, Any],
    observer: Observer | None = None,
    cluster: "Cluster | None" = None,
    opening: Callable[[], LanguageModel] | None = None,
) -> list[AnsweredCell]:
    """Have a model label every test row of every cell.

    The same call resumes a run that was interrupted; no prompt that was answered is asked
    again. A cell with a prompt that is refused fails, keeps its answers, and the others go on.

    Raise CredentialError or ModelError if no prompt can be answered any more, as when the server
    has gone; answers are kept. Raise RunError if the run directory cannot be used.

    Parameters
    ----------
    planned
        The cells, as `plan_cells` returns them; those that cannot be done are recorded so.
    model
        The model; it is left open.
    configuration
        What decides the results besides the model and the settings: the data.
    observer
        Watches the run; its events are `Answered`.
    cluster, opening
        Machines that answer in place of this process, several cells side by side, and how they
        open the model; None asks the model itself.
    """
    whole = {
        "command": "icl",
        "model": model.identity,
        "settings": settings.record(),
        **configuration,
    }
    works = {work.cell: work for work in planned if isinstance(work, PlannedCell)}
    tasks = [_task(work, settings) for work in planned]
    with RunDirectory(out, whole) as run:

        def is_done(task: CellTask) -> bool:
            answers = len(run.cell_log(task.cell).replies)
            return run.finished(task.cell) and answers == works[task.cell].answers

        executor = executor_for(cluster, cells_at_once=1, opened=model, make=opening)
        run_cells(tasks, answer_cell, executor, run, done=is_done, observer=observer)
    return read_results(planned, out, settings)


def read_results(
    planned: Sequence[PlannedCell | AnsweredCell],
    out: Path,
    settings: Settings,
    under_way: Collection[Cell] = (),
) -> list[AnsweredCell]:
    """Return the results of a run's cells as far as it has come, in order."""
    rows = {place_of(row) + way_of(row): row for row in read_summary(out)}
    replies = by_cell(read_replies(out))
    results = []
    for work in planned:
        key = key_of(work.cell.record())
        if isinstance(work, AnsweredCell):
            results.append(work)
        elif key in rows and work.cell not in under_way:
            results.append(result_of(work, rows[key], replies.get(key, []), settings))
        else:
            results.append(AnsweredCell(work.cell, work.name, UNFINISHED, ""))
    return results


def result_of(
    work: PlannedCell, row: Mapping[str, str], replies: Sequence[Record], settings: Settings
) -> AnsweredCell:
    """Return the result of a cell that has ended."""
    if row["status"] != "done":
        return AnsweredCell(work.cell, work.name, row["status"], row["reason"])
    train, test = work.splits.train, work.splits.test
    score = score_cell(replies, train, test)
    reason = _why_no_label(replies, settings.token_limit)
    others, first = {}, len(test)
    for length, rows in work.others.items():
        others[length] = score_cell(replies, train, rows, first)
        first += len(rows)
    return AnsweredCell(work.cell, work.name, "done", reason, score, len(train), len(test), others)


def _task(work: PlannedCell | AnsweredCell, settings: Settings) -> CellTask:
    """Return a cell of the runner; one that cannot be done is skipped."""
    if isinstance(work, AnsweredCell):
        return CellTask(work.cell, None, _columns(work.name, settings), work.reason)
    return CellTask(work.cell, (work, settings), _columns(work.name, settings))


def _columns(name: str, settings: Settings) -> Record:
    return {"track": TRACK, "name": name, "seed": settings.drawn_by, "validation_size": 0}


def answer_cell(inputs: tuple[PlannedCell, Settings], context: CellContext) -> None:
    """Get every answer of a cell that is not known yet, score them all and write the results.

    Raise ModelError if a prompt is refused; or, ending the run, if none can be answered any more.

    Parameters
    ----------
    context
        Where; what it has opened is the model.
    """
    work, settings = inputs
    log = context.results.cell_log(work.cell)
    try:
        for order in range(len(work.prompts)):
            _answer_order(work, order, settings, context)
    except ModelError as error:
        if not error.transient and not isinstance(error, CredentialError):
            raise  # other prompts may well be answered
        path, kept = context.results.path, len(log.replies)
        ending = type(error)(
            f"{error} ({work.cell.function}, {work.cell.method}: {kept} of {work.answers} answers "
            f"kept in {path}; the same command with --out {path} resumes from here)"
        )
        ending.ends_run = True
        context.results.log("error", str(error), cell=work.cell.record())
        failed = {"status": FAILED, "reason": str(error)}
        context.results.finish(work.cell, _columns(work.name, settings) | failed)
        raise ending from error
    result = result_of(work, {"status": "done"}, log.replies, settings)
    _write_predictions(work, context)
    for length, there in result.others.items():
        _add_transfer(work, length, there, context)
    context.results.finish(work.cell, _summary_row(result, settings, work.learn_seconds))


def _answer_order(work: PlannedCell, order: int, settings: Settings, context: CellContext) -> None:
    """Get the answers to the prompts with one order of the examples."""
    prompts, labels = work.prompts[order], work.asked.labels
    log = context.results.cell_log(work.cell)
    known = {record["example"] for record in log.replies if record["order"] == order}
    missing = [row for row in range(len(prompts)) if row not in known]
    if not missing:
        return
    model: LanguageModel = context.opened
    seeds = [spawned_seed(settings.drawn_by, work.cell.trial, order, row) for row in missing]
    groups = model.choose([prompts[row] for row in missing], work.query, seeds=seeds)
    for group in groups:
        records = [
            _record(order, missing[position], answer, work.query) for position, answer in group
        ]
        log.append_replies(records)
        right = sum(record["predicted"] == labels[record["example"]] for record in records)
        cost = total_cost(record["cost_usd"] for record in records)
        context.emit(Answered(len(records), right, cost))


def _why_no_label(replies: Sequence[Record], max_new_tokens: int) -> str:
    """Say how many answers held no label, and how many of them were cut off."""
    without = [record for record in replies if record["predicted"] is None]
    if not without:
        return ""
    cut = sum(record["finish"] == "length" for record in without)
    at_length = f", {cut} of them cut off at --max-new-tokens {max_new_tokens}" if cut else ""
    return f"{len(without)} of {len(replies)} answers held no label{at_length}"


def _record(order: int, example: int, answer: LabelAnswer, query: LabelQuery) -> Record:
    return {
        "order": order,
        "example": example,
        "text": answer.text,
        "predicted": read_label(answer.text, query.labels),
        "finish": answer.finish,
        "probabilities": dict(answer.probabilities),
        "input_tokens": answer.usage.input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "cached_tokens": answer.usage.cached_tokens,
        "cost_usd": answer.cost_usd,
        "seconds": answer.seconds,
    }


def _write_predictions(work: PlannedCell, context: CellContext) -> None:
    test = work.splits.test
    replies = context.results.cell_log(work.cell).replies
    rows = [
        {
            "order": record["order"],
            "example": record["example"],
            "input": test.inputs[record["example"]],
            "label": test.labels[record["example"]],
            "prediction": record["predicted"],
            "text": record["text"],
        }
        for record in sorted(replies, key=lambda one: (one["order"], one["example"]))
        if record["example"] < len(test)
    ]
    context.results.write_predictions(work.cell, csv_text(list(rows[0]), rows))


def _add_transfer(work: PlannedCell, length: int, score: CellScore, context: CellContext) -> None:
    """Write how the answers at another length did, unless that is known."""
    known = {there["length_there"] for there in context.results.transfer(work.cell)}
    if length in known:
        return
    rows = len(work.others[length])
    record = transfer_record(work.cell.sampler, length, rows, score.accuracy)
    context.results.add_transfer(work.cell, record)


def _summary_row(result: AnsweredCell, settings: Settings, learn_seconds: float) -> Record:
    score = result.score
    assert score is not None
    return _columns(result.name, settings) | {
        "train_size": result.train_size,
        "test_size": result.test_size,
        "status": result.status,
        "reason": result.reason,
        "accuracy": score.accuracy,
        "low": score.low,
        "high": score.high,
        "learn_seconds": round(learn_seconds, 3),
        "test_seconds": round(score.seconds, 3),
        "cost_usd": score.cost_usd,
        "majority_accuracy": score.majority_accuracy,
    }
