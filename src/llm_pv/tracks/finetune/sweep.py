"""A sweep: its file, and its jobs as cells of the runner, each in its own process and folder."""

import hashlib
import itertools
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

from llm_pv.errors import ConfigurationError
from llm_pv.proposers.round_robin import StoppedError
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors import executor_for
from llm_pv.runs.executors.base import CellContext, CellTask
from llm_pv.runs.job_folder import SweepFolder
from llm_pv.runs.reading import FAILED, read_summary
from llm_pv.runs.runner import Observer, run_cells
from llm_pv.tracks.finetune.job import JobFailedError
from llm_pv.tracks.finetune.remote_jobs import JobResults, RemoteJob, train_remotely

if TYPE_CHECKING:
    from llm_pv.runs.executors.ray import Cluster
    from llm_pv.tracks.finetune.request import Job


_KEYS = {"experiment_name", "results_root", "base_args", "grid"}
_OWN = {"results_path", "out", "format", "ray", "ray_cpus", "ray_gpus"}


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep."""

    name: str
    "The values of the grid it has, fit for a folder's name."
    arguments: tuple[str, ...]
    "The command line of the training command, without the results folder."


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep's file."""

    folder: Path
    "``results_root/experiment_name``."
    jobs: tuple[SweepJob, ...]


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's file.

    Raise ConfigurationError if it cannot be read, or asks for no sweep.

    Parameters
    ----------
    path
        YAML with ``experiment_name``, ``results_root``, ``base_args`` and ``grid``; names of
        arguments are those of the command's options, with ``_`` or ``-``.
    """
    record = _read_yaml(path)
    unknown = sorted(map(str, record.keys() - _KEYS))
    if unknown:
        raise ConfigurationError(
            f"{path}: {', '.join(unknown)} unknown; a sweep has {', '.join(sorted(_KEYS))}"
        )
    base = _mapping(path, record, "base_args")
    grid = _mapping(path, record, "grid")
    name = record.get("experiment_name")
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise ConfigurationError(
            f"{path}: experiment_name is {name!r}; give a name of letters, digits, '.', '_' and '-'"
        )
    for key, value in base.items():
        if isinstance(value, list | dict):
            raise ConfigurationError(f"{path}: base_args.{key} has several values; move it to grid")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ConfigurationError(f"{path}: grid.{key} is no list of values")
        if any(isinstance(value, list | dict) for value in values):
            raise ConfigurationError(f"{path}: grid.{key} holds a list or a mapping as a value")
    root = Path(str(record.get("results_root", "results_new")))
    combinations = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]
    jobs = [SweepJob(_name(own), _arguments(base | own)) for own in combinations]
    return Sweep(root / name, tuple({job.name: job for job in jobs}.values()))


def _read_yaml(path: Path) -> Mapping[Any, Any]:
    import yaml

    try:
        record = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        why = "it is a folder" if path.is_dir() else error.strerror or error
        raise ConfigurationError(f"cannot read {path}: {why}; give a YAML file") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(
            f"{path} cannot be read as a sweep: it is no valid YAML{place}; check the brackets, "
            "colons and indentation there"
        ) from error
    if not isinstance(record, dict):
        raise ConfigurationError(
            f"{path} is no sweep: it needs {', '.join(sorted(_KEYS))} as a YAML mapping"
        )
    return record


def _mapping(path: Path, record: Mapping[Any, Any], key: str) -> dict[str, Any]:
    found = record.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigurationError(f"{path}: {key} is no mapping from names of options")
    reserved = sorted({name.replace("-", "_") for name in found} & _OWN)
    if reserved:
        raise ConfigurationError(
            f"{path}: {key}.{reserved[0]} is for the sweep to choose; leave it out"
        )
    return found


def _arguments(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return options as a command line: true is a flag, false and null are left out."""
    arguments: list[str] = []
    for name, value in options.items():
        if name == "data":
            arguments.insert(0, str(value))
        elif value is True:
            arguments.append(f"--{name.replace('_', '-')}")
        elif value is not None and value is not False:
            arguments.append(f"--{name.replace('_', '-')}={value}")
    return tuple(arguments)


def _name(own: Mapping[str, Any]) -> str:
    """Return a grid's values as a folder's name; a digest marks names with replaced characters."""
    text = ",".join(f"{key}={value}" for key, value in own.items()) or "job"
    name = re.sub(r"[^\w.,=+-]+", "_", text)[:150]
    if name != text:
        name += "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return name


_PATIENCE_SECONDS = 60.0

Row = Mapping[str, str]


