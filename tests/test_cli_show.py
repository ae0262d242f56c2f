"""The conversations of a run, shown in a terminal and on its page."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llm_pv.api import Search, learn
from llm_pv.cli.main import run
from llm_pv.errors import RunError
from llm_pv.proposers.llm import LLM, LLMSettings
from llm_pv.report.page import LARGEST_PAGE
from llm_pv.report.write import write_run_page
from llm_pv.runs.conversations import read_conversations
from llm_pv.sandbox import Sandbox
from report_runs import HOSTILE
from rows import FIRST_BIT, PARITY, Scripted, parity_splits
from scripted_model import ScriptedModel, says, wants

WRONG = f"wrong\n```python\n{FIRST_BIT}```"
THOUGHT = f"count the ones {HOSTILE}"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    """A run of two conversations: a tool call, a wrong program, one refinement."""
    out = tmp_path_factory.mktemp("show") / "run"
    thinking = {"parts": [{"part_kind": "thinking", "content": THOUGHT}]}
    call = replace(wants("print(len(rows) + 7000)"), raw=thinking)
    script = says(call, WRONG, f"right\n```python\n{PARITY}```")
    settings = LLMSettings(tool="local", refinements=1)
    with LLM(ScriptedModel(script), attempts=2, settings=settings) as llm:
        learn(parity_splits(), search=Search(llm, early_stop=False), out=out, sandbox=sandbox)
    return out


def shown(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["show", *words]) == 0
    return capfd.readouterr().out


def test_an_attempt_is_shown_in_the_order_of_speech(
    asked: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = shown(capfd, str(asked), "4")
    headings = [line.partition(",")[0] for line in text.splitlines() if line.startswith("=== ")]
    assert headings == [
        "=== prompt", "=== thoughts of the model", "=== its code", "=== output of its code",
        "=== the model", "=== answer to the model", "=== the model",
        "=== program of attempt 4", "=== attempt 4",
    ]  # fmt: skip
    parts = re.split(r"^=== .*\n", text, flags=re.MULTILINE)[1:]
    (prompt,) = (asked / "prompts").iterdir()
    assert parts[0].strip() == prompt.read_text("utf-8").strip()
    assert "\x07" not in text, "it cannot ring the bell of the terminal"
    assert parts[2].strip() == "print(len(rows) + 7000)"
    assert parts[3].strip() == "7020"
    assert parts[4].strip() == WRONG
    assert "is wrong on" in parts[5]
    assert parts[7].strip() == PARITY.strip()
    assert "right on validation rows: 100.0%" in parts[8]
    assert "conversation 2: 3 turns, 1 tool calls, 300 tokens sent, 30 written; $1.5" in parts[8]


def test_attempts_are_listed_and_given_as_json(
    asked: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = shown(capfd, str(asked)).splitlines()
    assert [line.split()[:2] for line in lines if line[:2].strip().isdecimal()] == [
        ["1", "1"], ["2", "1.1"], ["3", "2"], ["4", "2.1"],
    ]  # fmt: skip
    record = json.loads(shown(capfd, str(asked), "2", "--format", "json"))
    assert record["attempt"]["origin"] == "1.1"
    assert [message["role"] for message in record["conversation"]["messages"]] == [
        "thoughts", "call", "result", "reply", "answer", "reply",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [(["9"], "has no attempt 9; give a number from 1 to 4"), (["1", "--cell", "x"], "--cell")],
)
def test_what_is_not_there_is_said_in_one_line(
    asked: Path, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(["show", str(asked), *words]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_reply_without_a_conversation_is_shown_too(
    tmp_path: Path, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    reply = f"I think\n```python\n{PARITY}```\n"
    replies = Scripted([reply], free=True)
    learn(parity_splits(), search=Search(replies), out=tmp_path / "run", sandbox=sandbox)
    assert f"=== the model\n{reply}" in shown(capfd, str(tmp_path / "run"), "1")


def test_the_page_folds_conversations_and_escapes_them(asked: Path) -> None:
    page = write_run_page(asked).read_text("utf-8")
    titles = re.findall(r"<details>\n<summary>(.*?)</summary>", page)
    assert titles[:3] == [
        "The prompt",
        "Attempts 1, 2: conversation 1, 3 turns, 1 tool call, 330 tokens, $1.5",
        "Attempts 3, 4: conversation 2, 3 turns, 1 tool call, 330 tokens, $1.5",
    ]
    assert "count the ones &lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    assert page.count("training examples in all") <= 1, "a common prompt is shown once"


def test_a_run_of_an_earlier_version_is_read(asked: Path, tmp_path: Path) -> None:
    """It records neither a proposer nor the message that a refinement answers."""
    old = tmp_path / "run"
    old.mkdir()
    lines = (asked / "replies.jsonl").read_text("utf-8").splitlines()
    with (old / "replies.jsonl").open("w", encoding="utf-8") as file:
        for line in lines:
            record = json.loads(line)
            file.write(json.dumps({k: v for k, v in record.items() if k != "asked"}) + "\n")
        file.write('{"kind": "turn", "conv')  # it is being written
    (conversations,) = read_conversations(old).values()
    roles = [message.role for message in conversations["", 1].messages]
    assert roles == ["thoughts", "call", "result", "reply", "reply"]
    assert sorted(conversations) == [("", 1), ("", 2)]


def test_the_thoughts_of_a_model_in_this_process_are_read(asked: Path, tmp_path: Path) -> None:
    with (tmp_path / "replies.jsonl").open("w", encoding="utf-8") as file:
        for record in map(json.loads, (asked / "replies.jsonl").read_text("utf-8").splitlines()):
            thoughts = {"raw": {"thoughts": "Count the ones."}} if record.get("raw") else {}
            file.write(json.dumps(record | thoughts) + "\n")
    (conversations,) = read_conversations(tmp_path).values()
    first = conversations["", 1].messages[0]
    assert (first.role, first.text) == ("thoughts", "Count the ones.")


def test_a_damaged_conversation_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text('{"kind": "turn", "conversation": "first"}\n')
    with pytest.raises(RunError, match=r"replies\.jsonl: a record of a conversation is damaged"):
        read_conversations(tmp_path)


def test_many_long_conversations_leave_the_page_small_and_name_the_command(
    asked: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(asked, copy)
    with (copy / "replies.jsonl").open("r+", encoding="utf-8") as file:
        turn = next(record for record in map(json.loads, file) if record.get("kind") == "turn")
        file.seek(0, 2)
        for number in range(3, 401):
            changed = {"conversation": number, "calls": [], "text": "<" * 20_000}
            file.write(json.dumps(turn | changed) + "\n")
    page = write_run_page(copy).read_text("utf-8")
    assert len(page.encode()) < LARGEST_PAGE
    assert re.search(r"\d+ of 400 conversations shown", page)
    assert "Attempts 3, 4: conversation 2" in page, "the selected program's is among them"
    assert "the first 4,000 of 20,000 characters (llm-pv show run ATTEMPT prints all)" in page
