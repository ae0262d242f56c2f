"""Every way in which a file can be wrong ends in one line that says where and what to do."""

import gzip
import os
import re
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from llm_pv.data.readers import read_table
from llm_pv.data.reading import Reading
from llm_pv.data.splits import split_tables
from llm_pv.data.table import make_table
from llm_pv.errors import ConfigurationError, DataError, LLMPVError


def message_of(path: Path, error: type[LLMPVError] = DataError, **options: Any) -> str:
    """Return what reading the file says, less the path it begins with."""
    with pytest.raises(error) as caught:
        read_table(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " is empty: it needs a header and rows, or lines 'input -> label'"),
        (b" \n\n", " is empty: it needs a header and rows, or lines 'input -> label'"),
        (b"\xef\xbb\xbf", " is empty: it needs a header and rows, or lines 'input -> label'"),
        (b"\xef\xbb\xbf\n", " is empty: it needs a header and rows, or lines 'input -> label'"),
        (b"a,b\n", " has a header and no rows: add rows under it"),
        (
            b"a,b\n1,2\n1,2,3\n",
            ", line 3: 3 cells where the header has 2; fix the line, or quote cells that hold ','",
        ),
        (
            b'a,b\n"x\ny",2\n1\n',
            ", line 4: 1 cells where the header has 2; fix the line, or quote cells that hold ','",
        ),
        (
            b'a,b\n"x"y,2\n',
            ", line 2: ',' expected after '\"'; a quote inside a quoted cell is written twice",
        ),
        (
            b'a,b\n1,"2\n',
            ", line 2: unexpected end of data; a quote inside a quoted cell is written twice",
        ),
        (b"a,b,a\n1,2,3\n", " has two columns named 'a': rename one"),
        (
            b"5.1,0,5.1\n4.9,1,3\n",
            " has two columns named '5.1': rename one; has the file no header? Write one as its "
            "first line",
        ),
        (b"a,,b\n1,2,3\n", ": column 2 has no name; name it in the header"),
        (
            "a,b\nx,1\nZürich,2\n".encode("latin1"),
            ", line 3: byte 0xfc at offset 9 is not UTF-8: save it as UTF-8, or learn with "
            "--encoding latin-1, cp1252, ...",
        ),
        (
            "a,b\n1,2\n".encode("utf-16"),
            " is UTF-16 text: save it as UTF-8, or learn with --encoding utf-16",
        ),
        (
            b"a,b\n1,\x00\n",
            " is no text (byte 0 at offset 6): give CSV, TSV, JSON lines, 'input -> label' lines "
            "or Parquet",
        ),
        (
            b"PK\x03\x04 a workbook",
            " is a zip archive or a spreadsheet: unpack it, or save it as CSV",
        ),
    ],
)
def test_a_broken_csv_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    assert message_of(path) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n\n[1, 2]\n', r", line 3: \[1, 2\] is no JSON object; write one object a line"),
        ('{"a": 1}\n{"a": }\n', r", line 2: no JSON \(Expecting value.*\); give one object a line"),
        ('{"a": "\\ud800"}\n', ", line 1: half a surrogate pair is no text; correct it"),
        ('{"a": ' + "9" * 5000 + "}", r", line 1: no JSON \(Exceeds the limit .*\); give one"),
        ("[" * 100_000, r", line 1: no JSON \(.*recursion.*\); give one object a line"),
        ('{"a": [1]}\n{"a": [2]}\n', ".*column 'a' holds a list: values must be strings"),
    ],
)
def test_a_broken_json_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    assert re.match(message, message_of(path))


def test_text_lines_must_all_have_labels_or_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("ab -> 0\ncd-> 1\n")
    expected = ", line 2: no ' -> '; write every line as 'input -> label', or none"
    assert message_of(path) == expected


