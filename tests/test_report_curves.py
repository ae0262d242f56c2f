"""Curves of a grid, held against the raw files by other code and against numbers worked by hand."""

import math
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

from llm_pv.report.charts import Figure, Panel
from llm_pv.report.comparison import Comparison, compare_methods
from llm_pv.report.curves import attempts_needed, dynamics, training_size, validation_size
from llm_pv.report.effort_tables import attempts_table, effort_table
from llm_pv.report.figures import length_generalisation
from llm_pv.report.page import build_page
from llm_pv.report.records import load_runs
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.job_folder import JobFolder
from llm_pv.runs.reading import find_runs
from report_runs import PARITY, grid_configuration, write_trial

VALIDATIONS = ((0.5, 1.0, 0.75, 0.5), (1.0, 0.5, 1.0, None))
"""What validation said of the four attempts of two trials; the last has no program."""


def model_run(
    path: Path,
    train: int,
    validation: int,
    accuracies: tuple[float, float],
    *,
    function: str = "fn_a",
    length: int = 100,
) -> Path:
    sizes = {"train_size": train, "validation_size": validation}
    configuration = grid_configuration([function], [length], 2, **sizes)
    configuration |= {"early_stop": False, "proposer": "gpt; tool=none; prompt=2"}
    with RunDirectory(path, configuration) as run:
        for trial, (accuracy, said) in enumerate(zip(accuracies, VALIDATIONS, strict=True)):
            attempts = [{"validation_accuracy": value, "input_tokens": 900, "output_tokens": 100,
                         "cost_usd": 0.5} for value in said]  # fmt: skip
            row = {**sizes, "name": "parity_all", "cost_usd": 2.0, "learn_seconds": 12.0,
                   "test_seconds": 4.0, "model": "gpt"}  # fmt: skip
            cell = Cell(function, length, "paper", trial)
            write_trial(run, cell, accuracy, method="llm", attempts=attempts, row=row,
                        transfer={("paper", 2 * length): 0.75})  # fmt: skip
    return path


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        model_run(tmp_path / "train20", 20, 100, (0.5, 0.7)),
        model_run(tmp_path / "train1000", 1000, 100, (1.0, 1.0)),
        model_run(tmp_path / "val50", 1000, 50, (1.0, 0.9)),
    ]


@pytest.fixture
def comparison(runs: list[Path]) -> Comparison:
    return compare_methods(load_runs(runs))


def panel_of(figure: Figure) -> Panel:
    (panel,) = figure.panels
    assert isinstance(panel, Panel)
    return panel


def test_accuracy_by_rows_is_the_mean_of_the_raw_rows(
    runs: list[Path], comparison: Comparison
) -> None:
    rows = pd.concat(pd.read_csv(run / "summary.csv") for run in runs)
    for figure, varied, other in (
        (training_size(comparison), "train_size", ("validation_size", 100)),
        (validation_size(comparison), "validation_size", ("train_size", 1000)),
    ):
        line = panel_of(figure).series[0]
        means = rows[rows[other[0]] == other[1]].groupby(varied)["accuracy"].mean()
        assert [point.x for point in line.points] == list(means.index)
        assert [point.y for point in line.points] == pytest.approx(list(means))
    assert [point.y for point in panel_of(training_size(comparison)).series[0].points] == [0.6, 1.0]


def test_the_classical_guarantee_is_that_of_the_program_s_length(comparison: Comparison) -> None:
    length = len(PARITY)
    guarantee = panel_of(training_size(comparison)).series[1]
    assert guarantee.label == f"guaranteed to a search of all programs of {length} characters"
    assert guarantee.reference
    error = (length * math.log(128) + math.log(2 * length * length / 0.05)) / 1000
    assert [point.y for point in guarantee.points] == [0.0, pytest.approx(1 - error)]


def test_published_curves_are_beside_those_measured_and_named_so(
    tmp_path: Path, comparison: Comparison
) -> None:
    # The published scaling has fn_f, fn_j and fn_k; fn_a has no curve.
    assert not any("published" in s.label for s in panel_of(training_size(comparison)).series)
    paths = [
        model_run(tmp_path / f"rows{rows}", rows, 100, (1.0, 1.0), function="fn_k")
        for rows in (10, 1000)
    ]
    series = panel_of(training_size(compare_methods(load_runs(paths)))).series
    lines = {line.label: line for line in series if line.reference}
    published = lines["published: LLM-PV, test rows"]
    assert [(p.x, p.y) for p in published.points] == [(10, 0.505), (100, 1.0), (200, 1.0)]
    run = model_run(tmp_path / "ten", 20, 100, (1.0, 1.0), function="fn_g", length=10)
    figure = length_generalisation(compare_methods(load_runs([run])))
    own, *others = panel_of(figure).series
    assert [(p.x, p.y) for p in own.points] == [(10, 1.0), (20, 0.75)]
    assert [line.label for line in others] == [
        "published: SGD from scratch", "published: fine-tuned", "published: LLM-PV",
    ]  # fmt: skip
    assert [label for label, _ in figure.legend][1:] == [line.label for line in others]


def test_splits_of_as_many_rows_are_lines_of_their_own(tmp_path: Path) -> None:
    paths = [model_run(tmp_path / f"r{n}", n, 70 - n, (1.0, 1.0)) for n in (20, 50)]
    comparison = compare_methods(load_runs(paths))
    assert [(s.labelled, s.split) for s in comparison.settings] == [
        (70, "20 + 50"), (70, "50 + 20"),
    ]  # fmt: skip
    assert comparison.methods == ("LLM-PV gpt",)


