"""A proposer in a process of its own: the same proposals, and limits that hold."""

import io
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm_pv import child_process
from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError
from llm_pv.proposers import own_process, search_process
from llm_pv.proposers.base import Proposal, Proposer
from llm_pv.proposers.length_first import LengthFirst
from llm_pv.proposers.own_process import OwnProcess, SearchProcessError
from llm_pv.proposers.registry import BuiltIn, make_proposer
from llm_pv.proposers.round_robin import StoppedError

ROWS = Examples(["00", "01", "10", "11"], ["b", "a", "a", "a"])
CLASSES = Classes.of(ROWS.labels)
MAJORITY = "def f(x):\n    return 'a'\n"


@dataclass
class Scripted(Proposer):
    """Does in its process what a test wants."""

    what: str
    name: str = "scripted"
    identity: str = "scripted"
    default_attempts: int = 10
    free: bool = True
    interim: Callable[[Sequence[Proposal]], None] | None = None
    progress: Callable[[str, int], None] | None = None
    kept: list[object] = field(default_factory=list)

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        yield from getattr(self, self.what)(train, seed, start)

    def count(self, train: Examples, seed: int, start: int) -> Iterator[Proposal]:
        if self.progress is not None:
            self.progress("counting", 7)
        for number in range(start, 3):
            yield Proposal(f"{number} of {len(train)} with {seed} in {os.getpid()}")

    def secrets(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        yield Proposal(" ".join(sorted(os.environ)))

    def hang(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        yield Proposal("before")
        time.sleep(600)

    def hang_at_once(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        time.sleep(600)
        yield Proposal("never")

    def tell_and_hang(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        assert self.progress is not None
        self.progress("hanging", 1)
        time.sleep(600)
        yield Proposal("never")

    def hang_with_interim(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        assert self.interim is not None
        self.interim([Proposal("old")])
        self.interim([Proposal("better"), Proposal("worse")])
        time.sleep(600)
        yield Proposal("never")

    def eat(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        yield Proposal("before")
        for _ in itertools.count():
            self.kept.append(np.ones(2**20))

    def refuse(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        yield Proposal("before")
        raise ConfigurationError("not so")

    def die(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        yield Proposal("before")
        os._exit(3)

    def say_who(self, _train: Examples, _seed: int, _start: int) -> Iterator[Proposal]:
        yield Proposal(str(os.getpid()))
        time.sleep(600)


def run(
    what: str, seconds: float = 60.0, megabytes: int | None = None
) -> tuple[list[Proposal], OwnProcess]:
    proposer = OwnProcess(Scripted(what), seconds=seconds, megabytes=megabytes)
    return run_one(proposer), proposer


def run_one(proposer: OwnProcess) -> list[Proposal]:
    return list(proposer.propose(ROWS, CLASSES, seed=5))


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and not been waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to hold")


def test_the_built_in_search_proposes_the_same_as_in_this_process() -> None:
    words = [f"{number:06b}" for number in range(64)]
    rows = Examples(words, [str(int(word[:3].count("1") % 2)) for word in words])
    classes, budget = Classes.of(["0", "1"]), BuiltIn(candidates=200_000)
    here = list(LengthFirst(3600.0, built_in=budget).propose(rows, classes, seed=3))
    there = list(
        OwnProcess(LengthFirst(3600.0, built_in=budget), seconds=3600.0).propose(
            rows, classes, seed=3
        )
    )
    assert [(one.text, one.note, one.rivals, one.fallback) for one in there] == [
        (one.text, one.note, one.rivals, one.fallback) for one in here
    ]
    assert len(here) > 1


def test_the_next_search_uses_the_process_of_the_last() -> None:
    pids = [{one.text.rpartition(" ")[2] for one in run("count")[0]} for _ in range(2)]
    assert pids[0] == pids[1] != {str(os.getpid())}


def test_rows_seed_and_start_reach_the_process_and_reports_come_back() -> None:
    reports: list[tuple[str, int]] = []
    proposer = OwnProcess(
        Scripted("count"),
        seconds=60.0,
        progress=lambda stage, tried: reports.append((stage, tried)),
    )
    found = [one.text for one in proposer.propose(ROWS, CLASSES, seed=5, start=1)]
    assert [text.rpartition(" in ")[0] for text in found] == ["1 of 4 with 5", "2 of 4 with 5"]
    assert reports == [("counting", 7)]


def test_no_key_of_the_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "_idle", own_process._Idle())
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    [proposal], _ = run("secrets")
    names = proposal.text.split()
    assert "PATH" in names
    assert not {name for name in names if "KEY" in name or "TOKEN" in name}


def test_a_search_that_does_not_stop_is_stopped_and_keeps_what_it_found() -> None:
    started = time.monotonic()
    found, proposer = run("hang", seconds=0.5)
    assert time.monotonic() - started < 30
    assert [one.text for one in found] == ["before"]
    assert proposer.hit_time_cap


def test_what_a_stopped_search_would_have_proposed_comes_marked() -> None:
    found, _ = run("hang_with_interim", seconds=1.0)
    assert [(one.text, one.capped) for one in found] == [("better", True), ("worse", True)]


def test_a_search_stopped_before_it_found_anything_gives_the_most_frequent_class() -> None:
    [found], _ = run("hang_at_once", seconds=0.5)
    assert (found.text, found.capped, found.fallback) == (MAJORITY, True, True)


def test_a_search_that_is_ended_from_outside_hands_over_what_it_has_found() -> None:
    found: list[Proposal] = []
    search = OwnProcess(Scripted("hang_with_interim"), seconds=600.0)
    reader = threading.Thread(target=lambda: found.extend(run_one(search)))
    reader.start()
    wait_until(own_process.stop_searches)
    reader.join(timeout=30)
    assert [(one.text, one.capped) for one in found] == [("better", True), ("worse", True)]
    assert not own_process.stop_searches(), "it is over"


def test_a_search_that_has_found_nothing_is_not_ended() -> None:
    ended: list[str] = []
    search = OwnProcess(Scripted("tell_and_hang"), seconds=600.0, progress=lambda *_: told.set())
    told = threading.Event()

    def read() -> None:
        try:
            run_one(search)
        except StoppedError:
            ended.append("closed")

    reader = threading.Thread(target=read)
    reader.start()
    assert told.wait(30)
    assert not own_process.stop_searches()
    search.close()
    reader.join(timeout=30)
    assert ended == ["closed"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a process's own data")
def test_memory_is_bounded_and_what_was_found_is_kept() -> None:
    found, proposer = run("eat", megabytes=100)
    assert [one.text for one in found] == ["before"]
    assert proposer.hit_time_cap


def test_an_error_of_the_search_is_raised_here() -> None:
    proposals = OwnProcess(Scripted("refuse"), seconds=60.0).propose(ROWS, CLASSES, seed=0)
    assert next(proposals).text == "before"
    with pytest.raises(ConfigurationError, match="not so"):
        next(proposals)


def test_a_process_that_ends_by_itself_is_an_error() -> None:
    proposals = OwnProcess(Scripted("die"), seconds=60.0).propose(ROWS, CLASSES, seed=0)
    assert next(proposals).text == "before"
    with pytest.raises(SearchProcessError, match="ended with status 3"):
        next(proposals)


def test_a_reader_that_goes_away_ends_the_process() -> None:
    proposals = OwnProcess(Scripted("say_who"), seconds=60.0).propose(ROWS, CLASSES, seed=0)
    pid = int(next(proposals).text)
    assert alive(pid)
    assert isinstance(proposals, Generator)
    proposals.close()
    assert not alive(pid)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_owner(how: signal.Signals) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from test_proposers_own_process import *\n"
        "search = OwnProcess(Scripted('say_who'), seconds=600.0)\n"
        "for one in search.propose(ROWS, CLASSES, seed=0):\n"
        "    print(one.text, flush=True)\n"
    )
    here = str(Path(__file__).parent)
    paths = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": paths},
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.send_signal(how)
        owner.wait()
    wait_until(lambda: not alive(pid))


def test_the_registry_puts_the_built_in_search_into_a_process() -> None:
    proposer = make_proposer("length-first", budget_seconds=3.0)
    assert isinstance(proposer, OwnProcess)
    assert (proposer.seconds, proposer.megabytes) == (3.0, 1000)
    assert (proposer.name, proposer.default_attempts, proposer.free) == ("length-first", 200, True)
    assert proposer.identity == LengthFirst(3.0).identity


def test_memory_may_grow_by_its_limit_and_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    status = SimpleNamespace(
        read_text=lambda encoding: "Name:\tx\nVmData:\t 1000 kB\nVmExe:\t 7 kB\n"
    )
    monkeypatch.setattr(search_process, "Path", lambda path: status)
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: given.append(limits))
    unlimited = resource.RLIM_INFINITY
    for hard, megabytes in ((unlimited, 100), (2**40, 100), (5_000_000, 100), (2**40, None)):
        monkeypatch.setattr(resource, "getrlimit", lambda what, hard=hard: (123, hard))
        search_process._limit_memory(megabytes)
    soft = 1_000 * 1_024 + 110 * 2**20  # kilobytes in use, and 100 MB and a tenth
    assert given == [(soft, unlimited), (soft, 2**40), (5_000_000, 5_000_000), (2**40, 2**40)]


def test_libraries_are_loaded_beside_the_limit_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    taken = iter([1_000, 51_000])
    monkeypatch.setattr(child_process, "_private_bytes", lambda: next(taken))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (7_000, 90_000))
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    with child_process.beside_memory_limit():
        assert given == [(90_000, 90_000)]
    assert given[1:] == [(57_000, 90_000)], "what it was, and what the libraries took"


def sent(stream: io.BytesIO) -> list[tuple[object, ...]]:
    stream.seek(0)
    found = []
    while stream.tell() < len(stream.getvalue()):
        found.append(pickle.load(stream))
    return found


def test_progress_is_sent_twenty_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    sender = search_process.MessageSender(stream)
    for now, tried in ((0.04, 1), (0.06, 2), (0.10, 3), (0.12, 4)):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        sender.progress("stage", tried)
    sender.interim((Proposal("one"),))
    assert sent(stream) == [
        ("progress", "stage", 2), ("progress", "stage", 4), ("interim", [Proposal("one")]),
    ]  # fmt: skip


@dataclass
class ProcessEnding(Proposer):
    """Ends with an error after a proposal."""

    error: BaseException | None = None
    interim: Callable[[Sequence[Proposal]], None] | None = None
    name: str = "ending"

    def propose(
        self, train: Examples, classes: Classes, *, seed: int, start: int = 0
    ) -> Iterator[Proposal]:
        assert self.interim is not None
        self.interim([Proposal("interim")])
        yield Proposal(f"{seed} {start} {len(train)} {classes.texts}")
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "ending"),
    [(None, ["done"]), (MemoryError(), ["cut", "done"]), (ConfigurationError("no"), ["error"])],
)
def test_a_process_says_how_its_search_ended(
    error: BaseException | None, ending: list[str]
) -> None:
    stream = io.BytesIO()
    proposer = ProcessEnding(error)
    request = search_process.SearchRequest(proposer, ROWS, CLASSES, 5, 2, None)
    search_process.serve(request, search_process.MessageSender(stream))
    interim, proposal, *rest = sent(stream)
    assert interim == ("interim", [Proposal("interim")])
    assert proposal == ("proposal", Proposal("5 2 4 ('a', 'b')"))
    assert [message[0] for message in rest] == ending
    assert not hasattr(proposer, "progress")
    if ending[0] == "cut":
        assert rest[0] == ("cut", "memory")


def test_two_idle_processes_are_kept_and_only_by_their_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[object] = []
    started: list[tuple[Any, ...]] = []
    monkeypatch.setattr(child_process, "end", ended.append)

    def start(*arguments: Any) -> str:
        started.append(arguments)
        return "new"

    monkeypatch.setattr(child_process, "start", start)
    environment = {"PATH": "p", "OMP_NUM_THREADS": "1", "LC_ALL": "C", "API_KEY": "k", "PATHS": "q"}
    monkeypatch.setattr(os, "environ", environment)
    idle: Any = own_process._Idle()
    for process in ("one", "two", "three"):
        idle.keep(process)
    assert ended == ["three"]
    assert [idle.take(), idle.take()] == ["two", "one"]
    assert started == []
    assert idle.take() == "new"
    [(code, kept)] = started
    assert code == "from llm_pv.proposers.search_process import main; main()"
    assert kept == {"PATH": "p", "OMP_NUM_THREADS": "1", "LC_ALL": "C"}
    idle.keep("four")
    owner = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: owner + 1)
    assert idle.take() == "new", "in a fork the processes are another's"
    idle.keep("five")
    monkeypatch.setattr(os, "getpid", lambda: owner)
    idle.close()
    assert ended == ["three"]
    own: Any = own_process._Idle()
    own.keep("six")
    own.close()
    own.close()
    assert ended == ["three", "six"]
