"""Which layers are in force is reported as it is, and decides whether programs run at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pv.sandbox.confinement import Confinement, remedy

if sys.platform != "linux" or os.uname().machine != "x86_64":
    pytest.skip(
        "these numbers of system calls are those of Linux on x86-64", allow_module_level=True
    )

from llm_pv.sandbox import probe_confinement

ESSENTIAL = ("seccomp", "no_new_privs", "rlimits")

# A program under a filter of its own that refuses some calls, as a container's runtime or a kernel
# without them would, asks which confinement it has and tries to use it.
UNDER_A_FILTER = """
import ctypes, json, struct, sys
calls = json.loads(sys.argv[1])
program = [(0x20, 0, 0, 0)]
for index, number in enumerate(calls):
    program.append((0x15, len(calls) - index, 0, number))
program += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x00050000 | 38)]
code = b"".join(struct.pack("=HBBI", *line) for line in program)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
filter = Program(len(program), code)
assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0
sys.modules["llm_pv.sandbox.wasm"] = None
from llm_pv.errors import ConfinementError
from llm_pv.sandbox import Sandbox, probe_confinement
found = probe_confinement()
refusal, answers = "", ()
try:
    with Sandbox(workers=1) as sandbox:
        answers = sandbox.predict("def f(x):\\n    return open(x)", ["/etc/passwd"])
        answers = [answers.outcome, answers.predictions[0]]
except ConfinementError as error:
    refusal = str(error)
print(json.dumps([found.active, dict(found.missing), found.sufficient, refusal, answers]))
"""
LANDLOCK, SECCOMP, UNSHARE, MOUNT = (444, 445, 446), (317,), (272,), (165,)


def under_a_filter(*calls: int) -> tuple[list[str], dict[str, str], bool, str, list[str | None]]:
    result = subprocess.run(
        [sys.executable, "-c", UNDER_A_FILTER, json.dumps(calls)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    active, missing, sufficient, refusal, answers = json.loads(result.stdout)
    return active, missing, sufficient, refusal, answers


def test_this_machine_confines_well_enough() -> None:
    confinement = probe_confinement()
    assert confinement.backend == "linux"
    assert confinement.sufficient
    assert set(ESSENTIAL) <= set(confinement.active)
    assert not set(confinement.active) & set(confinement.missing)


@pytest.mark.parametrize("calls", [UNSHARE, MOUNT], ids=["unshare", "mount"])
def test_without_namespaces_landlock_is_enough(calls: tuple[int, ...]) -> None:
    active, missing, sufficient, refusal, answers = under_a_filter(*calls)
    assert {"Landlock", *ESSENTIAL} <= set(active)
    assert "mount namespace" not in active
    assert "apparmor_restrict_unprivileged_userns" in missing["mount namespace"]
    assert sufficient
    assert refusal == ""
    assert answers == ["finished", None]


def test_without_landlock_a_mount_namespace_is_enough() -> None:
    active, missing, sufficient, refusal, answers = under_a_filter(*LANDLOCK)
    if "mount namespace" not in active:
        pytest.skip("no namespaces here")
    assert "lsm=landlock" in missing["Landlock"]
    assert sufficient
    assert refusal == ""
    assert answers == ["finished", None]


def test_without_either_programs_are_refused() -> None:
    active, _, sufficient, refusal, answers = under_a_filter(*LANDLOCK, *UNSHARE)
    assert set(ESSENTIAL) <= set(active)
    assert not sufficient
    assert "Landlock is missing" in refusal
    assert "--allow-unconfined" in refusal
    assert answers == []


def test_without_seccomp_programs_are_refused() -> None:
    active, missing, sufficient, refusal, answers = under_a_filter(*SECCOMP)
    assert "seccomp" not in active
    assert "x86-64" in missing["seccomp"]
    assert not sufficient
    assert "seccomp is missing" in refusal
    assert answers == []


@pytest.mark.parametrize(
    ("backend", "active", "sufficient"),
    [
        ("linux", (*ESSENTIAL, "Landlock"), True),
        ("linux", (*ESSENTIAL, "mount namespace"), True),
        ("linux", ESSENTIAL, False),
        ("linux", ("seccomp", "rlimits", "Landlock", "mount namespace"), False),
        ("linux", ("no_new_privs", "rlimits", "Landlock", "mount namespace"), False),
        ("linux", ("seccomp", "no_new_privs", "Landlock", "mount namespace"), False),
        ("wasm", ("WebAssembly",), True),
        ("unconfined", (), False),
    ],
)
def test_the_minimum_is_as_documented(
    backend: str, active: tuple[str, ...], sufficient: bool
) -> None:
    confinement = Confinement(backend, active)
    assert confinement.sufficient is sufficient
    assert ("NOT" in confinement.summary()) is not sufficient


def test_a_missing_layer_without_a_known_remedy_says_why_alone() -> None:
    assert remedy("rlimits", "not permitted") == "not permitted"


def test_what_confines_less_or_otherwise_than_usual_is_told_and_nothing_else() -> None:
    full = ("seccomp", "no_new_privs", "rlimits", "Landlock")
    assert Confinement("linux", full, {"PID namespace": "not permitted"}).warning() == ""
    assert Confinement("wasm", ("WebAssembly",)).warning() == ""
    assert Confinement("that of each machine of the cluster").warning() == ""
    assert Confinement("linux", ("rlimits",), {"seccomp": "no", "Landlock": "old"}).warning() == (
        "programs run NOT sufficiently confined "
        "(active: rlimits; missing seccomp: no; missing Landlock: old)"
    )
