"""Tables: the raw files' own numbers, and foreign text that stays text."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.programs.shown import visible
from llm_pv.report.comparison import Comparison, compare_methods
from llm_pv.report.records import load_runs
from llm_pv.report.summary import grid_summary, trial_summary
from llm_pv.report.tables import (
    Column,
    Entry,
    ReportTable,
    comparison_table,
    measurements_table,
    methods_table,
    trials_table,
)
from llm_pv.report.text import percent
from llm_pv.report.transfer import shortcuts
from llm_pv.report.transfer_tables import lengths_table, shortcuts_table
from llm_pv.report.write import csv_word, latex_text, to_csv, to_latex
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.reading import read_summary
from report_runs import HOSTILE, many_methods, write_trial


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return many_methods(tmp_path)


@pytest.fixture
def comparison(runs: list[Path]) -> Comparison:
    return compare_methods(load_runs(runs))


def lines(table: ReportTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def test_the_trials_table_has_the_summaries_own_numbers(
    runs: list[Path], comparison: Comparison
) -> None:
    raw = [(r["function"], r["length"], r["accuracy"]) for run in runs for r in read_summary(run)]
    shown = [
        (line["task"].split()[0], line["length"], line["test"])
        for line in lines(trials_table(comparison))
    ]
    assert sorted(shown) == sorted(raw)


def test_means_are_those_of_the_raw_rows(runs: list[Path], comparison: Comparison) -> None:
    rows = [r for r in read_summary(runs[1]) if r["function"] == "fn_g"]
    mean = sum(float(row["accuracy"]) for row in rows) / len(rows)
    (line,) = [
        line
        for line in lines(measurements_table(comparison))
        if line["method"] == "svm" and line["task"].startswith("fn_g")
    ]
    assert float(line["mean"]) == pytest.approx(mean)
    assert (line["source"], line["trials"]) == ("measured", "2")


def test_published_figures_have_columns_of_their_own_and_say_so(comparison: Comparison) -> None:
    table = comparison_table(comparison)
    header = to_csv(table).splitlines()[0].split(",")
    assert "svm" in header
    assert "XGBoost (published)" in header
    latex = to_latex(table)
    assert r"\multicolumn{13}{c}{published}" in latex
    assert r"\textit{82.0}" in latex


def test_the_best_measured_figure_of_a_line_is_bold(comparison: Comparison) -> None:
    table = comparison_table(comparison)
    full_parity = next(row for row in table.rows if row[1].number == 100)
    bold = [
        column.heading
        for column, value in zip(table.columns, full_parity, strict=True)
        if value.best and column.group == "measured"
    ]
    assert bold == ["LLM-PV length-first"]
    assert r"\textbf{100.0 {\scriptsize [99.1, 100.0]}}" in to_latex(table)


def test_programs_that_fail_on_hard_data_are_called_shortcuts(comparison: Comparison) -> None:
    assert {setting.function for setting, _ in shortcuts(comparison)} == {"fn_g"}
    verdicts = {line["task"]: line["verdict"] for line in lines(shortcuts_table(comparison))}
    assert verdicts == {
        "fn_a parity_all": "holds", "fn_g palindrome": "shortcut", "fn_l sha256_parity":
        "not learned",
    }  # fmt: skip


def test_a_shortcut_is_marked_never_bold_and_not_counted_among_the_sound(
    comparison: Comparison,
) -> None:
    table = comparison_table(comparison)
    names = [column.heading for column in table.columns]
    place = names.index("LLM-PV length-first")
    marked = {
        str(row[0].text): (row[place].best, "\u2020" in row[place].detail)
        for row in table.rows
        if row[1].number == 100 and row[3].number == 200
    }
    assert marked["fn_a parity_all"] == (True, False)
    assert marked["fn_g palindrome"] == (False, True)
    assert "\u2020: the programs rest on a shortcut" in table.caption
    (line, *_) = lines(methods_table(comparison))
    assert line["settings at 99% or more"] == "4", "two tasks at two lengths"
    assert line["the same without shortcuts"] == "2"


def test_a_mean_that_lacks_trials_says_so_and_is_never_the_best(tmp_path: Path) -> None:
    for name, figures in (("half", (1.0, 1.0, None, None, None)), ("whole", (0.75,) * 5)):
        with RunDirectory(tmp_path / name, {"command": "agent"}) as run:
            for trial, figure in enumerate(figures):
                row = {"model": name} | ({} if figure is not None else {"status": "nothing found"})
                write_trial(
                    run, Cell("fn_a", 20, "paper", trial), figure,
                    track="agent", method="agent", row=row,
                )  # fmt: skip
    comparison = compare_methods(load_runs([tmp_path / "half", tmp_path / "whole"]))
    table = comparison_table(comparison)
    (entries,) = table.rows
    shown = {column.heading: value for column, value in zip(table.columns, entries, strict=True)}
    assert not shown["Agent half"].best
    assert shown["Agent half"].detail.endswith("; 2 of 5 trials; 3 nothing found")
    assert shown["Agent whole"].best
    assert "A mean that lacks trials" in table.caption
    counts = {
        line["method"]: line["trials with a figure"] for line in lines(methods_table(comparison))
    }
    assert counts == {"Agent half": "2", "Agent whole": "5"}
    texts = [row[-3].text for row in methods_table(comparison).rows]
    assert texts == ["2 of 5", "5 of 5"]
    lead = grid_summary(comparison, comparison.runs).lead
    assert "Agent half has the highest mean test accuracy: 100.0%. That leaves out 3 trials" in lead


def test_what_was_learned_on_hard_data_stands_beside_the_papers(tmp_path: Path) -> None:
    for name, sampler, accuracy in (("a", "paper", 1.0), ("b", "hard", 0.625)):
        with RunDirectory(tmp_path / name, {"command": "synthesize"}) as run:
            write_trial(run, Cell("fn_g", 20, sampler), accuracy, transfer={("hard", 20): 0.5})
    table = shortcuts_table(compare_methods(load_runs([tmp_path / "a", tmp_path / "b"])))
    (line,) = lines(table)
    assert line["learned on hard data"] == "0.625"
    assert line["drop in points"] == "0.5"


def test_other_lengths_are_listed_with_their_figures(comparison: Comparison) -> None:
    found = {
        (line["task"], line["length"], line["other length"]): line["at the other length"]
        for line in lines(lengths_table(comparison))
    }
    assert found["fn_g palindrome", "20", "40"] == "0.94"
    verdicts = {line["task"]: line["verdict"] for line in lines(lengths_table(comparison))}
    assert verdicts == {
        "fn_a parity_all": "holds", "fn_g palindrome": "lost", "fn_l sha256_parity": "not learned",
    }  # fmt: skip
    assert len(found) == 6


def test_methods_are_summed_up_over_the_settings_they_share(comparison: Comparison) -> None:
    line = lines(methods_table(comparison))[0]
    assert line["method"] == "LLM-PV length-first"
    assert float(line["mean over 3 shared settings"]) == pytest.approx((1 + 1 + 0.515) / 3)
    assert line["trials with a figure"] == "12"


def test_the_page_drops_columns_that_are_empty_everywhere() -> None:
    columns = (Column("method", numeric=False), Column("cost"), Column("time"))
    rows = ((Entry("a"), Entry(""), Entry("1 s")), (Entry("b"), Entry(""), Entry("")))
    short = ReportTable("t", "t", "t", columns, rows).without_constants()
    assert [column.heading for column in short.columns] == ["method", "time"]
    assert [[value.text for value in row] for row in short.rows] == [["a", "1 s"], ["b", ""]]


def test_columns_that_say_the_same_everywhere_are_said_once(comparison: Comparison) -> None:
    table = comparison_table(comparison)
    short = table.without_constants()
    assert "sampler" not in [column.heading for column in short.columns]
    assert short.caption.endswith("Everywhere: sampler paper.")
    assert len(short.rows[0]) == len(short.columns)


def test_hostile_words_are_no_formula_and_no_latex(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"command": "learn"}) as run:
        write_trial(run, Cell("=cmd|' /C calc'!A0"), 0.5, row={"name": "", "reason": HOSTILE})
    table = trials_table(compare_methods(load_runs([tmp_path / "run"])))
    (line,) = lines(table)
    assert line["task"] == "'=cmd|' /C calc'!A0"
    assert "\u202e" not in to_csv(table)
    assert "\\u202e" in line["reason"]
    body = to_latex(table).split(r"\midrule")[1]
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}" in body


@given(st.text())
def test_no_text_is_read_as_a_formula_or_breaks_a_line(text: str) -> None:
    word = csv_word(text)
    assert not word.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert "\n" not in word
    assert visible(word, 4_000) == word


@given(st.text())
def test_latex_is_left_no_active_character(text: str) -> None:
    bare = re.sub(
        r"\\(textbackslash|textasciicircum|textasciitilde|textless|textgreater|textbar|"
        r"ldots)\{\}|\\[{}$&#%_]",
        "",
        latex_text(text),
    )
    assert not set(bare) & set('\\{}$&#%_^~<>|"')


@given(st.floats(0, 1))
def test_only_certainty_reads_as_certainty(share: float) -> None:
    assert (percent(share) == "100.0") == (share == 1)
    assert (percent(share) == "0.0") == (share == 0)


def test_a_row_that_begins_with_a_bracket_or_a_star_is_no_option_of_the_line_before() -> None:
    columns = (Column("[a]", numeric=False),) + (Column("b"),) * 10
    rows = tuple((Entry(text),) + (Entry("-"),) * 10 for text in ("[x]", "*x", "x"))
    table = ReportTable("t", "t", "t", columns, rows)
    lines = to_latex(table).splitlines()
    assert [line.split(" & ")[0] for line in lines if " & " in line] == [
        "{}[a]", "{}[x]", "{}*x", "x",
    ]  # fmt: skip
    assert r"\resizebox{\textwidth}{!}{%" in lines
    assert lines[-1] == "}"
    assert latex_text('"') == "''"
    assert to_csv(table).splitlines()[3] == "x" + "," * 10


@pytest.mark.parametrize("track", ["icl", "finetune"])
def test_runs_without_programs_show_the_majority_baseline(track: str, tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"command": track}) as run:
        for trial, majority in enumerate((0.5, 0.75)):
            row = {"model": "m", "majority_accuracy": majority}
            cell = Cell("fn_a", 20, "paper", trial)
            write_trial(run, cell, 0.875, track=track, method=track, row=row)
    comparison = compare_methods(load_runs([tmp_path / "run"]))
    (line,) = lines(comparison_table(comparison))
    assert float(line["majority baseline"]) == pytest.approx(0.625)
    (known,) = [f for f in grid_summary(comparison, comparison.runs).facts if "baseline" in f.label]
    assert known.value == "62.5%"
    alone = trial_summary(comparison.runs[0].trials[1])
    assert "Always answering the majority class is right on 75.0%." in alone.lead


def test_a_sum_of_costs_one_of_which_is_unknown_is_unknown(tmp_path: Path) -> None:
    for name, cost in (("known", 0.5), ("unknown", None)):
        with RunDirectory(tmp_path / name, {"command": "agent"}) as run:
            for trial, paid in enumerate((0.25, cost)):
                row = {"model": name, "cost_usd": paid}
                cell = Cell("fn_a", 20, "paper", trial)
                write_trial(run, cell, 1.0, track="agent", method="agent", row=row)
    comparison = compare_methods(load_runs([tmp_path / "known", tmp_path / "unknown"]))
    costs = {
        line["method"]: line["cost of all trials"] for line in lines(methods_table(comparison))
    }
    assert costs == {"Agent known": "0.75", "Agent unknown": ""}