def test_success_by_attempts_is_the_share_of_all_choices_of_attempts(
    runs: list[Path], comparison: Comparison
) -> None:
    figure = attempts_needed(comparison)
    assert len(figure.panels) == 3
    table = pd.read_csv(runs[0] / "results_attempts.csv")
    tried = table[table["kind"] == "attempt"].groupby("trial")["validation_accuracy"]
    values = [group.fillna(0.0).tolist() for _, group in tried]
    panel = figure.panels[0]
    assert isinstance(panel, Panel)
    success, best = panel.series
    for k in range(1, 5):
        picks = [list(combinations(group, k)) for group in values]
        chance = sum(sum(max(p) == 1.0 for p in some) / len(some) for some in picks) / 2
        expected = sum(sum(map(max, some)) / len(some) for some in picks) / 2
        assert success.points[k - 1].y == pytest.approx(chance)
        assert best.points[k - 1].y == pytest.approx(expected)
    assert [line.label for line in panel.series] == [comparison.methods[0]] * 2
    # By hand: one of four and two of four at k = 1; at k = 2, 1/2 and 1 - 1/6.
    assert [point.y for point in success.points[:2]] == [0.375, pytest.approx(2 / 3)]


def test_the_chance_of_one_attempt_has_exact_limits(comparison: Comparison) -> None:
    row, lenient = attempts_table(comparison).rows[:2]
    headings = [column.heading for column in attempts_table(comparison).columns]
    shown = dict(zip(headings, row, strict=True))
    assert (shown["attempts"].number, shown["good attempts"].number) == (8, 3)
    assert [value.number for value in lenient[5:9]] == [0.05, 2, 8, 3], (
        "none errs on 1 to 5 percent"
    )
    assert shown["chance p"].number == 0.375
    # Clopper and Pearson's limits of 3 of 8, from a published table.
    assert shown["p from"].number == pytest.approx(0.0852, abs=1e-4)
    assert shown["p to"].number == pytest.approx(0.7551, abs=1e-4)
    assert shown["1 / p"].text == "2.7"


def test_time_tokens_and_dollars_are_over_rows_and_solved_trials(comparison: Comparison) -> None:
    (row,) = effort_table(comparison).rows
    # Six trials of 12 s, on 2 * 120 + 2 * 1100 + 2 * 1050 rows; 4 s on 200 test rows each. Three
    # are solved, at 4,000 tokens and 2 dollars for every trial.
    assert row[1].number == pytest.approx(72 / 4540)
    assert row[2].number == pytest.approx(24 / 1200)
    assert (row[3].text, row[4].number, row[5].number) == ("3 of 6", 8000, 4.0)


def test_runs_that_stop_early_have_no_curve_of_attempts(tmp_path: Path) -> None:
    run = model_run(tmp_path / "run", 20, 100, (1.0, 1.0))
    header = (run / "run.json").read_text()
    (run / "run.json").write_text(header.replace('"early_stop": false', '"early_stop": true'))
    assert attempts_needed(compare_methods(load_runs([run]))).panels == ()


def test_wordings_tell_the_columns_of_one_model_apart(tmp_path: Path) -> None:
    paths = [model_run(tmp_path / name, 20, 100, (1.0, 1.0)) for name in ("one", "two")]
    header = (paths[1] / "run.json").read_text()
    (paths[1] / "run.json").write_text(header.replace("prompt=2", "prompt=4"))
    comparison = compare_methods(load_runs(paths))
    assert comparison.methods == ("LLM-PV gpt (wording 2)", "LLM-PV gpt (wording 4)")
    assert "LLM-PV gpt (wording 4)" in build_page(comparison)
    figure = attempts_needed(comparison)
    (panel,) = figure.panels
    assert isinstance(panel, Panel)
    assert [(line.label, line.kind) for line in panel.series] == [
        (method, kind) for method in comparison.methods for kind in ("line", "steps")
    ]
    assert [label for label, _ in figure.legend] == list(comparison.methods)


def test_training_is_shown_by_step_over_seeds(tmp_path: Path) -> None:
    paths = []
    for trial, (first, last) in enumerate(((0.5, 0.8), (0.7, 1.0))):
        path = tmp_path / f"t{trial}"
        configuration = {"command": "finetune", "model": "tiny", "trial": trial, "seed": 42}
        with RunDirectory(path, configuration) as run:
            JobFolder(path).write_metrics(
                {"evaluations": [
                    {"step": step, "train_accuracy": accuracy, "test_accuracy": 0.5,
                     "train_loss": 1.5 - accuracy, "test_loss": 0.7, "epoch": 1}
                    for step, accuracy in ((10, first), (20, last))
                ]}
            )  # fmt: skip
            cell, row = Cell("fn_a", 100, "paper", trial), {"model": "tiny", "validation_size": 0}
            write_trial(run, cell, last, track="finetune", method="from-scratch", row=row)
        paths.append(path)
    assert find_runs([tmp_path]) == paths, "a folder, such as a sweep's, is all runs in it"
    comparison = compare_methods(load_runs(find_runs([tmp_path])))
    assert comparison.methods == ("Fine-tune from-scratch tiny",), "jobs of a sweep are trials"
    accuracy, loss = dynamics(comparison).panels
    assert isinstance(accuracy, Panel)
    assert isinstance(loss, Panel)
    assert [(p.x, p.y) for p in accuracy.series[0].points] == [(10, 0.6), (20, 0.9)]
    assert [p.y for p in loss.series[0].points] == [pytest.approx(0.9), pytest.approx(0.6)]
    assert (loss.unit, loss.floor) == ("loss", 0.0)
    assert "from-scratch tiny, fn_a L=100, paper, 100 labelled rows, 2 seeds: loss" in build_page(
        comparison
    )
