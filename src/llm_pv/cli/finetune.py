"""``llm-pv finetune``, and the first version's ``finetuning/main.py``: train a language model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import CycloptsError, Group, Parameter, Token

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.grid_options import DrawingOptions
from llm_pv.cli.main import INTERRUPTED, USAGE_ERROR, complain, published_app, run_app
from llm_pv.cli.options import (
    DEFAULT_READING_OPTIONS,
    Format,
    ReadingOptions,
    Rows,
    option_group,
    settings_of,
)
from llm_pv.cli.output import free_folder, make_table, write_json, write_table
from llm_pv.errors import ConfigurationError
from llm_pv.tracks.finetune.request import (
    Job,
    JobContext,
    ModelRequest,
    TaskRequest,
    TrainingRequest,
)

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits
    from llm_pv.tracks.finetune.rows import RowSource

_MODEL = Group("Model", sort_key=1)
_TASK = Group("Rows of a task", sort_key=2)
_TRAINING = Group("Training", sort_key=4)
_RUN = Group("Run", sort_key=5)


_NO_OPTION = Parameter(parse=False)


def _layers(_: object, tokens: Sequence[Token]) -> int | None:
    """Read a number of layers; ``all`` is None."""
    return None if tokens[0].value == "all" else int(tokens[0].value)


@option_group(
    _MODEL,
    config_file=Parameter(name="--config"),
    layers=Parameter(name="--num-layers-to-finetune", converter=_layers),
)
@dataclass(frozen=True)
class Model(ModelRequest):
    """Which model is trained, and which part of it."""


@option_group(
    _TASK,
    like=DrawingOptions,
    function=Parameter(name=["--target-func", "--function"]),
    length=Parameter(name=["--sequence-length", "--length"]),
    test_lengths=Parameter(
        name=["--test-sequence-length", "--test-lengths"], consume_multiple=True
    ),
    train_size=_NO_OPTION,
    test_size=_NO_OPTION,
    seed=_NO_OPTION,
)
@dataclass(frozen=True)
class TrainingTaskOptions(TaskRequest):
    """Rows of a benchmark task."""

    dataset_dir: Path | None = DrawingOptions.dataset_dir


@option_group(
    _TRAINING,
    train_set_size=Parameter(name=["--train-set-size", "--train-size"]),
    test_set_size=Parameter(name=["--test-set-size", "--test-size"]),
)
@dataclass(frozen=True)
class TrainingSizes:
    """How many rows are trained on and tested on."""

    train_set_size: int | None = None
    "Training rows; default 200 of a task, of a file as many as learn trains and validates on."
    test_set_size: int | None = None
    "Test rows; default 10,000 of a task, 20 percent of a file."


@option_group(
    _TRAINING,
    epochs=Parameter(name=["--n-epochs", "--epochs"]),
    learning_rate=Parameter(name="--lr"),
    final_learning_rate=Parameter(name="--eta-min"),
    evaluate_every=Parameter(name="--eval-every"),
)
@dataclass(frozen=True)
class Training(TrainingRequest):
    """How a model is trained; the defaults are the published ones."""


@option_group(_RUN, out=Parameter(name=["--results-path", "--out"]))
@dataclass(frozen=True)
class Run(JobContext):
    """Where a job runs and what it leaves."""


seed_app = published_app(
    "main.py", "Train a language model on a benchmark task, or on rows of your own."
)


@seed_app.default
def finetune(
    data: Rows = "",
    /,
    *,
    model: Model = Model(),
    task: TrainingTaskOptions = TrainingTaskOptions(),
    rows: ReadingOptions = DEFAULT_READING_OPTIONS,
    sizes: TrainingSizes = TrainingSizes(),
    training: Training = Training(),
    run: Run = Run(),
    format: Annotated[Format, Parameter(group=_RUN)] = "table",  # noqa: A002
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Train a language model, from scratch or pretrained, on a benchmark task or your own rows.

    The same command with the same --results-path resumes a job that was interrupted. torchrun and
    accelerate launch start it on several processes.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, JSONL, or text lines `input -> label`, in place of --target-func.
    format
        How the result is shown: table, or one JSON object.
    """
    from llm_pv.cli.progress import training_progress
    from llm_pv.runs.job_folder import JobFolder
    from llm_pv.tracks.finetune.job import run_job
    from llm_pv.tracks.finetune.preparation import ProcessGroup

    if ProcessGroup.here().size > 1 and run.out is None:
        raise ConfigurationError(
            "several processes share one results folder: give --results-path FOLDER"
        )
    if ProcessGroup.here().size > 1 and cluster.ray is not None:
        raise ConfigurationError("--ray gives a job to one process: start it without torchrun")
    job = make_job(data, model=model, task=task, rows=rows, sizes=sizes, training=training, run=run)
    out, first = job.out, ProcessGroup.here().first
    try:
        with cluster.connect() as connected, training_progress(quiet=not first) as progress:
            metrics = run_job(job, progress, connected)
    except KeyboardInterrupt:
        kept = JobFolder(out).last_checkpoint() is not None
        then = "resumes from its checkpoint" if kept else "starts over: there is no checkpoint yet"
        complain(f"interrupted; the same command with --results-path {out} {then}")
        return INTERRUPTED
    if not first:
        return 0
    if metrics.get("already_finished"):
        complain(f"{out} is a finished job; this is its result, give another --results-path")
    if format == "json":
        write_json(metrics | {"results_path": str(out)})
    else:
        _print(job.rows.name, metrics, out)
    return 0


