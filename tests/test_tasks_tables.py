import math
import sys
import types
from pathlib import Path

import pandas as pd
import pytest

from llm_pv.data.examples import Scalar, Splits
from llm_pv.errors import ConfigurationError, DataError, MissingExtraError
from llm_pv.tasks import load_task, tables, task
from llm_pv.tasks.tables import TableSource, read_table

SMALL = Path(__file__).parent / "data" / "small_table.csv"
SOURCE = TableSource("adult_income", 2, "income", ">50K", 4)
Row = dict[str, Scalar]


@pytest.fixture(autouse=True)
def _small_adult(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let adult_income have the small file's four features, and an empty cache."""
    monkeypatch.setitem(tables._SOURCES, "adult_income", SOURCE)
    monkeypatch.setattr(tables, "cache_directory", lambda: tmp_path / "cache")


def small(**options: object) -> Splits:
    usual = {"train_size": 4, "validation_size": 2, "test_size": 6, "length": 14, "table": SMALL}
    return load_task("fn_m", **{**usual, **options})  # type: ignore[arg-type]


def rows(splits: Splits) -> list[tuple[Row, str]]:
    parts = (splits.train, splits.validation, splits.test)
    pairs = [(x, y) for part in parts for x, y in zip(part.inputs, part.labels, strict=True)]
    return [(x, y) for x, y in pairs if isinstance(x, dict)]


def test_raw_rows_keep_names_values_and_labels() -> None:
    drawn = rows(small(raw_tables=True))
    assert len(drawn) == 12
    by_age = {row["age"]: (row, label) for row, label in drawn}
    expected: Row = {"age": 53.0, "workclass": "Private", "hours": 40.0, "sex": "Male"}
    if 53.0 in by_age:
        assert by_age[53.0] == (expected, "0")
    if 42.0 in by_age:
        assert by_age[42.0][0]["hours"] is None
    # 23 occurs once in each class and is left out.
    assert 23.0 not in by_age
    assert all(label == "1" for age, (_, label) in by_age.items() if age in (30.0, 49.0, 52.0))


def test_the_same_row_is_drawn_once() -> None:
    drawn = rows(small(raw_tables=True))
    assert sum(row["age"] == 30.0 for row, _ in drawn) <= 1


def test_anonymous_rows_have_renumbered_categories_and_mapped_numbers() -> None:
    raw = read_table(SOURCE, SMALL)
    numeric = [True, False, True, False]
    hidden = tables.anonymous("adult_income", raw, numeric, seed=42)
    assert list(hidden[0]) == ["x0", "x1", "x2", "x3"]
    # Private, Self-emp and State-gov in the order of their names; ? is missing.
    assert [row["x1"] for row in hidden[:5]] == ["c2", "c1", "c0", "c0", None]
    assert [row["x3"] for row in hidden[:5]] == ["c1", "c1", "c1", "c1", "c0"]
    assert hidden[9]["x2"] is None
    ages = [float(row[0] or 0) for row in raw.rows]
    mapped = [row["x0"] for row in hidden]
    assert all(isinstance(value, float) and round(value, 2) == value for value in mapped)
    # An affine map: two rows give slope and offset, the others must lie on the same line.
    low, high = ages.index(23), ages.index(53)
    values = [float(str(value)) for value in mapped]
    slope = (values[high] - values[low]) / (53 - 23)
    for age, value in zip(ages, values, strict=True):
        assert abs(values[low] + slope * (age - 23) - value) <= 0.02
    deviation = math.sqrt(sum((a - sum(ages) / 15) ** 2 for a in ages) / 15)
    assert abs(slope) * deviation >= 0.1 - 0.01
    assert tables.anonymous("adult_income", raw, numeric, seed=43) != hidden


def test_an_edible_mushroom_has_label_1_as_in_the_published_data_set(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(20)]
    cells = ["b"] * 19
    lines = [
        ",".join(["class", *names]),
        ",".join(["p", "s", *cells]),
        ",".join(["e", "x", *cells]),
    ]
    table = tmp_path / "mushroom.csv"
    table.write_text("\n".join(lines) + "\n")
    source = tables._SOURCES["mushroom"]
    assert read_table(source, table).labels == [0, 1]
    # Rows stored when label 1 meant poisonous are not taken for these.
    assert tables.TableOptions("mushroom").variant() == "revision=2"
    assert tables.TableOptions("adult_income").variant() == ""


def test_two_valued_numbers_are_categories() -> None:
    assert not tables._is_numeric(["0", "1", None])
    assert tables._is_numeric(["0", "1.5", "2", None])
    assert not tables._is_numeric(["0", "1", "2", "many"])


def test_either_sampler_and_any_time_draw_the_same_rows() -> None:
    assert small() == small(sampler="hard") == small()
    assert small(trial=1) != small()


def test_splits_are_balanced_and_shrink_to_the_rows_there_are() -> None:
    splits = small(test_size=100)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [4, 2, 6]
    assert [list(part.labels).count("1") for part in (splits.train, splits.test)] == [2, 3]
    assert "adult_income" in splits.warnings[0]


def test_stored_tables_come_back_with_their_types(tmp_path: Path) -> None:
    first = small(dataset_dir=tmp_path)
    assert small(dataset_dir=tmp_path) == first
    small(dataset_dir=tmp_path, raw_tables=True)
    assert len(list((tmp_path / "adult_income" / "L14").iterdir())) == 2
    line = next((tmp_path / "adult_income").rglob("train.txt")).read_text().splitlines()[0]
    assert line.count(":") == 4


def test_breast_cancer_is_always_there() -> None:
    splits = load_task("breast_cancer", train_size=100, validation_size=100, test_size=100)
    assert splits.warnings == ()
    first = splits.train.inputs[0]
    assert isinstance(first, dict)
    assert list(first) == [f"x{i}" for i in range(30)]
    named = load_task("breast_cancer", test_size=100, raw_tables=True).train.inputs[0]
    assert isinstance(named, dict)
    assert list(named)[:2] == ["mean radius", "mean texture"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'income'"),
        ("age,sex\n1,2\n", "its columns are age, sex"),
        ("age,sex,income\n1,2,>50K\n", "has 2 features, adult_income 4"),
        ("a,b,c,d,income\n1,2,3,4\n", "line 2: 4 values, not 5"),
        ("a,b,c,d,income\n1,2,3,4,no\n", "rows of one class only"),
    ],
)
def test_a_file_that_is_not_the_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        small(table=path)


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        small(table=tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"income\n\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        small(table=tmp_path / "binary.csv")


def fake_uci(monkeypatch: pytest.MonkeyPatch, fetch: object) -> None:
    module = types.ModuleType("ucimlrepo")
    module.fetch_ucirepo = fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ucimlrepo", module)


def test_a_fetched_table_is_kept_and_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fetch(*, id: int) -> types.SimpleNamespace:  # noqa: A002
        calls.append(id)
        frame = pd.read_csv(SMALL)
        return types.SimpleNamespace(
            data=types.SimpleNamespace(
                features=frame.drop(columns="income"), targets=frame[["income"]]
            )
        )

    fake_uci(monkeypatch, fetch)
    first = small(table=None)
    assert small(table=None) == first
    assert calls == [2]
    assert first == small()


def test_offline_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*, id: int) -> None:  # noqa: A002
        raise ConnectionError("Error connecting to server")

    fake_uci(monkeypatch, fetch)
    with pytest.raises(DataError, match=r"UCI id 2: Error connecting to server.*--table FILE"):
        small(table=None)


def test_without_ucimlrepo_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ucimlrepo", None)
    with pytest.raises(MissingExtraError, match=r"llm-pv\[tasks\]"):
        small(table=None)


def test_a_table_has_the_length_of_its_features() -> None:
    assert task("fn_o").lengths.default == (21,)
    with pytest.raises(ConfigurationError, match="14 alone"):
        small(length=15)
