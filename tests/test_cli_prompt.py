"""``llm-pv prompt``: a prompt with training rows alone, and its reply judged on the same split."""

import json
import shlex
from pathlib import Path

import pytest

from llm_pv import api
from llm_pv.cli.main import run
from llm_pv.data.examples import Splits
from llm_pv.proposers.llm.prompt.facts import facts
from llm_pv.proposers.llm.prompt.row_choice import subsample
from llm_pv.proposers.llm.prompt.statement import problem_statement
from llm_pv.tasks.loading import load_task

REPLY = """\
Sure! The label is the parity of the ones. Here is the program:

```json
{
  "code": "def f(x):
    return x.count('1') % 2"
}
```

Hope it helps.
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """All strings of 8 bits with the parity of their ones, as text lines."""
    path = tmp_path / "rows.txt"
    texts = [f"{number:08b}" for number in range(256)]
    path.write_text("".join(f"{text} -> {text.count('1') % 2}\n" for text in texts))
    return path


def shown_rows(prompt: str) -> set[str]:
    """The lines of a prompt that are examples."""
    return {line for line in prompt.splitlines() if " -> " in line and line[0] in "01"}


def lines_of(examples: Splits, part: str) -> set[str]:
    rows = getattr(examples, part)
    return {f"{item} -> {label}" for item, label in zip(rows.inputs, rows.labels, strict=True)}


def judge(told: str, reply: Path) -> list[str]:
    """The command that standard error names, with a reply put in."""
    (line,) = [line for line in told.splitlines() if "to judge replies: " in line]
    words = shlex.split(line.partition("to judge replies: ")[2])
    assert words[0] == "llm-pv"
    return [word.replace("FILE_OR_FOLDER", str(reply)) for word in words[1:]]


def test_a_reply_from_a_chat_window_is_judged_on_the_split_of_its_prompt(
    tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["prompt", str(rows), "--seed", "3", "--train-size", "40"]) == 0
    prompt, told = capfd.readouterr()
    splits = api.read_splits(str(rows), sizes=api.SplitSizes(40), seed=3)
    assert shown_rows(prompt) == lines_of(splits, "train")
    for part in ("validation", "test"):
        assert not any(line in prompt for line in lines_of(splits, part))
    assert "40 training rows" in told

    reply = tmp_path / "reply.txt"
    reply.write_text(REPLY)
    out = tmp_path / "run"
    assert run([*judge(told, reply), "--out", str(out), "--format", "json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["program"].startswith("def f(x):")
    recorded = json.loads((out / "run.json").read_text())["configuration"]
    assert recorded["rows_digest"] == splits.digest()
    assert recorded["sizes"][0] == 40


def test_replies_to_a_task_of_the_benchmark_are_judged_on_the_data_of_its_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ["--train-size", "20", "--validation-size", "20", "--test-size", "40"]
    assert run(["prompt", "fn_a", "--length", "20", *sizes]) == 0
    prompt, told = capfd.readouterr()
    splits = load_task("fn_a", length=20, train_size=20, validation_size=20, test_size=40, seed=42)
    assert shown_rows(prompt) == lines_of(splits, "train")

    folder = tmp_path / "replies"
    folder.mkdir()
    (folder / "1.txt").write_text("I do not know.")
    (folder / "2.txt").write_text(REPLY)
    out = tmp_path / "run"
    command = [*judge(told, folder), "--out", str(out), "--format", "json"]
    assert command[0] == "synthesize"
    assert run([*command, "--no-transfer"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert [cell["test_accuracy"]["mean"] for cell in result["cells"]] == [1.0]
    stored = {path.parent for path in (tmp_path / "datasets").rglob("*.json")}
    assert len(stored) == 1  # the grid found the data set of the prompt


def test_the_most_rows_of_a_prompt_are_a_hundred_drawn_by_the_seed(
    rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["prompt", str(rows)]) == 0
    prompt = capfd.readouterr().out
    train = api.read_splits(str(rows), seed=0)
    expected = subsample(train.train, 100, 0)
    assert len(train.train) > 100
    assert prompt == problem_statement(
        expected,
        train.classes,
        alphabet="binary",
        answer_format="python",
        facts=facts(train.train, train.classes),
    )
    assert run(["prompt", str(rows), "--prompt-rows", "5"]) == 0
    assert len(shown_rows(capfd.readouterr().out)) == 5


def test_a_prompt_of_a_table_goes_to_a_file_and_names_its_columns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "my rows.csv"
    lines = [f"{number},{number:03}x,{number % 2}\n" for number in range(40)]
    table.write_text("n,code name,y\n" + "".join(lines))
    out = tmp_path / "folder" / "prompt.txt"
    options = ["--target", "y", "--types", "n=float", "--types", "code name=str"]
    wording = ["--prompt-variant", "3", "--tool", "hosted", "--out", str(out)]
    assert run(["prompt", str(table), *options, *wording]) == 0
    shown, told = capfd.readouterr()
    assert shown == ""
    text = out.read_text("utf-8")
    assert text.startswith("Compress the table below.")
    assert "paste the lines above" in text
    assert '{"n": ' in text
    assert 'columns "n", "code name" and the label; no other row' in told
    command = judge(told, tmp_path / "reply.txt")
    assert command[:8] == ["learn", str(table), *options]


def test_the_users_own_template_is_filled_in(
    tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.txt"
    path.write_text('{count}|{"keep": 1}|{labels}\n{examples}')
    command = ["prompt", str(rows), "--prompt-variant", str(path), "--prompt-rows", "2"]
    assert run(command) == 0
    assert capfd.readouterr().out.startswith('2|{"keep": 1}|0, 1\n')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ROWS", "--prompt-variant", "9"], "there is no prompt variant 9"),
        (["ROWS", "--prompt-variant", "none.txt"], "cannot read the prompt template none.txt"),
        (["ROWS", "--prompt-rows", "0"], "0 rows in a prompt"),
        (["ROWS", "--length", "20"], "--length is for a benchmark task"),
        (["fn_a", "--target", "y"], "--target is for a file"),
        (["fn_a", "--length", "-3"], "length"),
        (["no-such-file.csv"], "no-such-file.csv"),
    ],
)
def test_a_request_that_cannot_be_met_is_told_in_one_line(
    rows: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    words = [str(rows) if word == "ROWS" else word for word in arguments]
    assert run(["prompt", *words]) == 2
    shown, told = capfd.readouterr()
    assert shown == ""
    assert message in told
    assert told.count("\n") == 1


def test_what_is_odd_about_the_rows_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.txt"
    lines = [f"{number:08b} -> {number % 2}\n" for number in range(60)]
    path.write_text("".join(lines) + "00000000 -> 1\n")
    assert run(["prompt", str(path)]) == 0
    assert "inputs with conflicting labels: 1 (2 rows)" in capfd.readouterr().err
