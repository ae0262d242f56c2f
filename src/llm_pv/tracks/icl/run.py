"""Running in-context learning: every answer goes to disk before it counts, and a run goes on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from llm_pv.errors import CredentialError, ModelError
from llm_pv.models.answers import Answer, AnsweringModel, Asking
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.directory import FAILED, RunDirectory
from llm_pv.runs.journal import Record
from llm_pv.tracks.icl.planning import Work
from llm_pv.tracks.icl.reading import read_label
from llm_pv.tracks.icl.scores import CellResult, score_cell
from llm_pv.tracks.icl.settings import Settings

TRACK = "icl"


class Observer:
    """Hears how a run goes on; the methods do nothing."""

    def planned(self, answers: int, known: int) -> None:
        """Hear how many answers there will be, and how many an earlier run has had."""

    def answered(self, cell: Cell, count: int, right: int) -> None:
        """Hear of answers, and how many of them were right."""

    def ended(self, result: CellResult) -> None:
        """Hear that a cell has ended."""


class Elsewhere(Protocol):
    """Machines that answer for a model in this process."""

    @property
    def at_once(self) -> int:
        """How many cells may be asked about at the same time."""
        ...

    def answers(
        self, prompts: Sequence[str], asking: Asking, *, seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers as `AnsweringModel.answers` does; called from several threads."""
        ...

    def close(self) -> None:
        """End every answer under way; whoever waits for one gets a WorkerLostError."""
        ...


def run_icl(
    planned: Sequence[Work | CellResult],
    model: AnsweringModel,
    settings: Settings,
    *,
    out: Path,
    configuration: Mapping[str, Any],
    observer: Observer | None = None,
    elsewhere: Elsewhere | None = None,
) -> list[CellResult]:
    """Have a model label every test row of every cell.

    The same call goes on with a run that was interrupted; no prompt that was answered is asked
    again. A cell with a prompt that is refused fails, keeps its answers, and the others go on.

    Parameters
    ----------
    planned
        The cells, as `plan_cells` returns them; those that cannot be done are recorded so.
    model
        The model; it is left open.
    settings
        How labels are asked for.
    out
        The run directory.
    configuration
        What decides the results besides the model and the settings: the data.
    observer
        Hears how it goes on, one thing at a time.
    elsewhere
        Who answers in the model's place, several cells side by side; None asks the model itself.

    Returns
    -------
    list of CellResult
        One for each cell, in order.

    Raises
    ------
    CredentialError, ModelError
        If no prompt can be answered any more, as when the server has gone; answers are kept.
    RunError
        If the run directory cannot be used.
    """
    heard = observer or Observer()
    if elsewhere is not None:
        heard = _OneAtATime(heard)
    whole = {
        "command": "icl",
        "model": model.identity,
        "settings": asdict(settings) | {"modes": list(settings.modes)},
        **configuration,
    }
    with RunDirectory(out, whole) as run:
        known = [
            len(run.cell_log(work.cell).replies) if isinstance(work, Work) else 0
            for work in planned
        ]
        heard.planned(sum(w.answers for w in planned if isinstance(w, Work)), sum(known))

        def one(work: Work | CellResult) -> CellResult:
            if isinstance(work, CellResult):
                run.finish(work.cell, _summary_row(work, settings, 0.0))
                result = work
            else:
                result = _do(work, elsewhere or model, settings, run, heard)
            heard.ended(result)
            return result

        if elsewhere is None:
            return [one(work) for work in planned]
        return _side_by_side(one, planned, elsewhere)


def _side_by_side(
    one: Callable[[Work | CellResult], CellResult],
    planned: Sequence[Work | CellResult],
    elsewhere: Elsewhere,
) -> list[CellResult]:
    """Do several cells at a time; what ends one of them ends all."""
    with ThreadPoolExecutor(min(elsewhere.at_once, len(planned))) as pool:
        try:
            cells = [pool.submit(one, work) for work in planned]
            wait(cells, return_when=FIRST_EXCEPTION)
            for cell in cells:
                if cell.done():
                    cell.result()
            return [cell.result() for cell in cells]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            elsewhere.close()
            raise


