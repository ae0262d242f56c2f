"""A full or read-only disk costs one line of complaint, and nothing that was kept."""

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_pv.api import Search, learn
from llm_pv.cli.main import run
from llm_pv.data.examples import Splits
from llm_pv.erm.result import LearnedProgram
from llm_pv.errors import RunError
from llm_pv.runs.reading import read_attempts, read_replies
from llm_pv.sandbox import Sandbox
from rows import ALWAYS_ONE, FIRST_BIT, PARITY, parity_splits

PAGE = 4096
PADDING = "# " + "so it goes " * 300 + "\n"
"""Replies longer than half a page end on another one than they begin on."""


class Disk:
    """A small disk of its own."""

    def __init__(self, folder: Path, pages: int) -> None:
        self.path = folder
        self._pages = pages
        self._ballast = folder / ".ballast"

    def leave(self, pages: int) -> None:
        """Fill it but for so many pages."""
        self.free()
        self._ballast.write_bytes(bytes(PAGE * (self._pages - pages)))

    def free(self) -> None:
        """Take away what fills it."""
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 256 pages in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={256 * PAGE}"
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "none", folder], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield Disk(folder, 256)
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def replies(tmp_path: Path) -> Path:
    path = tmp_path / "replies.jsonl"
    texts = [PADDING + source for source in (FIRST_BIT, ALWAYS_ONE, PARITY)]
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    return path


@pytest.fixture
def go(replies: Path, sandbox: Sandbox) -> Callable[[Path], LearnedProgram]:
    """A function that learns in a directory from the three replies, of which the last is right."""
    splits: Splits = parity_splits()
    search = Search(f"replay:{replies}")
    return lambda out: learn(splits, search=search, sandbox=sandbox, out=out)


def check_told(error: RunError) -> None:
    """The message names the fault and the way out."""
    assert "No space left on device" in str(error)
    assert "choose another --out" in str(error)


def check_readable(out: Path) -> None:
    """What is kept is whole lines, attempts one by one and none without its reply."""
    kept = [record["attempt"] for record in read_replies(out)]
    attempts = [row["attempt"] for row in read_attempts(out) if row["kind"] == "attempt"]
    assert kept == list(range(1, len(kept) + 1))
    assert attempts == list(range(1, len(attempts) + 1))
    assert len(attempts) <= len(kept)
    for file in out.glob("*.json*"):
        assert file.read_bytes()[-1:] in {b"", b"\n"}


def check_result(learned: LearnedProgram, out: Path) -> None:
    """The run came to what it comes to undisturbed."""
    assert learned.program is not None
    assert learned.program.source.endswith(PARITY)
    assert learned.test is not None
    assert learned.test.accuracy == 1.0
    check_readable(out)
    records = read_attempts(out)
    assert [row["kind"] for row in records] == ["attempt"] * 3 + ["selected"]
    assert not list(out.rglob(".*.????????")), "a temporary file was left"


def test_a_disk_that_is_full_at_any_page_stops_a_run_that_then_goes_on(
    disk: Disk, go: Callable[[Path], LearnedProgram]
) -> None:
    stopped = 0
    for pages in range(256):
        out = disk.path / f"run{pages}"
        disk.leave(pages)
        try:
            learned = go(out)
        except RunError as error:
            stopped += 1
            check_told(error)
            check_readable(out)
            disk.free()
            learned = go(out)
            check_result(learned, out)
            subprocess.run(["rm", "-r", out], check=True)
        else:
            check_result(learned, out)
            break
    # run.json, three replies and two journals, the program, predictions, summary: many places.
    assert stopped > 8


def test_a_disk_that_fails_to_sync_at_any_time_stops_a_run_that_then_goes_on(
    tmp_path: Path, go: Callable[[Path], LearnedProgram], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync
    left = 0

    def failing(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    for good in range(100):
        out = tmp_path / f"run{good}"
        monkeypatch.setattr(os, "fsync", failing)
        left = good
        try:
            learned = go(out)
        except RunError as error:
            check_told(error)
            check_readable(out)
        else:
            break
        finally:
            monkeypatch.setattr(os, "fsync", sync)
        learned = go(out)
        check_result(learned, out)
    check_result(learned, out)
    assert good > 5


def commands(folder: Path, replies: Path) -> dict[str, list[str]]:
    rows = folder / "rows.txt"
    rows.write_text("".join(f"{n:07b} -> {n.bit_count() % 2}\n" for n in range(100)))
    common = ["--proposer", f"replay:{replies}", "--workers", "1"]
    return {
        "learn": ["learn", str(rows), *common],
        "synthesize": [
            "synthesize", "--functions", "fn_a", "--lengths", "20", "--trials", "2",
            "--test-size", "100", "--no-transfer", *common,
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "pages"), [("learn", 0), ("learn", 4), ("synthesize", 3), ("synthesize", 8)]
)
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    disk: Disk,
    replies: Path,
    tmp_path: Path,
    command: str,
    pages: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = disk.path / "run"
    words = [*commands(tmp_path, replies)[command], "--out", str(out)]
    if command == "synthesize":
        words += ["--dataset-dir", str(disk.path / "datasets")]
    disk.leave(pages)
    assert run(words) == 2
    complaints = [
        line for line in capfd.readouterr().err.splitlines() if line.startswith("llm-pv: ")
    ]
    assert len(complaints) == 1
    assert "No space left on device" in complaints[0]
    check_readable(out)
    disk.free()
    assert run(words) == 0
    shown = capfd.readouterr()
    assert "100.0" in shown.out
    assert "llm-pv: " not in shown.err


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """A function that makes a directory read-only, for root too."""
    closed: list[tuple[Path, bool]] = []

    def close(path: Path) -> None:
        if os.geteuid():
            path.chmod(0o500)
            closed.append((path, False))
            return
        bound = subprocess.run(["mount", "--bind", path, path], capture_output=True, check=False)
        if bound.returncode:
            pytest.skip(f"nothing can be mounted here: {bound.stderr.decode().strip()}")
        closed.append((path, True))
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)

    def open_again() -> None:
        while closed:
            path, mounted = closed.pop()
            if mounted:
                subprocess.run(["umount", path], check=True)
            else:
                path.chmod(0o700)

    yield close
    open_again()


@pytest.mark.parametrize("command", ["learn", "synthesize"])
def test_a_read_only_run_directory_is_refused_in_one_line_and_can_be_read(
    locked: Callable[[Path], None],
    replies: Path,
    tmp_path: Path,
    command: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    words = [*commands(tmp_path, replies)[command], "--out", str(out)]
    (tmp_path / "empty").mkdir()
    assert run(words) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for folder in (out, tmp_path / "empty"):
        locked(folder)
        capfd.readouterr()
        assert run([*words[:-1], str(folder)]) == 2
        shown = capfd.readouterr()
        assert shown.err.startswith("llm-pv: ")
        assert shown.err.count("\n") == 1
        assert str(folder) in shown.err
        assert "choose another" in shown.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    program = next((out / "programs").iterdir())
    assert run(["verify", str(program), str(tmp_path / "rows.txt")]) == 0
    assert run(["report", str(out), "--out", str(tmp_path / "report")]) == 0
