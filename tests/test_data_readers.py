"""What is written in each format comes back unchanged, whatever the strings hold."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_pv.data.readers import read_table, table_from
from llm_pv.data.reading import Reading
from llm_pv.data.splits import split_tables
from llm_pv.data.table import Table
from llm_pv.errors import DataError, MissingExtraError

UNHURRIED = settings(deadline=None, max_examples=30)  # pandas can take its time to warm up
NASTY = [
    "a,b",
    'say "hi"',
    "two\nlines",
    "x -> y",
    "Zürich 🙂",
    "007",
    " padded ",
    "\t",
    "a;b",
    "\u2028",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all examples of a property, each of which overwrites its file."""
    return tmp_path_factory.mktemp("rows")


def labels_of(table: Table) -> list[object]:
    assert table.labels is not None
    return list(table.labels.tolist())


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t"), ("csv", ";")])
@UNHURRIED
@given(texts=st.lists(TEXT, min_size=1))
@example(texts=NASTY)
def test_delimited_strings_come_back(
    folder: Path, suffix: str, delimiter: str, texts: list[str]
) -> None:
    path = folder / f"rows.{suffix}"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["text", "label"])
        writer.writerows([text, "no"] for text in texts)
    table = read_table(path, target="label")
    assert table.inputs() == texts
    assert labels_of(table) == ["no"] * len(texts)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_text_is_read_in_its_encoding_and_a_utf_8_mark_overrules_it(
    tmp_path: Path, encoding: str
) -> None:
    path, reading = tmp_path / "rows.csv", Reading(encoding=encoding)
    path.write_text("größe,n,y\nzwölf,1,ja\n", encoding=encoding)
    assert read_table(path, target="y", reading=reading).inputs() == [{"größe": "zwölf", "n": 1}]
    path.write_text("größe,n,y\nzwölf,1,ja\n", encoding="utf-8-sig")
    assert read_table(path, target="y", reading=reading).inputs() == [{"größe": "zwölf", "n": 1}]


@UNHURRIED
@given(texts=st.lists(TEXT, min_size=1), numbers=st.lists(st.integers(), min_size=1))
@example(texts=NASTY, numbers=[2**70])
def test_json_lines_come_back(folder: Path, texts: list[str], numbers: list[int]) -> None:
    path = folder / "rows.jsonl"
    rows = [{"text": t, "number": n} for t, n in zip(texts, numbers, strict=False)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_table(path).inputs() == rows


@UNHURRIED
@given(pairs=st.lists(st.tuples(LINE, st.sampled_from(["yes", "no -"])), min_size=1))
@example(pairs=[(text, "yes") for text in NASTY if "\n" not in text])
def test_text_lines_split_at_the_last_arrow(folder: Path, pairs: list[tuple[str, str]]) -> None:
    path = folder / "rows.txt"
    path.write_bytes("".join(f"{text} -> {label}\n" for text, label in pairs).encode())
    table = read_table(path)
    assert table.inputs() == [text for text, _ in pairs]
    assert labels_of(table) == [label for _, label in pairs]


@UNHURRIED
@given(texts=st.lists(TEXT, min_size=1))
@example(texts=NASTY)
def test_parquet_strings_and_gaps_come_back(folder: Path, texts: list[str]) -> None:
    pytest.importorskip("pyarrow")
    path = folder / "rows.parquet"
    rows = pd.DataFrame({"text": texts, "n": pd.array([None] * len(texts), dtype="Int64")})
    rows.to_parquet(path)
    assert read_table(path).inputs() == [{"text": text, "n": None} for text in texts]


@pytest.mark.parametrize(
    "text",
    ["text,label\r\nab,0\r\ncd,1\r\n", "text,label\rab,0\rcd,1", "\ufefftext,label\n\nab,0\ncd,1"],
)
def test_line_ends_byte_order_marks_and_blank_lines_do_no_harm(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    table = read_table(path, target="label")
    assert (table.inputs(), labels_of(table)) == (["ab", "cd"], ["0", "1"])


def test_text_lines_may_end_as_on_windows_and_without_labels_are_inputs(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"ab -> 0\r\n\r\ncd -> 1\r\n")
    assert labels_of(read_table(path)) == ["0", "1"]
    path.write_bytes(b"ab\r\ncd")
    table = read_table(path)
    assert table.inputs() == ["ab", "cd"]
    assert table.labels is None


def test_a_quoted_comma_in_the_header_does_not_make_commas_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('"size, cm";"label"\n1,5;0\n2,5;1\n')
    table = read_table(path, target="label", types={"size, cm": "str"})
    assert table.inputs() == ["1,5", "2,5"]


def test_a_cell_may_be_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "a" * (limit + 1) + ",0\n")
    assert read_table(path, target="label").inputs() == ["a" * (limit + 1)]
    assert csv.field_size_limit() == limit


def test_many_rows_are_read_in_pieces_as_one_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("n,s,label\n" + "".join(f"{n},w{n},{n % 2}\n" for n in range(120_000)))
    table = read_table(path, target="label")
    assert len(table) == 120_000
    assert table.inputs([0, 50_000, 119_999]) == [
        {"n": n, "s": f"w{n}"} for n in (0, 50_000, 119_999)
    ]


def test_many_json_lines_may_gain_and_lose_fields_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' * 60_000 + '{"b": "x"}\n' * 60_000)
    inputs = read_table(path).inputs([0, 59_999, 60_000, 119_999])
    assert inputs == [{"a": 1, "b": None}] * 2 + [{"a": None, "b": "x"}] * 2


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("text,label\nab,0\ncd,1\n", ["ab", "cd"]),
        ("text\tlabel\nab\t0\ncd\t1\n", ["ab", "cd"]),
        ('{"text": "ab", "label": 0}\n{"text": "cd", "label": 1}\n', ["ab", "cd"]),
        ("ab -> 0\ncd -> 1\n", ["ab", "cd"]),
    ],
)
def test_standard_input_and_unknown_names_are_told_by_their_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, inputs: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert read_table("-", target="label").inputs() == inputs
    path = tmp_path / "rows.data"
    path.write_bytes(gzip.compress(text.encode()))
    assert read_table(path, target="label").inputs() == inputs


