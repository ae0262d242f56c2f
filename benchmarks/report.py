"""What a report costs: the page a run ends with, and a report of a large grid.

Run it as ``python -m benchmarks.report``: CPU seconds of this process. The page is written for a
run of `learn` on examples/breast_cancer.csv (about 200 attempts) by the process that has just
learned, as the command does; the grid has 26 tasks, 5 lengths and 5 trials of 3 attempts each.
"""

import io
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from llm_pv.cli import report
from llm_pv.cli.main import run
from llm_pv.erm.certificate import Certificate
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.tasks import TASKS

PROGRAM = (
    "def f(x):\n    total = 0\n    for bit in x:\n        total += int(bit)\n    return total % 2\n"
)
ROWS = Path("examples") / "breast_cancer.csv"
TRIALS = 5


def cpu(action: object, *arguments: object) -> float:
    """Return the CPU seconds of a call."""
    assert callable(action)
    start = time.process_time()
    action(*arguments)
    return time.process_time() - start


def learned(folder: Path) -> tuple[float, float]:
    """Learn from rows, and return the CPU seconds of all and those of leaving the page."""
    pages: list[float] = []
    leave = report.leave_page

    def timed(run: Path) -> None:
        pages.append(cpu(leave, run))

    words = ["learn", str(ROWS), "--target", "diagnosis", "--out", str(folder)]
    with (
        patch("llm_pv.cli.learn.leave_page", timed),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        whole = cpu(run, words)
    return whole, pages[0]


def write_grid(folder: Path) -> None:
    """Write a run of every task."""
    certificate = Certificate(errors=0, rows=100, planned=5, verified=3, position=3)
    result = {
        "program": PROGRAM,
        "verdict": "a rule was found",
        "certificate": certificate.record(),
        "certificate_text": certificate.text(),
        "baseline": {"label": "0", "test_accuracy": 0.5},
        "warnings": [],
        "candidates": [],
    }
    attempt = {
        "kind": "attempt",
        "program": PROGRAM,
        "bits": 200.0,
        "train_accuracy": 1.0,
        "validation_accuracy": 1.0,
        "outcome": "finished",
        "error": "",
    }
    with RunDirectory(folder, {"command": "synthesize"}) as opened:
        for task in TASKS.values():
            for length in (100, 50, 30, 25, 20):
                for trial in range(TRIALS):
                    cell = Cell(task.id or task.name, length, "paper", trial)
                    log = opened.cell_log(cell)
                    for number in range(3):
                        log.append_attempt(attempt | {"attempt": number + 1})
                    log.append_attempt(
                        attempt | {"kind": "selected", "attempt": 3, "result": result}
                    )
                    for there in (2 * length, 4 * length):
                        opened.add_transfer(
                            cell,
                            {"sampler_there": "paper", "length_there": there, "rows": 1000,
                             "errors": 0, "accuracy": 1.0, "status": "done", "reason": ""},
                        )  # fmt: skip
                    opened.finish(
                        cell,
                        {"track": "llm-pv", "method": "length-first", "name": task.name,
                         "seed": 42, "train_size": 100, "validation_size": 100,
                         "test_size": 10_000, "accuracy": 1.0, "status": "done"},
                    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, page = learned(folder / "learn")
        size = (folder / "learn" / "report.html").stat().st_size
        print(f"learn: {whole:.2f} s CPU here, of which its page {page:.2f} s, {size:,} bytes")
        write_grid(folder / "grid")
        with redirect_stdout(io.StringIO()):
            seconds = cpu(run, ["report", str(folder / "grid"), "--out", str(folder / "out")])
        size = (folder / "out" / "index.html").stat().st_size
        trials = len(TASKS) * 5 * TRIALS
        print(f"report of {trials} trials: {seconds:.2f} s CPU, page of {size:,} bytes")


if __name__ == "__main__":
    main()
