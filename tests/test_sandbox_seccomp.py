"""The filter allows what is listed and nothing else, by running its own instructions."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.sandbox.seccomp import ALLOW, ARCHITECTURES, KILL, REFUSE, build_filter, supported

MACHINES = tuple(ARCHITECTURES)
# From the kernel's tables, written down apart from the list under test.
READ = {"x86_64": 0, "aarch64": 63}
MMAP = {"x86_64": 9, "aarch64": 222}
MPROTECT = {"x86_64": 10, "aarch64": 226}
FORBIDDEN = {
    "x86_64": {
        "open": 2, "socket": 41, "connect": 42, "sendto": 44, "clone": 56, "fork": 57, "vfork": 58,
        "execve": 59, "kill": 62, "ptrace": 101, "setuid": 105, "prctl": 157, "setrlimit": 160,
        "mount": 165, "tkill": 200, "io_setup": 206, "tgkill": 234, "openat": 257, "unshare": 272,
        "splice": 275, "prlimit64": 302, "process_vm_readv": 310, "seccomp": 317,
        "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
        "pkey_mprotect": 329, "io_uring_setup": 425, "clone3": 435, "openat2": 437,
    },
    "aarch64": {
        "openat": 56, "ioctl": 29, "execve": 221, "clone": 220, "kill": 129, "tkill": 130,
        "tgkill": 131, "ptrace": 117, "socket": 198, "connect": 203, "unshare": 97, "mount": 40,
        "prctl": 167, "prlimit64": 261, "process_vm_readv": 270, "seccomp": 277,
        "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282,
        "pkey_mprotect": 288, "io_uring_setup": 425, "clone3": 435, "openat2": 437,
    },
}  # fmt: skip


def decide(machine: str, number: int, third: int = 0, architecture: int | None = None) -> int:
    """Run the filter on one call, as the kernel does (classic BPF)."""
    audit = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("=IIQ6Q", number, audit, 0, 0, 0, third, 0, 0, 0)
    program = list(struct.iter_unpack("=HBBI", build_filter(machine)))
    at, value = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, operand)
        elif code == 0x06:
            return int(operand)
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}
            at += if_true if holds[code] else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_reading_is_allowed_and_what_reaches_outside_is_refused(machine: str) -> None:
    assert decide(machine, READ[machine]) == ALLOW
    for name, number in FORBIDDEN[machine].items():
        assert decide(machine, number) == REFUSE, name


@pytest.mark.parametrize("machine", MACHINES)
def test_memory_is_handed_out_but_never_executable(machine: str) -> None:
    for number in (MMAP[machine], MPROTECT[machine]):
        for protection in range(8):
            expected = REFUSE if protection & 4 else ALLOW
            assert decide(machine, number, third=protection) == expected


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(0, 2**32 - 1))
def test_few_calls_are_allowed_and_no_other_numbering(machine: str, number: int) -> None:
    if number >= 0x40000000:
        assert decide(machine, number) == KILL
    elif number > 500:
        assert decide(machine, number) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_is_killed(machine: str) -> None:
    i386, arm = 0x40000003, 0x40000028
    for architecture in (i386, arm, 0):
        assert decide(machine, READ[machine], architecture=architecture) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_about_thirty_calls_are_allowed(machine: str) -> None:
    allowed = [number for number in range(600) if decide(machine, number) == ALLOW]
    assert 25 <= len(allowed) <= 35


def test_other_machines_are_not_supported() -> None:
    assert [supported(machine) for machine in ("x86_64", "aarch64", "riscv64")] == [
        True,
        True,
        False,
    ]
