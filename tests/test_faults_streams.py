"""Standard streams that are closed, or know nothing but ASCII, cost no work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rows import FIRST_BIT, PARITY

SOURCE = str(Path(__file__).parents[1] / "src")


def command(folder: Path, *words: str) -> str:
    text = "".join(json.dumps(reply) + "\n" for reply in (FIRST_BIT, PARITY))
    (folder / "replies.jsonl").write_text(text)
    rows = "".join(f"{n:07b} -> {n.bit_count() % 2}\n" for n in range(100))
    (folder / "r\u00fcckw\u00e4rts.txt").write_text(rows)
    saved = ["--proposer", "replay:replies.jsonl", "--workers", "1", "--out", "run"]
    return " ".join([sys.executable, "-m", "llm_pv", *words, *saved])


def environment(**others: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": SOURCE} | others


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_good_as_none(tmp_path: Path, closed: str) -> None:
    words = ["learn", "r\u00fcckw\u00e4rts.txt"]
    done = subprocess.run(
        ["sh", "-c", f"{command(tmp_path, *words)} {closed}"],
        cwd=tmp_path, env=environment(PYTHONUTF8="1"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "run" / "programs").iterdir())) == 1
    for file in (tmp_path / "run").rglob("*.json*"):
        for line in file.read_text().splitlines() if file.suffix == ".jsonl" else ():
            assert isinstance(json.loads(line), dict)


def test_output_in_ascii_shows_other_letters_as_escapes(tmp_path: Path) -> None:
    grid = ["--functions", "fn_a", "--lengths", "20", "--trials", "2", "--test-size", "50"]
    done = subprocess.run(
        ["sh", "-c", command(tmp_path, "synthesize", *grid, "--no-transfer")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=environment(PYTHONIOENCODING="ascii"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "100.0" in done.stdout
    assert "\\xb1" in done.stdout
