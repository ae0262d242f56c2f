"""Run directories: made, resumed, refused, finished."""

import csv
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from llm_pv import __version__
from llm_pv.errors import RepairWarning, RunError
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.files import predictions_csv, write_atomically
from llm_pv.runs.job_folder import JobFolder, SweepFolder
from llm_pv.runs.reading import SUMMARY_COLUMNS, read_attempts, read_run, read_summary
from llm_pv.runs.remote_records import Known, Relay, write_records

CELL = Cell("fn_a", 100, "paper", 0)


def test_a_new_run_records_configuration_versions_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if package in ("scipy", "xgboost", "tabpfn"):
            raise metadata.PackageNotFoundError(package)
        return f"one of {package}"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(sys, "argv", ["llm-pv", "learn", "postgresql://me:secret@host/db"])
    with RunDirectory(tmp_path / "deep" / "run", {"seed": 3}):
        record = read_run(tmp_path / "deep" / "run")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record.pop("created"))
    installed = ("numpy", "pandas", "scikit-learn", "sympy", "networkx", "deap", "torch",
                 "transformers", "vllm")  # fmt: skip
    assert record == {
        "format": 1,
        "configuration": {"seed": 3},
        "versions": {
            "llm_pv": __version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            **{name: f"one of {name}" for name in installed},
        },
        "platform": f"{sys.platform} {platform.machine()}",
        "command": ["llm-pv", "learn", "postgresql://me:***@host/db"],
    }


def test_the_same_configuration_resumes_and_another_is_refused_by_name(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {"seed": 3, "sizes": (1, 2)}) as run:
        run.cell_log(CELL).append_reply({"attempt": 1, "text": "x"})
    with RunDirectory(tmp_path, {"seed": 3, "sizes": (1, 2)}) as run:
        assert [reply["text"] for reply in run.cell_log(CELL).replies] == ["x"]
        assert run.cell_log(Cell("fn_a", 100, "paper", 1)).replies == []
    with pytest.raises(RunError, match="seed is 3 there and 4 here"):
        RunDirectory(tmp_path, {"seed": 4, "sizes": (1, 2)})


def test_a_run_of_an_earlier_version_resumes_and_gets_what_is_recorded_now(tmp_path: Path) -> None:
    limits = "tool_limits=ToolLimits(cpu_seconds=10.0, wall_seconds={}, memory_bytes=1)"
    before = "m; tool_calls=20; " + limits.format(20.0) + "; programs=5"
    now = "m; tool_calls=20; " + limits.format(None) + "; programs=5; tool_functions=check,survey"
    RunDirectory(tmp_path, {"seed": 3, "proposer": before}).close()
    added = {"about": "ages in years", "odd_cells": {"age": ["12%"]}}
    with RunDirectory(tmp_path, {"seed": 3, "proposer": now, **added}):
        pass
    assert read_run(tmp_path)["configuration"] == {"seed": 3, "proposer": before, **added}
    for other in (now.replace("calls=20", "calls=5"), now.replace("10.0", "9.0")):
        with pytest.raises(RunError, match="proposer is"):
            RunDirectory(tmp_path, {"seed": 3, "proposer": other, **added})
    with pytest.raises(RunError, match=r"odd_cells is .*12%.* there and null here"):
        RunDirectory(tmp_path, {"seed": 3, "proposer": now, "about": "ages in years"})


def test_a_run_that_is_resumed_elsewhere_records_both_confinements_as_readable_json(
    tmp_path: Path,
) -> None:
    for layers in (["seccomp"], ["seccomp"], ["wasm"]):
        RunDirectory(tmp_path, {}, {"layers": layers}).close()
    record = read_run(tmp_path)
    assert record["confinement"] == [{"layers": ["seccomp"]}, {"layers": ["wasm"]}]
    assert '\n  "configuration": {},\n' in (tmp_path / "run.json").read_text()
    assert (tmp_path / "run.json").read_text().endswith("}\n")
    (tmp_path / "run.json").write_text(json.dumps(record | {"confinement": {"earlier": "form"}}))
    RunDirectory(tmp_path, {}).close()
    assert read_run(tmp_path)["confinement"] == {"earlier": "form"}
    RunDirectory(tmp_path, {}, {"layers": []}).close()
    assert read_run(tmp_path)["confinement"] == [{"layers": []}]


