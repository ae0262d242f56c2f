"""``llm-pv sweep``, and the first version's ``finetuning/sweep.py`` and ``metrics.py``."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.finetune import parse_job, seed_app
from llm_pv.cli.main import published_app, resumable, with_options
from llm_pv.cli.options import Format
from llm_pv.cli.output import make_table, write_json, write_table
from llm_pv.cli.progress import Details, cell_progress
from llm_pv.errors import ConfigurationError, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.job_folder import find_jobs, read_job
from llm_pv.runs.reading import FAILED
from llm_pv.tracks.finetune.averages import BESIDE, grouped

if TYPE_CHECKING:
    from llm_pv.tracks.finetune.request import Job
    from llm_pv.tracks.finetune.sweep import Row, Sweep

LAUNCHER = (sys.executable, "-P", "-m", "llm_pv.cli.sweep_job")

_HEADINGS = {
    "number": "",
    "model": "model",
    "data": "data",
    "target_func": "task",
    "sequence_length": "length",
    "jobs": "jobs",
    "done": "done",
    "train_accuracy": "train",
    "test_accuracy": "test",
    "seconds_to_train_accuracy_1": "s to fit",
}
"""Columns of the table, those that no job has left out."""
sweep_app = published_app("sweep.py", "Train language models over a grid of options.")
metrics_app = published_app("metrics.py", "Show what the jobs of a results folder measured.")


class JobDetails(Details):
    """The details shown of the jobs of a sweep."""

    def of_plan(self, cells: int, done: int) -> str:
        """Return how many jobs are finished or skipped."""
        return f"{done} of {cells} jobs are finished already, or cannot be done" if done else ""

    def of_end(self, cell: Cell, row: Mapping[str, str]) -> str:  # noqa: ARG002
        """Return the test accuracy."""
        return f"test accuracy {_percent(row.get('accuracy'))}"


@sweep_app.default
def sweep(
    config: Path,
    /,
    *,
    concurrency: int | None = None,
    dry_run: bool = False,
    format: Format = "table",  # noqa: A002
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Train language models over a grid of options, one folder a job.

    The same command resumes a sweep that was interrupted: finished jobs are not repeated, the
    others continue from their checkpoints. A failed job is recorded, and the sweep continues.

    Parameters
    ----------
    config
        YAML with experiment_name, results_root, base_args and grid, in the names of llm-pv
        finetune's options.
    concurrency
        Jobs run concurrently; default 1, on a cluster as many as fit.
    dry_run
        Print the command of each job and run none.
    format
        How the results are shown: table, or one JSON array.
    """
    from llm_pv.tracks.finetune.job import is_finished
    from llm_pv.tracks.finetune.sweep import read_sweep, run_sweep

    asked = read_sweep(config)
    checked, impossible = _checked(asked)
    if dry_run:
        for job in asked.jobs:
            out = asked.folder / job.name
            sys.stdout.write(f"llm-pv finetune {' '.join(job.arguments)} --results-path={out}\n")
        return 0
    with (
        resumable(f"the same command continues {asked.folder}"),
        cluster.connect() as connected,
        cell_progress(JobDetails()) as progress,
    ):
        rows = run_sweep(
            asked,
            LAUNCHER,
            finished=lambda job: is_finished(checked[job.name]),
            impossible=impossible,
            concurrency=concurrency,
            observer=progress,
            cluster=connected,
            jobs=checked,
        )
    _show_jobs(asked, rows, format)
    return 1 if any(row["status"] == FAILED for row in rows.values()) else 0


@metrics_app.default
def metrics(results: Path, /, *, format: Format = "table") -> int:  # noqa: A002
    """Show the results of the jobs in a folder, averaged over seeds and trials.

    Parameters
    ----------
    results
        A results folder, a sweep's folder, or any folder above them.
    format
        How it is shown: table, or one JSON array.
    """
    if not results.is_dir():
        raise RunError(f"there is no folder {results}")
    jobs = [read_job(path) for path in find_jobs(results)]
    if not jobs:
        raise RunError(f"{results} holds no job of llm-pv finetune: no metrics.json below it")
    records = grouped(jobs)
    if format == "json":
        write_json(records)
    else:
        _show(records)
    return 0


def _checked(asked: "Sweep") -> "tuple[dict[str, Job], dict[str, str]]":
    """Return the possible jobs, and why others are not.

    Raise ConfigurationError if no job is possible.
    """
    jobs, impossible = {}, {}
    for job in asked.jobs:
        try:
            out = asked.folder / job.name
            jobs[job.name] = parse_job([*job.arguments, f"--results-path={out}"])
        except ConfigurationError as error:
            impossible[job.name] = with_options(error, job.arguments, seed_app)
    if not jobs:
        reasons = "; ".join(list(dict.fromkeys(impossible.values()))[:3])
        raise ConfigurationError(f"no job of this sweep can be done: {reasons}")
    return jobs, impossible


def _show(records: list[dict[str, Any]]) -> None:
    from rich.text import Text

    notes = [_other_options(record) for record in records]
    rows = [
        record | {"number": number if any(notes) else None}
        for number, record in enumerate(records, start=1)
    ]
    columns = [name for name in _HEADINGS if any(row.get(name) is not None for row in rows)]
    headers = [_HEADINGS[name] for name in columns]
    table = make_table(headers, left=headers)
    for row in rows:
        table.add_row(*(_cell(column, row.get(column)) for column in columns))
    below = [f"{number}: {note}" for number, note in enumerate(notes, start=1) if note]
    write_table(table, *(Text(line, style="dim") for line in below))


def _other_options(record: dict[str, Any]) -> str:
    """Return the options that have no column: with one each a table would not fit a terminal."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in record.items()
        if name not in _HEADINGS and name not in BESIDE and value not in (None, "")
    )


def _cell(column: str, value: Any) -> str:
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    shown = "{:.1%}" if column.endswith("accuracy") else "{:.3g}"
    text = shown.format(value["mean"])
    if value["standard_deviation"] is not None:
        text += " ± " + shown.format(value["standard_deviation"])
    return text


def _show_jobs(sweep: "Sweep", rows: "Mapping[str, Row]", format: Format) -> None:  # noqa: A002
    if format == "json":
        records = [{"job": name, **row} for name, row in rows.items()]
        write_json(records)
        return
    from rich.text import Text

    table = make_table(("job", "test", "status", "reason"), left=("status", "reason"))
    for name, row in rows.items():
        accuracy = _percent(row.get("accuracy"))
        table.add_row(Text(name), accuracy, row["status"], Text(row["reason"]))
    write_table(table, f"Everything else: {sweep.folder}")


def _percent(text: str | None) -> str:
    return f"{float(text):.2%}" if text else ""
