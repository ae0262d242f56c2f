"""Runs candidates in forks of a confined process (see `zygote`): the owner's side, Linux only."""

import fcntl
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from llm_pv.errors import SandboxError
from llm_pv.sandbox.batch import Batch, LabelledRows
from llm_pv.sandbox.confinement import Confinement, remedy
from llm_pv.sandbox.execution import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.modules import (
    ALLOWED_MODULES,
    PACKAGES,
    STANDARD_LIBRARY,
    SUPPORT,
)
from llm_pv.sandbox.outcome import Ending, conclude, conclude_exploration
from llm_pv.sandbox.packages import packages_imported
from llm_pv.sandbox.result_page import page_bytes
from llm_pv.sandbox.zygote import MESSAGE_BYTES, Job

if TYPE_CHECKING:  # that file imports numpy
    from collections.abc import Sequence

    from llm_pv.data.examples import Input

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
BOOT = PACKAGE_FOLDER / "sandbox" / "boot.py"
INTERPRETER_OPTIONS = ("-s", "-P", "-S")
"""Nothing of the user's: no user site, no script folder, no site; -I would drop the hash seed."""

_MOST_KEPT = 6
"""So many zygotes beyond one a worker are kept for later programs, in all workers together."""

_MOST_KEPT_BYTES = 512 * 1024 * 1024
"""The memory of these."""

_START_SECONDS = 120.0
_GRACE_SECONDS = 10.0
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    # A thread of a numeric library would bar the way into a user namespace.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}


class ZygoteGoneError(Exception):
    """The process that candidates are forked from has ended, or does not answer."""


