"""Splits: what every one of them guarantees, and what users are told."""

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_pv.data.allocation import allocate, split_sizes
from llm_pv.data.examples import Examples, Splits
from llm_pv.data.readers import table_from
from llm_pv.data.reading import Reading
from llm_pv.data.splits import split_tables
from llm_pv.data.table import Table, make_table
from llm_pv.errors import ConfigurationError, DataError

UNHURRIED = settings(deadline=None, max_examples=60)  # pandas can take its time to warm up
DISTINCT = Reading(distinct_inputs=True)
SEEDS = st.integers(0, 2**64)


def numbers(count: int, classes: int = 2) -> Table:
    """Return so many different strings, labelled in turn by so many classes."""
    return table_from([f"{n:05d}" for n in range(count)], [n % classes for n in range(count)])


def written(inputs: list[str], labels: list[str], name: str = "the rows") -> Table:
    """Return a table as a text file gives it."""
    cells = pd.Series(labels, dtype="str")
    return make_table(
        pd.DataFrame({"x": inputs}, dtype="str"), labels=cells, written=True, name=name
    )


def parts_of(splits: Splits) -> tuple[Examples, Examples, Examples]:
    return splits.train, splits.validation, splits.test


def sizes_of(splits: Splits) -> tuple[int, ...]:
    return tuple(len(part) for part in parts_of(splits))


ROWS = st.lists(st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from("xyz")), min_size=1)


@UNHURRIED
@given(rows=ROWS, seed=SEEDS)
def test_every_input_is_in_one_split_once_with_one_of_its_labels(
    rows: list[tuple[str, str]], seed: int
) -> None:
    inputs, labels = [row[0] for row in rows], [row[1] for row in rows]
    if len(set(labels)) < 2 or len(set(inputs)) < 5:
        return
    splits = split_tables(table_from(inputs, labels), seed=seed, reading=DISTINCT)
    drawn = [text for part in parts_of(splits) for text in part.inputs]
    assert sorted(str(text) for text in drawn) == sorted(set(inputs))
    for part in parts_of(splits):
        assert set(zip(part.inputs, part.labels, strict=True)) <= set(rows)


@UNHURRIED
@given(
    cells=st.lists(
        st.tuples(st.sampled_from(["1", "1.0", "", "NA", "2"]), st.integers(0, 3)), min_size=8
    ),
    seed=SEEDS,
)
def test_inputs_are_equal_when_a_program_cannot_tell_them_apart(
    cells: list[tuple[str, int]], seed: int
) -> None:
    frame = pd.DataFrame({"a": [c[0] for c in cells], "b": [str(c[1]) for c in cells]}, dtype="str")
    frame.loc[len(frame)] = ["3.5", "9"]
    value = {"1": 1.0, "1.0": 1.0, "": None, "NA": None, "2": 2.0}
    distinct = {(value[a], b) for a, b in cells} | {(3.5, 9)}
    if len(distinct) < 5:
        return
    labels = pd.Series([str(n % 2) for n in range(len(frame))])
    splits = split_tables(
        make_table(frame, labels=labels, written=True), seed=seed, reading=DISTINCT
    )
    drawn = [
        tuple(row.values())
        for part in parts_of(splits)
        for row in part.inputs
        if isinstance(row, dict)
    ]
    assert Counter(drawn) == Counter(distinct)


@UNHURRIED
@given(rows=st.integers(6, 60), data=st.data(), seed=SEEDS)
def test_sizes_asked_for_are_kept(rows: int, data: st.DataObject, seed: int) -> None:
    train = data.draw(st.integers(1, rows - 2))
    validation = data.draw(st.integers(1, rows - 1 - train))
    test = data.draw(st.integers(0, rows - train - validation))
    sizes = {"train": train, "validation": validation, "test": test}
    splits = split_tables(numbers(rows, 3), sizes=sizes, seed=seed)
    assert sizes_of(splits) == (train, validation, test)


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (5, (2, 2, 1)),
        (10, (4, 4, 2)),
        (1_000, (400, 400, 200)),
        (5_000, (2_000, 2_000, 1_000)),
        (60_000, (10_000, 10_000, 10_000)),
    ],
)
def test_the_default_is_40_40_20_up_to_the_limits(rows: int, sizes: tuple[int, int, int]) -> None:
    assert sizes_of(split_tables(numbers(rows), seed=0)) == sizes


