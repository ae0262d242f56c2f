"""Grids run end to end: results, failures, rounds, resuming."""

import csv
import errno
import json
import os
import threading
from _thread import interrupt_main
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread

import pytest

from llm_pv.api import Search
from llm_pv.erm.attempts import Attempt
from llm_pv.errors import ConfigurationError, RunError
from llm_pv.models.base import Message, Turn
from llm_pv.proposers.llm import LLM
from llm_pv.runs.cells import Cell
from llm_pv.runs.executors.base import portable
from llm_pv.runs.reading import read_summary
from llm_pv.runs.runner import Observer
from llm_pv.sandbox import Limits, Sandbox
from llm_pv.stats import MeanStd
from llm_pv.tasks.loading import load_task
from llm_pv.tracks.grid import GridRequest
from llm_pv.tracks.synthesis.run import run_grid
from rows import ALWAYS_ONE, PARITY
from scripted_model import ScriptedModel

FIRST_HALF = "def f(x):\n    return x[: len(x) // 2].count('1') % 2\n"
pytestmark = pytest.mark.usefixtures("warm_processes")
SMALL = GridRequest(functions=("fn_a",), lengths=(20,), trials=2, test_size=200)


def replies(folder: Path, *programs: str) -> Search:
    """Return a search that replays programs."""
    path = folder / "replies.jsonl"
    path.write_text("".join(json.dumps(program) + "\n" for program in programs))
    return Search(f"replay:{path}")


