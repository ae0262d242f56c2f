"""Run directories read for a report: whole, under way, damaged."""

import json
from pathlib import Path

import pytest

from llm_pv.errors import RunError
from llm_pv.report.records import load_run, load_runs
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.reading import UNFINISHED
from report_runs import attempt_record, grid_configuration, many_methods, write_trial

CELL = Cell("fn_a", 20, "paper", 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A grid of two trials of which one has ended and one has begun."""
    path = tmp_path / "run"
    with RunDirectory(path, grid_configuration(["fn_a"], [20], 3)) as opened:
        failures = [{"error": "no code block", "validation_accuracy": None}, {}]
        write_trial(opened, CELL, 0.75, attempts=failures, transfer={("hard", 20): 0.5})
        opened.cell_log(Cell("fn_a", 20, "paper", 1)).append_attempt(attempt_record(1))
    return path


def test_a_trial_is_read_with_its_attempts_program_and_transfer(run: Path) -> None:
    trial = load_run(run).trials[0]
    assert (trial.accuracy, trial.test_size, trial.status) == (0.75, 200, "done")
    assert [attempt.reason for attempt in trial.attempts] == ["no code block", ""]
    assert trial.selection is not None
    assert "x.count('1')" in trial.selection.program
    assert trial.selection.baseline_accuracy == 0.5
    assert [(t.sampler, t.length, t.accuracy) for t in trial.transfer] == [("hard", 20, 0.5)]


def test_trials_begun_and_planned_are_shown_as_unfinished(run: Path) -> None:
    record = load_run(run)
    assert record.unfinished == 2
    begun = {trial.cell.trial: len(trial.attempts) for trial in record.trials}
    assert begun == {0: 2, 1: 1, 2: 0}
    assert {trial.status for trial in record.trials[1:]} == {UNFINISHED}
    assert {trial.method for trial in record.trials} == {"length-first"}


def test_a_run_says_the_method_of_trials_without_a_row(tmp_path: Path) -> None:
    configuration = grid_configuration(["fn_a"], [20], 2) | {"proposer": "agent: openai:gpt; tool"}
    method = {"track": "agent", "method": "agent", "model": "openai:gpt"}
    for name, kept in (("now", method), ("earlier", None)):
        with RunDirectory(tmp_path / name, configuration, None, kept):
            pass
    for name, model in (("now", "openai:gpt"), ("earlier", "")):
        trials = load_run(tmp_path / name).trials
        assert {(trial.track, trial.method, trial.model) for trial in trials} == {
            ("agent", "agent", model)
        }


def test_reading_leaves_a_torn_last_line_where_it_is(run: Path) -> None:
    journal = run / "results_attempts.jsonl"
    with journal.open("a") as file:
        file.write('{"function": "fn_a", "len')
    before = journal.read_bytes()
    assert len(load_run(run).trials) == 3
    assert journal.read_bytes() == before


def test_runs_of_one_name_are_told_apart_and_each_is_read_once(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        with RunDirectory(tmp_path / folder / "run", {"command": "learn"}) as opened:
            write_trial(opened, Cell("rows"), 1.0)
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "a" / "." / "run"]
    assert [record.label for record in load_runs(paths)] == ["run (1)", "run (2)"]


def test_journals_of_other_tracks_may_hold_what_they_like(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"command": "icl"}) as opened:
        cell = Cell("fn_a", 100, "paper", 0, "svm", "svm")
        opened.cell_log(cell).append_attempt({"kind": "selected", "result": {"settings": {}}})
        write_trial(opened, cell, 0.5, track="icl", method="svm", row={"model": "svm"})
        other = Cell("fn_a", 100, "paper", 0, "forest", "forest")
        write_trial(opened, other, 0.6, track="icl", method="forest", row={"model": "forest"})
    record = load_run(tmp_path / "run")
    assert [(t.method, t.accuracy) for t in record.trials] == [("svm", 0.5), ("forest", 0.6)]
    assert record.unfinished == 0


def test_every_run_of_every_track_is_read(tmp_path: Path) -> None:
    records = load_runs(many_methods(tmp_path))
    assert [len(record.trials) for record in records] == [12, 6, 6, 12]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("accuracy", "abc", r"summary\.csv, line 2: accuracy 'abc' is no number"),
        ("accuracy", "1.5", r"line 2: accuracy 1\.5 is no share between 0 and 1"),
        ("low", "nan", "is no figure from 0 on"),
        ("learn_seconds", "inf", "is no figure from 0 on"),
        ("learn_seconds", "-1.0", "is no figure from 0 on"),
        ("test_size", "-5", "is no figure from 0 on"),
        ("trial", "x", "trial 'x' is no number"),
    ],
)
def test_a_damaged_figure_is_named(run: Path, column: str, value: str, message: str) -> None:
    path = run / "summary.csv"
    header, line = path.read_text().splitlines()
    columns, fields = header.split(","), line.split(",")
    fields[columns.index(column)] = value
    path.write_text(header + "\n" + ",".join(fields) + "\n")
    with pytest.raises(RunError, match=message):
        load_run(run)


def test_a_summary_cut_short_is_named(run: Path) -> None:
    path = run / "summary.csv"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(RunError, match="no value for"):
        load_run(run)


def test_a_summary_that_is_no_text_is_named(run: Path) -> None:
    (run / "summary.csv").write_bytes(b"\xff\xfe" * 100)
    with pytest.raises(RunError, match=r"summary\.csv cannot be read"):
        load_run(run)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"kind": "attempt"}', "names no 'function'"),
        ("[]", "not a JSON object"),
        (json.dumps(CELL.record() | {"kind": "attempt"}), "damaged or of another version"),
        (json.dumps(CELL.record() | {"kind": "selected", "result": 3}), "damaged or of another"),
    ],
)
def test_a_damaged_journal_is_named(run: Path, line: str, message: str) -> None:
    with (run / "results_attempts.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=message):
        load_run(run)


def test_another_format_and_no_run_at_all_are_refused(run: Path, tmp_path: Path) -> None:
    header = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(header | {"format": 0}))
    with pytest.raises(RunError, match="format 0"):
        load_run(run)
    with pytest.raises(RunError, match="no run directory"):
        load_run(tmp_path)


def test_a_request_of_another_version_plans_nothing(run: Path) -> None:
    header = json.loads((run / "run.json").read_text())
    header["configuration"]["request"]["strange"] = 1
    (run / "run.json").write_text(json.dumps(header))
    assert load_run(run).unfinished == 1


@pytest.mark.parametrize("name", ["versions", "command", "method"])
def test_a_damaged_header_is_named(run: Path, name: str) -> None:
    header = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(header | {name: 3}))
    with pytest.raises(RunError, match=rf"run\.json: {name} is damaged"):
        load_run(run)


def test_fits_that_were_noted_and_have_not_ended_are_shown_by_their_method(tmp_path: Path) -> None:
    configuration = grid_configuration(["fn_a"], [20], 2) | {"command": "baselines"}
    with RunDirectory(tmp_path / "run", configuration) as opened:
        for model in ("svm", "forest"):
            for trial in (0, 1):
                cell = Cell("fn_a", 20, "paper", trial, model, model)
                opened.cell_log(cell).append_attempt({"kind": "planned"})
        done = Cell("fn_a", 20, "paper", 0, "svm", "svm")
        write_trial(opened, done, 0.5, track="baselines", method="svm", row={"model": "svm"})
    record = load_run(tmp_path / "run")
    assert record.unfinished == 3
    assert sorted((t.track, t.method, t.cell.trial) for t in record.trials) == [
        ("baselines", "forest", 0), ("baselines", "forest", 1), ("baselines", "svm", 0),
        ("baselines", "svm", 1),
    ]  # fmt: skip
