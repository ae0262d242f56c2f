"""Hostile programs are held, and leave the sandbox as it was."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

if sys.platform != "linux":
    pytest.skip("these attack the Linux sandbox", allow_module_level=True)

from llm_pv.sandbox.execution import Outcome
from llm_pv.sandbox.linux import LinuxWorker
from llm_pv.sandbox.unconfined import UnconfinedWorker

ATTACKS_FILE = Path(__file__).with_name("sandbox_attacks.py")


def load_attacks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sandbox_attacks", ATTACKS_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sandbox_attacks"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


attacks = load_attacks()


@pytest.fixture(scope="module")
def worker() -> Iterator[LinuxWorker]:
    worker = LinuxWorker()
    assert worker.confinement.sufficient
    yield worker
    worker.close()


def descendants(pid: int) -> list[int]:
    """The processes below one, zombies included."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def belongings() -> Counter[int | str]:
    """The processes below this one, and what its file descriptors are, each with its number."""
    descriptors = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(FileNotFoundError):  # the folder itself was open while it was listed
            descriptors.append(str(Path("/proc/self/fd", number).readlink()))
    return Counter([*descendants(os.getpid()), *descriptors])


def left_since(before: Counter[int | str]) -> Counter[int | str]:
    """What is there and was not before; what other tests left may go at any time."""
    return belongings() - before


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_an_attack_is_held_and_leaves_nothing_behind(worker: LinuxWorker, name: str) -> None:
    before = belongings()
    execution = worker.run(attacks.ATTACKS[name].source, attacks.INPUTS, attacks.LIMITS)
    assert attacks.escaped(attacks.ATTACKS[name], execution) == ""
    following = worker.run("def f(x):\n    return x", attacks.INPUTS, attacks.LIMITS)
    assert following.outcome is Outcome.FINISHED
    assert following.predictions == tuple(attacks.INPUTS)
    assert not left_since(before)


@pytest.mark.parametrize("name", attacks.HARMLESS)
def test_an_attempt_succeeds_where_nothing_confines_it(name: str) -> None:
    execution = UnconfinedWorker().run(attacks.ATTACKS[name].source, ["1"], attacks.LIMITS)
    assert execution.predictions == (attacks.ESCAPED,), execution


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_every_attack_is_held_for_an_ordinary_user(tmp_path: Path) -> None:
    interpreter = readable_interpreter()
    if interpreter is None:
        pytest.skip("no interpreter that an ordinary user can run")
    result = subprocess.run(
        [interpreter, ATTACKS_FILE],
        user=12345,
        group=12345,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": str(Path(__file__).parent.parent / "src"), "PYTHONPYCACHEPREFIX": "/x"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    report = json.loads(result.stdout)
    assert report["user"] == 12345
    assert {"seccomp", "Landlock", "no_new_privs", "rlimits"} <= set(report["active"])
    assert report["failures"] == {}


def readable_interpreter() -> str | None:
    for candidate in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if candidate is None:
            continue
        try:
            checked = subprocess.run(
                [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
                user=12345,
                group=12345,
                extra_groups=[],
                cwd="/",
                check=False,
            )
        except OSError:
            continue
        if checked.returncode == 0 and os.access(ATTACKS_FILE, os.R_OK):
            return candidate
    return None


def test_a_program_sees_an_environment_that_holds_nothing_of_the_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_PV_TEST_KEY", "do-not-leak-me")
    source = """
import sys
ctypes = sys.modules["ctypes"]
def f(x):
    libc = ctypes.CDLL(None)
    entries = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    names, i = [], 0
    while entries[i]:
        names.append(entries[i].decode().partition("=")[0])
        i += 1
    assert sys.modules["os"].environ.keys() == set(names)
    return " ".join(sorted(names))
"""
    worker = LinuxWorker()
    try:
        execution = worker.run(source, ["x"], attacks.LIMITS)
    finally:
        worker.close()
    assert execution.predictions == (
        "LC_ALL MKL_NUM_THREADS NUMEXPR_NUM_THREADS OMP_NUM_THREADS OPENBLAS_NUM_THREADS "
        "PYTHONHASHSEED",
    ), execution


def test_the_stack_of_a_program_holds_nothing_of_the_owners_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_PV_TEST_KEY", "do-not-" + "leak-me")
    source = """
import sys
ctypes = sys.modules["ctypes"]
def f(x):
    libc = ctypes.CDLL(None)
    first = ctypes.POINTER(ctypes.c_void_p).in_dll(libc, "environ")[0]
    # The strings of the environment end in the page that the stack begins with.
    top = (first | 4095) + 1
    return x in str(ctypes.string_at(first, top - first)) or "PYTHONHASHSEED" not in str(
        ctypes.string_at(first, top - first))
"""
    worker = LinuxWorker()
    try:
        execution = worker.run(source, ["do-not-" + "leak-me"], attacks.LIMITS)
    finally:
        worker.close()
    assert execution.predictions == ("0",), execution


def test_what_one_program_leaves_in_a_module_is_gone_for_the_next(worker: LinuxWorker) -> None:
    mark = "a program was here"
    worker.run(f"import sys\nsys.mark = {mark!r}\ndef f(x):\n    return 1", ["x"], attacks.LIMITS)
    source = "import sys\ndef f(x):\n    return getattr(sys, 'mark', 'nothing')"
    assert worker.run(source, ["x"], attacks.LIMITS).predictions == ("nothing",)
