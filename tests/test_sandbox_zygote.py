"""The steps of the confined process, one by one, tried here on calls that are only recorded."""

import ctypes
import errno
import gc
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("these use the Linux sandbox", allow_module_level=True)

import resource

from llm_pv.errors import SandboxError
from llm_pv.sandbox import boot, kernel, linux, preload, zygote
from llm_pv.sandbox.batch import Batch
from llm_pv.sandbox.execution import Limits, Outcome
from llm_pv.sandbox.linux import LinuxWorker, Zygote, ZygoteGoneError
from llm_pv.sandbox.modules import SUPPORT
from llm_pv.sandbox.result_page import page_bytes
from llm_pv.sandbox.zygote import ForkJob, ForkSetting, Layers


class Recorder:
    """Stands in for the C library: notes calls, and refuses those it is told to."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        self.calls: list[str] = []
        self.refused = refused

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: object) -> int:
            plain = [getattr(argument, "value", argument) for argument in arguments]
            self.calls.append(name + "(" + ", ".join(map(str, plain[:2])) + ")")
            return -1 if any(self.calls[-1].startswith(start) for start in self.refused) else 5

        return call


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(kernel, "_libc", recorder)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "", "", "x86_64")))
    return recorder


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that `zygote` takes in `kernel`, in order, none of them taken."""
    taken: list[str] = []
    for name in (
        "become_nobody", "close_files", "deny_files", "die_with_parent", "drop_capabilities",
        "empty_root", "forbid_new_privileges", "leave_namespaces", "leave_user_namespace",
        "limit_resources",
    ):  # fmt: skip
        monkeypatch.setattr(kernel, name, lambda *arguments, name=name: taken.append(name))
    return taken


def test_the_deny_all_domain_handles_every_right_of_the_kernels_version(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    sizes = {}
    for abi, rights in {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 9: 16}.items():
        handled: list[object] = []

        def answer(
            number: object, *arguments: object, abi: int = abi, handled: list[object] = handled
        ) -> int:
            if number == kernel._LANDLOCK_CREATE and arguments[0] is not None:
                handled.append(arguments[0])
                return 7
            return abi

        monkeypatch.setattr(kernel, "_system_call", answer)
        kernel.deny_files()
        (ruleset,) = handled
        assert isinstance(ruleset, bytes)
        assert int.from_bytes(ruleset[:8], "little") == 2**rights - 1
        sizes[abi] = len(ruleset)
    assert sizes == {1: 8, 2: 8, 3: 8, 4: 16, 5: 16, 6: 24, 9: 24}
    assert set(closed) == {7}


def test_a_refused_call_is_an_error(recorder: Recorder) -> None:
    recorder.refused = ("unshare", "prctl", "syscall")
    ctypes.set_errno(errno.EPERM)
    for step in (
        kernel.leave_user_namespace, kernel.forbid_new_privileges, kernel.die_with_parent,
        kernel.drop_capabilities, kernel.deny_files, kernel.CallFilter().install,
    ):  # fmt: skip
        with pytest.raises(PermissionError):
            step()


def test_root_leaves_namespaces_by_its_own_power_and_others_by_a_user_namespace(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, str] = {}
    monkeypatch.setattr(Path, "write_text", lambda path, text: written.update({str(path): text}))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kernel.leave_namespaces()
    everything = 0x00020000 + 0x02000000 + 0x04000000 + 0x08000000 + 0x20000000 + 0x40000000
    assert recorder.calls == [f"unshare({everything})"]
    assert written == {}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1001)
    kernel.leave_namespaces()
    assert recorder.calls[1:] == [f"unshare({everything + 0x10000000})"]
    assert written == {
        "/proc/self/setgroups": "deny",
        "/proc/self/uid_map": "1000 1000 1",
        "/proc/self/gid_map": "1001 1001 1",
    }