def test_a_reopened_cell_keeps_its_attempts_and_loses_its_selection_and_row(tmp_path: Path) -> None:
    other = Cell("fn_b", 100, "paper", 0)
    with RunDirectory(tmp_path, {}) as run:
        for cell in (CELL, other):
            run.cell_log(cell).append_reply({"attempt": 1, "text": "x"})
            run.cell_log(cell).append_attempt({"kind": "attempt", "attempt": 1})
            run.cell_log(cell).append_attempt({"kind": "selected", "attempt": 1})
            run.finish(cell, {"accuracy": 0.5, "status": "done"})
    with RunDirectory(tmp_path, {}) as run:
        run.reopen(CELL)
        assert [run.finished(cell) for cell in (CELL, other)] == [False, True]
        kinds = [
            [record["kind"] for record in run.cell_log(cell).attempts] for cell in (CELL, other)
        ]
        assert kinds == [["attempt"], ["attempt", "selected"]]
        run.reopen(CELL)
    written = [(record["function"], record["kind"]) for record in read_attempts(tmp_path)]
    assert written == [("fn_a", "attempt"), ("fn_b", "attempt"), ("fn_b", "selected")]


def test_a_difference_deep_within_long_values_is_shown(tmp_path: Path) -> None:
    agent = "agent: " + 30 * "{model} " + "; tool_calls={}; seconds=1800"
    first = {
        "request": {"tasks": ["fn_a"] * 30, "trials": 1},
        "proposer": agent.format(30, model=1),
    }
    other = {"request": {"tasks": ["fn_a"] * 30, "trials": 2}, "proposer": agent.format(5, model=1)}
    RunDirectory(tmp_path, first).close()
    with pytest.raises(RunError) as raised:
        RunDirectory(tmp_path, other)
    assert "trials is 1 there and 2 here" in str(raised.value)
    assert "tool_calls is 30 there and 5 here" in str(raised.value)
    assert "seconds=1800" not in str(raised.value)
    assert "fn_a" not in str(raised.value)


def test_a_refused_folder_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear all")
    with pytest.raises(RunError, match="no run of llm-pv"):
        RunDirectory(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_kill_before_the_first_file_is_whole_leaves_a_usable_folder(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.px4utr65").write_text('{"format"')
    (tmp_path / "programs").mkdir()
    with pytest.raises(RunError, match="no run of llm-pv"):
        RunDirectory(tmp_path, {})
    (tmp_path / "programs").rmdir()
    with RunDirectory(tmp_path, {}) as run:
        run.write_program(CELL, "f = len\n")
        (tmp_path / "programs" / ".x-t0.py.abcdefgh").touch()
    with RunDirectory(tmp_path, {}):
        hidden = {path.name for path in tmp_path.rglob(".*")}
    assert hidden <= {".lock"}


def test_a_damaged_summary_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "summary.csv").write_bytes(b"function\n\xff\n")
    with pytest.raises(RunError, match=r"summary\.csv cannot be read"):
        read_summary(tmp_path)
    assert read_summary(tmp_path / "summary.csv") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("done", "do\n"),
        ("0.5", "0.\0\0"),
        ("0.5", "half"),
        ("status", "state"),
        (",0,", ",0;"),
        ("fn_a", "fn\0a"),
    ],
)
def test_a_garbled_summary_is_one_error_that_names_the_file(
    tmp_path: Path, old: str, new: str
) -> None:
    with RunDirectory(tmp_path, {}) as run:
        run.finish(CELL, {"accuracy": 0.5, "status": "done"})
    summary = tmp_path / "summary.csv"
    summary.write_text(summary.read_text().replace(old, new, 1))
    with pytest.raises(RunError, match=r"summary\.csv, line 2: "):
        read_summary(tmp_path)
    with pytest.raises(RunError, match=r"summary\.csv, line 2: "):
        RunDirectory(tmp_path, {})


def test_a_summary_is_written_only_when_what_it_stands_on_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    with RunDirectory(tmp_path, {}) as run:
        run.cell_log(CELL).append_attempt({"kind": "attempt"})
        run.add_transfer(CELL, {"accuracy": 1.0})
        monkeypatch.setattr(os, "fsync", noting)
        run.finish(CELL, {})
    assert synced[:2] == ["results_attempts.jsonl", "transfer.jsonl"]
    assert synced[2].startswith(".summary.csv.")


