"""``llm-pv icl``: prompts with labelled examples and one further input to label."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.grid_options import DEFAULT_DRAWING_OPTIONS, DrawingOptions, grid_request
from llm_pv.cli.icl_options import (
    DEFAULT_ANSWERING_OPTIONS,
    DEFAULT_QUESTIONS,
    DEFAULT_REPEATED_TASK_OPTIONS,
    DEFAULT_SAMPLE_OPTIONS,
    AnsweringOptions,
    Questions,
    RepeatedTaskOptions,
    SampleOptions,
    open_model,
)
from llm_pv.cli.main import complain
from llm_pv.cli.options import (
    DEFAULT_OUTPUT_OPTIONS,
    DEFAULT_READING_OPTIONS,
    OUTPUT,
    OutputOptions,
    ReadingOptions,
    Rows,
    given,
)
from llm_pv.cli.output import free_folder
from llm_pv.errors import ConfigurationError
from llm_pv.models.registry import MODEL_HELP

if TYPE_CHECKING:
    from llm_pv.models.language_model import LanguageModel
    from llm_pv.runs.executors.ray import Cluster
    from llm_pv.tracks.grid import DataSet
    from llm_pv.tracks.icl.planning import PlannedCell
    from llm_pv.tracks.icl.scores import AnsweredCell
    from llm_pv.tracks.icl.settings import Settings


def icl(
    data: Rows | None = None,
    /,
    *,
    model: Annotated[str, Parameter(help=f"{MODEL_HELP}.")],
    tasks: RepeatedTaskOptions = DEFAULT_REPEATED_TASK_OPTIONS,
    drawing: DrawingOptions = DEFAULT_DRAWING_OPTIONS,
    rows: ReadingOptions = DEFAULT_READING_OPTIONS,
    answering: AnsweringOptions = DEFAULT_ANSWERING_OPTIONS,
    sample: SampleOptions = DEFAULT_SAMPLE_OPTIONS,
    questions: Questions = DEFAULT_QUESTIONS,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    out_jsonl: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    out_csv: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Prompt a model with labelled examples for the labels of test inputs, one at a time.

    The examples are the training rows of benchmark tasks, or of rows of your own; validation rows
    are not used. The same command with the same --out resumes a run that was interrupted.

    Parameters
    ----------
    data
        Rows of your own: CSV, TSV, Parquet, JSONL, or text lines `input -> label`; - for standard
        input. Left out, benchmark tasks are asked about.
    out_jsonl
        Write a row for each example here, its prompt and answer included.
    out_csv
        Write a row for each cell here.
    """
    cluster.check_model(model)
    if data is not None and questions.seed is None:
        questions = replace(questions, seed=0)  # as for `learn`
    seed = questions.drawn_by
    problems, configuration = (
        task_problems_of(tasks, drawing, sample, seed)
        if data is None
        else _rows_of(data, rows, sample, seed, misplaced=given(tasks) + given(drawing))
    )
    opening = partial(open_model, model, answering, questions.token_limit, offline=sample.dry_run)
    opened = opening()
    try:
        return run_and_report(
            problems,
            configuration,
            opened,
            questions.filled(),
            dry_run=sample.dry_run,
            out=output.out or free_folder("icl"),
            output=output,
            out_jsonl=out_jsonl,
            out_csv=out_csv,
            cluster=cluster.connect(),
            opening=opening,
        )
    finally:
        opened.close()


def task_problems_of(
    tasks: RepeatedTaskOptions, drawing: DrawingOptions, sample: SampleOptions, seed: int
) -> tuple[list["DataSet"], dict[str, Any]]:
    """Return the data sets of the requested tasks, and their identity."""
    from llm_pv.tracks.icl.planning import task_problems

    request = grid_request(
        tasks,
        drawing,
        sample,
        lengths=tasks.lengths or None,
        test_lengths=tasks.test_lengths or None,
        seed=seed,
    )
    for reason in request.untested():
        complain(reason)
    problems = task_problems(request, drawing.dataset_dir)
    return problems, {"request": request.record() | {"validation_size": 0}}


