"""Language models trained on the machines of a cluster, with all they leave brought here."""

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_pv.errors import ClusterError, ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.local import WorkerLostError, told
from llm_pv.runs.executors.ray.answers import go_to
from llm_pv.runs.executors.ray.cluster import RETRIES, Cluster
from llm_pv.runs.executors.ray.requirements import Versions
from llm_pv.runs.executors.ray.tasks import Failed, require_same
from llm_pv.runs.job_folder import JobFolder, Piece, read_job
from llm_pv.runs.remote_records import Known, Message, Relay, write_down
from llm_pv.tracks.finetune.job import do_job, is_finished, record_failure
from llm_pv.tracks.finetune.measures import Observer
from llm_pv.tracks.finetune.preparation import Preparation, prepare
from llm_pv.tracks.finetune.process_group import ProcessGroup
from llm_pv.tracks.finetune.request import Job
from llm_pv.tracks.finetune.rows import Rows, RowSource, TaskRows
from llm_pv.tracks.finetune.sweep_file import SweepJob

EVERY_SECONDS = 1.0
"""How often a job tells how it goes."""

MOST_JOBS = 1_000
"""Jobs handed to the cluster at the same time; each has a thread here that waits for it."""

_Event = tuple[str, tuple[Any, ...]]
_NOTHING: _Event = ("", ())


@dataclass(frozen=True)
class CarriedRows:
    """Rows read here, for machines that do not have the file; see `RowSource`.

    Parameters
    ----------
    name, cell, seed, train_size, recorded
        Those of the rows' source.
    rows
        The rows.
    """

    name: str
    cell: Cell
    seed: int
    train_size: int | None
    recorded: Mapping[str, Any]
    rows: Rows
    longest: int | None = None

    @classmethod
    def of(cls, source: RowSource, batch_size: int) -> "CarriedRows":
        """Read the rows."""
        return cls(
            source.name,
            source.cell,
            source.seed,
            source.train_size,
            source.record(),
            source.load(batch_size),
        )

    def load(self, _: int) -> Rows:
        """Return the rows."""
        return self.rows

    def record(self) -> dict[str, Any]:
        """Return everything the rows depend on."""
        return dict(self.recorded)


@dataclass(frozen=True)
class JobErrand:
    """What one job sends along.

    Parameters
    ----------
    job
        The job; its rows need no file.
    config
        What the configuration file of its model holds, None without one.
    known
        What is known of its cell: nothing.
    folder
        Where the driver runs; a model in a relative folder is looked for from there.
    """

    job: Job
    config: str | None
    known: Known
    folder: Path

    @classmethod
    def of(cls, job: Job) -> "JobErrand":
        """Return what a job needs on another machine."""
        rows, file, out = job.rows, job.model.config_file, job.around.out
        if isinstance(rows, TaskRows) and rows.longest is not None:
            rows = replace(rows, dataset_dir=None)  # drawn there, as it would be here
        else:
            rows = CarriedRows.of(rows, job.training.batch_size)
        config = None if file is None else file.read_text("utf-8")
        known = Known(rows.cell, False, out, out)
        return cls(replace(job, rows=rows), config, known, Path.cwd())

    def there(self, folder: Path) -> Job:
        """Return the job as it is done in a folder of another machine."""
        model = self.job.model
        if self.config is not None:
            file = folder / "config.json"
            file.write_text(self.config, "utf-8")
            model = replace(model, config_file=file)
        # No other machine could go on from a checkpoint.
        around = replace(self.job.around, out=folder / "job", checkpoint_minutes=math.inf)
        around.out.mkdir()
        return replace(self.job, model=model, around=around)


@dataclass(frozen=True)
class Begun:
    """That a job begins, with everything that decides its results."""

    options: Mapping[str, Any]


@dataclass
class Heard(Observer):
    """What an observer hears of a job elsewhere, until it is told.

    Parameters
    ----------
    events
        Names of an observer's methods, with arguments.
    """

    events: list[_Event] = field(default_factory=list)

    def started(self, name: str, steps: int, done: int) -> None:
        """Keep it."""
        self.events.append(("started", (name, steps, done)))

    def stepped(self, step: int) -> None:
        """Keep it."""
        self.events.append(("stepped", (step,)))

    def told(self, line: str) -> None:
        """Keep it."""
        self.events.append(("told", (line,)))

    def taken(self) -> "Heard":
        """Take out what there is; of steps that follow each other the last."""
        events = self.events[:]  # whoever appends meanwhile appends behind these
        del self.events[: len(events)]
        following = zip_longest(events, events[1:], fillvalue=_NOTHING)
        return Heard([one for one, after in following if not one[0] == after[0] == "stepped"])

    def tell(self, observer: Observer) -> None:
        """Tell it all."""
        for what, arguments in self.events:
            getattr(observer, what)(*arguments)


@dataclass(frozen=True)
class Ended:
    """What an ended job has for the run directory; its row is the last."""

    messages: list[Message]


