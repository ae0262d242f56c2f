"""Exported programs: SQL that databases run, modules and estimator files that stand alone."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llm_pv.cli.main import run
from llm_pv.data.examples import Classes, Input
from llm_pv.errors import ConfigurationError, ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.sql import sql
from llm_pv.runs.saved_program import SavedProgram
from llm_pv.sandbox import Sandbox

duckdb = pytest.importorskip("duckdb", reason="the extra sql is not installed")
pytest.importorskip("sqlglot", reason="the extra sql is not installed")

from llm_pv.export.checked_rows import recorded_rows  # noqa: E402
from llm_pv.export.sql import export_sql  # noqa: E402

TYPES = {"n": "int", "m": "int", "r": "float", "s": "str", "b": "bool"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, allow_unconfined=True) as opened:
        yield opened


def saved(
    source: str,
    types: Mapping[str, str] = TYPES,
    values: tuple[object, ...] = (0, 1, 2, 3),
) -> SavedProgram:
    return SavedProgram(
        Program.parse(source),
        Path("program.py"),
        columns=tuple(types) or ("text",),
        types=types,
        classes=Classes.of(values),
    )


def body(expression: str) -> str:
    return f"def f(x):\n    return {expression}\n"


# Expressions of each kind, which may fail for some rows in as many ways as Python knows.
_NUMBERS = st.one_of(
    st.sampled_from(["x['n']", "x['m']", "x.get('n')", "len(x['s'])", "x['b']"]),
    st.integers(-3, 5).map(str),
)
_DECIMALS = st.sampled_from(["x['r']", "0.5", "-1.25", "x['n'] / x['m']", "float(x['n'])"])
_TEXTS = st.sampled_from(
    ["x['s']", "x['s'].lower()", "x['s'].strip()", "x['s'][1:-1]", "x['s'][-1]", "'a b'", "''",
     "x['s'][len(x['s']) // 2 :]", "x['s'][:2].upper()", "x['s'] + '1'", "str(x['n'])", "x['s'][0]"]
)  # fmt: skip


_HOLDERS = st.sampled_from(["('a b', 'x')", "{'1', None}", "'a bc'"])
_NOT = st.sampled_from(["", "not "])


def _numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner),
        st.builds("abs({})".format, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, _conditions(inner), inner),
        st.builds("({} or {})".format, st.just("x['n']"), inner),
        st.builds("int({})".format, _TEXTS),
        st.builds("{}.count({!r})".format, _TEXTS, st.sampled_from(["a", "b", "ab", " "])),
        st.builds("round({})".format, _DECIMALS),
    )


def _conditions(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    order = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    simple = st.one_of(
        st.builds("{} {} {}".format, numbers, order, numbers),
        st.builds("{} {} {} < 3".format, numbers, order, numbers),
        st.builds("{} {} {}".format, _DECIMALS, order, numbers),
        st.builds("{} {} {}".format, _TEXTS, order, _TEXTS),
        st.builds("{} in {}".format, _TEXTS, _HOLDERS),
        st.builds("{} in x['s']".format, _TEXTS),
        st.builds("{} not in (1, 2, x['m'])".format, numbers),
        st.builds("x[{!r}] is {}None".format, st.sampled_from(list(TYPES)), _NOT),
        st.builds("{}.startswith({})".format, _TEXTS, st.sampled_from(["'a'", "('a', '1')"])),
        st.sampled_from(["x['b']", "x['s']", "x['r']", "x['s'].endswith('b')", "x['s'].isdigit()"]),
    )  # fmt: skip
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("(not {})".format, inner),
        ),
        max_leaves=4,
    )


_ANY_NUMBER = st.recursive(_NUMBERS, _numbers, max_leaves=4)
_PROGRAMS = st.one_of(
    st.builds(body, _conditions(_ANY_NUMBER)),
    st.builds(
        "def f(x):\n    v = {}\n    if {}:\n        return {}\n    if {}:\n        v = {}\n"
        "    elif {}:\n        v += 1\n    return v == 1 or {}\n".format,
        *(_ANY_NUMBER, _conditions(_NUMBERS), _ANY_NUMBER, _conditions(_NUMBERS)),
        *(_ANY_NUMBER, _conditions(_NUMBERS), _conditions(_NUMBERS)),
    ),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.generate],
)
@given(source=_PROGRAMS)
def test_duckdb_answers_every_edge_row_as_python_does(source: str, sandbox: Sandbox) -> None:
    try:
        export_sql(saved(source), [], sandbox)
    except ProgramError as error:
        assert "has no translation into SQL" in str(error), source  # noqa: PT017


@pytest.mark.parametrize(
    "condition",
    ["v >= 2", "not v < 2", "v == 2 or v != 1", "-1 < v <= 5", "max(v, 1) < 3",
     "max(1, v) < 3", "v in (0, 1.5)", "v > w", "v == v"],
)  # fmt: skip
def test_a_missing_number_as_nan_compares_as_in_python(condition: str, sandbox: Sandbox) -> None:
    source = (
        "import math\n\n\ndef f(x):\n    v = math.nan if x['r'] is None else x['r']\n"
        f"    w = math.nan if x['n'] is None else x['n'] - 1\n    return {condition}\n"
    )
    assert "COALESCE" in export_sql(saved(source), [], sandbox).text  # checked on edge rows


@pytest.mark.parametrize(
    "use", ["round(v) > 1", "int(v) > 1", "abs(v) > 1", "v", "v + 1 > 1", "v > x['n']"]
)
def test_other_uses_of_a_number_that_can_be_nan_are_refused(use: str, sandbox: Sandbox) -> None:
    source = (
        "import math\n\n\ndef f(x):\n    v = math.nan if x['r'] is None else x['r']\n"
        f"    return {use}\n"
    )
    with pytest.raises(ProgramError, match=r"line 6: .* has no translation into SQL"):
        export_sql(saved(source), [], sandbox)


def in_duckdb(expression: str, columns: str, rows: list[tuple[Any, ...]]) -> list[Any]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
        return [
            answer for (answer,) in connection.execute(f"SELECT {expression} FROM t").fetchall()
        ]


def test_what_python_refuses_is_null_and_what_it_does_not_look_at_is_not(sandbox: Sandbox) -> None:
    program = saved(
        "def f(x):\n    if x['n'] is None or x['r'] > 2:\n        return 1\n    return 0\n",
        {"n": "int", "r": "float"},
    )
    text = export_sql(program, [], sandbox).text
    rows = [(None, None), (1, None), (1, 2.0), (1, 2.5)]
    # None > 2 is an error, unless `or` has its answer before.
    assert in_duckdb(text, "n BIGINT, r DOUBLE", rows) == [1, None, 0, 1]


def test_labels_are_the_users_values(sandbox: Sandbox) -> None:
    def answers(values: tuple[object, ...]) -> list[Any]:
        text = export_sql(saved(body("x['n'] > 3"), {"n": "int"}, values), [], sandbox).text
        return in_duckdb(text, "n BIGINT", [(3,), (4,)])

    assert [type(answer) for answer in answers((False, True))] == [bool, bool]
    assert answers((0, 1)) == [0, 1]
    assert answers(("0", "1")) == ["0", "1"]


def test_whole_numbers_divide_as_in_python(sandbox: Sandbox) -> None:
    types = {"n": "int", "m": "int"}
    rows = [(-7, 3), (7, -3), (-7, -3), (6, -3), (7, 0)]
    floor = export_sql(saved(body("x['n'] // x['m']"), types, (-3, 2, -2, 1)), [], sandbox).text
    assert in_duckdb(floor, "n BIGINT, m BIGINT", rows) == [-3, -3, 2, -2, None]
    rest = export_sql(saved(body("x['n'] % x['m']"), types, (-2, -1, 0, 2)), [], sandbox).text
    assert in_duckdb(rest, "n BIGINT, m BIGINT", rows) == [2, -2, -1, 0, None]


def test_halves_round_to_the_even_neighbour(sandbox: Sandbox) -> None:
    program = saved(body("round(x['r'])"), {"r": "float"}, (-2, 0, 2, 4))
    text = export_sql(program, [], sandbox).text
    rows = [(0.5,), (1.5,), (2.5,), (-1.5,), (3.6,)]
    assert in_duckdb(text, "r DOUBLE", rows) == [0, 2, 2, -2, 4]


def test_a_weekday_is_computed_from_the_text_of_a_date(sandbox: Sandbox) -> None:
    program = saved(
        "from datetime import date\ndef f(x):\n    d = date.fromisoformat(x['s'][:10])\n"
        "    return d.weekday()\n",
        {"s": "str"},
        tuple(range(7)),
    )
    text = export_sql(program, [], sandbox).text
    # 29 February 2024 was a Thursday, 1 January 1900 a Monday; 2023 had no such day.
    rows = [("2024-02-29T10:00",), ("1900-01-01",), ("2023-02-29",), ("soon",), (None,)]
    assert in_duckdb(text, "s VARCHAR", rows) == [3, 0, None, None, None]
    iso = saved(
        program.program.source.replace("weekday", "isoweekday"), {"s": "str"}, tuple(range(1, 8))
    )
    rows = [("2024-02-29",), ("1900-01-01",), ("2024-03-03",)]
    assert in_duckdb(export_sql(iso, [], sandbox).text, "s VARCHAR", rows) == [4, 1, 7]


def test_a_branch_that_is_never_taken_need_not_be_translated(sandbox: Sandbox) -> None:
    source = (
        "SIDE = {}\ndef f(x):\n    if SIDE {} 'left':\n        return x['n'] + 1\n"
        "    return x['s'][::-1]\n"
    )
    for side, sign in (("'left'", "=="), ("'right'", "!=")):
        text = export_sql(saved(source.format(side, sign), values=(1, 2)), [], sandbox).text
        assert in_duckdb(text, "n BIGINT, s VARCHAR", [(0, "a"), (1, "a")]) == [1, 2]
    with pytest.raises(ProgramError, match="line 5: a slice with a step"):
        export_sql(saved(source.format("'right'", "==")), [], sandbox)


def test_products_of_whole_numbers_are_translated_as_far_as_64_bits_hold_them(
    sandbox: Sandbox,
) -> None:
    # A column holds 32 bits; another 31 make 63, beside the sign.
    program = saved(body("x['n'] * 2147483647 == 15032385529"), {"n": "int"}, (False, True))
    text = export_sql(program, [], sandbox).text
    assert in_duckdb(text, "n BIGINT", [(7,), (8,), (2**32 - 1,)]) == [True, False, False]
    with pytest.raises(ProgramError, match="line 2: arithmetic that can go beyond"):
        export_sql(saved(body("x['n'] * 4294967295 > 0"), {"n": "int"}), [], sandbox)


def test_loops_tables_and_functions_of_the_program_are_put_in_place(sandbox: Sandbox) -> None:
    program = saved(
        "POINTS = {'a': 1, 'b': 2}\nWORDS = ['x', 'yes']\n"
        "def clean(text):\n    return text.strip().lower()\n"
        "def f(x):\n    total = 0\n    for word in WORDS:\n        if word in clean(x['s']):\n"
        "            total += 1\n    total += POINTS.get(clean(x['s']), 0)\n"
        "    return total if any(x[k] for k in ('n', 'm')) else 3\n",
    )
    text = export_sql(program, [], sandbox).text
    rows = [(1, 0, "B "), (0, 1, "YES x"), (0, 0, "a"), (0, 2, "z")]
    assert in_duckdb(text, "n BIGINT, m BIGINT, s VARCHAR", rows) == [2, 2, 3, 0]


def test_sqlite_gives_the_same_answers_by_its_own_dialect(sandbox: Sandbox) -> None:
    program = saved(
        body("x.get('s') != 'it\\'s' and x['n'] % 2 == 1 or 'a' in x['s'][1:]"),
        {"s": "str", "n": "int"},
        (False, True),
    )
    written = export_sql(program, [], sandbox, dialect="sqlite", table="t", view="v")
    assert written.checked_in == ("DuckDB", "SQLite")
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (s TEXT, n BIGINT)")
        rows = [("b", 3), ("it's", 3), ("ba", 2), (None, 3), (None, 2), ("b", None)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute(written.text)
        answers = [row[-1] for row in connection.execute("SELECT * FROM v")]
    connection.close()
    assert answers == [1, 0, 1, 1, None, None]


def test_a_program_over_a_text_uses_the_one_column(sandbox: Sandbox) -> None:
    text = export_sql(saved("def f(x): return x.count('1') % 2", {}), ["0110", "1"], sandbox).text
    assert in_duckdb(text, "text VARCHAR", [("0110",), ("0111",), ("",)]) == [0, 1, 0]


ROWS = [
    (7, 3, 2.5, "banana a", True),
    (-7, 2, -1.5, "Ab", False),
    (0, 0, 0.0, "", True),
    (None, None, None, None, None),
]
ANSWERS: dict[str, list[object]] = {  # None where Python raises an error
    "(x['n'] % 4) ** 2": [9, 1, 0, None],
    "x['n'] ** 0": [1, 1, 1, None],
    "(x['m'] % 4) ** 3": [27, 8, 0, None],
    "abs(x['n'])": [7, 7, 0, None],
    "-x['n']": [-7, 7, 0, None],
    "x['n'] - x['m']": [4, -9, 0, None],
    "x['n'] % 10 * 3 + 1": [22, 10, 1, None],
    "max(x['n'], x['m'], 1)": [7, 2, 1, None],
    "min(x['n'], x['m'])": [3, -7, 0, None],
    "x['n'] % 4": [3, 1, 0, None],
    "x['n'] % -4": [-1, -3, 0, None],
    "x['n'] // 2": [3, -4, 0, None],
    "x['n'] // -2": [-4, 3, 0, None],
    "len(x['s']) % 3": [2, 2, 0, None],
    "len(x['s']) // 3": [2, 0, 0, None],
    "x['n'] / 2 > 3": [True, False, False, None],
    "int(x['r'])": [2, -1, 0, None],
    "round(x['r'])": [2, -2, 0, None],
    "round(x['n'])": [7, -7, 0, None],
    "x['b'] + 1": [2, 1, 2, None],
    "str(x['n'])": ["7", "-7", "0", "None"],
    "str(x['b'])": ["True", "False", "True", "None"],
    "x['s'] + '!'": ["banana a!", "Ab!", "!", None],
    "x['s'].replace('an', 'X')": ["bXXa a", "Ab", "", None],
    "x['s'].strip('a')": ["banana ", "Ab", "", None],
    "x['s'].count('a')": [4, 0, 0, None],
    "x['s'].count('an')": [2, 0, 0, None],
    "x['s'].find('a')": [1, -1, -1, None],
    "x['s'][0]": ["b", "A", None, None],
    "x['s'][-1]": ["a", "b", None, None],
    "x['s'][x['n']]": ["a", None, None, None],
    "x['s'][1:3]": ["an", "b", "", None],
    "x['s'][-3:-1]": ["a ", "A", "", None],
    "x['s'][x['s'].count('a') :]": ["na a", "Ab", "", None],
    "x['s'][: x['s'].count('an')]": ["ba", "", "", None],
    "x['s'][-(len(x['s']) // 2) :]": ["na a", "b", "", None],
    "x['s'][x['s'].find('a') :]": ["anana a", "b", "", None],
    "'an' in x['s']": [True, False, False, None],
    "'' in x['s']": [True, True, True, None],
    "x['s'] in 'banana a'": [True, False, True, None],
    "x['s'] in {'Ab': 1, '': 2}": [False, True, True, False],
    "{'Ab': 1, '': 2}.get(x['s'], 5)": [5, 1, 2, 5],
    "{'Ab': 1, '': 2}[x['s']]": [None, 1, 2, None],
    "x['s'].startswith(('b', 'A'))": [True, True, False, None],
    "x['s'].startswith(())": [False, False, False, None],
    "x['s'].endswith(()) or x['n'] is None": [False, False, False, None],
    "x['s'].endswith('a')": [True, False, False, None],
    "x['s'].endswith('')": [True, True, True, None],
    "x['n'] in (7, 0)": [True, False, True, False],
    "x['n'] not in (7, x['m'])": [False, True, False, False],
    "x['n'] == x['m']": [False, False, True, True],
    "x['r'] > 1e-20": [True, False, False, None],
    "x['r'] < 1.5": [False, True, True, None],
    "x['n'] is None": [False, False, False, True],
    "x['s'][0] in ('b', 'q') or x['n'] == 0": [True, False, None, None],
    "x['s'].find('a') == 1 or x['n'] is None": [True, False, False, None],
    "x['n'] or 5": [7, -7, 5, 5],
    "not x['s']": [False, False, True, True],
    "1 if x['b'] else 0": [1, 0, 1, 0],
    "-3 < x['n'] < 8": [True, False, True, None],
    "any(c in x['s'] for c in 'xb')": [True, True, False, None],
    "any(a == x['n'] for a, b in [(7, 1), (0, 2)])": [True, False, True, False],
    "all(c in x['s'] for c in 'ab')": [True, False, False, None],
}


def test_each_operation_gives_what_python_gives() -> None:
    parts: list[str] = []
    for expression, answers in ANSWERS.items():
        classes = list(dict.fromkeys(answer for answer in answers if answer is not None))
        texts = [str(int(each)) if isinstance(each, bool) else str(each) for each in classes]
        parts.append(sql(body(expression), list(TYPES), TYPES, texts, classes)["sql"])
    columns = "n BIGINT, m BIGINT, r DOUBLE, s VARCHAR, b BOOLEAN"
    rows = in_duckdb(f"[{', '.join(f'CAST({part} AS VARCHAR)' for part in parts)}]", columns, ROWS)
    for place, (expression, answers) in enumerate(ANSWERS.items()):
        # DuckDB writes its truth values in small letters.
        expected = [str(each).lower() if isinstance(each, bool) else each for each in answers]
        expected = [None if each is None else str(each) for each in expected]
        assert [row[place] for row in rows] == expected, expression


@pytest.mark.parametrize("dialect", ["postgres", "bigquery", "snowflake", "spark"])
def test_other_dialects_are_written(dialect: Any, sandbox: Sandbox) -> None:
    program = saved(body("x['s'].startswith('a') and x['n'] / 2 > 1"))
    text = export_sql(program, [], sandbox, dialect=dialect, table="t").text
    assert text.startswith("CREATE VIEW t_predicted AS")
    assert "DOUBLE" in text or "FLOAT64" in text


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(x):\n    n = 0\n    while n < 3:\n        n += 1\n    return n", "line 3: `while`"),
        ("def f(x):\n    return x['s'][::-1] == x['s']", "line 2: a slice with a step"),
        ("def f(x):\n    return f'{x}'", "line 2: `f'{x}'`"),
        ("import re\ndef f(x):\n    return re.match('a', x['s'])", "line 3: the call match"),
        ("def f(x):\n    return x['n'] ** 9 > 3", "line 2: `**` other than"),
        ("def f(x):\n    return x['r'] % 2 > 1", "line 2: `%` of decimals"),
        (
            "def f(x):\n    for c in 'ab':\n        if c in x['s']:\n            break\n"
            "        return 1\n    return 0",
            "line 4: `break`",
        ),
        ("def f(x):\n    return f(x)", "line 2: functions that call each other"),
    ],
)
def test_what_has_no_translation_is_named_with_its_line(
    source: str, reason: str, sandbox: Sandbox
) -> None:
    with pytest.raises(ProgramError) as caught:
        export_sql(saved(source), [], sandbox)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_an_answer_that_differs_is_refused_with_its_row(sandbox: Sandbox) -> None:
    # More letters than one in the capital form: what DuckDB's UPPER does otherwise.
    rows: list[Input] = [{"s": "a"}, {"s": "Stra\u00dfe"}]
    with pytest.raises(ProgramError, match=r"refused: for the row \{'s': 'Straße'\} DuckDB gives"):
        export_sql(saved(body("len(x['s'].upper())"), {"s": "str"}, (1, 6, 7)), rows, sandbox)


def test_order_of_texts_is_no_matter_for_postgres(sandbox: Sandbox) -> None:
    with pytest.raises(ProgramError, match="locale"):
        export_sql(saved(body("x['s'] < 'm'")), [], sandbox, dialect="postgres")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on rows with a missing cell and an odd name, whose program is handed in."""
    folder = tmp_path_factory.mktemp("export")
    lines = [f"{age},{'yes' if age % 2 else ''},{age >= 40}" for age in range(20, 60)]
    text = "\n".join(['age,"say ""hi""",old', *lines, ""])
    (folder / "rows.csv").write_text(text)
    (folder / "reply.txt").write_text("```python\ndef f(x):\n    return x['age'] >= 40\n```\n")
    command = [
        "learn",
        str(folder / "rows.csv"),
        "--target",
        "old",
        "--keep",
        "age",
        "--out",
        str(folder / "run"),
    ]
    assert run([*command, "--proposer", f"replay:{folder / 'reply.txt'}"]) == 0
    return folder


