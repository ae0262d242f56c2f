"""Trials taken together: means, limits, and what may stand on one line."""

import math
from pathlib import Path

import pytest
from scipy.stats import binomtest

from llm_pv.report.charts import COLOURS, shape_of
from llm_pv.report.comparison import Comparison, compare_methods, estimate
from llm_pv.report.records import load_runs
from llm_pv.report.summary import grid_summary
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from report_runs import grid_configuration, many_methods, write_trial


def compared(*paths: Path) -> Comparison:
    return compare_methods(load_runs(paths))


def one_trial(path: Path, accuracy: float, **row: object) -> Path:
    with RunDirectory(path, {"command": "synthesize"}) as run:
        write_trial(run, Cell("fn_a", 100, "paper"), accuracy, row=row)
    return path


def test_limits_of_one_trial_are_the_exact_binomial_ones() -> None:
    found = estimate([(0.95, 200)])
    assert found is not None
    exact = binomtest(190, 200).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert (found.mean, found.deviation, found.trials) == (0.95, None, 1)


def test_limits_of_trials_that_differ_are_those_of_students_t() -> None:
    found = estimate([(0.5, 10_000), (0.7, 10_000), (0.6, 10_000)])
    assert found is not None
    half = 4.302653 * 0.1 / math.sqrt(3)  # t of 2 degrees of freedom at 97.5%, from a table
    assert found.deviation == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-6)


def test_limits_of_trials_that_agree_do_not_shrink_to_nothing() -> None:
    found = estimate([(1.0, 100), (1.0, 100)])
    assert found is not None
    assert found.low == pytest.approx(0.025 ** (1 / 200))
    assert found.high == 1.0


def test_limits_stay_between_0_and_1_and_are_left_out_without_rows() -> None:
    wide = estimate([(0.1, 100), (0.9, 100)])
    assert wide is not None
    assert (wide.low, wide.high) == (0.0, 1.0)
    unknown = estimate([(0.5, None)])
    assert unknown is not None
    assert unknown.low is None
    assert estimate([]) is None


def test_methods_with_as_many_labelled_rows_stand_on_one_line(tmp_path: Path) -> None:
    comparison = compared(*many_methods(tmp_path))
    line = [s for s in comparison.settings if (s.function, s.labelled) == ("fn_a", 200)]
    assert [setting.length for setting in line] == [20, 100]
    assert comparison.methods == (
        "LLM-PV length-first", "svm", "ICL Qwen3-30B-A3B-Instruct", "Fine-tune qwen1.7B",
    )  # fmt: skip
    assert all((line[1], method) in comparison.cells for method in comparison.methods)
    assert set(comparison.best(line[1])) == {"LLM-PV length-first"}


def test_programs_of_a_language_model_are_named_by_the_model(tmp_path: Path) -> None:
    path = one_trial(tmp_path / "a", 0.5, method="llm", model="openai:gpt-5.4")
    assert compared(path).methods == ("LLM-PV openai:gpt-5.4",)


def test_published_figures_stand_only_beside_settings_like_theirs(tmp_path: Path) -> None:
    comparison = compared(*many_methods(tmp_path))
    beside = {(s.function, s.length, s.labelled) for s in comparison.published}
    assert beside == {("fn_a", 100, 200), ("fn_g", 100, 200), ("fn_l", 100, 200)}
    full_parity = next(f for s, f in comparison.published.items() if s.function == "fn_a")
    assert full_parity["ICL-GPT-5"] == 0.82


def test_two_runs_of_one_setting_and_method_get_columns_of_their_own(tmp_path: Path) -> None:
    first, second = one_trial(tmp_path / "a", 0.5), one_trial(tmp_path / "b", 0.9)
    comparison = compared(first, second)
    assert comparison.methods == ("LLM-PV length-first (a)", "LLM-PV length-first (b)")


def test_runs_of_different_settings_share_a_column(tmp_path: Path) -> None:
    first = one_trial(tmp_path / "a", 0.5)
    second = one_trial(tmp_path / "b", 0.9, train_size=300)
    comparison = compared(first, second)
    assert comparison.methods == ("LLM-PV length-first",)
    assert [setting.labelled for setting in comparison.settings] == [200, 400]


def test_equal_bests_are_all_best(tmp_path: Path) -> None:
    comparison = compared(one_trial(tmp_path / "a", 0.5), one_trial(tmp_path / "b", 0.5))
    assert comparison.best(comparison.settings[0]) == set(comparison.methods)