class Zygote:
    """One running process that candidates are forked from.

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

    Raises
    ------
    SandboxError
        If it does not start.
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
                    [
                        sys.executable,
                        *INTERPRETER_OPTIONS,
                        BOOT,
                        PACKAGE_FOLDER,
                        "zygote",
                        json.dumps(plan),
                    ],
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
                said = last[0] if last else "it said nothing"
                raise SandboxError(f"the sandbox's process ended at its start: {said}") from None
            except BaseException:
                self.close()
                raise
        missing = {layer: remedy(layer, why) for layer, why in layers["missing"].items()}
        self.confinement = Confinement("linux", tuple(layers["active"]), missing)
        self.bytes = int(layers["bytes"])

    def run(self, source: str, batch: Batch, limits: Limits) -> Execution:
        """Run one candidate.

        Raises
        ------
        ZygoteGoneError
            If the process is gone, before the run or because of it.
        """
        rows = len(batch)
        with self._ended(_job(limits, rows), rows, batch.encoded(), source) as (ending, page):
            return conclude(ending, page, rows, limits)

    def explore(self, code: str, rows: LabelledRows, limits: ToolLimits, seed: int) -> Execution:
        """Run code that explores labelled rows.

        Raises
        ------
        ZygoteGoneError
            As for `run`.
        """
        job = replace(_job(limits.plain(), 0), exploration_seed=seed)
        with self._ended(job, 0, rows.encoded(), code) as (ending, page):
            return conclude_exploration(ending, page, limits)

    def close(self) -> None:
        """End the process and whatever it runs; callable from any thread."""
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
        """Forget a process that belongs to the one this was forked from."""
        self._socket.close()
        if self._process is not None:  # the fork may come while another thread starts it
            self._process.returncode = 0

    @contextmanager
    def _ended(
        self, job: Job, answers: int, rows: bytes, source: str
    ) -> Iterator[tuple[Ending, io.BufferedIOBase]]:
        """Run a job; give how its process ended, and its page."""
        with (
            _sealed_file(rows) as data,
            _sealed_file(source.encode("utf-8", "surrogatepass")) as text,
            _blank_page(page_bytes(answers, job.output_bytes)) as page,
        ):
            yield self._ask(job, [file.fileno() for file in (data, text, page)]), page

    def _ask(self, job: Job, files: list[int]) -> Ending:
        try:
            self._socket.settimeout(_GRACE_SECONDS)
            socket.send_fds(self._socket, [json.dumps(asdict(job)).encode()], files)
            return Ending(**json.loads(self._receive(job.wall_seconds + _GRACE_SECONDS)))
        except OSError as error:
            raise ZygoteGoneError from error
        except BaseException:
            # Interrupted half way: the answer that still comes would be taken for the next one's.
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

    Nothing is started before it is needed, and what has ended is started again.
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
        """Run a program over the inputs (see `llm_pv.sandbox.worker.Worker`)."""
        batch = Batch.of(inputs)
        run = partial(Zygote.run, source=source, batch=batch, limits=limits)
        return self._try(run, packages_imported(source), seed, len(batch))

    def explore(
        self, code: str, rows: LabelledRows, limits: ToolLimits, seed: int = 0
    ) -> Execution:
        """Run code that explores labelled rows (see `llm_pv.sandbox.worker.Worker`)."""
        run = partial(Zygote.explore, code=code, rows=rows, limits=limits, seed=seed)
        return self._try(run, packages_imported(code), 0, 0)

    def _try(
        self, run: Callable[[Zygote], Execution], packages: tuple[str, ...], seed: int, rows: int
    ) -> Execution:
        """Run on the zygote of these packages and this seed, on a fresh one if that has ended."""
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
            reason="the process that runs programs ended, and again when it was started afresh",
        )

    def close(self) -> None:
        """End every process of this worker, a run in progress included; a later run starts anew."""
        self._closed += 1
        while self._zygotes:
            self._zygotes.popitem()[1].close()


class _Kept:
    """The zygotes of all workers of this process that wait for programs: few, and least memory.

    The one for programs without packages and with seed 0 stays, as does any in use. Of the others
    the longest unused make room.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._idle: dict[Zygote, tuple[Zygotes, Key]] = {}

    @contextmanager
    def in_use(self, zygotes: "Zygotes", key: "Key") -> Iterator[Zygote]:
        """Give a worker's zygote, started if need be; one that an error spoils is ended."""
        with self._lock:
            zygote = zygotes.get(key)
            if zygote is not None:
                self._idle.pop(zygote, None)
        if zygote is None:
            self._make_room()
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
        self._make_room()

    def _make_room(self) -> None:
        leaving = []
        with self._lock:
            self._idle = {one: at for one, at in self._idle.items() if at[0].get(at[1]) is one}
            held = sum(one.bytes for one in self._idle)
            while self._idle and (len(self._idle) > _MOST_KEPT or held > _MOST_KEPT_BYTES):
                oldest = next(iter(self._idle))
                zygotes, key = self._idle.pop(oldest)
                del zygotes[key]
                held -= oldest.bytes
                leaving.append(oldest)
        for zygote in leaving:
            zygote.close()


Key: TypeAlias = tuple[tuple[str, ...], int]
Zygotes: TypeAlias = dict[Key, Zygote]
_PLAIN: Key = ((), 0)
_kept = _Kept()


def _job(limits: Limits, rows: int) -> Job:
    return Job(
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
    for name in (*PACKAGES, "mpmath", "scipy", "gmpy2", "typing_extensions"):
        found = None
        with suppress(ValueError):  # somebody's stand-in for a module
            found = importlib.util.find_spec(name)
        if found is not None and found.origin:
            folders[str(Path(found.origin).parent.parent)] = None
    return list(folders)


def _sealed_file(data: bytes) -> io.BufferedIOBase:
    """Return a new file in memory with this content, which nobody can change any more."""
    file = _memory_file()
    file.write(data)
    file.flush()
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file


def _blank_page(size: int) -> io.BufferedIOBase:
    """Return a new file in memory of this size, all zeros, whose size nobody can change."""
    file = _memory_file()
    file.truncate(size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def _memory_file() -> io.BufferedIOBase:
    return os.fdopen(os.memfd_create("llm-pv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