def test_the_root_becomes_empty_in_this_order(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[str] = []
    monkeypatch.setattr(os, "chdir", folders.append)
    kernel.empty_root()
    assert folders == ["/proc", "/"]
    assert [call.partition("(")[0] for call in recorder.calls] == [
        "mount", "mount", "syscall", "umount2", "mount",
    ]  # fmt: skip


def test_only_root_becomes_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[tuple[object, ...]] = []
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(
            os, name, lambda *arguments, name=name: changed.append((name, *arguments))
        )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    kernel.become_nobody()
    assert changed == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kernel.become_nobody()
    nobody = (65534,) * 3
    assert changed == [("setgroups", []), ("setresgid", *nobody), ("setresuid", *nobody)]


def test_limits_never_rise_above_what_the_process_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 1000))
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    timers: list[tuple[int, float]] = []
    monkeypatch.setattr(signal, "setitimer", lambda *timer: timers.append(timer))
    kernel.limit_resources(1 << 40, 1.5)
    assert limits[resource.RLIMIT_AS] == (1000, 1000)
    for nothing in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        assert limits[nothing] == (0, 0)
    assert timers == [(signal.ITIMER_PROF, 1.5)]


def test_files_are_closed_on_old_kernels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError

    ranges: list[int] = []
    monkeypatch.setattr(kernel, "_system_call", refuse)
    monkeypatch.setattr(os, "closerange", lambda first, last: ranges.append(first))
    kernel.close_files(3)
    assert ranges == [3]


def test_an_unknown_processor_has_no_call_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = os.uname_result(("Linux", "", "", "", "riscv64"))
    monkeypatch.setattr(os, "uname", lambda: machine)
    with pytest.raises(OSError, match="riscv64"):
        kernel.CallFilter()


