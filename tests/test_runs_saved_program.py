"""Finding saved programs: in a run, in a run's folder, alone."""

import errno
import io
import json
import os
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from llm_pv.api import Search, learn
from llm_pv.data.examples import Classes
from llm_pv.data.reading import Reading
from llm_pv.errors import ConfigurationError, ProgramError, RunError
from llm_pv.programs.program import Program
from llm_pv.proposers.replay import Replay
from llm_pv.runs.saved_program import SavedProgram, load_program
from rows import PARITY, parity_splits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "reply.txt").write_text(PARITY)
    out = tmp_path / "run"
    learn(parity_splits(), search=Search(f"replay:{tmp_path / 'reply.txt'}"), out=out, name="bits")
    return out


def test_a_run_and_its_program_s_file_give_the_same(run: Path) -> None:
    by_run = load_program(run)
    by_file = load_program(run / "programs" / "bits-t0.py")
    assert by_run == by_file
    assert by_run.program.source == PARITY
    assert by_run.classes is not None
    assert by_run.classes.values == (0, 1)
    assert (by_run.value("1"), by_run.value("2"), by_run.value(None)) == (1, None, None)


def test_a_file_that_stands_alone_knows_its_source_only(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PARITY)
    saved = load_program(path)
    assert saved.program.source == PARITY
    assert (saved.columns, saved.types, saved.classes) == (None, None, None)
    assert saved.value("1") == "1"


def test_a_run_with_several_programs_asks_which(run: Path) -> None:
    (run / "programs" / "other-t0.py").write_text(PARITY)
    with pytest.raises(RunError, match=r"2 programs.*bits-t0\.py, other-t0\.py"):
        load_program(run)


def test_a_run_without_a_program_says_so(run: Path) -> None:
    (run / "programs" / "bits-t0.py").unlink()
    with pytest.raises(RunError, match=r"run holds no program: no program was found$"):
        load_program(run)
    (run / "summary.csv").unlink()
    with pytest.raises(RunError, match=r"run holds no program: it is not finished$"):
        load_program(run)
    for name in "edcbaf":
        (run / "programs" / f"{name}.py").touch()
    with pytest.raises(RunError) as raised:
        load_program(run)
    assert str(raised.value) == (
        f"{run} holds 6 programs; name one of programs/: a.py, b.py, c.py, d.py, e.py"
    )


def test_files_that_hold_no_program_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError) as raised:
        load_program(tmp_path / "none.py")
    assert str(raised.value) == (
        f"cannot read {tmp_path / 'none.py'}: No such file or directory; give a run directory or a "
        "program's file"
    )
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match=r"bytes\.py: 'utf-8' codec can't decode byte 0xff"):
        load_program(tmp_path / "bytes.py")
    (tmp_path / "other.py").write_text("print('hello')\n")
    with pytest.raises(ProgramError, match=r"other\.py holds no program: "):
        load_program(tmp_path / "other.py")


def test_a_file_may_have_as_many_characters_as_the_limit_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "program.py"
    path.write_text(f"# é\n{PARITY}", "utf-8")
    most = len(PARITY) + 4
    monkeypatch.setattr("llm_pv.runs.saved_program._MOST_CHARACTERS", most)
    assert "# é" in load_program(path).program.source
    monkeypatch.setattr("llm_pv.runs.saved_program._MOST_CHARACTERS", most - 1)
    with pytest.raises(ProgramError, match=rf"program\.py holds no .* more than {most - 1} charac"):
        load_program(path)


