"""Run candidates in plain, unconfined processes, on any system, if the user allowed that.

A new interpreter with an empty environment for each candidate keeps crashes and endless loops away
from the caller. That is all: the candidate may read, write and send whatever the user may.
"""

import io
import json
import marshal
import mmap
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llm_pv.child_process import boot_command
from llm_pv.errors import SandboxError
from llm_pv.sandbox.batch import Batch, LabelledRows, decode_labelled, decode_rows
from llm_pv.sandbox.execution import Execution, Limits, ToolLimits
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.job import run_exploration, run_program
from llm_pv.sandbox.modules import ALLOWED_MODULES
from llm_pv.sandbox.outcome import ProcessEnding, conclude, conclude_exploration
from llm_pv.sandbox.parser import packages_imported
from llm_pv.sandbox.preload import preload
from llm_pv.sandbox.result_page import page_bytes

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input

_KEPT_VARIABLES = ("SYSTEMROOT", "TEMP", "TMP", "TMPDIR")  # Windows needs the first


class _Job(NamedTuple):
    """The job of a new process: a program over inputs, or an exploration of rows."""

    kind: str
    source: str
    rows: bytes
    output_bytes: int
    seed: int
    packages: tuple[str, ...] = ()


class UnconfinedWorker:
    """Runs each candidate in a fresh process of the same user; limits: time and output alone."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, source: str, inputs: "Sequence[Input]", limits: Limits, seed: int = 0
    ) -> Execution:
        """Run a program over the inputs (see `llm_pv.sandbox.worker_pool.Worker`)."""
        batch = Batch.of(inputs)
        rows = len(batch)
        packages = packages_imported(source)
        job = _Job("program", source, batch.encoded(), limits.output_bytes, seed, packages)
        with self._ended(job, rows, limits.wall_limit(rows), seed) as (ending, page):
            return conclude(ending, page, rows, limits)

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows (see `llm_pv.sandbox.worker_pool.Worker`)."""
        room = limits.plain().output_bytes
        packages = packages_imported(script.code, *script.earlier)
        job = _Job("exploration", script.encoded(), rows.encoded(), room, seed, packages)
        with self._ended(job, 0, limits.wall_limit, 0) as (ending, page):
            return conclude_exploration(ending, page, limits)

    def close(self) -> None:
        """End the run in progress, if any."""
        process = self._process
        if process is not None:
            process.kill()

    @contextmanager
    def _ended(
        self, job: "_Job", answers: int, wall_seconds: float, hash_seed: int
    ) -> Iterator[tuple[ProcessEnding, io.BufferedIOBase]]:
        """Run a job; give how its process ended, and its page."""
        with tempfile.TemporaryDirectory(prefix="llm-pv-") as folder:
            path = Path(folder, "page")
            path.write_bytes(bytes(page_bytes(answers, job.output_bytes)))
            Path(folder, "job").write_bytes(marshal.dumps(tuple(job)))
            ending = self._wait(folder, wall_seconds, hash_seed)
            with path.open("rb") as page:
                yield ending, page

    def _wait(self, folder: str, wall_seconds: float, seed: int) -> ProcessEnding:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        started = time.monotonic()
        cut_off = False
        try:
            self._process = subprocess.Popen(  # noqa: S603  (this package's own script)
                boot_command(
                    "unconfined", json.dumps([folder, ALLOWED_MODULES]), options=("-s", "-P")
                ),
                env={**kept, "PYTHONHASHSEED": str(seed)},
                cwd=folder,
                stdin=subprocess.PIPE,  # the process exits when this is closed (`_end_with_owner`)
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise SandboxError(f"no process can be started: {error}") from error
        with self._process as process:
            try:
                process.wait(wall_seconds)
            except subprocess.TimeoutExpired:
                cut_off = True
            finally:
                process.kill()
        took = time.monotonic() - started
        return ProcessEnding(process.returncode, cut_off, cpu_seconds=took, wall_seconds=took)


def main(arguments: list[str]) -> None:
    """Run the job named in the arguments, and exit when the owner ends."""
    threading.Thread(target=_end_with_owner, args=(os.dup(0),), daemon=True).start()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    folder, allowed = json.loads(arguments[0])
    run_job(folder, allowed)


def _end_with_owner(held: int) -> None:
    """Wait for the end of what was standard input, which the owner holds open while it lives."""
    os.read(held, 1)
    os._exit(1)


def run_job(folder: str, allowed: list[str]) -> None:
    """Run the job stored in a folder."""
    job = _Job(*marshal.loads(Path(folder, "job").read_bytes()))  # noqa: S302
    if job.packages:  # any of them may draw from numpy's random numbers
        preload((), (), ("numpy",), job.seed)
    run: Callable[..., None]
    if job.kind == "program":
        run = partial(run_program, job.source, decode_rows(job.rows))
    else:
        run = partial(run_exploration, Script.decoded(job.source), decode_labelled(job.rows))
    with Path(folder, "page").open("r+b") as file:
        page = mmap.mmap(file.fileno(), 0)
        run(page, job.output_bytes, frozenset(allowed), seed=job.seed)