def test_a_format_given_overrules_the_name_and_gzip_is_seen_through(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("text,label\nx -> y,0\n")
    assert read_table(path, target="label", format="csv").inputs() == ["x -> y"]
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_table(packed, target="label").inputs() == ["x -> y"]


def test_what_spreadsheets_and_frames_leave_behind_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    pd.DataFrame({"a": [5, 6], "b": ["x", "y"]}).to_csv(path)
    table = read_table(path)
    assert table.inputs() == [{"a": 5, "b": "x"}, {"a": 6, "b": "y"}]
    assert table.warnings == (f"{path}: the unnamed first column only counts the rows; left out",)
    path.write_text(" a , b,\n5,x,\n,,\n")
    assert read_table(path).inputs() == [{"a": 5, "b": "x"}, {"a": None, "b": None}]


@pytest.mark.parametrize(
    "cells", [("0", "2", "1"), ("0", "0", "1"), ("1", "2", "4"), ("2", "3", "4")]
)
def test_an_unnamed_first_column_that_does_not_count_the_rows_is_no_row_count(
    cells: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(",b\n" + "".join(f"{cell},x\n" for cell in cells))
    with pytest.raises(DataError, match="column 1 has no name"):
        read_table(path)


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,label\n1,x,0\n2,y,\n3,z,NA\n4,w, 1\n")
    table = read_table(path, target="label")
    assert table.warnings == (f"{path}: 2 rows without a label left out",)
    assert table.inputs() == [{"a": 1, "b": "x"}, {"a": 4, "b": "w"}]
    assert labels_of(table) == ["0", "1"]


def test_na_is_a_label_among_words(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,country\nWindhoek,NA\nBerlin,DE\n")
    assert labels_of(read_table(path, target="country")) == ["NA", "DE"]


def test_json_lines_may_lack_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"b": true, "a": 2.5}\n{"b": null}\n')
    assert read_table(path).inputs() == [
        {"a": 1.0, "b": None},
        {"a": 2.5, "b": True},
        {"a": None, "b": None},
    ]


def test_a_missing_single_input_is_the_empty_string_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "x"}\n{"a": null}\n')
    table = read_table(path)
    assert table.inputs() == ["x", ""]
    assert table.warnings == (f"{path}: 1 row without an input read as the empty string",)


def test_parquet_without_pyarrow_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and more")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(pd, "read_parquet", _refuse_without_pyarrow)
    with pytest.raises(MissingExtraError, match=r"pip install 'llm-pv\[parquet\]'"):
        read_table(path)


def _refuse_without_pyarrow(*arguments: object, **options: object) -> None:
    raise ImportError("pyarrow is required for parquet support")


@pytest.mark.parametrize(
    ("rows", "inputs"),
    [
        (["ab", "cd"], ["ab", "cd"]),
        (np.array(["ab", "cd"]), ["ab", "cd"]),
        (pd.Series(["ab", "cd"], index=[7, 9], name="word"), ["ab", "cd"]),
        (pd.DataFrame({"word": ["ab", "cd"]}), ["ab", "cd"]),
        (np.array([["ab"], ["cd"]], dtype=object), ["ab", "cd"]),
        (np.array([[1.0], [np.nan]]), [{"x0": 1.0}, {"x0": None}]),
        (np.array([[1, 2], [3, 4]]), [{"x0": 1, "x1": 2}, {"x0": 3, "x1": 4}]),
        (
            np.array([[1, "a"], [2, "b"]], dtype=object),
            [{"x0": 1, "x1": "a"}, {"x0": 2, "x1": "b"}],
        ),
        ([(1, "a"), (None, "b")], [{"x0": 1, "x1": "a"}, {"x0": None, "x1": "b"}]),
        ([{"a": 1}, {"a": None, "b": "x"}], [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        (pd.DataFrame([[1, 2]], columns=[0, 1]), [{"0": 1, "1": 2}]),
    ],
)
def test_rows_in_memory_become_inputs(rows: Any, inputs: list[object]) -> None:
    assert table_from(rows, ["yes"] * len(inputs)).inputs() == inputs


def test_a_frames_own_column_can_be_the_target() -> None:
    table = table_from(pd.DataFrame({"a": [1, 2], "y": ["p", "q"]}), target="y")
    assert (table.inputs(), labels_of(table)) == ([{"a": 1}, {"a": 2}], ["p", "q"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("abc", "are a str"),
        ({"a": [1]}, "are a dict"),
        (7, "are a int"),
        ([1, 2], "are a list of int"),
        ([[1], [1, 2]], "are a list of list"),
        ([{"a": 1}, "x"], "are a list of dict, str"),
        ([], "there are none"),
    ],
)
def test_rows_in_memory_of_other_kinds_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table_from(rows)


def test_labels_in_memory_must_be_as_many_as_rows_and_single_values() -> None:
    with pytest.raises(DataError, match="2 rows and 1 labels; give one label a row"):
        table_from(["a", "b"], ["x"])
    nested = table_from(list("abcdef"), [["x"], ["y"]] * 3)
    with pytest.raises(DataError, match="labels must be single values"):
        split_tables(nested, seed=0)
