"""Figures of a run in an experiment tracker."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from llm_pv.cli.main import complain, run
from llm_pv.report.trackers import TrackingObserver
from llm_pv.runs.cells import Cell
from llm_pv.runs.runner import Observer
from rows import ALWAYS_ONE, PARITY


class Recording:
    """A tracker that remembers, or fails at the first figure."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.seen: list[tuple[int, dict[str, float]]] = []

    def parameters(self, values: Mapping[str, str]) -> None:
        raise AssertionError(values)

    def figures(self, values: Mapping[str, float], step: int) -> None:
        if self.broken:
            raise ConnectionError("no server\nanswers")
        self.seen.append((step, dict(values)))

    def file(self, path: Path) -> None:
        raise AssertionError(path)

    def close(self) -> None:
        """Do nothing."""


class Counting(Observer):
    ended = 0

    def on_end(self, cell: Cell, row: Mapping[str, str]) -> None:
        self.ended += 1


def row(**figures: str) -> dict[str, str]:
    place = dict.fromkeys(("function", "length", "sampler", "trial", "method", "model"), "")
    return place | figures


def test_each_cell_is_tracked_once_under_its_name_by_trial() -> None:
    tracker, shown = Recording(), Counting()
    observer = TrackingObserver(tracker, shown, complain)
    for _ in range(2):
        observer.on_end(Cell("fn_a", 50, "paper", 1), row(trial="1", accuracy="0.9", cost_usd=""))
    assert tracker.seen == [(1, {"fn_a-L50-paper/accuracy": 0.9})]
    assert shown.ended == 2


def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Counting()
    observer = TrackingObserver(Recording(broken=True), shown, complain)
    for trial in range(3):
        observer.on_end(Cell("fn_a", trial=trial), row(trial=str(trial), accuracy="1"))
    assert shown.ended == 3
    error = capsys.readouterr().err
    assert error.count("no more figures are sent (ConnectionError: no server answers)") == 1


def test_a_tracker_that_is_not_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("llm_pv.report.trackers.find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)
    words = "".join(f"{n:04b} -> {n % 2}\n" for n in range(16))
    (tmp_path / "rows.txt").write_text(words)
    assert run(["learn", "rows.txt", "--out", "run", "--track", "wandb"]) == 2
    assert "pip install wandb" in capsys.readouterr().err


def test_learn_sends_attempts_result_configuration_and_program_to_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    words = [f"{number:06b}" for number in range(64)]
    lines = [f"{word} -> {word.count('1') % 2}\n" for word in words]
    (tmp_path / "rows.txt").write_text("".join(lines))
    (tmp_path / "replies").mkdir()
    (tmp_path / "replies" / "1.py").write_text(ALWAYS_ONE)
    (tmp_path / "replies" / "2.py").write_text(PARITY)
    options = ["--proposer", "replay:replies", "--out", "run", "--track", "mlflow"]
    assert run(["learn", "rows.txt", *options]) == 0
    client = mlflow.MlflowClient()
    (tracked,) = client.search_runs(["0"])
    assert tracked.info.run_name == "run"
    assert tracked.data.params["planned_attempts"] == "2"
    assert tracked.data.metrics["accuracy"] == 1.0
    history = client.get_metric_history(tracked.info.run_id, "attempt_train_accuracy")
    assert [metric.step for metric in history] == [1, 2]
    assert history[1].value == 1.0
    assert [file.path for file in client.list_artifacts(tracked.info.run_id)] == ["rows-t0.py"]
