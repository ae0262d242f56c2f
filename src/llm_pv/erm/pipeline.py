"""Learn a program from splits: run the loop, score the test rows once, write the results."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_pv.data.examples import Examples, Input, Splits
from llm_pv.data.ranges import input_ranges
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.explanation import explain
from llm_pv.erm.loop import select_program
from llm_pv.erm.result import UNBALANCED, LearnedProgram, MajorityBaseline, exact_interval
from llm_pv.erm.row_independence import changed_answers
from llm_pv.erm.scoring import Score, score_predictions
from llm_pv.erm.selection import Plan, Selection
from llm_pv.erm.verification import read_predictions
from llm_pv.erm.verified_rivals import verified_rivals
from llm_pv.errors import DataError
from llm_pv.programs.saved import write_program
from llm_pv.proposers.base import Proposer
from llm_pv.proposers.round_robin import Admission
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.files import predictions_csv
from llm_pv.runs.remote_records import Results
from llm_pv.sandbox import Execution, Outcome, Sandbox


@dataclass(frozen=True)
class Destination:
    """The destination of a cell's results: a run directory and the cell in it."""

    run: Results
    cell: Cell
    columns: Mapping[str, Any] = field(default_factory=dict)
    "Further columns of the cell's row in ``summary.csv``, such as `Proposer.columns`."


def write_results(
    result: LearnedProgram,
    splits: Splits,
    predictions: Sequence[str | None],
    destination: Destination,
    log: CellLog,
    *,
    explained: Mapping[str, Any],
) -> None:
    """Write the program, the predictions and the records; the cell's summary row comes last.

    Parameters
    ----------
    predictions
        The selected program's predictions on the test rows; empty if there are none.
    """
    run, cell = destination.run, destination.cell
    if result.program is not None:
        run.write_program(cell, write_program(result.program, program_header(result)))
    if predictions:
        run.write_predictions(cell, predictions_csv(splits.test.labels, predictions))
    selected, score = result.selection.selected, result.test
    if log.selected is None:
        row = selected.record() if selected else {}
        log.append_attempt(
            row
            | {
                "kind": "selected",
                "test_accuracy": score.accuracy if score else None,
                "ranges": input_ranges(splits.train.inputs),
                "explanation": dict(explained),
                "result": result.record(),
            }
        )
    low, high = result.interval or ("", "")
    run.finish(
        cell,
        {
            "name": result.name,
            "seed": result.seed,
            "train_size": len(splits.train),
            "validation_size": len(splits.validation),
            "test_size": len(splits.test),
            "accuracy": score.accuracy if score else "",
            "low": low,
            "high": high,
            "validation_accuracy": (
                selected.validation.accuracy if selected and selected.validation else ""
            ),
            "learn_seconds": round(result.learn_seconds, 3),
            "test_seconds": round(result.test_seconds, 3),
            "cost_usd": result.selection.cost_usd,
            "majority_accuracy": result.baseline.test_accuracy,
            "status": "done" if selected else "nothing found",
            "reason": "" if selected else result.verdict,
        }
        | dict(destination.columns),
    )
    run.log("info", "finished", cell=cell.record(), verdict=result.verdict)


def program_header(result: LearnedProgram) -> str:
    """Return the docstring of a saved program."""
    selected, certificate = result.selection.selected, result.certificate
    assert selected is not None
    assert certificate is not None
    scores = {"train": selected.train, "validation": selected.validation, "test": result.test}
    lines = [f"Learned from {result.name} by llm-pv ({result.proposer}).", ""]
    for split, score in scores.items():
        if score is not None and score.rows:
            balanced = f", balanced {score.balanced_accuracy:.1%}" if result.unbalanced else ""
            lines.append(f"{split}: {score.accuracy:.1%} of {score.rows} rows right{balanced}")
    majority = result.baseline.validation_accuracy or 0.0
    lines += [
        f"majority baseline on validation: {majority:.1%} (always {result.baseline.label!r})",
        "",
        f"Certificate: {certificate.text()}",
    ]
    return "\n".join(lines)


CUT_SHORT = "the search was cut short, by its cap on time or memory or by Ctrl-C"
"""The beginning of the warning that other machines may find another program."""


