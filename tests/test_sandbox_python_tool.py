"""The Python tool as a model meets it: real processes, hostile code, several calls at once."""

import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("these use the Linux sandbox", allow_module_level=True)

from llm_pv.data.examples import Input
from llm_pv.errors import ConfigurationError, ConfinementError, DataError, SandboxError
from llm_pv.sandbox import Limits, Outcome, PythonTool, Sandbox, ToolLimits, ToolResult
from llm_pv.sandbox.modules import STANDARD_LIBRARY
from llm_pv.sandbox.wasm import wasm_available
from sandbox_attacks import ATTACKS, ESCAPED, INPUTS, Attack
from test_sandbox_attacks import belongings, left_since

ROWS: list[tuple[Input, object]] = [(f"{number:08b}", number % 2) for number in range(100)]
# Generous to a busy machine: what needs the limits sets its own.
LIMITS = ToolLimits(cpu_seconds=30, wall_seconds=60)
SHORT = ToolLimits(cpu_seconds=0.4, wall_seconds=1.2, memory_bytes=256 << 20)
BACKENDS = [
    "linux",
    "unconfined",
    pytest.param("wasm", marks=[
        pytest.mark.wasm,
        pytest.mark.timeout(600),  # the first of them may have to build the sandbox
        pytest.mark.skipif(wasm_available() is not None, reason=wasm_available() or ""),
    ]),
]  # fmt: skip


@pytest.fixture(scope="module", params=BACKENDS)
def tool(request: pytest.FixtureRequest) -> Iterator[PythonTool]:
    """The tool on every back end."""
    unconfined = request.param == "unconfined"
    backend = request.param
    with PythonTool(
        ROWS, limits=LIMITS, workers=1, backend=backend, allow_unconfined=unconfined
    ) as tool:
        yield tool


@pytest.fixture(scope="module")
def hasty(tool: PythonTool) -> Iterator[PythonTool]:
    """The same with limits that are soon reached."""
    backend: Any = tool.confinement.backend
    unconfined = backend == "unconfined"  # which starts an interpreter within its time
    limits = replace(SHORT, wall_seconds=3.0) if unconfined else SHORT
    with PythonTool(
        ROWS, limits=limits, workers=1, backend=backend, allow_unconfined=unconfined
    ) as hasty:
        assert hasty.run("len(rows)").output == "100\n"
        yield hasty


def test_code_sees_the_rows_and_its_output_comes_back(tool: PythonTool) -> None:
    result = tool.run("print(type(rows), len(rows))\nrows[3]")
    assert result.output == "<class 'list'> 100\n('00000011', 1)\n"
    assert result.outcome is Outcome.FINISHED
    assert 0 < result.seconds < 60


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("all(int(x, 2) % 2 == y for x, y in rows)", "True\n"),
        (
            "from collections import Counter\nimport statistics, itertools, re, math, json\n"
            "Counter(y for x, y in rows)",
            "Counter({0: 50, 1: 50})\n",
        ),
        ("print('no newline', end='')", "no newline"),
        ("x = 1", "[the code printed nothing]"),
        ("import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)", "1\n2\n3\n"),
        ("import sys\nsys.stdout.buffer.write(b'\\x1b\\xff') and None", "\u241b\ufffd"),
        ("print('\\ud800')", "\\ud800\n"),
        ("'é' * 3", "'ééé'\n"),
    ],
)
def test_what_code_prints_is_what_a_model_reads(tool: PythonTool, code: str, output: str) -> None:
    result = tool.run(code)
    assert (result.output, result.outcome) == (output, Outcome.FINISHED)


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("input()", "EOFError"),
        ("1 / 0", '  File "<code>", line 1, in <module>\n'),
        ("def (", "SyntaxError: invalid syntax\n"),
        ("raise SystemExit(3)", "SystemExit: 3\n"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt\n"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("import sys\nsys.stdout.close()\nprint(1)", "ValueError: I/O operation on closed file"),
        ("import os", '  File "<code>", line 1, in <module>\n    import os\n'),
        ("\0", "null bytes"),
    ],
)
def test_what_code_raises_is_what_a_model_reads(tool: PythonTool, code: str, output: str) -> None:
    result = tool.run(code)
    assert output in result.output
    assert result.outcome is Outcome.RAISED


def test_nothing_stays_from_one_call_to_the_next(tool: PythonTool) -> None:
    code = "import math\nprint(len(rows), hasattr(math, 'mark'))\nrows.clear()\nmath.mark = 1"
    assert [tool.run(code).output for _ in range(3)] == ["100 False\n"] * 3


def test_random_numbers_start_from_the_seed_of_the_call(tool: PythonTool) -> None:
    code = "import random\nrandom.random()"
    assert [tool.run(code, seed=seed).output for seed in (0, 0, 5)] == [
        f"{random.Random(seed).random()!r}\n" for seed in (0, 0, 5)
    ]
    for seed in (-1, 2**32, 1.5):
        with pytest.raises(ConfigurationError, match="seed"):
            tool.run(code, seed=seed)  # type: ignore[arg-type]