def test_larger_splits_can_be_asked_for_and_rows_not_used_are_told() -> None:
    default = split_tables(numbers(40_000), seed=0)
    assert default.warnings == (
        "the rows: 10,000 train, 10,000 validation, 8,000 test rows drawn of 40,000; ask for "
        "larger splits to use more",
    )
    larger = split_tables(numbers(40_000), sizes={"train": 25_000}, seed=0)
    assert sizes_of(larger) == (25_000, 10_000, 5_000)
    assert larger.warnings == ()


@UNHURRIED
@given(seed=SEEDS)
def test_the_seed_decides_and_nothing_else(seed: int) -> None:
    table = numbers(40)
    first, again = (split_tables(table, seed=seed) for _ in range(2))
    assert first == again
    assert split_tables(table, seed=seed + 1) != first


def test_another_process_and_hash_seed_give_the_same_split() -> None:
    script = (
        "from llm_pv.data.readers import table_from\n"
        "from llm_pv.data.splits import split_tables\n"
        "rows = [f'{n:03b}' for n in range(300)]\n"
        "print(split_tables(table_from(rows, [n % 3 for n in range(300)]), seed=7).test.digest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("1", "2")
    }
    table = table_from([f"{n:03b}" for n in range(300)], [n % 3 for n in range(300)])
    assert digests == {split_tables(table, seed=7).test.digest() + "\n"}


COUNTS = st.lists(st.integers(1, 200), min_size=2, max_size=8).map(np.array)


@UNHURRIED
@given(counts=COUNTS, data=st.data())
def test_classes_are_shared_in_proportion(counts: np.ndarray, data: st.DataObject) -> None:
    rows = int(counts.sum())
    train = data.draw(st.integers(1, rows - 1))
    validation = data.draw(st.integers(1, rows - train))
    sizes = (train, validation, data.draw(st.integers(0, rows - train - validation)))
    shares = allocate(counts, sizes, (True, True, False))
    assert shares.min() >= 0
    assert shares.sum(axis=0).tolist() == list(sizes)
    assert (shares.sum(axis=1) <= counts).all()
    exact = counts[:, None] * np.array(sizes) / rows
    if exact[:, :2].min() >= 2:  # no class has to be helped into a split
        assert (np.abs(shares - exact) < [1, 2, 3]).all()
    if train >= len(counts):
        assert (shares[:, 0] >= np.minimum(counts, 1)).all()
    if min(train, validation) >= len(counts):
        assert (shares[counts >= 2, 1] >= 1).all()


def test_a_class_too_rare_for_both_is_told() -> None:
    table = table_from([f"{n}" for n in range(20)], ["common"] * 18 + ["twice", "rare"])
    twice = table_from([f"{n}" for n in range(20)], ["common"] * 18 + ["twice"] * 2)
    assert split_tables(twice, seed=3).warnings == ()
    splits = split_tables(table, seed=3)
    assert {"rare", "twice"} <= set(splits.train.labels)
    assert splits.warnings == (
        "classes without a validation row: 'rare' (1 in all), 'twice' (1 in all)",
    )


def test_repeated_and_conflicting_rows_are_counted() -> None:
    inputs = ["a", "a", "a", "b", "b", "c", "d", "e", "f"]
    labels = [0, 0, 1, 1, 1, 0, 1, 0, 1]
    splits = split_tables(table_from(inputs, labels), seed=0, reading=DISTINCT)
    assert sum(sizes_of(splits)) == 6
    assert splits.warnings == (
        "rows that repeat the input of another row: 3 left out, so that every input counts once",
        "inputs with conflicting labels: 1 (3 rows); the label that counts is drawn by the seed, "
        "and no program can know it",
    )


