"""Two runs compared: counted by hand, paired only on the same rows."""

from pathlib import Path

import pytest
from scipy.stats import binom

from llm_pv.errors import ConfigurationError, RunError
from llm_pv.report.pairing import compare_runs
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.stats import holm, mcnemar, wilcoxon
from llm_pv.tasks.loading import load_task
from report_runs import grid_configuration, many_methods, write_predictions, write_trial


def grid(path: Path, accuracies: dict[tuple[str, int], float], **more: object) -> Path:
    """Write a run with these accuracies on 200 test rows by task and trial."""
    rows = int(str(more.pop("rows", 200)))
    functions = list(dict.fromkeys(function for function, _ in accuracies))
    with RunDirectory(path, grid_configuration(functions, [20], 2, **more)) as run:
        for (function, trial), accuracy in accuracies.items():
            seed = more.get("seed", 42)
            cell = Cell(function, 20, "paper", trial)
            write_trial(run, cell, accuracy, rows=rows, row={"seed": seed})
    return path


def test_mcnemar_counts_the_rows_that_one_of_them_alone_got_right(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for path, right, first in ((a, 190, True), (b, 185, False)):
        with RunDirectory(path, grid_configuration(["fn_a"], [20], 1)) as run:
            cell = Cell("fn_a", 20, "paper")
            write_trial(run, cell, right / 200)
            write_predictions(run, cell, right=right, rows=200, wrong_first=first)
    pair = compare_runs(a, b)
    (cell_pair,) = pair.cells
    # a is wrong on the first 10 rows, b on the last 15.
    assert (cell_pair.only_a, cell_pair.only_b) == (15, 10)
    assert cell_pair.difference == pytest.approx(-0.025)
    assert cell_pair.p_value == pytest.approx(2 * binom.cdf(10, 25, 0.5))


def test_every_trial_is_shown_and_none_is_picked(tmp_path: Path) -> None:
    a = grid(tmp_path / "a", {("fn_a", 0): 0.5, ("fn_a", 1): 0.6})
    b = grid(tmp_path / "b", {("fn_a", 0): 0.7, ("fn_a", 1): 0.5})
    (cell,) = compare_runs(a, b).cells
    assert [trial.difference for trial in cell.trials] == pytest.approx([0.2, -0.1])
    assert cell.difference == pytest.approx(0.05)
    assert (cell.only_a, cell.only_b) == (20, 40)


def test_a_shorter_test_split_is_the_beginning_of_a_longer_one(tmp_path: Path) -> None:
    a = grid(tmp_path / "a", {("fn_a", 0): 0.5})
    b = grid(tmp_path / "b", {("fn_a", 0): 1.0}, rows=50, test_size=50)
    trial = compare_runs(a, b).cells[0].trials[0]
    assert (trial.rows, trial.accuracy_a, trial.accuracy_b) == (50, 0.0, 1.0)


@pytest.mark.parametrize("function", ["fn_a", "fn_g"])
def test_the_benchmark_does_draw_a_shorter_test_split_as_a_beginning(function: str) -> None:
    longer = load_task(function, length=20, train_size=100, test_size=400)
    shorter = load_task(function, length=20, train_size=40, test_size=60)
    assert list(shorter.test.inputs) == list(longer.test.inputs)[:60]


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"seed": 7}, "seed is 42 in a and 7 in b"), ({"raw_tables": True}, "raw tables")],
)
def test_other_test_rows_are_not_paired(
    tmp_path: Path, more: dict[str, object], reason: str
) -> None:
    a = grid(tmp_path / "a", {("fn_a", 0): 0.5})
    pair = compare_runs(a, grid(tmp_path / "b", {("fn_a", 0): 0.7}, **more))
    assert reason in pair.cells[0].trials[0].reason
    assert pair.compared == ()
    assert pair.cells[0].p_value is None
    assert pair.wilcoxon is None


def test_user_rows_are_paired_by_the_digest_of_the_rows(tmp_path: Path) -> None:
    paths = []
    for name, digest in (("a", "1" * 64), ("b", "1" * 64), ("c", "2" * 64), ("d", "")):
        paths.append(tmp_path / name)
        rows = {"rows_digest": digest} if digest else {}
        with RunDirectory(paths[-1], {"command": "learn", "seed": 0} | rows) as run:
            write_trial(run, Cell("rows"), 0.9)
    assert compare_runs(paths[0], paths[1]).cells[0].paired
    assert "digest of the rows" in compare_runs(paths[0], paths[2]).cells[0].trials[0].reason
    assert "the records do not show" in compare_runs(paths[0], paths[3]).cells[0].trials[0].reason