def test_replies_alone_are_synced_as_they_come_and_log_lines_have_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunDirectory(tmp_path, {}) as run:
        synced: list[str] = []
        monkeypatch.setattr(
            os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
        )
        run.cell_log(CELL).append_attempt({"kind": "attempt"})
        run.add_transfer(CELL, {"accuracy": 1.0})
        run.log("info", "begun", cells=3)
        assert synced == []
        run.cell_log(CELL).append_reply({"text": "x"})
        assert synced == ["replies.jsonl"]
        run.cell_log(CELL).write_prompt("abc", "why?")
        assert (tmp_path / "prompts" / "abc.txt").read_text() == "why?"
    (line,) = map(json.loads, (tmp_path / "runner.log").read_text().splitlines())
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}\+00:00", line.pop("time"))
    assert line == {"level": "info", "message": "begun", "cells": 3}


def test_what_is_known_of_cells_is_given_out(tmp_path: Path) -> None:
    other = Cell("fn_b", 100, "paper", 0)
    with RunDirectory(tmp_path, {}) as run:
        for number, cell in enumerate((CELL, other), 1):
            run.cell_log(cell).append_turns([{"kind": "turn", "turn": number}])
    with RunDirectory(tmp_path, {}) as run:
        assert [record["turn"] for record in run.turns()] == [1, 2]
        assert [record["turn"] for record in run.cell_log(other).turns] == [2]
        assert (run.transfer(CELL), run.row(CELL), run.finished(CELL)) == ([], None, False)
        run.add_transfer(CELL, {"accuracy": 0.5})
        given = run.transfer(CELL)
        assert [record["accuracy"] for record in given] == [0.5]
        given.clear()
        assert len(run.transfer(CELL)) == 1
        run.finish(CELL, {"accuracy": 0.5, "cost_usd": None, "status": "done"})
        row = dict.fromkeys(SUMMARY_COLUMNS, "") | {
            "function": "fn_a", "length": "100", "sampler": "paper", "trial": "0",
            "accuracy": "0.5", "status": "done",
        }  # fmt: skip
        assert run.row(CELL) == row


@pytest.mark.parametrize("more", [0, 1])
def test_cells_without_their_records_are_told_with_the_first_s_fault(
    tmp_path: Path, more: int
) -> None:
    whole, *torn = cells = [Cell(f"fn_{n}", 100, "paper", 4) for n in "abc"[: 2 + more]]
    with RunDirectory(tmp_path, {}) as run:
        for cell in cells:
            run.cell_log(cell).append_reply({"attempt": 1, "text": "x"})
            run.cell_log(cell).append_attempt({"kind": "attempt", "attempt": 1})
            run.finish(cell, {"track": "llm-pv", "status": "done"})
        run.cell_log(whole).append_attempt({"kind": "selected", "attempt": 1})
        run.write_program(whole, "f = len\n")
    with pytest.warns(RepairWarning) as caught:
        run = RunDirectory(tmp_path, {})
    with run:
        assert [run.finished(cell) for cell in cells] == [True, *[False] * len(torn)]
    fault = "trial 4 of fn_b: its selection is missing in results_attempts.jsonl" + (
        " (and 1 more)" if more else ""
    )
    [warning] = caught
    assert str(warning.message) == f"{tmp_path}: {fault}; what is missing is done again"
    assert warning.filename == __file__, "it points at the caller"
    (line,) = map(json.loads, (tmp_path / "runner.log").read_text().splitlines())
    assert (line["level"], line["message"]) == ("warning", fault)


def test_attempts_of_which_no_reply_is_left_are_made_again(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        for kind in ("attempt", "selected"):
            run.cell_log(CELL).append_attempt({"kind": kind, "attempt": 1})
        run.finish(CELL, {"track": "llm-pv", "status": "done"})
    with pytest.warns(RepairWarning, match="replies are missing"):
        run = RunDirectory(tmp_path, {})
    with run:
        assert run.cell_log(CELL).attempts == []


def test_a_run_that_cannot_be_closed_says_so_unless_it_ended_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "results_attempts.csv").mkdir()
    (tmp_path / "run.json").write_text('{"format": 1, "configuration": {}}')
    with (
        pytest.raises(RunError, match=r"cannot write .*results_attempts\.csv"),
        RunDirectory(tmp_path, {}) as run,
    ):
        run.cell_log(CELL).append_attempt({"kind": "attempt", "b": 1})
    with pytest.raises(ValueError, match="of the run"), RunDirectory(tmp_path, {}) as run:
        raise ValueError("of the run")
    (tmp_path / "results_attempts.csv").rmdir()
    with RunDirectory(tmp_path, {}) as run:
        run.cell_log(CELL).append_attempt({"kind": "attempt", "a": 2})
    lines = (tmp_path / "results_attempts.csv").read_text().splitlines()
    assert lines == [
        "function,length,sampler,trial,kind,b,a",
        "fn_a,100,paper,0,attempt,1,",
        "fn_a,100,paper,0,attempt,,2",
    ]


