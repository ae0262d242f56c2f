"""Inputs are checked once and reach programs as plain values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import DataError
from llm_pv.sandbox import Batch
from llm_pv.sandbox.batch import decode_rows

texts = st.text(st.characters())
scalars = st.one_of(texts, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())


@given(st.lists(st.one_of(texts, st.dictionaries(texts, scalars, max_size=4)), max_size=6))
def test_rows_arrive_as_they_were_given(
    rows: list[str | dict[str, str | int | float | None]],
) -> None:
    batch = Batch(rows)
    assert list(decode_rows(batch.encoded())) == rows
    assert list(batch) == rows
    assert Batch.of(batch) is batch


def test_a_table_row_is_copied_so_that_changing_it_later_changes_nothing() -> None:
    row: dict[str, str | int | float | None] = {"a": 1}
    batch = Batch([row, row])
    row["a"] = 2
    assert batch[:] == [{"a": 1}, {"a": 1}]
    assert batch[0] is not batch[1]


def test_subclasses_and_numpy_scalars_become_plain_values() -> None:
    class Name(str):
        __slots__ = ()

    class Count(int):
        pass

    row = {
        Name("a"): np.int64(3), "b": np.float32(0.5), "c": np.bool_(True), "d": Count(4),
        "e": Name("x"), "f": np.str_("y"), "g": math.inf,
    }  # fmt: skip
    batch = Batch([Name("01"), row])  # type: ignore[list-item]
    assert list(batch) == [
        "01",
        {"a": 3, "b": 0.5, "c": True, "d": 4, "e": "x", "f": "y", "g": math.inf},
    ]
    (text, values) = batch
    assert type(text) is str
    assert isinstance(values, dict)
    assert [type(value) for value in values.values()] == [int, float, bool, int, str, str, float]
    assert {type(name) for name in values} == {str}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([1], "input 0 is a int"),
        (["a", None], "input 1 is a NoneType"),
        ([b"a"], "input 0 is a bytes"),
        ([{1: 2}], "a column called 1"),
        ([{"a": [1]}], "input 0 holds a list"),
        ([{"a": np.zeros(2)}], "input 0 holds a ndarray"),
    ],
)
def test_other_inputs_are_refused_by_position(rows: list[str], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        Batch(rows)


@given(st.lists(texts, min_size=1, max_size=20), st.integers(1, 5))
def test_parts_are_neighbouring_rows_in_order(rows: list[str], parts: int) -> None:
    cut = Batch(rows).split(parts)
    assert [row for part in cut for row in part] == rows
    assert len(cut) <= parts
    assert max(map(len, cut)) - min(map(len, cut)) < len(rows)


@given(
    st.lists(texts, min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, scalars)), max_size=5)
    )
)
def test_a_table_arrives_row_by_row(rows: list[dict[str, str | int | float | None]]) -> None:
    decoded = list(decode_rows(Batch(rows).encoded()))
    assert decoded == rows
    assert [list(row) for row in decoded] == [list(row) for row in rows]


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1}, {"b": 1}],
        [{"a": 1}, "a"],
        ["a", {"a": 1}],
        [{}, {}],
        [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
    ],
)
def test_rows_of_different_shapes_arrive_too(
    rows: list[str | dict[str, str | int | float | None]],
) -> None:
    decoded = list(decode_rows(Batch(rows).encoded()))
    assert decoded == rows
    assert [list(row) for row in decoded] == [list(row) for row in rows]
