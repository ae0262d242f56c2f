"""What the Python tool is made of, in this process: exploring code, and the text that is kept."""

import io
import math
import random
import struct
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import ConfigurationError, DataError
from llm_pv.sandbox.batch import LabelledRows, decode_labelled
from llm_pv.sandbox.execution import Outcome, ToolLimits
from llm_pv.sandbox.exploration import Script, explore, make_check
from llm_pv.sandbox.job import run_exploration
from llm_pv.sandbox.outcome import ProcessEnding, conclude_exploration
from llm_pv.sandbox.result_page import OUTPUT_START, page_bytes
from llm_pv.sandbox.transcript import Transcript, read_transcript, shown, transcript_bytes

ROWS: list[tuple[object, object]] = [("01", 1), ("11", 0)]


@pytest.fixture(autouse=True)
def _own_interpreter_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    state, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    yield
    random.setstate(state)
    np.random.set_state(numbers)  # noqa: NPY002


def explored(code: str | Script, seed: int = 0) -> tuple[str, str, str]:
    """How the code ended, why, and what it printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        script = code if isinstance(code, Script) else Script(code)
        ending = explore(script, list(ROWS), __import__, printed.write, seed=seed)
    return *ending, printed.getvalue()


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("rows", "[('01', 1), ('11', 0)]\n"),
        ("len(rows)\nx = 1", ""),
        ("None", ""),
        ("print(1); 'two'", "1\n'two'\n"),
        ("'''only a docstring'''", "'only a docstring'\n"),
        ("if rows:\n    3", ""),
        ("", ""),
        ("# a remark", ""),
        ("if __name__ == '__main__':\n    print('called')", "called\n"),
        ("from __future__ import annotations\ndef f(x: no_such_type): ...\nf(1)", ""),
        ("import sys\nsys.exit()", ""),
        ("import sys\nprint(1)\nsys.exit(0)\nprint(2)", "1\n"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: 'int'\nA(1)",
            "A(n=1)\n",
        ),
    ],
)
def test_code_runs_as_a_script_and_shows_the_value_of_its_last_line(
    code: str, printed: str
) -> None:
    assert explored(code) == ("finished", "", printed)


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise SystemExit('told so')", "SystemExit: told so"),
        ("import sys\nsys.exit(True + 1)", "SystemExit: 2"),
        ("rows[9]", "IndexError: list index out of range"),
        ("def (", "SyntaxError: invalid syntax"),
        ("exec('def (')", "SyntaxError: invalid syntax"),
        ("x = '\\0'.join(('a', 'b'))\nexec(x)", "null bytes"),
        ("\0", "null bytes"),
        (" rows", "IndentationError: unexpected indent"),
        (
            "class A(Exception):\n    def __str__(self): 1 / 0\nraise A",
            "A: <exception str() failed>",
        ),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("raise ExceptionGroup('two', [ValueError(1), KeyError(2)])", "two (2 sub-exceptions)"),
    ],
)
def test_an_error_is_told_with_its_traceback(code: str, last: str) -> None:
    ending, reason, printed = explored(code)
    assert ending == "raised"
    assert last in reason
    assert last in printed


def test_a_traceback_shows_the_codes_own_lines_and_no_others() -> None:
    code = (
        "import json\n"
        "def parse(text):\n"
        "    return json.loads(text)\n"
        "try:\n"
        "    parse('{')\n"
        "except ValueError as error:\n"
        "    raise RuntimeError('no JSON') from error\n"
    )
    _, _, printed = explored(code)
    assert [line.strip() for line in printed.splitlines() if line.lstrip().startswith("File")] == [
        'File "<code>", line 5, in <module>',
        'File "<code>", line 3, in parse',
        'File "<code>", line 7, in <module>',
    ]
    assert "    return json.loads(text)\n" in printed
    assert "json.decoder.JSONDecodeError: Expecting property name" in printed
    assert printed.endswith("RuntimeError: no JSON\n")


def test_memory_used_up_is_told_with_the_line() -> None:
    assert explored("x = 1\nraise MemoryError") == (
        "memory", "the code asked for more memory than its limit (line 2)", "",
    )  # fmt: skip
    assert explored("bytes(2**62)")[0] == "memory"


def test_random_numbers_start_from_the_seed() -> None:
    code = "import random, numpy\nprint(random.random(), float(numpy.random.random()))"
    expected = random.Random(7).random(), float(np.random.RandomState(7).random())
    assert explored(code, seed=7)[2] == f"{expected[0]} {expected[1]}\n"


LIMITS = ToolLimits(output_characters=40)
WELL = ProcessEnding(0, cut_off=False, cpu_seconds=0.1, wall_seconds=0.2)


def leave(code: str) -> bytearray:
    """The page that exploring code leaves."""
    room = LIMITS.plain().output_bytes
    page = bytearray(page_bytes(0, room))
    run_exploration(Script(code), list(ROWS), page, room, frozenset({"sys"}), seed=0)
    return page


def test_the_page_holds_what_was_printed_to_either_stream_in_order() -> None:
    page = leave("import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint('\\ud800')\nrows[1]")
    execution = conclude_exploration(WELL, io.BytesIO(page), LIMITS)
    assert execution.outcome is Outcome.FINISHED
    assert execution.output == "1\n2\n\\ud800\n('11', 0)\n"
    assert (execution.wall_seconds, execution.cpu_seconds) == (0.2, 0.1)


def test_code_imports_what_is_listed_and_nothing_else() -> None:
    execution = conclude_exploration(WELL, io.BytesIO(leave("import os")), LIMITS)
    assert execution.outcome is Outcome.RAISED
    assert execution.reason == (
        "ModuleNotFoundError: a program may not import 'os'; it may import sys"
    )


def test_a_closed_stream_keeps_no_traceback_away() -> None:
    page = leave("import sys\nsys.stdout.close()\nsys.stderr = None\n1 / 0")
    execution = conclude_exploration(WELL, io.BytesIO(page), LIMITS)
    assert execution.outcome is Outcome.RAISED
    assert execution.output.endswith(" by zero\n")


def test_a_run_that_was_cut_off_shows_what_it_came_to() -> None:
    room = LIMITS.plain().output_bytes
    page = bytearray(page_bytes(0, room))
    Transcript(page, room).write(b"so far")
    cut = ProcessEnding(-9, cut_off=True, cpu_seconds=0.1, wall_seconds=60)
    execution = conclude_exploration(cut, io.BytesIO(page), LIMITS)
    assert (execution.outcome, execution.output) == (Outcome.TIMED_OUT, "so far")
    assert execution.reason == "stopped after 60 s"
    odd = replace(LIMITS, wall_seconds=14.17684)
    assert conclude_exploration(cut, io.BytesIO(page), odd).reason == "stopped after 14.18 s"


@given(st.binary(max_size=200))
def test_whatever_a_page_holds_it_is_read(forged: bytes) -> None:
    room = LIMITS.plain().output_bytes
    page = bytearray(page_bytes(0, room))
    page[OUTPUT_START : OUTPUT_START + len(forged)] = forged
    page[OUTPUT_START + room : OUTPUT_START + room + len(forged)] = forged
    execution = conclude_exploration(WELL, io.BytesIO(page), LIMITS)
    assert execution.outcome in set(Outcome)
    assert len(execution.output) < 100


def written(pieces: list[bytes], characters: int) -> str:
    room = transcript_bytes(characters)
    page = bytearray(OUTPUT_START + room)
    transcript = Transcript(page, room)
    for piece in pieces:
        assert transcript.write(piece) == len(piece)
    assert len(page) == OUTPUT_START + room
    return read_transcript(bytes(page[OUTPUT_START:]), characters)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), max_size=12),
    st.integers(1, 60),
)
def test_the_beginning_and_the_end_are_kept_and_what_lies_between_is_counted(
    parts: list[str], limit: int
) -> None:
    text = "".join(parts)
    if len(text) <= limit:
        expected = text
    else:
        before, after = text[: math.floor(limit / 2)], text[-math.ceil(limit / 2) :]
        expected = f"{before}\n[... {len(text) - limit:,} characters not shown ...]\n{after}"
    assert written([part.encode() for part in parts], limit) == expected
    data = text.encode()
    assert written([data[i : i + 1] for i in range(len(data))], limit) == expected


def test_one_huge_write_is_kept_from_both_ends() -> None:
    data = b"<" + b"-" * 3_000_000 + b">"
    assert written([data], 4) == "<-\n[... 2,999,998 characters not shown ...]\n->"


def test_control_characters_are_shown_by_pictures_and_bad_bytes_by_replacements() -> None:
    assert written([b"a\x00\x1b[31m\r\n\t\x7f\xff" + "\x85".encode()], 100) == (
        "a\u2400\u241b[31m\u240d\n\t\u2421\ufffd\ufffd"
    )


def test_a_forged_count_of_characters_does_no_harm() -> None:
    room = transcript_bytes(4)
    region = struct.pack("=QQ", 2**64 - 1, 2**64 - 1) + b"x" * (room - 16)
    assert read_transcript(region, 4) == (
        "xx\n[... 18,446,744,073,709,551,611 characters not shown ...]\nxx"
    )
    assert shown(b"abc", b"def", 0, 2) == "a\n[... 0 characters not shown ...]\nf"


def test_labelled_rows_arrive_as_they_were_given() -> None:
    rows = [
        ("0", 1), ("\ud800", "one"), ({"a": None, "b": 2.5}, True), ("", 0.5),
        ("n", np.int64(3)), ("s", np.str_("t")),
    ]  # fmt: skip
    labelled = LabelledRows(rows)  # type: ignore[arg-type]
    assert len(labelled) == 6
    assert decode_labelled(labelled.encoded()) == [
        ("0", 1), ("\ud800", "one"), ({"a": None, "b": 2.5}, True), ("", 0.5), ("n", 3), ("s", "t"),
    ]  # fmt: skip
    table = LabelledRows([({"a": 1, "b": "x"}, 1), ({"a": 2, "b": "y"}, 0)])
    assert decode_labelled(table.encoded()) == [({"a": 1, "b": "x"}, 1), ({"a": 2, "b": "y"}, 0)]


@pytest.mark.parametrize("label", [None, [1], object(), b"1"])
def test_a_label_that_is_no_plain_value_is_refused(label: object) -> None:
    with pytest.raises(DataError, match="the label of row 1 is a"):
        LabelledRows([("a", 1), ("b", label)])


@pytest.mark.parametrize(
    "limits",
    [
        {"cpu_seconds": 0.0},
        {"wall_seconds": -1.0},
        {"memory_bytes": 0},
        {"output_characters": 0},
        {"output_characters": 10**8},
    ],
)
def test_limits_that_mean_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(limits))):
        ToolLimits(**limits)  # type: ignore[arg-type]


def test_definitions_of_earlier_calls_are_there_again_and_their_variables_are_not() -> None:
    earlier = (
        "import math\nlimit = 3\nprint('once')\n"
        "def ones(x):\n    return x.count('1')\n"
        "class Box:\n    size = 2\n",
        "def broken(",
        "@gone\ndef never(): ...\n"
        "from collections import Counter\ndef ones(x):\n    return 10 * x.count('1')\n",
    )
    script = Script("print(ones(rows[1][0]), math.pi > 3, Box.size, Counter('aa')['a'])", earlier)
    assert explored(script) == ("finished", "", "20 True 2 2\n")
    for name in ("limit", "never", "broken"):
        _, reason, _ = explored(Script(name, earlier))
        # Python 3.12 and later add what may have been meant.
        assert reason.partition(". ")[0] == f"NameError: name '{name}' is not defined"


def test_an_import_from_the_future_holds_for_the_definitions_of_its_call() -> None:
    earlier = ("from __future__ import annotations\ndef f(x: no_such_type): return 7",)
    assert explored(Script("f(1)", earlier)) == ("finished", "", "7\n")


def test_an_error_in_an_earlier_definition_shows_its_own_lines() -> None:
    earlier = ("x = 1\ndef half(x):\n    return x / 0\n",)
    _, _, printed = explored(Script("half(1)", earlier))
    assert '  File "<call 1>", line 3, in half\n    return x / 0\n' in printed


def test_random_numbers_start_from_the_seed_whatever_earlier_calls_import() -> None:
    script = Script("import random\nrandom.random()", ("import random\nclass A:\n random.seed(5)",))
    assert explored(script, seed=7)[2] == f"{random.Random(7).random()!r}\n"


def test_check_counts_by_label_and_shows_mistakes_with_the_line_of_a_crash() -> None:
    code = "def f(x):\n    return 1 if x == '01' else 1 / 0\ncheck(f)"
    assert explored(Script(code, check=True))[2] == (
        "right on 1 of 2 rows (50.0%); by label: 0 0/1, 1 1/1\n"
        "'11' -> 0, got ZeroDivisionError: division by zero (line 2: return 1 if x == '01' else "
        "1 / 0)\n0.5\n"
    )
    assert explored(Script("check(lambda x: True, show=0)", check=True))[2] == (
        "right on 1 of 2 rows (50.0%); by label: 0 0/1, 1 1/1\n0.5\n"
    )
    assert explored(Script("best = check(lambda x: None, show=1)", check=True))[2] == (
        "right on 0 of 2 rows (0.0%); by label: 0 0/1, 1 0/1\n"
        "'01' -> 1, got TypeError: a NoneType is no label\n... and 1 more\n"
    )
    assert explored(Script("_ = check(lambda x: '1')", check=True))[2].endswith(
        "'11' -> 0, got 1\n"
    )
    assert explored(Script("_ = check(lambda x: 'a')", check=True))[2].endswith("0, got 'a'\n")
    assert "check takes a function" in explored(Script("check('f')", check=True))[1]
    assert "NameError" in explored(Script("check(len)"))[1]


def test_a_function_that_changes_its_input_is_checked_on_unchanged_rows() -> None:
    rows: list[tuple[object, object]] = [({"a": 1}, 1)]
    check = make_check(rows, lambda _: False)
    with redirect_stdout(io.StringIO()) as printed:
        assert check(lambda x: x.pop("a")) == check(lambda x: x.pop("a")) == 1.0
    assert printed.getvalue() == "right on 1 of 1 rows (100.0%); by label: 1 1/1\n" * 2
    with redirect_stdout(io.StringIO()) as printed:
        make_check([("x" * 1000, 1)] * 9, lambda _: False)(lambda x: 1 / 0)
    assert len(printed.getvalue()) < 1000, "an error is shown twice, and a long input is cut"


def test_survey_prints_the_text_it_is_given() -> None:
    assert explored(Script("survey()", survey="told\nso"))[2] == "told\nso\n"
    assert "NameError" in explored(Script("survey()"))[1]


@pytest.mark.parametrize(
    ("call", "printed"),
    [
        ("print(1, 'a', sep='-', end='!')", "1-a!"),
        ("print()", "\n"),
        ("print(1, 2, sep=None, end=None)", "1 2\n"),
        ("import sys\nprint(1, file=sys.stdout, flush=True)", "1\n"),
    ],
)
def test_print_is_as_it_always_is(call: str, printed: str) -> None:
    assert explored(call)[2] == printed


@pytest.mark.parametrize("call", ["print(1, sep=2)", "print(1, end=b'')", "print(1, colour=2)"])
def test_print_refuses_what_it_always_refuses(call: str) -> None:
    assert explored(call)[1].startswith("TypeError")