def test_a_run_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {}) as run:
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(RunError, match=r"run is gone; put it back"):
            run.cell_log(CELL).append_attempt({"kind": "attempt"})
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": 99, "configuration": {}}))
    with pytest.raises(RunError, match="format 99"):
        RunDirectory(tmp_path, {})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format":1,"configuration":3}'])
def test_a_damaged_run_json_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json cannot be read"):
        read_run(tmp_path)


def test_a_folder_without_run_json_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run directory"):
        read_run(tmp_path)


def test_two_processes_cannot_use_one_run(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from llm_pv.runs.directory import RunDirectory\n"
        "run = RunDirectory(Path(sys.argv[1]), {}); print('held', flush=True); sys.stdin.read()"
    )
    source = str(Path(__file__).parents[1] / "src")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="in use by another process"):
            RunDirectory(tmp_path, {})
        process.kill()
    RunDirectory(tmp_path, {}).close()


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, why in (
        (tmp_path / "file", "it is a file"),
        (tmp_path / "file" / "run", "Not a dir"),
    ):
        with pytest.raises(RunError) as raised:
            RunDirectory(path, {})
        assert str(raised.value).startswith(f"cannot use {path} as a run directory: {why}")
        assert str(raised.value).endswith("; choose another --out")


def test_a_torn_journal_is_mended_and_logged(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        run.cell_log(CELL).append_reply({"attempt": 1, "text": "x"})
    with (tmp_path / "replies.jsonl").open("ab") as file:
        file.write(b'{"torn')
    with pytest.warns(RepairWarning, match="incomplete"), RunDirectory(tmp_path, {}) as run:
        assert len(run.cell_log(CELL).replies) == 1
    log = [json.loads(line) for line in (tmp_path / "runner.log").read_text().splitlines()]
    assert [(line["level"], "torn last line" in line["message"]) for line in log] == [
        ("warning", True)
    ]


def test_an_attempt_whose_reply_was_torn_is_made_again(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        for number in (1, 2):
            run.cell_log(CELL).append_reply({"attempt": number, "text": "x"})
            run.cell_log(CELL).append_attempt({"kind": "attempt", "attempt": number})
    replies = tmp_path / "replies.jsonl"
    replies.write_bytes(replies.read_bytes()[:-5])
    with pytest.warns(RepairWarning, match="incomplete"):
        run = RunDirectory(tmp_path, {})
    with run:
        log = run.cell_log(CELL)
    assert [record["attempt"] for record in log.replies] == [1]
    assert [record["attempt"] for record in log.attempts] == [1]


def test_a_torn_reply_and_a_cell_without_its_second_attempt_are_both_mended(tmp_path: Path) -> None:
    torn = Cell("fn_b", 100, "paper", 0)
    with RunDirectory(tmp_path, {}) as run:
        for cell, numbers in ((CELL, (1, 3)), (torn, (1, 2))):
            run.cell_log(cell).append_replies([{"attempt": n, "text": "x"} for n in (1, 2, 3)])
            run.cell_log(cell).append_attempts([{"kind": "attempt", "attempt": n} for n in numbers])
        run.cell_log(CELL).append_attempt({"kind": "selected", "attempt": 1})
        run.finish(CELL, {"track": "llm-pv", "status": "done"})
        run.cell_log(torn).append_attempt({"kind": "attempt", "attempt": 3})
    replies = tmp_path / "replies.jsonl"
    replies.write_bytes(replies.read_bytes()[:-5])
    with pytest.warns(RepairWarning):
        run = RunDirectory(tmp_path, {})
    with run:
        assert not run.finished(CELL)
        kept = [[one["attempt"] for one in run.cell_log(c).attempts] for c in (CELL, torn)]
    assert kept == [[1], [1, 2]]


def test_finishing_a_cell_writes_its_row_once(tmp_path: Path) -> None:
    other = Cell("fn_b", 50, "hard", 1)
    with RunDirectory(tmp_path, {}) as run:
        run.cell_log(CELL).append_attempt({"kind": "attempt", "program": "a,\n'b'"})
        assert not run.finished(CELL)
        run.finish(CELL, {"accuracy": 0.5})
        run.finish(other, {"accuracy": 0.25})
        run.finish(CELL, {"accuracy": 0.75})
        assert run.finished(CELL)
    rows = read_summary(tmp_path)
    assert [(row["function"], row["accuracy"]) for row in rows] == [
        ("fn_b", "0.25"),
        ("fn_a", "0.75"),
    ]
    assert tuple(rows[0]) == SUMMARY_COLUMNS
    with (tmp_path / "results_attempts.csv").open(newline="") as file:
        assert [row["program"] for row in csv.DictReader(file)] == ["a,\n'b'"]


def test_a_summary_of_before_there_were_majority_accuracies_is_read_and_goes_on(
    tmp_path: Path,
) -> None:
    with RunDirectory(tmp_path, {}) as run:
        run.finish(CELL, {"accuracy": 0.5, "status": "failed", "majority_accuracy": 0.75})
    lines = (tmp_path / "summary.csv").read_text().splitlines()
    known = lines[0].split(",").index("majority_accuracy")
    cells = [line.split(",")[:known] for line in lines]
    (tmp_path / "summary.csv").write_text("".join(f"{','.join(line)}\n" for line in cells))
    (old,) = read_summary(tmp_path)
    assert (old["accuracy"], old["majority_accuracy"]) == ("0.5", "")
    with RunDirectory(tmp_path, {}) as run:
        run.finish(CELL, {"accuracy": 0.25, "majority_accuracy": 0.625})
    (new,) = read_summary(tmp_path)
    assert (new["accuracy"], new["majority_accuracy"]) == ("0.25", "0.625")


def test_programs_predictions_and_prompts_have_their_places(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        program = run.write_program(CELL, "def f(x): return 1\n")
        predictions = run.write_predictions(CELL, predictions_csv(["1"], [None]))
        prompt = run.write_prompt("abc", "why?")
        assert run.write_prompt("abc", "another text under one digest is not written") == prompt
    assert program.relative_to(tmp_path).as_posix() == "programs/fn_a-L100-paper-t0.py"
    assert predictions.read_text() == "row,label,prediction\n0,1,\n"
    assert prompt.read_text() == "why?"


@pytest.mark.parametrize(
    ("name", "slug"),
    [("a b/c", "a_b_c"), ("..", "data"), ("", "data"), ("é", "_"), ("x" * 200, "x" * 80)],
)
def test_a_cell_name_is_safe_as_a_file_name(name: str, slug: str) -> None:
    assert Cell(name).slug == slug


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens no folders")
def test_a_file_written_is_on_the_disk_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, list[str]]] = []

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, [path.name for path in tmp_path.iterdir() if path.name == "x"]))

    monkeypatch.setattr("os.fsync", fsync)
    write_atomically(tmp_path / "x", "text")
    assert synced == [(False, []), (True, ["x"])]


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(AttributeError):
        write_atomically(path, None)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_atomic_write_into_a_file_as_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        write_atomically(tmp_path / "file" / "inner", "text")


