import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.data.examples import Classes, Examples, Input, Splits
from llm_pv.data.store import DataSetKey, load, row_of, row_text, save
from llm_pv.errors import DataError, RunError

KEY = DataSetKey("palindrome", 4, "paper", 42, 0, 2, 2, 2)


def splits(inputs: Sequence[Input]) -> Splits:
    train, validation, test = (Examples([item, item], ["0", "1"]) for item in inputs)
    return Splits(train, validation, test, Classes(("0", "1"), (0, 1)), ("few rows",))


STRINGS = splits(["0110", "a -> b", "0111"])


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    assert load(tmp_path, KEY) is None
    directory = save(tmp_path, KEY, STRINGS)
    assert load(tmp_path, KEY) == STRINGS
    assert directory == tmp_path / "palindrome" / "L4" / f"seed{KEY.derived}"
    assert (directory / "val.txt").read_text() == "a -> b -> 0\na -> b -> 1\n"
    assert sorted(path.name for path in directory.iterdir()) == [
        "meta.json",
        "test.txt",
        "train.txt",
        "val.txt",
    ]
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


def test_a_second_save_leaves_the_first(tmp_path: Path) -> None:
    save(tmp_path, KEY, STRINGS)
    save(tmp_path, KEY, splits(["1", "2", "3"]))
    assert load(tmp_path, KEY) == STRINGS


@pytest.mark.parametrize("field", ["length", "seed", "trial", "train_size", "test_size"])
def test_every_part_of_the_key_names_another_folder(field: str) -> None:
    other = replace(KEY, **{field: getattr(KEY, field) + 2})
    assert other.derived != KEY.derived
    assert replace(KEY, sampler="hard").derived != KEY.derived
    assert replace(KEY, variant="raw").derived != KEY.derived


def test_the_folder_of_a_key_never_changes() -> None:
    assert KEY.derived == 7756233426531408297


def test_other_data_under_the_same_name_are_refused(tmp_path: Path) -> None:
    directory = save(tmp_path, KEY, STRINGS)
    meta = json.loads((directory / "meta.json").read_text())
    (directory / "meta.json").write_text(json.dumps({**meta, "seed": 41}))
    with pytest.raises(DataError, match=r"its seed is 41, not 42.*remove it or choose another"):
        load(tmp_path, KEY)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_meta_data_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    (save(tmp_path, KEY, STRINGS) / "meta.json").write_text(text)
    with pytest.raises(DataError, match=r"its meta\.json cannot be read"):
        load(tmp_path, KEY)


def test_a_folder_without_meta_data_is_refused(tmp_path: Path) -> None:
    (KEY.directory(tmp_path)).mkdir(parents=True)
    (KEY.directory(tmp_path) / "train.txt").write_text("0 -> 1\n")
    with pytest.raises(DataError, match=r"it has no meta\.json"):
        load(tmp_path, KEY)


def test_changed_rows_are_noticed(tmp_path: Path) -> None:
    directory = save(tmp_path, KEY, STRINGS)
    (directory / "test.txt").write_text("0000 -> 1\n")
    with pytest.raises(DataError, match=r"test\.txt was changed"):
        load(tmp_path, KEY)


def test_a_missing_file_is_a_run_error(tmp_path: Path) -> None:
    (save(tmp_path, KEY, STRINGS) / "val.txt").unlink()
    with pytest.raises(RunError, match="cannot read the data set"):
        load(tmp_path, KEY)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match="No space left on device"):
        save(tmp_path, KEY, STRINGS)
    assert list((tmp_path / "palindrome" / "L4").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_a_run_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="Permission denied"):
        save(tmp_path, KEY, STRINGS)


def test_a_name_taken_by_a_file_is_a_run_error(tmp_path: Path) -> None:
    (tmp_path / "palindrome").write_text("")
    with pytest.raises(RunError, match="cannot write the data set"):
        save(tmp_path, KEY, STRINGS)


def test_an_input_with_a_line_break_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be stored"):
        save(tmp_path, KEY, splits(["a\nb", "c", "d"]))
    assert list(tmp_path.iterdir()) == []


@given(
    row=st.dictionaries(
        st.text(min_size=1),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
    ),
    category=st.text(),
)
def test_any_row_survives_being_written(row: dict[str, float | None], category: str) -> None:
    mixed = {**row, "category": category}
    numeric = {name: name != "category" for name in mixed}
    assert row_of(row_text(mixed), numeric) == mixed
    assert len(row_text(mixed).splitlines()) == 1


@pytest.mark.parametrize("category", ["", "\x00", "\x00\x00a", "a\x00"])
def test_an_empty_category_and_a_nul_stay_apart(category: str) -> None:
    assert row_of(row_text({"x": category}), {"x": False}) == {"x": category}


def test_table_rows_are_stored_with_their_types(tmp_path: Path) -> None:
    table = splits(
        [
            {"age": 39.0, "job": "c7"},
            {"age": None, "job": "39"},
            {"age": -0.25, "job": ""},
        ]
    )
    directory = save(tmp_path, KEY, table)
    assert (directory / "train.txt").read_text().splitlines()[0] == "age:39,job:c7 -> 0"
    assert load(tmp_path, KEY) == table
