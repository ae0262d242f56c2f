"""The process candidates are forked from: it has imported what they may use, and holds no data.

Runs inside the sandbox: standard library only. It starts by `boot`, gives up what it can (see
`kernel`), says over its socket which layers it has, and then serves jobs one after another: a
message with the limits and three files goes in (the inputs, the source, the page for the answers),
a fork runs the job, and how that process ended comes out. Inputs and sources are only ever read in
the fork. It ends when its owner does.
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
from llm_pv.sandbox.job import run_exploration, run_program
from llm_pv.sandbox.preload import forget_import_paths, preload

MESSAGE_BYTES = 4096
NOT_STARTED = 91
"""Exit status of a fork that could not be confined, and so ran nothing."""


@dataclass(frozen=True)
class Job:
    """What the owner asks for, beside the files that come with it.

    Parameters
    ----------
    cpu_seconds, wall_seconds, memory_bytes, output_bytes
        As in `llm_pv.sandbox.execution.Limits`, all decided.
    exploration_seed
        Where the random numbers start of code that explores labelled rows; None for a candidate,
        which gets inputs alone.
    """

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    output_bytes: int
    exploration_seed: int | None = None


@dataclass(frozen=True)
class Setting:
    """What a zygote has once it is set up.

    Parameters
    ----------
    allowed
        The top-level modules programs may import.
    address_space
        Bytes of address space the zygote itself takes.
    call_filter
        The system-call filter each fork installs; None where the kernel gives none.
    seed
        Where the random numbers of every program start.
    """

    allowed: frozenset[str]
    address_space: int
    call_filter: kernel.CallFilter | None
    seed: int


def main(arguments: list[str]) -> None:
    """Set up, report, and serve jobs until the owner is gone."""
    plan = json.loads(arguments[0])
    control = socket.socket(fileno=plan["control"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
    gc.freeze()
    setting = Setting(frozenset(plan["allowed"]), size, call_filter, plan["seed"])
    serve(control, plan["owner"], setting)


class Layers:
    """Keeps account of which layers of confinement could be put on."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.missing: dict[str, str] = {}

    def have(self, put_on: Callable[[], None], *names: str) -> bool:
        """Put a layer on, whatever names it goes by, and note whether that worked."""
        try:
            put_on()
        except OSError as error:
            self.missing |= dict.fromkeys(names, error.strerror or str(error))
            return False
        self.active += names
        return True


def try_in_a_copy(action: Callable[[], None]) -> None:
    """Do something irreversible in a fork, to learn whether it works.

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
    """Go on as process 1 of fresh namespaces, with the file system still in sight.

    All of them or none: what fails half way would leave a process that is neither here nor there.
    """

    def rehearse() -> None:
        kernel.leave_namespaces()
        try_in_a_copy(kernel.empty_root)

    try_in_a_copy(rehearse)
    kernel.leave_namespaces()
    inner = os.fork()
    if inner:
        kernel.close_files(0)
        os.waitpid(inner, 0)
        os._exit(0)


def seal(layers: Layers, *, enclosed: bool) -> kernel.CallFilter | None:
    """Give up everything the zygote itself can do without; nothing can be imported after this.

    Parameters
    ----------
    layers
        Where what worked is noted.
    enclosed
        Whether this process is in namespaces of its own.

    Returns
    -------
    kernel.CallFilter or None
        What each fork still has to install.
    """
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
        kernel.die_with_parent()  # changing the user has cancelled it
    layers.have(rehearse_limits, "rlimits")
    return kernel.CallFilter() if layers.have(rehearse_call_filter, "seccomp") else None


def rehearse_limits() -> None:
    """Find out in a fork whether the limits can be set."""
    try_in_a_copy(lambda: kernel.limit_resources(1 << 40, 1.0))


def rehearse_call_filter() -> None:
    """Find out in a fork whether the filter refuses what it does not list."""

    def attempt() -> None:
        kernel.forbid_new_privileges()
        kernel.CallFilter().install()
        if os.getppid() != -1:
            raise OSError(errno.ENOSYS, "the filter does nothing")

    try_in_a_copy(attempt)


def serve(control: socket.socket, owner: int, setting: Setting) -> None:
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
        job = Job(**json.loads(message))
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            run_job(job, setting, files)
        for file in files:
            os.close(file)
        ended = watch(pid, job.wall_seconds, control, owner)
        ended["wall_seconds"] = time.monotonic() - started
        with suppress(OSError):  # the owner has gone; the next turn ends the loop
            control.send(json.dumps(ended).encode())


def watch(pid: int, wall_seconds: float, control: socket.socket, owner: int) -> dict[str, float]:
    """Wait for a fork to end; kill it when its time is up or nobody waits for it any more."""
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


def run_job(job: Job, setting: Setting, files: list[int]) -> NoReturn:
    """Become the process of one job: take its data, confine, run, and end."""
    status = NOT_STARTED
    try:
        kernel.die_with_parent()
        before = resident_bytes()
        data, source, page = take(files)
        run: Callable[..., None]
        if job.exploration_seed is None:
            run = partial(run_program, source, decode_rows(data), seed=setting.seed)
        else:
            rows = decode_labelled(data)
            run = partial(run_exploration, source, rows, seed=job.exploration_seed)
        confine(job, setting, len(page) + resident_bytes() - before)
        status = 1
        run(page, job.output_bytes, setting.allowed)
        status = 0
    finally:
        os._exit(status)


def take(files: list[int]) -> tuple[bytes, str, mmap.mmap]:
    """Read the rows and the source, and map the page."""
    rows, source, page = files
    data = os.pread(rows, os.fstat(rows).st_size, 0)
    text = os.pread(source, os.fstat(source).st_size, 0).decode("utf-8", "surrogatepass")
    return data, text, mmap.mmap(page, 0)


def confine(job: Job, setting: Setting, data_bytes: int) -> None:
    """Put on what is particular to one candidate: no files, the limits, the system-call filter."""
    for standard in (1, 2):
        os.dup2(0, standard)
    kernel.close_files(3)
    kernel.limit_resources(setting.address_space + data_bytes + job.memory_bytes, job.cpu_seconds)
    if setting.call_filter is not None:
        setting.call_filter.install()


def resident_bytes() -> int:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
