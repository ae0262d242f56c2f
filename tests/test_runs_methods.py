"""Several methods and models in one run directory, and runs from before there could be any."""

import json
from pathlib import Path

import pytest

from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.files import predictions_csv
from llm_pv.runs.reading import FORMAT, SUMMARY_COLUMNS, read_summary

FOREST = Cell("fn_a", 50, "paper", 0, "random_forest", "random_forest")
SMALL = Cell("fn_a", 50, "paper", 0, "icl", "lab/small")
LARGE = Cell("fn_a", 50, "paper", 0, "icl", "lab/large")
UNNAMED = Cell("fn_a", 50, "paper", 0)


def test_methods_and_models_of_one_trial_have_rows_of_their_own(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        run.finish(FOREST, {"status": "done", "accuracy": 0.5})
        run.finish(SMALL, {"status": "failed"})
        run.finish(LARGE, {"status": "done", "accuracy": 0.75})
        run.finish(SMALL, {"status": "done", "accuracy": 0.25})
        assert not run.finished(Cell("fn_a", 50, "paper", 1, "icl", "lab/small"))
    rows = read_summary(tmp_path)
    assert {(row["method"], row["model"]): row["accuracy"] for row in rows} == {
        ("random_forest", "random_forest"): "0.5",
        ("icl", "lab/small"): "0.25",
        ("icl", "lab/large"): "0.75",
    }
    assert len(rows) == 3
    with RunDirectory(tmp_path, {}) as run:
        assert run.finished(FOREST)
        assert run.row(SMALL) == next(row for row in rows if row["model"] == "lab/small")
        assert not run.finished(Cell("fn_a", 50, "paper", 0, "icl", "lab/huge"))


def test_what_a_cell_is_named_wins_over_what_its_row_says(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        run.finish(SMALL, {"status": "done", "model": "lab/small-2026-11"})
    with RunDirectory(tmp_path, {}) as run:
        assert run.finished(SMALL)


def test_journals_keep_methods_and_models_apart(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        for cell in (SMALL, LARGE):
            run.cell_log(cell).append_reply({"text": cell.model, "model": "what the server said"})
            run.cell_log(cell).append_attempt({"kind": "attempt", "program": cell.model})
            run.add_transfer(cell, {"accuracy": float(cell is LARGE)})
    with RunDirectory(tmp_path, {}) as run:
        for cell in (SMALL, LARGE):
            log = run.cell_log(cell)
            assert [reply["text"] for reply in log.replies] == [cell.model]
            assert [attempt["program"] for attempt in log.attempts] == [cell.model]
            assert [record["accuracy"] for record in run.transfer(cell)] == [float(cell is LARGE)]
        assert run.cell_log(UNNAMED).replies == []


def test_a_run_of_one_method_need_not_name_it_and_a_record_may_name_a_model(
    tmp_path: Path,
) -> None:
    with RunDirectory(tmp_path, {}) as run:
        run.cell_log(UNNAMED).append_reply({"text": "x", "model": "gpt-2026-11"})
        run.finish(UNNAMED, {"method": "llm", "model": "gpt", "status": "failed"})
    with RunDirectory(tmp_path, {}) as run:
        assert [reply["text"] for reply in run.cell_log(UNNAMED).replies] == ["x"]
        assert run.row(UNNAMED) is not None
        run.finish(UNNAMED, {"method": "llm", "model": "gpt-2", "status": "done"})
    assert [(row["model"], row["status"]) for row in read_summary(tmp_path)] == [("gpt-2", "done")]


def test_a_run_from_before_cells_named_methods_is_read_and_resumed(tmp_path: Path) -> None:
    columns = dict.fromkeys(SUMMARY_COLUMNS, "") | {
        "track": "llm-pv",
        "method": "length-first",
        "function": "fn_a",
        "length": "50",
        "sampler": "paper",
        "trial": "0",
        "accuracy": "1.0",
        "status": "done",
    }
    (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT, "configuration": {}}))
    (tmp_path / "summary.csv").write_text(
        ",".join(columns) + "\n" + ",".join(columns.values()) + "\n"
    )
    place = {"function": "fn_a", "length": 50, "sampler": "paper", "trial": 0}
    first = place | {"attempt": 1}
    for name, record in (("replies", first), ("transfer", first)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "results_attempts.jsonl").write_text(
        "".join(json.dumps(first | {"kind": kind}) + "\n" for kind in ("attempt", "selected"))
    )
    for name in ("programs/fn_a-L50-paper-t0.py", "predictions/fn_a-L50-paper-t0.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    with RunDirectory(tmp_path, {}) as run:
        assert run.finished(UNNAMED)
        log = run.cell_log(UNNAMED)
        assert [len(p) for p in (log.replies, log.attempts, run.transfer(UNNAMED))] == [1, 2, 1]
        run.finish(UNNAMED, {"method": "length-first", "status": "done"})
    assert len(read_summary(tmp_path)) == 1


def test_predictions_of_methods_and_models_lie_in_files_of_their_own(tmp_path: Path) -> None:
    long = [Cell("fn_a", 50, "paper", 0, "icl", "lab/" + "x" * 90 + end) for end in "ab"]
    alike = [Cell("fn_a", 50, "paper", 0, "icl", name) for name in ("m:1", "m_1")]
    with RunDirectory(tmp_path, {}) as run:
        paths = [
            run.write_predictions(cell, predictions_csv([], []))
            for cell in (UNNAMED, FOREST, SMALL, LARGE, *long, *alike)
        ]
    assert len(set(paths)) == 8
    assert [path.name for path in paths[:3]] == [
        "fn_a-L50-paper-t0.csv",
        "fn_a-L50-paper-random_forest-t0.csv",
        "fn_a-L50-paper-icl-lab--small-t0.csv",
    ]
    assert all(len(path.name) <= 90 for path in paths)


def test_a_model_without_a_method_is_no_cell() -> None:
    with pytest.raises(ValueError, match="needs its method"):
        Cell("fn_a", model="lab/small")
