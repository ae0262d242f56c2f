"""The inner side of the WebAssembly sandbox, run here in the ordinary interpreter."""

import json
import random
import sys
from collections.abc import Iterator

import pytest

from llm_pv.sandbox.result_page import ERRORS_KEPT
from llm_pv.sandbox.wasm_guest import Guest


@pytest.fixture(autouse=True)
def _own_interpreter_state() -> Iterator[None]:
    state = random.getstate()
    yield
    random.setstate(state)
    sys.modules.pop("program", None)


def load(source: str, *inputs: object) -> tuple[Guest, tuple[str, str]]:
    guest = Guest()
    return guest, guest.load(json.dumps({"source": source, "inputs": inputs, "seed": 0}))


def results(source: str, *inputs: object) -> list[object]:
    guest, ended = load(source, *inputs)
    assert ended == ("", "")
    end, text = guest.step(len(inputs))
    assert end == ""
    return read(text)


def read(records: str) -> list[object]:
    return [json.loads(record) for record in records.split(",\n")[:-1]]


def test_predictions_are_label_texts_in_the_order_of_the_inputs() -> None:
    source = "def f(x): return x.count('1') % 2 == 1"
    assert results(source, "01", "11", "111") == ["1", "0", "1"]


def test_random_numbers_start_from_the_seed_of_the_job() -> None:
    source = "import random\nDRAWN = random.random()\ndef f(x): return repr(DRAWN)"
    for seed in (0, 5, 2**32 - 1):
        guest = Guest()
        guest.load(json.dumps({"source": source, "inputs": ["a"], "seed": seed}))
        assert read(guest.step(1)[1]) == [repr(random.Random(seed).random())]


def test_steps_go_on_where_the_last_one_ended() -> None:
    guest, _ = load("def f(x): return x", *"abcde")
    assert [read(guest.step(count)[1]) for count in (2, 2, 2)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import collections\ndef f(x): return collections.Counter(x)[x[0]]",
        "LIMIT = 2\ndef g(x): return min(len(x), LIMIT)\ndef f(x): return g(x)",
        "f = lambda x: 2",
        "def f(x): return 0 if not x else 1 + f(x[1:])",
        "class C:\n    n = 2\ndef f(x): return C.n",
        "import dataclasses\n@dataclasses.dataclass\nclass P: n: 'int'\ndef f(x): return P(2).n",
        "def f(x):\n    import datetime\n    return datetime.datetime.strptime('0002', '%Y').year",
    ],
)
def test_a_program_is_a_module_run_in_one_namespace(source: str) -> None:
    assert results(source, "aa") == ["2"]


def test_a_program_may_change_a_table_row_without_changing_the_next() -> None:
    source = "def f(x):\n    seen = x['n']\n    x['n'] = 9\n    return seen"
    assert results(source, {"n": 1}, {"n": 1}) == ["1", "1"]


def test_a_row_that_raises_is_an_error_and_the_next_rows_run() -> None:
    source = "import sys\ndef f(x): return 6 // x if x else sys.exit(4)"
    assert results(source, 2, 0, 3) == ["3", ["SystemExit: 4"], "2"]


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("None", "TypeError: a NoneType is no label"),
        ("float('nan')", "ValueError: a NaN is no label"),
        ("'x' * 1001", "ValueError: a label of 1,001 characters"),
        ("__import__('os')", "ImportError: os is not available: programs in the WebAssembly"),
    ],
)
def test_what_is_no_label_is_an_error_of_its_row(expression: str, error: str) -> None:
    (result,) = results(f"def f(x): return {expression}", "a")
    assert isinstance(result, list)
    assert result[0].startswith(error)


def test_only_the_first_errors_are_told_and_long_ones_are_cut() -> None:
    told = results("def f(x): raise ValueError('e' * 1000)", *range(ERRORS_KEPT + 2))
    assert told[:ERRORS_KEPT] == [["ValueError: " + "e" * 288]] * ERRORS_KEPT
    assert told[ERRORS_KEPT:] == [None, None]


def test_an_exception_that_cannot_be_described_is_told_as_such() -> None:
    source = (
        "class E(Exception):\n    def __str__(self): raise SystemExit\ndef f(x):\n    raise E\n"
    )
    assert results(source, "a") == [["an exception that cannot be described"]]


def test_memory_errors_end_the_run_and_keep_the_rows_before() -> None:
    guest, _ = load("def f(x):\n    if x == 'b': raise MemoryError\n    return x", *"abc")
    assert guest.step(3) == ("memory", '"a",\n')


@pytest.mark.parametrize(
    ("source", "ended"),
    [
        (
            "raise MemoryError",
            ("memory", "the program asked for more memory than its limit"),
        ),
        ("g = 1", ("load", "the program defines no function f")),
        ("f = 1", ("load", "the program defines no function f")),
        ("1 / 0", ("load", "ZeroDivisionError: division by zero (line 1)")),
        ("x = (\n", ("load", "SyntaxError: '(' was never closed (line 1)")),
        ("def g():\n    raise KeyError\n\ng()", ("load", "KeyError (line 2)")),
        ("import sys; sys.exit(3)", ("load", "SystemExit: 3 (line 1)")),
    ],
)
def test_a_program_that_does_not_load_says_why(source: str, ended: tuple[str, str]) -> None:
    assert load(source)[1] == ended


def test_random_numbers_start_the_same_in_every_run() -> None:
    source = "import random\ndef f(x): return random.random()"
    assert results(source, "a") == results(source, "a")
