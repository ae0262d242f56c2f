"""One run directory in the hands of several threads, and cells that failed."""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.reading import read_attempts, read_replies, read_summary


def test_threads_that_share_a_run_lose_nothing(tmp_path: Path) -> None:
    cells = [Cell("fn_a", 20, "paper", trial) for trial in range(16)]
    with RunDirectory(tmp_path, {}) as run, ThreadPoolExecutor(8) as threads:

        def do(cell: Cell) -> None:
            log = run.cell_log(cell)
            for number in range(1, 6):
                log.append_reply({"attempt": number, "text": "x" * 5000})
                log.append_attempt({"kind": "attempt", "attempt": number})
            run.add_transfer(cell, {"accuracy": 1.0})
            run.finish(cell, {"status": "done", "accuracy": 0.5})

        list(threads.map(do, cells))
        assert all(run.finished(cell) for cell in cells)
        assert not (tmp_path / "results_attempts.csv").exists(), "it is written once, at the end"
    assert len(read_replies(tmp_path)) == len(read_attempts(tmp_path)) == 80
    assert sorted(int(row["trial"]) for row in read_summary(tmp_path)) == list(range(16))
    with (tmp_path / "results_attempts.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 80
    with RunDirectory(tmp_path, {}) as run:
        for cell in cells:
            log = run.cell_log(cell)
            assert [reply["attempt"] for reply in log.replies] == [1, 2, 3, 4, 5]
            assert [record["accuracy"] for record in run.transfer(cell)] == [1.0]


def test_a_cell_that_failed_is_not_finished_and_its_row_makes_room(tmp_path: Path) -> None:
    cell = Cell("fn_a", 20, "paper", 0)
    with RunDirectory(tmp_path, {}) as run:
        run.finish(cell, {"status": "failed", "reason": "no network"})
        assert not run.finished(cell)
    with RunDirectory(tmp_path, {}) as run:
        assert not run.finished(cell)
        run.finish(cell, {"status": "done", "cost_usd": None})
        assert run.finished(cell)
        row = run.row(cell)
    assert [row] == read_summary(tmp_path)
    assert row is not None
    assert (row["status"], row["reason"], row["cost_usd"]) == ("done", "", "")
