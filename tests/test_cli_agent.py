"""``llm-pv agent`` as a user meets it, against a real server on loopback."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from fake_openai_server import FakeOpenAI, Reply
from llm_pv.cli.main import INTERRUPTED, run
from rows import parity_splits

SOURCE = str(Path(__file__).parents[1] / "src")
EXAMPLES = Path(__file__).parents[1] / "examples"
SECRET = "sk-never-to-be-seen-0123456789"
HANDED_IN: Reply = {"text": json.dumps({"code": "def f(x):\n    return x.count('1') % 2\n"})}
LOOK: Reply = {"code": "print(len(rows), rows[0])"}
NEAREST: Reply = {
    "text": "```python\nimport numpy as np\n\ndef fit(inputs, labels):\n"
    "    table = np.array([list(map(int, text)) for text in inputs])\n"
    "    def predict(new):\n"
    "        rows = np.array([list(map(int, text)) for text in new])\n"
    "        return [labels[i] for i in np.abs(rows[:, None] - table).sum(-1).argmin(-1)]\n"
    "    return predict\n```"
}
TASKS = [
    "--functions", "fn_a", "fn_l", "--lengths", "20", "--trials", "1", "--test-size", "100",
    "--no-transfer",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", SECRET)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    splits = parity_splits(40, 40, 40)
    path = tmp_path / "rows.txt"
    path.write_text(
        "".join(
            f"{text} -> {label}\n"
            for part in (splits.train, splits.validation, splits.test)
            for text, label in zip(part.inputs, part.labels, strict=True)
        )
    )
    return path


def serving(*replies: Reply, delay: float = 0.0) -> FakeOpenAI:
    return FakeOpenAI(replies, by_turn=True, delay=delay)


def ask(server: FakeOpenAI, *more: str) -> list[str]:
    return [
        "agent", *more, "--model", "openai-compatible:tiny", "--base-url", server.base_url,
        "--retries", "0",
    ]  # fmt: skip


def summary(folder: str | Path) -> list[dict[str, str]]:
    with (Path(folder) / "summary.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tasks_are_explored_and_stand_beside_other_methods_in_a_report(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(LOOK, HANDED_IN) as server:
        assert run(ask(server, *TASKS, "--out", "agent")) == 0
        assert len(server.bodies) == 4
    shown = capfd.readouterr()
    assert "is sent the training rows of the benchmark's tasks; no other row" in shown.err
    right = {row["function"]: row for row in summary("agent")}
    assert right["fn_a"]["accuracy"] == "1.0"
    assert 0.3 < float(right["fn_l"]["accuracy"]) < 0.7, "its parity says nothing of a digest's"
    fit = ["baselines", *TASKS[:-1], "--models", "decision_tree", "--out", "fits"]
    assert run(fit) == 0
    assert run(["report", "agent", "fits", "--out", "page"]) == 0
    table = (Path("page") / "tables" / "comparison.csv").read_text().splitlines()[0]
    assert "Agent openai-compatible:tiny" in table
    assert "decision_tree" in table
    capfd.readouterr()
    assert run(["compare", "agent", "fits"]) == 0
    words = re.sub(r"\s+", " ", capfd.readouterr().out)
    assert "a = agent: Agent openai-compatible:tiny" in words
    assert "fn_a L=20" in words


def test_a_model_is_handed_in_for_rows_and_predicts_new_ones(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(LOOK, NEAREST) as server:
        out = ["--out", "run", "--format", "json"]
        assert run(ask(server, str(rows), *out)) == 0
    shown = capfd.readouterr()
    assert "is sent 10 training rows" in shown.err
    assert json.loads(shown.out)["program"]
    (row,) = summary("run")
    assert (row["track"], row["method"], row["status"]) == ("agent", "agent", "done")
    new = tmp_path / "new.txt"
    new.write_text("\n".join(line.split(" -> ")[0] for line in rows.read_text().splitlines()[:5]))
    assert run(["predict", "run", str(new)]) == 0
    assert "prediction" in capfd.readouterr().out
    kept = b"".join(path.read_bytes() for path in Path("run").rglob("*") if path.is_file())
    assert SECRET.encode() not in kept


def test_a_model_of_a_real_table_of_many_columns_works(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import numpy as np\n"
        "def fit(inputs, labels):\n"
        "    names = list(inputs[0])\n"
        "    table = np.array([[row[name] for name in names] for row in inputs])\n"
        "    scale = table.std(0)\n"
        "    def predict(new):\n"
        "        rows = np.array([[row[name] for name in names] for row in new])\n"
        "        apart = np.abs((rows[:, None] - table) / scale).sum(-1)\n"
        "        return [labels[place] for place in apart.argmin(1)]\n"
        "    return predict\n"
    )
    table = str(EXAMPLES / "breast_cancer.csv")
    with serving(LOOK, {"text": json.dumps({"code": code})}) as server:
        assert run(ask(server, table, "--target", "diagnosis", "--out", "run")) == 0
    (row,) = summary("run")
    assert (row["status"], row["train_size"]) == ("done", "228")
    assert float(row["accuracy"]) > 0.9
    assert len(capfd.readouterr().out) < 20_000, "the rows are not poured into the terminal"
    with (EXAMPLES / "breast_cancer.csv").open() as file:
        Path("new.csv").write_text("".join(file.readlines()[:4]))
    assert run(["predict", "run", "new.csv"]) == 0
    saved = next(Path("run").glob("programs/*.py")).read_text()
    assert "_training_rows" in saved


def test_why_nothing_was_handed_in_stands_where_users_look(
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken: Reply = {"text": json.dumps({"code": "def fit(inputs, labels):\n    return 1 / 0\n"})}
    with serving({"text": "I give up."}) as server:
        assert run(ask(server, *TASKS, "--out", "words")) == 0
    with serving(broken) as server:
        assert run(ask(server, *TASKS, "--out", "broken")) == 0
    shown = re.sub(r"\s+", " ", capfd.readouterr().out)
    for folder, reason in (("words", "it defines neither f nor fit"), ("broken", "division by ze")):
        for row in summary(folder):
            assert row["status"] == "nothing found"
            assert reason in row["reason"]
        assert reason in shown


def test_an_interrupted_run_asks_nothing_again(rows: Path) -> None:
    script = [LOOK] * 12 + [HANDED_IN]
    with serving(*script, delay=0.3) as server:
        command = ask(server, str(rows), "--out", "run")
        process = subprocess.Popen(
            [sys.executable, "-m", "llm_pv", *command],
            env=os.environ | {"PYTHONPATH": SOURCE},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while len(server.bodies) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == INTERRUPTED
        assert complaint.splitlines()[-1].endswith("continues from here")
        asked = len(server.bodies)
        assert run(command) == 0
        # Only the call that was under way may have been made a second time.
        assert len(script) <= len(server.bodies) <= len(script) + 1
        assert len(server.bodies) - asked < len(script) - 2
    assert summary("run")[0]["accuracy"] == "1.0"


def test_a_budget_in_tokens_is_not_crossed(rows: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(*[LOOK] * 20) as server:
        limits = ["--budget-tokens", "5000", "--max-output-tokens", "1000"]
        assert run(ask(server, str(rows), "--out", "run", *limits)) == 2
        assert 1 <= len(server.bodies) < 20
    complaint = capfd.readouterr().err.splitlines()[-1]
    assert "5,000 tokens are spent" in complaint


def test_a_dry_run_of_a_priced_model_tells_what_the_grid_may_cost(
    capfd: pytest.CaptureFixture[str],
) -> None:
    grid = ["--functions", "fn_a", "fn_b", "--lengths", "20", "--trials", "3"]
    assert run(["agent", *grid, "--model", "openai:gpt-5.4", "--dry-run", "--format", "json"]) == 0
    shown = capfd.readouterr()
    cells = [json.loads("{" + text) for text in ("\n" + shown.out).split("\n{")[1:]]
    most = sum(3 * cell["usd_at_most"] for cell in cells)
    assert len(cells) == 2
    assert all(0 < c["first_call_usd_at_most"] < c["usd_about"] < c["usd_at_most"] for c in cells)
    assert (
        f"2 cells, 3 trials each: about ${3 * sum(c['usd_about'] for c in cells):,.2f}, at most"
        in (shown.err)
    )
    assert f"at most ${most:,.2f} (the first calls" in shown.err
    assert "it was not measured" in shown.err


def test_a_dry_run_calls_nobody_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(HANDED_IN) as server:
        assert run(ask(server, *TASKS, "--dry-run", "--steps", "12")) == 0
        assert not server.bodies
    shown = capfd.readouterr().out
    assert "You have at most 12 steps and 1,800 seconds" in shown
    assert "attempts: 1, each with at most 12 tool calls" in shown
    assert not [path for path in tmp_path.iterdir() if path.name == "runs"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "an agent is a model: name it with --model PROVIDER:NAME"),
        (["--model", "openai:gpt-5.4"], "OPENAI_API_KEY"),
        (["--model", "openai:gpt-5.4", "--steps", "0"], "OPENAI_API_KEY"),
        (["--model", "openai:gpt-5.4", "--batch"], "--batch waits up to a day"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--steps", "0"], "steps is 0; give 1 or more"),
        (["--model", "openai:gpt-5.4", "--target", "y"], "--target goes with a file of rows alone"),
        (
            ["rows.txt", "--model", "openai:gpt-5.4", "--trials", "3"],
            "rows of yours have one trial",
        ),
        (
            ["rows.txt", "--model", "openai:gpt-5.4", "--lengths", "20"],
            "--lengths goes with the be",
        ),
        (
            ["rows.txt", "--model", "openai:gpt-5.4", "--no-transfer"],
            "--no-transfer goes with the b",
        ),
        (
            ["rows.txt", "--model", "openai:gpt-5.4", "--concurrency", "2"],
            "--concurrency goes with the benchmark alone",
        ),
        (["--model", "openai:gpt-5.4", "--functions", "fn_zz"], "fn_zz"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: Sequence[str], complaint: str, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["agent", *words]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert complaint in line