def test_labels_that_differ_are_other_rows(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for path, labels in ((a, ("0", "1")), (b, ("1", "0"))):
        with RunDirectory(path, grid_configuration(["fn_a"], [20], 1)) as run:
            write_trial(run, Cell("fn_a", 20, "paper"), 0.9, labels=labels)
    assert "labels" in compare_runs(a, b).cells[0].trials[0].reason


def test_a_trial_without_predictions_or_figure_says_so(tmp_path: Path) -> None:
    a = grid(tmp_path / "a", {("fn_a", 0): 0.5, ("fn_a", 1): 0.5})
    with RunDirectory(tmp_path / "b", grid_configuration(["fn_a"], [20], 2)) as run:
        write_trial(run, Cell("fn_a", 20, "paper", 0), None, row={"status": "failed"})
        write_trial(run, Cell("fn_a", 20, "paper", 1), 0.5)
    for path in (tmp_path / "b" / "predictions").iterdir():
        path.unlink()
    trials = compare_runs(a, tmp_path / "b").cells[0].trials
    assert [trial.reason for trial in trials] == ["b: failed", "b holds no predictions of it"]


def test_runs_without_a_common_cell_or_with_themselves_are_refused(tmp_path: Path) -> None:
    a = grid(tmp_path / "a", {("fn_a", 0): 0.5})
    b = grid(tmp_path / "b", {("fn_c", 0): 0.5})
    with pytest.raises(RunError, match="no cell in common"):
        compare_runs(a, b)
    with pytest.raises(ConfigurationError, match="compared with itself"):
        compare_runs(a, a)


def test_a_run_of_several_methods_needs_one_named(tmp_path: Path) -> None:
    pv = many_methods(tmp_path)[0]
    path = tmp_path / "many"
    with RunDirectory(path, grid_configuration(["fn_a"], [100], 2)) as run:
        for method, right in (("svm", 0.5), ("forest", 0.7)):
            for trial in (0, 1):
                cell = Cell("fn_a", 100, "paper", trial, method, method)
                write_trial(run, cell, right, track="baselines", method=method)
    with pytest.raises(ConfigurationError, match="--method-b: forest, svm"):
        compare_runs(pv, path)
    with pytest.raises(ConfigurationError, match="'knn'"):
        compare_runs(pv, path, method_b="knn")
    pair = compare_runs(pv, path, method_b="forest")
    assert pair.cells[0].accuracy_b == pytest.approx(0.7)
    assert compare_runs(path, path, "svm", "forest").cells[0].difference == pytest.approx(0.2)


def test_holm_multiplies_the_smallest_most_and_never_goes_down() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, 0.001]) == pytest.approx([0.9, 0.002])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_wilcoxon_of_differences_that_all_point_one_way_is_as_small_as_it_can_be() -> None:
    assert wilcoxon([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(2 / 2**5)
    assert wilcoxon([]) is None


def test_mcnemar_of_predictors_that_never_differ_is_1() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 10) == pytest.approx(2 / 2**10)


def test_every_trial_is_held_to_its_own_digest_and_learn_pairs_with_baselines(
    tmp_path: Path,
) -> None:
    own = {"learn": "1" * 64, "a": ["1" * 64, "2" * 64], "b": ["1" * 64, "3" * 64]}
    for name, digest in own.items():
        command = "learn" if name == "learn" else "baselines"
        with RunDirectory(tmp_path / name, {"command": command, "rows_digest": digest}) as run:
            for trial in (1, 0) if command == "baselines" else (0,):
                method = {"method": "svm", "model": "svm"} if command == "baselines" else {}
                write_trial(
                    run,
                    Cell("rows", trial=trial, **method),
                    0.9,
                    track="llm-pv" if command == "learn" else "icl",
                    row=method,
                )
    assert compare_runs(tmp_path / "learn", tmp_path / "a").cells[0].paired
    trials = compare_runs(tmp_path / "a", tmp_path / "b").cells[0].trials
    assert [(t.trial, "digest of the rows" in t.reason) for t in trials] == [(1, False), (2, True)]
