"""Append-only journals: what is appended is there, and a torn end costs only itself."""

import errno
import io
import json
import math
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import RepairWarning, RunError
from llm_pv.runs.files import cannot_write
from llm_pv.runs.journal import Journal, iterate_journal

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(records=st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4), max_size=5))
def test_records_come_back_as_they_went_in(
    records: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "log.jsonl"
    journal = Journal(path, sync=False)
    for record in records:
        journal.append(record)
    assert Journal(path, sync=False).read() == records


def test_a_record_of_half_a_surrogate_pair_is_written_in_ascii(tmp_path: Path) -> None:
    Journal(tmp_path / "j.jsonl", sync=False).append({"text": "é\ud83d"})
    assert (tmp_path / "j.jsonl").read_bytes() == b'{"text": "\\u00e9\\ud83d"}\n'


def test_a_torn_last_line_is_cut_off_wherever_it_tore(tmp_path: Path) -> None:
    lines = [json.dumps({"attempt": n, "text": "ä\n" * n}) + "\n" for n in range(3)]
    whole = "".join(lines).encode()
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line.encode()))
    for size in range(len(whole) + 1):
        path = tmp_path / f"{size}.jsonl"
        path.write_bytes(whole[:size])
        torn = size not in ends
        with pytest.warns(RepairWarning, match=path.name) if torn else nullcontext():
            journal = Journal(path, sync=False)
        complete = sum(end <= size for end in ends[1:])
        assert [record["attempt"] for record in journal.read()] == list(range(complete))
        assert journal.repaired == torn
        journal.append({"attempt": 99})
        assert journal.read()[-1] == {"attempt": 99}


def test_a_torn_line_longer_than_one_block_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b"x" * 200_000)
    with pytest.warns(RepairWarning, match="incomplete"):
        journal = Journal(path, sync=False)
    assert journal.repaired
    assert journal.read() == [{"a": 1}]


@pytest.mark.parametrize("line", ["not json", "[1, 2]", "[" * 100_000])
def test_a_damaged_line_is_named_not_skipped(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(RunError, match="line 2"):
        Journal(path, sync=False).read()


def test_a_value_json_does_not_know_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl", sync=True)
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.append({"a": math.nan})
    assert journal.read() == []


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    link = tmp_path / "log.jsonl"
    journal = Journal(link, sync=False)
    link.symlink_to("/dev/full")
    with pytest.raises(RunError, match="cannot write"):
        journal.append({"a": 1})


def test_a_synced_append_is_on_the_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    Journal(tmp_path / "log.jsonl", sync=True).append({"a": 1})
    assert synced == [len('{"a": 1}\n')]


class Small(io.FileIO):
    """A file on a disk that takes three bytes at a time, and 20 in all."""

    def write(self, data: Any) -> int:
        if self.tell() >= 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data[:3]))


class OnSmallDisk(type(Path())):  # type: ignore[misc]
    """The path of such a file."""

    def open(self, mode: str = "r", *more: Any, **options: Any) -> Any:
        return Small(self, mode) if mode == "ab" else super().open(mode, *more, **options)


@pytest.mark.parametrize("sync", [True, False])
def test_an_append_that_a_full_disk_cuts_short_leaves_whole_lines(
    tmp_path: Path, sync: bool
) -> None:
    journal = Journal(OnSmallDisk(tmp_path / "log.jsonl"), sync=sync)
    journal.append({"a": 1}, {})
    with pytest.raises(RunError, match=r"log\.jsonl: No space left on device; free the disk or"):
        journal.append({"b": "longer than the rest of the disk"})
    assert (tmp_path / "log.jsonl").read_bytes() == b'{"a": 1}\n{}\n'
    journal.append({"c": 2})
    assert journal.read() == [{"a": 1}, {}, {"c": 2}]


def test_only_what_is_not_on_the_disk_is_synced_and_again_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    full = [OSError(errno.EDQUOT, "Disk quota exceeded")]

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        if len(synced) == 2:
            raise full.pop()

    monkeypatch.setattr(os, "fsync", fsync)
    journal, synchronous = (Journal(tmp_path / str(flag), sync=flag) for flag in (False, True))
    journal.sync()
    assert synced == []
    synchronous.append({})
    synchronous.sync()
    assert synced == [3]
    journal.append({"a": 1})
    with pytest.raises(RunError, match=r"cannot write .*False: Disk quota exceeded; free the disk"):
        journal.sync()
    journal.sync()
    journal.sync()
    assert synced == [3, 9, 9]


def test_a_torn_line_that_cannot_be_cut_off_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"torn")
    with pytest.warns(RepairWarning) as caught:
        Journal(path, sync=False)
    assert caught[0].filename == __file__, "it points at the caller"
    path.write_bytes(b"torn")

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "truncate", refuse)
    with pytest.raises(RunError) as raised:
        Journal(path, sync=False)
    assert str(raised.value) == f"cannot repair {path}: Read-only file system"


def test_records_replaced_are_written_as_those_appended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", sync=False)
    journal.replace([{"text": "é\ud83d"}])
    assert (tmp_path / "j.jsonl").read_bytes() == b'{"text": "\\u00e9\\ud83d"}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.replace([{"a": math.inf}])
    (tmp_path / "j.jsonl").write_bytes(b"{}\n[1]\n")
    with pytest.raises(RunError, match=r"j\.jsonl, line 2: not a JSON object"):
        list(iterate_journal(tmp_path / "j.jsonl", containing=[b"1"]))


def test_what_cannot_be_written_is_said_with_the_way_out() -> None:
    path = Path("run") / "log.jsonl"
    assert str(cannot_write(path, FileNotFoundError(2, "No such file"))) == (
        "cannot write run/log.jsonl: run is gone; put it back to go on with the run, or start it "
        "anew"
    )
    for error in (OSError("odd"), OSError(errno.EIO, "odd")):
        assert str(cannot_write(path, error)) == (
            "cannot write run/log.jsonl: odd; free the disk or choose another --out"
        )


def test_a_journal_that_is_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        Journal(tmp_path, sync=False)
