"""The head of a Ray cluster: whether it answers at an address, and whether it still does."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from llm_pv.errors import ClusterError, ConfigurationError, WorkerLostError

CONNECT_SECONDS = 10.0
"""How long an address is given to answer."""

EVERY_SECONDS = 2.0
"""The interval of checks for the head."""

LOST_SECONDS = 40.0
"""How long the head may not answer; after 60 s Ray ends the process with its own message."""

ENDING_SECONDS = 10.0
"""How long the process has to end by itself once the head is lost."""

# Ray has no public way to ask whether a cluster is there that does not wait for minutes.
_ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def refuse_unreachable(address: str) -> None:
    """Refuse an address without an answer: Ray would wait for minutes and then end the process.

    Raise ConfigurationError if it is no address. Raise ClusterError if nothing answers there, or
    something that is not the head of a cluster.
    """
    if "://" in address:
        raise ConfigurationError(
            f"--ray {address}: give auto or HOST:PORT, and start the command on a machine of the "
            "cluster (ray job submit does)"
        )
    where = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    if where == "auto":
        return
    host, port = _parts(where)
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigurationError(f"--ray {where!r}: give auto, or HOST:PORT such as 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"--ray {where}: no cluster answers there ({error}); begin one with ray start --head"
        ) from error
    _refuse_other_service(where)


def _refuse_other_service(where: str) -> None:
    """Refuse an address where something else answers: to wait for it could not be broken off."""
    command = [sys.executable, "-P", "-c", _ASK, where]
    try:
        subprocess.run(  # noqa: S603  (this interpreter, and an address that was checked)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=CONNECT_SECONDS,
            check=False,  # what it fails of, if not of time, Ray itself tells
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"--ray {where}: what answers there is no head of a cluster; its port is 6379 unless "
            "ray start was told another (8265 is the dashboard's, 10001 the client's)"
        ) from None


@contextmanager
def ended_with_its_head(address: str) -> Iterator[None]:
    """End what the main thread does if the head is lost meanwhile.

    Raise ClusterError if the head was lost.
    """
    over, lost = threading.Event(), threading.Event()
    watch = threading.Thread(target=_watch, args=(address, over, lost), daemon=True)
    watch.start()
    try:
        yield
    except (KeyboardInterrupt, WorkerLostError) as error:
        if not lost.is_set():
            raise
        raise ClusterError(_lost(address)) from error
    finally:
        over.set()


def _watch(address: str, over: threading.Event, lost: threading.Event) -> None:
    """Look for the head until all is over; interrupt the main thread if it is lost."""
    host, port = _parts(address)
    seen = time.monotonic()
    while time.monotonic() - seen < LOST_SECONDS:
        if over.wait(EVERY_SECONDS):
            return
        with suppress(OSError):
            socket.create_connection((host, int(port)), EVERY_SECONDS).close()
            seen = time.monotonic()
    lost.set()
    # A signal, since nothing else wakes a thread that waits for a lock.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    if not over.wait(ENDING_SECONDS):
        _end(_lost(address))  # what Ray waits for without its head may never come


def _lost(address: str) -> str:
    return (
        f"the head of the cluster ({address}) is lost; what was finished is kept, and the same "
        "command with the same results folder resumes it, on a new cluster or without --ray"
    )


def _end(message: str) -> None:
    """End this process at once, as Ray would a little later; every file is as after a kill."""
    cursor = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # a progress bar has hidden it
    sys.stderr.write(f"{cursor}llm-pv: {message}\n")
    sys.stderr.flush()
    os._exit(2)


def _parts(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port  # as IPv6 is written before a port