class Watching(Observer):
    """Remembers everything it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def on_plan(self, cells: int, done: int) -> None:
        self.heard.append(("planned", (cells, done)))

    def on_start(self, cell: Cell) -> None:
        self.heard.append(("started", cell.trial))

    def on_event(self, cell: Cell, event: object) -> None:
        if isinstance(event, Attempt):
            self.attempted(cell, event)

    def attempted(self, cell: Cell, attempt: Attempt) -> None:
        self.heard.append(("attempted", (cell.trial, attempt.number)))

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        self.heard.append(("ended", (cell.trial, row["status"])))


def test_a_grid_learns_every_cell_and_says_what_could_not_be(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    request = GridRequest(
        functions=("fn_a", "fn_h"), lengths=(20, 50), trials=2, test_size=200, validation_size=60
    )
    watching = Watching()
    result = run_grid(
        request,
        replies(tmp_path, ALWAYS_ONE, PARITY),
        sandbox=sandbox,
        out=tmp_path / "run",
        dataset_dir=tmp_path / "datasets",
        observer=watching,
    )
    by_cell = {(cell.function, cell.length): cell for cell in result.cells}
    parity = by_cell["fn_a", 50]
    assert parity.test_accuracy is not None
    assert parity.test_accuracy == MeanStd(1.0, 0.0, 2)
    assert parity.attempts == (2, 2), "the first program is always half right"
    assert parity.hard_accuracy is not None
    assert parity.hard_accuracy.mean == 1.0
    assert {length: s.mean for length, s in parity.other_lengths.items()} == {100: 1.0, 200: 1.0}
    assert by_cell["fn_h", 50].statuses == {"skipped": 2}
    assert "multiples of 4" in by_cell["fn_h", 50].reasons[0]
    assert result.count("done") == 6
    assert watching.heard[0] == ("planned", (8, 2))
    rows = {(r["function"], r["length"], r["trial"]): r for r in read_summary(tmp_path / "run")}
    assert len(rows) == 8
    assert rows["fn_a", "20", "1"]["validation_size"] == "60"
    assert rows["fn_h", "50", "0"]["status"] == "skipped"
    with (tmp_path / "run" / "results_attempts.csv").open(newline="") as file:
        kinds = [row["kind"] for row in csv.DictReader(file)]
    assert kinds.count("selected") == 6


def test_test_accuracy_and_its_deviation_are_those_of_the_data_sets(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    result = run_grid(
        SMALL, replies(tmp_path, FIRST_HALF), sandbox=sandbox, out=tmp_path / "run", transfer=False
    )
    accuracies = []
    for trial in range(2):
        test = load_task("fn_a", length=20, test_size=200, trial=trial).test
        right = sum(
            str(text)[:10].count("1") % 2 == int(label)
            for text, label in zip(test.inputs, test.labels, strict=True)
        )
        accuracies.append(right / 200)
    low, high = sorted(accuracies)
    (cell,) = result.cells
    assert cell.test_accuracy is not None
    assert cell.test_accuracy.deviation is not None
    assert cell.test_accuracy.mean == pytest.approx((low + high) / 2)
    assert cell.test_accuracy.deviation == pytest.approx((high - low) / 2**0.5)
    assert low < high, "two data sets, or the deviation would hold no data variance"
    assert cell.hard_accuracy is None
    assert cell.other_lengths == {}


def test_the_built_in_search_finds_parity_in_worker_processes(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    request = GridRequest(
        functions=("fn_a",), lengths=(20,), trials=1, train_size=40, test_size=100
    )
    result = run_grid(request, Search(budget_seconds=20), sandbox=sandbox, out=tmp_path / "run")
    (cell,) = result.cells
    assert cell.test_accuracy is not None
    assert cell.test_accuracy.mean == 1.0
    (row,) = read_summary(tmp_path / "run")
    assert row["method"] == "length-first"


def test_a_finished_grid_is_read_back_without_work(tmp_path: Path, sandbox: Sandbox) -> None:
    search = replies(tmp_path, ALWAYS_ONE, PARITY)
    first = run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run")
    watching = Watching()
    again = run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run", observer=watching)
    assert again == first
    assert watching.heard == [("planned", (2, 2))]


def test_transfer_that_is_missing_is_measured_when_the_grid_is_resumed(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    search = replies(tmp_path, PARITY)
    first = run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run")
    journal = tmp_path / "run" / "transfer.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 6, "hard data, L=40 and L=80, for two trials"
    journal.write_text("".join(lines[:4]))
    assert run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run") == first
    assert len(journal.read_text().splitlines()) == 6


def test_a_trial_that_fails_is_recorded_and_tried_again_when_resumed(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    search = replies(tmp_path, PARITY)
    datasets = tmp_path / "datasets"
    run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "first", dataset_dir=datasets)
    broken = sorted(datasets.rglob("test.txt"))[0]
    text = broken.read_text()
    broken.write_text("0" * 20 + " -> 1\n" + text)
    result = run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run", dataset_dir=datasets)
    (cell,) = result.cells
    assert cell.statuses == {"done": 1, "failed": 1}
    assert "was changed after it was written" in cell.reasons[0]
    log = (tmp_path / "run" / "runner.log").read_text()
    assert "was changed after it was written" in log
    assert "Traceback" in log
    broken.write_text(text)
    result = run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run", dataset_dir=datasets)
    assert result.cells[0].statuses == {"done": 2}


@pytest.mark.parametrize("number", [errno.EFBIG, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_takes_no_more_ends_the_grid_and_fails_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    search, out = replies(tmp_path, PARITY), tmp_path / "run"
    monkeypatch.setattr("llm_pv.tracks.synthesis.run.compute_trial", refuse)
    with Sandbox() as own, pytest.raises(RunError, match=f"{os.strerror(number)}; free the disk"):
        run_grid(SMALL, search, sandbox=own, out=out)  # which closes it
    assert read_summary(out) == []
    known = portable(OSError(number, os.strerror(number)))
    assert isinstance(known, RunError), "in a worker process too"


def test_attempts_that_cost_money_are_made_in_rounds(tmp_path: Path, sandbox: Sandbox) -> None:
    request = GridRequest(functions=("fn_a",), lengths=(20,), trials=4, test_size=100)
    order: list[tuple[int, int]] = []
    lock = threading.Lock()

    class Paying(Watching):
        def attempted(self, cell: Cell, attempt: Attempt) -> None:
            with lock:
                order.append((cell.trial, attempt.number))

    def script(conversation: Sequence[Message], seed: int) -> Turn:
        # Programs that differ, so that each is verified, and none of which is right.
        return Turn(f"def f(x):\n    return int(x[0]) if {seed} else 0\n")

    run_grid(
        request,
        Search(LLM(ScriptedModel(script), attempts=3)),
        sandbox=sandbox,
        out=tmp_path / "run",
        concurrency=2,
        transfer=False,
        observer=Paying(),
    )
    assert len(order) == 12
    for trial, number in order:
        before = order[: order.index((trial, number))]
        # Attempt i of anyone is verified after attempt i-2 of everyone: i-1 had only to start.
        assert all((other, number - 2) in before for other in range(4) if number > 2)


def test_a_grid_ended_by_a_full_disk_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    class Pulling(Watching):
        def attempted(self, cell: Cell, attempt: Attempt) -> None:
            super().attempted(cell, attempt)
            if attempt.number == 2:
                raise RunError("the disk is full")

    search = replies(tmp_path, ALWAYS_ONE, FIRST_HALF, PARITY)
    out = tmp_path / "run"
    with Sandbox(Limits(), workers=1) as opened, pytest.raises(RunError, match="disk is full"):
        run_grid(SMALL, search, sandbox=opened, out=out, concurrency=1, observer=Pulling())
    recorded = (out / "results_attempts.jsonl").read_text().splitlines()
    assert len(recorded) == 2
    assert read_summary(out) == []
    watching = Watching()
    with Sandbox(Limits(), workers=1) as opened:
        result = run_grid(SMALL, search, sandbox=opened, out=out, observer=watching)
    assert result.cells[0].statuses == {"done": 2}
    assert result.cells[0].attempts == (3, 3)
    lines = (out / "results_attempts.jsonl").read_text().splitlines()
    assert lines[:2] == recorded, "what was verified is not verified again"


def interrupt_when_asked(journal: Path) -> None:
    """Interrupt the main thread when all three replies are on disk."""
    while len(journal.read_text().splitlines()) < 3:
        pass
    interrupt_main()


def test_an_interrupted_grid_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    class Impatient(Watching):
        def attempted(self, cell: Cell, attempt: Attempt) -> None:
            super().attempted(cell, attempt)
            journal = tmp_path / "run" / "replies.jsonl"
            if attempt.number == 1:
                Thread(target=interrupt_when_asked, args=(journal,)).start()

    endless = "def f(x):\n    while True:\n        pass\n"
    search = replies(tmp_path, ALWAYS_ONE, endless, PARITY)
    request = GridRequest(functions=("fn_a",), lengths=(20,), trials=1, test_size=200)
    out = tmp_path / "run"
    with Sandbox(Limits(cpu_seconds=100)) as opened, pytest.raises(KeyboardInterrupt):
        run_grid(request, search, sandbox=opened, out=out, observer=Impatient())
    assert len((out / "results_attempts.jsonl").read_text().splitlines()) == 1
    assert read_summary(out) == []
    # Replies on disk are not asked for again: make the endless one end there.
    journal = out / "replies.jsonl"
    journal.write_text(journal.read_text().replace(json.dumps(endless), json.dumps(FIRST_HALF)))
    with Sandbox(Limits(cpu_seconds=100)) as opened:
        result = run_grid(request, search, sandbox=opened, out=out)
    assert result.cells[0].statuses == {"done": 1}
    assert result.cells[0].attempts == (3,)


def test_another_request_in_the_same_directory_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    search = replies(tmp_path, PARITY)
    run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run", transfer=False)
    with pytest.raises(RunError, match="another run"):
        run_grid(SMALL, search, sandbox=sandbox, out=tmp_path / "run")


@pytest.mark.parametrize("option", ["out", "dataset_dir"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    option: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    (tmp_path / "file").write_text("")
    places = {"out": tmp_path / "run", "dataset_dir": tmp_path / "data"}
    places[option] = tmp_path / "file" / "deep"
    with pytest.raises(RunError, match="is a file"):
        run_grid(SMALL, Search(), sandbox=sandbox, **places)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_trial_at_once_is_no_grid(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="concurrency is 0"):
        run_grid(SMALL, Search(), sandbox=sandbox, out=tmp_path / "run", concurrency=0)
    assert list(tmp_path.iterdir()) == []
