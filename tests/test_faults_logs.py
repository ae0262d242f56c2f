"""A log whose last line is cut short, and a second process, cost nothing that was recorded."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_pv.cli.main import INTERRUPTED, run
from llm_pv.runs.reading import read_attempts, read_replies, read_summary
from rows import ALWAYS_ONE, FIRST_BIT, PARITY

SOURCE = str(Path(__file__).parents[1] / "src")
ENDLESS = "def f(x):\n    while True:\n        pass\n"


def write_inputs(folder: Path) -> None:
    rows = "".join(f"{n:07b} -> {n.bit_count() % 2}\n" for n in range(100))
    (folder / "rows.txt").write_text(rows)
    for name, last in (("replies", PARITY), ("endless", ENDLESS)):
        texts = (FIRST_BIT, ALWAYS_ONE, last)
        text = "".join(json.dumps(reply) + "\n" for reply in texts)
        (folder / f"{name}.jsonl").write_text(text)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with rows and replies."""
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a finished run of each command, in folders named after it."""
    folder = tmp_path_factory.mktemp("finished")
    write_inputs(folder)
    with contextlib.chdir(folder):
        for words in (LEARN, GRID):
            assert run([*words, "--out", words[0]]) == 0
    return folder


LEARN = ["learn", "rows.txt", "--proposer", "replay:replies.jsonl", "--workers", "1"]
GRID = ["synthesize", "--functions", "fn_a", "--lengths", "20", "--trials", "1", "--test-size",
        "100", "--proposer", "replay:replies.jsonl", "--workers", "1"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "log"),
    [
        (LEARN, "replies.jsonl"),
        (LEARN, "results_attempts.jsonl"),
        (LEARN, "runner.log"),
        (GRID, "transfer.jsonl"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_truncated_last_line_is_repaired_with_a_warning(
    work: Path, words: list[str], log: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*words, "--out", "run"]
    assert run(command) == 0
    file = work / "run" / log
    before = file.read_bytes()
    results = (work / "run" / "results_attempts.jsonl").read_text().splitlines()
    # As a kill in the middle of the last write leaves it: the run had not come to its end.
    (work / "run" / "summary.csv").unlink()
    file.write_bytes(before[: len(before) - 10])
    capfd.readouterr()
    assert run(command) == 0
    warnings = [line for line in capfd.readouterr().err.splitlines() if "incomplete" in line]
    assert warnings == [
        f"llm-pv: run/{log}: the last line was incomplete and is removed; its work is repeated"
    ]
    whole = before[: before.rfind(b"\n", 0, len(before) - 1) + 1]
    assert file.read_bytes().startswith(whole)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    kinds = [json.loads(line)["kind"] for line in results]
    again = (work / "run" / "results_attempts.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in again] == kinds
    assert (work / "run" / "summary.csv").exists()
    told = [json.loads(line) for line in (work / "run" / "runner.log").read_text().splitlines()]
    assert [f"{log}: cut off a torn last line" in line["message"] for line in told].count(True) == 1


def last_lines_off(data: bytes, count: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:-count])


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "torn selection": ("results_attempts.jsonl", lambda data: data[:-10]),
    "no selection": ("results_attempts.jsonl", lambda data: last_lines_off(data, 1)),
    "one attempt": ("results_attempts.jsonl", lambda data: last_lines_off(data, 3)),
    "no attempts": ("results_attempts.jsonl", lambda _: None),
    "no first attempt": ("results_attempts.jsonl", lambda data: data[data.find(b"\n") + 1 :]),
    "an attempt twice": (
        "results_attempts.jsonl",
        lambda data: data[: data.find(b"\n") + 1] + data,
    ),
    "backwards": ("results_attempts.jsonl", lambda data: b"".join(data.splitlines(True)[::-1])),
    "one reply": ("replies.jsonl", lambda data: last_lines_off(data, 2)),
    "no program": ("programs/*", lambda _: None),
    "no predictions": ("predictions/*", lambda _: None),
}


@pytest.mark.parametrize("words", [LEARN, GRID], ids=lambda words: words[0])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_finished_cell_lost_is_done_again(
    finished: Path, work: Path, words: list[str], damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*words, "--out", "run"]
    shutil.copytree(finished / words[0], "run")
    kinds = [record["kind"] for record in read_attempts(work / "run")]
    replies = read_replies(work / "run")
    pattern, mutilate = DAMAGES[damage]
    (file,) = (work / "run").glob(pattern)
    before = file.read_bytes()
    after = mutilate(before)
    if after is None:
        file.unlink()
    else:
        file.write_bytes(after)
    capfd.readouterr()
    assert run(command) == 0
    assert "is done again" in capfd.readouterr().err
    assert [record["kind"] for record in read_attempts(work / "run")] == kinds
    assert [reply["text"] for reply in read_replies(work / "run")] == [r["text"] for r in replies]
    assert len(read_summary(work / "run")) == 1
    if file.suffix != ".jsonl":
        assert file.read_bytes() == before
    assert run(command) == 0
    assert "again" not in capfd.readouterr().err


@pytest.fixture
def busy(work: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of a run in the folder ``run``."""
    command = [*LEARN, "--out", "run", "--wall-seconds", "600", "--cpu-seconds", "600"]
    command[3] = "replay:endless.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_pv", *command], env={"PYTHONPATH": SOURCE}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    attempts = work / "run" / "results_attempts.jsonl"
    while process.poll() is None and not (attempts.exists() and attempts.read_text()):
        time.sleep(0.01)  # between two looks; nothing depends on how long
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("words", [LEARN, GRID], ids=lambda words: words[0])
def test_a_second_process_on_one_run_directory_is_refused_in_one_line(
    work: Path,
    busy: "subprocess.Popen[str]",
    words: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in (work / "run").glob("*.json*")}
    assert run([*words, "--out", "run"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "llm-pv: run is in use by another process; wait for it or choose another --out\n"
    )
    assert busy.poll() is None
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    busy.send_signal(signal.SIGINT)
    assert busy.wait(60) == INTERRUPTED
