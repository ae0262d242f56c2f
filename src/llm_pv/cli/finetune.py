"""``llm-pv finetune``, and the first version's ``finetuning/main.py``: train a language model."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from llm_pv.cli.cluster_options import DEFAULT_CLUSTER_OPTIONS, ClusterOptions
from llm_pv.cli.grid_options import DrawingOptions
from llm_pv.cli.main import INTERRUPTED, USAGE_ERROR, complain, run_app
from llm_pv.cli.options import DEFAULT_READING_OPTIONS, Format, ReadingOptions, Rows
from llm_pv.cli.output import free_folder, make_table, write_json, write_table
from llm_pv.errors import ConfigurationError
from llm_pv.tracks.finetune.request import DEFAULT_TRAINING_REQUEST, TrainingRequest

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits
    from llm_pv.tracks.finetune.request import Job
    from llm_pv.tracks.finetune.rows import RowSource

_MODEL = Group("Model", sort_key=1)
_TASK = Group("Rows of a task", sort_key=2)
_TRAINING = Group("Training", sort_key=4)
_RUN = Group("Run", sort_key=5)


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class TrainedModelOptions:
    """Which model is trained, and which part of it."""

    model: str | None = None
    "tiny, qwen0.6B, qwen1.7B, llama3, deepseek, bloom (from scratch); qwen3_finetune, \
llama3_finetune, deepseek_finetune or hf:FOLDER_OR_NAME (pretrained). Default qwen1.7B."
    config: Path | None = None
    "A transformers config.json for a model from scratch."
    vocab_size: int | None = None
    "Tokens of a model from scratch; default what the rows need."
    context_length: int | None = None
    "Positions of a model from scratch; default what the rows need."
    n_layer: int | None = None
    "Layers of a model from scratch; default its own."
    n_head: int | None = None
    "Attention heads of a model from scratch; default its own."
    n_embd: int | None = None
    "Width of a model from scratch; default its own."
    num_layers_to_finetune: Literal["all"] | int | None = None
    "Train this many top layers, the last norm and the head; default all."
    symbols: Literal["contiguous", "spaced"] = "contiguous"
    "Whether a pretrained model reads a text as it is, or its symbols separated by spaces."
    lora_rank: int | None = None
    "Train low-rank adapters of this rank in place of the weights."


@Parameter(name="*", group=_TASK)
@dataclass(frozen=True)
class TrainingTaskOptions(DrawingOptions):
    """Rows of a benchmark task."""

    target_func: Annotated[str | None, Parameter(name=["--target-func", "--function"])] = None
    "A task's id or name; to try things out, first_character or majority."
    sequence_length: Annotated[int | None, Parameter(name=["--sequence-length", "--length"])] = None
    "Length of the inputs; default the task's own."
    test_sequence_length: Annotated[
        tuple[int, ...],
        Parameter(
            name=["--test-sequence-length", "--test-lengths"], consume_multiple=True, negative=""
        ),
    ] = ()
    "Other lengths to test at as well."
    online: Annotated[bool, Parameter(negative="")] = False
    "Draw fresh rows for each step; an epoch is then --train-set-size of them."
    trial: int = 0
    "Which independent repetition under the seed."


@Parameter(name="*", group=_TRAINING)
@dataclass(frozen=True)
class TrainingSizes:
    """How many rows are trained on and tested on."""

    train_set_size: Annotated[int | None, Parameter(name=["--train-set-size", "--train-size"])] = (
        None
    )
    "Training rows; default 200 of a task, of a file as many as learn trains and validates on."
    test_set_size: Annotated[int | None, Parameter(name=["--test-set-size", "--test-size"])] = None
    "Test rows; default 10,000 of a task, 20 percent of a file."


Training = Annotated[TrainingRequest, Parameter(name="*", group=_TRAINING)]
"""How a model is trained, as options."""


@Parameter(name="*", group=_RUN)
@dataclass(frozen=True)
class JobOptions:
    """Where the job runs, and what it leaves."""

    results_path: Annotated[Path | None, Parameter(name=["--results-path", "--out"])] = None
    "Results folder; default a new one under runs/."
    device: str = "auto"
    "auto, cpu, cuda, or one GPU such as cuda:1."
    eval_batch_size: int | None = None
    "Rows evaluated at once; default what fits."
    checkpoint_minutes: float = 10.0
    "Least time between two checkpoints; 0 for one at every evaluation."
    save_model: Annotated[bool, Parameter(negative="")] = False
    "Keep the trained model in model/ of the results folder."
    report_to: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"
    "Where curves go."
    format: Format = "table"
    "How the result is shown: table, or one JSON object."


seed_app = App(
    name="main.py",
    help="Train a language model on a benchmark task, or on rows of your own.",
    help_format="plaintext",
    version_flags=[],
)


@seed_app.default
def finetune(
    data: Rows = "",
    /,
    *,
    model: TrainedModelOptions = TrainedModelOptions(),
    task: TrainingTaskOptions = TrainingTaskOptions(),
    rows: ReadingOptions = DEFAULT_READING_OPTIONS,
    sizes: TrainingSizes = TrainingSizes(),
    training: Training = DEFAULT_TRAINING_REQUEST,
    run: JobOptions = JobOptions(),
    cluster: ClusterOptions = DEFAULT_CLUSTER_OPTIONS,
) -> int:
    """Train a language model, from scratch or pretrained, on a benchmark task or your own rows.

    The same command with the same --results-path resumes a job that was interrupted. torchrun and
    accelerate launch start it on several processes.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, JSONL, or text lines `input -> label`, in place of --target-func.
    """
    from llm_pv.cli.progress import training_progress
    from llm_pv.runs.job_folder import JobFolder
    from llm_pv.tracks.finetune.job import run_job
    from llm_pv.tracks.finetune.preparation import ProcessGroup

    if ProcessGroup.here().size > 1 and run.results_path is None:
        raise ConfigurationError(
            "several processes share one results folder: give --results-path FOLDER"
        )
    if ProcessGroup.here().size > 1 and cluster.ray is not None:
        raise ConfigurationError("--ray gives a job to one process: start it without torchrun")
    job = make_job(data, model=model, task=task, rows=rows, sizes=sizes, training=training, run=run)
    out, first = job.around.out, ProcessGroup.here().first
    try:
        with cluster.connect() as connected, training_progress(quiet=not first) as progress:
            if connected is None:
                metrics = run_job(job, progress)
            else:
                from llm_pv.tracks.finetune.remote_jobs import RemoteJobs

                metrics = RemoteJobs(connected).run(job, progress)
    except KeyboardInterrupt:
        kept = JobFolder(out).last_checkpoint() is not None
        then = "goes on from its checkpoint" if kept else "begins anew: there is no checkpoint yet"
        complain(f"interrupted; the same command with --results-path {out} {then}")
        return INTERRUPTED
    if not first:
        return 0
    if metrics.get("already_finished"):
        complain(f"{out} is a finished job; this is its result, give another --results-path")
    if run.format == "json":
        write_json(metrics | {"results_path": str(out)})
    else:
        _print(job.rows.name, metrics, out)
    return 0


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run_seed(sys.argv[1:]))


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


def parse_job(arguments: Sequence[str]) -> "Job":
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
    model: TrainedModelOptions = TrainedModelOptions(),
    task: TrainingTaskOptions = TrainingTaskOptions(),
    rows: ReadingOptions = DEFAULT_READING_OPTIONS,
    sizes: TrainingSizes = TrainingSizes(),
    training: Training = DEFAULT_TRAINING_REQUEST,
    run: JobOptions = JobOptions(),
) -> "Job":
    """Return the job of these options, after all checks that need no rows.

    Raise ConfigurationError if options cannot work, or do not go together.
    """
    from llm_pv.tracks.finetune.request import Job, JobContext, ModelRequest

    name = model.model or ("" if model.config else ModelRequest.name)
    asked = ModelRequest(
        name or (model.config.stem if model.config else ""),
        config_file=model.config,
        vocab_size=model.vocab_size,
        context_length=model.context_length,
        layers=None if model.num_layers_to_finetune == "all" else model.num_layers_to_finetune,
        lora_rank=model.lora_rank,
        spaced=model.symbols == "spaced",
        n_layer=model.n_layer,
        n_head=model.n_head,
        n_embd=model.n_embd,
    )
    asked.architecture()
    source = _source(data, task, rows, sizes, training)
    around = JobContext(
        run.results_path or free_folder(f"finetune-{source.cell.slug}"),
        device=run.device,
        report_to=run.report_to,
        checkpoint_minutes=run.checkpoint_minutes,
        eval_batch_size=run.eval_batch_size,
        save_model=run.save_model,
    )
    return Job(asked, source, training, around)


def _source(
    data: str,
    task: TrainingTaskOptions,
    rows: ReadingOptions,
    sizes: TrainingSizes,
    training: TrainingRequest,
) -> "RowSource":
    from llm_pv.tracks.finetune.rows import TaskRows

    if data:
        return _file_rows(data, task, rows, sizes, training.seed)
    if task.target_func is None:
        raise ConfigurationError(
            "nothing to train on: give --target-func, such as fn_a, or a file with rows"
        )
    if rows != ReadingOptions():
        raise ConfigurationError(
            "options for rows of a file need a file; give it, or leave them out"
        )
    source = TaskRows(
        task.target_func,
        length=task.sequence_length,
        sampler=task.sampler,
        train_size=200 if sizes.train_set_size is None else sizes.train_set_size,
        test_size=10_000 if sizes.test_set_size is None else sizes.test_set_size,
        test_length=_one_or_several(task.test_sequence_length),
        online=task.online,
        seed=training.seed,
        trial=task.trial,
        dataset_dir=task.dataset_dir,
        table=task.table,
        raw_tables=task.raw_tables,
    )
    source.check(training.batch_size)
    return source


def _one_or_several(lengths: tuple[int, ...]) -> int | tuple[int, ...] | None:
    """Return one length as jobs of earlier versions record it."""
    return lengths if len(lengths) > 1 else next(iter(lengths), None)


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
