"""What runs record and read, value by value: rows, cells, conversations, journals, jobs."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from llm_pv.errors import ExecutorClosedError, RepairWarning, RunError
from llm_pv.runs.cells import Cell, CellLog, by_cell, cell_of, key_of, named, place_of, way_of
from llm_pv.runs.config_diff import differences, later_names
from llm_pv.runs.consistency import (
    cells_without_reply,
    consistent_records,
    inconsistent_rows,
    malformed,
    missing_files,
    missing_records,
)
from llm_pv.runs.conversations import (
    Message,
    iterate_calls,
    place_of_origin,
    read_conversations,
)
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.executors.base import CellContext, CellTask, Processes, portable
from llm_pv.runs.executors.local import LocalExecutor, WorkerProcesses
from llm_pv.runs.files import (
    disk_error,
    predictions_csv,
    read_csv,
    remove_leftovers,
    write_atomically,
    write_csv,
    write_trials,
)
from llm_pv.runs.job_folder import (
    FilePart,
    JobFolder,
    SweepFolder,
    find_jobs,
    finished_row,
    read_job,
)
from llm_pv.runs.journal import Journal, iterate_journal, read_journal
from llm_pv.runs.reading import (
    SUMMARY_COLUMNS,
    batch_record,
    find_runs,
    read_prompt,
    read_run,
    read_summary,
    read_test_predictions,
)
from llm_pv.runs.runner import require_writable, require_writable_file

ROW = dict.fromkeys(SUMMARY_COLUMNS, "") | {"trial": "0", "accuracy": "0.5", "train_size": "3"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"accuracy": "1"}, ""),
        ({"accuracy": "0"}, ""),
        ({"accuracy": "1.01"}, "accuracy 1.01 is no share between 0 and 1"),
        ({"majority_accuracy": "2"}, "majority_accuracy 2 is no share between 0 and 1"),
        ({"low": "-0.1"}, "low '-0.1' is no figure from 0 on"),
        ({"cost_usd": "inf"}, "cost_usd 'inf' is no figure from 0 on"),
        ({"learn_seconds": "7.5"}, ""),
        ({"train_size": "3.5"}, "train_size '3.5' is no number"),
        ({"test_seconds": "x" * 50}, f"test_seconds '{'x' * 40}' is no number"),
        ({"trial": ""}, "trial '' is no number"),
        ({"trial": "x" * 41}, f"trial '{'x' * 40}' is no number"),
        ({"trial": "-1"}, "trial '-1' is no number"),
        ({"name": "a\0b"}, "it is malformed"),
        ({None: ["more"]}, "it is malformed"),
        ({"track": None, "method": None, "model": None, "name": None},
         "no value for track, method, model"),
    ],
)  # fmt: skip
def test_a_damaged_row_of_the_summary_is_told_by_its_column(
    change: dict[Any, Any], why: str
) -> None:
    assert malformed(ROW | change, SUMMARY_COLUMNS) == why


def attempts(*numbers: int, more: tuple[str, ...] = ("selected",)) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [{"kind": "attempt", "attempt": number} for number in numbers]
    return [*made, *({"kind": kind} for kind in more)]


REPLIES = [{"attempt": 1}, {"attempt": 2}]


@pytest.mark.parametrize(
    ("row", "records", "replies", "lack"),
    [
        ({}, attempts(1, 2), REPLIES, ""),
        ({}, attempts(1), REPLIES, ""),
        ({}, attempts(1, 2, more=()), REPLIES, "its selection is missing in"),
        ({}, attempts(1, more=("selected", "selected")), REPLIES, "its selection occurs more than"),
        ({}, attempts(2), REPLIES, "attempts are missing or out of order in"),
        ({}, attempts(2, 1), REPLIES, "attempts are missing or out of order in"),
        ({}, attempts(), REPLIES, "attempts are missing or out of order in"),
        ({"status": "nothing found"}, attempts(), [], ""),
        ({}, attempts(1, 2), REPLIES[:1], "replies are missing or out of order in"),
        ({}, attempts(1, 2), REPLIES[::-1], "replies are missing or out of order in"),
        ({"status": "failed"}, [], [], ""),
        ({"track": "icl"}, [], [], ""),
        ({"track": "baselines"}, attempts(), [], ""),
        ({"track": "baselines"}, [], [], "its selection is missing in"),
        ({"track": "agent"}, attempts(2), REPLIES, "attempts are missing"),
    ],
)
def test_what_the_records_of_a_finished_cell_lack(
    row: dict[str, str], records: list[dict[str, Any]], replies: list[dict[str, Any]], lack: str
) -> None:
    found = missing_records({"track": "llm-pv", "status": "done"} | row, records, replies)
    assert found.startswith(lack)
    assert bool(found) is bool(lack)


def test_what_files_of_a_finished_cell_are_missing(tmp_path: Path) -> None:
    program, predictions = tmp_path / "f.py", tmp_path / "f.csv"

    def missing(**row: str) -> str:
        done = {"track": "llm-pv", "status": "done", "accuracy": "0.5"}
        return missing_files(done | row, program, predictions)

    assert missing() == "f.py is missing in programs"
    assert missing(track="baselines") == "f.csv is missing in predictions"
    assert missing(track="icl") == missing(status="nothing found") == ""
    program.touch()
    assert missing(track="agent") == "f.csv is missing in predictions"
    assert missing(accuracy="") == ""
    predictions.touch()
    assert missing() == ""


def test_rows_without_their_records_or_files_are_told_by_cell(tmp_path: Path) -> None:
    rows = [
        {"track": "llm-pv", "status": "done", "accuracy": "", "method": "llm", "model": "m",
         "function": name, "length": "", "sampler": "", "trial": "0"}
        for name in ("whole", "torn", "gone", "way")
    ]  # fmt: skip
    (tmp_path / "whole.py").touch()
    (tmp_path / "way.py").touch()
    place = {name: (name, "", "", "0") for name in ("whole", "torn", "gone", "way")}
    with_way = (*place["way"], "llm", "m")
    records = {place["whole"]: attempts(1), place["torn"]: attempts(1, more=()),
               place["gone"]: attempts(1), with_way: attempts(1)}  # fmt: skip
    replies = dict.fromkeys(records, REPLIES)
    asked: list[Cell] = []

    def files(cell: Cell) -> tuple[Path, Path]:
        asked.append(cell)
        return tmp_path / f"{cell.function}.py", tmp_path / "none"

    faults, torn = inconsistent_rows(rows, records, replies, files)
    assert faults == [
        (rows[1], "its selection is missing in results_attempts.jsonl"),
        (rows[2], "gone.py is missing in programs"),
    ]
    assert torn == {place["torn"]}
    assert asked == [Cell("whole"), Cell("gone"), Cell("way", method="llm", model="m")]
    for known, lack in (
        ({}, "its selection is missing in results_attempts.jsonl"),
        (records, "replies are missing or out of order in replies.jsonl"),
    ):
        assert inconsistent_rows(rows[:1], known, {}, files) == (
            [(rows[0], lack)], {place["whole"]},
        )  # fmt: skip
    assert cells_without_reply({("a",): attempts(1, 2), ("b",): attempts(1)}, {}) == {
        ("a",),
        ("b",),
    }
    assert cells_without_reply(
        {("a",): attempts(1, 2), ("b",): attempts(1)}, {("a",): [{}], ("b",): [{}]}
    ) == {("a",)}


def test_a_cell_goes_on_from_the_records_before_the_first_that_is_missing() -> None:
    rejected = [{"kind": "rejected", "attempt": number} for number in (0, 1, 2, 3)]
    records = [*attempts(1, 2, more=()), *rejected, *attempts(4, 3), {"kind": "unanswered"}]
    assert consistent_records(records, [{}, {}, {}]) == [
        *attempts(1, 2, more=()), *rejected[1:3], *attempts(3, more=()), {"kind": "unanswered"},
    ]  # fmt: skip
    assert consistent_records(attempts(1, 2), [{}]) == attempts(1, more=())
    assert consistent_records(attempts(1), [{}]) == attempts(1, more=())


def test_differences_of_configurations_are_shown_around_the_change() -> None:
    def of(old: object, new: object, name: str = "a") -> list[str]:
        return list(differences({name: old}, {name: new}))

    assert of("x" * 58, "y") == [f'a is "{"x" * 58}" there and "y" here']
    assert of("x" * 59, "y") == [f'a is "{"x" * 56}... there and "y" here']
    # From 40 equal characters on an excerpt begins at the last word of these.
    assert of(f"{'b' * 38} 1", f"{'b' * 38} 2") == [
        f'a is "{"b" * 38} 1" there and "{"b" * 38} 2" here'
    ]
    assert of(f"{'b' * 39} 1", f"{'b' * 39} 2") == ['a is "...1" there and "...2" here']
    assert of(f"{'b' * 50}(c 1", f"{'b' * 50}(c 12") == ['a is "...1" there and "...12" here']
    assert of(f"{'b' * 60}{{cde1", f"{'b' * 60}{{cde2") == [
        'a is "...cde1" there and "...cde2" here'
    ]
    assert of("b" * 50 + "1", "b" * 50 + "2") == [
        f'a is "...{"b" * 40}1" there and "...{"b" * 40}2" here'
    ]
    assert of(f"{'b' * 40} cc dd 1", f"{'b' * 40} cc dd 2") == ['a is "...1" there and "...2" here']
    search = "search; candidates={}; within {} s, noise {}; tool_calls=7"
    assert of(search.format(5, 60, 0.1), search.format(6, 9.5, 0.2), "proposer") == [
        "budget_candidates is 5 there and 6 here", "budget_seconds is 60 there and 9.5 here",
        "noise is 0.1 there and 0.2 here",
    ]  # fmt: skip
    assert of("m; alpha=1", "m; beta=2", "proposer") == [
        'proposer is "m; alpha=1" there and "m; beta=2" here'
    ]
    assert of(7, "7") == ['a is 7 there and "7" here']
    assert of({"b": 1, "c": 2}, {"b": 1, "c": 3}) == ["c is 2 there and 3 here"]
    assert of({"b": 1}, 1) == ['a is {"b": 1} there and 1 here']
    old = "llm; tool_limits=L(wall_seconds=30.0, cpu=1)"
    new = "llm; tool_limits=L(cpu=1); tool_functions=check,survey"
    assert of(old, new, "proposer") == []
    assert of(old, new) != []
    assert of(new, old, "proposer") != [], "what was recorded has to be the same"
    assert of(old, 7, "proposer") != []
    assert later_names({"about": 1}, {"about": 2, "odd_cells": 3}) == {"odd_cells": 3}


def test_cells_have_keys_names_and_slugs() -> None:
    cell = Cell("f/n", 5, "hard", 2, "icl", "a/b")
    record = {"function": "f/n", "length": 5, "sampler": "hard", "trial": 2}
    assert cell.record() == record | {"method": "icl", "model": "a/b"}
    assert Cell("f", model="").record() == {
        "function": "f",
        "length": "",
        "sampler": "",
        "trial": 0,
    }
    assert key_of(record | {"method": "icl", "model": "a/b"}) == (
        "f/n", "5", "hard", "2", "icl", "a/b",
    )  # fmt: skip
    assert key_of(record | {"model": "a/b"}) == ("f/n", "5", "hard", "2")
    assert (place_of({}), way_of({"model": 1})) == (("", "", "", ""), ("", "1"))
    assert cell_of(("f", "5", "", "3")) == Cell("f", "5", "", 3)
    assert cell_of(("f", "5", "", "3", "icl", "m")) == Cell("f", "5", "", 3, "icl", "m")
    one, two = {"function": "a"}, {"function": "b"}
    assert by_cell([one, two, one]) == {key_of(one): [one, one], key_of(two): [two]}
    assert list(named(Cell("f"), {"text": 1, "trial": 9}).items()) == [
        ("function", "f"), ("length", ""), ("sampler", ""), ("trial", 0), ("text", 1),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="needs its method too"):
        Cell("f", model="m")
    assert Cell("").slug == Cell("", 0, "").slug.replace("L0", "data") == "data"
    assert Cell("a" * 90).slug == "a" * 80
    assert Cell(".a b/", 5).slug == "a_b_-L5"
    assert Cell("f", method="icl", model="icl").slug == "f-icl"
    assert Cell("f", 5, "s", 1, "icl", "a/b").slug == "f-L5-s-icl-a--b"
    assert Cell("", method="m").slug == "data-m"
    fits, long = (Cell("f", method="m" * size) for size in (78, 79))
    assert fits.slug == "f-" + "m" * 78
    assert len(long.slug) == 80
    assert long.slug.startswith("f-" + "m" * 69 + "-")
    assert long.slug == Cell("f", method="m" * 79, trial=3).slug != Cell("f", method="m" * 80).slug
    assert Cell("f", method="a b").slug.startswith("f-a_b-")


def test_a_log_writes_before_it_adds_and_is_shortened_when_finished() -> None:
    written: list[tuple[str, Any]] = []
    log = CellLog(
        Cell("f"),
        write_replies=lambda records: written.append(("replies", list(records))),
        write_attempts=lambda records: written.append(("attempts", list(records))),
    )
    place = Cell("f").record()
    log.append_replies([{"text": "a"}, {"text": "b"}])
    log.append_turns([{"kind": "turn"}])
    other = CellLog(Cell("f"), [{"text": "a"}], [{"kind": "selected"}])
    for each in (log, other):
        each.shorten()
        assert each.replies, "without an attempt it is no finished cell of programs"
    selected = {"kind": "selected", "result": {}}
    log.append_attempts([{"kind": "attempt", "attempt": 1, "program": "p"}, selected])
    assert written == [
        ("replies", [place | {"text": "a"}, place | {"text": "b"}]),
        ("replies", [place | {"kind": "turn"}]),
        ("attempts", [place | {"kind": "attempt", "attempt": 1, "program": "p"},
                      place | selected]),
    ]  # fmt: skip
    log.shorten()
    assert (log.replies, log.turns) == ([], [])
    assert log.attempts == [{"kind": "attempt", "attempt": 1}, selected]


def turn(number: int, **more: Any) -> dict[str, Any]:
    return {
        "function": "f", "length": "", "sampler": "", "trial": 0, "kind": "turn",
        "conversation": 1, "turn": number, "prompt_digest": "abc", "text": f"said {number}",
        "calls": [], "finish": "stop", "usage": {"input_tokens": 10, "output_tokens": 3},
        "cost_usd": 0.5, "seconds": 1.5,
    } | more  # fmt: skip


def test_a_conversation_is_read_in_the_order_in_which_it_went(tmp_path: Path) -> None:
    parts = [
        {"part_kind": "thinking", "content": "hm"}, {"part_kind": "thinking", "content": ""},
        {"part_kind": "builtin-tool-call", "args": {"code": "print(1)"}},
        {"part_kind": "builtin-tool-return", "content": {"a": 1, "b": 2}},
        {"part_kind": "text", "content": "no"}, {"content": "of no kind"},
    ]  # fmt: skip
    calls = [{"code": "print(2)", "problem": ""}, {"code": None, "problem": "no code"}]
    place = {"function": "f", "length": "", "sampler": "", "trial": 0, "conversation": 1}
    records = [
        turn(1, calls=calls, finish="tools", text=" \n", raw={"thoughts": "long", "parts": parts}),
        place | {"kind": "tool", "turn": 1, "call": 1, "text": "2", "seconds": 0.5},
        place | {"kind": "call", "turn": 2},
        turn(3, finish="length", asked="again"),
        place | {"kind": "failed", "turn": 2, "error": "no answer"},
        turn(1, conversation=2, proposer="p", cost_usd=None, trial=1, prompt_digest="d"),
        turn(2, conversation=2, proposer="p", trial=1, prompt_digest="d"),
    ]
    path = tmp_path / "replies.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    write_atomically(tmp_path / "prompts" / "abc.txt", "the prompt")
    found = read_conversations(tmp_path)
    assert list(found) == [("f", "", "", "0"), ("f", "", "", "1")]
    one = found["f", "", "", "0"]["", 1]
    assert one.messages == [
        Message("thoughts", "long"), Message("thoughts", "hm"), Message("call", "print(1)"),
        Message("result", "{'a': 1, 'b': 2}"), Message("call", "print(2)"),
        Message("result", "2", 0.5), Message("call", "no code"), Message("error", "no answer"),
        Message("answer", "again"), Message("reply", "said 3", 1.5),
        Message("error", "the reply ended early: length"),
    ]  # fmt: skip
    assert (one.turns, one.tool_calls, one.cost_usd, one.input_tokens, one.output_tokens) == (
        2, 2, 1.0, 20, 6,
    )  # fmt: skip
    assert (one.prompt, one.digest, one.proposer, one.number) == ("the prompt", "abc", "", 1)
    other = found["f", "", "", "1"]["p", 2]
    assert (other.cost_usd, other.prompt, other.turns) == (None, "", 2)
    damages: list[tuple[dict[str, Any], str]] = [
        ({"conversation": "x"}, "ValueError("), ({"usage": {}}, "KeyError("),
        ({"calls": [{}]}, "KeyError("), ({"turn": None}, "TypeError("),
    ]  # fmt: skip
    for damage, why in damages:
        path.write_text(json.dumps(turn(1) | damage) + "\n")
        with pytest.raises(RunError) as raised:
            read_conversations(tmp_path)
        assert str(raised.value).startswith(
            f"{path}: a record of a conversation is damaged or of another version ({why}"
        )
    assert place_of_origin("p", "12.1/2/3") == ("p", 12)
    assert place_of_origin("p", "7/2/3") == ("p", 7)
    assert place_of_origin("p", "x1") is None


def test_the_calls_of_a_run_are_those_that_cost_something(tmp_path: Path) -> None:
    kinds = ("turn", "tool", "call", "failed", "batch")
    lines: list[dict[str, Any]] = [{"kind": kind, "input_tokens": 3} for kind in kinds]
    lines[3] = {"kind": "failed", "error": "no answer"}
    lines += [{"text": 'as "kind": "turn"'}, {"text": "x", "input_tokens": 5}]
    for line in lines:
        Journal(tmp_path / "replies.jsonl").append(line)
    assert [call["kind"] for call in iterate_calls(tmp_path)] == ["turn", "call", "failed"]
    answers = list(iterate_calls(tmp_path, in_context=True))
    assert answers == [line for line in lines if "input_tokens" in line]


def test_journals_append_all_or_nothing_and_cut_what_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.jsonl"
    path.parent.mkdir()
    journal = Journal(path, sync=True)
    journal.append({"a": "é"}, {"b": 1})
    assert path.read_bytes() == b'{"a": "\\u00e9"}\n{"b": 1}\n'
    with pytest.raises(ValueError, match="Out of range"):
        journal.append({"c": 1}, {"d": float("nan")})
    assert journal.read() == [{"a": "é"}, {"b": 1}]
    journal.replace([{"e": 2}])
    journal.append({"f": 3})
    with path.open("ab") as file:
        file.write(b'{"g": ')
    assert read_journal(path) == [{"e": 2}, {"f": 3}]
    assert list(iterate_journal(path, containing=[b'"f"', b'"g"'])) == [{"f": 3}]
    with pytest.warns(RepairWarning, match="the last line was incomplete"):
        assert Journal(path, sync=False).repaired
    assert path.read_bytes() == b'{"e": 2}\n{"f": 3}\n'
    assert not Journal(path, sync=False).repaired
    none = tmp_path / "none"
    assert read_journal(none) == list(iterate_journal(none, containing=[b""])) == []
    for text, why in (("[]\n", "not a JSON object"), ("{\n", "not JSON")):
        path.write_text('{"a": 1}\n' + text)
        with pytest.raises(RunError, match=f"line 2: {why}"):
            read_journal(path)
    for read in (read_journal, lambda at: list(iterate_journal(at, containing=[b""]))):
        with pytest.raises(RunError, match=r"cannot read .*: Is a directory"):
            read(tmp_path)


def test_files_are_written_whole_with_the_usual_rights(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, "é\ud800")
    assert path.read_bytes() == b"\xc3\xa9\\ud800"
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    left, other = path.with_name(".b.txt.abcd_123"), path.with_name(".b.txt.Abcd1234")
    left.touch()
    other.touch()
    remove_leftovers(tmp_path)
    assert sorted(each.name for each in path.parent.iterdir()) == [".b.txt.Abcd1234", "b.txt"]
    assert predictions_csv(["0", "1"], ["1", None]) == "row,label,prediction\n0,0,1\n1,1,\n"
    rows = [{"fn": "f", "length": 5, "trial": n // 2, "way": "w", "n": n} for n in range(3)]
    write_trials(tmp_path / "rows.jsonl", rows, "way")
    first = tmp_path / "rows_trials" / "f_L5_trial0_w.jsonl"
    assert [json.loads(line) for line in first.read_text().splitlines()] == rows[:2]
    assert (tmp_path / "rows_trials" / "f_L5_trial1_w.jsonl").exists()
    assert read_csv(tmp_path / "none.csv") == read_csv(plain / "none.csv") == []
    cells: list[dict[str, Any]] = [{"a": "é\r\nb\rc", "b": '"'}, {"a": None, "b": "\u2028,"}]
    write_csv(plain, ("a", "b"), cells)
    assert plain.read_bytes().startswith(b"a,b\n")
    assert read_csv(plain) == [cells[0], {"a": "", "b": "\u2028,"}]
    plain.write_bytes(b"a\n\xff\n")
    with pytest.raises(RunError, match=r"cannot be read: .*utf-8"):
        read_csv(plain)
    full = disk_error(OSError(28, "No space left"))
    assert str(full) == "[Errno 28] No space left; free the disk, or choose other directories"
    assert disk_error(OSError(2, "No such file")) is None
    assert disk_error(ValueError("no")) is None


def test_a_file_that_cannot_be_written_is_told_by_its_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(descriptor: int) -> None:
        temporary = Path(f"/proc/self/fd/{descriptor}").readlink()
        assert temporary.parent == tmp_path, "it is renamed within its folder"
        assert temporary.name.startswith(".file.")
        temporary.unlink()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", vanish)
    with pytest.raises(RunError, match=r"cannot write .*file: Input/output error; free the disk"):
        write_atomically(tmp_path / "file", "text")


def test_the_files_of_a_job_are_written_moved_and_read(tmp_path: Path) -> None:
    here, there = JobFolder(tmp_path / "here"), JobFolder(tmp_path / "there")
    (tmp_path / "here").mkdir()
    assert read_job(here.path) == ({}, {})
    here.write_config({"b": 1, "a": "é"})
    here.write_metrics({"accuracy": 0.5})
    here.write_vocabulary("01")
    here.tell("first")
    here.tell("sécond")
    (here.path / "empty.txt").touch()
    assert (here.path / "config.json").read_text() == '{\n  "b": 1,\n  "a": "\\u00e9"\n}\n'
    assert (here.path / "metrics.json").read_text() == '{\n  "accuracy": 0.5\n}\n'
    assert (here.path / "stdout.log").read_text("utf-8") == "first\nsécond\n"
    assert (here.model / "alphabet.json").read_text() == '{"alphabet": "01"}\n'
    assert (here.log_file, here.tensorboard) == (here.path / "logs.log", here.path / "tensorboard")
    with pytest.raises(ValueError, match="Out of range"):
        here.write_metrics({"loss": float("nan")})
    for step in (9, 10):
        (here.checkpoints / f"checkpoint-{step}").mkdir(parents=True)
        (here.checkpoints / f"checkpoint-{step}" / "w.bin").write_bytes(b"w")
    assert here.last_checkpoint() is None
    (here.checkpoints / "checkpoint-8").touch()  # no folder, which nothing here removes
    here.complete(10, {"step": 10})
    left = sorted(path.name for path in here.checkpoints.iterdir())
    assert left == ["checkpoint-10", "checkpoint-8"]
    complete = here.checkpoints / "checkpoint-10" / "complete.json"
    assert complete.read_text() == '{"step": 10}\n'
    (here.checkpoints / "checkpoint-9").mkdir()
    write_atomically(here.checkpoints / "checkpoint-9" / "complete.json", '{"step": 9}')
    for step in (1, 11):
        write_atomically(here.checkpoints / f"checkpoint-{step}" / "complete.json", '{"step"')
    write_atomically(here.checkpoints / "checkpoint-x" / "complete.json", '{"step": 99}')
    assert here.last_checkpoint() == (here.checkpoints / "checkpoint-10", {"step": 10})
    pieces = list(here.pieces())
    assert [(piece.name, piece.start) for piece in pieces] == [
        ("config.json", 0), ("empty.txt", 0), ("metrics.json", 0), ("model/alphabet.json", 0),
        ("stdout.log", 0),
    ]  # fmt: skip
    for piece in pieces:
        there.put(piece)
    JobFolder(tmp_path / "new").put(FilePart("a/b.bin", 0, b"b"))
    assert (tmp_path / "new" / "a" / "b.bin").read_bytes() == b"b"
    there.put(FilePart("stdout.log", 14, b"third\n"))
    assert (there.path / "stdout.log").read_text("utf-8") == "first\nsécond\nthird\n"
    there.put(FilePart("stdout.log", 0, b"anew\n"))
    assert (there.path / "stdout.log").read_text() == "anew\n"
    assert (there.path / "empty.txt").read_bytes() == b""
    assert read_job(there.path) == ({"b": 1, "a": "é"}, {"accuracy": 0.5})
    assert find_jobs(tmp_path) == [here.path, there.path]
    (there.path / "metrics.json").write_text("[1]")
    assert read_job(there.path)[1] == {}
    (there.path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config.json cannot be read"):
        read_job(there.path)
    with pytest.raises(RunError, match=r"cannot write .*empty.txt/more"):
        there.put(FilePart("empty.txt/more", 0, b""))
    for _ in range(2):
        here.remove_checkpoints()
        assert not here.checkpoints.exists()
    with pytest.raises(RunError, match=r"cannot write .*none/stdout\.log: .*No such file"):
        JobFolder(tmp_path / "none").tell("line")


def test_a_long_file_of_a_job_moves_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pv.runs.job_folder._PIECE", 4)
    (tmp_path / "a.bin").write_bytes(b"0123")
    (tmp_path / "b.bin").write_bytes(b"0123456789")
    assert list(JobFolder(tmp_path).pieces()) == [
        FilePart("a.bin", 0, b"0123"), FilePart("b.bin", 0, b"0123"), FilePart("b.bin", 4, b"4567"),
        FilePart("b.bin", 8, b"89"),
    ]  # fmt: skip


def test_a_job_is_finished_by_a_row_that_does_not_fail(tmp_path: Path) -> None:
    assert finished_row(tmp_path) is None
    row = dict.fromkeys(SUMMARY_COLUMNS, "") | {"trial": "0", "status": "failed"}
    write_csv(tmp_path / "summary.csv", SUMMARY_COLUMNS, [row])
    assert finished_row(tmp_path) is None
    done = [row | {"status": "done", "name": name} for name in "ab"]
    write_csv(tmp_path / "summary.csv", SUMMARY_COLUMNS, [row, *done])
    assert finished_row(tmp_path) == done[0]


def test_a_sweep_is_one_process_s_and_writes_the_rows_of_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Cell("one"), Cell("two")
    folder = tmp_path / "deep" / "sweep"
    timeouts: list[float] = []
    acquire = FileLock.acquire

    def noting(lock: FileLock, timeout: float) -> Any:
        timeouts.append(timeout)
        return acquire(lock, timeout)

    monkeypatch.setattr(FileLock, "acquire", noting)
    with SweepFolder(folder, ["one", "two", "three"]) as sweep:
        with pytest.raises(RunError, match="is in use by another sweep"):
            SweepFolder(folder)
        with RunDirectory(tmp_path / "run", {}), pytest.raises(RunError, match="is in use by ano"):
            RunDirectory(tmp_path / "run", {})
        assert timeouts == [0] * 4, "nothing waits for a lock"
        assert sweep.row(one) is None
        assert not sweep.finished(one)
        assert sweep.job("one") == folder / "one"
        row = dict.fromkeys(SUMMARY_COLUMNS, "") | {"trial": "0", "name": "two's", "low": "0.25"}
        write_csv(folder / "two" / "summary.csv", SUMMARY_COLUMNS, [row])
        sweep.finish(one, {"status": "done", "accuracy": "0.5"})
        sweep.finish(two, {"status": "failed", "reason": "why"})
        assert (sweep.finished(one), sweep.finished(two)) == (True, False)
        assert sweep.row(one) == {"reason": "", "status": "done", "accuracy": "0.5"}
        rows = read_csv(folder / "sweep.csv")
    assert tuple(rows[0]) == ("job", *SUMMARY_COLUMNS)
    columns = ("job", "status", "reason", "name", "low", "trial")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("one", "done", "", "", "", ""), ("two", "failed", "why", "two's", "0.25", "0"),
    ]  # fmt: skip
    with SweepFolder(folder):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(
        RunError, match=r"cannot use .* for a sweep: .*; choose another results_root"
    ):
        SweepFolder(tmp_path / "file" / "sweep")


def test_runs_are_found_and_read_where_they_are(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_atomically(tmp_path / "all" / name / "run.json", '{"format": 1, "configuration": {}}')
    a, b = tmp_path / "all" / "a", tmp_path / "all" / "b"
    assert find_runs([tmp_path / "all", b, tmp_path / "none"]) == [a, b, b, tmp_path / "none"]
    write_atomically(b / "within" / "run.json", "{}")
    assert find_runs([b]) == [b]
    assert read_run(a) == {"format": 1, "configuration": {}}
    assert batch_record(a) == a / "batches.jsonl"
    assert read_prompt(a, "abc") == ""
    assert read_summary(a) == []
    for text, why in (("{", "cannot be read"), ("[]", "cannot be read"), ('{"format": 1}',
                      "cannot be read"), ('{"format": 2, "configuration": {}}', "is a run of "
                      "format 2, this version of llm-pv reads 1")):  # fmt: skip
        (b / "run.json").write_text(text)
        with pytest.raises(RunError, match=why):
            read_run(b)
    with pytest.raises(RunError, match="it holds no run"):
        read_run(tmp_path)
    with pytest.raises(RunError, match="there is no such folder"):
        read_run(tmp_path / "none")
    cell = Cell("f", 5, "hard", 2, "icl", "m")
    assert read_test_predictions(a, cell) == []
    write_atomically(a / "predictions" / "f-L5-hard-t2.csv", "row,label,prediction\n0,1,0\n")
    assert read_test_predictions(a, cell) == [{"row": "0", "label": "1", "prediction": "0"}]
    write_atomically(a / "predictions" / f"{cell.slug}-t2.csv", "row,label,prediction\n0,1,1\n")
    assert read_test_predictions(a, cell)[0]["prediction"] == "1"
    write_csv(a / "summary.csv", SUMMARY_COLUMNS, [ROW, ROW | {"trial": "x"}])
    with pytest.raises(RunError, match=r"summary.csv, line 3: trial 'x' is no number; restore the"):
        read_summary(a)
    (a / "summary.csv").write_text("track\nx\n")
    with pytest.raises(RunError, match=r"summary.csv, line 2: no value for method"):
        read_summary(a)
    named = Cell("g", method="icl")
    assert read_test_predictions(a, named) == []


def test_where_nothing_can_be_written_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable(None, "--out")
    require_writable_file(None, "--csv")
    require_writable(tmp_path / "a" / "b", "--out")
    require_writable_file(tmp_path / "a" / "b.csv", "--csv")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"--out .*file/a: .*file is a file; choose another"):
        require_writable(tmp_path / "file" / "a", "--out")
    with pytest.raises(RunError, match=r"--csv .* is a directory; give a file"):
        require_writable_file(tmp_path, "--csv")
    asked: list[tuple[Path, int]] = []

    def access(*what: Any) -> bool:
        asked.append(what)
        return False

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(RunError) as raised:
        require_writable(tmp_path / "a" / "b", "--out")
    assert str(raised.value) == (
        f"--out {tmp_path}/a/b: {tmp_path} cannot be written; choose another directory"
    )
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


def test_a_local_executor_gives_a_cell_what_it_was_made_with() -> None:
    found: list[Any] = []
    closed: list[str] = []

    class Resource(Processes):
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    processes: Any = Resource("processes")
    sandbox: Any = Resource("sandbox")
    task = CellTask(Cell("f"), inputs=7)
    results: Any = object()
    whole = LocalExecutor(
        3, processes=processes, sandbox=sandbox, opened="model",
        on_close=[lambda: closed.append("first"), lambda: closed.append("second")],
    )  # fmt: skip
    assert whole.cells_at_once == 3

    def compute(inputs: Any, context: CellContext) -> None:
        found.append((inputs, context))
        context.emit("event")

    whole.run(compute, task, results, found.append)
    start, (inputs, context), event = found
    assert (start, inputs, event) == (None, 7, "event")
    assert (context.results, context.processes, context.sandbox, context.opened) == (
        results, processes, sandbox, "model",
    )  # fmt: skip
    whole.close()
    assert closed == ["first", "second", "processes", "sandbox"]
    bare = LocalExecutor(1)
    bare.run(compute, task, results, found.append)
    assert type(found[-2][1].processes) is Processes
    assert found[-2][1].processes.map(abs, [-1, 2]) == [1, 2]
    assert (found[-2][1].sandbox, found[-2][1].opened) == (None, None)
    bare.close()


def test_closed_processes_start_nothing_and_errors_travel_with_their_trace() -> None:
    processes = WorkerProcesses(2)
    assert processes.size == 2
    processes.close()
    with pytest.raises(ExecutorClosedError, match="the worker processes are closed"):
        processes.call(abs, 1)
    known = RunError("full")
    assert portable(known) is known
    assert known.__notes__[0].startswith("In the worker process:\n")
    full = portable(OSError(28, "No space left on device"))
    assert isinstance(full, RunError)
    assert str(full).endswith("; free the disk, or choose other directories")