def test_long_output_is_cut_in_its_middle(tool: PythonTool) -> None:
    result = tool.run("print('a' * 5_000 + 'b' * 2_000_000 + 'c' * 4_999)")
    cut = "\n[... 2,000,000 characters not shown ...]\n"
    assert result.output == "a" * 5_000 + cut + "c" * 4_999 + "\n"
    assert result.outcome is Outcome.FINISHED


@pytest.mark.parametrize(
    ("code", "outcome", "output"),
    [
        ("print('so far', end='')\nwhile True: pass", Outcome.TIMED_OUT, "so far\n["),
        ("print('so far')\nimport time\ntime.sleep(10**6)", Outcome.TIMED_OUT, "so far\n["),
        ("while True: print('spam')", Outcome.TIMED_OUT, "spam\nspam\n"),
        (
            "print('so far')\nimport sys\nsys.modules['os'].abort()",
            Outcome.CRASHED,
            "so far\n[",
        ),
    ],
)
def test_a_call_that_is_cut_off_shows_what_it_had_printed(
    hasty: PythonTool, code: str, outcome: Outcome, output: str
) -> None:
    result = hasty.run(code)
    assert result.outcome is outcome
    assert result.output.startswith(output)
    assert result.output.endswith("]")
    assert len(result.output) < SHORT.output_characters + 200
    assert hasty.run("len(rows)").output == "100\n"


@pytest.mark.parametrize("backend", ["linux", BACKENDS[-1]])
def test_a_memory_bomb_is_told_with_its_line(backend: str) -> None:
    limits = ToolLimits(cpu_seconds=30, wall_seconds=60, memory_bytes=64 << 20)
    with PythonTool(ROWS, limits=limits, workers=1, backend=backend) as tool:  # type: ignore[arg-type]
        result = tool.run(
            "print('so far')\nhoard = []\nwhile True:\n    hoard.append(bytes(10**7))"
        )
        assert result == ToolResult(
            "so far\n[the code asked for more memory than its limit (line 4)]",
            Outcome.OUT_OF_MEMORY,
            result.seconds,
        )
        assert tool.run("len(rows)").output == "100\n"


@pytest.fixture(scope="module")
def linux() -> Iterator[PythonTool]:
    with PythonTool(
        [(row, "held") for row in INPUTS], limits=SHORT, workers=1, backend="linux"
    ) as tool:
        tool.run("import numpy")
        yield tool


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_through_the_tool_is_held_and_leaves_nothing_behind(
    linux: PythonTool, name: str
) -> None:
    before = belongings()
    result = linux.run(ATTACKS[name].source + "\nfor x, _ in rows:\n    print(f(x))\n")
    assert ESCAPED not in result.output.splitlines()
    assert result.outcome in ending_well(ATTACKS[name])
    assert len(result.output) < 10_300
    assert linux.run("[x for x, _ in rows]").output == f"{INPUTS}\n"
    assert not left_since(before)


def ending_well(attack: Attack) -> set[Outcome]:
    """How an attack may end here: as it does elsewhere, or at its first error."""
    if attack.outcomes == {Outcome.TIMED_OUT}:
        return {Outcome.TIMED_OUT}
    # What is forged on the page spoils no answer here.
    more = {Outcome.FINISHED, Outcome.CRASHED} if Outcome.MALFORMED in attack.outcomes else set()
    return set(attack.outcomes) | {Outcome.RAISED} | more