def test_the_command_writes_a_view_that_a_database_runs(
    learned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--to", "sql", "--table", "people", "--view", "aged", "--rows"]
    assert run(["export", str(learned / "run"), *words, str(learned / "rows.csv")]) == 0
    told = capsys.readouterr()
    assert "DuckDB gave the program's answer on 40 rows" in told.err
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE people AS FROM '{learned / 'rows.csv'}'")
        connection.execute(told.out)
        wrong = "SELECT count(*) FROM aged WHERE prediction IS DISTINCT FROM old"
        assert connection.execute(wrong).fetchall() == [(0,)]


def test_a_database_is_no_file_of_rows(learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (learned / "rows.db").touch()
    database = ["--database", str(learned / "rows.db")]
    for words in (database, ["=".join(database)]):
        command = {"command": ["llm-pv", "learn", "SELECT 1", *words]}
        monkeypatch.setattr("llm_pv.export.checked_rows.read_run", lambda _, made=command: made)
        assert recorded_rows(learned / "run") is None


def test_the_module_stands_alone_and_its_examples_hold(learned: Path) -> None:
    path = learned / "module.py"
    assert run(["export", str(learned / "run"), "--to", "python", "--out", str(path)]) == 0
    code = (
        "import doctest, module, json; rows = [{'age': 39}, {'age': 40}, {'age': None}]; "
        "print(json.dumps([module.predict_rows(rows), *doctest.testmod(module)]))"
    )
    words = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {code}"]
    told = subprocess.run(words, capture_output=True, text=True, cwd=learned, check=True)
    answers, failed, tried = json.loads(told.stdout)
    assert answers == [False, True, None]
    assert failed == 0
    assert tried >= 1


def test_a_module_needs_no_package(sandbox: Sandbox) -> None:
    from llm_pv.export.python import export_python

    with pytest.raises(ProgramError, match="imports numpy"):
        export_python(saved("import numpy\ndef f(x): return 1"), [], sandbox)


def test_the_estimator_file_holds_no_pickle_and_predicts_the_same(learned: Path) -> None:
    skops = pytest.importorskip("skops.io", reason="the extra skops is not installed")
    import pandas as pd

    path = learned / "model.skops"
    assert run(["export", str(learned / "run"), "--to", "sklearn", "--out", str(path)]) == 0
    ours = "llm_pv.export.estimator.ExportedClassifier"
    assert skops.get_untrusted_types(file=path) == [ours]
    model = skops.load(path, trusted=[ours])
    assert model.predict(pd.DataFrame({"age": [39, 40]})).tolist() == [False, True]
    assert model.score(pd.DataFrame({"age": [39, 40]}), [False, True]) == 1.0


def test_a_program_file_alone_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.py").write_text("def f(x): return 1\n")
    assert run(["export", str(tmp_path / "p.py"), "--to", "sql"]) == 2
    assert "give the run directory" in capsys.readouterr().err


def test_options_that_lack_another_are_refused(learned: Path) -> None:
    assert run(["export", str(learned / "run"), "--to", "sklearn"]) == 2
    assert run(["export", str(learned / "run"), "--to", "sql", "--view", "v"]) == 2
    with pytest.raises(ConfigurationError):
        export_sql(SavedProgram(Program.parse("f = len"), Path("p.py")), [], Sandbox(workers=1))
