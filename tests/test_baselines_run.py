"""Runs of baselines on disk: recorded one by one, resumed, failures and all."""

import csv
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError, RunError
from llm_pv.report.comparison import compare_methods
from llm_pv.report.page import build_page
from llm_pv.report.records import load_run
from llm_pv.report.text import percent
from llm_pv.runs.cells import Cell
from llm_pv.runs.reading import SUMMARY_COLUMNS, read_summary
from llm_pv.runs.runner import Observer
from llm_pv.tracks.baselines.base import Baseline
from llm_pv.tracks.baselines.results import BaselineResults
from llm_pv.tracks.baselines.run import RowTrials, SettingsTried, run_baselines
from llm_pv.tracks.baselines.search import Choice, choose_settings
from llm_pv.tracks.grid import GridRequest
from rows import parity_splits

pytestmark = pytest.mark.usefixtures("warm_processes")
pytestmark = pytest.mark.usefixtures("warm_processes")
REQUEST = GridRequest(("fn_a", "fn_h"), (20, 50), trials=2, test_size=100)


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start one process a run, where a test is not about there being several."""
    monkeypatch.setattr("llm_pv.tracks.baselines.run.usable_cores", lambda: 1)


class Listener(Observer):
    """Remembers what it heard; stops the run after so many fits."""

    def __init__(self, stop_after: int = 1_000) -> None:
        self.plans: list[tuple[int, int]] = []
        self.cells: list[Cell] = []
        self.jobs = 0
        self.stop_after = stop_after

    def on_plan(self, cells: int, done: int) -> None:
        self.plans.append((cells, done))

    def on_event(self, cell: Cell, event: object) -> None:
        if isinstance(event, SettingsTried):
            self.jobs += event.jobs

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        self.cells.append(cell)
        if len(self.cells) >= self.stop_after:
            raise RunError("the disk is full")


def run(
    out: Path, *models: str, observer: Observer | None = None, **options: Any
) -> BaselineResults:
    return run_baselines(
        options.pop("request", REQUEST), models, out=out / "run", observer=observer, **options
    )


def test_a_run_writes_a_row_and_predictions_for_each_baseline_and_trial(tmp_path: Path) -> None:
    listener = Listener()
    result = run(tmp_path, "decision_tree", "svm", observer=listener)
    rows = read_summary(tmp_path / "run")
    done = [row for row in rows if row["status"] == "done"]
    assert tuple(done[0]) == SUMMARY_COLUMNS
    assert len(done) == 3 * 2 * 2
    assert {row["reason"].split(":")[0] for row in rows if row["status"] == "skipped"} == {
        "dyck2 has no inputs of length 50"
    }
    for row in done:
        assert (row["track"], row["method"]) == ("baselines", row["model"])
        assert float(row["low"]) <= float(row["accuracy"]) <= float(row["high"])
        place = f"{row['function']}-L{row['length']}-paper-{row['model']}-t{row['trial']}.csv"
        with (tmp_path / "run" / "predictions" / place).open(newline="") as file:
            answers = list(csv.DictReader(file))
        assert len(answers) == 100
        right = sum(answer["label"] == answer["prediction"] for answer in answers)
        assert right / 100 == float(row["accuracy"])
    assert listener.plans == [(16, 4)]
    assert listener.jobs > 0
    tree = result.cells[0].models[0]
    assert tree.test_accuracy is not None
    assert tree.test_accuracy.trials == 2
    assert tree.test_accuracy.mean == pytest.approx(
        sum(float(r["accuracy"]) for r in done if r["function"] == "fn_a" and r["length"] == "20"
            and r["model"] == "decision_tree") / 2
    )  # fmt: skip
    assert result.cells[0].majority_test_accuracy is not None
    assert result.cells[0].majority_test_accuracy.mean == 0.5
    assert json.loads(json.dumps(result.record())) == result.record()


def test_a_finished_run_is_read_back_and_other_models_may_be_added(tmp_path: Path) -> None:
    first = run(tmp_path, "decision_tree")
    before = (tmp_path / "run" / "summary.csv").read_text()
    listener = Listener()
    again = run(tmp_path, "decision_tree", observer=listener)
    assert listener.plans == [(8, 8)]
    assert listener.cells == []
    assert again == first
    assert (tmp_path / "run" / "summary.csv").read_text() == before
    listener = Listener()
    run(tmp_path, "decision_tree", "svm", observer=listener)
    assert {cell.model for cell in listener.cells} == {"svm"}
    with pytest.raises(RunError, match="search is"):
        run(tmp_path, "decision_tree", search="grid")


def test_a_run_that_was_stopped_goes_on_where_it_was_left(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="disk is full"):
        run(tmp_path, "decision_tree", observer=Listener(stop_after=2))
    kept = [row for row in read_summary(tmp_path / "run") if row["status"] == "done"]
    assert 2 <= len(kept) < 6
    resumed = run(tmp_path, "decision_tree")
    assert [sum(cell.models[0].statuses.values()) for cell in resumed.cells] == [2] * 4
    assert resumed.count("done") == 6
    rows = read_summary(tmp_path / "run")
    assert all(row in rows for row in kept)


def test_the_number_of_threads_and_the_company_change_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = GridRequest(("fn_c",), (20,), trials=1, test_size=100)
    monkeypatch.setattr("llm_pv.tracks.baselines.run.usable_cores", lambda: 2)
    together = run(tmp_path / "a", "svm", "decision_tree", request=request)
    monkeypatch.setattr("llm_pv.tracks.baselines.run.usable_cores", lambda: 1)
    alone = run(tmp_path / "b", "decision_tree", request=request)
    assert together.cells[0].models[1].settings == alone.cells[0].models[0].settings
    assert together.cells[0].models[1].test_accuracy == alone.cells[0].models[0].test_accuracy


def test_a_data_set_that_cannot_be_had_is_recorded_and_tried_again(tmp_path: Path) -> None:
    request = GridRequest(("fn_g",), (8, 20), trials=1, test_size=100, strict_sizes=True)
    result = run(tmp_path, "decision_tree", "svm", request=request)
    assert result.count("failed") == 2
    assert result.count("done") == 2
    assert "strict sizes forbid" in result.reasons()[0]
    log = (tmp_path / "run" / "runner.log").read_text()
    assert "Traceback" in log
    listener = Listener()
    run(tmp_path, "decision_tree", "svm", request=request, observer=listener)
    assert {cell.length for cell in listener.cells} == {8}


def test_a_fit_that_fails_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(baseline: Baseline, *args: Any, **options: Any) -> Choice:
        if baseline.name == "svm":
            raise ValueError("what a library\nmight raise")
        return choose_settings(baseline, *args, **options)

    monkeypatch.setattr("llm_pv.tracks.baselines.run.choose_settings", choose)
    request = GridRequest(("fn_a",), (20,), trials=1, test_size=100)
    result = run(tmp_path, "svm", "decision_tree", request=request)
    svm, tree = result.cells[0].models
    assert (svm.statuses, svm.reasons) == (
        {"failed": 1},
        ("ValueError: what a library might raise",),
    )
    assert tree.statuses == {"done": 1}


def test_what_cannot_be_used_is_skipped_with_the_reason(tmp_path: Path) -> None:
    request = GridRequest(("fn_a",), (20,), trials=1, test_size=100)
    result = run(tmp_path, "tabpfn", "decision_tree", request=request)
    tabpfn = result.cells[0].models[0]
    assert tabpfn.statuses == {"skipped": 1}
    assert "tabpfn" in tabpfn.reasons[0]


def test_rows_are_split_by_the_seed_first_and_by_spawned_ones_after(tmp_path: Path) -> None:
    seeds = []

    def split(seed: int) -> Splits:
        seeds.append(seed)
        return parity_splits(seed=seed)

    rows = RowTrials("bits.csv", split, trials=3, seed=7)
    result = run_baselines(rows, ["decision_tree"], out=tmp_path / "run")
    assert seeds[0] == 7
    assert len(set(seeds)) == 3
    assert 8 not in seeds
    (cell,) = result.cells
    assert (cell.function, cell.name, cell.length) == ("bits", "bits.csv", "")
    assert [row["seed"] for row in read_summary(tmp_path / "run")]
    other = RowTrials("bits.csv", partial(parity_splits, 20, 30, 39), seed=7)
    with pytest.raises(RunError, match="rows_digest"):
        run_baselines(other, ["svm"], out=tmp_path / "run")
    with pytest.raises(ConfigurationError, match="at least 1"):
        run_baselines(RowTrials("x", split, trials=0), out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_is_planned_is_known_to_a_report_of_a_run_that_was_stopped(tmp_path: Path) -> None:
    request = GridRequest(("fn_a",), (20,), trials=2, test_size=100)
    with pytest.raises(RunError, match="the disk is full"):
        run(tmp_path, "decision_tree", "svm", request=request, observer=Listener(stop_after=1))
    record = load_run(tmp_path / "run")
    assert {t.method for t in record.trials} == {"decision_tree", "svm"}
    assert len(record.trials) == 4
    assert record.unfinished >= 1


def test_a_page_about_one_fit_has_its_figures_settings_and_the_majority(tmp_path: Path) -> None:
    rows = RowTrials("bits.csv", parity_rows)
    result = run_baselines(rows, ["decision_tree"], out=tmp_path / "run")
    tree = result.cells[0].models[0]
    assert tree.test_accuracy is not None
    page = build_page(compare_methods([load_run(tmp_path / "run")]))
    shown = " ".join(page.split())
    assert "decision_tree on bits.csv" in shown
    assert f"Right on {percent(tree.test_accuracy.mean)}% of" in shown
    assert f"max_depth {tree.settings[0]['max_depth']}" in shown
    assert "Majority baseline" in shown
    assert "No program was found" not in shown


def parity_rows(seed: int) -> Splits:
    return parity_splits(seed=seed)