def test_the_label_of_a_conflicting_input_is_drawn_as_often_as_it_occurs() -> None:
    table = table_from(["a", "a", "a", "b", "c", "d", "e"], [0, 0, 1, 1, 0, 1, 0])
    drawn = Counter(
        dict(zip(part.inputs, part.labels, strict=True)).get("a")
        for seed in range(600)
        for part in parts_of(split_tables(table, seed=seed, reading=DISTINCT))
    )
    # 600 draws with odds 2 to 1: four standard deviations are 46.
    assert abs(drawn["1"] - 200) < 46


def test_every_row_counts_and_goes_to_one_split() -> None:
    inputs = ["a"] * 6 + ["b"] * 3 + ["c"]
    labels = [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]
    splits = split_tables(table_from(inputs, labels), seed=3)
    assert sizes_of(splits) == (4, 4, 2)
    drawn = Counter(
        pair for part in parts_of(splits) for pair in zip(part.inputs, part.labels, strict=True)
    )
    assert drawn == {("a", "0"): 4, ("a", "1"): 2, ("b", "1"): 3, ("c", "0"): 1}
    assert splits.repeated == 0
    assert splits.warnings == (
        "inputs with conflicting labels: 1 (6 rows); no program can be right on all of these",
    )


def with_columns(**columns: list[Any]) -> Table:
    """Return 30 rows whose label is column y, with the columns of a reading."""
    frame = pd.DataFrame({"x": [f"t{n % 7}" for n in range(30)], **columns})
    frame["y"] = [n % 2 for n in range(30)]
    reading = Reading(
        groups="groups" if "groups" in columns else None,
        time="time" if "time" in columns else None,
        weights="weights" if "weights" in columns else None,
    )
    return table_from(frame, target="y", reading=reading, learning=True)


@UNHURRIED
@given(groups=st.lists(st.integers(0, 9), min_size=30, max_size=30), seed=SEEDS)
def test_all_rows_of_a_group_go_to_one_split(groups: list[int], seed: int) -> None:
    if len(set(groups)) < 3:
        return
    splits = split_tables(with_columns(groups=groups), seed=seed, reading=Reading(groups="groups"))
    homes = [set(part.groups or ()) for part in parts_of(splits)]
    assert all(homes)
    assert sum(map(len, homes)) == len(set().union(*homes))
    assert splits.columns == ("x",)


def test_as_many_groups_as_splits_are_needed() -> None:
    table = with_columns(groups=[n % 2 for n in range(30)])
    with pytest.raises(DataError, match="has 2 groups, fewer than the 3 splits"):
        split_tables(table, seed=0, reading=Reading(groups="groups"))
    two = split_tables(table, seed=0, sizes={"test": 0}, reading=Reading(groups="groups"))
    assert sizes_of(two) == (15, 15, 0)


@pytest.mark.parametrize("dates", [True, False])
def test_training_rows_are_earlier_than_validation_rows_and_these_than_test_rows(
    dates: bool,
) -> None:
    order = [(7 * n) % 30 for n in range(30)]
    cells: list[Any] = order
    if dates:
        cells = [f"2024-{1 + n // 28:02d}-{1 + n % 28:02d}" for n in order]
    table = with_columns(time=cells, mark=[f"m{n}" for n in order])
    splits = split_tables(table, seed=0, reading=Reading(time="time"))
    marks = [
        {int(str(row["mark"])[1:]) for row in part.inputs if isinstance(row, dict)}
        for part in parts_of(splits)
    ]
    assert marks == [set(range(12)), set(range(12, 24)), set(range(24, 30))]
    assert splits.by_time


def test_rows_of_one_time_stay_together() -> None:
    table = with_columns(time=[1] * 14 + [2] * 8 + [3] * 8)
    splits = split_tables(table, seed=0, reading=Reading(time="time"))
    assert sizes_of(splits) == (14, 8, 8)
    one = with_columns(time=[1] * 30)
    with pytest.raises(DataError, match="same time"):
        split_tables(one, seed=0, reading=Reading(time="time"))


