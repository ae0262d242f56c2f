"""``llm-pv report``, and the page every run ends with."""

from pathlib import Path

import pytest

from llm_pv.cli import report as command
from llm_pv.cli.main import run
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
