"""The model's columns of the paper's table, against a real server on loopback."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_openai_server import FakeOpenAI
from llm_pv.cli.main import run
from llm_pv.data.examples import Classes, Examples
from llm_pv.proposers.agent import Agent
from llm_pv.proposers.llm.costs import estimate_of
from scripted_model import ScriptedModel, says
from test_paper import columns_of, rows_of

PROGRAM = json.dumps({"code": "def f(x):\n    return x[: len(x) // 2].count('1') % 2\n"})
# One reply for every column: a program, and a label for in-context learning.
SAID = f'{PROGRAM} {{"label": "1"}}'
SMALL = [
    "paper", "--tasks", "fn_b", "--samplers", "paper", "--trials", "1", "--models",
    "decision_tree", "--test-size", "100", "--results", "page",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI([{"text": SAID}]) as opened:
        yield opened


def ask(server: FakeOpenAI, *more: str) -> list[str]:
    return [*SMALL, "--model", "openai-compatible:tiny", "--base-url", server.base_url, *more]


@pytest.mark.slow
def test_the_models_columns_stand_beside_the_others_and_are_asked_for_once(
    server: FakeOpenAI, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(ask(server, "--yes")) == 0
    shown = capfd.readouterr()
    assert "is sent the training rows of the tasks" in shown.err
    assert "icl of openai-compatible:tiny, paper sampler: 1 trial: price unknown" in shown.err
    page = Path("page", "index.md").read_text("utf-8")
    table = columns_of(page, "Tasks by methods, paper sampler")["fn_b"]
    assert table["LLM-PV openai-compatible:tiny"].startswith("**100.0**")
    assert table["Agent openai-compatible:tiny"].startswith("**100.0**")
    icl = next(entry for name, entry in table.items() if name.startswith("ICL "))
    assert icl.startswith("50.0"), "half of the test rows are of either class"
    assert "Models were asked by whoever ran the command" in page
    assert "No figure of a commercial model" not in page
    tracks = [row["track"] for row in rows_of(Path("page", "summary.csv"))]
    assert sorted(tracks) == ["agent", "baselines", "icl", "llm-pv", "llm-pv"]
    # One program without a validation error, one agent, a hundred labels.
    assert len(server.bodies) <= 5 + 1 + 100
    asked = len(server.bodies)
    assert run(ask(server, "--yes")) == 0
    assert len(server.bodies) == asked


def test_nobody_is_asked_before_somebody_agreed_to_the_price(
    server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(ask(server)) == 2
    assert "no terminal to confirm the price: give --yes" in capfd.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    assert run(ask(server)) == 1
    assert "no model was called and nothing was done" in capfd.readouterr().err
    assert not server.bodies
    assert not Path("runs").exists()


def test_without_a_key_it_ends_before_anything_with_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run([*SMALL, "--model", "openai:gpt-5.4", "--yes"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "openai:gpt-5.4 needs a key: set OPENAI_API_KEY" in line
    assert not Path("runs").exists()


def test_the_plan_prices_every_column_without_a_key(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--model", "openai:gpt-5.4", "--plan"]) == 0
    lines = capfd.readouterr().err.splitlines()
    for column in ("program", "agent", "icl"):
        (line,) = [text for text in lines if f"{column} of openai:gpt-5.4" in text]
        assert "at most $" in line
    assert "in all" in lines[-2]
    assert "was not measured" in lines[-1]
    assert not Path("runs").exists()


def test_what_a_conversation_costs_at_most_counts_every_call_and_all_it_sends_again() -> None:
    # A dollar a thousand tokens; answers of 1,000 tokens and 10,000 characters of a tool's.
    train, classes = Examples(["a", "b"], ["0", "1"]), Classes.of(["0", "1"])
    with Agent(ScriptedModel(says("")), steps=2) as agent:
        preview, first = agent.preview(train, classes, seed=0)
        estimate = estimate_of(agent, preview, first)
    # Two calls of the tool, one that is refused, and the answer; each sends again what was before.
    sent = first.sent
    calls = [sent + 11_000 * before + 1_000 for before in (0, 1, 2, 3)]
    assert estimate.most == pytest.approx(sum(calls) / 1_000)
    sent = preview.input_tokens
    one_tool_call = [sent + 1_000, sent + 1_300 + 1_000]
    assert estimate.likely == pytest.approx(sum(one_tool_call) / 1_000)


def test_a_budget_that_labels_might_exceed_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    command = [*SMALL, "--model", "openai:gpt-5.4", "--plan", "--budget-usd", "1"]
    assert run(command) == 2
    assert "cannot be kept by in-context learning" in capfd.readouterr().err
    assert run([*command, "--columns", "program", "agent"]) == 0
    assert "over $1" in capfd.readouterr().err.splitlines()[-1]


def test_options_of_a_model_need_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--yes"]) == 2
    assert "name it with --model" in capfd.readouterr().err