def learn_splits(
    splits: Splits,
    proposer: Proposer,
    sandbox: Sandbox,
    plan: Plan,
    *,
    name: str = "data",
    seed: int = 0,
    destination: Destination | None = None,
    on_attempt: Callable[[Attempt], object] | None = None,
    admission: Admission | None = None,
) -> LearnedProgram:
    """Learn a program from splits and, if asked, write everything about it to a run directory.

    Raise DataError if there are no training or no validation rows.

    Parameters
    ----------
    splits
        The rows. The test rows are scored once, for the selected program.
    """
    if not len(splits.train) or not len(splits.validation):
        raise DataError("learning needs training rows and validation rows; give more rows")
    log = destination.run.cell_log(destination.cell) if destination else CellLog(Cell(name))
    start = time.perf_counter()
    selection = select_program(
        splits,
        proposer,
        sandbox,
        plan,
        seed=seed,
        log=log,
        on_attempt=on_attempt,
        admission=admission,
    )
    baseline = MajorityBaseline.of(splits, plan.metric)
    weight = sum(splits.validation.weights or ())
    score = selection.selected.validation if selection.selected else None
    # What is no better than a constant answer has no rule that another could rival.
    is_better = score is not None and (
        plan.metric.share(score.loss, weight or score.rows) > (baseline.validation_share or 0.0)
    )
    rivals = verified_rivals(selection, splits, sandbox) if is_better else ()
    learned = time.perf_counter()
    execution = _run_test(selection, splits, sandbox)
    predictions = read_predictions(execution, splits.classes) if execution else []
    # The only use of the test labels: to score the selected program.
    test = score_predictions(predictions, splits.test.labels) if execution else None
    unseen = _unseen(splits, selection.predictions, predictions)
    contradictions = []
    if execution is not None and test is not None:
        contradictions = _contradictions(selection, splits, execution, test, sandbox)
    finished = destination is not None and destination.run.finished(destination.cell)
    result = LearnedProgram(
        name=name,
        proposer=proposer.name,
        seed=seed,
        classes=splits.classes,
        selection=selection,
        baseline=baseline,
        metric=plan.metric,
        validation_weight=weight,
        unseen=unseen,
        test=test,
        interval=exact_interval(test) if test else None,
        unbalanced=_is_unbalanced(splits.train),
        rivals=rivals,
        warnings=(finished and _recorded_warnings(log))
        or (
            *splits.warnings,
            *_repeat_warnings(splits, unseen),
            *_run_warnings(selection),
            *(rival.sentence() for rival in rivals),
            *contradictions,
        ),
        learn_seconds=learned - start,
        test_seconds=time.perf_counter() - learned,
        path=destination.run.path if destination else None,
        program_path=(
            destination.run.program_path(destination.cell)
            if destination and selection.selected
            else None
        ),
        already_finished=finished,
    )
    if destination is not None and not result.already_finished:
        explained = {}
        if destination.cell.length == "":  # rows of a user; a grid has too many cells
            explained = explain(selection, splits, predictions, sandbox)
        write_results(result, splits, predictions, destination, log, explained=explained)
    return result


def _recorded_warnings(log: CellLog) -> tuple[str, ...]:
    """Return the warnings of a finished cell; a cap on time or a failed call is not seen again."""
    result = log.selected.get("result") if log.selected else None
    return tuple(result["warnings"]) if isinstance(result, dict) else ()


def _key(row: Input) -> object:
    return row if isinstance(row, str) else tuple(row.values())


def _unseen(
    splits: Splits, validation: Sequence[str | None], test: Sequence[str | None]
) -> dict[str, tuple[int, int]]:
    """Count rows whose input training lacks, and mistakes there, where some inputs repeat."""
    known = {_key(row) for row in splits.train.inputs}
    counts = {}
    parts = {"validation": (splits.validation, validation), "test": (splits.test, test)}
    for name, (part, answers) in parts.items():
        new = [row for row, item in enumerate(part.inputs) if _key(item) not in known]
        if answers and len(new) < len(part):
            wrong = sum(answers[row] != part.labels[row] for row in new)
            counts[name] = (len(new), wrong)
    return counts


def _repeat_warnings(splits: Splits, unseen: Mapping[str, tuple[int, int]]) -> list[str]:
    warnings = []
    for name, (rows, wrong) in unseen.items():
        total = len(getattr(splits, name))
        figure = f"is right on {1 - wrong / rows:.1%} of the other {rows:,}" if rows else ""
        figure = f"; the program {figure}" if figure else "; none is new"
        warnings.append(
            f"{name} rows whose input also occurs in training: {total - rows:,} of {total:,}"
            f"{figure}"
        )
    return warnings


def _run_test(selection: Selection, splits: Splits, sandbox: Sandbox) -> Execution | None:
    """Run the selected program on the test inputs, if there are both."""
    if selection.selected is None or selection.selected.program is None or not len(splits.test):
        return None
    return sandbox.predict(selection.selected.program.source, splits.test.inputs)


def _contradictions(
    selection: Selection, splits: Splits, execution: Execution, test: Score, sandbox: Sandbox
) -> list[str]:
    """Return warnings about the selected program's behaviour on the test rows."""
    selected, certificate = selection.selected, selection.certificate
    assert selected is not None
    assert selected.program is not None
    assert certificate is not None
    found = []
    company = splits.validation.inputs
    changed = changed_answers(selected.program, splits.test.inputs, execution, company, sandbox)
    if changed:
        found.append(
            f"DO NOT TRUST THIS PROGRAM: {changed} test rows got another answer when they were run "
            "among other rows"
        )
    interval = exact_interval(test)
    if interval is not None and 1 - interval[1] > certificate.error_bound:
        found.append(
            f"THE TEST ROWS CONTRADICT THE CERTIFICATE: {1 - test.accuracy:.1%} of them are wrong, "
            f"where at most {certificate.error_bound:.1%} is certified; they are drawn otherwise "
            "than the validation rows, or the program behaves otherwise on them"
        )
    return found


def _is_unbalanced(rows: Examples) -> bool:
    counts = Counter(rows.labels).values()
    return max(counts) >= UNBALANCED * min(counts)


def _run_warnings(selection: Selection) -> list[str]:
    warnings = list(selection.warnings)
    for reason, count in Counter(selection.unanswered).items():
        warnings.append(f"attempts without a reply: {count}; {reason}")
    if selection.cut_short:
        warnings.append(
            f"{CUT_SHORT}: another machine, or this one at another time, may propose other "
            "programs, or verify more of them; a larger --budget-seconds or --budget-mb makes it "
            "reproducible"
        )
    limited = (Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY)
    slow = sum(attempt.outcome in limited for attempt in selection.attempts)
    if slow:
        warnings.append(
            f"programs that ran out of time or memory: {slow}; their scores may differ on another "
            "machine"
        )
    impure = sum(bool(attempt.rejected) for attempt in selection.attempts)
    if impure:
        warnings.append(
            f"programs rejected although they scored well: {impure}; run again on part of the "
            "rows, they did not give the same answers"
        )
    return warnings