def test_a_program_comes_with_all_that_its_run_recorded(tmp_path: Path) -> None:
    run = tmp_path / "run"
    path = run / "programs" / "rows-t0.py"
    path.parent.mkdir(parents=True)
    path.write_text(PARITY)
    configuration: dict[str, Any] = {
        "columns": ["age", "size"], "types": {"age": "int", "size": "float"}, "target": "ill",
        "classes": ["low", "high"], "class_values": [0, 1],
    }  # fmt: skip
    more: dict[str, Any] = {
        "reading": {"missing": ["?"], "bins": 2}, "edges": [7.5], "odd_cells": {"age": ["x"]},
    }  # fmt: skip
    read: dict[str, Any] = {
        "reading": Reading(missing=("?",), bins=2), "edges": (7.5,), "odd": {"age": ["x"]},
    }  # fmt: skip
    for recorded, expected in (({}, {}), (more, read)):
        record = {"format": 1, "configuration": configuration | recorded}
        (run / "run.json").write_text(json.dumps(record))
        loaded = SavedProgram(
            Program.parse(PARITY), path, ("age", "size"), {"age": "int", "size": "float"}, "ill",
            Classes(("low", "high"), (0, 1)), **expected,
        )  # fmt: skip
        assert load_program(path) == load_program(run) == loaded
        # A copy outside the run knows nothing of it, wherever it lies.
        for copy in (run / "copy" / "p.py", tmp_path / "programs" / "p.py"):
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(PARITY)
            assert load_program(copy) == SavedProgram(Program.parse(PARITY), copy)
    ranges = {"age": [1, 2]}
    for line, known in (
        ({"kind": "selected", "ranges": ranges}, True),
        ({"kind": "attempt", "ranges": ranges}, False),
        ({"ranges": ranges}, False),
        ({"kind": "selected", "ranges": [1, 2]}, False),
    ):
        (run / "results_attempts.jsonl").write_text(json.dumps(line) + "\n")
        assert load_program(run).ranges == (ranges if known else {})


def test_what_the_run_recorded_is_plain_json(run: Path) -> None:
    configuration = json.loads((run / "run.json").read_text())["configuration"]
    assert configuration["class_values"] == [0, 1]
    assert configuration["planned_attempts"] == 1
    assert configuration["sizes"] == [20, 30, 40]


def test_the_ranges_of_the_one_selected_program_are_read(run: Path) -> None:
    journal = run / "results_attempts.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    (selected,) = (record for record in records if record["kind"] == "selected")
    ranges = {"age": [20, 59]}
    for times, expected in ((1, ranges), (2, {})):
        written = [*records, *[selected | {"ranges": ranges}] * times]
        written.remove(selected)
        journal.write_text("".join(json.dumps(record) + "\n" for record in written))
        assert load_program(run).ranges == expected


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without end")
def test_a_device_without_an_end_is_no_program() -> None:
    with pytest.raises(RunError, match="cannot read /dev/zero: is a device, which has no end"):
        load_program(Path("/dev/zero"))


def test_a_file_of_more_characters_than_any_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text(PARITY + "#" * 2_000_000)
    with pytest.raises(ProgramError, match="it has more than 2,000,000 characters"):
        load_program(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_a_program_s_file_where_a_program_writes_to_it(tmp_path: Path) -> None:
    pipe = tmp_path / "program.py"
    os.mkfifo(pipe)
    with pytest.raises(RunError, match=r"program\.py: is a pipe that no program writes to; give"):
        load_program(pipe)
    # The pipe is not empty at first, and its other writer is open until both ends are.
    reader, writer = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), os.open(pipe, os.O_WRONLY)
    os.write(writer, PARITY.encode().replace(b"\n", b"\r\n"))
    Timer(0.1, os.close, [writer]).start()
    assert load_program(pipe).program.source == PARITY
    os.close(reader)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_replies_are_not_waited_for_in_a_named_pipe(tmp_path: Path) -> None:
    for name in ("replies.jsonl", "reply.txt"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ConfigurationError, match="is a pipe that no program writes to"):
            Replay(tmp_path / name).replies()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(
    ("locked", "named", "said"),
    [
        ("run", "run/programs/bits-t0.py", "cannot read .*bits-t0.py: Permission denied"),
        ("run", "run", r"run.run\.json cannot be read: Permission denied"),
        ("run/programs", "run", "programs cannot be read: Permission denied"),
        ("run/run.json", "run", r"run\.json cannot be read: Permission denied"),
    ],
)
def test_what_may_not_be_read_is_named(
    locked: str, named: str, said: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run.parent / locked

    def checked(call: Any, *, of_content: bool) -> Any:
        def checks(path: Any, *more: Any, **options: Any) -> Any:
            at = Path(str(path))
            inside = refused in at.parents or (of_content and at == refused)
            if inside:  # as an ordinary user gets it; these tests may run as root
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *more, **options)

        return checks

    for owner, name in ((os, "stat"), (os, "open"), (os, "listdir"), (os, "scandir"), (io, "open")):
        monkeypatch.setattr(owner, name, checked(getattr(owner, name), of_content=name != "stat"))
    with pytest.raises(RunError, match=said):
        load_program(run.parent / named)