def train(driver: Versions, errand: JobErrand) -> Iterator[Begun | Heard | Piece | Ended | Failed]:
    """Do a job in a folder that is gone afterwards, and yield all it leaves; a Ray task."""
    with TemporaryDirectory(prefix="llm-pv-") as folder:
        try:
            require_same(driver)
            go_to(errand.folder)
            job = errand.there(Path(folder))
            prepared = prepare(job, ProcessGroup())
        except Exception as error:  # noqa: BLE001 - the driver is told, whatever it is
            yield Failed(told(error))
            return
        yield Begun(prepared.options)
        doing = _Doing(job, prepared, errand.known)
        doing.start()
        while doing.is_alive():
            doing.join(EVERY_SECONDS)
            yield doing.heard.taken()
        yield from JobFolder(job.around.out).pieces()
        yield Ended(doing.messages)
        if doing.failed is not None:
            yield doing.failed


class _Doing(threading.Thread):
    """A job that is being done."""

    def __init__(self, job: Job, prepared: Preparation, known: Known) -> None:
        super().__init__(daemon=True)
        self._job = job
        self._prepared = prepared
        self._known = known
        self.heard = Heard()
        self.messages: list[Message] = []
        self.failed: Failed | None = None

    def run(self) -> None:
        try:
            do_job(self._job, self._prepared, Relay(self._known, self.messages.append), self.heard)
        except Exception as error:  # noqa: BLE001 - the driver is told, whatever it is
            self.failed = Failed(told(error))


class ClusterJobs:
    """Does training jobs on a cluster.

    Parameters
    ----------
    cluster
        The cluster; it is left open.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def run(self, job: Job, observer: Observer | None = None) -> dict[str, Any]:
        """Do a job, and leave in its folder what `llm_pv.tracks.finetune.job.run_job` leaves there.

        A job whose machine is lost is begun anew on another.

        Raises
        ------
        WorkerLostError
            If its machine was lost, and so was each one that began anew, or the cluster was let go.
        LLMPVError
            The error that ended the job.
        """
        observer, out = observer or Observer(), job.around.out
        _refuse_one_gpu(job.around.device)
        if is_finished(job):
            return read_job(out)[1] | {"already_finished": True}
        arriving = _Arriving(job, observer)
        with arriving.open:
            errand = self._cluster.share(JobErrand.of(job))
            for further in reversed(range(RETRIES + 1)):
                try:
                    self._once(errand, arriving)
                    break
                except WorkerLostError as error:
                    if self._cluster.closed:
                        raise
                    if not further:
                        arriving.fail(error)
                        raise
                    observer.told("the machine was lost; the job begins anew on another one")
        return read_job(out)[1]

    def close(self) -> None:
        """End every job under way."""
        self._cluster.close()

    def _once(self, errand: Any, arriving: "_Arriving") -> None:
        # Never begun anew by Ray: the observer is to hear of it.
        task = self._cluster.start(train, errand, retries=0, streaming=True, alone=True)
        sent = self._cluster.results(task)
        try:
            for item in sent:
                arriving.take(item)
        except BaseException:
            self._cluster.forget(task, cancel=True)
            raise


class _Arriving:
    """A job's folder here, while the job is done elsewhere."""

    def __init__(self, job: Job, observer: Observer) -> None:
        self._job = job
        self._observer = observer
        self._run: RunDirectory | None = None
        self.open = ExitStack()

    def take(self, item: Begun | Heard | Piece | Ended) -> None:
        """Write down, or tell, what has come."""
        folder = JobFolder(self._job.around.out)
        if isinstance(item, Begun):
            self._begin(item.options)
        elif isinstance(item, Heard):
            item.tell(self._observer)
        elif isinstance(item, Piece):
            folder.put(item)
        else:
            assert self._run is not None
            write_down(item.messages, self._job.rows.cell, self._run)
            folder.remove_checkpoints()

    def fail(self, error: Exception) -> None:
        """Record that the job failed, if it ever began."""
        if self._run is not None:
            record_failure(self._job, error, self._run)

    def _begin(self, options: Mapping[str, Any]) -> None:
        if self._job.options() | {"precision": options["precision"]} != options:
            raise ClusterError(
                f"{self._job.model.name} has other files on a machine of the cluster than here; "
                "give all machines the same"
            )
        if self._run is None:
            self._run = self.open.enter_context(RunDirectory(self._job.around.out, options))
            JobFolder(self._job.around.out).write_config(options)


class ClusterSweep:
    """Does the jobs of a sweep on a cluster; see `llm_pv.tracks.finetune.sweep.Elsewhere`.

    Parameters
    ----------
    cluster
        Does them.
    jobs
        What each is, by name.
    """

    at_once = MOST_JOBS

    def __init__(self, cluster: ClusterJobs, jobs: Mapping[str, Job]) -> None:
        self._cluster = cluster
        self._jobs = jobs

    def do(self, job: SweepJob) -> None:
        """Do a job; its folder says how it ended."""
        self._cluster.run(self._jobs[job.name])

    def close(self) -> None:
        """End every job under way."""
        self._cluster.close()


def _refuse_one_gpu(device: str) -> None:
    if device.startswith("cuda:"):
        raise ConfigurationError(
            f"--device {device}: on a cluster Ray chooses the GPU; give --ray-gpus 1 alone"
        )
