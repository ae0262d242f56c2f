"""Run candidates in forks of a confined process (see `zygote`): the owner's side, Linux only."""

import fcntl
import importlib.util
import io
import json
import os
import socket
import subprocess
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from llm_pv.child_process import boot_command
from llm_pv.errors import SandboxError
from llm_pv.sandbox.batch import Batch, LabelledRows
from llm_pv.sandbox.confinement import Confinement, remedy
from llm_pv.sandbox.execution import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.exploration import Script
from llm_pv.sandbox.modules import (
    ALLOWED_MODULES,
    PACKAGES,
    STANDARD_LIBRARY,
    SUPPORT,
    USED_BY_PACKAGES,
)
from llm_pv.sandbox.outcome import ProcessEnding, conclude, conclude_exploration
from llm_pv.sandbox.parser import packages_imported
from llm_pv.sandbox.result_page import page_bytes
from llm_pv.sandbox.zygote import MESSAGE_BYTES, ForkJob

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input

_MOST_KEPT = 6
"""The most idle zygotes kept for later programs, beyond one per worker, over all workers."""

_MOST_KEPT_BYTES = 512 * 1024 * 1024
"""The most memory that these may hold together."""

_START_SECONDS = 120.0
_GRACE_SECONDS = 10.0
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    # Only a single-threaded process may enter a user namespace: numeric libraries start no threads.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}


class ZygoteGoneError(Exception):
    """Raised if the process that candidates are forked from has ended or does not answer."""