def test_a_failed_trial_without_sizes_stands_on_its_runs_line(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"command": "finetune"}) as run:
        write_trial(run, Cell("fn_a", 100, "paper", 0), 0.5)
        sizes = dict.fromkeys(("train_size", "validation_size", "test_size"), "")
        write_trial(
            run,
            Cell("fn_a", 100, "paper", 1),
            None,
            row=sizes | {"status": "failed", "reason": "out of memory"},
        )
    comparison = compared(tmp_path / "run")
    (cell,) = comparison.cells.values()
    assert (cell.open, len(cell.trials)) == ({"failed": 1}, 2)


def test_limits_of_trials_on_shared_rows_are_no_narrower_than_those_of_one() -> None:
    found = estimate([(1.0, 100)] * 5, shared_rows=True)
    assert found is not None
    assert found.low == pytest.approx(0.025 ** (1 / 100))


@pytest.mark.parametrize(("same_data", "rows"), [(True, 200), (False, 400)])
def test_trials_on_one_data_set_count_its_rows_once(
    tmp_path: Path, same_data: bool, rows: int
) -> None:
    configuration = grid_configuration(["fn_a"], [20], 2, same_data=same_data)
    with RunDirectory(tmp_path / "run", configuration) as run:
        for trial in (0, 1):
            write_trial(run, Cell("fn_a", 20, "paper", trial), 1.0)
    (cell,) = compared(tmp_path / "run").cells.values()
    assert cell.test is not None
    assert cell.test.low == pytest.approx(0.025 ** (1 / rows))


def test_rows_of_one_name_with_other_digests_are_settings_of_their_own(tmp_path: Path) -> None:
    for name, digest in (("a", "1" * 64), ("b", "2" * 64), ("c", "1" * 64)):
        with RunDirectory(tmp_path / name, {"command": "learn", "rows_digest": digest}) as run:
            write_trial(run, Cell("rows"), 0.5, method=name)
    comparison = compared(*(tmp_path / name for name in "abc"))
    assert [setting.title for setting in comparison.settings] == [
        "rows (rows 11111111)", "rows (rows 22222222)",
    ]  # fmt: skip
    assert comparison.best(comparison.settings[1]) == {"LLM-PV b"}
    same = compared(tmp_path / "a", tmp_path / "c")
    assert [setting.title for setting in same.settings] == ["rows"]


def test_methods_without_any_figure_do_not_empty_what_the_others_share(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"command": "icl"}) as run:
        for model, accuracy in (("a", 0.5), ("b", 0.75), ("none", None)):
            cell = Cell("fn_a", 20, "paper", 0, "icl", model)
            status = {} if accuracy is not None else {"status": "skipped"}
            row = {"model": model} | status
            write_trial(run, cell, accuracy, track="icl", method="icl", row=row)
    comparison = compared(tmp_path / "run")
    assert len(comparison.methods) == 3
    assert comparison.shared == comparison.settings
    summary = grid_summary(comparison, comparison.runs)
    assert summary.headline == "2 methods on 1 setting"
    assert "ICL b has the highest mean test accuracy: 75.0%" in summary.lead


def test_a_trial_that_was_skipped_makes_no_column_of_its_own(tmp_path: Path) -> None:
    first = one_trial(tmp_path / "a", 0.5)
    with RunDirectory(tmp_path / "b", {"command": "synthesize"}) as run:
        write_trial(run, Cell("fn_a", 100, "paper"), None, row={"status": "skipped"})
    assert compared(first, tmp_path / "b").methods == ("LLM-PV length-first",)


def test_the_first_32_series_differ_in_colour_or_shape() -> None:
    assert len({(n % len(COLOURS), shape_of(n)) for n in range(32)}) == 32


def test_a_method_without_any_figure_does_not_lead(tmp_path: Path) -> None:
    for method, accuracy in (("tabpfn", None), ("svm", 0.5)):
        row = {} if accuracy else {"status": "skipped", "reason": "it is not installed"}
        with RunDirectory(tmp_path / method, {"command": "baselines"}) as run:
            cell = Cell("fn_a", 20, "paper")
            write_trial(run, cell, accuracy, track="baselines", method=method, row=row)
    assert compared(tmp_path / "tabpfn", tmp_path / "svm").methods == ("svm", "tabpfn")
