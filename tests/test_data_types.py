"""How cells become values: the rule for each type, on cells written out by hand."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_pv.data.columns import written_type
from llm_pv.data.readers import read_table, table_from
from llm_pv.data.reading import Reading
from llm_pv.data.table import make_table
from llm_pv.errors import ConfigurationError, DataError

UNHURRIED = settings(deadline=None, max_examples=50)  # pandas can take its time to warm up


def column_of(cells: Sequence[str], **options: Any) -> list[Any]:
    """Return what a program gets of a column that a text file holds, beside another one."""
    frame = pd.DataFrame({"x": list(cells), "other": ["o"] * len(cells)}, dtype="str")
    inputs = make_table(frame, written=True, **options).inputs()
    return [row["x"] for row in inputs if isinstance(row, dict)]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", "+3", " 4", "0"], [1, -2, 3, 4, 0]),
        (["1", "2.5", ".5", "1e-3", "4."], [1.0, 2.5, 0.5, 0.001, 4.0]),
        (["True", "false", "TRUE"], [True, False, True]),
        (["007", "1", "2"], ["007", "1", "2"]),
        (["00.5", "1.5"], ["00.5", "1.5"]),
        (["1", "2", "three"], ["1", "2", "three"]),
        (["true", "0"], ["true", "0"]),
        (["2024-01-31", "2024-02-01"], ["2024-01-31", "2024-02-01"]),
        (["1,5", "2,5"], ["1,5", "2,5"]),
        (["inf", "1"], ["inf", "1"]),
        (["1_000", "2"], ["1_000", "2"]),
        (["٣", "1"], ["٣", "1"]),
        (["9" * 100, "1"], [10**100 - 1, 1]),
        (["9" * 5000, "1"], ["9" * 5000, "1"]),
    ],
)
def test_the_type_of_a_column_is_told_from_all_its_cells(
    cells: list[str], values: list[object]
) -> None:
    read = column_of(cells)
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "", "NA", "nan", "?", "3"], [1, None, None, None, None, 3]),
        (["1.5", "None", "null"], [1.5, None, None]),
        (["true", "", "N/A"], [True, None, None]),
        (["NA", "DE", ""], ["NA", "DE", None]),
        (["", "", ""], [None, None, None]),
        (["a", " ", "b"], ["a", " ", "b"]),
    ],
)
def test_missing_cells_reach_a_program_as_none(cells: list[str], values: list[object]) -> None:
    assert column_of(cells) == values


def test_spellings_read_as_missing_are_counted_in_a_warning() -> None:
    frame = pd.DataFrame({"x": ["1", "NA", "NA", ""], "y": ["a", "b", "NA", "c"]}, dtype="str")
    assert make_table(frame, written=True, name="rows.csv").warnings == (
        "rows.csv: cells read as missing in column 'x': 2 ('NA')",
    )


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        ("str", ["1", "2"], ["1", "2"]),
        ("float", ["1", "2"], [1.0, 2.0]),
        ("int", ["007", "5.0", ""], [7, 5, None]),
        ("bool", ["1", "0", "TRUE"], [True, False, True]),
        ("float", ["1", "?"], [1.0, None]),
    ],
)
def test_a_declared_type_overrules(kind: str, cells: list[str], values: list[object]) -> None:
    read = column_of(cells, types={"x": kind})
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("int", "2.5"), ("int", "two"), ("float", "x"), ("bool", "2"), ("int", "inf")],
)
def test_a_cell_that_breaks_its_declared_type_is_named_with_its_row(kind: str, cell: str) -> None:
    with pytest.raises(DataError, match=rf"column 'x', row 3: '{cell}' is no {kind}; .* x=str"):
        column_of(["1", "0", cell], types={"x": kind})


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="type 'date' of column 'x': give one of str, int"):
        column_of(["1"], types={"x": "date"})


def test_values_keep_their_python_types_and_never_are_numpy_scalars() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.Series([1, 2], dtype="int32"),
            "gap": pd.Series([1, None], dtype="Int64"),
            "real": pd.Series([0.5, float("nan")]),
            "truth": pd.Series([True, False]),
            "maybe": pd.Series([True, None], dtype="boolean"),
            "word": ["007", None],
            "group": pd.Categorical(["b", "a"]),
            "day": pd.to_datetime(["2024-01-31", "2024-02-01"]),
            "money": [Decimal("1.5"), Decimal(2)],
            "mixed": [1, "one"],
            "big": [2**70, 1],
        }
    )
    first, second = table_from(frame).inputs()
    assert first == {
        "whole": 1,
        "gap": 1,
        "real": 0.5,
        "truth": True,
        "maybe": True,
        "word": "007",
        "group": "b",
        "day": "2024-01-31T00:00:00",
        "money": 1.5,
        "mixed": "1",
        "big": 2**70,
    }
    assert isinstance(second, dict)
    assert [second[name] for name in ("gap", "real", "maybe", "word")] == [None] * 4
    for row in (first, second):
        assert isinstance(row, dict)
        assert {type(value) for value in row.values()} <= {str, int, float, bool, type(None)}


@pytest.mark.parametrize("value", [[1, 2], b"raw", 1j, {"a": 1}])
def test_a_value_that_is_no_scalar_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"column 'x' holds a .*: values must be strings, numbers"):
        table_from([{"x": value, "y": 1}, {"x": value, "y": 2}])


def test_dates_stay_text() -> None:
    rows = [{"day": dt.date(2024, 1, 31), "n": 1}, {"day": dt.date(2024, 2, 1), "n": 2}]
    assert table_from(rows).inputs()[0] == {"day": "2024-01-31", "n": 1}


def test_one_column_of_strings_gives_plain_strings_as_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("digits,label\n0110,1\n12,0\n")
    assert read_table(path, target="label").inputs() == ["0110", "12"]
    typed = read_table(path, target="label", types={"digits": "int"})
    assert typed.inputs() == [{"digits": 110}, {"digits": 12}]


def test_a_single_column_of_text_that_is_declared_text_stays_a_string(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("digits,label\n0110,1\n007,0\n")
    read = read_table(path, target="label", types={"digits": "str"})
    assert read.inputs() == ["0110", "007"]
    assert table_from(["a", "b"], ["0", "1"], types={"input": "str"}).inputs() == ["a", "b"]


def test_columns_are_found_in_either_unicode_form() -> None:
    # "\u00e4" is "a\u0308" decomposed, as some file systems and spreadsheets write it.
    frame = pd.DataFrame({"a\u0308": ["1", "3"], "o\u0308": ["p", "q"], "u\u0308": ["x", "y"]})
    table = make_table(
        frame,
        target="\u00fc",
        types={"\u00e4": "float"},
        reading=Reading(groups="\u00f6"),
        learning=True,
        written=True,
    )
    assert table.inputs() == [{"\u00e4": 1.0}, {"\u00e4": 3.0}]
    assert table.labels is not None
    assert table.labels.tolist() == ["x", "y"]
    assert table.apart["groups"].tolist() == ["p", "q"]


def test_strings_of_a_frame_that_are_mostly_numbers_stay_strings_with_a_notice() -> None:
    frame = pd.DataFrame({"sum": [*map(str, range(30)), "-", "12%"], "zip": ["10115"] * 32})
    table = make_table(frame)
    assert table.types == {"sum": "str", "zip": "str"}
    (warning,) = table.warnings
    assert warning.startswith(
        "the rows: column 'sum' is text, but all cells except '-', '12%' are numbers; convert it"
    )


def test_the_types_of_one_reading_make_another_look_the_same(tmp_path: Path) -> None:
    learned, new = tmp_path / "learned.csv", tmp_path / "new.csv"
    learned.write_text("size,code,label\n1.5,007,a\n2,008,b\n")
    new.write_text("code,size\n9,3\n")
    types = read_table(learned, target="label").types
    assert types == {"size": "float", "code": "str"}
    again = read_table(new, types=types)
    assert again.inputs() == [{"size": 3.0, "code": "9"}]


@UNHURRIED
@given(st.lists(st.integers() | st.just("?"), min_size=1))
def test_whole_numbers_come_back_as_they_were_written(numbers: list[int | str]) -> None:
    read = column_of([str(number) for number in numbers])
    if any(isinstance(number, int) for number in numbers):
        assert read == [None if number == "?" else number for number in numbers]


@UNHURRIED
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_decimals_come_back_to_the_last_bit(numbers: list[float]) -> None:
    read = column_of([repr(number) for number in numbers])
    assert [float(value).hex() for value in read] == [number.hex() for number in numbers]


@UNHURRIED
@given(st.lists(st.text(), min_size=1))
def test_a_column_with_a_word_in_it_keeps_every_cell(texts: list[str]) -> None:
    assert written_type([*texts, "word"]) == ("str", frozenset())
    assert column_of([*texts, "word"]) == [text or None for text in [*texts, "word"]]


def test_reading_many_columns_does_not_compare_each_name_with_each_other() -> None:
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    names = [Name(f"c{number}") for number in range(600)]
    frame = pd.DataFrame([["1"] * 600], dtype="str")
    frame.columns = pd.Index(names, dtype=object)
    table = make_table(frame, written=True)
    assert table.types == dict.fromkeys(map(str, names), "int")
    assert compared < 50 * 600  # a search in a list of them takes 300 a name
