"""The runner of cells: what it leaves out, records, passes on, and ends with."""

import _thread
import errno
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_pv.errors import CredentialError, DataError, LLMPVError, RunError
from llm_pv.proposers.round_robin import StoppedError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.base import CellContext, CellTask
from llm_pv.runs.executors.local import LocalExecutor
from llm_pv.runs.reading import read_summary
from llm_pv.runs.runner import Observer, run_cells

CELLS = [Cell("demo", length) for length in (1, 2, 3)]


@dataclass(frozen=True)
class Numbered:
    """An event that counts, as a verified attempt does."""

    number: int


class Listener(Observer):
    """Remembers what it receives."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_plan(self, cells: int, done: int) -> None:
        self.heard.append(("plan", cells, done))

    def on_start(self, cell: Cell) -> None:
        self.heard.append(("start", cell.length))

    def on_event(self, cell: Cell, event: object) -> None:
        self.heard.append(("event", cell.length, event))

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        self.heard.append(("end", cell.length, row["status"], row["reason"]))


def finish(length: int, context: CellContext) -> None:
    context.results.finish(Cell("demo", length), {"track": "demo", "status": "done"})


def tasks(**skipped: str) -> list[CellTask]:
    return [
        CellTask(cell, cell.length, {"track": "demo"}, skipped.get(f"L{cell.length}", ""))
        for cell in CELLS
    ]


def test_cells_are_computed_once_and_those_that_cannot_be_are_recorded(tmp_path: Path) -> None:
    first, again = Listener(), Listener()
    written: list[tuple[int, int]] = []
    with RunDirectory(tmp_path / "run", {}) as run:
        for listener in (first, again):
            wanted = tasks(L2="too short")
            run_cells(wanted, finish, LocalExecutor(1), run, observer=listener)
            there = (tmp_path / "run" / "summary.csv").stat()
            written.append((there.st_ino, there.st_mtime_ns))
    assert written[0] == written[1], "a row that is there already is not written again"
    assert first.heard == [
        ("plan", 3, 1),
        ("start", 1),
        ("end", 1, "done", ""),
        ("start", 3),
        ("end", 3, "done", ""),
    ]
    assert again.heard == [("plan", 3, 3)]
    rows = {row["length"]: (row["status"], row["reason"]) for row in read_summary(tmp_path / "run")}
    assert rows == {"1": ("done", ""), "2": ("skipped", "too short"), "3": ("done", "")}
    assert {row["track"] for row in read_summary(tmp_path / "run")} == {"demo"}


def test_one_cell_at_once_is_computed_in_this_thread_and_two_side_by_side(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []
    together = threading.Barrier(2)

    def note(length: int, context: CellContext) -> None:
        threads.append(threading.current_thread())
        if length != 3:
            together.wait(60)
        finish(length, context)

    with RunDirectory(tmp_path / "one", {}) as run:
        run_cells(tasks()[2:], note, LocalExecutor(1), run)
        assert threads.pop() is threading.main_thread()
    with RunDirectory(tmp_path / "two", {}) as run:
        run_cells(tasks(L3="too long"), note, LocalExecutor(9), run)
        assert len(set(threads)) == 2
        assert all(thread.daemon for thread in threads)
        run_cells(tasks(L3="too long"), note, LocalExecutor(9), run)
        assert len(threads) == 2


def test_what_ends_a_cell_after_its_row_is_logged_and_the_row_stays(tmp_path: Path) -> None:
    def fail(length: int, context: CellContext) -> None:
        if length == 1:
            finish(length, context)
        raise ValueError("odd\nvalue")

    listener = Listener()
    with RunDirectory(tmp_path / "run", {}) as run:
        run_cells(tasks()[:2], fail, LocalExecutor(1), run, observer=listener)
    assert [heard for heard in listener.heard if heard[0] == "end"] == [
        ("end", 1, "done", ""), ("end", 2, "failed", "ValueError: odd value"),
    ]  # fmt: skip
    log = map(json.loads, (tmp_path / "run" / "runner.log").read_text().splitlines())
    assert [(line["level"], line["message"]) for line in log] == [
        ("error", "ValueError: odd\nvalue")
    ] * 2


def test_a_cell_that_fails_is_recorded_with_its_reason_and_computed_again(tmp_path: Path) -> None:
    def fail_on_two(length: int, context: CellContext) -> None:
        if length == 2:
            raise DataError("no rows\nof length 2")
        finish(length, context)

    with RunDirectory(tmp_path / "run", {}) as run:
        run_cells(tasks(), fail_on_two, LocalExecutor(2), run)
        row = run.row(CELLS[1])
        assert row is not None
        assert (row["status"], row["reason"]) == ("failed", "no rows of length 2")
        listener = Listener()
        run_cells(tasks(), finish, LocalExecutor(2), run, observer=listener)
    assert listener.heard == [("plan", 3, 2), ("start", 2), ("end", 2, "done", "")]
    log = map(json.loads, (tmp_path / "run" / "runner.log").read_text().splitlines())
    (failure,) = [line for line in log if line["level"] == "error"]
    assert failure["message"] == "no rows\nof length 2"
    assert failure["cell"] == CELLS[1].record()
    assert failure["traceback"].startswith("Traceback")


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (CredentialError("the key is refused"), "the key is refused"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; free"),
    ],
)
def test_an_error_no_other_cell_can_escape_ends_the_run_and_fails_none(
    tmp_path: Path, error: Exception, message: str, at_once: int
) -> None:
    begun, ended = threading.Event(), threading.Event()
    stopped: list[bool] = []

    def refuse(length: int, context: CellContext) -> None:
        if length == 1:
            assert at_once == 1 or begun.wait(30)
            raise error
        begun.set()
        assert ended.wait(30), "the executor was not closed"
        with pytest.raises(StoppedError):
            context.emit("late")
        stopped.append(True)
        raise CredentialError("of a cell that was stopped")

    executor = LocalExecutor(at_once, on_close=[ended.set])
    with RunDirectory(tmp_path / "run", {}) as run, pytest.raises(LLMPVError, match=message):
        run_cells(tasks(), refuse, executor, run)
    assert read_summary(tmp_path / "run") == []
    assert ended.is_set()
    assert stopped == [True] * (at_once - 1)


def test_an_event_that_counts_is_passed_on_once_however_often_it_comes(tmp_path: Path) -> None:
    def repeat(length: int, context: CellContext) -> None:
        for number in (1, 2, 1, 2, 3):
            context.emit(Numbered(number))
        context.emit("other")
        context.emit("other")
        finish(length, context)

    listener = Listener()
    with RunDirectory(tmp_path / "run", {}) as run:
        run_cells(tasks()[:1], repeat, LocalExecutor(1), run, observer=listener)
    events = [event for kind, *_, event in listener.heard if kind == "event"]
    assert events == [Numbered(1), Numbered(2), Numbered(3), "other", "other"]


def test_an_interruption_closes_the_executor_and_keeps_what_is_recorded(tmp_path: Path) -> None:
    closed: list[bool] = []

    def interrupt(length: int, context: CellContext) -> None:
        if length == 2:
            raise KeyboardInterrupt
        finish(length, context)

    executor = LocalExecutor(1, on_close=[lambda: closed.append(True)])
    with RunDirectory(tmp_path / "run", {}) as run, pytest.raises(KeyboardInterrupt):
        run_cells(tasks(), interrupt, executor, run)
    assert closed
    assert [row["length"] for row in read_summary(tmp_path / "run")] == ["1"]


def test_an_interrupted_run_waits_only_so_long_for_a_cell_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pv.runs.runner._PATIENCE_SECONDS", 0.2)
    waited: list[float | None] = []
    join = threading.Thread.join

    def noting(thread: threading.Thread, timeout: float | None = None) -> None:
        waited.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", noting)
    begun, end = threading.Event(), threading.Event()

    def stuck(length: int, context: CellContext) -> None:
        begun.set()
        end.wait(60)

    def interrupt() -> None:
        begun.wait(60)
        while not waited:  # until both threads run and the main one waits for them
            time.sleep(0.01)
        _thread.interrupt_main()

    start = time.monotonic()
    with RunDirectory(tmp_path / "run", {}) as run:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            run_cells(tasks(), stuck, LocalExecutor(2), run)
        assert time.monotonic() - start < 30
        end.set()
    assert waited[-2:] == [0.1, 0.1]
    assert set(waited[:-2]) == {0.5}, "signal handlers run twice a second"


def test_what_is_done_and_where_results_go_may_be_decided_by_the_track(tmp_path: Path) -> None:
    asked: list[CellTask] = []
    with RunDirectory(tmp_path / "one", {}) as one, RunDirectory(tmp_path / "two", {}) as two:

        def place(task: CellTask) -> RunDirectory:
            asked.append(task)
            return one

        def both(length: int, context: CellContext) -> None:
            assert context.results is one
            two.finish(Cell("demo", length), {"status": "done"})

        work = tasks()
        run_cells(
            work, both, LocalExecutor(1), two, done=lambda task: task.inputs != 3, results=place
        )
    assert asked == work[2:]
    assert [row["length"] for row in read_summary(tmp_path / "two")] == ["3"]


def test_a_row_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    class Full(RunDirectory):
        def finish(self, cell: Cell, row: Mapping[str, Any]) -> None:
            raise RunError("the disk is full")

    def fail(length: int, context: CellContext) -> None:
        raise DataError("no rows")

    with Full(tmp_path / "run", {}) as run, pytest.raises(RunError, match="disk is full"):
        run_cells(tasks(), fail, LocalExecutor(2), run)