def run_seed(arguments: Sequence[str]) -> int:
    """Run one command line of the seed command and return its exit status.

    As published, several models (``--num_models``) are trained one after another, each in a folder
    of its own.
    """
    from llm_pv.cli.compat import FINETUNE, training_commands, translated

    try:
        commands = training_commands(translated(arguments, FINETUNE))
    except ConfigurationError as error:
        complain(str(error))
        return USAGE_ERROR
    status = 0
    for command in commands:
        status = max(status, run_app(seed_app, command))
        if status == INTERRUPTED:
            break
    return status


def parse_job(arguments: Sequence[str]) -> Job:
    """Return the job of a command line, without running it.

    Raise ConfigurationError if the job is impossible.
    """
    try:
        _, bound, _ = seed_app.parse_args(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise ConfigurationError(" ".join(str(error).split())) from error
    return make_job(*(bound.args or ("",)), **bound.kwargs)


def make_job(
    data: str,
    *,
    model: Model = Model(),
    task: TrainingTaskOptions = TrainingTaskOptions(),
    rows: ReadingOptions = DEFAULT_READING_OPTIONS,
    sizes: TrainingSizes = TrainingSizes(),
    training: Training = Training(),
    run: Run = Run(),
) -> Job:
    """Return the job of these options, after all checks that need no rows.

    Raise ConfigurationError if options cannot work, or do not go together.
    """
    model.architecture()
    source = _source(data, task, rows, sizes, training)
    out = run.out or free_folder(f"finetune-{source.cell.slug}")
    return Job(
        settings_of(model, ModelRequest),
        source,
        settings_of(training, TrainingRequest),
        replace(settings_of(run, JobContext), out=out),
    )


def _source(
    data: str,
    task: TrainingTaskOptions,
    rows: ReadingOptions,
    sizes: TrainingSizes,
    training: TrainingRequest,
) -> "RowSource":
    if data:
        return _file_rows(data, task, rows, sizes, training.seed)
    if task.function is None:
        raise ConfigurationError(
            "nothing to train on: give --target-func, such as fn_a, or a file with rows"
        )
    if rows != ReadingOptions():
        raise ConfigurationError(
            "options for rows of a file need a file; give it, or leave them out"
        )
    from llm_pv.tracks.finetune.rows import TaskRows

    asked = replace(
        task,
        train_size=200 if sizes.train_set_size is None else sizes.train_set_size,
        test_size=10_000 if sizes.test_set_size is None else sizes.test_set_size,
        seed=training.seed,
    )
    source = TaskRows(**vars(asked))
    source.check(training.batch_size)
    return source


def _file_rows(
    data: str, task: TrainingTaskOptions, rows: ReadingOptions, sizes: TrainingSizes, seed: int
) -> "RowSource":
    from llm_pv.tracks.finetune.rows import FileRows

    if task != TrainingTaskOptions():
        raise ConfigurationError(
            f"options for rows of a task do not go with the file {data}; leave one of them out"
        )

    def read() -> "Splits":
        from llm_pv.api import SplitSizes

        wanted = SplitSizes(sizes.train_set_size, None, sizes.test_set_size)
        return rows.splits(data, wanted, seed)

    return FileRows(data, read, seed, sizes.train_set_size)


def _print(name: str, metrics: dict[str, Any], out: Path) -> None:
    table = make_table(
        ("rows", "accuracy", "95% limits", "seconds a row"),
        title=f"{metrics['parameters']:,} parameters on {name}",
        boxed=True,
    )
    table.add_row(
        f"train ({metrics['train_rows']:,})",
        f"{metrics['train_accuracy']:.2%}",
        "",
        f"{metrics['learn_seconds_a_sample']:.4f}",
    )
    table.add_row(
        f"test ({metrics['test_rows']:,})",
        f"{metrics['test_accuracy']:.2%}",
        f"{metrics['test_accuracy_low']:.2%} to {metrics['test_accuracy_high']:.2%}",
        f"{metrics['test_seconds_a_sample']:.6f}",
    )
    for there in metrics["other_lengths"]:
        rows = f"test, length {there['length']} ({there['rows']:,})"
        table.add_row(rows, f"{there['test_accuracy']:.2%}", "", "")
    table.add_row("majority", f"{metrics['majority_accuracy']:.2%}", "", "")
    seconds = metrics["seconds_to_train_accuracy_1"]
    fitted = "never" if seconds is None else f"after {seconds:.1f} s of training"
    write_table(table, f"Every training row right: {fitted}", f"Everything else: {out}")