def test_a_broken_parquet_or_gzip_file_is_refused(tmp_path: Path) -> None:
    parquet = tmp_path / "rows.parquet"
    parquet.write_bytes(b"PAR1 and no more")
    pytest.importorskip("pyarrow")
    assert re.match(" cannot be read as Parquet: .*; write it again", message_of(parquet))
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b\n1,2\n")[:-9])
    assert re.match(r" is broken gzip \(.*\): make or fetch it again", message_of(packed))


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert message_of(tmp_path / "none.csv") == ": there is no such file; check the path"
    assert message_of(tmp_path) == " is a directory; give a file in it"
    assert message_of(tmp_path / ("n" * 300)) == " cannot be read: File name too long"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target": "lable"},
            " has no target 'lable' (did you mean 'label'?); its columns are 'a', 'b', 'label'",
        ),
        (
            {"target": "Label"},
            " has no target 'Label' (did you mean 'label'?); its columns are 'a', 'b', 'label'",
        ),
        (
            {"reading": Reading(keep=("zip",)), "learning": True},
            " has no column 'zip'; its columns are 'a', 'b', 'label'",
        ),
        (
            {"target": "label", "types": {"label": "str"}},
            " has no input column 'label'; its columns are 'a', 'b'",
        ),
    ],
)
def test_a_wrong_column_name_is_answered_with_the_right_ones(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,label\n1,2,3\n")
    assert message_of(path, **options) == message


def test_many_columns_are_not_all_listed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(",".join(f"c{n}" for n in range(40)) + "\n" + ",".join("1" * 40) + "\n")
    assert message_of(path, target="y").endswith("'c10', 'c11', ... (40 in all)")


def test_a_target_alone_is_nothing_to_learn_from(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("label\n1\n")
    expected = " has no column besides the target 'label': nothing to learn from"
    assert message_of(path, target="label") == expected


def test_a_target_cannot_be_an_input_too() -> None:
    frame = pd.DataFrame({"a": [1], "label": [0]})
    with pytest.raises(ConfigurationError) as error:
        make_table(frame, target="label", columns=["a", "label"])
    assert str(error.value) == "columns a, label: name each once, and not the target 'label'"


def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,label\n1,0\n")
    message = message_of(path, ConfigurationError, format="xlsx")
    assert message == "format 'xlsx': give one of csv, tsv, jsonl, text, parquet"


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (
            "a,b,label\n1,2,3\n",
            None,
            " has no labels: name the target (--target), one of its columns 'a', 'b', 'label', or "
            "write lines 'input -> label'",
        ),
        ("a,label\n1,\n2,\n", "label", " has no row with a label: fill in the target column"),
    ],
)
def test_rows_without_any_label_cannot_be_split(
    tmp_path: Path, content: str, target: str | None, message: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        split_tables(read_table(path, target=target), seed=0)
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="no such devices here")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/urandom"])
def test_a_device_without_an_end_is_not_read(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=rf"^{device} is a device, which has no end; give a file$"):
        read_table(device)
    with Path(device).open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(DataError, match=r"^standard input is a device, which has no end"):
            read_table("-")


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="no such device here")
def test_the_empty_device_is_an_empty_file() -> None:
    with pytest.raises(DataError, match="/dev/null is empty"):
        read_table("/dev/null")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_without_a_writer_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"rows\.csv is a pipe that no program writes to"):
        read_table(pipe)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("is_first", [True, False])
def test_a_named_pipe_with_a_writer_is_read_to_its_end(tmp_path: Path, is_first: bool) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    text = b"a,b\n" + b"1,2\n" * 10_000

    def write() -> None:
        if is_first:
            os.write(writer, text[:4])
        started.set()
        with os.fdopen(writer, "wb") as stream:
            stream.write(text[4:] if is_first else text)

    started = threading.Event()
    thread = threading.Thread(target=write)
    thread.start()
    started.wait()
    table = read_table(pipe)
    thread.join()
    os.close(reader)
    assert len(table) == 10_000
    assert table.inputs()[0] == {"a": 1, "b": 2}
