"""Start child interpreters that run functions of this package and report their errors.

Unlike those of `multiprocessing` they never run the user's main module again, and can be killed in
the middle of a call. They exchange trusted data only: candidate programs run in the sandbox.
"""

import os
import select
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import llm_pv
from llm_pv.errors import LLMPVError

Process = subprocess.Popen[bytes]

ErrorDescription = tuple[type[Exception], str, str]
"""An error of another process: its class, its message, its traceback."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def beside_memory_limit() -> Iterator[None]:
    """Load libraries: the soft limit on this process's memory is raised by what they take."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        before = _private_bytes()
    except (ImportError, OSError):
        soft = hard = before = 0
    if soft == hard:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    try:
        yield
    finally:
        soft += _private_bytes() - before
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _private_bytes() -> int:
    """Return the private data of this process, in bytes, which `RLIMIT_DATA` counts."""
    status = Path("/proc/self/status").read_text("ascii")
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmData:")]
    return int(kilobytes) * 1024


def start(code: str, environment: Mapping[str, str]) -> Process:
    """Start an interpreter with pipes to its standard input and output."""
    root = str(Path(llm_pv.__file__).parents[1])
    paths = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603 - this interpreter, and code of this package
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**environment, "PYTHONPATH": paths},
        start_new_session=True,  # Ctrl-C is for the owner, who ends this one
    )


def boot_command(
    entry: str, *arguments: object, options: Sequence[str] = ("-s", "-P", "-S")
) -> list[str]:
    """Return the command that runs a module of the sandbox, importing nothing else of the package.

    Parameters
    ----------
    options
        Those of the interpreter: no user site, no script folder, no site packages. Not -I, which
        would ignore PYTHONHASHSEED.
    """
    package = Path(__file__).resolve().parent
    boot = package / "sandbox" / "boot.py"
    return [sys.executable, *options, *map(str, (boot, package, entry, *arguments))]


def bare_environment() -> dict[str, str]:
    """Return an environment with nothing of this process's own but what Windows needs."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def pipes(process: Process) -> tuple[IO[bytes], IO[bytes]]:
    """Return the standard input and output of a process that was started with pipes to both."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def end(process: Process) -> None:
    """Kill a process and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was left to write has no reader any more
                pipe.close()


def describe_error(error: BaseException) -> ErrorDescription:
    """Return an error as its class, message and traceback, which can always be pickled."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, LLMPVError):
        return type(error), str(error), trace
    return RuntimeError, f"{type(error).__name__}: {error}", trace


def error_of(kind: type[Exception], message: str, trace: str) -> Exception:
    """Return the error that another process reported."""
    # Not through __init__, which may take other arguments than the finished message.
    error = kind.__new__(kind, message)
    error.add_note(f"In the worker process:\n{trace}")
    return error


def end_with_owner() -> None:
    """End this process, even in the middle of a call, when its owner ends."""
    # The owner holds the other end of standard input and never closes it while it lives.
    if hasattr(select, "poll"):
        threading.Thread(target=_wait_for_hangup, args=(sys.stdin.fileno(),), daemon=True).start()


def _wait_for_hangup(calls: int) -> None:
    """Wait until the other end of standard input is closed, then exit."""
    hung_up = select.poll()
    hung_up.register(calls, 0)  # no event but POLLHUP, which is always reported: data stays unread
    hung_up.poll()
    os._exit(1)
