"""Commands that ask a model, against a real server on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_openai_server import FakeOpenAI, Reply
from llm_pv.cli.main import run
from llm_pv.cli.seed_synthesis import run_seed
from rows import parity_splits

SOURCE = str(Path(__file__).parents[1] / "src")
SECRET = "sk-never-to-be-seen-0123456789"
GOOD = json.dumps({"code": "def f(x):\n    return x.count('1') % 2\n"})
WRONG = json.dumps({"code": "def f(x):\n    return int(x[0])\n"})
ALWAYS = json.dumps({"code": "def f(x):\n    return 1\n"})


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


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", SECRET)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI([{"text": WRONG}, {"text": GOOD}]) as opened:
        yield opened


def ask(server: FakeOpenAI, *more: str) -> list[str]:
    return ["--model", "openai-compatible:tiny", "--base-url", server.base_url, *more]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_learn_asks_a_model_and_keeps_its_best_program(
    server: FakeOpenAI, rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    more = ["--attempts", "4", "--tool", "none", "--concurrency", "1", "--about", "about.txt"]
    (tmp_path / "about.txt").write_text("Words of two letters; <b>even</b> ones count.\n")
    assert run(["learn", str(rows), *ask(server, *more), "--out", str(out)]) == 0
    shown = capfd.readouterr()
    assert "100.0%" in shown.out
    assert "is sent 48 training rows: " in shown.err
    assert "no other row" in shown.err
    assert len(server.bodies) == 2, "a reply is verified before the next is asked for"
    attempts = [r for r in records(out / "results_attempts.jsonl") if r["kind"] == "attempt"]
    assert [record["train_errors"] for record in attempts[1:]] == [0] * (len(attempts) - 1)
    assert attempts[0]["input_tokens"] == 100
    assert attempts[0]["output_tokens"] == 20
    assert attempts[0]["cost_usd"] is None, "the price of an unknown model is unknown, not 0"
    (prompt,) = (out / "prompts").iterdir()
    assert prompt.stem == attempts[0]["prompt_digest"]
    assert server.bodies[0]["messages"][-1]["content"] == prompt.read_text("utf-8")
    about = "Words of two letters; <b>even</b> ones count."
    assert about in prompt.read_text("utf-8")
    assert json.loads((out / "run.json").read_text("utf-8"))["configuration"]["about"] == about
    page = (out / "report.html").read_text("utf-8")
    entry = "Words of two letters; &lt;b&gt;even&lt;/b&gt; ones count."
    assert f"<dt>About the rows</dt><dd>{entry}</dd>" in page
    kept = records(out / "replies.jsonl")
    assert Counter(record.get("kind", "reply") for record in kept)["turn"] == len(server.bodies)


def test_no_request_holds_a_validation_or_test_row(
    rows: Path, tmp_path: Path, sandbox: object
) -> None:
    script: list[Reply] = [{"code": "print(rows)"}, {"text": WRONG}]
    out = tmp_path / "run"
    with FakeOpenAI(script, by_turn=True) as server:
        more = ["--attempts", "2", "--refine", "2", "--prompt-rows", "1000"]
        assert run(["learn", str(rows), *ask(server, *more), "--out", str(out)]) in {0, 1}
        sent = json.dumps(server.bodies)
    shown = {line.split(" -> ")[0] for line in rows.read_text().splitlines()}
    seen = {text for text in shown if text in sent}
    assert len(seen) == 48, "the training rows, 40 percent of 120"
    assert len(server.bodies) > 4, "tool calls and refinements were among them"


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(
    server: FakeOpenAI, rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["learn", str(rows), *ask(server, "--attempts", "1"), "--format", "json"]
    assert run([*command, "--dry-run"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert server.bodies == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.txt"]
    assert shown["request"]["url"].startswith(server.base_url)
    assert shown["input_tokens"] > 48 * 12
    assert shown["first_call_usd_at_most"] is None
    assert SECRET not in json.dumps(shown)
    run([*command, "--out", str(tmp_path / "run")])
    assert shown["request"]["body"] == server.bodies[0]


def test_a_dry_run_needs_no_key(rows: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = ["--model", "openai:gpt-5.4-mini", "--max-output-tokens", "1000"]
    assert run(["learn", str(rows), *model, "--dry-run"]) == 0
    shown = capfd.readouterr().out
    assert "POST https://api.openai.com/v1/responses" in shown
    assert "at most $0.0" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tool", "local"], "--tool is for a model; name it with --model"),
        (["--model", "gpt-5.4"], "no PROVIDER:MODEL"),
        (["--model", "openai:gpt-5.4"], "OPENAI_API_KEY"),
        (["--model", "anthropic:claude-opus-4-8"], "ANTHROPIC_API_KEY"),
        (["--model", "google:gemini-3.5-flash"], "GEMINI_API_KEY"),
        (["--model", "openai-compatible:x"], "--base-url"),
        (["--model", "openai-compatible:x", "--base-url", "nowhere"], "--base-url"),
        (["--model", "openai:a", "--model", "openai:a"], "openai:a is given twice"),
        (["--model", "openai:a", "--model", "openai:b", "--base-url", "http://localhost:9/v1"],
         "--model openai-compatible:MODEL@http://localhost:9/v1"),
        (["--model", "openai:a", "--model", "openai:b", "--batch"], "--batch is for one --model"),
        (["--model", "openai:a", "--model", "google:b", "--price-in", "1", "--price-out", "1"],
         "--price-in is for openai-compatible models"),
        (["--model", "hf:a@http://localhost:9/v1"], "leave out @http://localhost:9/v1"),
        (["--model", "openai:gpt-5.4", "--budget-mb", "500"], "for the built-in search, not for"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--budget-usd", "-1"], "budget-usd is -1"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--prompt-variant", "9"], "9"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--prompt-variant", "none.txt"], "none.txt"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--model-option", "x"], "NAME=JSON"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--model-option", "x=a"], "no JSON"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--refine", "-1"], "--refine is -1"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--top-p", "2"], "--top-p is 2"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--price-in", "1"], "give both --price-in and"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--price-in", "-1", "--price-out", "1"],
         "--price-in is -1"),
        (["--model", "openai:gpt-5.4", "--dry-run", "--attempts", "0"], "attempts is 0"),
        (
            ["--model", "openai-compatible:x", "--base-url", "http://localhost:9/v1",
             "--budget-usd", "1"],
            "price of openai-compatible:x is not known",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_one_line(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run(["learn", str(rows), *options]) == 2
    shown = capfd.readouterr()
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.txt"]


def test_a_server_that_cannot_be_reached_is_one_line_and_the_run_goes_on_later(
    server: FakeOpenAI, rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    failing: list[Reply] = [{"status": 500}, {"status": 500}]
    options = ["--attempts", "2", "--tool", "none", "--retries", "0"]
    with FakeOpenAI(failing) as broken:
        command = ["learn", str(rows), *ask(broken, *options), "--out", str(out)]
        assert run(command) == 2
        shown = capfd.readouterr().err.splitlines()
        assert "HTTP 500" in shown[-1]
        broken.record.script.replies = [{"text": GOOD}]
        assert run(command) == 0
    attempts = records(out / "results_attempts.jsonl")
    assert [r["kind"] for r in attempts] == ["unanswered"] * 2 + ["attempt"] * 2 + ["selected"]


def test_learn_sends_a_program_back_once_and_counts_all_programs_of_all_replies(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    block = "```python\ndef f(x):\n    return {}\n```\n"
    script: list[Reply] = [{"text": block.format(0) + block.format(1)}, {"text": block.format(2)}]
    with FakeOpenAI(script) as server:
        more = ["--attempts", "1", "--tool", "none", "--no-early-stop"]
        run(["learn", str(rows), *ask(server, *more), "--out", str(out)])
        first, second = (body["messages"] for body in server.bodies)
    assert "```python" in first[0]["content"]
    assert "training examples in all" in first[0]["content"]
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    attempts = [r for r in records(out / "results_attempts.jsonl") if r["kind"] == "attempt"]
    assert [each["origin"] for each in attempts] == ["1", "1/2", "1.1"]
    assert [each["program"].split()[-1] for each in attempts] == ["1", "0", "2"]
    assert "10 planned" in capfd.readouterr().out  # one attempt, twice five programs


def test_several_models_and_the_search_propose_into_one_run(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    (tmp_path / "replies").mkdir()
    (tmp_path / "replies" / "1.txt").write_text("f = lambda x: 0")
    with FakeOpenAI([{"text": WRONG}]) as first, FakeOpenAI([{"text": GOOD}]) as second:
        names = [f"openai-compatible:tiny@{server.base_url}" for server in (first, second)]
        command = ["learn", str(rows), "--model", names[0], "--model", names[1],
                   "--proposer", f"replay:{tmp_path / 'replies'}", "--attempts", "2",
                   "--tool", "none", "--refine", "0", "--no-early-stop",
                   "--programs-per-reply", "1"]  # fmt: skip
        assert run([*command, "--dry-run"]) == 0
        assert first.bodies == second.bodies == []
        shown = capfd.readouterr()
        assert all(f"POST {server.base_url}" in shown.out for server in (first, second))
        assert "2 models together: price unknown" in shown.err
        assert run([*command, "--out", str(out)]) == 0
        assert len(first.bodies) == len(second.bodies) == 2
        shown = capfd.readouterr()
        assert run([*command, "--out", str(out)]) == 0
        assert len(first.bodies) == len(second.bodies) == 2, "a finished run is read"
    for name in names:
        assert f"{name} at {name.partition('//')[2][:-3]} is sent 48 training rows" in shown.err
    assert f"The selected program, proposed by {names[1]}" in " ".join(shown.out.split())
    attempts = [r for r in records(out / "results_attempts.jsonl") if r["kind"] == "attempt"]
    assert Counter(each["proposer"] for each in attempts) == {
        f"replay:{tmp_path / 'replies'}": 1, names[0]: 2, names[1]: 2,
    }  # fmt: skip
    assert "5 planned" in " ".join(shown.out.split())
    assert names[1] in (out / "report.html").read_text("utf-8")


def test_what_is_sent_is_told_under_the_condition_that_a_free_program_may_save_it(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reply.txt").write_text(GOOD)
    replay = ["--proposer", f"replay:{tmp_path / 'reply.txt'}", "--tool", "none"]
    with FakeOpenAI([{"text": GOOD}]) as server:
        assert run(["learn", str(rows), *ask(server, *replay), "--out", str(tmp_path / "run")]) == 0
        assert not server.bodies
    [told] = [line for line in capfd.readouterr().err.splitlines() if "training rows" in line]
    assert told.startswith(f"llm-pv: unless a program of replay:{tmp_path / 'reply.txt'} has no ")


def test_an_attempt_without_a_reply_is_told_beside_the_result(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script: list[Reply] = [{"status": 503}, {"text": WRONG}, {"text": "no idea"}]
    options = ["--attempts", "3", "--tool", "none", "--retries", "0", "--concurrency", "1"]
    options += ["--refine", "0"]
    with FakeOpenAI(script) as server:
        run(["learn", str(rows), *ask(server, *options), "--out", str(tmp_path / "run")])
    shown = " ".join(capfd.readouterr().out.split())
    assert "attempts without a reply: 1;" in shown
    assert "HTTP 503" in shown
    kinds = Counter(r["kind"] for r in records(tmp_path / "run" / "results_attempts.jsonl"))
    assert kinds == {"unanswered": 1, "attempt": 2, "selected": 1}


def test_a_token_budget_holds(rows: Path, tmp_path: Path) -> None:
    options = ["--attempts", "50", "--tool", "none", "--no-early-stop"]
    options += ["--max-output-tokens", "1000", "--budget-tokens", "4000", "--concurrency", "4"]
    with FakeOpenAI([{"text": WRONG, "usage": [700, 300, 0, 0]}]) as server:
        run(["learn", str(rows), *ask(server, *options), "--out", str(tmp_path / "run")])
        paid = 1_000 * len(server.bodies)
    assert 1_000 <= paid <= 4_000


def test_a_killed_run_sends_nothing_again_that_was_answered(rows: Path, tmp_path: Path) -> None:
    """Killed twice in the middle; what the log holds by then is never asked again."""
    script: list[Reply] = [{"code": "print(len(rows))"}, {"text": ALWAYS}]
    out = tmp_path / "run"
    journal = out / "replies.jsonl"
    options = ["--attempts", "6", "--concurrency", "2", "--no-early-stop", "--refine", "0"]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    with FakeOpenAI(script, by_turn=True, delay=0.05) as server:
        command = [sys.executable, "-m", "llm_pv", "learn", str(rows),
                   *ask(server, *options), "--out", str(out)]  # fmt: skip
        for turns in (3, 8):
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 90
            while not journal.exists() or _turns(journal) < turns:
                assert time.monotonic() < deadline, "it never came so far"
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run(command, env=environment, check=False, capture_output=True)
        asked = len(server.bodies)
    assert _turns(journal) == 12
    assert 12 <= asked <= 12 + 2 * 2, "only calls under way at a kill are made again"
    attempts = [r for r in records(out / "results_attempts.jsonl") if r["kind"] == "attempt"]
    assert [record["attempt"] for record in attempts] == [1, 2, 3, 4, 5, 6]


def _turns(journal: Path) -> int:
    return journal.read_bytes().count(b'"kind": "turn"')


def test_invariant_6_no_key_is_in_any_file_or_line(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    echo = json.dumps({"error": {"message": f"bad key {SECRET} in Authorization: Bearer {SECRET}"}})
    script: list[Reply] = [
        {"code": "import sys\nprint(sys.modules.keys())"},
        {"status": 400, "body": echo},
        {"text": f"the key is {SECRET} and {GOOD}"},
    ]
    with FakeOpenAI(script) as server:
        for number in range(2):
            out = tmp_path / f"run{number}"
            command = ["learn", str(rows), *ask(server, "--attempts", "1"), "--out", str(out)]
            run([*command, "--retries", "0"])
        assert server.record.requests[0]["authorization"]
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_synthesize_asks_a_model_in_rounds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    grid = ["--functions", "fn_a", "--lengths", "12", "10", "--trials", "2", "--train-size", "20",
            "--val-size", "20", "--test-size", "40", "--no-transfer"]  # fmt: skip
    options = ["--attempts", "3", "--tool", "none", "--format", "json", "--concurrency", "1"]
    with FakeOpenAI([{"text": GOOD}]) as server:
        status = run(["synthesize", *grid, *ask(server, *options), "--out", str(tmp_path / "run")])
        asked = len(server.bodies)
    assert status == 0
    result = json.loads(capfd.readouterr().out)
    assert [cell["test_accuracy"]["mean"] for cell in result["cells"]] == [1.0, 1.0]
    assert asked == 4, "each trial stops at its first attempt"


def test_the_first_versions_command_asks_a_model(
    server: FakeOpenAI, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--functions", "fn_a", "--lengths", "12", "--attempts", "2", "--num_trials", "1",
               "--train_size", "20", "--val_size", "20", "--test_size", "40"]  # fmt: skip
    model = ["--provider", "openai-compatible", "--model", "tiny", "--base_url", server.base_url]
    assert run_seed([*options, *model, "--enable-code-interpreter"]) == 0
    found = records(tmp_path / "results_attempts.jsonl")
    attempts = [row for row in found if row["kind"] == "attempt"]
    assert attempts[0]["prompt_tokens"] == 100
    assert attempts[0]["prompt"].count(" -> ") >= 20
    assert [row["test_acc"] for row in attempts] == [None] * len(attempts)
    assert "run_python" in json.dumps(server.bodies[0]["tools"])


def test_the_first_versions_command_says_which_key_is_missing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_seed(["--functions", "fn_a", "--lengths", "12"]) == 2
    shown = capfd.readouterr().err
    assert "OPENAI_API_KEY" in shown
    assert "--provider length-first" in shown
    assert shown.count("\n") == 1
