"""The file formats' page names the fields that real files have, every one and no other."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from copying_server import CopyingServer
from fake_openai_server import FakeOpenAI, Reply
from llm_pv import Search, learn
from llm_pv.cli.main import run
from llm_pv.cli.seed_icl import run_seed as run_seed_icl
from llm_pv.cli.seed_synthesis import run_seed as run_seed_synthesis
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.proposers.spending import Budget
from pages import ROOT, tables
from rows import PARITY, parity_splits
from scripted_model import ScriptedModel, says, wants

PAGE = (ROOT / "docs" / "file-formats.md").read_text("utf-8")
SIZES = ["--train-size", "20", "--val-size", "20", "--test-size", "20"]


def documented(heading: str) -> set[str]:
    """The fields that the section of a heading lists."""
    section = re.split(rf"^## {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    (table,) = (table for table in tables(section) if table[0][0] == "field")
    return {name for row in table[1:] for name in re.findall(r"`(\w+)`", row[0])}


def written_by(command: str) -> set[str]:
    """The names in a run directory that the page says a command leaves there."""
    (table,) = (table for table in tables(PAGE) if table[0][-1] == "written by")
    rows = [row for row in table[1:] if f"`{command}`" in row[2] or "every track" in row[2]]
    names = {name for row in rows for name in re.findall(r"`([\w.]+)/?`", row[0])}
    return {name.replace(".csv", "results_attempts.csv") if name == ".csv" else name
            for name in names}  # fmt: skip


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def fields(found: list[dict[str, Any]]) -> set[str]:
    return {name for record in found for name in record}


def columns(path: Path) -> set[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return set(next(csv.reader(file)))


def loaded(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-secret-of-the-tests")
    return tmp_path


def test_a_run_that_asked_a_model(here: Path) -> None:
    model = ScriptedModel(says(wants("print(len(rows))"), json.dumps({"code": PARITY})))
    settings = LLMSettings(tool="local", explore=True)
    with LLM(model, attempts=1, settings=settings, budget=Budget(usd=100)) as llm:
        learn(parity_splits(), search=Search(llm), out="run")
    root = here / "run"
    assert documented("run.json") == set(loaded(root / "run.json"))
    assert documented("summary.csv") == columns(root / "summary.csv")
    (predictions,) = (root / "predictions").iterdir()
    assert documented("predictions/") == columns(predictions)
    assert documented("runner.log") == fields(records(root / "runner.log"))

    attempts = records(root / "results_attempts.jsonl")
    assert documented("results_attempts.jsonl") == fields(attempts)
    assert documented("results_attempts.jsonl") == columns(root / "results_attempts.csv")
    (selected,) = (record for record in attempts if record["kind"] == "selected")
    assert documented("The result of a run") == set(selected["result"])

    said = records(root / "replies.jsonl")
    turns = [record for record in said if "kind" in record]
    assert {record["kind"] for record in turns} == {"call", "turn", "tool", "shown"}
    assert documented("Turns in replies.jsonl") == fields(turns)
    proposals = [record for record in said if "kind" not in record]
    assert documented("replies.jsonl") == fields(proposals)


def test_a_grid_its_data_sets_and_the_published_columns(here: Path) -> None:
    (here / "replies.jsonl").write_text(json.dumps(PARITY) + "\n")
    replay = ["--proposer", "replay:replies.jsonl"]
    words = ["--functions", "fn_a", "--lengths", "20", "--trials", "1", *SIZES, "--out", "run"]
    assert run(["synthesize", *words, *replay]) == 0
    assert documented("transfer.jsonl") == fields(records(here / "run" / "transfer.jsonl"))
    (meta,) = here.glob("datasets/parity_all/L20/*/meta.json")
    assert documented("Data sets") == set(loaded(meta))

    words = ["--functions", "fn_a", "--lengths", "20", "--num-trials", "1", "--attempts", "1"]
    assert run_seed_synthesis([*words, *SIZES, "--provider", "length-first"]) == 0
    published = documented("results_attempts.jsonl of runner.py")
    assert published == fields(records(here / "results_attempts.jsonl"))
    assert published == columns(here / "results_attempts.csv")


def test_an_agent(here: Path) -> None:
    look: Reply = {"code": "print(len(rows))"}
    hand_in: Reply = {"text": json.dumps({"code": PARITY})}
    with FakeOpenAI([look, hand_in], by_turn=True) as server:
        model = ["--model", "openai-compatible:tiny", "--base-url", server.base_url]
        words = ["--functions", "fn_a", "--lengths", "20", "--trials", "1", *SIZES]
        assert run(["agent", *words, *model, "--out", "run"]) == 0
    assert written_by("agent") == {path.name for path in (here / "run").iterdir()}
    with (here / "run" / "summary.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    (tracks,) = (row[1] for table in tables(PAGE) for row in table if row[0] == "`track`")
    assert f"`{row['track']}`" in tracks
    attempts = records(here / "run" / "results_attempts.jsonl")
    assert documented("results_attempts.jsonl") == fields(attempts)


def test_baselines(here: Path) -> None:
    words = ["--functions", "fn_a", "--lengths", "20", "--trials", "1", *SIZES]
    assert run(["baselines", *words, "--models", "decision_tree", "--out", "run"]) == 0
    (selected,) = (
        record
        for record in records(here / "run" / "results_attempts.jsonl")
        if record["kind"] == "selected"
    )
    assert documented("Baselines") == set(selected["result"])


def test_in_context_learning(here: Path) -> None:
    with CopyingServer() as server:
        model = ["--model", "copier", "--provider", "openai", "--base-url", server.base_url]
        words = ["--functions", "fn_a", "--lengths", "20", "--train-size", "4", "--test-size", "2"]
        assert run_seed_icl([*words, *model]) == 0
    assert documented("results_icl.jsonl") == fields(records(here / "results_icl.jsonl"))
    assert documented("results_icl.csv") == columns(here / "results_icl.csv")
    (path,) = here.glob("runs/*/replies.jsonl")
    assert documented("In-context learning") == fields(records(path))


def test_training(here: Path) -> None:
    words = ["--function", "first_character", "--length", "9", "--model", "tiny"]
    sizes = ["--train-set-size", "20", "--test-set-size", "20", "--n-epochs", "1"]
    assert run(["finetune", *words, *sizes, "--report-to", "none", "--out", "run"]) == 0
    metrics = loaded(here / "run" / "metrics.json")
    assert documented("Training") == set(metrics)
    (row,) = (row for table in tables(PAGE) for row in table if row[0] == "`evaluations`")
    assert set(re.findall(r"`(\w+)`", row[1])) == set(metrics["evaluations"][0])