def test_a_complete_checkpoint_replaces_the_others(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    for step in (20, 30, 40):
        (folder.checkpoints / f"checkpoint-{step}").mkdir(parents=True)
    folder.complete(30, {"seconds": 1.5})
    assert folder.last_checkpoint() == (folder.checkpoints / "checkpoint-30", {"seconds": 1.5})
    assert [path.name for path in folder.checkpoints.iterdir()] == ["checkpoint-30"]


def test_a_sweep_over_a_file_says_what_is_in_the_way_and_names_it_once(tmp_path: Path) -> None:
    path = tmp_path / "file" / "sweep"
    path.parent.write_text("")
    with pytest.raises(RunError) as refused:
        SweepFolder(path)
    assert str(refused.value) == (
        f"cannot use {path} for a sweep: Not a directory; choose another results_root"
    )


def test_measurements_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        JobFolder(tmp_path).write_metrics({"loss": float("nan")})
    assert not (tmp_path / "metrics.json").exists()


def test_another_machine_knows_what_is_recorded_and_sends_its_log_with_facts(
    tmp_path: Path,
) -> None:
    with RunDirectory(tmp_path, {}) as run:
        log = run.cell_log(CELL)
        log.append_reply({"attempt": 1, "text": "x"})
        log.append_turns([{"kind": "turn", "conversation": 1, "turn": 1}])
        there = Relay(Known.of(run, CELL), lambda _: None).cell_log(CELL)
        assert [record["text"] for record in there.replies] == ["x"]
        assert [record["turn"] for record in there.turns] == [1]
        write_records([("log", ("warning", "slow", {"wall": 3}))], CELL, run)
    (line,) = map(json.loads, (tmp_path / "runner.log").read_text().splitlines())
    assert (line["level"], line["message"], line["wall"]) == ("warning", "slow", 3)


def test_what_a_relay_sends_is_written_as_if_the_cell_were_computed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = CELL.record()
    with RunDirectory(tmp_path / "there", {}) as there:
        log = there.cell_log(CELL)
        log.append_reply({"text": "x"})
        log.append_attempt({"kind": "attempt"})
        log.append_turns([{"kind": "turn"}])
        there.add_transfer(CELL, {"accuracy": 0.5})
        known = Known.of(there, CELL)
        program = tmp_path / "there" / "programs" / "fn_a-L100-paper-t0.py"
        assert known == Known(
            CELL, False, tmp_path / "there", program, ({"text": "x"},), ({"kind": "attempt"},),
            ({"kind": "turn"},), (place | {"accuracy": 0.5},),
        )  # fmt: skip
        there.finish(CELL, {"status": "done"})
        assert Known.of(there, CELL).finished
    sent: list[Any] = []
    relay = Relay(known, sent.append)
    assert (relay.path, relay.program_path(CELL)) == (tmp_path / "there", program)
    assert relay.finished(CELL) is False
    assert Relay(Known(CELL, True, relay.path, program), sent.append).finished(CELL)
    log = relay.cell_log(CELL)
    assert (log.cell, log.replies, log.attempts, log.turns) == (
        CELL, [{"text": "x"}], [{"kind": "attempt"}], [{"kind": "turn"}],
    )  # fmt: skip
    log.write_prompt("abc", "why?")
    log.append_attempts([{"kind": "attempt", "attempt": 1}, {"kind": "attempt", "attempt": 2}])
    log.append_reply({"text": "y"})
    log.append_turns([{"kind": "tool"}])
    log.append_attempt({"kind": "selected"})
    relay.add_transfer(CELL, {"accuracy": 0.25})
    assert [record["accuracy"] for record in relay.transfer(CELL)] == [0.5, 0.25]
    assert relay.write_program(CELL, "f = len\n") == program
    assert relay.write_predictions(CELL, "row\n") == tmp_path / "there"
    relay.log("info", "said", wall=3)
    relay.finish(CELL, {"status": "failed"})
    assert relay.finished(CELL) is False
    relay.finish(CELL, {"status": "done"})
    assert relay.finished(CELL) is True
    assert sent == [
        ("write_prompt", ("abc", "why?")),
        ("append_attempts", ([place | {"kind": "attempt", "attempt": n} for n in (1, 2)],)),
        ("append_replies", ([place | {"text": "y"}],)),
        ("append_replies", ([place | {"kind": "tool"}],)),
        ("append_attempts", ([place | {"kind": "selected"}],)),
        ("add_transfer", (CELL, {"accuracy": 0.25})),
        ("write_program", (CELL, "f = len\n")),
        ("write_predictions", (CELL, "row\n")),
        ("log", ("info", "said", {"wall": 3})),
        ("finish", (CELL, {"status": "failed"})),
        ("finish", (CELL, {"status": "done"})),
    ]
    here = tmp_path / "here"
    with RunDirectory(here, {}) as run:
        synced: list[str] = []
        monkeypatch.setattr(
            os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
        )
        write_records(sent, CELL, run)
        assert synced[0] == "replies.jsonl"
        assert synced.count("replies.jsonl") == 1, "all replies of a batch are synced at once"
        assert run.finished(CELL)
        assert [record["accuracy"] for record in run.transfer(CELL)] == [0.25]
    replies = [json.loads(line) for line in (here / "replies.jsonl").read_text().splitlines()]
    assert replies == [place | {"text": "y"}, place | {"kind": "tool"}]
    assert [record.get("attempt") for record in read_attempts(here)] == [1, 2, None]
    for name, text in (
        ("prompts/abc.txt", "why?"), ("programs/fn_a-L100-paper-t0.py", "f = len\n"),
        ("predictions/fn_a-L100-paper-t0.csv", "row\n"),
    ):  # fmt: skip
        assert (here / name).read_text() == text