def test_a_call_sees_an_environment_that_holds_nothing_of_the_owner(
    linux: PythonTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_PV_TEST_KEY", "do-not-leak-me")
    code = dedent("""
        import sys
        ctypes = sys.modules["ctypes"]
        first = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")[0]
        ctypes.string_at(first, ((first | 4095) + 1) - first)
        """)
    with PythonTool(ROWS, limits=LIMITS, workers=1, backend="linux") as fresh:
        output = fresh.run(code).output
    assert "PYTHONHASHSEED" in output
    assert "leak" not in output


def test_candidates_see_nothing_of_the_tools_rows() -> None:
    """The tool's processes are its own, also where both are in use at once."""
    probe = dedent("""
        import sys
        def f(x):
            mark = " ".join(["secret", "label"])  # so that the probe itself does not hold it
            things = sys.modules["gc"].get_objects()
            held = [thing for thing in things if type(thing) in (list, tuple) and mark in thing]
            return "found" if held or mark in globals().get("rows", ()) else "nothing"
        """)
    with (
        PythonTool([("a", "secret label")], limits=LIMITS, workers=1) as tool,
        Sandbox(Limits(cpu_seconds=30, wall_seconds=60), workers=1) as sandbox,
    ):
        assert tool.run("rows").output == "[('a', 'secret label')]\n"
        assert sandbox.predict(probe, ["a"]).predictions == ("nothing",)
        ours, theirs = tool._pool._workers, sandbox._pool._workers
        assert not ours & theirs


def test_packages_can_be_used_and_numpys_random_numbers_start_from_the_seed() -> None:
    with PythonTool(ROWS, limits=LIMITS, workers=1, backend="linux") as tool:
        code = "import numpy as np\nfloat(np.random.random())"
        expected = float(np.random.RandomState(3).random())
        assert tool.run(code, seed=3).output == f"{expected}\n"
        code = (
            "import numpy as np\nprint(np.array([list(map(int, x)) for x, y in rows]).sum(axis=0))"
        )
        assert tool.run(code).output == "[ 0 36 36 48 48 48 50 50]\n"
        assert tool.run("import sympy\nsympy.factorint(91)").output == "{7: 1, 13: 1}\n"
        assert tool.run("import networkx\nnetworkx.path_graph(3).size()").output == "2\n"


def test_table_rows_and_labels_of_any_class_arrive_with_their_types() -> None:
    rows = [({"a": 1, "b": None}, True), ({"a": 2.5, "b": "é\n"}, "yes"), ("\ud800", 3)]
    with PythonTool(rows, limits=LIMITS, workers=1) as tool:  # type: ignore[arg-type]
        assert tool.run("print(ascii(rows))").output == ascii(rows) + "\n"


def test_calls_from_several_threads_each_get_their_own_answer() -> None:
    with (
        PythonTool(ROWS, limits=LIMITS, workers=2) as tool,
        ThreadPoolExecutor(8) as threads,
    ):
        results = list(threads.map(tool.run, [f"{number} + len(rows)" for number in range(40)]))
    assert [result.output for result in results] == [f"{number + 100}\n" for number in range(40)]


def test_closing_ends_a_call_in_progress() -> None:
    before = belongings()
    tool = PythonTool(ROWS, limits=LIMITS, workers=1)
    errors: list[BaseException] = []
    started = threading.Event()

    def call() -> None:
        started.set()
        try:
            while True:
                tool.run("while True: pass")
        except SandboxError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    started.wait(30)
    tool.close()
    thread.join(30)
    assert [type(error) for error in errors] == [SandboxError]
    assert not left_since(before)


def test_the_description_tells_what_may_be_imported_and_the_limits(tool: PythonTool) -> None:
    text = tool.description
    assert "`rows`" in text
    assert ", ".join(STANDARD_LIBRARY) in text
    assert ("numpy, sympy, networkx, " in text) is (tool.confinement.backend != "wasm")
    assert ("there is no numpy" in text) is (tool.confinement.backend == "wasm")
    assert "30 s of CPU time, 60 s by the clock" in text
    assert "1,024 MiB" in text
    assert "10,000 characters" in text


def test_earlier_definitions_check_and_survey_are_there_on_every_back_end(tool: PythonTool) -> None:
    backend: Any = tool.confinement.backend
    with PythonTool(
        ROWS,
        limits=LIMITS,
        functions=("check", "survey"),
        workers=1,
        backend=backend,
        allow_unconfined=backend == "unconfined",
    ) as helped:
        earlier = ["def f(x):\n    return int(x[-1])\nlimit = 1"]
        shown = helped.run("check(f, show=0)\nsurvey()\nlimit", earlier=earlier, survey="a text")
        description = helped.description
    assert shown.output.startswith(
        "right on 100 of 100 rows (100.0%); by label: 0 50/50, 1 50/50\na text\nTraceback"
    )
    assert "`check(f)`" in description
    assert "`survey()`" in description
    assert "`check(f)`" not in tool.description


def test_packages_that_earlier_calls_import_are_loaded() -> None:
    with PythonTool(ROWS, limits=LIMITS, workers=1, backend="linux") as tool:
        earlier = ["import numpy as np\ndef total(v):\n    return int(np.sum(v))"]
        assert tool.run("total([1, 2])", earlier=earlier).output == "3\n"


def test_a_call_that_is_cut_off_says_by_which_limit_and_what_to_do() -> None:
    limits = ToolLimits(cpu_seconds=0.2, wall_seconds=0.5)
    with PythonTool(ROWS, limits=limits, workers=1, backend="linux") as tool:
        waited = tool.run("import time\ntime.sleep(60)").output
    assert waited.startswith("[stopped after 0.5 s: by the clock")
    assert "do not sleep" in waited
    limits = ToolLimits(cpu_seconds=0.2, wall_seconds=60)
    with PythonTool(ROWS, limits=limits, workers=1, backend="linux") as tool:
        computed = tool.run("while True: pass").output
    assert computed == (
        "[stopped after 0.2 s of CPU time: compute less in one call; the functions it defined are "
        "there in the next one]"
    )


def test_a_package_that_is_not_installed_is_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_pv.sandbox.tool.find_spec", lambda name: name == "numpy" or None)
    with PythonTool(ROWS, workers=1) as tool:
        assert "numpy, __future__" in tool.description
        assert "there is no sympy and no networkx" in tool.description


def test_rows_that_are_no_plain_values_are_refused_before_anything_starts() -> None:
    before = belongings()
    with pytest.raises(DataError, match="label of row 0"):
        PythonTool([("a", None)])
    with pytest.raises(DataError, match="input 0"):
        PythonTool([(3, 1)])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="0 workers"):
        PythonTool(ROWS, workers=0)
    with pytest.raises(ConfinementError):
        PythonTool(ROWS, backend="unconfined")
    assert not left_since(before)
