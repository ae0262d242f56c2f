"""Write a learned program: the readable file, the predictions and the records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_pv.data.examples import Splits
from llm_pv.data.ranges import input_ranges
from llm_pv.erm.result import LearnedProgram
from llm_pv.programs.saved import write_program
from llm_pv.runs.cells import Cell, CellLog
from llm_pv.runs.files import predictions_csv
from llm_pv.runs.remote_records import Results


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
