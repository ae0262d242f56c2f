"""The paper's table by one command: what is planned, and that the page says what was measured."""

import csv
import io
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from llm_pv.cli.main import INTERRUPTED, run
from llm_pv.cli.paper_parts import PAPER_TASKS, plan_parts
from llm_pv.errors import ConfigurationError, DataError
from llm_pv.tracks.published import published

ROOT = Path(__file__).parents[1]
SMOKE = [
    "paper", "--tasks", "fn_b", "--samplers", "paper", "--trials", "1", "--models", "svm",
    "decision_tree", "tabpfn", "--test-size",
]  # fmt: skip


def columns_of(page: str, heading: str) -> dict[str, dict[str, str]]:
    """Return the first table under a heading: entries by the row's first word and by column."""
    lines = page.split(f"## {heading}", maxsplit=1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([entry.strip() for entry in line.strip("|").split("|")])
    return {row[0].split()[0]: dict(zip(table[0], row, strict=True)) for row in table[2:]}


def assert_table_is_of(rows: list[dict[str, str]], page: str) -> None:
    """Compare every measured mean of a page with the raw rows of the runs, by other means."""
    measured: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["accuracy"]:
            measured[row["sampler"], row["function"], row["method"]].append(float(row["accuracy"]))
    assert measured
    for (sampler, function, method), accuracies in measured.items():
        table = columns_of(page, f"Tasks by methods, {sampler} sampler")
        column = {"length-first": "LLM-PV length-first"}.get(method, method)
        shown = table[function][column].split()[0].strip("*")
        mean = 100 * statistics.fmean(accuracies)
        assert abs(float(shown) - mean) <= 0.1 if mean != 100 else shown == "100.0"


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def raw_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of every run's own summary."""
    return [
        row
        for path in sorted(folder.glob("*/summary.csv"))
        if path.parent.name != "results"
        for row in rows_of(path)
    ]


def test_the_default_is_the_published_table_at_its_own_lengths(tmp_path: Path) -> None:
    parts = plan_parts(out=tmp_path)
    assert [part.folder.name for part in parts] == [
        "synthesize-paper-L100", "synthesize-paper-L300", "synthesize-hard-L100",
        "synthesize-hard-L300", "baselines-paper-L100", "baselines-paper-L300",
        "baselines-hard-L100", "baselines-hard-L300",
    ]  # fmt: skip
    cells = {
        (trial.cell.function, trial.length)
        for part in parts
        if part.request.sampler == "paper"
        for trial in part.request.plan()
    }
    assert {function for function, _ in cells} == set(PAPER_TASKS)
    assert all(published(function, length, "paper") for function, length in cells)
    sizes = {
        (p.request.train_size, p.request.validation_size, p.request.test_size, p.request.trials)
        for p in parts
    }
    assert sizes == {(100, 100, 10_000, 3)}
    assert {part.search for part in parts} == {"halving"}


def test_the_full_table_has_every_published_length_and_ten_trials(tmp_path: Path) -> None:
    parts = plan_parts(full=True, out=tmp_path)
    assert len(parts) == 4
    for part in parts:
        lengths = {
            (trial.cell.function, trial.length)
            for trial in part.request.plan()
            if not trial.skipped
        }
        assert {length for function, length in lengths if function == "fn_a"} == {
            100, 50, 30, 25, 20,
        }  # fmt: skip
        assert {length for function, length in lengths if function == "fn_aa"} == {300, 100}
        assert (part.request.trials, part.search) == (10, "grid")
    assert sum(part.cpu_seconds() for part in parts) > 5 * 3600


def test_what_is_done_is_not_estimated_again(tmp_path: Path) -> None:
    search, *_, fits = plan_parts(("fn_a",), trials=4, out=tmp_path)
    assert search.cpu_seconds(done=3) == pytest.approx(search.cpu_seconds() / 4)
    assert search.cpu_seconds(done=4) == 0
    assert fits.cpu_seconds(done=12) == pytest.approx(fits.cpu_seconds() / 2)


def test_a_request_that_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="no samplers"):
        plan_parts(samplers=(), out=tmp_path)
    assert run(["paper", "--tasks", "fn_zz"]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_plan_tells_the_time_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["paper", "--full", "--plan"]) == 0
    shown = capfd.readouterr().err
    assert "baselines (grid), hard sampler, published lengths: 13 tasks" in shown
    assert " h in all on " in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("warm_processes")
def test_a_small_table_agrees_with_its_raw_records_and_is_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*SMOKE, "500", "--results", "page"]
    assert run(command) == 0
    assert capfd.readouterr().out == "page/index.md\n"
    page = (tmp_path / "page" / "index.md").read_text("utf-8")
    rows = raw_rows(tmp_path / "runs" / "paper")
    assert {row["method"] for row in rows} == {"length-first", "svm", "decision_tree", "tabpfn"}
    assert_table_is_of(rows, page)
    table = columns_of(page, "Tasks by methods, paper sampler")
    assert table["fn_b"]["*LLM-PV-GPT-5, published*"] == "*100.0*"
    assert table["fn_b"]["*XGBoost, published*"] == "*50.0*"
    assert "tabpfn" not in table["fn_b"], "a method that measured nothing has no column"
    assert "- tabpfn: 1 trial skipped: " in page
    assert "**No figure of a commercial model was measured here**" in page
    assert "numpy " in page
    assert str(tmp_path) not in page
    kept = rows_of(tmp_path / "page" / "summary.csv")
    assert sorted(row["accuracy"] for row in kept) == sorted(row["accuracy"] for row in rows)
    for line in page.splitlines():
        if line.startswith("!["):
            assert (tmp_path / "page" / line.split("(")[1].rstrip(")")).is_file()

    before = {path: path.read_bytes() for path in (tmp_path / "page").rglob("*") if path.is_file()}
    assert run(command) == 0
    shown = capfd.readouterr().err
    assert "1 trial: done" in shown
    assert "0.00 s in all" in shown
    after = {path: path.read_bytes() for path in (tmp_path / "page").rglob("*") if path.is_file()}
    assert after == before

    assert run([*command, "--seed-is-no-option"]) == 2
    assert run([*SMOKE, "400"]) == 2
    assert "holds another run" in capfd.readouterr().err


def test_what_fails_is_on_the_page_with_its_reason_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise DataError("the library is closed today")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("llm_pv.tracks.grid.GridRequest.splits", broken)
    monkeypatch.setattr(
        "llm_pv.runs.executors.local.WorkerProcesses.call", lambda self, do, *a, **k: do(*a, **k)
    )
    assert run([*SMOKE, "500"]) == 1
    assert "3 trials failed: the page says why" in capfd.readouterr().err
    page = (tmp_path / "runs" / "paper" / "results" / "index.md").read_text("utf-8")
    assert "LLM-PV length-first: 1 trial failed: the library is closed today" in page
    assert "- svm: 1 trial failed: the library is closed today" in page
    assert "## Figures" not in page
    assert run([*SMOKE, "500", "--plan"]) == 0
    assert ": done" not in capfd.readouterr().err


def test_an_interruption_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("llm_pv.tracks.synthesis.run.run_grid", interrupted)
    assert run([*SMOKE, "500"]) == INTERRUPTED
    assert "interrupted; the same command continues from here" in capfd.readouterr().err


def test_the_page_of_this_repository_agrees_with_its_raw_rows() -> None:
    folder = ROOT / "docs" / "results"
    assert_table_is_of(rows_of(folder / "summary.csv"), (folder / "index.md").read_text("utf-8"))
