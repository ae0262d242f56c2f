"""Language models trained on the machines of a cluster, with all files brought here."""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_pv.errors import ClusterError, ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.base import CellContext
from llm_pv.runs.executors.ray.remote import enter_folder
from llm_pv.runs.job_folder import FilePart, JobFolder
from llm_pv.runs.reading import FAILED
from llm_pv.runs.remote_records import Known, Message, Relay, write_records
from llm_pv.tracks.finetune.job import is_finished, train_cell
from llm_pv.tracks.finetune.preparation import ProcessGroup, prepare
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.results import naming_columns
from llm_pv.tracks.finetune.rows import CarriedRows, TaskRows


@dataclass(frozen=True)
class RemoteJob:
    """A job as it is sent to a machine."""

    job: Job
    "The job; its rows need no file."
    config: str | None
    "The content of its model's configuration file, None without one."
    folder: Path
    "Where the driver runs; relative folders of models are relative to it."

    @classmethod
    def of(cls, job: Job) -> "RemoteJob":
        """Return what a job needs on another machine.

        Raise ConfigurationError if it names a GPU, which Ray chooses.
        """
        if job.around.device.startswith("cuda:"):
            raise ConfigurationError(
                f"--device {job.around.device}: on a cluster Ray chooses the GPU; give --ray-gpus "
                "1 alone"
            )
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


def train_remotely(remote: RemoteJob, context: CellContext) -> None:
    """Do a job in a folder that is gone afterwards, and send everything it leaves.

    Predictions and the row of the summary, which marks the job as finished, follow all files.
    """
    results = context.results
    assert isinstance(results, Relay), "it is sent to a machine of a cluster"
    last: list[Message] = []
    with TemporaryDirectory(prefix="llm-pv-") as folder:
        enter_folder(remote.folder)
        job = remote.there(Path(folder))
        prepared = prepare(job, ProcessGroup())
        results.send("begin", prepared.options)
        held = Relay(Known(job.rows.cell, False, job.out, job.out), last.append)
        try:
            train_cell((job, prepared), replace(context, results=held))
        finally:
            for piece in JobFolder(job.out).pieces():
                results.send("put", piece)
                results.flush()  # a trained model is larger than what should wait in memory
        for what, arguments in last:
            results.send(what, *arguments)


class JobResults(Relay):
    """A job's folder here, while the job is done on another machine.

    Parameters
    ----------
    cell
        The cell of the job in its run, which may be a sweep.
    on_row
        Called with the row of the job, or no columns where it is in the folder's summary.
    """

    def __init__(
        self,
        job: Job,
        cell: Cell,
        on_row: Callable[[Mapping[str, Any]], object] = lambda _: None,
    ) -> None:
        super().__init__(Known(cell, is_finished(job), job.out, job.out), self._write)
        self._job = job
        self._on_row = on_row
        self._run: RunDirectory | None = None
        self._open = ExitStack()

    def begin(self, options: Mapping[str, Any]) -> None:
        """Open the run directory, once everything that decides the results is known.

        Raise ClusterError if the machine has another model. Raise RunError if the directory cannot
        be used.
        """
        if self._job.options() | {"precision": options["precision"]} != options:
            raise ClusterError(
                f"{self._job.model.name} has other files on a machine of the cluster than here; "
                "give all machines the same"
            )
        self.close()  # of a machine that was lost
        self._run = self._open.enter_context(RunDirectory(self.path, options))
        JobFolder(self.path).write_config(options)

    def put(self, piece: FilePart) -> None:
        """Write a part of a file."""
        JobFolder(self.path).put(piece)

    def finish(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Write the row of the summary, the last of what the job leaves."""
        assert cell in {self._known.cell, self._job.rows.cell}
        super().finish(self._job.rows.cell, naming_columns(self._job) | dict(row))
        if row["status"] != FAILED:
            JobFolder(self.path).remove_checkpoints()
        self._on_row({} if self._run else row)
        self.close()

    def close(self) -> None:
        """Close the run directory."""
        self._open.close()

    def _write(self, message: Message) -> None:
        if self._run is not None:
            write_records([message], self._job.rows.cell, self._run)
