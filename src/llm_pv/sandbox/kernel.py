"""Restrict the current process, by raw calls to the Linux kernel.

Runs inside the sandbox's own processes: standard library only. Every function raises OSError if
the kernel refuses; none adds a permission.
"""

import ctypes
import os
import resource
import signal
import struct
from pathlib import Path

from llm_pv.sandbox import seccomp

NOBODY = 65534
EMPTY_ROOT_MOUNT = "/proc"  # any folder that exists: an empty file system is mounted over it

_NEW_USER = 0x10000000
_NEW_OTHERS = {
    "mount namespace": 0x00020000,
    "cgroup namespace": 0x02000000,
    "host name namespace": 0x04000000,
    "IPC namespace": 0x08000000,
    "PID namespace": 0x20000000,
    "network namespace": 0x40000000,
}
NAMESPACES = tuple(_NEW_OTHERS)

_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _RECURSIVE, _PRIVATE, _DETACH = 4096, 16384, 1 << 18, 2
_SET_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES = 1, 38
_CLOSE_RANGE, _LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 436, 444, 446  # on every architecture
_NUMBERS = {
    "x86_64": {"capset": 126, "pivot_root": 155, "seccomp": 317},
    "aarch64": {"capset": 91, "pivot_root": 41, "seccomp": 277},
}
_STACK_BYTES = 64 * 1024 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


# The calls go through ctypes because Python 3.11 wraps none of them (os.unshare came with 3.12).


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _system_call(name_or_number: str | int, *arguments: object) -> int:
    number = name_or_number
    if isinstance(number, str):
        number = _NUMBERS[os.uname().machine][number]
    # ctypes passes a plain int as 32 bits; the upper half of the register would be undefined.
    whole = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *whole)))


def _process_control(option: int, value: int) -> None:
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    _checked(int(_libc.prctl(option, *words)))


def _unshare(flags: int) -> None:
    _checked(int(_libc.unshare(flags)))


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    arguments = [None if text is None else text.encode() for text in (source, target, kind)]
    _checked(int(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode())))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _process_control(_SET_DEATH_SIGNAL, signal.SIGKILL)


def forbid_new_privileges() -> None:
    """Set no_new_privs, which Landlock and seccomp require of a process without privileges."""
    _process_control(_SET_NO_NEW_PRIVILEGES, 1)


def leave_namespaces() -> None:
    """Enter new namespaces; the next fork is process 1 of a new PID namespace.

    Root needs no user namespace for this, every other user does.
    """
    others = sum(_NEW_OTHERS.values())
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _unshare(others)
        return
    _unshare(_NEW_USER | others)
    # The kernel accepts a gid_map from an unprivileged process only after setgroups is denied.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def empty_root() -> None:
    """Replace the whole file system by an empty, read-only one.

    The caller is alone in its mount namespace. Source: pivot_root(2), "pivot_root(".", ".")".
    """
    # Private first: a shared mount would pass what follows on to the machine's own namespace.
    _mount("none", "/", None, _RECURSIVE | _PRIVATE)
    _mount("none", EMPTY_ROOT_MOUNT, "tmpfs", _NO_SUID | _NO_DEVICES | _NO_EXEC, "size=4k,mode=555")
    os.chdir(EMPTY_ROOT_MOUNT)
    # The old root now lies over the new one at the same place, so that unmounting "." removes it;
    # detached, because this process still has files of it open.
    _system_call("pivot_root", b".", b".")
    _checked(int(_libc.umount2(b".", _DETACH)))
    os.chdir("/")
    read_only = _READ_ONLY | _NO_SUID | _NO_DEVICES | _NO_EXEC
    _mount("none", "/", None, _REMOUNT | _BIND | read_only)


def close_files(first: int) -> None:
    """Close every file from this descriptor on."""
    try:
        _system_call(_CLOSE_RANGE, first, 2**32 - 1, 0)
    except OSError:  # a kernel before 5.9
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def become_nobody() -> None:
    """Change from root to the user ``nobody``; do nothing for any other user."""
    if os.geteuid() == 0:
        # Groups first, the user last: without root's capabilities the others would be refused.
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def leave_user_namespace() -> None:
    """Enter a user namespace that maps no user at all."""
    _unshare(_NEW_USER)


def drop_capabilities() -> None:
    """Drop every capability, also those that hold only inside a user namespace."""
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _system_call("capset", header, bytes(24))


def deny_files() -> None:
    """Enter a Landlock domain that allows nothing: no file, no TCP port, no signal out of it.

    Needs no_new_privs. Source: Linux, Documentation/userspace-api/landlock.rst.
    """
    # A right is denied only if the ruleset handles it, and a kernel refuses rights newer than its
    # ABI: handle all that it knows, and allow none.
    abi = _system_call(_LANDLOCK_CREATE, None, 0, 1)
    file_rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    handled = struct.pack("=Q", file_rights)
    if abi >= 4:
        handled += struct.pack("=Q", 0b11)
    if abi >= 6:
        handled += struct.pack("=Q", 0b11)
    ruleset = _system_call(_LANDLOCK_CREATE, handled, len(handled), 0)
    try:
        _system_call(_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


class CallFilter:
    """The seccomp filter, assembled once and installed in each candidate's process.

    Raise OSError if the machine's processor is not one whose calls are known.
    """

    class _Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    def __init__(self, more: tuple[str, ...] = ()) -> None:
        machine = os.uname().machine
        if not seccomp.supported(machine):
            raise OSError(f"no list of system calls for {machine}")
        # Kept as an attribute: the structure holds only its address.
        self._instructions = seccomp.build_filter(machine, more)
        self._program = self._Program(len(self._instructions) // 8, self._instructions)

    def install(self) -> None:
        """Allow only the listed system calls from here on. Needs no_new_privs."""
        _system_call("seccomp", 1, 0, ctypes.byref(self._program))


def address_space() -> int:
    """Return the bytes of address space that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def private_bytes() -> int:
    """Return the bytes of resident memory that are not shared with a file."""
    resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * resource.getpagesize()


def limit_resources(address_space: int, cpu_seconds: float) -> None:
    """Set the limits of this process: memory, CPU, no new file, no process, no bytes written.

    Parameters
    ----------
    address_space
        Bytes, including everything mapped already.
    cpu_seconds
        CPU time from now on, after which a timer ends the process.
    """
    # RLIMIT_CPU counts whole seconds since the process began, so a timer sets the exact end. The
    # limit, up to two seconds later, holds even if the timer's signal does not end the process.
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole_seconds = int(used.ru_utime + used.ru_stime + cpu_seconds) + 2
    for limit, value in (
        (resource.RLIMIT_STACK, _STACK_BYTES),
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CPU, whole_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        _, hard = resource.getrlimit(limit)  # a hard limit can only be lowered
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
