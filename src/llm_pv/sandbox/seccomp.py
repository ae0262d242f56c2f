"""The system calls that a candidate may make, as a program for the kernel's filter.

Runs inside the sandbox's own processes: standard library only. Every call not listed fails with
EPERM; memory can be allocated, but none that is executable; a call through another ABI of the
processor kills the process. Source of the formats: Linux,
Documentation/userspace-api/seccomp_filter.rst.
"""

import struct

_CALLS: dict[str, dict[str, int]] = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10,
        "munmap": 11, "brk": 12, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25,
        "madvise": 28, "nanosleep": 35, "getpid": 39, "exit": 60, "gettimeofday": 96,
        "getrusage": 98, "times": 100, "getuid": 102, "gettid": 186, "time": 201, "futex": 202,
        "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228,
        "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318,
    },
    "aarch64": {
        "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62, "mmap": 222,
        "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigreturn": 139, "sched_yield": 124,
        "mremap": 216, "madvise": 233, "nanosleep": 101, "getpid": 172, "exit": 93,
        "gettimeofday": 169, "getrusage": 165, "times": 153, "getuid": 174, "gettid": 178,
        "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113,
        "clock_getres": 114, "clock_nanosleep": 115, "exit_group": 94, "getrandom": 278,
    },
}  # fmt: skip
"""Allowed calls by machine and name; for mmap and mprotect the filter also checks an argument."""

_MORE_CALLS: dict[str, dict[str, int]] = {
    "x86_64": {"setitimer": 38},
    "aarch64": {"setitimer": 103},
}
"""Further calls, for processes that run no untrusted code."""

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The kernel's AUDIT_ARCH number of each supported machine."""

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | 1  # SECCOMP_RET_ERRNO with EPERM
KILL = 0x80000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _THIRD_ARGUMENT = 0, 4, 32  # offsets into struct seccomp_data
_X32_BIT = 0x40000000
_EXECUTABLE = 4  # PROT_EXEC


def supported(machine: str) -> bool:
    """Return whether the calls of this machine (``os.uname().machine``) are known."""
    return machine in _CALLS


def build_filter(machine: str, more: tuple[str, ...] = ()) -> bytes:
    """Return the filter: an array of the kernel's ``struct sock_filter``.

    Parameters
    ----------
    machine
        ``"x86_64"`` or ``"aarch64"``.
    """
    calls = dict(_CALLS[machine]) | {name: _MORE_CALLS[machine][name] for name in more}
    memory = [calls.pop("mmap"), calls.pop("mprotect")]
    plain = sorted(calls.values())
    # Jumps count the instructions to skip. The architecture is checked first, then the bit of x32
    # calls: there the same numbers mean other calls.
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, KILL),
    ]
    for number in memory:
        program += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _THIRD_ARGUMENT),
            (_JUMP_BITS, 0, 1, _EXECUTABLE),
            (_RETURN, 0, 0, REFUSE),
            (_RETURN, 0, 0, ALLOW),
        ]
    for index, number in enumerate(plain):
        program.append((_JUMP_EQUAL, len(plain) - index, 0, number))
    program += [(_RETURN, 0, 0, REFUSE), (_RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