def test_files_that_share_groups_or_overlap_in_time_are_warned_of() -> None:
    early, late = with_columns(time=list(range(30))), with_columns(time=list(range(29, 59)))
    reading = Reading(time="time")
    assert split_tables(early, late, seed=0, reading=reading).by_time
    swapped = split_tables(late, early, seed=0, reading=reading)
    assert not swapped.by_time
    assert "--time: validation rows are not all later than the training rows" in swapped.warnings
    one = with_columns(groups=[n // 3 for n in range(30)])  # groups 0 to 9
    other = with_columns(groups=[8 + n // 3 for n in range(30)])  # groups 8 to 17
    shared = split_tables(one, other, seed=0, reading=Reading(groups="groups")).warnings
    assert any(warning.startswith("groups found in two files: 2;") for warning in shared)


def test_weights_go_with_their_rows_and_are_no_input() -> None:
    table = with_columns(weights=[float(n) for n in range(30)], mark=[f"m{n}" for n in range(30)])
    splits = split_tables(table, seed=0, reading=Reading(weights="weights"))
    for part in parts_of(splits):
        marks = [float(str(row["mark"])[1:]) for row in part.inputs if isinstance(row, dict)]
        assert part.weights == marks
    with pytest.raises(DataError, match="row 2: -1 is no weight"):
        split_tables(with_columns(weights=[1, -1] * 15), seed=0, reading=Reading(weights="weights"))


def test_a_numeric_target_is_cut_by_a_threshold_or_into_bins() -> None:
    table = table_from([f"t{n}" for n in range(12)], [1.5 * n for n in range(12)])
    cut = split_tables(table, seed=0, reading=Reading(threshold=6))
    assert (cut.classes.texts, cut.edges) == (("< 6", ">= 6"), (6.0,))
    labels = dict(pair for p in parts_of(cut) for pair in zip(p.inputs, p.labels, strict=True))
    assert [labels[f"t{n}"] for n in range(12)] == ["< 6"] * 4 + [">= 6"] * 8
    bins = split_tables(table, seed=0, reading=Reading(bins=3))
    counts = Counter(label for part in parts_of(bins) for label in part.labels)
    assert set(counts) == {"< 4.5", ">= 4.5 and < 10.5", ">= 10.5"}
    assert sorted(counts.values()) == [3, 4, 5]
    mostly_0 = table_from([f"t{n}" for n in range(12)], [0] * 9 + [3, 4, 5])
    two = split_tables(mostly_0, seed=0, reading=Reading(bins=2))
    counts = Counter(label for part in parts_of(two) for label in part.labels)
    assert counts == {"< 3": 9, ">= 3": 3}
    with pytest.raises(DataError, match=r"--bins 3: .* only 2 are possible"):
        split_tables(mostly_0, seed=0, reading=Reading(bins=3))
    with pytest.raises(ConfigurationError, match="threshold is nan; give a number"):
        Reading(threshold=float("nan"))
    with pytest.raises(DataError, match="--threshold cuts a numeric target, and row 1 has 'a'"):
        split_tables(table_from(["x"] * 6, ["a", "b"] * 3), seed=0, reading=Reading(threshold=1))


def test_labels_from_a_file_are_read_by_what_they_spell() -> None:
    inputs = [f"{n}" for n in range(10)]
    by_number = split_tables(written(inputs, ["1.0", "1", "0", "2", "0.0"] * 2), seed=0)
    assert by_number.classes.texts == ("0", "1", "2")
    assert by_number.classes.values == (0, 1, 2)
    by_truth = split_tables(written(inputs, ["True", "false"] * 5), seed=0)
    assert (by_truth.classes.texts, by_truth.classes.values) == (("0", "1"), (False, True))
    by_word = split_tables(written(inputs, ["1", "01"] * 5), seed=0)
    assert by_word.classes.values == ("01", "1")
    halves = split_tables(written(inputs, ["0.5", "1"] * 5), seed=0)
    assert halves.classes.values == (0.5, 1.0)


def test_labels_in_memory_stay_the_values_they_are() -> None:
    inputs = [f"{n}" for n in range(10)]
    strings = split_tables(table_from(inputs, np.array(["1", "0"] * 5)), seed=0)
    assert strings.classes.values == ("0", "1")
    scalars = split_tables(table_from(inputs, np.array([1, 0] * 5)), seed=0)
    assert [type(value) for value in scalars.classes.values] == [int, int]
    days = split_tables(
        table_from(inputs, pd.to_datetime(["2024-01-31", "2024-02-01"] * 5)), seed=0
    )
    assert days.classes.values == ("2024-01-31T00:00:00", "2024-02-01T00:00:00")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x"] * 10, "every label is 'x': learning needs rows of two classes or more"),
        ([1, "1"] * 5, "labels .* both read '1'"),
        ([b"x", b"y"] * 5, "a bytes is no label"),
    ],
)
def test_labels_that_cannot_be_classes_are_refused(labels: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_tables(table_from([f"{n}" for n in range(10)], labels), seed=0)


def test_a_measurement_or_identifier_as_target_is_refused_or_told() -> None:
    inputs = [f"{n}" for n in range(300)]
    with pytest.raises(DataError, match=r"^300 rows have 300 different labels, such as .*; cut it"):
        split_tables(table_from(inputs, list(range(300))), seed=0)
    few_each = split_tables(table_from(inputs, [n % 60 for n in range(300)]), seed=0)
    assert few_each.warnings[0].startswith("300 rows have 60 different labels; unless that")
    with pytest.raises(DataError, match=r"learns classes; cut it with --bins 3 or --threshold 6,"):
        split_tables(table_from(inputs, [n % 25 / 2 for n in range(300)]), seed=0)
    plain = split_tables(table_from(inputs, [n % 25 for n in range(300)]), seed=0)
    assert plain.warnings == ()


@pytest.mark.parametrize(
    ("rows", "sizes", "message"),
    [
        (4, {}, "has 4 labelled rows of its own, too few to split them: give at least 5"),
        (9, {"train": 9}, "has 9 labelled rows of its own, too few"),
        (
            9,
            {"train": 5, "test": 5},
            "has 9 labelled rows, fewer than the 5 train \\+ 5 test asked for",
        ),
    ],
)
def test_too_few_rows_are_refused(rows: int, sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_tables(numbers(rows), seed=0, sizes=sizes)


def test_sizes_and_seeds_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="validation size 0: give at least 1"):
        split_tables(numbers(10), sizes={"validation": 0}, seed=0)
    with pytest.raises(ConfigurationError, match="test size -1: give at least 0"):
        split_sizes(10, {"test": -1}, "rows")
    with pytest.raises(ConfigurationError, match="seed -1: give a whole number from 0 on"):
        split_tables(numbers(10), seed=-1)


def test_ready_made_tables_are_kept_apart() -> None:
    whole = numbers(30)
    tables = [
        table_from(whole.inputs(range(first, first + 10)), [n % 2 for n in range(10)])
        for first in (0, 10, 20)
    ]
    splits = split_tables(*tables, seed=0)
    for part, first in zip(parts_of(splits), (0, 10, 20), strict=True):
        assert sorted(part.inputs) == whole.inputs(range(first, first + 10))  # type: ignore[type-var]
    assert splits.warnings == ()


def test_what_has_no_table_of_its_own_comes_from_the_training_rows() -> None:
    own = table_from(["x", "y", "z"], [0, 1, 0], name="own.csv")
    assert sizes_of(split_tables(numbers(20), None, own, seed=0)) == (10, 10, 3)
    assert sizes_of(split_tables(numbers(20), own, None, seed=0)) == (20, 3, 0)
    with_test = split_tables(numbers(20), own, None, sizes={"test": 4}, seed=0)
    assert sizes_of(with_test) == (16, 3, 4)
    fewer = split_tables(numbers(20), own, None, sizes={"validation": 1}, seed=0)
    assert sizes_of(fewer) == (20, 1, 0)


def test_an_input_in_two_files_stays_in_the_later_one() -> None:
    train = table_from(["a", "b", "c", "d", "e"], [0, 1, 0, 1, 0])
    validation = table_from(["a", "f", "g"], [0, 1, 1])
    test = table_from(["f", "b"], [1, 1])
    splits = split_tables(train, validation, test, seed=0, reading=DISTINCT)
    assert [sorted(map(str, part.inputs)) for part in parts_of(splits)] == [
        ["c", "d", "e"],
        ["a", "g"],
        ["b", "f"],
    ]
    assert splits.warnings == (
        "inputs found in two files: 3, kept in the test or else the validation file",
    )


def test_the_same_file_given_twice_leaves_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="has 0 labelled rows of its own"):
        split_tables(numbers(10), numbers(10), seed=0, reading=DISTINCT)


def test_types_and_classes_are_told_from_all_files_together() -> None:
    def file(cells: list[str], labels: list[str]) -> Table:
        frame = pd.DataFrame({"n": cells, "label": labels, "empty": [""] * len(cells)}, dtype="str")
        return make_table(frame, target="label", written=True)

    train = file(["1", "2", "3"], ["1.0", "0", "1"])
    decimals = file(["0.5", "NA"], ["1", "0"])
    splits = split_tables(train, decimals, seed=0)
    assert splits.classes.values == (0, 1)
    values = [row["n"] for row in splits.train.inputs if isinstance(row, dict)]
    assert sorted(values) == [1.0, 2.0, 3.0]  # type: ignore[type-var]
    assert all(type(value) is float for value in values)

    words = file(["007", "NA"], ["1", "unknown"])
    splits = split_tables(train, words, seed=0)
    assert splits.classes.texts == ("0", "1", "1.0", "unknown")
    cells = [row["n"] for row in splits.validation.inputs if isinstance(row, dict)]
    assert sorted(map(str, cells)) == ["007", "NA"]


def test_files_of_different_kinds_go_together() -> None:
    from_csv = written([f"{n}" for n in range(6)], ["1", "0"] * 3)
    from_json = table_from([{"text": "a", "x": "7"}, {"text": "b", "x": "8"}], [1, 0])
    splits = split_tables(from_csv, from_json, seed=0)
    assert splits.classes.values == (0, 1)
    assert sorted(map(str, splits.validation.inputs)) == ["7", "8"]
    lines = table_from(["p", "q"], [0, 1])
    assert len(split_tables(from_csv, lines, seed=0).validation) == 2


@pytest.mark.parametrize("other", [[{"a": 1, "c": 2}, {"a": 2, "c": 3}], ["x", "y"]])
def test_a_file_that_lacks_a_column_is_refused(other: list[object]) -> None:
    first = table_from([{"a": 1, "b": 2}, {"a": 3, "b": 4}], [0, 1], name="one.csv")
    second = table_from(other, [0, 1], name="two.csv")
    with pytest.raises(
        DataError, match=r"two\.csv has not the columns of one\.csv: .*'b' are missing"
    ):
        split_tables(first, second, seed=0)


def test_a_column_is_converted_once_for_all_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_pv.data import table as tables
    from llm_pv.data.columns import read_cells

    converted: list[str] = []

    def counted(cells: Any, kind: Any) -> Any:
        converted.append(str(cells.name))
        return read_cells(cells, kind)

    rows = table_from([{"a": n, "b": n % 3} for n in range(40)], [n % 2 for n in range(40)])
    monkeypatch.setattr(tables, "read_cells", counted)
    splits = split_tables(rows, seed=0)
    assert converted == ["a", "b"]
    for part in (splits.train, splits.validation, splits.test):
        inputs: list[Any] = list(part.inputs)
        assert [str(row["a"] % 2) for row in inputs] == list(part.labels)


def test_rows_that_only_the_last_column_tells_apart_are_no_repeats() -> None:
    rows = [{"a": n // 2, "b": n % 2} for n in range(20)]
    splits = split_tables(
        table_from(rows, [n % 2 for n in range(20)]), seed=0, reading=Reading(distinct_inputs=True)
    )
    assert splits.repeated == 0
    twice = split_tables(
        table_from(rows + rows[:3], [n % 2 for n in range(20)] + [0, 1, 0]),
        seed=0,
        reading=Reading(distinct_inputs=True),
    )
    assert twice.repeated == 3
