"""Append-only journals: what is appended is there, and a torn end costs only itself."""

import json
import math
import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import RepairWarning, RunError
from llm_pv.runs.journal import Journal

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


def test_a_journal_that_is_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        Journal(tmp_path, sync=False)
