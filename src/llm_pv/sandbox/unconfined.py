"""Runs candidates in plain processes that nothing confines, on any system, when that was allowed.

A fresh interpreter for each candidate keeps a crash or an endless loop away from the caller, and
its environment empty. That is all: the candidate may read, write and send what the user may.
"""

import json
import marshal
import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llm_pv.errors import SandboxError
from llm_pv.sandbox.batch import Batch, decode_rows
from llm_pv.sandbox.conclusion import Ending, conclude
from llm_pv.sandbox.execution import Execution, Limits
from llm_pv.sandbox.job import run_program
from llm_pv.sandbox.ledger import page_bytes
from llm_pv.sandbox.modules import ALLOWED_MODULES, packages_named
from llm_pv.sandbox.preload import preload

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input

_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
_KEPT_VARIABLES = (
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
)  # Windows starts nothing without the first


class UnconfinedWorker:
    """Runs each candidate in a fresh process of the same user; limits: time and output alone."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, source: str, inputs: "Sequence[Input]", limits: Limits, seed: int = 0
    ) -> Execution:
        """Run a program over the inputs (see `llm_pv.sandbox.worker.Worker`)."""
        batch = Batch.of(inputs)
        rows = len(batch)
        with tempfile.TemporaryDirectory(prefix="llm-pv-") as folder:
            page, job = Path(folder, "page"), Path(folder, "job")
            page.write_bytes(bytes(page_bytes(rows, limits.output_bytes)))
            job.write_bytes(marshal.dumps((source, batch.encoded(), limits.output_bytes, seed)))
            ending = self._wait(folder, limits.wall_limit(rows), seed)
            with page.open("rb") as answers:
                return conclude(ending, answers, rows, limits)

    def close(self) -> None:
        """End the run in progress, if any."""
        process = self._process
        if process is not None:
            process.kill()

    def _wait(self, folder: str, wall_seconds: float, seed: int) -> Ending:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        started = time.monotonic()
        cut_off = False
        try:
            self._process = subprocess.Popen(  # noqa: S603  (this package's own script)
                [
                    sys.executable,
                    "-s",
                    "-P",
                    _PACKAGE_FOLDER / "sandbox" / "boot.py",
                    _PACKAGE_FOLDER,
                    "unconfined",
                    json.dumps([folder, ALLOWED_MODULES]),
                ],
                env={**kept, "PYTHONHASHSEED": str(seed)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
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
        return Ending(process.returncode, cut_off, cpu_seconds=took, wall_seconds=took)


def main(arguments: list[str]) -> None:
    """Run one candidate: what the fresh process does."""
    folder, allowed = json.loads(arguments[0])
    job = Path(folder, "job").read_bytes()
    source, rows, output_bytes, seed = marshal.loads(job)  # noqa: S302
    if packages_named(source):  # any of them may draw from numpy's random numbers
        preload((), (), ("numpy",), seed)
    with Path(folder, "page").open("r+b") as file:
        answers = mmap.mmap(file.fileno(), 0)
        run_program(source, decode_rows(rows), answers, output_bytes, frozenset(allowed), seed=seed)
