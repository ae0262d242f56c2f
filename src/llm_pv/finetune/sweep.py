"""Many jobs from one file: every combination of a grid, each in a process and folder of its own."""

import hashlib
import itertools
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from llm_pv.errors import ConfigurationError
from llm_pv.runs.directory import FAILED, read_summary
from llm_pv.runs.job_folder import SweepFolder

_KEYS = {"experiment_name", "results_root", "base_args", "grid"}
_OWN = {"results_path", "out", "format"}
_PATIENCE_SECONDS = 60.0

SKIPPED = "skipped"
"""The status of a job whose options cannot work, such as a length its task does not allow."""


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep.

    Parameters
    ----------
    name
        The values of the grid it has, fit for a folder's name.
    arguments
        The command line of the training command, without the results folder.
    """

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file asks for.

    Parameters
    ----------
    folder
        ``results_root/experiment_name``.
    jobs
        Every combination of the grid, in its order.
    """

    folder: Path
    jobs: tuple[SweepJob, ...]


@dataclass(frozen=True)
class Outcome:
    """How a job of a sweep ended.

    Parameters
    ----------
    status
        ``done``, ``failed`` or ``skipped``.
    reason
        Why it failed.
    row
        Its row of the summary that all tracks share.
    """

    status: str
    reason: str
    row: Mapping[str, str]


class SweepObserver:
    """Hears how a sweep goes on; the methods do nothing and are called from several threads."""

    def planned(self, jobs: int, done: int) -> None:
        """Hear how many jobs there are and how many of them an earlier run has done."""

    def started(self, job: SweepJob) -> None:
        """Hear that a job begins."""

    def ended(self, job: SweepJob, outcome: Outcome) -> None:
        """Hear how a job ended."""


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's file.

    Parameters
    ----------
    path
        YAML with ``experiment_name``, ``results_root``, ``base_args`` and ``grid``; names of
        arguments are those of the command's options, with ``_`` or ``-``.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or asks for no sweep.
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


def run_sweep(
    sweep: Sweep,
    launcher: Sequence[str],
    *,
    finished: Callable[[SweepJob], bool],
    impossible: Mapping[str, str] = MappingProxyType({}),
    concurrency: int = 1,
    observer: SweepObserver | None = None,
) -> dict[str, Outcome]:
    """Run every job of a sweep that is not finished, and go on where one fails.

    Parameters
    ----------
    sweep
        The sweep.
    launcher
        The command that runs one job; its arguments follow, and it ends when its standard input
        does, so that no job outlives the sweep.
    finished
        Tells whether a job's folder holds its results.
    impossible
        Why jobs cannot be done, by name; they are recorded and not begun.
    concurrency
        Jobs under way at once.
    observer
        Hears how it goes.

    Returns
    -------
    dict
        The outcome of each job by name, in order.

    Raises
    ------
    ConfigurationError
        If the concurrency is no positive number.
    RunError
        If the folder cannot be used.
    """
    if concurrency < 1:
        raise ConfigurationError(f"--concurrency is {concurrency}; give 1 or more")
    with SweepFolder(sweep.folder) as folder:
        run = _Running(sweep, folder, tuple(launcher), concurrency, observer or SweepObserver())
        return run.all(finished, impossible)


class _Running:
    def __init__(
        self,
        sweep: Sweep,
        folder: SweepFolder,
        launcher: tuple[str, ...],
        concurrency: int,
        observer: SweepObserver,
    ) -> None:
        self._sweep = sweep
        self._folder = folder
        self._launcher = launcher
        self._concurrency = concurrency
        self._observer = observer
        self._lock = threading.Lock()
        self._outcomes: dict[str, Outcome] = {}
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def all(
        self, finished: Callable[[SweepJob], bool], impossible: Mapping[str, str]
    ) -> dict[str, Outcome]:
        """Run what can be done and is not finished."""
        waiting = []
        for job in self._sweep.jobs:
            if (reason := impossible.get(job.name)) is not None:
                row = {"status": SKIPPED, "reason": reason}
                self._outcomes[job.name] = Outcome(SKIPPED, reason, row)
            elif finished(job):
                self._outcomes[job.name] = self._outcome(job, 0, "")
            else:
                waiting.append(job)
        self._observer.planned(len(self._sweep.jobs), len(self._outcomes))
        self._write()
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            for future in [pool.submit(self._one, job) for job in waiting]:
                future.result()
        finally:
            self._end_processes()
            pool.shutdown(cancel_futures=True)
        return {job.name: self._outcomes[job.name] for job in self._sweep.jobs}

    def _one(self, job: SweepJob) -> None:
        with tempfile.TemporaryFile() as errors:
            process = self._start(job, errors)
            if process is None:
                return
            status = process.wait()
            _close_input(process)
            errors.seek(0)
            told = errors.read().decode("utf-8", "replace")
        with self._lock:
            self._processes.discard(process)
            if self._stopping:
                return
            outcome = self._outcome(job, status, told)
            self._outcomes[job.name] = outcome
            self._write()
        self._observer.ended(job, outcome)

    def _start(self, job: SweepJob, errors: IO[bytes]) -> "subprocess.Popen[bytes] | None":
        out = str(self._folder.job(job.name))
        command = [*self._launcher, *job.arguments, f"--results-path={out}"]
        with self._lock:
            if self._stopping:
                return None
            process = subprocess.Popen(  # noqa: S603  (this interpreter, and options of the user's)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environment(),
            )
            self._processes.add(process)
        self._observer.started(job)
        return process

    def _environment(self) -> dict[str, str]:
        """Return the environment of jobs: this package, and a fair share of the cores."""
        source = str(Path(__file__).resolve().parents[2])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        if self._concurrency > 1:
            share = max(1, (os.cpu_count() or 1) // self._concurrency)
            environment.setdefault("OMP_NUM_THREADS", str(share))
        return environment

    def _outcome(self, job: SweepJob, status: int, told: str) -> Outcome:
        rows = read_summary(self._folder.job(job.name))
        row = rows[0] if rows else {}
        if status == 0 and row.get("status") not in {None, FAILED}:
            return Outcome("done", "", row)
        reason = _reason(status, told)
        return Outcome(FAILED, reason, row | {"status": FAILED, "reason": reason})

    def _write(self) -> None:
        names = [job.name for job in self._sweep.jobs if job.name in self._outcomes]
        self._folder.write_summary({"job": name, **self._outcomes[name].row} for name in names)

    def _end_processes(self) -> None:
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


def _close_input(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()


def _reason(status: int, told: str) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = ", as by a machine out of memory" if -status == signal.SIGKILL else ""
        return f"the job was ended by {name}{hint}"
    lines = [line for line in told.splitlines() if line.strip()]
    last = lines[-1].removeprefix("llm-pv: ") if lines else "it said nothing"
    return f"{last} (status {status})"


def _read_yaml(path: Path) -> Mapping[Any, Any]:
    import yaml

    try:
        record = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise ConfigurationError(f"{path} cannot be read as a sweep: {text}") from error
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
    """Return a grid's values as a folder's name; what had to be replaced is told by a digest."""
    text = ",".join(f"{key}={value}" for key, value in own.items()) or "job"
    name = re.sub(r"[^\w.,=+-]+", "_", text)[:150]
    if name != text:
        name += "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return name
