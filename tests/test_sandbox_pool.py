"""The sandbox as its callers use it: one program or many, few rows or many, threads and forks."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.platform != "linux":
    pytest.skip("these use the Linux sandbox", allow_module_level=True)

from llm_pv.errors import ConfigurationError, ConfinementError, DataError, SandboxError
from llm_pv.sandbox import Batch, Confinement, Execution, Limits, Outcome, Sandbox
from llm_pv.sandbox.linux import LinuxWorker

if TYPE_CHECKING:
    from llm_pv.data.examples import Input

PARITY = "def f(x):\n    return x.count('1') % 2"
FOREVER = "def f(x):\n    while True: pass"
SOURCE_FOLDER = Path(__file__).parent.parent / "src"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=1, wall_seconds=3), workers=2) as sandbox:
        yield sandbox


def numbers(rows: int) -> list[str]:
    return [str(row) for row in range(rows)]


def test_predictions_come_back_in_order(sandbox: Sandbox) -> None:
    execution = sandbox.predict(PARITY, ["0110", "0111", ""])
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == ("0", "1", "0")
    assert execution.unreached == ()
    assert execution.cpu_seconds > 0


@pytest.mark.parametrize("rows", [0, 1, 2_000, 2_001, 5_003])
def test_many_rows_are_spread_without_losing_one(sandbox: Sandbox, rows: int) -> None:
    execution = sandbox.predict("def f(x):\n    return x", numbers(rows))
    assert execution.predictions == tuple(numbers(rows))


def test_errors_of_spread_rows_keep_their_positions(sandbox: Sandbox) -> None:
    source = "def f(x):\n    if int(x) % 2000 == 1999: raise ValueError(x)\n    return x"
    execution = sandbox.predict(source, numbers(6_000))
    assert execution.errors == {row: f"ValueError: {row}" for row in (1999, 3999, 5999)}
    assert [row for row, answer in enumerate(execution.predictions) if answer is None] == [
        1999, 3999, 5999,
    ]  # fmt: skip


def test_rows_before_and_after_the_one_that_ran_out_of_time_are_told_apart(
    sandbox: Sandbox,
) -> None:
    source = "def f(x):\n    print('row', x)\n    while x == '3': pass\n    return x"
    execution = sandbox.predict(source, numbers(6))
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.predictions == ("0", "1", "2", None, None, None)
    assert execution.unreached == (3, 4, 5)
    assert execution.output == "row 0\nrow 1\nrow 2\nrow 3\n"
    assert execution.reason.startswith("stopped after")


def test_one_part_out_of_time_leaves_the_answers_of_the_other(sandbox: Sandbox) -> None:
    source = "def f(x):\n    while x == '2000': pass\n    return x"
    execution = sandbox.predict(source, numbers(4_000))
    assert execution.outcome is Outcome.TIMED_OUT
    assert execution.unreached == tuple(range(2000, 4000))
    assert execution.predictions[:2000] == tuple(numbers(2000))


@pytest.mark.parametrize(
    "value",
    ["\ud800", "a\0b", "two\nlines", "é🎉", "", " ", '"', "\\", "x" * 1000],
)
def test_any_string_reaches_the_program_and_comes_back(sandbox: Sandbox, value: str) -> None:
    assert sandbox.predict("def f(x):\n    return x", [value]).predictions == (value,)


def test_table_rows_arrive_with_their_values_and_types(sandbox: Sandbox) -> None:
    row: Input = {"a": 1, "b": 2.5, "c": None, "d": True, "e": "\ud800", "f": float("inf")}
    source = "def f(x):\n    return ascii(x)"
    text = "{'a': 1, 'b': 2.5, 'c': None, 'd': True, 'e': '\\ud800', 'f': inf}"
    assert sandbox.predict(source, [row]).predictions == (text,)


def test_a_program_that_changes_its_row_changes_no_other(sandbox: Sandbox) -> None:
    row: Input = {"a": 1}
    source = "def f(x):\n    x['a'] += 1\n    return x['a']"
    assert sandbox.predict(source, [row, row, row]).predictions == ("2", "2", "2")
    assert row == {"a": 1}


def test_many_programs_are_taken_as_needed_and_answered_in_order(sandbox: Sandbox) -> None:
    taken = []

    def sources() -> Iterator[str]:
        for number in range(30):
            taken.append(number)
            yield f"def f(x):\n    return {number}"

    results = sandbox.predict_many(sources(), ["x"])
    assert taken == []
    assert next(results).predictions == ("0",)
    assert len(taken) <= 4
    assert [execution.predictions[0] for execution in results] == [str(n) for n in range(1, 30)]


def test_bad_programs_among_many_do_not_stop_the_rest(sandbox: Sandbox) -> None:
    sources = [PARITY, "def f(x", "import os\ndef f(x): pass", "raise SystemExit", PARITY, PARITY]
    outcomes = [execution.outcome for execution in sandbox.predict_many(sources, ["1"])]
    failed = Outcome.FAILED_TO_LOAD
    done = Outcome.FINISHED
    assert outcomes == [done, failed, failed, failed, done, done]


@pytest.mark.parametrize("sources", [[], [PARITY]])
def test_none_or_one_among_many_is_answered_too(sandbox: Sandbox, sources: list[str]) -> None:
    executions = list(sandbox.predict_many(sources, numbers(3_000)))
    assert [execution.outcome for execution in executions] == [Outcome.FINISHED] * len(sources)


def test_leaving_off_early_ends_what_runs_ahead() -> None:
    limits = Limits(cpu_seconds=100, wall_seconds=100)
    with Sandbox(limits, workers=2) as sandbox:
        results = sandbox.predict_many([PARITY, FOREVER, FOREVER, FOREVER], ["1"])
        assert next(results).predictions == ("1",)
        results.close()  # type: ignore[attr-defined]
        assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)
        assert sandbox.predict(PARITY, numbers(3_000)).outcome is Outcome.FINISHED


@pytest.mark.parametrize("rows", [3, 2_001])
def test_a_deadline_ends_a_run_long_before_its_limits(rows: int) -> None:
    limits = Limits(cpu_seconds=1_000, wall_seconds=1_000)
    with Sandbox(limits, workers=2) as sandbox:
        execution = sandbox.predict(FOREVER, numbers(rows), deadline=time.monotonic() + 0.2)
        assert execution.outcome is Outcome.TIMED_OUT
        assert execution.predictions == (None,) * rows
        assert execution.unreached == tuple(range(rows))
        assert execution.reason == "ended because the time for all programs together was over"
        results = sandbox.predict_many(
            [PARITY, FOREVER, PARITY], numbers(rows), deadline=time.monotonic() + 2
        )
        outcomes = [execution.outcome for execution in results]
        assert outcomes[:2] == [Outcome.FINISHED, Outcome.TIMED_OUT]
        much_later = time.monotonic() + 1_000
        assert sandbox.predict(PARITY, ["0111"], deadline=much_later).predictions == ("1",)


def test_an_error_in_the_callers_own_sources_passes_through(sandbox: Sandbox) -> None:
    def sources() -> Iterator[str]:
        yield PARITY
        yield PARITY
        raise LookupError("no more")

    with pytest.raises(LookupError):
        list(sandbox.predict_many(sources(), ["1"]))
    assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)


def test_a_closed_sandbox_says_so_and_leaves_no_process() -> None:
    sandbox = Sandbox(workers=2)
    sandbox.predict(PARITY, numbers(3_000))
    before = children()
    sandbox.close()
    sandbox.close()
    assert children() < before
    with pytest.raises(SandboxError, match="closed"):
        sandbox.predict(PARITY, ["1"])


def test_a_forgotten_sandbox_leaves_no_process() -> None:
    before = children()
    sandbox = Sandbox(workers=1)
    assert children() > before
    del sandbox
    assert children() == before


def test_closing_ends_a_run_in_progress() -> None:
    sandbox = Sandbox(Limits(cpu_seconds=100, wall_seconds=100), workers=1)
    errors: list[BaseException] = []
    running = threading.Event()

    def wait_forever() -> None:
        running.set()
        try:
            sandbox.predict(FOREVER, ["1"])
        except SandboxError as error:
            errors.append(error)

    thread = threading.Thread(target=wait_forever)
    thread.start()
    running.wait()
    sandbox.close()
    thread.join(30)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_a_zygote_that_was_killed_is_replaced() -> None:
    with Sandbox(workers=1) as sandbox:
        assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)
        for pid in children():
            if b"boot.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)


def test_several_threads_share_a_sandbox(sandbox: Sandbox) -> None:
    results: dict[int, Execution] = {}

    def work(number: int) -> None:
        results[number] = sandbox.predict(f"def f(x):\n    return {number}", ["x"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: run.predictions for number, run in results.items()} == {
        number: (str(number),) for number in range(8)
    }


def test_it_works_under_a_running_event_loop(sandbox: Sandbox) -> None:
    async def main() -> tuple[str | None, ...]:
        return sandbox.predict(PARITY, ["1", "0"]).predictions

    assert asyncio.run(main()) == ("1", "0")


def test_a_sandbox_outlives_the_thread_that_made_it() -> None:
    made: list[Sandbox] = []
    thread = threading.Thread(target=lambda: made.append(Sandbox(workers=1)))
    thread.start()
    thread.join()
    with made[0] as sandbox:
        assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)


def children() -> set[int]:
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        found |= {int(pid) for pid in file.read_text().split()}
    return found


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCE_FOLDER)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_fork_of_the_owner_has_workers_of_its_own() -> None:
    result = run_script(f"""
