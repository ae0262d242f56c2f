"""The WebAssembly sandbox itself: what programs compute in it, and what they try."""

import io
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_pv.sandbox import frames, wasm_build, wasm_process
from llm_pv.sandbox.execution import Execution, Limits, Outcome
from llm_pv.sandbox.modules import STANDARD_LIBRARY
from llm_pv.sandbox.result_page import page_bytes, read_page
from llm_pv.sandbox.wasm import WasmWorker, wasm_available

_MISSING = wasm_available()
# The first test may have to build the sandbox.
pytestmark = [
    pytest.mark.wasm,
    pytest.mark.timeout(600),
    pytest.mark.skipif(_MISSING is not None, reason=_MISSING or ""),
]

# Generous to a busy machine; the attacks that need the limits set their own.
LIMITS = Limits(cpu_seconds=30, wall_seconds=60, memory_bytes=64 << 20, output_bytes=1_000)
SHORT = Limits(cpu_seconds=0.3, wall_seconds=30, memory_bytes=64 << 20, output_bytes=1_000)


@pytest.fixture(scope="module")
def worker() -> Iterator[WasmWorker]:
    worker = WasmWorker()
    yield worker
    worker.close()


@pytest.fixture(autouse=True)
def _the_next_program_runs_normally(worker: WasmWorker) -> Iterator[None]:
    yield
    execution = worker.run("def f(x): return x.count('1') % 2", ["11", "10"], LIMITS)
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("0", "1")


def run(worker: WasmWorker, source: str, limits: Limits = LIMITS, rows: int = 3) -> Execution:
    return worker.run(source, [f"input {row}" for row in range(rows)], limits)


def test_every_row_of_a_long_run_gets_its_own_prediction(worker: WasmWorker) -> None:
    execution = worker.run(
        "def f(x): return x['n'] * 2", [{"n": n, "é\0": None} for n in range(5_000)], LIMITS
    )
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == tuple(str(2 * n) for n in range(5_000))
    assert execution.cpu_seconds > 0


def test_inputs_arrive_as_they_are(worker: WasmWorker) -> None:
    values = ["", "é\0\n", "\ud800", "\U0001f600"]
    assert worker.run("def f(x): return x", values, LIMITS).predictions == tuple(values)
    row = {"a": 0.1, "b": None, "c": True, "d": 10**30, "e": "007", "f": float("inf")}
    source = "def f(x): return str(list(x.items()))"
    assert worker.run(source, [row], LIMITS).predictions == (str(list(row.items())),)


def test_no_rows_is_a_finished_run(worker: WasmWorker) -> None:
    assert worker.run("def f(x): return x", [], LIMITS).outcome is Outcome.FINISHED


def test_every_listed_module_is_there(worker: WasmWorker) -> None:
    source = "\n".join(f"import {name}" for name in STANDARD_LIBRARY if name != "__future__")
    execution = run(worker, f"from __future__ import annotations\n{source}\ndef f(x): return 1")
    assert execution.reason == ""
    assert execution.predictions == ("1", "1", "1")


LATE_IMPORTS = {
    "__import__('datetime').datetime.strptime('2020', '%Y').year": "2020",
    "'é'.encode('utf-16').decode('utf-16')": "é",
    "'bücher'.encode('idna').decode()": "xn--bcher-kva",
    "__import__('hashlib').sha256(b'').hexdigest()[:8]": "e3b0c442",
    "__import__('html').unescape('&eacute;')": "é",
    "__import__('statistics').stdev([1, 3, 5])": "2",
    "__import__('decimal').Decimal(1) / 8 == __import__('fractions').Fraction(1, 8)": "1",
    "__import__('typing').get_type_hints(type('C', (), {'__annotations__': {'a': 'int'}}))['a']"
    ".__name__": "int",
    "len(str(__import__('sys').set_int_max_str_digits(0) or 10 ** 5000))": "5001",
    "__import__('calendar').month_name[2]": "February",
    "__import__('ipaddress').ip_address('10.0.0.1').is_private": "1",
    "next(__import__('csv').DictReader(['a,b', '1,2']))['b']": "2",
}


@pytest.mark.parametrize(("expression", "label"), LATE_IMPORTS.items())
def test_what_modules_import_late_is_there(worker: WasmWorker, expression: str, label: str) -> None:
    execution = run(worker, f"def f(x): return {expression}", rows=1)
    assert execution.errors == {}
    assert execution.predictions == (label,)


