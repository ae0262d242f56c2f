"""The process that candidates are forked from: it has imported their modules, and holds no data.

Runs inside the sandbox: standard library only. `boot` starts it. It drops its permissions (see
`kernel`), sends the list of active layers over its socket, and then serves jobs one after another:
it receives a message with the limits and three files (the inputs, the source, the page for the
answers), forks a process that runs the job, and sends how that process ended. Inputs and sources
are read in the fork only, so that no candidate sees those of another. It ends with its owner.
"""

import errno
import gc
import json
import mmap
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from llm_pv.sandbox import kernel
from llm_pv.sandbox.batch import decode_labelled, decode_rows
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.job import run_exploration, run_program
from llm_pv.sandbox.preload import forget_import_paths, preload

MESSAGE_BYTES = 4096
NOT_STARTED = 91
"""Exit status of a fork that could not be confined, and so ran nothing."""


@dataclass(frozen=True)
class ForkJob:
    """One job of the owner; the files come beside it."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    output_bytes: int
    "As in `llm_pv.sandbox.execution.Limits`, all decided."
    exploration_seed: int | None = None
    """The seed of the random numbers for code that explores labelled rows; None for a candidate,
    which gets inputs alone."""


@dataclass(frozen=True)
class ForkSetting:
    """The state of a zygote after its setup."""

    allowed: frozenset[str]
    "The top-level modules programs may import."
    address_space: int
    "Bytes of address space the zygote itself takes."
    call_filter: kernel.CallFilter | None
    "The system-call filter that each fork installs; None if the kernel offers none."
    seed: int
    "The seed of the random numbers of every program."


def main(arguments: list[str]) -> None:
    """Set up, report, and serve jobs until the owner ends."""
    plan = json.loads(arguments[0])
    control = socket.socket(fileno=plan["control"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # In this order: namespaces need a process without threads, which imports may start; imports
    # need the file system, which sealing removes.
    layers = Layers()
    enclosed = layers.have(enter_namespaces, *kernel.NAMESPACES)
    sys.path.extend(plan["paths"])
    preload(plan["modules"], plan["packages"], plan["support"], plan["seed"])
    forget_import_paths()
    size, memory = kernel.address_space(), kernel.private_bytes()
    call_filter = seal(layers, enclosed=enclosed)
    state = {"active": layers.active, "missing": layers.missing, "bytes": memory}
    control.send(json.dumps(state).encode())
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, every page shared with this one
    setting = ForkSetting(frozenset(plan["allowed"]), size, call_filter, plan["seed"])
    serve(control, plan["owner"], setting)


class Layers:
    """Records which layers of confinement are active and which are missing."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.missing: dict[str, str] = {}

    def have(self, put_on: Callable[[], None], *names: str) -> bool:
        """Apply a layer, record it under these names, and return whether that worked."""
        try:
            put_on()
        except OSError as error:
            self.missing |= dict.fromkeys(names, error.strerror or str(error))
            return False
        self.active += names
        return True