import os
from llm_pv.sandbox import Sandbox
sandbox = Sandbox(workers=2)
assert sandbox.predict({PARITY!r}, ["1"]).predictions == ("1",)
pid = os.fork()
if pid == 0:
    mine = sandbox.predict({PARITY!r}, ["0"] * 3000)
    sandbox.close()
    os._exit(mine.predictions != ("0",) * 3000)
_, status = os.waitpid(pid, 0)
assert status == 0
assert sandbox.predict({PARITY!r}, ["1"] * 3000).predictions == ("1",) * 3000
print("fine")
""")
    assert (result.stdout, result.returncode) == ("fine\n", 0), result.stderr


def test_joblib_runs_sandboxes_side_by_side() -> None:
    result = run_script(f"""
import joblib
def work(number):
    from llm_pv.sandbox import Sandbox
    with Sandbox(workers=1) as sandbox:
        return sandbox.predict({PARITY!r}, ["1"] * number).predictions
print(joblib.Parallel(n_jobs=2)(joblib.delayed(work)(n) for n in (1, 2, 3)))
""")
    assert result.stdout == "[('1',), ('1', '1'), ('1', '1', '1')]\n", result.stderr


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit()"])
def test_no_zygote_outlives_its_owner(end: str) -> None:
    result = run_script(f"""
