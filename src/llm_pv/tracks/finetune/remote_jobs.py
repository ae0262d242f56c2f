"""Language models trained on the machines of a cluster, with all files brought here."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_pv.errors import ClusterError, ConfigurationError, ExecutorClosedError, WorkerLostError
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.base import CellContext, CellTask
from llm_pv.runs.executors.ray import CellReassigned, Cluster, RayExecutor
from llm_pv.runs.executors.ray.remote import FlushingRelay, enter_folder
from llm_pv.runs.job_folder import FilePart, JobFolder, read_job
from llm_pv.runs.remote_records import Known, Message, Relay, write_records
from llm_pv.tracks.finetune.job import do_job, is_finished, record_failure
from llm_pv.tracks.finetune.measures import TrainingObserver
from llm_pv.tracks.finetune.preparation import ProcessGroup, prepare
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.rows import CarriedRows, TaskRows


@dataclass(frozen=True)
class RemoteJob:
    """A job as it is sent to a machine."""

    job: Job
    "The job; its rows need no file."
    config: str | None
    "What the configuration file of its model holds, None without one."
    folder: Path
    "Where the driver runs; a model in a relative folder is looked for from there."

    @classmethod
    def of(cls, job: Job) -> "RemoteJob":
        """Return what a job needs on another machine."""
        rows, file = job.rows, job.model.config_file
        if isinstance(rows, TaskRows) and rows.longest is not None:
            rows = replace(rows, dataset_dir=None)  # drawn there, as it would be here
        else:
            rows = CarriedRows.of(rows, job.training.batch_size)
        config = None if file is None else file.read_text("utf-8")
        return cls(replace(job, rows=rows), config, Path.cwd())

    def there(self, folder: Path) -> Job:
        """Return the job as it is done in a folder of another machine."""
        model = self.job.model
        if self.config is not None:
            file = folder / "config.json"
            file.write_text(self.config, "utf-8")
            model = replace(model, model=model.name, config_file=file)  # the file has another name
        # No other machine could go on from a checkpoint.
        around = replace(self.job.around, out=folder / "job", checkpoint_minutes=math.inf)
        (folder / "job").mkdir()
        return replace(self.job, model=model, around=around)


class _Events(TrainingObserver):
    """Passes on the calls of an observer as events: the method's name and its arguments."""

    def __init__(self, context: CellContext) -> None:
        self._context = context

    def on_start(self, name: str, steps: int, done: int) -> None:
        self._context.emit(("on_start", (name, steps, done)))

    def on_step(self, step: int) -> None:
        self._context.emit(("on_step", (step,)))

    def on_line(self, line: str) -> None:
        self._context.emit(("on_line", (line,)))


def train_job(remote: RemoteJob, context: CellContext) -> None:
    """Do a job in a folder that is gone afterwards, and send everything it leaves."""
    results = context.results
    assert isinstance(results, FlushingRelay), "it is sent to a machine of a cluster"
    with TemporaryDirectory(prefix="llm-pv-") as folder:
        enter_folder(remote.folder)
        job = remote.there(Path(folder))
        prepared = prepare(job, ProcessGroup())
        results.send("begin", prepared.options)
        files = JobFolder(job.out)
        try:
            do_job(job, prepared, results, _Events(context))
        finally:
            for piece in files.pieces():
                results.send("put", piece)
                results.flush()  # a trained model is larger than what should wait in memory
            results.send("close")


class JobResults(Relay):
    """A job's folder here, while the job is done on another machine.

    Files are written as they come; predictions and the row of the summary follow at the end.
    """

    def __init__(self, job: Job) -> None:
        out = job.out
        self._last: list[Message] = []
        super().__init__(Known(job.rows.cell, False, out, out), self._last.append)
        self._job = job
        self._folder = JobFolder(out)
        self._run: RunDirectory | None = None
        self.open = ExitStack()

    def begin(self, options: Mapping[str, Any]) -> None:
        """Open the run directory, once everything that decides the results is known.

        Raise ClusterError if the machine has another model. Raise RunError if the directory cannot
        be used.
        """
        self._last.clear()
        if self._job.options() | {"precision": options["precision"]} != options:
            raise ClusterError(
                f"{self._job.model.name} has other files on a machine of the cluster than here; "
                "give all machines the same"
            )
        if self._run is None:
            self._run = self.open.enter_context(RunDirectory(self.path, options))
            self._folder.write_config(options)

    def put(self, piece: FilePart) -> None:
        """Write a part of a file."""
        self._folder.put(piece)

    def close(self) -> None:
        """Write what waited for the files, the row of the summary among it."""
        assert self._run is not None
        write_records(self._last, self._job.rows.cell, self._run)
        self._folder.remove_checkpoints()

    def fail(self, error: Exception) -> None:
        """Record that the job failed, if it ever began."""
        if self._run is not None:
            record_failure(self._job, error, self._run)


MOST_JOBS = 1_000
"""Jobs handed to the cluster at the same time; each has a thread here that waits for it."""


class RemoteJobs:
    """Does training jobs on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._executor = RayExecutor(cluster, prepare=RemoteJob.of, alone=True)

    def run(self, job: Job, observer: TrainingObserver | None = None) -> dict[str, Any]:
        """Do a job, and leave in its folder what `llm_pv.tracks.finetune.job.run_job` leaves there.

        A job whose machine is lost begins anew on another.

        Raises
        ------
        WorkerLostError
            If its machine and those that started over were lost, or the cluster was released.
        LLMPVError
            The error that ended the job.
        """
        if job.around.device.startswith("cuda:"):
            raise ConfigurationError(
                f"--device {job.around.device}: on a cluster Ray chooses the GPU; give --ray-gpus "
                "1 alone"
            )
        if is_finished(job):
            return read_job(job.out)[1] | {"already_finished": True}
        watching, results = observer or TrainingObserver(), JobResults(job)

        def emit(event: object) -> None:
            if isinstance(event, CellReassigned):
                watching.on_line("the machine was lost; the job begins anew on another one")
            elif isinstance(event, tuple):
                what, arguments = event
                getattr(watching, what)(*arguments)

        with results.open:
            try:
                self._executor.run(train_job, CellTask(job.rows.cell, job), results, emit)
            except ExecutorClosedError:
                raise
            except WorkerLostError as error:
                results.fail(error)
                raise
        return read_job(job.out)[1]

    def close(self) -> None:
        """End every job under way."""
        self._executor.close()