class Zygote:
    """One running process that candidates are forked from.

    Raise SandboxError if it does not start.

    Attributes
    ----------
    confinement
        The layers it has.
    bytes
        The memory it took when it started.

    Parameters
    ----------
    packages
        Which of `llm_pv.sandbox.modules.PACKAGES` it has imported.
    seed
        The seed of its hashing, and of the random numbers of the candidates.
    """

    def __init__(self, packages: tuple[str, ...], seed: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        owner = os.pidfd_open(os.getpid())
        plan = {
            "control": theirs.fileno(),
            "owner": owner,
            "paths": _import_folders(),
            "modules": STANDARD_LIBRARY,
            "packages": packages,
            "support": [name for package in packages for name in SUPPORT[package]],
            "allowed": ALLOWED_MODULES,
            "seed": seed,
        }
        self._socket = ours
        self._process: subprocess.Popen[bytes] | None = None
        _running.add(self)
        with _memory_file() as complaints:
            try:
                self._process = subprocess.Popen(  # noqa: S603  (this package's own script)
                    boot_command("zygote", json.dumps(plan)),
                    env={**_ENVIRONMENT, "PYTHONHASHSEED": str(seed)},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints.fileno(),
                    pass_fds=(theirs.fileno(), owner),
                    start_new_session=True,  # Ctrl-C is for the owner
                )
            except OSError as error:
                ours.close()
                raise SandboxError(f"the sandbox's process does not start: {error}") from error
            finally:
                theirs.close()
                os.close(owner)
            try:
                layers = json.loads(self._receive(_START_SECONDS))
            except ZygoteGoneError:
                self.close()
                complaints.seek(0)
                last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
                said = last[0] if last else "it printed nothing"
                raise SandboxError(f"the sandbox's process ended at its start: {said}") from None
            except BaseException:
                self.close()
                raise
        missing = {layer: remedy(layer, why) for layer, why in layers["missing"].items()}
        self.confinement = Confinement("linux", tuple(layers["active"]), missing)
        self.bytes = int(layers["bytes"])

    def run(self, source: str, batch: Batch, limits: Limits) -> Execution:
        """Run one candidate.

        Raise ZygoteGoneError if the process has ended, before the run or because of it.
        """
        rows = len(batch)
        with self._ended(_job(limits, rows), rows, batch.encoded(), source) as (ending, page):
            return conclude(ending, page, rows, limits)

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int
    ) -> Execution:
        """Run code that explores labelled rows.

        Raise ZygoteGoneError as for `run`.
        """
        job = replace(_job(limits.plain(), 0), exploration_seed=seed)
        with self._ended(job, 0, rows.encoded(), script.encoded()) as (ending, page):
            return conclude_exploration(ending, page, limits)

    def close(self) -> None:
        """End the process and its current run; callable from any thread."""
        # Not closed yet: shutting down wakes a thread that waits in `recv`, and the descriptor's
        # number cannot go to another file while that thread still uses it.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            try:
                self._process.wait(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._socket.close()

    def abandon(self) -> None:
        """Drop, after a fork, the process that belongs to the parent, without ending it."""
        self._socket.close()
        if self._process is not None:  # the fork may come while another thread starts it
            self._process.returncode = 0  # not a child of this process: never wait for it

    @contextmanager
    def _ended(
        self, job: ForkJob, answers: int, rows: bytes, source: str
    ) -> Iterator[tuple[ProcessEnding, io.BufferedIOBase]]:
        """Run a job; give how its process ended, and its page."""
        with (
            _sealed_file(rows) as data,
            _sealed_file(source.encode("utf-8", "surrogatepass")) as text,
            _blank_page(page_bytes(answers, job.output_bytes)) as page,
        ):
            yield self._request(job, [file.fileno() for file in (data, text, page)]), page

    def _request(self, job: ForkJob, files: list[int]) -> ProcessEnding:
        try:
            self._socket.settimeout(_GRACE_SECONDS)
            socket.send_fds(self._socket, [json.dumps(asdict(job)).encode()], files)
            return ProcessEnding(**json.loads(self._receive(job.wall_seconds + _GRACE_SECONDS)))
        except OSError as error:
            raise ZygoteGoneError from error
        except BaseException:
            # Interrupted while waiting: the late answer would be read as that of the next job.
            self.close()
            raise

    def _receive(self, seconds: float) -> bytes:
        try:
            self._socket.settimeout(seconds)
            message = self._socket.recv(MESSAGE_BYTES)
        except OSError as error:
            raise ZygoteGoneError from error
        if not message:
            raise ZygoteGoneError
        return message


class LinuxWorker:
    """Runs candidates in confined processes of its own, one for each set of packages and seed.

    A process is started when first needed, and again if it has ended.
    """

    def __init__(self) -> None:
        self._zygotes: Zygotes = {}
        self._closed = 0

    @property
    def confinement(self) -> Confinement:
        """Which layers are in force."""
        with _kept.in_use(self._zygotes, _PLAIN) as zygote:
            return zygote.confinement

    def run(
        self, source: str, inputs: "Sequence[Input]", limits: Limits, seed: int = 0
    ) -> Execution:
        """Run a program over the inputs (see `llm_pv.sandbox.worker_pool.Worker`)."""
        batch = Batch.of(inputs)
        run = partial(Zygote.run, source=source, batch=batch, limits=limits)
        return self._try(run, packages_imported(source), seed, len(batch))

    def explore(
        self, script: Script, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows (see `llm_pv.sandbox.worker_pool.Worker`)."""
        run = partial(Zygote.explore, script=script, rows=rows, limits=limits, seed=seed)
        return self._try(run, packages_imported(script.code, *script.earlier), 0, 0)

    def _try(
        self, run: Callable[[Zygote], Execution], packages: tuple[str, ...], seed: int, rows: int
    ) -> Execution:
        """Run on the zygote of these packages and this seed; retry once if it has ended."""
        closed = self._closed
        for _ in range(2):
            try:
                with _kept.in_use(self._zygotes, (packages, seed)) as zygote:
                    if self._closed != closed:  # while the zygote started
                        raise ZygoteGoneError
                    return run(zygote)
            except ZygoteGoneError:
                if self._closed != closed:
                    raise SandboxError("the sandbox was closed during a run") from None
        return Execution(
            Outcome.CRASHED,
            predictions=(None,) * rows,
            unreached=tuple(range(rows)),
            reason="the process that runs programs ended, and again after a restart",
        )

    def close(self) -> None:
        """End every process of this worker, a run in progress included; a later run starts anew."""
        self._closed += 1
        while self._zygotes:
            self._zygotes.popitem()[1].close()


class _Kept:
    """A cache of the idle zygotes of all workers of this process, bounded in number and memory.

    Zygotes in use are never evicted, nor those for programs without packages and with seed 0. The
    others are evicted least recently used first.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start with an empty cache and a new lock."""
        self._lock = threading.Lock()
        self._idle: dict[Zygote, tuple[Zygotes, Key]] = {}

    @contextmanager
    def in_use(self, zygotes: "Zygotes", key: "Key") -> Iterator[Zygote]:
        """Yield a worker's zygote, starting it if needed; end it if the body raises."""
        with self._lock:
            zygote = zygotes.get(key)
            if zygote is not None:
                self._idle.pop(zygote, None)
        if zygote is None:
            self._evict()
            zygote = Zygote(*key)
            with self._lock:
                zygotes[key] = zygote
        try:
            yield zygote
        except BaseException:
            with self._lock:
                if zygotes.get(key) is zygote:
                    del zygotes[key]
            zygote.close()
            raise
        with self._lock:
            if key != _PLAIN and zygotes.get(key) is zygote:
                self._idle[zygote] = (zygotes, key)
        self._evict()

    def _evict(self) -> None:
        evicted = []
        with self._lock:
            self._idle = {one: at for one, at in self._idle.items() if at[0].get(at[1]) is one}
            held = sum(one.bytes for one in self._idle)
            while self._idle and (len(self._idle) > _MOST_KEPT or held > _MOST_KEPT_BYTES):
                oldest = next(iter(self._idle))
                zygotes, key = self._idle.pop(oldest)
                del zygotes[key]
                held -= oldest.bytes
                evicted.append(oldest)
        for zygote in evicted:  # outside the lock: ending a process can take seconds
            zygote.close()


Key: TypeAlias = tuple[tuple[str, ...], int]
Zygotes: TypeAlias = dict[Key, Zygote]
_PLAIN: Key = ((), 0)
_kept = _Kept()


def _job(limits: Limits, rows: int) -> ForkJob:
    return ForkJob(
        cpu_seconds=limits.cpu_limit(rows),
        wall_seconds=limits.wall_limit(rows),
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
    )


_running: "weakref.WeakSet[Zygote]" = weakref.WeakSet()


def _abandon_all() -> None:
    _kept.forget()  # its lock may be held by a thread that is not here
    for zygote in tuple(_running):
        zygote.abandon()


os.register_at_fork(after_in_child=_abandon_all)


def _import_folders() -> list[str]:
    """Return the folders that hold the packages a program may use, and what those use."""
    folders: dict[str, None] = {}
    for name in (*PACKAGES, *USED_BY_PACKAGES):
        found = None
        with suppress(ValueError):  # a module without a spec, as tests and notebooks insert
            found = importlib.util.find_spec(name)
        if found is not None and found.origin:
            folders[str(Path(found.origin).parent.parent)] = None
    return list(folders)


def _sealed_file(data: bytes) -> io.BufferedIOBase:
    """Return a new in-memory file with this content, sealed against any change."""
    file = _memory_file()
    file.write(data)
    file.flush()
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file


def _blank_page(size: int) -> io.BufferedIOBase:
    """Return a new in-memory file of this size, all zeros, whose size is sealed."""
    file = _memory_file()
    file.truncate(size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def _memory_file() -> io.BufferedIOBase:
    return os.fdopen(os.memfd_create("llm-pv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