def run_sweep(
    sweep: Sweep,
    launcher: Sequence[str],
    *,
    finished: Callable[[SweepJob], bool],
    impossible: Mapping[str, str] = MappingProxyType({}),
    concurrency: int | None = None,
    observer: Observer | None = None,
    cluster: "Cluster | None" = None,
    jobs: "Mapping[str, Job]" = MappingProxyType({}),
) -> dict[str, Row]:
    """Run every job of a sweep that is not finished, and go on where one fails.

    Raise ConfigurationError if the concurrency is no positive number. Raise RunError if the folder
    cannot be used.

    Parameters
    ----------
    launcher
        The command that runs one job; its arguments follow, and it ends when its standard input
        does, so that no job outlives the sweep.
    finished
        Tells whether a job's folder holds its results.
    impossible
        Why jobs cannot be done, by name; they are recorded and not begun.
    concurrency
        Jobs under way at once; None for one, and on a cluster for as many as there is room for.
    observer
        Watches the run; a job is the cell of its name.
    cluster, jobs
        Machines that do the jobs in place of processes of this one, and what each job is.

    Returns
    -------
    dict
        The row of each job by name, in order, with its ``status`` and ``reason``.
    """
    if concurrency is not None and concurrency < 1:
        raise ConfigurationError(f"is {concurrency}; give 1 or more", "concurrency")
    with SweepFolder(sweep.folder, [job.name for job in sweep.jobs]) as folder:
        tasks = [
            CellTask(Cell(job.name), job, skipped=impossible.get(job.name, ""))
            for job in sweep.jobs
        ]
        for task in tasks:
            if not task.skipped and finished(task.inputs):
                _take(folder, task.inputs)
        processes = _JobProcesses(folder, launcher, concurrency or 1)
        executor = executor_for(
            cluster,
            cells_at_once=concurrency or 1,
            most=concurrency,
            on_close=[processes.end],
            prepare=lambda job: RemoteJob.of(jobs[job.name]),
            alone=True,
        )

        def there(task: CellTask) -> JobResults:
            return JobResults(jobs[task.inputs.name], task.cell, partial(folder.finish, task.cell))

        function, results = (processes.run, None) if cluster is None else (train_remotely, there)
        run_cells(tasks, function, executor, folder, results=results, observer=observer)
        rows = {task.cell.function: folder.row(task.cell) for task in tasks}
        return {name: row for name, row in rows.items() if row is not None}


def _take(folder: SweepFolder, job: SweepJob, status: int = 0, complaint: str = "") -> None:
    """Take the row that a job has left, or raise why there is none."""
    rows = read_summary(folder.job(job.name))
    if status or not rows or rows[0]["status"] in {"", FAILED}:
        raise JobFailedError(_reason(status, complaint))
    folder.finish(Cell(job.name), {})


class _JobProcesses:
    """The processes of a sweep's jobs."""

    def __init__(self, folder: SweepFolder, launcher: Sequence[str], concurrency: int) -> None:
        self._folder = folder
        self._launcher = tuple(launcher)
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def run(self, job: SweepJob, _: CellContext) -> None:
        """Run a job, and take the row that it leaves."""
        with tempfile.TemporaryFile() as errors:
            process = self._start(job, errors)
            status = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            errors.seek(0)
            complaint = errors.read().decode("utf-8", "replace")
        with self._lock:
            self._processes.discard(process)
        _take(self._folder, job, status, complaint)

    def end(self) -> None:
        """Ask what still runs to end with a checkpoint, and kill what does not."""
        with self._lock:
            self._stopping = True
            running = list(self._processes)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, job: SweepJob, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
        out = str(self._folder.job(job.name))
        command = [*self._launcher, *job.arguments, f"--results-path={out}"]
        with self._lock:
            if self._stopping:
                raise StoppedError
            process = subprocess.Popen(  # noqa: S603  (this interpreter, and options of the user's)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environment(),
            )
            self._processes.add(process)
        return process

    def _environment(self) -> dict[str, str]:
        """Return the environment of jobs: this package, and a fair share of the cores."""
        source = str(Path(__file__).resolve().parents[3])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        if self._concurrency > 1:
            share = max(1, (os.cpu_count() or 1) // self._concurrency)
            environment.setdefault("OMP_NUM_THREADS", str(share))
        return environment


def _reason(status: int, complaint: str) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = ", as by a machine out of memory" if -status == signal.SIGKILL else ""
        return f"the job was ended by {name}{hint}"
    lines = [line for line in complaint.splitlines() if line.strip()]
    last = lines[-1].removeprefix("llm-pv: ") if lines else "it printed nothing"
    return f"{last} (status {status})"