import os, sys
from pathlib import Path
from llm_pv.sandbox import Sandbox
sandbox = Sandbox(workers=1)
def below(pid):
    for file in Path(f"/proc/{{pid}}/task").glob("*/children"):
        for child in file.read_text().split():
            print(child)
            below(child)
below(os.getpid())
sys.stdout.flush()
{end}
""")
    started = [int(pid) for pid in result.stdout.split()]
    assert started, result.stderr
    for pid in started:
        # A pidfd reports the end of a process that is not our child.
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            signal.pidfd_send_signal(process, 0)
            import select

            ended, _, _ = select.select([process], [], [], 30)
            assert ended, f"{pid} still runs"
        except ProcessLookupError:
            pass
        finally:
            os.close(process)


def test_importing_the_room_is_cheap() -> None:
    result = run_script("""
import sys
import llm_pv.sandbox
heavy = {"numpy", "ctypes", "subprocess", "wasmtime", "pandas"} & set(sys.modules)
print(sorted(heavy))
""")
    assert result.stdout == "[]\n", result.stderr


def test_the_room_can_be_imported_and_refuses_on_other_systems() -> None:
    result = run_script("""
import os, sys
import subprocess, tempfile, random  # the real ones, for this system
sys.platform = "darwin"
for name in ("fcntl", "resource", "llm_pv.sandbox.wasm"):
    sys.modules[name] = None
del os.register_at_fork
from llm_pv.errors import ConfinementError
from llm_pv.sandbox import Sandbox, probe_confinement
try:
    Sandbox()
except ConfinementError as error:
    print(error)
confinement = probe_confinement()
print(confinement.backend, confinement.sufficient)
with Sandbox(allow_unconfined=True) as sandbox:
    print(sandbox.predict("def f(x):\\n    return x", ["1"]).predictions)
""")
    lines = result.stdout.splitlines()
    assert "the Linux sandbox does not run on darwin" in lines[0], result.stderr
    assert "llm-pv[wasm]" in lines[0]
    assert "--allow-unconfined" in lines[0]
    assert lines[1:] == ["unconfined False", "('1',)"]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 workers"):
        Sandbox(workers=0)
    with pytest.raises(ConfigurationError, match="memory_bytes is 0"):
        Limits(memory_bytes=0)
    with pytest.raises(ConfinementError, match="allow_unconfined=True"):
        Sandbox(backend="unconfined")


def test_inputs_that_are_none_are_refused_before_anything_runs(sandbox: Sandbox) -> None:
    with pytest.raises(DataError, match="input 1"):
        sandbox.predict(PARITY, ["a", 3])  # type: ignore[list-item]


def test_a_batch_is_as_good_as_its_rows(sandbox: Sandbox) -> None:
    batch = Batch(numbers(3_000))
    for _ in range(2):
        assert sandbox.predict("def f(x):\n    return x", batch).predictions == tuple(batch)


def test_below_the_minimum_it_refuses_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poor = Confinement("linux", ("rlimits", "no_new_privs"), {"seccomp": "not here", "x": "y"})
    monkeypatch.setattr(LinuxWorker, "confinement", property(lambda _: poor))
    monkeypatch.setitem(sys.modules, "llm_pv.sandbox.wasm", None)
    with pytest.raises(ConfinementError, match="seccomp is missing: not here"):
        Sandbox()
    with pytest.raises(ConfinementError, match="seccomp is missing: not here"):
        Sandbox(backend="linux")
    with Sandbox(workers=1, allow_unconfined=True) as sandbox:
        assert sandbox.confinement == poor
        assert sandbox.predict(PARITY, ["1"]).predictions == ("1",)


def test_programs_run_the_same_way_each_time(sandbox: Sandbox) -> None:
    source = "import random\ndef f(x):\n    return f'{random.random()} {hash(x)} {set(x)}'"
    first = sandbox.predict(source, ["abc", "def"])
    assert first.outcome is Outcome.FINISHED
    with Sandbox(workers=1) as another:
        assert another.predict(source, ["abc", "def"]).predictions == first.predictions
