"""Programs that hang on chance: other answers under another seed, the same under the same."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("these use the Linux sandbox", allow_module_level=True)

from llm_pv.errors import ConfigurationError, SandboxError
from llm_pv.sandbox import Batch, Execution, Limits, Outcome, Sandbox, linux
from llm_pv.sandbox.linux import LinuxWorker, Zygote

LETTERS = ["abcd", "aabbc", "dcba", "xyzzyx", "ponmlkj"]
FIRST_OF_A_SET = "def f(x):\n    return max(set(x), key=x.count)"
FLIP = "import random\nFLIP = random.random()\ndef f(x):\n    return repr(FLIP)"
NUMPY_FLIP = "import numpy\nFLIP = numpy.random.random()\ndef f(x):\n    return repr(float(FLIP))"
PURE = "def f(x):\n    return len(x)"
SEEDS = range(6)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_seconds=5, wall_seconds=20), workers=2) as sandbox:
        yield sandbox


def plain_python(seed: int) -> list[str]:
    """What a plain interpreter of this hash seed answers on the letters."""
    script = f"{FIRST_OF_A_SET}\nfor x in {LETTERS!r}: print(f(x))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_the_order_of_sets_is_that_of_a_plain_python_with_this_hash_seed(sandbox: Sandbox) -> None:
    answers = {seed: sandbox.predict(FIRST_OF_A_SET, LETTERS, seed=seed) for seed in SEEDS}
    for seed, execution in answers.items():
        assert execution.predictions == tuple(plain_python(seed))
        assert sandbox.predict(FIRST_OF_A_SET, LETTERS, seed=seed).predictions == (
            execution.predictions
        )
    assert len({execution.predictions for execution in answers.values()}) > 1


@pytest.mark.parametrize("seed", [0, 1, 5, 2**32 - 1])
def test_random_numbers_start_from_the_seed(sandbox: Sandbox, seed: int) -> None:
    expected = (repr(random.Random(seed).random()),)
    for _ in range(2):
        assert sandbox.predict(FLIP, ["a"], seed=seed).predictions == expected


@pytest.mark.parametrize("seed", [0, 2, 2**32 - 1])
def test_the_random_numbers_of_numpy_start_from_the_seed(sandbox: Sandbox, seed: int) -> None:
    expected = (repr(float(np.random.RandomState(seed).random())),)
    for _ in range(2):
        assert sandbox.predict(NUMPY_FLIP, ["a"], seed=seed).predictions == expected


@pytest.mark.parametrize("source", [FIRST_OF_A_SET, FLIP, NUMPY_FLIP])
def test_without_a_seed_it_is_0_for_one_program_and_for_many(sandbox: Sandbox, source: str) -> None:
    expected = sandbox.predict(source, LETTERS, seed=0).predictions
    assert sandbox.predict(source, LETTERS).predictions == expected
    assert [run.predictions for run in sandbox.predict_many([source] * 3, LETTERS)] == (
        [expected] * 3
    )


def test_a_program_without_chance_answers_the_same_under_every_seed(sandbox: Sandbox) -> None:
    rows = ["a" * (row % 7) for row in range(3_000)]
    expected = tuple(str(row % 7) for row in range(3_000))
    for seed in (0, 3):
        assert sandbox.predict(PURE, rows, seed=seed).predictions == expected


def test_a_seed_of_numpy_is_one_of_python(sandbox: Sandbox) -> None:
    expected = sandbox.predict(FLIP, ["a"], seed=5)
    assert sandbox.predict(FLIP, ["a"], seed=np.int64(5)).predictions == (  # type: ignore[arg-type]
        expected.predictions
    )


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None])
def test_what_is_no_seed_is_refused(sandbox: Sandbox, seed: int) -> None:
    with pytest.raises(ConfigurationError, match="give a whole number from 0 to 4,294,967,295"):
        sandbox.predict(PURE, ["a"], seed=seed)


def zygotes() -> set[int]:
    """The processes below this one that are a worker's."""
    found = set()
    for file in Path("/proc/self/task").glob("*/children"):
        found |= {int(pid) for pid in file.read_text().split()}
    return {pid for pid in found if b"boot.py" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_only_the_first_idle_worker_starts_a_process_for_a_seed() -> None:
    before = zygotes()
    with Sandbox(workers=3) as sandbox:
        started = []
        for _ in range(5):
            list(sandbox.predict_many([PURE] * 9, ["a"]))  # leaves the workers in any order
            without = zygotes()
            sandbox.predict(PURE, ["a"], seed=1)
            started.append(len(zygotes() - without))
    assert started == [1, 0, 0, 0, 0]
    assert zygotes() <= before


def test_the_processes_of_seeds_are_few_and_end_with_the_sandbox() -> None:
    before, files = zygotes(), open_files()
    with Sandbox(workers=1) as sandbox:
        for seed in range(1, 8):
            assert sandbox.predict(PURE, ["a"], seed=seed).predictions == ("1",)
        assert len(zygotes() - before) == 1 + linux._MOST_KEPT
        assert sandbox.predict(FLIP, ["a"], seed=1).predictions == (
            repr(random.Random(1).random()),
        )
    assert zygotes() <= before
    assert open_files() <= files


def test_packages_are_loaded_for_imports_and_not_for_words() -> None:
    with Sandbox(workers=1) as sandbox:
        sandbox.predict("def f(x): return 1", ["a"])
        before = zygotes()
        words = "# numpy sympy networkx\ndef f(x):\n    'import numpy'\n    return 'sympy'\n"
        assert sandbox.predict(words, ["a"]).predictions == ("sympy",)
        started = [pid for pid in zygotes() - before if not parses(pid)]
        assert started == []


def test_the_processes_of_packages_and_seeds_are_few_and_hold_little_memory() -> None:
    sources = [
        f"import {names}\ndef f(x): return 1\n"
        for names in ("numpy", "networkx", "numpy, networkx", "sympy")
    ]
    before = zygotes()
    with Sandbox(workers=2) as sandbox:
        for seed in range(2):  # two times four, one more than are kept
            for source in sources:
                assert sandbox.predict(source, ["a"], seed=seed).predictions == ("1",)
        kept = [pid for pid in zygotes() - before if not parses(pid)]
        assert len(kept) <= 1 + linux._MOST_KEPT
        held = sum(zygote.bytes for zygote in linux._kept._idle)
        assert 0 < held <= linux._MOST_KEPT_BYTES


def parses(pid: int) -> bool:
    return b"parser_process" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_process_that_was_killed_is_replaced_by_one_of_the_same_seed(sandbox: Sandbox) -> None:
    expected = sandbox.predict(FIRST_OF_A_SET, LETTERS, seed=4).predictions
    for pid in zygotes():
        os.kill(pid, 9)
    assert sandbox.predict(FIRST_OF_A_SET, LETTERS, seed=4).predictions == expected


def test_a_fork_of_the_owner_starts_processes_of_its_own(sandbox: Sandbox) -> None:
    script = f"""
import os
from llm_pv.sandbox import Sandbox
sandbox = Sandbox(workers=1)
expected = sandbox.predict({FLIP!r}, ["a"], seed=3).predictions
pid = os.fork()
if pid == 0:
    mine = sandbox.predict({FLIP!r}, ["a"], seed=3).predictions
    sandbox.close()
    os._exit(mine != expected)
_, status = os.waitpid(pid, 0)
assert status == 0
assert sandbox.predict({FLIP!r}, ["a"], seed=3).predictions == expected
print(*expected)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == f"{random.Random(3).random()!r}\n", result.stderr


def test_closing_while_a_process_starts_leaves_none_and_runs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class ClosedMeanwhile(Zygote):
        def __init__(self, packages: tuple[str, ...], seed: int) -> None:
            super().__init__(packages, seed)
            worker.close()

        def run(self, source: str, batch: Batch, limits: Limits) -> Execution:
            raise AssertionError("it runs")

    before = zygotes()
    worker = LinuxWorker()
    monkeypatch.setattr(linux, "Zygote", ClosedMeanwhile)
    with pytest.raises(SandboxError, match="closed during a run"):
        worker.run(PURE, ["a"], Limits(), seed=1)
    assert zygotes() <= before


def test_a_run_under_a_seed_is_confined_like_any_other(sandbox: Sandbox) -> None:
    source = "def f(x):\n    return open('/etc/passwd').read()"
    execution = sandbox.predict(source, ["a"], seed=1)
    assert execution.outcome is Outcome.FINISHED
    assert execution.predictions == (None,)
    assert list(execution.errors) == [0]