@pytest.mark.parametrize("module", ["numpy", "sympy", "networkx", "os", "socket", "subprocess"])
def test_a_module_that_is_not_there_is_named(worker: WasmWorker, module: str) -> None:
    execution = run(worker, f"import {module}\ndef f(x): return 1")
    assert execution.outcome is Outcome.FAILED_TO_LOAD
    assert execution.reason.startswith(f"ImportError: {module} is not available")
    assert execution.unreached == (0, 1, 2)


def test_what_a_program_prints_is_kept_up_to_the_limit(worker: WasmWorker) -> None:
    source = "import sys\nprint('é')\ndef f(x):\n    print(x, file=sys.stderr)\n    return 1"
    assert run(worker, source).output == "é\ninput 0\ninput 1\ninput 2\n"


ENDLESS = {
    "a loop": "def f(x):\n    while True: pass",
    "a loop in the module body": "while True: pass",
    "a loop that ignores every error": (
        "def f(x):\n"
        "    while True:\n"
        "        try:\n"
        "            while True: pass\n"
        "        except BaseException: pass"
    ),
    "a regular expression": "import re\ndef f(x): return bool(re.match('(a+)+$', 'a' * 50 + 'b'))",
    "an integer of a million digits": (
        "import sys\nsys.set_int_max_str_digits(0)\ndef f(x): return 7 ** 10 ** 9"
    ),
    "a call inside C": "def f(x): return sum(iter(int, 1))",
    "a flood of output": "def f(x):\n    while True: print('flood' * 100)",
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_never_ends_is_interrupted_at_the_cpu_limit(worker: WasmWorker, source: str) -> None:
    run(worker, "def f(x): return 1")
    process = worker._process
    execution = run(worker, source, SHORT)
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.reason == "stopped after 0.3 s of CPU time"
    assert execution.unreached == (0, 1, 2)
    assert len(execution.output.encode()) <= 1_000
    assert worker._process is process


def test_what_sleeps_is_killed_at_the_wall_limit(worker: WasmWorker) -> None:
    run(worker, "def f(x): return 1")
    process = worker._process
    source = "import time\ndef f(x): time.sleep(1e9)"
    execution = run(worker, source, Limits(cpu_seconds=30, wall_seconds=0.3))
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.reason == "stopped after 0.3 s"
    assert process is not None
    assert process.returncode is not None


def test_rows_finished_long_before_a_time_limit_are_kept(worker: WasmWorker) -> None:
    source = "def f(x):\n    while x == 'input 900': pass\n    return x"
    execution = run(worker, source, SHORT, rows=1_000)
    assert execution.outcome is Outcome.TIMED_OUT
    kept = len(execution.predictions) - len(execution.unreached)
    assert 16 <= kept <= 900
    assert execution.predictions[:kept] == tuple(f"input {row}" for row in range(kept))
    assert execution.unreached == tuple(range(kept, 1_000))


BOMBS = {
    "one large block": "def f(x): return bytes(10 ** 9)",
    "many blocks": "def f(x):\n    kept = []\n    while True: kept.append(bytes(10 ** 6))",
    "in the module body": "kept = [0] * 10 ** 9",
    "a long string": "def f(x): return 'x' * 10 ** 9",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_memory_bomb_runs_out_of_the_memory_it_was_given(worker: WasmWorker, source: str) -> None:
    assert run(worker, source).outcome is Outcome.OUT_OF_MEMORY


def test_memory_within_the_limit_can_be_used(worker: WasmWorker) -> None:
    source = "def f(x): return len(bytes(55 * 1024 * 1024))"
    assert run(worker, source).predictions == ("57671680",) * 3


CRASHES = {
    "os._exit": "import sys\ndef f(x): sys.modules['os']._exit(0)",
    "os._exit in the module body": "import sys\nsys.modules['os']._exit(3)",
    "abort": "import sys\ndef f(x): sys.modules['os'].abort()",
    "a C stack too deep": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\n"
        "nested = []\nfor _ in range(10 ** 5): nested = [nested]\n"
        "def f(x): return repr(nested)"
    ),
    "results that are no text": "import json\njson.dumps = lambda value: 3\ndef f(x): return 1",
}


@pytest.mark.parametrize("source", CRASHES.values(), ids=CRASHES.keys())
def test_a_program_that_breaks_its_interpreter_breaks_nothing_else(
    worker: WasmWorker, source: str
) -> None:
    run(worker, "def f(x): return 1")
    process = worker._process
    execution = run(worker, source)
    assert execution.outcome is Outcome.CRASHED
    assert execution.reason
    assert execution.unreached == (0, 1, 2)
    assert worker._process is process


REFUSED = {
    "reading a file": "open('/etc/passwd').read()",
    "writing a file": "open('/tmp/llm-pv-was-here', 'w')",
    "listing a folder": "str(os.listdir('/'))",
    "making a folder": "os.mkdir('/tmp/llm-pv-was-here')",
    "a process": "os.system('true')",
    "a fork": "os.fork()",
    "a signal": "os.kill(1, 9)",
    "a thread": "sys.modules['_thread'].start_new_thread(print, ())",
    "standard input": "input()",
    "a descriptor": "os.read(3, 10)",
    "an integer too long to print": "10 ** 5000",
    "deep recursion": "f(x)",
    "leaving": "sys.exit(3)",
}


@pytest.mark.parametrize("expression", REFUSED.values(), ids=REFUSED.keys())
def test_what_a_program_may_not_do_is_an_error_of_its_row(
    worker: WasmWorker, expression: str
) -> None:
    source = f"import sys\nos = sys.modules['os']\ndef f(x): return {expression}"
    execution = run(worker, source)
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == (None, None, None)
    assert sorted(execution.errors) == [0, 1, 2]
    assert not Path("/tmp/llm-pv-was-here").exists()


def test_sockets_do_not_exist_inside(worker: WasmWorker) -> None:
    source = (
        "import sys\n"
        "importer = sys.modules['importlib'].import_module\n"
        "def f(x):\n"
        "    socket = importer('socket')\n"
        "    return str(socket.create_connection(('127.0.0.1', 9)))"
    )
    assert run(worker, source).predictions == (None, None, None)


def test_neither_environment_nor_arguments_nor_memory_of_the_owner_are_inside(
    worker: WasmWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_PV_SECRET", "a" * 10 + "secret")
    worker.close()
    source = (
        "import sys\n"
        "def f(x): return str([dict(sys.modules['os'].environ), sys.modules['os'].getcwd(),"
        " getattr(sys, 'orig_argv', [])])"
    )
    (seen,) = run(worker, source, rows=1).predictions
    assert seen is not None
    assert seen.startswith("[{}, '/',")
    assert "secret" not in seen
    assert worker._process is not None
    environment = Path(f"/proc/{worker._process.pid}/environ")
    if environment.exists():
        assert environment.read_bytes() == b""


FORGERIES = {
    "other results": "json.dumps = lambda value: '[1, 2, 3]'",
    "too many results": "json.dumps = lambda value: '[' + '\"1\",' * 99 + '\"1\"]'",
    "too few results": "json.dumps = lambda value: '[]'",
    "nested beyond reason": "json.dumps = lambda value: '[' * 10000",
    "too long": "json.dumps = lambda value: 'x' * 10 ** 7",
    "no JSON": "json.dumps = lambda value: '\\x00'",
    "another outcome": "won = lambda self, rows: ('won', '[]')\n"
    "sys.modules['program_guest'].WitWorld.step = won",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_results_are_malformed(worker: WasmWorker, forgery: str) -> None:
    execution = run(worker, f"import json, sys\n{forgery}\ndef f(x): return 1")
    assert execution.outcome is Outcome.MALFORMED
    assert execution.predictions == (None, None, None)


def test_patches_of_builtins_and_modules_do_not_outlive_the_program(worker: WasmWorker) -> None:
    source = (
        "import json, sys\n"
        "sys.modules['builtins'].sum = None\n"
        "json.loads = None\n"
        "sys.modules['llm_pv.sandbox.job'].label_text = lambda value: 'patched'\n"
        "def f(x): return 0"
    )
    assert run(worker, source).predictions == ("patched",) * 3
    source = "import json\ndef f(x): return sum(json.loads('[1, 1]'))"
    assert run(worker, source).predictions == ("2",) * 3


def test_no_label_of_the_owner_is_found_by_walking_frames_and_objects(worker: WasmWorker) -> None:
    labels = ["label-of-the-owner"] * 3
    source = (
        "import sys\n"
        "gc = sys.modules['importlib'].import_module('gc')\n"
        "def f(x):\n"
        "    frame, seen = sys._getframe(), list(gc.get_objects())\n"
        "    while frame:\n"
        "        seen += [*frame.f_locals.values(), *frame.f_globals.values()]\n"
        "        frame = frame.f_back\n"
        "    seen += gc.get_referents(*seen)\n"
        "    texts = [o for o in seen if type(o) is str]\n"
        "    return str(('input 1' in texts, '-'.join(['label', 'of', 'the', 'owner']) in texts))"
    )
    assert run(worker, source, rows=len(labels)).predictions == ("(True, False)",) * 3


def test_nothing_is_kept_from_one_program_to_the_next(worker: WasmWorker) -> None:
    run(worker, "import math\nmath.kept = 1\ndef f(x): return 1")
    source = "import math\ndef f(x): return hasattr(math, 'kept')"
    assert run(worker, source).predictions == ("0", "0", "0")


def descriptors(folder: str) -> int:
    return len(list(Path(folder).iterdir()))


def test_descriptors_and_processes_do_not_add_up(worker: WasmWorker) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts descriptors in /proc")
    fresh = WasmWorker()
    before = descriptors("/proc/self/fd")
    for _ in range(3):
        run(fresh, "import time\ntime.sleep(1e9)", Limits(cpu_seconds=9, wall_seconds=0.05))
    run(fresh, "def f(x): return 1")
    process = fresh._process
    assert process is not None
    inside = f"/proc/{process.pid}/fd"
    held = descriptors(inside)
    for source in ("def f(x): return 1", "1 / 0", "import sys\nsys.modules['os']._exit(1)"):
        run(fresh, source)
    assert descriptors(inside) == held
    fresh.close()
    assert process.returncode is not None
    assert descriptors("/proc/self/fd") == before


def test_random_numbers_start_from_the_seed_and_hashing_does_not(worker: WasmWorker) -> None:
    source = "import random\nFLIP = random.random()\ndef f(x): return f'{FLIP!r} {hash(x)}'"
    answers = [worker.run(source, ["a"], LIMITS, seed).predictions[0] or "" for seed in (0, 1, 2)]
    drawn, hashes = zip(*(answer.split() for answer in answers), strict=True)
    assert drawn == tuple(repr(random.Random(seed).random()) for seed in (0, 1, 2))
    assert len(set(hashes)) == 1


def header_for(tmp_path: Path, rows: int, cpu_seconds: float) -> bytes:
    page = tmp_path / "page"
    page.write_bytes(bytes(page_bytes(rows, 10)))
    limits = {"cpu_seconds": cpu_seconds, "memory_bytes": 1 << 24, "output_bytes": 10}
    return json.dumps({"page": str(page), "rows": rows, "exploring": False, **limits}).encode()


def test_the_host_ends_with_its_owner_even_in_the_middle_of_a_program(tmp_path: Path) -> None:
    component = wasm_build.built_component()
    host = wasm_build.host_command("serve", wasm_build.wasmtime_directory(), component)
    with subprocess.Popen(host, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert frames.read_frame(process.stdout) == (wasm_process.READY, b"")
        job = {"source": "import time\nwhile True: time.sleep(1000)", "inputs": ["a"], "seed": 0}
        for payload in (header_for(tmp_path, 1, 1e6), json.dumps(job).encode()):
            frames.write_frame(process.stdin, b"J", payload)
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_the_host_runs_programs_in_process_as_well(tmp_path: Path) -> None:
    host = wasm_process.Host(str(wasm_build.built_component()))
    ends = []
    for body in ("return x", "sys.modules['os']._exit(1)", "sys.modules['os'].abort()"):
        job = {"source": f"import sys\ndef f(x): {body}", "inputs": ["a", "b"], "seed": 0}
        said = host.run(header_for(tmp_path, 2, 9), json.dumps(job).encode())
        content = read_page(io.BytesIO((tmp_path / "page").read_bytes()), 2, 10)
        ends.append((said["interrupted"], content.answers, content.end))
    assert ends == [
        (False, ["a", "b"], "finished"),
        (False, [], "crashed"),
        (False, [], "crashed"),
    ]
