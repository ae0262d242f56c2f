"""``llm-pv compare`` as a user meets it."""

import json
import re
from pathlib import Path

import pytest

from llm_pv.cli.main import run
from report_runs import many_methods


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [str(path) for path in many_methods(tmp_path)]


def shown_words(capfd: pytest.CaptureFixture[str]) -> str:
    return re.sub(r"\s+", " ", capfd.readouterr().out)


def test_the_table_has_every_cell_and_warns_of_many_tests(
    runs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", runs[0], runs[1]]) == 0
    shown = shown_words(capfd)
    for text in (
        "a = pv: LLM-PV length-first", "b = svm: svm", "fn_a L=100", "<0.0001",
        "3 cells are tested: at the 5% level about 0.2 would seem to differ by chance alone",
        "Wilcoxon's signed-rank test across cells: p = ", "so few cannot go below 0.25",
        "6 trials are in one run alone",
    ):  # fmt: skip
        assert text in shown, text


def test_json_has_every_trial(runs: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", runs[0], runs[1], "--format", "json"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert [len(cell["trials"]) for cell in record["cells"]] == [2, 2, 2]
    first = record["cells"][0]["trials"][0]
    assert first["only_a_right"] - first["only_b_right"] == pytest.approx(
        first["rows"] * (first["accuracy_a"] - first["accuracy_b"])
    )
    assert record["cells"][0]["mcnemar_p_holm"] >= record["cells"][0]["mcnemar_p"]


def test_cells_that_do_not_differ_are_said_not_to(
    runs: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "again").mkdir()
    again = many_methods(tmp_path / "again")[1]
    assert run(["compare", runs[1], str(again)]) == 0
    assert "Wilcoxon's test across cells: no cell differs." in shown_words(capfd)


def test_rows_that_are_not_the_same_are_not_compared(
    runs: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = many_methods(tmp_path / "other")[1]
    summary = other / "summary.csv"
    summary.write_text(summary.read_text().replace(",42,", ",43,"))
    assert run(["compare", runs[1], str(other)]) == 1
    shown = shown_words(capfd)
    assert "Not paired (fn_a-L100-paper 1, fn_a-L100-paper 2" in shown
    assert "seed is 42 in a and 43 in b" in shown


def test_what_cannot_be_compared_is_one_line(
    runs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", runs[0], "nowhere"]) == 2
    shown = capfd.readouterr()
    assert (
        shown.err
        == "llm-pv: nowhere is no run directory: there is no such folder; check the path\n"
    )