def try_in_a_copy(action: Callable[[], None]) -> None:
    """Run an irreversible action in a fork, to learn whether it works.

    Raises
    ------
    OSError
        The one that the action raised there.
    """
    pid = os.fork()
    if pid == 0:
        number = errno.EIO
        try:
            action()
            number = 0
        except OSError as error:
            number = error.errno or errno.EIO
        finally:
            os._exit(number)
    number = abs(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if number:
        raise OSError(number, os.strerror(number))


def enter_namespaces() -> None:
    """Continue as process 1 of new namespaces, with the file system still visible.

    The steps are tried in a fork first: one that failed half way could not be undone.
    """

    def rehearse() -> None:
        kernel.leave_namespaces()
        try_in_a_copy(kernel.empty_root)

    try_in_a_copy(rehearse)
    kernel.leave_namespaces()
    # A new PID namespace holds for children only. The outer process stays as the one that the owner
    # waits for, without files: its copy of the socket would hide that the inner one has ended.
    inner = os.fork()
    if inner:
        kernel.close_files(0)
        os.waitpid(inner, 0)
        os._exit(0)


def seal(layers: Layers, *, enclosed: bool) -> kernel.CallFilter | None:
    """Drop every permission that the zygote does not need; nothing can be imported after this.

    Parameters
    ----------
    enclosed
        Whether this process is in namespaces of its own.

    Returns
    -------
    kernel.CallFilter or None
        The filter that each fork has to install. The zygote cannot: it needs calls that no
        candidate may make, such as fork.
    """
    # Each step needs what a later one drops: mounting and changing the user need capabilities, and
    # Landlock and seccomp need no_new_privs once those are gone.
    if enclosed:
        kernel.empty_root()
        kernel.die_with_parent()
    if os.geteuid() == 0:
        layers.have(kernel.become_nobody, "not root")
        layers.have(kernel.leave_user_namespace, "user namespace")
    elif enclosed:
        layers.active.append("user namespace")
    else:
        layers.missing["user namespace"] = next(iter(layers.missing.values()))
    layers.have(kernel.drop_capabilities, "no capabilities")
    layers.have(kernel.forbid_new_privileges, "no_new_privs")
    layers.have(kernel.deny_files, "Landlock")
    if enclosed:
        kernel.die_with_parent()  # again: the kernel clears it when the user changes
    layers.have(rehearse_limits, "rlimits")
    return kernel.CallFilter() if layers.have(rehearse_call_filter, "seccomp") else None


def rehearse_limits() -> None:
    """Raise OSError if the limits cannot be set; tried in a fork."""
    try_in_a_copy(lambda: kernel.limit_resources(1 << 40, 1.0))


def rehearse_call_filter() -> None:
    """Raise OSError if the filter does not refuse a call that it does not list; tried in a fork."""

    def attempt() -> None:
        kernel.forbid_new_privileges()
        kernel.CallFilter().install()
        if os.getppid() != -1:  # this call never fails, unless the filter refuses it
            raise OSError(errno.ENOSYS, "the filter does nothing")

    try_in_a_copy(attempt)


def serve(control: socket.socket, owner: int, setting: ForkSetting) -> None:
    """Run one job after another until the socket is closed or the owner ends."""
    idle = select.poll()
    idle.register(control, select.POLLIN)
    idle.register(owner, select.POLLIN)
    while True:
        if any(fd == owner for fd, _ in idle.poll()):
            return
        message, files, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
        if not message:
            return
        job = ForkJob(**json.loads(message))
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            run_job(job, setting, files)
        for file in files:
            os.close(file)
        ended = watch(pid, job.wall_seconds, control, owner)
        ended["wall_seconds"] = time.monotonic() - started
        with suppress(OSError):  # the owner has ended; the next turn ends the loop
            control.send(json.dumps(ended).encode())


def watch(pid: int, wall_seconds: float, control: socket.socket, owner: int) -> dict[str, float]:
    """Wait for a fork to end; kill it after its time, or if the owner ended or hung up."""
    # A pidfd lets one poll wait for the process, the clock and the owner together. The pid cannot
    # be reused before `wait4`, so the kill never reaches another process.
    process = os.pidfd_open(pid)
    events = select.poll()
    events.register(process, select.POLLIN)
    events.register(owner, select.POLLIN)
    events.register(control, select.POLLRDHUP)
    happened = [fd for fd, _ in events.poll(wall_seconds * 1000)]
    if process not in happened:
        os.kill(pid, signal.SIGKILL)
    os.close(process)
    _, status, usage = os.wait4(pid, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "cut_off": process not in happened,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


def run_job(job: ForkJob, setting: ForkSetting, files: list[int]) -> NoReturn:
    """Run one job in this fork: read its data, confine, run, and exit."""
    status = NOT_STARTED
    try:
        kernel.die_with_parent()
        # RLIMIT_AS counts everything mapped: the inputs and the page come on top of the limit.
        before = resident_bytes()
        data, source, page = take(files)
        run: Callable[..., None]
        if job.exploration_seed is None:
            run = partial(run_program, source, decode_rows(data), seed=setting.seed)
        else:
            rows = decode_labelled(data)
            run = partial(run_exploration, Script.decoded(source), rows, seed=job.exploration_seed)
        confine(job, setting, len(page) + resident_bytes() - before)
        status = 1
        run(page, job.output_bytes, setting.allowed)
        status = 0
    finally:
        os._exit(status)  # never back into the zygote's loop, nor through its exit handlers


def take(files: list[int]) -> tuple[bytes, str, mmap.mmap]:
    """Read the rows and the source, and map the page."""
    rows, source, page = files
    data = os.pread(rows, os.fstat(rows).st_size, 0)
    text = os.pread(source, os.fstat(source).st_size, 0).decode("utf-8", "surrogatepass")
    return data, text, mmap.mmap(page, 0)


def confine(job: ForkJob, setting: ForkSetting, data_bytes: int) -> None:
    """Apply the layers of a single candidate: no files, the limits, the system-call filter."""
    for standard in (1, 2):
        os.dup2(0, standard)  # the null device: the owner reads the zygote's standard error
    kernel.close_files(3)  # the page stays mapped without its file
    kernel.limit_resources(setting.address_space + data_bytes + job.memory_bytes, job.cpu_seconds)
    if setting.call_filter is not None:
        setting.call_filter.install()


def resident_bytes() -> int:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
