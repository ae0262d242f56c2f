"""``llm-pv report``, and the page every run ends with."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_pv.cli import report as command
from llm_pv.cli.main import run
from llm_pv.errors import ModelError
from llm_pv.models.base import Turn, Usage
from llm_pv.proposers.llm.turns import failed_record, turn_record
from llm_pv.proposers.spending import Amount
from report_runs import many_methods


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_report_is_written_and_its_page_is_named(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = many_methods(work)[:1]
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    assert run(["report", *map(str, runs)]) == 0
    assert capfd.readouterr().out == f"{Path('report') / 'index.html'}\n"
    assert (work / "report" / "tables" / "comparison.tex").exists()
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere is no run directory: there is no such folder; check the path"),
        ([], "llm-pv report --help lists"),
        (["svm", "--out", "file"], "cannot write file"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    work: Path, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    many_methods(work)
    (work / "file").write_text("in the way")
    assert run(["report", *words]) == 2
    shown = capfd.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_run_ends_with_its_page(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (work / "rows.txt").write_text(
        "".join(f"{n:010b} -> {f'{n:010b}'.count('1') % 2}\n" for n in range(60))
    )
    (work / "reply.py").write_text("def f(x):\n    return x.count('1') % 2\n")
    learn = ["learn", "rows.txt", "--proposer", "replay:reply.py", "--workers", "1", "--out", "run"]
    assert run(learn) == 0
    assert capfd.readouterr().err == ""
    page = (work / "run" / "report.html").read_text()
    assert "A rule was found for rows.txt" in page
    assert "llm_pv" in page


@pytest.mark.parametrize("error", [RuntimeError("boom"), RecursionError()])
def test_a_page_that_fails_is_one_line_and_loses_nothing(
    work: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("llm_pv.report.write.write_run_page", fail)
    command.leave_page(many_methods(work)[0])
    shown = capfd.readouterr().err
    assert shown.startswith(f"llm-pv: no report.html, because of an error: {type(error).__name__}")
    assert shown.count("\n") == 1


def test_a_page_of_no_run_is_one_line(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command.leave_page(work)
    assert "no report.html: " in capfd.readouterr().err


PLACE = {"function": "fn_a", "length": 100, "sampler": "paper", "trial": 0}


def journal(run: Path, *records: dict[str, Any]) -> None:
    """Add records to the replies of a run."""
    with (run / "replies.jsonl").open("a") as file:
        file.writelines(json.dumps({**PLACE, **record}) + "\n" for record in records)


def answer(conversation: int, usd: float | None, sent: int, written: int) -> dict[str, Any]:
    turn = Turn("hi", usage=Usage(sent, written), cost_usd=usd)
    return turn_record(conversation, 1, "digest", turn, Amount(0.5, 9_000))


def test_what_a_folder_of_runs_spent_is_summed_and_unknown_prices_are_not_zero(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pv, _, icl, _ = many_methods(work)
    gone = failed_record(3, 1, ModelError("gone"), Amount(0.5, 900), 1)
    journal(pv, answer(1, 0.25, 1_000, 100), answer(2, None, 2_000, 200), gone)
    in_context = {"method": "icl", "model": "Qwen3-30B-A3B-Instruct"}
    journal(
        icl,
        {**in_context, "input_tokens": 30, "output_tokens": 4, "cost_usd": 0.125},
        {**in_context, "input_tokens": 50, "output_tokens": 6, "cost_usd": None},
    )
    assert run(["report", "."]) == 0
    assert capfd.readouterr().out.splitlines()[1:] == [
        "Spent: 3,080 tokens sent, 310 written; $0.375 and 2 answers of unknown price; "
        "unanswered calls: up to 900 tokens, $0.5"
    ]
    lines = (work / "report" / "tables" / "spending.csv").read_text().splitlines()
    assert lines[1:] == [
        "icl,80,10,$0.125 and 1 answer of unknown price,1,0,0.0",
        "pv,3000,300,$0.25 and 1 answer of unknown price,1,900,0.5",
        "all runs,3080,310,$0.375 and 2 answers of unknown price,2,900,0.5",
    ]
    page = (work / "report" / "index.html").read_text()
    assert "What models took" in page
    assert "$0.375 and 2 answers of unknown price" in page


def test_a_folder_without_models_has_no_spending(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    many_methods(work)
    assert run(["report", "pv", "svm"]) == 0
    assert "Spent" not in capfd.readouterr().out
    assert "What models took" not in (work / "report" / "index.html").read_text()
