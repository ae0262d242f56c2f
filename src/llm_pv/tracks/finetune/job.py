"""One job: a model trained on rows and tested, with everything it leaves in its folder."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from llm_pv.errors import LLMPVError, RunError
from llm_pv.models.hub import is_out_of_memory
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors import executor_for
from llm_pv.runs.executors.base import CellContext, CellFunction, CellTask, Emit
from llm_pv.runs.files import predictions_csv
from llm_pv.runs.job_folder import JobFolder, finished_row, read_job
from llm_pv.runs.remote_records import Results
from llm_pv.runs.runner import Observer, run_cells
from llm_pv.tracks.finetune.preparation import Preparation, ProcessGroup, prepare
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.results import (
    Recorder,
    metrics_of,
    naming_columns,
    predicted_labels,
    summary_row,
)
from llm_pv.tracks.finetune.rows import Rows
from llm_pv.tracks.grid import transfer_record

if TYPE_CHECKING:
    from llm_pv.runs.executors.ray import Cluster
    from llm_pv.tracks.finetune.training import Assembly, MetricsCallback

_LIBRARIES = ("transformers", "accelerate", "peft", "huggingface_hub", "torch")

_SMALL = 2_000_000


class JobFailedError(RunError):
    """Raised if a job fails; other jobs of its sweep may do better."""

    ends_run = False


def is_finished(job: Job) -> bool:
    """Tell whether the folder of a job holds its results already."""
    if finished_row(job.out) is None:
        return False
    options, _ = read_job(job.out)
    asked = job.options()
    # What "automatic" resolved to is known to the job that ran.
    asked["precision"] = asked["precision"] or options.get("precision")
    return options == asked


def run_job(
    job: Job, observer: Observer | None = None, cluster: "Cluster | None" = None
) -> dict[str, Any]:
    """Train and test a model, continuing where an earlier run of the job ended.

    Raise ConfigurationError if an option cannot work, or the model does not fit in memory. Raise
    DataError if rows cannot be drawn or read. Raise RunError if the folder cannot be used, or
    memory ran out during training. Raise WorkerLostError if a cluster's machines were lost.

    Parameters
    ----------
    observer
        Watches the run of this one cell; its events are those of `measures`.
    cluster
        Machines, one of which does the job; one that is lost begins it anew on another.

    Returns
    -------
    dict
        What ``metrics.json`` holds, with ``already_finished`` where an earlier run did it all.
    """
    world, out, cell = ProcessGroup.here(), job.out, job.rows.cell
    with ExitStack() as opened:
        if cluster is None:
            prepared = prepare(job, world)
            if not world.first:
                if finished_row(out) is None:
                    _train(job, prepared, None, lambda _: None)
                return read_job(out)[1]
            run: Results = opened.enter_context(RunDirectory(out, prepared.options))
            task = CellTask(cell, (job, prepared), naming_columns(job))
            function: CellFunction = train_cell
            send = None
        else:
            from llm_pv.tracks.finetune.remote_jobs import JobResults, RemoteJob, train_remotely

            run, task = opened.enter_context(closing(JobResults(job, cell))), CellTask(cell, job)
            function, send = train_remotely, RemoteJob.of
        already = {"already_finished": True} if run.finished(cell) else {}
        executor = executor_for(cluster, cells_at_once=1, prepare=send, alone=True)
        errors = run_cells([task], function, executor, run, observer=observer)
    for error in errors.values():
        raise error
    return read_job(out)[1] | already


def train_cell(inputs: tuple[Job, Preparation], context: CellContext) -> None:
    """Train and test a model that is not finished.

    Raise DataError or RunError as for `run_job`.
    """
    job, prepared = inputs
    folder = JobFolder(job.out)
    folder.write_config(prepared.options)
    with _library_messages(folder.log_file):
        _train(job, prepared, context.results, context.emit)


def _train(job: Job, prepared: Preparation, run: Results | None, emit: Emit) -> None:
    _take_no_folder_for_a_package()
    from llm_pv.tracks.finetune.training import assemble

    rows = prepared.rows or job.rows.load(job.training.batch_size)
    folder = JobFolder(job.out)
    recorder = Recorder(job, prepared, emit, folder if run is not None else None)
    for warning in rows.warnings:
        recorder.on_line(warning)
    out = job.out if run is None else run.path
    with _errors_in_one_line(job, out), _threads(prepared):
        assembly = assemble(job, prepared, rows, folder, recorder)
        recorder.on_begin(assembly)
        with _stopping(assembly.trainer.watch, prepared.world):
            _fit(assembly)
            metrics = metrics_of(job, prepared, rows, assembly)
            if run is not None:
                _finish(job, rows, assembly, metrics, run)
    if run is not None:
        recorder.on_end(metrics)


def _finish(
    job: Job, rows: Rows, assembly: "Assembly", metrics: dict[str, Any], run: Results
) -> None:
    """Write everything a finished job leaves."""
    folder, predictions = JobFolder(job.out), assembly.trainer.predictions
    assert predictions is not None
    folder.write_metrics(metrics)
    guesses = predicted_labels(predictions, rows)
    run.write_predictions(job.rows.cell, predictions_csv(rows.test.labels, guesses))
    if job.around.save_model:
        _keep_model(assembly, folder)
    for there in metrics["other_lengths"]:
        how = (there["sampler"], there["length"], there["rows"], there["test_accuracy"])
        run.add_transfer(job.rows.cell, transfer_record(*how))
    run.finish(job.rows.cell, summary_row(job, rows, metrics))
    folder.remove_checkpoints()


def _take_no_folder_for_a_package() -> None:
    """Keep transformers from taking the folder of data sets for the package `datasets`.

    It asks once whether there is such a package, and a folder of that name beside the script or in
    the working directory looks like one.
    """
    spec = find_spec("datasets")
    if spec is None or spec.origin is not None or "transformers.trainer" in sys.modules:
        return
    from transformers.utils.import_utils import is_datasets_available

    absent: dict[str, Any] = {"datasets": None}  # how Python notes a package that is not there
    sys.modules.update(absent)
    try:
        is_datasets_available.cache_clear()
        is_datasets_available()
    finally:
        del sys.modules["datasets"]


def _fit(assembly: "Assembly") -> None:
    trainer, checkpoint = assembly.trainer, assembly.checkpoint
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if trainer.watch.stop and trainer.state.global_step < assembly.sets.steps:
        raise KeyboardInterrupt


def _keep_model(assembly: "Assembly", folder: JobFolder) -> None:
    from llm_pv.tracks.finetune.batches import CharacterTokens
    from llm_pv.tracks.finetune.building import ModelTokens

    assembly.trainer.save_model(str(folder.model))
    if isinstance(assembly.tokens, ModelTokens):
        assembly.tokens.tokenizer.save_pretrained(str(folder.model))
    elif isinstance(assembly.tokens, CharacterTokens):
        folder.write_vocabulary(assembly.tokens.alphabet)


def _is_of_compiler(error: Exception) -> bool:
    from torch._dynamo.exc import BackendCompilerFailed

    return isinstance(error, BackendCompilerFailed)


@contextmanager
def _errors_in_one_line(job: Job, out: Path) -> Iterator[None]:
    """Turn a failed allocation or compilation into one line; what was measured stays on disk."""
    try:
        yield
    except LLMPVError:
        raise
    except Exception as error:
        if job.training.compile and _is_of_compiler(error):
            raise JobFailedError(
                f"torch.compile failed ({str(error).strip().splitlines()[0][:200]}): install what "
                "it asks for, or leave --compile out"
            ) from error
        if not is_out_of_memory(error):
            raise
        raise JobFailedError(
            "memory ran out: give a smaller --batch-size or --eval-batch-size, --checkpointing on, "
            f"or a smaller model; {out} keeps what was measured until then"
        ) from error


@contextmanager
def _threads(prepared: Preparation) -> Iterator[None]:
    """Compute small models on one core: threads that wait for each other cost them more.

    On two cores busy with other work a tiny model took 30 times longer on both than on one.
    """
    import torch

    small = prepared.device == "cpu" and prepared.load.parameters < _SMALL
    before = torch.get_num_threads()
    if small and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _stopping(watch: "MetricsCallback", world: ProcessGroup) -> Iterator[None]:
    """End after the step under way, with a checkpoint, at the first signal to stop.

    After the last step nothing but evaluating and writing is left, and the job is finished.
    Processes side by side would not stop at the same step, so there a signal ends them at once.
    """
    if world.size > 1 or threading.current_thread() is not threading.main_thread():
        yield
        return

    before: dict[int, Any] = {}

    def stop(number: int, _: FrameType | None) -> None:
        watch.stop = True
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)


@contextmanager
def _library_messages(path: Path) -> Iterator[None]:
    """Send what libraries log to a file, and keep their progress bars off the terminal."""
    from transformers.utils import logging as messages

    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    bars = messages.is_progress_bar_enabled()
    disable_bars: Callable[[], None] = messages.disable_progress_bar
    enable_bars: Callable[[], None] = messages.enable_progress_bar
    messages.disable_default_handler()
    disable_bars()
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    propagated = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, before in zip(loggers, propagated, strict=True):
            logger.removeHandler(handler)
            logger.propagate = before
        handler.close()
        messages.enable_default_handler()
        if bars:
            enable_bars()
