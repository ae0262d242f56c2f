"""The jobs of a sweep: each in a process and folder of its own, or on other machines."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

from llm_pv.errors import ConfigurationError
from llm_pv.runs.directory import FAILED, read_summary
from llm_pv.runs.job_folder import SweepFolder
from llm_pv.tracks.finetune.sweep_file import Sweep, SweepJob

_PATIENCE_SECONDS = 60.0

SKIPPED = "skipped"
"""The status of a job whose options cannot work, such as a length its task does not allow."""


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


class Elsewhere(Protocol):
    """Machines that do jobs."""

    @property
    def at_once(self) -> int:
        """How many jobs may be handed over at the same time."""
        ...

    def do(self, job: SweepJob) -> None:
        """Do a job, whose folder says how it ended; raise the error that ended it."""
        ...

    def close(self) -> None:
        """End every job under way."""
        ...


def run_sweep(
    sweep: Sweep,
    launcher: Sequence[str],
    *,
    finished: Callable[[SweepJob], bool],
    impossible: Mapping[str, str] = MappingProxyType({}),
    concurrency: int | None = None,
    observer: SweepObserver | None = None,
    elsewhere: Elsewhere | None = None,
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
        Jobs under way at once; None for one, and elsewhere for as many as there is room for.
    observer
        Hears how it goes.
    elsewhere
        Who does the jobs in place of processes of this machine.

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
    if concurrency is None:
        concurrency = 1 if elsewhere is None else elsewhere.at_once
    if concurrency < 1:
        raise ConfigurationError(f"--concurrency is {concurrency}; give 1 or more")
    with SweepFolder(sweep.folder) as folder:
        hearing = observer or SweepObserver()
        run = _Running(sweep, folder, tuple(launcher), concurrency, hearing, elsewhere=elsewhere)
        return run.all(finished, impossible)


class _Running:
    def __init__(
        self,
        sweep: Sweep,
        folder: SweepFolder,
        launcher: tuple[str, ...],
        concurrency: int,
        observer: SweepObserver,
        *,
        elsewhere: Elsewhere | None,
    ) -> None:
        self._sweep = sweep
        self._folder = folder
        self._launcher = launcher
        self._concurrency = concurrency
        self._observer = observer
        self._elsewhere = elsewhere
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
        if self._elsewhere is None:
            ended = self._in_a_process(job)
        else:
            ended = self._do_elsewhere(self._elsewhere, job)
        with self._lock:
            if self._stopping or ended is None:
                return
            outcome = self._outcome(job, *ended)
            self._outcomes[job.name] = outcome
            self._write()
        self._observer.ended(job, outcome)

    def _in_a_process(self, job: SweepJob) -> tuple[int, str] | None:
        """Do a job and return its exit status and what it said; None if all is to end."""
        with tempfile.TemporaryFile() as errors:
            process = self._start(job, errors)
            if process is None:
                return None
            status = process.wait()
            _close_input(process)
            errors.seek(0)
            told = errors.read().decode("utf-8", "replace")
        with self._lock:
            self._processes.discard(process)
        return status, told

    def _do_elsewhere(self, elsewhere: Elsewhere, job: SweepJob) -> tuple[int, str]:
        self._observer.started(job)
        try:
            elsewhere.do(job)
        except Exception as error:  # noqa: BLE001 - the job failed, and the others go on
            return 2, str(error)
        return 0, ""

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
        source = str(Path(__file__).resolve().parents[3])
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
        if self._elsewhere is not None:
            self._elsewhere.close()
        with self._lock:
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