class _OneAtATime(Observer):
    """Passes on what several threads tell."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._lock = Lock()

    def planned(self, answers: int, known: int) -> None:
        """Hear what there is to do."""
        self._observer.planned(answers, known)

    def answered(self, cell: Cell, count: int, right: int) -> None:
        """Hear of answers."""
        with self._lock:
            self._observer.answered(cell, count, right)

    def ended(self, result: CellResult) -> None:
        """Hear that a cell has ended."""
        with self._lock:
            self._observer.ended(result)


def _do(
    work: Work,
    model: AnsweringModel | Elsewhere,
    settings: Settings,
    run: RunDirectory,
    observer: Observer,
) -> CellResult:
    """Have every answer of a cell that is not known yet, and score them all."""
    log = run.cell_log(work.cell)
    test = work.splits.test
    try:
        for order in range(len(work.prompts)):
            _answer_order(work, order, model=model, settings=settings, log=log, observer=observer)
    except ModelError as error:
        run.log("error", str(error), cell=work.cell.record())
        failed = CellResult(work.cell, work.problem.name, FAILED, str(error))
        run.finish(work.cell, _summary_row(failed, settings, work.learn_seconds))
        if not error.transient and not isinstance(error, CredentialError):
            return failed  # other prompts may well be answered
        kept = len(log.replies)
        raise type(error)(
            f"{error} ({work.cell.function}, {work.cell.method}: {kept} of {work.answers} answers "
            f"kept in {run.path}; the same command with --out {run.path} goes on from here)"
        ) from error
    score = score_cell(log.replies, work.splits.train, test)
    reason = _why_no_label(log.replies, settings.max_new_tokens)
    result = CellResult(
        work.cell, work.problem.name, "done", reason, score, len(work.splits.train), len(test)
    )
    _write_predictions(run, work, log)
    run.finish(work.cell, _summary_row(result, settings, work.learn_seconds))
    return result


def _why_no_label(replies: Sequence[Record], max_new_tokens: int) -> str:
    """Say how many answers held no label, and how many of them were cut off."""
    without = [record for record in replies if record["predicted"] is None]
    if not without:
        return ""
    cut = sum(record["finish"] == "length" for record in without)
    at_length = f", {cut} of them cut off at --max-new-tokens {max_new_tokens}" if cut else ""
    return f"{len(without)} of {len(replies)} answers held no label{at_length}"


def _answer_order(
    work: Work,
    order: int,
    *,
    model: AnsweringModel | Elsewhere,
    settings: Settings,
    log: CellLog,
    observer: Observer,
) -> None:
    prompts = work.prompts[order]
    known = {record["example"] for record in log.replies if record["order"] == order}
    missing = [row for row in range(len(prompts)) if row not in known]
    if not missing:
        return
    seeds = [_seed(settings.seed, work.cell.trial, order, row) for row in missing]
    test = work.splits.test
    groups = model.answers([prompts[row] for row in missing], work.asking, seeds=seeds)
    for group in groups:
        records = [
            _record(order, missing[position], answer, work.asking) for position, answer in group
        ]
        log.append_replies(records)
        right = sum(record["predicted"] == test.labels[record["example"]] for record in records)
        observer.answered(work.cell, len(records), right)


def _record(order: int, example: int, answer: Answer, asking: Asking) -> Record:
    return {
        "order": order,
        "example": example,
        "text": answer.text,
        "predicted": read_label(answer.text, asking.labels),
        "finish": answer.finish,
        "probabilities": dict(answer.probabilities),
        "input_tokens": answer.usage.input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "cached_tokens": answer.usage.cached_tokens,
        "cost_usd": answer.cost_usd,
        "seconds": answer.seconds,
    }


def _seed(seed: int, trial: int, order: int, example: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=(trial, order, example))
    return int(sequence.generate_state(1)[0])


def _write_predictions(run: RunDirectory, work: Work, log: CellLog) -> None:
    test = work.splits.test
    rows = [
        {
            "order": record["order"],
            "example": record["example"],
            "input": test.inputs[record["example"]],
            "label": test.labels[record["example"]],
            "prediction": record["predicted"],
            "text": record["text"],
        }
        for record in sorted(log.replies, key=lambda one: (one["order"], one["example"]))
    ]
    run.write_predictions(work.cell, list(rows[0]), rows)


def _summary_row(result: CellResult, settings: Settings, learn_seconds: float) -> Record:
    score = result.score
    row: Record = {
        "track": TRACK,
        "name": result.name,
        "seed": settings.seed,
        "train_size": result.train_size or "",
        "validation_size": 0,
        "test_size": result.test_size or "",
        "status": result.status,
        "reason": result.reason,
    }
    if score is not None:
        row |= {
            "accuracy": score.accuracy,
            "low": score.low,
            "high": score.high,
            "learn_seconds": round(learn_seconds, 3),
            "test_seconds": round(score.seconds, 3),
            "cost_usd": score.cost_usd,
            "majority_accuracy": score.majority_accuracy,
        }
    return row
