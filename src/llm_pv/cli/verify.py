"""``llm-pv verify``: score a program on new labelled rows, confined, and hold it to a gate."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Group

from llm_pv.cli.main import complain
from llm_pv.cli.options import (
    DEFAULT_SANDBOX_OPTIONS,
    Format,
    Rows,
    SandboxOptions,
    option_group,
    read_pair,
    require,
)
from llm_pv.cli.output import make_table, write_json, write_table
from llm_pv.data.reading import binned, target_numbers
from llm_pv.erm.scoring import Score, majority_label, score_predictions
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.programs.shown import escaped
from llm_pv.report.gate import Check, gate_line, junit_xml
from llm_pv.report.text import percent

if TYPE_CHECKING:
    from llm_pv.data.examples import Input

_GATE = Group("Gate", sort_key=3)


@option_group(_GATE)
@dataclass(frozen=True)
class GateOptions:
    """Figures the program must reach; if it does not, the command ends with status 1."""

    min_accuracy: float | None = None
    "Least accuracy, such as 0.95."
    max_error: float | None = None
    "Greatest share of wrong rows, such as 0.05."
    min_class_accuracy: tuple[str, ...] = ()
    "CLASS=SHARE: the least share of a class's rows that are right; repeat for several."
    junit: Path | None = None
    "Write the checks as JUnit XML here."

    def __post_init__(self) -> None:
        give = "; give a share between 0 and 1"
        require(self, lambda value: 0 <= value <= 1, give, "min_accuracy", "max_error")

    def checks(
        self, score: Score, predictions: Sequence[str | None], labels: Sequence[str]
    ) -> list[Check]:
        """Return each check with what was found.

        Raise ConfigurationError if a class named has no rows.
        """
        found = []
        if self.min_accuracy is not None:
            found.append(Check("accuracy", score.accuracy, self.min_accuracy, score.rows))
        if self.max_error is not None:
            least = round(1 - self.max_error, 12)
            found.append(Check("accuracy (--max-error)", score.accuracy, least, score.rows))
        form = "CLASS=SHARE, such as ill=0.9"
        for item in self.min_class_accuracy:
            label, least = read_pair("--min-class-accuracy", item, form, _share)
            rows = [row for row, text in enumerate(labels) if text == label]
            if not rows:
                raise ConfigurationError(
                    f"--min-class-accuracy {item!r}: no row is of the class {label!r}; there are "
                    f"{', '.join(map(repr, sorted(set(labels))[:8]))}"
                )
            right = sum(predictions[row] == label for row in rows)
            found.append(Check(f"accuracy of {label!r}", right / len(rows), least, len(rows)))
        if self.junit is not None and not found:
            raise ConfigurationError("--junit writes checks: give --min-accuracy or another one")
        return found


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) <= 1:
        raise ValueError(text)
    return share


_ROWS_RUN_AGAIN = 2_000
"""The most rows for the check whether answers depend on other rows."""
_MOST_NOTES = 10
"""The most columns outside their range that are named on the terminal."""


def verify(
    program: Path,
    rows: Rows,
    /,
    *,
    target: str | None = None,
    format: Format = "table",  # noqa: A002
    data_format: str | None = None,
    seed: int = 0,
    gate: GateOptions = GateOptions(),
    sandbox: SandboxOptions = DEFAULT_SANDBOX_OPTIONS,
) -> int:
    """Score a program on new labelled rows, confined.

    Shows accuracy with its exact 95% interval, the majority baseline, and whether the program
    answers each row independently of the others. On rows that were not used to choose the
    program the interval needs no correction. With a least accuracy it prints one line and exits
    with status 1 if that is not reached. Columns outside their range in training are named.

    Parameters
    ----------
    program
        A run directory, or a program's Python file.
    rows
        Labelled CSV, TSV, Parquet, JSONL or text lines; - for standard input.
    target
        Column that holds the label; default the one the program was learned from.
    format
        How the result is shown: table, or one JSON object.
    data_format
        csv, tsv, parquet, jsonl or text; default by the file's name.
    seed
        Seed of the halves on which the program is run again.
    """
    from llm_pv.cli.program_rows import read_rows, rows_for, run_blocks
    from llm_pv.data.ranges import drift
    from llm_pv.data.table import labelled
    from llm_pv.data.targets import label_texts
    from llm_pv.erm.result import exact_interval
    from llm_pv.erm.row_independence import ROW_DEPENDENT, row_dependence
    from llm_pv.runs.files import write_atomically
    from llm_pv.runs.saved_program import load_program

    saved = load_program(program)
    target = target or saved.target
    table, known_labels = labelled(read_rows(rows, saved, data_format=data_format), target)
    if not len(known_labels):
        raise DataError(f"{table.name}: no row has a label, so there is nothing to verify")
    for warning in table.warnings:
        complain(warning)
    inputs = rows_for(saved, table, target=target)
    known = saved.classes.texts if saved.classes else ()
    if saved.edges:
        labels = binned(target_numbers(known_labels, saved.reading), saved.edges)
    else:
        labels = label_texts(known_labels, written=table.written, known=known)
    predictions: list[str | None] = []
    readable: list[Input] = []
    errors: list[str] = []
    with sandbox.open() as opened:
        for block in run_blocks(saved, inputs, opened):
            predictions += block.answers
            errors.append(block.error)
            wanted = None if saved.ranges else max(0, _ROWS_RUN_AGAIN - len(readable))
            readable += block.inputs[:wanted]
        notes = drift(saved.ranges, readable)
        del readable[_ROWS_RUN_AGAIN:]
        end = time.monotonic() + opened.limits.wall_limit(len(readable))
        doubt = row_dependence(saved.program, readable, opened, seed=seed, deadline=end)
    score = score_predictions(predictions, labels)
    checks = gate.checks(score, predictions, labels)
    for note in notes[:_MOST_NOTES]:
        complain(f"drift: {note}")
    if len(notes) > _MOST_NOTES:
        complain(f"drift: {len(notes) - _MOST_NOTES:,} more columns; --format json lists them")
    majority = majority_label(labels)
    record = {
        "rows": score.rows,
        "errors": score.errors,
        "failed": score.failed,
        "balanced_accuracy": score.balanced_accuracy,
        "accuracy": score.accuracy,
        "interval": exact_interval(score),
        "majority_label": majority,
        "majority_accuracy": labels.count(majority) / len(labels),
        "answers_by_its_input_alone": not doubt if doubt in ("", ROW_DEPENDENT) else None,
        "first_error": next((error for error in errors if error), ""),
        "drift": notes,
        "checks": [asdict(check) | {"passed": check.passed} for check in checks],
    }
    if gate.junit is not None:
        title = f"{saved.path.name} on {inputs.name}"
        write_atomically(gate.junit, junit_xml(checks, title, {"rows": str(score.rows)}))
    if format == "json":
        write_json(record)
    elif checks:
        sys.stdout.write(escaped(gate_line(checks)) + "\n")
    else:
        _print(record, f"{saved.path} on {inputs.name}", doubt)
    return 0 if all(check.passed for check in checks) else 1


def _print(record: Mapping[str, Any], title: str, doubt: str) -> None:
    from rich.text import Text

    table = make_table(("", ""), title=title, left=("",), boxed=True)
    table.show_header = False
    low, high = (percent(limit, "%") for limit in record["interval"])
    right, majority = (percent(record[f"{of}accuracy"], "%") for of in ("", "majority_"))
    table.add_row("accuracy", f"{right} of {record['rows']:,} rows (95% interval {low} to {high})")
    table.add_row("balanced accuracy", percent(record["balanced_accuracy"], "%"))
    table.add_row("majority baseline", Text(f"{majority} (always {record['majority_label']!r})"))
    table.add_row("rows without an answer", f"{record['failed']:,}")
    table.add_row(
        "answers by its input alone",
        {True: "yes", False: "NO", None: doubt}[record["answers_by_its_input_alone"]],
    )
    if record["first_error"]:
        table.add_row("first error", Text(escaped(record["first_error"])))
    write_table(table)
