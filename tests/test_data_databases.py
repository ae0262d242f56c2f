"""Rows from databases and from the Hub: real files, one-line errors, no password anywhere."""

import datetime as dt
import json
import sqlite3
from pathlib import Path

import duckdb
import pytest

from llm_pv.api import read_splits
from llm_pv.cli.main import run
from llm_pv.data.databases import read_query
from llm_pv.errors import DataError
from llm_pv.runs.reading import read_run

AGES = [age for age in range(20, 60) for _ in range(2)]  # twice, or they look like numbers of rows
ROWS = [(age, "south" if n % 3 else None, int(age >= 40)) for n, age in enumerate(AGES)]


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (age INTEGER, zone TEXT, y INTEGER)")
    connection.executemany("INSERT INTO people VALUES (?, ?, ?)", ROWS)
    connection.commit()
    connection.close()
    return path


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE people (age INTEGER, zone VARCHAR, y INTEGER)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?)", ROWS)
    return path


@pytest.mark.parametrize("kind", ["sqlite_file", "duckdb_file"])
def test_a_query_to_a_database_file_gives_its_rows_with_their_types(
    kind: str, request: pytest.FixtureRequest
) -> None:
    database = str(request.getfixturevalue(kind))
    splits = read_splits("SELECT * FROM people WHERE age < 50", target="y", database=database)
    rows = [row for part in (splits.train, splits.validation, splits.test) for row in part.inputs]
    expected = [{"age": age, "zone": zone} for age, zone, _ in ROWS if age < 50]
    assert sorted(rows, key=str) == sorted(expected, key=str)
    assert splits.types == {"age": "int", "zone": "str"}
    assert splits.classes.values == (0, 1)


def test_a_query_over_a_folder_of_parquet_files_needs_no_database(tmp_path: Path) -> None:
    for number in range(2):
        rows = f"SELECT {number} AS part, 1.5 AS x"
        duckdb.execute(f"COPY ({rows}) TO '{tmp_path}/{number}.parquet' (FORMAT parquet)")
    frame = read_query(f"SELECT * FROM '{tmp_path}/*.parquet' ORDER BY part", "duckdb:")
    assert frame.to_dict("records") == [{"part": 0, "x": 1.5}, {"part": 1, "x": 1.5}]


def test_dates_decimals_and_identifiers_become_plain_values() -> None:
    query = """SELECT DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:30:00' AS at,
        12.50::DECIMAL(8, 2) AS price, NULL::INTEGER AS none,
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS id"""
    assert read_query(query, "duckdb:").to_dict("records") == [
        {
            "day": dt.date(2024, 2, 29).isoformat(),
            "at": "2024-02-29T12:30:00",
            "price": 12.5,
            "none": None,
            "id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        }
    ]


@pytest.mark.parametrize("kind", ["sqlite_file", "duckdb_file"])
def test_a_database_is_opened_for_reading_alone(kind: str, request: pytest.FixtureRequest) -> None:
    database = str(request.getfixturevalue(kind))
    with pytest.raises(DataError, match="refuses the query"):
        read_query("DELETE FROM people", database)
    assert len(read_query("SELECT age FROM people", database)) == len(ROWS)


@pytest.mark.parametrize("query", ["COPY (SELECT 1) TO '{}'", "SELECT 1; EXPORT DATABASE '{}'"])
def test_a_query_writes_no_file(query: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"refuses the query: (COPY|EXPORT) writes"):
        read_query(query.format(tmp_path / "stolen"), "duckdb:")
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize(
    ("query", "database", "message"),
    [
        ("SELEC 1", "duckdb:", "refuses the query: Parser Error: syntax error"),
        ("SELECT [1, 2] AS pair", "duckdb:", "column 'pair' of the query holds a list"),
        ("SELECT 1 AS a, 2 AS a", "duckdb:", "'a'"),
        ("SELECT 1", "nowhere.db", "nowhere.db cannot be opened"),
        ("SELECT 1", "postgresql://me:hidden-word@127.0.0.1:1/db", "cannot be opened"),
    ],
)
def test_what_cannot_be_queried_is_one_line_without_a_password(
    query: str, database: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["learn", query, "--database", database, "--target", "y"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "hidden-word" not in error


def test_learn_takes_a_query_and_records_no_password(
    sqlite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reply.txt").write_text("f = lambda x: int(x['age'] >= 40)")
    query = ["learn", "SELECT age, y FROM people", "--database", str(sqlite_file)]
    options = ["--target", "y", "--proposer", f"replay:{tmp_path / 'reply.txt'}"]
    out = tmp_path / "run"
    monkeypatch.setattr("sys.argv", ["llm-pv", "learn", "postgresql://me:hidden-word@host/db"])
    assert run([*query, *options, "--out", str(out), "--format", "json"]) == 0
    assert read_run(out)["command"][-1] == "postgresql://me:***@host/db"
    assert (out / "programs" / "query-t0.py").exists()


def test_a_data_set_of_the_hub_is_read_with_the_names_of_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets", reason="the extra datasets is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    lines = [json.dumps({"text": f"word {number}", "y": number % 2}) for number in range(10)]
    (folder / "train.jsonl").write_text("\n".join(lines))
    kinds = {"names": {"0": "even", "1": "odd"}}
    features = [{"name": "text", "dtype": "string"}, {"name": "y", "dtype": {"class_label": kinds}}]
    header = json.dumps({"dataset_info": {"features": features}})
    (folder / "README.md").write_text(f"---\n{header}\n---\n")
    splits = read_splits("hf://owner/name", target="y")
    assert splits.classes.texts == ("even", "odd")
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 10
    with pytest.raises(DataError, match="takes config and split"):
        read_splits("hf://owner/name?part=test", target="y")