def test_what_fails_in_a_copy_fails_here_with_the_same_error() -> None:
    def fail() -> None:
        raise PermissionError(1, "no")

    zygote.try_in_a_copy(lambda: None)
    with pytest.raises(PermissionError):
        zygote.try_in_a_copy(fail)


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("enclosed", [True, False])
def test_the_zygote_gives_up_what_it_has_in_an_order_that_works(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, root: bool, enclosed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(zygote, "rehearse_limits", lambda: None)
    monkeypatch.setattr(zygote, "rehearse_call_filter", lambda: None)
    layers = Layers()
    if not enclosed:
        layers.missing["mount namespace"] = "not permitted"
    assert zygote.seal(layers, enclosed=enclosed) is not None
    assert ("user namespace" in layers.active) is (root or enclosed)
    assert {"no_new_privs", "Landlock", "rlimits", "seccomp"} <= set(layers.active)
    assert steps.index("drop_capabilities") < steps.index("forbid_new_privileges")
    assert steps.index("forbid_new_privileges") < steps.index("deny_files")
    assert ("empty_root" in steps) is enclosed
    # Otherwise the parent is a thread of the owner, whose end would end the zygote.
    assert ("die_with_parent" in steps) is enclosed
    if root:
        assert steps.index("become_nobody") < steps.index("drop_capabilities")


def test_a_layer_that_fails_is_noted_with_its_reason() -> None:
    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    layers = Layers()
    assert not layers.have(refuse, "one", "another")
    assert layers.have(lambda: None, "third")
    assert layers.active == ["third"]
    assert layers.missing == dict.fromkeys(("one", "another"), "Operation not permitted")


@pytest.fixture
def served(steps: list[str]) -> Iterator[socket.socket]:
    """The owner's end of a socket that a zygote serves in a thread, confining nothing."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    owner, alive = os.pipe()
    setting = ForkSetting(frozenset({"math"}), 1 << 40, None, 0)
    thread = threading.Thread(target=zygote.serve, args=(theirs, owner, setting))
    thread.start()
    yield ours
    ours.close()
    thread.join(30)
    theirs.close()
    os.close(owner)
    os.close(alive)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_job_is_run_in_a_fork_and_its_end_reported(
    served: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote, "run_job", lambda *_: os._exit(7))
    ended = ask(served, wall_seconds=30.0)
    assert ended["status"] == 7
    assert ended["cut_off"] is False


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_job_that_does_not_end_is_killed(
    served: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote, "run_job", lambda *_: signal.pause())
    ended = ask(served, wall_seconds=0.1)
    assert ended["status"] == -signal.SIGKILL
    assert ended["cut_off"] is True


def ask(control: socket.socket, wall_seconds: float) -> dict[str, object]:
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
    job = {"cpu_seconds": 1.0, "wall_seconds": wall_seconds, "memory_bytes": 1, "output_bytes": 1}
    socket.send_fds(control, [json.dumps(job).encode()], files)
    for file in files:
        os.close(file)
    ended: dict[str, object] = json.loads(control.recv(4096))
    return ended


def test_a_forked_job_takes_its_data_confines_itself_and_answers(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndedError(BaseException):
        pass

    def end(status: int) -> None:
        statuses.append(status)
        raise EndedError

    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(
        zygote, "run_program", lambda *arguments, seed: seen.append((*arguments, seed))
    )
    seen: list[tuple[object, ...]] = []
    size = page_bytes(2, 10)
    with (
        linux._sealed_file(Batch(["a", "b"]).encoded()) as inputs,
        linux._sealed_file("é = 1".encode()) as source,
        linux._blank_page(size) as page,
    ):
        files = [file.fileno() for file in (inputs, source, page)]
        with pytest.raises(EndedError):
            zygote.run_job(
                ForkJob(1, 1, 1, 10), ForkSetting(frozenset({"math"}), 0, None, 7), files
            )
        with pytest.raises(EndedError):
            zygote.run_job(ForkJob(1, 1, 1, 10), ForkSetting(frozenset(), 0, None, 0), [0, 0, -1])
    ((text, rows, shared, room, allowed, seed),) = seen
    assert text == "é = 1"
    assert isinstance(rows, Iterable)
    assert list(rows) == ["a", "b"]
    assert isinstance(shared, mmap.mmap)
    assert (len(shared), room, allowed, seed) == (size, 10, {"math"}, 7)
    shared.close()
    assert statuses == [0, zygote.NOT_STARTED]
    assert steps == ["die_with_parent", "close_files", "limit_resources", "die_with_parent"]


def test_preloading_brings_whole_packages_and_seeds_their_random_numbers() -> None:
    preload.preload(["math"], ["numpy", "no_such_package"], [*SUPPORT["numpy"], "nor_this_one"], 3)
    drawn = np.random.random()  # noqa: NPY002  (what is seeded is the old generator)
    assert drawn == np.random.RandomState(3).random()
    assert {"numpy.random", "numpy.fft", "numpy.polynomial", "numpy.ma", "_strptime"} <= set(
        sys.modules
    )


def test_forgetting_the_import_paths_ends_every_further_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "path_importer_cache", dict(sys.path_importer_cache))
    preload.forget_import_paths()
    assert sys.path == []
    assert sys.path_importer_cache == {}


def test_a_zygote_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere.py"
    monkeypatch.setattr(linux, "boot_command", lambda *_: [sys.executable, missing])
    with pytest.raises(SandboxError, match="nowhere"):
        Zygote((), 0)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(SandboxError, match="does not start"):
        Zygote((), 0)


def test_a_zygote_that_ends_twice_is_blamed_on_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []

    class FailingZygote:
        def __init__(self, packages: tuple[str, ...], seed: int) -> None:
            started.append(self)

        def run(self, source: str, batch: Batch, limits: Limits) -> None:
            raise ZygoteGoneError

        def close(self) -> None:
            pass

    monkeypatch.setattr(linux, "Zygote", FailingZygote)
    execution = LinuxWorker().run("", ["a", "b"], Limits())
    assert len(started) == 2
    assert execution.outcome is Outcome.CRASHED
    assert execution.predictions == (None, None)
    assert execution.unreached == (0, 1)


def test_a_zygote_that_does_not_answer_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Zygote((), 0)
    assert started._process is not None
    os.kill(started._process.pid, 0)
    monkeypatch.setattr(linux, "_GRACE_SECONDS", 0.2)
    stop_with_all_below(started._process.pid)
    with pytest.raises(ZygoteGoneError):
        started.run("def f(x): return 1", Batch(["a"]), Limits(cpu_seconds=0.1, wall_seconds=0.1))
    started.close()
    assert started._process.returncode is not None


def stop_with_all_below(pid: int) -> None:
    """Stop a process of the sandbox; not the parser or a spare of this process, which go on."""
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            stop_with_all_below(int(child))
    if b"boot.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
        os.kill(pid, signal.SIGSTOP)


def test_an_interrupted_run_does_not_leave_its_answer_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = LinuxWorker()
    assert worker.confinement.active
    first = worker._zygotes[(), 0]

    def interrupt(seconds: float) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(first, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        worker.run("def f(x): return 1", ["a"], Limits())
    assert worker.run("def f(x): return 2", ["a"], Limits()).predictions == ("2",)
    assert worker._zygotes[(), 0] is not first
    worker.close()


def test_the_rehearsals_find_what_this_machine_gives() -> None:
    zygote.rehearse_limits()
    zygote.rehearse_call_filter()


def test_namespaces_are_entered_only_when_the_rehearsal_went_well(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rehearse(action: Callable[[], None]) -> None:
        if action is kernel.empty_root:
            steps.append("emptied in a copy")
        else:
            action()
            steps.append("end of the copy")

    def refuse(action: Callable[[], None]) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(zygote, "try_in_a_copy", rehearse)
    monkeypatch.setattr(os, "fork", lambda: 0)
    zygote.enter_namespaces()
    assert steps == [
        "leave_namespaces", "emptied in a copy", "end of the copy", "leave_namespaces",
    ]  # fmt: skip
    monkeypatch.setattr(zygote, "try_in_a_copy", refuse)
    with pytest.raises(PermissionError):
        zygote.enter_namespaces()
    assert len(steps) == 4


def test_the_outer_process_holds_no_file_and_waits_for_the_inner_one(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(zygote, "try_in_a_copy", lambda _: None)
    monkeypatch.setattr(os, "fork", lambda: 77)
    monkeypatch.setattr(os, "waitpid", lambda pid, _: steps.append(f"waited for {pid}"))
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit):
        zygote.enter_namespaces()
    assert steps == ["leave_namespaces", "close_files", "waited for 77"]


def test_a_zygote_says_what_it_has_before_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    served: list[tuple[int, ForkSetting]] = []
    order: list[str] = []

    def seal(layers: Layers, *, enclosed: bool) -> None:
        order.append(f"seal {enclosed}")
        layers.active.append("Landlock")
        layers.missing["seccomp"] = "not here"

    def serve(control: socket.socket, owner: int, setting: ForkSetting) -> None:
        served.append((owner, setting))
        control.close()

    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(zygote, "enter_namespaces", lambda: None)
    monkeypatch.setattr(zygote, "preload", lambda *_: order.append("preload"))
    monkeypatch.setattr(zygote, "forget_import_paths", lambda: order.append("forget"))
    monkeypatch.setattr(zygote, "seal", seal)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(zygote, "serve", serve)
    plan = {
        "control": theirs.detach(), "owner": 99, "paths": ["/somewhere"], "modules": [],
        "packages": [], "support": [], "allowed": ["math"], "seed": 5,
    }  # fmt: skip
    zygote.main([json.dumps(plan)])
    hello = json.loads(ours.recv(4096))
    ours.close()
    assert order == ["preload", "forget", "seal True"]
    assert hello["active"][-1] == "Landlock"
    assert "PID namespace" in hello["active"]
    assert hello["missing"] == {"seccomp": "not here"}
    ((owner, setting),) = served
    assert owner == 99
    assert setting.allowed == {"math"}
    assert setting.seed == 5
    assert setting.call_filter is None
    assert setting.address_space > 10_000_000


def test_a_sandbox_process_imports_the_package_without_its_init(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []
    ran: list[list[str]] = []

    def load(name: str) -> object:
        loaded.append(name)
        return SimpleNamespace(main=ran.append)

    monkeypatch.setattr(sys, "modules", {})
    monkeypatch.setattr(boot, "import_module", load)
    boot.start(["/package", "zygote", "a", "b"])
    assert loaded == ["llm_pv.sandbox.zygote"]
    assert ran == [["a", "b"]]
    assert {name: list(module.__path__) for name, module in sys.modules.items()} == {
        "llm_pv": ["/package"],
        "llm_pv.data": ["/package/data"],
        "llm_pv.programs": ["/package/programs"],
        "llm_pv.sandbox": ["/package/sandbox"],
    }


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_a_zygote_starts_leaves_it_to_its_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The copy in the fork has a socket and no process yet, and closes the one it has."""
    statuses: list[int] = []
    start: Any = subprocess.Popen

    def fork_first(*arguments: Any, **named: Any) -> Any:
        (starting,) = [one for one in linux._running if one._process is None]
        pid = os.fork()
        if pid == 0:
            os._exit(0 if starting._socket.fileno() == -1 else 1)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return start(*arguments, **named)

    monkeypatch.setattr(subprocess, "Popen", fork_first)
    zygote = linux.Zygote((), 0)
    assert statuses == [0]
    execution = zygote.run("def f(x): return x", Batch(["a", "b"]), Limits())
    assert execution.predictions == ("a", "b")
    zygote.close()
