"""A wall clock that jumps by hours changes no budget, no name and no record."""

import ast
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from llm_pv.api import Search, learn
from llm_pv.cli import output
from llm_pv.proposers.registry import BuiltIn
from llm_pv.runs import directory
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.runs.reading import read_attempts
from llm_pv.sandbox import Limits, Outcome, Sandbox
from rows import parity_splits

SOURCE = Path(__file__).parents[1] / "src" / "llm_pv"
WALL_CLOCK = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "today"),
              ("datetime", "utcnow"), ("date", "today")}  # fmt: skip


class Jumping(datetime):
    """A clock that is hours ahead or behind at every look."""

    draw = random.Random(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Jumping":
        jump = timedelta(hours=cls.draw.choice([-30, -1, 1, 30]))
        return cls.fromtimestamp(1_800_000_000, tz) + jump


@pytest.fixture
def jumping_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every clock of the wall jump, for this process."""
    clock, draw = time.time, random.Random(0)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: clock() + draw.choice([-1e5, 1e5]))
        patch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
        for module in (output, directory):
            patch.setattr(module, "datetime", Jumping)
        yield


@pytest.mark.usefixtures("jumping_clock")
def test_a_search_has_the_time_it_was_given(tmp_path: Path, sandbox: Sandbox) -> None:
    search = Search(budget_seconds=1_000, attempts=5, built_in=BuiltIn(100_000))
    learned = learn(parity_splits(), search=search, sandbox=sandbox, out=tmp_path / "run")
    assert learned.test is not None
    assert learned.test.accuracy == 1.0
    assert not any(attempt.proposal.capped for attempt in learned.selection.attempts)
    assert learned.learn_seconds >= 0
    attempts = [row for row in read_attempts(tmp_path / "run") if row["kind"] == "attempt"]
    assert [row["attempt"] for row in attempts] == list(range(1, len(attempts) + 1))
    again = learn(parity_splits(), search=search, sandbox=sandbox, out=tmp_path / "run")
    assert again.already_finished


@pytest.mark.usefixtures("jumping_clock")
def test_a_candidate_is_stopped_at_its_limit_and_not_before() -> None:
    with Sandbox(Limits(wall_seconds=0.5), workers=1) as sandbox:
        slept = sandbox.predict("import time\ndef f(x):\n    time.sleep(9e9)", ["a"])
    assert slept.outcome is Outcome.TIMED_OUT
    assert 0.5 <= slept.wall_seconds < 1_000
    with Sandbox(Limits(wall_seconds=100), workers=1) as sandbox:
        assert sandbox.predict("def f(x):\n    return x", ["a"]).predictions == ("a",)


@pytest.mark.usefixtures("jumping_clock")
def test_runs_of_one_name_never_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({output.new_folder("rows") for _ in range(20)}) == 20


@pytest.mark.usefixtures("jumping_clock")
def test_a_log_keeps_the_order_in_which_things_happened(tmp_path: Path) -> None:
    for part in range(3):
        with RunDirectory(tmp_path, {"seed": 0}) as run:
            log = run.cell_log(Cell("fn_a"))
            assert [record["attempt"] for record in log.replies] == list(range(part))
            log.append_reply({"attempt": part})


def test_the_wall_clock_is_read_for_names_and_records_alone() -> None:
    readers = []
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Attribute(ast.Name(owner), name) if (owner, name) in WALL_CLOCK:
                    readers.append(file.relative_to(SOURCE).as_posix())
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                assert not {"time", "time_ns"} & {name.name for name in node.names}, file
    assert sorted(readers) == ["cli/output.py", "runs/directory.py", "runs/directory.py"]