def _rows_of(
    data: str, rows: ReadingOptions, sample: SampleOptions, seed: int, *, misplaced: list[str]
) -> tuple[list["DataSet"], dict[str, Any]]:
    """Return the user's rows, and their identity."""
    from llm_pv.api import SplitSizes
    from llm_pv.tracks.icl.planning import rows_problem

    if misplaced:
        raise ConfigurationError(f"{misplaced[0]} is for benchmark tasks, and {data} are rows")
    name = rows.name_of(data)
    splits = rows.splits(data, SplitSizes(), seed)
    problem = rows_problem(
        splits,
        name,
        train_size=sample.train_size,
        test_size=sample.test_size,
        seed=seed,
    )
    drawn = problem.load()
    # The digest that `learn` has of these rows, as long as the test rows are the same.
    known = splits if len(drawn.test) == len(splits.test) else drawn
    digests = {"rows_digest": known.digest(), "shown_digest": drawn.train.digest()}
    return [problem], {"rows": name, **digests}


def run_and_report(
    problems: Sequence["DataSet"],
    configuration: dict[str, Any],
    model: "LanguageModel",
    settings: "Settings",
    *,
    dry_run: bool = False,
    out: Path,
    output: OutputOptions = DEFAULT_OUTPUT_OPTIONS,
    out_jsonl: Path | None = None,
    out_csv: Path | None = None,
    quiet: bool = False,
    published: bool = False,
    cluster: "AbstractContextManager[Cluster | None] | None" = None,
    opening: "Callable[[], LanguageModel] | None" = None,
) -> int:
    """Query the model, write the requested files and show the results; return the exit status."""
    from llm_pv.cli.icl_output import AnswerDetails, print_dry_run, report
    from llm_pv.cli.progress import run_progress
    from llm_pv.runs.runner import require_writable, require_writable_file
    from llm_pv.tracks.icl.answer_files import write_files
    from llm_pv.tracks.icl.planning import plan_cells
    from llm_pv.tracks.icl.run import open_same, run_icl

    require_writable(out, "--out")
    for file, option in ((out_jsonl, "--out-jsonl"), (out_csv, "--out-csv")):
        require_writable_file(file, option)
    planned = plan_cells(problems, model, settings)
    for warning in _warnings(planned):
        complain(warning)
    if dry_run:
        print_dry_run(planned, model)
        return 0
    details = AnswerDetails(_disclosure(planned, model))
    with (
        cluster or nullcontext() as connected,
        run_progress(details, out, output, quiet=quiet) as (progress, observer),
    ):
        try:
            results = run_icl(
                planned,
                model,
                settings,
                out=out,
                configuration=configuration,
                observer=observer,
                cluster=connected,
                opening=opening and partial(open_same, opening, model.identity, Path.cwd()),
            )
        finally:
            if progress.begun:  # else the folder may hold another run's answers
                write_files(
                    planned,
                    settings,
                    out,
                    jsonl=out_jsonl,
                    csv=out_csv,
                    under_way=progress.under_way,
                    published=published,
                )
    return report(results, out, output.format)


def _warnings(planned: "Sequence[PlannedCell | AnsweredCell]") -> list[str]:
    """Return the distinct warnings of the data sets."""
    from llm_pv.cli.progress import describe
    from llm_pv.tracks.icl.planning import PlannedCell

    warnings = [
        f"{describe(replace(work.cell, method='', model=''))}: {warning}"
        for work in planned
        if isinstance(work, PlannedCell)
        for warning in work.splits.warnings
    ]
    return list(dict.fromkeys(warnings))


def _disclosure(planned: "Sequence[PlannedCell | AnsweredCell]", model: "LanguageModel") -> str:
    """Return which rows leave this machine, each data set once; nothing if none do."""
    from llm_pv.tracks.icl.planning import PlannedCell

    if model.destination is None:
        return ""
    # Every answer mode uses the same rows.
    problems = {
        replace(work.cell, method="", model=""): work
        for work in planned
        if isinstance(work, PlannedCell)
    }
    names = dict.fromkeys(name for work in problems.values() for name in work.splits.columns)
    return (
        f"sending to {model.name} at {model.destination}: "
        f"{sum(len(work.splits.train) for work in problems.values()):,} training rows with their "
        f"labels, and the inputs of {sum(len(work.asked) for work in problems.values()):,} "
        f"test rows without theirs; columns: {', '.join(names) or 'the whole text'}"
    )
