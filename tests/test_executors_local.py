"""Worker processes: results, errors, and being ended in the middle of a call."""

import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from joblib.externals.loky.process_executor import ShutdownExecutorError

from llm_pv.errors import (
    ConfigurationError,
    ExecutorClosedError,
    MissingExtraError,
    WorkerLostError,
)
from llm_pv.runs.executors import local
from llm_pv.runs.executors.base import Processes
from llm_pv.runs.executors.local import WorkerProcesses
from llm_pv.tasks import task


def fail_for_want_of_an_extra() -> None:
    raise MissingExtraError("pyarrow", "parquet", "read Parquet files")


def test_calls_are_answered_in_another_process() -> None:
    with WorkerProcesses(1) as workers:
        assert workers.call(math.gcd, 12, 18) == 6
        assert workers.call(os.getpid) == workers.call(os.getpid) != os.getpid()
        assert workers.submit(math.gcd, 12, 18).result() == 6
        assert workers.call(sorted, [1, 2], reverse=True) == [2, 1]
    assert Processes().call(sorted, [1, 2], reverse=True) == [2, 1]


def test_errors_of_the_package_come_back_as_they_are_and_others_named() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(ConfigurationError, match="did you mean"):
            workers.call(task, "parity_al")
        with pytest.raises(RuntimeError, match="ValueError: math domain error"):
            workers.call(math.sqrt, -1)
        assert workers.call(math.sqrt, 4) == 2, "the process serves on"


def test_an_error_whose_class_takes_other_arguments_still_arrives() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(MissingExtraError, match="pip install 'llm-pv") as caught:
            workers.call(fail_for_want_of_an_extra)
        assert "fail_for_want_of_an_extra" in caught.value.__notes__[0]


def test_a_result_that_cannot_be_pickled_is_an_error_and_the_process_serves_on() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(RuntimeError, match="cannot pickle"):
            workers.call(threading.Lock)
        assert workers.call(math.gcd, 4, 6) == 2


def test_a_function_of_many_items_keeps_their_order() -> None:
    with WorkerProcesses(2) as workers:
        assert workers.map(math.factorial, [3, 1, 4]) == [6, 1, 24]


def test_a_process_that_dies_loses_its_call_alone() -> None:
    with WorkerProcesses(1) as workers:
        with pytest.raises(WorkerLostError, match="ran out of memory"):
            workers.call(os.kill, workers.call(os.getpid), signal.SIGKILL)
        assert workers.call(math.gcd, 4, 6) == 2


def test_closing_ends_a_call_in_progress_and_refuses_the_next() -> None:
    with WorkerProcesses(1) as workers:
        workers.call(os.getpid)
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                workers.call(time.sleep, 60)
            except WorkerLostError as error:
                ended.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        workers.close()
        thread.join(10)
        assert len(ended) == 1
        with pytest.raises(WorkerLostError, match="closed"):
            workers.call(os.getpid)


class Pool:
    """In place of a pool of one process: notes what it is made and asked for."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self.made = given, options
        self.asked: list[Any] = []
        self.answer: Callable[[], Any] = lambda: (3, None)
        self._processes: dict[int, Any] | None = {1: SimpleNamespace(pid=4_000_000)}

    def submit(self, *what: Any) -> Any:
        self.asked.append(what)
        return SimpleNamespace(result=self.answer)

    def shutdown(self, wait: bool) -> None:
        self.asked.append(("shutdown", wait))


def test_a_process_is_made_for_one_call_and_ended_when_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[tuple[int, int]] = []

    def kill(process: int, number: int) -> None:
        killed.append((process, number))
        raise ProcessLookupError

    monkeypatch.setattr(local, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(os, "kill", kill)
    workers = WorkerProcesses(2)
    ended: list[Any] = []
    monkeypatch.setattr(workers._threads, "shutdown", lambda **how: ended.append(how))
    assert workers.call(sorted, [3], key=abs) == 3  # type: ignore[comparison-overlap]
    [pool] = workers._pools
    assert pool.made == ((1,), {"initializer": local._begin, "initargs": (os.getpid(),)})
    assert pool.asked == [(local._guarded, sorted, ([3],), {"key": abs})]

    def closed() -> Any:
        raise ShutdownExecutorError

    pool.answer = closed
    with pytest.raises(WorkerLostError, match=r"^a worker process ended before it answered: it"):
        workers.call(abs, 3)
    assert workers._pools == set()
    assert killed == [(4_000_000, signal.SIGKILL)]
    assert pool.asked[-1] == ("shutdown", False)
    assert [workers._idle.get_nowait() for _ in range(2)] == [None, None]
    late = Pool()

    def submit(*what: Any) -> Any:
        workers.close()  # in between, when the pool has no process yet
        late._processes = None
        return SimpleNamespace(result=closed)

    monkeypatch.setattr(late, "submit", submit)
    workers._idle.put(late)
    with pytest.raises(ExecutorClosedError, match=r"^the worker processes are closed$"):
        workers.call(abs, 3)
    assert late.asked == [("shutdown", False)] * 2
    assert ended == [{"wait": False, "cancel_futures": True}]
    assert workers._idle.get_nowait() is None
    with pytest.raises(queue.Empty):
        workers._idle.get_nowait()


def test_a_worker_ignores_signals_and_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    owners = [7, 7, 1]

    class Now:
        def __init__(self, target: Callable[[], None], daemon: bool) -> None:
            done.append(daemon)
            self.start = target

    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", lambda *what: done.append(what))
        patch.setattr(os, "dup2", lambda *what: done.append(what))
        patch.setattr(os, "getppid", lambda: owners.pop(0))
        patch.setattr(time, "sleep", done.append)
        patch.setattr(os, "_exit", lambda status: done.append(("exit", status)))
        patch.setattr(sys, "stderr", SimpleNamespace(fileno=lambda: 9))
        patch.setattr(threading, "Thread", Now)
        local._begin(7)
    assert done == [
        (signal.SIGINT, signal.SIG_IGN), (signal.SIGTERM, signal.SIG_IGN), (9, 1), True, 1.0, 1.0,
        ("exit", 1),
    ]  # fmt: skip


def test_whatever_a_function_does_comes_back_as_a_value() -> None:
    assert local._guarded(max, ([1, 3],), {"key": abs}) == (3, None)
    value, error = local._guarded(divmod, (1, 0), {})
    assert value is None
    assert isinstance(error, RuntimeError)
    assert str(error).startswith("ZeroDivisionError: ")
    assert error.__traceback__ is None
    [note] = error.__notes__
    assert note.startswith("In the worker process:\nTraceback (most recent call last):\n")
    assert "ZeroDivisionError: " in note
